//! Finding the changes of segments: by actor and sequence, and by hash.

use super::{Archive, Place, Segment, missing};
use crate::log::sqlite::row::SpaceRow;
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{Inconsistency, LogError};
use afield_core::ChangeHash;
use afield_core::change::ChangeHeader;
use afield_core::{Limits, log::ChunkHash};
use automerge::ActorId;
use rusqlite::{OptionalExtension, Row, params};
use std::sync::Arc;

/// The most changes of an entity with the same entry in the index that are looked at. By chance there is never a second one.
const ALIKE_MAX: i64 = 16;

/// A relay may have had other limits when it accepted a change.
pub(super) const ANY: Limits = Limits {
    change_bytes_max: usize::MAX,
    change_operations_max: u64::MAX,
    change_dependencies_max: usize::MAX,
    ..Limits::DEFAULT
};

/// What a run of an actor counts in the sum of all runs of an entity: eight bytes of a hash of actor, first, last and segment, so
/// that no flipped bit leaves the sum as it was.
pub(super) fn run_check(run: [i64; 4]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    for number in run {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize().as_bytes().first_chunk().copied().map(i64::from_le_bytes).unwrap_or_default()
}

/// A change of a segment.
#[derive(Debug)]
pub(in crate::log::sqlite) struct Archived {
    pub(in crate::log::sqlite) position: i64,
    /// Whether its bytes are readable now.
    pub(in crate::log::sqlite) is_readable: bool,
    /// Its bytes, where they were asked for or had to be read.
    pub(in crate::log::sqlite) bytes: Vec<u8>,
}

/// An entity whose row says another number of chunks in segments than there are.
#[derive(Debug, Clone, Copy)]
pub(in crate::log::sqlite) struct Miscounted {
    pub(super) entity: i64,
    pub(super) chunks: i64,
}

/// A chunk of a segment, with the segment.
#[derive(Debug)]
pub(in crate::log::sqlite) struct Found {
    pub(in crate::log::sqlite) segment: Arc<Segment>,
    pub(in crate::log::sqlite) position: i64,
}

impl Found {
    pub(in crate::log::sqlite) fn place(&self) -> Option<&Place> {
        self.segment.place(self.position)
    }
}

/// The secret of the file: what two of its copies say.
pub(in crate::log::sqlite) fn secret_of(transaction: &SqliteTransaction<'_>) -> Result<[u8; 32], LogError> {
    let mut statement =
        transaction.statement("SELECT secret, second_secret, third_secret FROM file WHERE number = 1")?;
    // One that is of another length has decayed, too.
    let copies = |row: &Row<'_>| Ok((0..3).filter_map(|copy| row.get(copy).ok()).collect::<Vec<[u8; 32]>>());
    let copies = statement.query_row([], copies).optional()?.unwrap_or_default();
    let outvotes = |secret: &&[u8; 32]| copies.iter().filter(|copy| copy == secret).count() > 1;
    copies.iter().find(outvotes).copied().ok_or(LogError::Inconsistent(Inconsistency::Secret))
}

impl Archive<'_, '_> {
    /// What the index has of a change: eight bytes of a keyed hash of its hash. Whoever names a change that was never made cannot
    /// find out which would meet one of them but by asking the relay.
    pub(super) fn prefix_of(&self, change: ChangeHash) -> Result<i64, LogError> {
        let hash = blake3::keyed_hash(&self.secret()?, &change.0);
        Ok(hash.as_bytes().first_chunk().copied().map(i64::from_be_bytes).unwrap_or_default())
    }

    /// The secret of the file, read once.
    fn secret(&self) -> Result<[u8; 32], LogError> {
        if let Some(secret) = self.secret.get() {
            return Ok(secret);
        }
        let secret = secret_of(self.transaction)?;
        self.secret.set(Some(secret));
        Ok(secret)
    }

    /// The segment that holds the change with an actor and a sequence, by its last position.
    pub(in crate::log::sqlite) fn segment_of(
        &self,
        entity: i64,
        actor: i64,
        actor_sequence: u64,
    ) -> Result<Option<i64>, LogError> {
        let found: Option<(i64, i64)> = self
            .transaction
            .statement(
                "SELECT first, segment FROM actor_runs WHERE entity = ?1 AND actor = ?2 AND last >= ?3
                ORDER BY last LIMIT 1",
            )?
            .query_row([entity, actor, actor_sequence.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.filter(|(first, _)| *first <= actor_sequence.cast_signed()).map(|(_, segment)| segment))
    }

    /// Whether the runs of an entity's actors are those that were put in. Where not, one of them has decayed; where they are, they tell
    /// how many chunks there are.
    pub(in crate::log::sqlite) fn knows_runs(&self, entity: i64) -> Result<bool, LogError> {
        let mut statement =
            self.transaction.statement("SELECT actor, first, last, segment FROM actor_runs WHERE entity = ?1")?;
        let mut rows = statement.query([entity])?;
        let (mut sum, mut chunks) = (0, 0_i64);
        while let Some(row) = rows.next()? {
            let run @ [_, first, last, _] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            sum = run_check(run).wrapping_add(sum);
            chunks = chunks.saturating_add(last.saturating_sub(first)).saturating_add(1);
        }
        let mut statement =
            self.transaction.statement("SELECT runs_check, archived FROM entities WHERE number = ?1")?;
        let expected = statement.query_row([entity], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let Some((expected, archived)) = expected.optional()? else { return Ok(true) };
        if expected == sum && archived != chunks {
            self.miscounted.borrow_mut().push(Miscounted { entity, chunks });
        }
        Ok(expected == sum)
    }

    /// The segments behind a position of a space that hold changes of an entity, by their ends and where they start, as the index
    /// of changes and that of actors together tell them.
    ///
    /// # Errors
    ///
    /// A segment is lost, or the storage failed.
    pub(in crate::log::sqlite) fn segments_by_changes(
        &self,
        entity: i64,
        after: i64,
    ) -> Result<Vec<(i64, i64)>, LogError> {
        let sql = "SELECT position FROM change_prefixes WHERE entity = ?1 AND position > ?2 AND position <= ?3
            UNION SELECT segment FROM actor_runs WHERE entity = ?1 AND segment > ?2 AND segment <= ?3 ORDER BY 1";
        let mut statement = self.transaction.statement(sql)?;
        let mut segments: Vec<(i64, i64)> = Vec::new();
        // What points beyond the space has decayed.
        let (_, end) = SpaceRow::positions(SpaceRow::number_of(after));
        for position in statement.query_map([entity, after, end], |row| row.get(0))? {
            let position: i64 = position?;
            if segments.last().is_some_and(|(last, _)| position <= *last) {
                continue;
            }
            match self.outline(position)? {
                Some(segment) => segments.push((segment.last, segment.first)),
                None if self.is_lost(position)? => return Err(missing(position)),
                None => {}
            }
        }
        Ok(segments)
    }

    /// Whether a change is in a segment, as the index says.
    pub(in crate::log::sqlite) fn may_hold(&self, entity: i64, change: ChangeHash) -> Result<bool, LogError> {
        let sql = "SELECT 1 FROM change_prefixes WHERE entity = ?1 AND prefix = ?2";
        Ok(self.transaction.statement(sql)?.exists(params![entity, self.prefix_of(change)?])?)
    }

    /// A change of a segment. An intact snapshot that stands for it has its bytes; these are looked at only where there is none, or
    /// where the caller `wants_bytes`.
    pub(in crate::log::sqlite) fn find_change(
        &self,
        entity: i64,
        change: ChangeHash,
        wants_bytes: bool,
    ) -> Result<Option<Archived>, LogError> {
        let (mut gone, mut lost) = (None, None);
        for position in self.indexed(entity, change)? {
            let Some(segment) = self.outline(position)? else {
                // Where nothing is to be there, it is the index that has decayed, and a push puts that right.
                if self.is_lost(position)? {
                    lost = Some(missing(position));
                }
                continue;
            };
            let Some(place) = segment.place(position).filter(|place| place.number == entity) else { continue };
            if !wants_bytes && self.covering(position, place)?.is_some() {
                return Ok(Some(Archived { position, is_readable: true, bytes: Vec::new() }));
            }
            match self.bytes_at(position, place)? {
                Some(bytes) if is_change(&bytes, change) => {
                    return Ok(Some(Archived { position, is_readable: true, bytes }));
                }
                Some(_) => {}
                None => gone = Some(Archived { position, is_readable: false, bytes: Vec::new() }),
            }
        }
        match (gone, lost) {
            (None, Some(lost)) => Err(lost),
            (gone, _) => Ok(gone),
        }
    }

    /// The chunk that a change is, by the segment that is said to hold it, or where the index of changes has it.
    ///
    /// # Errors
    ///
    /// It is not where one of them says, and the other does not know it either; or the storage failed.
    pub(in crate::log::sqlite) fn find_chunk(
        &self,
        entity: i64,
        segment: Option<i64>,
        (change, hash): (ChangeHash, ChunkHash),
    ) -> Result<Option<Found>, LogError> {
        let mut damage = None;
        for last in segment.into_iter().chain(self.indexed(entity, change)?) {
            match self.outline(last) {
                Ok(Some(segment)) => {
                    if let Some((position, _)) = segment.find(entity, hash) {
                        return Ok(Some(Found { segment, position }));
                    }
                }
                // What points there may have decayed, or the segment be lost: the other index says where it is.
                Ok(None) => damage = Some(missing(last)),
                Err(error) if error.is_damage() => damage = Some(error),
                Err(error) => return Err(error),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// Whether an actor's sequence is taken in an entity, as a run of the actor says that ends in a segment. Where one of the
    /// entity's runs has decayed the changes of that segment decide: an honest change must not be called another's.
    ///
    /// # Errors
    ///
    /// Some of these changes cannot be read, or the storage failed.
    pub(in crate::log::sqlite) fn is_taken(
        &self,
        entity: i64,
        actor: &ActorId,
        actor_sequence: u64,
        segment: i64,
    ) -> Result<bool, LogError> {
        if self.knows_runs(entity)? {
            return Ok(true);
        }
        let Some(segment) = self.segment(segment)? else { return Err(missing(segment)) };
        let mut unreadable = None;
        for (position, place) in segment.places_from(segment.first).filter(|(_, place)| place.number == entity) {
            match self.bytes(position, place)?.and_then(|bytes| ChangeHeader::read(&bytes, &ANY).ok()) {
                Some(header) if header.actor == *actor && header.sequence == actor_sequence => return Ok(true),
                Some(_) => {}
                None => unreadable = Some(missing(position)),
            }
        }
        unreadable.map_or(Ok(false), Err)
    }

    /// Puts a change into the index that is not there, as it may have decayed.
    pub(in crate::log::sqlite) fn index(&self, entity: i64, change: ChangeHash, position: i64) -> Result<(), LogError> {
        if !self.indexed(entity, change)?.contains(&position) {
            self.transaction
                .statement("INSERT OR IGNORE INTO change_prefixes (entity, prefix, position) VALUES (?1, ?2, ?3)")?
                .execute([entity, self.prefix_of(change)?, position])?;
        }
        Ok(())
    }

    /// Where the index has a change.
    fn indexed(&self, entity: i64, change: ChangeHash) -> Result<Vec<i64>, LogError> {
        let sql = "SELECT position FROM change_prefixes WHERE entity = ?1 AND prefix = ?2 ORDER BY position LIMIT ?3";
        let mut statement = self.transaction.statement(sql)?;
        let positions = statement.query_map([entity, self.prefix_of(change)?, ALIKE_MAX], |row| row.get(0))?;
        Ok(positions.collect::<Result<_, _>>()?)
    }
}

fn is_change(bytes: &[u8], change: ChangeHash) -> bool {
    ChangeHeader::read(bytes, &ANY).is_ok_and(|header| header.hash == change)
}
