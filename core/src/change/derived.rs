//! The reserved actors of derived changes: nobody can put other bytes under one.

use crate::id::EntityId;

const CONTEXT: &[u8] = b"afield derived change 2";
/// What the actor of a derived change begins with. Actors made at random have 16 bytes, so none has this form.
const TAG: [u8; 4] = *b"afd\x02";
/// How many bytes the actor of a derived change has.
pub(crate) const DERIVED_ACTOR_BYTES: usize = 20;

/// Whether an actor has the form that only derived changes may have.
pub(crate) fn is_derived(actor: &[u8]) -> bool {
    actor.len() == DERIVED_ACTOR_BYTES && actor.starts_with(&TAG)
}

/// The actor of the derived change of an entity whose body has these bytes before and after the actor and its length.
///
/// The tag, and the first 16 bytes of BLAKE3 over the context, the entity, what stands before, a zero byte (the length
/// of an empty actor), and what stands after.
pub(crate) fn derived_actor(entity: EntityId, before: &[u8], after: &[u8]) -> [u8; DERIVED_ACTOR_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(CONTEXT).update(entity.as_bytes()).update(before).update(&[0]).update(after);
    let mut actor = [0; DERIVED_ACTOR_BYTES];
    let (tag, hash) = actor.split_at_mut(TAG.len());
    tag.copy_from_slice(&TAG);
    hasher.finalize_xof().fill(hash);
    actor
}
