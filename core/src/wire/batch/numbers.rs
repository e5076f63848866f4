//! Streams of numbers, most of them zero because zero means "as predicted".

use super::error::{BatchError, BatchField};
use crate::change::leb::{Reader, unsigned_bytes, write_unsigned};
use crate::wire::row::read::number;

/// Numbers to be written as one stream.
#[derive(Debug, Default)]
pub(super) struct NumbersOut {
    values: Vec<u64>,
    others_than_zero: usize,
    dense_bytes: usize,
}

impl NumbersOut {
    pub(super) fn push(&mut self, value: u64) {
        self.others_than_zero += usize::from(value != 0);
        self.dense_bytes += unsigned_bytes(value);
        self.values.push(value);
    }

    /// Whether there is anything to write: a stream of zeros is left out.
    pub(super) fn is_present(&self) -> bool {
        self.others_than_zero > 0
    }

    /// Writes all numbers in a row, or the ones that are not zero with the gaps between them, whichever is shorter.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        write_unsigned(out, self.others_than_zero as u64);
        let mut gap = 0;
        for value in &self.values {
            if *value == 0 {
                gap += 1;
            } else {
                write_unsigned(out, gap);
                write_unsigned(out, *value);
                gap = 0;
            }
        }
        if out.len() - start > 1 + self.dense_bytes {
            out.truncate(start);
            write_unsigned(out, 0);
            self.values.iter().for_each(|value| write_unsigned(out, *value));
        }
    }
}

/// The numbers of one stream, one after the other.
#[derive(Debug, Default)]
pub(super) enum Numbers {
    /// The stream is absent: every number is zero.
    #[default]
    Zeros,
    /// All numbers.
    Dense(std::vec::IntoIter<u64>),
    /// The numbers that are not zero, each with the gap before it.
    Sparse { entries: std::vec::IntoIter<(u64, u64)>, gap: Option<(u64, u64)> },
}

impl Numbers {
    /// Reads a stream of `count` numbers. Memory is taken for numbers that stand in the bytes, never for zeros.
    pub(super) fn read(reader: &mut Reader<'_>, count: u64, field: BatchField) -> Result<Self, BatchError> {
        let offset = reader.offset();
        let gap_and_value_bytes = 2;
        let failed = |offset, fault| BatchError::reading(field, offset, fault);
        let entries = reader.count(gap_and_value_bytes).map_err(|fault| failed(offset, fault))?;
        if entries == 0 {
            let found = reader.remaining();
            if count > found as u64 {
                return Err(BatchError::Truncated { field, offset, needed: count, found });
            }
            let numbers = (0..count).map(|_| number(reader, field)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Self::Dense(numbers.into_iter()));
        }
        let mut covered = 0_u64;
        let mut read = Vec::new();
        for _ in 0..entries {
            let gap = number(reader, field)?;
            covered = covered.saturating_add(gap).saturating_add(1);
            if covered > count {
                return Err(BatchError::TooMany { field, found: covered, maximum: count });
            }
            read.push((gap, number(reader, field)?));
        }
        let mut entries = read.into_iter();
        let gap = entries.next();
        Ok(Self::Sparse { entries, gap })
    }

    /// The next number; zero after the last.
    pub(super) fn next(&mut self) -> u64 {
        match self {
            Self::Zeros => 0,
            Self::Dense(numbers) => numbers.next().unwrap_or(0),
            Self::Sparse { entries, gap } => match gap {
                Some((0, value)) => {
                    let value = *value;
                    *gap = entries.next();
                    value
                }
                Some((zeros, _)) => {
                    *zeros -= 1;
                    0
                }
                None => 0,
            },
        }
    }
}

impl Numbers {
    /// How many references follow in another stream when each number is one more than how many its row has.
    pub(super) fn references(&self) -> u64 {
        let count = |sum: u64, number: u64| sum.saturating_add(number.saturating_sub(1));
        match self {
            Self::Zeros => 0,
            Self::Dense(numbers) => numbers.as_slice().iter().fold(0, |sum, number| count(sum, *number)),
            Self::Sparse { entries, gap } => {
                gap.iter().chain(entries.as_slice()).fold(0, |sum, (_, number)| count(sum, *number))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn streams_survive(values in proptest::collection::vec(prop_oneof![3 => Just(0), 1 => any::<u64>()], 0..60)) {
            let mut stream = NumbersOut::default();
            values.iter().for_each(|value| stream.push(*value));
            prop_assert_eq!(stream.is_present(), values.iter().any(|value| *value != 0));
            let mut out = Vec::new();
            stream.write(&mut out);
            if stream.is_present() {
                let mut reader = Reader::new(&out, 0);
                let mut numbers = Numbers::read(&mut reader, values.len() as u64, BatchField::Stream).unwrap();
                prop_assert_eq!(reader.remaining(), 0);
                for value in values {
                    prop_assert_eq!(numbers.next(), value);
                }
            }
        }
    }

    #[test]
    fn a_giant_count_takes_no_memory() {
        let sparse = [1, 5, 7];
        let mut numbers = Numbers::read(&mut Reader::new(&sparse, 0), u64::MAX, BatchField::Stream).unwrap();
        assert_eq!((0..7).map(|_| numbers.next()).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 7, 0]);
        assert!(Numbers::read(&mut Reader::new(&[0, 1], 0), u64::MAX, BatchField::Stream).is_err());
        assert!(Numbers::read(&mut Reader::new(&sparse, 0), 5, BatchField::Stream).is_err());
    }
}
