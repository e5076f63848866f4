//! What can be wrong with what an operation was asked for, beside the storage.

use super::StoreError;
use afield_core::wire::Class;
use afield_core::{ChangeHash, Collection, Cursor, EntityId, LogId, Sequence, SpaceId};

macro_rules! operation_error {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),+ })?, $class:ident, $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* #[error($text)] $variant $({ $($(#[$field_doc])* $field: $type),+ })?,)*
            /// The storage failed.
            #[error(transparent)]
            Store(#[from] StoreError),
        }

        impl $name {
            /// What to do about it.
            ///
            /// ```
            /// use afield_core::wire::Class;
            #[doc = concat!("use afield_store::{", stringify!($name), ", StoreError};")]
            ///
            #[doc = concat!("assert_eq!(", stringify!($name), "::from(StoreError::Poisoned).class(), Class::Retry); // after a reload")]
            /// ```
            pub fn class(&self) -> Class {
                match self {
                    $(Self::$variant { .. } => Class::$class,)*
                    Self::Store(error) => error.class(),
                }
            }

            /// A name that stays the same from version to version.
            ///
            /// ```
            #[doc = concat!("use afield_store::{", stringify!($name), ", StoreError};")]
            ///
            #[doc = concat!("assert_eq!(", stringify!($name), "::from(StoreError::Closed).code(), \"store.closed\");")]
            /// ```
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)*
                    Self::Store(error) => error.code(),
                }
            }
        }
    };
}

operation_error! {
    /// A space could not be created or changed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_core::SpaceId;
    /// # let mut store = afield_store::Store::open_in_memory(&afield_store::OpenOptions::default())?;
    /// use afield_store::{SpaceError, Unsent};
    ///
    /// let space = SpaceId::from_bytes([7; 16]);
    /// let error = store.leave_space(space, Unsent::Keep).unwrap_err();
    /// assert!(matches!(error, SpaceError::UnknownSpace { space: unknown } if unknown == space));
    /// # Ok(())
    /// # }
    /// ```
    SpaceError {
        /// The store has no such space.
        UnknownSpace {
            /// The space.
            space: SpaceId
        }, Permanent, "space.unknown", "the store has no space {space}";
        /// The space has changes that no relay is known to hold.
        UnsentChanges {
            /// The space.
            space: SpaceId,
            /// How many.
            changes: u64
        }, Permanent, "space.unsent", "the space {space} has what is on no relay yet (changes: {changes}); sync first, or discard it";
        /// The relay serves the space no longer, and what is here may be nowhere else.
        OnlyCopy {
            /// The space.
            space: SpaceId,
            /// How many changes.
            changes: u64
        }, Permanent, "space.only_copy", "the relay has no space {space} for this device any more, and what is here may be the only copy (changes: {changes}); export it, or discard it";
        /// The store has the space already.
        SpaceExists {
            /// The space.
            space: SpaceId
        }, Permanent, "space.exists", "the store already has the space {space}";
        /// The space follows another log; only a reset leaves it.
        OtherLog {
            /// The log that the cursor names.
            stored: LogId
        }, Retry, "space.other_log", "the space follows the log {stored}; only a reset leaves it";
    }
}

operation_error! {
    /// The direction of a collection could not be stored.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_core::SpaceId;
    /// # use afield_core::policy::Direction;
    /// # let mut store = afield_store::Store::open_in_memory(&afield_store::OpenOptions::default())?;
    /// use afield_store::DirectionError;
    ///
    /// let nowhere = SpaceId::from_bytes([7; 16]);
    /// let error = store.set_direction(nowhere, &"drafts".parse()?, Direction::LocalOnly, false).unwrap_err();
    /// assert!(matches!(error, DirectionError::UnknownSpace { space } if space == nowhere));
    /// # Ok(())
    /// # }
    /// ```
    DirectionError {
        /// The store has no such space.
        UnknownSpace {
            /// The space.
            space: SpaceId
        }, Permanent, "space.unknown", "the store has no space {space}";
        /// Too many collections are not asked for.
        TooMany {
            /// Of how many collections nothing may be asked for.
            maximum: u64
        }, Permanent, "direction.too_many", "at most {maximum} collections of a space take nothing from the relay; name what is wanted in the filter instead";
    }
}

operation_error! {
    /// A filter could not be stored.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_core::{Filter, SpaceId};
    /// # let mut store = afield_store::Store::open_in_memory(&afield_store::OpenOptions::default())?;
    /// use afield_store::FilterError;
    ///
    /// let nowhere = SpaceId::from_bytes([7; 16]);
    /// let error = store.set_filter(nowhere, &Filter::Everything, false).unwrap_err();
    /// assert!(matches!(error, FilterError::UnknownSpace { space } if space == nowhere));
    /// # Ok(())
    /// # }
    /// ```
    FilterError {
        /// The store has no such space.
        UnknownSpace {
            /// The space.
            space: SpaceId
        }, Permanent, "space.unknown", "the store has no space {space}";
        /// More is named one by one than a filter may name.
        TooLong {
            /// How many entities a filter may name.
            maximum: u64
        }, Permanent, "filter.too_long", "a filter names at most {maximum} entities and 256 collections; name the collection of the entities instead";
    }
}

operation_error! {
    /// Changes could not be appended.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now, SpaceId};
    /// # use afield_store::{Arrival, EntityWrite, NewChange, OpenOptions, Store};
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let entity = EntityId::from_bytes([1; 16]);
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 0, monotonic_ms: 0 });
    /// # let changes = Document::new(entity).edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Milk"))?.changes;
    /// # let changes = [NewChange { hash: changes[0].hash, bytes: &changes[0].bytes, arrival: Arrival::Received }];
    /// use afield_store::AppendError;
    ///
    /// let nowhere = SpaceId::from_bytes([7; 16]); // a space that was left meanwhile
    /// let collection = "notes".parse()?;
    /// let write = EntityWrite { space: nowhere, entity, collection: &collection, changes: &changes, projection: None };
    /// let error = store.append(&[write], 0).unwrap_err();
    /// assert!(matches!(error, AppendError::UnknownSpace { space } if space == nowhere));
    /// # Ok(())
    /// # }
    /// ```
    AppendError {
        /// The store has no such space.
        UnknownSpace {
            /// The space.
            space: SpaceId
        }, Permanent, "space.unknown", "the store has no space {space}";
        /// The entity lives in another space.
        OtherSpace {
            /// The entity.
            entity: EntityId,
            /// Where it lives.
            space: SpaceId
        }, Permanent, "entity.other_space", "the entity {entity} lives in the space {space}";
        /// The entity is in another collection.
        OtherCollection {
            /// The entity.
            entity: EntityId,
            /// Its collection.
            collection: Collection
        }, Permanent, "entity.other_collection", "the entity {entity} is in the collection {collection}";
        /// The entity was purged.
        Purged {
            /// The entity.
            entity: EntityId
        }, Permanent, "entity.purged", "the entity {entity} was purged for good: nothing of it is stored any more; make a new one";
    }
}

operation_error! {
    /// Entities could not be purged.
    PurgeError {
        /// The store has no such space.
        UnknownSpace {
            /// The space.
            space: SpaceId
        }, Permanent, "space.unknown", "the store has no space {space}";
        /// The store has no such entity.
        UnknownEntity {
            /// The entity.
            entity: EntityId
        }, Permanent, "entity.unknown", "the store has no entity {entity}";
        /// The entity lives in another space.
        OtherSpace {
            /// The entity.
            entity: EntityId,
            /// Where it lives.
            space: SpaceId
        }, Permanent, "entity.other_space", "the entity {entity} lives in the space {space}";
        /// This device may only read the space: nothing was purged.
        ReadOnly {
            /// The space.
            space: SpaceId
        }, Permanent, "purge.read_only", "this device may only read the space {space}, so the relay would not take a purge from it; ask somebody who may write to it";
        /// The collection only comes in: nothing was purged.
        OnlyComesIn {
            /// The space.
            space: SpaceId,
            /// The collection.
            collection: Collection
        }, Permanent, "purge.only_comes_in", "{collection} of the space {space} only come in here, so nobody would be told of a purge; purge on a device that sends them, or let them go both ways";
    }
}

operation_error! {
    /// A run of the log could not be stored.
    ReceiveError {
        /// The store has no such space.
        UnknownSpace {
            /// The space.
            space: SpaceId
        }, Permanent, "space.unknown", "the store has no space {space}";
        /// The cursor is not the one that the run follows (D3): nothing was stored.
        CursorMoved {
            /// The cursor of the store.
            stored: Option<Cursor>
        }, Retry, "receive.cursor_moved", "the run does not follow the cursor of the store";
        /// The run does not name every sequence up to its end (D3): nothing was stored.
        Gap {
            /// The first sequence that is not named.
            sequence: Sequence
        }, Retry, "receive.gap", "the run says nothing about sequence {sequence}";
        /// Something in the run stands outside of it: nothing was stored.
        OutOfRun {
            /// Its sequence.
            sequence: Sequence
        }, Retry, "receive.out_of_run", "sequence {sequence} is not part of the run";
        /// The run calls a change known that the store does not hold, so the cursor may not pass it (D2).
        NotHeld {
            /// The entity.
            entity: EntityId,
            /// The change.
            hash: ChangeHash,
            /// Where it stands.
            sequence: Sequence
        }, Retry, "receive.not_held", "the store does not hold the change at sequence {sequence} that the run calls known";
    }
}

operation_error! {
    /// Changes could not be marked.
    MarkError {
        /// The store has no such space.
        UnknownSpace {
            /// The space.
            space: SpaceId
        }, Permanent, "space.unknown", "the store has no space {space}";
        /// The cursor has not reached that sequence, so nothing proves that the log will keep it (D5).
        AboveCursor {
            /// The sequence.
            sequence: Sequence
        }, Retry, "mark.above_cursor", "sequence {sequence} is above the cursor of the space";
    }
}

operation_error! {
    /// An entity could not be changed.
    EntityError {
        /// The store has no such entity.
        UnknownEntity {
            /// The entity.
            entity: EntityId
        }, Permanent, "entity.missing", "the store has no entity {entity}";
        /// The store does not hold that change of the entity.
        UnknownChange {
            /// The entity.
            entity: EntityId,
            /// The change.
            hash: ChangeHash
        }, Permanent, "entity.unknown_change", "the store does not hold this change of the entity {entity}";
        /// The document that was saved holds another number of changes than the store has applied ones.
        SnapshotDiffers {
            /// How many the snapshot holds.
            snapshot: u64,
            /// How many the store has as applied.
            stored: u64
        }, Retry, "entity.snapshot_differs", "the snapshot holds {snapshot} changes and the store has applied {stored}";
        /// The change stands in the entity's snapshot, which alone holds others: it cannot leave the document.
        Covered {
            /// The entity.
            entity: EntityId,
            /// The change.
            hash: ChangeHash
        }, Retry, "entity.covered", "change {hash} of the entity {entity} stands in a snapshot that holds others alone; load the entity anew";
    }
}

operation_error! {
    /// A snapshot may not take the place of the changes that it stands for. They stay.
    SnapshotError {
        /// There is no such entity, or no snapshot of it.
        Missing {
            /// The entity.
            entity: EntityId
        }, Retry, "snapshot.missing", "there is no snapshot of the entity {entity}";
        /// It does not load.
        DoesNotLoad {
            /// The entity.
            entity: EntityId
        }, Permanent, "snapshot.does_not_load", "the snapshot of the entity {entity} does not load";
        /// It has other heads than when it was saved.
        HeadsDiffer {
            /// The entity.
            entity: EntityId
        }, Permanent, "snapshot.heads_differ", "the snapshot of the entity {entity} has other heads than when it was saved";
        /// A change that it stands for is not in it.
        ChangeMissing {
            /// The entity.
            entity: EntityId,
            /// The change.
            hash: ChangeHash
        }, Permanent, "snapshot.change_missing", "change {hash} is not in the snapshot of the entity {entity}";
        /// A change is other bytes in it.
        ChangeDiffers {
            /// The entity.
            entity: EntityId,
            /// The change.
            hash: ChangeHash
        }, Permanent, "snapshot.change_differs", "change {hash} is other bytes in the snapshot of the entity {entity}";
        /// It holds changes that were not applied up to where it stands.
        HoldsOthers {
            /// The entity.
            entity: EntityId
        }, Permanent, "snapshot.holds_others", "the snapshot of the entity {entity} holds changes that it does not stand for";
    }
}
