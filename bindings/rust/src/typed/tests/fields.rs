//! The types that fields can have, beyond those that autosurgeon knows.

use super::{document, edit, json, merging::Pair, patched, tagged, words};
use crate::typed::{Bytes, Timestamp, from_document, to_tree};
use crate::{DeviceId, EntityId, Replica, SpaceId, Value};
use proptest::prelude::*;
use serde_json::Value as Json;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    fmt::Debug,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
struct Everything {
    #[model(required)]
    entity: EntityId,
    space: Option<SpaceId>,
    devices: Vec<DeviceId>,
    count: usize,
    offset: isize,
    letter: char,
    name: Cow<'static, str>,
    boxed_name: Box<str>,
    shared_name: Arc<str>,
    local_name: Rc<str>,
    shared: Arc<Part>,
    local: Rc<Part>,
    maybe_boxed: Vec<Option<Box<Part>>>,
    queue: VecDeque<usize>,
    point: (f64, f64),
    mixed: (u8, String, Option<bool>),
    colour: [u8; 3],
    parts: [Part; 2],
    tags: BTreeSet<String>,
    numbers: HashSet<i32>,
    by_number: BTreeMap<u32, Part>,
    by_entity: HashMap<EntityId, Vec<char>>,
    by_day: BTreeMap<Day, usize>,
    by_name: BTreeMap<Name, char>,
    #[model(required)]
    moment: SystemTime,
    #[model(with = "crate::typed::as_string", required)]
    address: IpAddr,
    #[model(with = "crate::typed::as_bytes")]
    hash: [u8; 4],
    name_of_host: Host,
    free: Value,
    json: Json,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Part {
    size: usize,
}

#[crate::model(rename_all = "lowercase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Day {
    Monday,
    #[model(rename = "TUE")]
    Tuesday,
}

#[crate::model]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name(String);

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
struct Host(#[model(with = "crate::typed::as_string")] IpAddr);

impl Default for Host {
    fn default() -> Self {
        Self(IpAddr::from([0; 4]))
    }
}

fn everything() -> Everything {
    let part = |size| Part { size };
    let id = EntityId::from_bytes([7; 16]);
    Everything {
        entity: id,
        space: Some(SpaceId::from_bytes([8; 16])),
        devices: vec![DeviceId::from_bytes([9; 16])],
        count: 5,
        offset: -6,
        letter: 'ß',
        name: "cow".into(),
        boxed_name: "box".into(),
        shared_name: "arc".into(),
        local_name: "rc".into(),
        shared: Arc::new(part(1)),
        local: Rc::new(part(2)),
        maybe_boxed: vec![Some(Box::new(part(3))), None],
        queue: [1, 2].into(),
        point: (0.5, -1.0),
        mixed: (1, "two".into(), Some(true)),
        colour: [1, 2, 3],
        parts: [part(4), part(5)],
        tags: ["a".into(), "b".into()].into(),
        numbers: [-1, 1].into(),
        by_number: [(10, part(6))].into(),
        by_entity: [(id, vec!['x'])].into(),
        by_day: [(Day::Monday, 1), (Day::Tuesday, 2)].into(),
        by_name: [(Name("n".into()), 'y')].into(),
        moment: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        address: IpAddr::from([127, 0, 0, 1]),
        hash: [0, 1, 254, 255],
        name_of_host: Host(IpAddr::from([10, 0, 0, 1])),
        free: Value::from([("k", Value::Text("merges".into()))]),
        json: json!({"$": [1, null, {"deep": "x"}]}),
    }
}

#[test]
fn every_type_of_field_comes_back_from_a_store_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fields.db");
    let replica = Replica::open(&path).unwrap();
    let space = replica.create_space("Home").unwrap();
    let all = space.collection::<Everything>("all").unwrap();
    let mut expected = everything();
    let id = all.insert(&expected).unwrap();
    assert_eq!(all.read(id).unwrap(), expected);

    let change = |it: &mut Everything| {
        it.by_entity.insert(EntityId::from_bytes([1; 16]), vec![]);
        it.numbers.remove(&-1);
        it.parts[1].size = 50;
        it.mixed.2 = None;
        it.letter = '日';
        it.address = IpAddr::from([1; 16]);
        it.maybe_boxed.swap(0, 1);
        it.json["$"][2]["deep"] = json!(7);
        it.moment = UNIX_EPOCH - Duration::from_millis(1);
    };
    change(&mut expected);
    let _ = all.edit(id, change).unwrap();
    let home = space.id();
    drop((all, space, replica));
    let replica = Replica::open(&path).unwrap();
    let all = replica.space(home).unwrap().collection::<Everything>("all").unwrap();
    assert_eq!(all.read(id).unwrap(), expected);
}

#[test]
fn what_types_of_fields_are_in_a_document() {
    let stored = json!({
        "entity": "07070707-0707-0707-0707-070707070707",
        "space": "08080808-0808-0808-0808-080808080808",
        "devices": ["09090909-0909-0909-0909-090909090909"],
        "count": 5,
        "offset": -6,
        "letter": "ß",
        "name": "cow", "boxed_name": "box", "shared_name": "arc", "local_name": "rc",
        "shared": {"size": 1},
        "local": {"size": 2},
        "maybe_boxed": [{"size": 3}, null],
        "queue": [1, 2],
        "point": [0.5, -1.0],
        "mixed": [1, "two", true],
        "colour": [1, 2, 3],
        "parts": [{"size": 4}, {"size": 5}],
        "tags": {"a": true, "b": true},
        "numbers": {"-1": true, "1": true},
        "by_number": {"10": {"size": 6}},
        "by_entity": {"07070707-0707-0707-0707-070707070707": ["x"]},
        "by_day": {"monday": 1, "TUE": 2},
        "by_name": {"n": "y"},
        "moment": {"$timestamp": 1_700_000_000_123_i64},
        "address": "127.0.0.1",
        "hash": {"$bytes": "0001feff"},
        "name_of_host": "10.0.0.1",
        "free": {"k": {"$text": "merges"}},
        "json": {"$$": [1, null, {"deep": "x"}]},
    });
    assert_eq!(tagged(&everything()), stored);
    assert_eq!(from_document::<Everything, _>(&document(stored)).unwrap(), everything());
}

/// Reads one field of a type from what the JSON view may have written.
fn read<T: crate::typed::Field>(value: Json) -> Result<T, String> {
    let found = from_document::<Only<T>, _>(&document(json!({ "it": value })));
    found.map(|only| only.it).map_err(|error| error.to_string())
}

#[crate::model]
struct Only<T> {
    #[model(required)]
    it: T,
}

fn refused<T: crate::typed::Field + Debug + PartialEq>(wrong: Json, message: &str, right: Json, expected: T) {
    assert_eq!(read::<T>(wrong).unwrap_err(), message);
    assert_eq!(read::<T>(right), Ok(expected));
}

#[test]
fn what_does_not_fit_is_refused_with_its_place_and_kind() {
    refused(json!(-1), "it holds an integer, which does not fit `T`", json!({"$uint": 1}), 1_usize);
    refused(json!("ab"), "it holds a string, which does not fit `T`", json!("a"), 'a');
    refused(json!([1, 2]), "it holds a list, which does not fit `T`", json!([1, 2, 3]), [1_u8, 2, 3]);
    refused(json!([1]), "it[1] is missing, and its type `an element of a tuple` needs a value", json!([1, 2]), (1, 2));
    refused(json!({"x": 1}), "a key in it does not fit the map's key type", json!({"7": 1}), BTreeMap::from([(7, 1)]));
    refused(json!(["x"]), "it holds a list, which does not fit `T`", json!(["7"]), BTreeSet::from([7]));
    let id = EntityId::from_bytes([3; 16]);
    refused(json!("x"), "it holds a string, which does not fit `T`", json!(id.to_string()), id);
    assert_eq!(read(json!({"$bytes": "03".repeat(16)})), Ok(id), "also as bytes");
    assert!(read::<EntityId>(json!({"$bytes": "03"})).is_err());

    let wrong = document(json!({"entity": everything().entity.to_string(), "moment": 0, "address": "a secret"}));
    let error = from_document::<Everything, _>(&wrong).unwrap_err().to_string();
    assert_eq!(error, "address holds a string, which does not fit `IpAddr`", "and no content");
}

#[test]
fn sets_of_two_devices_become_one_with_what_both_added_and_without_what_one_removed() {
    #[crate::model]
    #[derive(Default)]
    struct Note {
        tags: BTreeSet<String>,
    }
    let mut pair = Pair::of(json!({"tags": {"old": true, "kept": true}}));
    let zero = pair.edit::<Note>(0, |note| {
        note.tags.insert("zero".into());
        note.tags.remove("old");
    });
    let one = pair.edit::<Note>(1, |note| assert!(note.tags.insert("one".into())));
    let (_, content) = pair.merge([zero, one]);
    assert_eq!(content, json!({"tags": {"kept": true, "one": true, "zero": true}}));
}

#[test]
fn a_set_that_was_written_as_a_list_is_read_and_becomes_a_map_with_its_next_edit() {
    #[crate::model]
    #[derive(Default)]
    struct Note {
        title: String,
        tags: HashSet<String>,
    }
    let document = document(json!({"tags": ["a"]}));
    let after = patched(&document, &edit::<Note>(&document, |note| note.title = "t".into()));
    assert_eq!(after, json!({"title": "t", "tags": ["a"]}), "untouched while it does not change");
    let after = patched(&document, &edit::<Note>(&document, |note| assert!(note.tags.insert("b".into()))));
    assert_eq!(after, json!({"tags": {"a": true, "b": true}}));
}

#[test]
fn free_values_are_edited_in_their_parts() {
    #[crate::model]
    #[derive(Default)]
    struct Note {
        free: Json,
    }
    let content = json!({"free": {"text": {"$text": "x"}, "count": {"$counter": 3}, "list": [{"a": 1, "b": 2}]}});
    let document = document(content);
    let patches = edit::<Note>(&document, |note| note.free["list"][0]["a"] = json!(5));
    let expected = json!({"free": {"text": {"$text": "x"}, "count": {"$counter": 3}, "list": [{"a": 5, "b": 2}]}});
    assert_eq!(patched(&document, &patches), expected, "what JSON has no words for stays what it is");
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Keyed {
    #[model(key, with = "crate::typed::as_string")]
    id: u128,
    name: String,
}

#[test]
fn a_key_that_is_stored_as_another_type_identifies_its_element() {
    #[crate::model]
    #[derive(Default)]
    struct List {
        all: Vec<Keyed>,
        wrapped: Vec<Arc<Keyed>>,
    }
    let content = json!([{"id": "1", "name": "a", "new": 1}, {"id": "2", "name": "b", "new": 2}]);
    let document = document(json!({"all": content, "wrapped": content}));
    let patches = edit::<List>(&document, |list| {
        list.all.remove(0);
        list.all[0].name = "quite another".into();
        list.wrapped.remove(0);
        Arc::make_mut(&mut list.wrapped[0]).name = "quite another".into();
    });
    let expected = json!([{"id": "2", "name": "quite another", "new": 2}]);
    assert_eq!(patched(&document, &patches), json!({"all": expected, "wrapped": expected}));
}

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
struct Cached {
    title: String,
    #[model(skip)]
    cache: std::marker::PhantomData<fn()>,
    #[model(skip, default = "nine")]
    position: u8,
    state: CachedState,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
enum CachedState {
    #[default]
    Open,
    Done {
        by: String,
        #[model(skip)]
        shown: bool,
    },
}

fn nine() -> u8 {
    9
}

#[test]
fn a_skipped_field_is_neither_read_nor_written_and_what_stands_there_stays() {
    let content = json!({"title": "a", "position": 5, "state": {"Done": {"by": "x", "shown": true}}});
    let document = document(content);
    let read: Cached = from_document(&document).unwrap();
    let done = |by: &str, shown| CachedState::Done { by: by.into(), shown };
    assert_eq!((read.position, read.state), (9, done("x", false)));
    let patches = edit::<Cached>(&document, |cached| {
        cached.position = 1;
        cached.state = done("y", true);
    });
    let after = patched(&document, &patches);
    assert_eq!(after, json!({"title": "a", "position": 5, "state": {"Done": {"by": "y", "shown": true}}}));
    let written = Cached { title: "t".into(), cache: Default::default(), position: 3, state: done("z", true) };
    assert_eq!(tagged(&written), json!({"title": "t", "state": {"Done": {"by": "z"}}}));
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Conditional {
    #[cfg(not(test))]
    gone: NoSuchType,
    #[cfg(test)]
    kept: u8,
    #[cfg(not(test))]
    kept: NoSuchType,
    #[cfg_attr(test, model(rename = "other-name"))]
    renamed: u8,
    #[cfg_attr(not(test), model(rename = "other-name"))]
    not_renamed: u8,
    state: ConditionalState,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
enum ConditionalState {
    #[cfg(not(test))]
    Gone(NoSuchType),
    #[default]
    Kept,
    Both {
        #[cfg(not(test))]
        #[model(key)]
        gone: NoSuchType,
        kept: u8,
    },
    /// The inner value, where the first field is gone.
    One(#[cfg(not(test))] NoSuchType, u8),
}

#[test]
fn fields_and_variants_without_their_condition_are_not_there() {
    let content = json!({"kept": 1, "other-name": 2, "not_renamed": 3, "state": {"One": 4}});
    let read: Conditional = from_document(&document(content.clone())).unwrap();
    let expected = Conditional { kept: 1, renamed: 2, not_renamed: 3, state: ConditionalState::One(4) };
    assert_eq!(read, expected);
    assert_eq!(tagged(&read), content);
    let both = Conditional { state: ConditionalState::Both { kept: 1 }, ..Conditional::default() };
    assert_eq!(tagged(&both)["state"], json!({"Both": {"kept": 1}}));
}

/// Another name for the library, as an application has it that gets it from a crate of its own.
mod facade {
    pub(super) use crate as library;
}

#[crate::model(crate = "facade::library", rename_all = "camelCase")]
#[derive(Debug, Default, PartialEq)]
struct ByAnotherName {
    due_date: u8,
}

#[test]
fn a_model_can_find_the_library_under_another_name() {
    assert_eq!(tagged(&ByAnotherName { due_date: 1 }), json!({"dueDate": 1}));
}

/// Models that hide what they are made of; those that other crates see are in the documentation of `misuse`.
mod hidden {
    #[crate::model]
    #[derive(Debug, Clone, Default, PartialEq)]
    struct Id(String);

    #[crate::model]
    #[derive(Debug, Clone, Default, PartialEq)]
    struct Inner {
        #[model(key)]
        id: Id,
        name: String,
    }

    #[crate::model]
    #[derive(Debug, Clone, Default, PartialEq)]
    pub(super) struct Wrapper(Inner);

    impl Wrapper {
        pub(super) fn rename(&mut self, name: &str) {
            self.0.name = name.to_owned();
        }
    }
}

#[test]
fn an_element_is_known_by_a_key_of_a_hidden_type() {
    #[crate::model]
    #[derive(Default)]
    struct List {
        all: Vec<hidden::Wrapper>,
    }
    let document = document(json!({"all": [{"id": "a", "name": "a", "new": 1}, {"id": "b", "name": "b", "new": 2}]}));
    let patches = edit::<List>(&document, |list| {
        list.all.remove(0);
        list.all[0].rename("quite another");
    });
    assert_eq!(patched(&document, &patches), json!({"all": [{"id": "b", "name": "quite another", "new": 2}]}));
}

fn survives<T: crate::typed::Field + PartialEq + Debug + Clone>(it: T) {
    let only = Only { it };
    let content = words(&to_tree(&only).unwrap().into_value());
    let document = document(content);
    assert_eq!(from_document::<Only<T>, _>(&document).unwrap().it, only.it);
}

proptest! {
    #[test]
    fn any_value_of_a_field_survives_the_document(
        count in any::<usize>().prop_map(|count| count >> 1),
        offset in any::<isize>(),
        letter in any::<char>(),
        bytes in any::<[u8; 16]>(),
        millis in -1_i64 << 50..1_i64 << 50,
        keys in proptest::collection::btree_map(any::<i64>(), any::<char>(), 0..5),
        letters in proptest::collection::btree_set(any::<char>(), 0..5),
        lists in proptest::collection::vec(any::<(bool, String, Option<u8>)>(), 0..5),
    ) {
        survives(count);
        survives(offset);
        survives(letter);
        survives([EntityId::from_bytes(bytes)]);
        survives(BTreeMap::from([(SpaceId::from_bytes(bytes), Bytes::from(&bytes[..]))]));
        survives(keys);
        survives(letters);
        survives(lists);
        survives(Timestamp::from_millis(millis));
        let moment = match millis {
            0.. => UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs()),
            ..0 => UNIX_EPOCH - Duration::from_millis(millis.unsigned_abs()),
        };
        survives(moment);
    }
}

#[test]
fn a_moment_between_two_milliseconds_is_the_earlier_one() {
    for (moment, millis) in [
        (UNIX_EPOCH + Duration::from_nanos(1_999_999), 1),
        (UNIX_EPOCH - Duration::from_nanos(1), -1),
        (UNIX_EPOCH - Duration::from_millis(1), -1),
    ] {
        assert_eq!(tagged(&Only::<SystemTime> { it: moment }), json!({"it": {"$timestamp": millis}}));
    }
}

#[test]
fn a_uuid_is_stored_as_people_write_it() {
    let id = uuid::Uuid::from_bytes([5; 16]);
    assert_eq!(tagged(&Only { it: id }), json!({"it": id.to_string()}));
    refused(json!("x"), "it holds a string, which does not fit `T`", json!(id.to_string()), id);
    survives(HashMap::from([(id, vec![id])]));
}
