//! Conflicts that strategies decide, on whole devices with a real relay.

use afield::{Direction, Path, Replica, Strategy};
use afield_tests::processes::{Party, Program};
use serde_json::json;

fn party(devices: usize) -> Party {
    Party::new(&Program::new(env!("CARGO_BIN_EXE_relay_process")), devices)
}

#[test]
fn the_newest_write_is_shown_by_every_device_and_nobody_is_asked() {
    let world = party(3);
    let id = world.write(&json!({ "title": "plan", "count": 1 }));
    (0..3).for_each(|device| world.notes(device).on_conflict(Strategy::Newest).unwrap());
    for round in 0..3 {
        for device in [2, 0, 1] {
            world.edit(device, id, "title", format!("of {device} in round {round}"));
        }
        world.exchange();
        assert_eq!(world.shown(id, "title"), vec![json!(format!("of 1 in round {round}")); 3]);
        assert!(world.inbox().is_empty());
        assert!(world.replicas.iter().all(|replica| replica.status().unwrap().conflicts == 0));
    }
    // Each of three writes of a round is settled at the most once by each device.
    let held = world.held(0)[0];
    assert!(held <= 2 + 3 * (3 + 3 * 2), "{held} changes");
    assert_eq!(world.replicas[0].status().unwrap().pending_changes, 0);
}

#[test]
fn a_field_may_have_another_strategy_than_its_collection_and_both_are_remembered() {
    let world = party(2);
    let id = world.write(&json!({ "title": "plan", "place": "here" }));
    world.notes(0).on_conflict(Strategy::Newest).unwrap();
    world.notes(0).on_conflict_in("title", Strategy::Manual).unwrap();
    let Party { site, mut replicas, mut spaces } = world;
    let space = spaces[0].id();
    drop((replicas.remove(0), spaces.remove(0)));
    let again = Replica::open(site.path("0.db")).unwrap();
    spaces.insert(0, again.space(space).unwrap());
    replicas.insert(0, again);
    let world = Party { site, replicas, spaces };
    for device in 0..2 {
        for field in ["title", "place"] {
            world.edit(device, id, field, format!("{field} of {device}"));
        }
    }
    world.exchange();
    let inbox = world.inbox();
    let [conflict] = inbox.as_slice() else { panic!("{inbox:?}") };
    assert_eq!((conflict.path.to_string().as_str(), conflict.strategy), ("title", Strategy::Manual));
    assert_eq!(world.spaces[1].conflicts().unwrap()[0].strategy, Strategy::Merge, "a strategy is a device's own");
    assert_eq!(world.shown(id, "place"), [json!("place of 1"), json!("place of 1")]);
    let said: Vec<_> = world.spaces[0].conflict_strategies().unwrap();
    let said: Vec<_> = said.iter().map(|one| (one.field.to_string(), one.strategy)).collect();
    assert_eq!(said, [(Path::ROOT.to_string(), Strategy::Newest), ("title".to_owned(), Strategy::Manual)]);
}

#[test]
fn what_is_in_the_inbox_is_decided_when_a_strategy_is_declared() {
    let world = party(2);
    let id = world.write(&json!({ "title": "plan" }));
    world.edit(0, id, "title", "of 0");
    world.edit(1, id, "title", "of 1");
    world.exchange();
    assert_eq!(world.inbox().len(), 1);
    world.notes(0).on_conflict(Strategy::PreferThis).unwrap();
    assert!(world.spaces[0].conflicts().unwrap().is_empty());
    assert_eq!(world.replicas[0].status().unwrap().pending_changes, 1, "by an edit");
    world.exchange();
    assert!(world.inbox().is_empty());
    assert_eq!(world.shown(id, "title"), [json!("of 0"), json!("of 0")]);
}

#[test]
fn devices_with_opposing_strategies_stop_and_list_the_same() {
    // Whoever hears of the other's edit and decision at once has nothing left to decide: then another note is written.
    let contested = (0..TRIES).find(|_| do_both_decide());
    assert!(contested.is_some(), "of {TRIES} notes none was decided by both");
}

/// How many notes are written until two devices decide the same conflict.
const TRIES: usize = 20;

/// Has two devices of opposing strategies edit one note, and answers whether both have decided; then a person has to.
fn do_both_decide() -> bool {
    let world = party(3);
    let id = world.write(&json!({ "title": "plan" }));
    world.notes(0).on_conflict(Strategy::PreferThis).unwrap();
    world.notes(1).on_conflict(Strategy::PreferThis).unwrap();
    world.edit(0, id, "title", "of 0");
    world.edit(1, id, "title", "of 1");
    world.exchange();
    let held = world.held(0);
    let inbox = world.inbox();
    let shown = world.shown(id, "title");
    assert!(shown.iter().all(|title| *title == shown[0]));
    assert_eq!(world.exchange(), 1, "nothing more is made");
    assert_eq!(world.held(0), held);
    if inbox.is_empty() {
        return false;
    }
    // The first version, two edits, and what each has decided.
    assert!(held.iter().all(|changes| *changes >= 5), "each has tried: {held:?}");
    let [conflict] = inbox.as_slice() else { panic!("a person has to decide: {inbox:?}") };
    assert_eq!((conflict.entity, conflict.path.to_string().as_str()), (id, "title"));
    true
}

#[test]
fn a_device_that_takes_in_only_decides_nothing_until_it_sends() {
    let world = party(2);
    let id = world.write(&json!({ "title": "plan" }));
    world.spaces[1].set_direction("notes", Direction::PullOnly).unwrap();
    world.notes(1).on_conflict(Strategy::PreferThis).unwrap();
    world.edit(0, id, "title", "of 0");
    world.edit(1, id, "title", "of 1");
    world.exchange();
    assert_eq!(world.replicas[1].status().unwrap().spaces[0].held_back, 1, "the edit alone");
    assert_eq!(world.spaces[1].conflicts().unwrap().len(), 1);
    world.spaces[1].set_direction("notes", Direction::Both).unwrap();
    assert!(world.spaces[1].conflicts().unwrap().is_empty());
    world.exchange();
    assert_eq!(world.shown(id, "title"), [json!("of 1"), json!("of 1")]);
    assert!(world.inbox().is_empty());
}
