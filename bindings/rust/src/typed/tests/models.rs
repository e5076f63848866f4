//! What a model is in a document.

use super::{document, json, tagged};
use crate::typed::{Bytes, Counter, Text, Timestamp, from_document};
use std::collections::{BTreeMap, HashMap};

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Everything {
    text: Text,
    counter: Counter,
    moment: Timestamp,
    bytes: Bytes,
    string: String,
    yes: bool,
    small: u8,
    negative: i16,
    float: f64,
    list: Vec<String>,
    maybe: Option<u32>,
    inner: Inner,
    free: HashMap<String, Inner>,
    ordered: BTreeMap<String, u32>,
    boxed: Box<Inner>,
    r#type: String,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Inner {
    name: String,
}

#[test]
fn every_kind_of_field_survives_the_document() {
    let content = json!({
        "text": {"$text": "naïve 🙂"},
        "counter": {"$counter": -3},
        "moment": {"$timestamp": 1_700_000_000_000_i64},
        "bytes": {"$bytes": "00ff"},
        "string": "é",
        "yes": true,
        "small": 200,
        "negative": -5,
        "float": 0.5,
        "list": ["a", "b"],
        "maybe": 7,
        "inner": {"name": "in"},
        "free": {"a key": {"name": "free"}},
        "ordered": {"x": 1},
        "boxed": {"name": "box"},
        "type": "raw",
    });
    let read: Everything = from_document(&document(content.clone())).unwrap();
    assert_eq!(read.text, "naïve 🙂");
    assert_eq!((read.counter.value(), read.moment.as_millis(), &*read.bytes), (-3, 1_700_000_000_000, &[0, 255][..]));
    assert_eq!((read.maybe, read.r#type.as_str(), read.boxed.name.as_str()), (Some(7), "raw", "box"));
    assert_eq!(tagged(&read), content);
}

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Pair(String, u8);

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Wrapper(String);

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Wrappers {
    pair: Pair,
    name: Wrapper,
    maybe: Option<Wrapper>,
    text: WrappedText,
    empty: Empty,
}

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct WrappedText(Text);

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Empty {}

#[test]
fn a_tuple_is_a_list_and_a_newtype_its_inner_value() {
    let content = json!({"pair": ["a", 1], "name": "b", "maybe": "c", "text": {"$text": "d"}, "empty": {}});
    let read: Wrappers = from_document(&document(content.clone())).unwrap();
    assert_eq!(read.pair, Pair("a".into(), 1));
    assert_eq!((read.name.0.as_str(), read.maybe.as_ref().map(|name| name.0.as_str())), ("b", Some("c")));
    assert_eq!(tagged(&read), content);
}

/// A newtype over a whole model can be the root of an entity.
#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Root(Inner);

#[test]
fn a_newtype_over_a_model_is_that_model_at_the_root() {
    let read: Root = from_document(&document(json!({"name": "x"}))).unwrap();
    assert_eq!(read.0.name, "x");
}

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Nothing,
    Circle(u32),
    Line(u32, String),
    Polygon {
        #[model(rename = "corner-count")]
        corners: u32,
        label: Text,
    },
}

#[crate::model]
#[derive(Debug, PartialEq)]
struct Drawing {
    #[model(required)]
    shapes: Vec<Shape>,
}

#[test]
fn variants_without_data_are_strings_and_others_maps_of_their_name() {
    let content = json!({"shapes": [
        "Nothing",
        {"Circle": 3},
        {"Line": [1, "dotted"]},
        {"Polygon": {"corner-count": 6, "label": {"$text": "hexagon"}}},
    ]});
    let read: Drawing = from_document(&document(content.clone())).unwrap();
    assert_eq!(read.shapes[1], Shape::Circle(3));
    assert_eq!(read.shapes[3], Shape::Polygon { corners: 6, label: "hexagon".into() });
    assert_eq!(tagged(&read), content);
}

#[crate::model(rename_all = "camelCase")]
#[derive(Debug, Default, PartialEq)]
struct Named {
    due_date: String,
    #[model(rename = "the id")]
    identity: u8,
    state: State,
}

#[crate::model(rename_all = "kebab-case")]
#[derive(Debug, Default, PartialEq)]
enum State {
    #[default]
    InProgress,
    #[model(rename = "finished")]
    Done,
    WaitingFor {
        some_one: String,
    },
}

#[test]
fn names_in_the_document_are_those_asked_for() {
    let named = Named { due_date: "today".into(), identity: 1, state: State::WaitingFor { some_one: "me".into() } };
    let content = json!({"dueDate": "today", "the id": 1, "state": {"waiting-for": {"some_one": "me"}}});
    assert_eq!(tagged(&named), content);
    assert_eq!(from_document::<Named, _>(&document(content)).unwrap(), named);
    assert_eq!(tagged(&Named::default())["state"], "in-progress");
    assert_eq!(tagged(&Named { state: State::Done, ..Named::default() })["state"], "finished");
}

#[crate::model(rename_all = "PascalCase")]
#[derive(Default)]
struct Pascal {
    two_words: u8,
}

#[crate::model(rename_all = "SCREAMING_SNAKE_CASE")]
#[derive(Default)]
struct Screaming {
    two_words: u8,
}

#[crate::model(rename_all = "lowercase")]
enum Lower {
    TwoWords,
}

#[crate::model(rename_all = "snake_case")]
enum Snake {
    TwoWords,
}

#[test]
fn every_case_is_spelt_as_its_name() {
    assert_eq!(tagged(&Pascal::default()), json!({"TwoWords": 0}));
    assert_eq!(tagged(&Screaming::default()), json!({"TWO_WORDS": 0}));
    assert_eq!(tagged(&Lower::TwoWords), json!("twowords"));
    assert_eq!(tagged(&Snake::TwoWords), json!("two_words"));
}

#[crate::model]
#[derive(Debug, Default, PartialEq)]
struct Generic<T, const LENGTH: usize = 1> {
    one: T,
    many: Vec<T>,
    children: Vec<Generic<T, LENGTH>>,
}

#[crate::model]
#[derive(Debug, PartialEq)]
enum Either<L, R>
where
    L: Clone,
{
    Left(L),
    Right { value: R },
}

#[test]
fn generic_and_recursive_models_are_models() {
    let content = json!({"one": 1, "many": [2], "children": [{"one": 3, "many": [], "children": []}]});
    let read: Generic<u8> = from_document(&document(content.clone())).unwrap();
    assert_eq!(read.children[0].one, 3);
    assert_eq!(tagged(&read), content);
    let right: Either<String, u8> = from_document(&document(json!({"Right": {"value": 4}}))).unwrap();
    assert_eq!(right, Either::Right { value: 4 });
    assert_eq!(tagged(&Either::<_, u8>::Left("x".to_owned())), json!({"Left": "x"}));
}

/// A generic element with a key of the generic type.
#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Keyed<K: Default> {
    #[model(key)]
    key: K,
    value: u8,
}

#[test]
fn a_key_can_be_generic() {
    assert_eq!(tagged(&vec![Keyed { key: "a".to_owned(), value: 1 }]), json!([{"key": "a", "value": 1}]));
}

mod derives_around {
    //! The attribute stands with other derives in any order, and with their own attributes.

    use super::{json, tagged};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Serialize)]
    #[crate::model]
    #[derive(PartialEq, Default, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Above {
        #[serde(default)]
        #[model(key, rename = "k")]
        key: String,
        /// A documented field.
        #[model(required)]
        value: u8,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[crate::model]
    enum AboveEnum {
        #[model(rename = "a")]
        #[serde(rename = "b")]
        Unit,
        #[serde(rename = "c")]
        Data {
            #[model(rename = "d")]
            field: u8,
        },
    }

    #[test]
    fn serde_and_model_keep_their_own_names() {
        let above = Above { key: "x".into(), value: 1 };
        assert_eq!(tagged(&above), json!({"k": "x", "value": 1}));
        assert_eq!(serde_json::to_value(&above).unwrap(), json!({"KEY": "x", "VALUE": 1}));
        assert_eq!(tagged(&AboveEnum::Unit), json!("a"));
        assert_eq!(serde_json::to_value(AboveEnum::Unit).unwrap(), json!("b"));
        assert_eq!(tagged(&AboveEnum::Data { field: 2 }), json!({"Data": {"d": 2}}));
    }
}

mod without_imports {
    //! The generated code finds its way where nothing is in scope and common names mean something else.

    #[allow(dead_code)]
    struct Result;
    #[allow(dead_code)]
    struct Option;
    #[allow(dead_code)]
    struct String;

    #[crate::model]
    #[derive(Debug, Default, PartialEq)]
    struct Plain {
        value: ::std::string::String,
    }

    #[test]
    fn a_model_needs_nothing_in_scope() {
        assert_eq!(super::tagged(&Plain { value: "x".into() }), super::json!({"value": "x"}));
    }
}

#[test]
fn the_values_of_fields_have_their_json_forms() {
    assert_eq!(serde_json::to_value(Text::from("ä")).unwrap(), json!("ä"));
    assert_eq!(serde_json::to_value(Counter::new(4)).unwrap(), json!(4));
    assert_eq!(serde_json::to_value(Timestamp::from_millis(5)).unwrap(), json!(5));
    let bytes = Bytes::from(vec![1, 2, 255]);
    assert_eq!(serde_json::to_value(&bytes).unwrap(), json!("0102ff"));
    assert_eq!(serde_json::from_value::<Bytes>(json!("0102fF")).unwrap(), bytes);
    let error = serde_json::from_value::<Bytes>(json!("secret!")).unwrap_err().to_string();
    assert!(error.contains("hexadecimal") && !error.contains("secret"), "{error}");
    assert_eq!(format!("{bytes:?}"), "Bytes(3 bytes)");
}

#[test]
fn bytes_that_the_json_view_wrote_as_digits_are_read() {
    let mut whole = json!({ "bytes": "00ff" });
    let read = |whole: &serde_json::Value| from_document::<OfBytes, _>(&document(whole.clone()));
    assert_eq!(&*read(&whole).unwrap().bytes, &[0, 255]);
    whole["bytes"] = json!("no digits");
    assert!(read(&whole).is_err());
}

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
struct OfBytes {
    bytes: Bytes,
}

#[test]
fn positions_in_a_text_are_code_points() {
    let mut text = Text::from("aé🙂z");
    assert_eq!(text.len(), 4);
    text.splice(2, 1, "ö");
    assert_eq!(text, "aéöz");
    text.splice(4, 0, "!");
    text.splice(0, 1, "");
    assert_eq!(text.to_string(), "éöz!");
    text.splice(3, 100, "");
    text.splice(100, 1, "?");
    text.push_str("𝄞");
    assert_eq!((text.as_str(), text.len()), ("éöz?𝄞", 5));
}

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Node {
    name: String,
    next: Option<Link>,
    other: Option<Box<Node>>,
    newtype: Option<Boxed>,
    inner: Maybe,
    twice: Option<Option<u8>>,
}

type Link = Box<Node>;

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Boxed(Box<Node>);

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Maybe(Option<Link>);

#[crate::model]
#[derive(Debug, Default, Clone, PartialEq)]
struct Holder<T> {
    held: Option<T>,
}

#[test]
fn an_option_of_a_box_reads_however_it_is_written() {
    let node = |name: &str| Node { name: name.into(), ..Node::default() };
    let node = Node {
        next: Some(Box::new(node("a"))),
        other: Some(Box::new(node("b"))),
        newtype: Some(Boxed(Box::new(node("c")))),
        inner: Maybe(Some(Box::new(node("d")))),
        twice: Some(Some(3)),
        ..node("e")
    };
    assert_eq!(from_document::<Node, _>(&document(tagged(&node))).unwrap(), node);
    assert_eq!(from_document::<Node, _>(&document(tagged(&Node::default()))).unwrap(), Node::default());
    let held = Holder { held: Some(Box::new(node)) };
    assert_eq!(from_document::<Holder<Link>, _>(&document(tagged(&held))).unwrap(), held);
}

#[test]
fn a_map_as_an_entity_has_no_mark_of_deletion_among_its_keys() {
    let replica = crate::Replica::open_in_memory().unwrap();
    let prices = replica.create_space("home").unwrap().collection::<BTreeMap<String, u32>>("prices").unwrap();
    let id = prices.insert(&BTreeMap::new()).unwrap();
    assert_eq!(prices.read(id).unwrap(), BTreeMap::new());
    let _ = prices.edit(id, |prices| prices.extend([("bread".to_owned(), 3), ("milk".to_owned(), 2)])).unwrap();
    let _ = prices.delete(id).unwrap();
    let taken = |prices: &mut BTreeMap<String, u32>| assert_eq!(prices.remove("milk"), Some(2));
    let _ = prices.edit(id, taken).unwrap();
    assert_eq!(prices.read(id).unwrap(), BTreeMap::from([("bread".to_owned(), 3)]));
    assert_eq!(prices.ids().unwrap(), [], "it is still deleted");
    let _ = prices.restore(id).unwrap();
    assert_eq!(prices.read(id).unwrap().len(), 1);
}
