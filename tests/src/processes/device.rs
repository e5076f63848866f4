//! A real device in a process of its own.

use super::agent::{Command, Line};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long a device may take for one command: the slowest one stores 10,000 entities without optimisation.
const REPLY_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a device may take to get in step with a relay that runs.
const SYNC_TIMEOUT: Duration = Duration::from_secs(120);

/// A program that becomes a relay or a device, with the arguments that come before its own.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// What makes it the wanted program.
    pub arguments: Vec<String>,
    /// Variables of its environment, beside those of this process.
    pub variables: Vec<(&'static str, &'static str)>,
}

impl Program {
    /// An executable that needs no further word.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), arguments: Vec::new(), variables: Vec::new() }
    }

    /// This very executable, started again with a hidden subcommand.
    ///
    /// # Errors
    ///
    /// The system does not tell where it is.
    pub fn own(subcommand: &str) -> std::io::Result<Self> {
        let path = std::env::current_exe()?;
        Ok(Self { path, arguments: vec![subcommand.to_owned()], variables: Vec::new() })
    }

    /// What starts it.
    pub fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.path);
        command.args(&self.arguments).envs(self.variables.iter().copied());
        command
    }
}

/// What a device under load has said: changes as (entity, change).
#[derive(Debug, Clone, Default)]
pub struct LoadSeen {
    /// Edits that had returned.
    pub stored: BTreeSet<(String, String)>,
    /// Edits that the relay had given its receipt for.
    pub receipts: BTreeSet<(String, String)>,
}

/// A real device in a process of its own, on a store file. It is killed when this is dropped.
#[derive(Debug)]
pub struct DeviceProcess {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Line>,
    seen: LoadSeen,
}

impl DeviceProcess {
    /// Starts a device on a store file and waits until the store is open.
    ///
    /// # Panics
    ///
    /// The program does not start or the store does not open.
    pub fn start(program: &Program, store: &Path) -> Self {
        Self::spawn(program.command().arg(store))
    }

    /// Starts a device whose system calls are written to a file.
    ///
    /// # Panics
    ///
    /// As [`Self::start`], or `strace` does not start.
    pub fn start_traced(program: &Program, store: &Path, trace: &super::Trace) -> Self {
        let mut command = program.command();
        command.arg(store);
        Self::spawn(&mut trace.around(&command))
    }

    fn spawn(command: &mut std::process::Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the device's program starts");
        let input = child.stdin.take().expect("standard input is a pipe");
        let output = child.stdout.take().expect("standard output is a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The last line of a killed process may be cut.
                let Ok(line) = serde_json::from_str(&line) else { continue };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut device = Self { child, input, lines, seen: LoadSeen::default() };
        device.reply();
        device
    }

    /// The process, for [`super::Figures`]; of a traced one, the device and not its tracer.
    pub fn process(&self) -> u32 {
        super::trace::traced_process(self.child.id()).unwrap_or(self.child.id())
    }

    /// Has a command done and gives its reply.
    ///
    /// # Panics
    ///
    /// The command failed, or the process died.
    pub fn request(&mut self, command: &Command) -> serde_json::Value {
        self.send(command);
        self.reply()
    }

    /// As [`Self::request`], giving the reason of a failure.
    ///
    /// # Errors
    ///
    /// The reason, in words.
    pub fn try_request(&mut self, command: &Command) -> Result<serde_json::Value, String> {
        self.send(command);
        self.try_reply()
    }

    /// Sends a command without waiting for its reply.
    ///
    /// # Panics
    ///
    /// The process died.
    pub fn send(&mut self, command: &Command) {
        let mut line = serde_json::to_string(command).expect("a command holds strings and numbers only");
        line.push('\n');
        self.input.write_all(line.as_bytes()).expect("the device process takes commands");
    }

    /// Waits for the reply to a command that was sent.
    ///
    /// # Panics
    ///
    /// The command failed, or the process died.
    pub fn reply(&mut self) -> serde_json::Value {
        match self.try_reply() {
            Ok(reply) => reply,
            Err(reason) => panic!("a command of a device process failed: {reason}"),
        }
    }

    /// Waits until a command that was sent has begun.
    ///
    /// # Panics
    ///
    /// It failed instead, or the process died.
    pub fn wait_until_ready(&mut self) {
        match self.line(REPLY_TIMEOUT) {
            Line::Ready => {}
            other => panic!("expected a device process to be ready, found {other:?}"),
        }
    }

    /// Gets in step with the relay, trying again while attempts fail.
    ///
    /// # Panics
    ///
    /// That takes longer than two minutes.
    pub fn sync(&mut self) {
        let deadline = Instant::now() + SYNC_TIMEOUT;
        while let Err(reason) = self.try_request(&Command::SyncNow) {
            assert!(Instant::now() < deadline, "a device does not get in step with the relay (S1): {reason}");
        }
    }

    /// Has an attempt to reach the relay made now, whatever becomes of it.
    ///
    /// # Panics
    ///
    /// The process died.
    pub fn sync_soon(&mut self) {
        self.request(&Command::Hurry);
    }

    /// Lets a device under load go on until it has got so many more receipts.
    ///
    /// # Panics
    ///
    /// They do not come.
    pub fn wait_for_receipts(&mut self, count: usize) {
        let wanted = self.seen.receipts.len() + count;
        self.wait_until(SYNC_TIMEOUT, |seen| seen.receipts.len() >= wanted);
    }

    /// Lets a device under load go on until it has stored so many more edits.
    ///
    /// # Panics
    ///
    /// They do not come.
    pub fn wait_for_edits(&mut self, count: usize) {
        let wanted = self.seen.stored.len() + count;
        self.wait_until(SYNC_TIMEOUT, |seen| seen.stored.len() >= wanted);
    }

    /// Takes in whatever the device has said until it takes this command.
    ///
    /// # Panics
    ///
    /// The process died.
    pub fn catch_up(&mut self) {
        self.request(&Command::Count);
    }

    /// What the device has said under load.
    pub fn seen(&self) -> &LoadSeen {
        &self.seen
    }

    /// Kills the process with SIGKILL and gives everything it said before.
    ///
    /// # Panics
    ///
    /// The system does not let it be killed.
    pub fn kill(mut self) -> LoadSeen {
        self.child.kill().expect("a child may be killed");
        self.child.wait().expect("a killed child ends");
        while let Ok(line) = self.lines.recv() {
            self.seen.note(&line);
        }
        std::mem::take(&mut self.seen)
    }

    fn try_reply(&mut self) -> Result<serde_json::Value, String> {
        loop {
            match self.line(REPLY_TIMEOUT) {
                Line::Reply(reply) => return Ok(reply),
                Line::Failed(reason) => return Err(reason),
                Line::Ready | Line::Stored { .. } | Line::Receipt { .. } => {}
            }
        }
    }

    fn wait_until(&mut self, within: Duration, is_reached: impl Fn(&LoadSeen) -> bool) {
        let deadline = Instant::now() + within;
        while !is_reached(&self.seen) {
            if let Line::Failed(reason) = self.line(deadline.saturating_duration_since(Instant::now())) {
                panic!("a device process failed under load: {reason}");
            }
        }
    }

    fn line(&mut self, within: Duration) -> Line {
        match self.lines.recv_timeout(within) {
            Ok(line) => {
                self.seen.note(&line);
                line
            }
            Err(RecvTimeoutError::Timeout) => panic!("a device process says nothing for {} s", within.as_secs()),
            Err(RecvTimeoutError::Disconnected) => panic!("a device process has died"),
        }
    }
}

impl LoadSeen {
    /// Adds what was seen of another life of the device.
    pub fn extend(&mut self, other: Self) {
        self.stored.extend(other.stored);
        self.receipts.extend(other.receipts);
    }

    fn note(&mut self, line: &Line) {
        match line {
            Line::Stored { entity, change } => drop(self.stored.insert((entity.clone(), change.clone()))),
            Line::Receipt { entity, change } => drop(self.receipts.insert((entity.clone(), change.clone()))),
            Line::Reply(_) | Line::Failed(_) | Line::Ready => {}
        }
    }
}

impl Drop for DeviceProcess {
    fn drop(&mut self) {
        super::trace::end(&mut self.child);
    }
}
