//! Commands that are proposed to a person: they work on the store and the space of the one that was typed.

use std::path::Path;

/// The options that a proposed command has to repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    store: String,
    space: String,
}

impl Hints {
    /// What was typed; what the environment says needs no repeating.
    pub(crate) fn new(store: Option<&Path>, space: Option<&str>) -> Self {
        let option = |name: &str, value: &str| format!(" --{name} {}", shell_words::quote(value));
        Self {
            store: store.map(|path| option("store", &path.to_string_lossy())).unwrap_or_default(),
            space: space.map(|name| option("space", name)).unwrap_or_default(),
        }
    }

    /// The command that does this to the same space.
    pub(crate) fn command(&self, line: &str) -> String {
        let is_about_a_space = !["init", "space", "connect", "sync", "status", "verify", "doctor", "explain"]
            .iter()
            .any(|command| line.split(' ').next() == Some(command));
        format!("afield{}{} {line}", self.store, if is_about_a_space { self.space.as_str() } else { "" })
    }

    /// A text in which commands stand between backticks.
    pub(crate) fn in_text(&self, text: &str) -> String {
        let mut pieces = text.split('`');
        let mut told = pieces.next().unwrap_or_default().to_owned();
        for (number, piece) in pieces.enumerate() {
            told.push('`');
            match piece.strip_prefix("afield ") {
                // Every second piece stands between two backticks. Help is the same for every store.
                Some(line) if number % 2 == 0 && !line.contains("--help") => told.push_str(&self.command(line)),
                _ => told.push_str(piece),
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposed_command_repeats_what_was_typed_and_nothing_else() {
        let typed = Hints::new(Some(Path::new("my notes.db")), Some("Work"));
        assert_eq!(typed.command("list notes"), "afield --store 'my notes.db' --space Work list notes");
        assert_eq!(typed.command("status"), "afield --store 'my notes.db' status");
        let text = "`afield list notes` shows it, as `afield put --help` and afield itself do";
        assert_eq!(
            typed.in_text(text),
            "`afield --store 'my notes.db' --space Work list notes` shows it, as `afield put --help` and afield itself do"
        );
        assert_eq!(Hints::default().in_text(text), text);
    }
}
