//! `config`: what a relay would run with, before it does.

use super::{CommandError, note, print_line_if_read};
use crate::config::{self, Flags, Loaded, Sources};
use crate::operations::{OF_AUTHORITY, is_of_authority};
use clap::Subcommand;
use std::path::PathBuf;

/// Checks and shows the configuration, and documents it. No command of these touches the relay's data.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the file, the variables, the flags and the files that they name, as `serve` would
    Check(Flags),
    /// Show every value in force and where it is from; secrets stay hidden
    Print(Flags),
    /// Print a file to begin with: every key with its default, commented out
    Example,
    /// Print the table of all keys as Markdown
    Keys,
}

impl ConfigCommand {
    pub(super) fn run(self, file: Option<PathBuf>, data: Option<PathBuf>, json: bool) -> Result<(), CommandError> {
        let load = |flags| Sources::of_process(file, data, flags).load();
        match self {
            Self::Check(flags) => check(&load(flags)?, json),
            Self::Print(flags) => print(&load(flags)?, json),
            Self::Example if json => print_line_if_read(&serde_json::json!({ "toml": config::example() }).to_string()),
            Self::Example => print_line_if_read(config::example().trim_end()),
            Self::Keys if json => print_objects(&config::table_objects()),
            Self::Keys => print_line_if_read(config::table().trim_end()),
        }
    }
}

fn check(loaded: &Loaded, json: bool) -> Result<(), CommandError> {
    loaded.check()?;
    let file = loaded.file.as_ref().map(|path| path.display().to_string());
    let warning = loaded.config.tls.certificate.as_deref().filter(|path| is_of_authority(path));
    let warning = warning.map(|path| format!("{}: {OF_AUTHORITY}", path.display()));
    if json {
        let told = serde_json::json!({ "event": "checked", "file": file, "warning": warning });
        return print_line_if_read(&told.to_string());
    }
    if let Some(warning) = warning {
        note(&format!("warning: {warning}\n  next: make one with basicConstraints CA:FALSE"));
    }
    let read = file.map_or_else(|| "no file was read".to_owned(), |file| format!("read from {file}"));
    print_line_if_read(&format!("A relay starts with this configuration ({read})."))
}

fn print(loaded: &Loaded, json: bool) -> Result<(), CommandError> {
    if json {
        return print_objects(&config::objects(loaded));
    }
    print_line_if_read(config::page(loaded).trim_end())
}

fn print_objects(objects: &[serde_json::Value]) -> Result<(), CommandError> {
    objects.iter().try_for_each(|object| print_line_if_read(&object.to_string()))
}
