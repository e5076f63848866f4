//! What programs may rest on of the errors that this crate gives to apps: a code that stays, `area.what`, and what would help.
//!
//! Where such an error is the cause of another, that one has its own code: an edit that an operation refuses is `edit.operation` there,
//! and which operation, and why, is said here.

use crate::document::conflict::ParseConflictIdError;
use crate::document::strategy::ParseStrategyError;
use crate::document::{
    EditError, LoadError, OperationError, ParsePathError, ParseTextCursorError, PointError, TaggedJsonError,
};
use crate::id::{ParseCollectionError, ParseIdError};
use crate::invitation::ParseInvitationError;
use crate::lens::LensError;
use crate::role::ParseRoleError;
use crate::wire::Class;

/// Gives an error whose class is always the same its code and its class; the example makes one.
macro_rules! permanent {
    ($($error:ty, $example:literal, { $($variant:pat => $code:literal,)+ })+) => { $(
        impl $error {
            /// What would help: nothing but another call.
            ///
            /// ```
            #[doc = $example]
            /// assert_eq!(error.class(), afield_core::wire::Class::Permanent);
            /// ```
            pub fn class(&self) -> Class {
                Class::Permanent
            }

            /// A name that stays the same from version to version.
            ///
            /// ```
            #[doc = $example]
            /// let (area, what) = error.code().split_once('.').expect("two words with a dot");
            /// assert!(!area.is_empty() && !what.is_empty());
            /// ```
            pub fn code(&self) -> &'static str {
                match self {
                    $($variant => $code,)+
                }
            }
        }
    )+ };
}

permanent! {
    OperationError,
    "let error = afield_core::document::OperationError::Root;",
    {
        Self::Absent { .. } => "operation.absent",
        Self::WrongKind { .. } => "operation.wrong_kind",
        Self::OutOfRange { .. } => "operation.out_of_range",
        Self::Root => "operation.root",
        Self::TooDeep => "operation.too_deep",
        Self::ValueTooLarge { .. } => "operation.value_too_large",
        Self::TooLarge { .. } => "operation.too_large",
        Self::TooManyOperations { .. } => "operation.too_many",
        Self::NoBlock { .. } => "operation.no_block",
        Self::NoMarkValue { .. } => "operation.no_mark_value",
        Self::CounterOverflow => "operation.counter_overflow",
        Self::Stale => "operation.stale",
        Self::Decided => "operation.decided",
        Self::NoSuchSide => "operation.no_such_side",
        Self::Halfway => "operation.halfway",
        Self::Unsound(_) => "operation.unsound",
        Self::Engine(_) => "operation.engine",
    }

    TaggedJsonError,
    "let error = afield_core::document::Value::from_tagged_json(&serde_json::json!({ \"$nothing\": 1 })).unwrap_err();",
    {
        Self::UnknownTag => "json.tag",
        Self::WrongValue { .. } => "json.value",
    }

    LensError,
    "let error = afield_core::lens::LensError::NotAMap;",
    {
        Self::Hidden { .. } => "lens.hidden",
        Self::NotAMap => "lens.not_a_map",
    }

    PointError,
    "let error = afield_core::document::PointError::NothingYet;",
    {
        Self::UnknownChange { .. } => "point.unknown_change",
        Self::NothingYet => "point.nothing_yet",
    }

    LoadError,
    "let error = afield_core::document::LoadError::EmptySnapshot;",
    {
        Self::EmptySnapshot => "load.empty",
        Self::Snapshot(_) => "load.snapshot",
        Self::Change { .. } => "load.change",
        Self::WrongHash { .. } => "load.hash",
        Self::Apply(_) => "load.apply",
        Self::MissingDependencies { .. } => "load.dependencies",
        Self::Panicked => "load.panicked",
    }

    ParseIdError,
    "let error = \"my notes\".parse::<afield_core::SpaceId>().unwrap_err();",
    {
        Self { .. } => "parse.id",
    }

    ParseInvitationError,
    "let error = \"let me in\".parse::<afield_core::Invitation>().unwrap_err();",
    {
        Self { .. } => "parse.invitation",
    }

    ParseCollectionError,
    "let error = \"my notes\".parse::<afield_core::Collection>().unwrap_err();",
    {
        Self { .. } => "parse.collection",
    }

    ParsePathError,
    "let error = \"steps[first]\".parse::<afield_core::document::Path>().unwrap_err();",
    {
        Self { .. } => "parse.path",
    }

    ParseStrategyError,
    "let error = \"loudest\".parse::<afield_core::document::strategy::Strategy>().unwrap_err();",
    {
        Self { .. } => "parse.strategy",
    }

    ParseRoleError,
    "let error = \"admin\".parse::<afield_core::Role>().unwrap_err();",
    {
        Self { .. } => "parse.role",
    }

    ParseTextCursorError,
    "let error = \"somewhere\".parse::<afield_core::document::TextCursor>().unwrap_err();",
    {
        Self { .. } => "parse.text_cursor",
    }

    ParseConflictIdError,
    "let error = \"the first\".parse::<afield_core::document::ConflictId>().unwrap_err();",
    {
        Self { .. } => "parse.conflict_id",
    }
}

impl<E> EditError<E> {
    /// What would help: the document of [`EditError::Poisoned`] is loaded anew at the next touch.
    ///
    /// ```
    /// use afield_core::document::EditError;
    /// use afield_core::wire::Class;
    ///
    /// assert_eq!(EditError::<()>::Poisoned.class(), Class::Retry);
    /// assert_eq!(EditError::<()>::Full.class(), Class::Permanent);
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Poisoned => Class::Retry,
            Self::Closure(_) | Self::Refused(_) | Self::Full => Class::Permanent,
        }
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// use afield_core::document::EditError;
    ///
    /// assert_eq!(EditError::<()>::Full.code(), "edit.refused");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closure(_) => "edit.aborted",
            Self::Refused(_) | Self::Full | Self::Poisoned => "edit.refused",
        }
    }
}

#[cfg(test)]
mod tests;
