//! Whose the chunks of a segment are, and of what kind, as runs.

/// Consecutive chunks of one entity and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LayoutRun {
    /// The row of the entity.
    pub(super) entity: i64,
    /// The number of the kind.
    pub(super) kind: u8,
    /// How many chunks; never none.
    pub(super) chunks: u64,
}

/// Encodes the layout of chunks, given one by one as entity and kind.
pub(super) fn encode(chunks: impl IntoIterator<Item = (i64, u8)>) -> Vec<u8> {
    let mut runs: Vec<LayoutRun> = Vec::new();
    for (entity, kind) in chunks {
        match runs.last_mut() {
            Some(last) if (last.entity, last.kind) == (entity, kind) => last.chunks += 1,
            _ => runs.push(LayoutRun { entity, kind, chunks: 1 }),
        }
    }
    let mut bytes = Vec::new();
    for run in runs {
        write_number(&mut bytes, run.entity.cast_unsigned());
        write_number(&mut bytes, u64::from(run.kind));
        write_number(&mut bytes, run.chunks);
    }
    bytes
}

/// Decodes the layout of so many chunks; `None` when it is not one.
pub(super) fn decode(mut bytes: &[u8], chunks: usize) -> Option<Vec<LayoutRun>> {
    let mut runs = Vec::new();
    let mut left = chunks as u64;
    while !bytes.is_empty() {
        let entity = read_number(&mut bytes)?.cast_signed();
        let kind = u8::try_from(read_number(&mut bytes)?).ok()?;
        let count = read_number(&mut bytes)?;
        if count == 0 {
            return None;
        }
        left = left.checked_sub(count)?;
        runs.push(LayoutRun { entity, kind, chunks: count });
    }
    (left == 0).then_some(runs)
}

pub(super) fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

pub(super) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_layout_of_other_counts_is_none() {
        let bytes = encode([(7, 1), (7, 1), (300, 1), (7, 3)]);
        let run = |entity, kind, chunks| LayoutRun { entity, kind, chunks };
        assert_eq!(decode(&bytes, 4), Some(vec![run(7, 1, 2), run(300, 1, 1), run(7, 3, 1)]));
        assert_eq!(decode(&bytes, 3), None);
        assert_eq!(decode(&bytes, 5), None);
        assert_eq!(decode(&[7, 1, 0], 0), None, "a run of nothing");
        assert_eq!(decode(&[0xff; 12], 1), None);
    }

    proptest! {
        #[test]
        fn a_layout_comes_back_as_it_was(chunks in prop::collection::vec((any::<i64>(), 1..5_u8), 0..200)) {
            let runs = decode(&encode(chunks.iter().copied()), chunks.len()).unwrap();
            let back: Vec<_> = runs.iter()
                .flat_map(|run| std::iter::repeat_n((run.entity, run.kind), run.chunks as usize))
                .collect();
            prop_assert_eq!(back, chunks);
        }

        #[test]
        fn anything_is_a_layout_or_none(bytes in prop::collection::vec(any::<u8>(), 0..64), chunks in 0..1_000_usize) {
            if let Some(runs) = decode(&bytes, chunks) {
                prop_assert_eq!(runs.iter().map(|run| run.chunks).sum::<u64>(), chunks as u64);
            }
        }
    }
}
