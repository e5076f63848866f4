//! Handing over what a device has not sent, when it cannot sign in any more: another device of the person takes it in, and sends it.

mod file;

use crate::driver::{Driver, DriverError};
use crate::replica::Replica;
use afield_core::limits::{BATCH_BYTES_MAX, BATCH_CHUNKS_MAX};
use afield_core::wire::{BatchChunk, BatchError, Class};
use afield_core::{EntityId, SpaceId};
use afield_store::{OutboxChunk, OutboxPosition, StoreError};
use file::{Failure, Reader, Writer};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek};
use std::path::Path;

/// What was written into a file for another device.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// # let folder = tempfile::tempdir()?;
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let handed = replica.export_unsent(folder.path().join("unsent"))?;
/// assert_eq!((handed.spaces, handed.entities, handed.changes), (vec![home.id()], 1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handed {
    /// The spaces of which something was unsent.
    pub spaces: Vec<SpaceId>,
    /// How many entities it is about.
    pub entities: u64,
    /// How many changes, and records of purged entities, it holds.
    pub changes: u64,
}

/// What was taken in from a file of another device.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("unsent");
/// # let phone = afield::Replica::open_in_memory()?;
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// replica.export_unsent(&path)?;
/// phone.join_space(home.id())?;
/// let taken = phone.take_over(&path)?;
/// assert_eq!((taken.changes, taken.added), (1, 1));
/// assert!(taken.unknown_spaces.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenOver {
    /// How many changes, and records of purged entities, the file holds of spaces that are here.
    pub changes: u64,
    /// Those of them that were not here yet: this device sends them from now on.
    pub added: u64,
    /// Spaces of the file that are not here, of which nothing was taken: join them, and take the file over again.
    pub unknown_spaces: Vec<SpaceId>,
}

/// Unsent changes could not be handed over, or taken over.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("unsent");
/// use afield::HandOverError;
///
/// replica.export_unsent(&path)?;
/// assert!(matches!(replica.export_unsent(&path), Err(HandOverError::Exists))); // nothing is overwritten
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// The file could not be read or written.
    #[error("the file could not be read or written")]
    File(#[from] io::Error),
    /// There is such a file already: nothing is overwritten.
    #[error("there is such a file already, and nothing is overwritten")]
    Exists,
    /// The file is not what a device hands over, or not all of it. Nothing of it was taken.
    #[error("the file cannot be taken over")]
    Content(#[from] HandOverProblem),
    /// It was called within an edit or a transaction.
    #[error("nothing is handed over or taken over within an edit or a transaction")]
    Nested,
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the file holds could not be stored. What was stored of it stays; taking it over again goes on.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// What is wrong with a file that is to be taken over.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("unsent");
/// use afield::{HandOverError, HandOverProblem};
///
/// std::fs::write(&path, "a letter, and no file of another device")?;
/// match replica.take_over(&path) {
///     Err(HandOverError::Content(HandOverProblem::NotHandedOver)) => {} // nothing of it was taken
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverProblem {
    /// It does not begin as such a file does.
    #[error("no device of this version has written it")]
    NotHandedOver,
    /// It ends too early.
    #[error("it ends at byte {at}, before its end")]
    Cut {
        /// Where it ends.
        at: u64,
    },
    /// A section is longer than any may be.
    #[error("at byte {at} something of {found} bytes begins, more than {maximum}")]
    TooLong {
        /// Where it begins.
        at: u64,
        /// How long it claims to be.
        found: u64,
        /// How long it may be.
        maximum: u64,
    },
    /// Something stands there that does not belong there.
    #[error("what stands at byte {at} does not belong there")]
    Section {
        /// Where it begins.
        at: u64,
    },
    /// Changes cannot be read.
    #[error("the changes at byte {at} cannot be read")]
    Batch {
        /// Where they begin.
        at: u64,
        /// Why.
        #[source]
        source: BatchError,
    },
    /// It is not what was written.
    #[error("it was changed since it was written")]
    Changed,
}

impl HandOverProblem {
    /// What would help: nothing but another file.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("diary.txt");
    /// use afield::HandOverError;
    ///
    /// std::fs::write(&path, "Dear diary")?;
    /// let Err(HandOverError::Content(problem)) = replica.take_over(&path) else { panic!("it is no such file") };
    /// assert_eq!(problem.class(), afield::Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        Class::Permanent
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("diary.txt");
    /// use afield::HandOverError;
    ///
    /// std::fs::write(&path, "Dear diary")?;
    /// let Err(HandOverError::Content(problem)) = replica.take_over(&path) else { panic!("it is no such file") };
    /// assert_eq!(problem.code(), "hand_over.not_handed_over");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotHandedOver => "hand_over.not_handed_over",
            Self::Cut { .. } => "hand_over.cut",
            Self::TooLong { .. } => "hand_over.too_long",
            Self::Section { .. } => "hand_over.section",
            Self::Batch { .. } => "hand_over.changes",
            Self::Changed => "hand_over.changed",
        }
    }
}

impl HandOverError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("diary.txt");
    /// std::fs::write(&path, "Dear diary")?;
    /// assert_eq!(replica.take_over(&path).unwrap_err().class(), afield::Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::File(_) | Self::Exists | Self::Content(_) | Self::Nested => Class::Permanent,
            Self::Store(error) => error.class(),
            Self::Driver(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("diary.txt");
    /// std::fs::write(&path, "Dear diary")?;
    /// assert_eq!(replica.take_over(&path).unwrap_err().code(), "hand_over.content");
    /// assert_eq!(replica.export_unsent(&path).unwrap_err().code(), "hand_over.exists");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(_) => "hand_over.file",
            Self::Exists => "hand_over.exists",
            Self::Content(_) => "hand_over.content",
            Self::Nested => "transaction.nested",
            Self::Store(error) => error.code(),
            Self::Driver(error) => error.code(),
        }
    }
}

impl From<Failure> for HandOverError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Io(error) => Self::File(error),
            Failure::Problem(problem) => Self::Content(problem),
        }
    }
}

impl Replica {
    /// Writes everything that no relay is known to have into a file, for another device of the same person
    /// ([`Replica::take_over`]): changes that wait to be sent, those that the relay refused, and what says that entities were purged.
    /// What a direction holds back stays back. Everything stays here, too; once this device signs in again, nothing is there twice.
    ///
    /// The file holds what people wrote, and only its owner can read it. It is there once it is whole.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield::Replica;
    /// use serde_json::json;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("unsent");
    /// let (laptop, phone) = (Replica::open_in_memory()?, Replica::open_in_memory()?);
    /// let home = laptop.create_space("Home")?;
    /// let id = home.collection::<()>("notes")?.json().insert(&json!({"title": "Milk"}))?;
    /// let handed = laptop.export_unsent(&path)?;
    /// assert_eq!((handed.entities, handed.changes), (1, 1));
    ///
    /// let there = phone.join_space(home.id())?;
    /// assert_eq!(phone.take_over(&path)?.added, 1);
    /// assert_eq!(there.collection::<()>("notes")?.json().read(id)?["title"], "Milk");
    /// assert_eq!(phone.status()?.pending_changes, 1); // it is sent by this device now
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is such a file already, it cannot be written, or the store cannot be read.
    pub fn export_unsent(&self, path: impl AsRef<Path>) -> Result<Handed, HandOverError> {
        let path = path.as_ref();
        if path.try_exists()? {
            return Err(HandOverError::Exists);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Such a file is readable by its owner only, from the moment of its making.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let handed = self.write_unsent(file.as_file_mut())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(handed),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(HandOverError::Exists),
            Err(error) => Err(error.error.into()),
        }
    }

    fn write_unsent(&self, file: &mut File) -> Result<Handed, HandOverError> {
        if Driver::is_inside_an_edit() {
            return Err(HandOverError::Nested);
        }
        let driver = &self.shared.driver;
        let mut writer = Writer::new(BufWriter::new(file))?;
        let (mut handed, mut entities) = (Handed::default(), BTreeSet::<EntityId>::new());
        for record in driver.with_store(|store| store.spaces())? {
            let (space, mut after) = (record.space, OutboxPosition::START);
            loop {
                let unsent = driver.with_store(|store| {
                    let page = store.unsent(space, after, BATCH_CHUNKS_MAX, BATCH_BYTES_MAX);
                    if page.as_ref().map_or(true, Vec::is_empty) {
                        store.end_scan();
                    }
                    page
                })?;
                let Some(last) = unsent.last() else { break };
                after = last.position;
                if handed.spaces.last() != Some(&space) {
                    handed.spaces.push(space);
                    writer.space(space)?;
                }
                handed.changes += unsent.len() as u64;
                entities.extend(unsent.iter().map(|chunk| chunk.entity));
                writer.batch(unsent.iter().map(in_batch))?;
            }
        }
        handed.entities = entities.len() as u64;
        writer.finish()?;
        Ok(handed)
    }

    /// Takes in what another device of the same person has not sent ([`Replica::export_unsent`]), and sends it from now on, as if it
    /// had been made here. Each change is verified and merged as those from a relay are, and what is bad is quarantined. What the
    /// changes rest on and is not in the file comes from the relay.
    ///
    /// Only spaces that this device has are taken; the others are named. Taking one file over twice changes nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield::Replica;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("unsent");
    /// # let (laptop, phone) = (Replica::open_in_memory()?, Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # home.collection::<()>("notes")?.json().insert(&serde_json::json!({"title": "Milk"}))?;
    /// laptop.export_unsent(&path)?;
    /// let taken = phone.take_over(&path)?;
    /// assert_eq!((taken.added, taken.unknown_spaces), (0, vec![home.id()])); // it is not here
    ///
    /// phone.join_space(home.id())?;
    /// assert_eq!(phone.take_over(&path)?.added, 1);
    /// assert_eq!(phone.take_over(&path)?.added, 0); // it is there already
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The file is not such a one, is cut or damaged: nothing of it is taken then. Or it cannot be read, or the store failed.
    pub fn take_over(&self, path: impl AsRef<Path>) -> Result<TakenOver, HandOverError> {
        if Driver::is_inside_an_edit() {
            return Err(HandOverError::Nested);
        }
        let mut file = File::open(path)?;
        // All of it is read before anything of it is stored.
        let mut reader = Reader::new(BufReader::new(&file))?;
        while reader.next()?.is_some() {}
        file.rewind()?;
        let mut reader = Reader::new(BufReader::new(&file))?;
        let (mut taken, mut unknown) = (TakenOver::default(), BTreeSet::new());
        while let Some(batch) = reader.next()? {
            match self.shared.driver.take_over(batch.space, &batch.chunks, self.shared.now())? {
                Some(stored) => {
                    taken.changes += batch.chunks.len() as u64;
                    taken.added += stored.added;
                }
                None => drop(unknown.insert(batch.space)),
            }
        }
        taken.unknown_spaces = unknown.into_iter().collect();
        self.shared.wake();
        Ok(taken)
    }
}

fn in_batch(chunk: &OutboxChunk) -> BatchChunk<'_> {
    let OutboxChunk { entity, collection, kind, bytes, .. } = chunk;
    BatchChunk { entity: *entity, collection, kind: *kind, bytes }
}

#[cfg(test)]
mod tests;
