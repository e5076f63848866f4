//! Conflicts that are decided without a person: a strategy chooses among the values, and a settlement puts what it chose.
//!
//! A settlement is a derived change: devices that hold the same and follow the same strategy make the same bytes. It names the
//! write that it chose, and counts as that write whenever it is in conflict with others: so the newest write stays the newest
//! however many devices have settled on something else before they saw it; and what somebody wrote over a write that a settlement chose
//! stands above both. It puts a value and takes none away, so that two
//! that chose differently leave both values to be decided, and never an empty place.
//!
//! Devices may follow different strategies. Those that follow [`Strategy::Newest`] choose among the writes themselves, of which there
//! are no more than people made, so they come to an end. What a device settles in favour of a side is one deeper than what it
//! settles, and nobody settles anything in favour of a side that is [`SETTLEMENT_DEPTH_MAX`] deep: it is listed then, as where nothing is
//! decided by itself.
//!
//! Settled is a place at which several values stand, all of them scalars, and beside which nobody deleted or kept anything. A deletion takes
//! away what its author knew of, and is no value that could be chosen: beside a value that its author did not know of (be it what a
//! settlement put) it is left to people, whichever came first to a device. The same holds for who kept one of several maps, lists, texts
//! or counters and so deleted what stood beside it. Left to people are also what others write into meanwhile (a map, a list, a text, a
//! counter), what was edited in something that is gone, and the deletion of a whole entity.

use super::standing::scalars_at;
use super::{Conflict, ConflictKind};
use crate::change::is_derived;
use crate::document::attribution::device_of;
use crate::document::edit::Edited;
use crate::document::error::{EditError, OperationError};
use crate::document::value::Value;
use crate::document::{Choice, Document};
use crate::id::DeviceId;
use crate::limits::Limits;
use automerge::{Automerge, ChangeHash};
use std::fmt;
use std::str::FromStr;

/// How often devices with opposing strategies may settle what the other settled before the conflict is left to people.
pub const SETTLEMENT_DEPTH_MAX: u32 = 3;

/// How many values may stand at a place for a strategy to choose among them: more than people write at once, and few enough that whoever
/// writes many of them keeps nobody busy. Beside more it is left to people.
const CLAIMS_MAX: usize = 64;

/// What the message of a settlement begins with; its depth and the hash of the write that it chose follow.
const MESSAGE: &str = "afield settled ";

/// How the conflicts of a collection, or of a field, are decided.
///
/// ```
/// use afield_core::document::strategy::Strategy;
///
/// assert_eq!(Strategy::default(), Strategy::Merge); // and the conflict is listed
/// let chosen: Strategy = "newest".parse().expect("one of the names");
/// assert!(chosen.settles()); // nobody is asked
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Strategy {
    /// What Automerge shows stands, and the conflict is listed until a person decides.
    #[default]
    Merge,
    /// The same, and marked as waiting for a person. Strategies are each device's own: another device that decides such a conflict by itself
    /// decides it for all, so an app that leaves a field to people declares it on every device.
    Manual,
    /// The value with the latest time, by the clocks of those who wrote; of several the one with the greatest hash.
    Newest,
    /// What the device wrote that follows the strategy, where it wrote at all.
    PreferThis,
    /// What others wrote, and of that the newest, where the device that follows the strategy wrote, too.
    PreferOther,
}

/// The text is not the name of a strategy.
///
/// ```
/// use afield_core::document::strategy::{ParseStrategyError, Strategy};
///
/// assert_eq!("loudest".parse::<Strategy>(), Err(ParseStrategyError));
/// assert!(ParseStrategyError.to_string().contains("newest")); // its text names those that there are
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a strategy is one of merge, manual, newest, prefer_this and prefer_other")]
pub struct ParseStrategyError;

impl Strategy {
    /// All of them.
    ///
    /// ```
    /// use afield_core::document::strategy::Strategy;
    ///
    /// let names: Vec<_> = Strategy::ALL.iter().map(|strategy| strategy.name()).collect();
    /// assert_eq!(names, ["merge", "manual", "newest", "prefer_this", "prefer_other"]);
    /// ```
    pub const ALL: [Self; 5] = [Self::Merge, Self::Manual, Self::Newest, Self::PreferThis, Self::PreferOther];

    /// Its name, which stays from version to version.
    ///
    /// ```
    /// use afield_core::document::strategy::Strategy;
    ///
    /// assert_eq!(Strategy::PreferThis.name(), "prefer_this");
    /// assert_eq!("prefer_this".parse(), Ok(Strategy::PreferThis));
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Manual => "manual",
            Self::Newest => "newest",
            Self::PreferThis => "prefer_this",
            Self::PreferOther => "prefer_other",
        }
    }

    /// Whether it decides anything by itself.
    ///
    /// ```
    /// use afield_core::document::strategy::Strategy;
    ///
    /// assert!(Strategy::Newest.settles());
    /// assert!(!Strategy::Manual.settles());
    /// ```
    pub const fn settles(self) -> bool {
        matches!(self, Self::Newest | Self::PreferThis | Self::PreferOther)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Strategy {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == text).ok_or(ParseStrategyError)
    }
}

/// What a strategy decides about a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    conflict: Conflict,
    value: Value,
    message: String,
}

impl Settlement {
    /// The conflict that it decides.
    ///
    /// ```
    /// # use afield_core::document::strategy::Strategy;
    /// # use afield_core::document::{Document, EditContext, Incoming};
    /// # use afield_core::{DeviceId, EntityId, Limits, Now};
    /// # let entity = EntityId::from_bytes([7; 16]);
    /// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
    /// # let by = |actor: u8| {
    /// #     let now = Now { wall_ms: 1_000 * i64::from(actor), monotonic_ms: 0 };
    /// #     EditContext::new([actor; 16].into(), now)
    /// # };
    /// # document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// # other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Journey"))?;
    /// # let changes = other.changes_since(&[]);
    /// # let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    /// # document.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// # let device = DeviceId::from_bytes([1; 16]);
    /// let conflict = document.conflicts().remove(0);
    /// let settlement = document.settlement(&conflict, Strategy::Newest, device).expect("one of the two is newer");
    /// assert_eq!(settlement.conflict(), &conflict);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn conflict(&self) -> &Conflict {
        &self.conflict
    }
}

impl Document {
    /// What a strategy decides about a conflict of this document on a device; `None` where that is left to people.
    ///
    /// ```
    /// # use afield_core::document::strategy::Strategy;
    /// # use afield_core::document::{Document, EditContext, Incoming};
    /// # use afield_core::{DeviceId, EntityId, Limits, Now};
    /// # let entity = EntityId::from_bytes([7; 16]);
    /// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
    /// # let by = |actor: u8| {
    /// #     let now = Now { wall_ms: 1_000 * i64::from(actor), monotonic_ms: 0 };
    /// #     EditContext::new([actor; 16].into(), now)
    /// # };
    /// # document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// # other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Journey"))?;
    /// # let changes = other.changes_since(&[]);
    /// # let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    /// # document.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// # let device = DeviceId::from_bytes([1; 16]);
    /// let conflict = document.conflicts().remove(0);
    /// assert!(document.settlement(&conflict, Strategy::Newest, device).is_some());
    /// assert!(document.settlement(&conflict, Strategy::Manual, device).is_none(), "left to people");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn settlement(&self, conflict: &Conflict, strategy: Strategy, device: DeviceId) -> Option<Settlement> {
        // Whoever deleted or kept something beside what stands has taken something away, and is a side without an operation or none.
        let is_of_puts = conflict.gone.is_empty() && conflict.values.iter().all(|side| side.operation.is_some());
        if !strategy.settles() || conflict.kind != ConflictKind::Values || !is_of_puts {
            return None;
        }
        let claims = claims(self.automerge(), conflict)?;
        let deepest = claims.iter().map(|claim| claim.depth).max()?;
        let is_own = |claim: &&Claim| claim.device == Some(device);
        let chosen = match strategy {
            Strategy::Merge | Strategy::Manual => None,
            Strategy::Newest => claims.iter().max_by_key(|claim| claim.rank()),
            Strategy::PreferThis => claims.iter().filter(is_own).max_by_key(|claim| claim.rank()),
            // What is settled for a side already was this device's affair, or that of another one that is followed by this strategy.
            Strategy::PreferOther if !claims.iter().any(|claim| is_own(&claim) || claim.depth > 0) => None,
            Strategy::PreferOther => claims.iter().filter(|claim| !is_own(claim)).max_by_key(|claim| claim.rank()),
        }?;
        let depth = match strategy {
            Strategy::Newest => deepest,
            _ if deepest < SETTLEMENT_DEPTH_MAX => deepest + 1,
            _ => return None,
        };
        let message = format!("{MESSAGE}{depth} {}", chosen.write);
        Some(Settlement { conflict: conflict.clone(), value: chosen.value.clone(), message })
    }

    /// Decides a conflict as a strategy says, by a derived change.
    ///
    /// ```
    /// # use afield_core::document::strategy::Strategy;
    /// # use afield_core::document::{Document, EditContext, Incoming};
    /// # use afield_core::{DeviceId, EntityId, Limits, Now};
    /// # let entity = EntityId::from_bytes([7; 16]);
    /// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
    /// # let by = |actor: u8| {
    /// #     let now = Now { wall_ms: 1_000 * i64::from(actor), monotonic_ms: 0 };
    /// #     EditContext::new([actor; 16].into(), now)
    /// # };
    /// # document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// # other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Journey"))?;
    /// # let changes = other.changes_since(&[]);
    /// # let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    /// # document.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// # let device = DeviceId::from_bytes([1; 16]);
    /// let conflict = document.conflicts().remove(0);
    /// let settlement = document.settlement(&conflict, Strategy::Newest, device).expect("one of the two is newer");
    /// document.settle(&settlement, &Limits::DEFAULT)?;
    /// assert_eq!(document.read_at("title")?, Some("Journey".into()));
    /// assert!(document.conflicts().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Edit::resolve`](super::super::Edit::resolve).
    ///
    /// # Panics
    ///
    /// As [`Document::edit_derived`].
    pub fn settle(
        &mut self,
        settlement: &Settlement,
        limits: &Limits,
    ) -> Result<Edited<()>, EditError<OperationError>> {
        let Settlement { conflict, value, message } = settlement;
        self.edit_derived(limits, |edit| {
            edit.set_message(message);
            edit.resolve(conflict, &Choice::Value(value.clone()))
        })
    }

    /// The write that a change of this document chose, where the change is a settlement.
    ///
    /// ```
    /// # use afield_core::document::strategy::Strategy;
    /// # use afield_core::document::{Document, EditContext, Incoming};
    /// # use afield_core::{DeviceId, EntityId, Limits, Now};
    /// # let entity = EntityId::from_bytes([7; 16]);
    /// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
    /// # let by = |actor: u8| {
    /// #     let now = Now { wall_ms: 1_000 * i64::from(actor), monotonic_ms: 0 };
    /// #     EditContext::new([actor; 16].into(), now)
    /// # };
    /// # document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// # other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Journey"))?;
    /// # let changes = other.changes_since(&[]);
    /// # let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    /// # document.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// # let device = DeviceId::from_bytes([1; 16]);
    /// let conflict = document.conflicts().remove(0);
    /// let settlement = document.settlement(&conflict, Strategy::Newest, device).expect("one of the two is newer");
    /// let settled = document.settle(&settlement, &Limits::DEFAULT)?;
    /// let chosen = document.settled_write(&settled.changes[0].hash);
    /// assert_eq!(chosen, Some(other.heads()[0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn settled_write(&self, change: &ChangeHash) -> Option<ChangeHash> {
        settled(self.automerge(), change).map(|(_, write)| write)
    }
}

/// What a write says about a place.
struct Claim {
    /// What it put there.
    value: Value,
    /// The write, by itself or as the settlement names it that chose it.
    write: ChangeHash,
    time_ms: i64,
    device: Option<DeviceId>,
    /// How many settlements in favour of a side led to it.
    depth: u32,
    is_settled: bool,
}

impl Claim {
    fn new(engine: &Automerge, value: Value, change: ChangeHash) -> Option<Self> {
        let settled = settled(engine, &change);
        let ((depth, write), is_settled) = (settled.unwrap_or((0, change)), settled.is_some());
        let written = engine.get_change_meta_by_hash(&write)?;
        Some(Self { value, write, time_ms: written.timestamp, device: device_of(&written.actor), depth, is_settled })
    }

    fn rank(&self) -> (i64, ChangeHash) {
        (self.time_ms, self.write)
    }
}

/// What the writes say that a conflict is about; `None` where others may be writing into one of the values, or one does not even
/// equal itself: what may be the value of a mark is what can be decided.
fn claims(engine: &Automerge, conflict: &Conflict) -> Option<Vec<Claim>> {
    let mut claims = Vec::new();
    // Equal scalars are one side, and may be of writes that rank differently.
    for (value, operation) in scalars_at(engine, &conflict.register).filter(|scalars| scalars.len() <= CLAIMS_MAX)? {
        let change = engine.hash_for_opid(&operation.object())?;
        claims.push(Claim::new(engine, value, change)?);
    }
    let is_past =
        |claim: &Claim| claim.is_settled && claims.iter().any(|other| knows(engine, &other.write, &claim.write));
    let past: Vec<bool> = claims.iter().map(is_past).collect();
    Some(claims.into_iter().zip(past).filter(|(_, is_past)| !is_past).map(|(claim, _)| claim).collect())
}

/// Whether who made a change knew of an earlier write, and so wrote over it: what others settled on that does not stand beside it.
fn knows(engine: &Automerge, change: &ChangeHash, write: &ChangeHash) -> bool {
    change != write && !engine.get_changes_meta(&[*change]).iter().any(|unknown| unknown.hash == *write)
}

/// The depth of a settlement, and the write that it chose; `None` for every other change.
fn settled(engine: &Automerge, change: &ChangeHash) -> Option<(u32, ChangeHash)> {
    let made = engine.get_change_meta_by_hash(change)?;
    let message = made.message.as_ref().filter(|_| is_derived(made.actor.to_bytes()))?.to_string();
    let (depth, write) = message.strip_prefix(MESSAGE)?.split_once(' ')?;
    let write = write.parse().ok()?;
    // Whoever may write may write a message like that of something that is not here, which names no time.
    engine.get_change_meta_by_hash(&write)?;
    Some((depth.parse().ok()?, write))
}

#[cfg(test)]
mod tests;
