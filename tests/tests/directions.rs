//! Directions of collections with a real relay: what goes which way, what is held back, and that changing it later loses nothing.

use afield::{Collection, Confirm, Direction, Durability, EntityId, Path, Replica, SpaceId, Value, WaitError};
use afield_tests::processes::{Access, Program, Site, changes_of};
use afield_tests::world::{Device, Random, World};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs;

const ALL: [Direction; 4] = [Direction::Both, Direction::PushOnly, Direction::PullOnly, Direction::LocalOnly];

/// Two devices of one space, and a relay.
struct Bench {
    site: Site,
    anna: Replica,
    ben: Replica,
    space: SpaceId,
}

impl Bench {
    fn start() -> Self {
        let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
        let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
        let space = anna.create_space("home").unwrap().id();
        ben.join_space(space).unwrap();
        Self { site, anna, ben, space }
    }

    fn sync(&self) {
        self.site.sync_all(&[&self.anna, &self.ben]);
    }

    fn notes(&self, replica: &Replica) -> Collection<()> {
        replica.space(self.space).unwrap().collection("notes").unwrap()
    }

    fn write(&self, replica: &Replica, title: &str) -> EntityId {
        self.notes(replica).json().insert(&json!({ "title": title })).unwrap()
    }

    fn edit(&self, replica: &Replica, id: EntityId, field: &str) {
        let _ = self.notes(replica).entity(id).unwrap().map(Path::ROOT).put(field, Value::Bool(true)).unwrap();
    }

    fn direct(&self, replica: &Replica, direction: Direction) {
        replica.space(self.space).unwrap().set_direction("notes", direction).unwrap();
    }

    /// What a device shows of its notes.
    fn shown(&self, replica: &Replica) -> BTreeMap<EntityId, Json> {
        let notes = self.notes(replica);
        notes.ids().unwrap().into_iter().map(|id| (id, notes.json().read(id).unwrap())).collect()
    }

    fn titles(&self, replica: &Replica) -> Vec<String> {
        let mut titles: Vec<_> =
            self.shown(replica).values().map(|note| note["title"].as_str().unwrap().to_owned()).collect();
        titles.sort();
        titles
    }

    /// Checks that both devices show and hold the same, and that nothing waits to be sent.
    fn check_equal(&self, when: &str) {
        let notes = [&self.anna, &self.ben].map(|replica| self.notes(replica));
        assert_eq!(self.shown(&self.anna), self.shown(&self.ben), "{when}");
        for id in notes[0].ids().unwrap() {
            assert_eq!(changes_of(&notes[0], id), changes_of(&notes[1], id), "{when}");
        }
        for replica in [&self.anna, &self.ben] {
            assert_eq!((pending(replica), held_back(replica)), (0, 0), "{when}");
        }
    }

    /// Replaces the relay by an empty one.
    fn empty_the_relay(&mut self) {
        self.site.relay.stop();
        for entry in fs::read_dir(self.site.relay.folder()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::remove_file(path).unwrap();
            }
        }
        self.site.relay.restart();
    }

    /// Whether any file of the relay holds some bytes.
    fn is_on_the_relay(&self, needle: &[u8]) -> bool {
        let holds = |bytes: Vec<u8>| bytes.windows(needle.len()).any(|window| window == needle);
        let mut files = fs::read_dir(self.site.relay.folder()).unwrap().map(|entry| entry.unwrap().path());
        files.any(|path| path.is_file() && fs::read(path).is_ok_and(holds))
    }
}

fn pending(replica: &Replica) -> u64 {
    replica.status().unwrap().pending_changes
}

fn held_back(replica: &Replica) -> u64 {
    replica.status().unwrap().spaces[0].held_back
}

#[test]
fn push_only_sends_and_does_not_receive_until_it_is_both_again() {
    let bench = Bench::start();
    let early = bench.write(&bench.anna, "early");
    bench.sync();
    bench.direct(&bench.ben, Direction::PushOnly);
    bench.write(&bench.anna, "of anna");
    bench.edit(&bench.anna, early, "anna was here");
    bench.write(&bench.ben, "of ben");
    bench.edit(&bench.ben, early, "ben was here");
    bench.sync();
    assert_eq!(bench.titles(&bench.anna), ["early", "of anna", "of ben"]);
    assert_eq!(bench.titles(&bench.ben), ["early", "of ben"]);
    assert_eq!(bench.shown(&bench.anna)[&early]["ben was here"], true);
    assert_eq!(bench.shown(&bench.ben)[&early]["anna was here"], Json::Null, "this device is the source of truth");
    assert_eq!((pending(&bench.ben), held_back(&bench.ben)), (0, 0));
    // Another collection goes both ways, and a new session and a new opening know the direction.
    bench.ben.disconnect();
    let photos = bench.anna.space(bench.space).unwrap().collection::<()>("photos").unwrap();
    let photo = photos.json().insert(&json!({ "title": "photo" })).unwrap();
    bench.write(&bench.anna, "later");
    bench.sync();
    let photos = bench.ben.space(bench.space).unwrap().collection::<()>("photos").unwrap();
    assert_eq!(photos.ids().unwrap(), [photo]);
    assert_eq!(bench.titles(&bench.ben), ["early", "of ben"]);
    bench.direct(&bench.ben, Direction::Both);
    bench.sync();
    bench.check_equal("both again");
    assert_eq!(bench.titles(&bench.ben).len(), 4);
}

#[test]
fn pull_only_receives_and_holds_its_own_edits_back_until_it_is_both_again() {
    let bench = Bench::start();
    let early = bench.write(&bench.anna, "early");
    bench.sync();
    bench.direct(&bench.ben, Direction::PullOnly);
    let own = bench.write(&bench.ben, "of ben");
    bench.edit(&bench.ben, early, "ben was here");
    bench.write(&bench.anna, "of anna");
    bench.edit(&bench.anna, early, "anna was here");
    bench.sync();
    assert_eq!(bench.titles(&bench.anna), ["early", "of anna"]);
    assert_eq!(bench.titles(&bench.ben), ["early", "of anna", "of ben"], "its own edits are kept");
    assert_eq!(bench.shown(&bench.anna)[&early]["ben was here"], Json::Null);
    let both = &bench.shown(&bench.ben)[&early];
    assert_eq!((&both["ben was here"], &both["anna was here"]), (&json!(true), &json!(true)));
    assert_eq!((pending(&bench.ben), held_back(&bench.ben)), (0, 2));
    let write = bench.notes(&bench.ben).entity(own).unwrap().map(Path::ROOT).put("more", Value::Int(1)).unwrap();
    let word = bench.site.block_on(write.wait(Durability::Relay));
    assert!(matches!(word, Err(WaitError::HeldBack { entity }) if entity == own), "nobody waits for what cannot come");
    assert!(!bench.is_on_the_relay(own.as_bytes()), "it was never sent");
    bench.direct(&bench.ben, Direction::Both);
    bench.sync();
    bench.site.block_on(write.wait(Durability::Relay)).unwrap();
    bench.check_equal("both again");
    assert_eq!(bench.titles(&bench.anna).len(), 3);
}

#[test]
fn nothing_of_a_local_collection_leaves_the_device_until_it_may() {
    let bench = Bench::start();
    bench.direct(&bench.ben, Direction::LocalOnly);
    const SECRET: &str = "a-title-that-stays-here";
    let own = bench.write(&bench.ben, SECRET);
    let gone = bench.write(&bench.ben, "purged here");
    bench.ben.space(bench.space).unwrap().purge([gone], Confirm::Yes).unwrap();
    let others = bench.write(&bench.anna, "of anna");
    bench.sync();
    assert_eq!(bench.titles(&bench.anna), ["of anna"]);
    assert_eq!(bench.titles(&bench.ben), [SECRET]);
    assert_eq!((pending(&bench.ben), held_back(&bench.ben)), (0, 2), "a change and an erasure record");
    bench.site.relay.process().unwrap();
    for needle in [own.as_bytes().as_slice(), gone.as_bytes(), SECRET.as_bytes()] {
        assert!(!bench.is_on_the_relay(needle));
    }
    assert!(bench.is_on_the_relay(others.as_bytes()), "the control: an id can be found");
    bench.direct(&bench.ben, Direction::PushOnly);
    bench.sync();
    assert_eq!(bench.titles(&bench.anna), ["a-title-that-stays-here", "of anna"]);
    assert!(bench.is_on_the_relay(own.as_bytes()) && bench.is_on_the_relay(gone.as_bytes()));
    bench.direct(&bench.ben, Direction::Both);
    bench.sync();
    bench.check_equal("both again");
}

#[test]
fn any_direction_changed_to_any_other_in_the_middle_of_edits_leaves_both_devices_equal() {
    let bench = Bench::start();
    let shared = bench.write(&bench.anna, "shared");
    bench.sync();
    for (from, to, is_offline) in
        ALL.iter().flat_map(|from| ALL.iter().flat_map(move |to| [(*from, *to, false), (*from, *to, true)]))
    {
        let name = format!("{from:?} to {to:?}, offline: {is_offline}");
        let edit = |step: &str| {
            for (replica, who) in [(&bench.anna, "anna"), (&bench.ben, "ben")] {
                bench.write(replica, &format!("{who}, {step}, {name}"));
                bench.edit(replica, shared, &format!("{who}, {step}, {name}"));
            }
        };
        bench.direct(&bench.ben, from);
        edit("before");
        if is_offline {
            bench.ben.disconnect();
        } else {
            bench.sync();
        }
        edit("between");
        bench.direct(&bench.ben, to);
        edit("after");
        bench.sync();
        if !to.sends() {
            assert!(held_back(&bench.ben) > 0, "{name}");
            assert!(!bench.titles(&bench.anna).contains(&format!("ben, after, {name}")), "{name}");
        }
        if !to.receives() {
            assert!(!bench.titles(&bench.ben).contains(&format!("anna, after, {name}")), "{name}");
        }
        bench.direct(&bench.ben, Direction::Both);
        bench.sync();
        bench.check_equal(&name);
    }
    assert_eq!(bench.anna.status().unwrap().spaces[0].resets, 0);
}

#[test]
fn a_pull_only_device_repairs_a_relay_that_lost_history_and_keeps_its_own_edits_back() {
    let mut bench = Bench::start();
    let shared = bench.write(&bench.anna, "of anna");
    let purged = bench.write(&bench.anna, "purged");
    // One that ben wrote while it was sent is no secret either.
    bench.write(&bench.ben, "of ben, sent");
    bench.sync();
    bench.direct(&bench.ben, Direction::PullOnly);
    bench.anna.space(bench.space).unwrap().purge([purged], Confirm::Yes).unwrap();
    let own = bench.write(&bench.ben, "of ben, held back");
    bench.edit(&bench.ben, shared, "ben was here");
    bench.sync();
    let held = held_back(&bench.ben);
    bench.anna.disconnect();

    bench.empty_the_relay();
    bench.site.sync(&bench.ben);
    assert_eq!(bench.ben.status().unwrap().spaces[0].resets, 1);
    assert_eq!((pending(&bench.ben), held_back(&bench.ben)), (0, held));
    let carol = bench.site.replica("carol.db");
    carol.join_space(bench.space).unwrap();
    bench.site.sync(&carol);
    assert_eq!(bench.titles(&carol), ["of anna", "of ben, sent"]);
    assert_eq!(bench.shown(&carol)[&shared]["ben was here"], Json::Null);
    assert_eq!(bench.notes(&carol).json().read(purged).unwrap_err().code(), "entity.purged");
    assert!(!bench.is_on_the_relay(own.as_bytes()));

    // A second loss finds it the same, also in the middle of another opening.
    bench.ben.disconnect();
    bench.empty_the_relay();
    bench.site.sync(&bench.ben);
    assert_eq!((pending(&bench.ben), held_back(&bench.ben)), (0, held));
    assert!(!bench.is_on_the_relay(own.as_bytes()));
    bench.direct(&bench.ben, Direction::Both);
    bench.sync();
    bench.check_equal("both again");
}

#[test]
fn a_local_collection_does_not_repair_a_relay_that_lost_history() {
    let mut bench = Bench::start();
    let shared = bench.write(&bench.anna, "of anna");
    bench.sync();
    bench.direct(&bench.ben, Direction::LocalOnly);
    bench.anna.disconnect();
    bench.empty_the_relay();
    bench.site.sync(&bench.ben);
    assert_eq!(bench.ben.status().unwrap().spaces[0].resets, 1);
    assert!(!bench.is_on_the_relay(shared.as_bytes()));
    assert_eq!((pending(&bench.ben), held_back(&bench.ben)), (0, 1));
    bench.direct(&bench.ben, Direction::PullOnly);
    bench.site.sync(&bench.ben);
    assert!(bench.is_on_the_relay(shared.as_bytes()), "what came from a relay is given back to one");
    bench.sync();
    bench.check_equal("pull only, with nothing of its own");
}

/// Bytes that no compression makes smaller.
fn noise(seed: u64) -> Value {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed + 1);
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    Value::Bytes((0..64).flat_map(|_| step()).collect())
}

#[test]
fn what_came_from_the_relay_is_never_sent_back_to_it() {
    const CHANGES: u64 = 60;
    let bench = Bench::start();
    let id = bench.write(&bench.anna, "note");
    bench.sync();
    let sent =
        |replica: &Replica| -> u64 { replica.runs(1_000).unwrap().iter().map(|run| run.figures.changes_sent).sum() };
    let bytes = |replica: &Replica| replica.status().unwrap().traffic.bytes_sent;
    for direction in [Direction::Both, Direction::PullOnly, Direction::Both] {
        bench.direct(&bench.ben, direction);
        bench.site.sync(&bench.ben);
        let (anna_before, ben_before) = (bytes(&bench.anna), bytes(&bench.ben));
        for number in 0..CHANGES {
            let note = bench.notes(&bench.anna).entity(id).unwrap();
            let _ = note.map(Path::ROOT).put("noise", noise(number)).unwrap();
            if number % 10 == 9 {
                bench.sync();
            }
        }
        let (of_anna, of_ben) = (bytes(&bench.anna) - anna_before, bytes(&bench.ben) - ben_before);
        assert!(of_anna > CHANGES * 512, "the control: {of_anna} bytes");
        assert!(of_ben < 10 * 512, "{direction:?}: {of_ben} bytes, of which not ten changes could be made");
        // A new session offers the whole outbox.
        bench.ben.disconnect();
        let _ = bench.notes(&bench.anna).entity(id).unwrap().map(Path::ROOT).put("noise", noise(CHANGES)).unwrap();
        bench.sync();
        bench.ben.disconnect();
        bench.sync();
    }
    assert_eq!(sent(&bench.ben), 0);
    assert!(sent(&bench.anna) > 0, "the control");
    bench.check_equal("at the end");
}

/// One step of a random history.
fn step(world: &mut World, devices: &[Device], backup: &mut Vec<u8>, random: &mut Random) {
    let device = devices[random.below(devices.len())];
    let collection = ["notes", "photos"][random.below(2)];
    let entities = if world.is_running(device) { world.entities(device) } else { Vec::new() };
    match random.below(12) {
        0 | 1 => drop(world.is_running(device).then(|| world.create(device, collection))),
        2..=4 if !entities.is_empty() => {
            let entity = entities[random.below(entities.len())];
            world.type_text(device, entity, 0, "word ");
        }
        5..=7 => world.set_direction(device, collection, ALL[random.below(ALL.len())]),
        8 if world.is_running(device) => world.crash(device),
        8 => world.restart(device),
        9 => world.go_offline(device),
        10 => world.go_online(device),
        _ if random.chance(300) => world.restore_relay(backup),
        _ if random.chance(300) => *backup = world.snapshot_relay(),
        _ => {}
    }
    world.run(random.between(0, 2_000));
    world.check().unwrap();
}

#[test]
fn whatever_the_directions_were_all_devices_are_equal_once_everything_goes_both_ways_again() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let mut world = World::new(seed);
        let devices = world.devices::<3>();
        world.settle();
        let mut backup = world.snapshot_relay();
        for _ in 0..40 {
            step(&mut world, &devices, &mut backup, &mut random);
        }
        for device in devices {
            if !world.is_running(device) {
                world.restart(device);
            }
            world.go_online(device);
            for collection in ["notes", "photos"] {
                world.set_direction(device, collection, Direction::Both);
            }
        }
        // Holds every store and what it shows against the log (S1, S2, D2, D5).
        world.settle();
        let [first, rest @ ..] = devices;
        for entity in world.made() {
            for other in rest {
                assert_eq!(world.text(first, entity), world.text(other, entity), "seed {seed}");
            }
        }
    }
}

#[test]
fn what_is_held_back_is_neither_planned_to_be_sent_nor_counted_by_a_guard() {
    let bench = Bench::start();
    let ids: Vec<_> = (0..4).map(|number| bench.write(&bench.anna, &format!("note {number}"))).collect();
    bench.sync();
    let space = bench.ben.space(bench.space).unwrap();
    space.set_guard(afield::Guard { deletions: Some(1), share: None }).unwrap();
    bench.direct(&bench.ben, Direction::PullOnly);
    bench.write(&bench.ben, "mine");
    ids.iter().take(3).for_each(|id| drop(bench.notes(&bench.ben).delete(*id).unwrap()));
    assert_eq!(bench.notes(&bench.ben).purge(ids[3], Confirm::Yes).unwrap_err().code(), "purge.only_comes_in");
    bench.direct(&bench.ben, Direction::LocalOnly);
    let _ = bench.notes(&bench.ben).purge(ids[3], Confirm::Yes).unwrap();
    bench.direct(&bench.ben, Direction::PullOnly);
    let planned = space.plan_to_send().unwrap();
    assert_eq!((planned.entities, planned.deletions, planned.purges), (0, 0, 0), "{planned:?}");
    bench.sync();
    assert_eq!(space.held().unwrap().list.len(), 0);
    assert_eq!(bench.titles(&bench.anna).len(), 4, "nothing of it left the device");

    bench.direct(&bench.ben, Direction::Both);
    let planned = space.plan_to_send().unwrap();
    assert_eq!((planned.entities, planned.deletions, planned.purges), (5, 3, 1), "{planned:?}");
}
