//! What a model's field can be.

mod containers;
mod free;
mod ids;
mod keys;
mod maps;
mod scalars;

pub use keys::MapKey;

use super::reconciler::token;
use automerge::ObjId;
use autosurgeon::{
    Hydrate, HydrateError, Prop, ReadDoc, Reconcile, ReconcileError, Reconciler,
    hydrate::Unexpected,
    reconcile::{LoadKey, NoKey},
};

/// A type that can be a field of a model, and so an element, an entry or another part of one.
///
/// [`model`](crate::model) implements it for a type of the application; its documentation lists the other types that
/// have it. For a type that has autosurgeon's traits there is [`surgical_field`](crate::surgical_field), and for a
/// foreign type without any of this `#[model(with = "…")]` at the field.
///
/// It stands before autosurgeon's traits, and not in their place, since this crate cannot implement those for types
/// of the standard library or of other crates. Its functions are called by generated code.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::model;
///
/// #[model] // implements it, and so the type can be a field of another, or an entity
/// #[derive(Debug, PartialEq)]
/// struct Address { city: String }
///
/// #[model]
/// struct Person { name: String, addresses: Vec<Address> }
///
/// fn is_a_field<T: afield::typed::Field>() {}
/// is_a_field::<Option<Vec<Address>>>();
///
/// let people = home.collection::<Person>("people")?;
/// let id = people.insert(&Person { name: "Ada".into(), addresses: vec![Address { city: "London".into() }] })?;
/// assert_eq!(people.read(id)?.addresses[0].city, "London");
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a model: it does not implement `afield::typed::Field`",
    label = "no field of a model",
    note = "for prose there are `Text`, `RichText` and `LongText`, for bytes `Bytes`, for moments `Timestamp`",
    note = "for a type of your own, write `#[afield::model]` at its definition",
    note = "for a type of another crate, write `#[model(with = \"module\")]` at the field: `afield::typed::as_string` \
            does for what has a text, `afield::typed::as_bytes` for arrays of bytes",
    note = "for what is not stored, write `#[model(skip)]` at the field"
)]
pub trait Field: Sized {
    /// What tells an element of a list from others, in autosurgeon's sense.
    #[doc(hidden)]
    type Key<'a>: PartialEq;

    /// The names of its fields in a document, where it is a map of fields that have names of their own.
    #[doc(hidden)]
    fn field_names() -> Option<&'static [&'static str]> {
        None
    }

    /// Reads the value of a property.
    ///
    /// # Errors
    /// When the value is absent or of another kind, or the document cannot be read.
    #[doc(hidden)]
    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError>;

    /// Reads a map, such as the root of an entity.
    ///
    /// # Errors
    /// As [`Field::read`].
    #[doc(hidden)]
    fn read_map<D: ReadDoc>(_document: &D, _map: &ObjId) -> Result<Self, HydrateError> {
        Err(HydrateError::Unexpected(Unexpected::Map))
    }

    /// Writes the value.
    ///
    /// # Errors
    /// Those of the reconciler.
    #[doc(hidden)]
    fn write<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error>;

    /// The key of this value.
    #[doc(hidden)]
    fn key(&self) -> LoadKey<Self::Key<'_>> {
        LoadKey::NoKey
    }

    /// The key of the value of a property.
    ///
    /// # Errors
    /// When the document cannot be read.
    #[doc(hidden)]
    fn read_key<'a, D: ReadDoc>(
        _document: &D,
        _object: &ObjId,
        _property: Prop<'_>,
    ) -> Result<LoadKey<Self::Key<'a>>, ReconcileError> {
        Ok(LoadKey::NoKey)
    }

    /// The key without its type, where it can be had.
    #[doc(hidden)]
    fn erased(_key: Self::Key<'_>) -> Option<Key> {
        None
    }

    /// The key that this value is for what holds it.
    #[doc(hidden)]
    fn as_key(&self) -> LoadKey<Key> {
        token(&By(self)).map_or(LoadKey::KeyNotFound, |token| LoadKey::Found(Key(token)))
    }

    /// The key of this value without its type.
    #[doc(hidden)]
    fn inner_key(&self) -> LoadKey<Key> {
        erase::<Self>(self.key())
    }

    /// The key of the value of a property without its type.
    ///
    /// # Errors
    /// As [`Field::read_key`].
    #[doc(hidden)]
    fn read_inner_key<D: ReadDoc>(
        document: &D,
        object: &ObjId,
        property: Prop<'_>,
    ) -> Result<LoadKey<Key>, ReconcileError> {
        Self::read_key(document, object, property).map(erase::<Self>)
    }

    /// The value as one of the fields of a model, before `rest`.
    #[doc(hidden)]
    fn entry<'a>(
        &'a self,
        name: &'static str,
        absent: Option<fn() -> Self>,
        rest: impl super::support::Fields + 'a,
    ) -> impl super::support::Fields + 'a
    where
        Self: 'a,
    {
        super::support::Entry::new(name, self, absent, rest)
    }

    /// The value as the whole of what holds it.
    #[doc(hidden)]
    fn alone(&self) -> impl Reconcile {
        By(self)
    }
}

/// The key of a model: equal for equal values of its key field.
///
/// It has no type parameter, so that a public model may have a key of a private type.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// The same key in a variant.
    #[must_use]
    pub fn within(mut self, variant: &str) -> Self {
        self.0.push(b'/');
        self.0.extend_from_slice(variant.as_bytes());
        self
    }
}

fn erase<T: Field>(key: LoadKey<T::Key<'_>>) -> LoadKey<Key> {
    match key {
        LoadKey::NoKey => LoadKey::NoKey,
        LoadKey::KeyNotFound => LoadKey::KeyNotFound,
        LoadKey::Found(key) => T::erased(key).map_or(LoadKey::NoKey, LoadKey::Found),
    }
}

/// A field as autosurgeon reads it.
pub(super) struct As<T>(pub(super) T);

impl<T: Field> Hydrate for As<T> {
    fn hydrate<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        T::read(document, object, property).map(Self)
    }
}

/// A field as autosurgeon writes it.
pub(super) struct By<'a, T>(pub(super) &'a T);

impl<T: Field> Reconcile for By<'_, T> {
    type Key<'k> = T::Key<'k>;

    fn reconcile<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        self.0.write(reconciler)
    }

    fn key(&self) -> LoadKey<Self::Key<'_>> {
        self.0.key()
    }

    fn hydrate_key<'k, D: ReadDoc>(
        document: &D,
        object: &ObjId,
        property: Prop<'_>,
    ) -> Result<LoadKey<Self::Key<'k>>, ReconcileError> {
        T::read_key(document, object, property)
    }
}

/// What a field is stored as, as autosurgeon writes it.
#[derive(Debug)]
pub struct Owned<T>(pub T);

impl<T: Field> Reconcile for Owned<T> {
    type Key<'k> = NoKey;

    fn reconcile<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        self.0.write(reconciler)
    }
}

/// The error for a value whose kind was right and which does not fit all the same.
///
/// The value is looked at once more, since an error is about what was read last.
pub(super) fn unfit<D: ReadDoc>(document: &D, object: &ObjId, property: &Prop<'_>, expected: &str) -> HydrateError {
    match document.get(object, property) {
        Ok(_) => HydrateError::unexpected(expected, "a value that does not fit".to_owned()),
        Err(error) => error.into(),
    }
}

/// Makes types that have autosurgeon's `Hydrate` and `Reconcile` fields of models.
///
/// ```
/// use afield::typed::autosurgeon::{Hydrate, HydrateError, Reconcile, Reconciler, reconcile::NoKey};
///
/// #[derive(Default)]
/// struct Colour(u32);
///
/// impl Hydrate for Colour {
///     fn hydrate_string(text: &str) -> Result<Self, HydrateError> {
///         let unknown = |_| HydrateError::unexpected("a colour", "another string".to_owned());
///         u32::from_str_radix(text, 16).map(Self).map_err(unknown)
///     }
/// }
///
/// impl Reconcile for Colour {
///     type Key<'a> = NoKey;
///     fn reconcile<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
///         reconciler.str(format!("{:06x}", self.0))
///     }
/// }
///
/// afield::surgical_field!(Colour);
///
/// #[afield::model]
/// struct Theme {
///     accents: Vec<Colour>,
/// }
/// ```
#[macro_export]
macro_rules! surgical_field {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::typed::Field for $type {
            $crate::surgical_field!(@functions);
        }
    )+};
    (@functions) => {
        type Key<'a> = <Self as $crate::typed::support::Reconcile>::Key<'a>;

        fn read<D: $crate::typed::support::ReadDoc>(
            document: &D,
            object: &$crate::typed::support::ObjId,
            property: $crate::typed::support::Prop<'_>,
        ) -> ::core::result::Result<Self, $crate::typed::support::HydrateError> {
            <Self as $crate::typed::support::Hydrate>::hydrate(document, object, property)
        }

        fn read_map<D: $crate::typed::support::ReadDoc>(
            document: &D,
            map: &$crate::typed::support::ObjId,
        ) -> ::core::result::Result<Self, $crate::typed::support::HydrateError> {
            <Self as $crate::typed::support::Hydrate>::hydrate_map(document, map)
        }

        fn write<R: $crate::typed::support::Reconciler>(&self, reconciler: R) -> ::core::result::Result<(), R::Error> {
            $crate::typed::support::Reconcile::reconcile(self, reconciler)
        }

        fn key(&self) -> $crate::typed::support::LoadKey<Self::Key<'_>> {
            $crate::typed::support::Reconcile::key(self)
        }

        fn read_key<'a, D: $crate::typed::support::ReadDoc>(
            document: &D,
            object: &$crate::typed::support::ObjId,
            property: $crate::typed::support::Prop<'_>,
        ) -> ::core::result::Result<
            $crate::typed::support::LoadKey<Self::Key<'a>>,
            $crate::typed::support::ReconcileError,
        > {
            <Self as $crate::typed::support::Reconcile>::hydrate_key(document, object, property)
        }
    };
}
