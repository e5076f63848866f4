//! The form of a snapshot on the disk: the saved document, compressed as a whole, and before it what a reader needs to know of it.

use super::compress::{compress, decompress};
use super::layout::{read_number, write_number};
use afield_core::document::SnapshotExtent;
use afield_core::wire::SequenceRuns;
use afield_core::{EntityId, Sequence};

const CHECK_BYTES: usize = 16;

/// A snapshot as it is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) head: KeptHead,
    /// The saved document, no column of it compressed by itself: all of it together takes less.
    pub(super) saved: Vec<u8>,
}

/// What a snapshot is of, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptHead {
    pub(super) entity: EntityId,
    /// The position of the last chunk that it stands for.
    pub(super) covered: i64,
    /// Where its changes stand in the log, in the order in which the document holds them: first sequences, and how many
    /// follow in a row.
    pub(super) runs: Vec<(u64, u64)>,
    /// What it travels with, where it can.
    pub(super) journey: Option<Journey>,
}

/// What a snapshot travels with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Journey {
    pub(super) check: [u8; CHECK_BYTES],
    /// How many bytes its changes have.
    pub(super) changes_bytes: usize,
    /// What else those who take them out have to count.
    pub(super) extent: SnapshotExtent,
}

impl KeptHead {
    pub(super) fn sequences(&self) -> SequenceRuns {
        let runs = self.runs.iter().map(|(first, count)| (Sequence::new(*first), *count));
        SequenceRuns::of(runs.flat_map(|(first, count)| (0..count).map(move |offset| first.plus(offset))))
    }

    /// How many changes it has.
    pub(super) fn changes(&self) -> u64 {
        self.runs.iter().map(|(_, count)| count).fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Reads the head of what [`Kept::encode`] made, the hash of which has been compared; what follows it is the document.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (entity, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        let covered = read_number(bytes)?.cast_signed();
        let [travels, count] = read_numbers(bytes)?;
        let mut runs = Vec::new();
        for _ in 0..count {
            runs.push((read_number(bytes)?, read_number(bytes)?));
        }
        let journey = match travels {
            0 => None,
            _ => {
                let (check, rest) = bytes.split_first_chunk::<CHECK_BYTES>()?;
                *bytes = rest;
                let changes_bytes = usize::try_from(read_number(bytes)?).ok()?;
                let [operations, changes, text_bytes] = read_numbers(bytes)?;
                let extent = SnapshotExtent { operations, changes, text_bytes };
                Some(Journey { check: *check, changes_bytes, extent })
            }
        };
        Some(Self { entity: EntityId::from_bytes(*entity), covered, runs, journey })
    }
}

/// The sequences that a snapshot stands for, to be looked up.
#[derive(Debug)]
pub(super) struct Names(Vec<(u64, u64)>);

impl Names {
    pub(super) fn of(head: &KeptHead) -> Self {
        let mut runs = head.runs.clone();
        runs.sort_unstable();
        Self(runs)
    }

    pub(super) fn hold(&self, sequence: Sequence) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= sequence.get());
        let run = behind.checked_sub(1).and_then(|at| self.0.get(at));
        run.is_some_and(|(first, count)| sequence.get() - first < *count)
    }

    /// All of them, in the order of the log.
    pub(super) fn iter(&self) -> impl Iterator<Item = Sequence> {
        self.0.iter().flat_map(|(first, count)| (0..*count).map(|offset| Sequence::new(first.saturating_add(offset))))
    }
}

/// Sequences in any order, as runs that rise by one.
pub(super) fn runs_of(sequences: impl IntoIterator<Item = Sequence>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for sequence in sequences {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == sequence.get() => *count += 1,
            _ => runs.push((sequence.get(), 1)),
        }
    }
    runs
}

impl Kept {
    /// The bytes to be kept; `None` when they do not come out as they went in.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let KeptHead { entity, covered, runs, journey } = &self.head;
        let mut bytes = entity.as_bytes().to_vec();
        for number in [covered.cast_unsigned(), u64::from(journey.is_some()), runs.len() as u64] {
            write_number(&mut bytes, number);
        }
        for (first, count) in runs {
            write_number(&mut bytes, *first);
            write_number(&mut bytes, *count);
        }
        if let Some(Journey { check, changes_bytes, extent }) = journey {
            bytes.extend(check);
            let SnapshotExtent { operations, changes, text_bytes } = *extent;
            for number in [*changes_bytes as u64, operations, changes, text_bytes] {
                write_number(&mut bytes, number);
            }
        }
        write_number(&mut bytes, self.saved.len() as u64);
        bytes.extend(compress(&self.saved)?);
        (Self::decode(&bytes).as_ref() == Some(self)).then_some(bytes)
    }

    /// Reads what [`Self::encode`] made, the hash of which has been compared: nothing here is anybody else's.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let head = KeptHead::decode(&mut bytes)?;
        let saved_bytes = usize::try_from(read_number(&mut bytes)?).ok()?;
        let saved = decompress(bytes, saved_bytes)?;
        Some(Self { head, saved })
    }
}

fn read_numbers<const N: usize>(bytes: &mut &[u8]) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = read_number(bytes)?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_snapshot_comes_back_as_it_was() {
        let sequences = [3, 4, 5, 1, 2, 9].map(Sequence::new);
        let runs = runs_of(sequences);
        assert_eq!(runs, [(3, 3), (1, 2), (9, 1)]);
        let extent = SnapshotExtent { operations: 1_000, changes: 6, text_bytes: 70 };
        let journey = Journey { check: [7; CHECK_BYTES], changes_bytes: 300, extent };
        let entity = EntityId::from_bytes([5; 16]);
        for journey in [Some(journey), None] {
            let head = KeptHead { entity, covered: 1 << 40 | 9, runs: runs.clone(), journey };
            assert_eq!((head.sequences(), head.changes()), (SequenceRuns::of(sequences), 6));
            let names = Names::of(&head);
            let held: Vec<u64> = (0..12).filter(|number| names.hold(Sequence::new(*number))).collect();
            assert_eq!(held, [1, 2, 3, 4, 5, 9]);
            assert_eq!(names.iter().map(Sequence::get).collect::<Vec<_>>(), held);
            let kept = Kept { head, saved: b"a document ".repeat(50) };
            let bytes = kept.encode().unwrap();
            assert!(bytes.len() < 110);
            assert_eq!(Kept::decode(&bytes), Some(kept));
            assert_eq!(Kept::decode(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(Kept::decode(&[]), None);
    }
}
