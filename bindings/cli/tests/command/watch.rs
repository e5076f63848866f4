//! What changes is seen while it changes, whoever changes it.

use crate::running::{Person, Relay};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

/// A command that goes on until it is told to end.
struct Watch {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(person: &Person, arguments: &[&str]) -> Self {
        let mut command = person.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it goes on").unwrap()
    }

    fn json(&mut self) -> Json {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Ends it as Ctrl-C does; gives the exit code.
    fn end(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        assert!(self.lines.next().is_none(), "nothing more was to be told");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_collection_is_watched_while_another_process_writes() {
    let person = Person::with_store();
    let first = person.run(["put", "notes", "title=Milk", "body~=one"]).ok().to_owned();
    let gone = person.run(["put", "notes", "title=Gone"]).ok().to_owned();
    person.run(["delete", "notes", &gone]).ok();
    let mut watch = Watch::start(&person, &["watch", "notes", "--json"]);
    let present = watch.json();
    assert!(present["at_ms"].is_i64());
    assert_eq!((&present["event"], &present["id"]), (&json!("present"), &json!(first)));
    assert_eq!(
        (&present["collection"], &present["value"]),
        (&json!("notes"), &json!({"title": "Milk", "body": "one"}))
    );
    // `--wait 0`: whoever watches does not hold the store.
    let run = |arguments: &[&str]| person.run(["--wait", "0"].iter().chain(arguments)).ok().to_owned();
    let second = run(&["put", "notes", "title=Bread"]);
    let told = |line: Json| {
        (line["event"].as_str().unwrap().to_owned(), line["id"].as_str().unwrap().to_owned(), line["fields"].clone())
    };
    assert_eq!(told(watch.json()), ("added".to_owned(), second, json!([])));
    run(&["put", "tasks", "title=elsewhere"]);
    run(&["edit", "notes", &first, "body=one two", "done:=true"]);
    assert_eq!(told(watch.json()), ("changed".to_owned(), first.clone(), json!(["body", "done"])));
    for (command, event) in [("delete", "deleted"), ("restore", "restored")] {
        run(&[command, "notes", &first]);
        assert_eq!(told(watch.json()).0, event);
    }
    run(&["restore", "notes", &gone]);
    assert_eq!(told(watch.json()), ("restored".to_owned(), gone, json!([])));
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn one_entity_is_watched_by_the_end_of_its_id_and_others_are_not() {
    let person = Person::with_store();
    let id = person.run(["put", "notes", "title=Milk"]).ok().to_owned();
    let other = person.run(["put", "notes", "title=Other"]).ok().to_owned();
    let mut watch = Watch::start(&person, &["watch", "notes", &id[30..]]);
    assert_eq!(watch.line(), format!("present\t{id}\t{{\"title\":\"Milk\"}}"));
    person.run(["edit", "notes", &other, "title=x"]).ok();
    person.run(["edit", "notes", &id, "title=Bread"]).ok();
    assert_eq!(watch.line(), format!("changed\t{id}\t{{\"title\":\"Bread\"}}"));
    assert_eq!(watch.end(), Some(0));
    person.run(["watch", "notes", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e"]).failed(3);
}

#[test]
fn watching_in_sync_shows_what_others_wrote_and_notes_that_it_was_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    ada.run(["put", "notes", "title=Milk"]).ok();
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    let before = ada.run(["status", "--json"]).json()["last_synced_ms"].as_i64().unwrap();
    let mut watch = Watch::start(&ada, &["watch", "notes", "--json", "--sync"]);
    assert_eq!(watch.json()["event"], "present");
    ben.run(["put", "notes", "title=Bread"]).ok();
    ben.run(["sync"]).ok();
    let added = watch.json();
    assert_eq!((&added["event"], &added["value"]["title"]), (&json!("added"), &json!("Bread")));
    ada.run(["--wait", "0", "put", "notes", "title=No"]).failed(6);
    assert_eq!(watch.end(), Some(0));
    let status = ada.run(["status", "--json"]).json();
    assert!(status["last_synced_ms"].as_i64().unwrap() >= before && status["state"] == "idle", "{status}");
    ada.run(["--wait", "0", "put", "notes", "title=Yes"]).ok();
}

#[test]
fn who_is_here_is_told_as_they_come_change_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    ada.run(["presence"]).failed(3);
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    let mut watch = Watch::start(&ada, &["presence", "--json"]);
    let first = Watch::start(&ben, &["presence", "--show", "Ben"]);
    let here = watch.json();
    assert_eq!(
        (&here["event"], &here["state"], &here["entity"]),
        (&json!("here"), &json!({"name": "Ben"}), &json!(null))
    );
    assert!(here["at_ms"].is_i64() && here["device"].is_string());
    assert_eq!(first.end(), Some(0));
    let gone = watch.json();
    assert_eq!((&gone["event"], &gone["session"]), (&json!("gone"), &here["session"]));
    let second = Watch::start(&ben, &["presence", "--author", "Benjamin"]);
    let again = watch.json();
    assert_eq!((&again["event"], &again["state"]["name"]), (&json!("here"), &json!("Benjamin")));
    assert_eq!(again["device"], here["device"]);
    assert_eq!(second.end(), Some(0));
    assert_eq!(watch.json()["event"], "gone");
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn a_reader_that_leaves_ends_watching_at_the_next_change() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let mut watch = Watch::start(&person, &["watch", "notes"]);
    assert!(watch.line().starts_with("present"));
    let Watch { lines, .. } = &mut watch;
    // The only reader of the pipe goes.
    let nobody = std::io::BufReader::new(
        std::process::Command::new("true").stdout(Stdio::piped()).spawn().unwrap().stdout.take().unwrap(),
    )
    .lines();
    drop(std::mem::replace(lines, nobody));
    person.run(["put", "notes", "title=Bread"]).ok();
    assert_eq!(watch.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_piped_status_tells_a_line_for_each_change_and_none_for_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let person = Person::with_store();
    let mut watch = Watch::start(&person, &["status", "--watch"]);
    assert!(watch.line().starts_with("disabled, waiting: nothing"));
    person.run(["put", "notes", "title=Milk"]).ok();
    assert!(watch.line().contains("waiting: 1 change"));
    person.run(["connect", &relay.url()]).ok();
    let mut line = watch.line();
    while !line.starts_with("idle, waiting: nothing") {
        line = watch.line();
    }
    assert_eq!(watch.end(), Some(0));
    let mut json = Watch::start(&person, &["status", "--watch", "--sync", "--json"]);
    let mut status = json.json();
    while status["state"] != "idle" {
        status = json.json();
    }
    assert!(status["traffic"]["sessions"] == 1 && status["spaces"][0]["state"] == "idle", "{status}");
    kill_process(Pid::from_child(&json.child), Signal::INT).unwrap();
    assert_eq!(json.child.wait().unwrap().code(), Some(0));
}
