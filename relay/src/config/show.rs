//! The table of keys, as a page, as a file to begin with, and with the values in force.

use super::keys::{Config, KEYS, Key};
use super::load::Loaded;
use std::fmt::Write;

/// All keys as a table in Markdown.
pub(crate) fn table() -> String {
    let mut page =
        "| key | variable | flag | value | default | what |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    for key in KEYS.iter() {
        let flag = key.flag.as_ref().map_or_else(|| "none".to_owned(), |flag| format!("`--{flag}`"));
        let default = match (key.default, shown_default(key)) {
            (Some(told), _) => told.to_owned(),
            (None, Some(default)) => format!("`{default}`"),
            (None, None) => "none".to_owned(),
        };
        let Key { name, variable, wanted, about, .. } = key;
        // Writing to a text does not fail.
        let _ = writeln!(page, "| `{name}` | `{variable}` | {flag} | {wanted} | {default} | {about} |");
    }
    page
}

/// All keys for a program: one object a key.
pub(crate) fn table_objects() -> Vec<serde_json::Value> {
    let object = |key: &Key| {
        let default = (key.show)(&Config::default()).filter(|_| key.default.is_none());
        serde_json::json!({
            "key": key.name,
            "variable": key.variable,
            "flag": key.flag.as_ref().map(|flag| format!("--{flag}")),
            "value": key.wanted,
            "default": default.map(|default| default.as_json()),
            "about": key.about,
        })
    };
    KEYS.iter().map(object).collect()
}

/// A file with every key at its default, each of them commented out.
pub(crate) fn example() -> String {
    let mut page = "# The configuration of a relay. What is commented out is the default.\n".to_owned();
    in_sections(&mut page, |page, key, name| {
        let value = match (key.default, shown_default(key)) {
            (None, Some(default)) => default,
            _ => format!("\"{}\"", key.sample),
        };
        let _ = write!(page, "\n# {}\n# Give {}.\n#{name} = {value}\n", key.about, key.wanted);
    });
    page
}

/// The values in force, as a file has them, with where each is from.
pub(crate) fn page(loaded: &Loaded) -> String {
    let mut page = match &loaded.file {
        Some(path) => format!("# read from {}\n", path.display()),
        None => "# no file was read\n".to_owned(),
    };
    in_sections(&mut page, |page, key, name| {
        let _ = writeln!(page, "{}", line(key, name, loaded));
    });
    page
}

/// The values in force for a program: one object a key.
pub(crate) fn objects(loaded: &Loaded) -> Vec<serde_json::Value> {
    KEYS.iter().map(|key| object(key, loaded)).collect()
}

fn line(key: &Key, name: &str, loaded: &Loaded) -> String {
    let origin = loaded.origin(key.name);
    match (key.show)(&loaded.config) {
        Some(_) if key.is_secret => format!("# {name} is set and hidden  # {origin}"),
        Some(value) => format!("{name} = {value}  # {origin}"),
        None => format!("# {name} is not set"),
    }
}

fn object(key: &Key, loaded: &Loaded) -> serde_json::Value {
    let value = (key.show)(&loaded.config).filter(|_| !key.is_secret).map(|value| value.as_json());
    serde_json::json!({
        "key": key.name,
        "value": value,
        "from": loaded.origin(key.name).to_string(),
        "hidden": key.is_secret,
    })
}

/// The default of a key for a person.
pub(super) fn default_of(key: &Key) -> Option<String> {
    key.default.map(str::to_owned).or_else(|| shown_default(key))
}

fn shown_default(key: &Key) -> Option<String> {
    (key.show)(&Config::default()).map(|default| default.to_string())
}

/// Writes each key, with the heads of the sections between them.
fn in_sections(page: &mut String, mut write: impl FnMut(&mut String, &Key, &str)) {
    let mut current = "";
    for key in KEYS.iter() {
        let (section, name) = key.section();
        if section != current {
            let _ = write!(page, "\n[{section}]\n");
            current = section;
        }
        write(page, key, name);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Sources;
    use super::super::setting::{Setting, Shown};
    use super::*;

    #[derive(Debug)]
    struct Password;

    impl Setting for Password {
        const VALUE: &'static str = "SECRET";
        const IS_SECRET: bool = true;

        fn wanted() -> String {
            "a longer one".to_owned()
        }

        fn parse(_: &str) -> Option<Self> {
            None
        }

        fn show(&self) -> Option<Shown> {
            Some(Shown::Text("hush".to_owned()))
        }
    }

    /// A key whose value is a secret, that is set, and that understands nothing.
    pub(in super::super) fn a_secret_key() -> Key {
        let set = |_: &mut Config, text: &str| Password::parse(text).map(drop);
        Key::new::<Option<Password>>("database.password", &["It is secret."], None, set, |_| Some(Password).show())
    }

    #[test]
    fn a_secret_is_shown_to_be_set_and_not_shown() {
        let loaded = Sources::default().load().unwrap();
        assert_eq!(line(&a_secret_key(), "password", &loaded), "# password is set and hidden  # default");
        let object = object(&a_secret_key(), &loaded);
        assert_eq!((&object["value"], &object["hidden"]), (&serde_json::Value::Null, &true.into()));
    }
}
