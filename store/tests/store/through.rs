//! Queries, indexes and full text by the names of a newer version, which sees documents through lenses.

use crate::help::*;
use afield_core::document::Value;
use afield_core::lens::{Lens, Lenses};
use afield_core::{Collection, EntityId};
use afield_store::{
    Aggregate, Arrival, Direction, EntityWrite, FieldPath, NewChange, Projection, Query, QueryError, QueryValue,
    Search, Store,
};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

/// The collections of one and the same entities: as documents hold them, and as the newest version shows them.
const STORED: &str = "stored";
const SHOWN: &str = "shown";

fn write(store: &mut Store, collection: &str, id: u16, value: &Value) {
    let collection: Collection = collection.parse().unwrap();
    let bytes = bytes(u32::from(id));
    let changes = [NewChange { hash: hash(u32::from(id)), bytes: &bytes, arrival: Arrival::Applied }];
    let projection = Projection { json: value.to_json().to_string(), deleted: false, updated_ms: AT_MS };
    let (space, entity) = (space(1), entity(id));
    let write =
        EntityWrite { space, entity, collection: &collection, changes: &changes, projection: Some(&projection) };
    let _ = store.append(&[write], AT_MS).unwrap();
}

/// The two collections; which entity is which is told by the last three digits of its number.
fn store_of(lenses: &Lenses, documents: &[Value]) -> Store {
    let mut store = two_spaces();
    for (document, id) in documents.iter().zip(1..) {
        write(&mut store, STORED, id, document);
        write(&mut store, SHOWN, 1_000 + id, &lenses.forward(document));
    }
    store
}

fn asked(collection: &str, lenses: Option<&Lenses>) -> Query {
    Query::all(space(1), collection.parse().unwrap()).through(lenses.cloned().map(Arc::new))
}

fn number(id: EntityId) -> u16 {
    u16::from_be_bytes(id.as_bytes()[..2].try_into().unwrap()) % 1_000
}

fn tasks() -> Lenses {
    let state = Lens::convert("done", "state", [(false, "open"), (true, "closed")], false, "open");
    Lenses::oldest(1)
        .version(2, [Lens::rename("title", "name"), state, Lens::wrap("owner", "owners"), Lens::remove("colour")])
        .and_then(|lenses| {
            let inside = Lens::inside("at", [Lens::rename("zip", "code"), Lens::add("floor", 0)]);
            let each = Lens::each("steps", [Lens::rename("what", "text")]);
            lenses.version(3, [Lens::add("mood", 3), inside, each])
        })
        .unwrap()
}

fn documents() -> Vec<Value> {
    let documents = [
        json!({"title": "Milk", "done": false, "owner": "Ada", "owners": ["Ben"], "colour": "red", "at": {"zip": "80"}}),
        json!({"title": "Bread", "done": true, "mood": 5, "at": {"zip": "90", "floor": 2}, "steps": [{"what": "go"}]}),
        json!({"title": "Käse", "done": false, "state": "waiting", "owner": null, "mood": null, "at": "nowhere"}),
        json!({"title": "Eggs", "done": "perhaps", "state": "waiting", "owners": "Cleo", "name": "nobody's"}),
        json!({}),
    ];
    documents.iter().map(Value::from_json).collect()
}

#[test]
fn fields_have_the_names_and_the_values_of_the_newest_version() {
    let lenses = tasks();
    let store = store_of(&lenses, &documents());
    let found = |text: &str| -> Vec<u16> {
        let query = asked(STORED, Some(&lenses)).matching(text, &[]).unwrap();
        store.reader().query(&query).unwrap().iter().map(|found| number(found.entity)).collect()
    };
    for (text, expected) in [
        ("name LIKE 'm%'", &[1][..]),
        ("state = 'open'", &[1, 4]),
        ("state = 'closed'", &[2]),
        ("state = 'waiting'", &[3]),
        ("state IS NULL", &[5]),
        ("mood = 3", &[1, 4, 5]),
        ("mood IS NULL", &[3]),
        ("at.code = '80'", &[1]),
        ("at.floor = 0", &[1]),
        ("at.floor > 0", &[2]),
        ("contains(owners, 'Ben')", &[1]),
        ("owners = '[\"Cleo\"]'", &[4]),
        ("json_array_length(owners) = 0", &[3]),
        ("owners IS NULL", &[2, 5]),
        ("json_array_length(steps) = 1", &[2]),
        ("steps IS NOT NULL AND NOT contains(steps, 'go')", &[2]),
        ("at IS NOT NULL AND typeof(at) = 'text'", &[1, 2, 3]),
        ("(at) IS NOT NULL AND typeof(((at))) = 'text'", &[1, 2, 3]),
        ("json_array_length((steps)) = 1", &[2]),
        ("name > 'E' AND state = 'open' AND mood + 1 = 4", &[1, 4]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
    let ordered = |field: &str| -> Vec<u16> {
        let query = asked(STORED, Some(&lenses));
        let field = query.field(field).unwrap();
        let query = query.order_by(field, Direction::Descending);
        store.reader().query(&query).unwrap().iter().map(|found| number(found.entity)).collect()
    };
    assert_eq!(ordered("name"), [1, 3, 4, 2, 5]);
    assert_eq!(ordered("mood"), [2, 5, 4, 1, 3]);
    let query = asked(STORED, Some(&lenses));
    let sum = store.reader().aggregate(&query, Aggregate::Sum, &query.field("mood").unwrap()).unwrap();
    assert_eq!(sum, QueryValue::Integer(14));
}

#[test]
fn a_name_of_an_older_version_is_an_error_that_says_what_it_is_now() {
    let lenses = tasks();
    let store = store_of(&lenses, &documents());
    let words = |text: &str, known: Option<&[&str]>| {
        let known = known.map(|known| known.iter().map(|name| (*name).to_owned()).collect());
        let query = asked(STORED, Some(&lenses)).with_known_fields(known).matching(text, &[]).unwrap();
        store.reader().query(&query).unwrap_err().to_string()
    };
    let meant =
        |old: &str, new: &str| format!("there is no field \"{old}\" (line 1, column 1); did you mean \"{new}\"?");
    for known in [None, Some(&["name", "state", "owners", "mood", "at"][..])] {
        assert_eq!(words("title = 'Milk'", known), meant("title", "name"));
        assert_eq!(words("done = 1", known), meant("done", "state"));
        assert_eq!(words("owner = 'Ada'", known), meant("owner", "owners"));
        assert_eq!(words("at.zip = '80'", known), meant("at.zip", "at.code"), "within a map, too");
        assert_eq!(words("nane = 'Milk'", known), meant("nane", "name"), "of the declared version");
        assert_eq!(words("colour = 'red'", known), "there is no field \"colour\" (line 1, column 1)");
    }
    let reshaped = |field: &str| match asked(STORED, Some(&lenses)).field(field).unwrap_err() {
        QueryError::Reshaped { field, .. } => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (reshaped("at"), reshaped("steps"), reshaped("steps.text")),
        ("at".into(), "steps".into(), "steps".into())
    );
}

#[test]
fn an_index_that_other_lenses_made_is_replaced_and_dropped_by_its_name() {
    let table = |other: &'static str| {
        let state = Lens::convert("done", "state", [(false, "open"), (true, other)], false, "open");
        Lenses::oldest(1).version(2, [state]).unwrap()
    };
    let mut store = store_of(&table("closed"), &documents());
    let name: Collection = STORED.parse().unwrap();
    let state = |lenses: &Lenses| [FieldPath::parse("state").unwrap().through(lenses).unwrap()];
    for lenses in [table("closed"), table("done"), table("over")] {
        assert!(store.declare_index(space(1), &name, &state(&lenses)).unwrap().into_inner());
        assert!(!store.declare_index(space(1), &name, &state(&lenses)).unwrap().into_inner(), "the control");
        assert_eq!(store.reader().indexes(space(1), &name).unwrap(), [["state"]], "the one before is gone");
    }
    assert!(store.drop_index(space(1), &name, &[FieldPath::parse("state").unwrap()]).unwrap().into_inner());
    assert!(store.reader().indexes(space(1), &name).unwrap().is_empty());
}

#[test]
fn what_is_declared_by_names_of_the_newest_version_is_used_and_listed() {
    let lenses = tasks();
    let mut store = store_of(&lenses, &documents());
    let name: Collection = STORED.parse().unwrap();
    let field = |text: &str| FieldPath::parse(text).unwrap().through(&lenses).unwrap();
    let mut declare = |fields: &[FieldPath]| store.declare_index(space(1), &name, fields).unwrap().into_inner();
    assert!(declare(&[field("name")]) && declare(&[field("mood"), field("at.code")]) && declare(&[field("state")]));
    assert!(!declare(&[FieldPath::parse("title").unwrap()]), "both versions use one index");
    assert!(declare(&[FieldPath::parse("mood").unwrap()]), "which is without the default");
    let listed = store.reader().indexes(space(1), &name).unwrap();
    assert_eq!(listed, [vec!["title"], vec!["mood", "at.zip"], vec!["state"], vec!["mood"]]);
    for (text, expected) in [("name = 'Milk'", 1), ("mood = 5", 2), ("state = 'closed'", 2)] {
        let query = asked(STORED, Some(&lenses)).matching(text, &[]).unwrap();
        let plan = store.reader().explain(&query).unwrap();
        assert!(plan.iter().any(|step| step.contains("USING INDEX query_")), "{text}: {plan:?}");
        assert!(plan.iter().any(|step| step.contains("SEARCH p")), "{text}: {plan:?}");
        let found = store.reader().query(&query).unwrap();
        assert_eq!(found.iter().map(|found| number(found.entity)).collect::<Vec<_>>(), [expected], "{text}");
    }
    let dropped = store.drop_index(space(1), &name, &[field("mood"), field("at.code")]).unwrap().into_inner();
    assert!(dropped && store.reader().indexes(space(1), &name).unwrap().len() == 3);

    let found = |store: &Store, words: &str| -> Vec<u16> {
        let search = Search::for_words(space(1), name.clone(), words, false);
        store.reader().search(&search).unwrap().iter().map(|hit| number(hit.entity)).collect()
    };
    let fields = [field("name"), field("state"), field("owners")];
    assert!(store.declare_search(space(1), &name, &fields, |_, _| {}).unwrap().into_inner());
    assert!(!store.declare_search(space(1), &name, &fields, |_, _| {}).unwrap().into_inner());
    assert_eq!(store.reader().search_fields(space(1), &name).unwrap().unwrap(), ["title", "state", "owners"]);
    assert_eq!((found(&store, "milk"), found(&store, "closed"), found(&store, "cleo")), (vec![1], vec![2], vec![4]));
    write(&mut store, STORED, 9, &Value::from([("done", true.into()), ("owner", "Dora".into())]));
    assert_eq!((found(&store, "closed dora"), found(&store, "nobody")), (vec![9], vec![]));
    let expression = Search::for_expression(space(1), name.clone(), "title : milk");
    assert_eq!(store.reader().search(&expression).unwrap().len(), 1);
    let _ = store.rebuild_declared(|_, _| {}).unwrap();
    assert_eq!(found(&store, "closed dora"), [9]);
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e f"];

fn any_leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        prop::sample::select(vec![0.5, -1.0, 1e300]).prop_map(Value::from),
        prop::sample::select(vec!["", "x", "it's", "\"\\ü\u{1}\u{7f}", "null", "[]", "1"]).prop_map(Value::from),
    ]
}

fn any_map() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
    let nested = any_leaf().prop_recursive(2, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            prop::collection::btree_map(name(), inner, 0..4).prop_map(Value::Map),
        ]
    });
    prop::collection::btree_map(name(), nested, 0..5).prop_map(Value::Map)
}

fn any_lenses() -> impl Strategy<Value = Lenses> {
    let name = || prop::sample::select(NAMES.to_vec());
    let table = || prop::collection::vec((any_leaf(), any_leaf()), 1..4);
    let flat = prop_oneof![
        (name(), name()).prop_map(|(from, to)| Lens::rename(from, to)),
        (name(), prop_oneof![any_leaf(), any_map()]).prop_map(|(field, default)| Lens::add(field, default)),
        name().prop_map(Lens::remove),
        (name(), name()).prop_map(|(from, to)| Lens::wrap(from, to)),
        (name(), name(), table()).prop_map(|(from, to, table)| {
            let (older, newer) = table[0].clone();
            Lens::convert(from, to, table, older, newer)
        }),
    ];
    let step = flat.prop_recursive(2, 6, 2, move |inner| {
        let steps = || prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            3 => inner.clone(),
            2 => (name(), steps()).prop_map(|(field, steps)| Lens::inside(field, steps)),
            1 => (name(), steps()).prop_map(|(field, steps)| Lens::each(field, steps)),
        ]
    });
    prop::collection::vec(step, 1..7).prop_map(|steps| {
        steps.into_iter().zip(2..).fold(Lenses::oldest(1), |lenses, (step, version)| {
            lenses.clone().version(version, [step]).unwrap_or(lenses)
        })
    })
}

/// What a query says, so far as it can be compared: which entities in which order, how many, and figures.
type Answer = (Vec<u16>, u64, QueryValue, Vec<(QueryValue, QueryValue)>);

fn answer(store: &Store, query: Query, text: &str, value: &QueryValue, by: &str) -> Result<Answer, QueryError> {
    let query = query.matching(text, std::slice::from_ref(value))?;
    let by = query.field(by)?;
    let ordered = query.clone().order_by(by.clone(), Direction::Ascending);
    let reader = store.reader();
    let found = reader.query(&ordered)?.iter().map(|found| number(found.entity)).collect();
    let groups = reader.groups(&query, Some(&by), Aggregate::Count, &query.field("_updated_ms")?)?;
    Ok((found, reader.count(&query)?, reader.aggregate(&query, Aggregate::Maximum, &by)?, groups))
}

proptest! {
    #[test]
    fn a_query_through_lenses_answers_what_one_of_the_shown_values_does(
        lenses in any_lenses(),
        documents in prop::collection::vec(any_map(), 1..5),
        keys in prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..4),
        by in prop::sample::select(NAMES.to_vec()),
        condition in prop::sample::select(vec![
            "FIELD = ?", "FIELD < ? OR FIELD IS NULL", "FIELD IS NULL OR ?", "json_array_length(FIELD) = ?", "contains(FIELD, ?)", "has_key(FIELD, ?)", "typeof(FIELD) <> ?",
            "FIELD || '' = ?", "coalesce(json_array_length(FIELD), 0) <> ?",
        ]),
        value in prop_oneof![
            Just(QueryValue::Null), (0..3_i64).prop_map(QueryValue::Integer), Just(QueryValue::Real(0.5)),
            prop::sample::select(vec!["x", "a", "it's", "text", "[]"]).prop_map(|text| QueryValue::Text(text.into())),
        ],
        is_indexed in any::<bool>(),
    ) {
        let mut store = store_of(&lenses, &documents);
        let field: Vec<_> = keys.iter().map(|key| format!("\"{key}\"")).collect();
        let (text, by) = (condition.replace("FIELD", &field.join(".")), format!("\"{by}\""));
        if is_indexed && let Ok(field) = FieldPath::parse(&by).unwrap().through(&lenses) {
            let _ = store.declare_index(space(1), &STORED.parse().unwrap(), &[field]).unwrap();
        }
        let through = answer(&store, asked(STORED, Some(&lenses)), &text, &value, &by);
        let plain = answer(&store, asked(SHOWN, None), &text, &value, &by);
        match (through, plain) {
            (Ok(through), Ok(plain)) => prop_assert_eq!(through, plain, "{}", text),
            // What nobody has is taken for a slip by the one or the other.
            (Err(QueryError::UnknownField { .. } | QueryError::Reshaped { .. }), _) => {}
            (_, Err(QueryError::UnknownField { .. })) => {}
            // Values that no function takes are refused by both.
            (Err(QueryError::NotComputable(_)), Err(QueryError::NotComputable(_))) => {}
            (through, plain) => prop_assert!(false, "{}: {:?}, {:?}", text, through, plain),
        }
    }
}
