//! Everything that people do, together: versions of an application that see one collection through lenses, edits, deletions,
//! undo, decisions, strategies, purges, directions, restarts and syncs in any order, on whole devices with a real relay. In the end all hold the same
//! (S1), list the same conflicts, have the same projections byte by byte and find the same, as with what is made anew (D9), and nothing of what
//! was purged.

use afield::{
    Choice, Collection, Confirm, Direction, EditError, EntityId, Lens, Lenses, Path, Replica, Space, SpaceId,
    Strategy as Deciding, Text, Value, model,
};
use afield_tests::processes::{Access, Program, Site};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rusqlite::{Connection, OpenFlags};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

const DEVICES: usize = 3;
/// How many histories are played; each syncs over real sockets.
const CASES: u32 = 64;
/// After how many rounds of syncs all have what strategies settled meanwhile.
const ROUNDS_MAX: usize = 12;
/// What is searched for: words that people write, and numbers of which some are others in another form.
const WORDS: [&str; 6] = ["a", "ab", "c", "0", "1", "2"];

/// A row of the projections: the entity, its collection, whether it is deleted, since when it reads so, and what it reads.
type Row = (Vec<u8>, String, bool, i64, Vec<u8>);

/// A task as the first version has it.
#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct OldTask {
    title: String,
    notes: Text,
    done: bool,
    label: Option<String>,
}

/// A task as the second version has it.
#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Task {
    name: String,
    notes: Text,
    state: String,
    labels: Vec<String>,
    urgency: i64,
}

fn lenses() -> Lenses {
    let state = Lens::convert("done", "state", [(false, "open"), (true, "closed")], false, "open");
    Lenses::oldest(1)
        .version(2, [Lens::rename("title", "name"), state, Lens::wrap("label", "labels"), Lens::add("urgency", 1)])
        .unwrap()
}

/// What somebody does. Entities are named by the order of their making, as often as there are.
#[derive(Debug, Clone)]
enum Act {
    Insert(String),
    Name(usize, String),
    Type(usize, usize, usize, String),
    Close(usize, bool),
    Label(usize, Vec<String>),
    Urgency(usize, i64),
    Note(usize, String),
    Measure(usize, f64, bool),
    Delete(usize),
    Restore(usize),
    /// Of one that is deleted, or of one that is not.
    Undo(usize, bool),
    Redo(usize, bool),
    Decide(usize),
    Follow(Deciding),
    Purge(usize),
    Direct(Direction),
    Sync,
    Leave,
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let entity = 0..3_usize;
    let word = "[a-c]{1,3}";
    prop_oneof![
        1 => word.prop_map(Act::Insert),
        3 => (entity.clone(), word).prop_map(|(entity, name)| Act::Name(entity, name)),
        4 => (entity.clone(), 0..8_usize, 0..3_usize, "[a-c ]{0,4}")
            .prop_map(|(entity, place, delete, insert)| Act::Type(entity, place, delete, insert)),
        2 => (entity.clone(), any::<bool>()).prop_map(|(entity, done)| Act::Close(entity, done)),
        2 => (entity.clone(), prop::collection::vec("[x-z]", 0..3)).prop_map(|(entity, labels)| Act::Label(entity, labels)),
        1 => (entity.clone(), 0..5_i64).prop_map(|(entity, urgency)| Act::Urgency(entity, urgency)),
        1 => (entity.clone(), word).prop_map(|(entity, note)| Act::Note(entity, note)),
        2 => entity.clone().prop_map(Act::Delete),
        2 => entity.clone().prop_map(Act::Restore),
        1 => (entity.clone(), 0..3_u8, any::<bool>())
            .prop_map(|(entity, size, is_whole)| Act::Measure(entity, size.into(), is_whole)),
        4 => (entity.clone(), any::<bool>()).prop_map(|(entity, is_deleted)| Act::Undo(entity, is_deleted)),
        3 => (entity.clone(), any::<bool>()).prop_map(|(entity, is_deleted)| Act::Redo(entity, is_deleted)),
        2 => entity.clone().prop_map(Act::Decide),
        1 => prop::sample::select(Deciding::ALL.to_vec()).prop_map(Act::Follow),
        1 => entity.prop_map(Act::Purge),
        1 => prop::sample::select(vec![Direction::PushOnly, Direction::PullOnly, Direction::LocalOnly])
            .prop_map(Act::Direct),
        1 => Just(Act::Direct(Direction::Both)),
        5 => Just(Act::Sync),
        2 => Just(Act::Leave),
        1 => Just(Act::Reopen),
    ]
}

/// Somebody with a device, whose application is of one of two versions.
struct Person {
    replica: Replica,
    path: std::path::PathBuf,
    space: Space,
    old: Collection<OldTask>,
    new: Collection<Task>,
    is_new: bool,
}

struct World<'s> {
    site: &'s Site,
    people: Vec<Person>,
    purged: RefCell<BTreeSet<EntityId>>,
}

impl<'s> World<'s> {
    fn new(site: &'s Site, number: u32) -> Self {
        let paths = (0..DEVICES).map(|device| site.path(&format!("{number}-{device}.db")));
        let replicas: Vec<_> = paths.map(|path| (Replica::open(&path).unwrap(), path)).collect();
        let home = replicas[0].0.create_space("home").unwrap().id();
        // The relay knows a space once its maker has been there.
        site.sync(&replicas[0].0);
        let join = |(device, (replica, path)): (usize, (Replica, _))| {
            let _ = replica.join_space(home).unwrap();
            let person = Person::new(replica, path, home, device > 0);
            // No version has the size, as a third one would write it.
            let all: Collection<()> = person.space.collection("tasks").unwrap();
            let _ = all.search_fields(["notes", "size"]).unwrap();
            person
        };
        let people = replicas.into_iter().enumerate().map(join).collect();
        Self { site, people, purged: RefCell::default() }
    }

    /// Syncs all until nobody has anything that others lack.
    fn sync_all(&self) -> Result<(), TestCaseError> {
        let all: Vec<_> = self.people.iter().map(|person| &person.replica).collect();
        let stand = |replica: &&Replica| {
            let status = replica.status().unwrap();
            (status.pending_changes, status.spaces.iter().map(|space| space.sequence).collect::<Vec<_>>())
        };
        for _ in 0..ROUNDS_MAX {
            let before: Vec<_> = all.iter().map(stand).collect();
            self.site.sync_all(&all);
            let after: Vec<_> = all.iter().map(stand).collect();
            if before == after && after.iter().all(|one| *one == (0, after[0].1.clone())) {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("devices write to each other for ever"))
    }

    fn act(&mut self, device: usize, act: &Act) {
        let person = &self.people[device];
        match act {
            Act::Reopen => {
                let Person { replica, path, space, old, new, is_new } = self.people.remove(device);
                let home = space.id();
                drop((replica, space, old, new));
                let again = Replica::open(&path).unwrap();
                self.people.insert(device, Person::new(again, path, home, is_new));
            }
            Act::Purge(entity) => {
                let Some(id) = person.entity(*entity, false) else { return };
                let _ = person.old.purge(id, Confirm::Yes).unwrap();
                self.purged.borrow_mut().insert(id);
            }
            act => person.act(self.site, act),
        }
    }
}

impl Person {
    fn new(replica: Replica, path: std::path::PathBuf, home: SpaceId, is_new: bool) -> Self {
        let space = replica.space(home).unwrap();
        let old: Collection<OldTask> = space.collection("tasks").unwrap();
        let new: Collection<Task> = space.collection::<Task>("tasks").unwrap().through(lenses());
        Self { replica, path, space, old, new, is_new }
    }

    /// The entity that is meant, of those that are here and not deleted, or of the deleted ones.
    fn entity(&self, number: usize, is_deleted: bool) -> Option<EntityId> {
        let ids = if is_deleted { self.old.deleted().unwrap() } else { self.old.ids().unwrap() };
        ids.get(number % ids.len().max(1)).copied()
    }

    fn edit(&self, number: usize, old: impl FnOnce(&mut OldTask), new: impl FnOnce(&mut Task)) {
        let Some(id) = self.entity(number, false) else { return };
        made(if self.is_new { self.new.edit(id, new) } else { self.old.edit(id, old) });
    }

    fn act(&self, site: &Site, act: &Act) {
        match act.clone() {
            Act::Insert(name) if self.is_new => drop(self.new.insert(&Task { name, ..Task::default() }).unwrap()),
            Act::Insert(title) => drop(self.old.insert(&OldTask { title, ..OldTask::default() }).unwrap()),
            Act::Name(entity, name) => {
                let title = name.clone();
                self.edit(entity, |task| task.title = title, |task| task.name = name);
            }
            Act::Type(entity, place, delete, insert) => {
                let splice = |notes: &mut Text| {
                    let length = notes.as_str().chars().count();
                    let place = place.min(length);
                    notes.splice(place, delete.min(length - place), &insert);
                };
                self.edit(entity, |task| splice(&mut task.notes), |task| splice(&mut task.notes));
            }
            Act::Close(entity, done) => {
                let state = if done { "closed" } else { "waiting" };
                self.edit(entity, |task| task.done = done, |task| task.state = state.to_owned());
            }
            Act::Label(entity, labels) => {
                let first = labels.first().cloned();
                self.edit(entity, |task| task.label = first, |task| task.labels = labels);
            }
            Act::Urgency(entity, urgency) => self.edit(entity, |_| (), |task| task.urgency = urgency),
            Act::Note(entity, note) => {
                // A field that neither version knows, as a third one would write it.
                let Some(id) = self.entity(entity, false) else { return };
                let entity = self.old.entity(id).map_err(EditError::from);
                made(entity.and_then(|entity| entity.map(Path::ROOT).put("note", note)));
            }
            Act::Delete(entity) => drop(self.entity(entity, false).map(|id| made(self.old.delete(id)))),
            Act::Restore(entity) => drop(self.entity(entity, true).map(|id| made(self.old.restore(id)))),
            Act::Measure(entity, size, is_whole) => {
                let Some(id) = self.entity(entity, false) else { return };
                let size = if is_whole { Value::Int(size as i64) } else { Value::F64(size) };
                let entity = self.old.entity(id).map_err(EditError::from);
                made(entity.and_then(|entity| entity.map(Path::ROOT).put("size", size)));
            }
            Act::Undo(entity, is_deleted) => drop(self.entity(entity, is_deleted).map(|id| made(self.old.undo(id)))),
            Act::Redo(entity, is_deleted) => drop(self.entity(entity, is_deleted).map(|id| made(self.old.redo(id)))),
            Act::Decide(number) => {
                let all = self.space.conflicts().unwrap();
                let Some(one) = all.get(number % all.len().max(1)) else { return };
                let decided = one.resolve(&Choice::Keep(number % one.values.len()));
                // Somebody else may have decided it since it was listed.
                made(
                    decided
                        .map(drop)
                        .or_else(|error| if error.code() == "edit.operation" { Ok(()) } else { Err(error) }),
                );
            }
            Act::Follow(strategy) => self.old.on_conflict(strategy).unwrap(),
            Act::Purge(_) | Act::Reopen => unreachable!("it is not done by the person alone"),
            Act::Direct(direction) => self.space.set_direction("tasks", direction).unwrap(),
            Act::Sync => site.sync(&self.replica),
            Act::Leave => self.replica.disconnect(),
        }
    }

    /// Everything that the space holds, as an export has it.
    fn export(&self) -> String {
        let mut lines = Vec::new();
        let _ = self.space.export(&mut lines, |_| ()).unwrap();
        String::from_utf8(lines).unwrap()
    }

    fn inbox(&self) -> Vec<String> {
        let say = |one: &afield::Conflict| {
            format!("{} {} {} {} {:?} {:?}", one.id, one.entity, one.collection, one.path, one.kind, one.values)
        };
        self.space.conflicts().unwrap().iter().map(say).collect()
    }

    /// What a few searches find.
    fn found(&self) -> Vec<BTreeSet<EntityId>> {
        let find = |word: &str| self.old.json().search(word).unwrap().all().unwrap().iter().map(|hit| hit.id).collect();
        WORDS.into_iter().map(find).collect()
    }

    /// What queries read, as it stands in the file.
    fn projections(&self) -> Vec<Row> {
        // Whatever is stale is projected before it is shown.
        let _ = self.old.json().query("1 = 1", ()).unwrap().count().unwrap();
        let _ = self.old.deleted().unwrap();
        let file = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut all = file
            .prepare(
                "SELECT entity, p.collection, deleted, updated_ms, CAST(json AS BLOB) FROM projections p JOIN entities USING (entity_row)
                 WHERE stale = 0 ORDER BY entity",
            )
            .unwrap();
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }
}

/// What was done may be of an entity that somebody else has purged since it was listed, and of nothing else that is not there.
fn made<T>(done: Result<T, EditError>) {
    if let Err(error) = done {
        assert_eq!(error.code(), "entity.purged", "{error}");
    }
}

fn play(site: &Site, number: u32, acts: &[(usize, Act)]) -> Result<(), TestCaseError> {
    let mut world = World::new(site, number);
    for (device, act) in acts {
        world.act(*device, act);
    }
    world.people.iter().for_each(|person| person.space.set_direction("tasks", Direction::Both).unwrap());
    world.sync_all()?;
    let [first, others @ ..] = world.people.as_slice() else { return Ok(()) };
    let (export, inbox, projections, found) = (first.export(), first.inbox(), first.projections(), first.found());
    prop_assert_eq!(export.lines().count(), projections.len());
    for other in others {
        prop_assert_eq!(&other.export(), &export);
        prop_assert_eq!(&other.inbox(), &inbox);
        prop_assert_eq!(&other.projections(), &projections);
        prop_assert_eq!(&other.found(), &found);
    }
    for id in world.purged.borrow().iter() {
        prop_assert!(!export.contains(&id.to_string()), "{} is back", id);
        for person in &world.people {
            let kept = person.old.json().read(*id);
            prop_assert!(kept.is_err(), "{} is back: {:?}", id, kept);
        }
    }
    for person in &world.people {
        person.replica.rebuild(|_| ()).unwrap();
        prop_assert_eq!(&person.projections(), &projections);
        prop_assert_eq!(&person.found(), &found);
        prop_assert_eq!(&person.inbox(), &inbox);
        let status = person.replica.status().unwrap();
        prop_assert_eq!((status.pending_changes, status.conflicts), (0, inbox.len() as u64));
    }
    Ok(())
}

#[test]
fn whatever_people_do_in_whatever_order_all_end_with_the_same() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let mut runner = TestRunner::new(Config { cases: CASES, ..Config::default() });
    let number = Cell::new(0);
    let acts = prop::collection::vec((0..DEVICES, act()), 5..40);
    let played = runner.run(&acts, |acts| {
        number.set(number.get() + 1);
        play(&site, number.get(), &acts)
    });
    played.unwrap_or_else(|error| panic!("{error}"));
}
