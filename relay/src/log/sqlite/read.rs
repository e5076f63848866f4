//! Opening a space and reading on from a position.

use super::SqliteLog;
use super::account::{self, Creation};
use super::chain::{self, Mended};
use super::row::SpaceRow;
use super::run::RunRoom;
use super::transaction::{Purpose, SqliteTransaction};
use crate::log::{Inconsistency, LogError, Principal};
use afield_core::log::ChunkHash;
use afield_core::session::{LogEntry, LogRun, OpenAnswer, OpenRequest, ReadAnswer, ReadRequest};
use afield_core::wire::{PLACES_RUNS_MAX, SpaceCode};
use afield_core::{ChainHash, ChunkKind, Collection, Cursor, Durable, EntityId, Filter, LogId, Now, Sequence};
use rusqlite::Row;
use std::collections::BTreeSet;

/// A run of the log with its entities' ids and collections, in the order of the log.
pub(super) const RUN: &str = "
    SELECT c.position, e.id, k.name, c.kind, c.hash, c.chain, c.bytes
    FROM chunks c JOIN entities e ON e.number = c.entity JOIN collections k ON k.number = e.collection
    WHERE c.position > ?1 AND c.position <= ?2 ORDER BY c.position";

impl SqliteLog {
    pub(super) fn open_space(
        &mut self,
        principal: Principal,
        request: &OpenRequest,
        fresh: LogId,
        now: Now,
    ) -> Result<Durable<OpenAnswer>, LogError> {
        let mut transaction = self.begin(Purpose::Read)?;
        if let Some(space) = SpaceRow::find(&transaction, principal, request.space, now)? {
            let answer = answer_open(&transaction, &space, request.cursor)?;
            return Durable::commit(&mut transaction, answer);
        }
        if !request.create {
            return Durable::commit(&mut transaction, OpenAnswer::Refused(SpaceCode::UnknownOrForbidden));
        }
        drop(transaction);
        let quotas = self.quotas;
        let mut transaction = self.begin(Purpose::Write)?;
        let answer = match account::create_space(&transaction, principal, request.space, fresh, &quotas, now)? {
            Creation::Created(head) => match request.cursor {
                None => OpenAnswer::Served { position: head, head: head.sequence },
                Some(_) => OpenAnswer::Reset(head.log),
            },
            Creation::Refused(code) => OpenAnswer::Refused(code),
        };
        Durable::commit(&mut transaction, answer)
    }

    pub(super) fn read_run(
        &mut self,
        principal: Principal,
        request: &ReadRequest,
        now: Now,
    ) -> Result<Durable<ReadAnswer>, LogError> {
        let mut transaction = self.begin(Purpose::Read)?;
        let found = SpaceRow::find(&transaction, principal, request.space, now)?;
        let mut mended = Vec::new();
        let answer = match &found {
            None => ReadAnswer::Refused(SpaceCode::UnknownOrForbidden),
            Some(space)
                if !space.holds(&transaction, request.position)? || !space.holds(&transaction, request.told)? =>
            {
                ReadAnswer::Reset(space.head.log)
            }
            Some(space) => {
                let (run, found_again) = run(&transaction, space, request)?;
                mended = found_again;
                ReadAnswer::Run(run.within(space.head.sequence))
            }
        };
        let answer = Durable::commit(&mut transaction, answer)?;
        drop(transaction);
        if let (Some(space), ReadAnswer::Run(run)) = (&found, answer.get()) {
            self.decayed.note_read(space, run);
        }
        if !mended.is_empty() {
            self.store_mended(&mended);
        }
        Ok(answer)
    }
}

fn answer_open(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    cursor: Option<Cursor>,
) -> Result<OpenAnswer, LogError> {
    let position = cursor.unwrap_or_else(|| Cursor::start(space.head.log));
    Ok(if space.holds(transaction, position)? {
        OpenAnswer::Served { position, head: space.head.sequence }
    } else {
        OpenAnswer::Reset(space.head.log)
    })
}

/// How many rows of which nothing is wanted are passed in one transaction: some milliseconds.
const PASSED_ROWS_MAX: usize = 16_384;

/// Whether the bytes of rows of which nothing is wanted are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passing {
    /// They are not: the rows are followed by their hashes.
    Quick,
    /// They are, since a hash has decayed and the bytes may say what it was.
    Thorough,
}

/// What a stretch of a log holds, with and without what is wanted of it.
pub(super) struct Stretch {
    /// Every row, those of which nothing is wanted without their bytes.
    pub(super) entries: Vec<LogEntry>,
    /// Those of which nothing is wanted.
    pub(super) passed: BTreeSet<Sequence>,
    /// The row after the last, where one was read.
    pub(super) beyond: Option<LogEntry>,
    /// Entities of which nothing is wanted but the id.
    pub(super) announced: BTreeSet<(Collection, EntityId)>,
}

impl Stretch {
    /// What is wanted of it.
    pub(super) fn kept(self) -> (Vec<LogEntry>, Vec<(Collection, EntityId)>) {
        let Self { mut entries, passed, announced, .. } = self;
        entries.retain(|entry| !passed.contains(&entry.sequence));
        (entries, announced.into_iter().collect())
    }
}

/// Reads on after a sequence, as much as fits one frame.
pub(super) fn stretch(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    after: Sequence,
    filter: &Filter,
    bytes_max: usize,
    passing: Passing,
) -> Result<Stretch, LogError> {
    let mut room = RunRoom::new(bytes_max);
    let (entries, beyond) = (Vec::new(), None);
    let mut stretch = Stretch { entries, passed: BTreeSet::new(), beyond, announced: BTreeSet::new() };
    let (mut last, mut pieces) = (after, 0);
    let mut statement = transaction.statement(RUN)?;
    let mut rows = statement.query([space.position(after), space.position(space.head.sequence)])?;
    while let Some(row) = rows.next()? {
        let mut entry = entry_head(row)?;
        if entry.sequence != last.next() {
            return Err(LogError::Inconsistent(Inconsistency::Gap(last.next().get())));
        }
        let is_wanted = filter.includes(entry.entity, &entry.collection);
        if is_wanted || passing == Passing::Thorough {
            entry.bytes = row.get(6)?;
        }
        pieces += usize::from(is_wanted && stretch.passed.contains(&last));
        let fits = if is_wanted {
            pieces < PLACES_RUNS_MAX && room.take(entry.bytes.len())
        } else {
            stretch.passed.len() < PASSED_ROWS_MAX && {
                let is_new = filter.announces(&entry.collection)
                    && stretch.announced.insert((entry.collection.clone(), entry.entity));
                !is_new || room.take_id()
            }
        };
        if !fits {
            stretch.beyond = Some(entry);
            break;
        }
        if !is_wanted {
            stretch.passed.insert(entry.sequence);
        }
        last = entry.sequence;
        stretch.entries.push(entry);
    }
    // An empty success below the head would be a lie (R9).
    if stretch.beyond.is_none() && last != space.head.sequence {
        return Err(LogError::Inconsistent(Inconsistency::Gap(last.next().get())));
    }
    Ok(stretch)
}

fn run(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    request: &ReadRequest,
) -> Result<(LogRun, Vec<Mended>), LogError> {
    match try_run(transaction, space, request, Passing::Quick) {
        Err(LogError::Inconsistent(Inconsistency::Chain(_))) => try_run(transaction, space, request, Passing::Thorough),
        answer => answer,
    }
}

fn try_run(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    request: &ReadRequest,
    passing: Passing,
) -> Result<(LogRun, Vec<Mended>), LogError> {
    let ReadRequest { position, filter, bytes_max, .. } = request;
    let mut stretch = stretch(transaction, space, position.sequence, filter, *bytes_max, passing)?;
    let mended = chain::follow(space, *position, &mut stretch.entries, stretch.beyond.as_ref())?;
    if stretch.passed.is_empty() {
        return Ok((LogRun::new(*position, stretch.entries), mended));
    }
    let after = stretch.entries.last().map_or(*position, |last| Cursor {
        log: position.log,
        sequence: last.sequence,
        chain: last.chain,
    });
    let (kept, announced) = stretch.kept();
    Ok((LogRun::leaving_out(*position, after, kept).with(Vec::new(), announced), mended))
}

/// The row after a position, where there is one.
pub(super) fn entry_after(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    sequence: Sequence,
) -> Result<Option<LogEntry>, LogError> {
    let mut statement = transaction.statement(RUN)?;
    let mut rows = statement.query([space.position(sequence), space.position(sequence.next())])?;
    rows.next()?.map(entry).transpose()
}

pub(super) fn entry(row: &Row<'_>) -> Result<LogEntry, LogError> {
    Ok(LogEntry { bytes: row.get(6)?, ..entry_head(row)? })
}

/// A row without its bytes, which SQLite then need not read.
fn entry_head(row: &Row<'_>) -> Result<LogEntry, LogError> {
    let sequence: Sequence = SpaceRow::sequence(row.get(0)?);
    let collection = row.get_ref(2)?.as_str().ok().and_then(|name| name.parse().ok());
    let kind = ChunkKind::from_number(row.get(3)?);
    Ok(LogEntry {
        sequence,
        entity: EntityId::from_bytes(row.get(1)?),
        collection: collection.ok_or(LogError::Inconsistent(Inconsistency::Collection))?,
        kind: kind.ok_or(LogError::Inconsistent(Inconsistency::Kind(sequence.get())))?,
        hash: ChunkHash::from_bytes(row.get(4)?),
        chain: ChainHash::from_bytes(row.get(5)?),
        bytes: Vec::new(),
    })
}
