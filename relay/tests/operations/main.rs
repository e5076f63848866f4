//! Operations on a relay's log as a whole: the program and real files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod backup;
mod device;
mod doctor;
mod filled;
mod kill;
mod owner;
mod people;
mod purge;
mod restore;
mod sessions;
mod start;
mod stranger;
mod verify;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn relay(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afield-relay"));
    let ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("AFIELD_");
    std::env::vars_os().filter(|(name, _)| ours(name)).for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.args(arguments).arg("--data").arg(data);
    command
}

fn done(data: &Path, arguments: &[&str]) -> Output {
    relay(data, arguments).output().unwrap()
}

/// What a command that goes well prints.
fn json(data: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = relay(data, arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The exit code of a command that fails, and the error that it tells.
fn failure(data: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = relay(data, arguments).arg("--json").output().unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code(), serde_json::from_slice(&output.stderr).expect("one object"))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The names of the files in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A relay that runs; dropped it is stopped.
struct Serving(Child, Value);

impl Serving {
    fn start(data: &Path) -> Self {
        Self::run(relay(data, &["serve", "--listen", "127.0.0.1:0", "--json", "--log", "off"]), Stdio::null())
    }

    /// Starts one whose log goes to a file, at its usual level.
    fn logging(data: &Path, file: &Path) -> Self {
        let log = std::fs::File::create(file).unwrap();
        Self::run(relay(data, &["serve", "--listen", "127.0.0.1:0", "--json"]), log.into())
    }

    fn run(mut command: Command, log: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the first line says where it listens");
        Self(child, ready)
    }
}

impl Serving {
    fn process(&self) -> u32 {
        self.0.id()
    }

    fn url(&self) -> &str {
        self.1.get("url").and_then(Value::as_str).unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have stopped by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
