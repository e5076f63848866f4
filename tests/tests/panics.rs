//! What a panic tells: its place, and nothing of what it was about (S6).

use std::panic::{catch_unwind, set_hook};
use std::process::Command;

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
