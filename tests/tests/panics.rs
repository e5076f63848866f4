//! What a panic tells: its place, and nothing of what it was about (S6).

use afield::{Relay, Replica};
use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{catch_unwind, set_hook};
use std::path::Path;
use std::process::{Command, Stdio};

/// What must not be told: a panic of the engine can hold a value of a document.
const CONTENT: &str = "the diagnosis of a patient";
/// In the environment of the process that panics: which hook it installs.
const HOOK: &str = "AFIELD_TEST_HOOK";

/// Everything that a process says that panics under a hook, and the line of the panic.
fn said_under(hook: &str) -> (String, u32) {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its program"));
    command.args(["--exact", "panics_with_content", "--ignored", "--nocapture"]).env(HOOK, hook);
    let output = command.output().expect("the test's program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let line =
        stdout.split("the panic is in line ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    (format!("{stdout}{stderr}"), line.expect("the process says where it panics"))
}

#[test]
fn a_reported_panic_names_its_place_and_holds_nothing_of_its_message() {
    let (said, line) = said_under("report");
    assert!(!said.contains(CONTENT), "S6: {said}");
    assert!(said.contains("panic; its message is withheld"), "{said}");
    assert!(said.contains(file!()) && said.contains(&line.to_string()), "{said}");
    let (said, _) = said_under("default");
    assert!(said.contains(CONTENT), "the control: there is something to withhold");
}

#[test]
#[ignore = "a process of its own for the test above"]
fn panics_with_content() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    if std::env::var(HOOK).is_ok_and(|hook| hook == "report") {
        set_hook(Box::new(afield::report_panic));
    }
    let content = CONTENT.to_owned();
    let literal = catch_unwind(|| panic!("the diagnosis of a patient"));
    println!("the panic is in line {}", line!() + 1);
    let written = catch_unwind(|| panic!("in {content:?}"));
    assert!(literal.is_err() && written.is_err());
}

/// A relay's process in which something panics with content while it serves a device; gives all that it has said, after it was asked to end.
#[cfg(unix)]
fn said_by_a_relay(folder: &Path, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay_process"));
    command.args(["serve", "--json", "--insecure-open", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("data"));
    command.args(more).env("AFIELD_TEST_PANICS", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let stderr = folder.join("stderr");
    let mut relay =
        command.stderr(std::fs::File::create(&stderr).unwrap()).spawn().expect("the relay's program starts");
    let mut input = relay.stdin.take().unwrap();
    let mut output = BufReader::new(relay.stdout.take().unwrap());
    let mut ready = String::new();
    output.read_line(&mut ready).unwrap();
    let told: serde_json::Value = serde_json::from_str(&ready).expect("the relay says where it listens");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let replica = Replica::open(folder.join("device.db")).unwrap();
    replica.connect(Relay::new(told["url"].as_str().unwrap())).unwrap();
    runtime.block_on(replica.sync_now()).unwrap();

    writeln!(input, "{CONTENT}").unwrap();
    let mut panicked = String::new();
    output.read_line(&mut panicked).unwrap();
    assert_eq!(
        panicked,
        format!("a panic of {} bytes\n", CONTENT.len() + "in \"\"".len()),
        "the control: it had content"
    );
    replica.create_space("home").unwrap();
    runtime.block_on(replica.sync_now()).expect("the relay goes on");
    let status = replica.status().unwrap();
    assert_eq!((status.pending_changes, status.traffic.sessions), (0, 1), "and so does the session");

    rustix::process::kill_process(rustix::process::Pid::from_child(&relay), rustix::process::Signal::TERM).unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(relay.wait().unwrap().success(), "it ends well when it is asked to");
    for entry in std::fs::read_dir(folder.join("data")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(CONTENT.len()).any(|part| part == CONTENT.as_bytes()), "S6: {}", path.display());
    }
    ready + &panicked + &rest + &std::fs::read_to_string(stderr).unwrap()
}

#[cfg(unix)]
#[test]
fn a_relay_in_which_something_panics_goes_on_and_tells_the_place_alone() {
    let at_its_default: &[&str] = &[];
    for (more, is_told) in [
        (at_its_default, true),
        (&["--log", "trace"], true),
        (&["--log", "error", "--log-format", "json"], true),
        (&["--log", "off"], false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let said = said_by_a_relay(folder.path(), more);
        assert!(!said.contains(CONTENT) && !said.contains("diagnosis"), "S6, {more:?}: {said}");
        let told = said.lines().filter(|line| line.contains("panic; its message is withheld"));
        let told: Vec<&str> = told.filter(|line| line.contains("ERROR") && line.contains("relay_process.rs")).collect();
        assert_eq!(told.len(), usize::from(is_told), "{more:?}: {said}");
    }
}

#[test]
fn both_programs_report_their_panics_and_nothing_else_sets_a_hook() {
    let source = |path: &str| {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace");
        std::fs::read_to_string(root.join(path)).expect("a source file")
    };
    let (relay, relay_main) = (source("relay/src/cli.rs"), source("relay/src/main.rs"));
    assert!(relay.contains("    std::panic::set_hook(Box::new(afield_core::panics::report));\n"), "S6");
    assert!(relay_main.contains("afield_relay::cli::run("), "the relay's program runs what installs it");
    let command = source("bindings/cli/src/main.rs");
    assert!(command.contains("    std::panic::set_hook(Box::new(report_panic));\n"), "S6");
    let hook = command.split("fn report_panic(").nth(1).and_then(|rest| rest.split("\n}\n").next());
    let hook = hook.expect("the command's hook has a place of its own");
    assert!(hook.contains("    afield::report_panic(info);"), "S6");
    assert!(!hook.contains("payload") && !hook.contains("{info"), "S6: the command's hook tells the place alone");
    for text in [relay, relay_main, command] {
        assert!(text.matches("set_hook").count() <= 1 && !text.contains("take_hook"), "one hook, and it stays");
    }
}
