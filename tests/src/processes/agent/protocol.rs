//! What a device process is asked, and what it says: one line of JSON each.

use serde::{Deserialize, Serialize};

/// What a device process is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Make a space; the reply is its id.
    MakeSpace,
    /// Join a space.
    JoinSpace {
        /// Its id.
        space: String,
    },
    /// Switch sync on.
    Connect {
        /// The relay's address.
        url: String,
        /// The token, where the relay wants one.
        token: Option<String>,
    },
    /// Switch sync off.
    Disconnect,
    /// Get in step with the relay.
    SyncNow,
    /// Try to reach the relay now, without waiting for what comes of it.
    Hurry,
    /// The id of the space.
    Space,
    /// Make entities of five fields, and edit each until it has so many changes; the reply says how long it took.
    Populate {
        /// How many entities.
        entities: usize,
        /// How many changes each.
        changes: usize,
    },
    /// Increment a counter, each time after the relay's receipt for the last.
    Increment {
        /// How many times.
        times: u64,
    },
    /// Make a task, edit it by its type, delete it, bring it back, take an edit back and do it again, and set it back to an earlier
    /// state, so many times; telling of each as [`Command::Load`] does, so that the reply says how many there were.
    Live {
        /// How many tasks.
        tasks: u64,
    },
    /// Read JSON lines in; the reply says how many entities differed.
    Import {
        /// The file.
        file: std::path::PathBuf,
    },
    /// Edit all entities in turn until [`Command::Rest`], telling of every edit and of every receipt.
    Load,
    /// Stop editing.
    Rest,
    /// Compact the store again and again, whatever else is done, until the process ends.
    CompactOn,
    /// Edit one field at a steady pace; the reply is the moment of each call, in microseconds since the Unix epoch.
    Tick {
        /// How many edits.
        edits: u64,
        /// The time between two of them, in milliseconds.
        every_ms: u64,
    },
    /// Watch for the edits of a [`Command::Tick`] elsewhere; the reply is the moment at which each was seen.
    Watch {
        /// How many edits.
        edits: u64,
    },
    /// Show something to those who are in the space, until the process ends.
    Show {
        /// What is shown.
        state: serde_json::Value,
    },
    /// What sync is doing.
    Status,
    /// Every change that is held and applied, as `[entity, change]`.
    Changes,
    /// How many entities there are.
    Count,
}

/// What a device process says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The command is done.
    Reply(serde_json::Value),
    /// The command failed.
    Failed(String),
    /// The command has begun what it was asked for, and a reply will follow.
    Ready,
    /// An edit has returned: it is durable here.
    Stored {
        /// The entity.
        entity: String,
        /// The change.
        change: String,
    },
    /// The relay has given its receipt for an edit.
    Receipt {
        /// The entity.
        entity: String,
        /// The change.
        change: String,
    },
}
