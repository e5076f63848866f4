//! Checks of the whole file, on demand: they read all of it.

use crate::column::{self, EntityRow};
use crate::error::StoreError;
use crate::extract::Extracted;
use crate::reader::Reader;
use crate::snapshot::{self, First};
use crate::store::Store;
use crate::transaction::{row, rows};
use afield_core::EntityId;
use rusqlite::Connection;

/// Something that must never be found in a store.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// # use afield_core::SpaceId;
/// # use afield_store::{OpenOptions, Origin, Store};
/// use afield_store::{Reader, Violation};
///
/// # let mut store = Store::open(&path, &OpenOptions::default())?;
/// # let space = SpaceId::from_bytes([7; 16]);
/// # store.create_space(space, "Home", Origin::MadeHere, 0)?;
/// # store.set_direction(space, &"drafts".parse()?, afield_core::policy::Direction::LocalOnly, false)?;
/// # drop(store);
/// let reader = Reader::open(&path)?;
/// assert!(reader.verify()?.is_empty());
/// // Some other program has been at the file.
/// rusqlite::Connection::open(&path)?.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM spaces;")?;
/// assert!(matches!(reader.verify()?[..], [Violation::DanglingRows { rows: 1 }]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// SQLite finds pages or indexes damaged.
    #[error("SQLite finds {faults} faults in the file")]
    Damaged {
        /// How many it named.
        faults: u64,
    },
    /// Rows refer to rows that are not there.
    #[error("{rows} rows refer to rows that do not exist")]
    DanglingRows {
        /// How many.
        rows: u64,
    },
    /// D5: what the device holds is not what is marked and what is in the outbox together.
    #[error("{held} changes are held, {marked} are marked and {outbox} are in the outbox")]
    HeldDiffers {
        /// Held.
        held: u64,
        /// Marked.
        marked: u64,
        /// In the outbox.
        outbox: u64,
    },
    /// D5: a mark above the cursor, or in a space without one.
    #[error("a change of the entity {entity} is marked above the cursor")]
    MarkAboveCursor {
        /// The entity.
        entity: EntityId,
    },
    /// R2: two changes of one space are marked at the same sequence.
    #[error("another change than one of the entity {entity} is marked at the same sequence")]
    MarkRepeated {
        /// The entity.
        entity: EntityId,
    },
    /// A change names another space than its entity.
    #[error("a change of the entity {entity} stands in another space")]
    SpaceDiffers {
        /// The entity.
        entity: EntityId,
    },
    /// D9: an entity has applied changes and no projection, not even a stale one.
    #[error("the entity {entity} has changes and no projection")]
    ProjectionMissing {
        /// The entity.
        entity: EntityId,
    },
    /// D7: a quarantined change without a reason, or a reason for a change that is not quarantined.
    #[error("the quarantine and the changes of the entity {entity} do not agree")]
    QuarantineDiffers {
        /// The entity.
        entity: EntityId,
    },
    /// A snapshot does not hold as many changes as are applied up to where it stands, or not those that it covers.
    #[error("the snapshot of the entity {entity} does not hold the changes it stands for")]
    SnapshotDiffers {
        /// The entity.
        entity: EntityId,
    },
    /// A copy of a snapshot is not what was written. Another copy, or the changes themselves, are read in its place.
    #[error("a copy of the snapshot of the entity {entity} is damaged")]
    SnapshotDamaged {
        /// The entity.
        entity: EntityId,
    },
    /// Something is held of an entity that was purged, or its erasure record is marked above the cursor.
    #[error("the entity {entity} was purged, and something of it is held, or its record is marked above the cursor")]
    ErasedHeld {
        /// The entity.
        entity: EntityId,
    },
    /// A change has neither bytes of its own nor a snapshot that covers it, or both.
    #[error("a change of the entity {entity} has no bytes, or bytes that a snapshot covers")]
    BytesDiffer {
        /// The entity.
        entity: EntityId,
    },
}

impl Violation {
    /// The number of the invariant that does not hold, in the list of ARCHITECTURE.md.
    ///
    /// ```
    /// use afield_core::EntityId;
    /// use afield_store::Violation;
    ///
    /// let violation = Violation::ProjectionMissing { entity: EntityId::from_bytes([7; 16]) };
    /// assert_eq!(violation.invariant(), "D9");
    /// ```
    pub fn invariant(&self) -> &'static str {
        match self {
            Self::Damaged { .. }
            | Self::DanglingRows { .. }
            | Self::SnapshotDiffers { .. }
            | Self::SnapshotDamaged { .. }
            | Self::BytesDiffer { .. } => "D8",
            Self::ErasedHeld { .. }
            | Self::HeldDiffers { .. }
            | Self::MarkAboveCursor { .. }
            | Self::SpaceDiffers { .. } => "D5",
            Self::MarkRepeated { .. } => "R2",
            Self::ProjectionMissing { .. } => "D9",
            Self::QuarantineDiffers { .. } => "D7",
        }
    }
}

impl Store {
    /// Checks what must hold of the whole store, and the file itself: the cursor and the marks (D2, D3, D5), the
    /// projections (D9), the quarantine (D7), the snapshots, references, and SQLite's own quick check.
    ///
    /// It reads everything, so it is for tests, for `doctor`, and after damage.
    ///
    /// # Errors
    ///
    /// The storage failed; a damaged file can answer with that or with [`Violation::Damaged`].
    pub fn verify(&self) -> Result<Vec<Violation>, StoreError> {
        self.read(violations)
    }
}

impl Reader {
    /// Checks what [`Store::verify`] checks, beside whoever writes.
    ///
    /// # Errors
    ///
    /// As [`Store::verify`].
    pub fn verify(&self) -> Result<Vec<Violation>, StoreError> {
        self.read(violations)
    }
}

fn violations(connection: &Connection) -> Result<Vec<Violation>, StoreError> {
    let mut found = Vec::new();
    found.extend(damage(connection)?);
    found.extend(dangling(connection)?);
    found.extend(held(connection)?);
    let entities = |sql| rows(connection, sql, [], |row| column::entity(row, 0));
    found.extend(entities(MARK_ABOVE_CURSOR)?.into_iter().map(|entity| Violation::MarkAboveCursor { entity }));
    found.extend(entities(ERASED_HELD)?.into_iter().map(|entity| Violation::ErasedHeld { entity }));
    found.extend(entities(MARK_REPEATED)?.into_iter().map(|entity| Violation::MarkRepeated { entity }));
    found.extend(entities(SPACE_DIFFERS)?.into_iter().map(|entity| Violation::SpaceDiffers { entity }));
    found.extend(entities(PROJECTION_MISSING)?.into_iter().map(|entity| Violation::ProjectionMissing { entity }));
    found.extend(entities(QUARANTINE_DIFFERS)?.into_iter().map(|entity| Violation::QuarantineDiffers { entity }));
    found.extend(entities(SNAPSHOT_DIFFERS)?.into_iter().map(|entity| Violation::SnapshotDiffers { entity }));
    found.extend(entities(BYTES_DIFFER)?.into_iter().map(|entity| Violation::BytesDiffer { entity }));
    for (row, entity) in rows(connection, SAVED, [], |row| Ok((row.get(0)?, column::entity(row, 1)?)))? {
        found.extend(saved(connection, row, entity)?);
    }
    Ok(found)
}

const MARK_ABOVE_CURSOR: &str = "SELECT DISTINCT entity FROM changes JOIN entities USING (entity_row)
    JOIN spaces ON spaces.space_row = changes.space_row
    WHERE changes.sequence IS NOT NULL AND (spaces.sequence IS NULL OR changes.sequence > spaces.sequence)";

const ERASED_HELD: &str = "SELECT erasures.entity FROM erasures JOIN spaces USING (space_row)
    WHERE erasures.sequence IS NOT NULL AND (spaces.sequence IS NULL OR erasures.sequence > spaces.sequence)
    UNION SELECT erasures.entity FROM erasures JOIN entities USING (space_row, entity)
    UNION SELECT erasures.entity FROM erasures JOIN quarantine USING (space_row, entity)";

const MARK_REPEATED: &str = "SELECT entity FROM changes JOIN entities USING (entity_row)
    WHERE sequence IS NOT NULL GROUP BY changes.space_row, sequence HAVING count(*) > 1";

const SPACE_DIFFERS: &str = "SELECT DISTINCT entity FROM changes JOIN entities USING (entity_row)
    WHERE changes.space_row <> entities.space_row";

const PROJECTION_MISSING: &str = "SELECT entity FROM entities WHERE entity_row NOT IN
    (SELECT entity_row FROM projections) AND entity_row IN (SELECT entity_row FROM changes WHERE state = 0)";

const QUARANTINE_DIFFERS: &str =
    "SELECT entity FROM changes JOIN entities USING (entity_row) WHERE (state = 3) <> EXISTS
    (SELECT 1 FROM quarantine WHERE quarantine.space_row = changes.space_row AND quarantine.entity = entities.entity
     AND quarantine.hash = changes.hash AND quarantine.bytes IS NULL)";

const SNAPSHOT_DIFFERS: &str = "SELECT DISTINCT entity FROM
    (SELECT entity_row, upto, changes FROM snapshots UNION ALL SELECT entity_row, upto, changes FROM snapshots_second) AS saved
    JOIN entities USING (entity_row) WHERE saved.changes <>
    (SELECT count(*) FROM changes WHERE changes.entity_row = saved.entity_row AND state = 0 AND change_row <= upto)";

const BYTES_DIFFER: &str = "SELECT DISTINCT entity FROM changes JOIN entities USING (entity_row)
    LEFT JOIN bodies USING (change_row) WHERE (bytes IS NULL) <> covered OR length(bytes) <> size OR (covered = 1
    AND NOT EXISTS (SELECT 1 FROM snapshots WHERE snapshots.entity_row = changes.entity_row AND upto >= changes.change_row)
    AND NOT EXISTS (SELECT 1 FROM snapshots_second WHERE snapshots_second.entity_row = changes.entity_row
    AND upto >= changes.change_row))";

const SAVED: &str = "SELECT entity_row, entity FROM entities WHERE entity_row IN (SELECT entity_row FROM snapshots)
    OR entity_row IN (SELECT entity_row FROM snapshots_second)
    OR entity_row IN (SELECT entity_row FROM changes WHERE covered = 1) ORDER BY entity";

/// Looks into what was saved of an entity: every copy, and whether what is covered can be taken out of it.
fn saved(connection: &Connection, row: EntityRow, entity: EntityId) -> Result<Vec<Violation>, StoreError> {
    let mut found = Vec::new();
    snapshot::each_sound(connection, row, entity, First::Newest, |slot| {
        found.extend(slot.is_none().then_some(Violation::SnapshotDamaged { entity }));
        true
    })?;
    let covered = rows(connection, "SELECT hash FROM changes WHERE entity_row = ? AND covered = 1", [row], |row| {
        column::change_hash(row, 0)
    })?;
    if covered.is_empty() {
        return Ok(found);
    }
    let extracted = Extracted::of_entity(connection, row, entity).ok();
    if covered.iter().any(|hash| extracted.as_ref().is_none_or(|held| held.bytes_of(hash).is_none())) {
        found.push(Violation::SnapshotDiffers { entity });
    }
    Ok(found)
}

fn damage(connection: &Connection) -> Result<Option<Violation>, StoreError> {
    let answers = rows(connection, "PRAGMA quick_check", [], |row| row.get::<_, String>(0))?;
    let faults = answers.iter().filter(|answer| *answer != "ok").count();
    Ok((faults > 0).then(|| Violation::Damaged { faults: u64::try_from(faults).unwrap_or(u64::MAX) }))
}

fn dangling(connection: &Connection) -> Result<Option<Violation>, StoreError> {
    let found = rows(connection, "PRAGMA foreign_key_check", [], |_| Ok(()))?.len();
    Ok((found > 0).then(|| Violation::DanglingRows { rows: u64::try_from(found).unwrap_or(u64::MAX) }))
}

/// Counts the table by itself and the outbox by its index, which is what the sync reads.
fn held(connection: &Connection) -> Result<Option<Violation>, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM changes NOT INDEXED),
               (SELECT count(*) FROM changes NOT INDEXED WHERE sequence IS NOT NULL),
               (SELECT count(*) FROM changes INDEXED BY changes_outbox WHERE sequence IS NULL AND covered = 0 AND held = 0) +
               (SELECT count(*) FROM changes INDEXED BY changes_outbox_covered WHERE sequence IS NULL AND covered = 1 AND held = 0) +
               (SELECT count(*) FROM changes INDEXED BY changes_held WHERE held = 1)";
    let counted =
        row(connection, sql, [], |row| Ok((column::count(row, 0)?, column::count(row, 1)?, column::count(row, 2)?)))?;
    let (held, marked, outbox) = counted.unwrap_or_default();
    Ok((held != marked + outbox).then_some(Violation::HeldDiffers { held, marked, outbox }))
}
