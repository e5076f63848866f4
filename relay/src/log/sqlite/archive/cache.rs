//! What was decoded, kept for a while by the hash of what it was decoded from: bytes that have decayed since are not found.

use super::segment::Segment;
use super::snapshot::Extracted;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most bytes of decoded segments that are kept: some hundred of them, more than a reader and a few pushers use at once.
const SEGMENT_BYTES_MAX: usize = 16 << 20;
/// The most bytes of changes extracted from snapshots that are kept: some of the largest that travel, since whoever reads chunks of
/// more of them in turns has one taken apart for every few chunks. The one used last is kept whatever its size, which is bounded
/// when the snapshot is made: a reader takes it page by page.
const EXTRACTED_BYTES_MAX: usize = 64 << 20;

/// The most snapshots of which it is remembered that they do not give back what they stand for.
const DOUBTS_MAX: usize = 4_096;

/// The BLAKE3 of what something was decoded from.
pub(super) type CacheKey = [u8; 32];

/// What was decoded, in the hands of one log.
#[derive(Debug, Clone, Default)]
pub(in crate::log::sqlite) struct Cache(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    segments: Recent<Arc<Segment>>,
    extracted: Recent<Arc<Extracted>>,
    /// Snapshots that do not give back what they stand for, each counted as one byte.
    doubts: Recent<Doubt>,
}

/// What is wrong with a snapshot whose bytes are those that were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The engine of this version does not load it.
    Load,
    /// A change is not in it for which it stands.
    Lacks,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            segments: Recent::new(SEGMENT_BYTES_MAX),
            extracted: Recent::new(EXTRACTED_BYTES_MAX),
            doubts: Recent::new(DOUBTS_MAX),
        }
    }
}

impl Cache {
    pub(super) fn segment(&self, key: &CacheKey) -> Option<Arc<Segment>> {
        self.kept().segments.take_note(key)
    }

    pub(super) fn keep_segment(&self, key: CacheKey, segment: Arc<Segment>) {
        let bytes = segment.memory_bytes();
        self.kept().segments.insert(key, segment, bytes);
    }

    /// How many segments were decoded and are kept.
    #[cfg(test)]
    pub(in crate::log::sqlite) fn segments(&self) -> usize {
        self.kept().segments.values.len()
    }

    pub(super) fn extracted(&self, key: &CacheKey) -> Option<Arc<Extracted>> {
        self.kept().extracted.take_note(key)
    }

    pub(super) fn keep_extracted(&self, key: CacheKey, extracted: Arc<Extracted>) {
        let bytes = extracted.memory_bytes();
        self.kept().extracted.insert(key, extracted, bytes);
    }

    /// What is known to be wrong with the snapshot that has a hash.
    pub(super) fn doubt(&self, key: &CacheKey) -> Option<Doubt> {
        self.kept().doubts.take_note(key)
    }

    pub(super) fn note_doubt(&self, key: CacheKey, doubt: Doubt) {
        self.kept().doubts.insert(key, doubt, 1);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whatever panicked, the maps hold whole values.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The values that were used last, up to so many bytes.
#[derive(Debug)]
struct Recent<V> {
    bytes_max: usize,
    bytes: usize,
    clock: u64,
    values: BTreeMap<CacheKey, (u64, usize, V)>,
    order: BTreeMap<u64, CacheKey>,
}

impl<V: Clone> Recent<V> {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, clock: 0, values: BTreeMap::new(), order: BTreeMap::new() }
    }

    /// The value of a key, which is then the one used last.
    fn take_note(&mut self, key: &CacheKey) -> Option<V> {
        let (stamp, _, value) = self.values.get_mut(key)?;
        self.clock += 1;
        self.order.remove(stamp);
        *stamp = self.clock;
        self.order.insert(self.clock, *key);
        Some(value.clone())
    }

    fn insert(&mut self, key: CacheKey, value: V, bytes: usize) {
        self.clock += 1;
        if let Some((stamp, old, _)) = self.values.insert(key, (self.clock, bytes, value)) {
            self.order.remove(&stamp);
            self.bytes -= old;
        }
        self.order.insert(self.clock, key);
        self.bytes += bytes;
        while self.bytes > self.bytes_max && self.values.len() > 1 {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            if let Some((_, bytes, _)) = self.values.remove(&oldest) {
                self.bytes -= bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_least_lately_goes_first_and_the_last_one_stays_however_large() {
        let mut recent = Recent::new(10);
        let key = |number: u8| [number; 32];
        recent.insert(key(1), 1, 5);
        recent.insert(key(2), 2, 5);
        assert_eq!(recent.take_note(&key(1)), Some(1));
        recent.insert(key(3), 3, 5);
        assert_eq!([1, 2, 3].map(|number| recent.take_note(&key(number))), [Some(1), None, Some(3)]);
        recent.insert(key(3), 4, 2);
        assert_eq!((recent.bytes, recent.values.len(), recent.order.len()), (7, 2, 2));
        recent.insert(key(9), 9, 1_000);
        assert_eq!((recent.take_note(&key(9)), recent.values.len(), recent.bytes), (Some(9), 1, 1_000));
    }
}
