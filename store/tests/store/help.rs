//! Short ways to write what the tests are not about.

use afield_core::document::{Document, Incoming};
use afield_core::{
    ChangeHash, ChunkKind, Collection, Cursor, EntityId, LogId, Role, Sequence, SpaceId, log::ChunkHash,
};
use afield_store::{
    Arrival, ChangeState, Covering, EntityWrite, LoadFrom, NewChange, OpenOptions, Origin, OutboxChunk, OutboxPosition,
    Projection, Proof, ReceivedChange, Run, RunOutcome, Settled, Settlement, Snapshot, Store,
};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

pub(crate) const AT_MS: i64 = 1_700_000_000_000;

/// The tables with the two copies of snapshots.
pub(crate) const SNAPSHOTS: [&str; 2] = ["snapshots", "snapshots_second"];

pub(crate) fn space(number: u8) -> SpaceId {
    SpaceId::from_bytes([number; 16])
}

pub(crate) fn entity(number: u16) -> EntityId {
    let mut bytes = [0xe0; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    EntityId::from_bytes(bytes)
}

pub(crate) fn log(number: u8) -> LogId {
    LogId::from_bytes([number; 16])
}

pub(crate) fn notes() -> Collection {
    "notes".parse().unwrap()
}

/// A change is a number here, and a real change: of an author of its own, and resting on no other, so that any of them
/// together are a document. All are of one size.
pub(crate) fn hash(number: u32) -> ChangeHash {
    made(number).0
}

fn chunk_hash(number: u32) -> ChunkHash {
    ChunkHash::of(&bytes(number))
}

pub(crate) fn bytes(number: u32) -> Vec<u8> {
    made(number).1
}

fn made(number: u32) -> (ChangeHash, Vec<u8>) {
    static MADE: Mutex<BTreeMap<u32, (ChangeHash, Vec<u8>)>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap();
    made.entry(number).or_insert_with(|| make(number)).clone()
}

fn make(number: u32) -> (ChangeHash, Vec<u8>) {
    let mut actor = [7; 16];
    actor[..4].copy_from_slice(&number.to_be_bytes());
    let mut document = Automerge::new().with_actor(ActorId::from(actor));
    let mut transaction = document.transaction();
    transaction.put(automerge::ROOT, "field", format!("the bytes of change {number:010}")).unwrap();
    transaction.commit_with(CommitOptions::default().with_time(0));
    let change = document.get_last_local_change().unwrap();
    (change.hash(), change.raw_bytes().to_vec())
}

/// The saved document of an entity, with every change that is applied.
pub(crate) fn saved(store: &Store, id: EntityId) -> Snapshot {
    let stored = store.load(id, LoadFrom::Changes).unwrap().unwrap();
    let applied = stored.changes.iter().filter(|change| change.state == ChangeState::Applied);
    let applied: Vec<_> = applied.map(|change| Incoming { hash: change.hash, bytes: &change.bytes }).collect();
    let document = Document::load(id, None, applied.iter().copied()).unwrap();
    Snapshot { heads: document.heads(), changes: applied.len() as u64, bytes: document.save() }
}

/// Saves an entity and lets the bytes of its changes go; answers how many went.
pub(crate) fn compact(store: &mut Store, id: EntityId, covering: Covering) -> Result<u64, String> {
    let snapshot = saved(store, id);
    let in_words = |error: &dyn std::error::Error| error.to_string();
    let _ = store.save_snapshot(id, &snapshot).map_err(|error| in_words(&error))?;
    let mut checked = store.reader().check_snapshot(id).map_err(|error| in_words(&error))?;
    let mut changes = 0;
    loop {
        let covered = store.cover(&mut checked, covering).map_err(|error| in_words(&error))?;
        changes += covered.changes;
        if covered.is_done {
            return Ok(changes);
        }
    }
}

pub(crate) fn projection(text: &str) -> Projection {
    Projection { json: format!("{{\"title\":\"{text}\"}}"), deleted: false, updated_ms: AT_MS }
}

pub(crate) fn store_in_memory() -> Store {
    Store::open_in_memory(&OpenOptions::default()).unwrap()
}

/// A store in memory with the spaces 1 and 2, both at the start of the logs 1 and 2.
pub(crate) fn two_spaces() -> Store {
    let mut store = store_in_memory();
    prepare(&mut store);
    store
}

pub(crate) fn prepare(store: &mut Store) {
    for number in [1, 2] {
        let _ = store.create_space(space(number), "a space", Origin::MadeHere, AT_MS).unwrap();
        let _ = store.set_log(space(number), log(number), Role::Owner).unwrap();
    }
}

/// Appends changes as local edits of an entity of space 1.
pub(crate) fn edit(store: &mut Store, id: EntityId, changes: &[u32]) {
    let _ = append(store, space(1), id, changes, Arrival::Applied).unwrap();
}

pub(crate) fn append(
    store: &mut Store,
    space: SpaceId,
    entity: EntityId,
    changes: &[u32],
    arrival: Arrival,
) -> Result<afield_core::Durable<u64>, afield_store::AppendError> {
    let all: Vec<_> = changes.iter().map(|number| (hash(*number), bytes(*number))).collect();
    let changes: Vec<_> = all.iter().map(|(hash, bytes)| NewChange { hash: *hash, bytes, arrival }).collect();
    let shown = projection(&format!("{changes:?}").len().to_string());
    let shown = (arrival == Arrival::Applied).then_some(&shown);
    let write = EntityWrite { space, entity, collection: &notes(), changes: &changes, projection: shown };
    store.append(&[write], AT_MS)
}

/// One place of a log: a change of an entity, which the run carries or only proves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) entity: EntityId,
    pub(crate) change: u32,
    pub(crate) proven: bool,
}

pub(crate) fn carried(entity: EntityId, change: u32) -> Place {
    Place { entity, change, proven: false }
}

pub(crate) fn proven(entity: EntityId, change: u32) -> Place {
    Place { entity, change, proven: true }
}

pub(crate) fn cursor_behind(mut cursor: Cursor, places: &[Place]) -> Cursor {
    for place in places {
        cursor = cursor.then(place.entity, ChunkKind::Change.number(), chunk_hash(place.change));
    }
    cursor
}

/// Stores the places that follow this cursor of a space.
pub(crate) fn receive_after(
    store: &mut Store,
    space: SpaceId,
    expected: Cursor,
    places: &[Place],
) -> Result<RunOutcome, afield_store::ReceiveError> {
    let notes = notes();
    let at = |index: usize| expected.sequence.plus(index as u64 + 1);
    let content: Vec<_> = places.iter().map(|place| bytes(place.change)).collect();
    let mut received = Vec::new();
    let mut proofs = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let (entity, hash, sequence) = (place.entity, hash(place.change), at(index));
        if place.proven {
            proofs.push(Proof { entity, hash, sequence });
        } else {
            received.push(ReceivedChange { entity, collection: &notes, hash, sequence, bytes: &content[index] });
        }
    }
    let cursor_after = cursor_behind(expected, places);
    let run = Run {
        space,
        expected,
        cursor_after,
        received: &received,
        erasures: &[],
        unreadable: &[],
        proofs: &proofs,
        left_out: None,
    };
    store.receive(&run, AT_MS)
}

pub(crate) fn receive(store: &mut Store, space: SpaceId, places: &[Place]) -> RunOutcome {
    let expected = cursor(store, space);
    receive_after(store, space, expected, places).unwrap()
}

pub(crate) fn cursor(store: &Store, space: SpaceId) -> Cursor {
    store.space(space).unwrap().unwrap().cursor.unwrap()
}

pub(crate) fn sequence(number: u64) -> Sequence {
    Sequence::new(number)
}

/// The hashes in the outbox, in its order.
pub(crate) fn outbox(store: &mut Store, space: SpaceId) -> Vec<ChangeHash> {
    outbox_chunks(store, space).into_iter().map(|chunk| chunk.hash).collect()
}

/// The outbox, page by page.
pub(crate) fn outbox_chunks(store: &mut Store, space: SpaceId) -> Vec<OutboxChunk> {
    let (mut found, mut after) = (Vec::new(), OutboxPosition::START);
    loop {
        let page = store.outbox(space, after, usize::MAX, usize::MAX).unwrap().into_inner();
        let Some(last) = page.last() else { return found };
        after = last.position;
        found.extend(page);
    }
}

pub(crate) fn hashes(changes: &[u32]) -> Vec<ChangeHash> {
    changes.iter().map(|change| hash(*change)).collect()
}

pub(crate) fn sound(store: &Store) {
    assert_eq!(store.verify().unwrap(), []);
}

/// Every value of every table.
pub(crate) fn dump(connection: &Connection) -> Vec<(String, Vec<Vec<Value>>)> {
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    names
        .into_iter()
        .map(|name| {
            let mut statement = connection.prepare(&format!("SELECT * FROM {name} ORDER BY 1")).unwrap();
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect()).unwrap();
            let rows = rows.map(Result::unwrap).collect();
            (name, rows)
        })
        .collect()
}

/// A connection beside the store, as another program would have it.
pub(crate) fn beside(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
}

/// What became of some changes of one entity.
pub(crate) fn settlement(
    entity: EntityId,
    verdicts: &[(ChangeHash, Settled)],
    projection: Option<&Projection>,
) -> Settlement {
    Settlement { entity, verdicts: verdicts.to_vec(), projection: projection.cloned(), conflicts: None }
}
