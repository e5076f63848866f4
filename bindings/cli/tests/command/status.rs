//! What is known of each space.

use crate::running::{Person, Relay};
use serde_json::json;

#[test]
fn each_space_carries_its_state_and_what_is_wrong_with_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let person = Person::with_store();
    let states = || {
        let status = person.run(["status", "--json"]).json();
        let spaces = status["spaces"].as_array().unwrap().iter();
        spaces.map(|space| (space["state"].as_str().unwrap().to_owned(), space["error"].is_null())).collect::<Vec<_>>()
    };
    assert_eq!(states(), [("disabled".to_owned(), true)]);
    person.run(["connect", &relay.url(), "--token", &relay.token(&["--user", "ada"])]).ok();
    assert_eq!(states(), [("idle".to_owned(), true)]);
    // A space that another user has made is not for this token.
    let other = Person::with_store();
    other.run(["put", "notes", "title=Milk"]).ok();
    other.run(["connect", &relay.url(), "--token", &relay.token(&["--user", "other"])]).ok();
    person.run(["space", "join", &other.space(), "--name", "Theirs"]).ok();
    person.run(["sync"]).failed(7);
    assert_eq!(states(), [("idle".to_owned(), true), ("blocked".to_owned(), false)]);
    let shown = person.run(["status"]);
    assert!(shown.ok().contains("no such space"), "{shown:?}");
    let start_again = relay.kill();
    person.run(["sync"]).failed(4);
    assert_eq!(states()[0], ("offline".to_owned(), false));
    drop(start_again);
}

#[test]
fn the_spaces_of_a_token_that_may_not_make_any_are_blocked_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let token = relay.token(&["--no-create-spaces"]);
    let person = Person::with_store();
    person.run(["connect", &relay.url(), "--token", &token]).failed(7);
    let status = person.run(["status", "--json"]).json();
    assert_eq!((&status["state"], &status["spaces"][0]["state"]), (&json!("blocked"), &json!("blocked")), "{status}");
    assert!(status["spaces"][0]["error"].as_str().unwrap().contains("no such space"), "{status}");
}

#[test]
fn the_plain_status_fits_80_columns_whatever_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(folder.path(), "127.0.0.1:0", &["--insecure-open", "--space-chunks-max", "1"]);
    let person = Person::with_store();
    let fits = |what: &str| {
        let ran = person.run(["status"]);
        let text = ran.ok().replace(person.folder().to_str().unwrap(), "");
        let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= 80, "{what}: {widest}");
    };
    fits("new");
    person.run(["put", "notes", "title=first"]).ok();
    person.run(["connect", &relay.url()]).ok();
    fits("in step");
    person.run(["put", "notes", "title=second"]).ok();
    person.run(["sync"]).failed(7);
    fits("refused");
    drop(relay);
    person.run(["sync"]).failed(4);
    fits("offline");
}
