//! Signatures, with ring.

use super::keys::PinnedKey;
use jsonwebtoken::{Algorithm, DecodingKeyKind};
use ring::hmac;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

/// Whether a message was signed with a key, by the algorithm that the key has.
pub(super) fn is_good(key: &PinnedKey, message: &[u8], signature: &[u8]) -> bool {
    match key.algorithm {
        Algorithm::HS256 => is_good_hmac(hmac::HMAC_SHA256, key, message, signature),
        Algorithm::HS384 => is_good_hmac(hmac::HMAC_SHA384, key, message, signature),
        Algorithm::HS512 => is_good_hmac(hmac::HMAC_SHA512, key, message, signature),
        Algorithm::ES256 => is_good_plain(&signature::ECDSA_P256_SHA256_FIXED, key, message, signature),
        Algorithm::ES384 => is_good_plain(&signature::ECDSA_P384_SHA384_FIXED, key, message, signature),
        Algorithm::EdDSA => is_good_plain(&signature::ED25519, key, message, signature),
        Algorithm::RS256 => is_good_rsa(&signature::RSA_PKCS1_2048_8192_SHA256, key, message, signature),
        Algorithm::RS384 => is_good_rsa(&signature::RSA_PKCS1_2048_8192_SHA384, key, message, signature),
        Algorithm::RS512 => is_good_rsa(&signature::RSA_PKCS1_2048_8192_SHA512, key, message, signature),
        Algorithm::PS256 => is_good_rsa(&signature::RSA_PSS_2048_8192_SHA256, key, message, signature),
        Algorithm::PS384 => is_good_rsa(&signature::RSA_PSS_2048_8192_SHA384, key, message, signature),
        Algorithm::PS512 => is_good_rsa(&signature::RSA_PSS_2048_8192_SHA512, key, message, signature),
        // Algorithms that are not known yet have no key: `keys` takes none for them.
        _ => false,
    }
}

fn is_good_hmac(algorithm: hmac::Algorithm, key: &PinnedKey, message: &[u8], signature: &[u8]) -> bool {
    let DecodingKeyKind::SecretOrDer(secret) = key.key.kind() else { return false };
    hmac::verify(&hmac::Key::new(algorithm, secret), message, signature).is_ok()
}

fn is_good_plain(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &PinnedKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let DecodingKeyKind::SecretOrDer(bytes) = key.key.kind() else { return false };
    UnparsedPublicKey::new(algorithm, bytes).verify(message, signature).is_ok()
}

fn is_good_rsa(algorithm: &'static RsaParameters, key: &PinnedKey, message: &[u8], signature: &[u8]) -> bool {
    match key.key.kind() {
        DecodingKeyKind::SecretOrDer(_) => is_good_plain(algorithm, key, message, signature),
        DecodingKeyKind::RsaModulusExponent { n, e } => {
            RsaPublicKeyComponents { n, e }.verify(algorithm, message, signature).is_ok()
        }
    }
}
