//! Places in a text that move with what others type.

use super::Document;
use super::error::OperationError;
use super::path::Path;
use super::read::{self, Object, Standing};
use super::value::Kind;
use automerge::{Cursor, CursorPosition, ObjType, ReadDoc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The longest text of a cursor, in bytes: a number, and an actor of the longest kind in hexadecimal.
const CURSOR_BYTES_MAX: usize = 160;

/// A place in a text, as a short string that others understand: Automerge's cursors.
///
/// ```
/// # use afield_core::document::{Document, EditContext, TextCursor};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
/// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 0, 0, "by train"))?;
/// let sent = document.cursor_at("body", 3)?.to_string(); // to another device, which parses it
/// let caret: TextCursor = sent.parse()?;
/// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 0, 0, "we go "))?;
/// assert_eq!(document.position_of("body", &caret)?, Some(9)); // it moved with the text
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TextCursor(String);

/// The string is no cursor.
///
/// ```
/// use afield_core::document::{ParseTextCursorError, TextCursor};
///
/// assert_eq!("somewhere".parse::<TextCursor>(), Err(ParseTextCursorError));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of a text")]
pub struct ParseTextCursorError;

impl TextCursor {
    fn to_engine(&self) -> Option<Cursor> {
        Cursor::try_from(self.0.as_str()).ok()
    }
}

impl std::str::FromStr for TextCursor {
    type Err = ParseTextCursorError;

    fn from_str(text: &str) -> Result<Self, ParseTextCursorError> {
        // The engine cuts the string without looking at where its characters end.
        if text.is_empty() || text.len() > CURSOR_BYTES_MAX || !text.is_ascii() {
            return Err(ParseTextCursorError);
        }
        let cursor = Self(text.to_owned());
        cursor.to_engine().map(|_| cursor).ok_or(ParseTextCursorError)
    }
}

impl TryFrom<String> for TextCursor {
    type Error = ParseTextCursorError;

    fn try_from(text: String) -> Result<Self, ParseTextCursorError> {
        text.parse()
    }
}

impl From<TextCursor> for String {
    fn from(cursor: TextCursor) -> Self {
        cursor.0
    }
}

impl fmt::Display for TextCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TextCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextCursor({self})")
    }
}

impl Document {
    /// A place in a text that stays before the character at `position`, in code points; at the end of the text, its end.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 0, 0, "by train"))?;
    /// let (caret, end) = (document.cursor_at("body", 3)?, document.cursor_at("body", 8)?);
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 0, 0, "we go "))?;
    /// assert_eq!(document.position_of("body", &caret)?, Some(9));
    /// assert_eq!(document.position_of("body", &end)?, Some(14));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No text stands at the path, or the position is beyond its end.
    pub fn cursor_at(&self, path: impl Into<Path>, position: usize) -> Result<TextCursor, OperationError> {
        let text = self.text_object(&path.into())?;
        let length = self.automerge().length(&text.id);
        let place = match position {
            position if position > length => return Err(OperationError::OutOfRange { position, length }),
            position if position == length => CursorPosition::End,
            position => CursorPosition::Index(position),
        };
        Ok(TextCursor(self.automerge().get_cursor(&text.id, place, None)?.to_string()))
    }

    /// Where a cursor stands now, in code points; `None` where the text has no such place, or not yet.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 0, 0, "by train"))?;
    /// let caret = document.cursor_at("body", 3)?;
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 0, 3, ""))?;
    /// assert_eq!(document.position_of("body", &caret)?, Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No text stands at the path.
    pub fn position_of(&self, path: impl Into<Path>, cursor: &TextCursor) -> Result<Option<usize>, OperationError> {
        let text = self.text_object(&path.into())?;
        let cursor = cursor.to_engine();
        // The engine asserts that the place is in this text, and a peer may name one in any other. Reading leaves nothing half done,
        // and what it says then is no content.
        let find = |cursor| self.automerge().get_cursor_position(&text.id, &cursor, None).ok();
        Ok(cursor.and_then(|cursor| catch_unwind(AssertUnwindSafe(|| find(cursor))).ok().flatten()))
    }

    fn text_object(&self, path: &Path) -> Result<Object, OperationError> {
        let step = path.steps().len();
        match read::follow(self.automerge(), path.steps())? {
            Some(Standing::Object(object)) if object.kind == ObjType::Text => Ok(object),
            Some(other) => Err(OperationError::wrong_kind(step, other.kind(), Kind::Text)),
            None => Err(OperationError::Absent { step }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::EditContext;
    use crate::id::EntityId;
    use crate::limits::Limits;
    use crate::time::Now;
    use proptest::prelude::*;

    fn edit(document: &mut Document, position: usize, delete: usize, text: &str) {
        let context = EditContext::new(vec![1; 16].into(), Now { wall_ms: 0, monotonic_ms: 0 });
        let context = EditContext { fresh: true, ..context };
        let _ = document
            .edit::<_, OperationError>(&context, &Limits::DEFAULT, |edit| {
                edit.splice_text("body", position, delete, text)
            })
            .unwrap();
    }

    #[test]
    fn a_cursor_stays_before_its_character_and_goes_on_to_the_next_where_that_is_deleted() {
        let mut document = Document::new(EntityId::from_bytes([1; 16]));
        edit(&mut document, 0, 0, "é🦀abc");
        let (at_a, at_end) = (document.cursor_at("body", 2).unwrap(), document.cursor_at("body", 5).unwrap());
        edit(&mut document, 0, 0, "语 ");
        edit(&mut document, 7, 0, "!");
        assert_eq!(document.position_of("body", &at_a).unwrap(), Some(4));
        assert_eq!(document.position_of("body", &at_end).unwrap(), Some(8), "the end is wherever the end is");
        edit(&mut document, 4, 1, "");
        assert_eq!(document.position_of("body", &at_a).unwrap(), Some(4));
        assert!(matches!(document.cursor_at("body", 8), Err(OperationError::OutOfRange { position: 8, length: 7 })));
        assert!(matches!(document.cursor_at("title", 0), Err(OperationError::Absent { .. })));
    }

    #[test]
    fn a_cursor_of_another_text_has_no_place_here() {
        let mut document = Document::new(EntityId::from_bytes([1; 16]));
        edit(&mut document, 0, 0, "abc");
        let foreign = format!("7@{}", "07".repeat(16)).parse().unwrap();
        assert_eq!(document.position_of("body", &foreign).unwrap(), None);

        let context = EditContext::new(vec![1; 16].into(), Now { wall_ms: 0, monotonic_ms: 0 });
        let _ = document
            .edit::<_, OperationError>(&context, &Limits::DEFAULT, |edit| edit.splice_text("title", 0, 0, "abc"))
            .unwrap();
        for (here, there) in [("body", "title"), ("title", "body")] {
            let cursor = document.cursor_at(there, 1).unwrap();
            assert_eq!(document.position_of(there, &cursor).unwrap(), Some(1), "the control");
            assert_eq!(document.position_of(here, &cursor).unwrap(), None, "a place of the same document");
        }
    }

    proptest! {
        #[test]
        fn fuzz_no_string_of_a_peer_panics(text in ".{0,40}", tail in "[-se0-9@a-f]{0,40}") {
            let mut document = Document::new(EntityId::from_bytes([1; 16]));
            edit(&mut document, 0, 0, "abc");
            for text in [text, tail] {
                if let Ok(cursor) = text.parse::<TextCursor>() {
                    prop_assert!(document.position_of("body", &cursor).is_ok());
                    prop_assert_eq!(String::from(cursor), text);
                }
            }
        }
    }
}
