//! `verify`: whether all of a log is as it should be.

use super::operation::OperationError;
use super::progress::Progress;
use super::shown::{as_json, counted};
use super::{CommandError, print_line_if_read};
use crate::log::{LogProblem, Verified, verify};
use crate::server::DataFolder;
use clap::Args;
use std::path::PathBuf;

/// Reads all of the log and compares what has to agree, also beside a relay that runs: SQLite's structures, each space's chain from
/// its start to its head, chunks with their hashes, indexes, snapshots, documents. Changes nothing. Exits with 6 where something is wrong.
#[derive(Debug, Args)]
pub struct VerifyCommand {
    /// A backup, in the place of the data folder's log
    #[arg(value_name = "BACKUP")]
    backup: Option<PathBuf>,
}

impl VerifyCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        let file = match self.backup {
            Some(backup) => backup,
            None => DataFolder::existing(data)?.log_file(),
        };
        let mut progress = Progress::new(json);
        let verified = verify(&file, &mut |done, total| {
            progress.show(|| format!("read {done} of {total} chunks"));
        });
        progress.clear();
        let verified = verified.map_err(OperationError::from)?;
        for problem in &verified.problems {
            print_line_if_read(&if json { as_json(&problem_view(problem))? } else { in_words(problem) })?;
        }
        print_line_if_read(&if json { as_json(&view(&verified))? } else { summary(&verified) })?;
        if verified.problems.is_empty() {
            return Ok(());
        }
        Err(OperationError::Found(verified.problems.len() as u64).into())
    }
}

fn problem_view(problem: &LogProblem) -> serde_json::Value {
    serde_json::json!({
        "problem": problem.damage.as_str(),
        "space": problem.space.map(|space| space.to_string()),
        "sequence": problem.sequence,
        "entity": problem.entity.map(|entity| entity.to_string()),
        "error": problem.damage.in_words(),
        "next": problem.damage.next(),
    })
}

fn in_words(problem: &LogProblem) -> String {
    let LogProblem { damage, space, sequence, entity } = problem;
    let places = [
        space.map(|space| format!("space {space}")),
        sequence.map(|sequence| format!("sequence {sequence}")),
        entity.map(|entity| format!("entity {entity}")),
    ];
    let places: Vec<String> = places.into_iter().flatten().collect();
    let place = if places.is_empty() { "the file".to_owned() } else { places.join(", ") };
    format!("{place}: {}\n  next: {}", damage.in_words(), damage.next())
}

fn view(verified: &Verified) -> serde_json::Value {
    serde_json::json!({
        "spaces": verified.spaces,
        "chunks": verified.chunks,
        "snapshots": verified.snapshots,
        "documents": verified.documents,
        "documents_skipped": verified.documents_skipped,
        "problems": verified.problems.len(),
        "has_more_problems": verified.has_more_problems,
    })
}

fn summary(verified: &Verified) -> String {
    let Verified { spaces, chunks, snapshots, documents, documents_skipped, .. } = verified;
    let read = [(*spaces, "space"), (*chunks, "chunk"), (*snapshots, "snapshot"), (*documents, "document")];
    let mut text = format!("Read {}.", read.map(|(count, noun)| counted(count, noun)).join(", "));
    if *documents_skipped > 0 {
        text.push_str(&format!(" {} too large to be loaded here.", counted(*documents_skipped, "document")));
    }
    if verified.problems.is_empty() {
        text.push_str(" All is as it should be.");
    }
    if verified.has_more_problems {
        text.push_str(" More is wrong than is told.");
    }
    text
}
