//! Running the binary.

use serde_json::Value as Json;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The binary, untouched by what is set where the tests run.
pub(crate) fn afield() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afield"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AFIELD_")) {
        command.env_remove(name);
    }
    command
}

/// The commands that the help names, below these words.
pub(crate) fn commands(below: &[&str]) -> Vec<String> {
    let ran = Ran::from(afield().args(below).arg("--help").output().unwrap());
    let listed = ran.ok().lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then(|| name.to_owned())
    });
    names.collect()
}

/// A folder with a store, as one person has it.
pub(crate) struct Person {
    folder: TempDir,
}

/// What a command has done.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Person {
    /// Nothing is there yet.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A store with the space "Home".
    pub(crate) fn with_store() -> Self {
        let person = Self::new();
        person.run(["init"]).ok();
        person
    }

    /// A store with a space of somebody else.
    pub(crate) fn joining(space: &str) -> Self {
        let person = Self::new();
        person.run(["init", "--join", space]).ok();
        person
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// The file about the relay.
    pub(crate) fn relay_file(&self) -> PathBuf {
        self.folder.path().join("store.db-relay.json")
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = afield();
        command.arg("--store").arg(self.store()).args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// A command as it is proposed to whoever typed where the store is.
    pub(crate) fn proposed(&self, line: &str) -> String {
        format!("afield --store {} {line}", self.store().display())
    }

    /// Runs with text on stdin.
    pub(crate) fn run_with<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>, stdin: &str) -> Ran {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that fails early does not read, which shows in what it answers.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        Ran::from(child.wait_with_output().unwrap())
    }

    /// The id of the only space.
    pub(crate) fn space(&self) -> String {
        self.run(["space", "list", "--json"]).json()["id"].as_str().unwrap().to_owned()
    }

    /// What `list` shows, by title.
    pub(crate) fn titles(&self) -> Vec<String> {
        let lines = self.run(["list", "notes", "--json"]).json_lines();
        let mut titles: Vec<_> = lines.iter().map(|line| line["value"]["title"].as_str().unwrap().to_owned()).collect();
        titles.sort();
        titles
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// What it printed; it has to have succeeded.
    #[track_caller]
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        self.out.trim_end()
    }

    /// The one JSON document it printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        let lines = self.json_lines();
        assert_eq!(lines.len(), 1, "{self:?}");
        lines.into_iter().next().unwrap()
    }

    /// The JSON documents it printed, one a line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Json> {
        self.ok().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Checks that it failed for this reason, and gives the error's two lines.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.starts_with("afield: "), "{self:?}");
        let lines: Vec<_> = self.err.lines().collect();
        let next = lines.get(1).and_then(|line| line.strip_prefix("  next: "));
        assert!(
            lines.len() == 2 && next.is_some_and(|next| !next.is_empty()),
            "what happened and what to do: {self:?}"
        );
        &self.err
    }

    /// The error as an object.
    #[track_caller]
    pub(crate) fn error(&self, code: i32) -> Json {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        let error: Json = serde_json::from_str(self.err.trim_end()).expect(&self.err);
        let keys: Vec<_> = error.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["class", "code", "error", "next"]);
        assert!(error["next"].as_str().is_some_and(|next| !next.is_empty()), "what to do is missing: {error}");
        error
    }
}

/// A relay in a process of its own.
pub(crate) struct Relay {
    child: Child,
    address: String,
    folder: PathBuf,
}

impl Relay {
    /// Open to everybody on this machine.
    pub(crate) fn open(folder: &Path) -> Self {
        Self::start(folder, "127.0.0.1:0", &["--insecure-open"])
    }

    /// Open to those who have a token.
    pub(crate) fn with_tokens(folder: &Path) -> Self {
        Self::start(folder, "127.0.0.1:0", &[])
    }

    /// One that has room for a single change, and somebody whose second one it has refused.
    pub(crate) fn that_refuses(folder: &Path) -> (Self, Person) {
        let relay = Self::start(folder, "127.0.0.1:0", &["--insecure-open", "--space-chunks-max", "1"]);
        let person = Person::with_store();
        person.run(["put", "notes", "title=first"]).ok();
        person.run(["connect", &relay.url()]).ok();
        person.run(["put", "notes", "title=second"]).ok();
        person.run(["sync"]).failed(7);
        (relay, person)
    }

    pub(crate) fn start(folder: &Path, listen: &str, more: &[&str]) -> Self {
        let mut command = afield();
        command
            .args(["relay", "--while-stdin-is-open", "serve", "--json", "--log", "error", "--listen", listen, "--data"])
            .arg(folder)
            .args(more);
        Self::spawn(command, folder)
    }

    /// Runs this command, which serves this folder.
    pub(crate) fn spawn(mut command: Command, folder: &Path) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.by_ref().map(Result::unwrap).find_map(|line| {
            let (_, after) = line.split_once("127.0.0.1:")?;
            let port: String = after.chars().take_while(char::is_ascii_digit).collect();
            Some(format!("127.0.0.1:{port}"))
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.expect("the relay says where it listens"), folder: folder.to_owned() }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Makes a token, and its user where `more` names one.
    pub(crate) fn token(&self, more: &[&str]) -> String {
        if let ["--user", name] = more {
            let mut command = afield();
            command.args(["relay", "user", "create", name, "--data"]).arg(&self.folder);
            assert!(command.output().unwrap().status.success(), "there is such a user already");
        }
        let mut command = afield();
        command.args(["relay", "token", "create", "--json", "--data"]).arg(&self.folder).args(more);
        Ran::from(command.output().unwrap()).json()["token"].as_str().unwrap().to_owned()
    }

    /// Does what an administrator does, beside the relay that runs.
    pub(crate) fn administer(&self, arguments: &[&str]) -> Vec<Json> {
        let mut command = afield();
        command.arg("relay").args(arguments).args(["--json", "--data"]).arg(&self.folder);
        let ran = Ran::from(command.output().unwrap());
        serde_json::Deserializer::from_str(ran.ok()).into_iter().collect::<Result<_, _>>().unwrap()
    }

    /// Lets it stand still, or go on.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it, and starts it again at the same place.
    pub(crate) fn kill(mut self) -> impl FnOnce() -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let (folder, address) = (self.folder.clone(), self.address.clone());
        move || Self::start(&folder, &address, &["--insecure-open"])
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of something that is no relay of this version: it answers each request so.
pub(crate) fn answering(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let request = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            request.take_while(|line| !line.is_empty()).for_each(drop);
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
    });
    url
}
