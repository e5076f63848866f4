//! What a workload took.

use crate::report::{ProcessRow, WireRow, grouped, write_processes, write_table, write_wires};
use serde::{Deserialize, Serialize};
use std::io::Write;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
}

/// A time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Timing {
    /// From what to what.
    pub name: String,
    /// How long, in the unit.
    pub value: f64,
    /// The unit.
    pub unit: Unit,
}

/// What a workload took.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Which workload.
    pub name: String,
    /// Its times.
    pub timings: Vec<Timing>,
    /// What went over the wires, after the HTTP upgrade, with WebSocket headers and masks.
    pub wires: Vec<WireRow>,
    /// What the processes used, the server first.
    pub processes: Vec<ProcessRow>,
    /// The size of the server's files after it has ended, in bytes.
    pub disk_bytes: Option<u64>,
}

impl Outcome {
    /// A workload of which nothing is told yet.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub(crate) fn seconds(&mut self, name: &str, value: f64) {
        self.timings.push(Timing { name: name.to_owned(), value, unit: Unit::Seconds });
    }

    pub(crate) fn milliseconds(&mut self, name: &str, value: f64) {
        self.timings.push(Timing { name: name.to_owned(), value, unit: Unit::Milliseconds });
    }

    /// Everything as single figures, to be compared one by one.
    pub fn figures(&self) -> Vec<(String, Unit, f64)> {
        let mut figures: Vec<_> =
            self.timings.iter().map(|timing| (timing.name.clone(), timing.unit, timing.value)).collect();
        for WireRow { name, sent_bytes, sent_frames, received_bytes, received_frames } in &self.wires {
            figures.extend([
                (format!("{name}, sent"), Unit::Bytes, *sent_bytes as f64),
                (format!("{name}, received"), Unit::Bytes, *received_bytes as f64),
                (format!("{name}, messages both ways"), Unit::Count, (sent_frames + received_frames) as f64),
            ]);
        }
        for ProcessRow { name, cpu_seconds, peak_kib, syncs } in &self.processes {
            let cpu = cpu_seconds.map(|seconds| (format!("{name}, CPU"), Unit::Seconds, seconds));
            let peak = peak_kib.map(|kib| (format!("{name}, peak memory"), Unit::Bytes, kib as f64 * 1_024.0));
            let syncs = syncs.map(|syncs| (format!("{name}, fsyncs"), Unit::Count, syncs as f64));
            figures.extend(cpu.into_iter().chain(peak).chain(syncs));
        }
        figures.extend(self.disk_bytes.map(|bytes| ("server, disk at the end".to_owned(), Unit::Bytes, bytes as f64)));
        figures
    }

    /// Writes it for a person.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{}", self.name)?;
        let row = |timing: &Timing| vec![timing.name.clone(), timing.unit.told(timing.value)];
        write_table(out, &self.timings.iter().map(row).collect::<Vec<_>>())?;
        if !self.wires.is_empty() {
            write_wires(out, &self.wires)?;
        }
        if !self.processes.is_empty() {
            write_processes(out, &self.processes)?;
        }
        if let Some(bytes) = self.disk_bytes {
            writeln!(out, "  server's files at the end: {} B", grouped(bytes))?;
        }
        writeln!(out)
    }
}

impl Unit {
    /// A number with its unit, for a person.
    pub fn told(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.3} s"),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Bytes if value < 1e4 => format!("{} B", grouped(value as u64)),
            Self::Bytes if value < 1e7 => format!("{:.1} KiB", value / 1_024.0),
            Self::Bytes => format!("{:.1} MiB", value / 1_048_576.0),
            Self::Count => grouped(value as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_of_an_outcome_stands_alone() {
        let mut outcome = Outcome::new("a workload");
        outcome.milliseconds("edit to reader", 1.5);
        outcome.wires.push(WireRow {
            name: "reader".to_owned(),
            sent_bytes: 3,
            received_frames: 2,
            ..WireRow::default()
        });
        outcome.processes.push(ProcessRow { name: "server".to_owned(), peak_kib: Some(2), ..ProcessRow::default() });
        outcome.disk_bytes = Some(7);
        let figures = outcome.figures();
        let named = |name: &str| figures.iter().find(|figure| figure.0 == name).map(|figure| figure.2);
        assert_eq!(named("edit to reader"), Some(1.5));
        assert_eq!(named("reader, messages both ways"), Some(2.0));
        assert_eq!((named("server, peak memory"), named("server, CPU")), (Some(2_048.0), None));
        assert_eq!(named("server, disk at the end"), Some(7.0));
        assert_eq!(Unit::Bytes.told(20_480.0), "20.0 KiB");
    }
}
