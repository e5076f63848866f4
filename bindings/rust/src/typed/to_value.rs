//! From a model to its value.

use super::{
    path::{FieldPath, Place},
    reconciler::build,
    tree::Tree,
};
use afield_core::document::Value;
use afield_core::wire::Class;
use autosurgeon::{Reconcile, reconcile::StaleHeads};

/// Why a model has no value of its own.
///
/// ```
/// use afield::typed::{self, ToValueError};
/// use afield::typed::autosurgeon::{self, Reconcile, Reconciler};
///
/// struct Nobody; // a type whose hand-written `Reconcile` writes nothing
/// impl Reconcile for Nobody {
///     type Key<'a> = autosurgeon::reconcile::NoKey;
///     fn reconcile<R: Reconciler>(&self, _: R) -> Result<(), R::Error> {
///         Ok(())
///     }
/// }
/// assert!(matches!(typed::to_value(&Nobody), Err(ToValueError::Nothing { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ToValueError {
    /// A text holds edits against a document instead of its content.
    #[error(
        "{at} is an autosurgeon::Text read from a document, which cannot be written elsewhere: use afield::typed::Text"
    )]
    BoundText {
        /// The place of the text.
        at: FieldPath,
    },
    /// A counter holds an increment against a document instead of its value.
    #[error("{at} is an increment of an unknown value, as autosurgeon::Counter gives: use afield::typed::Counter")]
    BoundCounter {
        /// The place of the counter.
        at: FieldPath,
    },
    /// A hand-written `Reconcile` named a position that its list or text does not have.
    #[error("{at} has {length} elements, and its type wrote at position {position}")]
    OutOfRange {
        /// The place of the list or text.
        at: FieldPath,
        /// The position written at, in elements or code points.
        position: usize,
        /// The length at that time, in elements or code points.
        length: usize,
    },
    /// A `Reconcile` wrote nothing where a value must stand.
    #[error("{at} wrote no value")]
    Nothing {
        /// The place without a value.
        at: FieldPath,
    },
    /// The document cannot be read.
    #[error("the document cannot be read")]
    Engine(#[source] automerge::AutomergeError),
}

impl From<StaleHeads> for ToValueError {
    fn from(_: StaleHeads) -> Self {
        Self::BoundText { at: FieldPath::default() }
    }
}

impl ToValueError {
    /// What would help: nothing but another type.
    ///
    /// ```
    /// # use afield::typed::autosurgeon::{self, Reconcile, Reconciler};
    /// # struct Nobody; // a type whose hand-written `Reconcile` writes nothing
    /// # impl Reconcile for Nobody {
    /// #     type Key<'a> = autosurgeon::reconcile::NoKey;
    /// #     fn reconcile<R: Reconciler>(&self, _: R) -> Result<(), R::Error> { Ok(()) }
    /// # }
    /// let error = afield::typed::to_value(&Nobody).unwrap_err();
    /// assert_eq!(error.class(), afield::Class::Permanent);
    /// ```
    pub fn class(&self) -> Class {
        Class::Permanent
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// # use afield::typed::autosurgeon::{self, Reconcile, Reconciler};
    /// # struct Nobody; // a type whose hand-written `Reconcile` writes nothing
    /// # impl Reconcile for Nobody {
    /// #     type Key<'a> = autosurgeon::reconcile::NoKey;
    /// #     fn reconcile<R: Reconciler>(&self, _: R) -> Result<(), R::Error> { Ok(()) }
    /// # }
    /// let error = afield::typed::to_value(&Nobody).unwrap_err();
    /// assert_eq!(error.code(), "value.nothing");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::BoundText { .. } => "value.bound_text",
            Self::BoundCounter { .. } => "value.bound_counter",
            Self::OutOfRange { .. } => "value.out_of_range",
            Self::Nothing { .. } => "value.nothing",
            Self::Engine(_) => "value.engine",
        }
    }

    pub(super) fn within(self, place: Place) -> Self {
        match self {
            Self::BoundText { at } => Self::BoundText { at: at.within(place) },
            Self::BoundCounter { at } => Self::BoundCounter { at: at.within(place) },
            Self::OutOfRange { at, position, length } => Self::OutOfRange { at: at.within(place), position, length },
            Self::Nothing { at } => Self::Nothing { at: at.within(place) },
            Self::Engine(error) => Self::Engine(error),
        }
    }

    pub(super) fn out_of_range(position: usize, length: usize) -> Self {
        Self::OutOfRange { at: FieldPath::default(), position, length }
    }
}

/// Gives the value of a model, independent of any document.
///
/// ```
/// use afield::{Text, model, typed};
///
/// #[model]
/// struct Note {
///     title: String,
///     body: Text,
/// }
///
/// let value = typed::to_value(&Note { title: "Shopping".into(), body: "milk".into() })?;
/// assert_eq!(value.to_tagged_json(), serde_json::json!({ "title": "Shopping", "body": { "$text": "milk" } }));
/// # Ok::<(), typed::ToValueError>(())
/// ```
///
/// # Errors
/// When a part of the model has no value of its own, as autosurgeon's types that hold edits against a document.
pub fn to_value<T: Reconcile + ?Sized>(model: &T) -> Result<Value, ToValueError> {
    to_tree(model).map(Tree::into_value)
}

/// Gives the value of a model with the identity of its list elements: what [`difference`](super::difference) compares.
///
/// ```
/// # use afield::{Text, model, typed};
/// # #[model]
/// # struct Note { title: String, body: Text }
/// let before = Note { title: "Shopping".into(), body: "milk".into() };
/// let after = Note { title: "Groceries".into(), body: "milk".into() };
/// let patches = typed::difference(&typed::to_tree(&before)?, &typed::to_tree(&after)?);
/// assert_eq!(patches.len(), 1);
/// # Ok::<(), typed::ToValueError>(())
/// ```
///
/// # Errors
/// As [`to_value`].
pub fn to_tree<T: Reconcile + ?Sized>(model: &T) -> Result<Tree, ToValueError> {
    build(&model)?.map(Tree).ok_or_else(|| ToValueError::Nothing { at: FieldPath::default() })
}
