//! What a person is told whose session was ended, and what to do about it.

use crate::running::{Person, Relay};
use serde_json::{Value as Json, json};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Somebody with an unsent note, of whom the relay says this, and what the commands tell then.
fn ended(verb: &[&str], why: &str, words: &str, step: &str) -> (Relay, Person, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let token = relay.token(&["--user", "ada"]);
    let person = Person::with_store();
    person.run(["put", "notes", "title=first"]).ok();
    person.run(["connect", &relay.url(), "--token", &token]).ok();
    person.run(["put", "notes", "title=second"]).ok();
    let device = person.run(["status", "--json"]).json()["device"].as_str().unwrap().to_owned();
    // Who has just signed in is listed some seconds later.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !relay.administer(&["device", "list"]).iter().any(|listed| listed["id"] == device) {
        assert!(Instant::now() < deadline, "the relay does not list device {device}");
    }
    let verb: Vec<_> = verb.iter().map(|word| if *word == "DEVICE" { device.as_str() } else { word }).collect();
    relay.administer(&verb);

    let error = person.run(["sync", "--json"]).error(5);
    assert_eq!((&error["code"], &error["class"]), (&json!("sign_in_needed"), &json!("sign_in")));
    let says = |told: &Json, words: &str| assert!(told.as_str().unwrap().contains(words), "{words}: {told}");
    says(&error["error"], words);
    says(&error["next"], step);

    let status = person.run(["status", "--json"]).json();
    assert_eq!((&status["state"], &status["sign_in"]), (&json!("needs_sign_in"), &json!(why)));
    assert_eq!(status["pending_changes"], 1, "what is unsent is kept, and shown");
    says(&status["last_error"], words);
    let page = person.run(["status"]).ok().replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains(words) && page.contains(step), "{page}");

    let told = person.run(["explain", "--json"]).json();
    says(&told["now"], words);
    assert!(told["next"].as_str().unwrap().contains(step.split(',').next().unwrap()), "{told}");

    let doctor = person.run(["doctor", "--json"]);
    let checks: Vec<Json> = doctor.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let token = checks.iter().find(|check| check["check"] == "token").expect("a check of the token");
    assert_eq!(token["level"], "fail");
    says(&token["found"], words);
    says(&token["next"], step);
    let sync = |checks: &[Json]| checks.iter().find(|check| check["check"] == "sync").expect("a check of sync").clone();
    let beside = sync(&checks);
    assert_eq!(
        (&beside["level"], &beside["next"]),
        (&json!("warn"), &Json::Null),
        "the token says what to do: {beside}"
    );
    let offline = person.run(["doctor", "--offline", "--json"]);
    let checks: Vec<Json> = offline.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    says(&sync(&checks)["next"], step);
    (relay, person, folder)
}

#[test]
fn who_was_signed_out_is_told_so_and_goes_on_with_a_new_token() {
    for verb in [["device", "sign-out", "ada", "DEVICE"].as_slice(), &["user", "sign-out", "ada"]] {
        let (relay, person, _folder) = ended(verb, "signed_out", "this device was signed out", "get a new token");
        let answer = relay.administer(&["token", "create", "--user", "ada"]);
        person.run(["connect", &relay.url(), "--token", answer[0]["token"].as_str().unwrap()]).ok();
        let status = person.run(["status", "--json"]).json();
        assert_eq!(
            (&status["state"], &status["pending_changes"], &status["sign_in"]),
            (&json!("idle"), &json!(0), &Json::Null)
        );
    }
}

#[test]
fn whose_account_is_closed_is_told_who_opens_it_and_goes_on_with_the_same_token() {
    let verb = ["user", "disable", "ada"];
    let (relay, person, _folder) = ended(&verb, "account_closed", "the account is closed", "to open the account");
    relay.administer(&["user", "enable", "ada"]);
    person.run(["sync"]).ok();
    assert_eq!(person.run(["status", "--json"]).json()["pending_changes"], 0);
}

#[test]
fn a_wrong_token_is_told_apart_from_both() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let person = Person::with_store();
    let error = person.run(["connect", &relay.url(), "--token", "afield_wrong", "--json"]).error(5);
    assert!(error["error"].as_str().unwrap().contains("did not accept the token"), "{error}");
    assert!(error["next"].as_str().unwrap().starts_with("get a token"), "{error}");
    assert_eq!(person.run(["status", "--json"]).json()["sign_in"], "token_refused");
}

#[test]
fn who_looks_on_is_told_and_let_go_when_the_session_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let token = relay.token(&["--user", "ada"]);
    let person = Person::with_store();
    person.run(["put", "notes", "title=first"]).ok();
    person.run(["connect", &relay.url(), "--token", &token]).ok();
    for watching in [&["watch", "notes", "--sync"][..], &["presence"], &["status", "--watch", "--sync"]] {
        let before = relay.administer(&["session", "list"]).len();
        assert_eq!(before, 0, "the control: nobody is connected");
        let child = person.command(watching).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while relay.administer(&["session", "list"]).is_empty() {
            assert!(Instant::now() < deadline, "the relay does not list the session");
        }
        relay.administer(&["user", "sign-out", "ada"]);
        // It ends by itself, or the test does not.
        let ended = child.wait_with_output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(ended.status.code(), Some(5), "{told}");
        assert!(told.contains("this device was signed out") && told.contains("get a new token"), "{told}");
        assert!(!told.contains("trying again"), "{told}");
        assert_eq!(person.run(["status", "--json"]).json()["state"], "needs_sign_in");
        person.run(["put", "notes", "title=meanwhile"]).ok();
        let answer = relay.administer(&["token", "create", "--user", "ada"]);
        person.run(["connect", &relay.url(), "--token", answer[0]["token"].as_str().unwrap()]).ok();
        while !relay.administer(&["session", "list"]).is_empty() {
            assert!(Instant::now() < deadline, "the relay still lists a session");
        }
    }
}
