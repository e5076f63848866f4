//! What the tests of this module share.

// Built outside of tests too, for those of other crates, which need a part of it.
#![cfg_attr(not(test), allow(dead_code))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::time::Now;
use automerge::ActorId;

pub(super) const ENTITY: EntityId = EntityId::from_bytes([9; 16]);

pub(super) fn by(actor: u8) -> EditContext {
    let now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };
    EditContext::new(ActorId::from([actor; 16]), now)
}

pub(super) fn edit(
    document: &mut Document,
    actor: u8,
    closure: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
) -> Vec<LocalChange> {
    document.edit(&by(actor), &Limits::DEFAULT, closure).unwrap().changes
}

pub(super) fn deliver(to: &mut Document, changes: &[LocalChange]) -> Vec<Verdict> {
    let incoming: Vec<_> = changes.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes }).collect();
    to.apply_guarded(&incoming, &Limits::DEFAULT).unwrap().verdicts
}
