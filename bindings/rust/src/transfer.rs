//! Writing entities out as JSON lines, and reading them in.

mod author;
mod automerge;
mod portions;

use crate::collection::{mark_deleted, mark_existing, object};
use crate::driver::{EntityError, Existence, Target, split_deleted};
use crate::error::{EditError, LineProblem, ReadError, SkippedEntity, TransferError};
use crate::replica::Replica;
use crate::space::Space;
use crate::transaction::Transaction;
use afield_core::document::{Document, Edit, Value};
use afield_core::{Collection, EntityId, SpaceId};
use afield_store::{ListQuery, Reader};
use author::{Anew, Author, write};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::ops::ControlFlow;

/// How many entities of an import share one commit.
const ENTITIES_PER_COMMIT: usize = 500;

/// One line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    collection: String,
    id: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    value: serde_json::Value,
}

/// What an export or import has done.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let mut lines = Vec::new();
/// assert_eq!(home.export(&mut lines, |_| ())?.entities, 1);
/// let again = home.import(lines.as_slice(), |_| ())?;
/// assert_eq!((again.entities, again.changed), (1, 0)); // it is here already, and the same
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Transferred {
    /// Entities written out, or read in.
    pub entities: u64,
    /// Entities of an import that were not there before, or differed.
    pub changed: u64,
}

impl Space {
    /// Writes every entity of the space as one line of JSON, deleted ones too: collection by collection in the order of
    /// their names, and in each in the order of the entities' ids, which is that of their making to the millisecond.
    ///
    /// Values are tagged with their kind where JSON has none for it (texts, counters, bytes, timestamps), so that
    /// [`Space::import`] restores them. The history is not part of an export, nor is how a mark was set to grow: what is imported
    /// grows as [`Expand::of`](crate::Expand::of) says.
    ///
    /// Which entities there are is read once, at the start, and each as it is when its turn comes; one is in memory at a
    /// time. Editing goes on meanwhile.
    ///
    /// # Errors
    ///
    /// [`TransferError::Incomplete`] when entities are damaged, or nothing of them can be shown yet: all others are written, so
    /// the file is worth keeping.
    /// Otherwise the store failed or the file could not be written.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// home.collection::<()>("notes")?.json().insert(&serde_json::json!({"title": "Shopping"}))?;
    /// let mut file = Vec::new();
    /// home.export(&mut file, |entities| println!("{entities} written"))?;
    ///
    /// let other = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// assert_eq!(other.import(file.as_slice(), |_| ())?.changed, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn export(&self, out: impl Write, progress: impl FnMut(u64)) -> Result<Transferred, TransferError> {
        let read = |collection: &Collection, entity| {
            let target = self.target(collection, entity, Existence::Required);
            self.shared.read_document(&target, Document::read)
        };
        export(&self.shared.reader, self.id(), read, out, progress)
    }

    /// Reads entities in, each with the identity it was written out with: what differs from what is here becomes edits.
    ///
    /// The file wins: what was edited or deleted here since it was written is set back, by edits like any other, which reach
    /// all devices. What the file does not name stays.
    ///
    /// Reading the same file in twice changes nothing the second time, also on another device, whether it has synced in
    /// between or not: what an entity that is not here becomes follows from its line, so two devices make the same changes of
    /// it. That holds, too, where a part of these changes has arrived already. Where they read in files that differ, the texts
    /// and lists of entities that neither had hold what both files say. An entity becomes one change where it fits into one,
    /// and as many as it takes otherwise, which are stored together. The mark of a deleted entity is each device's own, with
    /// the time of its import: two that read it in before they have met write two marks, of which one is shown.
    ///
    /// # Errors
    ///
    /// A line is not what an export writes, or an entity could not be stored, as one with a single string or byte value
    /// that is larger than a change may be. The lines of earlier commits, of 500 entities each, stay.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// let file = r#"{"collection":"notes","id":"0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e","value":{"title":"Milk"}}"#;
    /// let transferred = home.import(file.as_bytes(), |entities| println!("{entities} read in"))?;
    /// assert_eq!((transferred.entities, transferred.changed), (1, 1));
    /// assert_eq!(home.import(file.as_bytes(), |_| ())?.changed, 0); // the second time nothing differs
    /// # Ok(())
    /// # }
    /// ```
    pub fn import(&self, input: impl BufRead, mut progress: impl FnMut(u64)) -> Result<Transferred, TransferError> {
        let mut transferred = Transferred::default();
        let mut lines =
            (1..).zip(input.lines()).filter(|(_, line)| !matches!(line, Ok(line) if line.trim().is_empty()));
        loop {
            let some: Vec<_> = lines.by_ref().take(ENTITIES_PER_COMMIT).map(parse).collect::<Result<_, _>>()?;
            let Some(first) = some.first().map(|parsed| parsed.line) else { return Ok(transferred) };
            let mut failed_at = first;
            let stored = Replica::on_shared(&self.shared).transaction(|transaction| {
                some.iter().try_for_each(|parsed| {
                    failed_at = parsed.line;
                    self.import_one(transaction, parsed)
                })
            });
            let ((), write) = stored.map_err(|source| TransferError::Edit { line: failed_at, source })?;
            let changed: std::collections::BTreeSet<EntityId> = write.changes().map(|(entity, _)| entity).collect();
            transferred.changed += changed.len() as u64;
            transferred.entities += some.len() as u64;
            progress(transferred.entities);
        }
    }

    fn import_one(&self, transaction: &mut Transaction<'_>, parsed: &Parsed) -> Result<(), EditError> {
        let target = self.target(&parsed.collection, parsed.entity, Existence::Either);
        let at_ms = self.shared.now().wall_ms;
        let after = object(&parsed.value)?;
        if !parsed.deleted && transaction.bring(&target, &after)? {
            return Ok(());
        }
        let is_extended = match transaction.fields_of(&target)? {
            Some(before) if before == after => false,
            _ => Anew::of(parsed, &after)?.extend(transaction, &target)?,
        };
        // When it was deleted each device says for itself.
        let mark = |edit: &mut Edit<'_>| if parsed.deleted { mark_deleted(edit, at_ms) } else { mark_existing(edit) };
        match (is_extended, parsed.deleted) {
            (false, _) => write(&mut Author::Device { transaction, target: &target }, &after, mark),
            (true, true) => transaction.change(target, mark),
            (true, false) => Ok(()),
        }
    }

    fn target(&self, collection: &Collection, entity: EntityId, existence: Existence) -> Target {
        Target { space: self.id(), collection: collection.clone(), entity, existence }
    }
}

/// Writes every entity of a space out, each as `read` gives it.
pub(crate) fn export(
    reader: &Reader,
    space: SpaceId,
    read: impl Fn(&Collection, EntityId) -> Result<Value, EntityError>,
    mut out: impl Write,
    mut progress: impl FnMut(u64),
) -> Result<Transferred, TransferError> {
    let (mut written, mut skipped, mut failed) = (Transferred::default(), Vec::new(), None);
    let all = ListQuery { space, collection: None, deleted: None, after: None, limit: usize::MAX };
    reader.for_each_home(&all, |entity, home| {
        let value = read(&home.collection, entity).map_err(|error| TransferError::Read(ReadError::from(error)));
        match value.and_then(|value| Ok(write_line(&mut out, entity, &home.collection, value)?)) {
            Ok(()) => {
                written.entities += 1;
                progress(written.entities);
            }
            Err(TransferError::Read(ReadError::Entity(error))) if error.is_of_this_entity_alone() => {
                let collection = home.collection.as_str().to_owned();
                skipped.push(SkippedEntity { collection, entity, error });
            }
            Err(error) => failed = Some(error),
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    out.flush()?;
    match skipped.is_empty() {
        true => Ok(written),
        false => Err(TransferError::Incomplete { written: written.entities, skipped }),
    }
}

fn write_line(out: &mut impl Write, entity: EntityId, collection: &Collection, value: Value) -> std::io::Result<()> {
    let (value, deleted) = split_deleted(value);
    let (collection, id) = (collection.as_str().to_owned(), entity.to_string());
    let line = Line { collection, id, deleted, value: value.to_tagged_json() };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

struct Parsed {
    line: u64,
    collection: Collection,
    entity: EntityId,
    deleted: bool,
    value: serde_json::Value,
}

fn parse((line, text): (u64, std::io::Result<String>)) -> Result<Parsed, TransferError> {
    let problem = |problem: LineProblem| TransferError::Line { line, problem };
    let read: Line =
        serde_json::from_str(&text?).map_err(|error| problem(LineProblem::Json { column: error.column() }))?;
    Ok(Parsed {
        line,
        collection: read.collection.parse().map_err(|error| problem(LineProblem::Collection(error)))?,
        entity: read.id.parse().map_err(|error| problem(LineProblem::Id(error)))?,
        deleted: read.deleted,
        value: read.value,
    })
}

#[cfg(test)]
mod tests;
