//! Fields as a person types them.

use crate::text;
use afield::{Path, Step};
use serde_json::{Map, Value as Json, json};
use std::io::{self, Read};

/// How fields are written, for the help of `put`.
pub(crate) const FIELDS_HELP: &str = "\
Fields, of which only those named are set:
  title=Milk           a string
  done:=true           JSON: a number, true, null, a list, an object
  body~='Dear all'     a text: its characters merge with what others type
  votes+=1             a counter: what everybody adds sums up
  address.city=Porto   inside a map, and tags[0]=food inside a list

A text that is set to a string and a counter that is set to a number stay what
they are, with the marks and blocks of the characters that remain; set to
anything else, they are replaced. A JSON object sets the whole entity: what it
does not name is removed. In JSON there are
  {\"$text\": \"…\"}  {\"$longtext\": \"…\"}  {\"$counter\": 0}
  {\"$bytes\": \"00ff\"}  {\"$timestamp\": 0}
  {\"$richtext\": [{\"block\": {\"type\": \"heading\"}},
                 {\"text\": \"…\", \"marks\": {\"bold\": true}}]}

Examples:
  afield put notes title=Shopping body~='milk, bread'
      makes an entity and prints its id
  afield put notes 5f4a3b2c1d0e done:=true
      sets a field; the last characters of an id are enough
  afield get notes 5f4a3b2c1d0e --tagged | … | afield put notes 5f4a3b2c1d0e -
      sends an entity through another program";

/// What somebody typed after `put COLLECTION` was not understood. Fields are told by number, not by content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FieldsError {
    #[error("nothing to set: give a JSON object, fields, or - for JSON from stdin")]
    Nothing,
    #[error("no JSON: line {line}, column {column}")]
    Json { line: usize, column: usize },
    #[error("either a JSON object or fields, not both")]
    Both,
    #[error(
        "value {field} is neither FIELD=VALUE nor the id of an entity, which is a UUID or at least its last 4 digits"
    )]
    NoOperator { field: usize },
    #[error("field {field} has no valid name")]
    Name { field: usize, source: afield::ParsePathError },
    #[error("field {field} has an empty name")]
    NoName { field: usize },
    #[error("field {field} is no JSON after ':=', at column {column}")]
    FieldJson { field: usize, column: usize },
    #[error("field {field} adds to a counter and needs a whole number after '+='")]
    Number { field: usize },
    #[error("field {field} adds to something that is no counter")]
    NotACounter { field: usize },
    #[error("field {field} would leave the range of 64 bits")]
    Overflow { field: usize },
    #[error("field {field} leads into something that is no map or list")]
    NotInside { field: usize },
    #[error("field {field} is beyond the end of a list, which has {}", text::count(*.length as u64, "element", "elements"))]
    Beyond { field: usize, length: usize },
    #[error("stdin could not be read")]
    Stdin(#[source] io::Error),
}

/// What `put` writes, and to which entity.
#[derive(Debug, PartialEq)]
pub(crate) struct Wanted {
    /// The id as it was typed.
    pub(crate) id: Option<String>,
    /// The values.
    pub(crate) values: Values,
}

/// What `put` writes.
#[derive(Debug, PartialEq)]
pub(crate) enum Values {
    /// The whole entity, as tagged JSON.
    Whole(Json),
    /// Some of its fields.
    Fields(Vec<Field>),
}

/// One field to set.
#[derive(Debug, PartialEq)]
pub(crate) struct Field {
    number: usize,
    path: Path,
    operation: Operation,
}

#[derive(Debug, PartialEq)]
enum Operation {
    Str(String),
    Json(Json),
    Text(String),
    Add(i64),
}

impl Wanted {
    /// Reads what was typed after the collection.
    pub(crate) fn parse(words: &[String], stdin: impl Read) -> Result<Self, FieldsError> {
        let is_id =
            |word: &&String| !word.contains('=') && !word.trim_start().starts_with(['{', '[', '"']) && *word != "-";
        let id = words.first().filter(is_id).cloned();
        let values = words.get(usize::from(id.is_some())..).unwrap_or_default();
        let values = match values {
            [] => return Err(FieldsError::Nothing),
            [only] if only == "-" => Values::Whole(from_stdin(stdin)?),
            [only] if only.trim_start().starts_with(['{', '[', '"']) => Values::Whole(from_text(only)?),
            many if many.iter().any(|word| word == "-" || word.trim_start().starts_with('{')) => {
                return Err(FieldsError::Both);
            }
            many => Values::Fields(all(many)?),
        };
        Ok(Self { id, values })
    }
}

impl Values {
    /// The entity that has these values and nothing else, as tagged JSON.
    pub(crate) fn into_entity(self) -> Result<Json, FieldsError> {
        match self {
            Self::Whole(json) => Ok(json),
            Self::Fields(fields) => {
                let mut entity = Json::Object(Map::new());
                set(&fields, &mut entity)?;
                Ok(entity)
            }
        }
    }
}

/// Reads fields with their values.
pub(crate) fn all(words: &[String]) -> Result<Vec<Field>, FieldsError> {
    (1..).zip(words).map(|(number, word)| field(number, word)).collect()
}

/// Reads the path of one field.
pub(crate) fn path(word: &str) -> Result<Path, FieldsError> {
    let path: Path = word.parse().map_err(|source| FieldsError::Name { field: 1, source })?;
    if path.is_root() { Err(FieldsError::NoName { field: 1 }) } else { Ok(path) }
}

/// What stands at a path of an entity's tagged JSON.
pub(crate) fn at<'j>(entity: &'j Json, path: &Path) -> Option<&'j Json> {
    path.steps().iter().try_fold(entity, |inside, step| match step {
        Step::Key(key) if key.starts_with('$') => inside.get(format!("${key}")),
        Step::Key(key) => inside.get(key.as_str()),
        Step::Index(index) => inside.get(index),
    })
}

/// Sets what stands at a path of an entity's tagged JSON.
pub(crate) fn put(entity: &mut Json, path: &Path, value: Json) -> Result<(), FieldsError> {
    *path.steps().iter().try_fold(entity, |inside, step| enter(inside, step, 1))? = value;
    Ok(())
}

/// Sets fields in an entity's tagged JSON: all of them or, after an error, none.
pub(crate) fn set(fields: &[Field], entity: &mut Json) -> Result<(), FieldsError> {
    let mut changed = entity.clone();
    for field in fields {
        field.set(&mut changed)?;
    }
    *entity = changed;
    Ok(())
}

impl Field {
    fn set(&self, entity: &mut Json) -> Result<(), FieldsError> {
        let number = self.number;
        let place = self.path.steps().iter().try_fold(entity, |inside, step| enter(inside, step, number))?;
        *place = match &self.operation {
            // A text stays what it is where a string is put in its place, with the marks and blocks of what remains.
            Operation::Str(text) | Operation::Text(text) if is_text(place) => Json::String(text.clone()),
            Operation::Str(text) => Json::String(text.clone()),
            Operation::Text(text) => json!({ "$text": text }),
            Operation::Json(json) => json.clone(),
            Operation::Add(by) => {
                let sum = match &*place {
                    Json::Null => Some(*by),
                    tagged => {
                        let count = tagged.get("$counter").and_then(Json::as_i64);
                        count.ok_or(FieldsError::NotACounter { field: number })?.checked_add(*by)
                    }
                };
                json!({ "$counter": sum.ok_or(FieldsError::Overflow { field: number })? })
            }
        };
        Ok(())
    }
}

/// Whether tagged JSON is a text of some kind.
fn is_text(tagged: &Json) -> bool {
    ["$text", "$richtext", "$longtext"].iter().any(|tag| tagged.get(tag).is_some())
}

/// Goes one step into tagged JSON, making what is absent.
fn enter<'j>(inside: &'j mut Json, step: &afield::Step, field: usize) -> Result<&'j mut Json, FieldsError> {
    match (inside, step) {
        (inside @ Json::Null, Step::Key(key)) => {
            *inside = Json::Object(Map::new());
            entry(inside, key, field)
        }
        (inside @ Json::Object(_), Step::Key(key)) => entry(inside, key, field),
        (inside @ (Json::Null | Json::Array(_)), Step::Index(index)) => {
            if inside.is_null() {
                *inside = Json::Array(Vec::new());
            }
            let elements = inside.as_array_mut().ok_or(FieldsError::NotInside { field })?;
            let length = elements.len();
            if *index == length {
                elements.push(Json::Null);
            }
            elements.get_mut(*index).ok_or(FieldsError::Beyond { field, length })
        }
        _ => Err(FieldsError::NotInside { field }),
    }
}

/// The entry of a map in tagged JSON, where a key that begins with `$` has one more, and an object with any other such key
/// is no map.
fn entry<'j>(map: &'j mut Json, key: &str, field: usize) -> Result<&'j mut Json, FieldsError> {
    let entries = map.as_object_mut().ok_or(FieldsError::NotInside { field })?;
    if entries.keys().any(|key| key.starts_with('$') && !key.starts_with("$$")) {
        return Err(FieldsError::NotInside { field });
    }
    let key = if key.starts_with('$') { format!("${key}") } else { key.to_owned() };
    Ok(entries.entry(key).or_insert(Json::Null))
}

fn field(number: usize, word: &str) -> Result<Field, FieldsError> {
    let (name, value) = word.split_once('=').ok_or(FieldsError::NoOperator { field: number })?;
    let (name, operation) = if let Some(name) = name.strip_suffix(':') {
        let json = serde_json::from_str(value);
        (name, Operation::Json(json.map_err(|error| FieldsError::FieldJson { field: number, column: error.column() })?))
    } else if let Some(name) = name.strip_suffix('~') {
        (name, Operation::Text(value.to_owned()))
    } else if let Some(name) = name.strip_suffix('+') {
        (name, Operation::Add(value.parse().map_err(|_| FieldsError::Number { field: number })?))
    } else {
        (name, Operation::Str(value.to_owned()))
    };
    let path: Path = name.parse().map_err(|source| FieldsError::Name { field: number, source })?;
    if path.is_root() {
        return Err(FieldsError::NoName { field: number });
    }
    Ok(Field { number, path, operation })
}

fn from_stdin(mut stdin: impl Read) -> Result<Json, FieldsError> {
    let mut text = String::new();
    stdin.read_to_string(&mut text).map_err(FieldsError::Stdin)?;
    from_text(&text)
}

fn from_text(text: &str) -> Result<Json, FieldsError> {
    serde_json::from_str(text).map_err(|error| FieldsError::Json { line: error.line(), column: error.column() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Wanted, FieldsError> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Wanted::parse(&words, &b"{\"from\": \"stdin\"}"[..])
    }

    fn entity(words: &[&str]) -> Json {
        parsed(words).unwrap().values.into_entity().unwrap()
    }

    fn changed(before: Json, word: &str) -> Result<Json, FieldsError> {
        let mut entity = before;
        let Values::Fields(fields) = parsed(&[word]).unwrap().values else { panic!("{word} is a field") };
        set(&fields, &mut entity).map(|()| entity)
    }

    #[test]
    fn every_way_to_write_a_field_has_its_kind() {
        assert_eq!(
            entity(&["title=true", "done:=true", "body~=a=b", "votes+=2", "address.city=Porto", "tags[0]=food"]),
            json!({
                "title": "true", "done": true, "body": {"$text": "a=b"}, "votes": {"$counter": 2},
                "address": {"city": "Porto"}, "tags": ["food"],
            })
        );
    }

    #[test]
    fn an_id_comes_first_and_is_told_from_values() {
        assert_eq!(parsed(&["1d0e", "a=b"]).unwrap().id.as_deref(), Some("1d0e"));
        assert_eq!(parsed(&["a=b"]).unwrap().id, None);
        assert_eq!(parsed(&["{}"]).unwrap(), Wanted { id: None, values: Values::Whole(json!({})) });
        assert_eq!(parsed(&["1d0e", "-"]).unwrap().values, Values::Whole(json!({"from": "stdin"})));
    }

    #[test]
    fn texts_and_counters_stay_what_they_are() {
        for tagged in [json!({"$text": "x"}), json!({"$longtext": "x"}), json!({"$richtext": [{"block": {}}]})] {
            for word in ["a=y", "a~=y"] {
                assert_eq!(
                    changed(json!({ "a": tagged }), word).unwrap(),
                    json!({"a": "y"}),
                    "the library keeps its kind"
                );
            }
        }
        assert_eq!(changed(json!({"a": {"$counter": 3}}), "a+=-1").unwrap(), json!({"a": {"$counter": 2}}));
        assert_eq!(changed(json!({"a": {"$$b": 1}}), "a.c=2").unwrap(), json!({"a": {"$$b": 1, "c": "2"}}));
        assert_eq!(changed(json!({"a": {"$$b": 1}}), "a.$b=2").unwrap(), json!({"a": {"$$b": "2"}}));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_its_number_and_changes_nothing() {
        assert!(matches!(parsed(&["1d0e"]), Err(FieldsError::Nothing)));
        assert!(matches!(parsed(&["{"]), Err(FieldsError::Json { line: 1, .. })));
        assert!(matches!(parsed(&["{}", "a=b"]), Err(FieldsError::Both)));
        assert!(matches!(parsed(&["a=b", "c"]), Err(FieldsError::NoOperator { field: 2 })));
        assert!(matches!(parsed(&["a=b", "=c"]), Err(FieldsError::NoName { field: 2 })));
        assert!(matches!(parsed(&["a[=b"]), Err(FieldsError::Name { field: 1, .. })));
        assert!(matches!(parsed(&["a:=b"]), Err(FieldsError::FieldJson { field: 1, .. })));
        assert!(matches!(parsed(&["a+=b"]), Err(FieldsError::Number { field: 1 })));
        assert!(matches!(changed(json!({"a": "x"}), "a+=1"), Err(FieldsError::NotACounter { .. })));
        assert!(matches!(changed(json!({"a": {"$counter": i64::MAX}}), "a+=1"), Err(FieldsError::Overflow { .. })));
        assert!(matches!(changed(json!({"a": {"$text": "x"}}), "a.b=1"), Err(FieldsError::NotInside { .. })));
        assert!(matches!(changed(json!({"a": [1]}), "a[2]=1"), Err(FieldsError::Beyond { length: 1, .. })));
    }
}
