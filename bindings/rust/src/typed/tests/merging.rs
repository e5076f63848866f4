//! Typed edits on two devices that know nothing of each other, and what both have afterwards.

use super::{document, edit, json, patched, stored, words, write};
use crate::typed::{Counter, Patch, Text, Timestamp, from_document};
use afield_core::{
    Limits,
    document::{Document, Incoming, LocalChange, Verdict},
};
use autosurgeon::{Hydrate, Reconcile};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A note, as the older version of an application knows it.
#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Old {
    title: String,
    parts: Vec<OldPart>,
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct OldPart {
    #[model(key)]
    id: String,
    name: String,
}

/// The same note, as the newer version knows it.
#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct New {
    title: String,
    body: Text,
    read: Counter,
    place: Place,
    parts: Vec<NewPart>,
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct NewPart {
    #[model(key)]
    id: String,
    name: String,
    text: Text,
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Place {
    city: String,
    street: String,
}

/// One entity on two devices.
pub(super) struct Pair([Document; 2]);

impl Pair {
    pub(super) fn of(content: Json) -> Self {
        let document = document(content);
        Self([stored(&document), stored(&document)])
    }

    pub(super) fn edit<T: Hydrate + Reconcile>(&mut self, device: u8, change: impl FnOnce(&mut T)) -> Vec<LocalChange> {
        let document = &mut self.0[usize::from(device)];
        let patches = edit(document.automerge(), change);
        write(document, device, &patches)
    }

    /// Exchanges the changes of both and gives what both have then.
    pub(super) fn merge(mut self, changes: [Vec<LocalChange>; 2]) -> (Document, Json) {
        let [zero, one] = &mut self.0;
        for (document, changes) in [(zero, &changes[1]), (one, &changes[0])] {
            let incoming: Vec<_> =
                changes.iter().map(|LocalChange { hash, bytes, .. }| Incoming { hash: *hash, bytes }).collect();
            let applied = document.apply_guarded(&incoming, &Limits::default()).unwrap();
            let fine = |verdict: &Verdict| matches!(verdict, Verdict::Applied | Verdict::Held);
            assert!(applied.verdicts.iter().all(fine), "{:?}", applied.verdicts);
        }
        let [zero, one] = self.0;
        assert_eq!(zero.heads(), one.heads());
        let content = words(&zero.read());
        assert_eq!(content, words(&one.read()));
        (zero, content)
    }
}

#[test]
fn a_title_edit_beside_a_concurrent_new_field_keeps_both() {
    let mut pair = Pair::of(json!({"title": "x", "parts": [{"id": "a", "name": "A"}]}));
    let old = pair.edit::<Old>(0, |note| {
        note.title = "y".into();
        note.parts[0].name = "B".into();
    });
    let new = pair.edit::<New>(1, |note| {
        note.body.push_str("new");
        note.place.city = "Bern".into();
        note.parts[0].text.push_str("also new");
    });
    let (_, content) = pair.merge([old, new]);
    assert_eq!(
        content,
        json!({
            "title": "y",
            "body": {"$text": "new"},
            "place": {"city": "Bern"},
            "parts": [{"id": "a", "name": "B", "text": {"$text": "also new"}}],
        })
    );
}

#[test]
fn fields_that_two_devices_create_concurrently_hold_what_both_wrote() {
    let mut pair = Pair::of(json!({"title": "x", "parts": [{"id": "a"}]}));
    let zero = pair.edit::<New>(0, |note| {
        note.body.push_str("zéro");
        note.read.increment(2);
        note.place.city = "Bern".into();
        note.parts[0].text.push_str("0");
    });
    let one = pair.edit::<New>(1, |note| {
        note.body.push_str("öne");
        note.read.increment(3);
        note.place.street = "Marktgasse".into();
        note.parts[0].text.push_str("1");
    });
    let (document, _) = pair.merge([zero, one]);
    let note: New = from_document(document.automerge()).unwrap();
    assert!(["zéroöne", "önezéro"].contains(&note.body.as_str()), "{}", note.body);
    assert_eq!(note.read.value(), 5);
    assert_eq!(note.place, Place { city: "Bern".into(), street: "Marktgasse".into() });
    assert_eq!(note.parts[0].text.len(), 2);
}

#[test]
fn concurrent_edits_of_a_text_merge_by_code_points() {
    let mut pair = Pair::of(json!({"body": {"$text": "naïve 🙂 idea"}}));
    let zero = pair.edit::<New>(0, |note| note.body.splice(6, 1, "😀"));
    let one = pair.edit::<New>(1, |note| note.body.splice(12, 0, "s"));
    let (_, content) = pair.merge([zero, one]);
    assert_eq!(content, json!({"body": {"$text": "naïve 😀 ideas"}}));
}

#[test]
fn concurrent_edits_of_elements_stay_with_their_elements() {
    let mut pair =
        Pair::of(json!({"parts": [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}, {"id": "c", "name": "C"}]}));
    let old = pair.edit::<Old>(0, |note| {
        note.parts.remove(0);
        note.parts.insert(1, OldPart { id: "d".into(), name: "D".into() });
    });
    let new = pair.edit::<New>(1, |note| {
        note.parts[1].text.push_str("b");
        note.parts[2].text.push_str("c");
    });
    let (_, content) = pair.merge([old, new]);
    assert_eq!(
        content,
        json!({"parts": [
            {"id": "b", "name": "B", "text": {"$text": "b"}},
            {"id": "d", "name": "D"},
            {"id": "c", "name": "C", "text": {"$text": "c"}},
        ]})
    );
}

#[test]
fn a_new_version_reads_an_old_entity_and_writes_no_default_into_it() {
    let mut pair = Pair::of(json!({"title": "x"}));
    assert_eq!(pair.edit::<New>(0, |_| {}), []);
    let changes = pair.edit::<New>(0, |note| note.title = "y".into());
    assert_eq!(changes.len(), 1);
    assert_eq!(words(&pair.0[0].read()), json!({"title": "y"}));
}

/// Where a quotation is from.
#[crate::model]
#[derive(Debug, Clone, PartialEq)]
enum Source {
    Book { title: String, pages: Vec<u8> },
    Web(String),
    Said { by: Option<String>, of: Box<Option<Source>> },
    Heard(Option<String>),
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Origin {
    source: Option<Source>,
    note: String,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Quotation {
    source: Option<Source>,
    origin: Origin,
    others: BTreeMap<String, Source>,
    list: Vec<Source>,
}

fn book(title: &str) -> Source {
    Source::Book { title: title.into(), pages: vec![1, 2] }
}

fn web(address: &str) -> Source {
    Source::Web(address.into())
}

/// Both choose at the same time, at every place where a variant may stand: each place has one of them, whole.
fn both_choose(content: Json, choose: fn(&mut Quotation, Source)) -> (Document, Quotation) {
    let mut pair = Pair::of(content);
    let zero = pair.edit::<Quotation>(0, |quotation| choose(quotation, book("Dune")));
    let one = pair.edit::<Quotation>(1, |quotation| choose(quotation, web("example.org")));
    let (document, _) = pair.merge([zero, one]);
    let read: Quotation = from_document(document.automerge()).unwrap();
    (document, read)
}

#[test]
fn of_two_variants_chosen_at_once_one_is_read_whole_and_the_map_holds_no_other() {
    let said = json!({"Said": {"of": {"Web": "a"}}});
    let all = json!({"source": said, "origin": {"source": said, "note": "n"}, "others": {"a": said}, "list": [said]});
    let places: [fn(&mut Quotation, Source); 4] = [
        |quotation, source| quotation.source = Some(source),
        |quotation, source| quotation.origin.source = Some(source),
        |quotation, source| drop(quotation.others.insert("a".into(), source)),
        |quotation, source| {
            let said = Source::Said { by: None, of: Box::new(Some(source)) };
            quotation.others.insert("a".into(), said);
        },
    ];
    for (number, choose) in places.into_iter().enumerate() {
        for content in [json!({}), all.clone()] {
            let (document, read) = both_choose(content.clone(), choose);
            let (mut expected, chosen) = (read.clone(), [book("Dune"), web("example.org")]);
            let is_one = |source| {
                choose(&mut expected, source);
                expected == read
            };
            assert!(chosen.into_iter().any(is_one), "{number} {content}: {read:?}");
            let read = words(&document.read()).to_string();
            assert!(!(read.contains("Dune") && read.contains("example.org")), "{number} {content}: {read}");
        }
    }
    // An element of a list is replaced, edited or inserted anew: none mixes two variants.
    let (document, _) = both_choose(all, |quotation, source| quotation.list[0] = source);
    let list = words(&document.read())["list"].clone();
    let is_whole = |element: &Json| element.as_object().is_some_and(|variants| variants.len() == 1);
    assert!(list.as_array().is_some_and(|list| list.iter().all(is_whole)), "{list}");
}

#[test]
fn within_one_variant_edits_merge_by_part_and_what_is_null_in_a_new_one_is_written() {
    let mut pair = Pair::of(json!({"source": {"Book": {"title": "a", "pages": [1]}}}));
    let zero = pair.edit::<Quotation>(0, |quotation| match &mut quotation.source {
        Some(Source::Book { title, .. }) => title.push('b'),
        other => panic!("{other:?}"),
    });
    let one = pair.edit::<Quotation>(1, |quotation| match &mut quotation.source {
        Some(Source::Book { pages, .. }) => pages.push(2),
        other => panic!("{other:?}"),
    });
    let (document, _) = pair.merge([zero, one]);
    let read: Quotation = from_document(document.automerge()).unwrap();
    assert_eq!(read.source, Some(Source::Book { title: "ab".into(), pages: vec![1, 2] }));

    let mut pair = Pair::of(json!({}));
    let of = Box::new(Some(Source::Heard(None)));
    let said = Source::Said { by: None, of };
    let written = pair.edit::<Quotation>(0, |quotation| quotation.source = Some(said));
    let (_, content) = pair.merge([written, Vec::new()]);
    assert_eq!(content, json!({"source": {"Said": {"of": {"Heard": null}}}}));
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Job {
    title: Text,
    due: Option<Timestamp>,
    tags: Option<Vec<String>>,
    source: Option<Source>,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Plan {
    job: Job,
    jobs: Vec<Job>,
    moments: BTreeMap<String, Option<Timestamp>>,
    step: Step,
}

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Task { done: bool, owner: String },
    Wait { days: u8 },
}

impl Default for Step {
    fn default() -> Self {
        Self::Task { done: false, owner: String::new() }
    }
}

type Change = fn(&mut Plan);

/// Nothing but a variant is taken for one: what is set to nothing in a part is one step at its place, and all beside it merges.
#[test]
fn what_is_set_to_nothing_in_a_part_is_no_variant() {
    let part =
        json!({"title": {"$text": "x"}, "due": {"$timestamp": 5}, "tags": ["a"], "source": {"Web": "w"}, "new": 1});
    let content = json!({"job": part, "jobs": [part], "moments": {"a": {"$timestamp": 1}}});
    let before = document(content.clone());
    let steps: [(&str, Change); 5] = [
        ("job.due", |plan| plan.job.due = None),
        ("job.tags", |plan| plan.job.tags = None),
        ("jobs[0].due", |plan| plan.jobs[0].due = None),
        ("jobs[0].tags", |plan| plan.jobs[0].tags = None),
        ("moments.b", |plan| assert!(plan.moments.insert("b".into(), None).is_none())),
    ];
    for (at, change) in steps {
        let patches = edit::<Plan>(&before, change);
        assert_eq!(patches, [Patch::Null { path: at.parse().unwrap() }]);
        let mut pair = Pair::of(content.clone());
        let zero = pair.edit::<Plan>(0, change);
        let one = pair.edit::<Plan>(1, |plan| {
            plan.job.title.push_str("y");
            plan.jobs[0].title.push_str("y");
            plan.moments.insert("c".into(), Some(Timestamp::from_millis(2)));
        });
        let (_, merged) = pair.merge([zero, one]);
        for part in [&merged["job"], &merged["jobs"][0]] {
            assert_eq!((&part["title"], &part["new"]), (&json!({"$text": "xy"}), &json!(1)), "{at}: {merged}");
        }
        assert_eq!(merged["moments"]["c"], json!({"$timestamp": 2}), "{at}");

        // And back again.
        let nothing = patched(&before, &patches);
        let set = edit::<Plan>(&document(nothing), |plan| {
            plan.job.due = Some(Timestamp::from_millis(7));
            plan.jobs[0].due = Some(Timestamp::from_millis(7));
        });
        let places: Vec<_> = set
            .iter()
            .map(|patch| matches!(patch, Patch::Assign { path, .. } if path.to_string().ends_with(".due")))
            .collect();
        assert_eq!(places, [true, true], "{at}: {set:?}");
    }

    // Both fill an absent part, each another field of it.
    let mut pair = Pair::of(json!({}));
    let zero = pair.edit::<Plan>(0, |plan| plan.job.title.push_str("x"));
    let one = pair.edit::<Plan>(1, |plan| plan.job.due = Some(Timestamp::from_millis(5)));
    let (document, _) = pair.merge([zero, one]);
    let job = from_document::<Plan, _>(document.automerge()).unwrap().job;
    assert_eq!((job.title.as_str(), job.due), ("x", Some(Timestamp::from_millis(5))));
}

#[test]
fn a_variant_that_was_read_as_a_default_is_edited_by_part_and_one_that_is_chosen_beside_it_stays_whole() {
    let edits: [Change; 2] = [
        |plan| plan.step = Step::Task { done: true, owner: String::new() },
        |plan| plan.step = Step::Task { done: false, owner: "Ada".into() },
    ];
    let mut pair = Pair::of(json!({}));
    let changes = [0, 1].map(|device| pair.edit::<Plan>(device, edits[usize::from(device)]));
    let (document, _) = pair.merge(changes);
    let read: Plan = from_document(document.automerge()).unwrap();
    assert_eq!(read.step, Step::Task { done: true, owner: "Ada".into() });

    let mut pair = Pair::of(json!({}));
    let zero = pair.edit::<Plan>(0, edits[0]);
    let one = pair.edit::<Plan>(1, |plan| plan.step = Step::Wait { days: 3 });
    let (document, content) = pair.merge([zero, one]);
    let read: Plan = from_document(document.automerge()).unwrap();
    assert!(
        [Step::Task { done: true, owner: String::new() }, Step::Wait { days: 3 }].contains(&read.step),
        "{content}"
    );
    assert_eq!(content["step"].as_object().map(serde_json::Map::len), Some(1), "{content}");
}
