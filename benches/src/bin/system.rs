//! Whole devices in processes of their own, and a real relay process: latency, uploads, downloads, reconnecting, many
//! readers, offline edits that merge, idle sessions, all devices back at once, and the relay's disk.
//!
//! Everything goes through real sockets and every commit is synced, on the devices and on the relay. Bytes and frames
//! are counted by a proxy on the way, with WebSocket headers and masks; `strace`, where there is one, counts the syncs.
//! Latency is measured without the proxy, and its bytes in a second run.

use afield_benches::disk::{DiskOutcome, disk};
use afield_benches::idle::{Idle, IdleOutcome, idle};
use afield_benches::report::{
    Phase, ProcessRow, WireRow, exit_code, grouped, write_processes, write_table, write_wires,
};
use afield_benches::role;
use afield_benches::site::Site;
use afield_benches::storm::{StormOutcome, storm};
use afield_benches::workload::{FanOut, Merge, Outcome, fan_out, merge};
use afield_tests::processes::agent::Command;
use afield_tests::processes::{Proxy, WireFigures, find_tracer};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How many edits the latency is measured over, unless told otherwise.
const EDITS: u64 = 500;
/// The time between two edits, in milliseconds.
const EVERY_MS: u64 = 20;
/// How many edits the bytes of live editing are counted over.
const EDITS_COUNTED: u64 = 100;
/// How many small entities go up and down.
const ENTITIES: [usize; 2] = [1_000, 10_000];
/// How many changes each of them has.
const CHANGES: usize = 3;
/// One writer and many readers; an edit every 5 ms is a fast typist's twenty times over.
const FAN_OUT: FanOut = FanOut { readers: 50, edits: 1_000, every_us: 5_000 };
/// Offline edits of each of two devices, in one text and spread over many.
const MERGES: [Merge; 2] = [Merge { texts: 1, edits: 1_000 }, Merge { texts: 100, edits: 1_000 }];
/// How many sessions do nothing, unless told otherwise.
const SESSIONS: usize = 5_000;
/// The most memory of the relay that one of them may take, in bytes: a target, above which the program fails.
const SESSION_BYTES_MAX: u64 = 20_000;
/// For how long; more than two intervals between pings.
const IDLE: Duration = Duration::from_secs(60);
/// How many sessions are cut and come back at once, unless told otherwise.
const RETURNING: usize = 10_000;
/// How many keystrokes the relay's disk is looked at after.
const KEYSTROKES: usize = 10_000;
/// How many syncs the disk is measured by.
const DISK_SYNCS: usize = 50;
/// What the best peers do, all of which acknowledge before they store: live latency in milliseconds, and seconds for
/// 1,000 entities up and down. They are targets, shown beside what is measured.
const PEERS_LIVE_MS: f64 = 1.0;
const PEERS_UP_SECONDS: f64 = 1.0;
const PEERS_DOWN_SECONDS: f64 = 0.8;

/// Measure whole devices against a real relay process.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure
    #[arg(value_enum, default_value_t = Measure::All)]
    measure: Measure,
    /// Edits that the latency is measured over
    #[arg(long, value_name = "COUNT", default_value_t = EDITS)]
    edits: u64,
    /// Sessions that do nothing
    #[arg(long, value_name = "COUNT", default_value_t = SESSIONS)]
    sessions: usize,
    /// Sessions that are cut and come back at once
    #[arg(long, value_name = "COUNT", default_value_t = RETURNING)]
    returning: usize,
    /// Do not count syncs: strace adds some microseconds to each
    #[arg(long)]
    no_strace: bool,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// From an edit on one device to the watcher's wake on another
    Live,
    /// Small entities to the relay
    Upload,
    /// Small entities to a fresh device
    Download,
    /// Connecting again with nothing new
    Reconnect,
    /// One writer, 50 readers, 1,000 edits
    FanOut,
    /// 1,000 offline edits on each of two devices, in one text and over 100
    Merge,
    /// Sessions that do nothing
    Idle,
    /// Sessions that are cut and come back at once, while one device writes
    Storm,
    /// The relay's files after 10,000 keystrokes
    Disk,
    /// All of these
    All,
}

/// What was measured.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// How long this disk takes for one `fdatasync`, in milliseconds (the median).
    disk_sync_ms: f64,
    live: Option<Live>,
    moves: Vec<Move>,
    workloads: Vec<Outcome>,
    idle: Option<IdleOutcome>,
    storm: Option<StormOutcome>,
    disk: Option<DiskOutcome>,
}

/// Live latency.
#[derive(Debug, Serialize)]
struct Live {
    edits: u64,
    every_ms: u64,
    median_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    peers_median_ms: f64,
    /// Over [`EDITS_COUNTED`] edits.
    wires: Vec<WireRow>,
    processes: Vec<ProcessRow>,
}

/// Entities moved from one place to another.
#[derive(Debug, Serialize)]
struct Move {
    phase: Phase,
    peers_seconds: Option<f64>,
    wire: WireRow,
    processes: Vec<ProcessRow>,
}

fn main() -> ExitCode {
    if let Some(code) = role::take() {
        return code;
    }
    exit_code("system", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let tracer = find_tracer().filter(|_| !arguments.no_strace);
    let tracer = tracer.as_deref();
    let is_asked = |measure| arguments.measure == measure || arguments.measure == Measure::All;
    let mut report = Report { disk_sync_ms: disk_sync_ms()?, ..Report::default() };
    if is_asked(Measure::Live) {
        report.live = Some(live(arguments.edits, tracer)?);
    }
    if [Measure::Upload, Measure::Download, Measure::Reconnect].into_iter().any(is_asked) {
        for entities in ENTITIES {
            let moves = bulk(entities, tracer)?;
            let measures = [Measure::Upload, Measure::Download, Measure::Reconnect];
            report
                .moves
                .extend(moves.into_iter().zip(measures).filter(|(_, measure)| is_asked(*measure)).map(|(one, _)| one));
        }
    }
    if is_asked(Measure::FanOut) {
        report.workloads.push(fan_out(&role::afield()?, &FAN_OUT, tracer)?);
    }
    if is_asked(Measure::Merge) {
        for one in &MERGES {
            report.workloads.push(merge(&role::afield()?, one, tracer)?);
        }
    }
    if is_asked(Measure::Idle) {
        report.idle = Some(idle(&Idle { sessions: arguments.sessions, during: IDLE })?);
    }
    if is_asked(Measure::Storm) {
        report.storm = Some(storm(arguments.returning)?);
    }
    if is_asked(Measure::Disk) {
        report.disk = Some(disk(KEYSTROKES)?);
    }
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        report.write(&mut out)?;
    }
    match report.idle.and_then(|idle| idle.bytes_per_session) {
        Some(bytes) if bytes > SESSION_BYTES_MAX => {
            Err(format!("an idle session takes {bytes} B of the relay, and {SESSION_BYTES_MAX} are the target").into())
        }
        _ => Ok(()),
    }
}

/// From the call of an edit on one device to the wake of a watcher on the other.
fn live(edits: u64, tracer: Option<&Path>) -> Result<Live, Box<dyn Error>> {
    let mut site = Site::start(tracer)?;
    site.share_one_entity(&[site.relay.url(), site.relay.url()]);
    let before = site.moment()?;
    let mut latencies = tick(&mut site, edits)?;
    let processes = site.used_since(&before)?;
    latencies.sort_by(f64::total_cmp);
    let quantile = |of: f64| latencies.get((latencies.len() as f64 * of) as usize).or(latencies.last()).copied();
    drop(site);

    let mut counted = Site::start(None)?;
    let doors = [Proxy::start(counted.relay.address())?, Proxy::start(counted.relay.address())?];
    counted.share_one_entity(&[doors[0].url(), doors[1].url()]);
    let earlier = doors.each_ref().map(Proxy::figures);
    tick(&mut counted, EDITS_COUNTED)?;
    let names = ["who edits", "who watches"];
    let wires = names.iter().zip(doors.iter().zip(&earlier));
    Ok(Live {
        edits,
        every_ms: EVERY_MS,
        median_ms: quantile(0.5).unwrap_or(f64::NAN),
        p95_ms: quantile(0.95).unwrap_or(f64::NAN),
        p99_ms: quantile(0.99).unwrap_or(f64::NAN),
        peers_median_ms: PEERS_LIVE_MS,
        wires: wires.map(|(name, (door, earlier))| WireRow::of(name, &door.figures().since(earlier))).collect(),
        processes,
    })
}

/// Small entities up, down to a fresh device, and connecting again with nothing new.
fn bulk(entities: usize, tracer: Option<&Path>) -> Result<[Move; 3], Box<dyn Error>> {
    let mut site = Site::start(tracer)?;
    let changes = (entities * CHANGES) as u64;
    let [author, fresh] = &mut site.devices;
    let space = author.request(&Command::MakeSpace).as_str().unwrap_or_default().to_owned();
    author.request(&Command::Populate { entities, changes: CHANGES });
    fresh.request(&Command::JoinSpace { space });

    let name = |what: &str| format!("{} entities {what}", grouped(entities as u64));
    let peers = |seconds| (entities == 1_000).then_some(seconds);
    let up = connect_timed(&mut site, 0, &name("up"), changes, peers(PEERS_UP_SECONDS))?;
    let down = connect_timed(&mut site, 1, &name("down"), changes, peers(PEERS_DOWN_SECONDS))?;
    let [_, fresh] = &mut site.devices;
    let arrived = fresh.request(&Command::Count);
    if arrived != entities {
        return Err(format!("{arrived} of {entities} entities have arrived").into());
    }
    fresh.request(&Command::Disconnect);
    let again = connect_timed(&mut site, 1, &name("and nothing new"), 0, None)?;
    Ok([up, down, again])
}

/// Connects a device through a door of its own and waits until it is in step.
fn connect_timed(
    site: &mut Site,
    device: usize,
    name: &str,
    changes: u64,
    peers_seconds: Option<f64>,
) -> Result<Move, Box<dyn Error>> {
    let door = Proxy::start(site.relay.address())?;
    let before = site.moment()?;
    if let Some(device) = site.devices.get_mut(device) {
        device.request(&Command::Connect { url: door.url(), token: None });
        device.sync();
    }
    let phase = Phase::new(name, before.started.elapsed(), changes);
    let wire: WireFigures = door.figures();
    let mut processes = site.used_since(&before)?;
    // The device that only looks on has nothing to do with it.
    processes.remove(2 - device);
    Ok(Move { phase, peers_seconds, wire: WireRow::of("device", &wire), processes })
}

/// Has one device edit and the other watch; gives the time from each call to its wake, in milliseconds.
fn tick(site: &mut Site, edits: u64) -> Result<Vec<f64>, Box<dyn Error>> {
    let [editor, watcher] = &mut site.devices;
    watcher.send(&Command::Watch { edits });
    watcher.wait_until_ready();
    let called: Vec<u64> = serde_json::from_value(editor.request(&Command::Tick { edits, every_ms: EVERY_MS }))?;
    let seen: Vec<u64> = serde_json::from_value(watcher.reply())?;
    Ok(called.iter().zip(seen).map(|(called, seen)| seen.saturating_sub(*called) as f64 / 1_000.0).collect())
}

/// How long the disk of the temporary folder takes for one sync, in milliseconds: the floor of everything durable.
fn disk_sync_ms() -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("disk"))?;
    let mut took: Vec<Duration> = Vec::with_capacity(DISK_SYNCS);
    for _ in 0..DISK_SYNCS {
        file.write_all(&[7; 4_096])?;
        let started = Instant::now();
        file.sync_data()?;
        took.push(started.elapsed());
    }
    took.sort();
    Ok(took.get(DISK_SYNCS / 2).map_or(f64::NAN, |median| median.as_secs_f64() * 1_000.0))
}

impl Report {
    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "One fdatasync of this disk takes {:.2} ms. The peers' figures are of", self.disk_sync_ms)?;
        writeln!(out, "systems that acknowledge before they store; Afield syncs on each hop.\n")?;
        if let Some(live) = &self.live {
            live.write(out)?;
        }
        for Move { phase, peers_seconds, wire, processes } in &self.moves {
            let peers = peers_seconds.map_or_else(String::new, |seconds| format!(" (best peers: {seconds:.1} s)"));
            let rate = (phase.changes > 0).then(|| grouped((phase.changes as f64 / phase.seconds) as u64));
            let rate = rate.map_or_else(String::new, |rate| format!(", {rate} changes/s"));
            writeln!(out, "{}: {:.3} s{peers}{rate}", phase.name, phase.seconds)?;
            write_wires(out, std::slice::from_ref(wire))?;
            write_processes(out, processes)?;
            writeln!(out)?;
        }
        self.workloads.iter().try_for_each(|outcome| outcome.write(out))?;
        self.idle.iter().try_for_each(|outcome| outcome.write(out))?;
        self.storm.iter().try_for_each(|outcome| outcome.write(out))?;
        self.disk.iter().try_for_each(|outcome| outcome.write(out))
    }
}

impl Live {
    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { edits, every_ms, median_ms, p95_ms, p99_ms, peers_median_ms, wires, processes } = self;
        writeln!(
            out,
            "live, {} edits {every_ms} ms apart, from the call to the watcher's wake elsewhere",
            grouped(*edits)
        )?;
        let heads = ["", "median", "p95", "p99"].map(str::to_owned).to_vec();
        let ms = |ms: &f64| format!("{ms:.1} ms");
        let ours = vec!["Afield, durable on each hop".to_owned(), ms(median_ms), ms(p95_ms), ms(p99_ms)];
        let peers = vec!["best peers, not durable".to_owned(), ms(peers_median_ms)];
        write_table(out, &[heads, ours, peers])?;
        writeln!(out, "\n  over {EDITS_COUNTED} edits:")?;
        write_wires(out, wires)?;
        writeln!(out, "\n  over all {} edits:", grouped(*edits))?;
        write_processes(out, processes)?;
        writeln!(out)
    }
}
