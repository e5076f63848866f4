//! Two people who type into one long text: how long a key takes to the other, and what that costs each device.
//!
//! Everything is real: two devices and a relay in processes of their own, sockets, and every commit synced. The same keys
//! into a short text, in the same run, tell what the network and the disks take by themselves; the same texts with replay
//! switched off tell what it saves, and a `Text` of that length why long notes are a `LongText`. The rounds of all take
//! turns, so that whatever else the machine does falls on all.

mod delay;
mod pair;
mod typist;

use afield::Replay;
use afield_benches::report::{exit_code, write_table};
use afield_benches::role;
use clap::Parser;
use pair::{Manner, Measured, Pair, ROLE};
use serde_json::json;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use typist::Which;

/// The targets: the median over what the network takes by itself, and the share of one core.
const OVER_NETWORK_MS_MAX: f64 = 2.0;
const CORE_SHARE_MAX: f64 = 0.1;

/// Measure two people who type into one long text, as a `LongText` and as a `Text`
#[derive(Debug, Parser)]
struct Arguments {
    /// Characters of the text
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    letters: u64,
    /// Changes that it is made of
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    changes: u64,
    /// Keys that each presses, in each way that is measured
    #[arg(long, value_name = "COUNT", default_value_t = 400)]
    keys: u64,
    /// Rounds that they are divided into
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    rounds: u64,
    /// The least time between two keys of one person, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50)]
    least_ms: u64,
    /// The most time between two keys of one person, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100)]
    most_ms: u64,
    /// Round trips between each device and the relay to measure with, in milliseconds
    #[arg(long, value_name = "MS", value_delimiter = ',', default_values_t = [0, 20])]
    round_trips_ms: Vec<u64>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// A typist, when the program is started as one.
#[derive(Debug, Parser)]
struct TypistArguments {
    role: String,
    store: PathBuf,
    #[arg(long)]
    no_replay: bool,
}

fn main() -> ExitCode {
    if let Some(code) = role::take() {
        return code;
    }
    if std::env::args().nth(1).is_some_and(|first| first == ROLE) {
        let TypistArguments { store, no_replay, .. } = TypistArguments::parse();
        let replay = if no_replay { Replay::Off } else { Replay::On };
        return exit_code("typists", typist::run(&store, replay));
    }
    exit_code("typists", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let mut figures = Vec::new();
    for round_trip_ms in &arguments.round_trips_ms {
        let rows = measure(arguments, Duration::from_millis(*round_trip_ms))?;
        let network_ms = rows.first().map_or(f64::NAN, |(_, short)| quantile(&short.across_ms, 0.5));
        if arguments.json {
            let rows = rows.iter().map(|(name, measured)| as_json(name, measured, network_ms));
            figures.push(json!({ "round_trip_ms": round_trip_ms, "rows": rows.collect::<Vec<_>>() }));
        } else {
            writeln!(
                out,
                "{} characters of {} changes, a key each {} to {} ms on both sides, {round_trip_ms} ms to the relay and back",
                arguments.letters, arguments.changes, arguments.least_ms, arguments.most_ms
            )?;
            write_table(&mut out, &table(&rows, network_ms))?;
            writeln!(out)?;
        }
    }
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&figures)?)?;
    } else {
        let share = CORE_SHARE_MAX * 100.0;
        writeln!(
            out,
            "  wanted of a LongText: at most {OVER_NETWORK_MS_MAX} ms over the short text, and under {share} % of a core"
        )?;
    }
    Ok(())
}

/// The short text first, then the long ones, redone and merged.
const ROWS: [(&str, Replay, Which); 5] = [
    ("short text: network and disks", Replay::On, Which::Short),
    ("LongText, replay", Replay::On, Which::LongText),
    ("LongText, plain apply", Replay::Off, Which::LongText),
    ("Text, replay", Replay::On, Which::Text),
    ("Text, plain apply", Replay::Off, Which::Text),
];

fn measure(arguments: &Arguments, round_trip: Duration) -> Result<Vec<(&'static str, Measured)>, Box<dyn Error>> {
    let Arguments { letters, changes, keys, rounds, least_ms, most_ms, .. } = *arguments;
    let manner = Manner { letters, changes, pause_ms: (least_ms, most_ms) };
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let [redone, merged] = &folders;
    // Both devices have the delay on their own way to the relay.
    let mut redoing = Pair::start(redone.path(), Replay::On, round_trip / 2, manner)?;
    let mut merging = Pair::start(merged.path(), Replay::Off, round_trip / 2, manner)?;
    let mut rows = ROWS.map(|(name, ..)| (name, Measured::default()));
    let keys = (keys / rounds.max(1)).max(1);
    for round in 0..rounds.max(1) {
        for ((_, measured), (_, replay, which)) in rows.iter_mut().zip(ROWS) {
            let pair = if replay == Replay::On { &mut redoing } else { &mut merging };
            measured.add(pair.type_keys(which, keys, round)?);
        }
    }
    Ok(rows.into())
}

fn table(rows: &[(&str, Measured)], network_ms: f64) -> Vec<Vec<String>> {
    let heads = ["", "median", "p95", "median over network", "call", "call p95", "core per device", "redone"];
    let mut table = vec![heads.map(str::to_owned).to_vec()];
    let ms = |ms: f64| format!("{ms:.2} ms");
    table.extend(rows.iter().map(|(name, measured)| {
        let Measured { across_ms, local_ms, merged, replayed, .. } = measured;
        vec![
            (*name).to_owned(),
            ms(quantile(across_ms, 0.5)),
            ms(quantile(across_ms, 0.95)),
            ms(quantile(across_ms, 0.5) - network_ms),
            ms(quantile(local_ms, 0.5)),
            ms(quantile(local_ms, 0.95)),
            format!("{:.1} %", core_share(measured) * 100.0),
            format!("{replayed} of {merged}"),
        ]
    }));
    table
}

fn as_json(name: &str, measured: &Measured, network_ms: f64) -> serde_json::Value {
    let Measured { across_ms, local_ms, merged, replayed, .. } = measured;
    json!({
        "name": name,
        "keys": across_ms.len(),
        "median_ms": quantile(across_ms, 0.5),
        "p95_ms": quantile(across_ms, 0.95),
        "median_over_network_ms": quantile(across_ms, 0.5) - network_ms,
        "call_median_ms": quantile(local_ms, 0.5),
        "call_p95_ms": quantile(local_ms, 0.95),
        "core_share_per_device": core_share(measured),
        "merged": merged,
        "replayed": replayed,
    })
}

fn core_share(measured: &Measured) -> f64 {
    measured.cpu_seconds / measured.seconds
}

fn quantile(of: &[f64], share: f64) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() as f64 * share) as usize).or(sorted.last()).copied().unwrap_or(f64::NAN)
}
