//! What a session pushed itself and has not been told of as a reader.

use crate::log::Sequence;
use crate::wire::PushNumber;
use std::collections::BTreeMap;

/// The most runs that are noted, some 50 bytes each (invariant R8). What is not noted travels to its pusher as to everybody
/// else; a device that reads on never gets near it.
const OWN_RUNS_MAX: usize = 16_384;

/// Where the chunks of a session's own pushes stand in the log, above its position as a reader, as runs of chunks that follow
/// each other in both.
#[derive(Debug, Default)]
pub(super) struct Own(BTreeMap<Sequence, OwnRun>);

#[derive(Debug, Clone, Copy)]
struct OwnRun {
    push: Origin,
    index: u64,
    count: u64,
}

/// A push of the session on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) number: PushNumber,
    /// How many chunks were pushed on the channel before.
    pub(super) first: u64,
    /// Whether it was a live one, whose chunks the device has kept.
    pub(super) is_live: bool,
}

/// Which chunk of its own pushes a session is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnChunk {
    pub(super) push: Origin,
    pub(super) index: u64,
}

impl OwnChunk {
    /// Its place among all chunks that were pushed on the channel.
    pub(super) fn ordinal(&self) -> u64 {
        self.push.first.saturating_add(self.index)
    }
}

impl Own {
    /// Notes a chunk. A session's chunks come in the order of the log.
    pub(super) fn note(&mut self, sequence: Sequence, push: Origin, index: u64) {
        if let Some((first, last)) = self.0.iter_mut().next_back()
            && last.push == push
            && last.index.checked_add(last.count) == Some(index)
            && first.plus(last.count) == sequence
        {
            last.count += 1;
        } else if self.0.len() < OWN_RUNS_MAX {
            self.0.insert(sequence, OwnRun { push, index, count: 1 });
        }
    }

    /// The session's own chunk at a sequence; `None` for what others pushed and for what was not noted.
    pub(super) fn find(&self, sequence: Sequence) -> Option<OwnChunk> {
        let (first, run) = self.0.range(..=sequence).next_back()?;
        let offset = sequence.get() - first.get();
        (offset < run.count).then_some(OwnChunk { push: run.push, index: run.index + offset })
    }

    /// Forgets everything up to a sequence.
    pub(super) fn forget_up_to(&mut self, sequence: Sequence) {
        let next = sequence.next();
        let rest = self.0.split_off(&next);
        let crossing = self.0.pop_last();
        self.0 = rest;
        if let Some((first, OwnRun { push, index, count })) = crossing {
            let passed = next.get() - first.get();
            if passed < count {
                self.0.insert(next, OwnRun { push, index: index + passed, count: count - passed });
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> Sequence {
        Sequence::new(number)
    }

    fn push(number: u64) -> Origin {
        Origin { number: PushNumber(number), first: 10_000 * number, is_live: true }
    }

    fn chunk(number: u64, index: u64) -> OwnChunk {
        OwnChunk { push: push(number), index }
    }

    #[test]
    fn a_run_of_a_push_is_noted_once_however_long_it_is() {
        let mut own = Own::default();
        (0..8_000).for_each(|index| own.note(at(100 + index), push(1), index));
        // The first chunk of the next push was a duplicate, and somebody else's stand between.
        (1..5).for_each(|index| own.note(at(8_200 + index), push(2), index));
        assert_eq!(own.0.len(), 2, "R8");
        for (sequence, expected) in [
            (99, None),
            (100, Some(chunk(1, 0))),
            (8_099, Some(chunk(1, 7_999))),
            (8_100, None),
            (8_200, None),
            (8_201, Some(chunk(2, 1))),
            (8_204, Some(chunk(2, 4))),
            (8_205, None),
        ] {
            assert_eq!(own.find(at(sequence)), expected, "{sequence}");
        }
    }

    #[test]
    fn what_was_read_is_forgotten_and_what_follows_is_not() {
        for passed in 0..=13 {
            let mut own = Own::default();
            (0..5).for_each(|index| own.note(at(3 + index), push(1), index));
            (0..3).for_each(|index| own.note(at(10 + index), push(2), index));
            let before: Vec<_> = (0..=13).map(|sequence| own.find(at(sequence))).collect();
            own.forget_up_to(at(passed));
            for (sequence, found) in (0..=13).zip(before) {
                let expected = if sequence <= passed { None } else { found };
                assert_eq!(own.find(at(sequence)), expected, "{sequence} after {passed}");
            }
            assert_eq!(own.0.is_empty(), passed >= 12, "{passed}");
        }
    }

    #[test]
    fn a_session_that_never_reads_has_a_bound() {
        let mut own = Own::default();
        let pushes = OWN_RUNS_MAX as u64 + 100;
        (1..=pushes).for_each(|number| own.note(at(2 * number), push(number), 0));
        assert_eq!(own.0.len(), OWN_RUNS_MAX, "R8");
        assert_eq!(own.find(at(2)), Some(chunk(1, 0)));
        assert_eq!(own.find(at(2 * pushes)), None, "it travels as to everybody else");
        own.forget_up_to(at(1_000));
        own.note(at(2 * pushes + 1), push(pushes + 1), 0);
        assert_eq!(own.find(at(2 * pushes + 1)), Some(chunk(pushes + 1, 0)), "the control: there is room again");
    }
}
