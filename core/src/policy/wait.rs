//! How long a device waits at least after it was sent away, and why.

use super::Hold;
use super::backoff::RETRY_AFTER_MAX_MS;
use crate::Now;

/// How long nothing is tried by itself after an attempt was turned away, in milliseconds, and why.
///
/// ```
/// use afield_core::Now;
/// use afield_core::policy::{Hold, Wait};
///
/// let now = Now { wall_ms: 0, monotonic_ms: 1_000 };
/// assert_eq!(Wait::Asked(5_000).hold(now), Some(Hold::RetryAfter { until_ms: 6_000 })); // `503` with `Retry-After: 5`
/// assert_eq!(Wait::Limited(5_000).hold(now), Some(Hold::Budget { until_ms: 6_000 })); // `429` with the same
/// assert_eq!(Wait::Unasked(60_000).hold(now), None); // a person who has mended the address need not wait
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The relay has no time for anybody now, and named this wait.
    Asked(u64),
    /// The relay limits how much one device, user or address may do in some time, and named when there is more.
    Limited(u64),
    /// What answered gives no answer of a relay, and is left alone for long without having asked for it.
    Unasked(u64),
}

impl Wait {
    /// The wait, in milliseconds.
    ///
    /// ```
    /// use afield_core::policy::Wait;
    ///
    /// assert_eq!(Wait::Limited(5_000).ms(), 5_000);
    /// ```
    pub const fn ms(self) -> u64 {
        let (Self::Asked(ms) | Self::Limited(ms) | Self::Unasked(ms)) = self;
        ms
    }

    /// What the relay may hold a device back with: nobody is parked for longer than [`RETRY_AFTER_MAX_MS`]. See [`Wait`] for an example.
    pub fn hold(self, now: Now) -> Option<Hold> {
        let until_ms = now.monotonic_ms.saturating_add(self.ms().min(RETRY_AFTER_MAX_MS));
        match self {
            Self::Asked(_) => Some(Hold::RetryAfter { until_ms }),
            Self::Limited(_) => Some(Hold::Budget { until_ms }),
            Self::Unasked(_) => None,
        }
    }
}
