//! Where in a document something stands.

use std::fmt;
use std::str::FromStr;

/// One step of a [`Path`].
///
/// ```
/// use afield_core::document::{Path, Step};
///
/// let path = Path::from("steps").index(0).key("title");
/// assert_eq!(path.steps(), [Step::Key("steps".into()), Step::Index(0), Step::Key("title".into())]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The entry of a map.
    Key(String),
    /// The element of a list, from 0.
    Index(usize),
}

/// The way from the root of a document to a value: keys of maps and indices of lists.
///
/// `From<&str>` makes the path of a single key, whatever characters it has. [`FromStr`] reads the written form, such
/// as `steps[0].title`: keys are separated by dots and may hold anything but `.`, `[`, `]` and `"`; any key at all is
/// written in brackets as a JSON string, as in `labels["a.b"]`. The empty path is the root.
///
/// ```
/// use afield_core::document::Path;
///
/// let path = Path::from("steps").index(0).key("title");
/// assert_eq!("steps[0].title".parse(), Ok(path));
/// assert_eq!(Path::from("a.b").to_string(), "[\"a.b\"]"); // one key, with a dot in it
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Vec<Step>);

/// The text is not a path.
///
/// ```
/// use afield_core::document::Path;
///
/// let error = "steps[first]".parse::<Path>().unwrap_err();
/// assert_eq!(error.position, 6); // where "first" stands
/// assert!(error.to_string().contains(error.needed));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a path: at character {position} there has to be {needed}")]
pub struct ParsePathError {
    /// Where, in characters from 0.
    pub position: usize,
    /// What would have been right there.
    pub needed: &'static str,
}

impl Path {
    /// The path of the root.
    ///
    /// ```
    /// use afield_core::document::Path;
    ///
    /// assert_eq!("".parse(), Ok(Path::ROOT));
    /// assert_eq!(Path::ROOT.key("title"), Path::from("title"));
    /// ```
    pub const ROOT: Self = Self(Vec::new());

    /// The path of an entry of the map at this path.
    ///
    /// ```
    /// use afield_core::document::Path;
    ///
    /// assert_eq!(Path::from("steps").index(0).key("title").to_string(), "steps[0].title");
    /// assert_eq!(Path::from("labels").key("a.b").to_string(), "labels[\"a.b\"]");
    /// ```
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Step::Key(key.into()));
        self
    }

    /// The path of an element of the list at this path.
    ///
    /// ```
    /// use afield_core::document::Path;
    ///
    /// let path = Path::from("steps").index(2);
    /// assert_eq!("steps[2]".parse(), Ok(path));
    /// ```
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// Adds a step at the end.
    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Takes the last step away.
    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    /// The path as errors and logs may show it: the name of the field, and indices; keys below it, which may be content,
    /// as `*`.
    ///
    /// ```
    /// use afield_core::document::Path;
    ///
    /// assert_eq!(Path::from("labels").key("Anna").index(1).outline().to_string(), "labels.*[1]");
    /// assert_eq!(Path::ROOT.outline().to_string(), "the entity");
    /// ```
    pub fn outline(&self) -> impl fmt::Display + use<> {
        let shown = self.0.iter().enumerate().map(|(number, step)| match step {
            Step::Key(_) if number > 0 => Step::Key("*".to_owned()),
            other => other.clone(),
        });
        Outline(shown.collect())
    }

    /// The steps from the root.
    ///
    /// ```
    /// use afield_core::document::{Path, Step};
    ///
    /// assert_eq!(Path::from("steps").index(0).steps(), [Step::Key("steps".into()), Step::Index(0)]);
    /// ```
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether it is the root.
    ///
    /// ```
    /// use afield_core::document::Path;
    ///
    /// assert!(Path::ROOT.is_root());
    /// assert!(!Path::from("title").is_root());
    /// ```
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

struct Outline(Path);

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_root() { f.write_str("the entity") } else { self.0.fmt(f) }
    }
}

impl From<&str> for Path {
    fn from(key: &str) -> Self {
        Self::ROOT.key(key)
    }
}

impl From<String> for Path {
    fn from(key: String) -> Self {
        Self::ROOT.key(key)
    }
}

impl From<&Path> for Path {
    fn from(path: &Path) -> Self {
        path.clone()
    }
}

impl FromIterator<Step> for Path {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.is_empty() || key.contains(['.', '[', ']', '"']) => {
                    write!(f, "[{}]", serde_json::Value::from(key.as_str()))?;
                }
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Path {
    type Err = ParsePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text;
        let mut path = Self::ROOT;
        let error = |rest: &str, needed| {
            let position = text.chars().count() - rest.chars().count();
            Err(ParsePathError { position, needed })
        };
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let Some((step, after)) = bracketed(inside) else {
                    return error(inside, "an index or a key as a JSON string, and then ']'");
                };
                path.0.push(step);
                rest = after;
                continue;
            }
            let name = if path.is_root() { Some(rest) } else { rest.strip_prefix('.') };
            let Some(name) = name else { return error(rest, "'.' or '['") };
            let (key, after) = name.split_at(name.find(['.', '[', ']', '"']).unwrap_or(name.len()));
            if key.is_empty() {
                return error(name, "a key");
            }
            path.0.push(Step::Key(key.to_owned()));
            rest = after;
        }
        Ok(path)
    }
}

/// Reads what stands after an opening bracket: the step, and the text after the closing bracket.
fn bracketed(text: &str) -> Option<(Step, &str)> {
    if text.starts_with('"') {
        let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let key = strings.next()?.ok()?;
        let after = text.get(strings.byte_offset()..)?.strip_prefix(']')?;
        return Some((Step::Key(key), after));
    }
    let (digits, after) = text.split_once(']')?;
    let well_formed = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    well_formed.then_some(())?;
    Some((Step::Index(digits.parse().ok()?), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_written_path_names_keys_and_indices() {
        let path: Path = r#"a.b[0][12].c["x.\"y"].é"#.parse().unwrap();
        let expected = Path::from("a").key("b").index(0).index(12).key("c").key("x.\"y").key("é");
        assert_eq!(path, expected);
        assert_eq!("".parse(), Ok(Path::ROOT));
        assert_eq!(Path::from("a.b").steps(), [Step::Key("a.b".into())]);
    }

    #[test]
    fn what_errors_show_of_a_path_are_no_keys_of_maps() {
        let path = Path::from("list").index(3).key("secret").key("x");
        assert_eq!(path.outline().to_string(), "list[3].*.*");
        assert_eq!(Path::ROOT.outline().to_string(), "the entity");
    }

    #[test]
    fn an_error_says_the_position_in_characters() {
        for (bad, position) in [
            ("a..b", 2),
            (".a", 0),
            ("é.", 2),
            ("é[x]", 2),
            ("a[", 2),
            ("a[1", 2),
            ("a[]", 2),
            ("a[-1]", 2),
            ("a[0]b", 4),
            ("a]", 1),
            ("a[\"b]", 2),
            ("a[99999999999999999999999]", 2),
        ] {
            assert_eq!(bad.parse::<Path>().map_err(|error| error.position), Err(position), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_path_survives_its_written_form(
            steps in prop::collection::vec(
                prop_oneof![".*".prop_map(Step::Key), any::<usize>().prop_map(Step::Index)], 0..6
            )
        ) {
            let path: Path = steps.into_iter().collect();
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a\\[\\]\\.\"0-9é\\\\]{0,12}") {
            if let Ok(path) = text.parse::<Path>() {
                prop_assert_eq!(path.to_string().parse(), Ok(path));
            }
        }
    }
}
