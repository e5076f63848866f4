//! What a person sees of work that takes long: a bar or a spinner that moves, and nothing of it afterwards.

use crate::pseudo_terminal::Terminal;
use crate::running::{Person, Relay};
use console::strip_ansi_codes;
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How many entities are there, and how many more that are deleted.
const ENTITIES: usize = 2_000;
const DELETED: usize = 1_000;

fn id(number: usize) -> String {
    format!("0192f0c1-7a3e-7b6c-8d2e-{number:012}")
}

/// Somebody with a file of many entities.
fn with_file() -> (Person, PathBuf) {
    let person = Person::with_store();
    let file = person.folder().join("all.jsonl");
    let line = |number| {
        let deleted = number >= ENTITIES;
        let line = json!({"collection": "notes", "id": id(number), "deleted": deleted, "value": {"title": "Milk"}});
        line.to_string() + "\n"
    };
    std::fs::write(&file, (0..ENTITIES + DELETED).map(line).collect::<String>()).unwrap();
    (person, file)
}

/// Somebody with a store of many entities.
fn with_many() -> Person {
    let (person, file) = with_file();
    person.run(["import", file.to_str().unwrap()]).ok();
    person
}

/// What was drawn, each state once.
fn drawn(text: &str, label: &str) -> BTreeSet<String> {
    let text = strip_ansi_codes(text).into_owned();
    text.split(['\r', '\n']).filter(|line| line.contains(label)).map(|line| line.trim_end().to_owned()).collect()
}

/// What is left on the screen of what was sent to a terminal.
fn left(text: &str) -> String {
    let (mut lines, mut row) = (vec![String::new()], 0);
    let (mut column, mut rest) = (0, text.chars());
    while let Some(character) = rest.next() {
        match character {
            '\r' => column = 0,
            '\n' => {
                (row, column) = (row + 1, 0);
                lines.resize(lines.len().max(row + 1), String::new());
            }
            '\u{1b}' => {
                let mut code: String = rest.by_ref().take(1).collect();
                while code.starts_with('[') && !code[1..].ends_with(|last: char| last.is_ascii_alphabetic()) {
                    code.push(rest.next().unwrap());
                }
                let count = || code[1..code.len() - 1].parse::<usize>().unwrap_or(1);
                match code.chars().last() {
                    Some('A') => row = row.saturating_sub(count()),
                    Some('K') => lines[row].clear(),
                    _ => {}
                }
            }
            character => {
                let mut line: Vec<char> = lines[row].chars().collect();
                line.resize(line.len().max(column + 1), ' ');
                line[column] = character;
                (lines[row], column) = (line.into_iter().collect(), column + 1);
            }
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect::<String>().trim().to_owned()
}

/// What a command drew that has to succeed; it leaves its answer alone on the screen.
#[track_caller]
fn draws(person: &Person, arguments: &[&str], label: &str, answer: &str) -> BTreeSet<String> {
    let (code, text) = Terminal::start(&mut person.command(arguments)).end();
    assert_eq!(code, 0, "{arguments:?}: {text}");
    let left = left(&text);
    assert!(left.starts_with(answer) && !left.contains(label), "{arguments:?} leaves this: {left}");
    let drawn = drawn(&text, label);
    assert!(!drawn.is_empty(), "{arguments:?} draws nothing: {text:?}");
    drawn
}

#[test]
fn a_file_that_is_read_in_and_an_export_show_how_much_is_done_of_how_much() {
    let (person, file) = with_file();
    let label = "entities read: ";
    let read = draws(&person, &["import", file.to_str().unwrap()], label, "Read 3,000 entities");
    assert!(read.len() > 1, "it moves: {read:?}");
    let total = format!("{:.2} KiB, ", std::fs::metadata(&file).unwrap().len() as f64 / 1024.0);
    assert!(read.iter().all(|line| line.contains(&total)), "of how many bytes, {total}: {read:?}");

    let out = person.folder().join("out.jsonl");
    let export = ["export", "--output", out.to_str().unwrap()];
    let written = draws(&person, &export, "entities written: ", "Wrote 3,000 entities");
    assert!(written.len() > 1 && written.iter().any(|line| line.ends_with("/3,000")), "{written:?}");
    for quiet in ["--quiet", "--json"] {
        let (_, text) = Terminal::start(&mut person.command([&[quiet], &export[..]].concat())).end();
        assert!(drawn(&text, "entities written").is_empty(), "the control: nobody wants to see {quiet}: {text:?}");
    }
    let (_, text) = Terminal::start(person.command(export).env("TERM", "dumb")).end();
    assert!(drawn(&text, "entities written").is_empty() && !text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn what_comes_through_a_pipe_is_counted_beside_a_spinner() {
    let person = Person::with_store();
    let pipe = person.folder().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    let terminal = Terminal::start(&mut person.command(["import", pipe.to_str().unwrap()]));
    let mut write = std::fs::File::options().write(true).open(&pipe).unwrap();
    terminal.until("entities read: 0");
    let line = json!({"collection": "notes", "id": id(1), "value": {"title": "Milk"}}).to_string() + "\n";
    std::io::Write::write_all(&mut write, line.as_bytes()).unwrap();
    drop(write);
    let (code, text) = terminal.end();
    assert!(code == 0 && left(&text).starts_with("Read 1 entity"), "{text}");
}

#[test]
fn checks_of_all_that_is_stored_show_that_they_live() {
    let person = with_many();
    draws(&person, &["verify"], "reading all of the store", "The file holds together.");
    let (_, text) = Terminal::start(&mut person.command(["doctor", "--offline"])).end();
    let opened = drawn(&text, "entities opened: ");
    assert!(opened.len() > 1 && opened.iter().any(|line| line.ends_with("/3,000")), "{opened:?}");
    assert!(!left(&text).contains("entities opened"), "{}", left(&text));
}

#[test]
fn a_purge_of_many_and_the_emptying_of_a_full_trash_show_that_they_live() {
    let person = with_many();
    draws(&person, &["trash", "--empty", "--yes"], "purging", "Purged 1,000 entities");
    let ids: Vec<_> = (0..100).map(id).collect();
    let command: Vec<_> = ["purge", "notes", "--yes"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    let looked_up = draws(&person, &command, "entities looked up: ", "Purged 100 entities");
    assert!(looked_up.iter().all(|line| line.ends_with("/100")), "{looked_up:?}");
}

#[test]
fn a_sync_of_thousands_shows_how_many_changes_have_gone_and_come() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = with_many();
    let ben = Person::joining(&ada.space());
    // Whoever syncs finds the relay standing still, for as long as it takes to see that. A deletion is a change, too. How much
    // comes is known with the first of it, and all of this comes at once.
    for (person, at_first) in [(&ada, "changes: 0/4,000"), (&ben, "↑ 0 B")] {
        relay.signal(Signal::STOP);
        let terminal = Terminal::start(&mut person.command(["connect", &relay.url()]));
        terminal.until(at_first);
        relay.signal(Signal::CONT);
        let (code, text) = terminal.end();
        assert_eq!(code, 0, "{text}");
        // How often it is drawn in between depends on how fast this machine is.
        let drawn = drawn(&text, "  ↓ ");
        assert!(drawn.iter().any(|line| line.contains(at_first)), "{drawn:?}");
        let left = left(&text);
        assert!(left.starts_with("In step with ") && !left.contains("changes: "), "{left}");
    }
    assert_eq!(ben.titles().len(), ENTITIES);
}
