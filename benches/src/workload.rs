//! What every system is put through, and what it took.
//!
//! Clients write their own stores where the system has such, the server its own; both are processes on this machine.
//! Clients of the workloads are connected directly; what is counted on the wire goes through a [`Proxy`], which is the
//! same for all.

mod fan_out;
mod live;
mod merge;
mod outcome;
mod small;
mod venue;

pub use fan_out::{FanOut, fan_out};
pub use live::{Live, live};
pub use merge::{Merge, merge};
pub use outcome::{Outcome, Timing, Unit};
pub use small::{Small, small};

use crate::party::PartyError;
use afield_tests::processes::{Proxy, WireFigures};
use std::time::{Duration, Instant};

/// How long no message may go either way before the wire counts as quiet.
const QUIET: Duration = Duration::from_secs(1);
/// How long it may take until then.
const QUIET_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the wire is looked at.
const QUIET_INTERVAL: Duration = Duration::from_millis(1);

/// Waits until nothing goes over a wire any more, after something went both ways, and gives the time from `started` to the
/// last message.
fn until_quiet(proxy: &Proxy, earlier: &WireFigures, started: Instant) -> Result<Duration, PartyError> {
    let mut seen = (0, 0);
    let mut last = started;
    loop {
        let figures = proxy.figures().since(earlier);
        let now = (figures.to_relay.messages, figures.to_device.messages);
        if now != seen {
            seen = now;
            last = Instant::now();
        } else if seen.0 > 0 && seen.1 > 0 && last.elapsed() >= QUIET {
            return Ok(last - started);
        } else if started.elapsed() >= QUIET_TIMEOUT {
            return Err(PartyError::Loud { within: QUIET_TIMEOUT });
        }
        std::thread::sleep(QUIET_INTERVAL);
    }
}

/// The time from each call to each moment at which it was seen, in milliseconds, from the shortest.
fn latencies(called: &[u64], seen: &[Vec<u64>]) -> Vec<f64> {
    let pairs = seen.iter().flat_map(|seen| called.iter().zip(seen));
    let mut latencies: Vec<_> = pairs.map(|(called, seen)| seen.saturating_sub(*called) as f64 / 1_000.0).collect();
    latencies.sort_by(f64::total_cmp);
    latencies
}

/// The value below which this part of sorted values lies.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = (sorted.len() as f64 * part) as usize;
    sorted.get(place).or(sorted.last()).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_counts_for_every_edit() {
        let sorted = latencies(&[1_000, 2_000], &[vec![1_500, 2_100], vec![4_000, 5_000]]);
        assert_eq!(sorted, [0.1, 0.5, 3.0, 3.0]);
        assert_eq!((quantile(&sorted, 0.5), quantile(&sorted, 0.95)), (3.0, 3.0));
        assert!(quantile(&[], 0.5).is_nan());
    }
}
