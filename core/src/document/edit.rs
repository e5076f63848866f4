//! Local edits: what a closure may do to a document, and what it leaves behind.

use super::TIME_MAX_MS;
use super::attribution::{author_footer, engine_author};
use super::check;
use super::derived::{BLANK_ACTOR, Container, Parent, derived_change, operation_id, under_derived_actor};
use super::engine::{self, Sequences};
use super::error::{EditError, OperationError};
use super::parts::Parts;
use super::path::Path;
use super::read::Object;
use super::verdict::QuarantineReason;
use crate::change::{ChangeError, ChangeHeader};
use crate::id::EntityId;
use crate::limits::Limits;
use crate::time::Now;
use automerge::legacy::Op;
use automerge::transaction::{CommitOptions, OwnedTransaction, Transactable};
use automerge::{ActorId, Author, Automerge, Change, ChangeHash, ExpandedChange, ObjId, Prop, ReadDoc};
use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Fewer heads than this are never joined: a change that joins has to leave fewer than there were.
const MANY_HEADS_MIN: usize = 3;

/// Who edits, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditContext {
    /// The actor of the edit's ordinary changes. The caller answers for it naming no two changes of one sequence
    /// (invariant D6).
    pub actor: ActorId,
    /// The time the changes are labelled with.
    pub now: Now,
    /// Whether the entity was minted for this edit, so that nobody else can be creating anything in it. Everything in
    /// the first edit of an empty document is then one ordinary change.
    pub fresh: bool,
    /// The author's name, at most [`AUTHOR_BYTES_MAX`](super::AUTHOR_BYTES_MAX) bytes. One actor has one author: who sets
    /// another takes another actor.
    pub author: Option<Arc<str>>,
    /// What the author says about the edit; each of its ordinary changes carries it.
    pub message: Option<String>,
}

/// Who edits, and whose the changes are.
#[derive(Clone, Copy)]
pub(super) struct EditBy<'c> {
    pub(super) context: &'c EditContext,
    pub(super) authorship: Authorship,
}

/// Whose the changes of an edit are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authorship {
    /// The actor's that the context names.
    Actor,
    /// Nobody's: each has the actor that follows from its bytes.
    Derived,
}

/// A change that an edit made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalChange {
    /// Its hash.
    pub hash: ChangeHash,
    /// Its bytes, not compressed.
    pub bytes: Vec<u8>,
    /// Its actor: the edit's, or that of a derived change.
    pub actor: ActorId,
    /// Its number among the changes of the actor, from 1.
    pub sequence: u64,
    /// Whether its actor follows from its bytes, which are the same on every device that makes it.
    pub derived: bool,
}

/// What an edit left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an edit is lost unless its changes are stored"]
pub struct Edited<T> {
    /// What the closure returned.
    pub value: T,
    /// The changes in causal order; none when nothing was written.
    pub changes: Vec<LocalChange>,
}

/// An edit in progress.
///
/// Every operation takes a [`Path`]; a plain string is the path of a single key. Reads see what the edit has written.
/// An operation that needs a text, list, map or counter and finds nothing creates it by a derived change (see
/// [`LocalChange::derived`]), provided that the map around it exists.
///
/// ```
/// # use afield_core::document::{Document, EditContext, Path};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
/// document.edit(&by, &Limits::DEFAULT, |edit| {
///     edit.put("title", "Trip")?;
///     edit.splice_text("body", 0, 0, "by train")?;
///     edit.insert(Path::from("days"), 0, "Monday") // all of it, or nothing where one fails
/// })?;
/// assert_eq!(document.read_at("body")?.as_ref().and_then(|body| body.as_str()), Some("by train"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Edit<'d> {
    entity: EntityId,
    context: &'d EditContext,
    limits: &'d Limits,
    sequences: &'d Sequences,
    parts: &'d mut Parts,
    ordinary_only: bool,
    first_op: u64,
    transaction: Option<OwnedTransaction>,
    changes: Vec<Made>,
    before: Option<Automerge>,
    authorship: Authorship,
    /// The document without the open transaction, where its change gets another actor at the end.
    base: Option<Automerge>,
    written_bytes: usize,
    /// Whether the engine's own transaction was handed out, past the checks of the operations.
    raw: bool,
    halfway: bool,
    /// What the edit says of itself.
    message: Option<String>,
}

/// A change of an edit in progress.
struct Made {
    local: LocalChange,
    /// Whether it has no operations and only joins heads.
    joins: bool,
}

/// How an edit ended: the engine as it stands now, and what the caller is told.
///
/// The engine is `None` after a panic.
pub(super) struct Ended<T, E> {
    pub(super) engine: Option<Automerge>,
    pub(super) outcome: std::thread::Result<Result<Edited<T>, EditError<E>>>,
}

/// Runs `closure` as one edit of `before`.
pub(super) fn run<T, E>(
    engine: Automerge,
    entity: EntityId,
    sequences: &Sequences,
    parts: &mut Parts,
    by: EditBy<'_>,
    limits: &Limits,
    closure: impl FnOnce(&mut Edit<'_>) -> Result<T, E>,
) -> Ended<T, E> {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut edit = Edit::begin(engine, entity, sequences, parts, by, limits);
        let result = closure(&mut edit);
        edit.end(result)
    }));
    match result {
        Ok((engine, outcome)) => Ended { engine: Some(engine), outcome: Ok(outcome) },
        Err(panic) => Ended { engine: None, outcome: Err(panic) },
    }
}

impl EditContext {
    /// That of an edit that exists already or may be made by others too, without an author or a message.
    ///
    /// ```
    /// use afield_core::Now;
    /// use afield_core::document::EditContext;
    ///
    /// let now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };
    /// let context = EditContext { author: Some("Anna".into()), ..EditContext::new([1_u8; 16].into(), now) };
    /// assert!(!context.fresh && context.message.is_none());
    /// ```
    pub fn new(actor: ActorId, now: Now) -> Self {
        Self { actor, now, fresh: false, author: None, message: None }
    }

    /// That of an edit whose changes are nobody's.
    pub(super) fn derived() -> Self {
        Self::new(ActorId::from(BLANK_ACTOR), Now { wall_ms: 0, monotonic_ms: 0 })
    }
}

impl<'d> Edit<'d> {
    fn begin(
        engine: Automerge,
        entity: EntityId,
        sequences: &'d Sequences,
        parts: &'d mut Parts,
        by: EditBy<'d>,
        limits: &'d Limits,
    ) -> Self {
        let EditBy { context, authorship } = by;
        let mut edit = Self {
            entity,
            context,
            limits,
            sequences,
            parts,
            ordinary_only: context.fresh && sequences.is_empty(),
            first_op: engine::max_op(&engine) + 1,
            transaction: None,
            changes: Vec::new(),
            before: None,
            authorship,
            base: None,
            written_bytes: 0,
            raw: false,
            halfway: false,
            message: context.message.clone(),
        };
        edit.resume(engine);
        edit
    }

    fn end<T, E>(mut self, result: Result<T, E>) -> (Automerge, Result<Edited<T>, EditError<E>>) {
        let value = match result {
            Ok(value) => value,
            Err(error) => return (self.undo(), Err(EditError::Closure(error))),
        };
        let paused = if self.halfway { Err(OperationError::Halfway) } else { self.pause() };
        match paused {
            // Joining what others wrote is no reason for a change of its own.
            Ok(engine) if self.changes.iter().all(|change| change.joins) => {
                (self.before.unwrap_or(engine), Ok(Edited { value, changes: Vec::new() }))
            }
            Ok(engine) => {
                let changes = self.changes.into_iter().map(|change| change.local).collect();
                (engine, Ok(Edited { value, changes }))
            }
            Err(error) => (self.undo(), Err(EditError::Refused(error))),
        }
    }

    /// The open transaction, to write to an object.
    pub(super) fn writing(&mut self, object: &ObjId) -> &mut OwnedTransaction {
        self.parts.forget(object);
        self.transaction()
    }

    /// What is known of the parts of long texts, and the document to read more from.
    pub(super) fn parts_and_reader(&mut self) -> (&mut Parts, &OwnedTransaction) {
        let reader = self.transaction.as_ref();
        (self.parts, reader.expect("an edit has a transaction whenever no method of it is running"))
    }

    /// What is known of the parts of long texts.
    pub(super) fn parts(&mut self) -> &mut Parts {
        self.parts
    }

    fn transaction(&mut self) -> &mut OwnedTransaction {
        self.transaction.as_mut().expect("an edit has a transaction whenever no method of it is running")
    }

    /// Says what the edit is for: a message that its changes carry, for whoever reads the entity's history.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.set_message("it takes a night");
    ///     edit.put("title", "Night trip")
    /// })?;
    /// let page = document.history(&Point::Now, 1)?;
    /// assert_eq!(page.changes[0].attribution.message.as_deref(), Some("it takes a night"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_message(&mut self, message: &str) {
        self.message = Some(message.to_owned());
    }

    /// The document as this edit has left it so far, to read from with the engine.
    ///
    /// Nothing can be written by it, so that what the edit makes need not be checked as after [`Edit::raw`].
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, OperationError};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ReadDoc;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.put("title", "Trip")?;
    ///     assert_eq!(edit.reader().length(automerge::ROOT), 1);
    ///     Ok::<_, OperationError>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reader(&self) -> &OwnedTransaction {
        self.transaction.as_ref().expect("an edit has a transaction whenever no method of it is running")
    }

    /// Whether this edit has made what has this identity.
    pub(super) fn is_own(&self, id: &ObjId) -> bool {
        matches!(id, ObjId::Id(counter, actor, _) if *counter >= self.first_op && *actor == self.context.actor)
    }

    /// The limits of a change.
    pub(super) fn limits(&self) -> &Limits {
        self.limits
    }

    /// Runs one operation. When it fails after it wrote something, the edit as a whole cannot succeed any more.
    pub(super) fn operation<T>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T, OperationError>,
    ) -> Result<T, OperationError> {
        let before = (self.changes.len(), self.reader().pending_ops());
        let result = operation(self);
        let after = (self.changes.len(), self.transaction.as_ref().map_or(0, Transactable::pending_ops));
        self.halfway |= result.is_err() && before != after;
        result
    }

    /// The open transaction, for the application.
    pub(super) fn raw_transaction(&mut self) -> &mut OwnedTransaction {
        self.raw = true;
        self.parts.clear();
        self.transaction()
    }

    /// Counts content about to be written to an object, or to a place in it, so that what is too much is refused before it
    /// is written.
    pub(super) fn charge(&mut self, bytes: usize, object: &ObjId, prop: Option<&Prop>) -> Result<(), OperationError> {
        let bytes_max = self.limits.change_bytes_max;
        let written_bytes = self.written_bytes.saturating_add(bytes);
        if bytes > bytes_max {
            return Err(OperationError::ValueTooLarge { path: self.path_of(object, prop), bytes, bytes_max });
        }
        if written_bytes > bytes_max {
            let path = self.path_of(object, prop);
            return Err(OperationError::TooLarge { path, bytes: written_bytes, bytes_max });
        }
        self.charge_operations(1, object, prop)?;
        self.written_bytes = written_bytes;
        Ok(())
    }

    /// Counts characters of a text about to be written. However many they are, several changes can hold them.
    pub(super) fn charge_text(&mut self, bytes: usize, text: &ObjId) -> Result<(), OperationError> {
        let bytes_max = self.limits.change_bytes_max;
        match self.charge(bytes, text, None) {
            Err(OperationError::ValueTooLarge { path, bytes, .. }) => {
                Err(OperationError::TooLarge { path, bytes, bytes_max })
            }
            charged => charged,
        }
    }

    /// Refuses operations that the change has no room for.
    pub(super) fn charge_operations(
        &self,
        operations: u64,
        object: &ObjId,
        prop: Option<&Prop>,
    ) -> Result<(), OperationError> {
        let operations_max = self.limits.change_operations_max;
        let operations = operations.saturating_add(self.reader().pending_ops() as u64);
        if operations > operations_max {
            let path = self.path_of(object, prop);
            return Err(OperationError::TooManyOperations { path, operations, operations_max });
        }
        Ok(())
    }

    /// Creates a container at an absent key by the change that every device would make; `false` when an ordinary
    /// operation has to do it.
    ///
    /// An ordinary one does it where nobody else can be creating the same thing (in the first edit of an entity, and
    /// in what this edit itself made), and where the derived change was made before and its object deleted since.
    pub(super) fn derive(&mut self, parent: &Object, key: &str, container: Container) -> Result<bool, OperationError> {
        if self.ordinary_only {
            return Ok(false);
        }
        let Some(made) = self.derivation_parent(&parent.id) else { return Ok(false) };
        let change = derived_change(self.entity, &made, key, container);
        let made_before = |made: &Made| made.local.actor == *change.actor_id();
        if self.sequences.last(change.actor_id()).is_some() || self.changes.iter().any(made_before) {
            return Ok(false);
        }
        if let Some(error) = self.header_refusal(&change, || self.path_of(&parent.id, Some(&Prop::from(key)))) {
            return Err(error);
        }
        let mut engine = self.pause()?;
        self.parts.forget(&parent.id);
        self.keep(&engine);
        let applied = engine.apply_changes([change.clone()]);
        if applied.is_ok() {
            self.changes.push(Made { local: local_change(&change, true), joins: false });
        }
        self.resume(engine);
        applied?;
        Ok(true)
    }

    /// Keeps the document as it was before the edit's first change.
    fn keep(&mut self, engine: &Automerge) {
        if self.changes.is_empty() {
            self.before = Some(engine.clone());
        }
    }

    /// Opens a transaction, after joining heads where there are more than one change may depend on: it will depend on all
    /// of them, and the engine adds the actor's last change where that is none of them.
    fn resume(&mut self, mut engine: Automerge) {
        // The engine takes another actor with another author.
        engine.set_author(self.author()).set_actor(self.context.actor.clone());
        while engine.get_heads().len() >= self.limits.change_dependencies_max.max(MANY_HEADS_MIN) {
            let join = self.joining_change(&engine);
            self.keep(&engine);
            let join = match self.authorship {
                Authorship::Actor => Some(join),
                Authorship::Derived => under_derived_actor(self.entity, &join, self.limits),
            };
            let Some(join) = join.filter(|join| engine.apply_changes([join.clone()]).is_ok()) else {
                // The edit goes on and is refused when its change is checked.
                break;
            };
            self.changes.push(Made { local: self.local_change(&join), joins: true });
            // The engine looks an actor up only here, so it does not know yet that this one has made a change.
            engine.set_actor(self.context.actor.clone());
        }
        self.base = (self.authorship == Authorship::Derived).then(|| engine.clone());
        let transaction = engine.into_transaction(None, None);
        self.transaction = Some(transaction.expect("no patch log was given that could belong to another document"));
    }

    /// The author, whom the engine names in an actor's first change.
    fn author(&self) -> Option<Author<'static>> {
        self.context.author.as_deref().map(engine_author)
    }

    /// Adds a change with one operation that the engine's transactions do not offer.
    pub(super) fn apply_operation(&mut self, operation: Op, object: &ObjId) -> Result<(), OperationError> {
        let mut engine = self.pause()?;
        self.parts.forget(object);
        self.keep(&engine);
        let mut content = self.joining_content(&engine);
        content.operations = vec![operation];
        content.message.clone_from(&self.message);
        let change = Change::from(content);
        let change = match self.authorship {
            Authorship::Actor => Some(change),
            Authorship::Derived => under_derived_actor(self.entity, &change, self.limits),
        };
        let applied = match change {
            None => Err(OperationError::Unsound(QuarantineReason::WrongActor)),
            Some(change) => match self.header_refusal(&change, Path::default) {
                Some(error) => Err(error),
                None => engine.apply_changes([change.clone()]).map(|()| change).map_err(OperationError::from),
            },
        };
        let applied = applied.map(|change| Made { local: self.local_change(&change), joins: false });
        self.resume(engine);
        self.changes.push(applied?);
        Ok(())
    }

    fn time_ms(&self) -> i64 {
        self.context.now.wall_ms.clamp(-TIME_MAX_MS, TIME_MAX_MS)
    }

    fn derivation_parent(&self, parent: &ObjId) -> Option<Parent> {
        let Some(id) = operation_id(parent) else { return Some(Parent::Root) };
        if *id.actor() == self.context.actor && id.counter() >= self.first_op {
            return None;
        }
        let change = self.reader().hash_for_opid(parent)?;
        let max_op = self.reader().get_change_by_hash(&change)?.max_op();
        Some(Parent::Created { id, change, max_op })
    }

    /// A change without operations that joins as many heads as one may name, the actor's last change among them.
    fn joining_change(&self, engine: &Automerge) -> Change {
        Change::from(self.joining_content(engine))
    }

    fn joining_content(&self, engine: &Automerge) -> ExpandedChange {
        let own = engine.get_last_local_change();
        let mut deps: BTreeSet<ChangeHash> = own.iter().map(Change::hash).collect();
        for head in engine.get_heads() {
            if deps.len() >= self.limits.change_dependencies_max {
                break;
            }
            deps.insert(head);
        }
        let metas = deps.iter().filter_map(|hash| engine.get_change_meta_by_hash(hash));
        let max_op = metas.map(|change| change.max_op).max().unwrap_or(0);
        ExpandedChange {
            operations: Vec::new(),
            actor_id: self.context.actor.clone(),
            hash: None,
            seq: own.as_ref().map_or(0, Change::seq) + 1,
            start_op: NonZeroU64::MIN.saturating_add(max_op),
            time: self.time_ms(),
            message: None,
            deps: deps.into_iter().collect(),
            extra_bytes: if own.is_none() { author_footer(self.context.author.as_deref()) } else { Vec::new() },
            author: None,
        }
    }

    /// Ends the transaction: commits what is pending, or leaves no trace when nothing is.
    fn pause(&mut self) -> Result<Automerge, OperationError> {
        let transaction =
            self.transaction.take().expect("an edit has a transaction whenever no method of it is running");
        let operations = transaction.pending_ops() as u64;
        if operations == 0 {
            return Ok(transaction.rollback().0);
        }
        let operations_max = self.limits.change_operations_max;
        if operations > operations_max {
            self.transaction = Some(transaction);
            return Err(OperationError::TooManyOperations { path: Path::ROOT, operations, operations_max });
        }
        let mut options = CommitOptions::default().with_time(self.time_ms());
        options.message.clone_from(&self.message);
        let (engine, hash, _) = transaction.commit_with(options);
        let change = hash.and_then(|hash| engine.get_change_by_hash(&hash));
        let change = change.expect("a transaction with operations commits a change");
        let refusal = self.refusal(&change, &engine);
        let (engine, change, refusal) = match (self.base.take(), refusal) {
            (Some(base), None) => self.derive_actor(base, change),
            (_, refusal) => (engine, change, refusal),
        };
        self.changes.push(Made { local: self.local_change(&change), joins: false });
        self.written_bytes = 0;
        match refusal {
            None => Ok(engine),
            Some(error) => {
                self.resume(engine);
                Err(error)
            }
        }
    }

    /// Puts a change into the document as it was before it, under the actor that follows from its bytes.
    fn derive_actor(&mut self, base: Automerge, change: Change) -> (Automerge, Change, Option<OperationError>) {
        self.keep(&base);
        // What this edit made has other ids under another actor.
        self.parts.clear();
        let unsound = |reason| Some(OperationError::Unsound(reason));
        let Some(derived) = under_derived_actor(self.entity, &change, self.limits) else {
            return (base, change, unsound(QuarantineReason::WrongActor));
        };
        let mut engine = base;
        if let Err(error) = engine.apply_changes([derived.clone()]) {
            return (engine, change, Some(error.into()));
        }
        let read = engine.get_change_by_hash(&derived.hash());
        let is_read_back = read.is_some_and(|read| read.raw_bytes() == derived.raw_bytes());
        let refusal = if is_read_back {
            self.header_refusal(&derived, Path::default)
        } else {
            unsound(QuarantineReason::ReadBackDiffers)
        };
        (engine, derived, refusal)
    }

    fn local_change(&self, change: &Change) -> LocalChange {
        local_change(change, self.authorship == Authorship::Derived)
    }

    /// Why nobody would accept a change that was made, if that is so.
    fn refusal(&self, change: &Change, engine: &Automerge) -> Option<OperationError> {
        let unsound = || check::own_operations(change, engine).err().map(OperationError::Unsound);
        self.header_refusal(change, Path::default).or_else(|| if self.raw { unsound() } else { None })
    }

    fn header_refusal(&self, change: &Change, path: impl FnOnce() -> Path) -> Option<OperationError> {
        let bytes_max = self.limits.change_bytes_max;
        let bytes = change.raw_bytes().len();
        match ChangeHeader::read_in(self.entity, change.raw_bytes(), self.limits) {
            Ok(_) => None,
            Err(ChangeError::TooLarge { .. }) => Some(OperationError::TooLarge { path: path(), bytes, bytes_max }),
            Err(error) => Some(OperationError::Unsound(check::header_reason(&error))),
        }
    }

    /// Gives back the engine as it was before the edit.
    fn undo(mut self) -> Automerge {
        let transaction =
            self.transaction.take().expect("an edit has a transaction whenever no method of it is running");
        let (engine, _) = transaction.rollback();
        if self.changes.is_empty() {
            return engine;
        }
        match self.before {
            Some(before) => before,
            None => engine::without(&engine, |hash| self.changes.iter().any(|change| change.local.hash == *hash)),
        }
    }
}

fn local_change(change: &Change, derived: bool) -> LocalChange {
    LocalChange {
        hash: change.hash(),
        bytes: change.raw_bytes().to_vec(),
        actor: change.actor_id().clone(),
        sequence: change.seq(),
        derived,
    }
}

#[cfg(test)]
mod tests;
