//! The names of errors, for programs: `area.what`, and never changed once released.

use super::{
    AutomergeFileError, ConnectError, EditError, FetchError, FilterError, LineProblem, ReadError, ReplicaError,
    SpaceError, SyncError, TransferError,
};
use crate::driver::{DriverError, EditFailure, EntityError};
use crate::write::WaitError;
use afield_core::wire::Class;
use std::io;

impl ReplicaError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(error) => error.code(),
            Self::Driver(error) => error.code(),
        }
    }
}

impl DriverError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Receive(error) => error.code(),
            Self::Space(error) => error.code(),
            Self::Mark(error) => error.code(),
            Self::Entity(error) => error.code(),
            Self::Reload(error) => error.code(),
        }
    }
}

impl EntityError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "entity.missing",
            Self::OtherSpace { .. } => "entity.other_space",
            Self::NotHere { .. } => "entity.not_here",
            Self::NotYet { .. } => "entity.not_yet",
            Self::Busy { .. } => "entity.busy",
            Self::Purged { .. } => "entity.purged",
            Self::Nested => "transaction.nested",
            Self::OtherCollection { .. } => "entity.other_collection",
            Self::Damaged { .. } => "entity.damaged",
            Self::Store(error) => error.code(),
            Self::Driver(error) => error.code(),
        }
    }
}

impl<E> EditFailure<E> {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entity(error) => error.code(),
            Self::Document(_) => "edit.refused",
            Self::Store(error) => error.code(),
        }
    }
}

impl ReadError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entity(error) => error.code(),
            Self::Shape { .. } => "read.shape",
            Self::Path { .. } => "read.path",
            Self::Point { .. } => "history.point",
            Self::Store(error) => error.code(),
        }
    }
}

impl EditError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entity(error) => error.code(),
            Self::Operation(_) => "edit.operation",
            Self::Refused(_) => "edit.refused",
            Self::Shape(_) => "read.shape",
            Self::Value(_) => "edit.value",
            Self::NotAnObject { .. } => "edit.not_an_object",
            Self::Json(_) => "edit.json",
            Self::Lens(_) => "edit.lens",
            Self::Point { .. } => "history.point",
            Self::Unconfirmed { .. } => "edit.unconfirmed",
            Self::Aborted(_) => "edit.aborted",
            Self::Store(error) => error.code(),
        }
    }
}

impl SpaceError {
    /// What would help.
    pub fn class(&self) -> Class {
        match self {
            Self::Unknown(_) | Self::Unsent { .. } | Self::Collection(_) | Self::Nested => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "space.unknown",
            Self::Unsent { .. } => "space.unsent",
            Self::Collection(_) => "space.collection_name",
            Self::Nested => "space.nested",
            Self::Store(error) => error.code(),
        }
    }
}

impl FetchError {
    /// What would help.
    pub fn class(&self) -> Class {
        match self {
            Self::Filter(error) => error.class(),
            Self::Sync(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Filter(error) => error.code(),
            Self::Sync(error) => error.code(),
        }
    }
}

impl FilterError {
    /// What would help.
    pub fn class(&self) -> Class {
        match self {
            Self::Collection(_) | Self::Nested => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Collection(_) => "filter.collection_name",
            Self::Nested => "filter.nested",
            Self::Store(error) => error.code(),
        }
    }
}

impl ConnectError {
    /// What would help.
    pub fn class(&self) -> Class {
        match self {
            Self::Address(_) | Self::Token(_) => Class::Permanent,
            Self::Thread(_) => Class::Retry,
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address(_) => "connect.address",
            Self::Token(_) => "connect.token",
            Self::Thread(_) => "connect.thread",
        }
    }
}

impl SyncError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "sync.disabled",
            Self::Failed { .. } => "sync.failed",
            Self::Refused { .. } => "sync.refused",
            Self::Held { .. } => "sync.held",
            Self::Closed => "sync.closed",
        }
    }
}

impl AutomergeFileError {
    /// What would help.
    pub fn class(&self) -> Class {
        match self {
            Self::NotADocument | Self::Empty | Self::Change { .. } => Class::Permanent,
            Self::Edit(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotADocument => "automerge.document",
            Self::Empty => "automerge.empty",
            Self::Change { .. } => "automerge.change",
            Self::Edit(error) => error.code(),
        }
    }
}

impl TransferError {
    /// What would help.
    pub fn class(&self) -> Class {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::StorageFull => Class::Quota,
            Self::Io(_) | Self::Incomplete { .. } => Class::Permanent,
            Self::Line { problem, .. } => problem.class(),
            Self::Read(error) => error.class(),
            Self::Edit { source, .. } => source.class(),
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "transfer.io",
            Self::Line { problem, .. } => problem.code(),
            Self::Incomplete { .. } => "transfer.incomplete",
            Self::Read(error) => error.code(),
            Self::Edit { source, .. } => source.code(),
            Self::Store(error) => error.code(),
        }
    }
}

impl LineProblem {
    /// What would help: nothing but another line.
    pub fn class(&self) -> Class {
        Class::Permanent
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "line.json",
            Self::Collection(_) => "line.collection_name",
            Self::Id(_) => "line.id",
            Self::Value(_) => "line.value",
        }
    }
}

impl WaitError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "wait.refused",
            Self::HeldBack { .. } => "wait.held_back",
            Self::Closed => "wait.closed",
            Self::Gone { .. } => "wait.gone",
            Self::Store(error) => error.code(),
        }
    }
}
