//! Replays a recorded editing history through a real relay process.
//!
//! A concurrent history has one replica per author, each with its own store file. Every transaction is made when its
//! author's replica holds exactly its parents, which is checked by the heads; what others did meanwhile has arrived and
//! is held back. At the end all of them, and a late newcomer, hold the recorded text. A history of one author is typed
//! one change per keystroke and synced while it is typed; then a fresh device catches up.

use afield::{EntityId, Relay, Replica, SpaceId};
use afield_benches::hand::{Clock, HandDriven, SystemEntropy};
use afield_benches::history::{History, Transaction};
use afield_benches::report::{
    Phase, ProcessRow, Progress, WireRow, folder_bytes, grouped, syncs_below, write_processes, write_table, write_wires,
};
use afield_benches::role;
use afield_store::Origin;
use afield_tests::processes::{Access, Figures, Program, Proxy, RelayProcess, Trace, find_tracer, read_trace};
use clap::Parser;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;
use tokio::runtime::Runtime;

/// How many keystrokes of a sequential history are stored in one commit, each of them a change of its own.
const KEYSTROKES_PER_COMMIT: usize = 100;
/// The hidden subcommand of the process that replays; the one beside it counts what it syncs.
const WORKER: &str = "role-replay";
/// The folder of the relay, within the one of the run.
const RELAY_FOLDER: &str = "relay";
/// The field that holds the text.
const TEXT: &str = "text";

/// Replay a recorded editing history through a real relay process, and compare the texts at the end.
#[derive(Debug, Parser)]
struct Arguments {
    /// The history, such as friendsforever.json.gz
    file: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Where the replicas and the relay keep their files; by default a folder that is removed at the end
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// What a replay has shown.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    history: String,
    transactions: u64,
    authors: u64,
    /// The length of the text that all replicas end with, in characters.
    characters: u64,
    phases: Vec<Phase>,
    wires: Vec<WireRow>,
    processes: Vec<ProcessRow>,
    relay_disk_bytes: u64,
}

/// A replica ended with another text than the recorded one.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("{replica} ends with another text than the recorded one")]
    OtherText { replica: String },
    #[error("transaction {place}: its author's replica does not hold exactly its parents")]
    OtherParents { place: usize },
    #[error("a transaction of a history of one author has {0} patches; only one can be one change")]
    Patches(usize),
    #[error("a history of {0} authors: what is held back for one of them is told apart for two authors only")]
    Authors(usize),
    #[error("the process that replays has failed")]
    Worker,
}

fn main() -> ExitCode {
    if let Some(code) = role::take() {
        return code;
    }
    let is_worker = std::env::args().nth(1).is_some_and(|first| first == WORKER);
    let result =
        if is_worker { work(&Arguments::parse_from(std::env::args().skip(1))) } else { supervise(&Arguments::parse()) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut words = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                words = format!("{words}: {cause}");
                source = cause.source();
            }
            // Nobody may be reading standard error, and there is nowhere else to say it.
            let _ = writeln!(std::io::stderr(), "replay: {words}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the replay in a process of its own, which `strace` can watch from its start, and prints what it has shown.
fn supervise(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let Program { path, arguments: role } = Program::own(WORKER)?;
    let mut command = std::process::Command::new(path);
    command.args(role).arg("--folder").arg(&folder).arg(&arguments.file);
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
    let history = History::read(&arguments.file)?;
    let folder = arguments.folder.clone().unwrap_or_default();
    let name = arguments.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let relay = RelayProcess::start(&role::relay()?, &folder.join(RELAY_FOLDER), Access::Open);
    let (phases, wires) = match history.authors() {
        1 => replay_sequential(&history, &folder, &relay)?,
        2 => replay_concurrent(&history, &folder, &relay)?,
        authors => return Err(ReplayError::Authors(authors).into()),
    };
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
    };
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}

type Replayed = Result<(Vec<Phase>, Vec<WireRow>), Box<dyn Error>>;

/// Two authors, each with a replica whose messages are moved by hand.
fn replay_concurrent(history: &History, folder: &Path, relay: &RelayProcess) -> Replayed {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let clock = Clock::new();
    let space = SpaceId::new(clock.now(), &mut SystemEntropy);
    let entity = EntityId::new(clock.now(), &mut SystemEntropy);
    let open = |name: &str, origin| {
        HandDriven::open(&folder.join(format!("{name}.db")), (space, origin), entity, runtime.handle())
    };
    let mut authors = Vec::new();
    for author in 0..history.authors() {
        let origin = if author == 0 { Origin::MadeHere } else { Origin::Joined };
        let mut replica = open(&format!("author-{author}"), origin)?;
        replica.connect(&relay.url())?;
        if author == 0 {
            replica.create()?;
        }
        replica.settle()?;
        replica.start_counting();
        authors.push(replica);
    }

    let started = Instant::now();
    let total = history.transactions.len() as u64;
    edit_as_recorded(history, &mut authors)?;
    for author in &mut authors {
        author.settle()?;
    }
    let mut phases = vec![Phase::new("replay, live", started.elapsed(), total)];

    let started = Instant::now();
    let mut third = open("late third", Origin::Joined)?;
    third.connect(&relay.url())?;
    third.settle()?;
    phases.push(Phase::new("late third catches up", started.elapsed(), total));

    let names = (0..authors.len()).map(|author| format!("author {author}")).chain(["late third".to_owned()]);
    let mut wires = Vec::new();
    for (name, replica) in names.zip(authors.iter().chain([&third])) {
        if replica.text()? != history.end {
            return Err(ReplayError::OtherText { replica: name }.into());
        }
        let statistics = replica.statistics();
        wires.push(WireRow {
            name,
            sent_bytes: statistics.bytes_sent,
            sent_frames: statistics.messages_sent,
            received_bytes: statistics.bytes_received,
            received_frames: statistics.messages_received,
        });
    }
    Ok((phases, wires))
}

/// Makes every transaction when its author's replica holds exactly its parents.
fn edit_as_recorded(history: &History, authors: &mut [HandDriven]) -> Result<(), Box<dyn Error>> {
    let reaches = history.reaches();
    let borders = history.borders(&reaches);
    let root = authors.first().map(HandDriven::heads).transpose()?.unwrap_or_default();
    let mut made = vec![0; authors.len()];
    let mut hashes = Vec::with_capacity(history.transactions.len());
    let mut progress = Progress::start("replay", history.transactions.len() as u64);
    for (place, (transaction, reach)) in history.transactions.iter().zip(&reaches).enumerate() {
        let Transaction { parents, author, patches } = transaction;
        let seen: usize = reach.iter().enumerate().filter(|(other, _)| other != author).map(|(_, seen)| seen).sum();
        let Some(replica) = authors.get_mut(*author) else { continue };
        replica.take(seen)?;
        let mut expected: Vec<_> = parents.iter().filter_map(|parent| hashes.get(*parent).copied()).collect();
        if parents.is_empty() {
            expected.clone_from(&root);
        }
        let mut heads = replica.heads()?;
        expected.sort();
        heads.sort();
        if heads != expected {
            return Err(ReplayError::OtherParents { place }.into());
        }
        let [patch] = patches.as_slice() else { return Err(ReplayError::Patches(patches.len()).into()) };
        hashes.push(replica.splice(patch.0, patch.1, &patch.2)?);
        if let Some(made) = made.get_mut(*author) {
            *made += 1;
            // Somebody edits knowing this and nothing after it: whatever comes next must not share its frame.
            if borders.contains(&(*author, *made)) {
                arrive_elsewhere(authors, *author, *made)?;
            }
        }
        progress.reach(place as u64 + 1);
    }
    progress.end();
    Ok(())
}

fn arrive_elsewhere(authors: &mut [HandDriven], author: usize, made: usize) -> Result<(), Box<dyn Error>> {
    for (other, replica) in authors.iter_mut().enumerate() {
        if other != author {
            replica.await_arrival(made)?;
        }
    }
    Ok(())
}

/// One author who is synced while typing, and a fresh device afterwards.
fn replay_sequential(history: &History, folder: &Path, relay: &RelayProcess) -> Replayed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (author_wire, fresh_wire) = (Proxy::start(relay.address())?, Proxy::start(relay.address())?);
    let total = history.transactions.len() as u64;
    let author = Replica::open(folder.join("author.db"))?;
    let space = author.create_space("replay")?;
    let texts = space.collection::<()>("texts")?;
    let id = texts.json().insert(&serde_json::json!({ TEXT: { "$text": "" } }))?;
    author.connect(Relay::new(author_wire.url()))?;
    sync(&runtime, &author)?;

    let started = Instant::now();
    let mut progress = Progress::start("typing", total);
    for (number, keystrokes) in history.transactions.chunks(KEYSTROKES_PER_COMMIT).enumerate() {
        let _ = author.transaction(|transaction| {
            for patch in keystrokes.iter().flat_map(|keystroke| &keystroke.patches) {
                transaction.edit_fields(&texts, id, |edit| Ok(edit.splice_text(TEXT, patch.0, patch.1, &patch.2)?))?;
            }
            Ok(())
        })?;
        progress.reach((number * KEYSTROKES_PER_COMMIT + keystrokes.len()) as u64);
    }
    progress.end();
    let mut phases = vec![Phase::new("typing, synced live", started.elapsed(), total)];
    let started = Instant::now();
    sync(&runtime, &author)?;
    phases.push(Phase::new("the rest reaches the relay", started.elapsed(), 0));

    let started = Instant::now();
    let fresh = Replica::open(folder.join("fresh.db"))?;
    let joined = fresh.join_space(space.id())?;
    fresh.connect(Relay::new(fresh_wire.url()))?;
    sync(&runtime, &fresh)?;
    phases.push(Phase::new("fresh device catches up", started.elapsed(), total));

    let changes = |replica: &Replica, texts: &afield::Collection<()>| -> Result<u64, Box<dyn Error>> {
        let (text, changes) =
            texts.entity(id)?.raw(|document| (read_text(document), document.get_changes(&[]).len()))?;
        if text.as_deref() != Some(&history.end) {
            return Err(ReplayError::OtherText { replica: replica.device().to_string() }.into());
        }
        Ok(changes as u64)
    };
    // One change per keystroke, and the one that made the entity with its empty text.
    for made in [changes(&author, &texts)?, changes(&fresh, &joined.collection("texts")?)?] {
        if made != total + 1 {
            return Err(ReplayError::Patches(usize::try_from(made)?).into());
        }
    }
    let wires = vec![WireRow::of("author", &author_wire.figures()), WireRow::of("fresh device", &fresh_wire.figures())];
    Ok((phases, wires))
}

fn read_text(document: &afield::automerge::Automerge) -> Option<String> {
    use afield::automerge::{ROOT, ReadDoc};
    let (_, text) = document.get(ROOT, TEXT).ok()??;
    document.text(&text).ok()
}

fn sync(runtime: &Runtime, replica: &Replica) -> Result<(), afield::SyncError> {
    runtime.block_on(replica.sync_now())
}

impl Report {
    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { history, transactions, authors, characters, phases, wires, processes, relay_disk_bytes } = self;
        let who = if *authors == 1 { "one author".to_owned() } else { format!("{authors} authors") };
        writeln!(out, "{history}: {} transactions of {who}, one change each\n", grouped(*transactions))?;
        let rows: Vec<_> = phases
            .iter()
            .map(|phase| {
                let rate = (phase.changes > 0).then(|| grouped((phase.changes as f64 / phase.seconds) as u64));
                let rate = rate.map(|rate| format!("{rate} changes/s")).unwrap_or_default();
                vec![phase.name.clone(), format!("{:.1} s", phase.seconds), rate]
            })
            .collect();
        write_table(out, &rows)?;
        writeln!(out)?;
        write_wires(out, wires)?;
        writeln!(out)?;
        write_processes(out, processes)?;
        writeln!(out, "\n  relay's disk: {} B", grouped(*relay_disk_bytes))?;
        writeln!(out, "  all replicas end with the recorded text of {} characters", grouped(*characters))
    }
}
