//! What is read from documents that are older, newer or simply other.

use super::{document, json, tagged};
use crate::typed::{Counter, FromDocumentError, Text, Timestamp, from_document};
use autosurgeon::{Hydrate, HydrateError};
use std::collections::HashMap;

#[crate::model]
#[derive(Debug, PartialEq)]
struct Settings {
    #[model(required)]
    name: String,
    volume: u32,
    #[model(default = "dark")]
    theme: String,
    #[model(default = "Vec::new")]
    tags: Vec<String>,
    note: Option<String>,
    body: Text,
    count: Counter,
    window: Window,
    mode: Mode,
}

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Window {
    width: u32,
    corner: Corner,
}

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Corner(i32, i32);

#[crate::model]
#[derive(Debug, Default, PartialEq)]
enum Mode {
    #[default]
    Quiet,
    Loud {
        #[model(default = "eleven")]
        level: u8,
    },
}

fn dark() -> String {
    "dark".to_owned()
}

fn eleven() -> u8 {
    11
}

#[test]
fn a_struct_with_new_fields_reads_an_old_document() {
    let read: Settings = from_document(&document(json!({"name": "x"}))).unwrap();
    let expected = Settings {
        name: "x".into(),
        volume: 0,
        theme: "dark".into(),
        tags: vec![],
        note: None,
        body: Text::new(),
        count: Counter::new(0),
        window: Window::default(),
        mode: Mode::Quiet,
    };
    assert_eq!(read, expected);
    let null = json!({"name": "x", "volume": null, "theme": null, "note": null, "body": null, "window": null});
    assert_eq!(from_document::<Settings, _>(&document(null)).unwrap(), expected, "null reads as absent");
    let present = json!({"name": "x", "theme": "light", "mode": {"Loud": {}}, "window": {"corner": [1]}});
    let read: Settings = from_document(&document(present)).unwrap();
    assert_eq!((read.theme.as_str(), read.mode), ("light", Mode::Loud { level: 11 }));
    assert_eq!(read.window.corner, Corner(1, 0), "an absent element reads as its default, too");
}

#[test]
fn unknown_fields_elements_and_keys_are_passed_over() {
    let newer = json!({"name": "x", "new": {"a": 1}, "window": {"width": 2, "new": [1]}, "mode": {"Loud": {"new": 1}}});
    let read: Settings = from_document(&document(newer)).unwrap();
    assert_eq!((read.window.width, read.mode), (2, Mode::Loud { level: 11 }));
}

fn error<T: Hydrate + std::fmt::Debug>(content: serde_json::Value) -> (FromDocumentError, String) {
    let error = from_document::<T, _>(&document(content)).unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[test]
fn errors_name_the_place_and_the_kinds_and_no_content() {
    let (error, text) = self::error::<Settings>(json!({}));
    assert!(matches!(error, FromDocumentError::Missing { .. }));
    assert_eq!(text, "name is missing, and its type `String` needs a value");

    let (_, text) = self::error::<Settings>(json!({"name": "x", "window": {"width": "secret"}}));
    assert_eq!(text, "window.width holds a string, which does not fit `u32`");

    let (_, text) = self::error::<Settings>(json!({"name": "x", "tags": ["a", 5]}));
    assert_eq!(text, "tags[1] holds an integer, which does not fit `Vec<String>`");

    let (_, text) = self::error::<Settings>(json!({"name": "x", "volume": -1}));
    assert_eq!(text, "volume holds an integer, which does not fit `u32`");

    let (_, text) = self::error::<Settings>(json!({"name": {"$text": "x"}}));
    assert_eq!(text, "name holds a text, which does not fit `String`");
}

#[crate::model]
#[derive(Debug, Default)]
struct Book {
    contacts: HashMap<String, Contact>,
    state: Status,
}

#[crate::model]
#[derive(Debug, Default)]
struct Contact {
    #[model(required)]
    phones: Vec<String>,
}

#[crate::model]
#[derive(Debug, Default)]
enum Status {
    #[default]
    Open,
    Closed(String),
}

#[test]
fn free_keys_are_content_and_stay_out_of_errors() {
    let (_, text) = error::<Book>(json!({"contacts": {"ann@example.org": {"phones": ["1", true]}}}));
    assert_eq!(text, "contacts.*.phones[1] holds a boolean, which does not fit `Vec<String>`");
    let (_, text) = error::<Book>(json!({"contacts": {"ann@example.org": {}}}));
    assert_eq!(text, "contacts.*.phones is missing, and its type `Vec<String>` needs a value");
}

#[test]
fn an_unknown_variant_names_the_enum_and_the_known_ones() {
    for content in [json!({"state": "Secret"}), json!({"state": {"Secret": 1}})] {
        let (error, text) = error::<Book>(content);
        assert!(matches!(error, FromDocumentError::UnknownVariant { .. }), "{text}");
        assert_eq!(text, "state is a variant that is not known here: expected one of the variants Open, Closed");
    }
    let (_, text) = error::<Book>(json!({"state": {"Closed": 5}}));
    assert_eq!(text, "state.Closed holds an integer, which does not fit `String`");
    let read: Book = from_document(&document(json!({"state": {"Closed": "x"}}))).unwrap();
    assert!(matches!(read.state, Status::Closed(reason) if reason == "x"));
}

#[crate::model]
#[derive(Debug, PartialEq)]
enum Open {
    Known(u8),
    #[model(other)]
    Other,
}

#[crate::model]
#[derive(Debug)]
struct WithOther {
    #[model(required)]
    one: Open,
    #[model(required)]
    two: Open,
    #[model(required)]
    three: Open,
}

#[test]
fn a_variant_marked_other_stands_for_those_of_newer_versions() {
    let content = json!({"one": "Newer", "two": {"Newest": {"a": 1}}, "three": {"Known": 1}});
    let read: WithOther = from_document(&document(content)).unwrap();
    assert_eq!((read.one, read.two, read.three), (Open::Other, Open::Other, Open::Known(1)));
}

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Numbers {
    unsigned: u16,
    signed: i64,
    float: f64,
    list: Vec<u64>,
    free: HashMap<String, i32>,
    maybe: Option<u8>,
    models: Vec<Number>,
    counter: Counter,
    moment: Timestamp,
    text: Text,
}

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Number {
    value: u32,
}

#[test]
fn a_number_reads_as_its_type_asks_for_whoever_wrote_it() {
    use automerge::{ObjType, ROOT, ScalarValue, transaction::Transactable};
    let mut document = document(json!({"text": "as a string"}));
    document.put(ROOT, "unsigned", ScalarValue::Int(1)).unwrap();
    document.put(ROOT, "signed", ScalarValue::Uint(2)).unwrap();
    document.put(ROOT, "float", ScalarValue::Int(3)).unwrap();
    document.put(ROOT, "maybe", ScalarValue::F64(4.0)).unwrap();
    document.put(ROOT, "counter", ScalarValue::Uint(5)).unwrap();
    document.put(ROOT, "moment", ScalarValue::Uint(6)).unwrap();
    let list = document.put_object(ROOT, "list", ObjType::List).unwrap();
    for (index, value) in [ScalarValue::Int(1), ScalarValue::Uint(2), ScalarValue::F64(3.0)].into_iter().enumerate() {
        document.insert(&list, index, value).unwrap();
    }
    let free = document.put_object(ROOT, "free", ObjType::Map).unwrap();
    document.put(&free, "a", ScalarValue::Uint(1)).unwrap();
    document.put(&free, "b", ScalarValue::Int(-1)).unwrap();
    let models = document.put_object(ROOT, "models", ObjType::List).unwrap();
    for index in 0..3 {
        let model = document.insert_object(&models, index, ObjType::Map).unwrap();
        document.put(&model, "value", ScalarValue::Int(7)).unwrap();
    }
    let read: Numbers = from_document(&document).unwrap();
    let expected = Numbers {
        unsigned: 1,
        signed: 2,
        float: 3.0,
        list: vec![1, 2, 3],
        free: HashMap::from([("a".into(), 1), ("b".into(), -1)]),
        maybe: Some(4),
        models: (0..3).map(|_| Number { value: 7 }).collect(),
        counter: Counter::new(5),
        moment: Timestamp::from_millis(6),
        text: "as a string".into(),
    };
    assert_eq!(read, expected);

    document.put(ROOT, "unsigned", ScalarValue::F64(1.5)).unwrap();
    let error = from_document::<Numbers, _>(&document).unwrap_err().to_string();
    assert_eq!(error, "unsigned holds a floating-point number, which does not fit `u16`");
}

#[derive(Debug)]
struct ByHand(String);

impl Hydrate for ByHand {
    fn hydrate_string(text: &str) -> Result<Self, HydrateError> {
        match text {
            "good" => Ok(Self(text.to_owned())),
            other => Err(HydrateError::unexpected("something good", other.to_owned())),
        }
    }
}

impl autosurgeon::Reconcile for ByHand {
    type Key<'a> = autosurgeon::reconcile::NoKey;
    fn reconcile<R: autosurgeon::Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        reconciler.str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, autosurgeon::Hydrate, autosurgeon::Reconcile)]
struct Derived {
    name: String,
}

crate::surgical_field!(ByHand, Derived);

#[crate::model]
#[derive(Debug)]
struct WithForeign {
    #[model(required)]
    hand: ByHand,
    #[model(required)]
    derived: Derived,
}

#[test]
fn types_of_autosurgeon_by_hand_and_by_derive_are_fields() {
    let content = json!({"hand": "good", "derived": {"name": "x"}});
    let read: WithForeign = from_document(&document(content.clone())).unwrap();
    assert_eq!((read.hand.0.as_str(), read.derived.name.as_str()), ("good", "x"));
    assert_eq!(tagged(&read), content);
    let (_, text) = error::<WithForeign>(json!({"hand": "a secret", "derived": {"name": "x"}}));
    assert_eq!(text, "hand holds a string, which does not fit `ByHand`", "what the type found is not repeated");
    let (_, text) = error::<WithForeign>(json!({"hand": "good", "derived": {"name": 5}}));
    assert_eq!(text, "derived.name holds an integer, which does not fit `Derived`");
}

#[test]
fn of_variants_left_by_concurrent_edits_the_one_written_last_is_read_on_every_device() {
    use automerge::{ObjType, ROOT, ReadDoc, transaction::Transactable};
    let mut one = document(json!({"three": {"Known": 1}, "one": "x", "two": "x"}));
    let map = one.get(ROOT, "three").unwrap().unwrap().1;
    let mut two = one.fork();
    one.put_object(&map, "Elsewhere", ObjType::Map).unwrap();
    two.put(&map, "Known", 2_u64).unwrap();
    two.put(&map, "Known", 3_u64).unwrap();
    one.merge(&mut two).unwrap();
    two.merge(&mut one).unwrap();
    for merged in [&one, &two] {
        let read: Both = from_document(merged).unwrap();
        assert_eq!(read.three, Pick::Known(3));
    }
    two.delete(&map, "Elsewhere").unwrap();
    two.put(&map, "Elsewhere", 5_u64).unwrap();
    assert_eq!(from_document::<Both, _>(&two).unwrap().three, Pick::Elsewhere(5), "a later edit is seen");
}

#[crate::model]
#[derive(Debug)]
struct Both {
    #[model(required)]
    three: Pick,
}

#[crate::model]
#[derive(Debug, PartialEq)]
enum Pick {
    Known(u8),
    Elsewhere(u8),
}

#[crate::model]
#[derive(Debug, Default)]
struct Nested {
    name: String,
    inner: Box<Option<Nested>>,
}

#[test]
fn a_deep_model_that_does_not_fit_is_refused_in_time_for_its_depth() {
    let nested = |innermost| (0..40).fold(innermost, |inner, _| json!({"name": "x", "inner": inner}));
    let mut read: Nested = from_document(&document(nested(json!(null)))).unwrap();
    let depth = std::iter::from_fn(|| std::mem::take(&mut *read.inner).map(|inner| read = inner)).count();
    assert_eq!(depth, 39);
    let (_, text) = error::<Nested>(nested(json!({"name": 5})));
    assert!(text.ends_with("inner.name holds an integer, which does not fit `String`"), "{text}");
}

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Mixed {
    pair: Pair,
    pairs: Vec<Pair>,
    either: Quantity,
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Pair(u8, i32, f64);

#[crate::model]
#[derive(Debug, Default, PartialEq)]
enum Quantity {
    #[default]
    None,
    Of(i16, u16),
}

#[test]
fn a_tuple_of_several_kinds_of_numbers_reads_from_plain_ones() {
    let replica = crate::Replica::open_in_memory().unwrap();
    let mixed = replica.create_space("home").unwrap().collection::<Mixed>("mixed").unwrap();
    let content = json!({"pair": [1, 2, 3], "pairs": [[1, -2, 3], [4, 5, 6.5]], "either": {"Of": [7, 8]}});
    let id = mixed.json().insert(&content).unwrap();
    let expected =
        Mixed { pair: Pair(1, 2, 3.0), pairs: vec![Pair(1, -2, 3.0), Pair(4, 5, 6.5)], either: Quantity::Of(7, 8) };
    assert_eq!(mixed.read(id).unwrap(), expected);
}
