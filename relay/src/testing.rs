//! What the tests of several modules share: real changes, a clock that stands still, and seeded randomness.

pub(crate) mod frames;

use crate::signed::{KeySource, SignedOptions};
use afield_core::change::ChangeHeader;
use afield_core::wire::DecodedChunk;
use afield_core::{ChunkKind, EntityId, Entropy, Limits, Now};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ObjType, ROOT, ReadDoc};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use ring::hmac;

/// A moment on both clocks.
pub(crate) fn at(ms: u64) -> Now {
    Now { wall_ms: 1_700_000_000_000 + ms as i64, monotonic_ms: ms }
}

/// Repeatable randomness (splitmix64).
pub(crate) struct Seeded(pub(crate) u64);

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// An app's backend that signs tokens.
pub(crate) struct Backend {
    folder: tempfile::TempDir,
}

impl Backend {
    const SECRET: &[u8] = b"thirty-two bytes that are secret";

    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("keys"), Self::SECRET).unwrap();
        Self { folder }
    }

    /// What a relay is told of it.
    pub(crate) fn options(&self) -> SignedOptions {
        SignedOptions {
            keys: KeySource { path: self.folder.path().join("keys"), algorithm: Some(Algorithm::HS256) },
            issuer: "https://app.example".to_owned(),
            audience: "relay".to_owned(),
        }
    }

    /// A token of a user for an hour from `now` on, with more claims.
    pub(crate) fn token(&self, subject: &str, now: Now, more: &serde_json::Value) -> String {
        let seconds = now.wall_ms / 1_000;
        let mut claims = serde_json::json!({
            "iss": "https://app.example", "aud": "relay", "sub": subject, "iat": seconds, "exp": seconds + 3_600,
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", part(br#"{"alg":"HS256"}"#), part(claims.to_string().as_bytes()));
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, Self::SECRET), signed.as_bytes());
        format!("{signed}.{}", part(signature.as_ref()))
    }
}

/// Somebody who edits one entity.
pub(crate) struct Author {
    pub(crate) entity: EntityId,
    document: AutoCommit,
}

impl Author {
    pub(crate) fn new(entity: u8, actor: u8) -> Self {
        let document = AutoCommit::new().with_actor(ActorId::from([actor; 16]));
        Self { entity: EntityId::from_bytes([entity; 16]), document }
    }

    /// The same document in other hands.
    pub(crate) fn fork(&mut self, actor: u8) -> Self {
        Self { entity: self.entity, document: self.document.fork().with_actor(ActorId::from([actor; 16])) }
    }

    /// Takes over what another wrote.
    pub(crate) fn merge(&mut self, other: &mut Self) {
        self.document.merge(&mut other.document).unwrap();
    }

    /// One change, raw.
    pub(crate) fn edit(&mut self, value: &str) -> Vec<u8> {
        self.document.put(ROOT, "title", value).unwrap();
        self.document.commit_with(CommitOptions::default().with_time(0)).unwrap();
        self.document.get_last_local_change().unwrap().raw_bytes().to_vec()
    }

    /// So many keystrokes in a text, one change each.
    pub(crate) fn letters(&mut self, count: usize) -> Vec<DecodedChunk> {
        let text = match self.document.get(ROOT, "text").unwrap() {
            Some((_, text)) => text,
            None => self.document.put_object(ROOT, "text", ObjType::Text).unwrap(),
        };
        let typed = (0..count).map(|number| {
            let end = self.document.length(&text);
            let letter = char::from(b'a' + (number * 7 % 26) as u8);
            self.document.splice_text(&text, end, 0, &letter.to_string()).unwrap();
            self.document.commit_with(CommitOptions::default().with_time(number as i64)).unwrap();
            let bytes = self.document.get_last_local_change().unwrap().raw_bytes().to_vec();
            decoded(self.entity, &bytes)
        });
        typed.collect()
    }

    /// One change, as a relay decodes it from a push.
    pub(crate) fn chunk(&mut self, value: &str) -> DecodedChunk {
        let bytes = self.edit(value);
        decoded(self.entity, &bytes)
    }

    /// So many changes.
    pub(crate) fn chunks(&mut self, count: usize) -> Vec<DecodedChunk> {
        (0..count).map(|number| self.chunk(&format!("value {number}"))).collect()
    }
}

/// Bytes, as a relay decodes them from a push.
pub(crate) fn decoded(entity: EntityId, bytes: &[u8]) -> DecodedChunk {
    DecodedChunk {
        entity,
        collection: "notes".parse().unwrap(),
        kind: ChunkKind::Change,
        bytes: bytes.to_vec(),
        header: ChangeHeader::read(bytes, &Limits::DEFAULT),
    }
}

/// Text that compression makes hardly smaller.
pub(crate) fn noise(seed: u64, length: usize) -> String {
    let mut bytes = vec![0; length];
    Seeded(seed).fill(&mut bytes);
    bytes.iter().map(|byte| char::from(b'!' + byte % 94)).collect()
}
