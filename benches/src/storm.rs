//! All devices come back in one moment: whether each gets in, and what those notice meanwhile who write.

mod returning;

pub use returning::{Returned, return_at_once};

use crate::crowd::{CrowdError, Holder, relay_for};
use crate::party::{PartyError, resident_kib};
use crate::report::{grouped, write_table};
use crate::role;
use afield_tests::processes::DeviceProcess;
use afield_tests::processes::agent::Command;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// The time between two edits, in milliseconds.
const EVERY_MS: u64 = 20;
/// How many edits are made before the storm, to compare with.
const EDITS_BEFORE: u64 = 250;

/// What happens when all devices come back in one moment.
#[derive(Debug, Clone, Serialize)]
pub struct StormOutcome {
    /// How many sessions were cut, and are back.
    pub sessions: usize,
    /// How long it took until half of them were back, in seconds.
    pub median_seconds: f64,
    /// How long until all were.
    pub last_seconds: f64,
    /// How often one was asked to come later.
    pub sent_away: u64,
    /// Why a connection was not made, or did not stand until its session had caught up, and how often.
    pub broken: BTreeMap<String, u64>,
    /// From an edit to the watcher's wake on another device, before, in milliseconds: median, p99 and the longest.
    pub before_ms: [f64; 3],
    /// The same from the moment of the storm until all were back.
    pub meanwhile_ms: [f64; 3],
    /// The edits of that time.
    pub edits: usize,
    /// What the relay held before, with all sessions, in KiB.
    pub resident_before_kib: Option<u64>,
    /// What it held at the end, with all of them back.
    pub resident_after_kib: Option<u64>,
}

/// Holds sessions with a real relay, cuts them all at once, and has them come back while one device writes and another reads.
///
/// # Errors
///
/// A process fails, or this system does not give enough file descriptors.
pub fn storm(sessions: usize) -> Result<StormOutcome, CrowdError> {
    let folder = tempfile::tempdir().map_err(PartyError::from)?;
    // Twice as many places, since who was cut off may not be noticed before it is back.
    let relay = relay_for(folder.path(), sessions, 2 * sessions + 2)?;
    let device = role::device().map_err(PartyError::from)?;
    let mut devices = ["first.db", "second.db"].map(|name| DeviceProcess::start(&device, &folder.path().join(name)));
    let [editor, watcher] = &mut devices;
    let space = editor.request(&Command::MakeSpace).as_str().unwrap_or_default().to_owned();
    editor.request(&Command::Populate { entities: 1, changes: 1 });
    watcher.request(&Command::JoinSpace { space });
    let token = relay.create_token();
    for device in [&mut *editor, &mut *watcher] {
        device.request(&Command::Connect { url: relay.url(), token: Some(token.clone()) });
        device.sync();
    }
    let program = role::storm().map_err(PartyError::from)?;
    let mut holders = Holder::start_all(&program, &relay.url(), folder.path(), sessions)?;
    for holder in &mut holders {
        holder.wait()?;
    }
    let resident = || relay.process().and_then(resident_kib);
    let resident_before_kib = resident();
    let before_ms = quantiles(&edit(&mut devices, EDITS_BEFORE)?);

    for holder in &mut holders {
        holder.tell("come back")?;
    }
    let mut meanwhile = Vec::new();
    let all_back = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| holders.iter_mut().try_for_each(Holder::wait));
        // At least one round, and then as many as it takes.
        loop {
            meanwhile.extend(edit(&mut devices, EDITS_BEFORE / 5)?);
            if waiting.is_finished() {
                return waiting.join().unwrap_or(Err(PartyError::Unequal));
            }
        }
    });
    all_back?;
    let resident_after_kib = resident();
    let mut returned = Returned::default();
    for holder in &mut holders {
        let one: Returned = serde_json::from_value(holder.finish()?).map_err(|_| PartyError::Unequal)?;
        returned.add(one);
    }
    let [median_ms, _, last_ms] = quantiles(&returned.after_ms);
    Ok(StormOutcome {
        sessions: returned.after_ms.len(),
        median_seconds: median_ms / 1_000.0,
        last_seconds: last_ms / 1_000.0,
        sent_away: returned.sent_away,
        broken: returned.broken,
        before_ms,
        edits: meanwhile.len(),
        meanwhile_ms: quantiles(&meanwhile),
        resident_before_kib,
        resident_after_kib,
    })
}

/// Has one device edit and the other watch; gives the time from each call to its wake, in milliseconds.
fn edit(devices: &mut [DeviceProcess; 2], edits: u64) -> Result<Vec<f64>, PartyError> {
    let [editor, watcher] = devices;
    watcher.send(&Command::Watch { edits });
    watcher.wait_until_ready();
    let moments = |value| serde_json::from_value::<Vec<u64>>(value).map_err(|_| PartyError::Unequal);
    let called = moments(editor.request(&Command::Tick { edits, every_ms: EVERY_MS }))?;
    let seen = moments(watcher.reply())?;
    Ok(called.iter().zip(seen).map(|(called, seen)| seen.saturating_sub(*called) as f64 / 1_000.0).collect())
}

/// The median, the 99th percentile and the largest.
fn quantiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |of: f64| sorted.get((sorted.len() as f64 * of) as usize).or(sorted.last()).copied().unwrap_or(f64::NAN);
    [at(0.5), at(0.99), at(1.0)]
}

impl StormOutcome {
    /// Writes it for a person.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mib = |kib: Option<u64>| {
            kib.map_or_else(|| "not told".to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1_024.0))
        };
        let three = |[median, p99, most]: [f64; 3]| format!("{median:.1} / {p99:.1} / {most:.1} ms");
        writeln!(out, "{} sessions that are cut, and come back at once", grouped(self.sessions as u64))?;
        let rows = [
            ("half of them are back after", format!("{:.2} s", self.median_seconds)),
            ("all of them", format!("{:.2} s", self.last_seconds)),
            ("asked to come later", grouped(self.sent_away)),
            ("connections that did not stand", grouped(self.broken.values().sum())),
            ("edit to another device, before: median / p99 / most", three(self.before_ms)),
            ("meanwhile", format!("{} ({} edits)", three(self.meanwhile_ms), grouped(self.edits as u64))),
            ("memory of the relay before", mib(self.resident_before_kib)),
            ("memory of the relay after", mib(self.resident_after_kib)),
        ];
        write_table(out, &rows.map(|(name, value)| vec![name.to_owned(), value]))?;
        for (reason, times) in &self.broken {
            writeln!(out, "  did not stand, {} times: {reason}", grouped(*times))?;
        }
        writeln!(out)
    }
}
