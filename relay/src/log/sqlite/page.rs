//! Reading some entities, wherever their reader stands.

use super::SqliteLog;
use super::archive::{Archive, Travelling};
use super::chain::{self, Mended};
use super::positions::{Asked, Item, Positions};
use super::read::{Following, RUN, Wanted, archived_entry, entry, stretch};
use super::reader::Answers;
use super::row::SpaceRow;
use super::run::RunRoom;
use crate::log::{LogError, Principal};
use afield_core::filter::Selection;
use afield_core::limits::BATCH_CHUNKS_MAX;
use afield_core::session::{LogEntry, LogRun, LogSnapshot, PageAnswer, PageRequest};
use afield_core::wire::PLACES_RUNS_MAX;
use afield_core::{ChainHash, Cursor, Durable, EntityId, Filter, LogId, Now, Sequence};
use rusqlite::OptionalExtension;
use std::collections::BTreeSet;

impl SqliteLog {
    pub(super) fn read_page(
        &mut self,
        principal: Principal,
        request: &PageRequest,
        now: Now,
    ) -> Result<Durable<PageAnswer>, LogError> {
        let answers = Answers {
            refused: PageAnswer::Refused,
            reset: PageAnswer::Reset,
            run: |answer| if let PageAnswer::Page { run, .. } = answer { Some(run) } else { None },
        };
        let cursors = [request.position, request.told];
        let read = |archive: &Archive<'_, '_>, space: &SpaceRow| page(archive, space, request);
        self.answer_reader((principal, request.space, now), cursors, answers, read)
    }
}

fn page(
    archive: &Archive<'_, '_>,
    space: &SpaceRow,
    request: &PageRequest,
) -> Result<(PageAnswer, Vec<Mended>), LogError> {
    match &*request.filter {
        Filter::Only(Selection { collections, entities, announced })
            if collections.is_empty() && announced.is_empty() =>
        {
            page_of_entities(archive, space, request, entities)
        }
        // Nothing stands there, wherever the device has the number from.
        _ if request.after > space.head.sequence => {
            let after = position_of(space, request.after);
            let run = LogRun::leaving_out(after, after, Vec::new());
            Ok((answer(space, run, unknown(archive, space, request)?), Vec::new()))
        }
        filter => {
            let after = position_of(space, request.after);
            let (following, snapshots) = (Following::Not, request.snapshots.as_deref());
            let wanted = Wanted { after, filter, bytes_max: request.bytes_max, following, snapshots };
            let mut stretch = stretch(archive, space, &wanted)?;
            let mended = find_hashes(archive, space, stretch.entries_mut())?;
            let unknown = unknown(archive, space, request)?;
            Ok((answer(space, stretch.run(after), unknown), mended))
        }
    }
}

/// The entities asked for one by one that the log knows nothing of, told with the first page.
fn unknown(archive: &Archive<'_, '_>, space: &SpaceRow, request: &PageRequest) -> Result<Vec<EntityId>, LogError> {
    let mut unknown = Vec::new();
    if let (Filter::Only(selection), Sequence::ZERO) = (&*request.filter, request.after) {
        for entity in &selection.entities {
            if number(archive, space, *entity)?.is_none() {
                unknown.push(*entity);
            }
        }
    }
    Ok(unknown)
}

/// The most chunks of one page.
const POSITIONS_MAX: usize = if BATCH_CHUNKS_MAX < PLACES_RUNS_MAX { BATCH_CHUNKS_MAX } else { PLACES_RUNS_MAX };

fn page_of_entities(
    archive: &Archive<'_, '_>,
    space: &SpaceRow,
    request: &PageRequest,
    entities: &BTreeSet<EntityId>,
) -> Result<(PageAnswer, Vec<Mended>), LogError> {
    let (mut asked, mut unknown) = (Vec::new(), Vec::new());
    for entity in entities {
        let Some(number) = number(archive, space, *entity)? else {
            unknown.push(*entity);
            continue;
        };
        // Of an entity that was purged nothing but the record is left.
        if let Some(erasure) = archive.erasure(number)? {
            let after = space.position(request.after).max(erasure.position - 1);
            asked.push(Asked { number, after, takes_snapshots: false });
            continue;
        }
        let given = request.snapshots.as_ref().map(|given| given.upto(*entity));
        let after = space.position(given.unwrap_or(Sequence::ZERO).max(request.after));
        asked.push(Asked { number, after, takes_snapshots: given.is_some() });
    }
    let mut positions = Positions::of(archive, space, asked)?;
    let mut room = RunRoom::new(request.bytes_max);
    let (mut entries, mut snapshots): (Vec<LogEntry>, Vec<LogSnapshot>) = Default::default();
    let mut left_out = None;
    while let Some((position, item)) = positions.next()? {
        let has_room = entries.len() < POSITIONS_MAX
            && match item {
                // The first always has its turn, so that every page leads on.
                Item::Chunk if has_some(&entries, &snapshots) && !archive.has_turn(position)? => false,
                Item::Chunk => {
                    let entry = entry_at(archive, position)?;
                    let has_room = room.take(entry.bytes.len());
                    entries.extend(has_room.then_some(entry));
                    has_room
                }
                Item::Snapshot => {
                    let Some(travelling) = travelling(archive, space.head.log, position)? else {
                        // It has decayed: what it stands for is told as chunks, of which some may still be readable.
                        let request = PageRequest { snapshots: None, ..request.clone() };
                        return page_of_entities(archive, space, &request, entities);
                    };
                    let has_room = room.take_snapshot(&travelling.cost);
                    snapshots.extend(has_room.then_some(travelling.snapshot));
                    has_room
                }
            };
        if !has_room {
            left_out = Some(position);
            break;
        }
    }
    let upto = match left_out {
        Some(position) => SpaceRow::sequence(position - 1),
        None => space.head.sequence.max(request.after),
    };
    let unknown = if request.after == Sequence::ZERO { unknown } else { Vec::new() };
    let mended = find_hashes(archive, space, &mut entries)?;
    let run = LogRun::leaving_out(position_of(space, request.after), position_of(space, upto), entries);
    Ok((answer(space, run.with(snapshots, Vec::new()), unknown), mended))
}

fn has_some(entries: &[LogEntry], snapshots: &[LogSnapshot]) -> bool {
    !entries.is_empty() || !snapshots.is_empty()
}

fn travelling(archive: &Archive<'_, '_>, log: LogId, position: i64) -> Result<Option<Travelling>, LogError> {
    let segment = archive.outline(position)?;
    match segment.as_ref().and_then(|segment| segment.place(position)) {
        Some(place) => archive.travelling(log, place),
        None => Ok(None),
    }
}

fn entry_at(archive: &Archive<'_, '_>, position: i64) -> Result<LogEntry, LogError> {
    let segment = archive.segment(position)?;
    if let Some(place) = segment.as_ref().and_then(|segment| segment.place(position)) {
        let bytes = archive.bytes(position, place)?.unwrap_or_default();
        return archived_entry(archive, position, place, bytes);
    }
    archive.transaction.statement(RUN)?.query_row([position - 1, position], |row| Ok(entry(row)))?
}

fn number(archive: &Archive<'_, '_>, space: &SpaceRow, entity: EntityId) -> Result<Option<i64>, LogError> {
    let sql = "SELECT number FROM entities WHERE space = ?1 AND id = ?2";
    let mut statement = archive.transaction.statement(sql)?;
    Ok(statement.query_row((space.number, entity.as_bytes()), |row| row.get(0)).optional()?)
}

/// Finds hashes again that do not fit the bytes beside them, and the chain hash behind the last, which the reader is held to have
/// been told: what stands between the entries is not read, so the chain is followed only there. In a segment both are right, and it
/// is the bytes that are gone.
fn find_hashes(archive: &Archive<'_, '_>, space: &SpaceRow, entries: &mut [LogEntry]) -> Result<Vec<Mended>, LogError> {
    let mut mended = Vec::new();
    for entry in entries.iter_mut().filter(|entry| !entry.is_intact()) {
        if archive.outline(space.position(entry.sequence))?.is_none() {
            mended.extend(chain::find_hash(space, chain::position_before(archive, space, entry.sequence)?, entry));
        }
    }
    if let Some(last) = entries.last_mut()
        && archive.outline(space.position(last.sequence))?.is_none()
    {
        let stored = Cursor { log: space.head.log, sequence: last.sequence, chain: last.chain };
        let chain = chain::verified(archive, space, stored, (last.entity, last.kind, last.hash))?;
        if chain != last.chain {
            last.chain = chain;
            mended.push(Mended::of(space, last));
        }
    }
    Ok(mended)
}

/// A position of which the sequence alone counts.
fn position_of(space: &SpaceRow, sequence: Sequence) -> Cursor {
    let log = space.head.log;
    Cursor { log, sequence, chain: ChainHash::start(log) }
}

fn answer(space: &SpaceRow, run: LogRun, unknown: Vec<EntityId>) -> PageAnswer {
    PageAnswer::Page { done: run.after().sequence >= space.head.sequence, run, unknown }
}
