//! The texts of an entity, by path.

use super::Field;
use crate::error::{EditError, ReadError};
use crate::write::Write;
use afield_core::document::{Block, Expand, OperationError, RichText, Value};
use std::ops::Range;

/// A text field of an entity, plain or with marks and blocks. Positions count Unicode code points, and each block as one.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use afield::{Block, Expand, Replica, Span};
/// # use serde_json::json;
/// # let replica = Replica::open_in_memory()?;
/// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
/// # let id = notes.json().insert(&json!({}))?;
/// let note = notes.entity(id)?;
/// let body = note.text("body");
/// body.insert_block(0, &Block::new("heading").with_attribute("level", 1))?;
/// body.splice(1, 0, "Read this")?;
/// body.mark(1..5, "bold", true, Expand::After)?;                       // what is typed behind it is bold, too
/// body.mark(6..10, "link", "https://example.org", Expand::None)?;      // what is typed behind it is no link
/// body.update_block(0, |heading| *heading = heading.clone().with_attribute("level", 2))?;
///
/// let text = body.read_rich()?;
/// let spans: Vec<Span> = text.spans().collect();
/// assert!(matches!(spans[0], Span::Block(block) if block.attribute("level") == Some(&2.into())));
/// assert!(matches!(&spans[1], Span::Text { text: "Read", marks } if marks["bold"] == &true.into()));
/// assert_eq!(body.read()?, "\u{fffc}Read this");                        // a block is one character of the string
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TextField<'e>(pub(super) Field<'e>);

impl TextField<'_> {
    /// Deletes `delete` characters at `position` and inserts `text` there. What is inserted has the marks that grow over it. A
    /// long text is edited in its parts.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// let body = note.text("body");
    /// body.splice(0, 0, "naïve idea")?;
    /// body.splice(6, 4, "plan")?; // characters, not bytes
    /// assert_eq!(body.read()?, "naïve plan");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The position is beyond the end, something else than a text stands there, too much is inserted, or the store failed.
    pub fn splice(&self, position: usize, delete: usize, text: &str) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.splice_text(path, position, delete, text)?))
    }

    /// Covers characters with a mark, such as `bold` with `true` or `link` with an address, in place of another value of that
    /// name. `expand` says whether what is inserted at its edges is marked, too; [`Expand::of`] gives what people expect.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let body = note.text("body");
    /// use afield::Expand;
    ///
    /// body.splice(0, 0, "Read this")?;
    /// body.mark(0..4, "bold", true, Expand::of("bold"))?;
    /// body.splice(4, 0, "er")?; // typed behind it, and bold as well
    /// let text = body.read_rich()?;
    /// let (name, range, _) = text.marks().next().ok_or("no mark")?;
    /// assert_eq!((name, range), ("bold", 0..6));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No text stands there, the range is beyond its end, the value is no scalar, or the store failed.
    pub fn mark(
        &self,
        range: Range<usize>,
        name: &str,
        value: impl Into<Value>,
        expand: Expand,
    ) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.mark(path, range, name, value, expand)?))
    }

    /// Takes a mark away from characters. `expand` says whether what is inserted at its edges is without the mark, too: use what
    /// the mark was set with.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let body = note.text("body");
    /// use afield::Expand;
    ///
    /// body.splice(0, 0, "Read this")?;
    /// body.mark(0..9, "bold", true, Expand::After)?;
    /// body.unmark(4..9, "bold", Expand::After)?;
    /// let text = body.read_rich()?;
    /// let bold: Vec<_> = text.marks().map(|(_, range, _)| range).collect();
    /// assert_eq!(bold, [0..4]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TextField::mark`].
    pub fn unmark(&self, range: Range<usize>, name: &str, expand: Expand) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.unmark(path, range, name, expand)?))
    }

    /// Inserts a block, to which the characters from there to the next block then belong: "split block" in Automerge's
    /// words.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let body = note.text("body");
    /// use afield::Block;
    ///
    /// body.splice(0, 0, "Shopping")?;
    /// body.insert_block(0, &Block::new("heading").with_attribute("level", 1))?;
    /// assert_eq!(body.read_rich()?.block(0).and_then(Block::kind), Some("heading"));
    /// assert_eq!(body.length()?, 9); // the block and eight characters
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The position is beyond the end, something else than a text stands there, the block is too large, or the store
    /// failed.
    pub fn insert_block(&self, position: usize, block: &Block) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.split_block(path, position, block)?))
    }

    /// Takes a block out, so that the characters behind it belong to the block before: "join block" in Automerge's words.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let body = note.text("body");
    /// use afield::Block;
    ///
    /// body.splice(0, 0, "milkbread")?;
    /// body.insert_block(4, &Block::new("paragraph"))?;
    /// assert_eq!(body.read()?, "milk\u{fffc}bread");
    /// body.remove_block(4)?;
    /// assert_eq!(body.read()?, "milkbread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No block stands at that position, or the store failed.
    pub fn remove_block(&self, position: usize) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.join_block(path, position)?))
    }

    /// Changes a block. What `update` changes is written alone, so that it merges with what others change in the block.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let body = note.text("body");
    /// use afield::Block;
    ///
    /// body.insert_block(0, &Block::new("heading").with_attribute("level", 1))?;
    /// body.update_block(0, |heading| *heading = heading.clone().with_attribute("level", 2))?;
    /// assert_eq!(body.read_rich()?.block(0).and_then(|block| block.attribute("level")), Some(&2.into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No block stands at that position, the block is too large, or the store failed.
    pub fn update_block(&self, position: usize, update: impl FnOnce(&mut Block)) -> Result<Write, EditError> {
        self.0.edit(|edit, path| {
            let text = edit.read(path)?.and_then(|value| value.to_rich_text()).unwrap_or_default();
            let mut block = text.block(position).cloned().ok_or(OperationError::NoBlock { position })?;
            update(&mut block);
            Ok(edit.update_block(path, position, &block)?)
        })
    }

    /// The text; empty when there is none. [`BLOCK_CHARACTER`](crate::BLOCK_CHARACTER) stands for each block.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let body = note.text("body");
    /// assert_eq!(body.read()?, "");
    /// body.splice(0, 0, "milk")?;
    /// assert_eq!(body.read()?, "milk");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the path leads into something that is no map or list.
    pub fn read(&self) -> Result<String, ReadError> {
        Ok(self.0.value()?.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// The text with its marks and blocks; empty when there is none.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let body = note.text("body");
    /// use afield::{Expand, Span};
    ///
    /// body.splice(0, 0, "Read this")?;
    /// body.mark(5..9, "link", "https://example.org", Expand::None)?;
    /// for span in body.read_rich()?.spans() {
    ///     match span {
    ///         Span::Text { text, marks } => println!("{text} with {} marks", marks.len()),
    ///         Span::Block(block) => println!("a {}", block.kind().unwrap_or("block")),
    ///     }
    /// }
    /// assert_eq!(body.read_rich()?.spans().count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the path leads into something that is no map or list.
    pub fn read_rich(&self) -> Result<RichText, ReadError> {
        Ok(self.0.value()?.and_then(|value| value.to_rich_text()).unwrap_or_default())
    }

    /// How many characters and blocks there are; 0 when there is no text. The text is not read.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let body = note.text("body");
    /// body.splice(0, 0, "naïve")?;
    /// assert_eq!(body.length()?, 5);
    /// assert_eq!(note.text("summary").length()?, 0); // there is none
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or something else than a text stands there.
    pub fn length(&self) -> Result<usize, ReadError> {
        self.0.read(|document, path| document.text_length(path))
    }
}

/// A text field of an entity that may grow long. Positions count Unicode code points of the whole.
///
/// Typing and merging take a few milliseconds in 100,000 characters: see [`LongText`](crate::LongText).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// let id = notes.insert(&serde_json::json!({}))?;
/// let note = home.collection::<()>("notes")?.entity(id)?;
/// let transcript = note.long_text("transcript");
/// transcript.splice(0, 0, "Once upon a time")?;
/// transcript.splice(0, 4, "Twice")?;
/// assert_eq!(transcript.read()?, "Twice upon a time");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LongTextField<'e>(pub(super) Field<'e>);

impl LongTextField<'_> {
    /// Deletes `delete` characters at `position` and inserts `text` there.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// let story = note.long_text("story");
    /// story.splice(0, 0, "Once upon a time")?;
    /// story.splice(0, 4, "Twice")?; // as a key is typed, without reading the whole
    /// assert_eq!(story.read()?, "Twice upon a time");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The position is beyond the end, something else than a text stands there, too much is inserted, or the store failed.
    pub fn splice(&self, position: usize, delete: usize, text: &str) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.splice_long_text(path, position, delete, text)?))
    }

    /// The whole text; empty when there is none.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let story = note.long_text("story");
    /// story.splice(0, 0, &"Once upon a time. ".repeat(1_000))?;
    /// assert!(story.read()?.starts_with("Once upon a time. Once"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the path leads into something that is no map or list.
    pub fn read(&self) -> Result<String, ReadError> {
        Ok(self.0.value()?.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Some characters of the text, of which no more is read than it takes. A range that ends behind the end ends there.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let story = note.long_text("story");
    /// story.splice(0, 0, &"Once upon a time. ".repeat(1_000))?;
    /// assert_eq!(story.slice(9_000..9_016)?, "Once upon a time"); // what a window shows of it
    /// assert_eq!(story.slice(17_994..20_000)?, "time. ");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or something else than a text stands there.
    pub fn slice(&self, range: Range<usize>) -> Result<String, ReadError> {
        self.0.read(|document, path| document.text_slice(path, range))
    }

    /// How many characters there are; 0 when there is no text. The text is not read.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let story = note.long_text("story");
    /// story.splice(0, 0, &"Once upon a time. ".repeat(1_000))?;
    /// assert_eq!(story.length()?, 18_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or something else than a text stands there.
    pub fn length(&self) -> Result<usize, ReadError> {
        self.0.read(|document, path| document.text_length(path))
    }
}
