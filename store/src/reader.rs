//! Reading beside the writer, from any thread or process.

use crate::column;
use crate::connection::{self, SharedConnection};
use crate::error::{OpenError, StoreError};
use crate::load::{self, LoadFrom, StoredEntity};
use crate::outbox::{self, Block, OutboxSize};
use crate::settle::Reason;
use crate::space::{self, SpaceRecord};
use crate::transaction::{row, rows};
use afield_core::{EntityId, Sequence, SpaceId};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections a reader of a file keeps for later: more readers than this at once are rare.
const IDLE_CONNECTIONS_MAX: usize = 4;

/// Reads a store; clones share their connections, and each query sees one committed state.
#[derive(Debug, Clone)]
pub struct Reader(pub(crate) Arc<Source>);

#[derive(Debug)]
pub(crate) enum Source {
    Memory(SharedConnection),
    File { path: PathBuf, idle: Mutex<Vec<Connection>> },
}

/// Tells whether anything was committed to a store, by whatever process: see [`Reader::commits`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// # use afield_core::SpaceId;
/// # use afield_store::{OpenOptions, Origin, Store};
/// let mut store = Store::open(&path, &OpenOptions::default())?;
/// let mut commits = store.reader().commits()?.expect("it is a file");
/// assert!(!commits.have_come()?);
/// store.create_space(SpaceId::from_bytes([7; 16]), "Home", Origin::MadeHere, 0)?; // or another process did
/// assert!(commits.have_come()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Commits {
    connection: Connection,
    version: i64,
}

/// Something in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedChunk {
    /// The entity that the log names.
    pub entity: EntityId,
    /// The hash of the change, or of the chunk's bytes where it is no change of this space.
    pub hash: [u8; 32],
    /// Whether it is a change of an entity of this space, kept among its changes.
    pub is_change: bool,
    /// The number of its kind.
    pub kind: u8,
    /// Why.
    pub reason: Reason,
    /// Where it stands in the log prefix that the cursor names, if it does.
    pub sequence: Option<Sequence>,
    /// Since when, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// The figures of a space for its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpaceFigures {
    /// Entities, deleted ones included.
    pub entities: u64,
    /// The outbox.
    pub outbox: OutboxSize,
    /// Changes and erasure records that the directions of their collections keep here.
    pub held_back: u64,
    /// Changes that were received and not yet applied.
    pub received: u64,
    /// Changes that wait for others.
    pub waiting: u64,
    /// Chunks in the quarantine.
    pub quarantined: u64,
    /// Entities whose outbox is held back.
    pub blocked: u64,
}

impl Reader {
    /// Opens a store file for reading, whether or not a process writes it.
    ///
    /// # Errors
    ///
    /// [`OpenError::NotAStore`], [`OpenError::Newer`], or [`OpenError::Older`] for a file that a writer has to migrate
    /// first; [`OpenError::Store`] when there is no file or the storage fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let connection = connection::open_reader(path.as_ref())?;
        let (path, idle) = (path.as_ref().to_owned(), Mutex::new(vec![connection]));
        Ok(Self(Arc::new(Source::File { path, idle })))
    }

    /// All spaces, in the order in which they came.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn spaces(&self) -> Result<Vec<SpaceRecord>, StoreError> {
        self.read(space::all)
    }

    /// What is in the quarantine of a space.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn quarantined(&self, space: SpaceId) -> Result<Vec<QuarantinedChunk>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT entity, hash, bytes IS NULL, kind, reason, rules, at_ms, coalesce(sequence,
                       (SELECT changes.sequence FROM changes JOIN entities USING (entity_row)
                        WHERE entities.entity = quarantine.entity AND changes.hash = quarantine.hash))
                       FROM quarantine WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?)
                       ORDER BY quarantine_row";
            rows(connection, sql, [space.as_bytes()], |row| {
                Ok(QuarantinedChunk {
                    entity: column::entity(row, 0)?,
                    hash: row.get(1)?,
                    is_change: row.get(2)?,
                    kind: column::number(row, 3)?,
                    reason: Reason { number: column::number(row, 4)?, rules: column::number(row, 5)? },
                    at_ms: row.get(6)?,
                    sequence: column::sequence(row, 7)?,
                })
            })
        })
    }

    /// The entities of a space whose outbox is held back, and those of which the relay did not take the erasure record.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn blocked(&self, space: SpaceId) -> Result<Vec<Block>, StoreError> {
        self.read(|connection| outbox::blocked(connection, space))
    }

    /// The figures of a space; all zero for an unknown one.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn figures(&self, space: SpaceId) -> Result<SpaceFigures, StoreError> {
        self.read(|connection| {
            let sql = "WITH this AS (SELECT space_row FROM spaces WHERE space = ?)
                       SELECT (SELECT count(*) FROM entities JOIN this USING (space_row)),
                       (SELECT count(*) FROM changes JOIN this USING (space_row) WHERE state <> 0 AND state = 1),
                       (SELECT count(*) FROM changes JOIN this USING (space_row) WHERE state <> 0 AND state = 2),
                       (SELECT count(*) FROM quarantine JOIN this USING (space_row)),
                       (SELECT count(*) FROM blocks JOIN this USING (space_row)) +
                       (SELECT count(*) FROM erasures JOIN this USING (space_row) WHERE refused IS NOT NULL AND sequence IS NULL)";
            let figures = row(connection, sql, [space.as_bytes()], |row| {
                Ok(SpaceFigures {
                    entities: column::count(row, 0)?,
                    outbox: OutboxSize::default(),
                    held_back: 0,
                    received: column::count(row, 1)?,
                    waiting: column::count(row, 2)?,
                    quarantined: column::count(row, 3)?,
                    blocked: column::count(row, 4)?,
                })
            })?;
            let held_back = outbox::held_back(connection, space)?;
            Ok(SpaceFigures { outbox: outbox::size(connection, space)?, held_back, ..figures.unwrap_or_default() })
        })
    }

    /// What it takes to open an entity, as [`crate::Store::load`] answers it.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn load(&self, entity: EntityId, from: LoadFrom) -> Result<Option<StoredEntity>, StoreError> {
        self.read(|connection| load::load(connection, entity, from))
    }

    /// Watches for commits from now on, of any process; `None` for a store in memory.
    ///
    /// # Errors
    ///
    /// The file cannot be opened once more.
    pub fn commits(&self) -> Result<Option<Commits>, StoreError> {
        let Source::File { path, .. } = &*self.0 else { return Ok(None) };
        let connection = connection::open_reader(path).map_err(StoreError::from)?;
        let version = data_version(&connection)?;
        Ok(Some(Commits { connection, version }))
    }

    pub(crate) fn of_memory(shared: SharedConnection) -> Self {
        Self(Arc::new(Source::Memory(shared)))
    }

    pub(crate) fn of_file(path: PathBuf) -> Self {
        Self(Arc::new(Source::File { path, idle: Mutex::default() }))
    }

    /// Runs queries that see one committed state.
    pub(crate) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.0 {
            // Nobody writes while this holds the writer's connection.
            Source::Memory(shared) => shared.read(query),
            Source::File { path, idle } => {
                let mut connection = taken(path, idle)?;
                let transaction = connection.transaction()?;
                let answer = query(&transaction)?;
                drop(transaction);
                put_back(idle, connection);
                Ok(answer)
            }
        }
    }

    /// Runs such queries under a limit that `limit` sets on the connection.
    pub(crate) fn read_limited<T>(
        &self,
        limit: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let unlimited = |connection: &mut Connection| connection.progress_handler(0, None::<fn() -> bool>);
        match &*self.0 {
            Source::Memory(shared) => {
                let mut slot = shared.slot();
                let connection = slot.as_mut().ok_or(StoreError::Closed)?;
                limit(connection)?;
                let answer = query(connection);
                unlimited(connection)?;
                answer
            }
            Source::File { path, idle } => {
                let mut connection = taken(path, idle)?;
                limit(&mut connection)?;
                let transaction = connection.transaction()?;
                let answer = query(&transaction)?;
                drop(transaction);
                unlimited(&mut connection)?;
                put_back(idle, connection);
                Ok(answer)
            }
        }
    }
}

/// A connection that was kept, or a new one.
fn taken(path: &Path, idle: &Mutex<Vec<Connection>>) -> Result<Connection, StoreError> {
    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    match kept {
        Some(connection) => Ok(connection),
        None => connection::open_reader(path).map_err(StoreError::from),
    }
}

fn put_back(idle: &Mutex<Vec<Connection>>, connection: Connection) {
    let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
    if idle.len() < IDLE_CONNECTIONS_MAX {
        idle.push(connection);
    }
}

impl Commits {
    /// Whether anything was committed since the last look. Costs a look at the head of the WAL.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let store = afield_store::Store::open(&path, &afield_store::OpenOptions::default())?;
    /// let mut commits = store.reader().commits()?.expect("it is a file");
    /// assert!(!commits.have_come()?); // nothing since the line above
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn have_come(&mut self) -> Result<bool, StoreError> {
        let version = data_version(&self.connection)?;
        Ok(std::mem::replace(&mut self.version, version) != version)
    }
}

/// A number that differs from before when another connection has committed meanwhile.
fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
}
