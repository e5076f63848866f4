//! Queries, indexes and full text over projections (D9).

use crate::help::*;
use afield_core::{Collection, EntityId};
use afield_store::{
    Aggregate, Arrival, Direction, EntityWrite, FieldPath, NewChange, Origin, Position, Probe, Projection, Query,
    QueryError, QueryValue, RANKED_MAX, Search, Store, Unsent,
};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

fn show(store: &mut Store, id: u16, json: &serde_json::Value) {
    write(store, (1, "notes"), id, json, false);
}

fn write(store: &mut Store, (in_space, collection): (u8, &str), id: u16, json: &serde_json::Value, deleted: bool) {
    let collection: Collection = collection.parse().unwrap();
    let bytes = bytes(u32::from(id));
    let changes = [NewChange { hash: hash(u32::from(id)), bytes: &bytes, arrival: Arrival::Applied }];
    let projection = Projection { json: json.to_string(), deleted, updated_ms: AT_MS + i64::from(id) };
    let (space, entity) = (space(in_space), entity(id));
    let write =
        EntityWrite { space, entity, collection: &collection, changes: &changes, projection: Some(&projection) };
    let _ = store.append(&[write], AT_MS).unwrap();
}

fn all() -> Query {
    Query::all(space(1), notes())
}

fn path(field: &str) -> FieldPath {
    FieldPath::parse(field).unwrap()
}

fn paths(fields: &[&str]) -> Vec<FieldPath> {
    fields.iter().map(|field| path(field)).collect()
}

fn numbers(found: &[afield_store::MatchedEntity]) -> Vec<u16> {
    found.iter().map(|found| number_of(found.entity)).collect()
}

fn number_of(id: EntityId) -> u16 {
    u16::from_be_bytes(id.as_bytes()[..2].try_into().unwrap())
}

fn matching(store: &Store, text: &str, values: &[QueryValue]) -> Vec<u16> {
    numbers(&store.reader().query(&all().matching(text, values).unwrap()).unwrap())
}

fn refused(store: &Store, text: &str) -> QueryError {
    all().matching(text, &[]).and_then(|query| store.reader().query(&query)).unwrap_err()
}

fn shop() -> Store {
    let mut store = two_spaces();
    let stock = [
        json!({"title": "Milk", "price": 3, "done": false, "due": 100, "tags": ["cold", "white"], "at": {"row": 1}}),
        json!({"title": "bread", "price": 2.5, "done": true, "due": null, "tags": [], "at": {"row": 2, "a b": "x"}}),
        json!({"title": "Käse", "price": 7, "done": false, "due": 50, "set": {"urgent": true}, "it's": "quoted\"\\"}),
        json!({"title": "Eggs", "price": 3, "done": true}),
    ];
    for (one, id) in stock.iter().zip(1..) {
        show(&mut store, id, one);
    }
    store
}

#[test]
fn every_operator_means_what_it_means_in_sql() {
    let store = shop();
    for (text, expected) in [
        ("", &[1, 2, 3, 4][..]),
        ("done", &[2, 4]),
        ("NOT done", &[1, 3]),
        ("done = 0", &[1, 3]),
        ("done == TRUE", &[2, 4]),
        ("done IS FALSE", &[1, 3]),
        ("price = 3", &[1, 4]),
        ("price <> 3", &[2, 3]),
        ("price != 3", &[2, 3]),
        ("price < 3", &[2]),
        ("price <= 3 AND price >= 2.6", &[1, 4]),
        ("price > 2.5 OR title = 'bread'", &[1, 2, 3, 4]),
        ("price BETWEEN 2.5 AND 3", &[1, 2, 4]),
        ("price NOT BETWEEN 2.5 AND 3", &[3]),
        ("price IN (7, 2.5, 9)", &[2, 3]),
        ("price NOT IN (7, 2.5)", &[1, 4]),
        ("due IS NULL", &[2, 4]),
        ("due IS NOT NULL", &[1, 3]),
        ("due IS NOT DISTINCT FROM NULL", &[2, 4]),
        ("title LIKE 'm%'", &[1]),
        ("title NOT LIKE '%e%'", &[1]),
        ("title LIKE '%\\%' ESCAPE '\\'", &[]),
        ("title GLOB 'M*'", &[1]),
        ("title < 'a'", &[1, 3, 4]),
        ("title = 'milk' COLLATE NOCASE", &[1]),
        ("price + 1 = 4 AND price * 2 - 6 = 0 AND price / 3 = 1 AND price % 2 = 1", &[1, 4]),
        ("title || '!' = 'Eggs!'", &[4]),
        ("-price = -7", &[3]),
        ("length(title) = 4 AND lower(title) = 'milk'", &[1]),
        ("upper(substr(title, 1, 2)) = 'BR'", &[2]),
        ("trim(' ' || title) = title AND replace(title, 'i', 'u') = 'Mulk'", &[1]),
        ("coalesce(due, 60) = 60", &[2, 4]),
        ("max(price, 5) = 7", &[3]),
        ("CASE WHEN price > 3 THEN 'dear' ELSE 'cheap' END = 'dear'", &[3]),
        ("CAST(price AS INTEGER) = 2", &[2]),
        ("contains(tags, 'cold')", &[1]),
        ("contains(set, TRUE)", &[3]),
        ("json_array_length(tags) = 0", &[2]),
        ("set.urgent", &[3]),
        ("at.row = 2", &[2]),
        ("at.\"a b\" = 'x'", &[2]),
        ("[it's] = 'quoted\"\\'", &[3]),
        ("typeof(price) = 'real'", &[2]),
        ("_updated_ms = 1700000000003", &[3]),
        ("(title)", &[]),
    ] {
        assert_eq!(matching(&store, text, &[]), expected, "{text}");
    }
}

#[test]
fn values_are_bound_and_never_read_as_sql() {
    let store = shop();
    let text = |text: &str| QueryValue::Text(text.to_owned());
    assert_eq!(matching(&store, "price = ? AND title = ?", &[QueryValue::Integer(3), text("Milk")]), [1]);
    assert_eq!(matching(&store, "price = ?", &[QueryValue::Real(2.5)]), [2]);
    let hostile = "' OR 1 = 1 --";
    assert_eq!(matching(&store, "title = ?", &[text(hostile)]), [0_u16; 0]);
}

#[test]
fn what_could_read_or_write_elsewhere_is_refused_or_taken_literally() {
    let mut store = shop();
    write(&mut store, (2, "notes"), 9, &json!({"title": "elsewhere"}), false);
    write(&mut store, (1, "secrets"), 10, &json!({"title": "elsewhere"}), false);
    for text in [
        "1 = 1); DROP TABLE projections; --",
        "done = 0; DELETE FROM changes",
        "EXISTS (SELECT 1 FROM changes)",
        "title IN (SELECT name FROM spaces)",
        "(SELECT count(*) FROM entities) > 0",
        "title = (SELECT 'Milk')",
        "load_extension('x')",
        "random() > 0",
        "randomblob(1000000000)",
        "zeroblob(1000000000)",
        "printf('%1000000000d', 1)",
        "readfile('/etc/passwd') = ''",
        "date('now') > ''",
        "CURRENT_TIMESTAMP > ''",
        "count(*) > 1",
        "sum(price) OVER () > 1",
        "title MATCH 'milk'",
        "title REGEXP 'm'",
        "title -> '$'",
        "x'00' = title",
        "price = ?1",
        "price = :price",
        "price = $1",
        "title = 'a' UNION SELECT 1",
        "a = 1 -- \n) OR 1",
        "'unclosed",
        "\"unclosed",
        "((price = 3)",
        "price = 3)",
        "price =",
        "",
    ] {
        if text.is_empty() {
            continue;
        }
        let error = refused(&store, text);
        let expected = matches!(
            error,
            QueryError::Syntax { .. } | QueryError::NotAllowed { .. } | QueryError::UnknownFunction { .. }
        );
        assert!(expected, "{text}: {error:?}");
    }
    // Names of tables and columns are names of fields that nobody has.
    for text in ["p.json IS NOT NULL", "json IS NOT NULL", "e.entity > 0", "sqlite_schema.sql <> ''", "rowid > 0"] {
        assert_eq!(matching(&store, text, &[]), [0_u16; 0], "{text}");
    }
    let hostile = ["x') OR 1=1 --", "x\"') OR 1=1 --", "$[0]", "\\", "'"];
    for name in hostile {
        let quoted = format!("\"{}\" IS NOT NULL", name.replace('"', "\"\""));
        assert_eq!(matching(&store, &quoted, &[]), [0_u16; 0], "{name}");
        let _ = store.declare_index(space(1), &notes(), &[path(&quoted[..quoted.len() - 12])]).unwrap();
        let _ = store.declare_search(space(1), &notes(), &[path(&quoted[..quoted.len() - 12])], |_, _| {}).unwrap();
        show(&mut store, 20, &json!({ name: "found" }));
        assert_eq!(matching(&store, &quoted, &[]), [20], "{name}");
        let found = store.reader().search(&Search::for_words(space(1), notes(), "found", false)).unwrap();
        assert_eq!(found.len(), 1, "{name}");
        show(&mut store, 20, &json!({}));
    }
    assert!(matching(&store, "title = 'elsewhere'", &[]).is_empty());
    sound(&store);
}

#[test]
fn a_mistake_is_told_with_its_place_and_with_what_was_meant() {
    let store = shop();
    let at = |line, column| Position { line, column };
    for (text, expected) in [
        ("done = 0 AND\n  prise > 3", (at(2, 3), "did you mean \"price\"?")),
        ("titel = 'x'", (at(1, 1), "did you mean \"title\"?")),
        ("price > 3 AND lenght(title) > 3", (at(1, 15), "did you mean \"length\"?")),
        ("price = = 3", (at(1, 9), "cannot be read")),
        ("price = 3 price", (at(1, 11), "cannot be read")),
        ("price >", (at(1, 8), "it ends where something has to follow")),
        ("substr(title) = 'x'", (at(1, 1), "")),
        ("abs(price, 1) = 3", (at(1, 1), "takes 1 argument")),
        ("price = 3 AND EXISTS (SELECT 1)", (at(1, 23), "a subquery cannot stand in a query")),
        ("contains(lower(title), 'x')", (at(1, 10), "a field is needed")),
    ] {
        let error = refused(&store, text);
        let place = error.position().unwrap();
        if !expected.1.is_empty() {
            assert_eq!(place, expected.0, "{text}: {error}");
        }
        assert!(error.to_string().contains(expected.1), "{text}: {error}");
    }
    let wrong = all().matching("price = ? AND done = ?", &[QueryValue::Null]).unwrap_err();
    assert!(matches!(wrong, QueryError::Parameters { expected: 2, given: 1 }), "{wrong}");
    let long = format!("title = '{}'", "x".repeat(20_000));
    assert!(matches!(refused(&store, &long), QueryError::TooLarge { .. }));
    let deep = format!("{}price{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(matches!(refused(&store, &deep), QueryError::TooLarge { .. }));
    let wide = vec!["price = 1"; 1_000].join(" OR ");
    assert!(matches!(refused(&store, &wide), QueryError::TooLarge { .. }));
    assert_eq!(matching(&store, &vec!["price = 7"; 100].join(" OR "), &[]), [3]);
}

#[test]
fn a_field_is_known_by_the_model_or_by_what_entities_have() {
    let store = shop();
    assert_eq!(matching(&store, "owner IS NULL", &[]).len(), 4, "nobody has it yet, and it is like no other");
    let known: Arc<[String]> = ["title", "price", "done"].map(str::to_owned).into();
    let typed = |text| all().with_known_fields(Some(known.clone())).matching(text, &[]).unwrap();
    let error = store.reader().query(&typed("due IS NULL")).unwrap_err();
    assert!(matches!(error, QueryError::UnknownField { nearest: None, .. }), "{error}");
    assert!(store.reader().query(&typed("price = 3")).is_ok());
    let strict = |text| all().with_present_fields().matching(text, &[]).unwrap();
    let error = store.reader().query(&strict("owner IS NULL")).unwrap_err();
    let QueryError::UnknownField { nearest: None, known, .. } = &error else { panic!("{error}") };
    assert!(["done", "price", "title"].iter().all(|name| known.iter().any(|known| known == name)), "{known:?}");
    assert!(store.reader().query(&strict("price = 3")).is_ok());
    let ordered = all().order_by(path("prize"), Direction::Ascending);
    let error = store.reader().query(&ordered).unwrap_err();
    assert!(matches!(error, QueryError::UnknownField { nearest: Some(_), .. }), "{error}");
    assert!(matches!(FieldPath::parse("price + 1"), Err(QueryError::NotAField { .. })));
    for name in ["a", "a.b", "\"a b\".c", "\"a\"\"b\"", "\"1\"", "größe"] {
        assert_eq!(path(name).to_string(), name, "what is written is read back");
    }
}

#[test]
fn orders_limits_counts_and_sums() {
    let store = shop();
    let ordered = |query: Query| numbers(&store.reader().query(&query).unwrap());
    assert_eq!(ordered(all().order_by(path("price"), Direction::Ascending)), [2, 1, 4, 3]);
    assert_eq!(ordered(all().order_by(path("price"), Direction::Descending)), [3, 4, 1, 2]);
    let two = all().order_by(path("done"), Direction::Descending).order_by(path("title"), Direction::Ascending);
    assert_eq!(ordered(two.clone()), [4, 2, 3, 1]);
    assert_eq!(ordered(two.limit(2).offset(1)), [2, 3]);
    assert_eq!(ordered(all().order_by(path("due"), Direction::Ascending).limit(3)), [2, 4, 3], "null comes first");
    let cheap = all().matching("price < ?", &[QueryValue::Integer(5)]).unwrap();
    assert_eq!(store.reader().count(&cheap.clone().limit(1)).unwrap(), 3);
    let of = |aggregate, field| store.reader().aggregate(&cheap, aggregate, &path(field)).unwrap();
    assert_eq!(of(Aggregate::Sum, "price"), QueryValue::Real(8.5));
    assert_eq!(of(Aggregate::Average, "due"), QueryValue::Real(100.0));
    assert_eq!(of(Aggregate::Minimum, "title"), QueryValue::Text("Eggs".into()));
    assert_eq!(of(Aggregate::Maximum, "price"), QueryValue::Integer(3));
    assert_eq!(of(Aggregate::Count, "due"), QueryValue::Integer(1));
    let groups = store.reader().groups(&all(), Some(&path("done")), Aggregate::Sum, &path("price")).unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0], (QueryValue::Integer(0), QueryValue::Integer(10)));
    let mut store = shop();
    for id in [30, 31] {
        show(&mut store, id, &json!({"huge": i64::MAX}));
    }
    let error = store.reader().aggregate(&all(), Aggregate::Sum, &path("huge")).unwrap_err();
    assert!(matches!(error, QueryError::NotComputable(_)), "{error}");
    assert_eq!(store.reader().count(&all()).unwrap(), 6, "the reader goes on");
}

#[test]
fn a_query_that_takes_too_long_is_ended_and_the_next_one_is_not() {
    let mut store = two_spaces();
    for id in 0..300 {
        show(&mut store, id, &json!({"list": (0..100).collect::<Vec<_>>()}));
    }
    let heavy = all().matching("contains(list, -1) OR contains(list, -2)", &[]).unwrap();
    let error = store.reader().query(&heavy.clone().steps_max(20_000)).unwrap_err();
    assert!(matches!(error, QueryError::TooMuchWork { steps: 20_000 }), "{error}");
    assert!(store.reader().query(&heavy).unwrap().is_empty());
}

fn plan(store: &Store, query: &Query) -> String {
    store.reader().explain(query).unwrap().join("; ")
}

#[test]
fn a_declared_index_is_used_and_kept_and_holds_its_collection_alone() {
    let mut store = shop();
    write(&mut store, (2, "notes"), 9, &json!({"due": 50}), false);
    let due = all().matching("due < ?", &[QueryValue::Integer(80)]).unwrap();
    let soonest = all().matching("due IS NOT NULL", &[]).unwrap().order_by(path("due"), Direction::Ascending).limit(1);
    assert!(plan(&store, &due).contains("SEARCH e USING COVERING INDEX entities_listed"), "{}", plan(&store, &due));
    let before = [&due, &soonest].map(|query| store.reader().query(query).unwrap());

    assert!(store.declare_index(space(1), &notes(), &paths(&["due"])).unwrap().into_inner());
    assert!(!store.declare_index(space(1), &notes(), &paths(&["due"])).unwrap().into_inner(), "once is enough");
    assert!(store.declare_index(space(1), &notes(), &paths(&["done", "at.row"])).unwrap().into_inner());
    assert_eq!(store.reader().indexes(space(1), &notes()).unwrap(), [vec!["due"], vec!["done", "at.row"]]);
    assert!(plan(&store, &due).contains("SEARCH p USING INDEX query_1"), "{}", plan(&store, &due));
    let (ordered, both) = (plan(&store, &soonest), all().matching("done = 0 AND at.row > 0", &[]).unwrap());
    assert!(ordered.contains("USING INDEX query_1") && !ordered.contains("TEMP B-TREE"), "{ordered}");
    assert!(plan(&store, &both).contains("USING INDEX query_2 (<expr>=? AND <expr>>?)"), "{}", plan(&store, &both));
    // Whatever is asked for, one of the indexes holds the entities of the collection and no others.
    let other = plan(&store, &all().matching("title = 'x'", &[]).unwrap());
    assert!(other.contains("USING INDEX query_"), "{other}");
    assert_eq!([&due, &soonest].map(|query| store.reader().query(query).unwrap()), before);

    show(&mut store, 1, &json!({"due": 20}));
    write(&mut store, (1, "notes"), 3, &json!({"due": 50}), true);
    show(&mut store, 5, &json!({"due": 60}));
    assert_eq!(numbers(&store.reader().query(&due).unwrap()), [1, 5]);
    assert!(store.drop_index(space(1), &notes(), &paths(&["due"])).unwrap().into_inner());
    assert!(!store.drop_index(space(1), &notes(), &paths(&["due"])).unwrap().into_inner());
    assert_eq!(numbers(&store.reader().query(&due).unwrap()), [1, 5]);
    for number in 0..afield_store::INDEXES_MAX - 1 {
        let _ = store.declare_index(space(1), &notes(), &paths(&[&format!("f{number}")])).unwrap();
    }
    let error = store.declare_index(space(1), &notes(), &paths(&["more"])).unwrap_err();
    assert!(matches!(error, QueryError::TooMany { .. }), "{error}");
    sound(&store);
}

#[test]
fn one_entity_is_probed_along_its_own_row() {
    let mut store = shop();
    let cheap = all().matching("price < 5", &[]).unwrap().order_by(path("price"), Direction::Ascending);
    let probe = |store: &Store, id| store.reader().probe(&cheap, entity(id), false).unwrap();
    let Probe::Matches(found) = probe(&store, 1) else { panic!("it matches") };
    assert!(store.reader().query(&cheap).unwrap().contains(&found));
    assert_eq!((probe(&store, 3), probe(&store, 99)), (Probe::Other, Probe::Other));
    write(&mut store, (1, "notes"), 1, &json!({"price": 3}), true);
    assert_eq!(probe(&store, 1), Probe::Other, "it is deleted");
    write(&mut store, (2, "notes"), 50, &json!({"price": 3}), false);
    assert_eq!(probe(&store, 50), Probe::Other, "it is elsewhere");
    let _ = store.make_projections_stale().unwrap();
    assert_eq!(probe(&store, 2), Probe::Stale);
    assert_eq!(store.reader().stale_of(space(1), &notes()).unwrap().len(), 4);
}

fn found(store: &Store, search: &Search) -> Vec<u16> {
    store.reader().search(search).unwrap().iter().map(|hit| number_of(hit.entity)).collect()
}

fn words(text: &str) -> Search {
    Search::for_words(space(1), notes(), text, false)
}

#[test]
fn search_finds_words_in_the_declared_fields_and_shows_where() {
    let mut store = shop();
    let error = store.reader().search(&words("milk")).unwrap_err();
    assert!(matches!(error, QueryError::NotSearchable { .. }), "{error}");
    show(&mut store, 5, &json!({"title": "List", "at": {"note": "buy milk, more milk and bread"}, "other": "milk"}));
    let mut reports = Vec::new();
    let fields = paths(&["title", "at.note"]);
    assert!(
        store
            .declare_search(space(1), &notes(), &fields, |done, total| reports.push((done, total)))
            .unwrap()
            .into_inner()
    );
    assert_eq!(reports.last(), Some(&(5, 5)));
    assert!(!store.declare_search(space(1), &notes(), &fields, |_, _| {}).unwrap().into_inner());
    assert_eq!(store.reader().search_fields(space(1), &notes()).unwrap().unwrap(), ["title", "at.note"]);
    assert_eq!(found(&store, &words("kase")), [3], "without its accent, in small letters");
    assert_eq!(found(&store, &words("bread milk")), [5], "all words, in any order");
    assert_eq!(found(&store, &words("milk").limit(1)).len(), 1);
    assert_eq!(found(&store, &words("bre")), [0_u16; 0]);
    let mut typing = found(&store, &Search::for_words(space(1), notes(), "bre", true));
    typing.sort_unstable();
    assert_eq!(typing, [2, 5]);
    assert_eq!(found(&store, &Search::for_words(space(1), notes(), "bre ", true)), [0_u16; 0], "the word has ended");
    let hits = store.reader().search(&words("milk")).unwrap();
    assert!(hits.windows(2).all(|two| two[0].score >= two[1].score), "{hits:?}");
    let list = hits.iter().find(|hit| hit.entity == entity(5)).unwrap();
    assert_eq!(list.snippet.marked("<", ">"), "buy <milk>, more <milk> and bread");
    assert_eq!(list.snippet.matches, [4..8, 15..19]);
}

#[test]
fn a_number_that_is_written_another_way_is_found_as_it_reads_now() {
    let mut store = two_spaces();
    let _ = store.declare_search(space(1), &notes(), &paths(&["n", "title"]), |_, _| {}).unwrap();
    let check = |store: &Store, expected: [&[u16]; 4]| {
        assert_eq!(["0", "1", "2", "plan"].map(|word| found(store, &words(word))), expected.map(<[u16]>::to_vec));
    };
    let forms: [(_, [&[u16]; 4]); 4] = [
        (json!({ "n": 1.0, "title": "plan" }), [&[7], &[7], &[], &[7]]),
        (json!({ "n": 1, "title": "plan" }), [&[], &[7], &[], &[7]]),
        (json!({ "n": 2, "title": "plan" }), [&[], &[], &[7], &[7]]),
        (json!({ "n": "2", "title": "plan" }), [&[], &[], &[7], &[7]]),
    ];
    for (number, (note, expected)) in (1_u32..).zip(forms) {
        let bytes = bytes(number);
        let changes = [NewChange { hash: hash(number), bytes: &bytes, arrival: Arrival::Applied }];
        let projection = Projection { json: note.to_string(), deleted: false, updated_ms: AT_MS };
        let (space, entity, collection) = (space(1), entity(7), notes());
        let write =
            EntityWrite { space, entity, collection: &collection, changes: &changes, projection: Some(&projection) };
        let _ = store.append(&[write], AT_MS).unwrap();
        check(&store, expected);
        let _ = store.rebuild_declared(|_, _| {}).unwrap();
        check(&store, expected);
    }
}

#[test]
fn nothing_typed_into_a_search_field_is_an_error_and_an_expression_may_be() {
    let mut store = shop();
    let _ = store.declare_search(space(1), &notes(), &paths(&["title"]), |_, _| {}).unwrap();
    let odd = [
        "",
        " ",
        "\"",
        "\"\"",
        "*",
        "milk*",
        "^milk",
        "AND",
        "OR NOT",
        "NEAR(",
        "title:",
        "-",
        "—",
        "(",
        ")",
        "{",
        "+",
        "milk —",
        "\0",
        "milk\0",
        "'",
        ";",
        "title : milk",
        "😀",
        "\u{fdd0}",
    ];
    for text in odd {
        for is_typing in [false, true] {
            assert!(store.reader().search(&Search::for_words(space(1), notes(), text, is_typing)).is_ok(), "{text:?}");
        }
    }
    assert_eq!(found(&store, &words("— milk -")), [1], "signs mean nothing");
    let expression = |text| store.reader().search(&Search::for_expression(space(1), notes(), text));
    assert_eq!(expression("milk OR bread").unwrap().len(), 2);
    assert_eq!(expression("title : mil*").unwrap().len(), 1);
    for text in ["milk AND", "\"milk", "nothing : milk", "NEAR(", "*"] {
        let error = expression(text).unwrap_err();
        assert!(matches!(error, QueryError::SearchSyntax), "{text}: {error:?}");
    }
}

#[test]
fn of_very_many_that_fit_the_best_of_the_last_are_shown_first_and_all_without_a_limit() {
    let mut store = two_spaces();
    let _ = store.declare_search(space(1), &notes(), &paths(&["body"]), |_, _| {}).unwrap();
    let many = u16::try_from(RANKED_MAX).unwrap();
    // A short text with the word fits better than a long one.
    let body = |number: u16| if number % 250 == 1 { "milk" } else { "milk and bread and tea and more of that" };
    for number in 1..=many + 1 {
        let value = json!({ "body": body(number) });
        write(&mut store, (1, "notes"), number, &value, false);
    }
    let best = |search: Search, count: usize| {
        let mut best = found(&store, &search.limit(20))[..count].to_vec();
        best.sort_unstable();
        best
    };
    assert_eq!(best(words("milk"), 4), [251, 501, 751, 1_001], "number 1 came first of all");
    let pages: Vec<u16> = (0..6).flat_map(|page| found(&store, &words("milk").limit(200).offset(page * 200))).collect();
    assert_eq!((pages.len(), pages.last()), (usize::from(many) + 1, Some(&1)), "the others come after them");
    assert_eq!(pages.iter().collect::<BTreeSet<_>>().len(), pages.len(), "and nothing twice");
    assert_eq!(best(Search::for_expression(space(1), notes(), "milk"), 5), [1, 251, 501, 751, 1_001]);
    assert_eq!(found(&store, &words("milk")).len(), usize::from(many) + 1);
    assert_eq!(found(&store, &words("milk").limit(5_000)).len(), usize::from(many) + 1);
    assert_eq!(found(&store, &words("bread").limit(1).offset(255)).len(), 1);
}

#[test]
fn full_text_follows_every_change_and_keeps_nothing_of_what_is_gone() {
    let mut store = two_spaces();
    let _ = store.declare_search(space(1), &notes(), &paths(&["body"]), |_, _| {}).unwrap();
    let _ = store.declare_index(space(1), &notes(), &paths(&["body"])).unwrap();
    write(&mut store, (1, "tasks"), 7, &json!({"body": "zebra"}), false);
    write(&mut store, (2, "notes"), 8, &json!({"body": "zebra"}), false);
    show(&mut store, 1, &json!({"body": "zebra crossing"}));
    assert_eq!(found(&store, &words("zebra")), [1]);
    show(&mut store, 1, &json!({"body": "crossing", "done": true}));
    assert_eq!((found(&store, &words("zebra")), found(&store, &words("crossing"))), (vec![], vec![1]));
    show(&mut store, 1, &json!({"body": "xylophone"}));
    write(&mut store, (1, "notes"), 1, &json!({"body": "xylophone"}), true);
    assert_eq!(found(&store, &words("xylophone")), [0_u16; 0], "deleted");
    let held = |store: &mut Store, word: &str| {
        let mut count = 0_i64;
        store.tamper(|connection| {
            let sql = "SELECT count(*) FROM search_1_data WHERE instr(block, CAST(? AS BLOB))";
            count = connection.query_row(sql, [word], |row| row.get(0)).unwrap();
        });
        count
    };
    show(&mut store, 2, &json!({"body": "quagmire"}));
    assert!(held(&mut store, "quagmire") > 0, "the look at its segments can see a word");
    for gone in ["zebra", "crossing", "xylophone"] {
        assert_eq!(held(&mut store, gone), 0, "{gone} is not in its segments any more");
    }
    write(&mut store, (1, "notes"), 1, &json!({"body": "xylophone"}), false);
    assert_eq!(found(&store, &words("xylophone")), [1], "restored");
    sound(&store);
    let _ = store.leave_space(space(1), Unsent::Discard).unwrap();
    store.tamper(|connection| {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'search#_1%' ESCAPE '#' OR name LIKE 'query#_1' ESCAPE '#'";
        assert_eq!(connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    });
    assert!(store.reader().query(&all()).unwrap().is_empty());
    let _ = store.create_space(space(1), "again", Origin::Joined, AT_MS).unwrap();
    assert!(store.reader().search_fields(space(1), &notes()).unwrap().is_none());
    sound(&store);
}

/// Everything that queries read, byte for byte: projections, the words of full text, and what the indexes find.
fn queried(connection: &Connection) -> Vec<String> {
    connection
        .execute_batch("CREATE VIRTUAL TABLE IF NOT EXISTS temp.words USING fts5vocab(main, search_1, instance)")
        .unwrap();
    let mut all = Vec::new();
    for sql in [
        "SELECT json_array(entity_row, space_row, collection, deleted, json) FROM projections ORDER BY entity_row",
        "SELECT json_array(term, doc, col, offset) FROM temp.words ORDER BY term, doc, col, offset",
        "SELECT json_array(entity_row) FROM projections INDEXED BY query_1 WHERE space_row = 1
         AND collection = 'notes' AND deleted = 0 ORDER BY json_extract(json, '$.\"body\"')",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        all.extend(statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn indexes_and_full_text_made_anew_are_what_they_were(
        writes in prop::collection::vec((0_u16..6, "[a-cä ]{0,8}", any::<bool>(), any::<bool>()), 1..40),
    ) {
        let mut store = two_spaces();
        let _ = store.declare_index(space(1), &notes(), &paths(&["body"])).unwrap();
        let _ = store.declare_search(space(1), &notes(), &paths(&["body", "tags"]), |_, _| {}).unwrap();
        for (id, body, deleted, has_tags) in &writes {
            let json = if *has_tags { json!({"body": body, "tags": ["a", body]}) } else { json!({"body": body}) };
            write(&mut store, (1, "notes"), *id, &json, *deleted);
        }
        let mut before = Vec::new();
        store.tamper(|connection| before = queried(connection));
        prop_assert_eq!(store.verify().unwrap(), []);
        let mut steps = Vec::new();
        let _ = store.rebuild_declared(|done, total| steps.push((done, total))).unwrap();
        prop_assert_eq!(steps, [(1, 2), (2, 2)]);
        let mut after = Vec::new();
        store.tamper(|connection| after = queried(connection));
        prop_assert_eq!(before, after);
        prop_assert_eq!(store.verify().unwrap(), []);
    }
}

#[test]
fn full_text_that_went_astray_is_put_right_by_making_it_anew() {
    let mut store = shop();
    let _ = store.declare_search(space(1), &notes(), &paths(&["title"]), |_, _| {}).unwrap();
    store.tamper(|connection| {
        connection.execute_batch("INSERT INTO search_1 (rowid, title) VALUES (1, 'forged')").unwrap();
    });
    assert_eq!(found(&store, &words("forged")), [1]);
    let _ = store.rebuild_declared(|_, _| {}).unwrap();
    assert_eq!((found(&store, &words("forged")), found(&store, &words("milk"))), (vec![], vec![1]));
    sound(&store);
}
