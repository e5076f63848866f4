//! What a client process is told, and what it says: one line of JSON each.
//!
//! Clients of every system speak this, whatever they are written in, so that one harness measures them alike. A process
//! holds one or more clients of its own store and connection each; commands concern all of them unless said otherwise.
//! A client ends when its standard input does. Moments are microseconds since the Unix epoch.

use serde::{Deserialize, Serialize};

/// The key under which a server says where it listens, in one line of JSON on its standard output.
pub const ADDRESS: &str = "address";

/// The character that is typed where a text has this length so far: a fixed row of letters that does not repeat itself, as
/// words do not. Clients in other languages compute the same.
pub fn letter(length: usize) -> char {
    // Knuth's multiplier for hashing; the high bits are the good ones.
    let hash = u32::try_from(length).unwrap_or(u32::MAX).wrapping_add(1).wrapping_mul(2_654_435_761) >> 16;
    char::from(b'a' + u8::try_from(hash % 26).unwrap_or_default())
}

/// What a client process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Tell the moment, so that clocks can be compared.
    Clock,
    /// Start to connect, and stay connected.
    Connect {
        /// The server's address, as `ws://host:port`.
        url: String,
    },
    /// End the connection.
    Disconnect,
    /// The first client makes empty texts, each in a document of its own; the reply is the list of their ids.
    CreateTexts {
        /// How many.
        count: usize,
    },
    /// Get texts from the server, and be done when all of them are here.
    OpenTexts {
        /// Their ids.
        ids: Vec<String>,
    },
    /// The first client adds one character, that of [`letter`], to the end of each text in turn; the reply is the moment of each call.
    Type {
        /// How many characters.
        edits: u64,
        /// The time between two of them, in microseconds.
        every_us: u64,
    },
    /// The first client types into its first text as a person does, as fast as it can, one change a keystroke. Only
    /// Afield's client knows this.
    Keystrokes {
        /// How many.
        count: usize,
    },
    /// Say [`Line::Ready`], then wait for so many more characters; the reply is, for each client, the moment at which each
    /// character was seen.
    Watch {
        /// How many characters.
        edits: u64,
    },
    /// Wait until the texts of every client have so many characters together; the reply is the moment.
    AwaitCharacters {
        /// How many characters.
        count: u64,
    },
    /// The first client makes small documents and stores them; the reply is the list of their ids.
    CreateSmall {
        /// How many.
        count: usize,
        /// How many changes each; the last one sets `priority` to one less than this.
        changes: usize,
    },
    /// Get small documents from the server and read them, until each is as its last change left it; the reply is the moment.
    OpenSmall {
        /// Their ids.
        ids: Vec<String>,
        /// How many changes each.
        changes: usize,
    },
    /// Wait until the server has acknowledged everything, in the sense of the system; the reply is the moment.
    Settle,
    /// The texts of the first client; fails when those of the others are not equal.
    Texts,
    /// How many bytes the first text takes as `Automerge::save` writes it. Only Afield's client knows this.
    SavedBytes,
}

impl Command {
    /// What it asks for, to say what failed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Clock => "to tell the time",
            Self::Connect { .. } => "to connect",
            Self::Disconnect => "to disconnect",
            Self::CreateTexts { .. } => "to make texts",
            Self::OpenTexts { .. } => "to get texts",
            Self::Type { .. } | Self::Keystrokes { .. } => "to type",
            Self::Watch { .. } => "to watch",
            Self::AwaitCharacters { .. } => "to wait for characters",
            Self::CreateSmall { .. } => "to make small documents",
            Self::OpenSmall { .. } => "to get small documents",
            Self::Settle => "to wait for the server's word",
            Self::Texts => "to show texts",
            Self::SavedBytes => "to save a text",
        }
    }
}

/// What a client process says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The command is done.
    Reply(serde_json::Value),
    /// The command failed, and why.
    Failed(String),
    /// The command has begun what it was asked for, and a reply will follow.
    Ready,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_typed_is_the_same_in_every_language() {
        assert_eq!((0..8).map(letter).collect::<String>(), "vawbhcid");
    }

    #[test]
    fn clients_in_other_languages_find_these_lines() {
        let line = |line: &Line| serde_json::to_value(line).unwrap();
        assert_eq!(line(&Line::Ready), json!("ready"));
        assert_eq!(line(&Line::Reply(json!([1]))), json!({ "reply": [1] }));
        assert_eq!(line(&Line::Failed("why".to_owned())), json!({ "failed": "why" }));
        let command = serde_json::to_value(Command::Type { edits: 3, every_us: 20_000 }).unwrap();
        assert_eq!(command, json!({ "do": "type", "edits": 3, "every_us": 20_000 }));
        assert_eq!(serde_json::to_value(Command::Settle).unwrap(), json!({ "do": "settle" }));
    }
}
