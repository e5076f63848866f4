//! How far a device has a log of which it has pushed some itself. A device says how far it has stored what others pushed; of its own it says
//! nothing, since it has that in any case.

use super::seat::Seat;
use afield_core::session::{AppendAnswer, ChunkVerdict};
use afield_core::{Sequence, SpaceId};

/// What a session pushed last to a space, as a part of the log without a gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnRun {
    first: Sequence,
    last: Sequence,
    /// How far it had the log before that.
    floor: Sequence,
}

impl OwnRun {
    /// The run of the chunk at this sequence, which may be the one that ends right before it, of a device that has said how far it has stored.
    fn with(before: Option<Self>, sequence: Sequence, stored: Sequence) -> Self {
        match before {
            Some(run) if run.last.next() == sequence => Self { last: sequence, ..run },
            before => Self { first: sequence, last: sequence, floor: before.map_or(stored, |run| run.held(stored)) },
        }
    }

    /// How far a device has the log that has stored it up to a sequence.
    fn held(self, stored: Sequence) -> Sequence {
        let stored = stored.max(self.floor);
        if self.first <= stored.next() { stored.max(self.last) } else { stored }
    }
}

impl Seat {
    /// Notes what was stored of a push of the session.
    pub(super) fn note_own(&mut self, space: SpaceId, answer: &AppendAnswer) {
        let AppendAnswer::Verdicts(verdicts) = answer else { return };
        let stored = self.session.stored(space).unwrap_or(Sequence::ZERO);
        for verdict in verdicts {
            if let ChunkVerdict::Stored { sequence, .. } = verdict {
                let before = self.own_runs.get(&space).copied();
                self.own_runs.insert(space, OwnRun::with(before, *sequence, stored));
            }
        }
    }

    /// How far its device has a space of which it wants everything: what it has said, and what it pushed right behind that.
    pub(super) fn held(&self, space: SpaceId) -> Option<Sequence> {
        let stored = self.session.stored(space)?;
        Some(self.own_runs.get(&space).map_or(stored, |run| run.held(stored)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_pushed_counts_from_where_it_has_all_before_it() {
        let at = Sequence::new;
        let run = |own: &[u64]| own.iter().fold(None, |run, own| Some(OwnRun::with(run, at(*own), at(0)))).unwrap();
        for (own, stored, held) in [
            (&[1, 2, 3][..], 0, 3),
            (&[5, 6], 4, 6),
            (&[5, 6], 6, 6),
            (&[5, 6], 9, 9),
            // The fourth is somebody else's, and it has not said that it has it.
            (&[5, 6], 3, 3),
            (&[1, 2, 4], 2, 2),
            (&[1, 2, 4], 3, 4),
            (&[1, 2, 4], 0, 2),
            // Of runs that were apart only the last counts beside what it had said by then.
            (&[1, 2, 4, 6], 3, 3),
        ] {
            assert_eq!(run(own).held(at(stored)), at(held), "{own:?} {stored}");
        }
    }
}
