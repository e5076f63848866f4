//! What this device asks for of its spaces, and what of it is still to be fetched.

use crate::column::{self, SpaceRow, sequence_sql};
use crate::directions;
use crate::entity;
use crate::error::{FilterError, StoreError};
use crate::reader::Reader;
use crate::space;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row, rows};
use afield_core::filter::{Filter, Selection};
use afield_core::limits::FILTER_ENTITIES_MAX;
use afield_core::{Collection, Durable, EntityId, Sequence, SpaceId};
use rusqlite::{Connection, Row};
use std::collections::{BTreeMap, BTreeSet};

/// Something that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// Every entity of a collection.
    Collection(Collection),
    /// An entity.
    Entity(EntityId),
    /// The ids of a collection's entities.
    Announced(Collection),
    /// Everything.
    Everything,
}

/// Something that is wanted and may not be here up to the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    row: i64,
    /// What.
    pub wanted: Wanted,
    /// The sequence up to which it is here.
    pub after: Sequence,
    /// Whether changes are wanted where the relay has a snapshot, since the snapshot was not usable.
    pub changes: bool,
}

impl Backfill {
    /// Whether this is the same request as another, however far it has come.
    pub fn is_same_request(&self, other: &Self) -> bool {
        self.row == other.row
    }
}

impl Wanted {
    fn kind(&self) -> i64 {
        match self {
            Self::Collection(_) => 0,
            Self::Entity(_) => 1,
            Self::Announced(_) => 2,
            Self::Everything => 3,
        }
    }

    fn name(&self) -> &[u8] {
        match self {
            Self::Collection(collection) | Self::Announced(collection) => collection.as_str().as_bytes(),
            Self::Entity(entity) => entity.as_bytes(),
            Self::Everything => &[],
        }
    }

    fn read(row: &Row<'_>, kind: usize, name: usize) -> rusqlite::Result<Self> {
        let collection = || {
            let text = String::from_utf8(row.get(name)?).ok().and_then(|text| text.parse().ok());
            text.ok_or_else(|| rusqlite::Error::InvalidColumnType(name, "name".to_owned(), rusqlite::types::Type::Blob))
        };
        Ok(match row.get::<_, i64>(kind)? {
            0 => Self::Collection(collection()?),
            1 => Self::Entity(column::entity(row, name)?),
            2 => Self::Announced(collection()?),
            _ => Self::Everything,
        })
    }

    /// What a filter names.
    fn of(filter: &Filter) -> BTreeSet<Self> {
        let Filter::Only(Selection { collections, entities, announced }) = filter else {
            return BTreeSet::from([Self::Everything]);
        };
        let collections = collections.iter().cloned().map(Self::Collection);
        let announced = announced.iter().cloned().map(Self::Announced);
        collections.chain(entities.iter().copied().map(Self::Entity)).chain(announced).collect()
    }

    /// The filter that names so much.
    pub fn filter(wanted: impl IntoIterator<Item = Self>) -> Filter {
        let mut selection = Selection::default();
        for wanted in wanted {
            match wanted {
                Self::Everything => return Filter::Everything,
                Self::Collection(collection) => drop(selection.collections.insert(collection)),
                Self::Entity(entity) => drop(selection.entities.insert(entity)),
                Self::Announced(collection) => drop(selection.announced.insert(collection)),
            }
        }
        Filter::Only(selection)
    }
}

impl Store {
    /// What this device asks for of a space; everything where nothing else was said.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn filter(&self, space: SpaceId) -> Result<Filter, StoreError> {
        self.read(|connection| named(connection, space))
    }

    /// What a relay is asked for of a space: its filter, without the collections whose changes only go out or do not leave the
    /// device, and without the entities of those that are here.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn asked_filter(&self, space: SpaceId) -> Result<Filter, StoreError> {
        self.read(|connection| asked(connection, space))
    }

    /// Asks for something else of a space from now on. What was not asked for before is to be fetched, unless the whole log
    /// is still to be read: `from_start` says that nobody reads it now, so that a cursor at its start means that.
    ///
    /// Whatever is held stays, and what was fetched is asked for as before ([`Store::want_entities`]).
    ///
    /// # Errors
    ///
    /// [`FilterError::TooLong`], also with what was fetched; [`FilterError::UnknownSpace`], or the storage failed.
    pub fn set_filter(
        &mut self,
        space: SpaceId,
        filter: &Filter,
        from_start: bool,
    ) -> Result<Durable<()>, FilterError> {
        if !filter.is_within_limits() {
            return Err(FilterError::TooLong { maximum: FILTER_ENTITIES_MAX as u64 });
        }
        self.write(|transaction| {
            let (space_row, cursor) = space::find(transaction, space)?.ok_or(FilterError::UnknownSpace { space })?;
            let before = Wanted::of(&transaction.read(|connection| named(connection, space))?);
            let backfills = transaction.read(|connection| backfills(connection, space))?;
            let is_fresh = from_start && cursor.is_none_or(|cursor| cursor.sequence == Sequence::ZERO);
            let is_filtered = *filter != Filter::Everything;
            name(transaction, space_row, filter)?;
            transaction.execute("UPDATE spaces SET filtered = ?2 WHERE space_row = ?1", (space_row, is_filtered))?;
            let after = Wanted::of(&transaction.read(|connection| named(connection, space))?);
            // What a snapshot could not give is missing whatever the filter says.
            transaction.execute("DELETE FROM backfills WHERE space_row = ? AND changes = 0", [space_row])?;
            if !is_fresh {
                for (wanted, from) in missing(&before, &backfills, &after) {
                    add_backfill(transaction, space_row, wanted, from, false)?;
                }
            }
            let sql = "DELETE FROM announced WHERE space_row = ?1 AND CAST(collection AS BLOB) NOT IN
                       (SELECT name FROM wanted WHERE space_row = ?1 AND kind = 2)";
            transaction.execute(sql, [space_row])?;
            for collection in transaction.read(|connection| directions::left_out(connection, space))? {
                directions::forget_backfills(transaction, space_row, &collection)?;
            }
            check_length(transaction, space_row)
        })
    }

    /// Asks for entities, which are wanted from now on; answers with those that are not here yet. Those that are being asked
    /// for already are left alone.
    ///
    /// # Errors
    ///
    /// [`FilterError::TooLong`], [`FilterError::UnknownSpace`], or the storage failed.
    pub fn want_entities(
        &mut self,
        space: SpaceId,
        entities: &[EntityId],
    ) -> Result<Durable<Vec<EntityId>>, FilterError> {
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(FilterError::UnknownSpace { space })?;
            let mut missing = Vec::new();
            for entity in entities {
                let wanted = Wanted::Entity(*entity);
                let is_here = transaction.read(|connection| is_here(connection, space, *entity))?;
                if is_here || transaction.read(|connection| is_left_out(connection, space, *entity))? {
                    continue;
                }
                missing.push(*entity);
                // Also where everything is wanted: it is still wanted when less is.
                want(transaction, space_row, &wanted, Wish::Fetched)?;
                let sql = "INSERT INTO backfills (space_row, kind, name, after, changes) VALUES (?1, ?2, ?3, 0, 0)
                           ON CONFLICT (space_row, kind, name) DO NOTHING";
                transaction.execute(sql, (space_row, wanted.kind(), wanted.name()))?;
            }
            check_length(transaction, space_row)?;
            Ok(missing)
        })
    }

    /// Takes back what [`Store::want_entities`] asked for: it is wanted no more than the filter says. What is held stays.
    ///
    /// # Errors
    ///
    /// [`FilterError::UnknownSpace`], or the storage failed.
    pub fn unwant_entities(&mut self, space: SpaceId, entities: &[EntityId]) -> Result<Durable<()>, FilterError> {
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(FilterError::UnknownSpace { space })?;
            for entity in entities {
                let wanted = Wanted::Entity(*entity);
                let values = (space_row, wanted.kind(), wanted.name());
                let sql = "DELETE FROM wanted WHERE space_row = ? AND kind = ? AND name = ? AND NOT named";
                transaction.execute(sql, values)?;
                let sql = "UPDATE wanted SET fetched = 0 WHERE space_row = ? AND kind = ? AND name = ?";
                transaction.execute(sql, values)?;
                // What a snapshot could not give is missing whatever is wanted.
                let sql = "DELETE FROM backfills WHERE space_row = ?1 AND kind = ?2 AND name = ?3 AND changes = 0 AND NOT EXISTS
                           (SELECT 1 FROM wanted WHERE space_row = ?1 AND kind = ?2 AND name = ?3)";
                transaction.execute(sql, values)?;
            }
            Ok(())
        })
    }

    /// What of a space is still to be fetched, in the order in which it was asked for.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn backfills(&self, space: SpaceId) -> Result<Vec<Backfill>, StoreError> {
        self.read(|connection| backfills(connection, space))
    }

    /// Whether an entity that the store does not hold may exist all the same: it is not asked for, or still to be fetched.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn may_be_elsewhere(
        &self,
        space: SpaceId,
        collection: &Collection,
        entity: EntityId,
    ) -> Result<bool, StoreError> {
        self.read(|connection| may_be_elsewhere(connection, space, collection, entity))
    }
}

/// Whether an entity is held, and everything of it up to the cursor is.
fn is_here(connection: &Connection, space: SpaceId, entity: EntityId) -> Result<bool, StoreError> {
    match entity::find(connection, entity)?.filter(|found| found.home.space == space) {
        Some(found) => Ok(!may_be_elsewhere(connection, space, &found.home.collection, entity)?),
        None => Ok(false),
    }
}

/// Whether an entity is held whose collection takes nothing from the relay.
fn is_left_out(connection: &Connection, space: SpaceId, entity: EntityId) -> Result<bool, StoreError> {
    let found = entity::find(connection, entity)?.filter(|found| found.home.space == space);
    Ok(found.is_some_and(|found| !found.direction.receives()))
}

fn may_be_elsewhere(
    connection: &Connection,
    space: SpaceId,
    collection: &Collection,
    entity: EntityId,
) -> Result<bool, StoreError> {
    let sql = "SELECT filtered AND NOT EXISTS (SELECT 1 FROM wanted WHERE wanted.space_row = spaces.space_row
                       AND (kind = 0 AND name = ?2 OR kind = 1 AND name = ?3))
                       OR EXISTS (SELECT 1 FROM backfills WHERE backfills.space_row = spaces.space_row
                       AND (kind = 0 AND name = ?2 OR kind = 1 AND name = ?3 OR kind = 3))
                       OR EXISTS (SELECT 1 FROM directions WHERE directions.space_row = spaces.space_row
                       AND collection = CAST(?2 AS TEXT) AND direction IN (1, 3))
                       FROM spaces WHERE space = ?1";
    let values = (space.as_bytes(), collection.as_str().as_bytes(), &entity.as_bytes()[..]);
    Ok(row(connection, sql, values, |row| row.get(0))?.unwrap_or(false))
}

impl Reader {
    /// What this device asks for of a space.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn filter(&self, space: SpaceId) -> Result<Filter, StoreError> {
        self.read(|connection| named(connection, space))
    }

    /// The entities of a space that are known to exist and are not here, with their collections, in the order of both.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn not_here(&self, space: SpaceId) -> Result<Vec<(Collection, EntityId)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT collection, entity FROM announced
                       WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?)
                       AND entity NOT IN (SELECT entity FROM entities) ORDER BY collection, entity";
            rows(connection, sql, [space.as_bytes()], |row| Ok((column::collection(row, 0)?, column::entity(row, 1)?)))
        })
    }
}

/// What may be missing of all that is wanted now, and from which sequence on.
fn missing<'w>(
    before: &BTreeSet<Wanted>,
    backfills: &'w [Backfill],
    after: &'w BTreeSet<Wanted>,
) -> BTreeMap<&'w Wanted, Sequence> {
    let mut missing: BTreeMap<&Wanted, Sequence> = BTreeMap::new();
    missing.extend(after.iter().filter_map(|wanted| Some((wanted, missing_from(before, backfills, wanted)?))));
    // A collection that takes from the relay again lacks more than what is wanted around it.
    for Backfill { wanted, after: from, .. } in backfills.iter().filter(|backfill| !backfill.changes) {
        let is_wanted = after.contains(wanted) || after.contains(&Wanted::Everything);
        let covers = [wanted, &Wanted::Everything];
        let is_covered = covers.iter().any(|cover| missing.get(cover).is_some_and(|missing| missing <= from));
        if is_wanted && !is_covered {
            missing.insert(wanted, *from);
        }
    }
    missing
}

/// From which sequence on something may be missing that is wanted now; `None` where all of it is here.
fn missing_from(before: &BTreeSet<Wanted>, backfills: &[Backfill], wanted: &Wanted) -> Option<Sequence> {
    let pending = |of: &Wanted| backfills.iter().find(|backfill| backfill.wanted == *of && !backfill.changes);
    let covers = [wanted, &Wanted::Everything];
    // Of several that cover it, the one that is farthest counts.
    let missing = covers.into_iter().filter(|cover| before.contains(cover));
    let missing = missing.map(|cover| pending(cover).map(|backfill| backfill.after));
    missing.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other))).unwrap_or(Some(Sequence::ZERO))
}

/// Why something is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// The filter names it.
    Named,
    /// It was asked for by itself.
    Fetched,
}

fn want(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    wanted: &Wanted,
    wish: Wish,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO wanted (space_row, kind, name, named, fetched) VALUES (?1, ?2, ?3, ?4, 1 - ?4)
               ON CONFLICT DO UPDATE SET named = max(named, excluded.named), fetched = max(fetched, excluded.fetched)";
    transaction.execute(sql, (space, wanted.kind(), wanted.name(), wish == Wish::Named))?;
    Ok(())
}

/// Puts what a filter names in the place of what was named before.
fn name(transaction: &mut WriteTransaction<'_>, space: SpaceRow, filter: &Filter) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM wanted WHERE space_row = ? AND NOT fetched", [space])?;
    transaction.execute("UPDATE wanted SET named = 0 WHERE space_row = ? AND named", [space])?;
    if *filter != Filter::Everything {
        for wanted in &Wanted::of(filter) {
            want(transaction, space, wanted, Wish::Named)?;
        }
    }
    Ok(())
}

fn check_length(transaction: &mut WriteTransaction<'_>, space: SpaceRow) -> Result<(), FilterError> {
    let sql = "SELECT count(*) FROM wanted WHERE space_row = ? AND kind = 1";
    let count = transaction.row(sql, [space], |row| column::count(row, 0))?.unwrap_or(0);
    let maximum = FILTER_ENTITIES_MAX as u64;
    if count > maximum { Err(FilterError::TooLong { maximum }) } else { Ok(()) }
}

/// Notes that something is to be fetched. What an earlier request is answered with does not end it.
pub(crate) fn add_backfill(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    wanted: &Wanted,
    after: Sequence,
    changes: bool,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM backfills WHERE space_row = ? AND kind = ? AND name = ?";
    transaction.execute(sql, (space, wanted.kind(), wanted.name()))?;
    let sql = "INSERT INTO backfills (space_row, kind, name, after, changes) VALUES (?, ?, ?, ?, ?)";
    transaction.execute(sql, (space, wanted.kind(), wanted.name(), sequence_sql(after), changes))?;
    Ok(())
}

/// Notes that something is here up to a sequence, or altogether.
pub(crate) fn move_backfills(
    transaction: &mut WriteTransaction<'_>,
    backfills: &[Backfill],
    upto: Sequence,
    done: bool,
) -> Result<(), StoreError> {
    for backfill in backfills {
        if done {
            transaction.execute("DELETE FROM backfills WHERE backfill_row = ?", [backfill.row])?;
        } else {
            let sql = "UPDATE backfills SET after = ?2 WHERE backfill_row = ?1";
            transaction.execute(sql, (backfill.row, sequence_sql(upto)))?;
        }
    }
    Ok(())
}

/// Notes that the relay knows nothing of entities that were asked for: nothing of them is to be fetched, and those that the
/// filter does not name are asked for no more.
pub(crate) fn forget_unknown(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    backfills: &[Backfill],
    unknown: &[EntityId],
) -> Result<(), StoreError> {
    let unknown: BTreeSet<_> = unknown.iter().copied().map(Wanted::Entity).collect();
    for backfill in backfills.iter().filter(|backfill| unknown.contains(&backfill.wanted)) {
        transaction.execute("DELETE FROM backfills WHERE backfill_row = ?", [backfill.row])?;
        // What is held and not there yet is this device's own, and others may edit it once it is.
        let values = (space, backfill.wanted.name());
        let sql = "DELETE FROM wanted WHERE space_row = ?1 AND kind = 1 AND name = ?2 AND NOT named
                   AND NOT EXISTS (SELECT 1 FROM entities WHERE entity = ?2)";
        transaction.execute(sql, values)?;
        let sql = "UPDATE wanted SET fetched = 0 WHERE space_row = ?1 AND kind = 1 AND name = ?2 AND named
                   AND NOT EXISTS (SELECT 1 FROM entities WHERE entity = ?2)";
        transaction.execute(sql, values)?;
    }
    Ok(())
}

/// Notes entities that are known to exist.
pub(crate) fn announce(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    announced: &[(Collection, EntityId)],
) -> Result<(), StoreError> {
    for (collection, entity) in announced {
        let sql = "INSERT INTO announced (space_row, entity, collection) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        transaction.execute(sql, (space, entity.as_bytes(), collection.as_str()))?;
    }
    Ok(())
}

/// Forgets what was to be fetched of a log that is read from its start, and what was announced in it.
pub(crate) fn start_over(transaction: &mut WriteTransaction<'_>, space: SpaceRow) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM backfills WHERE space_row = ?", [space])?;
    transaction.execute("DELETE FROM announced WHERE space_row = ?", [space])?;
    Ok(())
}

/// Forgets everything that was asked for of a space that is about to go.
pub(crate) fn forget(transaction: &mut WriteTransaction<'_>, space: SpaceRow) -> Result<(), StoreError> {
    start_over(transaction, space)?;
    transaction.execute("DELETE FROM wanted WHERE space_row = ?", [space])?;
    Ok(())
}

/// What a relay is asked for.
pub(crate) fn asked(connection: &Connection, space: SpaceId) -> Result<Filter, StoreError> {
    let filter = named(connection, space)?;
    let left_out = directions::left_out(connection, space)?;
    if left_out.is_empty() {
        return Ok(filter);
    }
    let mut filter = filter.without(&left_out);
    if let Filter::Only(selection) = &mut filter {
        let sql = "SELECT entity FROM wanted JOIN entities ON entities.entity = wanted.name JOIN directions
                   ON directions.space_row = wanted.space_row AND directions.collection = entities.collection
                   WHERE wanted.space_row = (SELECT space_row FROM spaces WHERE space = ?) AND kind = 1 AND direction IN (1, 3)";
        for entity in rows(connection, sql, [space.as_bytes()], |row| column::entity(row, 0))? {
            selection.entities.remove(&entity);
        }
    }
    Ok(filter)
}

/// What the filter of a space names, whatever the directions of its collections.
pub(crate) fn named(connection: &Connection, space: SpaceId) -> Result<Filter, StoreError> {
    let sql = "SELECT filtered FROM spaces WHERE space = ?";
    if !row(connection, sql, [space.as_bytes()], |row| row.get::<_, bool>(0))?.unwrap_or(false) {
        return Ok(Filter::Everything);
    }
    let sql = "SELECT kind, name FROM wanted WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?)";
    Ok(Wanted::filter(rows(connection, sql, [space.as_bytes()], |row| Wanted::read(row, 0, 1))?))
}

fn backfills(connection: &Connection, space: SpaceId) -> Result<Vec<Backfill>, StoreError> {
    let sql = "SELECT backfill_row, kind, name, after, changes FROM backfills
               WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?) ORDER BY backfill_row";
    rows(connection, sql, [space.as_bytes()], |row| {
        Ok(Backfill {
            row: row.get(0)?,
            wanted: Wanted::read(row, 1, 2)?,
            after: Sequence::new(column::count(row, 3)?),
            changes: row.get(4)?,
        })
    })
}
