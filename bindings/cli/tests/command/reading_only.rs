//! What a device is told that writes to a space of which it may only read.

use crate::running::{Person, Relay};

/// Ben, who may only read Ada's space and has its note.
fn reader() -> (Relay, Person, Person, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let tokens = ["ada", "ben"].map(|user| relay.token(&["--user", user]));
    let ada = Person::with_store();
    ada.run(["put", "notes", "title=Milk"]).ok();
    ada.run(["connect", &relay.url(), "--token", &tokens[0]]).ok();
    relay.administer(&["space", "grant", &ada.space(), "ben", "reader"]);
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url(), "--token", &tokens[1]]).ok();
    assert_eq!(ben.titles(), ["Milk"], "the control: it may read");
    (relay, ada, ben, folder)
}

#[test]
fn who_may_only_read_is_told_with_each_edit_that_it_stays_here() {
    let (_relay, ada, ben, folder) = reader();
    let note = ben.run(["list", "notes", "--json"]).json()["id"].as_str().unwrap().to_owned();
    let (space, file) = (ben.space(), folder.path().join("notes.jsonl"));
    std::fs::write(&file, ada.run(["export"]).ok().replace("Milk", "Bread")).unwrap();
    let ada_put = ada.run(["put", "notes", &note, "title=Oats"]);
    assert!(ada_put.ok() == note && ada_put.err.is_empty(), "the control: an owner is not warned: {ada_put:?}");
    for line in [
        &["put", "notes", &note, "title=Tea"][..],
        &["edit", "notes", &note, "title=Rice"],
        &["undo", "notes", &note],
        &["redo", "notes", &note],
        &["restore", "notes", &note, "--to", "now"],
        &["delete", "notes", &note],
        &["restore", "notes", &note],
        &["import", file.to_str().unwrap()],
    ] {
        let is_nothing = line.contains(&"--to");
        let ran = ben.run(line);
        ran.ok();
        assert_eq!(ran.err.contains("this device may only read this space: "), !is_nothing, "{ran:?}");
        assert!(is_nothing || ran.err.contains(&format!("space leave {space} --discard`")), "{ran:?}");
        let is_step = line[0] == "undo" || line[0] == "redo";
        assert_eq!(ran.err.contains("What it was done to waits as well"), is_step, "{ran:?}");
    }
    for line in [&["purge", "notes", &note][..], &["purge", "notes", &note, "--yes"]] {
        let told = ben.run(line).failed(7).to_owned();
        assert!(told.contains("may only read the space") && told.contains("ask an owner"), "{told}");
    }
    ben.run(["delete", "notes", &note]).ok();
    for collection in [&[][..], &["notes"]] {
        let json = ben.run([&["trash", "--empty", "--yes", "--json"][..], collection].concat()).json();
        assert_eq!((&json["entities"], &json["skipped"]), (&0.into(), &1.into()), "{json}");
        let told = ben.run([&["trash", "--empty"][..], collection].concat()).ok().to_owned();
        assert!(told.contains("1 entity stays in the trash"), "{told}");
    }
    assert_eq!(ben.run(["--json", "trash"]).json()["id"], *note, "the control: it is still there");
    ben.run(["restore", "notes", &note]).ok();
    let quiet = ben.run(["-q", "put", "notes", "title=Salt"]);
    assert!(!quiet.ok().is_empty() && quiet.err.is_empty(), "{quiet:?}");
    let json = ben.run(["put", "notes", "title=Dill", "--json"]);
    assert!(json.err.is_empty() && json.json()["warning"].as_str().unwrap().contains("may only read"), "{json:?}");
    let json = ada.run(["put", "notes", &note, "title=Dill", "--json"]).json();
    assert_eq!(json.get("warning"), None, "the control: {json}");
}

#[test]
fn who_may_only_read_is_told_with_whatever_else_makes_changes_go_out() {
    let (relay, ada, ben, folder) = reader();
    let file = folder.path().join("unsent");
    let file = file.to_str().unwrap();
    ada.run(["put", "notes", "title=Bread"]).ok();
    ada.run(["hand-over", file]).ok();
    let lines =
        [&["direction", "notes", "both"][..], &["conflicts", "strategy", "notes", "newest"], &["take-over", file]];
    let quiet = ben.run(lines[0]);
    assert!(quiet.code == 0 && quiet.err.is_empty(), "the control: nothing waits: {quiet:?}");
    ben.run(["put", "notes", "title=Tea"]).ok();
    for line in lines {
        let ran = ben.run(line);
        ran.ok();
        assert!(ran.err.contains("this device may only read ") && ran.err.contains("--discard`"), "{ran:?}");
    }
    let again = ben.run(["take-over", file]);
    assert!(again.code == 0 && again.err.is_empty(), "all of it was here: {again:?}");
    relay.administer(&["space", "grant", &ben.space(), "ben", "writer"]);
    ben.run(["sync"]).ok();
    for line in lines {
        let ran = ben.run(line);
        assert!(ran.code == 0 && !ran.err.contains("may only read"), "the control: a writer: {ran:?}");
    }
}

#[test]
fn what_who_may_only_read_is_told_to_do_leaves_nothing_waiting() {
    let (relay, ada, ben, _folder) = reader();
    ben.run(["put", "notes", "title=Bread"]).ok();
    ben.run(["sync"]).failed(7);
    let space = ben.space();
    ben.run(["space", "leave", &space, "--discard"]).ok();
    ben.run(["space", "join", &space]).ok();
    ben.run(["sync"]).ok();
    let status = ben.run(["status", "--json"]).json();
    assert_eq!((&status["pending_changes"], ben.titles()), (&0.into(), vec!["Milk".to_owned()]), "{status}");
    relay.administer(&["space", "grant", &space, "ben", "writer"]);
    ben.run(["sync"]).ok();
    let written = ben.run(["put", "notes", "title=Bread"]);
    assert!(written.code == 0 && written.err.is_empty(), "a writer is not warned: {written:?}");
    ben.run(["sync"]).ok();
    ada.run(["sync"]).ok();
    assert_eq!(ada.titles(), ["Bread", "Milk"]);
}

#[test]
fn who_may_have_the_only_copy_is_not_told_to_give_it_up() {
    let (relay, _ada, ben, _folder) = reader();
    let space = ben.space();
    relay.administer(&["space", "remove", &space, "ben"]);
    ben.run(["sync"]).failed(7);
    let ran = ben.run(["put", "notes", "title=Bread"]);
    assert!(ran.err.contains("may only read") && !ran.err.contains("--discard"), "{ran:?}");
    let kept = ben.run(["space", "leave", &space]);
    assert!(kept.code != 0 && kept.err.contains("may be nowhere else") && kept.err.contains("--discard"), "{kept:?}");
    assert!(kept.err.contains(" export`") && !kept.err.contains(" sync`"), "no sync sends it: {kept:?}");
    let json: serde_json::Value = serde_json::from_str(&ben.run(["space", "leave", &space, "--json"]).err).unwrap();
    let next = json["next"].as_str().unwrap();
    assert!(next.contains(" export`") && !next.contains(" sync`"), "{json}");
}
