//! Who made a change, when, and on which device.
//!
//! No change repeats what its actor says already: an actor names its device, and the author stands in the first change
//! that the actor made in the document, in the engine's own author footer. So a keystroke costs nothing more for being
//! attributed. None of it is proven: whoever may write may write any name.

use super::Document;
use crate::change::is_derived;
use crate::change::leb::write_unsigned;
use crate::id::DeviceId;
use crate::time::{Entropy, random_bytes};
use automerge::{ActorId, Author, Automerge, ChangeHash, ChangeMetadata};
use std::collections::BTreeSet;

/// How many bytes of an actor tell one opening of a device's store from all others (invariant D6).
const OPENING_BYTES: usize = 8;
/// The device's identity, and the opening.
const ACTOR_BYTES: usize = 16 + OPENING_BYTES;

/// The largest name of an author, in bytes: that of a person with an address beside it, with room to spare. Each entity that
/// the author edits holds it once for every opening of the store.
pub const AUTHOR_BYTES_MAX: usize = 256;

/// Who made a change, when, and on which device.
///
/// ```
/// # use afield_core::document::{Document, EditContext, fresh_actor};
/// # use afield_core::{DeviceId, EntityId, Entropy, Limits, Now};
/// # struct Sevens;
/// # impl Entropy for Sevens { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(7) } }
/// # let device = DeviceId::from_bytes([3; 16]);
/// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
/// # let by = EditContext { author: Some("Ada".into()), ..EditContext::new(fresh_actor(device, &mut Sevens), now) };
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// let change = document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
/// let attribution = document.attribution(&change).expect("the document has the change");
/// assert_eq!((attribution.author.as_deref(), attribution.device), (Some("Ada"), Some(device)));
/// assert_eq!((attribution.at_ms, attribution.message), (1_767_225_600_000, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// The change's actor.
    pub actor: ActorId,
    /// The device, where the actor is one that a device makes for itself. Those of changes that are the same on every
    /// device, and those of other programs, name none.
    pub device: Option<DeviceId>,
    /// The author's name, where the device had been told one.
    pub author: Option<String>,
    /// What the author wrote about the change.
    pub message: Option<String>,
    /// When, by the device's clock, in milliseconds since the Unix epoch; 0 in changes that are the same on every device.
    pub at_ms: i64,
}

/// Makes the actor under which one opening of a device's store writes.
///
/// ```
/// # use afield_core::document::{device_of, fresh_actor};
/// # use afield_core::{DeviceId, Entropy};
/// # struct Zeros;
/// # impl Entropy for Zeros {
/// #     fn fill(&mut self, bytes: &mut [u8]) {
/// #         bytes.fill(0);
/// #     }
/// # }
/// # let mut entropy = Zeros;
/// let device = DeviceId::from_bytes([3; 16]);
/// let actor = fresh_actor(device, &mut entropy);
/// assert_eq!(device_of(&actor), Some(device));
/// ```
pub fn fresh_actor(device: DeviceId, entropy: &mut (impl Entropy + ?Sized)) -> ActorId {
    let mut bytes = device.as_bytes().to_vec();
    bytes.extend_from_slice(&random_bytes::<OPENING_BYTES>(entropy));
    ActorId::from(bytes)
}

/// The device that an actor names, as [`fresh_actor`] makes them: by the length alone.
///
/// ```
/// # use afield_core::DeviceId;
/// # use afield_core::document::device_of;
/// # use automerge::ActorId;
/// assert_eq!(device_of(&ActorId::from([3_u8; 24])), Some(DeviceId::from_bytes([3; 16])));
/// assert_eq!(device_of(&ActorId::from([3_u8; 16])), None, "the actor of another program");
/// ```
pub fn device_of(actor: &ActorId) -> Option<DeviceId> {
    let bytes = actor.to_bytes();
    let device = bytes.first_chunk::<16>().filter(|_| bytes.len() == ACTOR_BYTES)?;
    Some(DeviceId::from_bytes(*device))
}

/// An author as the engine keeps it.
pub(super) fn engine_author(name: &str) -> Author<'static> {
    Author::from(name.as_bytes().to_vec())
}

/// The extra bytes of a change that names its author, as the engine writes them in an actor's first change.
pub(super) fn author_footer(name: Option<&str>) -> Vec<u8> {
    const AUTHOR: u8 = 1;
    let Some(name) = name else { return Vec::new() };
    let mut footer = vec![AUTHOR];
    write_unsigned(&mut footer, name.len() as u64);
    footer.extend_from_slice(name.as_bytes());
    footer
}

/// Reads who made a change of the document.
pub(super) fn of_change(engine: &Automerge, change: &ChangeMetadata<'_>) -> Attribution {
    let actor = change.actor.clone().into_owned();
    let author = engine.get_author_for_actor(&actor);
    Attribution {
        device: device_of(&actor),
        author: author.and_then(|author| String::from_utf8(author.as_bytes().to_vec()).ok()),
        message: change.message.as_ref().map(ToString::to_string).filter(|message| !message.is_empty()),
        at_ms: change.timestamp,
        actor,
    }
}

impl Document {
    /// Tells who made a change, when, and on which device; `None` when the document does not hold the change.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{ChangeHash, EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// let edited = document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// let made = document.attribution(&edited.changes[0].hash).expect("the document holds it");
    /// assert_eq!((made.at_ms, made.author), (1_700_000_000_000, None));
    /// assert_eq!(document.attribution(&ChangeHash([0; 32])), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn attribution(&self, change: &ChangeHash) -> Option<Attribution> {
        let engine = self.automerge();
        Some(of_change(engine, &engine.get_change_meta_by_hash(change)?))
    }

    /// When somebody last changed the document, by the clocks of those who did, in milliseconds since the Unix epoch; 0 where nobody
    /// has. A change that every device makes alike has no time, and stands for what it follows.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// assert_eq!(document.changed_ms(), 0);
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// assert_eq!(document.changed_ms(), 1_700_000_000_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn changed_ms(&self) -> i64 {
        let engine = self.automerge();
        let (mut latest, mut next, mut seen) = (0, self.heads(), BTreeSet::new());
        while let Some(hash) = next.pop() {
            let Some(change) = engine.get_change_meta_by_hash(&hash).filter(|_| seen.insert(hash)) else { continue };
            if is_derived(change.actor.to_bytes()) {
                next.extend(change.deps.iter().copied());
            }
            latest = latest.max(change.timestamp);
        }
        latest
    }
}

#[cfg(test)]
mod tests;
