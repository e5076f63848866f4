//! What somebody changed in a copy, brought to what the entity is by now.
//!
//! All of it is tagged JSON. Where one side alone changed something, that is what remains. Where both did, characters of
//! texts and elements of lists stay from both, counters add up, and of any other value the one just typed counts.

mod rich;

use rich::Sides;
use serde_json::{Map, Value as Json, json};
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};
use std::collections::BTreeMap;
use std::hash::Hash;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long the smallest difference of two texts is looked for; later a larger one does.
const SEARCH_MAX: Duration = Duration::from_secs(2);

/// Brings what differs between `before` and `edited` to `now`; `None` is nothing at all.
pub(crate) fn merged(before: Option<&Json>, edited: Option<&Json>, now: Option<&Json>) -> Option<Json> {
    if edited == before || edited == now {
        return now.cloned();
    }
    if now == before {
        return edited.cloned();
    }
    let (Some(edited), Some(now)) = (edited, now) else { return edited.cloned() };
    Some(match before {
        None | Some(Json::Null) => {
            empty(edited, now).map_or_else(|| edited.clone(), |before| both(&before, edited, now))
        }
        Some(before) => both(before, edited, now),
    })
}

/// What two sides began with that each made something of one kind where nothing was; nothing for kinds that do not merge.
fn empty(edited: &Json, now: &Json) -> Option<Json> {
    let is_rich = |tagged: &Json| tagged.get("$richtext").is_some();
    if (text(now).is_some() || is_rich(now)) && (string(edited).is_some() || is_rich(edited)) {
        Some(json!({ "$text": "" }))
    } else if counter(now).is_some() && number(edited).is_some() {
        Some(json!({ "$counter": 0 }))
    } else if edited.is_array() && now.is_array() {
        Some(json!([]))
    } else {
        (map(edited).is_some() && map(now).is_some()).then(|| json!({}))
    }
}

fn both(before: &Json, edited: &Json, now: &Json) -> Json {
    if let (Some((_, before)), Some(edited), Some((tag, now))) = (text(before), string(edited), text(now)) {
        return json!({ tag: characters(before, edited, now) });
    }
    if let Some(sides) = Sides::of(before, edited, now) {
        return sides.merged();
    }
    if let (Some(before), Some(edited), Some(now)) = (counter(before), number(edited), counter(now))
        && let Some(sum) = edited.checked_sub(before).and_then(|by| now.checked_add(by))
    {
        return json!({ "$counter": sum });
    }
    match (before, edited, now) {
        (Json::Array(before), Json::Array(edited), Json::Array(now)) => Json::Array(list(before, edited, now)),
        (Json::Object(_), Json::Object(_), Json::Object(_)) => match (map(before), map(edited), map(now)) {
            (Some(before), Some(edited), Some(now)) => Json::Object(entries(before, edited, now)),
            _ => edited.clone(),
        },
        _ => edited.clone(),
    }
}

fn entries(before: &Map<String, Json>, edited: &Map<String, Json>, now: &Map<String, Json>) -> Map<String, Json> {
    let mut keys: Vec<&String> = now.keys().collect();
    keys.extend(edited.keys().filter(|key| !now.contains_key(*key)));
    let merged = |key: &String| merged(before.get(key), edited.get(key), now.get(key));
    keys.into_iter().filter_map(|key| Some((key.clone(), merged(key)?))).collect()
}

fn list(before: &[Json], edited: &[Json], now: &[Json]) -> Vec<Json> {
    // Equal elements have equal numbers.
    let mut values: BTreeMap<String, usize> = BTreeMap::new();
    let mut numbered = |elements: &[Json]| -> Vec<usize> {
        let number = |element: &Json| {
            let next = values.len();
            *values.entry(element.to_string()).or_insert(next)
        };
        elements.iter().map(number).collect()
    };
    let (old, mine, theirs) = (numbered(before), numbered(edited), numbered(now));
    if is_in_place(&old, &mine) && is_in_place(&old, &theirs) {
        let elements = before.iter().zip(edited).zip(now);
        return elements.filter_map(|((before, edited), now)| merged(Some(before), Some(edited), Some(now))).collect();
    }
    let by_number: BTreeMap<usize, &Json> = [(&old, before), (&mine, edited), (&theirs, now)]
        .into_iter()
        .flat_map(|(numbers, elements)| numbers.iter().copied().zip(elements))
        .collect();
    let merged = sequence(&old, &mine, &theirs).into_iter();
    merged.filter_map(|number| by_number.get(&number).map(|element| (*element).clone())).collect()
}

/// Whether elements were replaced where they stood, so that each still has its place.
fn is_in_place(before: &[usize], after: &[usize]) -> bool {
    differences(before, after).iter().all(|(old, new)| old.len() == new.len())
}

/// The characters, which are Unicode code points, of a text that two sides changed.
fn characters(before: &str, edited: &str, now: &str) -> String {
    let letters = |text: &str| text.chars().collect::<Vec<_>>();
    let (old, mine, theirs) = (letters(before), letters(edited), letters(now));
    let (mine, theirs) = (Changes::of_words(&old, &mine, Side::Edited), Changes::of_words(&old, &theirs, Side::Now));
    let letters = remaining(&Letter::all(&old, Side::Before), &mine, &theirs);
    letters.into_iter().map(|letter| letter.character).collect()
}

/// Whose text a letter stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Edited,
    Now,
}

/// A letter and where it stands in the text of one side.
#[derive(Debug, Clone, Copy)]
struct Letter {
    character: char,
    side: Side,
    place: usize,
}

impl Letter {
    fn all(text: &[char], side: Side) -> Vec<Self> {
        text.iter().enumerate().map(|(place, character)| Self { character: *character, side, place }).collect()
    }
}

/// Letters are the same wherever they stand.
impl PartialEq for Letter {
    fn eq(&self, other: &Self) -> bool {
        self.character == other.character
    }
}

impl Eq for Letter {}

/// What remains of a sequence that two sides changed.
fn sequence<T: Copy + Eq + Ord + Hash>(before: &[T], edited: &[T], now: &[T]) -> Vec<T> {
    remaining(before, &Changes::between(before, edited), &Changes::between(before, now))
}

/// What either side inserted, without what either deleted; what both put in the place of the same is there once.
fn remaining<T: Copy + Eq>(before: &[T], mine: &Changes<T>, theirs: &Changes<T>) -> Vec<T> {
    let mut merged = Vec::with_capacity(before.len());
    for (place, letter) in before.iter().map(Some).chain([None]).enumerate() {
        // What stands there already comes first, so that the same is seen wherever this runs.
        merged.extend_from_slice(theirs.inserted_at(place));
        let is_same = mine.inserted_at(place) == theirs.inserted_at(place);
        if !is_same || mine.replaced(place) != theirs.replaced(place) {
            merged.extend_from_slice(mine.inserted_at(place));
        }
        if let Some(letter) = letter.filter(|_| mine.keeps(place) && theirs.keeps(place)) {
            merged.push(*letter);
        }
    }
    merged
}

/// What one side did to a sequence.
struct Changes<T> {
    deleted: Vec<bool>,
    /// What stands before each place, in order.
    inserted: BTreeMap<usize, Vec<T>>,
}

impl<T: Copy> Changes<T> {
    fn none(length: usize) -> Self {
        Self { deleted: vec![false; length], inserted: BTreeMap::new() }
    }

    fn keeps(&self, place: usize) -> bool {
        !self.deleted.get(place).copied().unwrap_or_default()
    }

    fn inserted_at(&self, place: usize) -> &[T] {
        self.inserted.get(&place).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many were deleted in a row from a place on.
    fn replaced(&self, place: usize) -> usize {
        self.deleted.iter().skip(place).take_while(|deleted| **deleted).count()
    }

    fn note(&mut self, deleted: Range<usize>, inserted: &[T]) {
        // Two differences may begin at one place: what the first inserted stands before what the second did.
        self.inserted.entry(deleted.start).or_default().extend_from_slice(inserted);
        let length = deleted.len();
        self.deleted.iter_mut().skip(deleted.start).take(length).for_each(|deleted| *deleted = true);
    }
}

impl<T: Copy + Eq + Ord + Hash> Changes<T> {
    fn between(before: &[T], after: &[T]) -> Self {
        let mut changes = Self::none(before.len());
        for (old, new) in differences(before, after) {
            changes.note(old, after.get(new).unwrap_or_default());
        }
        changes
    }
}

impl Changes<Letter> {
    /// Looks for whole words first and for letters within what differs, as a person sees it: the fewest letters alone could
    /// be those of two words.
    fn of_words(before: &[char], after: &[char], side: Side) -> Self {
        let (old_words, new_words, letters) = (words(before), words(after), Letter::all(after, side));
        let inserted = |range: Range<usize>| letters.get(range).unwrap_or_default();
        let mut changes = Self::none(before.len());
        for (old, new) in differences(&old_words, &new_words) {
            let (old, new) = (letters_of(&old_words, &old), letters_of(&new_words, &new));
            let (Some(old_part), Some(new_part)) = (before.get(old.clone()), after.get(new.clone())) else { continue };
            if old_part.is_empty() || new_part.is_empty() {
                changes.note(old, inserted(new));
                continue;
            }
            for (inner_old, inner_new) in differences(old_part, new_part) {
                let place = old.start + inner_old.start..old.start + inner_old.end;
                changes.note(place, inserted(new.start + inner_new.start..new.start + inner_new.end));
            }
        }
        changes
    }

    /// Where each letter that this side kept stands in its text.
    fn places(&self) -> Vec<Option<usize>> {
        let mut next = 0;
        let mut places = Vec::with_capacity(self.deleted.len());
        for place in 0..self.deleted.len() {
            next += self.inserted_at(place).len();
            places.push(self.keeps(place).then_some(next));
            next += usize::from(self.keeps(place));
        }
        places
    }
}

/// Where two sequences differ: what is gone of the first, and what stands in its place in the second.
fn differences<T: Eq + Ord + Hash>(before: &[T], after: &[T]) -> Vec<(Range<usize>, Range<usize>)> {
    let until = Some(Instant::now() + SEARCH_MAX);
    let operations = capture_diff_slices_deadline(Algorithm::Myers, before, after, until).into_iter();
    // What differs stands between what is equal, of which the end is the last.
    let equal = operations.filter(|operation| operation.tag() == DiffTag::Equal);
    let equal = equal.map(|operation| (operation.old_range(), operation.new_range()));
    let end = (before.len()..before.len(), after.len()..after.len());
    let (mut old_start, mut new_start) = (0, 0);
    let mut differing = Vec::new();
    for (old, new) in equal.chain([end]) {
        let gap = (old_start..old.start, new_start..new.start);
        if !gap.0.is_empty() || !gap.1.is_empty() {
            differing.push(gap);
        }
        (old_start, new_start) = (old.end, new.end);
    }
    differing
}

/// Words, runs of blanks, and every other character by itself.
fn words(text: &[char]) -> Vec<&[char]> {
    let kind = |letter: &char| match letter {
        letter if letter.is_alphanumeric() => 1,
        letter if letter.is_whitespace() => 2,
        _ => 0,
    };
    text.chunk_by(|left, right| kind(left) == kind(right) && kind(left) != 0).collect()
}

/// The letters of a range of words.
fn letters_of(words: &[&[char]], range: &Range<usize>) -> Range<usize> {
    let length = |words: &[&[char]]| words.iter().map(|word| word.len()).sum::<usize>();
    let start = length(words.get(..range.start).unwrap_or_default());
    start..start + length(words.get(range.clone()).unwrap_or_default())
}

/// A text without marks and blocks, long or not, with its tag.
fn text(tagged: &Json) -> Option<(&'static str, &str)> {
    ["$text", "$longtext"].into_iter().find_map(|tag| Some((tag, tagged.get(tag)?.as_str()?)))
}

/// A text, or a string, which a text that is set to one stays.
fn string(tagged: &Json) -> Option<&str> {
    text(tagged).map(|(_, text)| text).or_else(|| tagged.as_str())
}

fn counter(tagged: &Json) -> Option<i64> {
    tagged.get("$counter").and_then(Json::as_i64)
}

fn number(tagged: &Json) -> Option<i64> {
    counter(tagged).or_else(|| tagged.as_i64())
}

/// The entries of a map, which an object with a tag is not.
fn map(tagged: &Json) -> Option<&Map<String, Json>> {
    let is_tag = |key: &String| key.starts_with('$') && !key.starts_with("$$");
    tagged.as_object().filter(|entries| !entries.keys().any(is_tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_one_side_did_to_a_text_alone_gives_the_text_of_that_side(
            before in "[ab ,\\n👋🏽é]{0,40}",
            after in "[ab ,\\n👋🏽é]{0,40}",
        ) {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            let (old, new) = (letters(&before), letters(&after));
            let (changes, none) = (Changes::of_words(&old, &new, Side::Edited), Changes::none(old.len()));
            let (old, new) = (Letter::all(&old, Side::Before), Letter::all(&new, Side::Edited));
            prop_assert_eq!(&remaining(&old, &changes, &none), &new);
            prop_assert_eq!(&remaining(&old, &none, &changes), &new);
        }

        #[test]
        fn whatever_either_side_inserted_is_there_and_what_one_deleted_is_not(
            before in "[ab ]{0,30}", mine in "[abx ]{0,30}", theirs in "[aby ]{0,30}",
        ) {
            let merged = characters(&before, &mine, &theirs);
            let count = |text: &str, letter: char| text.chars().filter(|other| *other == letter).count();
            prop_assert_eq!(count(&merged, 'x'), count(&mine, 'x'));
            prop_assert_eq!(count(&merged, 'y'), count(&theirs, 'y'));
        }
    }

    fn of(before: Json, edited: Json, now: Json) -> Json {
        merged(Some(&before), Some(&edited), Some(&now)).unwrap()
    }

    #[test]
    fn what_one_side_alone_changed_is_what_remains() {
        let before = json!({"title": "Milk", "done": false, "tags": ["a"], "gone": 1});
        let edited = json!({"title": "Bread", "done": false, "tags": ["a"], "mine": 1});
        let now = json!({"title": "Milk", "done": true, "tags": ["a", "b"], "gone": 1, "theirs": 2});
        let wanted = json!({"title": "Bread", "done": true, "tags": ["a", "b"], "mine": 1, "theirs": 2});
        assert_eq!(of(before.clone(), edited.clone(), now.clone()), wanted);
        assert_eq!(of(before.clone(), before.clone(), now.clone()), now);
        assert_eq!(of(before.clone(), edited.clone(), before), edited);
    }

    #[test]
    fn characters_of_both_sides_stay_and_count_as_code_points() {
        let text = |text: &str| json!({ "$text": text });
        assert_eq!(of(text("wörld 👋🏽"), text("hello wörld 👋🏽"), text("wörld 👋🏽!")), text("hello wörld 👋🏽!"));
        assert_eq!(of(text("one two three"), text("one three"), text("one two 2 three")), text("one 2 three"));
        assert_eq!(of(text("a word here"), text("a wordy here"), text("a sword here")), text("a swordy here"));
        assert_eq!(of(text("abc"), json!("abcd"), text("xabc")), text("xabcd"), "a text set to a string stays one");
        assert_eq!(of(text("a"), text("b"), text("b")), text("b"), "the same twice is once");
    }

    #[test]
    fn a_long_text_merges_and_stays_long() {
        let long = |text: &str| json!({ "$longtext": text });
        assert_eq!(of(long("one"), long("one two"), long("0 one")), long("0 one two"));
        assert_eq!(of(long("one"), json!("one two"), long("0 one")), long("0 one two"));
    }

    #[test]
    fn counters_add_up_and_lists_keep_the_elements_of_both() {
        let count = |count: i64| json!({ "$counter": count });
        assert_eq!(of(count(3), count(5), count(4)), count(6));
        assert_eq!(of(count(3), json!(1), count(4)), count(2));
        assert_eq!(of(json!([1, 2, 3]), json!([0, 1, 2, 3]), json!([1, 3, 4])), json!([0, 1, 3, 4]));
        assert_eq!(of(json!([{"a": 1}, 2]), json!([{"a": 5}, 2]), json!([{"a": 1}, 3])), json!([{"a": 5}, 3]));
    }

    #[test]
    fn an_element_that_one_side_added_stays_and_one_that_was_removed_does_not_come_back() {
        let wanted = json!(["butter", "eggs"]);
        assert_eq!(of(json!(["milk", "bread"]), json!(["milk", "butter"]), json!(["bread", "eggs"])), wanted);
        assert_eq!(of(json!(["milk", "bread"]), json!(["bread", "eggs"]), json!(["milk", "butter"])), wanted);
    }

    #[test]
    fn what_both_made_where_nothing_was_stays_from_both() {
        let made = |edited: Json, now: Json| merged(None, Some(&edited), Some(&now)).unwrap();
        assert_eq!(made(json!("mine"), json!({"$text": "theirs "})), json!({"$text": "theirs mine"}));
        assert_eq!(made(json!({"$counter": 2}), json!({"$counter": 3})), json!({"$counter": 5}));
        assert_eq!(made(json!({"city": "Rome"}), json!({"street": "Via"})), json!({"city": "Rome", "street": "Via"}));
        assert_eq!(made(json!([1]), json!([2])), json!([2, 1]));
        let null = merged(Some(&Json::Null), Some(&json!({"a": 1})), Some(&json!({"b": 2})));
        assert_eq!(null, Some(json!({"a": 1, "b": 2})));
    }

    #[test]
    fn the_same_correction_of_both_is_made_once() {
        let text = |text: &str| json!({ "$text": text });
        assert_eq!(of(text("teh cat"), text("the cat sat"), text("the cat")), text("the cat sat"));
        assert_eq!(of(text("a cat"), text("ab cat"), text("ac cat")), text("acb cat"), "the control");
    }

    #[test]
    fn of_a_plain_value_that_both_changed_the_one_just_typed_counts() {
        assert_eq!(of(json!("a"), json!("b"), json!("c")), json!("b"));
        assert_eq!(merged(Some(&json!(1)), None, Some(&json!(2))), None);
        assert_eq!(merged(Some(&json!(1)), Some(&json!(2)), None), Some(json!(2)));
        assert_eq!(merged(None, Some(&json!("b")), Some(&json!("c"))), Some(json!("b")));
        let tags = (json!({"$timestamp": 1}), json!({"$timestamp": 2}), json!({"$timestamp": 3}));
        assert_eq!(of(tags.0, tags.1, tags.2), json!({"$timestamp": 2}));
    }
}
