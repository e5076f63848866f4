//! The demo holds what it claims, and leaves nothing behind.

use crate::running::{Ran, afield};
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;

fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = afield();
    command.arg("demo").args(arguments).env("TMPDIR", folder).env("TMP", folder).env("TEMP", folder);
    command
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn the_demo_holds_every_claim_and_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Ran::from(demo(folder.path(), &["--json"]).output().unwrap());
    let figures = ran.json();
    assert_eq!(figures["ok"], true);
    let photos = figures["photos"].as_u64().unwrap();
    let receipts = figures["photos_with_receipt_before_the_kill"].as_u64().unwrap();
    assert!(0 < receipts && receipts < photos, "the relay died in the middle: {figures}");
    assert_eq!(figures["relay_processes"].as_u64(), figures["kills"].as_u64().map(|kills| kills + 1));
    assert_eq!(figures["merged"]["votes"], 6);
    assert_eq!(figures["merged"]["title"]["kept"].as_array().map(Vec::len), Some(2));
    for catch_up in ["catch_up", "reconnect"] {
        assert_eq!(figures[catch_up]["round_trips"], 1, "{catch_up}");
        assert!(figures[catch_up]["traffic"]["bytes_received"].as_u64() > Some(0), "{catch_up}");
    }
    assert!(figures["reconnect"]["traffic"]["bytes_sent"].as_u64() < Some(300));
    assert!(figures["checks"].as_array().map_or(0, Vec::len) >= 10, "{figures}");
    assert_eq!(files_in(folder.path()), 0);
}

#[test]
fn piped_the_demo_is_plain_text_of_80_columns() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Ran::from(demo(folder.path(), &[]).output().unwrap());
    let text = ran.ok();
    assert!(!text.contains('\u{1b}') && !text.contains('✗'), "{text}");
    for word in ["SIGKILL", "conflict", "receipt", "round trip", "Trip to Porto", "Trip to Lisbon", "Nothing lost"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
    assert!(widest.chars().count() <= 80, "{widest}");
}

#[test]
fn a_relay_that_cannot_start_is_said_to_be_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    let error = Ran::from(demo(&gone, &["--json"]).output().unwrap()).error(1);
    let text = error["error"].as_str().unwrap();
    assert!(text.contains("the demo's folder could not be made"), "{text}");
    assert!(matches!(error["next"], Json::String(_)));
}

#[cfg(unix)]
mod signals {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process, test_kill_process};
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    /// Starts the demo and waits until its relay runs; gives the relay's process.
    fn started(folder: &Path) -> (Child, u32) {
        let mut child = demo(folder, &[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.trim_start().starts_with("process ")).expect("the relay's process is told");
        std::thread::spawn(move || lines.for_each(drop));
        let relay = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(is_alive(relay), "the relay runs");
        (child, relay)
    }

    fn pid(process: u32) -> Pid {
        Pid::from_raw(process.try_into().unwrap()).unwrap()
    }

    fn send(process: u32, signal: Signal) {
        kill_process(pid(process), signal).unwrap();
    }

    fn is_alive(process: u32) -> bool {
        test_kill_process(pid(process)).is_ok()
    }

    fn ends(process: u32) -> bool {
        let since = Instant::now();
        while is_alive(process) {
            if since.elapsed() > Duration::from_secs(20) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    #[test]
    fn an_interrupted_demo_leaves_neither_a_process_nor_a_file() {
        for wish in [Signal::INT, Signal::TERM] {
            let folder = tempfile::tempdir().unwrap();
            let (mut child, relay) = started(folder.path());
            send(child.id(), wish);
            assert_eq!(child.wait().unwrap().code(), Some(130), "{wish:?}");
            assert!(!is_alive(relay), "{wish:?}: the relay has outlived the demo");
            assert_eq!(files_in(folder.path()), 0, "{wish:?}");
        }
    }

    #[test]
    fn a_killed_demo_takes_its_relay_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, relay) = started(folder.path());
        send(child.id(), Signal::KILL);
        child.wait().unwrap();
        assert!(ends(relay), "the relay has outlived the demo");
    }
}
