//! Which items of two sequences belong together, in the order of both.

use std::ops::Range;

/// The most pairs of items whose likeness is computed at once.
const PAIRS_MAX: usize = 65_536;

/// What is left of two sequences without their common beginning and end.
///
/// ```
/// use afield_core::document::sequence::differing;
///
/// let (old, new) = (["milk", "bread", "eggs"], ["milk", "rye bread", "butter", "eggs"]);
/// assert_eq!(differing(&old, &new, |old, new| old == new), (1..2, 1..3));
/// ```
pub fn differing<T>(old: &[T], new: &[T], same: impl Fn(&T, &T) -> bool) -> (Range<usize>, Range<usize>) {
    let start = old.iter().zip(new).take_while(|(old, new)| same(old, new)).count();
    let room = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(old, new)| same(old, new)).count();
    (start..old.len() - end, start..new.len() - end)
}

/// The pairs of alike items, by their index in a sequence of `old` and in one of `new` items, in the order of both and
/// with the greatest likeness in total.
///
/// `likeness` is 0 for items that may not be paired. There are no pairs when the items are too many to be compared.
///
/// ```
/// use afield_core::document::sequence::alike;
///
/// let (old, new) = (["milk", "bread"], ["bread", "eggs"]);
/// let pairs = alike(old.len(), new.len(), |from, to| u64::from(old[from] == new[to]));
/// assert_eq!(pairs, [(1, 0)]);
/// ```
pub fn alike(old: usize, new: usize, likeness: impl Fn(usize, usize) -> u64) -> Vec<(usize, usize)> {
    if old.saturating_mul(new) > PAIRS_MAX {
        return Vec::new();
    }
    let likenesses: Vec<Vec<u64>> =
        (0..old).map(|row| (0..new).map(|column| likeness(row, column)).collect()).collect();
    let of = |row: usize, column: usize| likenesses.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0);
    // The greatest likeness that the old items from a row on and the new ones from a column on can have.
    let width = new + 1;
    let mut best = vec![0_u64; (old + 1) * width];
    let cell = |best: &[u64], row: usize, column: usize| best.get(row * width + column).copied().unwrap_or(0);
    for row in (0..old).rev() {
        for column in (0..new).rev() {
            let paired = match of(row, column) {
                0 => 0,
                likeness => likeness + cell(&best, row + 1, column + 1),
            };
            let total = paired.max(cell(&best, row + 1, column)).max(cell(&best, row, column + 1));
            if let Some(known) = best.get_mut(row * width + column) {
                *known = total;
            }
        }
    }
    let (mut row, mut column, mut pairs) = (0, 0, Vec::new());
    while row < old && column < new {
        let here = cell(&best, row, column);
        if of(row, column) > 0 && here == of(row, column) + cell(&best, row + 1, column + 1) {
            pairs.push((row, column));
            row += 1;
            column += 1;
        } else if here == cell(&best, row + 1, column) {
            row += 1;
        } else {
            column += 1;
        }
    }
    pairs
}

/// The longest chain of pairs of indices in which both grow, of pairs ordered by their second index and, where that is
/// equal, from the greatest first index to the least: of the pairs of equal items, the most that keep their order.
///
/// Time is O(n log n) in the number of pairs.
///
/// ```
/// use afield_core::document::sequence::longest_chain;
///
/// assert_eq!(longest_chain([(1, 0), (0, 1), (2, 2)]), [(0, 1), (2, 2)]);
/// ```
pub fn longest_chain(pairs: impl IntoIterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    // Each pair with the link before it in the longest chain that it ends.
    let mut links: Vec<((usize, usize), Option<usize>)> = Vec::new();
    // The least last index of a chain, and that chain's last link, by its length.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    for pair in pairs {
        let length = ends.partition_point(|(end, _)| *end < pair.0);
        let before = length.checked_sub(1).and_then(|last| ends.get(last)).map(|(_, link)| *link);
        let end = (pair.0, links.len());
        links.push((pair, before));
        match ends.get_mut(length) {
            Some(known) => *known = end,
            None => ends.push(end),
        }
    }
    let mut chain = Vec::with_capacity(ends.len());
    let mut next = ends.last().map(|(_, link)| *link);
    while let Some((pair, before)) = next.and_then(|link| links.get(link)) {
        chain.push(*pair);
        next = *before;
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_chain_of_equal_items_is_a_longest_common_subsequence(
            old in prop::collection::vec(0_u8..4, 0..12),
            new in prop::collection::vec(0_u8..4, 0..12),
        ) {
            let equal = |row: usize, column: usize| old.get(row) == new.get(column);
            let pairs = (0..new.len()).flat_map(|column| {
                (0..old.len()).rev().filter(move |row| equal(*row, column)).map(move |row| (row, column))
            });
            let chain = longest_chain(pairs);
            prop_assert!(chain.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
            prop_assert!(chain.iter().all(|(row, column)| equal(*row, *column)));
            let longest = alike(old.len(), new.len(), |row, column| u64::from(equal(row, column)));
            prop_assert_eq!(chain.len(), longest.len());
        }
    }
}
