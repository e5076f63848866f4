//! Identities: references to other entities, spaces and devices.

use super::{Field, scalars::read_id};
use afield_core::{DeviceId, EntityId, SpaceId};
use automerge::ObjId;
use autosurgeon::{HydrateError, Prop, ReadDoc, Reconciler, reconcile::NoKey};
use uuid::Uuid;

/// Written as people and queries see them, with hyphens.
macro_rules! ids {
    ($($type:ty),+) => {$(
        impl Field for $type {
            type Key<'a> = NoKey;

            fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
                let parse = |text: &str| text.parse().ok();
                read_id(document, object, property, stringify!($type), parse, <$type>::from_bytes)
            }

            fn write<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
                reconciler.str(self.to_string())
            }
        }
    )+};
}

ids!(EntityId, SpaceId, DeviceId, Uuid);
