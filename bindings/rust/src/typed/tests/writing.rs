//! What an edit writes, and what it leaves alone.

use super::{assignment, document, edit, json, patched, path, tagged, words};
use crate::typed::{Counter, Patch, Text, ToValueError, from_document, to_value};
use afield_core::document::Value;
use autosurgeon::{
    Reconcile, Reconciler,
    reconcile::{CounterReconciler, MapReconciler, NoKey, SeqReconciler, TextReconciler},
};
use std::collections::HashMap;

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
struct Note {
    title: String,
    body: Text,
    read: Counter,
    #[model(default = "starred")]
    labels: Vec<String>,
    place: Place,
    kind: Kind,
    extra: HashMap<String, Place>,
    pair: Pair,
    maybe: Option<Place>,
}

fn starred() -> Vec<String> {
    vec!["starred".into()]
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Place {
    city: String,
    street: String,
    floors: Vec<u8>,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
enum Kind {
    #[default]
    Plain,
    Task {
        done: bool,
        owner: String,
    },
    Link(String),
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Pair(u8, String);

#[test]
fn an_edit_without_effect_writes_nothing_and_no_default() {
    for content in [json!({}), json!({"title": "x", "kind": {"Task": {}}, "maybe": {}, "labels": null})] {
        assert_eq!(edit::<Note>(&document(content), |_| {}), []);
    }
}

#[test]
fn only_the_edited_field_is_written() {
    let document = document(json!({"title": "x", "new": 1}));
    let patches = edit::<Note>(&document, |note| note.title.push('y'));
    assert_eq!(assignment(&patches), ("title".into(), json!("x"), json!("xy")));
    assert_eq!(patched(&document, &patches), json!({"title": "xy", "new": 1}));
}

#[test]
fn unknown_fields_survive_at_every_depth() {
    let content = json!({
        "title": "x", "new": 1,
        "place": {"city": "Bern", "new": {"a": 1}},
        "kind": {"Task": {"done": false, "new": 1}, "new": 2},
        "extra": {"k": {"city": "Rome", "new": [1]}},
        "pair": [1, "a", "new"],
        "maybe": {"city": "Oslo", "new": 1},
    });
    let document = document(content);
    let patches = edit::<Note>(&document, |note| {
        note.place.city = "Basel".into();
        note.kind = Kind::Task { done: true, owner: String::new() };
        note.extra.get_mut("k").unwrap().street = "Via".into();
        note.extra.insert("l".into(), Place::default());
        note.pair.1 = "b".into();
        note.maybe.as_mut().unwrap().city = "Ås".into();
    });
    assert_eq!(
        patched(&document, &patches),
        json!({
            "title": "x", "new": 1,
            "place": {"city": "Basel", "new": {"a": 1}},
            "kind": {"Task": {"done": true, "new": 1}, "new": 2},
            "extra": {"k": {"city": "Rome", "new": [1], "street": "Via"}, "l": {"city": "", "floors": [], "street": ""}},
            "pair": [1, "b", "new"],
            "maybe": {"city": "Ås", "new": 1},
        })
    );
}

#[test]
fn an_enum_that_changes_variant_is_a_map_of_its_own() {
    let document = document(json!({"kind": {"Task": {"done": true, "new": 1}, "new": 2}}));
    let patches = edit::<Note>(&document, |note| note.kind = Kind::Link("url".into()));
    assert!(matches!(patches.as_slice(), [Patch::Variant { .. }]), "{patches:?}");
    assert_eq!(patched(&document, &patches), json!({"kind": {"Link": "url"}}));
    let patches = edit::<Note>(&document, |note| note.kind = Kind::Plain);
    assert_eq!(patched(&document, &patches), json!({"kind": "Plain"}));
}

#[test]
fn removing_a_free_key_or_an_option_removes_only_that() {
    let document = document(json!({"extra": {"a": {}, "b": {"new": 1}}, "maybe": {"city": "x"}}));
    let patches = edit::<Note>(&document, |note| {
        note.extra.remove("a");
        note.maybe = None;
    });
    assert!(patches.contains(&Patch::Delete { path: path("extra.a") }), "{patches:?}");
    assert_eq!(patched(&document, &patches), json!({"extra": {"b": {"new": 1}}, "maybe": null}));
}

#[test]
fn an_absent_map_gets_the_edited_entries_and_no_defaults() {
    let document = document(json!({}));
    let patches = edit::<Note>(&document, |note| note.place.city = "Bern".into());
    assert_eq!(assignment(&patches), ("place".into(), json!(null), json!({"city": "Bern"})));
    let patches = edit::<Note>(&document, |note| note.kind = Kind::Task { done: true, owner: String::new() });
    assert_eq!(patched(&document, &patches), json!({"kind": {"Task": {"done": true, "owner": ""}}}));
    assert!(matches!(patches.as_slice(), [Patch::Variant { .. }]), "{patches:?}");
}

#[test]
fn what_is_absent_and_not_a_map_is_written_as_a_whole() {
    let document = document(json!({}));
    let patches = edit::<Note>(&document, |note| note.labels.push("new".into()));
    assert_eq!(assignment(&patches), ("labels".into(), json!(null), json!(["starred", "new"])));
    let patches = edit::<Note>(&document, |note| note.body.push_str("ü"));
    assert_eq!(assignment(&patches), ("body".into(), json!(null), json!({"$text": "ü"})));
    let patches = edit::<Note>(&document, |note| note.read.increment(2));
    assert_eq!(assignment(&patches), ("read".into(), json!(null), json!({"$counter": 2})));
    let patches = edit::<Note>(&document, |note| note.pair.0 = 3);
    assert_eq!(assignment(&patches), ("pair".into(), json!(null), json!([3, ""])));
}

#[crate::model]
#[derive(Debug, PartialEq)]
struct WithDefault {
    #[model(default = "home")]
    place: Place,
}

fn home() -> Place {
    Place { city: "Bern".into(), street: "Marktgasse".into(), floors: vec![1] }
}

#[test]
fn a_default_that_says_something_keeps_its_meaning_when_it_is_edited_in_part() {
    let document = document(json!({}));
    let patches = edit::<WithDefault>(&document, |model| model.place.city = "Thun".into());
    let whole = json!({"city": "Thun", "street": "Marktgasse", "floors": [1]});
    assert_eq!(assignment(&patches), ("place".into(), json!(null), whole));
}

#[test]
fn texts_and_counters_are_told_by_both_of_their_values() {
    let document = document(json!({"body": {"$text": "naïve"}, "read": {"$counter": 5}}));
    let patches = edit::<Note>(&document, |note| note.body.splice(2, 1, "i"));
    assert_eq!(assignment(&patches), ("body".into(), json!({"$text": "naïve"}), json!({"$text": "naive"})));
    let patches = edit::<Note>(&document, |note| note.read.increment(-1));
    assert_eq!(assignment(&patches), ("read".into(), json!({"$counter": 5}), json!({"$counter": 4})));
}

#[test]
fn a_value_read_from_another_kind_is_written_anew_when_edited() {
    let document = document(json!({"body": "string", "read": 5}));
    assert_eq!(edit::<Note>(&document, |_| {}), []);
    let patches = edit::<Note>(&document, |note| note.body.push_str("!"));
    assert_eq!(assignment(&patches), ("body".into(), json!(null), json!({"$text": "string!"})));
    let patches = edit::<Note>(&document, |note| note.read.increment(1));
    assert_eq!(assignment(&patches), ("read".into(), json!(null), json!({"$counter": 6})));
}

#[test]
fn a_tuple_is_written_by_position() {
    let document = document(json!({"pair": [1, "a"]}));
    let patches = edit::<Note>(&document, |note| note.pair = Pair(2, "b".into()));
    assert_eq!(
        patches,
        [("pair[0]", Value::Uint(1), Value::Uint(2)), ("pair[1]", Value::Str("a".into()), Value::Str("b".into()))]
            .map(|(at, before, after)| Patch::Assign { path: path(at), before, after })
    );
}

#[test]
fn plain_lists_are_left_to_the_difference_of_their_values() {
    let document = document(json!({"labels": ["a", "b"]}));
    let patches = edit::<Note>(&document, |note| drop(note.labels.remove(0)));
    assert_eq!(assignment(&patches), ("labels".into(), json!(["a", "b"]), json!(["b"])));
}

#[crate::model]
#[derive(Debug)]
struct Foreign<T> {
    #[model(required)]
    value: T,
}

#[test]
fn what_holds_edits_in_place_of_a_value_is_refused_and_named() {
    let document = document(json!({"value": {"$text": "x"}}));
    let text: Foreign<autosurgeon::Text> = from_document(&document).unwrap();
    let error = to_value(&text).unwrap_err();
    assert!(matches!(error, ToValueError::BoundText { .. }));
    assert!(error.to_string().starts_with("value is an autosurgeon::Text"), "{error}");
    assert_eq!(tagged(&autosurgeon::Text::with_value("fresh")), json!({"$text": "fresh"}));

    let document = super::document(json!({"value": {"$counter": 3}}));
    let counter: Foreign<autosurgeon::Counter> = from_document(&document).unwrap();
    let error = to_value(&HashMap::from([("secret", vec![counter])])).unwrap_err();
    assert!(matches!(error, ToValueError::BoundCounter { .. }));
    assert!(error.to_string().starts_with("*[0].value is an increment"), "free keys are content: {error}");
    assert_eq!(tagged(&autosurgeon::Counter::with_value(3)), json!({"$counter": 3}));
}

/// Gives the value of a type whose `Reconcile` is written by hand.
macro_rules! by_hand {
    (|$reconciler:ident| $body:expr) => {{
        struct Hand;
        impl Reconcile for Hand {
            type Key<'a> = NoKey;
            fn reconcile<R: Reconciler>(&self, mut $reconciler: R) -> Result<(), R::Error> {
                $body
            }
        }
        to_value(&Hand).map(|value| words(&value))
    }};
}

#[test]
fn every_call_of_a_reconciler_does_on_a_fresh_tree_what_it_does_on_a_document() {
    let list = by_hand!(|reconciler| {
        let mut list = reconciler.seq()?;
        list.insert(0, "b")?;
        list.insert(0, "a")?;
        list.insert(2, 5_u64)?;
        list.set(1, true)?;
        list.delete(0)?;
        assert_eq!(
            (list.len()?, list.items().count(), list.get(1)?.is_some(), list.get(2)?.is_some()),
            (2, 2, true, false)
        );
        Ok(())
    });
    assert_eq!(list.unwrap(), json!([true, 5]));

    let map = by_hand!(|reconciler| {
        let mut map = reconciler.map()?;
        map.put("a", 1_i64)?;
        map.put("b", 2.5)?;
        map.put("c", Option::<bool>::None)?;
        map.replace("a", "new")?;
        map.retain(|key, _| key != "b")?;
        map.delete("nowhere")?;
        assert_eq!((map.entries().count(), map.entry("a").is_some(), map.entry("b").is_some()), (2, true, false));
        drop(map);
        // The map that stands there is kept.
        reconciler.map()?.put("d", autosurgeon::bytes::ByteVec::from(vec![1]))
    });
    assert_eq!(map.unwrap(), json!({"a": "new", "c": null, "d": {"$bytes": "01"}}));

    let text = by_hand!(|reconciler| {
        let mut text = reconciler.text()?;
        text.update("naïve")?;
        text.splice(3, 1, "ff")?;
        text.splice(2, -2, "x")?;
        text.splice(4, 0, "🙂")
    });
    assert_eq!(text.unwrap(), json!({"$text": "xïff🙂e"}));

    let counter = by_hand!(|reconciler| {
        let mut counter = reconciler.counter()?;
        counter.set(5)?;
        counter.increment(-7)
    });
    assert_eq!(counter.unwrap(), json!({"$counter": -2}));
    assert_eq!(by_hand!(|reconciler| reconciler.timestamp(9)).unwrap(), json!({"$timestamp": 9}));
}

#[test]
fn positions_that_do_not_exist_are_errors_with_a_place() {
    for error in [
        by_hand!(|reconciler| reconciler.seq()?.insert(1, 1_u64)),
        by_hand!(|reconciler| reconciler.seq()?.set(0, 1_u64)),
        by_hand!(|reconciler| reconciler.seq()?.delete(0)),
        by_hand!(|reconciler| reconciler.text()?.splice(1, 0, "x")),
        by_hand!(|reconciler| reconciler.text()?.splice(0, -1, "x")),
        by_hand!(|reconciler| reconciler.text()?.splice(0, isize::MAX, "x")),
    ] {
        assert!(matches!(error, Err(ToValueError::OutOfRange { length: 0, .. })), "{error:?}");
    }
    assert!(by_hand!(|reconciler| reconciler.text()?.splice(0, 0, "x")).is_ok(), "a position that exists is none");
    assert!(matches!(by_hand!(|_reconciler| Ok(())), Err(ToValueError::Nothing { .. })));
}

#[test]
fn integers_of_both_kinds_are_one_number_and_floats_are_their_bits() {
    let number = super::document(json!({"value": 5}));
    assert_eq!(edit::<Foreign<u8>>(&number, |model| model.value += 0), []);
    let nan = super::document(json!({"value": {"$float": "7ff8000000000000"}}));
    assert_eq!(edit::<Foreign<f64>>(&nan, |model| model.value = f64::NAN), []);
}
