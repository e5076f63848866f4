//! The runs in turn, medians and ratios.

use crate::system::System;
use afield_benches::party::{Contender, PartyError};
use afield_benches::workload::{FanOut, Live, Merge, Outcome, Small, Unit, fan_out, live, merge, small};
use afield_tests::processes::find_tracer;
use clap::ValueEnum;
use serde::Serialize;
use std::error::Error;
use std::io::Write;

/// Live typing: about as fast as two people who type.
const LIVE: Live = Live { warm_up: 50, edits: 300, every_us: 20_000, is_counted: false };
const SMALL: Small = Small { count: 1_000, changes: 3 };
const FAN_OUT: FanOut = FanOut { readers: 50, edits: 1_000, every_us: 5_000 };
const MERGE: Merge = Merge { texts: 1, edits: 1_000 };
const MERGE_SPREAD: Merge = Merge { texts: 100, edits: 1_000 };

/// What the systems are put through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Workload {
    /// Two clients, an edit every 20 ms into one text
    Live,
    /// 1,000 small documents up, down to a fresh client, and connecting again with nothing new
    Small,
    /// One writer, 50 readers, 1,000 edits 5 ms apart
    FanOut,
    /// Two clients, 1,000 offline edits each into one text
    Merge,
    /// Two clients, 1,000 offline edits each over 100 texts
    MergeSpread,
}

/// What came of all runs.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) repeats: usize,
    pub(crate) systems: Vec<System>,
    pub(crate) tables: Vec<Table>,
}

/// One workload.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: String,
    /// Its figures, each with a value for every system.
    pub(crate) rows: Vec<Row>,
    /// Why a system has none.
    pub(crate) failures: Vec<Failed>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    /// In the order of the systems.
    pub(crate) cells: Vec<Option<Cell>>,
}

/// One figure of one system.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cell {
    pub(crate) median: f64,
    pub(crate) runs: Vec<f64>,
    /// The first system's median to this one; below 1 the first one's is smaller.
    pub(crate) ratio: Option<f64>,
}

/// A system that failed in a workload.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    pub(crate) system: &'static str,
    pub(crate) reason: String,
}

/// The outcomes of one system in one workload, by run.
type Runs = Vec<Result<Vec<Outcome>, PartyError>>;

impl Workload {
    /// All workloads.
    pub(crate) const ALL: [Self; 5] = [Self::Live, Self::Small, Self::FanOut, Self::Merge, Self::MergeSpread];

    fn run(self, contender: &Contender) -> Result<Vec<Outcome>, PartyError> {
        match self {
            Self::Live => Ok(vec![live(contender, &LIVE, None)?]),
            Self::Small => Ok(small(contender, &SMALL, None)?.into()),
            Self::FanOut => Ok(vec![fan_out(contender, &FAN_OUT, None)?]),
            Self::Merge => Ok(vec![merge(contender, &MERGE, None)?]),
            Self::MergeSpread => Ok(vec![merge(contender, &MERGE_SPREAD, None)?]),
        }
    }

    /// Whether the wire and the syncs are counted in a run of their own, because that would slow down what is timed.
    fn is_counted_apart(self) -> bool {
        self == Self::Live
    }

    /// Counts the wire and the syncs of live typing.
    fn run_counted(contender: &Contender) -> Result<Vec<Outcome>, PartyError> {
        let tracer = find_tracer();
        let mut outcome = live(contender, &Live { is_counted: true, ..LIVE }, tracer.as_deref())?;
        // Only what is counted stands beside the timed runs.
        outcome.disk_bytes = None;
        for process in &mut outcome.processes {
            (process.cpu_seconds, process.peak_kib) = (None, None);
        }
        Ok(vec![outcome])
    }
}

impl Comparison {
    /// Runs every workload as often as wanted, one system after the other within each round, so that whatever else the
    /// machine does meets all of them.
    pub(crate) fn run(systems: &[System], workloads: &[Workload], repeats: usize) -> std::io::Result<Self> {
        let mut tables = Vec::new();
        for workload in workloads {
            let mut runs: Vec<Runs> = systems.iter().map(|_| Vec::new()).collect();
            for round in 0..repeats + usize::from(workload.is_counted_apart()) {
                for (system, runs) in systems.iter().zip(&mut runs) {
                    if runs.iter().any(Result::is_err) {
                        continue;
                    }
                    let is_counted = round == repeats;
                    let what =
                        if is_counted { "counted".to_owned() } else { format!("run {} of {repeats}", round + 1) };
                    // Nobody may be reading standard error; the work goes on all the same.
                    let _ = writeln!(std::io::stderr(), "{workload:?}: {}, {what}", system.name);
                    runs.push(match is_counted {
                        true => Workload::run_counted(&system.contender),
                        false => workload.run(&system.contender),
                    });
                }
            }
            tables.extend(tables_of(systems, *workload, runs));
        }
        Ok(Self { repeats, systems: systems.to_vec(), tables })
    }
}

/// A workload may consist of several measurements; each becomes a table.
fn tables_of(systems: &[System], workload: Workload, runs: Vec<Runs>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut failures = Vec::new();
    for (place, (system, runs)) in systems.iter().zip(runs).enumerate() {
        for run in runs {
            match run {
                Ok(outcomes) => outcomes.iter().for_each(|outcome| note(&mut tables, systems.len(), place, outcome)),
                Err(error) => failures.push(Failed { system: system.name, reason: in_words(&error) }),
            }
        }
    }
    for row in tables.iter_mut().flat_map(|table| &mut table.rows) {
        row.conclude();
    }
    if tables.is_empty() {
        tables.push(Table { name: format!("{workload:?}"), rows: Vec::new(), failures: Vec::new() });
    }
    if let Some(first) = tables.first_mut() {
        first.failures = failures;
    }
    tables
}

/// Adds what one run of one system took.
fn note(tables: &mut Vec<Table>, systems: usize, place: usize, outcome: &Outcome) {
    let table = match tables.iter_mut().position(|table| table.name == outcome.name) {
        Some(at) => tables.get_mut(at),
        None => {
            tables.push(Table { name: outcome.name.clone(), rows: Vec::new(), failures: Vec::new() });
            tables.last_mut()
        }
    };
    let Some(table) = table else { return };
    for (name, unit, value) in outcome.figures() {
        let at = table.rows.iter().position(|row| row.name == name).unwrap_or(table.rows.len());
        if at == table.rows.len() {
            table.rows.push(Row { name, unit, cells: vec![None; systems] });
        }
        let cell = table.rows.get_mut(at).and_then(|row| row.cells.get_mut(place));
        if let Some(cell) = cell {
            cell.get_or_insert_with(|| Cell { median: f64::NAN, runs: Vec::new(), ratio: None }).runs.push(value);
        }
    }
}

impl Row {
    /// Finds the medians and the ratios.
    fn conclude(&mut self) {
        for cell in self.cells.iter_mut().flatten() {
            cell.median = median(&cell.runs);
        }
        let ours = self.cells.first().cloned().flatten().map(|cell| cell.median);
        for cell in self.cells.iter_mut().skip(1).flatten() {
            cell.ratio = ours.filter(|_| cell.median > 0.0).map(|ours| ours / cell.median);
        }
    }
}

fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => {
            (sorted.get(middle.wrapping_sub(1)).copied().unwrap_or(f64::NAN)
                + sorted.get(middle).copied().unwrap_or(f64::NAN))
                / 2.0
        }
        _ => sorted.get(middle).copied().unwrap_or(f64::NAN),
    }
}

fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_the_first_systems_median_to_each_others() {
        let mut row = Row { name: "time".to_owned(), unit: Unit::Seconds, cells: Vec::new() };
        let cell = |runs: &[f64]| Some(Cell { median: f64::NAN, runs: runs.to_vec(), ratio: None });
        row.cells = vec![cell(&[3.0, 1.0, 2.0]), cell(&[4.0, 4.0]), None, cell(&[0.0])];
        row.conclude();
        let told: Vec<_> = row.cells.iter().map(|cell| cell.as_ref().map(|cell| (cell.median, cell.ratio))).collect();
        assert_eq!(told, [Some((2.0, None)), Some((4.0, Some(0.5))), None, Some((0.0, None))]);
        assert!(median(&[]).is_nan());
    }
}
