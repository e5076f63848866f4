//! Stores that meet through a real relay.

use crate::running::{Person, Relay, answering};
use serde_json::json;

#[test]
fn two_stores_that_sync_through_a_relay_hold_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    ada.run(["put", "notes", "title=Adas"]).ok();
    let connected = ada.run(["connect", &relay.url(), "--json"]).json();
    assert_eq!((&connected["relay"], &connected["changes_sent"]), (&json!(relay.url()), &json!(1)), "{connected}");
    let ben = Person::joining(&ada.space());
    let connected = ben.run(["connect", &relay.url(), "--json"]).json();
    assert_eq!((&connected["changes_sent"], &connected["changes_received"]), (&json!(0), &json!(1)), "{connected}");
    ben.run(["put", "notes", "title=Bens"]).ok();
    assert!(ben.run(["sync"]).ok().contains("1 change"));
    ada.run(["sync"]).ok();
    assert_eq!(ada.titles(), ["Adas", "Bens"]);
    assert_eq!(ben.titles(), ["Adas", "Bens"]);
    let status = ada.run(["status", "--json"]).json();
    assert_eq!(
        (&status["state"], &status["pending_changes"], &status["relay"]),
        (&json!("idle"), &json!(0), &json!(relay.url()))
    );
    assert!(status["last_synced_ms"].is_i64());
    assert_eq!(status["spaces"][0]["sequence"], 2);
}

#[test]
fn both_keep_what_they_wrote_to_the_same_entity() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    let ran = ada.run(["put", "notes", "title=Milk", "body~=middle", "votes+=1"]);
    let id = ran.ok();
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    ada.run(["put", "notes", id, "body=start middle", "votes+=2", "a=1"]).ok();
    ben.run(["put", "notes", id, "body=middle end", "votes+=3", "b=2"]).ok();
    for person in [&ada, &ben, &ada] {
        person.run(["sync"]).ok();
    }
    let merged = json!({"title": "Milk", "body": "start middle end", "votes": 6, "a": "1", "b": "2"});
    for person in [&ada, &ben] {
        assert_eq!(person.run(["get", "notes", id, "--json"]).json()["value"], merged);
    }
}

#[test]
fn one_file_that_two_import_before_they_meet_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let from = Person::with_store();
    let ran = from.run(["put", "notes", "title=Milk", "body~=one text", "votes+=3", r#"tags:=["a","b"]"#]);
    let (id, file) = (ran.ok(), from.folder().join("all.jsonl"));
    let file = file.to_str().unwrap();
    from.run(["export", "--output", file]).ok();

    let ada = Person::with_store();
    let ben = Person::joining(&ada.space());
    for person in [&ada, &ben] {
        person.run(["import", file]).ok();
        person.run(["put", "notes", id, "votes+=1"]).ok();
    }
    for person in [&ada, &ben] {
        person.run(["connect", &relay.url()]).ok();
    }
    for person in [&ada, &ben] {
        person.run(["sync"]).ok();
        let value = &person.run(["get", "notes", id, "--json"]).json()["value"];
        assert_eq!(*value, json!({"title": "Milk", "body": "one text", "votes": 5, "tags": ["a", "b"]}));
        let status = person.run(["status", "--json"]).json();
        assert_eq!((&status["state"], &status["pending_changes"]), (&json!("idle"), &json!(0)), "{status}");
    }
}

#[test]
fn a_relay_that_is_not_reached_exits_with_4_and_is_tried_by_the_next_sync() {
    let person = Person::with_store();
    // A port that was free a moment ago, and that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = person.run(["connect", &format!("ws://{free}"), "--json"]).error(4);
    assert_eq!((&error["code"], &error["class"]), (&json!("relay_unreachable"), &json!("retry")));
    assert!(person.relay_file().exists(), "what waits is sent later");
    person.run(["sync"]).failed(4);
    assert_eq!(person.run(["status", "--json"]).json()["state"], "offline");
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(folder.path(), &free.to_string(), &["--insecure-open"]);
    person.run(["sync"]).ok();
    let error = person.run(["connect", "ws://127.0.0.1:1", "--json"]).error(4);
    assert!(error["error"].as_str().unwrap().contains(&format!("stays connected to {}", relay.url())), "{error}");
    person.run(["sync"]).ok();
}

#[test]
fn a_wrong_token_does_not_replace_the_one_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let token = relay.token(&[]);
    let person = Person::with_store();
    person.run(["connect", &relay.url(), "--token", "afield_mistyped"]).failed(5);
    person.run(["sync"]).failed(5);
    person.run(["connect", &relay.url(), "--token", &token]).ok();
    assert!(person.run(["connect", &relay.url(), "--token", "afield_wrong"]).failed(5).contains("stays connected to"));
    person.run(["sync"]).ok();
}

#[cfg(unix)]
#[test]
fn an_attempt_at_another_relay_that_is_interrupted_leaves_the_one_that_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = format!("ws://{}", silent.local_addr().unwrap());
    let interrupted = |person: &Person| {
        let mut child = person.command(["connect", &other, "--token", "other"]).spawn().unwrap();
        let _connection = silent.accept().unwrap();
        let process = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
    };
    let person = Person::with_store();
    person.run(["connect", &relay.url()]).ok();
    let before = std::fs::read_to_string(person.relay_file()).unwrap();
    interrupted(&person);
    assert_eq!(std::fs::read_to_string(person.relay_file()).unwrap(), before);
    person.run(["sync"]).ok();
    let new = Person::with_store();
    interrupted(&new);
    assert!(std::fs::read_to_string(new.relay_file()).unwrap().contains(&other), "a first relay is remembered");
}

#[test]
fn a_relay_that_went_away_leaves_changes_waiting_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let person = Person::with_store();
    person.run(["connect", &relay.url()]).ok();
    let start_again = relay.kill();
    person.run(["put", "notes", "title=Milk"]).ok();
    person.run(["sync"]).failed(4);
    let status = person.run(["status", "--json"]).json();
    assert_eq!((&status["state"], &status["pending_changes"]), (&json!("offline"), &json!(1)));
    let _relay = start_again();
    person.run(["sync"]).ok();
    let status = person.run(["status", "--json"]).json();
    assert_eq!(
        (&status["state"], &status["pending_changes"], &status["last_error"]),
        (&json!("idle"), &json!(0), &json!(null))
    );
}

#[test]
fn a_token_lets_in_is_remembered_for_its_owner_only_and_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let token = relay.token(&[]);
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    for wrong in
        [&["connect", &relay.url(), "--json"][..], &["connect", &relay.url(), "--json", "--token", "afield_wrong"]]
    {
        let error = person.run(wrong).error(5);
        assert_eq!((&error["code"], &error["class"]), (&json!("sign_in_needed"), &json!("sign_in")), "{error}");
    }
    let file = person.folder().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let ran = person.run(["-vvv", "connect", &relay.url(), "--token-file", file.to_str().unwrap()]);
    ran.ok();
    assert!(!ran.out.contains(&token) && !ran.err.contains(&token), "{ran:?}");
    let status = person.run(["status"]);
    assert!(status.ok().contains(&relay.url()) && !status.out.contains(&token), "{status:?}");
    person.run(["sync"]).ok();
    assert!(
        std::fs::read_to_string(person.relay_file()).unwrap().contains(&token),
        "it is kept where it was said to be"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(person.relay_file()).unwrap().permissions().mode() & 0o777, 0o600);
    }
    person.run(["connect", "--off"]).ok();
    assert!(!person.relay_file().exists());
    person.run(["sync"]).failed(3);
    let environment = person.command(["connect", &relay.url()]).env("AFIELD_TOKEN", &token).output().unwrap();
    assert!(environment.status.success());
    let beside = ["connect", &relay.url(), "--token-file", file.to_str().unwrap()];
    let beside = person.command(beside).env("AFIELD_TOKEN", "afield_wrong").output().unwrap();
    assert!(beside.status.success(), "what the command line says counts");
    let help = person.command(["connect", "--help"]).env("AFIELD_TOKEN", &token).output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains(&token));
}

#[test]
fn a_space_that_the_token_may_not_use_is_refused_with_7_and_the_relay_stays_known() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let token = relay.token(&["--no-create-spaces"]);
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let error = person.run(["connect", &relay.url(), "--token", &token, "--json"]).error(7);
    assert_eq!(error["code"], "refused", "{error}");
    assert!(person.relay_file().exists(), "the relay let this device in");
    let status = person.run(["status", "--json"]).json();
    assert_eq!((&status["state"], &status["pending_changes"]), (&json!("blocked"), &json!(1)));
    let may_create = relay.token(&[]);
    person.run(["connect", &relay.url(), "--token", &may_create]).ok();
}

#[test]
fn a_large_change_that_waits_is_sent_at_the_first_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    for bytes in [10_000, 60_000, 300_000] {
        let person = Person::with_store();
        let value = json!({"title": "x".repeat(bytes)}).to_string();
        person.run_with(["put", "notes", "-"], &value).ok();
        let connected = person.run(["connect", &relay.url(), "--json"]).json();
        assert_eq!((&connected["changes_sent"], &connected["traffic"]["sessions"]), (&json!(1), &json!(1)), "{bytes}");
    }
}

#[test]
fn changes_that_the_relay_refuses_stay_here_and_are_told_with_7() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(folder.path(), "127.0.0.1:0", &["--insecure-open", "--space-chunks-max", "1"]);
    let person = Person::with_store();
    person.run(["put", "notes", "title=first"]).ok();
    person.run(["connect", &relay.url()]).ok();
    person.run(["put", "notes", "title=second"]).ok();
    let error = person.run(["sync", "--json"]).error(7);
    assert_eq!((&error["code"], &error["class"]), (&json!("refused"), &json!("quota")), "{error}");
    assert!(
        error["error"].as_str().unwrap().contains("1 entity; they stay stored here: the space has reached its quota")
    );
    let shown = person.run(["status"]);
    assert!(shown.ok().contains("the space has reached its quota"), "{shown:?}");
    let status = person.run(["status", "--json"]).json();
    assert_eq!((&status["state"], &status["blocked_entities"]), (&json!("blocked"), &json!(1)), "{status}");
    assert_eq!(
        status["refusals"],
        json!([{"space": person.space(), "code": 12, "class": "quota", "entities": 1,
            "reason": "the space has reached its quota"}])
    );
    assert_eq!(person.titles(), ["first", "second"]);
}

#[test]
fn what_answers_and_is_no_relay_is_told_and_tried_again() {
    let url = answering("404 Not Found");
    let person = Person::with_store();
    let ran = person.run(["connect", &url]);
    assert!(ran.failed(4).contains("check its path") && ran.err.contains("check the address"), "{ran:?}");
    assert_eq!(person.run(["status", "--json"]).json()["state"], "offline", "not stopped for good");
}

#[test]
fn an_address_that_is_none_is_a_mistake_of_usage() {
    let person = Person::with_store();
    for wrong in ["relay.example.org", "ws://example.org", "wss://user:secret@example.org", "ftp://example.org"] {
        let ran = person.run(["connect", wrong]);
        assert!(!ran.failed(2).contains("secret"), "{ran:?}");
    }
    assert!(!person.relay_file().exists());
}

#[test]
fn sync_says_when_the_file_about_the_relay_is_not_its_own() {
    let person = Person::with_store();
    std::fs::write(person.relay_file(), "{").unwrap();
    assert!(person.run(["sync"]).failed(1).contains("afield connect"));
}

#[test]
fn a_store_without_a_relay_is_told_to_connect_with_a_token_that_nobody_else_sees() {
    let person = Person::with_store();
    for arguments in [&["sync"][..], &["sync", "--dry-run"], &["watch", "notes", "--sync"]] {
        let ran = person.run(arguments);
        assert!(ran.failed(3).contains(&person.proposed("connect URL --token-file FILE")), "{ran:?}");
    }
}

#[test]
fn a_dry_run_says_what_the_sync_then_does_and_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    ada.run(["sync", "--dry-run"]).failed(3);
    let ran = ada.run(["put", "notes", "title=Milk"]);
    let id = ran.ok();
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    ben.run(["delete", "notes", id]).ok();
    ben.run(["sync"]).ok();
    ada.run(["put", "notes", "title=Bread"]).ok();

    let plan = ada.run(["sync", "--dry-run", "--json"]).json();
    let (send, receive) = (&plan["send"], &plan["receive"]);
    assert_eq!((&send["changes"], &send["list"][0]["effect"]), (&json!(1), &json!("new")), "{plan}");
    assert_eq!((&receive["changes"], &receive["deletions"]), (&json!(1), &json!(1)), "{plan}");
    assert_eq!((&receive["list"][0]["entity"], &receive["list"][0]["effect"]), (&json!(id), &json!("deleted")));
    let ran = ada.run(["sync", "--dry-run"]);
    let shown = ran.ok();
    assert!(shown.contains("1 deletion") && shown.contains("nothing was sent or changed"), "{shown}");
    assert_eq!(ada.titles(), ["Bread", "Milk"], "nothing was deleted here");
    assert_eq!(ada.run(["status", "--json"]).json()["pending_changes"], 1, "and nothing sent");
    ada.run(["sync"]).ok();
    assert_eq!(ada.titles(), ["Bread"]);

    let start_again = relay.kill();
    ada.run(["put", "notes", "title=Eggs"]).ok();
    let ran = ada.run(["sync", "--dry-run", "--json"]);
    assert_eq!(ran.code, 4, "what would be sent is known all the same");
    drop(start_again);
}

#[test]
fn a_first_connect_that_fails_says_that_the_relay_is_remembered_and_whether_a_token_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let person = Person::with_store();
    let without = person.run(["connect", &relay.url()]);
    assert!(without.failed(5).contains("no token was given") && without.err.contains("is remembered"), "{without:?}");
    let wrong = person.run(["connect", &relay.url(), "--token", "afield_mistyped"]);
    assert!(!wrong.failed(5).contains("no token was given") && wrong.err.contains("is remembered"), "{wrong:?}");
    let unreached = Person::with_store();
    let nobody = unreached.run(["connect", "ws://127.0.0.1:1"]);
    assert!(nobody.failed(4).contains("ws://127.0.0.1:1 is remembered"), "{nobody:?}");
    assert!(nobody.err.contains(&unreached.proposed("sync")), "{nobody:?}");
}
