//! Which chunks of a segment its body has, so that one need not be decoded to say that a chunk is there.

use super::cache::CacheKey;

/// A bit for each chunk of a segment, in the order of the log, the lowest of a byte first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held(Vec<u8>);

impl Held {
    pub(super) fn of(chunks: impl IntoIterator<Item = bool>) -> Self {
        let mut bytes = Vec::new();
        for (index, is_held) in chunks.into_iter().enumerate() {
            if index % 8 == 0 {
                bytes.push(0);
            }
            bytes.last_mut().into_iter().for_each(|byte| *byte |= u8::from(is_held) << (index % 8));
        }
        Self(bytes)
    }

    /// What the disk has, where it is what was stored beside this body.
    pub(super) fn read(stored: &[u8], body_hash: &CacheKey) -> Option<Self> {
        if stored.is_empty() {
            return Some(Self(Vec::new()));
        }
        let (bytes, check) = stored.split_last_chunk()?;
        let held = Self(bytes.to_vec());
        (held.check(body_hash) == *check).then_some(held)
    }

    /// As it is stored: the bits, and behind them the hash of them and of the body that they are about. Nothing where the body has
    /// none of the chunks, as those of a snapshot leave it.
    pub(super) fn stored(&self, body_hash: &CacheKey) -> Vec<u8> {
        if self.0.iter().all(|byte| *byte == 0) {
            return Vec::new();
        }
        [self.0.as_slice(), &self.check(body_hash)].concat()
    }

    fn check(&self, body_hash: &CacheKey) -> CacheKey {
        *blake3::Hasher::new().update(body_hash).update(&self.0).finalize().as_bytes()
    }

    /// Whether the body has the chunk of an index.
    pub(super) fn holds(&self, index: usize) -> bool {
        self.0.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_comes_back_for_its_body_only() {
        let chunks = (0..21).map(|index| index % 3 == 0);
        let held = Held::of(chunks.clone());
        let stored = held.stored(&[1; 32]);
        assert_eq!(stored.len(), 3 + 32);
        assert!(chunks.enumerate().all(|(index, is_held)| held.holds(index) == is_held) && !held.holds(24));
        assert_eq!(Held::read(&stored, &[1; 32]), Some(held));
        assert_eq!(Held::read(&stored, &[2; 32]), None);
        for index in 0..stored.len() {
            let mut decayed = stored.clone();
            decayed[index] ^= 1;
            assert_eq!(Held::read(&decayed, &[1; 32]), None);
        }
        assert_eq!(Held::read(&stored[..20], &[1; 32]), None);
        let nothing = Held::of([false; 21]).stored(&[1; 32]);
        assert!(nothing.is_empty() && !Held::read(&nothing, &[1; 32]).is_some_and(|held| held.holds(0)));
    }
}
