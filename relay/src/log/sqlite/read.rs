//! Opening a space and reading on from a position.

use super::SqliteLog;
use super::account::{self, Creation};
use super::archive::{Archive, Place, Snapshot};
use super::chain::{self, Mended};
use super::foreign;
use super::reader::Answers;
use super::row::SpaceRow;
use super::run::RunRoom;
use super::transaction::{Purpose, SqliteTransaction};
use crate::log::{Inconsistency, LogError, NamesLeft, Principal, TokenHash};
use afield_core::change::ChangeHeader;
use afield_core::erasure::ERASURE_BYTES;
use afield_core::log::ChunkHash;
use afield_core::session::{
    GivenSnapshots, LogEntry, LogErasure, LogRun, LogSnapshot, OpenAnswer, OpenRequest, ReadAnswer, ReadRequest,
};
use afield_core::wire::{PLACES_RUNS_MAX, SpaceCode};
use afield_core::{
    ChainHash, ChangeHash, ChunkKind, Collection, Cursor, Durable, EntityId, Erasure, Filter, Limits, LogId, Now, Role,
    Sequence, SpaceId,
};
use rusqlite::{OptionalExtension, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A run of the log with its entities' ids and collections, in the order of the log.
pub(super) const RUN: &str = "
    SELECT c.position, e.id, k.name, c.kind, c.hash, c.chain, c.bytes, c.entity
    FROM chunks c JOIN entities e ON e.number = c.entity JOIN collections k ON k.number = e.collection
    WHERE c.position > ?1 AND c.position <= ?2 ORDER BY c.position";

/// What stands at a position, without its bytes.
const CHANGE_AT: &str =
    "SELECT e.id, c.change FROM chunks c JOIN entities e ON e.number = c.entity WHERE c.position = ?1 AND c.kind = ?2";

impl SqliteLog {
    pub(super) fn read_change_at(
        &mut self,
        principal: Principal,
        (space, sequence): (SpaceId, Sequence),
        left: &mut NamesLeft,
        now: Now,
    ) -> Result<Option<(EntityId, ChangeHash)>, LogError> {
        let cache = self.cache.clone();
        let transaction = self.begin(Purpose::Read)?;
        let found = SpaceRow::find(&transaction, principal, space, now)?;
        let Some(space) = found.filter(|space| sequence <= space.head.sequence) else { return Ok(None) };
        let position = space.position(sequence);
        let read = |row: &Row<'_>| Ok((EntityId::from_bytes(row.get(0)?), ChangeHash(row.get(1)?)));
        let change = (position, ChunkKind::Change.number());
        let row = transaction.statement(CHANGE_AT)?.query_row(change, read).optional()?;
        if row.is_some() {
            return Ok(row);
        }
        let archive = Archive::new(&transaction, &cache);
        let change = archived_change(&archive, position, left)?;
        let mended = archive.mended();
        drop(transaction);
        self.store_found_again(&[], &mended);
        Ok(change)
    }

    pub(super) fn open_space(
        &mut self,
        principal: Principal,
        request: &OpenRequest,
        fresh: LogId,
        now: Now,
    ) -> Result<Durable<OpenAnswer>, LogError> {
        let cache = self.cache.clone();
        let mut transaction = self.begin(Purpose::Read)?;
        // Also for who may use the space already: it may be for a higher role.
        if let Some(code) = invitation(&transaction, principal, request, now)? {
            drop(transaction);
            if let Some(answer) = self.open_invited(principal, request, &code, now)? {
                return Ok(answer);
            }
            transaction = self.begin(Purpose::Read)?;
        }
        if let Some(space) = SpaceRow::find(&transaction, principal, request.space, now)? {
            let answer = answer_open(&Archive::new(&transaction, &cache), &space, request.cursor)?;
            return Durable::commit(&mut transaction, answer);
        }
        if !request.create {
            return Durable::commit(&mut transaction, OpenAnswer::Refused(SpaceCode::UnknownOrForbidden));
        }
        drop(transaction);
        let quotas = self.quotas;
        let mut transaction = self.begin(Purpose::Write)?;
        let before = foreign::administration(&transaction)?;
        let answer = match account::create_space(&transaction, principal, request.space, fresh, &quotas, now)? {
            Creation::Created(head) => match request.cursor {
                None => OpenAnswer::Served { position: head, head: head.sequence, role: Role::Owner },
                Some(_) => OpenAnswer::Reset(head.log),
            },
            Creation::Refused(code) => OpenAnswer::Refused(code),
        };
        let changes = foreign::administration(&transaction)?.saturating_sub(before);
        let opened = Durable::commit(&mut transaction, answer)?;
        drop(transaction);
        self.foreign.administered(changes);
        Ok(opened)
    }

    /// Makes the principal's user a member by an invitation, or raises the role of who is one, and opens the space as for any member, in one
    /// transaction. `None` where somebody else was quicker, who may be another device of the same user; nothing has changed then.
    fn open_invited(
        &mut self,
        principal: Principal,
        request: &OpenRequest,
        code: &TokenHash,
        now: Now,
    ) -> Result<Option<Durable<OpenAnswer>>, LogError> {
        let cache = self.cache.clone();
        let mut transaction = self.begin(Purpose::Write)?;
        let before = foreign::administration(&transaction)?;
        // What the look has found may be over by now.
        if !account::is_invited(&transaction, principal, request.space, code, now)?
            || account::take_invitation(&transaction, code, principal.user, now)?.is_none()
        {
            return Ok(None);
        }
        let Some(space) = SpaceRow::find(&transaction, principal, request.space, now)? else { return Ok(None) };
        let answer = answer_open(&Archive::new(&transaction, &cache), &space, request.cursor)?;
        let changes = foreign::administration(&transaction)?.saturating_sub(before);
        let opened = Durable::commit(&mut transaction, answer)?;
        drop(transaction);
        self.foreign.administered(changes);
        tracing::info!(space = %request.space, "an invitation was used: its user is a member of the space now, with the role that it was made for");
        Ok(Some(opened))
    }

    pub(super) fn read_run(
        &mut self,
        principal: Principal,
        request: &ReadRequest,
        now: Now,
    ) -> Result<Durable<ReadAnswer>, LogError> {
        let answers = Answers {
            refused: ReadAnswer::Refused,
            reset: ReadAnswer::Reset,
            run: |answer| if let ReadAnswer::Run { run, .. } = answer { Some(run) } else { None },
        };
        let cursors = [request.position, request.told];
        self.answer_reader((principal, request.space, now), cursors, answers, |archive, space| {
            let (run, mended) = run(archive, space, request)?;
            Ok((ReadAnswer::Run { run: run.within(space.head.sequence), role: space.role }, mended))
        })
    }
}

/// The change at a position of a segment; `None` when nothing stands there, or its bytes are not in the segment: no snapshot
/// is taken apart for a name, which could as well be a hash.
fn archived_change(
    archive: &Archive<'_, '_>,
    position: i64,
    left: &mut NamesLeft,
) -> Result<Option<(EntityId, ChangeHash)>, LogError> {
    let segment = match archive.decoded(position)? {
        None if left.take_segment() => archive.segment(position)?,
        decoded => decoded,
    };
    let place = segment.as_ref().and_then(|segment| segment.place(position));
    let Some(place) = place.filter(|place| place.kind == ChunkKind::Change) else { return Ok(None) };
    let header = place.bytes.as_ref().and_then(|bytes| ChangeHeader::read(bytes, &Limits::DEFAULT).ok());
    Ok(header.map(|header| (place.entity, header.hash)))
}

/// The hash of the invitation in a request that would let the principal in.
fn invitation(
    transaction: &SqliteTransaction<'_>,
    principal: Principal,
    request: &OpenRequest,
    now: Now,
) -> Result<Option<TokenHash>, LogError> {
    let Some(code) = &request.invitation else { return Ok(None) };
    let code = TokenHash::of(code.expose());
    Ok(account::is_invited(transaction, principal, request.space, &code, now)?.then_some(code))
}

fn answer_open(archive: &Archive<'_, '_>, space: &SpaceRow, cursor: Option<Cursor>) -> Result<OpenAnswer, LogError> {
    let position = cursor.unwrap_or_else(|| Cursor::start(space.head.log));
    Ok(if space.holds(archive, position)? {
        OpenAnswer::Served { position, head: space.head.sequence, role: space.role }
    } else {
        OpenAnswer::Reset(space.head.log)
    })
}

/// How many chunks of which nothing is wanted are passed in one transaction: some milliseconds.
const PASSED_MAX: usize = 16_384;

/// How many chunks are passed in one transaction that a snapshot stands for: some tens of milliseconds for what leads through them.
const COVERED_MAX: usize = 1 << 17;

/// How the chain is followed through rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Following {
    /// It is not: the answer moves no cursor.
    Not,
    /// By the hashes.
    Quick,
    /// Also the bytes of rows of which nothing is wanted are read, since a hash has decayed and they may say what it was.
    Thorough,
}

/// What is wanted of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'r> {
    pub(super) after: Cursor,
    pub(super) filter: &'r Filter,
    pub(super) bytes_max: usize,
    pub(super) following: Following,
    /// What the reader was given; `None` when it takes no snapshots.
    pub(super) snapshots: Option<&'r GivenSnapshots>,
}

/// What a stretch of a log holds of what is wanted.
pub(super) struct Stretch {
    /// What is wanted, in the order of the log.
    entries: Vec<LogEntry>,
    /// Entities of which nothing is wanted but the id.
    announced: BTreeSet<(Collection, EntityId)>,
    /// What stands for chunks, also behind the end.
    snapshots: Vec<LogSnapshot>,
    /// What stands for the chunks of purged entities, by their rows, also behind the end.
    erasures: BTreeMap<i64, LogErasure>,
    /// Up to which position each entity's chunks need not travel: by its row, where that was looked at. Where a snapshot stands
    /// for them that this stretch brings, only those need not that it names.
    covered: BTreeMap<i64, (i64, Option<Arc<Snapshot>>)>,
    /// Where it ends.
    pub(super) after: Cursor,
    /// Whether it leaves out something that the log holds.
    leaves_out: bool,
    /// Hashes that were found again.
    mended: Vec<Mended>,
    room: RunRoom,
    /// How many chunks were passed of which nothing is wanted, and that a snapshot stands for.
    passed: usize,
    stood_for: usize,
    /// The last that was taken, and how many pieces the taken ones have.
    taken: Sequence,
    pieces: usize,
}

impl Stretch {
    pub(super) fn entries_mut(&mut self) -> &mut [LogEntry] {
        &mut self.entries
    }

    /// The run that it makes after a position.
    pub(super) fn run(self, before: Cursor) -> LogRun {
        if !self.leaves_out {
            return LogRun::new(before, self.entries);
        }
        let announced = self.announced.into_iter().collect();
        let run = LogRun::leaving_out(before, self.after, self.entries).with(self.snapshots, announced);
        run.erasing(self.erasures.into_values().collect())
    }

    /// Notes a chunk of which nothing is wanted; answers whether there was room for that.
    fn pass(&mut self, entity: EntityId, collection: &Collection, wanted: &Wanted<'_>) -> bool {
        if self.passed == PASSED_MAX {
            return false;
        }
        let name = || (collection.clone(), entity);
        if wanted.filter.announces(collection) && !self.announced.contains(&name()) {
            if !self.room.take_id() {
                return false;
            }
            self.announced.insert(name());
        }
        self.passed += 1;
        self.leaves_out = true;
        true
    }

    /// Looks up to which position chunks of an entity need not travel, where one of them is met for the first time: what a
    /// snapshot stands for that the reader was given, or gets now. `None` when there is no room for it.
    fn look_at(
        &mut self,
        archive: &Archive<'_, '_>,
        wanted: &Wanted<'_>,
        (position, place): (i64, &Place),
    ) -> Result<Option<()>, LogError> {
        let Some(given) = wanted.snapshots.filter(|_| !self.covered.contains_key(&place.number)) else {
            return Ok(Some(()));
        };
        let (before, _) = SpaceRow::positions(SpaceRow::number_of(position));
        let (mut upto, mut stands) = (before + given.upto(place.entity).get().cast_signed(), None);
        if upto < position
            && let Some(traveller) = archive.traveller(place.number)?
            && archive.is_news(place.number, traveller, position - 1)?
            && let Some(travelling) = archive.travelling(wanted.after.log, place)?
        {
            if !self.room.take_snapshot(&travelling.cost) {
                return Ok(None);
            }
            stands = archive.snapshot(place.number)?;
            upto = stands.as_ref().map_or(traveller.covered, |snapshot| snapshot.covered);
            self.snapshots.push(travelling.snapshot);
        }
        self.covered.insert(place.number, (upto, stands));
        Ok(Some(()))
    }

    fn is_covered(&self, position: i64, place: &Place) -> bool {
        self.covered.get(&place.number).is_some_and(|(upto, stands)| {
            *upto >= position && stands.as_ref().is_none_or(|snapshot| snapshot.names(position))
        })
    }

    /// Passes a chunk that a snapshot stands for; answers whether that may be.
    fn pass_covered(&mut self) -> bool {
        self.leaves_out = true;
        self.stood_for += 1;
        self.stood_for <= COVERED_MAX
    }

    /// Passes a chunk of a purged entity, with the record that stands for it; answers whether there was room for that.
    fn pass_erased(&mut self, number: i64, record: Erasure, collection: &Collection) -> bool {
        if !self.erasures.contains_key(&number) {
            if !self.room.take(ERASURE_BYTES) {
                return false;
            }
            self.erasures.insert(number, LogErasure::new(record, collection.clone()));
        }
        self.pass_covered()
    }

    /// Takes the room for a chunk that is wanted; answers whether there was.
    fn take(&mut self, sequence: Sequence, bytes: usize) -> bool {
        let pieces = self.pieces + usize::from(self.taken.next() != sequence);
        if pieces >= PLACES_RUNS_MAX || !self.room.take(bytes) {
            return false;
        }
        (self.pieces, self.taken) = (pieces, sequence);
        true
    }
}

/// Reads on after a position, as much as fits one frame: what is in segments, then rows.
pub(super) fn stretch(archive: &Archive<'_, '_>, space: &SpaceRow, wanted: &Wanted<'_>) -> Result<Stretch, LogError> {
    let mut stretch = Stretch {
        entries: Vec::new(),
        announced: BTreeSet::new(),
        snapshots: Vec::new(),
        erasures: BTreeMap::new(),
        covered: BTreeMap::new(),
        after: wanted.after,
        leaves_out: false,
        mended: Vec::new(),
        room: RunRoom::new(wanted.bytes_max),
        passed: 0,
        stood_for: 0,
        taken: wanted.after.sequence,
        pieces: 0,
    };
    if take_archived(archive, space, wanted, &mut stretch)? {
        take_rows(archive, space, wanted, &mut stretch)?;
    }
    Ok(stretch)
}

/// Takes chunks of segments, whose chain is followed as they are read. Answers whether there was room for all of them.
fn take_archived(
    archive: &Archive<'_, '_>,
    space: &SpaceRow,
    wanted: &Wanted<'_>,
    stretch: &mut Stretch,
) -> Result<bool, LogError> {
    let mut position = space.position(wanted.after.sequence.next());
    let head = space.position(space.head.sequence);
    let is_wanted = |place: &Place| -> Result<bool, LogError> {
        let collection = archive.collection(place.number)?;
        Ok(place.kind == ChunkKind::Erasure || wanted.filter.includes(place.entity, &collection))
    };
    while position <= head {
        let segment = match archive.outline(position) {
            Ok(Some(segment)) => segment,
            Ok(None) => break,
            // What lies before what is damaged is read all the same.
            Err(error) if error.is_damage() && stretch.after != wanted.after => return Ok(false),
            Err(error) => return Err(error),
        };
        for (position, place) in segment.places_from(position) {
            let sequence = SpaceRow::sequence(position);
            let is_wanted = is_wanted(place)?;
            let is_change = place.kind == ChunkKind::Change;
            if is_wanted
                && is_change
                && let Some(erasure) = archive.erasure(place.number)?
            {
                let record = Erasure { entity: place.entity, reason: erasure.reason };
                if !stretch.pass_erased(place.number, record, &archive.collection(place.number)?) {
                    return Ok(false);
                }
                stretch.after = Cursor { log: space.head.log, sequence, chain: place.chain };
                continue;
            }
            if is_wanted && stretch.look_at(archive, wanted, (position, place))?.is_none() {
                return Ok(false);
            }
            if is_wanted && stretch.is_covered(position, place) {
                if !stretch.pass_covered() {
                    return Ok(false);
                }
            } else if is_wanted {
                if stretch.after != wanted.after && !archive.has_turn(position)? {
                    return Ok(false);
                }
                // The bytes of what has decayed are gone: it goes on as a chunk without any, whose hash they do not fit.
                let bytes = archive.bytes_at(position, place)?.unwrap_or_default();
                if !stretch.take(sequence, bytes.len()) {
                    return Ok(false);
                }
                stretch.entries.push(archived_entry(archive, position, place, bytes)?);
            } else if !stretch.pass(place.entity, &archive.collection(place.number)?, wanted) {
                return Ok(false);
            }
            stretch.after = Cursor { log: space.head.log, sequence, chain: place.chain };
        }
        position = segment.last() + 1;
    }
    Ok(true)
}

/// Takes rows that follow what was taken, and follows the chain through them.
fn take_rows(
    archive: &Archive<'_, '_>,
    space: &SpaceRow,
    wanted: &Wanted<'_>,
    stretch: &mut Stretch,
) -> Result<(), LogError> {
    let before = stretch.after;
    let mut last = before.sequence;
    let (mut rows_read, mut left_out) = (Vec::new(), BTreeSet::new());
    let mut beyond = None;
    let mut statement = archive.transaction.statement(RUN)?;
    let mut rows = statement.query([space.position(last), space.position(space.head.sequence)])?;
    while let Some(row) = rows.next()? {
        let mut entry = entry_head(row)?;
        if entry.sequence != last.next() {
            return Err(LogError::Inconsistent(Inconsistency::Gap(last.next().get())));
        }
        let is_erasure = entry.kind == ChunkKind::Erasure;
        let mut is_wanted = is_erasure || wanted.filter.includes(entry.entity, &entry.collection);
        let erasure = if is_wanted && !is_erasure { archive.erasure(row.get(7)?)? } else { None };
        is_wanted &= erasure.is_none();
        if is_wanted || wanted.following == Following::Thorough {
            entry.bytes = row.get(6)?;
        }
        let fits = if let Some(erasure) = erasure {
            let record = Erasure { entity: entry.entity, reason: erasure.reason };
            stretch.pass_erased(row.get(7)?, record, &entry.collection)
        } else if is_wanted {
            stretch.take(entry.sequence, entry.bytes.len())
        } else {
            stretch.pass(entry.entity, &entry.collection, wanted)
        };
        if !fits {
            beyond = Some(entry);
            break;
        }
        last = entry.sequence;
        if !is_wanted {
            left_out.insert(last);
        }
        rows_read.push(entry);
    }
    // An empty success below the head would be a lie (R9).
    if beyond.is_none() && last != space.head.sequence {
        return Err(LogError::Inconsistent(Inconsistency::Gap(last.next().get())));
    }
    if wanted.following != Following::Not {
        stretch.mended = chain::follow(space, before, &mut rows_read, beyond.as_ref())?;
    }
    if let Some(last) = rows_read.last() {
        stretch.after = Cursor { log: space.head.log, sequence: last.sequence, chain: last.chain };
    }
    rows_read.retain(|entry| !left_out.contains(&entry.sequence));
    stretch.entries.append(&mut rows_read);
    Ok(())
}

/// The run after a position, and what was found again for it.
fn run(archive: &Archive<'_, '_>, space: &SpaceRow, request: &ReadRequest) -> Result<(LogRun, Vec<Mended>), LogError> {
    let ReadRequest { position, filter, bytes_max, snapshots, .. } = request;
    let (following, snapshots) = (Following::Quick, snapshots.as_deref());
    let wanted = Wanted { after: *position, filter, bytes_max: *bytes_max, following, snapshots };
    let mut stretch = match stretch(archive, space, &wanted) {
        Err(LogError::Inconsistent(Inconsistency::Chain(_))) => {
            self::stretch(archive, space, &Wanted { following: Following::Thorough, ..wanted })
        }
        answer => answer,
    }?;
    let mended = std::mem::take(&mut stretch.mended);
    Ok((stretch.run(*position), mended))
}

/// The chunk of a segment, with the bytes that were found of it.
pub(super) fn archived_entry(
    archive: &Archive<'_, '_>,
    position: i64,
    place: &Place,
    bytes: Vec<u8>,
) -> Result<LogEntry, LogError> {
    Ok(LogEntry {
        sequence: SpaceRow::sequence(position),
        chain: place.chain,
        entity: place.entity,
        collection: archive.collection(place.number)?,
        kind: place.kind,
        hash: place.hash,
        bytes,
    })
}

/// The row after a position, where there is one.
pub(super) fn row_after(
    transaction: &SqliteTransaction<'_>,
    space: &SpaceRow,
    sequence: Sequence,
) -> Result<Option<LogEntry>, LogError> {
    let mut statement = transaction.statement(RUN)?;
    let mut rows = statement.query([space.position(sequence), space.position(sequence.next())])?;
    rows.next()?.map(entry).transpose()
}

/// The chunk in a row of [`RUN`].
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
