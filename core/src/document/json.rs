//! Values as JSON: plain, for people and for SQL, and tagged, which loses nothing.

use super::rich::{RichText, json as rich_json};
use super::value::Value;
use serde_json::{Map, Number, Value as Json, json};
use std::fmt::Write;

/// The JSON is not a tagged value.
///
/// ```
/// use afield_core::document::{TaggedJsonError, Value};
///
/// let refused = Value::from_tagged_json(&serde_json::json!({"$counter": "three"})).unwrap_err();
/// assert!(matches!(refused, TaggedJsonError::WrongValue { tag: "$counter", .. }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaggedJsonError {
    /// An object has a key beginning with one `$` that is not the only key and a known tag.
    #[error("a key that begins with one '$' has to be the only one of its object and a known tag")]
    UnknownTag,
    /// The value below a tag is not what the tag needs.
    #[error("the value of {tag} has to be {needed}")]
    WrongValue {
        /// The tag.
        tag: &'static str,
        /// What it needs.
        needed: &'static str,
    },
}

impl Value {
    /// Writes the value as plain JSON.
    ///
    /// Texts become strings, with [`BLOCK_CHARACTER`](super::BLOCK_CHARACTER) for each block of a rich one; counters and timestamps (milliseconds) become numbers; bytes become lowercase hexadecimal
    /// strings; floating-point numbers that are not finite become null. Keys are in order, so the same value always
    /// gives the same bytes. The kinds cannot be told apart afterwards: see [`Value::to_tagged_json`].
    ///
    /// ```
    /// use afield_core::document::Value;
    /// use serde_json::json;
    ///
    /// let note = Value::from([("title", Value::Text("Trip".into())), ("opened", Value::Counter(2))]);
    /// assert_eq!(note.to_json(), json!({ "title": "Trip", "opened": 2 }));
    /// ```
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(number) | Self::Timestamp(number) | Self::Counter(number) => (*number).into(),
            Self::Uint(number) => (*number).into(),
            Self::F64(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Self::Str(text) | Self::Text(text) | Self::LongText(text) => Json::String(text.clone()),
            Self::RichText(text) => Json::from(text.as_str()),
            Self::Bytes(bytes) => Json::String(to_hex(bytes)),
            Self::List(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
        }
    }

    /// Reads plain JSON: strings become [`Value::Str`], whole numbers [`Value::Int`] or, above its range,
    /// [`Value::Uint`], all other numbers [`Value::F64`].
    ///
    /// ```
    /// use afield_core::document::Value;
    /// use serde_json::json;
    ///
    /// let note = Value::from_json(&json!({ "title": "Trip", "opened": 2 }));
    /// assert_eq!(note, Value::from([("title", Value::from("Trip")), ("opened", Value::from(2))]));
    /// ```
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => from_number(number),
            Json::String(text) => Self::Str(text.clone()),
            Json::Array(elements) => Self::List(elements.iter().map(Self::from_json).collect()),
            Json::Object(entries) => {
                Self::Map(entries.iter().map(|(key, value)| (key.clone(), Self::from_json(value))).collect())
            }
        }
    }

    /// Writes the value as JSON from which [`Value::from_tagged_json`] makes the same value of the same kinds.
    ///
    /// | kind | JSON |
    /// | --- | --- |
    /// | text | `{"$text": "…"}` |
    /// | text with marks or blocks | `{"$richtext": [{"block": {"type": "heading", …}}, {"text": "…", "marks": {"bold": true}}]}` |
    /// | long text | `{"$longtext": "…"}` |
    /// | counter, timestamp | `{"$counter": 5}`, `{"$timestamp": 1}` |
    /// | bytes | `{"$bytes": "00ff"}`, hexadecimal |
    /// | unsigned integer in the range of the signed ones | `{"$uint": 5}` |
    /// | floating-point number that is not finite or has more than 15 digits | `{"$float": "7ff0000000000000"}`, its bits |
    /// | key of a map that begins with `$` | `{"$$key": …}`, with one `$` more |
    /// | everything else | as plain JSON |
    ///
    /// Maps and lists nest as deep as they do in the value, and what stands in them takes one level more at the most, but
    /// for the blocks of rich texts, which take three. The values of marks and the entries of blocks are tagged, too.
    ///
    /// ```
    /// use afield_core::document::Value;
    /// use serde_json::json;
    ///
    /// let note = Value::from([("title", Value::Text("Trip".into())), ("opened", Value::Counter(2))]);
    /// let json = note.to_tagged_json();
    /// assert_eq!(json, json!({ "title": { "$text": "Trip" }, "opened": { "$counter": 2 } }));
    /// assert_eq!(Value::from_tagged_json(&json), Ok(note));
    /// ```
    pub fn to_tagged_json(&self) -> Json {
        match self {
            Self::Uint(number) if i64::try_from(*number).is_ok() => json!({ "$uint": number }),
            Self::F64(number) if !survives_decimal(*number) => {
                json!({ "$float": format!("{:016x}", number.to_bits()) })
            }
            Self::Text(text) => json!({ "$text": text }),
            Self::LongText(text) => json!({ "$longtext": text }),
            Self::RichText(text) => json!({ rich_json::TAG: text.to_json_spans() }),
            Self::Counter(number) => json!({ "$counter": number }),
            Self::Timestamp(number) => json!({ "$timestamp": number }),
            Self::Bytes(bytes) => json!({ "$bytes": to_hex(bytes) }),
            Self::List(elements) => elements.iter().map(Self::to_tagged_json).collect(),
            Self::Map(entries) => {
                entries.iter().map(|(key, value)| (escape_key(key), value.to_tagged_json())).collect()
            }
            _ => self.to_json(),
        }
    }

    /// Reads what [`Value::to_tagged_json`] wrote; JSON without tags is read as [`Value::from_json`] does.
    ///
    /// ```
    /// use afield_core::document::{TaggedJsonError, Value};
    /// use serde_json::json;
    ///
    /// assert_eq!(Value::from_tagged_json(&json!({ "$counter": 2 })), Ok(Value::Counter(2)));
    /// assert_eq!(Value::from_tagged_json(&json!({ "$colour": 2 })), Err(TaggedJsonError::UnknownTag));
    /// ```
    ///
    /// # Errors
    ///
    /// A key begins with one `$` and is not the only one of its object and a known tag, or a tag's value is not what it
    /// needs.
    pub fn from_tagged_json(json: &Json) -> Result<Self, TaggedJsonError> {
        match json {
            Json::Array(elements) => {
                elements.iter().map(Self::from_tagged_json).collect::<Result<_, _>>().map(Self::List)
            }
            Json::Object(entries) if entries.keys().any(|key| is_tag(key)) => {
                let mut pairs = entries.iter();
                match (pairs.next(), pairs.next()) {
                    (Some((tag, value)), None) => from_tag(tag, value),
                    _ => Err(TaggedJsonError::UnknownTag),
                }
            }
            Json::Object(entries) => map_from_tagged(entries),
            _ => Ok(Self::from_json(json)),
        }
    }
}

fn map_from_tagged(entries: &Map<String, Json>) -> Result<Value, TaggedJsonError> {
    entries
        .iter()
        .map(|(key, value)| Ok((unescape_key(key), Value::from_tagged_json(value)?)))
        .collect::<Result<_, _>>()
        .map(Value::Map)
}

fn is_tag(key: &str) -> bool {
    key.starts_with('$') && !key.starts_with("$$")
}

fn escape_key(key: &str) -> String {
    if key.starts_with('$') { format!("${key}") } else { key.to_owned() }
}

fn unescape_key(key: &str) -> String {
    key.strip_prefix('$').unwrap_or(key).to_owned()
}

fn from_tag(tag: &str, value: &Json) -> Result<Value, TaggedJsonError> {
    let wrong = |tag, needed| TaggedJsonError::WrongValue { tag, needed };
    let integer = |tag| value.as_i64().ok_or(wrong(tag, "an integer of 64 bits"));
    let text = |tag, needed| value.as_str().ok_or(wrong(tag, needed));
    match tag {
        "$text" => text("$text", "a string").map(|text| Value::Text(text.to_owned())),
        "$longtext" => text("$longtext", "a string").map(|text| Value::LongText(text.to_owned())),
        rich_json::TAG => RichText::from_json_spans(value).map(Value::from),
        "$counter" => integer("$counter").map(Value::Counter),
        "$timestamp" => integer("$timestamp").map(Value::Timestamp),
        "$uint" => value.as_u64().ok_or(wrong("$uint", "an integer that is not negative")).map(Value::Uint),
        "$bytes" => {
            let needed = "an even number of hexadecimal digits";
            text("$bytes", needed).and_then(|digits| from_hex(digits).ok_or(wrong("$bytes", needed))).map(Value::Bytes)
        }
        "$float" => {
            let needed = "16 hexadecimal digits";
            text("$float", needed)
                .and_then(|digits| {
                    from_hex(digits).and_then(|bytes| bytes.try_into().ok()).ok_or(wrong("$float", needed))
                })
                .map(|bytes| Value::F64(f64::from_bits(u64::from_be_bytes(bytes))))
        }
        _ => Err(TaggedJsonError::UnknownTag),
    }
}

fn from_number(number: &Number) -> Value {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => Value::Int(number),
        (None, Some(number)) => Value::Uint(number),
        (None, None) => number.as_f64().map_or(Value::Null, Value::F64),
    }
}

/// Whether every JSON parser reads back the same bits: at most 15 digits and a power of ten that a double holds
/// exactly, so that one multiplication or division gives the nearest double ("How to Read Floating Point Numbers
/// Accurately", Clinger 1990).
fn survives_decimal(number: f64) -> bool {
    const DIGITS_MAX: usize = 15;
    const POWER_MAX: i64 = 22;
    let shortest = format!("{:e}", number.abs());
    let Some((digits, exponent)) = shortest.split_once('e') else { return false };
    let digits = digits.bytes().filter(u8::is_ascii_digit).count();
    let power = exponent.parse::<i64>().map(|exponent| exponent - digits as i64 + 1);
    digits <= DIGITS_MAX && power.is_ok_and(|power| power.abs() <= POWER_MAX)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Block, DEPTH_MAX};
    use proptest::prelude::*;

    #[test]
    fn plain_json_says_what_people_expect() {
        let value = Value::from([
            ("body", Value::Text("x".into())),
            ("bytes", Value::Bytes(vec![0, 255])),
            ("count", Value::Counter(3)),
            ("never", Value::F64(f64::NAN)),
            ("when", Value::Timestamp(9)),
        ]);
        let expected = r#"{"body":"x","bytes":"00ff","count":3,"never":null,"when":9}"#;
        assert_eq!(value.to_json().to_string(), expected);
        let read = Value::from_json(&serde_json::from_str(r#"{"a":[-1,18446744073709551615,1.0,"s",null]}"#).unwrap());
        let elements = vec![Value::Int(-1), Value::Uint(u64::MAX), Value::F64(1.0), "s".into(), Value::Null];
        assert_eq!(read, Value::from([("a", Value::List(elements))]));
    }

    #[test]
    fn tags_are_refused_unless_known_alone_and_well_formed() {
        for bad in [r#"{"$unknown":1}"#, r#"{"$text":"a","$counter":1}"#, r#"{"$text":"a","b":1}"#] {
            let json = serde_json::from_str(bad).unwrap();
            assert_eq!(Value::from_tagged_json(&json), Err(TaggedJsonError::UnknownTag), "{bad}");
        }
        for bad in [
            r#"{"$text":1}"#,
            r#"{"$counter":1.5}"#,
            r#"{"$bytes":"0"}"#,
            r#"{"$bytes":"+1"}"#,
            r#"{"$float":"00"}"#,
            r#"{"$uint":-1}"#,
            r#"{"$longtext":1}"#,
            r#"{"$richtext":"a"}"#,
            r#"{"$richtext":["a"]}"#,
            r#"{"$richtext":[{"text":1}]}"#,
            r#"{"$richtext":[{"text":"a","other":1}]}"#,
            r#"{"$richtext":[{"text":"a","block":{}}]}"#,
            r#"{"$richtext":[{"text":"a","marks":{"bold":{"$counter":1}}}]}"#,
            r#"{"$richtext":[{"block":[]}]}"#,
        ] {
            let json = serde_json::from_str(bad).unwrap();
            assert!(matches!(Value::from_tagged_json(&json), Err(TaggedJsonError::WrongValue { .. })), "{bad}");
        }
        let good = serde_json::from_str(r#"{"$$text":{"$text":"a"},"$$$":1,"b":2}"#).unwrap();
        let entries = [("$text", Value::Text("a".into())), ("$$", Value::Int(1)), ("b", Value::Int(2))];
        assert_eq!(Value::from_tagged_json(&good), Ok(Value::from(entries)));
    }

    #[test]
    fn the_deepest_document_is_read_back_from_text_whatever_its_keys() {
        let deepest = (0..DEPTH_MAX).fold(Value::Text("bottom".into()), |inner, _| Value::from([("$map", inner)]));
        let text = deepest.to_tagged_json().to_string();
        let json = serde_json::from_str(&text).expect("serde_json reads 128 levels");
        assert_eq!(Value::from_tagged_json(&json), Ok(deepest));
    }

    fn rich_text() -> impl Strategy<Value = RichText> {
        let mark = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<f64>().prop_map(Value::F64),
            any::<u64>().prop_map(Value::Uint),
            any::<i64>().prop_map(Value::Timestamp),
            any::<Vec<u8>>().prop_map(Value::Bytes),
            "[a-z]{0,3}".prop_map(Value::Str),
        ];
        let span = (any::<String>(), prop::option::of(("[a-c$]{1,2}", mark)), prop::option::of("[a-z]{0,3}"));
        prop::collection::vec(span, 0..5).prop_map(|spans| {
            let mut text = RichText::new();
            for (characters, mark, block) in spans {
                text.push_text(&characters, mark.iter().map(|(name, value)| (name.as_str(), value)));
                if let Some(kind) = block {
                    text.push_block(Block::new(kind).with("$own", Value::Counter(1)));
                }
            }
            text
        })
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(Value::Uint),
            any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
            (-1000i32..1000).prop_map(|tenths| Value::F64(f64::from(tenths) / 10.0)),
            any::<String>().prop_map(Value::Str),
            any::<Vec<u8>>().prop_map(Value::Bytes),
            any::<i64>().prop_map(Value::Timestamp),
            any::<i64>().prop_map(Value::Counter),
            any::<String>().prop_map(Value::Text),
            any::<String>().prop_map(Value::LongText),
            rich_text().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map("[$a-c]{0,3}", inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn tagged_json_keeps_every_kind_through_text(value in value()) {
            let text = value.to_tagged_json().to_string();
            let read = Value::from_tagged_json(&serde_json::from_str(&text).unwrap()).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{value:?}"));
            prop_assert_eq!(read.to_tagged_json().to_string(), text);
        }
    }
}
