//! Which way the changes of each collection go, and what is held back because of that.
//!
//! A change is held back when it is in no log prefix that the cursor names, and its collection keeps it here: where changes only
//! come in, those that were made here and never stood in a log; where none go either way, all of them. What did stand in a log
//! is offered to a relay that lost it, also where changes only come in.

use crate::column::{self, SpaceRow};
use crate::error::{DirectionError, StoreError};
use crate::filter::{self, Wanted, add_backfill};
use crate::reader::Reader;
use crate::space;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row, rows};
use afield_core::filter::Filter;
use afield_core::limits::FILTER_COLLECTIONS_MAX;
use afield_core::policy::Direction;
use afield_core::{ChangeHash, Collection, Durable, EntityId, Sequence, SpaceId};
use rusqlite::{Connection, Row};
use std::collections::BTreeSet;

/// Whether a change that is not marked is held back in a collection of this direction.
pub(crate) fn holds(direction: Direction, has_stood_in_a_log: bool) -> bool {
    match direction {
        Direction::Both | Direction::PushOnly => false,
        Direction::PullOnly => !has_stood_in_a_log,
        Direction::LocalOnly => true,
    }
}

impl Store {
    /// Says which way the changes of a collection go from now on, in one transaction: what is not to leave any more is held back, what
    /// may leave is in the outbox, and what was not asked for before is to be fetched, as with [`Store::set_filter`].
    ///
    /// # Errors
    ///
    /// [`DirectionError::TooMany`], [`DirectionError::UnknownSpace`], or the storage failed.
    pub fn set_direction(
        &mut self,
        space: SpaceId,
        collection: &Collection,
        direction: Direction,
        from_start: bool,
    ) -> Result<Durable<()>, DirectionError> {
        self.write(|transaction| {
            let (space_row, cursor) = space::find(transaction, space)?.ok_or(DirectionError::UnknownSpace { space })?;
            let before = of_collection(transaction, space_row, collection)?;
            put(transaction, space_row, collection, direction)?;
            let count = transaction.read(|connection| Ok(left_out(connection, space)?.len()))?;
            if count > FILTER_COLLECTIONS_MAX {
                return Err(DirectionError::TooMany { maximum: FILTER_COLLECTIONS_MAX as u64 });
            }
            hold(transaction, space_row, collection, direction)?;
            match (before.receives(), direction.receives()) {
                (true, false) => forget_backfills(transaction, space_row, collection)?,
                (false, true) if !from_start || cursor.is_some_and(|cursor| cursor.sequence > Sequence::ZERO) => {
                    fetch_anew(transaction, (space, space_row), collection)?;
                }
                _ => {}
            }
            Ok(())
        })
    }

    /// Collections of a space of which nothing is asked for, whatever the filter says.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn left_out(&self, space: SpaceId) -> Result<BTreeSet<Collection>, StoreError> {
        self.read(|connection| left_out(connection, space))
    }

    /// Which way the changes of a space go as a whole, as far as is known: only from here where nothing is asked for, and only to here
    /// where no collection that is here sends anything and nothing waits to be sent.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn space_direction(&self, space: SpaceId) -> Result<Direction, StoreError> {
        self.read(|connection| of_space(connection, space))
    }

    /// Whether others may know of an entity: not where nothing of its collection leaves, nor where changes only come in and none of it
    /// ever stood in a log. `None` where the entity is not here.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn may_leave(&self, entity: EntityId) -> Result<Option<bool>, StoreError> {
        self.read(|connection| {
            // Only where changes just come in it is asked what stood in a log.
            let sql = "SELECT direction, direction = 2 AND EXISTS (SELECT 1 FROM changes WHERE changes.entity_row = e.entity_row
                                                                   AND (sequence IS NOT NULL OR logged = 1))
                       FROM entities AS e LEFT JOIN directions AS d ON d.space_row = e.space_row AND d.collection = e.collection
                       WHERE e.entity = ?";
            row(connection, sql, [entity.as_bytes()], |row| {
                let has_stood: Option<bool> = row.get(1)?;
                Ok(!holds(direction(row, 0)?, has_stood.unwrap_or(false)))
            })
        })
    }

    /// Whether a change of an entity is held back.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn is_held_back(&self, entity: EntityId, hash: ChangeHash) -> Result<bool, StoreError> {
        self.read(|connection| {
            let sql = "SELECT held FROM changes WHERE hash = ?2
                       AND entity_row = (SELECT entity_row FROM entities WHERE entity = ?1)";
            Ok(row(connection, sql, (entity.as_bytes(), hash.0), |row| row.get(0))?.unwrap_or(false))
        })
    }
}

impl Reader {
    /// The collections of a space whose changes do not go both ways, in the order of their names.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn directions(&self, space: SpaceId) -> Result<Vec<(Collection, Direction)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT collection, direction FROM directions
                       WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?) ORDER BY collection";
            rows(connection, sql, [space.as_bytes()], |row| Ok((column::collection(row, 0)?, direction(row, 1)?)))
        })
    }

    /// Which way the changes of a space go as a whole, as [`Store::space_direction`] says.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn space_direction(&self, space: SpaceId) -> Result<Direction, StoreError> {
        self.read(|connection| of_space(connection, space))
    }
}

/// The column of a direction, of which both ways has no row.
pub(crate) fn direction(row: &Row<'_>, column: usize) -> rusqlite::Result<Direction> {
    Ok(match row.get::<_, Option<i64>>(column)? {
        Some(1) => Direction::PushOnly,
        Some(2) => Direction::PullOnly,
        Some(3) => Direction::LocalOnly,
        _ => Direction::Both,
    })
}

/// Which way the changes of a collection go.
pub(crate) fn of_collection(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    collection: &Collection,
) -> Result<Direction, StoreError> {
    let sql = "SELECT direction FROM directions WHERE space_row = ? AND collection = ?";
    let found = transaction.row(sql, (space, collection.as_str()), |row| direction(row, 0))?;
    Ok(found.unwrap_or_default())
}

/// Puts what is not marked of a space where the directions of its collections want it, after the marks were cleared.
pub(crate) fn hold_all(transaction: &mut WriteTransaction<'_>, space: SpaceRow) -> Result<(), StoreError> {
    let sql = "SELECT collection, direction FROM directions WHERE space_row = ?";
    let read = |row: &Row<'_>| Ok((column::collection(row, 0)?, direction(row, 1)?));
    let found = transaction.read(|connection| rows(connection, sql, [space], read))?;
    found.iter().try_for_each(|(collection, direction)| hold(transaction, space, collection, *direction))
}

fn put(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    collection: &Collection,
    direction: Direction,
) -> Result<(), StoreError> {
    let number = match direction {
        Direction::Both => {
            let sql = "DELETE FROM directions WHERE space_row = ? AND collection = ?";
            transaction.execute(sql, (space, collection.as_str()))?;
            return Ok(());
        }
        Direction::PushOnly => 1,
        Direction::PullOnly => 2,
        Direction::LocalOnly => 3,
    };
    let sql = "INSERT INTO directions (space_row, collection, direction) VALUES (?1, ?2, ?3)
               ON CONFLICT (space_row, collection) DO UPDATE SET direction = ?3";
    transaction.execute(sql, (space, collection.as_str(), number))?;
    Ok(())
}

/// Looks at what waits to be sent of a collection, and at what is held back of it, along their own indexes.
fn hold(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    collection: &Collection,
    direction: Direction,
) -> Result<(), StoreError> {
    let (fresh, known) = (holds(direction, false), holds(direction, true));
    const RELEASE: &str = "UPDATE changes SET held = 0 WHERE space_row = ?1 AND held = 1
        AND CASE logged WHEN 0 THEN ?3 ELSE ?4 END = 0
        AND entity_row IN (SELECT entity_row FROM entities WHERE space_row = ?1 AND collection = ?2)";
    const HOLD: &str =
        "UPDATE changes SET held = 1 WHERE space_row = ?1 AND sequence IS NULL AND covered = 0 AND held = 0
        AND CASE logged WHEN 0 THEN ?3 ELSE ?4 END = 1
        AND entity_row IN (SELECT entity_row FROM entities WHERE space_row = ?1 AND collection = ?2)";
    const HOLD_COVERED: &str = "UPDATE changes SET held = 1 WHERE space_row = ?1 AND sequence IS NULL AND covered = 1
        AND held = 0 AND CASE logged WHEN 0 THEN ?3 ELSE ?4 END = 1
        AND entity_row IN (SELECT entity_row FROM entities WHERE space_row = ?1 AND collection = ?2)";
    const ERASURES: &str = "UPDATE erasures SET held = CASE logged WHEN 0 THEN ?3 ELSE ?4 END
        WHERE space_row = ?1 AND sequence IS NULL AND collection = ?2";
    for sql in [RELEASE, HOLD, HOLD_COVERED, ERASURES] {
        transaction.execute(sql, (space, collection.as_str(), fresh, known))?;
    }
    Ok(())
}

/// Forgets what was to be fetched of a collection: not even the ids of its entities are to be named any more.
pub(crate) fn forget_backfills(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    collection: &Collection,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM backfills WHERE space_row = ?1 AND (kind IN (0, 2) AND name = CAST(?2 AS BLOB)
               OR kind = 1 AND name IN (SELECT entity FROM entities WHERE space_row = ?1 AND collection = ?2))";
    transaction.execute(sql, (space, collection.as_str()))?;
    Ok(())
}

/// Notes what is to be fetched of a collection that is asked for again: it may have missed anything.
fn fetch_anew(
    transaction: &mut WriteTransaction<'_>,
    (space, space_row): (SpaceId, SpaceRow),
    collection: &Collection,
) -> Result<(), StoreError> {
    let filter = transaction.read(|connection| filter::named(connection, space))?;
    let whole = filter.includes_all_of(collection);
    let mut wanted = Vec::new();
    if whole {
        wanted.push(Wanted::Collection(collection.clone()));
    } else if filter.announces(collection) {
        wanted.push(Wanted::Announced(collection.clone()));
    }
    if let Filter::Only(selection) = &filter {
        // In which collection an entity is that is not here, nobody knows.
        for entity in &selection.entities {
            let found = transaction.read(|connection| crate::entity::find(connection, *entity))?;
            if found.is_none_or(|found| found.home.collection == *collection && !whole) {
                wanted.push(Wanted::Entity(*entity));
            }
        }
    }
    wanted.iter().try_for_each(|wanted| add_backfill(transaction, space_row, wanted, Sequence::ZERO, false))
}

pub(crate) fn left_out(connection: &Connection, space: SpaceId) -> Result<BTreeSet<Collection>, StoreError> {
    let sql = "SELECT collection FROM directions WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?)
               AND direction IN (1, 3)";
    Ok(rows(connection, sql, [space.as_bytes()], |row| column::collection(row, 0))?.into_iter().collect())
}

/// Steps from one name of a collection to the next, so that it costs nothing more where there are many entities.
const SENDS: &str = "WITH RECURSIVE this AS (SELECT space_row FROM spaces WHERE space = ?), names (name) AS (
    SELECT (SELECT min(collection) FROM entities WHERE space_row = (SELECT space_row FROM this))
    UNION ALL SELECT (SELECT min(collection) FROM entities WHERE space_row = (SELECT space_row FROM this) AND collection > name)
    FROM names WHERE name IS NOT NULL)
    SELECT EXISTS (SELECT 1 FROM names WHERE name IS NOT NULL AND name NOT IN
    (SELECT collection FROM directions JOIN this USING (space_row) WHERE direction IN (2, 3)))
    OR EXISTS (SELECT 1 FROM changes JOIN this USING (space_row) WHERE sequence IS NULL AND covered = 0 AND held = 0)
    OR EXISTS (SELECT 1 FROM changes JOIN this USING (space_row) WHERE sequence IS NULL AND covered = 1 AND held = 0)
    OR EXISTS (SELECT 1 FROM erasures JOIN this USING (space_row) WHERE sequence IS NULL AND held = 0)";

fn of_space(connection: &Connection, space: SpaceId) -> Result<Direction, StoreError> {
    let sql = "SELECT 1 FROM directions WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?) LIMIT 1";
    if row(connection, sql, [space.as_bytes()], |_| Ok(()))?.is_none() {
        return Ok(Direction::Both);
    }
    let receives = match filter::asked(connection, space)? {
        Filter::Everything | Filter::AllBut(_) => true,
        Filter::Only(selection) => {
            !selection.collections.is_empty() || !selection.entities.is_empty() || !selection.announced.is_empty()
        }
    };
    let sends = row(connection, SENDS, [space.as_bytes()], |row| row.get(0))?.unwrap_or(true);
    Ok(match (sends, receives) {
        (true, true) => Direction::Both,
        (true, false) => Direction::PushOnly,
        (false, true) => Direction::PullOnly,
        (false, false) => Direction::LocalOnly,
    })
}
