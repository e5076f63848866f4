//! All of a log read and compared, beside whoever appends to it.
//!
//! Chunks are read in portions, each in a transaction of its own, so that the WAL of a relay that runs is not kept from being emptied for
//! as long as it takes. What is packed or purged between two portions is found as it is then.

mod documents;
mod spaces;

use super::archive::Cache;
use super::schema::{self, OpenLogError};
use super::transaction::{Faults, Purpose, SqliteTransaction};
use crate::log::LogError;
use afield_core::{EntityId, SpaceId};
use rusqlite::Connection;
use std::path::Path;

/// The most problems that are told; a file that has more is past repair by parts.
const PROBLEMS_MAX: usize = 1_000;
/// The most of one kind in one entity: behind a snapshot that has decayed each of its chunks has.
const LIKE_PROBLEMS_MAX: usize = 16;
/// The most lines that SQLite is asked for about its own structures.
const SQLITE_LINES_MAX: u32 = 64;

/// What is wrong with a part of a log. None of it says anything of what the part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Damage {
    /// SQLite finds its pages or indexes contradictory.
    Structure,
    /// A row names another that is not there.
    Reference,
    /// A sequence is missing.
    Gap,
    /// The chain does not lead to the next chunk, or to the head of the space.
    Chain,
    /// The bytes of a chunk are not those that were accepted, or are gone.
    Bytes,
    /// The index that finds changes again does not have this one.
    Index,
    /// A segment cannot be read.
    Segment,
    /// Part of a segment has decayed and was found again from the rest; it is mended when a relay next reads it.
    Decayed,
    /// A snapshot does not give back a chunk that it stands for, or does not load.
    Snapshot,
    /// The changes of an entity do not make a document.
    Document,
}

impl Damage {
    /// A word for it that does not change.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Reference => "reference",
            Self::Gap => "gap",
            Self::Chain => "chain",
            Self::Bytes => "bytes",
            Self::Index => "index",
            Self::Segment => "segment",
            Self::Decayed => "decayed",
            Self::Snapshot => "snapshot",
            Self::Document => "document",
        }
    }

    /// What is wrong, in words.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Structure => "the pages or indexes of the file contradict each other",
            Self::Reference => "a row names another one that is not there",
            Self::Gap => "chunks are missing",
            Self::Chain => "the chain is broken here",
            Self::Bytes => "the bytes of a chunk have decayed",
            Self::Index => "an index does not have this change",
            Self::Segment => "packed chunks cannot be read",
            Self::Decayed => "a part has decayed and was found again from the rest",
            Self::Snapshot => "a snapshot does not give back what it stands for",
            Self::Document => "the changes of an entity make no document",
        }
    }

    /// What an operator does about it.
    pub const fn next(self) -> &'static str {
        match self {
            Self::Structure | Self::Reference | Self::Gap | Self::Chain | Self::Segment => {
                "stop the relay and put the newest backup that `verify` finds whole in place: `restore FILE --replace`; devices bring what it lacks"
            }
            Self::Bytes | Self::Snapshot => {
                "a device that has the change brings it again when it next loads its log; otherwise a backup has it"
            }
            Self::Decayed | Self::Index => "it is mended when a relay reads it; see to the disk",
            Self::Document => "devices keep it apart and go on; `purge entity` takes it away for good",
        }
    }
}

/// Something that is wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogProblem {
    /// What.
    pub damage: Damage,
    /// The space.
    pub space: Option<SpaceId>,
    /// The sequence in its log.
    pub sequence: Option<u64>,
    /// The entity.
    pub entity: Option<EntityId>,
}

/// What was read, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many spaces.
    pub spaces: u64,
    /// How many chunks.
    pub chunks: u64,
    /// How many snapshots.
    pub snapshots: u64,
    /// How many documents were loaded.
    pub documents: u64,
    /// How many documents are too large to be loaded here; their chunks were read as all others.
    pub documents_skipped: u64,
    /// What is wrong, in the order in which it was found.
    pub problems: Vec<LogProblem>,
    /// Whether more is wrong than is told.
    pub has_more_problems: bool,
}

impl Verified {
    fn note(&mut self, problem: LogProblem) {
        let is_like = |told: &&LogProblem| {
            told.damage == problem.damage && told.space == problem.space && told.entity == problem.entity
        };
        if self.problems.len() < PROBLEMS_MAX && self.problems.iter().filter(is_like).count() < LIKE_PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.has_more_problems = true;
        }
    }
}

/// Why a log could not be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The file could not be opened, or is no log of this version.
    #[error(transparent)]
    Open(#[from] OpenLogError),
    /// The storage failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Reads all of the log in a file and compares what has to agree: SQLite's structures, each space's chain from its start to its
/// head, chunks with their hashes, indexes, snapshots, documents. Writes nothing. `progress` is told how many chunks were read, of how many.
///
/// # Errors
///
/// The file cannot be opened, has another version than this program makes, or its storage fails. Damage is no error.
pub fn verify(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, VerifyError> {
    let connection = schema::open_to_read(path).map_err(OpenLogError::from)?;
    let (found, supported) = (schema::identify(&connection)?, schema::supported());
    match found {
        0 => return Err(OpenLogError::Foreign.into()),
        _ if found > supported => return Err(OpenLogError::Newer { found, supported }.into()),
        _ if found < supported => return Err(OpenLogError::Older { found, supported }.into()),
        _ => {}
    }
    let mut reader = Reader { connection, cache: Cache::default(), faults: Faults::default() };
    let mut verified = Verified::default();
    reader.check_structure(&mut verified).or_else(|error| noted(error, &mut verified, None))?;
    let spaces = match reader.spaces() {
        Ok(spaces) => spaces,
        Err(error) => {
            noted(error, &mut verified, None)?;
            return Ok(verified);
        }
    };
    let total = spaces.iter().map(|(.., sequence)| sequence).sum();
    for (number, id, _) in spaces {
        verified.spaces += 1;
        let read = reader
            .check_entities((number, id), &mut verified)
            .or_else(|error| noted(error, &mut verified, Some(id)))
            .and_then(|()| reader.check_space((number, id), total, &mut verified, progress));
        read.or_else(|error| noted(error, &mut verified, Some(id)))?;
    }
    Ok(verified)
}

/// Takes damage for a problem, and everything else for an error.
fn noted(error: LogError, verified: &mut Verified, space: Option<SpaceId>) -> Result<(), LogError> {
    if !error.is_damage() {
        return Err(error);
    }
    verified.note(LogProblem { damage: Damage::Structure, space, sequence: None, entity: None });
    Ok(())
}

/// Reads the log with a connection of its own.
struct Reader {
    connection: Connection,
    cache: Cache,
    faults: Faults,
}

/// A space by number and id.
type Named = (i64, SpaceId);

impl Reader {
    fn begin(&mut self) -> Result<(SqliteTransaction<'_>, Cache), LogError> {
        let cache = self.cache.clone();
        let transaction = SqliteTransaction::begin(&mut self.connection, &mut self.faults, Purpose::Read)?;
        Ok((transaction, cache))
    }

    fn check_structure(&mut self, verified: &mut Verified) -> Result<(), LogError> {
        let (transaction, _) = self.begin()?;
        let nowhere = |damage| LogProblem { damage, space: None, sequence: None, entity: None };
        let mut statement = transaction.statement(&format!("PRAGMA integrity_check({SQLITE_LINES_MAX})"))?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        for line in lines {
            let line = line?;
            if line != "ok" {
                verified.note(nowhere(Damage::Structure));
            }
        }
        // What is left of spaces that are being purged belongs to nobody, and goes.
        let of_purged = "SELECT 1 FROM entities e JOIN purged_spaces p ON p.number = e.space
            WHERE e.number = ?1 AND p.number NOT IN (SELECT number FROM spaces)";
        let mut of_purged = transaction.statement(of_purged)?;
        let mut statement = transaction.statement("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let [table, parent] = [row.get::<_, String>(0)?, row.get(2)?];
            if (&*table, &*parent) != ("entities", "spaces") || !of_purged.exists([row.get::<_, i64>(1)?])? {
                verified.note(nowhere(Damage::Reference));
            }
        }
        Ok(())
    }

    fn spaces(&mut self) -> Result<Vec<(i64, SpaceId, u64)>, LogError> {
        let (transaction, _) = self.begin()?;
        let mut statement = transaction.statement("SELECT number, id, sequence FROM spaces ORDER BY number")?;
        let read =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, SpaceId::from_bytes(row.get(1)?), super::row::count(row, 2)?));
        let spaces = statement.query_map([], read)?;
        Ok(spaces.collect::<Result<_, _>>()?)
    }
}
