//! A plan held against what the run then does, entity by entity: in the store, in the relay's log, and in the history of runs.

use super::site::Site;
use crate::contents::LogContents;
use afield::{EntityId, PlannedEffect, PlannedEntity, PlannedWay, Relay, Replica, Space, SpaceId, SyncPlan};
use afield_core::change::ChangeHeader;
use afield_core::erasure::ERASURE_BYTES;
use afield_core::session::LogEntry;
use afield_core::{ChunkKind, Limits};
use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};

/// A plan of a space, with how things stood when it was made.
#[derive(Debug)]
pub struct Planned<'s> {
    /// What it says.
    pub plan: SyncPlan,
    site: &'s Site,
    name: &'s str,
    space: &'s Space,
    log: LogContents,
    stored: StoredChanges,
    moved: (u64, u64),
}

impl<'s> Planned<'s> {
    /// Makes a plan of a space in the store of that name, which is to change nothing.
    ///
    /// # Panics
    ///
    /// The plan cannot be made, or sends or applies something.
    pub fn make(site: &'s Site, name: &'s str, space: &'s Space) -> Self {
        let id = space.id();
        let (log, stored, moved) =
            (site.relay.contents(id).expect("a log"), StoredChanges::read(site, name, id), moved(space));
        let plan = site.block_on(space.plan_with(Relay::new(site.relay.url()), |_| {})).expect("a plan");
        assert_eq!(StoredChanges::read(site, name, id), stored, "nothing is applied");
        let log_after = site.relay.contents(id).expect("a log");
        assert!(format!("{log_after:?}") == format!("{log:?}"), "nothing is sent");
        Self { plan, site, name, space, log, stored, moved }
    }

    /// The log as it was.
    pub fn log(&self) -> &LogContents {
        &self.log
    }

    /// Syncs the device, and holds the plan against what that did.
    ///
    /// # Panics
    ///
    /// It did something else.
    pub fn check_run(self, replica: &Replica) {
        let (plan, id) = (&self.plan, self.space.id());
        self.site.sync(replica);
        replica.disconnect();
        check_received(&plan.receive, (&self.stored, &StoredChanges::read(self.site, self.name, id)), &self.log);
        check_sent(&plan.send, &self.log, &self.site.relay.contents(id).expect("a log"));
        let moved = moved(self.space);
        assert_eq!(plan.receive.changes, moved.1 - self.moved.1);
        assert_eq!(plan.send.changes + plan.send.purges, moved.0 - self.moved.0);
    }
}

/// What a store holds: each change with its size, which entities are deleted, and which were purged.
#[derive(Debug, Default, PartialEq)]
pub struct StoredChanges {
    changes: BTreeMap<(Vec<u8>, Vec<u8>), u64>,
    /// Whether each entity is deleted, by its id.
    pub deleted: BTreeMap<Vec<u8>, bool>,
    purged: BTreeSet<Vec<u8>>,
    bodies: Vec<(Vec<u8>, Vec<u8>)>,
}

impl StoredChanges {
    /// Reads the store of that name.
    ///
    /// # Panics
    ///
    /// It cannot be read.
    pub fn read(site: &Site, name: &str, space: SpaceId) -> Self {
        let store = Connection::open_with_flags(site.path(name), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let space = space.as_bytes().to_vec();
        let of_space = "space_row = (SELECT space_row FROM spaces WHERE space = ?1)";
        let mut found = Self::default();
        let sql =
            format!("SELECT entity, hash, size FROM changes JOIN entities USING (entity_row) WHERE changes.{of_space}");
        let mut statement = store.prepare(&sql).unwrap();
        let rows =
            statement.query_map([&space], |row| Ok(((row.get(0)?, row.get(1)?), u64::from(row.get::<_, u32>(2)?))));
        found.changes = rows.unwrap().collect::<Result<_, _>>().unwrap();
        let sql = format!(
            "SELECT entity, deleted FROM projections JOIN entities USING (entity_row) WHERE entities.{of_space}"
        );
        let mut statement = store.prepare(&sql).unwrap();
        let rows = statement.query_map([&space], |row| Ok((row.get(0)?, row.get(1)?)));
        found.deleted = rows.unwrap().collect::<Result<_, _>>().unwrap();
        let sql = format!("SELECT entity FROM erasures WHERE {of_space}");
        let mut statement = store.prepare(&sql).unwrap();
        found.purged = statement.query_map([&space], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let sql = "SELECT hash, bytes FROM bodies JOIN changes USING (change_row) ORDER BY change_row";
        let mut statement = store.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        found.bodies = rows.unwrap().collect::<Result<_, _>>().unwrap();
        found
    }
}

/// Changes sent and received by all runs of a space.
fn moved(space: &Space) -> (u64, u64) {
    let runs = space.runs(2_000).unwrap();
    runs.iter().fold((0, 0), |(sent, received), run| {
        (sent + run.figures.changes_sent, received + run.figures.changes_received)
    })
}

/// What a plan is to say of what a run has brought: changes and bytes by entity, who is deleted by it, and who purged.
fn check_received(planned: &PlannedWay, (before, after): (&StoredChanges, &StoredChanges), log: &LogContents) {
    let changes = log.entries().iter().filter(|entry| entry.kind == ChunkKind::Change);
    let hash = |entry: &LogEntry| ChangeHeader::read(&entry.bytes, &Limits::DEFAULT).unwrap().hash.0.to_vec();
    let on_relay: BTreeSet<(Vec<u8>, Vec<u8>)> =
        changes.map(|entry| (entry.entity.as_bytes().to_vec(), hash(entry))).collect();
    let mut brought: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
    for ((entity, hash), size) in &after.changes {
        // What strategies have decided came from here.
        let change = (entity.clone(), hash.clone());
        if !before.changes.contains_key(&change) && on_relay.contains(&change) {
            let (changes, bytes) = brought.entry(entity.clone()).or_default();
            (*changes, *bytes) = (*changes + 1, *bytes + size);
        }
    }
    let of = |effect| {
        let of_effect = planned.list.iter().filter(move |entity| entity.effect == effect);
        of_effect.map(|entity| entity.entity.as_bytes().to_vec()).collect::<BTreeSet<_>>()
    };
    let here = |entity: &&Vec<u8>| before.deleted.contains_key(*entity);
    let purged: BTreeSet<_> = after.purged.difference(&before.purged).filter(here).cloned().collect();
    assert_eq!(of(PlannedEffect::Purged), purged);
    let listed = planned.list.iter().filter(|entity| entity.effect != PlannedEffect::Purged);
    let listed: BTreeMap<_, _> =
        listed.map(|entity| (entity.entity.as_bytes().to_vec(), (entity.changes, entity.bytes))).collect();
    assert_eq!(listed, brought);
    let turned = |from: bool| {
        let turned = before.deleted.iter().filter(|(id, was)| **was == from && after.deleted.get(*id) == Some(&!from));
        turned.map(|(id, _)| id.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(of(PlannedEffect::Deleted), turned(false));
    assert_eq!(of(PlannedEffect::Restored), turned(true));
    let new = brought.keys().filter(|entity| !before.deleted.contains_key(*entity)).cloned().collect::<BTreeSet<_>>();
    assert_eq!(of(PlannedEffect::New), new);
    assert_eq!(planned.changes, brought.values().map(|(changes, _)| changes).sum::<u64>());
    let bytes = brought.values().map(|(_, bytes)| bytes).sum::<u64>() + purged.len() as u64 * ERASURE_BYTES as u64;
    assert_eq!(planned.bytes, bytes);
    assert_eq!((planned.deletions, planned.purges), (turned(false).len() as u64, purged.len() as u64));
    assert_eq!(planned.entities as usize, planned.list.len());
}

/// What a plan is to say of what a run has added to the log: changes and records, and their bytes, by entity.
fn check_sent(planned: &PlannedWay, before: &LogContents, after: &LogContents) {
    let mut added: BTreeMap<EntityId, (u64, u64)> = BTreeMap::new();
    for entry in after.entries().iter().filter(|entry| entry.sequence > before.head().sequence) {
        let (chunks, bytes) = added.entry(entry.entity).or_default();
        (*chunks, *bytes) = (*chunks + 1, *bytes + entry.bytes.len() as u64);
    }
    let chunks = |entity: &PlannedEntity| entity.changes + u64::from(entity.effect == PlannedEffect::Purged);
    let listed = planned.list.iter().map(|entity| (entity.entity, (chunks(entity), entity.bytes)));
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), added);
    assert_eq!(planned.entities as usize, added.len());
    assert_eq!(planned.bytes, added.values().map(|(_, bytes)| bytes).sum::<u64>());
}
