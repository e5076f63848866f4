//! Replays a recorded editing history through a real relay process.
//!
//! A concurrent history has one replica per author, each with its own store file. Every transaction is made when its
//! author's replica holds exactly its parents, which is checked by the heads; what others did meanwhile has arrived and
//! is held back. At the end all of them, and a late newcomer, hold the recorded text. A history of one author is typed
//! one change per keystroke and synced while it is typed; then a fresh device catches up.

mod concurrent;
mod report;
mod sequential;

use afield_benches::history::History;
use afield_benches::report::{Phase, ProcessRow, WireRow, exit_code, folder_bytes, syncs_below};
use afield_benches::role;
use afield_tests::processes::{Access, Figures, Program, RelayProcess, Trace, find_tracer, read_trace};
use clap::Parser;
use concurrent::replay_concurrent;
use report::{ReplayError, Report};
use sequential::{KEYSTROKES_PER_COMMIT, replay_sequential};
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// The hidden subcommand of the process that replays; the one beside it counts what it syncs.
const WORKER: &str = "role-replay";
/// The folder of the relay, within the one of the run.
const RELAY_FOLDER: &str = "relay";

/// Replay a recorded editing history through a real relay process, and compare the texts at the end.
#[derive(Debug, Parser)]
struct Arguments {
    /// The history, such as friendsforever.json.gz
    file: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Fail when it takes more minutes than this
    #[arg(long, value_name = "MINUTES", default_value_t = 10)]
    minutes_max: u64,
    /// Where the replicas and the relay keep their files; by default a folder that is removed at the end
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Some(code) = role::take() {
        return code;
    }
    let is_worker = std::env::args().nth(1).is_some_and(|first| first == WORKER);
    let result =
        if is_worker { work(&Arguments::parse_from(std::env::args().skip(1))) } else { supervise(&Arguments::parse()) };
    exit_code("replay", result)
}

/// Runs the replay in a process of its own, which `strace` can watch from its start, and prints what it has shown.
fn supervise(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let mut command = Program::own(WORKER)?.command();
    command.arg("--folder").arg(&folder).arg(&arguments.file);
    command.args(["--minutes-max", &arguments.minutes_max.to_string()]);
    let trace = find_tracer().map(|tracer| Trace::of_syncs(&tracer, temporary.path().join("syncs.trace")));
    if let Some(trace) = &trace {
        command = trace.around(&command);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(ReplayError::Worker.into());
    }
    let mut report: Report = serde_json::from_slice(&output.stdout)?;
    if let Some(trace) = &trace {
        let calls = read_trace(trace.file())?;
        let relay = syncs_below(&calls, &folder.join(RELAY_FOLDER));
        let syncs = [syncs_below(&calls, &folder) - relay, relay];
        report.processes.iter_mut().zip(syncs).for_each(|(process, syncs)| process.syncs = Some(syncs));
    }
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        report.write(&mut out)?;
    }
    Ok(())
}

fn work(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let history = Arc::new(History::read(&arguments.file)?);
    let folder = arguments.folder.clone().unwrap_or_default();
    let name = arguments.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let relay = RelayProcess::start(&role::relay()?, &folder.join(RELAY_FOLDER), Access::Open);
    let replayed = replay_within(arguments.minutes_max, &history, &folder, relay.address());
    let (phases, wires) = replayed.map_err(|failed| -> Box<dyn Error> { failed })?;
    let report = Report {
        history: name,
        transactions: history.transactions.len() as u64,
        authors: history.authors() as u64,
        characters: history.end.chars().count() as u64,
        phases,
        wires,
        processes: vec![
            ProcessRow::of("all replicas (one process)", Figures::own()),
            ProcessRow::of("relay", relay.process().and_then(Figures::of)),
        ],
        relay_disk_bytes: folder_bytes(relay.folder())?,
        remark: (history.authors() == 1).then(|| {
            format!(
                "{KEYSTROKES_PER_COMMIT} keystrokes share a commit and so its time, which makes them small on the wire"
            )
        }),
    };
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}

/// Replays on a thread of its own, so that a replay that hangs does not keep its relay from being ended.
fn replay_within(minutes: u64, history: &Arc<History>, folder: &Path, relay: SocketAddr) -> Replayed {
    let (sender, replayed) = mpsc::channel();
    let (recorded, folder) = (history.clone(), folder.to_owned());
    std::thread::spawn(move || {
        let result = match recorded.authors() {
            1 => replay_sequential(&recorded, &folder, relay),
            2 => replay_concurrent(&recorded, &folder, relay),
            authors => Err(ReplayError::Authors(authors).into()),
        };
        // Nobody listens when the time is over.
        let _ = sender.send(result);
    });
    match replayed.recv_timeout(Duration::from_secs(minutes.saturating_mul(60))) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(ReplayError::TimeOver { minutes }.into()),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(ReplayError::Worker.into()),
    }
}

/// Why a replay has failed.
type Failed = Box<dyn Error + Send + Sync>;

/// The phases of a replay and the wires of its replicas.
type Replayed = Result<(Vec<Phase>, Vec<WireRow>), Failed>;
