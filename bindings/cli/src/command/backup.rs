//! `afield backup`

use crate::arguments::{Backup, Global};
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use serde::Serialize;

/// A copy that was made.
#[derive(Debug, Serialize)]
struct Made {
    file: String,
    bytes: u64,
}

/// Copies the store beside whoever writes it.
pub(super) fn run(arguments: &Backup, global: &Global, output: Output) -> Result<(), Failure> {
    let replica = context::view(global)?;
    let path = &arguments.file;
    let bar = output.progress("{spinner} {bar:24} {binary_bytes}/{binary_total_bytes} copied", None);
    let made = replica.backup_with(path, |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    });
    drop(bar);
    made?;
    let bytes = path.metadata().map_or(0, |about| about.len());
    let made = Made { file: path.display().to_string(), bytes };
    output.done(&made, || {
        let (file, size) = (path.display(), text::bytes(bytes));
        let open = format!("afield --store {} list", shell_words::quote(&path.to_string_lossy()));
        format!("Copied the store to {file}, {size}. To look into it:\n  {}", console::style(open).bold())
    })
}
