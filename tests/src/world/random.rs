//! Randomness that comes from the seed alone.

use afield::Entropy;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A generator that gives the same numbers for the same seed, in every process and version.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A generator of its own, for something that must not disturb the others' numbers.
    pub fn fork(&mut self) -> Self {
        Self::new(self.0.random())
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    /// True with a probability of `rate` in a thousand.
    pub fn chance(&mut self, rate: u32) -> bool {
        rate > 0 && self.0.random_range(0..1000) < rate
    }
}

impl Entropy for Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}
