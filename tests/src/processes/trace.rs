//! The system calls of a process, as `strace` sees them.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The environment variable under which a test fails that cannot trace system calls.
pub const TRACER_REQUIRED: &str = "AFIELD_REQUIRE_STRACE";

/// A file that `strace` writes the system calls of a process to.
#[derive(Debug, Clone)]
pub struct Trace {
    tracer: PathBuf,
    file: PathBuf,
    calls: &'static str,
}

/// A system call that has returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemCall {
    /// Its name.
    pub name: String,
    /// Its arguments as `strace` writes them, file names beside descriptors.
    pub arguments: String,
    /// What it gave back, when that was no error.
    pub result: Option<u64>,
    /// The place of its start among all starts and ends.
    pub started: usize,
    /// The place of its end among all starts and ends.
    pub ended: usize,
}

impl Trace {
    /// Traces what makes data durable: `fsync` and its kin.
    pub fn of_syncs(tracer: &Path, file: PathBuf) -> Self {
        Self { tracer: tracer.to_owned(), file, calls: "fsync,fdatasync,sync_file_range,syncfs" }
    }

    /// Traces what makes data durable and whatever is written, to files and to sockets, with all bytes.
    pub fn of_writes(tracer: &Path, file: PathBuf) -> Self {
        let calls = "fsync,fdatasync,sync_file_range,syncfs,pwrite64,write,writev,pwritev,sendto,sendmsg";
        Self { tracer: tracer.to_owned(), file, calls }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The same command, traced from its first call. Only the calls in question are stopped at.
    pub fn around(&self, command: &Command) -> Command {
        let mut traced = Command::new(&self.tracer);
        let options = ["-f", "-qq", "-yy", "-xx", "-s", "1048576", "--seccomp-bpf", "-e", "signal=none"];
        traced.args(options).args(["-e", &format!("trace={}", self.calls), "-o"]).arg(&self.file);
        traced.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            traced.env(key, value.unwrap_or(OsStr::new("")));
        }
        traced
    }
}

/// Where `strace` is, when this system has it and lets it trace.
pub fn find_tracer() -> Option<PathBuf> {
    let tracer = std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join("strace"))
        .find(|at| at.is_file())?;
    let mut trial = Command::new(&tracer);
    trial.args(["-f", "-qq", "--seccomp-bpf", "-e", "trace=fsync", "-o", "/dev/null", "true"]);
    trial.stdout(Stdio::null()).stderr(Stdio::null());
    trial.status().is_ok_and(|status| status.success()).then_some(tracer)
}

/// Where `strace` is, for a test that shows nothing without it; `None` where there is none and none is required: then the test is told to
/// have shown nothing, by its name and with what to install, on standard error, since its harness counts it as passed.
///
/// With [`TRACER_REQUIRED`] in the environment a test fails instead of passing without having looked.
///
/// # Panics
///
/// There is none, and the environment says that there has to be one.
pub fn required_tracer() -> Option<PathBuf> {
    let tracer = find_tracer();
    if tracer.is_none() {
        assert!(
            std::env::var_os(TRACER_REQUIRED).is_none(),
            "{TRACER_REQUIRED} is set, and this system has no strace, or does not let it trace"
        );
        // Not `println!`, which nobody sees of a test that passes. Where nobody reads this either, there is no other place.
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        let notice = format!(
            "\nNOT TESTED: {test} has looked at nothing, for this system has no strace, or does not let it trace. Install it (on Linux: \
             `apt-get install strace`, or what your distribution has for that); {TRACER_REQUIRED}=1 makes this a failure.\n"
        );
        let _ = std::io::stderr().write_all(notice.as_bytes());
    }
    tracer
}

/// Reads a trace: the calls in the order in which they ended.
///
/// # Errors
///
/// The file cannot be read.
pub fn read_trace(file: &Path) -> std::io::Result<Vec<SystemCall>> {
    Ok(parse(&std::fs::read_to_string(file)?))
}

/// How many calls of a trace made data durable.
///
/// # Errors
///
/// The file cannot be read.
pub fn count_syncs(file: &Path) -> std::io::Result<u64> {
    Ok(read_trace(file)?.iter().filter(|call| call.is_sync() && call.result.is_some()).count() as u64)
}

impl SystemCall {
    /// Whether the call makes a file durable.
    pub fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync")
    }

    /// Whether the call writes to a socket of TCP.
    pub fn is_to_network(&self) -> bool {
        self.target().is_some_and(|target| target.starts_with("TCP"))
    }

    /// What the descriptor in the first argument is: a path, or a socket with its addresses.
    pub fn target(&self) -> Option<String> {
        let (_, rest) = self.arguments.split_once('<')?;
        let name = rest.split_once(">,").map_or(rest, |(name, _)| name);
        let name = name.strip_suffix('>').unwrap_or(name);
        // Paths stand in hexadecimal like all strings; sockets do not.
        let path = from_hexadecimal(name);
        Some(if path.is_empty() { name.to_owned() } else { String::from_utf8_lossy(&path).into_owned() })
    }

    /// The bytes that were written: all strings of the arguments that stand in hexadecimal.
    pub fn bytes(&self) -> Vec<u8> {
        let strings = self.arguments.split('"').skip(1).step_by(2);
        let mut bytes: Vec<u8> = strings.flat_map(from_hexadecimal).collect();
        bytes.truncate(self.result.map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX)));
        bytes
    }
}

/// Lines read `PID call(arguments) = result`, or that in two parts, `<unfinished ...>` and `<... call resumed>`, with
/// lines of other threads between.
fn parse(text: &str) -> Vec<SystemCall> {
    let mut begun: std::collections::BTreeMap<&str, (usize, &str, &str)> = std::collections::BTreeMap::new();
    let mut calls = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let Some((process, rest)) = line.split_once(char::is_whitespace) else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((started, name, arguments)) = begun.remove(process) else { continue };
            let tail = resumed.split_once("resumed>").map_or("", |(_, tail)| tail);
            let (more, result) = split_result(tail);
            let arguments = format!("{arguments}{more}");
            calls.push(SystemCall { name: name.to_owned(), arguments, result, started, ended: place });
        } else if let Some((name, rest)) = rest.split_once('(') {
            if let Some(arguments) = rest.strip_suffix("<unfinished ...>") {
                begun.insert(process, (place, name, arguments.trim_end()));
            } else {
                let (arguments, result) = split_result(rest);
                let arguments = arguments.to_owned();
                calls.push(SystemCall { name: name.to_owned(), arguments, result, started: place, ended: place });
            }
        }
    }
    calls
}

fn split_result(text: &str) -> (&str, Option<u64>) {
    let Some((arguments, result)) = text.rsplit_once(") ").or_else(|| text.rsplit_once(')')) else {
        return (text, None);
    };
    let result =
        result.trim_start().strip_prefix('=').and_then(|result| result.split_whitespace().next()?.parse().ok());
    (arguments, result)
}

fn from_hexadecimal(string: &str) -> Vec<u8> {
    string.split("\\x").skip(1).filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

/// The process that a tracer has started; nothing when `process` is no tracer.
pub(super) fn traced_process(process: u32) -> Option<u32> {
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    if name.trim() != "strace" {
        return None;
    }
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Kills a child with SIGKILL, and the process that it traces first.
pub(super) fn end(child: &mut Child) {
    if let Some(traced) = traced_process(child.id()) {
        // The tracer writes what it has seen and ends with the process that it traces.
        let _ = super::send_signal(traced, super::Signal::Kill);
    } else {
        // A child that has ended already is what is wanted.
        let _ = child.kill();
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
7 pwrite64(9<\\x2f\\x77>, \"\\x01\\x02\", 2, 32) = 2
7 fdatasync(9<\\x2f\\x77> <unfinished ...>
8 sendto(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"\\xff\\x00\", 2, MSG_NOSIGNAL, NULL, 0) = 2
7 <... fdatasync resumed>)          = 0
8 sendto(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"\\xff\\x00\", 2, MSG_NOSIGNAL, NULL, 0) = -1 EAGAIN (Resource temporarily unavailable)
";

    #[test]
    fn a_call_that_was_interrupted_ends_where_it_returned() {
        let calls = parse(TEXT);
        let names: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.started, call.ended)).collect();
        assert_eq!(names, [("pwrite64", 0, 0), ("sendto", 2, 2), ("fdatasync", 1, 3), ("sendto", 4, 4)]);
        let [write, sent, sync, refused] = calls.as_slice() else { panic!("four calls") };
        assert_eq!((write.target().as_deref(), write.bytes()), (Some("/w"), vec![1, 2]));
        assert!(sent.is_to_network() && !write.is_to_network());
        assert_eq!(sync.target().as_deref(), Some("/w"));
        assert!(sync.is_sync() && sync.result == Some(0));
        assert_eq!((refused.result, refused.bytes()), (None, vec![]));
    }
}
