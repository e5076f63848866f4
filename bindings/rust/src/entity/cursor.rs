//! Places in a text that move with what others type.

use super::TextField;
use crate::error::ReadError;
use afield_core::document::TextCursor;

impl TextField<'_> {
    /// A place in the text that stays before the character that now stands at `position`, whatever is typed before it; at the end
    /// of the text, the end. Where that character is deleted, it moves to the next one that is left.
    ///
    /// It is a short string as JSON, so that it can be shown to others ([`Entity::presence`](crate::Entity::presence)), who
    /// find the place in their own copy with [`TextField::position_of`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// let body = note.text("body");
    /// body.splice(0, 0, "milk, bread")?;
    /// let before_bread = body.cursor_at(6)?;
    /// body.splice(0, 0, "oat ")?;
    /// assert_eq!(body.position_of(&before_bread)?, Some(10));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No text stands there (a long text has no cursors), the position is beyond its end, or the entity could not be opened.
    pub fn cursor_at(&self, position: usize) -> Result<TextCursor, ReadError> {
        self.0.read(|document, path| document.cursor_at(path, position))
    }

    /// Where a cursor stands now; `None` where the text has no such place: it is of another text, or rests on changes that are not
    /// here yet.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// # let body = note.text("body");
    /// # let other = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let other = other.entity(other.json().insert(&serde_json::json!({}))?)?;
    /// # other.text("body").splice(0, 0, "tea")?;
    /// # let from_elsewhere = other.text("body").cursor_at(1)?;
    /// body.splice(0, 0, "milk, bread")?;
    /// let caret = body.cursor_at(6)?;
    /// body.splice(0, 6, "")?; // somebody strikes the milk
    /// assert_eq!(body.position_of(&caret)?, Some(0));
    /// assert_eq!(body.position_of(&from_elsewhere)?, None); // it rests on changes that are not here
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No text stands there, or the entity could not be opened.
    pub fn position_of(&self, cursor: &TextCursor) -> Result<Option<usize>, ReadError> {
        self.0.read(|document, path| document.position_of(path, cursor))
    }
}
