//! A model's value as a tree, with what an edit has to know beside the bare value.

use super::identity::Identity;
use afield_core::document::Value;
use automerge::{ObjType, ScalarValue};
use std::{borrow::Cow, collections::BTreeMap};

/// The value of a model, with the identity of list elements and, on the side before an edit, with what of it the
/// document holds.
///
/// Made by [`to_tree`](super::to_tree) and [`before_edit`](super::before_edit), compared by
/// [`difference`](super::difference).
///
/// ```
/// # use afield::{model, typed};
/// # #[model]
/// # struct Note { title: String }
/// let before = typed::to_tree(&Note { title: "Milk".into() })?;
/// let after = typed::to_tree(&Note { title: "Bread".into() })?;
/// assert!(typed::difference(&before, &before).is_empty());
/// assert_eq!(typed::difference(&before, &after).len(), 1);
/// # Ok::<(), typed::ToValueError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tree(pub(super) Node);

impl Tree {
    /// The bare value.
    ///
    /// ```
    /// # use afield::{model, typed};
    /// # #[model]
    /// # struct Note { title: String }
    /// let tree = typed::to_tree(&Note { title: "Milk".into() })?;
    /// assert_eq!(tree.value().entry("title"), Some(&"Milk".into()));
    /// # Ok::<(), typed::ToValueError>(())
    /// ```
    pub fn value(&self) -> Value {
        self.0.value()
    }

    /// The bare value, without a copy of its contents.
    ///
    /// ```
    /// # use afield::{model, typed};
    /// # #[model]
    /// # struct Note { title: String }
    /// let note = Note { title: "Milk".into() };
    /// assert_eq!(typed::to_tree(&note)?.into_value(), typed::to_value(&note)?);
    /// # Ok::<(), typed::ToValueError>(())
    /// ```
    pub fn into_value(self) -> Value {
        self.0.into_value()
    }
}

/// One value of the tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) standing: Standing,
    /// Whether its absence from the map around it reads as this value, so that it need not be written.
    pub(super) implied: bool,
    /// Whether this is the data of an enum's variant, under its name in the enum's map.
    pub(super) is_variant: bool,
}

/// What stands in the document where a value was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The value, as one of its kind.
    Held,
    /// Something of another kind, or null, from which the value was converted or for which it is the default.
    Other,
    /// Nothing: the value is a default.
    Absent,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Anything but a list or a map.
    Leaf(Value),
    List(Vec<Element>),
    Map(BTreeMap<String, Node>),
}

#[derive(Debug, Clone)]
pub(super) struct Element {
    pub(super) identity: Option<Identity>,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn leaf(value: Value) -> Self {
        Self::new(Content::Leaf(value))
    }

    pub(super) fn new(content: Content) -> Self {
        Self { content, standing: Standing::Held, implied: false, is_variant: false }
    }

    pub(super) fn value(&self) -> Value {
        match &self.content {
            Content::Leaf(value) => value.clone(),
            Content::List(elements) => Value::List(elements.iter().map(|element| element.node.value()).collect()),
            Content::Map(entries) => {
                Value::Map(entries.iter().map(|(key, node)| (key.clone(), node.value())).collect())
            }
        }
    }

    pub(super) fn into_value(self) -> Value {
        match self.content {
            Content::Leaf(value) => value,
            Content::List(elements) => {
                Value::List(elements.into_iter().map(|element| element.node.into_value()).collect())
            }
            Content::Map(entries) => {
                Value::Map(entries.into_iter().map(|(key, node)| (key, node.into_value())).collect())
            }
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.standing == Standing::Held
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.content, Content::Leaf(Value::Null))
    }

    /// The name of the variant, where this is the map of an enum.
    pub(super) fn variant(&self) -> Option<&str> {
        let Content::Map(entries) = &self.content else { return None };
        entries.iter().find(|(_, node)| node.is_variant).map(|(name, _)| name.as_str())
    }

    pub(super) fn is_container(&self) -> bool {
        !matches!(self.content, Content::Leaf(_))
    }

    /// Whether the values are the same, wherever they came from.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Content::Leaf(a), Content::Leaf(b)) => a == b,
            (Content::List(a), Content::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.node.same(&b.node))
            }
            (Content::Map(a), Content::Map(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|((key, a), (other, b))| key == other && a.same(b))
            }
            _ => false,
        }
    }

    /// Whether this says nothing: null, zero or empty, all the way down.
    pub(super) fn is_empty(&self) -> bool {
        match &self.content {
            Content::Leaf(value) => match value {
                Value::Null => true,
                Value::Bool(value) => !value,
                Value::Int(value) | Value::Counter(value) | Value::Timestamp(value) => *value == 0,
                Value::Uint(value) => *value == 0,
                Value::F64(value) => *value == 0.0,
                Value::Str(text) | Value::Text(text) | Value::LongText(text) => text.is_empty(),
                Value::RichText(text) => text.is_empty(),
                Value::Bytes(bytes) => bytes.is_empty(),
                Value::List(elements) => elements.is_empty(),
                Value::Map(entries) => entries.is_empty(),
            },
            Content::List(elements) => elements.is_empty(),
            Content::Map(entries) => entries.values().all(Self::is_empty),
        }
    }

    /// The value as the engine shows it: a scalar, or the kind of an object.
    pub(super) fn engine_value(&self) -> automerge::Value<'static> {
        let scalar = |scalar| automerge::Value::Scalar(Cow::Owned(scalar));
        match &self.content {
            Content::List(_) | Content::Leaf(Value::List(_)) => automerge::Value::Object(ObjType::List),
            Content::Map(_) | Content::Leaf(Value::Map(_) | Value::LongText(_)) => {
                automerge::Value::Object(ObjType::Map)
            }
            Content::Leaf(Value::Text(_) | Value::RichText(_)) => automerge::Value::Object(ObjType::Text),
            Content::Leaf(Value::Null) => scalar(ScalarValue::Null),
            Content::Leaf(Value::Bool(value)) => scalar(ScalarValue::Boolean(*value)),
            Content::Leaf(Value::Int(value)) => scalar(ScalarValue::Int(*value)),
            Content::Leaf(Value::Uint(value)) => scalar(ScalarValue::Uint(*value)),
            Content::Leaf(Value::F64(value)) => scalar(ScalarValue::F64(*value)),
            Content::Leaf(Value::Str(text)) => scalar(ScalarValue::Str(text.as_str().into())),
            Content::Leaf(Value::Bytes(bytes)) => scalar(ScalarValue::Bytes(bytes.clone())),
            Content::Leaf(Value::Timestamp(value)) => scalar(ScalarValue::Timestamp(*value)),
            Content::Leaf(Value::Counter(value)) => scalar(ScalarValue::counter(*value)),
        }
    }

    /// Appends bytes that are equal for equal values and different for others.
    pub(super) fn write_token(&self, token: &mut Vec<u8>) {
        match &self.content {
            Content::Leaf(value) => write_leaf_token(value, token),
            Content::List(elements) => {
                write_tagged(b'l', &elements.len().to_be_bytes(), token);
                elements.iter().for_each(|element| element.node.write_token(token));
            }
            Content::Map(entries) => {
                write_tagged(b'm', &entries.len().to_be_bytes(), token);
                for (key, node) in entries {
                    write_tagged(b'k', key.as_bytes(), token);
                    node.write_token(token);
                }
            }
        }
    }
}

pub(super) fn write_tagged(tag: u8, bytes: &[u8], token: &mut Vec<u8>) {
    token.push(tag);
    token.extend_from_slice(&bytes.len().to_be_bytes());
    token.extend_from_slice(bytes);
}

fn write_leaf_token(value: &Value, token: &mut Vec<u8>) {
    match value {
        Value::Null => token.push(b'0'),
        Value::Bool(value) => token.extend_from_slice(&[b'b', u8::from(*value)]),
        Value::Int(value) => write_tagged(b'i', &i128::from(*value).to_be_bytes(), token),
        Value::Uint(value) => write_tagged(b'i', &i128::from(*value).to_be_bytes(), token),
        Value::F64(value) => write_tagged(b'f', &value.to_bits().to_be_bytes(), token),
        Value::Str(text) => write_tagged(b's', text.as_bytes(), token),
        Value::Bytes(bytes) => write_tagged(b'y', bytes, token),
        Value::Timestamp(value) => write_tagged(b't', &value.to_be_bytes(), token),
        Value::Counter(value) => write_tagged(b'c', &value.to_be_bytes(), token),
        Value::Text(text) | Value::LongText(text) => write_tagged(b'x', text.as_bytes(), token),
        Value::RichText(_) => write_tagged(b'r', value.to_tagged_json().to_string().as_bytes(), token),
        Value::List(elements) => {
            write_tagged(b'l', &elements.len().to_be_bytes(), token);
            elements.iter().for_each(|element| write_leaf_token(element, token));
        }
        Value::Map(entries) => {
            write_tagged(b'm', &entries.len().to_be_bytes(), token);
            for (key, value) in entries {
                write_tagged(b'k', key.as_bytes(), token);
                write_leaf_token(value, token);
            }
        }
    }
}
