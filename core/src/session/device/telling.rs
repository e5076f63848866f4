//! When a device says how far it has stored a log.

use crate::limits::{PROGRESS_CHUNKS_MAX, PROGRESS_INTERVAL_MS};
use crate::log::Sequence;
use crate::time::Now;

/// What was told, and what is to be told: nothing while the device catches up; then at once after a pause, and once in an
/// interval, so that it costs next to nothing and delays nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling {
    is_on: bool,
    is_caught_up: bool,
    /// Whether the interval after catching up has begun: not before the device has come to an end with what that brought.
    is_rested: bool,
    stored: Sequence,
    told: Sequence,
    told_ms: Option<u64>,
}

impl Telling {
    /// The relay knows of everything up to a position from the `Open`.
    pub(super) fn new(told: Sequence, is_on: bool) -> Self {
        Self { is_on, is_caught_up: false, is_rested: false, stored: told, told, told_ms: None }
    }

    /// Says whether there is to be anything to tell from now on.
    pub(super) fn switch(&mut self, is_on: bool) {
        self.is_on = is_on;
    }

    /// Takes the word that everything has arrived that there was: what that brought is told after an interval.
    pub(super) fn caught_up(&mut self, now: Now) {
        if !std::mem::replace(&mut self.is_caught_up, true) {
            self.told_ms = Some(now.monotonic_ms);
        }
    }

    /// Notes what is stored.
    pub(super) fn note(&mut self, stored: Sequence) {
        self.stored = self.stored.max(stored);
    }

    /// When there is something to tell, on the monotonic clock.
    pub(super) fn due_ms(&self) -> Option<u64> {
        if !self.is_on || !self.is_caught_up || self.stored <= self.told {
            return None;
        }
        let is_much = self.stored.get() - self.told.get() >= PROGRESS_CHUNKS_MAX;
        let after = |told_ms: u64| if is_much { told_ms } else { told_ms.saturating_add(PROGRESS_INTERVAL_MS) };
        Some(self.told_ms.map_or(0, after))
    }

    /// What to tell now.
    pub(super) fn take_due(&mut self, now: Now) -> Option<Sequence> {
        self.due_ms().filter(|due_ms| *due_ms <= now.monotonic_ms)?;
        if !std::mem::replace(&mut self.is_rested, true) {
            self.told_ms = Some(now.monotonic_ms);
            return None;
        }
        (self.told, self.told_ms) = (self.stored, Some(now.monotonic_ms));
        Some(self.stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(monotonic_ms: u64) -> Now {
        Now { wall_ms: 0, monotonic_ms }
    }

    #[test]
    fn the_first_word_goes_out_at_once_and_the_next_ones_add_up() {
        let mut telling = Telling::new(Sequence::new(4), true);
        assert_eq!(telling.take_due(at(0)), None, "the Open has told it");
        telling.note(Sequence::new(5));
        assert_eq!(telling.due_ms(), None, "more of it is on its way");
        telling.caught_up(at(0));
        let interval = PROGRESS_INTERVAL_MS;
        assert_eq!(telling.take_due(at(interval)), None, "it may have merged so long");
        assert_eq!(telling.take_due(at(2 * interval)), Some(Sequence::new(5)));
        telling.note(Sequence::new(6));
        assert_eq!(telling.take_due(at(1_000)), Some(Sequence::new(6)));
        (7..50).for_each(|sequence| telling.note(Sequence::new(sequence)));
        assert_eq!(telling.take_due(at(1_000)), None);
        assert_eq!(telling.due_ms(), Some(1_000 + PROGRESS_INTERVAL_MS));
        assert_eq!(telling.take_due(at(1_000 + PROGRESS_INTERVAL_MS)), Some(Sequence::new(49)));
        telling.note(Sequence::new(49 + PROGRESS_CHUNKS_MAX));
        assert!(telling.take_due(at(1_001 + PROGRESS_INTERVAL_MS)).is_some(), "so many do not wait");
    }

    #[test]
    fn who_does_not_have_everything_tells_nothing() {
        let mut telling = Telling::new(Sequence::ZERO, false);
        telling.caught_up(at(0));
        telling.note(Sequence::new(6));
        assert_eq!(telling.due_ms(), None);
        telling.switch(true);
        assert_eq!(telling.take_due(at(1_000)), None);
        assert_eq!(telling.take_due(at(2_000)), Some(Sequence::new(6)), "the control");
    }
}
