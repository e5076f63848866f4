//! Reading some entities, wherever their reader stands.

use super::SqliteLog;
use super::chain::{self, Mended};
use super::positions::Positions;
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

impl SqliteLog {
    pub(super) fn read_page(
        &mut self,
        principal: Principal,
        request: &PageRequest,
        now: Now,
    ) -> Result<Durable<PageAnswer>, LogError> {
        let mut transaction = self.begin(Purpose::Read)?;
        let found = SpaceRow::find(&transaction, principal, request.space, now)?;
        let mut mended = Vec::new();
        let answer = match &found {
            None => PageAnswer::Refused(SpaceCode::UnknownOrForbidden),
            Some(space)
                if !space.holds(&transaction, request.position)? || !space.holds(&transaction, request.told)? =>
            {
                PageAnswer::Reset(space.head.log)
            }
            Some(space) => {
                let (answer, found_again) = page(&transaction, space, request)?;
                mended = found_again;
                answer
            }
        };
        let answer = Durable::commit(&mut transaction, answer)?;
        drop(transaction);
        if !mended.is_empty() {
            self.store_mended(&mended);
        }
        if let (Some(space), PageAnswer::Page { run, .. }) = (&found, answer.get()) {
            self.decayed.note_read(space, run);
        }
        Ok(answer)
    }
}

fn page(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    request: &PageRequest,
) -> Result<(PageAnswer, Vec<Mended>), LogError> {
    match &*request.filter {
        Filter::Only(Selection { collections, entities, announced })
            if collections.is_empty() && announced.is_empty() =>
        {
            page_of_entities(transaction, space, request, entities)
        }
        // Nothing stands there, wherever the device has the number from.
        _ if request.after > space.head.sequence => {
            let unknown = unknown(transaction, space, request)?;
            answer(transaction, space, request, (Vec::new(), request.after), unknown, Vec::new())
        }
        filter => {
            let PageRequest { after, bytes_max, .. } = *request;
            let stretch = stretch(transaction, space, after, filter, bytes_max, Passing::Quick)?;
            let upto = stretch.entries.last().map_or(after, |last| last.sequence);
            let unknown = unknown(transaction, space, request)?;
            let (kept, announced) = stretch.kept();
            answer(transaction, space, request, (kept, upto), unknown, announced)
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
) -> Result<(PageAnswer, Vec<Mended>), LogError> {
    let after = request.after;
    let (mut numbers, mut unknown) = (Vec::new(), Vec::new());
    for entity in entities {
        match number(transaction, space, *entity)? {
            Some(number) => numbers.push(number),
            None => unknown.push(*entity),
        }
    }
    let mut positions = Positions::of(transaction, space, numbers, after)?;
    let mut room = RunRoom::new(request.bytes_max);
    let mut entries: Vec<LogEntry> = Vec::new();
    let mut is_cut = false;
    let mut statement = transaction.statement(RUN)?;
    while let Some(position) = positions.next()? {
        let entry = statement.query_row([position - 1, position], |row| Ok(entry(row)))??;
        is_cut = entries.len() >= BATCH_CHUNKS_MAX.min(PLACES_RUNS_MAX) || !room.take(entry.bytes.len());
        if is_cut {
            break;
        }
        entries.push(entry);
    }
    let last = entries.last().map_or(after, |last| last.sequence);
    let upto = if is_cut { last } else { space.head.sequence.max(after) };
    let unknown = if after == Sequence::ZERO { unknown } else { Vec::new() };
    answer(transaction, space, request, (entries, upto), unknown, Vec::new())
}

fn number(transaction: &SqliteTransaction<'_>, space: &SpaceRow, entity: EntityId) -> Result<Option<i64>, LogError> {
    let sql = "SELECT number FROM entities WHERE space = ?1 AND id = ?2";
    let mut statement = transaction.statement(sql)?;
    Ok(statement.query_row((space.number, entity.as_bytes()), |row| row.get(0)).optional()?)
}

fn answer(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    request: &PageRequest,
    (mut entries, upto): (Vec<LogEntry>, Sequence),
    unknown: Vec<EntityId>,
    announced: Vec<(afield_core::Collection, EntityId)>,
) -> Result<(PageAnswer, Vec<Mended>), LogError> {
    let mut mended = Vec::new();
    // What stands between the entries is not read, so that the chain is followed only where a hash does not fit its bytes.
    for entry in entries.iter_mut().filter(|entry| !entry.is_intact()) {
        mended.extend(chain::find_hash(space, position_before(transaction, space, entry.sequence)?, entry));
    }
    let log = space.head.log;
    let at = |sequence| Cursor { log, sequence, chain: ChainHash::start(log) };
    let run = LogRun::leaving_out(at(request.after), at(upto), entries).with(Vec::new(), announced);
    Ok((PageAnswer::Page { run, done: upto >= space.head.sequence, unknown }, mended))
}

/// The position before a sequence of the log, with the chain hash that its row holds.
fn position_before(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    sequence: Sequence,
) -> Result<Cursor, LogError> {
    let mut before = Cursor::start(space.head.log);
    before.sequence = Sequence::new(sequence.get().saturating_sub(1));
    let mut statement = transaction.statement("SELECT chain FROM chunks WHERE position = ?1")?;
    let found = statement.query_row([space.position(before.sequence)], |row| row.get(0).map(ChainHash::from_bytes));
    before.chain = found.optional()?.unwrap_or(before.chain);
    Ok(before)
}
