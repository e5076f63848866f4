//! `doctor`: what is wrong with a relay, and what to do about it.

use super::operation::OperationError;
use super::shown::as_json;
use super::{CommandError, print_line_if_read};
use crate::config::{Flags, Sources};
use crate::operations::{Finding, Severity, examine};
use crate::server::SystemClock;
use clap::Args;
use std::path::PathBuf;

/// Looks at the configuration, the certificate, the data folder, the disk, the log, tokens and the clock, also beside a relay that runs.
/// Changes nothing. Exits with 6 where it found a problem; warnings are none. With 2 where the configuration has a mistake, with which no command runs.
#[derive(Debug, Args)]
pub struct DoctorCommand {
    /// What the relay is started with, where it stands in no file and no variable
    #[command(flatten)]
    flags: Flags,
}

impl DoctorCommand {
    pub(super) fn run(self, file: Option<PathBuf>, data: Option<PathBuf>, json: bool) -> Result<(), CommandError> {
        let loaded = Sources::of_process(file, data, self.flags).load()?;
        let findings = examine(&loaded, SystemClock::start().now());
        for finding in &findings {
            print_line_if_read(&if json { as_json(&view(finding))? } else { in_words(finding) })?;
        }
        let problems = findings.iter().filter(|finding| finding.severity == Severity::Problem).count();
        if problems == 0 { Ok(()) } else { Err(OperationError::Found(problems as u64).into()) }
    }
}

fn view(finding: &Finding) -> serde_json::Value {
    let Finding { about, severity, words, next } = finding;
    serde_json::json!({ "about": about, "severity": severity.as_str(), "found": words, "next": next })
}

fn in_words(finding: &Finding) -> String {
    let Finding { about, severity, words, next } = finding;
    let mark = match severity {
        Severity::Good => String::new(),
        severity => format!("{}: ", severity.as_str()),
    };
    let next = next.map(|next| format!("\n  next: {next}")).unwrap_or_default();
    format!("{about}: {mark}{words}{next}")
}
