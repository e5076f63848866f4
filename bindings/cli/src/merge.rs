//! What somebody changed in a copy, brought to what the entity is by now.
//!
//! All of it is tagged JSON. Where one side alone changed something, that is what remains. Where both did, characters of
//! texts and elements of lists stay from both, counters add up, and of any other value the one just typed counts.

mod rich;

use afield::{Value, paired_elements};
use rich::Sides;
use serde_json::{Map, Value as Json, json};
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};
use std::collections::BTreeMap;
use std::hash::Hash;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long the smallest differences of all texts are looked for; later larger ones do.
const SEARCH_MAX: Duration = Duration::from_secs(2);

/// Brings what differs between `before` and `edited` to `now`; `None` is nothing at all.
pub(crate) fn merged(before: Option<&Json>, edited: Option<&Json>, now: Option<&Json>) -> Option<Json> {
    merged_until(before, edited, now, Instant::now() + SEARCH_MAX)
}

fn merged_until(before: Option<&Json>, edited: Option<&Json>, now: Option<&Json>, until: Instant) -> Option<Json> {
    if edited == before || edited == now {
        return now.cloned();
    }
    if now == before {
        return edited.cloned();
    }
    let (Some(edited), Some(now)) = (edited, now) else { return edited.cloned() };
    Some(match before {
        None | Some(Json::Null) => {
            empty(edited, now).map_or_else(|| edited.clone(), |before| both(&before, edited, now, until))
        }
        Some(before) => both(before, edited, now, until),
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

fn both(before: &Json, edited: &Json, now: &Json, until: Instant) -> Json {
    if let (Some((_, before)), Some(edited), Some((tag, now))) = (text(before), string(edited), text(now)) {
        return json!({ tag: characters(before, edited, now, until) });
    }
    if let Some(sides) = Sides::of(before, edited, now) {
        return sides.merged(until);
    }
    if let (Some(before), Some(edited), Some(now)) = (counter(before), number(edited), counter(now))
        && let Some(sum) = edited.checked_sub(before).and_then(|by| now.checked_add(by))
    {
        return json!({ "$counter": sum });
    }
    match (before, edited, now) {
        (Json::Array(before), Json::Array(edited), Json::Array(now)) => Json::Array(list(before, edited, now, until)),
        (Json::Object(_), Json::Object(_), Json::Object(_)) => match (map(before), map(edited), map(now)) {
            (Some(before), Some(edited), Some(now)) => Json::Object(entries(before, edited, now, until)),
            _ => edited.clone(),
        },
        _ => edited.clone(),
    }
}

fn entries(
    before: &Map<String, Json>,
    edited: &Map<String, Json>,
    now: &Map<String, Json>,
    until: Instant,
) -> Map<String, Json> {
    let mut keys: Vec<&String> = now.keys().collect();
    keys.extend(edited.keys().filter(|key| !now.contains_key(*key)));
    let merged = |key: &String| merged_until(before.get(key), edited.get(key), now.get(key), until);
    keys.into_iter().filter_map(|key| Some((key.clone(), merged(key)?))).collect()
}

/// The elements of both sides. What both made of one element is merged; what one side changed stays though the other took it
/// away, and stands where the other moved it.
fn list(before: &[Json], edited: &[Json], now: &[Json], until: Instant) -> Vec<Json> {
    let (mine, theirs) = (Elements::between(before, edited, Side::Edited), Elements::between(before, now, Side::Now));
    let of_both = |place: usize| {
        let (mine, theirs) = (mine.whereabouts(place), theirs.whereabouts(place));
        merged_until(before.get(place), Some(mine?.element()), Some(theirs?.element()), until)
    };
    let mut whole: Vec<Json> = Vec::with_capacity(now.len());
    for (place, old) in before.iter().map(Some).chain([None]).enumerate() {
        for Inserted { element, from, side } in inserted_by_both(place, &mine.changes, &theirs.changes) {
            // Where both moved an element, it stands where it stands already.
            let is_elsewhere = |from: usize| *side == Side::Edited && theirs.is_moved(from);
            if !from.is_some_and(is_elsewhere) {
                whole.push(from.and_then(of_both).unwrap_or_else(|| (*element).clone()));
            }
        }
        let Some(old) = old else { break };
        whole.extend(match (mine.whereabouts(place), theirs.whereabouts(place)) {
            (Some(Whereabouts::Here(_)), Some(Whereabouts::Here(_))) => of_both(place),
            (Some(Whereabouts::Here(kept)), None) | (None, Some(Whereabouts::Here(kept))) => {
                (kept != old).then(|| kept.clone())
            }
            _ => None,
        });
    }
    whole
}

/// What one side did to the elements of a list.
struct Elements<'e> {
    changes: Changes<Inserted<'e>>,
    /// What stands for each old element, unless it is gone.
    made: Vec<Option<Whereabouts<'e>>>,
}

/// Where an old element stands, and what was made of it.
#[derive(Debug, Clone, Copy)]
enum Whereabouts<'e> {
    Here(&'e Json),
    Moved(&'e Json),
}

impl<'e> Whereabouts<'e> {
    fn element(self) -> &'e Json {
        match self {
            Self::Here(element) | Self::Moved(element) => element,
        }
    }
}

/// An element that stands where none did.
#[derive(Debug, Clone, Copy)]
struct Inserted<'e> {
    element: &'e Json,
    /// The place of the old element that it was, where it was moved.
    from: Option<usize>,
    side: Side,
}

/// Elements are the same whoever inserted them.
impl PartialEq for Inserted<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.element == other.element
    }
}

impl Eq for Inserted<'_> {}

impl<'e> Elements<'e> {
    fn between(before: &[Json], after: &'e [Json], side: Side) -> Self {
        let values = |elements: &[Json]| -> Vec<Value> {
            let value = |element| Value::from_tagged_json(element).unwrap_or_else(|_| Value::from_json(element));
            elements.iter().map(value).collect()
        };
        let pairs = paired_elements(&values(before), &values(after));
        let mut made = vec![None; before.len()];
        for (old, new) in &pairs {
            if let Some(made) = made.get_mut(*old) {
                *made = after.get(*new).map(Whereabouts::Here);
            }
        }
        let mut gone: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, old) in
            before.iter().enumerate().rev().filter(|(place, _)| made.get(*place).is_some_and(Option::is_none))
        {
            gone.entry(identity(old)).or_default().push(place);
        }
        let mut inserted = |element: &'e Json| {
            let from = gone.get_mut(&identity(element)).and_then(Vec::pop);
            if let Some(made) = from.and_then(|from| made.get_mut(from)) {
                *made = Some(Whereabouts::Moved(element));
            }
            Inserted { element, from, side }
        };
        let mut changes = Changes::none(before.len());
        let (mut start, end) = ((0, 0), (before.len(), after.len()));
        for (old, new) in pairs.into_iter().chain([end]) {
            let new_elements = after.get(start.1..new).unwrap_or_default();
            changes.note(start.0..old, &new_elements.iter().map(&mut inserted).collect::<Vec<_>>());
            start = (old + 1, new + 1);
        }
        Self { changes, made }
    }

    fn whereabouts(&self, place: usize) -> Option<Whereabouts<'e>> {
        self.made.get(place).copied().flatten()
    }

    fn is_moved(&self, place: usize) -> bool {
        matches!(self.whereabouts(place), Some(Whereabouts::Moved(_)))
    }
}

/// What tells that an element is another one that was moved: its `id`, or else all of it.
fn identity(element: &Json) -> String {
    let id = element.get("id").filter(|id| !id.is_null());
    id.map_or_else(|| element.to_string(), |id| format!("id {id}"))
}

/// The characters, which are Unicode code points, of a text that two sides changed.
fn characters(before: &str, edited: &str, now: &str, until: Instant) -> String {
    let letters = |text: &str| text.chars().collect::<Vec<_>>();
    let (old, mine, theirs) = (letters(before), letters(edited), letters(now));
    let mine = Changes::of_words(&old, &mine, Side::Edited, until);
    let theirs = Changes::of_words(&old, &theirs, Side::Now, until);
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

/// What either side inserted, without what either deleted.
fn remaining<T: Copy + Eq>(before: &[T], mine: &Changes<T>, theirs: &Changes<T>) -> Vec<T> {
    let mut merged = Vec::with_capacity(before.len());
    for (place, letter) in before.iter().map(Some).chain([None]).enumerate() {
        merged.extend(inserted_by_both(place, mine, theirs).copied());
        if let Some(letter) = letter.filter(|_| mine.keeps(place) && theirs.keeps(place)) {
            merged.push(*letter);
        }
    }
    merged
}

/// What stands before a place now; what both put in the place of the same is there once.
fn inserted_by_both<'c, T: Copy + Eq>(
    place: usize,
    mine: &'c Changes<T>,
    theirs: &'c Changes<T>,
) -> impl Iterator<Item = &'c T> {
    let (of_mine, of_theirs) = (mine.inserted_at(place), theirs.inserted_at(place));
    let is_once = !of_mine.is_empty() && of_mine == of_theirs && mine.replaced(place) == theirs.replaced(place);
    // What stands there already comes first, so that the same is seen wherever this runs.
    of_theirs.iter().chain(if is_once { &[] } else { of_mine })
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

impl Changes<Letter> {
    /// Looks for whole words first and for letters within what differs, as a person sees it: the fewest letters alone could
    /// be those of two words.
    fn of_words(before: &[char], after: &[char], side: Side, until: Instant) -> Self {
        let (old_words, new_words, letters) = (words(before), words(after), Letter::all(after, side));
        let inserted = |range: Range<usize>| letters.get(range).unwrap_or_default();
        let mut changes = Self::none(before.len());
        for (old, new) in differences(&old_words, &new_words, until) {
            let (old, new) = (letters_of(&old_words, &old), letters_of(&new_words, &new));
            let (Some(old_part), Some(new_part)) = (before.get(old.clone()), after.get(new.clone())) else { continue };
            if old_part.is_empty() || new_part.is_empty() {
                changes.note(old, inserted(new));
                continue;
            }
            for (inner_old, inner_new) in differences(old_part, new_part, until) {
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
fn differences<T: Eq + Ord + Hash>(before: &[T], after: &[T], until: Instant) -> Vec<(Range<usize>, Range<usize>)> {
    let operations = capture_diff_slices_deadline(Algorithm::Myers, before, after, Some(until)).into_iter();
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
            let (changes, none) = (Changes::of_words(&old, &new, Side::Edited, Instant::now() + SEARCH_MAX), Changes::none(old.len()));
            let (old, new) = (Letter::all(&old, Side::Before), Letter::all(&new, Side::Edited));
            prop_assert_eq!(&remaining(&old, &changes, &none), &new);
            prop_assert_eq!(&remaining(&old, &none, &changes), &new);
        }

        #[test]
        fn whatever_either_side_inserted_is_there_and_what_one_deleted_is_not(
            before in "[ab ]{0,30}", mine in "[abx ]{0,30}", theirs in "[aby ]{0,30}",
        ) {
            let merged = characters(&before, &mine, &theirs, Instant::now() + SEARCH_MAX);
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
    fn an_element_that_both_changed_is_one_however_long_the_list_has_become() {
        let (one, two) = (json!({"id": 1, "title": "Milk", "done": false}), json!({"id": 2, "title": "Bread"}));
        let (mine, theirs) =
            (json!({"id": 1, "title": "Oat milk", "done": false}), json!({"id": 1, "title": "Milk", "done": true}));
        let (three, both) = (json!({"id": 3, "title": "Eggs"}), json!({"id": 1, "title": "Oat milk", "done": true}));
        let before = json!([one, two]);
        assert_eq!(of(before.clone(), json!([mine, two]), json!([theirs, two, three])), json!([both, two, three]));
        assert_eq!(of(before.clone(), json!([mine, two, three]), json!([theirs])), json!([both, three]));
        assert_eq!(of(before.clone(), json!([three, mine, two]), json!([theirs, two])), json!([three, both, two]));
        // What one side changed stays though the other took it away, and an element is not taken for another.
        assert_eq!(of(before.clone(), json!([two]), json!([theirs, two])), json!([theirs, two]));
        assert_eq!(of(before, json!([mine, two]), json!([three, two])), json!([three, mine, two]));

        let alike = |title: &str, done: bool| json!({"title": title, "done": done, "note": "n"});
        let edited = json!([alike("a", true), alike("c", false)]);
        let now = json!([alike("new", false), alike("b", false)]);
        assert_eq!(
            of(
                json!([alike("a", false), alike("b", false)]),
                edited,
                json!([alike("a", false), alike("x", false), alike("b", false)])
            ),
            json!([alike("a", true), alike("x", false), alike("c", false)])
        );
        assert_eq!(
            of(json!([alike("b", false)]), json!([alike("b", true)]), now),
            json!([alike("new", false), alike("b", true)])
        );
        let text = |text: &str| json!({"id": 1, "body": { "$text": text }});
        assert_eq!(
            of(json!([text("one")]), json!([text("one two")]), json!([text("0 one"), 5])),
            json!([text("0 one two"), 5])
        );
    }

    #[test]
    fn an_element_that_one_side_moved_and_the_other_changed_is_one() {
        let item = |id: i64, title: &str| json!({"id": id, "title": title, "note": "n"});
        let [one, two, three] = [item(1, "Milk"), item(2, "Bread"), item(3, "Eggs")];
        let (changed, other) = (item(3, "Eggs, large"), json!({"id": 3, "title": "Eggs", "note": "m"}));
        let both = json!({"id": 3, "title": "Eggs, large", "note": "m"});
        let before = json!([one, two, three]);
        let (moved, stays) = (json!([three, one, two]), json!([one, two, changed]));
        assert_eq!(of(before.clone(), moved.clone(), stays.clone()), json!([changed, one, two]));
        assert_eq!(of(before.clone(), stays.clone(), moved.clone()), json!([changed, one, two]));
        assert_eq!(of(before.clone(), json!([other, one, two]), stays), json!([both, one, two]), "moved and changed");
        assert_eq!(of(before.clone(), json!([one, changed, two]), json!([other, one, two])), json!([both, one, two]));
        assert_eq!(
            of(before.clone(), moved, json!([one, two])),
            json!([three, one, two]),
            "what was taken away and moved"
        );
        assert_eq!(
            of(before, json!([one, two]), json!([one, two, changed])),
            json!([one, two, changed]),
            "the control"
        );
        assert_eq!(
            of(json!(["a", "b", "c"]), json!(["c", "a", "b"]), json!(["a", "b", "see"])),
            json!(["see", "a", "b"])
        );
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
