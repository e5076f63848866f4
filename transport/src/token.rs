//! Bearer tokens, which nothing here prints.

use afield_core::limits::TOKEN_BYTES_MAX;
use afield_core::wire::Class;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::{fmt, str::FromStr};

/// A bearer token: 1 to [`TOKEN_BYTES_MAX`] bytes of the characters that RFC 6750 allows.
///
/// Its `Debug` form withholds it and there is no `Display`, so that it reaches a log only by calling
/// [`Token::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

/// The text is not a bearer token, or the `Authorization` header does not hold one.
///
/// ```
/// use afield_transport::{ParseTokenError, Token};
///
/// assert_eq!("two words".parse::<Token>().err(), Some(ParseTokenError::Character { at: 3 }));
/// assert_eq!("".parse::<Token>().err(), Some(ParseTokenError::Empty));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseTokenError {
    /// The token is empty.
    #[error("the token is empty")]
    Empty,
    /// The token is longer than [`TOKEN_BYTES_MAX`].
    #[error("the token has {bytes} bytes, more than {TOKEN_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A character stands in it that no token has.
    #[error("the token has a character at byte {at} that no token has: check for spaces, quotes and line ends")]
    Character {
        /// Where the character stands.
        at: usize,
    },
    /// The header's scheme is not `Bearer`, or the header stands there twice.
    #[error("the Authorization header is not one bearer token")]
    NotBearer,
}

impl ParseTokenError {
    /// What would help: nothing but another token.
    ///
    /// ```
    /// let error = "two words".parse::<afield_transport::Token>().unwrap_err();
    /// assert_eq!(error.class(), afield_core::wire::Class::Permanent);
    /// ```
    pub fn class(&self) -> Class {
        Class::Permanent
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// let error = "two words".parse::<afield_transport::Token>().unwrap_err();
    /// assert_eq!(error.code(), "token.character");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "token.empty",
            Self::TooLong { .. } => "token.too_long",
            Self::Character { .. } => "token.character",
            Self::NotBearer => "token.not_bearer",
        }
    }
}

impl Token {
    /// The token itself, for the one place that sends or checks it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn authorization(&self) -> HeaderValue {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0))
            .expect("a token has only characters that a header value may have");
        value.set_sensitive(true);
        value
    }
}

impl FromStr for Token {
    type Err = ParseTokenError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseTokenError::Empty);
        }
        if text.len() > TOKEN_BYTES_MAX {
            return Err(ParseTokenError::TooLong { bytes: text.len() });
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        match text.bytes().position(|byte| !allowed(byte)) {
            Some(at) => Err(ParseTokenError::Character { at }),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(withheld)")
    }
}

/// Reads the bearer token of a request, if it brings one.
///
/// # Errors
///
/// When there is an `Authorization` header and it is not exactly one well-formed bearer token.
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<Token>, ParseTokenError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ParseTokenError::NotBearer);
    }
    let text = value.to_str().map_err(|_| ParseTokenError::NotBearer)?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim().parse().map(Some),
        _ => Err(ParseTokenError::NotBearer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_parsed_once_and_never_printed() {
        let token: Token = "eyJhbGciOi.J9-_~+/=".parse().unwrap();
        assert_eq!(format!("{token:?}"), "Token(withheld)");
        assert!(!format!("{:?}", token.authorization()).contains("eyJ"), "S6: headers are logged by others");
        assert_eq!("".parse::<Token>(), Err(ParseTokenError::Empty));
        assert_eq!("abc\n".parse::<Token>(), Err(ParseTokenError::Character { at: 3 }));
        let long = "x".repeat(TOKEN_BYTES_MAX + 1);
        assert_eq!(long.parse::<Token>(), Err(ParseTokenError::TooLong { bytes: TOKEN_BYTES_MAX + 1 }));
    }

    #[test]
    fn the_header_gives_the_token_that_was_put_in() {
        let token: Token = "secret".parse().unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(bearer_token(&headers), Ok(None));
        headers.insert(AUTHORIZATION, token.authorization());
        assert_eq!(bearer_token(&headers), Ok(Some(token)));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        assert_eq!(bearer_token(&headers), Err(ParseTokenError::NotBearer));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic dXNlcjpwYXNz"));
        assert_eq!(bearer_token(&headers), Err(ParseTokenError::NotBearer));
    }
}
