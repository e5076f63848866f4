//! Sessions that do nothing: what each costs the relay.

mod sessions;

pub use sessions::hold_sessions;

use crate::crowd::{CrowdError, Holder, relay_for};
use crate::party::{PartyError, resident_kib};
use crate::report::{grouped, write_table};
use crate::role;
use afield_tests::processes::Figures;
use serde::Serialize;
use std::io::Write;
use std::time::{Duration, Instant};
/// What stands for a figure that the system does not tell.
const NOT_TOLD: &str = "not told";

/// Sessions that do nothing.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// How many sessions.
    pub sessions: usize,
    /// How long they are left alone.
    pub during: Duration,
}

/// What sessions that do nothing cost the relay.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct IdleOutcome {
    /// How many sessions.
    pub sessions: usize,
    /// How long it took to connect them all, until each had caught up with its space, in seconds.
    pub connect_seconds: f64,
    /// CPU time of the relay meanwhile, in seconds.
    pub connect_cpu_seconds: Option<f64>,
    /// What the relay held before any came, in KiB.
    pub resident_before_kib: Option<u64>,
    /// What it held at the end, in KiB.
    pub resident_after_kib: Option<u64>,
    /// The most that it held, in KiB.
    pub peak_kib: Option<u64>,
    /// The difference for each session, in bytes.
    pub bytes_per_session: Option<u64>,
    /// How long they did nothing but answer pings, in seconds.
    pub idle_seconds: f64,
    /// CPU time of the relay meanwhile, in seconds.
    pub idle_cpu_seconds: Option<f64>,
}

/// Holds sessions with a real relay and looks at the relay meanwhile.
///
/// # Errors
///
/// A process fails, or this system does not give enough file descriptors.
pub fn idle(options: &Idle) -> Result<IdleOutcome, CrowdError> {
    let Idle { sessions, during } = *options;
    let folder = tempfile::tempdir().map_err(PartyError::from)?;
    // One more than there are sessions, so that none is refused while another is being counted off.
    let relay = relay_for(folder.path(), sessions, sessions + 1)?;
    let resident = || relay.process().and_then(resident_kib);
    let resident_before_kib = resident();
    let figures = || relay.process().and_then(Figures::of);
    let cpu_since = |earlier: Option<Figures>| Some(figures()?.cpu_since(&earlier?).as_secs_f64());

    let (before, started) = (figures(), Instant::now());
    let mut holders =
        Holder::start_all(&role::sessions().map_err(PartyError::from)?, &relay.url(), folder.path(), sessions)?;
    for holder in &mut holders {
        holder.wait()?;
    }
    let connect_seconds = started.elapsed().as_secs_f64();
    let connect_cpu_seconds = cpu_since(before);
    let before = figures();
    std::thread::sleep(during);
    let idle_cpu_seconds = cpu_since(before);
    let resident_after_kib = resident();
    for holder in &mut holders {
        holder.finish()?;
    }
    let more_kib = resident_after_kib.zip(resident_before_kib).map(|(after, before)| after.saturating_sub(before));
    Ok(IdleOutcome {
        sessions,
        connect_seconds,
        connect_cpu_seconds,
        resident_before_kib,
        resident_after_kib,
        peak_kib: figures().map(|figures| figures.peak_kib),
        bytes_per_session: more_kib.map(|kib| kib * 1_024 / sessions.max(1) as u64),
        idle_seconds: during.as_secs_f64(),
        idle_cpu_seconds,
    })
}

impl IdleOutcome {
    /// Writes it for a person.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let seconds = |seconds: Option<f64>| seconds.map_or_else(|| NOT_TOLD.to_owned(), |told| format!("{told:.2} s"));
        let mib = |kib: Option<u64>| {
            kib.map_or_else(|| NOT_TOLD.to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1_024.0))
        };
        let each = self.bytes_per_session.map_or_else(|| NOT_TOLD.to_owned(), |bytes| format!("{} B", grouped(bytes)));
        let rows = [
            ("time to connect them all", format!("{:.2} s", self.connect_seconds)),
            ("CPU of the relay meanwhile", seconds(self.connect_cpu_seconds)),
            ("memory of the relay before", mib(self.resident_before_kib)),
            ("memory of the relay after", mib(self.resident_after_kib)),
            ("peak memory of the relay", mib(self.peak_kib)),
            ("more for each session", each),
            ("CPU of the relay while idle", seconds(self.idle_cpu_seconds)),
        ];
        writeln!(out, "{} idle sessions, over {:.0} s with pings", grouped(self.sessions as u64), self.idle_seconds)?;
        write_table(out, &rows.map(|(name, value)| vec![name.to_owned(), value]))?;
        writeln!(out)
    }
}
