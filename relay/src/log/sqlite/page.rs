//! Reading some entities, wherever their reader stands.

use super::SqliteLog;
use super::read::{Passing, RUN, entry, stretch};
use super::row::SpaceRow;
use super::run::RunRoom;
use super::transaction::{Purpose, SqliteTransaction};
use crate::log::{LogError, Principal};
use afield_core::filter::Selection;
use afield_core::limits::BATCH_CHUNKS_MAX;
use afield_core::session::{LogEntry, LogRun, PageAnswer, PageRequest};
use afield_core::wire::{PLACES_RUNS_MAX, SpaceCode};
use afield_core::{ChainHash, Cursor, Durable, EntityId, Filter, Now, Sequence};
use rusqlite::OptionalExtension;
use std::collections::BTreeSet;

/// Where an entity's chunks stand. The index has all that is asked for, and the order of the table would lead through chunks
/// of everybody.
const POSITIONS: &str = "
    SELECT position FROM chunks INDEXED BY chunks_by_actor WHERE entity = ?1 AND position > ?2
    ORDER BY position LIMIT ?3";

impl SqliteLog {
    pub(super) fn read_page(
        &mut self,
        principal: Principal,
        request: &PageRequest,
        now: Now,
    ) -> Result<Durable<PageAnswer>, LogError> {
        let mut transaction = self.begin(Purpose::Read)?;
        let found = SpaceRow::find(&transaction, principal, request.space, now)?;
        let answer = match &found {
            None => PageAnswer::Refused(SpaceCode::UnknownOrForbidden),
            Some(space)
                if !space.holds(&transaction, request.position)? || !space.holds(&transaction, request.told)? =>
            {
                PageAnswer::Reset(space.head.log)
            }
            Some(space) => page(&transaction, space, request)?,
        };
        let answer = Durable::commit(&mut transaction, answer)?;
        drop(transaction);
        if let (Some(space), PageAnswer::Page { run, .. }) = (&found, answer.get()) {
            self.decayed.note_read(space, run);
        }
        Ok(answer)
    }
}

fn page(transaction: &SqliteTransaction<'_>, space: &SpaceRow, request: &PageRequest) -> Result<PageAnswer, LogError> {
    match &*request.filter {
        Filter::Only(Selection { collections, entities, announced })
            if collections.is_empty() && announced.is_empty() =>
        {
            page_of_entities(transaction, space, request, entities)
        }
        filter => {
            let PageRequest { after, bytes_max, .. } = *request;
            let stretch = stretch(transaction, space, after, filter, bytes_max, Passing::Quick)?;
            let upto = stretch.entries.last().map_or(after, |last| last.sequence);
            let unknown = unknown(transaction, space, request)?;
            let (kept, announced) = stretch.kept();
            Ok(answer(space, request, (kept, upto), unknown, announced))
        }
    }
}

/// The entities asked for one by one that the log knows nothing of, told with the first page.
fn unknown(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    request: &PageRequest,
) -> Result<Vec<EntityId>, LogError> {
    let mut unknown = Vec::new();
    if let (Filter::Only(selection), Sequence::ZERO) = (&*request.filter, request.after) {
        for entity in &selection.entities {
            if number(transaction, space, *entity)?.is_none() {
                unknown.push(*entity);
            }
        }
    }
    Ok(unknown)
}

fn page_of_entities(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    request: &PageRequest,
    entities: &BTreeSet<EntityId>,
) -> Result<PageAnswer, LogError> {
    let after = request.after;
    let positions_max = BATCH_CHUNKS_MAX.min(PLACES_RUNS_MAX);
    let (mut positions, mut unknown) = (Vec::new(), Vec::new());
    let mut is_cut = false;
    for entity in entities {
        let Some(number) = number(transaction, space, *entity)? else {
            unknown.push(*entity);
            continue;
        };
        let limit = i64::try_from(positions_max + 1).unwrap_or(i64::MAX);
        let mut statement = transaction.statement(POSITIONS)?;
        let found = statement.query_map([number, space.position(after), limit], |row| row.get::<_, i64>(0))?;
        for position in found {
            positions.push(position?);
        }
        if positions.len() > 2 * positions_max {
            positions.sort_unstable();
            positions.truncate(positions_max);
            is_cut = true;
        }
    }
    positions.sort_unstable();
    is_cut |= positions.len() > positions_max;
    positions.truncate(positions_max);
    let mut room = RunRoom::new(request.bytes_max);
    let mut entries: Vec<LogEntry> = Vec::new();
    let mut statement = transaction.statement(RUN)?;
    for position in positions {
        let found = statement.query_row([position - 1, position], |row| Ok(entry(row)))?;
        let entry = found?;
        if !room.take(entry.bytes.len()) {
            is_cut = true;
            break;
        }
        entries.push(entry);
    }
    let last = entries.last().map_or(after, |last| last.sequence);
    let upto = if is_cut { last } else { space.head.sequence.max(after) };
    let unknown = if after == Sequence::ZERO { unknown } else { Vec::new() };
    Ok(answer(space, request, (entries, upto), unknown, Vec::new()))
}

fn number(transaction: &SqliteTransaction<'_>, space: &SpaceRow, entity: EntityId) -> Result<Option<i64>, LogError> {
    let sql = "SELECT number FROM entities WHERE space = ?1 AND id = ?2";
    let mut statement = transaction.statement(sql)?;
    Ok(statement.query_row((space.number, entity.as_bytes()), |row| row.get(0)).optional()?)
}

fn answer(
    space: &SpaceRow,
    request: &PageRequest,
    (entries, upto): (Vec<LogEntry>, Sequence),
    unknown: Vec<EntityId>,
    announced: Vec<(afield_core::Collection, EntityId)>,
) -> PageAnswer {
    let log = space.head.log;
    let at = |sequence| Cursor { log, sequence, chain: ChainHash::start(log) };
    let run = LogRun::leaving_out(at(request.after), at(upto), entries).with(Vec::new(), announced);
    PageAnswer::Page { run, done: upto >= space.head.sequence, unknown }
}
