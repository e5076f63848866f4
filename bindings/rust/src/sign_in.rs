//! Why a relay does not let a device in.

use afield_core::wire::GoodbyeCode;
use serde::{Deserialize, Serialize};

/// Why somebody has to sign in. Its text says what happened and what to do; whatever it is, everything stays on the device, and edits go on.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use afield::SignInReason;
///
/// # let replica = afield::Replica::open_in_memory()?;
/// match replica.status()?.sign_in {
///     Some(SignInReason::AccountClosed) => println!("ask who runs the relay"),
///     Some(why) => println!("{why}"), // a fresh token goes to `Replica::refresh_token`
///     None => println!("nobody has to sign in"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SignInReason {
    /// There is no token, or the relay does not know it.
    #[error("the relay did not accept the token: sign in with another one")]
    TokenRefused,
    /// The token's time is over.
    #[error("the token has expired: sign in with a fresh one")]
    TokenExpired,
    /// Somebody signed out this device or everything of its user, or revoked its token.
    #[error("this device was signed out: sign in with a new token")]
    SignedOut,
    /// The account is closed; its tokens are good again once it is opened.
    #[error("the account is closed: ask who runs the relay to open it")]
    AccountClosed,
}

impl SignInReason {
    /// What the end of a session says about it; `None` where nobody has to sign in.
    pub(crate) fn of(code: GoodbyeCode) -> Option<Self> {
        match code {
            GoodbyeCode::Unauthorized => Some(Self::TokenRefused),
            GoodbyeCode::TokenExpired => Some(Self::TokenExpired),
            GoodbyeCode::SignedOut => Some(Self::SignedOut),
            GoodbyeCode::AccountClosed => Some(Self::AccountClosed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use afield_core::wire::Class;

    #[test]
    fn each_code_after_which_somebody_has_to_sign_in_has_its_words() {
        let codes: Vec<_> = (1..100).map(GoodbyeCode::from_number).collect();
        let mut texts = std::collections::BTreeSet::new();
        for code in codes {
            let reason = SignInReason::of(code);
            assert_eq!(reason.is_some(), code.class() == Class::SignIn, "{code:?}");
            // The words of the code stand first, and what to do after them.
            assert!(reason.is_none_or(|reason| reason.to_string().starts_with(&format!("{code}: "))), "{code:?}");
            texts.extend(reason.map(|reason| reason.to_string()));
        }
        assert_eq!(texts.len(), 4);
    }
}
