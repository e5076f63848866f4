//! The layers: a file, then variables, then flags; each is stronger than the one before.

use super::file::{self, Found};
use super::flags::Flags;
use super::keys::{Config, KEYS, Key, REMOVED, Removed, VARIABLES_BEGIN, variable_of};
use super::problem::{ConfigError, Problem};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The file that is read where none is named and this one is there.
pub const DEFAULT_FILE: &str = "/etc/afield/relay.toml";
/// The variable that names the file.
pub const FILE_VARIABLE: &str = "AFIELD_CONFIG";
/// How many letters a variable may differ from a known one and still be taken for that: others may belong to other programs.
const VARIABLE_EDITS_MAX: usize = 2;
/// Keys of which the one is of no use without the other.
const PAIRS: [(&str, &str); 8] = [
    ("tls.certificate", "tls.key"),
    ("tls.key", "tls.certificate"),
    ("otlp.headers", "otlp.endpoint"),
    ("jwt.keys", "jwt.issuer"),
    ("jwt.keys", "jwt.audience"),
    ("jwt.algorithm", "jwt.keys"),
    ("jwt.issuer", "jwt.keys"),
    ("jwt.audience", "jwt.keys"),
];

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file, from 1.
    File(PathBuf, usize),
    /// A variable of the environment.
    Variable(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// What a configuration is made of.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file that the command line names.
    pub file: Option<PathBuf>,
    /// The file that is read where nothing names one, if it is there.
    pub default_file: Option<PathBuf>,
    /// The variables of the environment; those of other programs are left alone, and an empty one counts as not set.
    pub variables: Vec<(OsString, OsString)>,
    /// The flags.
    pub flags: Flags,
    /// The data folder that the command line names.
    pub data: Option<PathBuf>,
}

/// A configuration, with where its values are from.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    origins: BTreeMap<&'static str, Origin>,
}

impl Loaded {
    /// Where the value of a key is from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

impl Sources {
    /// Those of this process, with what its command line says.
    pub fn of_process(file: Option<PathBuf>, data: Option<PathBuf>, flags: Flags) -> Self {
        Self { file, default_file: Some(DEFAULT_FILE.into()), variables: std::env::vars_os().collect(), flags, data }
    }

    /// Reads them all.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in any of them: a file that cannot be read, keys that there are not, values that cannot be
    /// understood, and a key without the one that it needs.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        let mut reading = Reading::new(&KEYS, REMOVED);
        reading.read(self);
        reading.finish()
    }
}

/// A configuration as far as it has been read.
struct Reading {
    keys: &'static [Key],
    removed: &'static [Removed],
    loaded: Loaded,
    problems: Vec<Problem>,
}

impl Reading {
    fn new(keys: &'static [Key], removed: &'static [Removed]) -> Self {
        let loaded = Loaded { config: Config::default(), file: None, origins: BTreeMap::new() };
        Self { keys, removed, loaded, problems: Vec::new() }
    }

    fn read(&mut self, sources: Sources) {
        let Sources { file, default_file, variables, flags, data } = sources;
        let variables: Vec<_> = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let named = variables.iter().find(|(name, _)| name == FILE_VARIABLE).map(|(_, path)| path.into());
        match (file.or(named), default_file) {
            (Some(path), _) => self.file(path),
            (None, Some(path)) if path.exists() => self.file(path),
            _ => {}
        }
        for (name, value) in variables {
            self.variable(&name, value);
        }
        for (key, text) in flags.0 {
            self.set(key, &Found::Text(text), Origin::Flag(format!("--{}", key.flag.as_deref().unwrap_or_default())));
        }
        if let Some(path) = data {
            self.loaded.config.data = path;
            self.loaded.origins.insert("data", Origin::Flag("--data".to_owned()));
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        for (key, other) in PAIRS {
            let is_set = |name| self.loaded.origins.contains_key(name);
            if is_set(key) && !is_set(other) && self.problems.is_empty() {
                self.problems.push(Problem::Alone { at: self.loaded.origin(key), key, other });
            }
        }
        if self.problems.is_empty() { Ok(self.loaded) } else { Err(ConfigError(self.problems)) }
    }

    fn file(&mut self, path: PathBuf) {
        let is_key = |name: &str| self.key(name).is_some();
        let text = file::read(&path).map_err(|source: io::Error| Problem::Read { path: path.clone(), source });
        match text.and_then(|text| file::entries(&path, &text, is_key)) {
            Ok(entries) => entries.into_iter().for_each(|entry| self.entry(&path, &entry)),
            Err(problem) => self.problems.push(problem),
        }
        self.loaded.file = Some(path);
    }

    fn entry(&mut self, path: &Path, entry: &file::Entry) {
        let at = Origin::File(path.to_owned(), entry.line);
        if let Some(key) = self.key(&entry.name) {
            let is_text = matches!(entry.found, Found::Text(_));
            if !(key.takes)(&entry.found) || is_text && entry.found.text().is_empty() {
                return self.wrong(key, &entry.found, at);
            }
            return self.set(key, &entry.found, at);
        }
        let is_in_section = |key: &Key| key.section().0 == entry.name;
        if entry.found == file::EMPTY_SECTION && self.keys.iter().any(is_in_section) {
            return;
        }
        self.problems.push(self.unknown(&entry.name, at));
    }

    fn variable(&mut self, name: &OsString, value: OsString) {
        let Some(name) = name.to_str().filter(|name| name.starts_with(VARIABLES_BEGIN) && *name != FILE_VARIABLE)
        else {
            return;
        };
        let at = Origin::Variable(name.to_owned());
        let is_link = is_link_of_kubernetes(name, &value);
        if let Some(key) = self.keys.iter().find(|key| key.variable == name) {
            match value.into_string() {
                Ok(text) => self.set(key, &Found::Text(text), at),
                Err(_) => self.problems.push(Problem::NotText { at, key: key.name }),
            }
            return;
        }
        if let Some(removed) = self.removed.iter().find(|removed| variable_of(removed.name) == name) {
            self.problems.push(Problem::Removed { at, name: removed.name, instead: removed.instead });
            return;
        }
        let known = self.keys.iter().map(|key| key.variable.as_str()).chain([FILE_VARIABLE]);
        let nearest = known.map(|known| (strsim::osa_distance(known, name), known)).min();
        // Of a name of three letters, another one within two is hardly a slip.
        let is_slip = |known: &str, edits: usize| {
            edits <= VARIABLE_EDITS_MAX && edits * 3 <= known.len().saturating_sub(VARIABLES_BEGIN.len())
        };
        if let Some((_, nearest)) = nearest.filter(|(edits, known)| is_slip(known, *edits)) {
            self.problems.push(Problem::UnknownVariable { name: name.to_owned(), nearest: nearest.to_owned() });
            return;
        }
        // What begins as the keys of a section do is meant for this program, however far from one it is.
        let flat = name.trim_start_matches(VARIABLES_BEGIN).to_lowercase();
        let section = self.keys.iter().map(|key| key.section().0).find(|section| {
            !section.is_empty() && flat.strip_prefix(section).is_some_and(|rest| rest.starts_with('_'))
        });
        if section.is_some() && !is_link {
            let of_key = |key: &&Key| (Some(key.section().0) != section, distance(&flat, key.name));
            let nearest = self.keys.iter().min_by_key(of_key).map_or("", |key| key.variable.as_str());
            self.problems.push(Problem::UnknownVariable { name: name.to_owned(), nearest: nearest.to_owned() });
        }
    }

    fn set(&mut self, key: &'static Key, found: &Found, at: Origin) {
        match (key.set)(&mut self.loaded.config, found.text()) {
            Some(()) => {
                self.loaded.origins.insert(key.name, at);
            }
            None => self.wrong(key, found, at),
        }
    }

    fn wrong(&mut self, key: &'static Key, found: &Found, at: Origin) {
        let found = (!key.is_secret).then(|| found.to_string());
        self.problems.push(Problem::Wrong { at, key: key.name, wanted: &key.wanted, found });
    }

    fn unknown(&self, name: &str, at: Origin) -> Problem {
        if let Some(removed) = self.removed.iter().find(|removed| removed.name == name) {
            return Problem::Removed { at, name: removed.name, instead: removed.instead };
        }
        let nearest = self.keys.iter().min_by_key(|key| distance(name, key.name)).map_or("", |key| key.name);
        Problem::Unknown { at, name: name.to_owned(), nearest: nearest.to_owned() }
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// Whether a variable is one of those that Kubernetes sets for every service beside a container, as for one that is called `afield-admin`.
///
/// Their names: <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
fn is_link_of_kubernetes(name: &str, value: &OsStr) -> bool {
    let is_address = value.to_str().is_some_and(|value| value.contains("://"));
    let is_port = name.ends_with("_PORT") || name.contains("_PORT_");
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || is_port && (is_address || name.contains("_PORT_"))
}

/// How far a name is from that of a key, which may have been written in the wrong section, or with `_` for the dot.
fn distance(name: &str, known: &str) -> usize {
    let flat = |name: &str| name.replace(['.', '-'], "_").to_lowercase();
    let last = |name: &str| flat(name.rsplit('.').next().unwrap_or_default());
    let ways = [(flat(name), flat(known)), (last(name), flat(known)), (last(name), last(known))];
    ways.iter().map(|(name, known)| strsim::osa_distance(name, known)).min().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
