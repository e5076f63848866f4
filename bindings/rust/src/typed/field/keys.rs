//! Keys of maps and elements of sets.

use afield_core::{DeviceId, EntityId, SpaceId};
use std::{borrow::Cow, rc::Rc, sync::Arc};
use uuid::Uuid;

/// A type that can be the key of a map or the element of a set in a model.
///
/// [`model`](crate::model) implements it for enums whose variants hold no data, and for structs with one unnamed field
/// that has it. A type of the application can implement it too:
///
/// ```
/// use afield::typed::MapKey;
/// use std::{borrow::Cow, collections::BTreeMap};
///
/// #[derive(PartialEq, Eq, PartialOrd, Ord)]
/// struct Square(u8, u8);
///
/// impl MapKey for Square {
///     fn to_key(&self) -> Cow<'_, str> {
///         Cow::Owned(format!("{}:{}", self.0, self.1))
///     }
///
///     fn from_key(key: &str) -> Option<Self> {
///         let (column, row) = key.split_once(':')?;
///         Some(Self(column.parse().ok()?, row.parse().ok()?))
///     }
/// }
///
/// #[afield::model]
/// struct Board {
///     pieces: BTreeMap<Square, String>,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a map or the element of a set in a model",
    label = "no key in a document, where keys are strings",
    note = "strings, whole numbers, `char`, `bool` and ids are keys, and models that are one of these or an enum \
            without data; implement `afield::typed::MapKey` for another type of your own"
)]
pub trait MapKey: Sized {
    /// The key in the document. Different values have different keys.
    ///
    /// ```
    /// use afield::typed::MapKey;
    ///
    /// assert_eq!(7_u32.to_key(), "7");
    /// assert_eq!('x'.to_key(), "x");
    /// ```
    fn to_key(&self) -> Cow<'_, str>;

    /// The value that a key stands for, if it is one of this type's.
    ///
    /// ```
    /// use afield::typed::MapKey;
    ///
    /// assert_eq!(u32::from_key("7"), Some(7));
    /// assert_eq!(u32::from_key("seven"), None); // as another version of the app may have written it
    /// ```
    fn from_key(key: &str) -> Option<Self>;
}

macro_rules! strings {
    ($($type:ty),+) => {$(
        impl MapKey for $type {
            fn to_key(&self) -> Cow<'_, str> {
                Cow::Borrowed(&**self)
            }

            fn from_key(key: &str) -> Option<Self> {
                Some(Self::from(key.to_owned()))
            }
        }
    )+};
}

strings!(String, Cow<'static, str>, Box<str>, Rc<str>, Arc<str>);

macro_rules! printed {
    ($($type:ty),+) => {$(
        impl MapKey for $type {
            fn to_key(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }

            fn from_key(key: &str) -> Option<Self> {
                key.parse().ok()
            }
        }
    )+};
}

printed!(bool, char, u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
printed!(EntityId, SpaceId, DeviceId, Uuid);
