//! The real relay in a process of its own.

use super::device::Program;
use super::trace::Trace;
use crate::contents::LogContents;
use afield::SpaceId;
use afield_core::Now;
use afield_relay::log::SqliteLog;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a relay may take to end after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A free port of this machine.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The files of a relay's log: the database, and what was committed to it last.
const LOG_FILES: [&str; 2] = ["log.sqlite", "log.sqlite-wal"];

/// Who may use the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever shows a token; see [`RelayProcess::create_token`].
    Tokens,
    /// Anyone on this machine.
    Open,
}

/// The real relay in a process of its own, on a data folder. It is killed when this is dropped.
#[derive(Debug)]
pub struct RelayProcess {
    program: Program,
    folder: PathBuf,
    access: Access,
    trace: Option<Trace>,
    /// More of what stands behind `serve`.
    options: Vec<String>,
    child: Option<Child>,
    /// Where it listens; the same after every start.
    address: SocketAddr,
    /// Where its administration listens, the same after every start; absent but after [`Self::start_administered`].
    admin: Option<SocketAddr>,
}

impl RelayProcess {
    /// Starts a relay on a data folder and a free port, and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start(program: &Program, folder: &Path, access: Access) -> Self {
        Self::start_with(program, folder, access, None, &[])
    }

    /// Starts a relay with more options of `serve`.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start_with_options(program: &Program, folder: &Path, access: Access, options: &[&str]) -> Self {
        Self::start_with(program, folder, access, None, options)
    }

    /// Starts a relay whose system calls are written to a file.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start_traced(program: &Program, folder: &Path, access: Access, trace: Trace) -> Self {
        Self::start_with(program, folder, access, Some(trace), &[])
    }

    /// Starts a relay that takes tokens and has an administration over HTTP.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start_administered(program: &Program, folder: &Path) -> Self {
        Self::start_administered_with(program, folder, &[])
    }

    /// The same with more options of `serve`.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start_administered_with(program: &Program, folder: &Path, options: &[&str]) -> Self {
        let mut relay = Self::stopped(program, folder, Access::Tokens, None, options);
        relay.admin = Some(ANYWHERE);
        relay.restart();
        relay
    }

    fn start_with(program: &Program, folder: &Path, access: Access, trace: Option<Trace>, options: &[&str]) -> Self {
        let mut relay = Self::stopped(program, folder, access, trace, options);
        relay.restart();
        relay
    }

    fn stopped(program: &Program, folder: &Path, access: Access, trace: Option<Trace>, options: &[&str]) -> Self {
        let (program, folder) = (program.clone(), folder.to_owned());
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Self { program, folder, access, trace, options, child: None, address: ANYWHERE, admin: None }
    }

    /// Starts it again on the same folder and port.
    ///
    /// # Panics
    ///
    /// It runs already, or does not start.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the relay runs already");
        let mut command = self.command(&["serve", "--json", "--listen", &self.address.to_string()]);
        if !self.options.iter().any(|option| option == "--log") {
            command.args(["--log", "warn"]);
        }
        if self.access == Access::Open {
            command.arg("--insecure-open");
        }
        command.args(&self.options);
        if let Some(admin) = self.admin {
            command.args(["--admin-listen", &admin.to_string()]);
        }
        if let Some(trace) = &self.trace {
            command = trace.around(&command);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the relay's program starts");
        let output = child.stdout.take().expect("standard output is a pipe");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("the relay says where it listens");
        self.child = Some(child);
        let line: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("the relay says where it listens, and not {line:?}"));
        let address = |name: &str| line.get(name)?.as_str()?.parse().ok();
        self.address = address("address").unwrap_or_else(|| panic!("the relay names its address: {line}"));
        self.admin = self.admin.and_then(|_| address("admin_address"));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its administration listens, after [`Self::start_administered`].
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Where devices connect.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Its data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process, for [`super::Figures`]; of a traced one, the relay and not its tracer.
    pub fn process(&self) -> Option<u32> {
        let id = self.child.as_ref()?.id();
        Some(super::trace::traced_process(id).unwrap_or(id))
    }

    /// What its log holds on disk, whether the process lives or not; `None` when there is no such space.
    ///
    /// A copy of the files is read, so that a dead relay finds its own as the kill left them.
    ///
    /// # Panics
    ///
    /// The log cannot be read.
    pub fn contents(&self, space: SpaceId) -> Option<LogContents> {
        let copy = tempfile::tempdir().expect("a temporary folder");
        for name in LOG_FILES {
            let from = self.folder.join(name);
            if from.exists() {
                std::fs::copy(from, copy.path().join(name)).expect("a file of the log can be copied");
            }
        }
        let [log, _] = LOG_FILES;
        let mut log = SqliteLog::open(&copy.path().join(log)).expect("the log opens after a crash");
        LogContents::read(&mut log, space, Now { wall_ms: 0, monotonic_ms: 0 })
    }

    /// Makes a token that may create spaces.
    ///
    /// # Panics
    ///
    /// The relay's program refuses.
    pub fn create_token(&self) -> String {
        self.create_token_with(&[])
    }

    /// Makes a token, with further arguments of that command.
    ///
    /// # Panics
    ///
    /// The relay's program refuses.
    pub fn create_token_with(&self, arguments: &[&str]) -> String {
        let answers = self.administer(&[&["token", "create"], arguments].concat());
        let token = answers.first().and_then(|answer| answer.get("token")?.as_str());
        token.expect("the answer holds the token").to_owned()
    }

    /// Does what an administrator does at a terminal, beside the relay that runs, and gives what that answers.
    ///
    /// # Panics
    ///
    /// The relay's program refuses.
    pub fn administer(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let output = self.command(arguments).arg("--json").output().expect("the relay's program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the relay refuses {arguments:?}: {said}");
        let lines = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
        lines.collect::<Result<_, _>>().expect("the answer is JSON")
    }

    /// Starts its `compact` command beside it, on the same folder.
    ///
    /// # Panics
    ///
    /// The relay's program does not start.
    pub fn start_compacting(&self) -> Child {
        let mut command = self.command(&["compact", "--json"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().expect("the relay's program starts")
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            super::trace::end(&mut child);
        }
    }

    /// Asks it to end, as a service manager does, and waits for that.
    ///
    /// # Panics
    ///
    /// It does not end in time, or not well.
    pub fn stop(&mut self) {
        let Some(process) = self.process() else { return };
        let Some(mut child) = self.child.take() else { return };
        assert!(super::send_signal(process, super::Signal::Terminate), "the relay can be asked to end");
        let (sender, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || drop(sender.send(child.wait())));
        let deadline = Instant::now() + STOP_TIMEOUT;
        match ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(status) => assert!(status.is_ok_and(|status| status.success()), "the relay ends well when asked to"),
            Err(_) => panic!("the relay does not end in {} s", STOP_TIMEOUT.as_secs()),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program.command();
        command.args(arguments).arg("--data").arg(&self.folder);
        command
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
