//! What a block of a rich text is.

use super::super::value::Value;
use std::collections::BTreeMap;

/// Which key of a block says what kind it is, as in Automerge's schema of rich texts.
const BLOCK_TYPE: &str = "type";
/// Which key of a block lists the kinds of the blocks around it, from the outermost.
const BLOCK_PARENTS: &str = "parents";
/// Which key of a block holds its attributes.
const BLOCK_ATTRIBUTES: &str = "attrs";

/// What a block of a rich text is: a map, of which the keys `type`, `parents` and `attrs` are those of Automerge's schema
/// of rich texts, and which may hold any others.
///
/// ```
/// use afield_core::document::Block;
///
/// let heading = Block::new("heading").with_attribute("level", 1);
/// assert_eq!(heading.kind(), Some("heading"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block(BTreeMap<String, Value>);

impl Block {
    /// Makes a block of a kind, such as `paragraph`, `heading` or `unordered-list-item`, at the outermost level.
    ///
    /// ```
    /// use afield_core::document::Block;
    ///
    /// let block = Block::new("paragraph");
    /// assert_eq!(block.kind(), Some("paragraph"));
    /// assert_eq!(block.parents().count(), 0);
    /// ```
    pub fn new(kind: impl Into<String>) -> Self {
        let entries = [
            (BLOCK_ATTRIBUTES, Value::Map(BTreeMap::new())),
            (BLOCK_PARENTS, Value::List(Vec::new())),
            (BLOCK_TYPE, Value::Str(kind.into())),
        ];
        entries.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }

    /// The same within blocks of these kinds, from the outermost.
    ///
    /// ```
    /// use afield_core::document::Block;
    ///
    /// let block = Block::new("paragraph").with_parents(["blockquote", "unordered-list-item"]);
    /// assert_eq!(block.parents().last(), Some("unordered-list-item"));
    /// ```
    #[must_use]
    pub fn with_parents<K: Into<String>>(self, parents: impl IntoIterator<Item = K>) -> Self {
        let parents = parents.into_iter().map(|kind| Value::Str(kind.into())).collect();
        self.with(BLOCK_PARENTS, Value::List(parents))
    }

    /// The same with one more attribute, or another value of it.
    ///
    /// ```
    /// use afield_core::document::{Block, Value};
    ///
    /// let heading = Block::new("heading").with_attribute("level", 1).with_attribute("level", 2);
    /// assert_eq!(heading.attribute("level"), Some(&Value::from(2)));
    /// ```
    #[must_use]
    pub fn with_attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let attributes = self.0.entry(BLOCK_ATTRIBUTES.to_owned()).or_default();
        if !matches!(attributes, Value::Map(_)) {
            *attributes = Value::Map(BTreeMap::new());
        }
        if let Value::Map(attributes) = attributes {
            attributes.insert(key.into(), value.into());
        }
        self
    }

    /// The same with one more entry beside those of the schema, or another value of it.
    ///
    /// ```
    /// use afield_core::document::{Block, Value};
    ///
    /// let block = Block::new("paragraph").with("folded", true);
    /// assert_eq!(block.entries()["folded"], Value::from(true));
    /// ```
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// The kind; `None` where the block has none.
    ///
    /// ```
    /// use afield_core::document::Block;
    ///
    /// assert_eq!(Block::new("heading").kind(), Some("heading"));
    /// assert_eq!(Block::default().kind(), None);
    /// ```
    pub fn kind(&self) -> Option<&str> {
        self.0.get(BLOCK_TYPE).and_then(Value::as_str)
    }

    /// The kinds of the blocks around it, from the outermost.
    ///
    /// ```
    /// use afield_core::document::Block;
    ///
    /// let block = Block::new("paragraph").with_parents(["blockquote"]);
    /// assert_eq!(block.parents().collect::<Vec<_>>(), ["blockquote"]);
    /// ```
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.get(BLOCK_PARENTS).and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str)
    }

    /// An attribute; `None` where the block does not have it.
    ///
    /// ```
    /// use afield_core::document::{Block, Value};
    ///
    /// let heading = Block::new("heading").with_attribute("level", 1);
    /// assert_eq!(heading.attribute("level"), Some(&Value::from(1)));
    /// assert_eq!(heading.attribute("align"), None);
    /// ```
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.0.get(BLOCK_ATTRIBUTES)?.entry(key)
    }

    /// All entries.
    ///
    /// ```
    /// use afield_core::document::Block;
    ///
    /// let block = Block::new("heading");
    /// assert_eq!(block.entries().keys().collect::<Vec<_>>(), ["attrs", "parents", "type"]);
    /// ```
    pub fn entries(&self) -> &BTreeMap<String, Value> {
        &self.0
    }

    /// All entries, to be changed.
    ///
    /// ```
    /// use afield_core::document::Block;
    ///
    /// let mut block = Block::new("paragraph");
    /// block.entries_mut().insert("type".into(), "heading".into());
    /// assert_eq!(block, Block::new("heading"));
    /// ```
    pub fn entries_mut(&mut self) -> &mut BTreeMap<String, Value> {
        &mut self.0
    }
}

impl From<BTreeMap<String, Value>> for Block {
    fn from(entries: BTreeMap<String, Value>) -> Self {
        Self(entries)
    }
}

impl From<Block> for BTreeMap<String, Value> {
    fn from(block: Block) -> Self {
        block.0
    }
}

impl FromIterator<(String, Value)> for Block {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}
