//! What differs between two texts: characters and blocks that go, and others that come.

use super::alignment::align;
use super::difference::{ListStep, classes, runs};
use super::rich::{BLOCK_CHARACTER, RichText};
use super::sequence::differing;
use super::value::Value;
use similar::DiffTag;
use std::ops::Range;

/// The most characters, old and new together, that are compared one by one; longer runs are compared by line first.
const CHARACTERS_MAX: usize = 4_096;

/// Characters of a text to be deleted, and others to be inserted in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    /// The place in the old text, in code points.
    pub(super) position: usize,
    /// How many code points go.
    pub(super) delete: usize,
    /// What comes.
    pub(super) insert: String,
}

/// What stands at one place of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Item {
    Character(char),
    /// A block, by a number that equal ones share.
    Block(usize),
}

/// A stretch of the old text, and what stands in the new one in its place.
#[derive(Debug, Clone)]
struct Region {
    old: Range<usize>,
    new: Range<usize>,
}

/// The hunks that turn one text into another, from first to last.
///
/// Where the same can be deleted or inserted in several ways, it is from one block, which a string has
/// [`BLOCK_CHARACTER`] for, to the next: a paragraph goes or comes as a whole.
pub(super) fn text_hunks(old: &str, new: &str) -> Vec<Hunk> {
    let items = |text: &str| text.chars().map(Item::Character).collect::<Vec<_>>();
    let (old, new) = (items(old), items(new));
    hunks(&new, regions(&old, &new))
}

/// The hunks that turn one rich text into another, but for its marks and what its blocks hold.
///
/// A block stays where it is equal, or where it is the one that another was made from, as elements of lists are. In what is
/// inserted [`BLOCK_CHARACTER`] stands for each block.
pub(super) fn rich_text_hunks(old: &RichText, new: &RichText) -> Vec<Hunk> {
    let (old_blocks, new_blocks) = (blocks(old), blocks(new));
    let (old_numbers, new_numbers) = classes(&old_blocks, &new_blocks);
    let (old, new) = (items(old, &old_numbers), items(new, &new_numbers));
    let (old_blocks, new_blocks) = (Placed::of(&old, &old_blocks), Placed::of(&new, &new_blocks));
    let regions = regions(&old, &new).into_iter().flat_map(|region| around_pairs(region, &old_blocks, &new_blocks));
    hunks(&new, regions)
}

impl Item {
    /// Whether what stands behind it belongs to it.
    fn is_block(&self) -> bool {
        matches!(self, Self::Block(_) | Self::Character(BLOCK_CHARACTER))
    }

    fn character(&self) -> char {
        match self {
            Self::Character(character) => *character,
            Self::Block(_) => BLOCK_CHARACTER,
        }
    }
}

/// The blocks of a text, with the places where they stand.
struct Placed<'b> {
    places: Vec<usize>,
    blocks: &'b [Value],
}

impl<'b> Placed<'b> {
    fn of(items: &[Item], blocks: &'b [Value]) -> Self {
        let places = items.iter().enumerate().filter(|(_, item)| matches!(item, Item::Block(_)));
        Self { places: places.map(|(place, _)| place).collect(), blocks }
    }

    /// Which blocks stand in a range.
    fn within(&self, range: &Range<usize>) -> Range<usize> {
        let before = |end: usize| self.places.partition_point(|place| *place < end);
        before(range.start)..before(range.end)
    }

    fn place(&self, block: usize) -> Option<usize> {
        self.places.get(block).copied()
    }
}

fn blocks(text: &RichText) -> Vec<Value> {
    text.blocks().map(|(_, block)| Value::Map(block.entries().clone())).collect()
}

fn items(text: &RichText, numbers: &[usize]) -> Vec<Item> {
    let mut numbers = numbers.iter();
    let item = |(place, character): (usize, char)| match text.block(place) {
        Some(_) => Item::Block(numbers.next().copied().unwrap_or_default()),
        None => Item::Character(character),
    };
    text.as_str().chars().enumerate().map(item).collect()
}

fn hunks(new: &[Item], regions: impl IntoIterator<Item = Region>) -> Vec<Hunk> {
    let hunk = |Region { old, new: inserted }: Region| {
        let inserted = new.get(inserted).unwrap_or_default();
        Hunk { position: old.start, delete: old.len(), insert: inserted.iter().map(Item::character).collect() }
    };
    let is_empty = |region: &Region| region.old.is_empty() && region.new.is_empty();
    regions.into_iter().filter(|region| !is_empty(region)).map(hunk).collect()
}

/// What differs, from first to last.
fn regions(old: &[Item], new: &[Item]) -> Vec<Region> {
    let mut found = Vec::new();
    let (old_middle, new_middle) = differing(old, new, |old, new| old == new);
    let whole = Region { old: old_middle, new: new_middle };
    if whole.old.len() + whole.new.len() <= CHARACTERS_MAX {
        by_character(old, new, &whole, &mut found);
    } else {
        by_line(old, new, &whole, &mut found);
    }
    from_block_to_block(old, new, &mut found);
    found
}

fn by_character(old: &[Item], new: &[Item], region: &Region, found: &mut Vec<Region>) {
    let (Some(old_part), Some(new_part)) = (old.get(region.old.clone()), new.get(region.new.clone())) else { return };
    let shift = |run: Range<usize>, by: usize| run.start + by..run.end + by;
    for (tag, old_run, new_run) in runs(old_part, new_part) {
        if tag != DiffTag::Equal {
            let (old, new) = (shift(old_run, region.old.start), shift(new_run, region.new.start));
            found.push(Region { old, new });
        }
    }
}

/// Finds the lines that differ first, and within them the characters, unless they are too many.
fn by_line(old: &[Item], new: &[Item], region: &Region, found: &mut Vec<Region>) {
    let (old_lines, new_lines) = (lines(old, &region.old), lines(new, &region.new));
    let contents = |items: &'_ [Item], lines: &[Range<usize>]| -> Vec<Vec<Item>> {
        lines.iter().map(|line| items.get(line.clone()).unwrap_or_default().to_vec()).collect()
    };
    let span = |lines: &[Range<usize>], run: Range<usize>| -> Range<usize> {
        let at = |index: usize| lines.get(index).map(|line| line.start);
        let end = lines.last().map_or(0, |line| line.end);
        at(run.start).unwrap_or(end)..at(run.end).unwrap_or(end)
    };
    for (tag, old_run, new_run) in runs(&contents(old, &old_lines), &contents(new, &new_lines)) {
        let region = Region { old: span(&old_lines, old_run), new: span(&new_lines, new_run) };
        match tag {
            DiffTag::Equal => {}
            _ if region.old.len() + region.new.len() <= CHARACTERS_MAX => by_character(old, new, &region, found),
            _ => found.push(region),
        }
    }
}

/// The lines of a range, each with its line feed, or from a block to the next; an empty range has one empty line, so that its
/// place is known.
fn lines(items: &[Item], range: &Range<usize>) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = range.start;
    for index in range.clone() {
        let Some(item) = items.get(index) else { break };
        if item.is_block() && start < index {
            lines.push(start..index);
            start = index;
        }
        if *item == Item::Character('\n') {
            lines.push(start..index + 1);
            start = index + 1;
        }
    }
    if start < range.end || lines.is_empty() {
        lines.push(start..range.end);
    }
    lines
}

/// Lets what is only deleted or only inserted begin with a block, where it holds one and the result is the same.
fn from_block_to_block(old: &[Item], new: &[Item], regions: &mut [Region]) {
    let mut before = 0;
    for which in 0..regions.len() {
        let next = regions.get(which + 1).map_or(old.len(), |next| next.old.start);
        let Some(region) = regions.get_mut(which) else { return };
        let room = (region.old.start - before, next.saturating_sub(region.old.end));
        let shift = match (region.old.is_empty(), region.new.is_empty()) {
            (false, true) => shift_to_block(old, &region.old, room),
            (true, false) => shift_to_block(new, &region.new, room),
            _ => None,
        };
        for range in [&mut region.old, &mut region.new] {
            match shift {
                Some(Shift::Back(by)) => *range = range.start - by..range.end - by,
                Some(Shift::On(by)) => *range = range.start + by..range.end + by,
                None => {}
            }
        }
        before = region.old.end;
    }
}

enum Shift {
    Back(usize),
    On(usize),
}

/// How a range can be moved, at most as far as there is room before and behind it, to begin with a block and leave the same.
fn shift_to_block(items: &[Item], range: &Range<usize>, room: (usize, usize)) -> Option<Shift> {
    let is_block = |place: usize| items.get(place).is_some_and(Item::is_block);
    if is_block(range.start) || !range.clone().any(is_block) {
        return None;
    }
    let is_same = |left: usize, right: usize| items.get(left) == items.get(right);
    let back = (1..=room.0).take_while(|by| is_same(range.start - by, range.end - by));
    let on = (1..=room.1).take_while(|by| is_same(range.start + by - 1, range.end + by - 1));
    let back = back.map(Shift::Back).find(|shift| matches!(shift, Shift::Back(by) if is_block(range.start - by)));
    back.or_else(|| on.map(Shift::On).find(|shift| matches!(shift, Shift::On(by) if is_block(range.start + by))))
}

/// What differs of a region around the blocks of it that became others.
fn around_pairs(region: Region, old: &Placed<'_>, new: &Placed<'_>) -> Vec<Region> {
    let mut steps = Vec::new();
    let (old_blocks, new_blocks) = (old.within(&region.old), new.within(&region.new));
    if !old_blocks.is_empty() && !new_blocks.is_empty() {
        align(old.blocks, old_blocks, new.blocks, new_blocks, &mut steps);
    }
    let mut around = Vec::new();
    let mut start = (region.old.start, region.new.start);
    for step in steps {
        let ListStep::Edit { old: old_block, new: new_block } = step else { continue };
        let (Some(old_place), Some(new_place)) = (old.place(old_block), new.place(new_block)) else { continue };
        around.push(Region { old: start.0..old_place, new: start.1..new_place });
        start = (old_place + 1, new_place + 1);
    }
    around.push(Region { old: start.0..region.old.end, new: start.1..region.new.end });
    around
}

#[cfg(test)]
mod tests;
