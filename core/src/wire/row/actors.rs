//! The other actors of a change, which follow from the actors that its operations name.

use super::shape::{Shape, SlotValue};

/// The other actors of a change by this author whose operations name these: sorted, none twice, not the author.
pub(in crate::wire) fn other_actors<'p>(
    author: &[u8],
    used: impl Iterator<Item = &'p [u8]>,
    others: &mut Vec<&'p [u8]>,
) {
    others.clear();
    others.extend(used.filter(|id| *id != author));
    others.sort_unstable();
    others.dedup();
}

/// The index of an actor in a change: 0 for the author, else one more than its place among the others.
pub(in crate::wire) fn actor_index(author: &[u8], others: &[&[u8]], id: &[u8]) -> Option<u64> {
    if id == author {
        return Some(0);
    }
    others.binary_search(&id).ok().map(|place| 1 + place as u64)
}

/// Whether the other actors of a change, `count` of them, are exactly those that its operations name.
pub(in crate::wire) fn are_all_named(shape: &Shape, values: &[SlotValue<'_>], count: usize) -> bool {
    let mut named: Vec<u64> = actor_values(shape, values).map(|(_, index)| index).filter(|index| *index > 0).collect();
    named.sort_unstable();
    named.dedup();
    named.len() == count
}

/// The slots of a shape that hold actors, with their values.
pub(in crate::wire) fn actor_values(shape: &Shape, values: &[SlotValue<'_>]) -> impl Iterator<Item = (usize, u64)> {
    let slots = shape.slots.iter().zip(values).enumerate();
    slots.filter(|(_, (slot, _))| slot.is_actor()).map(|(index, (_, value))| (index, value.number()))
}
