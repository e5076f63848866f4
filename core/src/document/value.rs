//! The current state of a document as a tree, independent of the engine.

use super::rich::RichText;
use std::collections::BTreeMap;
use std::fmt;

/// One value of a document.
///
/// Maps are ordered by key, so that equal documents give equal bytes wherever a value is written out (invariant D9).
/// Positions and lengths in texts count Unicode code points, and each block of a rich text as one.
///
/// Two values are equal when they say the same: [`Value::Int`] and [`Value::Uint`] of one number are equal, and
/// floating-point numbers are equal when their bits are, so that every value equals itself.
///
/// ```
/// use afield_core::document::Value;
///
/// let note = Value::from([("title", Value::from("Trip")), ("opened", Value::Counter(3))]);
/// assert_eq!(note.entry("title"), Some(&Value::from("Trip")));
/// assert_eq!(Value::Int(3), Value::Uint(3)); // the same number
/// assert_ne!(Value::Text("Trip".into()), Value::from("Trip")); // one merges by character, one is replaced
/// ```
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Nothing. A field that is absent and a field that is null read the same.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A floating-point number.
    F64(f64),
    /// A string that is replaced as a whole.
    Str(String),
    /// Bytes that are replaced as a whole.
    Bytes(Vec<u8>),
    /// Milliseconds since the Unix epoch.
    Timestamp(i64),
    /// A number to which concurrent increments add up.
    Counter(i64),
    /// A text whose characters merge.
    Text(String),
    /// A text whose characters merge, with marks or blocks in it; one that has neither reads as [`Value::Text`].
    RichText(RichText),
    /// A text whose characters merge and that is kept in parts, so that it may grow long.
    LongText(String),
    /// A list whose elements merge.
    List(Vec<Value>),
    /// A map whose keys merge.
    Map(BTreeMap<String, Value>),
}

/// What a [`Value`] is, without its content: for errors and logs.
///
/// ```
/// use afield_core::document::{Kind, Value};
///
/// let secret = Value::Text("what nobody else reads".into());
/// assert_eq!(secret.kind(), Kind::Text);
/// assert_eq!(format!("found {}", secret.kind()), "found a text"); // and not what it says
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nothing, or an absent field.
    Null,
    /// True or false.
    Bool,
    /// An integer, signed or not.
    Integer,
    /// A floating-point number.
    Float,
    /// A string that is replaced as a whole.
    Str,
    /// Bytes.
    Bytes,
    /// A moment.
    Timestamp,
    /// A counter.
    Counter,
    /// A text.
    Text,
    /// A text in parts.
    LongText,
    /// A list.
    List,
    /// A map.
    Map,
}

impl Value {
    /// What the value is, without its content.
    ///
    /// ```
    /// use afield_core::document::{Kind, Value};
    ///
    /// assert_eq!(Value::Text("milk".into()).kind(), Kind::Text);
    /// assert_eq!(Value::from(5).kind(), Kind::Integer);
    /// assert_eq!(Kind::Integer.to_string(), "an integer");
    /// ```
    pub fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) | Self::Uint(_) => Kind::Integer,
            Self::F64(_) => Kind::Float,
            Self::Str(_) => Kind::Str,
            Self::Bytes(_) => Kind::Bytes,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::Counter(_) => Kind::Counter,
            Self::Text(_) | Self::RichText(_) => Kind::Text,
            Self::LongText(_) => Kind::LongText,
            Self::List(_) => Kind::List,
            Self::Map(_) => Kind::Map,
        }
    }

    /// The number, when it is an integer of either kind.
    ///
    /// ```
    /// use afield_core::document::Value;
    ///
    /// assert_eq!(Value::Int(-1).as_integer(), Some(-1));
    /// assert_eq!(Value::Uint(u64::MAX).as_integer(), Some(i128::from(u64::MAX)));
    /// assert_eq!(Value::Counter(5).as_integer(), None);
    /// ```
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(i128::from(*number)),
            Self::Uint(number) => Some(i128::from(*number)),
            _ => None,
        }
    }

    /// The characters, when it is a string or a text, with [`BLOCK_CHARACTER`](super::BLOCK_CHARACTER) for each block.
    ///
    /// ```
    /// use afield_core::document::Value;
    ///
    /// assert_eq!(Value::from("milk").as_str(), Some("milk"));
    /// assert_eq!(Value::LongText("Once upon a time".into()).as_str(), Some("Once upon a time"));
    /// assert_eq!(Value::from(5).as_str(), None);
    /// ```
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) | Self::Text(text) | Self::LongText(text) => Some(text),
            Self::RichText(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The text with its marks and blocks, when it is a string or a text.
    ///
    /// ```
    /// use afield_core::document::{RichText, Value};
    ///
    /// assert_eq!(Value::Text("milk".into()).to_rich_text(), Some(RichText::from("milk")));
    /// assert_eq!(Value::Null.to_rich_text(), None);
    /// ```
    pub fn to_rich_text(&self) -> Option<RichText> {
        match self {
            Self::RichText(text) => Some(text.clone()),
            other => other.as_str().map(RichText::from),
        }
    }

    /// Whether it can be the value of a mark: a scalar that does not count and that equals itself.
    pub(super) fn can_be_of_a_mark(&self) -> bool {
        match self {
            // The engine compares the values of marks, and fails on one that is not even equal to itself.
            Self::F64(number) => !number.is_nan(),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Uint(_)
            | Self::Str(_)
            | Self::Bytes(_)
            | Self::Timestamp(_) => true,
            Self::Counter(_) | Self::Text(_) | Self::RichText(_) | Self::LongText(_) | Self::List(_) | Self::Map(_) => {
                false
            }
        }
    }

    /// The elements, when it is a list.
    ///
    /// ```
    /// use afield_core::document::Value;
    ///
    /// let tags = Value::from(vec![Value::from("urgent"), Value::from("home")]);
    /// assert_eq!(tags.as_list().map(|tags| tags.len()), Some(2));
    /// ```
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries, when it is a map.
    ///
    /// ```
    /// use afield_core::document::Value;
    ///
    /// let note = Value::from([("title", Value::from("Trip"))]);
    /// assert!(note.as_map().is_some_and(|fields| fields.contains_key("title")));
    /// ```
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether it is nothing.
    ///
    /// ```
    /// use afield_core::document::Value;
    ///
    /// assert!(Value::Null.is_null());
    /// assert!(!Value::from("").is_null());
    /// ```
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The entry of a map, when it is a map and has that key.
    ///
    /// ```
    /// use afield_core::document::Value;
    ///
    /// let note = Value::from([("title", Value::from("Trip"))]);
    /// assert_eq!(note.entry("title"), Some(&Value::from("Trip")));
    /// assert_eq!(note.entry("done"), None);
    /// ```
    pub fn entry(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::F64(left), Self::F64(right)) => left.to_bits() == right.to_bits(),
            (Self::Str(left), Self::Str(right))
            | (Self::Text(left), Self::Text(right))
            | (Self::LongText(left), Self::LongText(right)) => left == right,
            (Self::RichText(left), Self::RichText(right)) => left == right,
            // A text that lost its last mark reads as a plain one.
            (Self::RichText(rich), Self::Text(plain)) | (Self::Text(plain), Self::RichText(rich)) => {
                rich.is_plain() && rich.as_str() == plain
            }
            (Self::Bytes(left), Self::Bytes(right)) => left == right,
            (Self::Timestamp(left), Self::Timestamp(right)) | (Self::Counter(left), Self::Counter(right)) => {
                left == right
            }
            (Self::List(left), Self::List(right)) => left == right,
            (Self::Map(left), Self::Map(right)) => left == right,
            _ => self.as_integer().is_some_and(|number| other.as_integer() == Some(number)),
        }
    }
}

impl Eq for Value {}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "nothing",
            Self::Bool => "a boolean",
            Self::Integer => "an integer",
            Self::Float => "a floating-point number",
            Self::Str => "a string",
            Self::Bytes => "bytes",
            Self::Timestamp => "a timestamp",
            Self::Counter => "a counter",
            Self::Text => "a text",
            Self::LongText => "a long text",
            Self::List => "a list",
            Self::Map => "a map",
        })
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for Value {
            fn from(source: $source) -> Self {
                Self::$variant(source.into())
            }
        })*
    };
}

from! { bool => Bool, i64 => Int, i32 => Int, u32 => Uint, u64 => Uint, f64 => F64, &str => Str, String => Str, Vec<Value> => List }

impl From<RichText> for Value {
    fn from(text: RichText) -> Self {
        if text.is_plain() { Self::Text(text.as_str().to_owned()) } else { Self::RichText(text) }
    }
}

impl<K: Into<String>, const N: usize> From<[(K, Value); N]> for Value {
    fn from(entries: [(K, Value); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_equal_when_they_say_the_same() {
        assert_eq!(Value::Int(5), Value::Uint(5));
        assert_ne!(Value::Int(-1), Value::Uint(u64::MAX));
        assert_eq!(Value::F64(f64::NAN), Value::F64(f64::NAN));
        assert_ne!(Value::F64(0.0), Value::F64(-0.0));
        assert_ne!(Value::F64(1.0), Value::Int(1));
        assert_ne!(Value::Str("a".into()), Value::Text("a".into()));
        assert_ne!(Value::Counter(1), Value::Timestamp(1));
        assert_eq!(Value::from([("a", vec![Value::Int(1)].into())]), Value::from([("a", vec![Value::Uint(1)].into())]));
    }
}
