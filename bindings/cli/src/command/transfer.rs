//! `afield export` and `afield import`

use crate::arguments::{Export, Global, Import};
use crate::context;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::text;
use crate::warning::Warned;
use afield::{ReadOnlySpace, Space, TransferError, Transferred};
use serde::Serialize;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

#[derive(Debug, Serialize)]
struct Exported {
    file: String,
    entities: u64,
}

#[derive(Debug, Serialize)]
struct Imported {
    entities: u64,
    changed: u64,
}

pub(super) fn export(arguments: &Export, global: &Global, output: Output) -> Result<(), Failure> {
    let space = context::view_space(global)?;
    let Some(path) = arguments.output.as_deref().filter(|path| *path != Path::new("-")) else {
        return match space.export(BufWriter::new(io::stdout().lock()), |_| ()) {
            // A reader that has left, as `head` does, is no failure.
            Err(TransferError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => Ok(result.map(drop)?),
        };
    };
    let entities = export_to(&space, path, output)?;
    let exported = Exported { file: path.display().to_string(), entities };
    output.done(&exported, || format!("Wrote {} to {}.", text::count(entities, "entity", "entities"), path.display()))
}

/// Writes to a file. A regular one stands under its name only once it is complete, or holds everything that could be
/// opened; a pipe or a device is written to as it is, and a link stays one.
fn export_to(space: &ReadOnlySpace, path: &Path, output: Output) -> Result<u64, Failure> {
    let interrupt = Interrupt::listen()?;
    // Where a link leads, so that the file there is replaced and not the link.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if target.metadata().is_ok_and(|about| !about.is_file()) {
        let file = File::options().write(true).open(&target).map_err(Failure::file(path))?;
        return Ok(export_into(space, &file, &interrupt, output)??.entities);
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(Failure::file(path))?;
    let exported = export_into(space, file.as_file(), &interrupt, output)?;
    if !matches!(exported, Ok(_) | Err(TransferError::Incomplete { .. })) {
        return Ok(exported?.entities);
    }
    if let Ok(before) = target.metadata() {
        file.as_file().set_permissions(before.permissions()).map_err(Failure::file(path))?;
    }
    file.as_file().sync_all().map_err(Failure::file(path))?;
    let _ = file.persist(&target).map_err(|error| Failure::File { path: path.to_owned(), source: error.error })?;
    Ok(exported?.entities)
}

fn export_into(
    space: &ReadOnlySpace,
    file: &File,
    interrupt: &Interrupt,
    output: Output,
) -> Result<Result<Transferred, TransferError>, Failure> {
    let out = BufWriter::new(interrupt.stopping(file));
    match export_shown(space, out, "written", output) {
        Err(TransferError::Io(_)) if interrupt.is_wanted() => Err(Failure::Interrupted),
        exported => Ok(exported),
    }
}

/// Exports, and shows how many entities are done.
pub(super) fn export_shown(
    space: &ReadOnlySpace,
    out: impl Write,
    done: &str,
    output: Output,
) -> Result<Transferred, TransferError> {
    let template = format!("{{spinner}} {{bar:24}} entities {done}: {{human_pos}}/{{human_len}}");
    let total = if output.draws_progress() { entities_of(space) } else { 0 };
    let bar = output.progress(&template, Some(total));
    space.export(out, |entities| {
        // Others may have written since they were counted.
        if entities > total {
            bar.set_length(entities);
        }
        bar.set_position(entities);
    })
}

/// How many entities an export will write, deleted ones among them. What cannot be counted the export tells of.
fn entities_of(space: &ReadOnlySpace) -> u64 {
    let of = |(collection, entities): (String, u64)| {
        entities + space.deleted(&collection).map_or(0, |deleted| deleted.len() as u64)
    };
    space.collections().unwrap_or_default().into_iter().map(of).sum()
}

pub(super) fn import(arguments: &Import, global: &Global, output: Output) -> Result<(), Failure> {
    let (replica, space) = context::open_space(global)?;
    let imported = if arguments.file == Path::new("-") {
        import_unsized(&space, io::stdin().lock(), output)?
    } else {
        let file = File::open(&arguments.file).map_err(Failure::file(&arguments.file))?;
        match file.metadata().ok().filter(Metadata::is_file) {
            Some(about) => import_file(&space, &file, about.len(), output)?,
            // A pipe or a device does not say how much it will give.
            None => import_unsized(&space, BufReader::new(file), output)?,
        }
    };
    let shown = Imported { entities: imported.entities, changed: imported.changed };
    Warned::new(&shown, (&replica, &space), shown.changed > 0, global).done(output, || {
        let entities = text::count(shown.entities, "entity", "entities");
        format!("Read {entities}; {} not here before, or differed.", were(shown.changed))
    })
}

fn were(count: u64) -> String {
    if count == 1 { "1 was".to_owned() } else { format!("{} were", text::number(count)) }
}

fn import_file(space: &Space, file: &File, bytes: u64, output: Output) -> Result<Transferred, TransferError> {
    let template = "{spinner} {bar:24} {binary_bytes}/{binary_total_bytes}, entities read: {msg}";
    let bar = output.progress(template, Some(bytes));
    space.import(BufReader::new(bar.wrap_read(file)), |entities| bar.set_message(text::number(entities)))
}

fn import_unsized(space: &Space, from: impl BufRead, output: Output) -> Result<Transferred, TransferError> {
    let bar = output.progress("{spinner} entities read: {human_pos}", None);
    space.import(from, |entities| bar.set_position(entities))
}
