//! Signed tokens: JWTs that an app's own backend mints, so that the relay keeps no list of who may do what.
//!
//! A token says who may use which spaces, and until when. Everything that could be chosen by whoever made it is settled
//! before it is read: the algorithm belongs to the key and not to the token, keys come out of the operator's file and never out
//! of a header, and a token that does not say when it ends, for whom it is and who made it is refused.
//!
//! Tokens and keys are read and checked by jsonwebtoken, signatures with ring, the one provider of cryptography here.

mod claims;
mod keys;
mod signature;

pub use keys::{KeyFileError, KeySource};

use crate::log::SignedClaims;
use afield_core::limits::TOKEN_BYTES_MAX;
use afield_core::{DeviceId, Now};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Validation, decode, decode_header};
use keys::Keys;

/// How long a token may be good, in milliseconds: a day. What it says about spaces is as old as the token, and nobody can take
/// it back one by one.
pub const LIFETIME_MAX_MS: i64 = 86_400_000;
/// How far the clock of whoever makes tokens may be ahead, in milliseconds.
pub const CLOCK_SKEW_MAX_MS: i64 = 60_000;

/// Which signed tokens are taken.
#[derive(Debug, Clone)]
pub struct SignedOptions {
    /// Where the keys are.
    pub keys: KeySource,
    /// Who has to have made them: the claim `iss`.
    pub issuer: String,
    /// For whom they have to be made: in the claim `aud`.
    pub audience: String,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is, and what he or she may do.
    pub claims: SignedClaims,
    /// The one device that may use it; any where absent.
    pub device: Option<DeviceId>,
}

/// Why a token is refused. None of these shows anything of the token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignedError {
    /// It is no JWT: three parts in base64, the first of them a header.
    #[error("the token is no JWT")]
    Malformed,
    /// Its header demands what is not understood here.
    #[error("the header of the token has extensions that have to be understood")]
    Critical,
    /// It names a key that is not in the file, or none where there are several.
    #[error("the token is signed with a key that is not known")]
    UnknownKey,
    /// It names another algorithm than the key has.
    #[error("the token names another algorithm than its key has")]
    Algorithm,
    /// It was not signed with the key, or changed since.
    #[error("the signature of the token is wrong")]
    Signature,
    /// A claim has another form than it should, or stands there twice.
    #[error("the claims of the token cannot be understood")]
    Claims,
    /// A claim is missing.
    #[error("the token lacks the claim {0}")]
    Missing(&'static str),
    /// It was made by somebody else.
    #[error("the token is of another issuer")]
    Issuer,
    /// It was made for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// It has ended.
    #[error("the token has expired")]
    Expired,
    /// It is not good yet.
    #[error("the token is not good yet: are the clocks right?")]
    NotYet,
    /// It is good for longer than a day.
    #[error("the token is good for longer than a day")]
    TooLong,
    /// The keys cannot be read any more; nobody is let in meanwhile.
    #[error("the keys of signed tokens cannot be read")]
    Keys(#[source] KeyFileError),
}

/// Takes signed tokens.
#[derive(Debug)]
pub struct SignedTokens {
    keys: Keys,
    issuer: String,
    audience: String,
}

impl SignedTokens {
    /// Reads the keys.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no key that could be used.
    pub fn open(options: SignedOptions) -> Result<Self, KeyFileError> {
        let SignedOptions { keys, issuer, audience } = options;
        Ok(Self { keys: Keys::open(keys)?, issuer, audience })
    }

    /// Checks a token. The keys are read anew where their file has changed: a key that was taken out of it is good no more.
    ///
    /// # Errors
    ///
    /// What is wrong with the token; nothing of its claims is read before its signature was found good.
    pub fn verify(&mut self, token: &str, now: Now) -> Result<Verified, SignedError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(SignedError::Malformed);
        }
        let header = decode_header(token).map_err(|error| SignedError::of_header(&error))?;
        if header.crit.is_some() {
            return Err(SignedError::Critical);
        }
        self.keys.refresh().map_err(SignedError::Keys)?;
        let key = self.keys.find(header.kid.as_deref()).ok_or(SignedError::UnknownKey)?;
        let mut validation = Validation::new(key.algorithm);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        // Times are looked at with the clock that the relay goes by.
        validation.validate_exp = false;
        signature::install();
        let decoded = decode(token, &key.key, &validation).map_err(|error| SignedError::of_token(&error))?;
        claims::check(decoded.claims, now)
    }
}

impl SignedError {
    fn of_header(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidAlgorithmName | ErrorKind::InvalidAlgorithm => Self::Algorithm,
            _ => Self::Malformed,
        }
    }

    fn of_token(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Self::Algorithm,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::MissingRequiredClaim(claim) => {
                Self::Missing(["exp", "aud", "iss"].into_iter().find(|name| name == claim).unwrap_or("exp"))
            }
            ErrorKind::Json(_) | ErrorKind::InvalidClaimFormat(_) => Self::Claims,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
