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
    pub(super) fn read(bytes: Vec<u8>, check: &[u8], body_hash: &CacheKey) -> Option<Self> {
        let held = Self(bytes);
        (held.check(body_hash)[..] == *check).then_some(held)
    }

    /// The hash of it and of the body that it is about.
    pub(super) fn check(&self, body_hash: &CacheKey) -> CacheKey {
        *blake3::Hasher::new().update(body_hash).update(&self.0).finalize().as_bytes()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
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
        assert_eq!(held.bytes().len(), 3);
        assert!(chunks.enumerate().all(|(index, is_held)| held.holds(index) == is_held) && !held.holds(24));
        let check = held.check(&[1; 32]);
        assert_eq!(Held::read(held.bytes().to_vec(), &check, &[1; 32]), Some(held.clone()));
        assert_eq!(Held::read(held.bytes().to_vec(), &check, &[2; 32]), None);
        assert_eq!(Held::read(vec![0; 3], &check, &[1; 32]), None);
        assert!(Held::of([]).bytes().is_empty());
    }
}
