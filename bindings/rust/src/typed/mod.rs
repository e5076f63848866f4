//! Entities as Rust types.
//!
//! [`model`](crate::model) makes a struct or an enum the typed form of an entity. It implements autosurgeon's traits
//! [`Hydrate`](autosurgeon::Hydrate) and [`Reconcile`](autosurgeon::Reconcile), and [`Field`], which the types of all
//! fields have. Types that have autosurgeon's traits, by hand or by derive, become fields with
//! [`surgical_field`](crate::surgical_field).
//!
//! ```
//! use afield::typed::{self, Counter, Text};
//!
//! #[afield::model]
//! #[derive(Debug, Clone, Default, PartialEq)]
//! struct Note {
//!     title: String,
//!     body: Text,
//!     read: Counter,
//!     #[model(rename = "due-date")]
//!     due: Option<String>,
//!     tasks: Vec<Task>,
//! }
//!
//! #[afield::model]
//! #[derive(Debug, Clone, Default, PartialEq)]
//! struct Task {
//!     #[model(key)]
//!     id: String,
//!     done: bool,
//! }
//!
//! let before = Note { title: "Plans".into(), ..Note::default() };
//! let mut after = before.clone();
//! after.body.push_str("Walk");
//! after.tasks.push(Task { id: "shoes".into(), done: false });
//!
//! // Only what changed is written.
//! let patches = typed::difference(&typed::to_tree(&before)?, &typed::to_tree(&after)?);
//! assert_eq!(patches.len(), 2);
//! # Ok::<(), typed::ToValueError>(())
//! ```
//!
//! | for | use | concurrent edits |
//! | --- | --- | --- |
//! | prose | [`Text`] | merge by character |
//! | prose with headings, bold, links | [`RichText`](crate::RichText) | merge by character, mark and block |
//! | prose that grows long | [`LongText`] | merge by character, passing over one part of it |
//! | names, states | `String`, an enum without data | one wins, the other is shown as a conflict |
//! | alternatives | an enum with data | one that is chosen wins, whole, and the other is shown as a conflict; in one that stands by part |
//! | references | [`EntityId`](crate::EntityId) | one wins, the other is shown as a conflict |
//! | tallies | [`Counter`] | add up |
//! | labels | `BTreeSet`, `HashSet` | additions and removals merge |
//! | bytes | [`Bytes`]; a `Vec<u8>` is a list of numbers | one wins, the other is shown as a conflict |
//! | moments | [`Timestamp`] | one wins, the other is shown as a conflict |
//! | parts | another model, `Vec`, `BTreeMap`, `HashMap` | merge by part |
//!
//! [`model`](crate::model) lists all types of fields, and what each is in a document.
//!
//! # What is read
//!
//! - An absent or null field reads as `Default::default()`, or as what `#[model(default = "path")]` gives. So adding
//!   a field never breaks an old entity. `#[model(required)]` makes its absence an error.
//! - Fields, elements and variants' fields that the type does not know are passed over, and survive every edit.
//! - Numbers are read as the type asks for where the value allows it, since the JSON view and other languages do not
//!   tell `5` from `5u` or `5.0`.
//! - An enum that may grow should have a variant `#[model(other)]`, or the entities in which a newer version wrote a
//!   new variant cannot be read here at all. It is read for every unknown one, and an edit that leaves it alone leaves
//!   what is really there.
//! - Where an enum's map holds several variants, as edits of its JSON or through lenses can leave it, the one written last is
//!   read, and the next typed edit that chooses another takes all of them away.
//!
//! # What is written
//!
//! An edit compares the value before with the value after ([`difference`]) and writes only what differs. A default
//! that was read is never written with it, with one exception: when a part was absent and is edited, what else its
//! default says is written, too, unless its fields say the same by their own absence. They would change their meaning
//! otherwise. An absent list is written as a whole.
//!
//! `None` is written as null, but not in a new entity or part, where the absence of the field says the same: it does
//! not under a key of a map, in a variant, in a `required` field, and where an absent field reads as something else.
//!
//! A variant with data is written as a map of its own, in place of the one that stood there, so that two who choose
//! variants at the same time do not mix them: one is read, and both are listed as a conflict, even when they chose the same.
//! Edits within a variant that stands merge, and so do those of one that was read as a default. Written key by key, into
//! the map that is there, it is by edits of the JSON, by edits through lenses, by redoing the choice, and in an entity that is
//! an enum itself, which has no place to put another map.
//!
//! Elements of lists are matched by `#[model(key)]` where they have one, else by equality and then by likeness, and
//! are edited in place, so that what the type does not know stays with the element it belongs to. Elements move only
//! when they change places with others. The engine has no such operation, so an element that moves is deleted and
//! inserted as it was read: what another device writes into it at the same time is lost, and of two devices that move
//! it at the same time each inserts one. Where order is edited often, keep it in a field of the elements.
//!
//! # Limits
//!
//! `autosurgeon::Text` and `autosurgeon::Counter` hold edits against one document instead of values; [`to_value`]
//! refuses them where that would lose content. Use [`Text`] and [`Counter`].

mod align;
mod beside;
mod difference;
mod edit;
mod field;
mod held;
mod identity;
mod long_text;
mod path;
mod read;
mod reading;
mod reconciler;
mod rich_text;
mod scalar;
pub mod support;
mod text;
mod to_value;
mod tree;
mod view;
mod with;

#[cfg(doctest)]
mod misuse;
#[cfg(test)]
mod tests;

pub use autosurgeon;
pub use difference::{Patch, difference};
pub(crate) use edit::{edit, insert, refuse_without_fields};
pub use field::{Field, MapKey};
pub use held::before_edit;
pub use long_text::LongText;
pub use path::FieldPath;
pub(crate) use read::from_view;
pub use read::{FromDocumentError, from_document};
pub use scalar::{Bytes, Counter, Timestamp};
pub use text::Text;
pub use to_value::{ToValueError, to_tree, to_value};
pub use tree::Tree;
pub use with::{as_bytes, as_string};
