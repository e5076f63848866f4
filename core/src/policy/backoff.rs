//! How long to wait before connecting again.

use crate::time::{Entropy, random_bytes};

/// The shortest wait before a reconnect, in milliseconds.
pub const RECONNECT_MIN_MS: u64 = 500;
/// The longest wait before a reconnect, in milliseconds.
pub const RECONNECT_MAX_MS: u64 = 60_000;

/// The longest wait that a relay, or a server in its place, can ask for, in milliseconds: one hour. A device looks again
/// after that, whatever it was told.
pub const RETRY_AFTER_MAX_MS: u64 = 3_600_000;

/// Exponential back-off with full jitter.
///
/// The `n`-th wait is drawn evenly from [`RECONNECT_MIN_MS`] up to `RECONNECT_MIN_MS · 2ⁿ`, at most
/// [`RECONNECT_MAX_MS`] ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015). A relay's `retry_after` is a
/// floor, up to [`RETRY_AFTER_MAX_MS`]: the jitter is added on top, so that devices sent away together do not come back
/// together.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure, in milliseconds.
    ///
    /// ```
    /// # struct Zeros;
    /// # impl afield_core::Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// use afield_core::policy::backoff::{Backoff, RECONNECT_MAX_MS, RECONNECT_MIN_MS};
    ///
    /// let mut backoff = Backoff::default();
    /// let wait_ms = backoff.failed(None, &mut Zeros); // with the system's generator in an app
    /// assert!((RECONNECT_MIN_MS..=RECONNECT_MAX_MS).contains(&wait_ms));
    /// assert!(backoff.failed(Some(90_000), &mut Zeros) >= 90_000); // the relay wants to be left alone
    /// ```
    pub fn failed(&mut self, retry_after_ms: Option<u64>, entropy: &mut (impl Entropy + ?Sized)) -> u64 {
        self.failures = self.failures.saturating_add(1);
        let ceiling = RECONNECT_MIN_MS.saturating_mul(1 << self.failures.min(16)).min(RECONNECT_MAX_MS);
        let jitter = u64::from_le_bytes(random_bytes(entropy)) % (ceiling - RECONNECT_MIN_MS + 1);
        retry_after_ms.unwrap_or(RECONNECT_MIN_MS).min(RETRY_AFTER_MAX_MS) + jitter
    }

    /// Forgets the failures: a session caught up, or lived for long.
    ///
    /// ```
    /// # struct Zeros;
    /// # impl afield_core::Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// use afield_core::policy::backoff::Backoff;
    ///
    /// let mut backoff = Backoff::default();
    /// backoff.failed(None, &mut Zeros);
    /// backoff.succeeded();
    /// assert_eq!(backoff.failures(), 0);
    /// ```
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How many failures in a row there were.
    ///
    /// ```
    /// # struct Zeros;
    /// # impl afield_core::Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// use afield_core::policy::backoff::Backoff;
    ///
    /// let mut backoff = Backoff::default();
    /// backoff.failed(None, &mut Zeros);
    /// assert_eq!(backoff.failures(), 1);
    /// ```
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);
    impl Entropy for Fixed {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn waits_grow_to_the_cap_and_respect_the_relay() {
        let mut backoff = Backoff::default();
        for failures in 1..40 {
            let wait = backoff.failed(None, &mut Fixed(0xff));
            assert!((RECONNECT_MIN_MS..=RECONNECT_MAX_MS).contains(&wait));
            assert!(wait <= RECONNECT_MIN_MS << failures.min(16));
        }
        assert!(backoff.failed(Some(90_000), &mut Fixed(0)) >= 90_000);
        let longest = backoff.failed(Some(u64::MAX), &mut Fixed(0xff));
        assert!((RETRY_AFTER_MAX_MS..=RETRY_AFTER_MAX_MS + RECONNECT_MAX_MS).contains(&longest), "nobody is parked");
        backoff.succeeded();
        assert!(backoff.failed(None, &mut Fixed(0xff)) <= 2 * RECONNECT_MIN_MS);
    }

    /// Bytes that stand for a number, as a generator would give them.
    struct Number(u64);
    impl Entropy for Number {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.copy_from_slice(&self.0.to_le_bytes());
        }
    }

    #[test]
    fn waits_are_anywhere_between_the_shortest_and_the_longest_of_their_turn() {
        for failures in 0..10 {
            let wait = |number| Backoff { failures }.failed(None, &mut Number(number));
            let ceiling = (RECONNECT_MIN_MS << (failures + 1)).min(RECONNECT_MAX_MS);
            let room = ceiling - RECONNECT_MIN_MS;
            for part in [0, 1, room / 3, room / 2, room] {
                assert_eq!(wait(part), RECONNECT_MIN_MS + part, "all of the jitter is random");
            }
            let asked = Backoff { failures }.failed(Some(90_000), &mut Number(room / 2));
            assert_eq!(asked, 90_000 + room / 2, "those who were sent away together come back apart");
        }
    }
}
