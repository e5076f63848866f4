//! The entities of a space: their snapshots, and whether their changes make documents.

use super::{Damage, LogProblem, Named, Reader, Verified};
use crate::log::LogError;
use crate::log::sqlite::archive::{Archive, SnapshotCheck};
use crate::log::sqlite::row::SpaceRow;
use afield_core::change::ChangeHeader;
use afield_core::document::{Document, Incoming};
use afield_core::{ChangeHash, ChunkKind, EntityId, Limits};

/// How many entities are listed at once.
const ENTITIES_PER_PORTION: i64 = 256;
/// The most changes, bytes, and operations they expand to, of a document that is loaded: some hundreds of megabytes of memory.
const DOCUMENT_CHANGES_MAX: usize = 50_000;
const DOCUMENT_BYTES_MAX: usize = 32 << 20;
const DOCUMENT_WEIGHT_MAX: u64 = 1 << 20;

/// The changes of an entity, as far as there is room for them.
#[derive(Default)]
struct Changes {
    changes: Vec<(ChangeHash, Vec<u8>)>,
    bytes: usize,
    weight: u64,
    is_too_large: bool,
}

impl Changes {
    /// Takes one; answers whether there is room for more.
    fn take(&mut self, bytes: Vec<u8>) -> bool {
        // What no header can be read of was refused, or is told as decayed already.
        let Ok(header) = ChangeHeader::read(&bytes, &Limits::DEFAULT) else { return true };
        self.bytes += bytes.len();
        self.weight = self.weight.saturating_add(header.weight());
        self.changes.push((header.hash, bytes));
        self.is_too_large = self.changes.len() > DOCUMENT_CHANGES_MAX
            || self.bytes > DOCUMENT_BYTES_MAX
            || self.weight > DOCUMENT_WEIGHT_MAX;
        !self.is_too_large
    }
}

impl Reader {
    pub(super) fn check_entities(&mut self, named: Named, verified: &mut Verified) -> Result<(), LogError> {
        let mut after = 0;
        loop {
            let entities = self.entities(named.0, after)?;
            let Some((last, _)) = entities.last() else { return Ok(()) };
            after = *last;
            for (number, id) in entities {
                if let Err(error) = self.check_entity(named, (number, id), verified) {
                    if !error.is_damage() {
                        return Err(error);
                    }
                    let entity = Some(id);
                    verified.note(LogProblem { damage: Damage::Segment, space: Some(named.1), sequence: None, entity });
                }
            }
        }
    }

    fn entities(&mut self, space: i64, after: i64) -> Result<Vec<(i64, EntityId)>, LogError> {
        let (transaction, _) = self.begin()?;
        let sql = "SELECT number, id FROM entities WHERE space = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        let mut statement = transaction.statement(sql)?;
        let rows = statement.query_map([space, after, ENTITIES_PER_PORTION], |row| {
            Ok((row.get(0)?, EntityId::from_bytes(row.get(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn check_entity(
        &mut self,
        (space, space_id): Named,
        (number, id): (i64, EntityId),
        verified: &mut Verified,
    ) -> Result<(), LogError> {
        let (transaction, cache) = self.begin()?;
        let archive = Archive::new(&transaction, &cache);
        if archive.erasure(number)?.is_some() {
            return Ok(());
        }
        let mut note = |damage, position: Option<i64>| {
            let sequence = position.map(|position| SpaceRow::sequence(position).get());
            verified.note(LogProblem { damage, space: Some(space_id), sequence, entity: Some(id) });
        };
        let snapshot = archive.check_snapshot(number)?;
        if let SnapshotCheck::Damaged(position) = snapshot {
            note(Damage::Snapshot, position);
        }
        if !archive.knows_runs(number)? {
            note(Damage::Index, None);
        }
        let changes = changes_of(&archive, (space, number))?;
        let is_document = changes.is_too_large || makes_document(id, &changes.changes);
        if !is_document {
            note(Damage::Document, None);
        }
        verified.snapshots += u64::from(snapshot != SnapshotCheck::Absent);
        verified.documents += u64::from(!changes.is_too_large);
        verified.documents_skipped += u64::from(changes.is_too_large);
        Ok(())
    }
}

fn changes_of(archive: &Archive<'_, '_>, (space, entity): (i64, i64)) -> Result<Changes, LogError> {
    let mut changes = Changes::default();
    archive.packed_changes((space, entity), &mut |bytes| changes.take(bytes))?;
    let sql = "SELECT bytes FROM chunks WHERE entity = ?1 AND kind = ?2 AND position > ?3 ORDER BY position";
    let mut statement = archive.transaction.statement(sql)?;
    let mut rows = statement.query((entity, ChunkKind::Change.number(), archive.packed_end(space)?))?;
    while !changes.is_too_large
        && let Some(row) = rows.next()?
    {
        changes.take(row.get(0)?);
    }
    Ok(changes)
}

/// Whether changes make a document. Whatever they do to the engine stays in there.
fn makes_document(entity: EntityId, changes: &[(ChangeHash, Vec<u8>)]) -> bool {
    let incoming = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes });
    Document::load(entity, None, incoming).is_ok()
}
