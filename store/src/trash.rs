//! The trash: what is deleted, and is purged once it has been so for as long as its space keeps anything.

use crate::column;
use crate::column::SpaceRow;
use crate::directions::{self, direction};
use crate::error::{PurgeError, StoreError};
use crate::filter;
use crate::reader::Reader;
use crate::space;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row, rows};
use afield_core::policy::Direction;
use afield_core::{Collection, Durable, EntityId, Role, SpaceId};
use rusqlite::Connection;

/// For how long one look at the trash counts at the most, in milliseconds: a day, since looking once a day is what is asked of an app.
/// A clock that jumps is taken for a day and no more, whatever it says; a device that looks less often keeps what is deleted for longer,
/// which costs nobody anything.
const STEP_MAX_MS: i64 = 86_400_000;

/// What of the trash of a space has been there for long enough.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    /// Entities that may be purged, in the order of their ids.
    pub entities: Vec<EntityId>,
    /// Those of which is not known whether somebody edited them beside their deletion: whoever holds the documents works it out
    /// ([`Store::put_conflicts`]).
    pub unclear: Vec<EntityId>,
    /// Those that others may have restored meanwhile, as far as this device knows: they may be purged when the relay has just said that
    /// everything is here.
    pub waiting: Vec<EntityId>,
    /// Those that are not this device's to purge ([`Store::may_purge`]).
    pub skipped: Vec<EntityId>,
}

/// What was deleted for so long by the clocks of those who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeletedBefore {
    /// Entities that may be purged, in the order of their ids.
    pub entities: Vec<EntityId>,
    /// Those that are not this device's to purge ([`Store::may_purge`]).
    pub skipped: Vec<EntityId>,
}

/// The deleted entities of a space that are old enough by what happened to them, of which nothing waits to be merged and whose projection
/// is current.
const DELETED: &str = "SELECT entity_row, entity FROM projections JOIN entities USING (entity_row)
     WHERE projections.space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND deleted = 1 AND stale = 0 AND updated_ms <= ?2
     AND NOT EXISTS (SELECT 1 FROM changes WHERE state <> 0 AND state = 1 AND changes.entity_row = projections.entity_row)";

/// Which way the changes of an entity go, and whether any of them ever stood in a log, of an entity `e`.
const REACH: &str =
    "(SELECT direction FROM directions AS d WHERE d.space_row = e.space_row AND d.collection = e.collection),
     EXISTS (SELECT 1 FROM changes WHERE changes.entity_row = e.entity_row AND (sequence IS NOT NULL OR logged = 1))";

/// How far an entity has gone, and may go.
struct Reach {
    direction: Direction,
    has_stood_in_a_log: bool,
}

/// Why an entity is not this device's to purge.
enum Bar {
    ReadOnly,
    OnlyComesIn,
}

impl Store {
    /// Says for how long what is deleted in a space is kept, in milliseconds; `None` for ever.
    ///
    /// # Errors
    ///
    /// [`PurgeError::UnknownSpace`], or the storage failed.
    pub fn set_trash_retention(&mut self, space: SpaceId, keep_ms: Option<u64>) -> Result<Durable<()>, PurgeError> {
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(PurgeError::UnknownSpace { space })?;
            transaction.execute("DELETE FROM trash WHERE space_row = ?", [space_row])?;
            if let Some(keep_ms) = keep_ms {
                let keep_ms = i64::try_from(keep_ms).unwrap_or(i64::MAX);
                let sql = "INSERT INTO trash (space_row, retention_ms) VALUES (?, ?)";
                transaction.execute(sql, (space_row, keep_ms))?;
            }
            Ok(())
        })
    }

    /// Looks through the trash of a space: the deleted entities to which nothing happened for so many milliseconds by the clocks of
    /// those who wrote, and which this device has known as deleted for so long, counted from look to look; so neither the clock of whoever
    /// deleted them nor that of this device takes them away early by itself (S4). Zero is all of them. What somebody edited beside
    /// the deletion is left to people.
    ///
    /// What others may know of is among the entities only where `is_in_step`: the relay has said just now that everything is here. Where
    /// anything waits for that, it is remembered ([`Store::wants_trash_emptied`]).
    ///
    /// What is deleted is known as such from the first call on; the transaction is not synced, since the next one would note it again.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn expired(
        &mut self,
        space: SpaceId,
        keep_ms: u64,
        is_in_step: bool,
        now_ms: i64,
    ) -> Result<Expired, StoreError> {
        let keep_ms = i64::try_from(keep_ms).unwrap_or(i64::MAX);
        self.write_unsynced(|transaction| {
            let Some((space_row, cursor)) = space::find(transaction, space)? else { return Ok(Expired::default()) };
            let counted_ms = count_look(transaction, space_row, keep_ms, now_ms)?;
            let sql = "INSERT OR IGNORE INTO trashed (entity_row, known_ms) SELECT entity_row, ?2 FROM projections
                       WHERE space_row = ?1 AND deleted = 1";
            transaction.execute(sql, (space_row, counted_ms))?;
            // Nobody's clock is right to the millisecond: zero means all of them.
            let before_ms = if keep_ms == 0 { i64::MAX } else { now_ms.saturating_sub(keep_ms) };
            let kept = (before_ms, counted_ms.saturating_sub(keep_ms));
            let is_told = is_in_step || cursor.is_none();
            let expired = transaction.read(|connection| expired(connection, space, kept, is_told))?;
            let sql = "UPDATE trash_looks SET wanted = ?2 WHERE space_row = ?1 AND wanted <> ?2";
            transaction.execute(sql, (space_row, !expired.waiting.is_empty()))?;
            Ok(expired)
        })
    }

    /// For how long a space keeps what is deleted, where something was kept for long enough at the last look and waits for the relay's
    /// word that everything is here.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn wants_trash_emptied(&self, space: SpaceId) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT retention_ms FROM trash JOIN trash_looks USING (space_row) JOIN spaces USING (space_row)
                   WHERE space = ? AND wanted = 1";
        self.read(|connection| row(connection, sql, [space.as_bytes()], |row| column::count(row, 0)))
    }

    /// Checks that entities are this device's to purge. What a relay may have is not where this device may only read the space, or
    /// where the collection only comes in: no relay would take the record from it, so the entity would be gone here alone, and for
    /// everybody, with what they wrote since, once the record may be sent. What is not here is passed over.
    ///
    /// # Errors
    ///
    /// [`PurgeError::ReadOnly`] and [`PurgeError::OnlyComesIn`], or the storage failed.
    pub fn may_purge(&self, space: SpaceId, entities: &[EntityId]) -> Result<(), PurgeError> {
        let sql = format!(
            "SELECT collection, {REACH} FROM entities AS e JOIN spaces USING (space_row) WHERE entity = ? AND space = ?"
        );
        self.read(|connection| {
            let role = role(connection, space)?;
            let mut barred = None;
            for entity in entities {
                let values = (entity.as_bytes(), space.as_bytes());
                let found = row(connection, &sql, values, |row| Ok((column::collection(row, 0)?, reach(row, 1)?)))?;
                let bar = found.and_then(|(collection, reach)| Some((reach.bar(role)?, collection)));
                barred = barred.or(bar);
            }
            Ok::<_, StoreError>(barred.map(|(bar, collection)| bar.into_error(space, collection)))
        })?
        .map_or(Ok(()), Err)
    }
}

impl Reader {
    /// For how long what is deleted in a space is kept, in milliseconds; `None` for ever.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn trash_retention(&self, space: SpaceId) -> Result<Option<u64>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT retention_ms FROM trash JOIN spaces USING (space_row) WHERE space = ?";
            row(connection, sql, [space.as_bytes()], |row| column::count(row, 0))
        })
    }

    /// The deleted entities of a space to which nothing happened after a moment, in milliseconds since the Unix epoch, in the order of
    /// their ids. One that has moved on without its projection ([`Reader::stale_deleted`]), or of which something waits to be merged, is
    /// not among them.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn deleted_before(&self, space: SpaceId, before_ms: i64) -> Result<DeletedBefore, StoreError> {
        let sql = format!(
            "SELECT e.entity, {REACH} FROM ({DELETED}) AS found JOIN entities AS e USING (entity_row) ORDER BY e.entity"
        );
        self.read(|connection| {
            let role = role(connection, space)?;
            let read = |row: &rusqlite::Row<'_>| Ok((column::entity(row, 0)?, reach(row, 1)?));
            let mut deleted = DeletedBefore::default();
            for (entity, reach) in rows(connection, &sql, (space.as_bytes(), before_ms), read)? {
                let among = if reach.bar(role).is_some() { &mut deleted.skipped } else { &mut deleted.entities };
                among.push(entity);
            }
            Ok(deleted)
        })
    }

    /// The deleted entities of a space whose projection is older than their document, so that nobody knows when anything last happened
    /// to them: whoever holds the documents projects them before the trash is looked through.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn stale_deleted(&self, space: SpaceId) -> Result<Vec<EntityId>, StoreError> {
        let sql = "SELECT entity FROM projections JOIN entities USING (entity_row)
                   WHERE projections.space_row = (SELECT space_row FROM spaces WHERE space = ?) AND deleted = 1 AND stale = 1";
        self.read(|connection| rows(connection, sql, [space.as_bytes()], |row| column::entity(row, 0)))
    }
}

impl Reach {
    fn bar(&self, role: Option<Role>) -> Option<Bar> {
        match self.direction {
            _ if !self.has_stood_in_a_log => None,
            Direction::LocalOnly => None,
            Direction::PullOnly => Some(Bar::OnlyComesIn),
            Direction::Both | Direction::PushOnly => (role == Some(Role::Reader)).then_some(Bar::ReadOnly),
        }
    }

    /// Whether others may know of the entity.
    fn may_leave(&self) -> bool {
        !directions::holds(self.direction, self.has_stood_in_a_log)
    }
}

impl Bar {
    fn into_error(self, space: SpaceId, collection: Collection) -> PurgeError {
        match self {
            Self::ReadOnly => PurgeError::ReadOnly { space },
            Self::OnlyComesIn => PurgeError::OnlyComesIn { space, collection },
        }
    }
}

fn reach(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Reach> {
    Ok(Reach { direction: direction(row, first)?, has_stood_in_a_log: row.get(first + 1)? })
}

fn role(connection: &Connection, space: SpaceId) -> Result<Option<Role>, StoreError> {
    let sql = "SELECT role FROM spaces WHERE space = ?";
    let found: Option<Option<u8>> = row(connection, sql, [space.as_bytes()], |row| row.get(0))?;
    Ok(found.flatten().map(Role::from_number))
}

/// Counts one look at the trash of a space. Answers for how long it was looked after, in milliseconds.
fn count_look(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    keep_ms: i64,
    now_ms: i64,
) -> Result<i64, StoreError> {
    let sql = "SELECT looked_ms, counted_ms FROM trash_looks WHERE space_row = ?";
    let last: Option<(i64, i64)> = transaction.row(sql, [space], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (looked_ms, counted_ms) = last.unwrap_or((now_ms, 0));
    // No single look counts for more than half of what is needed, or a jump would do where little is.
    let step_max_ms = STEP_MAX_MS.min(keep_ms / 2).max(1);
    let counted_ms = counted_ms.saturating_add(now_ms.saturating_sub(looked_ms).clamp(0, step_max_ms));
    let sql = "INSERT INTO trash_looks (space_row, looked_ms, counted_ms) VALUES (?1, ?2, ?3)
               ON CONFLICT (space_row) DO UPDATE SET looked_ms = ?2, counted_ms = ?3";
    transaction.execute(sql, (space, now_ms, counted_ms))?;
    Ok(counted_ms)
}

fn expired(
    connection: &Connection,
    space: SpaceId,
    (before_ms, known_before_ms): (i64, i64),
    is_told: bool,
) -> Result<Expired, StoreError> {
    let sql = format!(
        "SELECT e.entity, collection, {REACH},
         EXISTS (SELECT 1 FROM conflicts_stale WHERE conflicts_stale.entity_row = found.entity_row)
         FROM ({DELETED}) AS found JOIN trashed USING (entity_row) JOIN entities AS e USING (entity_row)
         WHERE known_ms <= ?3 AND NOT EXISTS (SELECT 1 FROM conflicts WHERE conflicts.entity_row = found.entity_row
         AND json ->> '$.kind' = 'entity') ORDER BY e.entity"
    );
    let role = role(connection, space)?;
    let told = filter::named(connection, space)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok((column::entity(row, 0)?, column::collection(row, 1)?, reach(row, 2)?, row.get::<_, bool>(4)?))
    };
    let values = (space.as_bytes(), before_ms, known_before_ms);
    let mut expired = Expired::default();
    for (entity, collection, reach, is_unclear) in rows(connection, &sql, values, read)? {
        // Of what it does not ask for, this device is not told what others did with it.
        let is_known = !reach.may_leave() || is_told && told.includes(entity, &collection);
        let among = match () {
            () if reach.bar(role).is_some() => &mut expired.skipped,
            () if is_unclear => &mut expired.unclear,
            () if !is_known => &mut expired.waiting,
            () => &mut expired.entities,
        };
        among.push(entity);
    }
    Ok(expired)
}
