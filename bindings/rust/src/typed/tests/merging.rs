//! Typed edits on two devices that know nothing of each other, and what both have afterwards.

use super::{document, edit, json, stored, words, write};
use crate::typed::{Counter, Text, from_document};
use afield_core::{
    Limits,
    document::{Document, Incoming, LocalChange, Verdict},
};
use autosurgeon::{Hydrate, Reconcile};
use serde_json::Value as Json;

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
