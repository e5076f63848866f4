//! What absence, null and a value of another kind say, and that an edit writes them when it means them.

use super::{assignment, document, edit, json, patched, path, stored, words};
use crate::typed::{Counter, Patch, Text, from_document, to_tree};
use afield_core::document::{Document, EditContext};
use afield_core::{EntityId, Limits, Now};
use autosurgeon::{Hydrate, Reconcile};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fmt::Debug;

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
enum State {
    #[default]
    Open,
    Waiting(Option<String>),
    Blocked {
        by: Option<String>,
    },
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Task {
    state: State,
    states: Vec<State>,
    due: Option<String>,
}

/// The content of a new entity, which has to read as what was inserted.
fn inserted<T: Hydrate + Reconcile + PartialEq + Debug>(model: &T) -> Json {
    let tree = to_tree(model).unwrap();
    let mut document = Document::new(EntityId::from_bytes([1; 16]));
    let now = Now { wall_ms: 0, monotonic_ms: 0 };
    let context = EditContext { fresh: true, ..EditContext::new(vec![1; 16].into(), now) };
    let _ = document.edit(&context, &Limits::default(), |edit| crate::typed::insert(edit, &tree)).unwrap();
    assert_eq!(from_document::<T, _>(document.automerge()).unwrap(), *model);
    words(&document.read())
}

/// The content after an edit, which has to read as what it made of the model.
fn edited<T: Hydrate + Reconcile + PartialEq + Debug>(content: Json, change: impl Fn(&mut T)) -> Json {
    let document = document(content);
    let patches = edit(&document, &change);
    let mut written = stored(&document);
    super::write(&mut written, 1, &patches);
    let mut expected = from_document(&document).unwrap();
    change(&mut expected);
    assert_eq!(from_document::<T, _>(written.automerge()).unwrap(), expected);
    patched(&document, &patches)
}

#[test]
fn a_variant_that_holds_none_is_that_variant() {
    let task = Task { state: State::Waiting(None), states: vec![State::Waiting(None)], due: None };
    assert_eq!(inserted(&task), json!({"state": {"Waiting": null}, "states": [{"Waiting": null}]}));
    assert_eq!(inserted(&State::Waiting(None)), json!({"Waiting": null}), "also as the entity itself");
    let blocked = Task { state: State::Blocked { by: None }, ..Task::default() };
    assert_eq!(inserted(&blocked), json!({"state": {"Blocked": {}}, "states": []}), "an absent field is no variant");

    for before in [json!({}), json!({"state": "Open"}), json!({"state": {"Waiting": "x"}}), json!({"state": null})] {
        let after = edited::<Task>(before, |task| task.state = State::Waiting(None));
        assert_eq!(after, json!({"state": {"Waiting": null}}));
    }
    let waiting = json!({"state": {"Waiting": null}});
    let after = edited::<Task>(waiting.clone(), |task| task.state = State::Waiting(Some("y".into())));
    assert_eq!(after, json!({"state": {"Waiting": "y"}}));
    let after = edited::<Task>(waiting.clone(), |task| task.state = State::Blocked { by: None });
    assert_eq!(after, json!({"state": {"Blocked": {}}}));
    assert_eq!(edited::<Task>(waiting, |task| task.state = State::Open), json!({"state": "Open"}));
    let after = edited::<Task>(json!({"states": ["Open"]}), |task| task.states.insert(0, State::Waiting(None)));
    assert_eq!(after, json!({"states": [{"Waiting": null}, "Open"]}));
}

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
struct Profile {
    body: Option<Text>,
    count: Option<Counter>,
    texts: HashMap<String, Text>,
    marks: HashMap<String, Option<u8>>,
    #[model(default = "dark")]
    theme: Option<String>,
    #[model(required)]
    owner: Option<String>,
    name: Name,
}

fn dark() -> Option<String> {
    Some("dark".to_owned())
}

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
struct Name(Option<String>);

impl Default for Name {
    fn default() -> Self {
        Self(Some("nobody".into()))
    }
}

fn profile() -> Profile {
    let marks = HashMap::from([("a".into(), None), ("b".into(), Some(1))]);
    Profile { body: None, count: None, texts: HashMap::new(), marks, theme: None, owner: None, name: Name(None) }
}

#[test]
fn a_none_is_written_where_its_absence_would_say_something_else() {
    let content = inserted(&profile());
    let marks = json!({"a": null, "b": 1});
    assert_eq!(content, json!({"marks": marks, "name": null, "owner": null, "texts": {}, "theme": null}));
}

#[test]
fn none_is_written_over_a_value_of_another_kind() {
    let content = json!({"body": "a string", "count": 5, "owner": "x"});
    let after = edited::<Profile>(content, |profile| (profile.body, profile.count) = (None, None));
    assert_eq!(after, json!({"body": null, "count": null, "owner": "x"}));
}

#[test]
fn none_is_written_over_a_default_that_is_something() {
    let after = edited::<Profile>(json!({"owner": "x"}), |profile| {
        profile.theme = None;
        profile.name = Name(None);
    });
    assert_eq!(after, json!({"owner": "x", "theme": null, "name": null}));
    assert_eq!(edited::<Profile>(after.clone(), |_| {}), after);
    let after = edited::<Profile>(after, |profile| profile.theme = Some("light".into()));
    assert_eq!(after["theme"], "light");
}

#[test]
fn a_key_whose_value_is_of_another_kind_or_null_can_be_removed() {
    let content = json!({"owner": null, "texts": {"k": "a string", "l": {"$text": "x"}}, "marks": {"a": null, "b": 1}});
    let after = edited::<Profile>(content, |profile| {
        profile.texts.remove("k");
        profile.marks.remove("a");
        profile.marks.insert("b".into(), None);
        profile.marks.insert("c".into(), None);
    });
    assert_eq!(after, json!({"owner": null, "texts": {"l": {"$text": "x"}}, "marks": {"b": null, "c": null}}));
}

#[test]
fn an_edit_without_effect_leaves_absent_null_and_other_kinds_as_they_are() {
    for content in [
        json!({"owner": null}),
        json!({"owner": "x", "theme": null, "body": null, "marks": {"a": null}, "texts": {"k": "a string"}, "count": 3}),
    ] {
        assert_eq!(edit::<Profile>(&document(content), |_| {}), []);
    }
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Settings {
    window: Window,
    volume: Volume,
    extra: HashMap<String, Volume>,
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Window {
    width: u32,
    mode: Mode,
    frame: Frame,
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
enum Mode {
    #[default]
    Quiet,
    Loud,
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Frame {
    colour: String,
    mode: Mode,
}

/// Its `Default` and the defaults of its fields differ: absent it has level 0, empty it has level 11.
#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Volume {
    width: u32,
    #[model(default = "eleven")]
    level: u8,
}

fn eleven() -> u8 {
    11
}

#[test]
fn an_edit_in_an_absent_part_writes_no_default_beside_it() {
    let after = edited::<Settings>(json!({}), |settings| settings.window.width = 5);
    assert_eq!(after, json!({"window": {"width": 5}}));
    let after = edited::<Settings>(json!({}), |settings| settings.window.frame.colour = "red".into());
    assert_eq!(after, json!({"window": {"frame": {"colour": "red"}}}));
}

#[test]
fn a_default_that_an_empty_part_would_not_have_keeps_its_meaning() {
    let after = edited::<Settings>(json!({}), |settings| settings.volume.width = 5);
    assert_eq!(after, json!({"volume": {"width": 5, "level": 0}}));
    let after = edited::<Settings>(json!({"volume": {}}), |settings| settings.volume.width = 5);
    assert_eq!(after, json!({"volume": {"width": 5}}));
    let after = edited::<Settings>(json!({}), |settings| settings.volume.level = 11);
    assert_eq!(after, json!({"volume": {"level": 11}}), "what was edited is written, whatever its absence says");
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Grown {
    pair: Triple,
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Triple(u8, String, Option<u8>);

#[test]
fn an_element_that_a_tuple_gained_can_be_edited() {
    let after = edited::<Grown>(json!({"pair": [1]}), |grown| grown.pair.2 = Some(3));
    assert_eq!(after, json!({"pair": [1, "", 3]}));
    let after = edited::<Grown>(json!({"pair": [1]}), |grown| grown.pair.1 = "x".into());
    assert_eq!(after, json!({"pair": [1, "x"]}), "no default behind what was edited");
    let after = edited::<Grown>(json!({"pair": [1, "x"]}), |grown| grown.pair.0 = 2);
    assert_eq!(after, json!({"pair": [2, "x"]}));
    let patches = edit::<Grown>(&document(json!({"pair": [1, "x", 3]})), |grown| grown.pair.2 = None);
    assert_eq!(patches, [Patch::Null { path: path("pair[2]") }]);
    let patches = edit::<Grown>(&document(json!({})), |grown| grown.pair.0 = 1);
    assert_eq!(assignment(&patches), ("pair".into(), json!(null), json!([1, "", null])));
}

#[test]
fn an_entity_that_would_have_no_fields_is_refused_and_leaves_nothing() {
    let replica = crate::Replica::open_in_memory().unwrap();
    let states = replica.create_space("home").unwrap().collection::<State>("states").unwrap();
    let error = states.insert(&State::Open).unwrap_err();
    assert_eq!(error.to_string(), "an entity is an object of its fields, and this is a string");
    assert_eq!(states.ids().unwrap(), []);

    let id = states.insert(&State::Waiting(None)).unwrap();
    assert_eq!(states.read(id).unwrap(), State::Waiting(None));
    let error = states.edit(id, |state| *state = State::Open).unwrap_err();
    assert!(matches!(error, crate::EditError::NotAnObject { .. }), "{error}");
    let _ = states.edit(id, |state| *state = State::Blocked { by: None }).unwrap();
    assert_eq!(states.read(id).unwrap(), State::Blocked { by: None });
}
