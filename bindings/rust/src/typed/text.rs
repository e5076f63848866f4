//! A text whose characters merge.

use super::beside;
use afield_core::document::Value;
use autosurgeon::{
    Hydrate, HydrateError, ReadDoc, Reconcile, Reconciler,
    hydrate::Unexpected,
    reconcile::{NoKey, TextReconciler},
};
use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, ops::Deref};

/// A text in which concurrent edits merge character by character.
///
/// Positions and lengths count Unicode code points, as everywhere in Afield. Use a `String` for what is replaced as a
/// whole, such as a name or a state, a [`LongText`](super::LongText) for what may grow beyond some ten thousand characters,
/// and a [`RichText`](crate::RichText) to see marks and blocks: here they are left alone, and
/// [`BLOCK_CHARACTER`](crate::BLOCK_CHARACTER) stands for each block. A field that holds a long text reads as a `Text`, too, and
/// stays in parts: an older version of an application goes on with what a newer one wrote.
///
/// ```
/// use afield::typed::Text;
///
/// let mut text = Text::from("naïve idea");
/// text.splice(5, 0, " but good");
/// assert_eq!(text.as_str(), "naïve but good idea");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// Makes an empty text.
    ///
    /// ```
    /// use afield::Text;
    ///
    /// let text = Text::new();
    /// assert!(text.is_empty());
    /// ```
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Deletes `delete` code points from `position` on and puts `insert` in their place.
    ///
    /// A position behind the end means the end, and a deletion ends with the text.
    ///
    /// ```
    /// use afield::Text;
    ///
    /// let mut text = Text::from("naïve idea");
    /// text.splice(6, 4, "plan");
    /// assert_eq!(text, "naïve plan");
    /// text.splice(99, 1, "!"); // behind the end
    /// assert_eq!(text, "naïve plan!");
    /// ```
    pub fn splice(&mut self, position: usize, delete: usize, insert: &str) {
        let start = self.byte_offset(position);
        let end = self.byte_offset(position.saturating_add(delete));
        self.0.replace_range(start..end, insert);
    }

    /// Appends to the end.
    ///
    /// ```
    /// use afield::Text;
    ///
    /// let mut text = Text::from("milk");
    /// text.push_str(", bread");
    /// assert_eq!(text, "milk, bread");
    /// ```
    pub fn push_str(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Replaces the whole text; when it is stored, only the characters that differ are written.
    ///
    /// ```
    /// # use afield::{Text, Replica, model};
    /// # #[model]
    /// # struct Note { body: Text }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { body: "milk".into() })?;
    /// notes.edit(id, |note| note.body.set("oat milk"))?; // as from a text box: `oat ` is written
    /// assert_eq!(notes.read(id)?.body, "oat milk");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set(&mut self, text: impl Into<String>) {
        self.0 = text.into();
    }

    /// The text as a string slice.
    ///
    /// ```
    /// use afield::Text;
    ///
    /// let text = Text::from("milk, bread");
    /// assert_eq!(text.as_str().split(", ").count(), 2);
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The length in code points, which is not that of `as_str` in bytes.
    ///
    /// ```
    /// use afield::Text;
    ///
    /// let text = Text::from("naïve");
    /// assert_eq!((text.len(), text.as_str().len()), (5, 6));
    /// ```
    pub fn len(&self) -> usize {
        self.0.chars().count()
    }

    /// Whether there are no characters.
    ///
    /// ```
    /// use afield::Text;
    ///
    /// assert!(Text::new().is_empty());
    /// assert!(!Text::from("milk").is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte_offset(&self, position: usize) -> usize {
        self.0.char_indices().nth(position).map_or(self.0.len(), |(offset, _)| offset)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text.0)
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Hydrate for Text {
    fn hydrate_text<D: ReadDoc>(document: &D, object: &automerge::ObjId) -> Result<Self, HydrateError> {
        Ok(Self(document.text(object)?))
    }

    /// A long text, which a newer version of an application may keep in the field.
    fn hydrate_map<D: ReadDoc>(document: &D, object: &automerge::ObjId) -> Result<Self, HydrateError> {
        match beside::ask(document, object)? {
            Some(Value::LongText(text)) => Ok(Self(text)),
            _ => Err(HydrateError::Unexpected(Unexpected::Map)),
        }
    }

    /// A string, which the JSON view and older versions of an application may have written.
    fn hydrate_string(text: &str) -> Result<Self, HydrateError> {
        Ok(Self(text.to_owned()))
    }
}

impl Reconcile for Text {
    type Key<'a> = NoKey;

    fn reconcile<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        reconciler.text()?.update(&self.0)
    }
}
