//! Signatures for jsonwebtoken, checked with ring.

use ::signature::{Error, Verifier};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::hmac;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

/// What checks signatures and signs nothing.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() })),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has jsonwebtoken check signatures with ring. Where the process has chosen something else already, that stays.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        if self.is_good(message, signature) { Ok(()) } else { Err(Error::new()) }
    }
}

impl RingVerifier {
    fn is_good(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::HS256 => self.is_good_hmac(hmac::HMAC_SHA256, message, signature),
            Algorithm::HS384 => self.is_good_hmac(hmac::HMAC_SHA384, message, signature),
            Algorithm::HS512 => self.is_good_hmac(hmac::HMAC_SHA512, message, signature),
            Algorithm::ES256 => self.is_good_plain(&signature::ECDSA_P256_SHA256_FIXED, message, signature),
            Algorithm::ES384 => self.is_good_plain(&signature::ECDSA_P384_SHA384_FIXED, message, signature),
            Algorithm::EdDSA => self.is_good_plain(&signature::ED25519, message, signature),
            Algorithm::RS256 => self.is_good_rsa(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature),
            Algorithm::RS384 => self.is_good_rsa(&signature::RSA_PKCS1_2048_8192_SHA384, message, signature),
            Algorithm::RS512 => self.is_good_rsa(&signature::RSA_PKCS1_2048_8192_SHA512, message, signature),
            Algorithm::PS256 => self.is_good_rsa(&signature::RSA_PSS_2048_8192_SHA256, message, signature),
            Algorithm::PS384 => self.is_good_rsa(&signature::RSA_PSS_2048_8192_SHA384, message, signature),
            Algorithm::PS512 => self.is_good_rsa(&signature::RSA_PSS_2048_8192_SHA512, message, signature),
            // Algorithms that are not known yet have no key: `keys` takes none for them.
            _ => false,
        }
    }

    fn is_good_hmac(&self, algorithm: hmac::Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let DecodingKeyKind::SecretOrDer(secret) = self.key.kind() else { return false };
        hmac::verify(&hmac::Key::new(algorithm, secret), message, signature).is_ok()
    }

    fn is_good_plain(&self, algorithm: &'static dyn VerificationAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let DecodingKeyKind::SecretOrDer(bytes) = self.key.kind() else { return false };
        UnparsedPublicKey::new(algorithm, bytes).verify(message, signature).is_ok()
    }

    fn is_good_rsa(&self, algorithm: &'static RsaParameters, message: &[u8], signature: &[u8]) -> bool {
        match self.key.kind() {
            DecodingKeyKind::SecretOrDer(_) => self.is_good_plain(algorithm, message, signature),
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(algorithm, message, signature).is_ok()
            }
        }
    }
}
