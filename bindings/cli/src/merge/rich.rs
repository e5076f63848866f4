//! Texts with marks and blocks that two sides changed.

use super::{Changes, Letter, Side, merged_until, remaining};
use afield::{BLOCK_CHARACTER, Block, RichText, Value};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The marks of one character, by name.
type Marks<'t> = BTreeMap<&'t str, &'t Value>;

/// The texts of three sides, where at least one side has marks or blocks and none is a long text, which has neither.
pub(super) struct Sides {
    before: RichText,
    edited: RichText,
    now: RichText,
    /// What was edited says nothing of marks and blocks: those of what remains stay.
    is_string: bool,
}

impl Sides {
    pub(super) fn of(before: &Json, edited: &Json, now: &Json) -> Option<Self> {
        let has_tag = [before, edited, now].iter().any(|side| side.get("$richtext").is_some());
        let rich = |side: &Json| match Value::from_tagged_json(side) {
            Ok(value @ (Value::Text(_) | Value::RichText(_) | Value::Str(_))) => value.to_rich_text(),
            _ => None,
        };
        let is_text = now.get("$richtext").is_some() || now.get("$text").is_some();
        if !has_tag || !is_text {
            return None;
        }
        Some(Self { before: rich(before)?, edited: rich(edited)?, now: rich(now)?, is_string: edited.is_string() })
    }

    /// The characters as those of other texts; each has the marks that one side gave it, and of those that both changed,
    /// those just typed. What one side typed where the other marked or unmarked everything around it is marked as that is.
    pub(super) fn merged(&self, until: Instant) -> Json {
        let letters = |text: &RichText| text.as_str().chars().collect::<Vec<_>>();
        let (old, mine, theirs) = (letters(&self.before), letters(&self.edited), letters(&self.now));
        let mine = Changes::of_words(&old, &mine, Side::Edited, until);
        let theirs = Changes::of_words(&old, &theirs, Side::Now, until);
        let (in_mine, in_theirs) = (mine.places(), theirs.places());
        let kept = |place: usize| {
            let in_side = |places: &[Option<usize>]| places.get(place).copied().flatten().unwrap_or_default();
            Kept { before: place, edited: in_side(&in_mine), now: in_side(&in_theirs) }
        };
        let marks = [&self.before, &self.edited, &self.now].map(marks_of);
        let letters = remaining(&Letter::all(&old, Side::Before), &mine, &theirs);
        let settled: Vec<Marks<'_>> = self.settled_marks(&letters, &kept, &marks);
        let mut text = RichText::new();
        for (letter, marks) in letters.iter().zip(settled) {
            let block = match letter.side {
                Side::Before => self.kept_block(kept(letter.place), until),
                Side::Edited => self.edited.block(letter.place).cloned(),
                Side::Now => self.now.block(letter.place).cloned(),
            };
            match block.filter(|_| letter.character == BLOCK_CHARACTER) {
                Some(block) => text.push_block(block),
                None => text.push_text(letter.character.encode_utf8(&mut [0; 4]), marks),
            }
        }
        match Value::from(text) {
            Value::Text(plain) => json!({ "$text": plain }),
            rich => rich.to_tagged_json(),
        }
    }

    fn settled_marks<'t>(
        &'t self,
        letters: &[Letter],
        kept: &impl Fn(usize) -> Kept,
        marks: &[Vec<Marks<'t>>; 3],
    ) -> Vec<Marks<'t>> {
        let [before, edited, now] = marks;
        let of_kept = |place: usize| {
            let kept = kept(place);
            let (old, mine, theirs) = (at(before, kept.before), at(edited, kept.edited), at(now, kept.now));
            let names: BTreeSet<&str> = mine.keys().chain(theirs.keys()).copied().collect();
            let settled = names.into_iter().filter_map(|name| {
                let (old, mine, theirs) = (old.get(name), mine.get(name), theirs.get(name));
                Some((name, *if mine == old || self.is_string { theirs } else { mine }?))
            });
            settled.collect::<Marks<'t>>()
        };
        // What stands nearest on either side of each letter and was there before.
        let old_place = |letter: &Letter| (letter.side == Side::Before).then_some(letter.place);
        let mut left = Vec::with_capacity(letters.len());
        let mut last = None;
        for letter in letters {
            last = old_place(letter).or(last);
            left.push(last);
        }
        let mut right = Vec::with_capacity(letters.len());
        let mut next = None;
        for letter in letters.iter().rev() {
            next = old_place(letter).or(next);
            right.push(next);
        }
        let around = left.into_iter().zip(right.into_iter().rev());
        let of_typed = |letter: &Letter, around: (Option<usize>, Option<usize>)| {
            let of_side = if letter.side == Side::Edited { edited } else { now };
            let own = at(of_side, letter.place);
            let (Some(left), Some(right)) = around else { return own };
            let in_side = |place: usize| match letter.side {
                Side::Edited => at(of_side, kept(place).edited),
                _ => at(of_side, kept(place).now),
            };
            let (side_left, side_right) = (in_side(left), in_side(right));
            let (left, right) = (of_kept(left), of_kept(right));
            let names: BTreeSet<&str> = own.keys().chain(left.keys()).copied().collect();
            let settled = names.into_iter().filter_map(|name| {
                let own = own.get(name);
                let is_as_around = (self.is_string && letter.side == Side::Edited)
                    || (own == side_left.get(name) && own == side_right.get(name));
                Some((name, *if is_as_around && left.get(name) == right.get(name) { left.get(name) } else { own }?))
            });
            settled.collect()
        };
        let settled = letters.iter().zip(around).map(|(letter, around)| match old_place(letter) {
            Some(place) => of_kept(place),
            None => of_typed(letter, around),
        });
        settled.collect()
    }

    /// A block that neither side took out.
    fn kept_block(&self, kept: Kept, until: Instant) -> Option<Block> {
        let (old, mine, theirs) =
            (self.before.block(kept.before), self.edited.block(kept.edited), self.now.block(kept.now));
        match (old, mine, theirs) {
            (Some(old), Some(mine), Some(theirs)) if !self.is_string => {
                let json = |block: &Block| Value::Map(block.entries().clone()).to_tagged_json();
                let both = merged_until(Some(&json(old)), Some(&json(mine)), Some(&json(theirs)), until)?;
                match Value::from_tagged_json(&both) {
                    Ok(Value::Map(entries)) => Some(Block::from(entries)),
                    _ => Some(mine.clone()),
                }
            }
            _ if mine == old || self.is_string => theirs.cloned(),
            _ => mine.cloned(),
        }
    }
}

/// Where a character that everybody kept stands on each side.
#[derive(Clone, Copy)]
struct Kept {
    before: usize,
    edited: usize,
    now: usize,
}

/// The marks of every character.
fn marks_of(text: &RichText) -> Vec<Marks<'_>> {
    let mut marks = vec![Marks::new(); text.len()];
    for (name, range, value) in text.marks() {
        for at in marks.iter_mut().skip(range.start).take(range.len()) {
            at.insert(name, value);
        }
    }
    marks
}

fn at<'t>(marks: &[Marks<'t>], place: usize) -> Marks<'t> {
    marks.get(place).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::{SEARCH_MAX, merged};
    use proptest::prelude::*;

    /// Characters in brackets are bold, those in braces link, and a `#` is a block.
    fn text(written: &str) -> RichText {
        let (mut text, mut marks) = (RichText::new(), BTreeMap::new());
        let yes = Value::Bool(true);
        for character in written.chars() {
            match character {
                '[' => drop(marks.insert("bold", &yes)),
                '{' => drop(marks.insert("link", &yes)),
                ']' => drop(marks.remove("bold")),
                '}' => drop(marks.remove("link")),
                '#' => text.push_block(Block::new("heading")),
                _ => text.push_text(character.encode_utf8(&mut [0; 4]), marks.iter().map(|(name, yes)| (*name, *yes))),
            }
        }
        text
    }

    fn json(text: &RichText) -> Json {
        Value::from(text.clone()).to_tagged_json()
    }

    fn of(before: &str, edited: &str, now: &str) -> Json {
        merged(Some(&json(&text(before))), Some(&json(&text(edited))), Some(&json(&text(now)))).unwrap()
    }

    #[test]
    fn what_one_side_marked_and_what_the_other_typed_stay() {
        assert_eq!(of("one two", "one 2 two", "one [two]"), json(&text("one 2 [two]")));
        assert_eq!(of("one two", "one [two]", "one two three"), json(&text("one [two] three")));
        assert_eq!(of("[one two]", "one two", "[one two]!"), json(&text("one two!")));
        assert_eq!(of("one two", "[one] two", "one {two}"), json(&text("[one] {two}")));
        assert_eq!(of("one two", "{one} two", "[one] two"), json(&text("[{one}] two")), "two marks on one word");
    }

    #[test]
    fn what_is_typed_within_what_the_other_side_marked_is_marked() {
        assert_eq!(of("one two three", "one two and three", "[one two three]"), json(&text("[one two and three]")));
        assert_eq!(of("[one two three]", "[one two and three]", "one two three"), json(&text("one two and three")));
        assert_eq!(of("one three", "one [two] three", "{one three}"), json(&text("{one [two] three}")));
    }

    #[test]
    fn blocks_of_both_sides_stay_and_what_each_changed_in_one_merges() {
        assert_eq!(of("one", "#one", "one#two"), json(&text("#one#two")));
        assert_eq!(of("#one#two", "#one two", "#one#two!"), json(&text("#one two!")));
        let mut sides = [text("#one"), text("#one"), text("#one")];
        let level = |text: &mut RichText, key: &str| {
            let block = text.block_mut(0).unwrap();
            *block = block.clone().with_attribute(key, 2);
        };
        level(&mut sides[1], "level");
        level(&mut sides[2], "align");
        let [before, edited, now] = &sides;
        let both = merged(Some(&json(before)), Some(&json(edited)), Some(&json(now))).unwrap();
        let attributes = &both["$richtext"][0]["block"]["attrs"];
        assert_eq!(*attributes, json!({ "level": 2, "align": 2 }));
    }

    #[test]
    fn a_text_that_another_device_marked_meanwhile_stays_marked() {
        let plain = json!({ "$text": "one two" });
        let now = json(&text("one [two]"));
        let edited = json!({ "$text": "one two!" });
        assert_eq!(merged(Some(&plain), Some(&edited), Some(&now)), Some(json(&text("one [two]!"))));
        assert_eq!(merged(Some(&plain), Some(&json!("one two!")), Some(&now)), Some(json(&text("one [two]!"))));
        let (bold, now) = (json(&text("#one [two]")), json(&text("#one [two] {three}")));
        let edited = json!("\u{fffc}one and two");
        assert_eq!(merged(Some(&bold), Some(&edited), Some(&now)), Some(json(&text("#one and [two] {three}"))));
        let now = json(&text("one [two]"));
        let made = merged(None, Some(&json!("mine")), Some(&now));
        assert_eq!(made, Some(json(&text("one [two]mine"))));
    }

    proptest! {
        #[test]
        fn what_one_side_did_to_a_rich_text_alone_gives_the_text_of_that_side(
            before in "[ab \\[\\]{}#]{0,24}", after in "[ab \\[\\]{}#]{0,24}", other in "[abc \\[\\]{}#]{0,24}",
        ) {
            let [before, after, other] = [before, after, other].map(|written| text(&written));
            let alone = |edited: &RichText, now: &RichText| {
                let sides =
                    Sides { before: before.clone(), edited: edited.clone(), now: now.clone(), is_string: false };
                sides.merged(Instant::now() + SEARCH_MAX)
            };
            prop_assert_eq!(alone(&after, &before), json(&after));
            prop_assert_eq!(alone(&before, &after), json(&after));
            // Whatever both did, it is a text that can be read.
            prop_assert!(Value::from_tagged_json(&alone(&after, &other)).is_ok());
        }
    }
}
