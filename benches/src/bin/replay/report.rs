//! What a replay has shown, and why it may not go on.

use afield_benches::report::{Phase, ProcessRow, WireRow, grouped, write_processes, write_table, write_wires};
use serde::{Deserialize, Serialize};
use std::io::Write;

/// What a replay has shown.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) history: String,
    pub(crate) transactions: u64,
    pub(crate) authors: u64,
    /// The length of the text that all replicas end with, in characters.
    pub(crate) characters: u64,
    pub(crate) phases: Vec<Phase>,
    pub(crate) wires: Vec<WireRow>,
    pub(crate) processes: Vec<ProcessRow>,
    pub(crate) relay_disk_bytes: u64,
    /// What somebody who reads the figures should know.
    pub(crate) remark: Option<String>,
}

/// A replica ended with another text than the recorded one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("{replica} ends with another text than the recorded one")]
    OtherText { replica: String },
    #[error("transaction {place}: its author's replica does not hold exactly its parents")]
    OtherParents { place: usize },
    #[error("a transaction of a history of one author has {0} patches; only one can be one change")]
    Patches(usize),
    #[error("{replica} holds {found} changes, and {expected} were made: one a transaction, and one for the entity")]
    Changes { replica: String, expected: u64, found: u64 },
    #[error("a history of {0} authors: what is held back for one of them is told apart for two authors only")]
    Authors(usize),
    #[error("it has taken more than {minutes} minutes")]
    TimeOver { minutes: u64 },
    #[error("the process that replays has failed")]
    Worker,
}

impl Report {
    /// Writes it for a person.
    pub(crate) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { history, transactions, authors, characters, phases, wires, processes, relay_disk_bytes, remark } =
            self;
        let who = if *authors == 1 { "one author".to_owned() } else { format!("{authors} authors") };
        writeln!(out, "{history}: {} transactions of {who}, one change each\n", grouped(*transactions))?;
        let rows: Vec<_> = phases
            .iter()
            .map(|phase| {
                let rate = (phase.changes > 0).then(|| grouped((phase.changes as f64 / phase.seconds) as u64));
                let rate = rate.map(|rate| format!("{rate} changes/s")).unwrap_or_default();
                vec![phase.name.clone(), format!("{:.1} s", phase.seconds), rate]
            })
            .collect();
        write_table(out, &rows)?;
        writeln!(out)?;
        write_wires(out, wires)?;
        writeln!(out)?;
        write_processes(out, processes)?;
        if let Some(remark) = remark {
            writeln!(out, "\n  {remark}")?;
        }
        writeln!(out, "\n  relay's disk: {} B", grouped(*relay_disk_bytes))?;
        writeln!(out, "  all replicas end with the recorded text of {} characters", grouped(*characters))
    }
}
