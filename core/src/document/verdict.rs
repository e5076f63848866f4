//! What becomes of a change that came from elsewhere.

use automerge::ChangeHash;

/// The version of the rules by which verdicts are given.
///
/// A verdict is stored with the version that gave it, and a quarantined change is tried again under a newer one.
pub const VERDICT_RULES: u16 = 1;

/// What became of one incoming change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is part of the document now.
    Applied,
    /// It was part of the document already.
    Held,
    /// It needs changes that the document does not hold. It was not applied and is to be tried again.
    Waiting {
        /// Those of its dependencies that the document does not hold.
        missing: Vec<ChangeHash>,
    },
    /// Nothing is known of it yet: the call had done as much as one call does. It is to be handed in again, as it was.
    Undecided,
    /// It will not become part of the document under these rules. Its bytes are kept.
    Quarantined(QuarantineReason),
}

/// Why a change is kept out of the document.
///
/// All reasons up to [`QuarantineReason::ActorForked`] follow from the change and the changes it depends on alone, so
/// every device finds the same (invariant D7); which of two forked changes stays is decided by the log. The last four
/// are the engine's own behaviour on content that no rule before it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum QuarantineReason {
    /// The bytes are not a change.
    #[error("the bytes are not a well-formed change")]
    Malformed,
    /// The chunk is of another kind, or compressed: a change travels as it was hashed.
    #[error("the chunk is not an uncompressed change")]
    NotAChange,
    /// The bytes have another hash or checksum than they claim.
    #[error("the bytes do not have the hash they claim")]
    WrongHash,
    /// The change is larger than a change may be.
    #[error("the change is too large")]
    TooLarge,
    /// The change has more operations than a change may have.
    #[error("the change has too many operations")]
    TooManyOperations,
    /// The change names more dependencies than a change may.
    #[error("the change names too many dependencies")]
    TooManyDependencies,
    /// The actor is reserved for a derived change with other bytes, or of another entity.
    #[error("the change is derived and has the wrong actor")]
    WrongActor,
    /// The change claims a time that no calendar has.
    #[error("the time of the change is out of range")]
    TimeOutOfRange,
    /// The change names its author, which only the first change of an actor may.
    #[error("the change names an author and is not the first of its actor")]
    MisplacedAuthor,
    /// An operation is of an unknown kind, or its parts contradict each other.
    #[error("an operation of the change is not well formed")]
    BadOperation,
    /// The first operation is not numbered above all operations that the change depends on.
    #[error("the first operation is numbered too low")]
    StartOpTooLow,
    /// The operations are numbered too far above those that the change depends on.
    #[error("the operations are numbered too high")]
    StartOpTooHigh,
    /// The change does not depend on the one before it of the same actor.
    #[error("the change does not follow its actor's change before")]
    SequenceGap,
    /// An operation refers to one that the change does not depend on.
    #[error("an operation refers to something that the change does not depend on")]
    UnknownReference,
    /// An operation does not fit the type of the object it works on.
    #[error("an operation does not fit its object")]
    WrongObject,
    /// An object would stand too deep.
    #[error("an object nests too deep")]
    TooDeep,
    /// Another change has this actor and sequence.
    #[error("another change has the same actor and sequence")]
    ActorForked,
    /// The engine refused the change.
    #[error("the engine refused the change")]
    Rejected,
    /// The engine panicked on the change.
    #[error("the engine panicked on the change")]
    Panicked,
    /// The engine did not give back the same bytes.
    #[error("the engine does not give the change back as it came")]
    ReadBackDiffers,
    /// A document with the change does not load after it was saved.
    #[error("a document with the change cannot be saved and loaded")]
    PoisonsSave,
}

/// What became of incoming changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "changes that are not applied have to be filed as waiting or quarantined"]
pub struct Applied {
    /// A verdict for each incoming change, in their order.
    pub verdicts: Vec<Verdict>,
    /// The heads before.
    pub before: Vec<ChangeHash>,
    /// The heads after.
    pub after: Vec<ChangeHash>,
    /// Changes of earlier calls that are not part of the document any more, with their new verdicts.
    pub revoked: Vec<Revoked>,
    /// How many changes were redone as edits and not merged by the engine.
    pub replayed: usize,
}

/// A change that had been applied and was taken out again, since a document with it cannot be saved and loaded.
///
/// It is filed anew under its verdict: quarantined when it is the cause, waiting when it depends on one that is, and
/// undecided when it is to be handed in again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The change.
    pub hash: ChangeHash,
    /// What became of it.
    pub verdict: Verdict,
}

/// The document saw a panic inside an edit and has to be loaded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the document saw a panic and has to be loaded again")]
pub struct Poisoned;
