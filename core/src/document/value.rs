//! The current state of a document as a tree, independent of the engine.

use std::collections::BTreeMap;

/// One value of a document.
///
/// Maps are ordered by key, so that equal documents give equal bytes wherever a value is written out (invariant D9).
/// Positions and lengths in texts count Unicode code points.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing. A field that is absent and a field that is null read the same.
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
    /// A list whose elements merge.
    List(Vec<Value>),
    /// A map whose keys merge.
    Map(BTreeMap<String, Value>),
}
