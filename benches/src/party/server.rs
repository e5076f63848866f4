//! A server in a process of its own.

use super::{PartyError, START_TIMEOUT};
use crate::protocol::ADDRESS;
use afield_tests::processes::{Program, Trace, count_syncs};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a server may take to end after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const STOP_INTERVAL: Duration = Duration::from_millis(5);

/// A server in a process of its own, on a data folder. It is killed when this is dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// The server itself, where the child is its tracer.
    process: u32,
    folder: PathBuf,
    address: SocketAddr,
    trace: Option<PathBuf>,
}

impl ServerProcess {
    /// Starts a server on a data folder, and waits until it says where it listens; with `strace` at `tracer`, its syncs
    /// are counted.
    ///
    /// # Errors
    ///
    /// It does not start, or does not say where it listens.
    pub fn start(program: &Program, folder: &Path, tracer: Option<&Path>) -> Result<Self, PartyError> {
        std::fs::create_dir_all(folder)?;
        let mut command = program.command();
        command.arg(folder);
        let trace = tracer.map(|tracer| (tracer, folder.with_extension("trace")));
        if let Some((tracer, file)) = &trace {
            command = Trace::of_syncs(tracer, file.clone()).around(&command);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let address = match child.stdout.take().map(address_of) {
            Some(Some(address)) => address,
            _ => {
                child.kill()?;
                child.wait()?;
                return Err(PartyError::Address);
            }
        };
        let process = if trace.is_some() { traced_by(child.id()).unwrap_or(child.id()) } else { child.id() };
        Ok(Self { child, process, folder: folder.to_owned(), address, trace: trace.map(|(_, file)| file) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The process, and not its tracer.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Its data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many of its calls of `fsync` and `fdatasync` have succeeded, where they are counted.
    ///
    /// # Errors
    ///
    /// The trace cannot be read.
    pub fn syncs(&self) -> Result<Option<u64>, PartyError> {
        Ok(self.trace.as_deref().map(count_syncs).transpose()?)
    }

    /// Asks it to end, as a service manager does, and waits for that.
    ///
    /// # Errors
    ///
    /// It does not end in time.
    pub fn stop(&mut self) -> Result<(), PartyError> {
        signal(self.process, End::Asked)?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                return Err(PartyError::Stop { within: STOP_TIMEOUT });
            }
            std::thread::sleep(STOP_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // What has ended meanwhile is as it should be. A tracer ends with the process that it traces.
        let _ = signal(self.process, End::Forced);
        let _ = self.child.wait();
    }
}

/// Reads where a server listens. What it says later is read and dropped, so that it never waits for a reader.
fn address_of(output: std::process::ChildStdout) -> Option<SocketAddr> {
    let (sender, address) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let line: Option<serde_json::Value> = serde_json::from_str(&line).ok();
            let address = line.as_ref().and_then(|line| line.get(ADDRESS)?.as_str()?.parse().ok());
            if let Some(address) = address {
                // Whoever waited may have given up.
                let _ = sender.send(address);
            }
        }
    });
    address.recv_timeout(START_TIMEOUT).ok()
}

/// How a process is ended.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It may put things away first.
    Asked,
    /// It does nothing more.
    Forced,
}

/// Sends a process the signal to end.
#[cfg(unix)]
fn signal(process: u32, end: End) -> std::io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let signal = match end {
        End::Asked => Signal::TERM,
        End::Forced => Signal::KILL,
    };
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::NotFound)?;
    Ok(kill_process(process, signal)?)
}

/// There is no such signal here: a server is measured where there is.
#[cfg(not(unix))]
fn signal(_process: u32, _end: End) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The process that a tracer has started.
fn traced_by(tracer: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
