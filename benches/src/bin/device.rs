//! What a device's store costs by itself, without any network: opening it when it holds many entities, the memory that
//! reading and editing all of them takes, and the size of a long history on its disk.
//!
//! Each measurement is a process of its own, so that its peak of memory is its own too.

use afield::{EntityId, Replica, Synchronous};
use afield_benches::history::History;
use afield_benches::report::{exit_code, grouped, write_table};
use afield_tests::processes::Figures;
use afield_tests::processes::agent::{Task, populate};
use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// How many entities the store holds that is opened, unless told otherwise.
const ENTITIES: usize = 100_000;
/// How many changes each of them has.
const CHANGES: usize = 3;
/// How many keystrokes are stored in one commit, each of them a change of its own.
const KEYSTROKES_PER_COMMIT: usize = 100;
/// How many ids are read at once.
const IDS_PER_PAGE: usize = 1_000;
/// The field that holds the text.
const TEXT: &str = "text";
/// What opening may take: milliseconds, and KiB of memory.
const OPEN_MS_MAX: f64 = 100.0;
const OPEN_KIB_MAX: u64 = 50 * 1024;

/// Measure the store of a device by itself.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Debug, Subcommand)]
enum Measure {
    /// Open a store of many entities, then read and edit all of them one after the other
    Open {
        /// How many entities of five fields and three changes
        #[arg(long, default_value_t = ENTITIES)]
        entities: usize,
    },
    /// Type a recorded history of one author, and compare the size of the store with that of one save
    Typing {
        /// The history, such as automerge-paper.json.gz
        file: PathBuf,
    },
    #[command(hide = true)]
    Part {
        part: Part,
        store: PathBuf,
        #[arg(long, default_value_t = ENTITIES)]
        entities: usize,
        #[arg(long)]
        file: Option<PathBuf>,
    },
}

/// What a process of its own does.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Part {
    Fill,
    Open,
    Read,
    Edit,
    Type,
    Reopen,
    Compact,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Open => "open",
            Self::Read => "read",
            Self::Edit => "edit",
            Self::Type => "type",
            Self::Reopen => "reopen",
            Self::Compact => "compact",
        }
    }
}

/// What a part has measured.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Measured {
    open_ms: f64,
    work_ms: f64,
    slowest_ms: f64,
    peak_kib: u64,
    store_bytes: u64,
    save_bytes: u64,
    changes: u64,
}

fn main() -> ExitCode {
    exit_code("device", run(Arguments::parse().measure))
}

fn run(measure: Measure) -> Result<(), Box<dyn Error>> {
    match measure {
        Measure::Open { entities } => measure_opening(entities),
        Measure::Typing { file } => measure_typing(&file),
        Measure::Part { part, store, entities, file } => {
            let measured = work(part, &store, entities, file.as_deref())?;
            Ok(writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&measured)?)?)
        }
    }
}

fn measure_opening(entities: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("device.db");
    let own = |part: Part| in_own_process(part, &store, &["--entities", &entities.to_string()]);
    let filled = own(Part::Fill)?;
    let opened = [own(Part::Open)?, own(Part::Open)?, own(Part::Open)?];
    let mut rows = vec![row("fill", &filled)];
    rows.extend(opened.iter().map(|opened| row("open", opened)));
    rows.push(row("read each", &own(Part::Read)?));
    rows.push(row("edit each", &own(Part::Edit)?));
    show(&rows)?;
    let best = opened.iter().map(|opened| opened.open_ms).fold(f64::INFINITY, f64::min);
    let peak = opened.iter().map(|opened| opened.peak_kib).max().unwrap_or(0);
    if best > OPEN_MS_MAX || peak > OPEN_KIB_MAX {
        return Err(format!(
            "opening took {best:.0} ms and {peak} KiB; {OPEN_MS_MAX} ms and {OPEN_KIB_MAX} KiB were wanted"
        )
        .into());
    }
    Ok(())
}

fn measure_typing(file: &Path) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("device.db");
    let file = file.to_string_lossy();
    let own = |part: Part| in_own_process(part, &store, &["--file", &file]);
    let typed = own(Part::Type)?;
    let reopened = own(Part::Reopen)?;
    let compacted = own(Part::Compact)?;
    let again = own(Part::Reopen)?;
    show(&[row("type", &typed), row("open", &reopened), row("compact", &compacted), row("open again", &again)])
}

fn in_own_process(part: Part, store: &Path, more: &[&str]) -> Result<Measured, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["part", part.name()]).arg(store).args(more);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the part `{}` failed", part.name()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn work(part: Part, store: &Path, entities: usize, file: Option<&Path>) -> Result<Measured, Box<dyn Error>> {
    let history = file.map(History::read).transpose()?;
    let started = Instant::now();
    let replica = match part {
        Part::Edit | Part::Fill => Replica::options().synchronous(Synchronous::Normal).open(store)?,
        _ => Replica::open(store)?,
    };
    let open_ms = milliseconds(started);
    let started = Instant::now();
    let mut measured = match part {
        Part::Fill => {
            let tasks = replica.create_space("tasks")?.collection("tasks")?;
            populate(&replica, &tasks, entities, CHANGES)?;
            Measured::default()
        }
        Part::Open => Measured::default(),
        Part::Read => each(&replica, |tasks, id| {
            tasks.read(id)?;
            Ok(())
        })?,
        Part::Edit => each(&replica, |tasks, id| {
            tasks.edit(id, |task| task.priority += 1)?;
            Ok(())
        })?,
        Part::Type => type_history(&replica, history.as_ref().ok_or("a history is needed")?)?,
        Part::Compact => {
            let changes = replica.compact(|_| ())?.changes;
            Measured { changes, ..Measured::default() }
        }
        Part::Reopen => reopen(&replica, history.as_ref().ok_or("a history is needed")?)?,
    };
    measured.work_ms = milliseconds(started);
    measured.open_ms = open_ms;
    measured.peak_kib = Figures::own().map_or(0, |figures| figures.peak_kib);
    drop(replica);
    measured.store_bytes = std::fs::metadata(store)?.len();
    Ok(measured)
}

fn each(
    replica: &Replica,
    visit: impl Fn(&afield::Collection<Task>, EntityId) -> Result<(), Box<dyn Error>>,
) -> Result<Measured, Box<dyn Error>> {
    let tasks = replica.spaces()?.first().ok_or("there is a space")?.collection::<Task>("tasks")?;
    let mut slowest_ms = 0.0_f64;
    let mut after = None;
    loop {
        let page = tasks.ids_after(after, IDS_PER_PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for id in page {
            let started = Instant::now();
            visit(&tasks, id)?;
            slowest_ms = slowest_ms.max(milliseconds(started));
        }
    }
    Ok(Measured { slowest_ms, ..Measured::default() })
}

fn type_history(replica: &Replica, history: &History) -> Result<Measured, Box<dyn Error>> {
    let texts = replica.create_space("typing")?.collection::<()>("texts")?;
    let id = texts.json().insert(&serde_json::json!({ TEXT: { "$text": "" } }))?;
    let mut slowest_ms = 0.0_f64;
    for keystrokes in history.transactions.chunks(KEYSTROKES_PER_COMMIT) {
        let started = Instant::now();
        let _ = replica.transaction(|transaction| {
            for patch in keystrokes.iter().flat_map(|keystroke| &keystroke.patches) {
                transaction.edit_fields(&texts, id, |edit| Ok(edit.splice_text(TEXT, patch.0, patch.1, &patch.2)?))?;
            }
            Ok(())
        })?;
        slowest_ms = slowest_ms.max(milliseconds(started));
    }
    Ok(Measured { slowest_ms, ..Measured::default() })
}

/// Opens the text, and holds it against the recorded one.
fn reopen(replica: &Replica, history: &History) -> Result<Measured, Box<dyn Error>> {
    let texts = replica.spaces()?.first().ok_or("there is a space")?.collection::<()>("texts")?;
    let id = *texts.ids()?.first().ok_or("there is a text")?;
    let started = Instant::now();
    let text = texts.entity(id)?.text(TEXT).read()?;
    let slowest_ms = milliseconds(started);
    if text != history.end {
        return Err("the text is another than the recorded one".into());
    }
    let (save_bytes, changes) = texts
        .entity(id)?
        .raw(|document| (document.save().len() as u64, document.get_changes_meta(&[]).len() as u64))?;
    Ok(Measured { slowest_ms, save_bytes, changes, ..Measured::default() })
}

fn row(name: &str, measured: &Measured) -> Vec<String> {
    vec![
        name.to_owned(),
        format!("{:.1}", measured.open_ms),
        format!("{:.0}", measured.work_ms),
        format!("{:.2}", measured.slowest_ms),
        grouped(measured.peak_kib),
        grouped(measured.store_bytes),
        grouped(measured.save_bytes),
        grouped(measured.changes),
    ]
}

fn show(rows: &[Vec<String>]) -> Result<(), Box<dyn Error>> {
    let titles = ["part", "open ms", "work ms", "slowest ms", "peak KiB", "store bytes", "save bytes", "changes"];
    let titles = titles.iter().map(|title| (*title).to_owned()).collect();
    let rows: Vec<_> = std::iter::once(titles).chain(rows.iter().cloned()).collect();
    Ok(write_table(&mut std::io::stdout().lock(), &rows)?)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
