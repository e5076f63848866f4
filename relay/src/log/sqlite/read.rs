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
use afield_core::wire::SpaceCode;
use afield_core::{ChainHash, ChunkKind, Cursor, Durable, EntityId, LogId, Now, Sequence};
use rusqlite::Row;

/// A run of the log with its entities' ids and collections, in the order of the log.
const RUN: &str = "
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
                ReadAnswer::Run(run)
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

fn run(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    request: &ReadRequest,
) -> Result<(LogRun, Vec<Mended>), LogError> {
    let mut room = RunRoom::new(request.bytes_max);
    let mut entries: Vec<LogEntry> = Vec::new();
    let mut last = request.position.sequence;
    let mut beyond = None;
    let mut statement = transaction.statement(RUN)?;
    let mut rows = statement.query([space.position(last), space.position(space.head.sequence)])?;
    while let Some(row) = rows.next()? {
        let entry = entry(row)?;
        if entry.sequence != last.next() {
            return Err(LogError::Inconsistent(Inconsistency::Gap(last.next().get())));
        }
        if !room.take(entry.bytes.len()) {
            beyond = Some(entry);
            break;
        }
        last = entry.sequence;
        entries.push(entry);
    }
    // An empty success below the head would be a lie (R9).
    if beyond.is_none() && last != space.head.sequence {
        return Err(LogError::Inconsistent(Inconsistency::Gap(last.next().get())));
    }
    let mended = chain::follow(space, request.position, &mut entries, beyond.as_ref())?;
    Ok((LogRun::new(request.position, entries), mended))
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

fn entry(row: &Row<'_>) -> Result<LogEntry, LogError> {
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
        bytes: row.get(6)?,
    })
}
