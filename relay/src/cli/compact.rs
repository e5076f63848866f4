//! `compact`: the log as small as it can be, at once.

use super::{CommandError, note, print_line_if_read};
use crate::log::{DiskUse, Log, Settled, SqliteLog, Task};
use crate::server::DataFolder;
use afield_core::SpaceId;
use clap::Args;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Makes the log smaller: packs all chunks, and behind the last 256 of a space lets a snapshot stand for those of an entity where
/// that saves room. Devices notice nothing. A relay does most of this by itself; both may run at once.
#[derive(Debug, Args)]
pub struct CompactCommand {
    /// Only this space; may be given more than once
    #[arg(long = "space", value_name = "ID")]
    spaces: Vec<SpaceId>,
}

/// What was done to a space.
#[derive(Debug, Default)]
struct Done {
    packed: u64,
    snapshots: u64,
    covered: u64,
    failed: u64,
}

impl CompactCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        let mut log = DataFolder::existing(data)?.open_log()?;
        let spaces = if self.spaces.is_empty() { log.space_ids()? } else { self.spaces };
        let before = log.disk_use()?;
        let mut progress = Progress::new(json, spaces.len());
        let mut all = Done::default();
        for space in spaces {
            let done = compact(&mut log, space, &mut progress)?;
            if json {
                print_line_if_read(&done.as_json(space).to_string())?;
            }
            progress.spaces_done += 1;
            all.add(&done);
        }
        log.give_back()?;
        let after = log.disk_use()?;
        progress.clear();
        if json {
            let line = serde_json::json!({ "before": as_json(&before), "after": as_json(&after) });
            return print_line_if_read(&line.to_string());
        }
        print_line_if_read(&all.as_text(&before, &after))
    }
}

/// Does all that can be done to a space.
fn compact(log: &mut SqliteLog, space: SpaceId, progress: &mut Progress) -> Result<Done, CommandError> {
    let tasks = log.whole_tasks(space)?.ok_or(CommandError::NoSuchSpace(space))?;
    let mut done = Done::default();
    finish(log, tasks.rows, &mut done, progress)?;
    for (_, snapshot, strip) in tasks.entities {
        finish(log, snapshot, &mut done, progress)?;
        finish(log, strip, &mut done, progress)?;
    }
    Ok(done)
}

/// How often a task whose work was overtaken by a relay beside it is tried again.
const STALE_MAX: usize = 100;

/// Does a task until nothing is left of it.
fn finish(log: &mut SqliteLog, task: Task, done: &mut Done, progress: &mut Progress) -> Result<(), CommandError> {
    let mut stale = 0;
    while stale < STALE_MAX
        && let Some(work) = log.gather(task)?
    {
        let settled = match log.settle(work.run()) {
            Ok(settled) => settled.into_inner(),
            // What is damaged concerns this entity or space and no other.
            Err(error) if error.is_damage() => {
                tracing::error!(error = &error as &dyn std::error::Error, "a part of the log stays as it is");
                done.failed += 1;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        match settled {
            Settled::Packed { chunks } => done.packed += chunks,
            Settled::Covered { chunks } => {
                done.snapshots += 1;
                done.covered += chunks;
            }
            Settled::Stripped { .. } => {}
            Settled::Stale => stale += 1,
            Settled::Failed(fault) => {
                done.failed += u64::from(fault.is_failure());
                return Ok(());
            }
        }
        progress.show(done);
    }
    Ok(())
}

impl Done {
    fn add(&mut self, other: &Self) {
        self.packed += other.packed;
        self.snapshots += other.snapshots;
        self.covered += other.covered;
        self.failed += other.failed;
    }

    fn as_json(&self, space: SpaceId) -> serde_json::Value {
        serde_json::json!({
            "space": space.to_string(),
            "packed": self.packed,
            "snapshots": self.snapshots,
            "covered": self.covered,
            "failed": self.failed,
        })
    }

    fn as_text(&self, before: &DiskUse, after: &DiskUse) -> String {
        let mut text = format!(
            "{} B before, {} B now: {} chunks packed, {} snapshots made for {} chunks.\nNow: {} B fresh chunks, {} B \
            packed ones, {} B snapshots, {} B their hashes, {} B other.",
            before.total(),
            after.total(),
            self.packed,
            self.snapshots,
            self.covered,
            after.rows,
            after.segments,
            after.snapshots,
            after.hashes,
            after.other,
        );
        if self.failed > 0 {
            text.push_str(&format!(
                "\n{} entities stay as they are: some of their chunks have decayed, or the engine does not take them.",
                self.failed
            ));
        }
        text
    }
}

fn as_json(used: &DiskUse) -> serde_json::Value {
    serde_json::json!({
        "rows": used.rows,
        "segments": used.segments,
        "snapshots": used.snapshots,
        "hashes": used.hashes,
        "other": used.other,
        "free": used.free,
        "total": used.total(),
    })
}

/// How far it is, on a terminal that somebody watches.
#[derive(Debug)]
struct Progress {
    is_shown: bool,
    shown: Option<Instant>,
    spaces: usize,
    spaces_done: usize,
}

impl Progress {
    fn new(json: bool, spaces: usize) -> Self {
        Self { is_shown: !json && io::stderr().is_terminal(), shown: None, spaces, spaces_done: 0 }
    }

    fn show(&mut self, done: &Done) {
        let Self { is_shown, shown, spaces, spaces_done } = self;
        if !*is_shown || shown.is_some_and(|shown| shown.elapsed() < PROGRESS_INTERVAL) {
            return;
        }
        *shown = Some(Instant::now());
        let Done { packed, covered, .. } = done;
        let line =
            format!("\rspace {} of {spaces}: {packed} chunks packed, {covered} behind snapshots", *spaces_done + 1);
        // Nobody may be watching any more.
        let _ = write!(io::stderr(), "{line:<78}").and_then(|()| io::stderr().flush());
    }

    /// Ends the line of the progress.
    fn clear(&self) {
        if self.shown.is_some() {
            note("");
        }
    }
}
