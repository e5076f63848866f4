//! Sessions that do nothing: what each costs the relay.

mod sessions;

pub use sessions::hold_sessions;

use crate::party::{PartyError, ServerProcess, resident_kib};
use crate::protocol::Line;
use crate::report::{grouped, write_table};
use crate::role;
use afield_tests::processes::{Figures, Program};
use serde::Serialize;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Among how many processes the sessions are divided.
const PROCESSES: usize = 4;
/// How many file descriptors a process needs beside its connections.
#[cfg(unix)]
const DESCRIPTORS_BESIDE: u64 = 200;

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

/// This system does not let sessions be held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdleError {
    /// The limit of file descriptors cannot be raised far enough.
    #[error(
        "{sessions} sessions take {needed} file descriptors of the relay, and this system gives a process {limit}: raise \
         the hard limit (`ulimit -Hn {needed}` as root) or ask for fewer"
    )]
    Descriptors {
        /// How many sessions were asked for.
        sessions: usize,
        /// How many descriptors they take.
        needed: u64,
        /// How many there are.
        limit: u64,
    },
    /// A process fails.
    #[error(transparent)]
    Party(#[from] PartyError),
}

/// Holds sessions with a real relay and looks at the relay meanwhile.
///
/// # Errors
///
/// A process fails, or this system does not give enough file descriptors.
pub fn idle(options: &Idle) -> Result<IdleOutcome, IdleError> {
    let Idle { sessions, during } = *options;
    raise_descriptors(sessions)?;
    let folder = tempfile::tempdir().map_err(PartyError::from)?;
    let relay = role::relay_for(sessions).map_err(PartyError::from)?;
    let relay = ServerProcess::start(&relay, &folder.path().join("server"), None)?;
    let resident_before_kib = resident_kib(relay.process());
    let figures = || Figures::of(relay.process());
    let cpu_since = |earlier: Option<Figures>| Some(figures()?.cpu_since(&earlier?).as_secs_f64());

    let (before, started) = (figures(), Instant::now());
    let program = role::sessions().map_err(PartyError::from)?;
    let mut holders = Vec::new();
    for number in 0..PROCESSES {
        let count = (sessions + number) / PROCESSES;
        holders.push(Holder::start(&program, &relay.url(), count).map_err(PartyError::from)?);
    }
    for holder in &mut holders {
        holder.wait()?;
    }
    let connect_seconds = started.elapsed().as_secs_f64();
    let connect_cpu_seconds = cpu_since(before);
    let before = figures();
    std::thread::sleep(during);
    let idle_cpu_seconds = cpu_since(before);
    let resident_after_kib = resident_kib(relay.process());
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

/// Raises this process's limit of file descriptors, which its children inherit, as far as the sessions need.
#[cfg(unix)]
fn raise_descriptors(sessions: usize) -> Result<(), IdleError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = sessions as u64 + DESCRIPTORS_BESIDE;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let has = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if has(current) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(needed), maximum };
    if !has(maximum) || setrlimit(Resource::Nofile, raised).is_err() {
        return Err(IdleError::Descriptors { sessions, needed, limit: maximum.or(current).unwrap_or(0) });
    }
    Ok(())
}

/// There is no such limit here.
#[cfg(not(unix))]
fn raise_descriptors(_sessions: usize) -> Result<(), IdleError> {
    Ok(())
}

/// A process that holds sessions. It is killed when this is dropped.
struct Holder {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

const ASKED: &str = "to hold sessions";

impl Holder {
    fn start(program: &Program, url: &str, count: usize) -> std::io::Result<Self> {
        let mut command = std::process::Command::new(&program.path);
        command.args(&program.arguments).arg(url).arg(count.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, lines: BufReader::new(output).lines() })
    }

    /// Waits until all sessions are held.
    fn wait(&mut self) -> Result<(), PartyError> {
        match self.line()? {
            Line::Ready => Ok(()),
            Line::Failed(reason) => Err(PartyError::Failed { asked: ASKED, reason }),
            Line::Reply(_) => Err(PartyError::Answer { asked: ASKED }),
        }
    }

    /// Ends the sessions, all of which must still be held.
    fn finish(&mut self) -> Result<(), PartyError> {
        drop(self.child.stdin.take());
        match self.line()? {
            Line::Reply(_) => Ok(()),
            Line::Failed(reason) => Err(PartyError::Failed { asked: ASKED, reason }),
            Line::Ready => Err(PartyError::Answer { asked: ASKED }),
        }
    }

    fn line(&mut self) -> Result<Line, PartyError> {
        let line = self.lines.next().ok_or(PartyError::Died { asked: ASKED })??;
        serde_json::from_str(&line).map_err(|_| PartyError::Answer { asked: ASKED })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // A child that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
