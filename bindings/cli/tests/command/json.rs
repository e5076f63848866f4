//! What a program reads: every command prints JSON where it is asked to.

use crate::running::{Person, Ran, Relay, commands};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A store with something for every command to tell of.
struct Setting {
    folder: tempfile::TempDir,
    relay: Relay,
    ada: Person,
    ben: Person,
    space: String,
    /// Both have changed its title.
    note: String,
    spare: String,
    deleted: String,
}

impl Setting {
    fn new() -> Self {
        let (folder, ada) = (tempfile::tempdir().unwrap(), Person::with_store());
        let relay = Relay::open(folder.path());
        ada.run(["index", "add", "notes", "body", "--text"]).ok();
        let put = |title: &str| ada.run(["put", "notes", title, "body~=milk", "price:=3"]).ok().to_owned();
        let (note, spare, deleted) = (put("title=Milk"), put("title=Spare"), put("title=Deleted"));
        ada.run(["delete", "notes", &deleted]).ok();
        ada.run(["connect", &relay.url()]).ok();
        let space = ada.space();
        let ben = Person::joining(&space);
        ben.run(["connect", &relay.url()]).ok();
        for (person, title) in [(&ada, "title=Adas"), (&ben, "title=Bens")] {
            person.run(["put", "notes", &note, title]).ok();
        }
        for person in [&ada, &ben, &ada] {
            person.run(["sync"]).ok();
        }
        Self { folder, relay, ada, ben, space, note, spare, deleted }
    }

    /// The ways to run a command that print something, in an order in which they can be run.
    fn lines(&self, command: &str) -> Vec<String> {
        let Self { note, spare, deleted, .. } = self;
        let file = self.ada.folder().join("export.jsonl").display().to_string();
        let pages = self.ada.folder().join("pages").display().to_string();
        let folder = self.folder.path().display();
        let other = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
        let lines: &[&str] = match command {
            "demo" | "init" | "explain" | "verify" | "confirm" => &[""],
            "space" => &["create Second", &format!("join {other}"), &format!("leave {other}"), "list"],
            "put" => &["notes title=Bread"],
            "edit" => &[&format!("notes {note} done:=true")],
            "get" => &[&format!("notes {note}"), &format!("notes {note} --tagged")],
            "list" => &["", "notes", "notes --deleted"],
            "query" => &["notes", "notes --count", "notes --sum price", "notes --plan"],
            "search" => &["notes milk"],
            "index" => &["add notes price", "list notes", "drop notes price"],
            "watch" => &["notes", &format!("notes {note}"), "notes --sync"],
            "presence" => &[""],
            "delete" => &[&format!("notes {spare}")],
            "restore" => &[&format!("notes {deleted}"), &format!("notes {note} --to now")],
            "log" | "diff" | "undo" | "redo" => &[&format!("notes {note}")],
            "at" => &[&format!("notes {note} now")],
            "purge" => &[&format!("notes {deleted} --yes")],
            "trash" => &["", "notes", "--empty --yes"],
            "conflicts" => &["", "notes", "strategy notes body newest", "strategy"],
            "resolve" => &[&format!("notes {note} title --keep 1")],
            "connect" => &[&self.relay.url(), "--off", &self.relay.url()],
            "sync" => &["", "--dry-run"],
            "guard" => &["", "--deletions 50", "--collection notes", "--collection notes --inherit"],
            "schedule" => &["", "--every 1h", "--off"],
            "direction" => &["drafts local", "drafts", ""],
            "status" => &["", "--watch", "--watch --sync"],
            "doctor" => &["", "--offline"],
            "backup" => &[&self.ada.folder().join("copy.db").display().to_string()],
            "hand-over" => &[&self.ada.folder().join("unsent").display().to_string()],
            "take-over" => &[&self.ada.folder().join("unsent").display().to_string()],
            "export" => &["", &format!("--output {file}")],
            "import" => &[&file],
            "completions" => &["bash", "zsh", "fish", "powershell"],
            "man" => &["", &format!("--output {pages}")],
            "relay" => &[
                &format!("user create ada --data {folder}"),
                &format!("user list --data {folder}"),
                &format!("token create --data {folder}"),
                &format!("token list --data {folder}"),
                &format!("space list --data {folder}"),
                "config check",
                "config print",
                "config example",
                "config keys",
            ],
            new => panic!("`{new}` is new: say here how it is run, and let it print JSON with --json"),
        };
        lines.iter().map(|line| format!("{command} {line}")).collect()
    }

    fn command(&self, line: &str) -> Command {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_about_a_space = !["demo", "init", "space", "relay"].contains(&words[0]);
        let of: &[&str] = if is_about_a_space { &["--json", "--space", &self.space] } else { &["--json"] };
        self.ada.command(of.iter().chain(&words))
    }
}

/// The first line of a command that goes on until it is told to end.
fn first_line(command: &mut Command) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().map(Result::unwrap);
    interrupt(child);
    line.unwrap_or_default()
}

fn interrupt(mut child: Child) {
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    child.wait().unwrap();
}

#[test]
fn every_command_prints_json_and_nothing_else_where_it_is_asked_to() {
    let setting = Setting::new();
    let commands = commands(&[]);
    assert!(commands.len() > 30, "the help names the commands: {commands:?}");
    for line in commands.iter().flat_map(|command| setting.lines(command)) {
        let goes_on = ["watch", "presence", "status --watch"].iter().any(|going| line.starts_with(going));
        let out = if goes_on {
            let mut ben = setting.ben.command(["presence", "--show", "Ben"]);
            let is_shown = line.starts_with("presence");
            let ben = is_shown.then(|| ben.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
            let out = first_line(&mut setting.command(&line));
            if let Some(ben) = ben {
                interrupt(ben);
            }
            out
        } else {
            Ran::from(setting.command(&line).output().unwrap()).ok().to_owned()
        };
        assert!(!out.is_empty(), "`{line}` prints nothing, so that nothing is shown by it");
        for printed in out.lines() {
            assert!(serde_json::from_str::<Json>(printed).is_ok(), "`{line}` prints what is no JSON: {printed}");
        }
    }
}
