//! What people did to one place without knowing of each other, on whole devices with a real relay.

use afield::{Choice, Collection, ConflictKind, Path, ReadConflict, ReadOnlyReplica, Replica, Strategy, Value};
use afield_tests::processes::{Party, Program, said};
use serde_json::{Value as Json, json};
use std::time::{SystemTime, UNIX_EPOCH};

fn party(devices: usize) -> Party {
    Party::new(&Program::new(env!("CARGO_BIN_EXE_relay_process")), devices)
}

#[test]
fn every_device_lists_the_same_with_both_values_and_who_wrote_them_and_one_decision_ends_it_everywhere() {
    let world = party(3);
    let id = world.notes(0).json().insert(&json!({ "title": "plan", "place": "here" })).unwrap();
    world.exchange();
    assert!(world.inbox().is_empty());
    world.edit(0, id, "title", "left");
    world.edit(1, id, "title", "right");
    world.edit(2, id, "place", "there");
    world.exchange();

    let inbox = world.inbox();
    let [conflict] = inbox.as_slice() else { panic!("{inbox:?}") };
    assert_eq!(
        (conflict.entity, conflict.kind, conflict.path.to_string().as_str()),
        (id, ConflictKind::Values, "title")
    );
    let shown = world.notes(2).json().read(id).unwrap()["title"].clone();
    assert_eq!(conflict.values[0].value.as_ref().map(Value::to_json), Some(shown));
    let mut values: Vec<_> = conflict.values.iter().map(|side| side.value.clone().unwrap()).collect();
    values.sort_by_key(|value| value.to_json().to_string());
    assert_eq!(values, ["left".into(), "right".into()]);
    for side in &conflict.values {
        let writer = if side.value == Some("left".into()) { 0 } else { 1 };
        assert_eq!(side.device, Some(world.replicas[writer].device()));
        assert!(side.at_ms > 0);
    }
    assert!(world.replicas.iter().all(|replica| replica.status().unwrap().conflicts == 1));

    let kept = conflict.values[1].value.clone().unwrap().to_json();
    let _ = world.spaces[2].conflicts().unwrap()[0].resolve(&Choice::Keep(1)).unwrap();
    assert!(world.spaces[2].conflicts().unwrap().is_empty());
    assert_eq!(world.replicas[2].status().unwrap().conflicts, 0);
    world.exchange();
    assert!(world.inbox().is_empty());
    assert!(world.replicas.iter().all(|replica| replica.status().unwrap().conflicts == 0));
    for device in 0..3 {
        assert_eq!(world.notes(device).json().read(id).unwrap(), json!({ "title": kept, "place": "there" }));
    }
    let late = conflict.resolve(&Choice::Keep(0)).unwrap_err();
    assert_eq!(late.code(), "edit.operation");
}

#[test]
fn each_value_has_its_author_device_and_time_on_both_devices() {
    let world = party(2);
    let id = world.write(&json!({ "title": "plan" }));
    let authors = ["Anna", "Ben"];
    let moments: Vec<_> = authors
        .iter()
        .enumerate()
        .map(|(device, author)| {
            world.replicas[device].set_author(Some(author));
            let before_ms = wall_ms();
            world.edit(device, id, "title", format!("by {author}"));
            (before_ms, wall_ms())
        })
        .collect();
    world.exchange();

    // The lists are the same on both, as `inbox` holds, and say of each value what its own device knows of its writer.
    assert_eq!(world.spaces[0].conflicts().unwrap()[0].values, world.spaces[1].conflicts().unwrap()[0].values);
    let inbox = world.inbox();
    let [conflict] = inbox.as_slice() else { panic!("{inbox:?}") };
    assert_eq!(conflict.values.len(), 2);
    for (device, author) in authors.iter().enumerate() {
        let value = Some(Value::from(format!("by {author}")));
        let side = conflict.values.iter().find(|side| side.value == value).expect("both values are listed");
        assert_eq!(side.author.as_deref(), Some(*author));
        assert_eq!(side.device, Some(world.replicas[device].device()));
        let (before_ms, after_ms) = moments[device];
        // No two edits of an opening have the same time, so that of one which follows at once is a millisecond ahead.
        assert!((before_ms..=after_ms + 1).contains(&side.at_ms), "{before_ms} {} {after_ms}", side.at_ms);
    }
    assert_ne!(world.replicas[0].device(), world.replicas[1].device(), "the control: it is not one device");
}

/// The wall clock, in milliseconds since the Unix epoch.
fn wall_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(now.as_millis()).expect("a moment of this age")
}

#[test]
fn an_entity_that_was_edited_beside_its_deletion_is_listed_and_can_be_brought_back() {
    let world = party(2);
    let id = world.notes(0).json().insert(&json!({ "title": "plan" })).unwrap();
    world.exchange();
    let mut watch = world.spaces[0].watch_conflicts();
    let _ = world.notes(0).delete(id).unwrap();
    world.edit(1, id, "title", "better plan");
    world.exchange();
    let inbox = world.inbox();
    let [conflict] = inbox.as_slice() else { panic!("{inbox:?}") };
    assert_eq!(conflict.kind, ConflictKind::Entity);
    assert!(watch.take().contains(&id));
    let _ = conflict.resolve(&Choice::Keep(1)).unwrap();
    world.exchange();
    assert!(world.inbox().is_empty());
    assert_eq!(world.notes(1).json().list().unwrap(), [(id, json!({ "title": "better plan" }))]);
}

#[test]
fn what_a_list_says_survives_the_end_of_the_process_and_is_worked_out_anew_the_same() {
    let world = party(2);
    let id = world.notes(0).json().insert(&json!({ "steps": [{ "what": "mix" }, { "what": "bake" }] })).unwrap();
    world.exchange();
    let steps = |device: usize| world.notes(device).entity(id).unwrap();
    steps(0).list("steps").remove(0).unwrap();
    steps(1).edit(|edit| Ok(edit.put(Path::from("steps").index(0).key("what"), "stir")?)).unwrap();
    world.exchange();
    let before = said(&world.inbox());
    assert_eq!(before.len(), 1);
    assert_eq!(said(&world.notes(1).conflicts().unwrap()), before);
    assert_eq!(said(&world.notes(1).entity(id).unwrap().conflicts().unwrap()), before);

    let Party { site, replicas, spaces } = world;
    let space = spaces[0].id();
    drop((replicas, spaces));
    let again = Replica::open(site.path("0.db")).unwrap();
    assert_eq!(again.status().unwrap().conflicts, 1);
    let listed = again.space(space).unwrap().conflicts().unwrap();
    assert_eq!(said(&listed), before);
    let _ = listed[0].resolve(&Choice::Keep(1)).unwrap();
    let notes: Collection<Json> = again.space(space).unwrap().collection("notes").unwrap();
    assert_eq!(notes.json().read(id).unwrap(), json!({ "steps": [{ "what": "stir" }, { "what": "bake" }] }));
    assert!(again.space(space).unwrap().conflicts().unwrap().is_empty());
}

#[test]
fn a_reader_beside_the_writer_works_out_the_same_list_and_stores_nothing() {
    let world = party(2);
    let [long, short] = [(); 2].map(|()| world.notes(0).json().insert(&json!({ "title": "plan" })).unwrap());
    for round in 0..300 {
        world.edit(0, long, "round", Value::Int(round));
    }
    world.exchange();
    for (device, title) in [(0, "left"), (1, "right")] {
        world.edit(device, long, "title", title);
        world.edit(device, short, "title", title);
    }
    world.exchange();
    let counted = || {
        let status = world.replicas[1].status().unwrap();
        let space = &status.spaces[0];
        assert_eq!((space.conflicts, space.conflicts_behind), (status.conflicts, status.conflicts_behind));
        (status.conflicts, status.conflicts_behind)
    };
    assert_eq!(counted(), (1, 1), "that of the long history is not known yet");
    let beside = ReadOnlyReplica::open(world.site.path("1.db")).unwrap().spaces().unwrap().remove(0);
    let read = beside.conflicts(None).unwrap();
    assert!(
        beside.conflicts_are_behind(None).unwrap(),
        "what has a long history waits for somebody who lists and writes"
    );
    assert!(beside.conflicts(Some(&"tasks".parse().unwrap())).unwrap().is_empty());

    let listed = world.spaces[1].conflicts().unwrap();
    assert_eq!(counted(), (2, 0));
    let say = |one: &ReadConflict| {
        format!("{} {} {} {} {:?} {:?}", one.id, one.entity, one.collection, one.path, one.kind, one.values)
    };
    assert_eq!(read.iter().map(say).collect::<Vec<_>>(), said(&listed));
    assert_eq!(read.iter().map(|one| one.entity).collect::<Vec<_>>(), [long, short]);
    assert!(!beside.conflicts_are_behind(None).unwrap());
    assert_eq!(beside.conflicts(None).unwrap(), read, "the control: what is stored by now says the same");
    world.notes(1).on_conflict_in("title", Strategy::Manual).unwrap();
    assert_eq!(beside.conflict_strategies().unwrap(), world.spaces[1].conflict_strategies().unwrap());
    assert!(beside.conflicts(None).unwrap().iter().all(|one| one.strategy == Strategy::Manual));
}
