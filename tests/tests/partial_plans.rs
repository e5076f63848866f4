//! Dry runs and sandboxes of devices that hold a part of a space, or whose changes go one way: what a plan says is what the run does,
//! and a sandbox shows what the run makes of the store.

use afield::{Collection, Confirm, Direction, EntityId, Filter, PlannedWay, Relay, Replica, Space};
use afield_tests::processes::{Access, Planned, Program, Site};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const DIRECTIONS: [Direction; 4] = [Direction::Both, Direction::PushOnly, Direction::PullOnly, Direction::LocalOnly];
const COLLECTIONS: [&str; 2] = ["notes", "tasks"];

/// Two devices with two notes and two tasks each, before anything differs.
struct Pair {
    anna: Replica,
    ben: Replica,
    home: Space,
    ids: BTreeMap<&'static str, [EntityId; 3]>,
}

fn collection(replica: &Replica, home: &Space, name: &str) -> Collection<()> {
    replica.space(home.id()).unwrap().collection(name).unwrap()
}

impl Pair {
    fn new(site: &Site, number: usize) -> Self {
        let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
        let home = anna.create_space(&format!("home {number}")).unwrap();
        ben.join_space(home.id()).unwrap();
        let make = |name| {
            let made = collection(&anna, &home, name).json();
            (name, [0, 1, 2].map(|number| made.insert(&json!({ "number": number })).unwrap()))
        };
        let ids = COLLECTIONS.map(make).into();
        site.sync_all(&[&anna, &ben]);
        anna.disconnect();
        Self { anna, ben, home, ids }
    }

    /// What both do without knowing of each other, of which the one is on the relay then.
    fn differ(&self, site: &Site) {
        for name in COLLECTIONS {
            let [one, two, three] = self.ids[name];
            let theirs = collection(&self.ben, &self.home, name);
            let _ = theirs.json().edit(one, |one| one["ben"] = true.into()).unwrap();
            let _ = theirs.delete(two).unwrap();
            theirs.json().insert(&json!({ "of": "Ben" })).unwrap();
            theirs.purge(three, Confirm::Yes).unwrap();
            let mine = collection(&self.anna, &self.home, name);
            let _ = mine.json().edit(one, |one| one["anna"] = true.into()).unwrap();
            let _ = mine.json().edit(three, |three| three["anna"] = true.into()).unwrap();
            mine.json().insert(&json!({ "of": "Anna" })).unwrap();
        }
        site.sync(&self.ben);
    }
}

/// What a device shows, or a copy of it would.
type Shown = BTreeMap<(&'static str, EntityId), Json>;

fn shown(home: &Space) -> Shown {
    let of = |name| {
        let all = home.collection::<()>(name).unwrap().json().list().unwrap();
        all.into_iter().map(move |(id, json)| ((name, id), json))
    };
    COLLECTIONS.into_iter().flat_map(of).collect()
}

/// Plans, looks at a sandbox, and then does it; gives what came.
fn check(site: &Site, pair: &Pair, what: &str) -> PlannedWay {
    let Pair { anna, home, .. } = pair;
    let planned = Planned::make(site, "anna.db", home);
    let relay = Relay::new(site.relay.url());
    let sandbox = site.block_on(anna.sandbox_with(relay, site.path("look.db"), |_| {})).unwrap();
    assert_eq!(sandbox.received(home.id()).unwrap(), planned.plan.receive, "{what}");
    let spaces = sandbox.replica().spaces().unwrap();
    let there = spaces.iter().find(|space| space.id() == home.id()).unwrap();
    let of = |name: &'static str| {
        there.list(name).unwrap().into_iter().map(move |(id, json)| ((name, id), json)).collect::<Vec<_>>()
    };
    let would_be: Shown = COLLECTIONS.into_iter().flat_map(of).collect();
    let received = planned.plan.receive.clone();
    planned.check_run(anna);
    assert_eq!(shown(home), would_be, "{what}: the sandbox showed what is now");
    sandbox.remove().unwrap();
    let again = Planned::make(site, "anna.db", home);
    let left = (again.plan.send.entities, again.plan.receive.entities);
    assert_eq!(left, (0, 0), "{what}: nothing is left to do");
    received
}

/// The filters, by name.
fn filters(pair: &Pair) -> [(&'static str, Filter); 4] {
    let task = pair.ids["tasks"][0];
    [
        ("everything", Filter::everything()),
        ("notes", Filter::collections(["notes"])),
        ("notes and a task", Filter::collections(["notes"]).entities([task])),
        ("nothing", Filter::nothing()),
    ]
}

#[test]
fn a_plan_and_a_sandbox_equal_the_run_whatever_goes_which_way_and_whatever_is_kept_here() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    for number in 0..4 {
        for direction in DIRECTIONS {
            let pair = Pair::new(&site, number);
            let (name, filter) = filters(&pair)[number].clone();
            let what = format!("{name}, notes {direction:?}");
            pair.home.set_filter(filter).unwrap();
            pair.home.set_direction("notes", direction).unwrap();
            pair.differ(&site);
            let comes = check(&site, &pair, &what);
            let is_asked_for = |collection: &str| match collection {
                "notes" => direction.receives() && name != "nothing",
                _ => name == "everything" || name == "notes and a task",
            };
            for collection in COLLECTIONS {
                // What was purged goes whatever is asked for.
                let is_any = comes.list.iter().any(|one| one.collection == collection && one.changes > 0);
                assert_eq!(is_any, is_asked_for(collection), "{what}: {collection}");
            }

            // Everything and both ways again: what was left out or held back is planned to go and to come.
            pair.home.set_filter(Filter::everything()).unwrap();
            pair.home.set_direction("notes", Direction::Both).unwrap();
            check(&site, &pair, &format!("{what}, and back"));
            site.sync(&pair.ben);
            let theirs = pair.ben.space(pair.home.id()).unwrap();
            assert_eq!(shown(&theirs), shown(&pair.home), "{what}: nothing was lost");
            pair.anna.leave_space(pair.home.id()).unwrap();
            pair.ben.leave_space(pair.home.id()).unwrap();
        }
    }
}
