//! What happens when nobody reads what is printed.

use crate::running::{Person, Relay, afield};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The writing end of a pipe whose reader has gone.
fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn an_error_that_nobody_reads_keeps_its_exit_code() {
    let person = Person::with_store();
    for (arguments, code) in [
        (&["get", "notes", "deadbeef"][..], 3),
        (&["get", "notes", "deadbeef", "--json"], 3),
        (&["frobnicate"], 2),
        (&["-vvv", "status"], 0),
        (&["relay", "token", "revoke", "1", "--data", person.folder().to_str().unwrap()], 4),
    ] {
        let status = person.command(arguments).stdout(Stdio::null()).stderr(nobody()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}: {status}");
    }
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let person = Person::with_store();
    let data = person.folder().join("relay");
    let data = data.to_str().unwrap();
    person.run(["relay", "token", "create", "--data", data]).ok();
    for arguments in [
        &["status"][..],
        &["list"],
        &["export"],
        &["relay", "token", "list", "--data", data],
        &["relay", "token", "list", "--json", "--data", data],
    ] {
        let status = person.command(arguments).stdout(nobody()).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}: {status}");
    }
    let create = ["relay", "token", "create", "--data", data];
    let status = person.command(create).stdout(nobody()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(1), "a token that nobody has seen");
}

/// Where a relay listens that logs everything to `stderr`, and whether it then serves a device.
fn serves(stderr: Stdio) -> bool {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let mut command = afield();
    command
        .args(["relay", "--while-stdin-is-open", "serve", "--insecure-open", "--json", "--log", "debug"])
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(person.folder().join("relay"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let ready: Option<serde_json::Value> = serde_json::from_str(&ready).ok();
    let synced = ready.is_some_and(|ready| {
        person.run(["connect", ready["url"].as_str().unwrap()]).code == 0 && child.try_wait().unwrap().is_none()
    });
    drop(child.stdin.take());
    synced && child.wait().unwrap().success()
}

#[test]
fn a_relay_whose_log_cannot_be_written_goes_on_serving() {
    assert!(serves(Stdio::null()), "the control");
    assert!(serves(nobody()), "the reader of its log has gone");
    #[cfg(target_os = "linux")]
    assert!(serves(std::fs::File::options().write(true).open("/dev/full").unwrap().into()), "its log's disk is full");
}

#[test]
fn a_log_never_holds_messages_or_tokens_whatever_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let filter = "trace,tungstenite=trace,tungstenite::protocol=trace,tungstenite::protocol::frame::frame=trace,\
        tokio_tungstenite=trace,tokio_tungstenite::compat=trace";
    let mut command = Command::new(env!("CARGO_BIN_EXE_afield"));
    command.args(["relay", "--while-stdin-is-open", "serve", "--json", "--listen", "127.0.0.1:0", "--log", filter]);
    command.arg("--data").arg(folder.path()).stderr(std::fs::File::create(&log).unwrap());
    let relay = Relay::spawn(command, folder.path());
    let token = relay.token(&[]);
    let person = Person::with_store();
    person.run(["put", "notes", "title=unmistakable"]).ok();
    person.run(["connect", &relay.url(), "--token", &token]).ok();
    drop(relay);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the control: it does log: {log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("tungstenite")).collect();
    assert!(told.is_empty(), "{told:?}");
    assert!(!log.contains("unmistakable") && !log.contains(&token));
}

#[test]
fn a_reader_that_leaves_in_the_middle_ends_an_export_quietly() {
    let person = Person::with_store();
    let line = |number: u32| {
        let id = format!("0192f0c1-7a3e-7b6c-8d2e-{number:012}");
        format!("{{\"collection\":\"notes\",\"id\":\"{id}\",\"value\":{{\"title\":\"{}\"}}}}\n", "x".repeat(4_000))
    };
    person.run_with(["import", "-"], &(0..50).map(line).collect::<String>()).ok();
    let mut child = person.command(["export"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
