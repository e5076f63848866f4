//! Bearer tokens.

use afield_core::time::random_bytes;
use afield_core::{Entropy, Invitation, SpaceId};
use std::fmt;

/// How a token starts, so that a person and a secret scanner recognise one.
pub(crate) const TOKEN_PREFIX: &str = "afield_";
/// The random bytes of a token, and of an invitation: 256 bits, which no one guesses, so that a plain hash is enough to store it.
const TOKEN_RANDOM_BYTES: usize = 32;
/// The digits of a token: lower-case letters and digits without the look-alikes `i l o u` (Crockford's base 32), so
/// that a double click selects all of it.
const DIGITS: [char; 32] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm', 'n', 'p',
    'q', 'r', 's', 't', 'v', 'w', 'x', 'y', 'z',
];

/// What keeps the hashes of signed tokens apart from all others (BLAKE3's key derivation).
const SIGNED_CONTEXT: &str = "afield-relay 2026-11-22 hash of a signed token";

/// A bearer token, or an invitation, as its holder sees it, once.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Draws a new token.
    pub fn new(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        Self(format!("{TOKEN_PREFIX}{}", drawn(entropy)))
    }

    /// Draws a new invitation to a space: as much of it is random, and it says which space it is for, so that a person needs nothing else.
    pub fn invitation(space: SpaceId, entropy: &mut (impl Entropy + ?Sized)) -> Self {
        Self(Invitation::new(space, &drawn(entropy)).expose().to_owned())
    }

    /// The text to hand to its holder. It is shown once and stored nowhere.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the relay stores of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(withheld)")
    }
}

/// BLAKE3 of a token's text: what the relay stores, and looks a token up by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token as it was presented.
    pub fn of(text: &str) -> Self {
        Self(*blake3::hash(text.as_bytes()).as_bytes())
    }

    /// The hash of a token that was signed elsewhere, by what was signed: a signature can be written in more than one way, and all of
    /// them are the same token. No text that is presented as a token of the relay's own has the same hash.
    pub fn of_signed(signed: &str) -> Self {
        Self(blake3::derive_key(SIGNED_CONTEXT, signed.as_bytes()))
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(withheld)")
    }
}

/// Random digits.
fn drawn(entropy: &mut (impl Entropy + ?Sized)) -> String {
    let random: [u8; TOKEN_RANDOM_BYTES] = random_bytes(entropy);
    let (mut text, mut bits, mut count) = (String::new(), 0_u32, 0);
    for byte in random {
        bits = bits << 8 | u32::from(byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(digit(bits >> count));
        }
    }
    text.push(digit(bits << (5 - count)));
    text
}

fn digit(bits: u32) -> char {
    *DIGITS.get((bits & 31) as usize).expect("five bits name one of 32 digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);
    impl Entropy for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0;
                self.0 = self.0.wrapping_add(7);
            }
        }
    }

    #[test]
    fn a_token_carries_256_bits_in_characters_that_copy_well() {
        let token = Token::new(&mut Counting(0));
        let digits = token.reveal().strip_prefix(TOKEN_PREFIX).unwrap();
        assert_eq!(digits.len(), (TOKEN_RANDOM_BYTES * 8).div_ceil(5));
        assert!(digits.chars().all(|digit| DIGITS.contains(&digit)));
        let mut value = digits.chars().map(|digit| DIGITS.iter().position(|known| *known == digit).unwrap());
        assert_eq!(value.next(), Some(0), "the first five bits of the first byte");
        assert_ne!(Token::new(&mut Counting(1)).reveal(), token.reveal());
    }

    #[test]
    fn an_invitation_carries_256_bits_and_its_space() {
        let space = SpaceId::from_bytes([7; 16]);
        let invitation: Invitation = Token::invitation(space, &mut Counting(0)).reveal().parse().unwrap();
        let digits = Token::new(&mut Counting(0)).reveal()[TOKEN_PREFIX.len()..].to_owned();
        assert_eq!((invitation.space(), &invitation), (space, &Invitation::new(space, &digits)));
    }

    #[test]
    fn a_token_never_prints_itself() {
        let token = Token::new(&mut Counting(0));
        assert!(!format!("{token:?} {:?}", token.hash()).contains(&token.reveal()[TOKEN_PREFIX.len()..]));
        assert_eq!(TokenHash::of(token.reveal()), token.hash());
    }
}
