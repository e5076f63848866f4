//! The form of a snapshot on the disk: the saved document as one zstd frame, and before it what a reader needs to know of it.

use super::layout::{read_number, write_number};
use afield_core::Sequence;
use afield_core::document::SnapshotExtent;
use afield_core::wire::SequenceRuns;

/// The level of compression: a snapshot is made once, in a thread of its own, and kept until its entity has doubled.
const LEVEL: i32 = 19;
const CHECK_BYTES: usize = 16;

/// A snapshot as it is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The saved document, no column of it compressed by itself: one frame around all of it is smaller.
    pub(super) saved: Vec<u8>,
    /// What it travels with, where it can.
    pub(super) journey: Option<Journey>,
}

/// What a snapshot travels with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Journey {
    /// Where its changes stand in the log, in the order in which the document holds them: first sequences, and how many
    /// follow in a row.
    pub(super) runs: Vec<(u64, u64)>,
    pub(super) check: [u8; CHECK_BYTES],
    /// How many bytes its changes have.
    pub(super) changes_bytes: usize,
    /// What else those who take them out have to count.
    pub(super) extent: SnapshotExtent,
}

impl Journey {
    pub(super) fn sequences(&self) -> SequenceRuns {
        let runs = self.runs.iter().map(|(first, count)| (Sequence::new(*first), *count));
        SequenceRuns::of(runs.flat_map(|(first, count)| (0..count).map(move |offset| first.plus(offset))))
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
        let mut bytes = Vec::new();
        write_number(&mut bytes, self.saved.len() as u64);
        match &self.journey {
            None => bytes.push(0),
            Some(Journey { runs, check, changes_bytes, extent }) => {
                bytes.push(1);
                bytes.extend(check);
                let SnapshotExtent { operations, changes, text_bytes } = *extent;
                for number in [*changes_bytes as u64, operations, changes, text_bytes, runs.len() as u64] {
                    write_number(&mut bytes, number);
                }
                for (first, count) in runs {
                    write_number(&mut bytes, *first);
                    write_number(&mut bytes, *count);
                }
            }
        }
        bytes.extend(zstd::bulk::compress(&self.saved, LEVEL).ok()?);
        (Self::decode(&bytes).as_ref() == Some(self)).then_some(bytes)
    }

    /// Reads what [`Self::encode`] made, the hash of which has been compared: nothing here is anybody else's.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let saved_bytes = usize::try_from(read_number(&mut bytes)?).ok()?;
        let journey = match read_number(&mut bytes)? {
            0 => None,
            _ => {
                let (check, rest) = bytes.split_first_chunk::<CHECK_BYTES>()?;
                bytes = rest;
                let changes_bytes = usize::try_from(read_number(&mut bytes)?).ok()?;
                let [operations, changes, text_bytes, count] = read_numbers(&mut bytes)?;
                let mut runs = Vec::new();
                for _ in 0..count {
                    runs.push((read_number(&mut bytes)?, read_number(&mut bytes)?));
                }
                let extent = SnapshotExtent { operations, changes, text_bytes };
                Some(Journey { runs, check: *check, changes_bytes, extent })
            }
        };
        let saved = zstd::bulk::decompress(bytes, saved_bytes).ok().filter(|saved| saved.len() == saved_bytes)?;
        Some(Self { saved, journey })
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
        let journey = Journey { runs, check: [7; CHECK_BYTES], changes_bytes: 300, extent };
        assert_eq!(journey.sequences(), SequenceRuns::of(sequences));
        for journey in [Some(journey), None] {
            let kept = Kept { saved: b"a document ".repeat(50), journey };
            let bytes = kept.encode().unwrap();
            assert!(bytes.len() < 100);
            assert_eq!(Kept::decode(&bytes), Some(kept));
            assert_eq!(Kept::decode(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(Kept::decode(&[]), None);
    }
}
