//! What the rest of this module needs of Automerge, in one place.

use automerge::{
    ActorId, Automerge, Change, ChangeHash, ChangeMetadata, LoadOptions, OnPartialLoad, StringMigration, TextEncoding,
    VerificationMode,
};
use std::collections::BTreeMap;

/// The actor of a document nobody is editing; no change ever carries it.
const NOBODY: [u8; 16] = [0; 16];

/// The last sequence of each actor of a document, and how many operations all changes have. An actor's sequences have no
/// gaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sequences {
    last: BTreeMap<ActorId, u64>,
    operations: u64,
}

impl Sequences {
    /// Reads them from the history.
    pub(super) fn of(engine: &Automerge) -> Self {
        let mut sequences = Self::default();
        for change in engine.get_changes_meta(&[]) {
            sequences.note(&change.actor, change.seq, operations_of(&change));
        }
        sequences
    }

    /// Notes one more change.
    pub(super) fn note(&mut self, actor: &ActorId, sequence: u64, operations: u64) {
        self.operations = self.operations.saturating_add(operations);
        match self.last.get_mut(actor) {
            Some(last) => *last = (*last).max(sequence),
            None => {
                self.last.insert(actor.clone(), sequence);
            }
        }
    }

    /// How many operations all changes have.
    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    /// The last sequence of an actor; `None` when the document has no change of it.
    pub(super) fn last(&self, actor: &ActorId) -> Option<u64> {
        self.last.get(actor).copied()
    }

    /// Whether there is no change at all.
    pub(super) fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// How many changes there are.
    pub(super) fn total(&self) -> u64 {
        self.last.values().sum()
    }
}

/// Makes an empty engine that counts positions in code points.
pub(super) fn empty() -> Automerge {
    load(&[]).expect("an empty document needs no bytes")
}

/// Loads a saved document strictly: all of it, heads verified, nothing migrated.
pub(super) fn load(bytes: &[u8]) -> Result<Automerge, automerge::AutomergeError> {
    let options = LoadOptions::new()
        .on_partial_load(OnPartialLoad::Error)
        .verification_mode(VerificationMode::Check)
        .migrate_strings(StringMigration::NoMigration)
        .text_encoding(TextEncoding::UnicodeCodePoint);
    Ok(of_nobody(Automerge::load_with_options(bytes, options)?))
}

/// The document without an actor that edits it.
pub(super) fn of_nobody(engine: Automerge) -> Automerge {
    engine.with_actor(ActorId::from(NOBODY))
}

/// The highest operation number; 0 in an empty document.
pub(super) fn max_op(engine: &Automerge) -> u64 {
    let heads = engine.get_heads();
    heads.iter().filter_map(|head| engine.get_change_meta_by_hash(head)).map(|change| change.max_op).max().unwrap_or(0)
}

/// How many operations a change of the document has.
pub(super) fn operations_of(change: &ChangeMetadata<'_>) -> u64 {
    (change.max_op + 1).saturating_sub(change.start_op)
}

/// Whether the document holds a change.
pub(super) fn holds(engine: &Automerge, hash: &ChangeHash) -> bool {
    engine.get_change_meta_by_hash(hash).is_some()
}

/// Builds the document again without some of its changes, on which no other may depend.
pub(super) fn without(engine: &Automerge, left_out: impl Fn(&ChangeHash) -> bool) -> Automerge {
    let kept: Vec<Change> = engine.get_changes(&[]).into_iter().filter(|change| !left_out(&change.hash())).collect();
    let mut rebuilt = empty();
    rebuilt.apply_changes(kept).expect("changes that the document holds apply to an empty one");
    rebuilt
}

/// Whether the checksum that a chunk carries is that of its hash; Automerge does not check it in single changes.
pub(super) fn checksum_fits(bytes: &[u8], hash: &ChangeHash) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 4..8;
    bytes.get(CHECKSUM).is_some_and(|checksum| hash.0.starts_with(checksum))
}
