//! Saved documents: for quick opening, and, once they are confirmed, in the place of the bytes of the changes they hold.
//!
//! An entity has up to two, in two places. A new one takes the place of one of them and is not believed in before it was
//! read back ([`crate::Reader::check_snapshot`]); once it is confirmed it stands in both. So at every moment one copy may
//! be damaged and nothing is lost (D8). Damage that SQLite itself meets in one copy concerns that copy alone.

use crate::column::{self, ChangeRow, EntityRow};
use crate::entity::FoundEntity;
use crate::error::{EntityError, StoreError};
use crate::settle::known;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row};
use afield_core::{ChangeHash, Durable, EntityId};
use rusqlite::{Connection, ErrorCode};

/// A saved document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its heads.
    pub heads: Vec<ChangeHash>,
    /// How many changes it holds.
    pub changes: u64,
    /// The saved bytes.
    pub bytes: Vec<u8>,
}

/// A snapshot in its place, with a digest that fits.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) upto: ChangeRow,
    pub(crate) digest: [u8; 32],
    pub(crate) snapshot: Snapshot,
}

/// Which slot to read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// The one that holds most.
    Newest,
    /// One that was read back. One that was not may do, too, where only a hash is asked for.
    Confirmed,
}

/// Where a copy stands: each in a table of its own, since rows of one table may share a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Second,
}

impl Place {
    const BOTH: [Self; 2] = [Self::First, Self::Second];

    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

macro_rules! in_place {
    ($place:expr, $before:literal, $after:literal) => {
        match $place {
            Place::First => concat!($before, "snapshots", $after),
            Place::Second => concat!($before, "snapshots_second", $after),
        }
    };
}

/// What is said of a copy before its bytes are read, which may be damaged.
#[derive(Debug, Clone, Copy)]
struct Label {
    place: Place,
    saved: i64,
    upto: ChangeRow,
    is_confirmed: bool,
    digest: [u8; 32],
}

/// What stands in a place.
#[derive(Debug)]
enum Look {
    Empty,
    Sound(Label),
    /// Its digest does not fit.
    Differs(Label),
    /// SQLite cannot read it. It is left as it is: to delete it means to follow what is damaged.
    Unreadable(StoreError),
}

impl Look {
    /// What is said of a copy that may be deleted.
    fn label(&self) -> Option<&Label> {
        match self {
            Self::Sound(label) | Self::Differs(label) => Some(label),
            Self::Empty | Self::Unreadable(_) => None,
        }
    }
}

impl Store {
    /// Keeps a saved document, to open the entity quickly. It must hold every applied change of the entity and no other,
    /// which is checked by number; the changes themselves stay until [`Store::cover`].
    ///
    /// Nobody depends on it, so a full disk leaves the store as it was and ready to write.
    ///
    /// # Errors
    ///
    /// [`EntityError::SnapshotDiffers`] when changes were applied since it was saved; [`EntityError::UnknownEntity`];
    /// there is no place for it but that of the last sound one, since the other cannot be read; or the storage failed.
    pub fn save_snapshot(&mut self, entity: EntityId, snapshot: &Snapshot) -> Result<Durable<()>, EntityError> {
        self.write_optional(|transaction| {
            let found = known(transaction, entity)?;
            // What is received and not part of it yet stays above it.
            let sql = "SELECT coalesce(max(change_row), 0), count(*) FROM changes WHERE entity_row = ?1 AND change_row
                       NOT IN (SELECT change_row FROM changes WHERE state <> 0 AND state IN (1, 2, 3) AND entity_row = ?1)";
            let counted = transaction.row(sql, [found.row], |row| Ok((row.get(0)?, column::count(row, 1)?)))?;
            let (upto, stored): (ChangeRow, u64) = counted.unwrap_or((ChangeRow(0), 0));
            if stored != snapshot.changes {
                return Err(EntityError::SnapshotDiffers { snapshot: snapshot.changes, stored });
            }
            let (place, saved) = transaction.read(|connection| place_to_replace(connection, found.row, entity))??;
            let digest = digest(entity, upto, snapshot);
            let label = Label { place, saved, upto, is_confirmed: false, digest };
            Ok(put(transaction, found.row, &label, snapshot)?)
        })
    }

    /// Forgets what was saved of an entity, which costs nothing but a slower opening. What covers changes stays.
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`], or the storage failed.
    pub fn drop_snapshot(&mut self, entity: EntityId) -> Result<Durable<()>, EntityError> {
        self.write_optional(|transaction| {
            let found = known(transaction, entity)?;
            for place in transaction.read(|connection| droppable(connection, found.row, entity))? {
                delete(transaction, found.row, place)?;
            }
            Ok(())
        })
    }
}

/// The newest snapshot whose digest fits; `None` where there is none and none is needed.
///
/// # Errors
///
/// [`StoreError::SnapshotDamaged`] when changes are covered and nothing is left that holds them.
pub(crate) fn newest(
    connection: &Connection,
    found: &FoundEntity,
    entity: EntityId,
) -> Result<Option<Slot>, StoreError> {
    let (mut fits, mut is_damaged) = (None, false);
    each_sound(connection, found.row, entity, First::Newest, |slot| {
        is_damaged |= slot.is_none();
        fits = slot;
        fits.is_none()
    })?;
    let covered = |above: ChangeRow| {
        let sql = "SELECT 1 FROM changes WHERE entity_row = ? AND covered = 1 AND change_row > ? LIMIT 1";
        Ok::<_, StoreError>(row(connection, sql, (found.row, above), |_| Ok(()))?.is_some())
    };
    if is_damaged {
        tracing::warn!(%entity, "a saved document is damaged; its other copy, or the changes themselves, are read");
    }
    // Only where something is amiss can a change be covered by nothing that is left.
    let is_lost = match &fits {
        None => covered(ChangeRow(0))?,
        Some(slot) => is_damaged && covered(slot.upto)?,
    };
    if is_lost { Err(StoreError::SnapshotDamaged { entity }) } else { Ok(fits) }
}

/// Shows the snapshots of an entity, `None` for one that is damaged, until told to stop. Those of which not even the label
/// can be read come first. The bytes of one are read when it is its turn.
pub(crate) fn each_sound(
    connection: &Connection,
    entity_row: EntityRow,
    entity: EntityId,
    first: First,
    mut go_on: impl FnMut(Option<Slot>) -> bool,
) -> Result<(), StoreError> {
    let mut labels = Vec::with_capacity(Place::BOTH.len());
    for place in Place::BOTH {
        match label(connection, entity_row, place)? {
            Ok(found) => labels.extend(found),
            Err(_) if !go_on(None) => return Ok(()),
            Err(_) => {}
        }
    }
    labels.sort_by_key(|label| (first == First::Confirmed && label.is_confirmed, label.upto, label.saved));
    for label in labels.iter().rev() {
        if !go_on(sound(connection, entity_row, entity, label)?.ok().flatten()) {
            break;
        }
    }
    Ok(())
}

/// The row up to which a snapshot stands for everything; the first one without any.
pub(crate) fn upto_max(connection: &Connection, entity_row: EntityRow) -> Result<ChangeRow, StoreError> {
    let mut upto = ChangeRow(0);
    for place in Place::BOTH {
        // One that cannot be read is never believed in.
        if let Ok(Some(label)) = label(connection, entity_row, place)? {
            upto = upto.max(label.upto);
        }
    }
    Ok(upto)
}

/// Whether a snapshot is confirmed and stands in both places, by its labels.
pub(crate) fn is_kept_twice(
    connection: &Connection,
    entity_row: EntityRow,
    digest: &[u8; 32],
) -> Result<bool, StoreError> {
    for place in Place::BOTH {
        let is_kept = match label(connection, entity_row, place)? {
            Ok(Some(label)) => label.is_confirmed && label.digest == *digest,
            Ok(None) | Err(_) => false,
        };
        if !is_kept {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says of a snapshot that it was read back, and sees to it that it stands in both places. Both are read again for that: a
/// copy that has rotted since is not believed in, and replaces none.
///
/// False when it is not there any more, or cannot stand in both.
pub(crate) fn keep_twice(
    transaction: &mut WriteTransaction<'_>,
    entity_row: EntityRow,
    entity: EntityId,
    digest: &[u8; 32],
) -> Result<bool, StoreError> {
    let mut source = None;
    for place in Place::BOTH {
        match transaction.read(|connection| look(connection, entity_row, entity, place))? {
            Look::Sound(label) if label.digest == *digest => source = source.or(Some(label)),
            Look::Unreadable(_) => return Ok(false),
            Look::Empty | Look::Sound(_) | Look::Differs(_) => {}
        }
    }
    let Some(source) = source else { return Ok(false) };
    let slot = transaction.read(|connection| sound(connection, entity_row, entity, &source))?;
    let Ok(Some(slot)) = slot else { return Ok(false) };
    let other = source.place.other();
    let is_twin = match transaction.read(|connection| look(connection, entity_row, entity, other))? {
        Look::Sound(label) if label.digest == *digest => Some(label.is_confirmed),
        _ => None,
    };
    if !source.is_confirmed {
        confirm(transaction, entity_row, source.place)?;
    }
    match is_twin {
        Some(true) => {}
        Some(false) => confirm(transaction, entity_row, other)?,
        None => {
            let twin = Label { place: other, is_confirmed: true, ..source };
            put(transaction, entity_row, &twin, &slot.snapshot)?;
        }
    }
    Ok(true)
}

/// What damage is to one copy, and none to the reading of others.
fn unless_damaged<T>(read: Result<T, StoreError>) -> Result<Result<T, StoreError>, StoreError> {
    match read {
        Err(error @ StoreError::Corrupt(_)) => Ok(Err(error)),
        // A damaged length can be any.
        Err(StoreError::Unexpected(error)) if error.sqlite_error_code() == Some(ErrorCode::TooBig) => {
            Ok(Err(StoreError::Corrupt(error)))
        }
        read => read.map(Ok),
    }
}

type MayBeDamaged<T> = Result<Result<Option<T>, StoreError>, StoreError>;

fn label(connection: &Connection, entity_row: EntityRow, place: Place) -> MayBeDamaged<Label> {
    let sql = in_place!(place, "SELECT saved, upto, confirmed, digest FROM ", " WHERE entity_row = ?");
    unless_damaged(row(connection, sql, [entity_row], |row| {
        let (saved, upto, is_confirmed, digest) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Label { place, saved, upto, is_confirmed, digest })
    }))
}

/// A copy whose digest fits.
fn sound(connection: &Connection, entity_row: EntityRow, entity: EntityId, label: &Label) -> MayBeDamaged<Slot> {
    let sql = in_place!(label.place, "SELECT changes, heads, bytes FROM ", " WHERE entity_row = ?");
    let read = unless_damaged(row(connection, sql, [entity_row], |row| {
        Ok(Snapshot { changes: column::count(row, 0)?, heads: column::hashes(row, 1)?, bytes: row.get(2)? })
    }))?;
    Ok(read.map(|snapshot| {
        let slot = snapshot.map(|snapshot| Slot { upto: label.upto, digest: label.digest, snapshot });
        slot.filter(|slot| slot.digest == digest(entity, slot.upto, &slot.snapshot))
    }))
}

fn look(connection: &Connection, entity_row: EntityRow, entity: EntityId, place: Place) -> Result<Look, StoreError> {
    let label = match label(connection, entity_row, place)? {
        Ok(Some(label)) => label,
        Ok(None) => return Ok(Look::Empty),
        Err(error) => return Ok(Look::Unreadable(error)),
    };
    Ok(match sound(connection, entity_row, entity, &label)? {
        Ok(Some(_)) => Look::Sound(label),
        Ok(None) => Look::Differs(label),
        Err(error) => Look::Unreadable(error),
    })
}

/// Where the next snapshot goes, and its number: into the place that is worth least, and never into the last that is sound.
/// The inner error says why there is no such place.
fn place_to_replace(
    connection: &Connection,
    entity_row: EntityRow,
    entity: EntityId,
) -> Result<Result<(Place, i64), StoreError>, StoreError> {
    let (mut number, mut least, mut damage) = (1, None, None);
    for place in Place::BOTH {
        let look = look(connection, entity_row, entity, place)?;
        number = look.label().map_or(number, |label| number.max(label.saved.saturating_add(1)));
        let worth = match look {
            Look::Empty | Look::Differs(_) => Worth::None,
            Look::Sound(label) => Worth::of(label.is_confirmed),
            Look::Unreadable(error) => {
                damage = Some(error);
                continue;
            }
        };
        if least.is_none_or(|(least, _)| worth < least) {
            least = Some((worth, place));
        }
    }
    let free = least.filter(|(worth, _)| damage.is_none() || *worth == Worth::None);
    Ok(match (free, damage) {
        (None, Some(error)) => Err(error),
        (free, _) => Ok((free.map_or(Place::First, |(_, place)| place), number)),
    })
}

/// The places of what may be forgotten of an entity.
fn droppable(connection: &Connection, entity_row: EntityRow, entity: EntityId) -> Result<Vec<Place>, StoreError> {
    let [first, second] = Place::BOTH.map(|place| look(connection, entity_row, entity, place));
    let looks = [first?, second?];
    let covered = last_covered(connection, entity_row)?;
    // Whether something stays that holds all that is covered.
    let stays = |look: &Look| matches!(look, Look::Sound(label) if label.is_confirmed && Some(label.upto) >= covered);
    let may_all_go = covered.is_none();
    let may_go = may_all_go || looks.iter().any(stays);
    let labels = looks.iter().filter_map(Look::label).filter(|label| may_go && (may_all_go || !label.is_confirmed));
    Ok(labels.map(|label| label.place).collect())
}

fn last_covered(connection: &Connection, entity_row: EntityRow) -> Result<Option<ChangeRow>, StoreError> {
    let sql = "SELECT max(change_row) FROM changes WHERE entity_row = ? AND covered = 1";
    Ok(row(connection, sql, [entity_row], |row| row.get::<_, Option<ChangeRow>>(0))?.flatten())
}

fn put(
    transaction: &mut WriteTransaction<'_>,
    entity_row: EntityRow,
    label: &Label,
    snapshot: &Snapshot,
) -> Result<(), StoreError> {
    let sql = in_place!(
        label.place,
        "INSERT OR REPLACE INTO ",
        " (entity_row, saved, upto, confirmed, digest, changes, heads, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    );
    let Label { saved, upto, is_confirmed, digest, .. } = label;
    let changes = i64::try_from(snapshot.changes).unwrap_or(i64::MAX);
    let heads = column::hashes_sql(&snapshot.heads);
    let values = (entity_row, saved, upto, is_confirmed, digest, changes, heads, &snapshot.bytes);
    transaction.execute(sql, values).map(drop)
}

fn confirm(transaction: &mut WriteTransaction<'_>, entity_row: EntityRow, place: Place) -> Result<(), StoreError> {
    let sql = in_place!(place, "UPDATE ", " SET confirmed = 1 WHERE entity_row = ?");
    transaction.execute(sql, [entity_row]).map(drop)
}

fn delete(transaction: &mut WriteTransaction<'_>, entity_row: EntityRow, place: Place) -> Result<(), StoreError> {
    let sql = in_place!(place, "DELETE FROM ", " WHERE entity_row = ?");
    transaction.execute(sql, [entity_row]).map(drop)
}

/// What would be lost with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    None,
    Unconfirmed,
    Confirmed,
}

impl Worth {
    fn of(is_confirmed: bool) -> Self {
        if is_confirmed { Self::Confirmed } else { Self::Unconfirmed }
    }
}

fn digest(entity: EntityId, upto: ChangeRow, snapshot: &Snapshot) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(entity.as_bytes());
    hasher.update(&upto.0.to_le_bytes());
    hasher.update(&snapshot.changes.to_le_bytes());
    hasher.update(&(snapshot.heads.len() as u64).to_le_bytes());
    for head in &snapshot.heads {
        hasher.update(&head.0);
    }
    hasher.update(&snapshot.bytes);
    *hasher.finalize().as_bytes()
}

/// Forgets the snapshots that hold a change which is no longer part of the document.
///
/// # Errors
///
/// [`EntityError::Covered`] when changes are covered by one of them: they would be lost with it.
pub(crate) fn forget_those_with(
    transaction: &mut WriteTransaction<'_>,
    entity: &FoundEntity,
    id: EntityId,
    (change, hash): (ChangeRow, ChangeHash),
) -> Result<(), EntityError> {
    let is_needed = transaction.read(|connection| {
        let Some(covered) = last_covered(connection, entity.row)? else { return Ok(false) };
        let mut stays = false;
        each_sound(connection, entity.row, id, First::Confirmed, |slot| {
            stays = slot.is_some_and(|slot| slot.upto >= covered && slot.upto < change);
            !stays
        })?;
        Ok(!stays)
    })?;
    if is_needed {
        return Err(EntityError::Covered { entity: id, hash });
    }
    for place in Place::BOTH {
        let found = transaction.read(|connection| look(connection, entity.row, id, place))?;
        if found.label().is_some_and(|label| label.upto >= change) {
            delete(transaction, entity.row, place)?;
        }
    }
    Ok(())
}
