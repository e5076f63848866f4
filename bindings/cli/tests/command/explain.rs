//! Why a space is or is not in step, from where a person sits between two commands.

use crate::running::{Person, Relay};
use serde_json::json;

#[test]
fn a_store_with_a_relay_is_told_what_holds_and_which_command_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let person = Person::with_store();
    let explained = |now: &str, command: &str| {
        let ran = person.run(["explain"]);
        assert!(ran.ok().contains(now) && ran.out.contains(&person.proposed(command)), "{now}: {ran:?}");
        assert!(!ran.out.contains("until a relay is connected"), "{ran:?}");
        let told = person.run(["explain", "--json"]).json();
        assert!(told["now"].as_str().unwrap().contains(now), "{told}");
        assert!(told["next"].as_str().unwrap().contains(&person.proposed(command)), "{told}");
    };
    assert!(person.run(["explain"]).ok().contains(&person.proposed("connect URL")), "the control: no relay yet");
    person.run(["connect", &relay.url()]).ok();
    explained("in step as of", "sync");
    person.run(["put", "notes", "title=Milk"]).ok();
    explained("1 change waits to be sent", "sync");
    person.run(["schedule", "--every", "1h"]).ok();
    explained("1 change waits to be sent", "sync");
    assert!(person.run(["explain"]).ok().contains("every 1 h"));
    let start_again = relay.kill();
    person.run(["sync"]).failed(4);
    explained("the relay was not reached", "sync");
    let last = person.run(["explain", "--json"]).json()["runs"].clone();
    assert_eq!((&last[0]["outcome"], last[1]["outcome"].is_null()), (&json!("failed"), false), "{last}");
    drop(start_again);
}

#[test]
fn a_token_or_a_change_that_the_relay_refuses_is_what_explain_begins_with() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let person = Person::with_store();
    person.run(["connect", &relay.url(), "--token", "afield_mistyped"]).failed(5);
    let told = person.run(["explain"]);
    assert!(told.ok().contains("token") && told.out.contains(&person.proposed("connect")), "{told:?}");
    let unserved = Person::with_store();
    unserved.run(["connect", &relay.url(), "--token", &relay.token(&["--no-create-spaces"])]).failed(7);
    assert!(unserved.run(["explain"]).ok().contains("no such space"));

    let folder = tempfile::tempdir().unwrap();
    let (_relay, person) = Relay::that_refuses(folder.path());
    let told = person.run(["explain"]);
    assert!(told.ok().contains("the relay refuses changes of 1 entity"), "{told:?}");
    let last = &person.run(["explain", "--json"]).json()["runs"][0];
    assert_eq!(last["outcome"], json!("refused"), "{last}");
}

#[test]
fn each_sync_is_one_line_of_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let person = Person::with_store();
    person.run(["connect", &relay.url()]).ok();
    person.run(["sync"]).ok();
    person.run(["sync"]).ok();
    let told = person.run(["explain", "--json"]).json();
    let outcomes: Vec<_> = told["runs"].as_array().unwrap().iter().map(|run| &run["outcome"]).collect();
    assert_eq!(outcomes, [&json!("completed"); 3], "{told}");
    assert_eq!(told["last"].as_array().unwrap().len(), 3, "{told}");
}

#[test]
fn a_space_that_goes_one_way_is_not_said_to_send_or_to_fetch_what_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let person = Person::with_store();
    let told = |part: &str| person.run(["explain", "--json"]).json()[part].as_str().unwrap().to_owned();
    person.run(["direction", "drafts", "local"]).ok();
    person.run(["put", "drafts", "title=Mine"]).ok();
    person.run(["connect", &relay.url()]).ok();
    assert!(told("now").contains("1 change is held back"), "{}", told("now"));
    assert_eq!(told("directions"), "drafts stays on this device");
    assert!(person.run(["explain"]).ok().contains("\n  directions: drafts stays on this device\n"));
    assert!(told("next").contains("fetches what others wrote"), "others may write in other collections");

    // What is kept of a space at all is for an app to say.
    let replica = afield::Replica::open(person.store()).unwrap();
    replica.spaces().unwrap()[0].set_filter(afield::Filter::collections(["drafts"])).unwrap();
    drop(replica);
    assert!(told("now").starts_with("the space stays on this device"), "{}", told("now"));
    assert!(told("next").starts_with("nothing, as long as") && !told("next").contains("sync"), "{}", told("next"));

    person.run(["direction", "drafts", "push"]).ok();
    assert!(told("next").contains("sends what waits, and fetches nothing"), "{}", told("next"));
    person.run(["sync"]).ok();
    assert!(told("next").contains("has nothing to send, and fetches nothing"), "{}", told("next"));
    person.run(["direction", "drafts", "pull"]).ok();
    assert!(told("next").contains("fetches what others wrote") && !told("next").contains("sends what waits"));
}
