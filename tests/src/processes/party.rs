//! Devices that share a space through a relay, and what all of them have and list.

use super::device::Program;
use super::relay::Access;
use super::site::{Site, changes_of};
use afield::{Collection, Conflict, EntityId, Path, Replica, Space, Value};
use serde_json::Value as Json;

/// After how many rounds of syncs everybody has everything.
const ROUNDS_MAX: usize = 20;

/// Devices that share a space through a relay, with a collection named `notes`.
#[derive(Debug)]
pub struct Party {
    /// The relay, and their files.
    pub site: Site,
    /// The devices.
    pub replicas: Vec<Replica>,
    /// The space on each of them.
    pub spaces: Vec<Space>,
}

impl Party {
    /// Starts a relay and makes so many devices, of which the first makes the space.
    ///
    /// # Panics
    ///
    /// The relay does not start, or a store does not open.
    pub fn new(program: &Program, devices: usize) -> Self {
        let site = Site::start(program, Access::Open);
        let replicas: Vec<Replica> = (0..devices).map(|number| site.replica(&format!("{number}.db"))).collect();
        let made = replicas[0].create_space("home").expect("a space");
        let join = |(number, replica): (usize, &Replica)| match number {
            0 => made.clone(),
            _ => replica.join_space(made.id()).expect("a space"),
        };
        let spaces = replicas.iter().enumerate().map(join).collect();
        Self { site, replicas, spaces }
    }

    /// The notes on a device.
    ///
    /// # Panics
    ///
    /// The store could not be read.
    pub fn notes(&self, device: usize) -> Collection<Json> {
        self.spaces[device].collection("notes").expect("a collection")
    }

    /// Makes a note, which everybody has then.
    ///
    /// # Panics
    ///
    /// It is not stored, or somebody does not get it.
    pub fn write(&self, fields: &Json) -> EntityId {
        let id = self.notes(0).json().insert(fields).expect("a note");
        self.exchange();
        id
    }

    /// Puts a value into a field of a note on a device, at another time than any edit before: of two in one millisecond, which is more than one
    /// takes, neither is the newest.
    ///
    /// # Panics
    ///
    /// It is not stored.
    pub fn edit(&self, device: usize, id: EntityId, field: &str, value: impl Into<Value>) {
        let started = now_ms();
        while now_ms() == started {
            std::thread::yield_now();
        }
        let note = self.notes(device).entity(id).expect("the note");
        note.map(Path::ROOT).put(field, value).expect("an edit");
    }

    /// Lets everybody have everything that anybody makes, and nobody be connected afterwards; says how many rounds anybody made
    /// anything in.
    ///
    /// # Panics
    ///
    /// That does not end.
    pub fn exchange(&self) -> usize {
        let mut before = None;
        for round in 0..ROUNDS_MAX {
            self.replicas.iter().for_each(|replica| self.site.sync(replica));
            let held: Vec<_> = (0..self.replicas.len()).map(|device| self.held(device)).collect();
            if before.as_ref() == Some(&held) {
                self.replicas.iter().for_each(Replica::disconnect);
                return round;
            }
            before = Some(held);
        }
        panic!("devices write to each other for ever");
    }

    /// How many changes a device holds of each note.
    ///
    /// # Panics
    ///
    /// The store could not be read.
    pub fn held(&self, device: usize) -> Vec<usize> {
        let notes = self.notes(device);
        notes.ids().expect("the notes").into_iter().map(|id| changes_of(&notes, id).len()).collect()
    }

    /// What a field of a note reads as on each device.
    ///
    /// # Panics
    ///
    /// A device does not have the note.
    pub fn shown(&self, id: EntityId, field: &str) -> Vec<Json> {
        let read = |device| self.notes(device).json().read(id).expect("the note")[field].clone();
        (0..self.replicas.len()).map(read).collect()
    }

    /// What every device lists as in conflict, which is the same but for what it says of its own strategies.
    ///
    /// # Panics
    ///
    /// It is not the same.
    pub fn inbox(&self) -> Vec<Conflict> {
        let list = |space: &Space| space.conflicts().expect("the conflicts");
        let all: Vec<Vec<Conflict>> = self.spaces.iter().map(list).collect();
        all.iter().for_each(|other| assert_eq!(said(other), said(&all[0])));
        all.into_iter().next().unwrap_or_default()
    }
}

fn now_ms() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("a clock after 1970").as_millis()
}

/// Everything that a list of conflicts says, but for strategies.
pub fn said(conflicts: &[Conflict]) -> Vec<String> {
    let say = |one: &Conflict| {
        format!("{} {} {} {} {:?} {:?}", one.id, one.entity, one.collection, one.path, one.kind, one.values)
    };
    conflicts.iter().map(say).collect()
}
