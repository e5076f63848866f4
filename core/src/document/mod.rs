//! One entity's Automerge document: what it holds, how it is edited, and how changes from elsewhere come into it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `value`, `rich`, `json`, `path`, `read` | the document as a tree of values, and places in it |
//! | `edit`, `operations`, `create`, `assign` | local edits, their operations, and writing the difference between values |
//! | `marks`, `long_text`, `parts` | operations on the marks and blocks of texts, on texts in parts, and what is known of these |
//! | `weight` | refusing what no change has room for, before it is written |
//! | `difference`, `alignment`, `sequence` | what differs between two texts, lists or sequences of anything |
//! | `attribution` | who made a change, when, and on which device |
//! | `derived` | creation of containers that is the same bytes on every device |
//! | `apply`, `check`, `past`, `stage`, `save` | the guarded apply: rules, a change's past, the staged copy, saving |
//! | `replay` | changes from elsewhere that are redone as edits, and checked by their hash |
//! | `history` | what became of the document, change by change, and what it was at any moment |
//! | `undo` | taking back what an edit did, beside what others have done since |
//! | `effort` | how much one call of the guarded apply does |
//! | `load` | building the document from what was stored |
//! | `conflict` | what people did to one place without knowing of each other, and how they decide it |
//! | `verdict`, `error` | what callers are told |
//! | `engine` | what all of them need of Automerge |
//!
//! What always holds: a document holds verified changes only and never waits for dependencies itself; an edit that fails
//! leaves nothing; a change from elsewhere is applied in full or not at all, and its verdict rests on it and what it
//! depends on (invariant D7); a failed load gives no document (D8).
//!
//! Deliberately absent: clocks, sources of actors, storage, and Automerge's own queue, sync protocol and bundles.

mod alignment;
mod apply;
mod assign;
mod attribution;
mod brought;
mod check;
pub mod conflict;
mod create;
mod cursor;
mod derived;
mod difference;
mod edit;
mod effort;
mod engine;
mod error;
mod extract;
mod history;
mod hunks;
mod json;
mod load;
mod long_text;
mod marks;
mod operations;
mod parts;
mod past;
mod path;
mod read;
mod replay;
mod rich;
mod save;
pub mod sequence;
mod stage;
mod undo;
mod value;
mod verdict;
mod weight;

#[cfg(feature = "test-support")]
pub use apply::hostile::{Hostile, HostileChange};
pub use attribution::{AUTHOR_BYTES_MAX, Attribution, device_of, fresh_actor};
pub use brought::brought;
pub use conflict::strategy;
pub use conflict::{Choice, Conflict, ConflictId, ConflictKind, ConflictValue, DELETED_KEY};
pub use cursor::{ParseTextCursorError, TextCursor};
pub use difference::paired_elements;
use edit::{Authorship, EditBy};
pub use edit::{Edit, EditContext, Edited, LocalChange};
pub use error::{EditError, LoadError, OperationError};
pub use extract::{SnapshotBudget, SnapshotExtent, SnapshotFault, extract_changes, measure_snapshot, snapshot_check};
pub use history::{
    Changed, Difference, HistoryChange, HistoryPage, Point, PointError, SITTING_CHANGES_MAX, SITTING_PAUSE_MAX_MS,
    Sitting, TextHunk, View, differences,
};
pub use json::TaggedJsonError;
pub use long_text::PART_CHARACTERS_MAX;
pub use path::{ParsePathError, Path, Step};
pub use read::text_of;
pub use replay::Replay;
pub use rich::{BLOCK_CHARACTER, Block, Expand, RichText, Span};
pub use undo::{Direction, TYPING_PAUSE_MAX_MS, UNDO_CHANGES_MAX, UndoPlan, UndoSteps, Undoes};
pub use value::{Kind, Value};
pub use verdict::{Applied, Poisoned, QuarantineReason, Revoked, VERDICT_RULES, Verdict};

use crate::id::EntityId;
use crate::limits::Limits;
use automerge::{Automerge, ChangeHash, ReadDoc};
use engine::Sequences;
use parts::Parts;
use save::Verified;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// How many steps below the root a map, list or text may stand.
///
/// Values are trees that are read, compared and dropped recursively, so the depth has to be bounded; JSON parsers stop
/// at about the same one (serde_json at 128).
pub const DEPTH_MAX: usize = 100;

/// The highest operation number of a document: Automerge keeps them in 32 bits.
pub const OPERATION_MAX: u64 = u32::MAX as u64 - 1;

/// The largest number, up or down, that a counter may be created with.
///
/// With [`INCREMENT_MAX`] it makes sure that no counter leaves 64 bits: 2³² operations of 2³⁰ each are 2⁶².
pub const COUNTER_MAX: i64 = 1 << 61;

/// The largest number, up or down, by which one operation may change a counter; larger increments take several.
pub const INCREMENT_MAX: i64 = 1 << 30;

/// How many increments a new counter takes at most to reach its first number, some 10¹¹ up or down. One that needs more is
/// created with that number, by an ordinary operation.
pub const FIRST_INCREMENTS_MAX: u64 = 100;

/// The latest time a change may be labelled with, and negated the earliest, in milliseconds since the Unix epoch: the
/// range of time values of ECMAScript, 100 million days.
pub const TIME_MAX_MS: i64 = 8_640_000_000_000_000;

/// A change that came from elsewhere, with a header that has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming<'b> {
    /// The hash that the bytes have to have.
    pub hash: ChangeHash,
    /// The change, not compressed.
    pub bytes: &'b [u8],
}

/// One entity's Automerge document.
///
/// A document holds nothing but verified changes: local edits ([`Document::edit`]) and changes from elsewhere that
/// passed the guarded apply ([`Document::apply_guarded`]). It never waits for dependencies itself. It reads no clock
/// and never invents an actor; both come with each edit.
///
/// After a panic inside an edit the document is poisoned ([`Document::is_poisoned`]): it refuses edits and incoming
/// changes, has nothing to read, and has to be loaded again from stored chunks.
pub struct Document {
    entity: EntityId,
    engine: Option<Automerge>,
    sequences: Sequences,
    verified: Verified,
    replay: Replay,
    /// Reading a long text fills it, too.
    parts: Mutex<Parts>,
}

impl Document {
    /// Makes the empty document of an entity.
    ///
    /// ```
    /// use afield_core::EntityId;
    /// use afield_core::document::Document;
    ///
    /// let document = Document::new(EntityId::from_bytes([7; 16]));
    /// assert_eq!((document.change_count(), document.heads()), (0, Vec::new()));
    /// ```
    pub fn new(entity: EntityId) -> Self {
        let (sequences, verified) = (Sequences::default(), Verified::default());
        Self {
            entity,
            engine: Some(engine::empty()),
            sequences,
            verified,
            replay: Replay::default(),
            parts: Mutex::default(),
        }
    }

    /// Loads a document from a snapshot and changes, in any order.
    ///
    /// The content comes from this device's own storage, where only changes that passed the guarded apply are filed as
    /// applied. Everything is verified; a failure never gives a document (invariant D8).
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// let loaded = Document::load(document.entity(), Some(&document.save()), [])?;
    /// assert_eq!(loaded.read(), document.read());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn load<'b>(
        entity: EntityId,
        snapshot: Option<&[u8]>,
        changes: impl IntoIterator<Item = Incoming<'b>>,
    ) -> Result<Self, LoadError> {
        let changes = changes.into_iter();
        let loaded = catch_unwind(AssertUnwindSafe(|| load::load(snapshot, changes)));
        let (engine, verified) = loaded.unwrap_or(Err(LoadError::Panicked))?;
        let (sequences, replay) = (Sequences::of(&engine), Replay::default());
        Ok(Self { entity, sequences, engine: Some(engine), verified, replay, parts: Mutex::default() })
    }

    /// Says whether changes from elsewhere are redone as edits where that gives the same bytes; they are by default.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Incoming, Replay, Verdict};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let entity = EntityId::from_bytes([7; 16]);
    /// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
    /// # let by = |actor: u8| {
    /// #     let now = Now { wall_ms: 1_000 * i64::from(actor), monotonic_ms: 0 };
    /// #     EditContext::new([actor; 16].into(), now)
    /// # };
    /// # other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// # let changes = other.changes_since(&[]);
    /// # let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    /// document.set_replay(Replay::Off);
    /// let applied = document.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// assert_eq!((applied.verdicts, applied.replayed), (vec![Verdict::Applied], 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_replay(&mut self, replay: Replay) {
        self.replay = replay;
    }

    /// The entity.
    ///
    /// ```
    /// # use afield_core::EntityId;
    /// # use afield_core::document::Document;
    /// let entity = EntityId::from_bytes([7; 16]);
    /// assert_eq!(Document::new(entity).entity(), entity);
    /// ```
    pub fn entity(&self) -> EntityId {
        self.entity
    }

    /// Whether the document saw a panic and has to be loaded again.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, OperationError};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// assert!(!document.is_poisoned());
    /// let edit = std::panic::AssertUnwindSafe(|| {
    ///     document.edit::<(), OperationError>(&by, &Limits::DEFAULT, |_| panic!("a mistake in the app"))
    /// });
    /// assert!(std::panic::catch_unwind(edit).is_err());
    /// assert!(document.is_poisoned());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.engine.is_none()
    }

    /// The changes that no other change depends on, in order.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// let edited = document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert_eq!(document.heads(), [edited.changes[0].hash]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.automerge().get_heads()
    }

    /// Whether the document holds a change.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{ChangeHash, EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// let edited = document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert!(document.has(&edited.changes[0].hash));
    /// assert!(!document.has(&ChangeHash([0; 32])));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn has(&self, hash: &ChangeHash) -> bool {
        engine::holds(self.automerge(), hash)
    }

    /// How many changes the document holds.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert_eq!(document.change_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn change_count(&self) -> u64 {
        self.sequences.total()
    }

    /// How many operations its changes have.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.put("title", "Trip")?;
    ///     edit.put("done", false)
    /// })?;
    /// assert_eq!(document.operation_count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn operation_count(&self) -> u64 {
        self.sequences.operations()
    }

    /// The highest operation number; 0 when there is none.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// assert_eq!(document.max_op(), 0);
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.put("title", "Trip")?;
    ///     edit.put("done", false)
    /// })?;
    /// assert_eq!(document.max_op(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn max_op(&self) -> u64 {
        engine::max_op(self.automerge())
    }

    /// Writes the whole history as one snapshot.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// let snapshot = document.save();
    /// assert_eq!(Document::load(document.entity(), Some(&snapshot), [])?.heads(), document.heads());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn save(&self) -> Vec<u8> {
        self.automerge().save()
    }

    /// Gives the bytes of a change, not compressed; `None` when the document does not hold it.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// let edited = document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// let change = &edited.changes[0];
    /// assert_eq!(document.change_bytes(&change.hash).as_ref(), Some(&change.bytes));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn change_bytes(&self, hash: &ChangeHash) -> Option<Vec<u8>> {
        self.automerge().get_change_by_hash(hash).map(|change| change.raw_bytes().to_vec())
    }

    /// Gives all changes that are not among `heads` and what they depend on, in causal order, not compressed.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// let known = document.heads();
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("done", true))?;
    /// assert_eq!(document.changes_since(&known).len(), 1);
    /// assert_eq!(document.changes_since(&[]).len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn changes_since(&self, heads: &[ChangeHash]) -> Vec<(ChangeHash, Vec<u8>)> {
        let changes = self.automerge().get_changes(heads);
        changes.iter().map(|change| (change.hash(), change.raw_bytes().to_vec())).collect()
    }

    /// Reads the whole document.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert_eq!(document.read(), Value::from([("title", Value::from("Trip"))]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn read(&self) -> Value {
        read::read_object(self.automerge(), &read::Object::ROOT)
    }

    /// Reads what stands at a path, with everything below it; `None` when nothing does.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Path};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert_eq!(document.read_at("title")?, Some("Trip".into()));
    /// assert_eq!(document.read_at("done")?, None);
    /// assert!(document.read_at(Path::from("title").key("length")).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A key of the path goes into what is no map, or an index into what is no list.
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn read_at(&self, path: impl Into<Path>) -> Result<Option<Value>, OperationError> {
        let engine = self.automerge();
        let found = read::follow(engine, path.into().steps())?;
        Ok(found.map(|standing| read::read_standing(engine, standing)))
    }

    /// The engine's own document, to read from: the raw view.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// use automerge::{ROOT, ReadDoc};
    ///
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert_eq!(document.automerge().keys(ROOT).collect::<Vec<_>>(), ["title"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn automerge(&self) -> &Automerge {
        self.engine.as_ref().expect("a poisoned document is loaded again, never read")
    }

    /// Runs `closure` as one edit.
    ///
    /// When it succeeds, the changes it made are in the document and in the answer, and the caller stores them before
    /// anybody sees them. When it fails, the document is as it was before.
    ///
    /// ```
    /// use afield_core::document::{Document, EditContext, Path};
    /// use afield_core::{EntityId, Limits, Now};
    ///
    /// let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// let now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };
    /// let context = EditContext::new([1_u8; 16].into(), now);
    /// let edited = document.edit(&context, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert_eq!(edited.changes.len(), 1, "what the caller stores");
    ///
    /// let refused = document.edit(&context, &Limits::DEFAULT, |edit| {
    ///     edit.put("title", "Night trip")?;
    ///     edit.put(Path::from("absent").key("title"), "Trip")
    /// });
    /// assert!(refused.is_err());
    /// assert_eq!(document.read_at("title")?, Some("Trip".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`EditError`].
    ///
    /// # Panics
    ///
    /// When `closure` does; the document is poisoned then.
    pub fn edit<T, E>(
        &mut self,
        context: &EditContext,
        limits: &Limits,
        closure: impl FnOnce(&mut Edit<'_>) -> Result<T, E>,
    ) -> Result<Edited<T>, EditError<E>> {
        self.edit_by(EditBy { context, authorship: Authorship::Actor }, limits, closure)
    }

    /// Runs `closure` as one edit whose changes are nobody's: the actor of each follows from its bytes, and its time is 0.
    /// Every device that does the same to a document with the same history makes the same changes, so that what several bring
    /// to an entity from one source is there once.
    ///
    /// ```
    /// # use afield_core::document::Document;
    /// # use afield_core::{EntityId, Limits};
    /// let entity = EntityId::from_bytes([7; 16]);
    /// let (mut document, mut other) = (Document::new(entity), Document::new(entity));
    /// document.edit_derived(&Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// other.edit_derived(&Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert_eq!(document.heads(), other.heads());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`EditError`].
    ///
    /// # Panics
    ///
    /// When `closure` does; the document is poisoned then.
    pub fn edit_derived<T, E>(
        &mut self,
        limits: &Limits,
        closure: impl FnOnce(&mut Edit<'_>) -> Result<T, E>,
    ) -> Result<Edited<T>, EditError<E>> {
        let by = EditBy { context: &EditContext::derived(), authorship: Authorship::Derived };
        self.edit_by(by, limits, closure)
    }

    fn edit_by<T, E>(
        &mut self,
        by: EditBy<'_>,
        limits: &Limits,
        closure: impl FnOnce(&mut Edit<'_>) -> Result<T, E>,
    ) -> Result<Edited<T>, EditError<E>> {
        let engine = self.engine.take().ok_or(EditError::Poisoned)?;
        if OPERATION_MAX.saturating_sub(engine::max_op(&engine)) < limits.change_operations_max {
            self.engine = Some(engine);
            return Err(EditError::Full);
        }
        let parts = self.parts.get_mut().unwrap_or_else(PoisonError::into_inner);
        let ended = edit::run(engine, self.entity, &self.sequences, parts, by, limits, closure);
        if !matches!(ended.outcome, Ok(Ok(_))) {
            parts.clear();
        }
        self.engine = ended.engine;
        let edited = ended.outcome.unwrap_or_else(|panic| resume_unwind(panic))?;
        for change in &edited.changes {
            let made = self.automerge().get_change_meta_by_hash(&change.hash);
            let operations = made.as_ref().map_or(0, engine::operations_of);
            self.sequences.note(&change.actor, change.sequence, operations);
        }
        Ok(edited)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("entity", &self.entity)
            .field("change_count", &self.change_count())
            .field("is_poisoned", &self.is_poisoned())
            .finish()
    }
}

#[cfg(any(test, feature = "test-support"))]
mod test_kit;
