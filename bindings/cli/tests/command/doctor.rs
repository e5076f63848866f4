//! What is wrong, and what to do about it.

use crate::running::{Person, Ran, Relay};
use serde_json::{Value as Json, json};
use std::process::Stdio;

/// What the doctor says of one thing: level, what was found, what to do.
#[track_caller]
fn of<'r>(ran: &'r [Json], check: &str) -> (&'r str, &'r str, &'r str) {
    let found = ran.iter().find(|one| one["check"] == check && one["level"] != "ok");
    let found = found.or_else(|| ran.iter().find(|one| one["check"] == check));
    let found = found.unwrap_or_else(|| panic!("{check} is missing in {ran:?}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default();
    (text("level"), text("found"), text("next"))
}

fn doctor(person: &Person, more: &[&str]) -> (i32, Vec<Json>) {
    let ran: Ran = person.run(["doctor", "--json"].iter().chain(more));
    let checks = ran.out.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()).collect();
    (ran.code, checks)
}

/// Damages the only change of the second entity.
const DAMAGE: &str = "UPDATE bodies SET bytes = zeroblob(40) WHERE change_row IN
    (SELECT change_row FROM changes WHERE entity_row = 2)";

#[test]
fn a_store_in_good_order_is_ok_in_every_check_and_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let token = relay.token(&[]);
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    person.run(["connect", &relay.url(), "--token", &token]).ok();
    let before = (std::fs::read(person.store()).unwrap(), std::fs::read(person.relay_file()).unwrap());
    let (code, checks) = doctor(&person, &[]);
    assert_eq!(code, 0, "{checks:?}");
    for check in [
        "program",
        "files",
        "disk",
        "writer",
        "store",
        "integrity",
        "entities",
        "quarantine",
        "outbox",
        "sync",
        "relay",
        "token",
    ] {
        let (level, _, next) = of(&checks, check);
        assert!(level == "ok" && next.is_empty() || check == "disk", "{check}: {checks:?}");
    }
    assert!(of(&checks, "program").1.contains("SQLite 3."));
    assert!(of(&checks, "relay").1.contains("protocol 1"));
    assert!(of(&checks, "entities").1.contains("1 entity"));
    assert_eq!((std::fs::read(person.store()).unwrap(), std::fs::read(person.relay_file()).unwrap()), before);
    let ran = person.run(["doctor"]);
    assert!(
        ran.ok().lines().all(|line| line.chars().count() <= 80 || line.contains(person.folder().to_str().unwrap())),
        "{ran:?}"
    );
    assert!(!ran.out.contains(&token));
    person.run(["sync"]).ok();
}

#[test]
fn a_session_that_runs_is_not_replaced_by_looking_at_the_relay() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let person = Person::with_store();
    person.run(["connect", &relay.url()]).ok();
    let mut live = person.command(["status", "--watch", "--sync", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(live.stdout.take().unwrap()));
    let mut next = || serde_json::from_str::<Json>(&lines.next().unwrap().unwrap()).unwrap();
    while next()["state"] != "idle" {}
    let (code, checks) = doctor(&person, &[]);
    assert_eq!((code, of(&checks, "relay").0), (0, "ok"), "{checks:?}");
    let (level, found, _) = of(&checks, "writer");
    assert!(level == "ok" && found.contains(&live.id().to_string()), "{checks:?}");
    let other = Person::joining(&person.space());
    other.run(["put", "notes", "title=Milk"]).ok();
    other.run(["connect", &relay.url()]).ok();
    let mut status = next();
    while status["spaces"][0]["sequence"] == 0 {
        status = next();
    }
    assert_eq!(status["traffic"]["sessions"], 1, "{status}");
    live.kill().unwrap();
    live.wait().unwrap();
}

#[test]
fn what_is_wrong_with_the_relay_fails_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let (token, short) = (relay.token(&[]), relay.token(&["--no-create-spaces"]));
    let person = Person::with_store();
    person.run(["connect", &relay.url(), "--token", &short]).failed(7);
    let (code, checks) = doctor(&person, &[]);
    assert_eq!((code, of(&checks, "relay").0, of(&checks, "spaces").0), (0, "ok", "warn"), "{checks:?}");
    assert_eq!(checks.iter().filter(|check| check["check"] == "spaces").count(), 1, "said once: {checks:?}");
    let file = std::fs::read_to_string(person.relay_file()).unwrap();
    std::fs::write(person.relay_file(), file.replace(&short, "afield_wrong")).unwrap();
    let (code, checks) = doctor(&person, &[]);
    let (level, found, next) = of(&checks, "token");
    assert!(code == 1 && level == "fail" && found.contains("token") && next.contains("--token-file"), "{checks:?}");
    std::fs::write(person.relay_file(), file.replace(&short, &token)).unwrap();
    assert_eq!(doctor(&person, &[]).0, 0, "the control");
    drop(relay);
    let ran = person.run(["doctor", "--json"]);
    let error: Json = serde_json::from_str(ran.err.trim()).unwrap();
    assert_eq!((ran.code, &error["code"], &error["error"]), (1, &json!("failed"), &json!("1 check failed")));
    let (code, checks) = doctor(&person, &["--offline"]);
    assert_eq!((code, of(&checks, "relay").0), (0, "ok"), "{checks:?}");
}

#[test]
fn damage_is_found_where_it_is() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let damaged = person.run(["put", "notes", "title=Bread"]).ok().to_owned();
    let store = rusqlite::Connection::open(person.store()).unwrap();
    assert_eq!(store.execute(DAMAGE, []).unwrap(), 1);
    drop(store);
    let (code, checks) = doctor(&person, &[]);
    let (level, found, next) = of(&checks, "entities");
    assert!(code == 1 && level == "fail" && found.contains(&damaged) && !next.is_empty(), "{checks:?}");
    let store = rusqlite::Connection::open(person.store()).unwrap();
    store.execute("UPDATE changes SET sequence = 7", []).unwrap();
    drop(store);
    let (_, checks) = doctor(&person, &[]);
    assert_eq!(of(&checks, "integrity").0, "fail", "{checks:?}");
    std::fs::write(person.store(), "a diary".repeat(2_000)).unwrap();
    let (code, checks) = doctor(&person, &[]);
    let (level, found, next) = of(&checks, "store");
    assert!(
        code == 1 && level == "fail" && found.contains("not an Afield store") && next.contains("--store"),
        "{checks:?}"
    );
}

#[test]
fn what_the_relay_refuses_is_told_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (_relay, person) = Relay::that_refuses(folder.path());
    let (code, checks) = doctor(&person, &[]);
    let (level, found, next) = of(&checks, "refused");
    assert!(code == 0 && level == "warn" && found.contains("quota") && next.contains("more room"), "{checks:?}");
}

#[cfg(unix)]
#[test]
fn files_that_others_may_read_are_named_with_the_command_that_mends_it() {
    use std::os::unix::fs::PermissionsExt;
    let person = Person::with_store();
    person.run(["connect", "ws://127.0.0.1:9", "--token", "afield_x"]).failed(4);
    std::fs::set_permissions(person.relay_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, checks) = doctor(&person, &["--offline"]);
    let (level, found, next) = of(&checks, "files");
    assert!(level == "warn" && found.contains("relay.json"), "{checks:?}");
    let command = next.trim_matches('`');
    assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success());
    let (_, checks) = doctor(&person, &["--offline"]);
    assert_eq!(of(&checks, "files").0, "ok", "{checks:?}");
}
