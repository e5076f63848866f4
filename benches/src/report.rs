//! Figures for a person and for a machine.

use afield_tests::processes::{Figures, SystemCall, WireFigures};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How many lines stand for a progress bar where there is no terminal.
const PROGRESS_LINES: u64 = 10;

/// Says why a program has failed, with all causes, and gives its exit code.
pub fn exit_code(program: &str, result: Result<(), Box<dyn Error>>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    // Nobody may be reading standard error, and there is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "{program}: {words}");
    ExitCode::FAILURE
}

/// A part of a run and how long it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How much was done in it, to say how much a second.
    pub changes: u64,
}

/// What went over one device's wire after the HTTP upgrade, with WebSocket headers and masks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WireRow {
    /// Whose wire.
    pub name: String,
    /// From the device to the relay, in bytes.
    pub sent_bytes: u64,
    /// From the device to the relay, in messages of one frame each.
    pub sent_frames: u64,
    /// From the relay to the device, in bytes.
    pub received_bytes: u64,
    /// From the relay to the device, in messages of one frame each.
    pub received_frames: u64,
}

/// What a process used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProcessRow {
    /// Which process.
    pub name: String,
    /// CPU time, in seconds, where the system tells.
    pub cpu_seconds: Option<f64>,
    /// The most memory it held, in KiB, where the system tells.
    pub peak_kib: Option<u64>,
    /// How many of its calls of `fsync` and `fdatasync` succeeded, where `strace` counted them.
    pub syncs: Option<u64>,
}

impl Phase {
    /// A part that is over.
    pub fn new(name: &str, took: Duration, changes: u64) -> Self {
        Self { name: name.to_owned(), seconds: took.as_secs_f64(), changes }
    }
}

impl WireRow {
    /// What a proxy has counted.
    pub fn of(name: &str, figures: &WireFigures) -> Self {
        Self {
            name: name.to_owned(),
            sent_bytes: figures.to_relay.bytes,
            sent_frames: figures.to_relay.messages,
            received_bytes: figures.to_device.bytes,
            received_frames: figures.to_device.messages,
        }
    }
}

impl ProcessRow {
    /// What a process has used since it started.
    pub fn of(name: &str, figures: Option<Figures>) -> Self {
        Self {
            name: name.to_owned(),
            cpu_seconds: figures.map(|figures| figures.cpu_ms as f64 / 1_000.0),
            peak_kib: figures.map(|figures| figures.peak_kib),
            syncs: None,
        }
    }
}

/// How many calls made a file below `folder` durable.
pub fn syncs_below(calls: &[SystemCall], folder: &Path) -> u64 {
    let is_below = |call: &&SystemCall| call.target().is_some_and(|target| Path::new(&target).starts_with(folder));
    calls.iter().filter(|call| call.is_sync() && call.result == Some(0)).filter(is_below).count() as u64
}

/// The size of all files in a folder, in bytes.
///
/// # Errors
///
/// The folder cannot be read.
pub fn folder_bytes(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a table: the first column to the left, all others to the right.
///
/// # Errors
///
/// The output cannot be written.
pub fn write_table(out: &mut impl Write, rows: &[Vec<String>]) -> std::io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// The table of processes.
///
/// # Errors
///
/// The output cannot be written.
pub fn write_processes(out: &mut impl Write, processes: &[ProcessRow]) -> std::io::Result<()> {
    let mut rows = vec![["process", "CPU", "peak memory", "fsyncs"].map(str::to_owned).to_vec()];
    rows.extend(processes.iter().map(|process| {
        vec![
            process.name.clone(),
            process.cpu_seconds.map_or_else(|| "not told".to_owned(), |seconds| format!("{seconds:.2} s")),
            process.peak_kib.map_or_else(|| "not told".to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1_024.0)),
            process.syncs.map_or_else(|| "not counted".to_owned(), grouped),
        ]
    }));
    write_table(out, &rows)
}

/// The table of wires.
///
/// # Errors
///
/// The output cannot be written.
pub fn write_wires(out: &mut impl Write, wires: &[WireRow]) -> std::io::Result<()> {
    let mut rows = vec![["wire", "sent", "frames", "received", "frames"].map(str::to_owned).to_vec()];
    rows.extend(wires.iter().map(|wire| {
        vec![
            wire.name.clone(),
            format!("{} B", grouped(wire.sent_bytes)),
            grouped(wire.sent_frames),
            format!("{} B", grouped(wire.received_bytes)),
            grouped(wire.received_frames),
        ]
    }));
    write_table(out, &rows)
}

/// How far a long part has got: a bar on a terminal, some lines elsewhere. It goes to standard error.
#[derive(Debug)]
pub struct Progress {
    name: String,
    length: u64,
    position: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts at 0 of `length`.
    pub fn start(name: &str, length: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = "{msg:22} {bar:32} {human_pos}/{human_len} {per_sec} {eta}";
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(length).with_style(style).with_message(name.to_owned())
        });
        Self { name: name.to_owned(), length, position: 0, bar }
    }

    /// Goes to a position.
    pub fn reach(&mut self, position: u64) {
        let tenth = |position: u64| (position * PROGRESS_LINES).checked_div(self.length).unwrap_or(0);
        match &self.bar {
            Some(bar) => bar.set_position(position),
            None if tenth(position) > tenth(self.position) => {
                // Nobody may be reading standard error; the work goes on all the same.
                let line = format!("{}: {} of {}", self.name, grouped(position), grouped(self.length));
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            None => {}
        }
        self.position = position;
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart_and_columns_stand_in_line() {
        assert_eq!(
            [0, 12, 123, 1_234, 123_456, 1_234_567].map(grouped),
            ["0", "12", "123", "1,234", "123,456", "1,234,567"]
        );
        let mut out = Vec::new();
        let rows = [["a", "1"], ["long", "1,000"]].map(|row| row.map(str::to_owned).to_vec());
        write_table(&mut out, &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "  a         1\n  long  1,000\n");
    }
}
