//! Queries, live queries and full text, against the public face.

use afield::{
    Bytes, Confirm, Counter, EntityId, Expand, Lens, Lenses, LiveWork, LongText, Path, QueryError, QueryValue,
    ReadOnlyReplica, Replica, RichText, Space, Strategy as Decided, Text, Timestamp, model, store,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Thing {
    name: String,
    body: Text,
    rich: RichText,
    long: LongText,
    opened: Counter,
    due: Option<Timestamp>,
    cover: Bytes,
    price: f64,
    done: bool,
    tags: BTreeSet<String>,
    steps: Vec<String>,
    #[model(rename = "ship-to")]
    ship_to: Address,
}

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Address {
    city: String,
}

#[model]
#[derive(Debug, Clone, PartialEq)]
struct Named {
    name: String,
}

fn home() -> (Replica, Space) {
    let replica = Replica::open_in_memory().unwrap();
    let space = replica.create_space("Home").unwrap();
    (replica, space)
}

#[test]
fn every_kind_of_field_is_compared_as_what_it_is() {
    let (_replica, home) = home();
    let things = home.collection::<Thing>("things").unwrap();
    let id = things
        .insert(&Thing {
            name: "first".into(),
            body: "some body".into(),
            rich: "some rich text".into(),
            long: "a long story".into(),
            opened: Counter::default(),
            due: Some(Timestamp::from_millis(1_000)),
            cover: Bytes::from(vec![0, 255]),
            price: 2.5,
            done: true,
            tags: BTreeSet::from(["red".to_owned()]),
            steps: vec!["mix".into(), "bake".into()],
            ship_to: Address { city: "Rome".into() },
        })
        .unwrap();
    things.insert(&Thing { name: "other".into(), ..Thing::default() }).unwrap();
    things.edit(id, |thing| thing.opened.increment(5)).unwrap();
    let now = Timestamp::from_millis(1_001);
    let count = |text: &str, params: Vec<QueryValue>| things.query(text, params).unwrap().count().unwrap();
    for text in [
        "name = 'first'",
        "body LIKE '%body'",
        "rich LIKE 'some rich%'",
        "long LIKE '%story'",
        "opened > 3",
        "due IS NOT NULL",
        "price = 2.5",
        "done",
        "done = true",
        "tags.red",
        "has_key(tags, 'red')",
        "contains(steps, 'bake') AND json_array_length(steps) = 2",
        "\"ship-to\".city = 'Rome'",
        "cover = '00ff'",
    ] {
        assert_eq!(count(text, vec![]), 1, "{text}");
    }
    let ids = |query: Result<afield::Query<Thing>, QueryError>| query.unwrap().ids().unwrap();
    assert_eq!(ids(things.query("due < ?", [now])), [id]);
    assert_eq!(ids(things.query("due < ? AND done = ? AND name = ?", (now, true, "first"))), [id]);
    assert_eq!(ids(things.query("cover = ?", [Bytes::from(vec![0, 255])])), [id]);
    assert_eq!(ids(things.query("price > ? AND opened = ?", (2.0, 5_u8))), [id]);
    assert_eq!(ids(things.query("coalesce(?, name) = 'first'", [None::<String>])), [id]);
    assert_eq!(ids(things.query("name IN (?, ?)", ["first", "nobody"])), [id]);
    assert_eq!(ids(things.query("has_key(tags, ?)", ["red"])), [id]);
    assert_eq!(ids(things.query("has_key(tags, ?) OR contains(tags, 'red')", ["blue"])), []);
    let found = things.query("", ()).unwrap().order_by_desc("opened").limit(1).all().unwrap().complete().unwrap();
    assert_eq!((found[0].0, found[0].1.opened.value()), (id, 5));
    let all = things.query("", ()).unwrap();
    assert_eq!(
        (all.sum("opened").unwrap(), all.max("price").unwrap()),
        (QueryValue::Integer(5), QueryValue::Real(2.5))
    );
    assert_eq!(all.count_by("done").unwrap(), [(QueryValue::Integer(0), 1), (QueryValue::Integer(1), 1)]);
    let mistake = things.query("naem = 'x'", ()).unwrap().ids().unwrap_err();
    assert_eq!((mistake.code(), mistake.position().map(|at| at.column)), ("query.unknown_field", Some(1)));
    assert!(mistake.to_string().contains("did you mean \"name\"?"), "{mistake}");
    let mistake = things.query("due < ?", ()).unwrap_err();
    assert!(
        matches!(mistake, QueryError::Refused(store::QueryError::Parameters { expected: 1, given: 0 })),
        "{mistake}"
    );
}

#[test]
fn a_large_entity_that_was_left_stale_is_found_as_it_is_now() {
    let (_replica, home) = home();
    let things = home.collection::<Thing>("things").unwrap();
    things.search_fields(["body"]).unwrap();
    things.index("name").unwrap();
    let id = things.insert(&Thing { body: "x ".repeat(10_000).as_str().into(), ..Thing::default() }).unwrap();
    things.edit(id, |thing| thing.name = "renamed".into()).unwrap();
    things.entity(id).unwrap().text("body").splice(0, 0, "quagmire ").unwrap();
    assert_eq!(things.query("name = 'renamed'", ()).unwrap().ids().unwrap(), [id]);
    assert_eq!(things.search("quagmire").unwrap().all().unwrap()[0].id, id);
    let mut live = things.query("name = 'again'", ()).unwrap().watch().unwrap();
    assert!(live.take().unwrap().unwrap().entities.is_empty());
    things.edit(id, |thing| thing.name = "again".into()).unwrap();
    assert_eq!(live.take().unwrap().unwrap().entities.len(), 1);
}

#[test]
fn through_lenses_fields_are_named_and_answers_shaped_as_in_the_newest_version() {
    let (_replica, home) = home();
    let old = home.collection::<()>("notes").unwrap().json();
    let id = old.insert(&json!({"title": "Milk"})).unwrap();
    let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name"), Lens::add("mood", 3)]).unwrap();
    let notes = home.collection::<Named>("notes").unwrap().through(lenses);
    notes.search_fields("name").unwrap();
    let query = notes.query("name LIKE 'm%'", ()).unwrap();
    assert_eq!(query.all().unwrap().complete().unwrap(), [(id, Named { name: "Milk".into() })]);
    assert_eq!(notes.search("milk").unwrap().all().unwrap()[0].value.as_ref().unwrap().name, "Milk");
    let mut live = notes.json().query("name = 'Bread' AND mood < 9", ()).unwrap().order_by("mood").watch().unwrap();
    assert_eq!(live.take().unwrap().unwrap(), []);
    old.edit(id, |note| note["title"] = "Bread".into()).unwrap();
    assert_eq!(live.take().unwrap().unwrap(), [(id, json!({"name": "Bread", "mood": 3}))]);
    old.edit(id, |note| note["mood"] = 9.into()).unwrap();
    assert_eq!(live.take().unwrap().unwrap(), []);
    let all = notes.json().query("", ()).unwrap();
    assert_eq!(all.sum("mood").unwrap(), QueryValue::Integer(9));
    assert_eq!(all.count_by("name").unwrap(), [(QueryValue::Text("Bread".into()), 1)]);
    let renamed = notes.json().query("title = 'Bread'", ()).unwrap().all().unwrap_err();
    assert_eq!(renamed.to_string(), "there is no field \"title\" (line 1, column 1); did you mean \"name\"?");
    // Without lenses a query goes by the documents.
    assert_eq!(old.query("title = 'Bread'", ()).unwrap().ids().unwrap(), [id]);
    assert_eq!(notes.searched_fields().unwrap(), Some(vec!["name".to_owned()]));
    assert_eq!(home.collection::<()>("notes").unwrap().searched_fields().unwrap(), Some(vec!["title".to_owned()]));
}

#[test]
fn what_is_declared_of_a_type_has_to_be_a_field_of_it() {
    let (_replica, home) = home();
    let things = home.collection::<Thing>("things").unwrap();
    let known = |error: QueryError| (error.code(), error.to_string().contains("did you mean \"ship-to\"?"));
    let slip = ("query.unknown_field", true);
    assert_eq!(known(things.index(["name", "\"ship-too\".city"]).unwrap_err()), slip);
    assert_eq!(known(things.search_fields("shipto").unwrap_err()), slip);
    let error = things.on_conflict_in("ship_to", Decided::Manual).unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("did you mean \"ship-to\"?")), slip);
    assert_eq!((things.indexes().unwrap().len(), things.searched_fields().unwrap()), (0, None));
    assert!(home.conflict_strategies().unwrap().is_empty());

    assert!(things.index(["\"ship-to\".city", "_updated_ms"]).unwrap());
    assert!(things.search_fields(["name", "steps"]).unwrap());
    things.on_conflict_in(Path::from("ship-to").key("city"), Decided::Manual).unwrap();
    things.on_conflict(Decided::Newest).unwrap();
    // A type that knows no names, and a shape that is not that of the documents, may name any.
    let any = home.collection::<()>("things").unwrap();
    assert!(any.index("anything").unwrap());
    any.on_conflict_in("anything", Decided::Manual).unwrap();
    // Through lenses the names are those of the newest version, but of what goes by documents: conflicts.
    let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name"), Lens::remove("colour")]).unwrap();
    let through = things.through(lenses.clone());
    assert!(through.index("name").unwrap() && !any.index("title").unwrap(), "it is one index");
    assert_eq!(through.indexes().unwrap().last().unwrap(), &["name"]);
    for hidden in ["title", "colour"] {
        assert_eq!(through.index(hidden).unwrap_err().code(), "query.unknown_field");
        assert_eq!(any.through(lenses.clone()).index(hidden).unwrap_err().code(), "query.unknown_field");
        let asked = through.query(&format!("{hidden} = 'x'"), ()).unwrap();
        assert_eq!(asked.all().unwrap_err().code(), "query.unknown_field");
    }
    assert_eq!(through.query("name = 'x'", ()).unwrap().count().unwrap(), 0);
    through.on_conflict_in("title", Decided::Manual).unwrap();
    assert_eq!(through.on_conflict_in("name", Decided::Manual).unwrap_err().code(), "query.unknown_field");
    assert!(through.drop_index("name").unwrap() && !any.drop_index("title").unwrap());
}

#[test]
fn what_is_purged_is_found_no_more() {
    let (_replica, home) = home();
    let notes = home.collection::<()>("notes").unwrap();
    notes.search_fields("title").unwrap();
    notes.index("title").unwrap();
    let id = notes.json().insert(&json!({"title": "Milk"})).unwrap();
    let query = notes.json().query("title = 'Milk'", ()).unwrap();
    let mut live = query.watch().unwrap();
    assert_eq!(live.take().unwrap().unwrap().len(), 1);
    home.purge([id], Confirm::Yes).unwrap();
    assert_eq!(live.take().unwrap().unwrap().len(), 0);
    assert_eq!((query.count().unwrap(), notes.json().search("milk").unwrap().all().unwrap().len()), (0, 0));
}

#[test]
fn full_text_follows_deleting_and_restoring_and_ends_with_the_space() {
    let (replica, home) = home();
    let notes = home.collection::<()>("notes").unwrap();
    assert!(notes.json().search("milk").is_err());
    let id = notes.json().insert(&json!({"title": "Milk"})).unwrap();
    notes.search_fields("title").unwrap();
    let found = || notes.json().search("milk").unwrap().all().unwrap().len();
    assert_eq!(found(), 1);
    notes.delete(id).unwrap();
    assert_eq!(found(), 0);
    notes.restore(id).unwrap();
    assert_eq!(found(), 1);
    replica.leave_space_discarding(home.id()).unwrap();
    assert!(notes.json().search("milk").is_err());
    assert_eq!(notes.json().query("", ()).unwrap().count().unwrap(), 0);
}

#[test]
fn beside_a_writer_a_store_is_asked_and_searched_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    notes.search_fields("title").unwrap();
    notes.index("rank").unwrap();
    let id = notes.json().insert(&json!({"title": "Milk", "rank": 1})).unwrap();
    let beside = ReadOnlyReplica::open(&path).unwrap().spaces().unwrap().remove(0);
    let name: afield::document::Collection = "notes".parse().unwrap();
    let query = beside.query(name.clone(), "rank > ?", [0]).unwrap();
    assert_eq!(query.all().unwrap(), [(id, json!({"title": "Milk", "rank": 1}))]);
    assert!(query.plan().unwrap().join(" ").contains("USING INDEX query_1"));
    assert_eq!(beside.search(name.clone(), "milk").unwrap().all().unwrap()[0].id, id);
    assert_eq!(beside.indexes(&name).unwrap(), [["rank"]]);
    assert!(!beside.is_behind(&name).unwrap());
}

#[test]
fn a_rebuilt_store_answers_and_reads_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    notes.search_fields(["title", "body"]).unwrap();
    notes.index("n").unwrap();
    for n in 0..40 {
        let note = json!({"title": format!("Note {n}"), "body": {"$text": "milk"}, "n": n});
        let id = notes.json().insert(&note).unwrap();
        if n % 5 == 0 {
            notes.delete(id).unwrap();
        }
    }
    let dump = || {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, search_1, instance)").unwrap();
        let read = |sql: &str| {
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect::<Vec<_>>()
        };
        [
            read("SELECT json_array(entity_row, stale, deleted, updated_ms, json) FROM projections ORDER BY 1"),
            read("SELECT json_array(term, doc, col, offset) FROM temp.words ORDER BY 1"),
        ]
    };
    let before = dump();
    assert!(before.iter().all(|rows| rows.len() > 30), "there is something to compare");
    replica.rebuild(|_| {}).unwrap();
    assert_eq!(dump(), before);
    assert_eq!(ReadOnlyReplica::open(&path).unwrap().verify().unwrap(), []);
    assert_eq!(notes.json().search("milk").unwrap().all().unwrap().len(), 32);
}

#[test]
fn a_live_query_reads_nothing_for_others_and_one_row_for_each_entity_that_was_written() {
    let (_replica, home) = home();
    let (notes, other) =
        (home.collection::<()>("notes").unwrap().json(), home.collection::<()>("other").unwrap().json());
    let ids: Vec<_> = (0..30).map(|n| notes.insert(&json!({"n": n, "done": false})).unwrap()).collect();
    let mut live = notes.query("done = 0", ()).unwrap().order_by("n").limit(10).watch().unwrap();
    assert_eq!(live.take().unwrap().unwrap().len(), 10);
    assert_eq!(live.work(), LiveWork { runs: 1, probes: 0 });
    for n in 0..20 {
        other.insert(&json!({"n": n})).unwrap();
    }
    assert!(live.take().is_none());
    assert_eq!(live.work(), LiveWork { runs: 1, probes: 0 }, "another collection");
    notes.edit(ids[20], |note| note["title"] = "behind the limit".into()).unwrap();
    assert!(live.take().is_none());
    assert_eq!(live.work(), LiveWork { runs: 1, probes: 1 });
    notes.edit(ids[3], |note| note["title"] = "within".into()).unwrap();
    assert_eq!(live.take().unwrap().unwrap()[3].1["title"], "within");
    notes.insert(&json!({"n": -1, "done": false})).unwrap();
    assert_eq!(live.take().unwrap().unwrap()[0].1["n"], -1);
    assert_eq!(live.work(), LiveWork { runs: 1, probes: 3 }, "what comes in pushes the last one out");
    notes.edit(ids[0], |note| note["done"] = true.into()).unwrap();
    assert_eq!(live.take().unwrap().unwrap().len(), 10);
    assert_eq!(live.work(), LiveWork { runs: 2, probes: 4 }, "only the query knows who takes the place");
}

#[test]
fn a_live_query_is_a_stream_that_ends_with_the_replica() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (replica, home) = home();
    let notes = home.collection::<()>("notes").unwrap().json();
    let mut live = notes.query("n > 0", ()).unwrap().watch().unwrap();
    runtime.block_on(async {
        assert_eq!(live.next_answer().await.unwrap().unwrap().len(), 0);
        notes.insert(&json!({"n": 0})).unwrap();
        notes.insert(&json!({"n": 1})).unwrap();
        assert_eq!(live.next_answer().await.unwrap().unwrap().len(), 1);
        drop((replica, home, notes));
        assert!(live.next_answer().await.is_none());
    });
}

#[derive(Debug, Clone)]
enum Step {
    Insert(i64, bool),
    Edit(usize, i64, bool),
    Delete(usize),
    Restore(usize),
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (-3_i64..4, any::<bool>()).prop_map(|(n, done)| Step::Insert(n, done)),
        6 => (0_usize..16, -3_i64..4, any::<bool>()).prop_map(|(at, n, done)| Step::Edit(at, n, done)),
        2 => (0_usize..16).prop_map(Step::Delete),
        1 => (0_usize..16).prop_map(Step::Restore),
        5 => Just(Step::Look),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_a_live_query_told_last_is_what_a_fresh_one_finds(
        steps in prop::collection::vec(step(), 1..60),
        limit in prop::option::of(0_usize..5),
        offset in 0_usize..2,
        has_order in any::<bool>(),
        is_descending in any::<bool>(),
    ) {
        let (_replica, home) = home();
        let notes = home.collection::<()>("notes").unwrap();
        let query = notes.json().query("done = 0", ()).unwrap().offset(offset);
        let query = limit.map_or(query.clone(), |limit| query.limit(limit));
        let query = match (has_order, is_descending) {
            (false, _) => query,
            (true, false) => query.order_by("n"),
            (true, true) => query.order_by_desc("n"),
        };
        let mut live = query.watch().unwrap();
        let mut shown: Vec<(EntityId, Value)> = live.take().unwrap().unwrap();
        let mut ids = Vec::new();
        for step in steps.into_iter().chain([Step::Look]) {
            match step {
                Step::Insert(n, done) => ids.push(notes.json().insert(&json!({"n": n, "done": done})).unwrap()),
                Step::Edit(at, n, done) if !ids.is_empty() => {
                    let id = ids[at % ids.len()];
                    notes.json().edit(id, |note| *note = json!({"n": n, "done": done})).unwrap();
                }
                Step::Delete(at) if !ids.is_empty() => drop(notes.delete(ids[at % ids.len()]).unwrap()),
                Step::Restore(at) if !ids.is_empty() => drop(notes.restore(ids[at % ids.len()]).unwrap()),
                Step::Look => {
                    let fresh = query.all().unwrap();
                    match live.take() {
                        None => prop_assert_eq!(&shown, &fresh),
                        Some(told) => {
                            let told = told.unwrap();
                            prop_assert_ne!(&shown, &told, "it tells only what is new");
                            prop_assert_eq!(&told, &fresh);
                            shown = told;
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_live_query_tells_what_it_could_not_read_while_somebody_had_the_document() {
    let (_replica, home) = home();
    let notes = home.collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({"n": 1, "body": {"$text": "x".repeat(20_000)}})).unwrap();
    let mut live = notes.json().query("n > 1", ()).unwrap().watch().unwrap();
    assert_eq!(live.take().unwrap().unwrap().len(), 0);
    notes.json().edit(id, |note| note["n"] = 2.into()).unwrap();
    // This thread has the document, and would wait for itself.
    let told = notes.entity(id).unwrap().raw(|_| live.take()).unwrap();
    assert!(told.is_none(), "it cannot be read yet");
    assert_eq!(live.take().unwrap().unwrap()[0].1["n"], 2);
    assert!(live.take().is_none());
}

#[test]
fn a_query_waits_for_a_large_document_that_another_thread_has() {
    let (_replica, home) = home();
    let notes = home.collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({"n": 1, "body": {"$text": "x".repeat(20_000)}})).unwrap();
    let query = notes.json().query("", ()).unwrap();
    let mut live = query.watch().unwrap();
    assert!(live.take().is_some());
    for n in 2..4 {
        notes.json().edit(id, |note| note["n"] = n.into()).unwrap();
        let (sender, answer) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            notes
                .entity(id)
                .unwrap()
                .raw(|_| {
                    scope.spawn(|| sender.send((live.take(), query.all().unwrap())).unwrap());
                    let early = answer.recv_timeout(std::time::Duration::from_millis(300));
                    assert!(early.is_err(), "what is stored is older than the edit: {early:?}");
                })
                .unwrap();
            let (told, all) = answer.recv().unwrap();
            assert_eq!((told.unwrap().unwrap()[0].1["n"].clone(), all[0].1["n"].clone()), (n.into(), n.into()));
        });
    }
}

#[test]
fn a_live_query_of_a_model_tells_of_formatting_and_one_of_json_does_not() {
    let (_replica, home) = home();
    let things = home.collection::<Thing>("things").unwrap();
    let id = things.insert(&Thing { rich: "some rich text".into(), done: true, ..Thing::default() }).unwrap();
    let other = things.insert(&Thing { rich: "plain".into(), ..Thing::default() }).unwrap();
    let mut typed = things.query("done", ()).unwrap().watch().unwrap();
    let mut json = things.json().query("done", ()).unwrap().watch().unwrap();
    let mut paged = things.query("done", ()).unwrap().offset(0).limit(1).watch().unwrap();
    assert!(typed.take().is_some() && json.take().is_some() && paged.take().is_some());
    let mark = |id| things.entity(id).unwrap().text("rich").mark(0..4, "bold", true, Expand::After).unwrap();
    mark(other);
    assert!(typed.take().is_none() && json.take().is_none() && paged.take().is_none(), "it is not shown");
    mark(id);
    let told = typed.take().unwrap().unwrap();
    assert_eq!(told.entities, [(id, things.read(id).unwrap())]);
    assert!(told.entities[0].1.rich != "some rich text".into(), "it is bold");
    assert!(json.take().is_none() && paged.take().is_some() && typed.take().is_none());
}

#[test]
fn after_an_error_a_live_query_waits_for_the_next_change() {
    let (_replica, home) = home();
    let notes = home.collection::<()>("notes").unwrap().json();
    for n in 0..300 {
        notes.insert(&json!({"n": n})).unwrap();
    }
    let condition = ["n > 1000"; 20].join(" OR ");
    let mut live = notes.query(&condition, ()).unwrap().steps_max(1).watch().unwrap();
    assert!(live.take().unwrap().is_err(), "it takes too long");
    assert!(live.take().is_none() && live.take().is_none());
    assert_eq!(live.work().runs, 1);
    notes.insert(&json!({"n": 0})).unwrap();
    assert!(live.take().unwrap().is_err());
    assert_eq!(live.work().runs, 2);
}
