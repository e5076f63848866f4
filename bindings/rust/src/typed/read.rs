//! From a document to a model.

use super::{
    path::FieldPath,
    reading::Reading,
    support::Mismatch,
    view::{NumberViews, View, is_marked},
};
use afield_core::document::{EditError as DocumentError, Kind, OperationError, View as DocumentView};
use afield_core::wire::Class;
use automerge::ROOT;
use autosurgeon::{Hydrate, HydrateError, ReadDoc};

/// Why a document does not read as the type asked for.
///
/// It names the place, what was found and what was expected, and never content (invariant S6).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{ReadError, model, typed::FromDocumentError};
///
/// #[model]
/// #[derive(Debug)]
/// struct Note {
///     #[model(required)]
///     title: String,
/// }
///
/// let notes = home.collection::<Note>("notes")?;
/// let id = notes.json().insert(&serde_json::json!({}))?;
/// let error = notes.read(id).unwrap_err();
/// assert!(matches!(error, ReadError::Shape { source: FromDocumentError::Missing { expected: "String", .. }, .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum FromDocumentError {
    /// A required field is absent or null.
    #[error("{at} is missing, and its type `{expected}` needs a value")]
    Missing {
        /// The place of the field.
        at: FieldPath,
        /// The type of the field, as the model writes it.
        expected: &'static str,
    },
    /// A value is of a kind, or out of a range, that its type does not take.
    #[error("{at} holds {found}, which does not fit `{expected}`")]
    Mismatch {
        /// The place of the value.
        at: FieldPath,
        /// What stands there.
        found: Kind,
        /// The type of the field that holds it, as the model writes it.
        expected: &'static str,
    },
    /// A value is of a kind that a hand-written type does not take.
    #[error("{at} holds {found}, which its type does not take")]
    Unreadable {
        /// The place of the value.
        at: FieldPath,
        /// What stands there.
        found: Kind,
    },
    /// An enum has no such variant; a newer version of the application may have written it.
    ///
    /// A variant marked `#[model(other)]` stands for all of these.
    #[error("{at} is a variant that is not known here: expected {expected}")]
    UnknownVariant {
        /// The place of the enum.
        at: FieldPath,
        /// The variants that are known.
        expected: &'static str,
    },
    /// A key of a map does not parse as the key type.
    #[error("a key in {at} does not fit the map's key type")]
    MapKey {
        /// The place of the map.
        at: FieldPath,
    },
    /// What the lenses of the collection show cannot be made a document to read from.
    #[error("what the lenses of its collection show of the entity cannot be read")]
    Shown(#[source] Box<DocumentError<OperationError>>),
    /// The document cannot be read.
    #[error("the document cannot be read")]
    Engine(#[source] automerge::AutomergeError),
}

impl FromDocumentError {
    /// What would help: nothing but another type, or another entity.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({ "title": 5 }))?;
    /// # #[afield::model]
    /// # #[derive(Debug)]
    /// # struct Note { title: String }
    /// let read = notes.entity(id)?.raw(|document| afield::typed::from_document::<Note, _>(document))?;
    /// assert_eq!(read.unwrap_err().class(), afield::Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        Class::Permanent
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({ "title": 5 }))?;
    /// # #[afield::model]
    /// # #[derive(Debug)]
    /// # struct Note { title: String }
    /// let read = notes.entity(id)?.raw(|document| afield::typed::from_document::<Note, _>(document))?;
    /// assert_eq!(read.unwrap_err().code(), "shape.mismatch");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "shape.missing",
            Self::Mismatch { .. } => "shape.mismatch",
            Self::Unreadable { .. } => "shape.unreadable",
            Self::UnknownVariant { .. } => "shape.unknown_variant",
            Self::MapKey { .. } => "shape.map_key",
            Self::Shown(_) => "shape.shown",
            Self::Engine(_) => "shape.engine",
        }
    }
}

/// Reads a model from the root of a document.
///
/// ```
/// # use afield::{Replica, Text, model, typed};
/// # #[model]
/// # struct Note {
/// #     title: String,
/// #     body: Text,
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
/// let id = notes.insert(&Note { title: "Shopping".into(), body: "milk".into() })?;
/// let note: Note = notes.entity(id)?.raw(|document| typed::from_document(document))??;
/// assert_eq!(note.body, "milk");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When a required field is missing, or a value does not fit its type: see [`FromDocumentError`].
pub fn from_document<T: Hydrate, D: ReadDoc + automerge::ReadDoc>(document: &D) -> Result<T, FromDocumentError> {
    read(&Reading::new(document, ReadDoc::get_heads(document)))
}

/// Reads a model from the root of a document as it was at a moment.
pub(crate) fn from_view<T: Hydrate, D: automerge::ReadDoc>(view: &DocumentView<'_, D>) -> Result<T, FromDocumentError> {
    read(&Reading::new(view, view.heads().to_vec()))
}

/// Reads a model from the root of a document that answers what texts are.
pub(super) fn read<T: Hydrate, D: ReadDoc>(document: &D) -> Result<T, FromDocumentError> {
    // The plain way is the quick one. Only what it cannot read is read again, with a record of places; and an entity
    // with a mark of deletion, which is no field, is read without it.
    if !is_marked(document)
        && let Ok(model) = T::hydrate_map(document, &ROOT)
    {
        return Ok(model);
    }
    read_with_record(document)
}

fn read_with_record<T: Hydrate, D: ReadDoc>(document: &D) -> Result<T, FromDocumentError> {
    let mut numbers = NumberViews::default();
    loop {
        let (error, number) = {
            let view = View::new(document, &numbers);
            match T::hydrate_map(&view, &ROOT) {
                Ok(model) => return Ok(model),
                Err(error) => (describe(error, &view), view.number_read_last()),
            }
        };
        // Each turn shows the numbers of one more place in one more way, so this ends with the ways or the places.
        if !number.is_some_and(|(place, stored)| numbers.take_next(place, stored)) {
            return Err(error);
        }
    }
}

fn describe<D: ReadDoc>(error: HydrateError, view: &View<'_, D>) -> FromDocumentError {
    let (at, found) = view.read_last();
    match error {
        HydrateError::Automerge(error) => FromDocumentError::Engine(error),
        HydrateError::Unexpected(_) => FromDocumentError::Unreadable { at, found },
        HydrateError::ParseMapKey(inner) => match (inner.downcast_ref::<Mismatch>(), found) {
            (Some(Mismatch::Type(expected)), Kind::Null) => FromDocumentError::Missing { at, expected },
            (Some(Mismatch::Type(expected)), found) => FromDocumentError::Mismatch { at, found, expected },
            // The variants were looked for in the enum's map, so the enum is what holds that place.
            (Some(Mismatch::Variant(expected)), Kind::Null) => {
                FromDocumentError::UnknownVariant { at: view.container_read_last(), expected }
            }
            (Some(Mismatch::Variant(expected)), _) => FromDocumentError::UnknownVariant { at, expected },
            (None, _) => FromDocumentError::MapKey { at: view.enumerated_last() },
        },
    }
}
