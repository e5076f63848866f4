//! Undo and redo: taking back what an edit did to an entity, beside whatever others have done to it since.
//!
//! Nothing is kept for it. An undo is an ordinary edit whose message names what it takes back ([`Undoes`]), so what can be
//! undone and redone follows from the entity's history, on every opening of the store and after every merge.
//!
//! What an edit did is the difference between the entity right before and right after it, both of which Automerge still has.
//! Each place that differs is looked for in the entity as it is now: characters and elements by their identity, others by
//! the objects they stand in. Where it still shows what the edit left there, what was there before is put back; where
//! somebody has written something else since, that stays. Automerge revives nothing, so what was deleted is made anew; such
//! copies are found by way of the undo that made them, so that what was done to the original earlier can still be undone.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `stack` | which steps there are to undo and redo |
//! | `revert` | taking one step back: maps and registers |
//! | `sequences`, `elements` | elements and characters, and finding them again |
//! | `marks` | the marks of texts |

mod elements;
mod marks;
mod revert;
mod sequences;
mod stack;
#[cfg(test)]
mod tests;

use super::Document;
use super::edit::Edit;
use super::engine::operations_of;
use super::error::OperationError;
use super::history::Walk;
use automerge::legacy::ObjectId;
use automerge::{ActorId, Automerge, ChangeHash, ObjId, ReadDoc};
use stack::{Entry, Stack};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The longest pause, in milliseconds, between two keys that are undone as one step.
pub const TYPING_PAUSE_MAX_MS: i64 = 1_000;

/// How many changes of an entity undo looks back over, everybody's counted.
pub const UNDO_CHANGES_MAX: usize = 16_384;

/// What the message of a change that undoes begins with, and of one that redoes.
const UNDO: &str = "afield:undo ";
const REDO: &str = "afield:redo ";
/// What stands between the first and the last change that are named.
const TO: &str = "..";
/// How many bytes of a hash name a change within its entity.
const NAME_BYTES: usize = 8;

/// Which way to go.
///
/// ```
/// # use afield_core::document::{Direction, Document, EditContext};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_000, monotonic_ms: 0 });
/// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
/// assert!(document.undo_plan(Direction::Undo, 0, |_| true).is_some());
/// assert!(document.undo_plan(Direction::Redo, 0, |_| true).is_none()); // nothing was undone yet
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Takes an edit back.
    Undo,
    /// Takes an undo back.
    Redo,
}

/// What a change undoes or redoes: the changes of one step, by the first 16 hexadecimal digits of the hashes of its first
/// and its last.
///
/// ```
/// # use afield_core::document::{Direction, Document, EditContext, Point};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_000, monotonic_ms: 0 });
/// let change = document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
/// let plan = document.undo_plan(Direction::Undo, 0, |_| true).expect("there is a step");
/// document.edit(&by, &Limits::DEFAULT, |edit| {
///     edit.mark_as_undo(&plan);
///     edit.delete("title")
/// })?;
/// let undoes = document.history(&Point::Now, 1)?.changes.remove(0).undoes.expect("it undoes something");
/// assert!(!undoes.is_redo());
/// assert!(change.to_string().starts_with(undoes.first()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoes {
    direction: Direction,
    first: String,
    last: String,
}

/// The steps to undo and redo that the history of a document held when they were looked for.
pub struct UndoSteps(Stack);

/// A step to undo or redo, and how: [`Edit::revert`] does it.
#[derive(Debug, Clone)]
pub struct UndoPlan {
    undoes: Undoes,
    changes: Vec<ChangeHash>,
    /// From the newest back.
    segments: Vec<Segment>,
    remade: Remade,
    makes_entity: bool,
}

/// Changes in a row of which each knew the one before and nothing else that was new: what differs between the two ends is
/// what they did.
#[derive(Debug, Clone)]
struct Segment {
    before: Vec<ChangeHash>,
    after: Vec<ChangeHash>,
    /// The objects they wrote to, and in maps which keys.
    touched: BTreeMap<ObjId, BTreeSet<String>>,
    /// These objects, and those around them.
    on_the_way: BTreeSet<ObjId>,
}

/// Which object each object was made in, as the changes that made them say.
struct Makers<'e> {
    engine: &'e Automerge,
    known: BTreeMap<ChangeHash, (u64, Vec<ObjId>)>,
}

/// Which operations belong to changes that undo or redo: what they made stands for something that was there before.
#[derive(Debug, Clone, Default)]
struct Remade(BTreeMap<ActorId, Vec<(u64, u64)>>);

impl Document {
    /// The step that undo or redo would take back; `None` when there is none.
    ///
    /// `own` says which actors are those of whoever undoes. `skipped` steps are passed over, for callers that found that
    /// nothing is left of those.
    ///
    /// ```
    /// # use afield_core::document::{Direction, Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ActorId;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// # let own = |actor: &ActorId| *actor == ActorId::from([1_u8; 16]);
    /// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let plan = document.undo_plan(Direction::Undo, 0, own).expect("there is a step");
    /// document.edit(&at(9_000), &Limits::DEFAULT, |edit| edit.revert(&plan))?;
    /// assert_eq!(document.read_at("title")?, Some("Trip".into()));
    /// assert!(document.undo_plan(Direction::Redo, 0, own).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn undo_plan(&self, direction: Direction, skipped: usize, own: impl Fn(&ActorId) -> bool) -> Option<UndoPlan> {
        self.undo_steps(own).plan(self, direction, skipped)
    }

    /// The steps that undo and redo would take back, for callers that look at several of them.
    ///
    /// ```
    /// # use afield_core::document::{Direction, Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ActorId;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// # let own = |actor: &ActorId| *actor == ActorId::from([1_u8; 16]);
    /// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let steps = document.undo_steps(own);
    /// let count = (0..).map_while(|skipped| steps.plan(&document, Direction::Undo, skipped)).count();
    /// assert_eq!(count, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn undo_steps(&self, own: impl Fn(&ActorId) -> bool) -> UndoSteps {
        UndoSteps(Stack::of(self.automerge(), own))
    }

    /// The step that a change belongs to, if it is one that [`Document::undo_plan`] could come to: what an edit of several
    /// entities left in this one.
    ///
    /// ```
    /// # use afield_core::document::{Direction, Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ActorId;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// # let own = |actor: &ActorId| *actor == ActorId::from([1_u8; 16]);
    /// let first = document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let plan = document.undo_plan_of(Direction::Undo, &first, own).expect("it can be undone");
    /// assert_eq!(plan.changes(), [first]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn undo_plan_of(
        &self,
        direction: Direction,
        change: &ChangeHash,
        own: impl Fn(&ActorId) -> bool,
    ) -> Option<UndoPlan> {
        let engine = self.automerge();
        let stack = Stack::of(engine, own);
        let mut steps = (0..).map_while(|skipped| stack.step(engine, direction, skipped));
        let step = steps.find(|step| step.iter().any(|entry| entry.hash == *change))?;
        Some(UndoPlan::of(engine, direction, &step, stack.remade.clone()))
    }
}

impl UndoSteps {
    /// One of the steps of the document whose steps these are, as [`Document::undo_plan`] answers it.
    ///
    /// ```
    /// # use afield_core::document::{Direction, Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ActorId;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// # let own = |actor: &ActorId| *actor == ActorId::from([1_u8; 16]);
    /// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let steps = document.undo_steps(own);
    /// assert!(steps.plan(&document, Direction::Undo, 0).is_some());
    /// assert!(steps.plan(&document, Direction::Redo, 0).is_none(), "nothing was undone yet");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn plan(&self, document: &Document, direction: Direction, skipped: usize) -> Option<UndoPlan> {
        let engine = document.automerge();
        let step = self.0.step(engine, direction, skipped)?;
        Some(UndoPlan::of(engine, direction, &step, self.0.remade.clone()))
    }
}

impl Edit<'_> {
    /// Takes a step back, beside whatever others have done since, and labels the edit as that. Nothing is written where
    /// nothing is left of it.
    ///
    /// ```
    /// # use afield_core::document::{Direction, Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ActorId;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// # let own = |actor: &ActorId| *actor == ActorId::from([1_u8; 16]);
    /// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let plan = document.undo_plan(Direction::Undo, 0, own).expect("there is a step");
    /// document.edit(&at(9_000), &Limits::DEFAULT, |edit| edit.revert(&plan))?;
    /// assert_eq!(document.read_at("title")?, Some("Trip".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Putting back what was there takes more than one change may hold.
    pub fn revert(&mut self, plan: &UndoPlan) -> Result<(), OperationError> {
        self.mark_as_undo(plan);
        self.operation(|edit| plan.segments.iter().try_for_each(|segment| edit.revert_segment(segment, &plan.remade)))
    }
}

impl Edit<'_> {
    /// Labels the edit as one that takes a step back, for callers that do so in a way of their own.
    ///
    /// ```
    /// # use afield_core::document::{Direction, Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ActorId;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// # let own = |actor: &ActorId| *actor == ActorId::from([1_u8; 16]);
    /// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let plan = document.undo_plan(Direction::Undo, 0, own).expect("there is a step");
    /// document.edit(&at(9_000), &Limits::DEFAULT, |edit| {
    ///     edit.mark_as_undo(&plan);
    ///     edit.put("title", "Trip")
    /// })?;
    /// assert_eq!(document.history(&Point::Now, 1)?.changes[0].undoes.as_ref(), Some(plan.undoes()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mark_as_undo(&mut self, plan: &UndoPlan) {
        self.set_message(&plan.undoes.to_string());
    }
}

impl UndoPlan {
    fn of(engine: &Automerge, direction: Direction, step: &[&Entry], remade: Remade) -> Self {
        let name = |entry: Option<&&Entry>| entry.map_or_else(String::new, |entry| name(&entry.hash));
        let undoes = Undoes { direction, first: name(step.first()), last: name(step.last()) };
        let mut segments: Vec<Segment> = Vec::new();
        for entry in step.iter().rev() {
            let Some(change) = engine.get_change_by_hash(&entry.hash) else { continue };
            match segments.last_mut() {
                Some(later) if later.before == [entry.hash] => later.before = change.deps().to_vec(),
                _ => segments.push(Segment {
                    before: change.deps().to_vec(),
                    after: vec![entry.hash],
                    touched: BTreeMap::new(),
                    on_the_way: BTreeSet::from([ObjId::Root]),
                }),
            }
            if let Some(segment) = segments.last_mut() {
                note_touched(&change, &mut segment.touched);
            }
        }
        let mut makers = Makers { engine, known: BTreeMap::new() };
        for segment in &mut segments {
            segment.touched.keys().for_each(|object| makers.note_way(object, &mut segment.on_the_way));
        }
        let makes_entity = segments.last().is_some_and(|first| holds_nobodys_alone(engine, &first.before));
        Self { undoes, changes: step.iter().map(|entry| entry.hash).collect(), segments, remade, makes_entity }
    }

    /// What it undoes or redoes.
    ///
    /// ```
    /// # use afield_core::document::{Direction, Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ActorId;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// # let own = |actor: &ActorId| *actor == ActorId::from([1_u8; 16]);
    /// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let plan = document.undo_plan(Direction::Undo, 0, own).expect("there is a step");
    /// assert_eq!(plan.undoes().direction(), Direction::Undo);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn undoes(&self) -> &Undoes {
        &self.undoes
    }

    /// The changes of the step, from the oldest on.
    ///
    /// ```
    /// # use afield_core::document::{Direction, Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ActorId;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// # let own = |actor: &ActorId| *actor == ActorId::from([1_u8; 16]);
    /// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let plan = document.undo_plan(Direction::Undo, 0, own).expect("there is a step");
    /// assert_eq!(plan.changes(), document.heads());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes(&self) -> &[ChangeHash] {
        &self.changes
    }

    /// Whether the entity was made by the step, so that undoing it means deleting the entity rather than its fields.
    ///
    /// ```
    /// # use afield_core::document::{Direction, Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use automerge::ActorId;
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// # let own = |actor: &ActorId| *actor == ActorId::from([1_u8; 16]);
    /// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let steps = document.undo_steps(own);
    /// let plans = (0..).map_while(|skipped| steps.plan(&document, Direction::Undo, skipped));
    /// let makes: Vec<bool> = plans.map(|plan| plan.makes_entity()).collect();
    /// assert_eq!(makes, [false, true]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn makes_entity(&self) -> bool {
        self.makes_entity
    }
}

impl Undoes {
    /// Whether it takes an undo back.
    ///
    /// ```
    /// use afield_core::document::Undoes;
    ///
    /// let undoes = Undoes::parse("afield:redo 0123456789abcdef..fedcba9876543210").expect("that of a redo");
    /// assert!(undoes.is_redo());
    /// ```
    pub fn is_redo(&self) -> bool {
        self.direction == Direction::Redo
    }

    /// Whether it undoes or redoes.
    ///
    /// ```
    /// use afield_core::document::{Direction, Undoes};
    ///
    /// let undoes = Undoes::parse("afield:undo 0123456789abcdef..fedcba9876543210").expect("that of an undo");
    /// assert_eq!(undoes.direction(), Direction::Undo);
    /// ```
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The first 16 hexadecimal digits of the hash of the first change that is taken back.
    ///
    /// ```
    /// use afield_core::document::Undoes;
    ///
    /// let undoes = Undoes::parse("afield:undo 0123456789abcdef..fedcba9876543210").expect("that of an undo");
    /// assert_eq!(undoes.first(), "0123456789abcdef");
    /// ```
    pub fn first(&self) -> &str {
        &self.first
    }

    /// The first 16 hexadecimal digits of the hash of the last change that is taken back.
    ///
    /// ```
    /// use afield_core::document::Undoes;
    ///
    /// let undoes = Undoes::parse("afield:undo 0123456789abcdef..fedcba9876543210").expect("that of an undo");
    /// assert_eq!(undoes.last(), "fedcba9876543210");
    /// ```
    pub fn last(&self) -> &str {
        &self.last
    }

    /// Reads the message of a change; `None` when it is another message.
    ///
    /// ```
    /// use afield_core::document::Undoes;
    ///
    /// let undoes = Undoes::parse("afield:undo 0123456789abcdef..fedcba9876543210").expect("that of an undo");
    /// assert_eq!(undoes.to_string(), "afield:undo 0123456789abcdef..fedcba9876543210");
    /// assert_eq!(Undoes::parse("it takes a night"), None);
    /// ```
    pub fn parse(message: &str) -> Option<Self> {
        let (direction, names) = match message.strip_prefix(UNDO) {
            Some(names) => (Direction::Undo, names),
            None => (Direction::Redo, message.strip_prefix(REDO)?),
        };
        let (first, last) = names.split_once(TO)?;
        let is_name = |name: &str| name.len() == 2 * NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (first, last) = (first.to_owned(), last.to_owned());
        (is_name(&first) && is_name(&last)).then_some(Self { direction, first, last })
    }
}

impl fmt::Debug for UndoSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndoSteps").finish_non_exhaustive()
    }
}

impl fmt::Display for Undoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Undo => UNDO,
            Direction::Redo => REDO,
        };
        write!(f, "{direction}{}{TO}{}", self.first, self.last)
    }
}

impl Remade {
    fn note(&mut self, actor: ActorId, start_op: u64, max_op: u64) {
        self.0.entry(actor).or_default().push((start_op, max_op));
    }

    fn has(&self, id: &ObjId) -> bool {
        let ObjId::Id(counter, actor, _) = id else { return false };
        let ranges = self.0.get(actor);
        ranges.is_some_and(|ranges| ranges.iter().any(|(start, end)| (start..=end).contains(&counter)))
    }
}

impl Makers<'_> {
    /// Notes an object and those around it, whether they can still be reached or not.
    fn note_way(&mut self, object: &ObjId, way: &mut BTreeSet<ObjId>) {
        let mut next = Some(object.clone());
        while let Some(object) = next
            && way.insert(object.clone())
        {
            next = self.around(&object);
        }
    }

    fn around(&mut self, object: &ObjId) -> Option<ObjId> {
        let ObjId::Id(counter, ..) = object else { return None };
        let maker = self.engine.hash_for_opid(object)?;
        let engine = self.engine;
        let (start_op, objects) = self.known.entry(maker).or_insert_with(|| {
            let change = engine.get_change_by_hash(&maker).map(|change| change.decode());
            change.map_or((0, Vec::new()), |change| {
                (change.start_op.get(), change.operations.iter().map(|operation| object_id(&operation.obj)).collect())
            })
        });
        objects.get(usize::try_from(counter.checked_sub(*start_op)?).ok()?).cloned()
    }
}

fn name(hash: &ChangeHash) -> String {
    hash.to_string().chars().take(2 * NAME_BYTES).collect()
}

/// The object that an operation names.
fn object_id(object: &ObjectId) -> ObjId {
    match object {
        ObjectId::Root => ObjId::Root,
        // The last number is where the engine looks for the actor first.
        ObjectId::Id(id) => ObjId::Id(id.counter(), id.actor().clone(), 0),
    }
}

fn note_touched(change: &automerge::Change, touched: &mut BTreeMap<ObjId, BTreeSet<String>>) {
    for operation in change.decode().operations {
        let keys = touched.entry(object_id(&operation.obj)).or_default();
        if let automerge::legacy::Key::Map(key) = &operation.key {
            keys.insert(key.to_string());
        }
    }
}

/// Whether nothing stands before these heads but what is nobody's: containers that were created for what follows.
fn holds_nobodys_alone(engine: &Automerge, heads: &[ChangeHash]) -> bool {
    let is_nobodys = |change: &automerge::ChangeMetadata<'_>| {
        crate::change::is_derived(change.actor.to_bytes()) && operations_of(change) == 1
    };
    Walk::new(engine, heads.to_vec()).all(|change| is_nobodys(&change))
}
