//! Which systems there are, and what each promises.

use crate::{node, samod};
use afield_benches::party::Contender;
use afield_benches::role;
use afield_tests::processes::Program;
use clap::ValueEnum;
use serde::Serialize;
use std::error::Error;

/// A system by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// Ours
    Afield,
    /// Yjs documents over Hocuspocus
    Hocuspocus,
    /// Automerge Repo in JavaScript
    AutomergeRepo,
    /// Automerge Repo in Rust
    Samod,
}

/// A system, and what it promises.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct System {
    /// How it is started.
    #[serde(skip)]
    pub(crate) contender: Contender,
    /// Its name.
    pub(crate) name: &'static str,
    /// Its version, and those of what it consists of.
    pub(crate) version: String,
    /// When its server acknowledges an edit, and what it has done with it by then.
    pub(crate) acknowledges: &'static str,
    /// What its client stores, and when.
    pub(crate) client: &'static str,
    /// Its settings, where they are not the defaults.
    pub(crate) settings: &'static str,
}

impl Name {
    /// All systems; ratios are those of the first to each other.
    pub(crate) const ALL: [Self; 4] = [Self::Afield, Self::Hocuspocus, Self::AutomergeRepo, Self::Samod];

    /// Whether it runs under Node.
    pub(crate) fn needs_node(self) -> bool {
        matches!(self, Self::Hocuspocus | Self::AutomergeRepo)
    }
}

impl System {
    /// A system by its name.
    ///
    /// # Errors
    ///
    /// It is not installed.
    pub(crate) fn of(name: Name) -> Result<Self, Box<dyn Error>> {
        match name {
            Name::Afield => Self::afield(),
            Name::Hocuspocus => Self::hocuspocus(),
            Name::AutomergeRepo => Self::automerge_repo(),
            Name::Samod => Self::samod(),
        }
    }

    fn afield() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            contender: role::afield()?,
            name: "Afield",
            version: locked("afield"),
            acknowledges: "once the change is committed and synced to disk (SQLite, WAL, synchronous=FULL)",
            client: "every edit is committed and synced to disk before the call returns",
            settings: "defaults; anyone may connect",
        })
    }

    fn samod() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            contender: samod::contender()?,
            name: "samod",
            version: format!("{}, automerge {}", locked("samod"), locked("automerge")),
            acknowledges: "once its document in memory has the change; it writes files without syncing them",
            client: "writes files without syncing them",
            settings: "file storage; the server announces nothing by itself, as a sync server does",
        })
    }

    fn hocuspocus() -> Result<Self, Box<dyn Error>> {
        let [server, provider, yjs] = ["@hocuspocus/server", "@hocuspocus/provider", "yjs"].map(node::version);
        let node = node::node_version()?;
        Ok(Self {
            contender: under_node("hocuspocus", "hocuspocus.mjs"),
            name: "hocuspocus",
            version: format!("server {}, provider {}, yjs {}, node {node}", server?, provider?, yjs?),
            acknowledges: "once its document in memory has the change; it stores the whole document 2 to 10 s after edits, \
                           or when the last client leaves (SQLite, synced)",
            client: "stores nothing",
            settings: "SQLite extension; its bounds on documents and messages before authentication are raised, which \
                       1,000 documents over one connection run into; this Node may be older than its server asks for (22)",
        })
    }

    fn automerge_repo() -> Result<Self, Box<dyn Error>> {
        let [repo, automerge] = ["@automerge/automerge-repo", "@automerge/automerge"].map(node::version);
        let node = node::node_version()?;
        Ok(Self {
            contender: under_node("automerge-repo", "automerge-repo.mjs"),
            name: "automerge-repo",
            version: format!("{}, automerge {}, node {node}", repo?, automerge?),
            acknowledges: "once its document in memory has the change; it writes files up to 100 ms later, without syncing \
                           them",
            client: "writes files up to 100 ms later, without syncing them",
            settings: "WebSocket and nodefs adapters; the server announces nothing by itself, as the project's sync server \
                       has it",
        })
    }
}

fn under_node(name: &'static str, script: &str) -> Contender {
    let script = node::folder().join(script).to_string_lossy().into_owned();
    let program = |role: &str| Program {
        path: "node".into(),
        arguments: vec![script.clone(), role.to_owned()],
        variables: Vec::new(),
    };
    Contender { name, server: program("serve"), client: program("client") }
}

/// The version of a crate in the lock file that this was built with.
fn locked(name: &str) -> String {
    let head = format!("name = \"{name}\"\nversion = \"");
    let version = include_str!("../Cargo.lock").split_once(&head).and_then(|(_, rest)| rest.split_once('"'));
    version.map_or_else(|| "unknown".to_owned(), |(version, _)| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        assert!(locked("samod").starts_with("0."));
        assert_eq!(locked("no-such-crate"), "unknown");
    }
}
