//! Rich texts as tagged JSON: a list of spans.

use super::{Block, RichText, Span};
use crate::document::json::TaggedJsonError;
use crate::document::value::Value;
use serde_json::{Map, Value as Json};

/// The tag, and what stands below it.
pub(in crate::document) const TAG: &str = "$richtext";
const NEEDED: &str = "a list of spans, each {\"text\": …}, with \"marks\" where it has any, or {\"block\": {…}}";

const TEXT: &str = "text";
const MARKS: &str = "marks";
const BLOCK: &str = "block";

impl RichText {
    /// The spans, as [`Value::to_tagged_json`] writes them.
    pub(in crate::document) fn to_json_spans(&self) -> Json {
        let span = |span: Span<'_>| match span {
            Span::Block(block) => {
                let entries = Value::Map(block.entries().clone());
                Json::Object(Map::from_iter([(BLOCK.to_owned(), entries.to_tagged_json())]))
            }
            Span::Text { text, marks } => {
                let mut entries = Map::from_iter([(TEXT.to_owned(), Json::from(text))]);
                if !marks.is_empty() {
                    let marks = marks.into_iter().map(|(name, value)| (name.to_owned(), value.to_tagged_json()));
                    entries.insert(MARKS.to_owned(), marks.collect());
                }
                Json::Object(entries)
            }
        };
        self.spans().map(span).collect()
    }

    /// Reads what [`RichText::to_json_spans`] wrote.
    pub(in crate::document) fn from_json_spans(json: &Json) -> Result<Self, TaggedJsonError> {
        let wrong = || TaggedJsonError::WrongValue { tag: TAG, needed: NEEDED };
        let mut text = Self::new();
        for span in json.as_array().ok_or_else(wrong)? {
            let span = span.as_object().ok_or_else(wrong)?;
            match (span.get(TEXT), span.get(MARKS), span.get(BLOCK), span.len()) {
                (None, None, Some(block), 1) => match Value::from_tagged_json(block)? {
                    Value::Map(entries) => text.push_block(Block::from(entries)),
                    _ => return Err(wrong()),
                },
                (Some(Json::String(characters)), None, None, 1) => text.push_text(characters, []),
                (Some(Json::String(characters)), Some(Json::Object(marks)), None, 2) => {
                    let marks: Vec<(&String, Value)> = marks
                        .iter()
                        .map(|(name, value)| Ok((name, Value::from_tagged_json(value)?)))
                        .collect::<Result<_, TaggedJsonError>>()?;
                    if marks.iter().any(|(_, value)| !value.can_be_of_a_mark()) {
                        return Err(wrong());
                    }
                    text.push_text(characters, marks.iter().map(|(name, value)| (name.as_str(), value)));
                }
                _ => return Err(wrong()),
            }
        }
        Ok(text)
    }
}
