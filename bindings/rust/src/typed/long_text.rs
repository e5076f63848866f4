//! Texts in parts as fields of models.

use super::{Field, Text, beside};
use afield_core::document::Value;
use automerge::{ObjId, ObjType};
use autosurgeon::{
    HydrateError, Prop, ReadDoc, Reconciler,
    reconcile::{NoKey, TextReconciler},
};
use serde::{Deserialize, Serialize};
use std::{fmt, ops::Deref};

/// A text that may grow long, in which concurrent edits merge character by character.
///
/// The engine passes over all that was ever written in a text when a change from another device touches it: in a
/// [`Text`] of 100,000 characters that takes tens of milliseconds for each key. A long text is kept in parts of about a thousand
/// characters, and only one of them is passed over. Everything else is as with [`Text`]: positions count Unicode code
/// points of the whole, and nothing tells where a part begins. A field that was a [`Text`] reads as a `LongText`, but
/// stays in one piece.
///
/// A typed edit compares the whole text before with the one after. For keys as they are typed use
/// [`Entity::long_text`](crate::Entity::long_text).
///
/// ```
/// use afield::{LongText, Replica, model};
///
/// #[model]
/// struct Note {
///     body: LongText,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = Replica::open_in_memory()?;
/// let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
/// let id = notes.insert(&Note { body: "A long story.\n\nThe end.".into() })?;
/// notes.edit(id, |note| note.body.splice(2, 4, "short"))?;
/// notes.entity(id)?.long_text("body").splice(0, 1, "One")?;
/// assert_eq!(notes.read(id)?.body.paragraphs().next(), Some((0, "One short story.")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LongText(Text);

impl LongText {
    /// Makes an empty text.
    ///
    /// ```
    /// use afield::LongText;
    ///
    /// let text = LongText::new();
    /// assert!(text.is_empty());
    /// ```
    pub const fn new() -> Self {
        Self(Text::new())
    }

    /// Deletes `delete` code points from `position` on and puts `insert` in their place.
    ///
    /// A position behind the end means the end, and a deletion ends with the text.
    ///
    /// ```
    /// use afield::LongText;
    ///
    /// let mut text = LongText::from("naïve idea");
    /// text.splice(6, 4, "plan");
    /// assert_eq!(text, "naïve plan");
    /// text.splice(99, 1, "!"); // behind the end
    /// assert_eq!(text, "naïve plan!");
    /// ```
    pub fn splice(&mut self, position: usize, delete: usize, insert: &str) {
        self.0.splice(position, delete, insert);
    }

    /// Appends to the end.
    ///
    /// ```
    /// use afield::LongText;
    ///
    /// let mut text = LongText::from("milk");
    /// text.push_str(", bread");
    /// assert_eq!(text, "milk, bread");
    /// ```
    pub fn push_str(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Replaces the whole text; when it is stored, only the characters that differ are written.
    ///
    /// ```
    /// # use afield::{LongText, Replica, model};
    /// # #[model]
    /// # struct Note { body: LongText }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { body: "milk".into() })?;
    /// notes.edit(id, |note| note.body.set("oat milk"))?; // as from a text box: `oat ` is written
    /// assert_eq!(notes.read(id)?.body, "oat milk");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set(&mut self, text: impl Into<String>) {
        self.0.set(text);
    }

    /// The text as a string slice.
    ///
    /// ```
    /// use afield::LongText;
    ///
    /// let text = LongText::from("milk, bread");
    /// assert_eq!(text.as_str().split(", ").count(), 2);
    /// ```
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The length in code points, which is not that of `as_str` in bytes.
    ///
    /// ```
    /// use afield::LongText;
    ///
    /// let text = LongText::from("naïve");
    /// assert_eq!((text.len(), text.as_str().len()), (5, 6));
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no characters.
    ///
    /// ```
    /// use afield::LongText;
    ///
    /// assert!(LongText::new().is_empty());
    /// assert!(!LongText::from("milk").is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The paragraphs, which empty lines divide, with the position of each in code points; empty ones are left out.
    ///
    /// ```
    /// use afield::LongText;
    ///
    /// let text = LongText::from("Once upon a time.\n\nThe end.");
    /// let paragraphs: Vec<_> = text.paragraphs().collect();
    /// assert_eq!(paragraphs, [(0, "Once upon a time."), (19, "The end.")]);
    /// ```
    pub fn paragraphs(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut position = 0;
        self.as_str().split("\n\n").filter_map(move |paragraph| {
            let start = position + paragraph.chars().take_while(|character| *character == '\n').count();
            position += paragraph.chars().count() + 2;
            let paragraph = paragraph.trim_matches('\n');
            (!paragraph.is_empty()).then_some((start, paragraph))
        })
    }
}

impl From<&str> for LongText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for LongText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<LongText> for String {
    fn from(text: LongText) -> Self {
        text.0.into()
    }
}

impl From<LongText> for Value {
    fn from(text: LongText) -> Self {
        Self::LongText(text.into())
    }
}

impl Deref for LongText {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for LongText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for LongText {
    fn eq(&self, other: &str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<&str> for LongText {
    fn eq(&self, other: &&str) -> bool {
        self.0 == **other
    }
}

impl fmt::Display for LongText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Field for LongText {
    type Key<'a> = NoKey;

    /// Reads a long text, an ordinary one, or a string that the JSON view may have written.
    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        let found = match document.get(object, &property)? {
            Some((automerge::Value::Object(ObjType::Text | ObjType::Map), id)) => beside::ask(document, &id)?,
            Some((automerge::Value::Scalar(scalar), _)) => scalar.as_str().map(Value::from),
            _ => None,
        };
        let text = found.as_ref().and_then(Value::as_str);
        text.map(Self::from).ok_or_else(|| HydrateError::unexpected("a text", "a value that is none".to_owned()))
    }

    fn write<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        let mut text = reconciler.text()?;
        beside::offer(Value::LongText(self.as_str().to_owned()), || text.update(self.as_str()))
    }
}
