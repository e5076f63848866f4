//! The keys that signed tokens are checked with, out of the operator's file.

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file of keys that is read, in bytes: hundreds of keys.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The shortest secret of an HMAC, in bytes: those of the shortest hash, as RFC 7518 demands.
const SECRET_BYTES_MIN: usize = 32;

/// Where the keys are: in a file with one key, a public one as PEM, or for HMAC a secret, which is what the file has but for a line break at
/// its end; or in one with a JWK set, of which tokens name one key, unless it has but one.
#[derive(Debug, Clone)]
pub struct KeySource {
    /// The file.
    pub path: PathBuf,
    /// The algorithm of the one key, and no other; of a set, that of the keys that do not name one.
    pub algorithm: Option<Algorithm>,
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("cannot read the keys in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key does not say what it is for.
    #[error("{} has one key: say with which algorithm tokens are signed", path.display())]
    NoAlgorithm {
        /// The file.
        path: PathBuf,
    },
    /// It is no key of that algorithm, or of a form that is not known.
    #[error("{} has no public key for {algorithm:?} as PEM", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// What has no place on a relay.
    #[error("{} has a private key: give the relay the public one alone", path.display())]
    Private {
        /// The file.
        path: PathBuf,
    },
    /// A secret that could be guessed, or a public key, which everybody knows.
    #[error("{} has no secret for {algorithm:?}: give {SECRET_BYTES_MIN} random bytes or more, and no public key", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// It is no JWK set.
    #[error("{} is no JWK set", path.display())]
    Set {
        /// The file.
        path: PathBuf,
    },
    /// A JWK set without a key for signatures of a known algorithm.
    #[error("{} has no key that could be used: each needs an algorithm (alg) that is known and fits it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Two keys with one name.
    #[error("{} has two keys with the same id (kid)", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
    },
}

/// A key with the one algorithm that it is for.
pub(super) struct PinnedKey {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Without the key, which may be a secret (S6).
impl fmt::Debug for PinnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The keys of a file, as it was when it was last looked at.
#[derive(Debug)]
pub(super) struct Keys {
    source: KeySource,
    /// What the file held; absent where that was of no use.
    read: Option<(blake3::Hash, Vec<PinnedKey>)>,
}

impl Keys {
    pub(super) fn open(source: KeySource) -> Result<Self, KeyFileError> {
        let mut keys = Self { source, read: None };
        keys.refresh()?;
        Ok(keys)
    }

    /// Reads the file, and takes its keys where it is another one than before. Times of files are too coarse to tell that.
    pub(super) fn refresh(&mut self) -> Result<(), KeyFileError> {
        let before = self.read.take();
        let bytes = read(&self.source.path)?;
        let hash = blake3::hash(&bytes);
        let keys = match before {
            Some((same, keys)) if same == hash => keys,
            _ => parse(&self.source, &bytes)?,
        };
        self.read = Some((hash, keys));
        Ok(())
    }

    /// The key that a token names.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&PinnedKey> {
        let (_, keys) = self.read.as_ref()?;
        match (keys.as_slice(), id) {
            // A key without a name is the one whatever tokens call it.
            ([only], None) => Some(only),
            ([only], Some(_)) if only.id.is_none() => Some(only),
            (_, None) => None,
            (several, Some(id)) => several.iter().find(|key| key.id.as_deref() == Some(id)),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX { Err(failed(io::ErrorKind::FileTooLarge.into())) } else { Ok(bytes) }
}

fn parse(source: &KeySource, bytes: &[u8]) -> Result<Vec<PinnedKey>, KeyFileError> {
    let KeySource { path, algorithm } = source;
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return several(path, *algorithm, bytes);
    }
    let algorithm = algorithm.ok_or_else(|| KeyFileError::NoAlgorithm { path: path.clone() })?;
    Ok(vec![PinnedKey { id: None, algorithm, key: one(path, algorithm, bytes)? }])
}

fn one(path: &Path, algorithm: Algorithm, bytes: &[u8]) -> Result<DecodingKey, KeyFileError> {
    let path = || path.to_owned();
    let names = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    if names(b"PRIVATE KEY-----") {
        return Err(KeyFileError::Private { path: path() });
    }
    if algorithm.family() == AlgorithmFamily::Hmac {
        let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        if secret.len() < SECRET_BYTES_MIN || names(b"-----BEGIN") {
            return Err(KeyFileError::Secret { path: path(), algorithm });
        }
        return Ok(DecodingKey::from_secret(secret));
    }
    let key = match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(bytes),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(bytes),
        _ => DecodingKey::from_ed_pem(bytes),
    };
    let key = key.ok().filter(|key| names(b"PUBLIC KEY-----") && fits(key, algorithm));
    key.ok_or_else(|| KeyFileError::Key { path: path(), algorithm })
}

fn several(path: &Path, algorithm: Option<Algorithm>, bytes: &[u8]) -> Result<Vec<PinnedKey>, KeyFileError> {
    let set: JwkSet = serde_json::from_slice(bytes).map_err(|_| KeyFileError::Set { path: path.to_owned() })?;
    // A set has keys for other purposes, too.
    let keys: Vec<PinnedKey> = set.keys.iter().filter_map(|jwk| pinned(jwk, algorithm)).collect();
    let mut ids: Vec<_> = keys.iter().filter_map(|key| key.id.as_deref()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return Err(KeyFileError::Twice { path: path.to_owned() });
    }
    if keys.is_empty() { Err(KeyFileError::Empty { path: path.to_owned() }) } else { Ok(keys) }
}

fn pinned(jwk: &Jwk, otherwise: Option<Algorithm>) -> Option<PinnedKey> {
    let common = &jwk.common;
    let is_for_signatures = common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
    let checks = |operations: &Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
    if !is_for_signatures || !common.key_operations.as_ref().is_none_or(checks) {
        return None;
    }
    let algorithm = match common.key_algorithm {
        Some(named) => algorithm_of(named)?,
        None => otherwise?,
    };
    let key = DecodingKey::from_jwk(jwk).ok().filter(|key| fits(key, algorithm))?;
    Some(PinnedKey { id: common.key_id.clone(), algorithm, key })
}

fn algorithm_of(named: KeyAlgorithm) -> Option<Algorithm> {
    named.to_string().parse().ok()
}

/// Whether a key is one of an algorithm: of its family, and of its curve or strength as far as that shows.
fn fits(key: &DecodingKey, algorithm: Algorithm) -> bool {
    let bytes = match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes.len(),
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len(),
    };
    let has_size = match algorithm {
        // A point of the curve, uncompressed.
        Algorithm::ES256 => bytes == 65,
        Algorithm::ES384 => bytes == 97,
        Algorithm::EdDSA => bytes == 32,
        _ if algorithm.family() == AlgorithmFamily::Hmac => bytes >= SECRET_BYTES_MIN,
        // ring takes no modulus below 2,048 bits.
        _ => bytes >= 256,
    };
    key.family() == algorithm.family() && has_size
}
