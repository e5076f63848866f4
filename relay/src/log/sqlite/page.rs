//! Reading some entities, wherever their reader stands.

use super::SqliteLog;
use super::archive::{Archive, Travelling};
use super::read::{Following, RUN, Wanted, archived_entry, entry, stretch};
use super::row::SpaceRow;
use super::run::RunRoom;
use super::transaction::Purpose;
use crate::log::{LogError, Principal};
use afield_core::filter::Selection;
use afield_core::limits::BATCH_CHUNKS_MAX;
use afield_core::session::{LogEntry, LogRun, LogSnapshot, PageAnswer, PageRequest};
use afield_core::wire::{PLACES_RUNS_MAX, SpaceCode};
use afield_core::{ChainHash, Cursor, Durable, EntityId, Filter, Now, Sequence};
use rusqlite::OptionalExtension;
use std::collections::{BTreeMap, BTreeSet};

/// Where an entity's chunks stand. The index has all that is asked for, and the order of the table would lead through chunks
/// of everybody.
const POSITIONS: &str = "
    SELECT position FROM chunks INDEXED BY chunks_by_actor WHERE entity = ?1 AND position > ?2
    ORDER BY position LIMIT ?3";

/// The segments that hold chunks of an entity, from the one with a position on.
const SEGMENTS: &str = "
    SELECT DISTINCT segment FROM actor_runs WHERE entity = ?1 AND segment > ?2 ORDER BY segment";

impl SqliteLog {
    pub(super) fn read_page(
        &mut self,
        principal: Principal,
        request: &PageRequest,
        now: Now,
    ) -> Result<Durable<PageAnswer>, LogError> {
        let cache = self.cache.clone();
        let mut transaction = self.begin(Purpose::Read)?;
        let archive = Archive::new(&transaction, &cache);
        let found = SpaceRow::find(&transaction, principal, request.space, now)?;
        let answer = match &found {
            None => PageAnswer::Refused(SpaceCode::UnknownOrForbidden),
            Some(space) if !space.holds(&archive, request.position)? || !space.holds(&archive, request.told)? => {
                PageAnswer::Reset(space.head.log)
            }
            Some(space) => page(&archive, space, request)?,
        };
        let mended = archive.mended();
        let answer = Durable::commit(&mut transaction, answer)?;
        drop(transaction);
        if let (Some(space), PageAnswer::Page { run, .. }) = (&found, answer.get()) {
            self.decayed.note_read(space, run);
        }
        self.store_found_again(&[], &mended);
        Ok(answer)
    }
}

fn page(archive: &Archive<'_, '_>, space: &SpaceRow, request: &PageRequest) -> Result<PageAnswer, LogError> {
    match &*request.filter {
        Filter::Only(Selection { collections, entities, announced })
            if collections.is_empty() && announced.is_empty() =>
        {
            page_of_entities(archive, space, request, entities)
        }
        filter => {
            let after = position_of(space, request.after);
            let (following, snapshots) = (Following::Not, request.snapshots.as_deref());
            let wanted = Wanted { after, filter, bytes_max: request.bytes_max, following, snapshots };
            let stretch = stretch(archive, space, &wanted)?;
            let unknown = unknown(archive, space, request)?;
            Ok(answer(space, stretch.run(after), unknown))
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

/// What stands at a position for a page.
#[derive(Debug, Clone, Copy)]
enum Item {
    /// A chunk.
    Chunk,
    /// The first chunk of an entity that its snapshot stands for.
    Snapshot,
}

/// Where something stands that is wanted, the first of it, and the first that is left out.
#[derive(Default)]
struct Positions {
    found: BTreeMap<i64, Item>,
    left_out: Option<i64>,
}

impl Positions {
    fn add(&mut self, position: i64, item: Item) {
        if self.left_out.is_none_or(|left_out| position < left_out) {
            self.found.entry(position).or_insert(item);
        }
        while self.found.len() > POSITIONS_MAX {
            self.left_out = self.found.pop_last().map(|(position, _)| position);
        }
    }
}

fn page_of_entities(
    archive: &Archive<'_, '_>,
    space: &SpaceRow,
    request: &PageRequest,
    entities: &BTreeSet<EntityId>,
) -> Result<PageAnswer, LogError> {
    let (mut positions, mut unknown) = (Positions::default(), Vec::new());
    for entity in entities {
        let Some(number) = number(archive, space, *entity)? else {
            unknown.push(*entity);
            continue;
        };
        let given = request.snapshots.as_ref().map(|given| given.upto(*entity));
        let from = given.unwrap_or(Sequence::ZERO).max(request.after);
        find(archive, number, (space.position(from), given.is_some()), &mut positions)?;
    }
    let Positions { found, mut left_out } = positions;
    let mut room = RunRoom::new(request.bytes_max);
    let (mut entries, mut snapshots): (Vec<LogEntry>, Vec<LogSnapshot>) = Default::default();
    for (position, item) in found {
        let has_room = match item {
            Item::Chunk => {
                let entry = entry_at(archive, position)?;
                let has_room = room.take(entry.bytes.len());
                entries.extend(has_room.then_some(entry));
                has_room
            }
            Item::Snapshot => {
                let Some(travelling) = travelling(archive, position)? else {
                    // It has decayed: what it stands for is told as chunks, of which some may still be readable.
                    let request = PageRequest { snapshots: None, ..request.clone() };
                    return page_of_entities(archive, space, &request, entities);
                };
                let has_room = room.take_snapshot(travelling.framed_bytes, travelling.changes_bytes);
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
    let run = LogRun::leaving_out(position_of(space, request.after), position_of(space, upto), entries);
    let run = run.with(snapshots, Vec::new());
    Ok(answer(space, run, unknown))
}

/// Adds where the chunks of an entity stand behind a position: in segments, and as rows.
fn find(
    archive: &Archive<'_, '_>,
    entity: i64,
    (after, takes_snapshots): (i64, bool),
    positions: &mut Positions,
) -> Result<(), LogError> {
    let mut covered = after;
    if takes_snapshots
        && let Some(traveller) = archive.traveller(entity)?
        && archive.is_news(entity, traveller, after)?
    {
        covered = traveller.covered;
    }
    let mut is_first = covered > after;
    let mut statement = archive.transaction.statement(SEGMENTS)?;
    let mut segments = statement.query([entity, after])?;
    while let Some(row) = segments.next()? {
        let last: i64 = row.get(0)?;
        if last <= covered && !is_first {
            continue;
        }
        let Some(segment) = archive.outline(last)? else { continue };
        if positions.left_out.is_some_and(|left_out| left_out < segment.first()) {
            return Ok(());
        }
        let places = segment.places_from(after.max(segment.first() - 1) + 1);
        for (position, _) in places.filter(|(_, place)| place.number == entity) {
            if position > covered {
                positions.add(position, Item::Chunk);
            } else if std::mem::take(&mut is_first) {
                positions.add(position, Item::Snapshot);
            }
        }
    }
    let mut statement = archive.transaction.statement(POSITIONS)?;
    let limit = i64::try_from(POSITIONS_MAX + 1).unwrap_or(i64::MAX);
    let found = statement.query_map([entity, covered, limit], |row| row.get(0))?;
    for position in found {
        positions.add(position?, Item::Chunk);
    }
    Ok(())
}

fn travelling(archive: &Archive<'_, '_>, position: i64) -> Result<Option<Travelling>, LogError> {
    let segment = archive.outline(position)?;
    match segment.as_ref().and_then(|segment| segment.place(position)) {
        Some(place) => archive.travelling(place),
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

/// A position of which the sequence alone counts.
fn position_of(space: &SpaceRow, sequence: Sequence) -> Cursor {
    let log = space.head.log;
    Cursor { log, sequence, chain: ChainHash::start(log) }
}

fn answer(space: &SpaceRow, run: LogRun, unknown: Vec<EntityId>) -> PageAnswer {
    PageAnswer::Page { done: run.after().sequence >= space.head.sequence, run, unknown }
}
