//! When a space is synced, and why it is not.

use crate::running::{Person, Relay};
use serde_json::json;

#[test]
fn a_schedule_is_set_shown_and_taken_away() {
    let person = Person::with_store();
    assert!(person.run(["schedule"]).ok().contains("in step all the time"));
    let set = person.run(["schedule", "--cron", "30 7 * * MON-FRI", "--zone", "Europe/Berlin", "--json"]).json();
    assert_eq!(set["schedule"], "30 7 * * MON-FRI (Europe/Berlin)");
    assert!(set["next_at_ms"].as_i64().unwrap() > 0);
    let status = person.run(["status", "--json"]).json();
    assert_eq!(status["spaces"][0]["schedule"], set["schedule"]);
    assert!(person.run(["status"]).ok().contains("30 7 * * MON-FRI"));
    assert!(person.run(["schedule", "Home", "--every", "2h"]).ok().contains("every 2 h"));
    person.run(["schedule", "--off"]).ok();
    assert_eq!(person.run(["schedule", "--json"]).json()["schedule"], json!(null));
}

#[test]
fn the_next_time_is_when_it_is_due_and_not_a_whole_interval_from_whenever_somebody_asks() {
    let person = Person::with_store();
    let set = person.run(["schedule", "--every", "1h", "--json"]).json();
    let again = person.run(["schedule", "--json"]).json();
    let status = person.run(["status", "--json"]).json()["spaces"][0]["next_at_ms"].clone();
    assert!(set["next_at_ms"].is_i64(), "{set}");
    assert_eq!((&again["next_at_ms"], &status), (&set["next_at_ms"], &set["next_at_ms"]));
    // As if it had been set long ago, and nothing had run since.
    let store = rusqlite::Connection::open(person.store()).unwrap();
    assert_eq!(store.execute("UPDATE sync_settings SET started_ms = 1", []).unwrap(), 1);
    drop(store);
    assert!(person.run(["schedule"]).ok().contains("every 1 h, due now"));
    assert!(person.run(["status"]).ok().contains("every 1 h, due now"));
}

#[test]
fn what_cannot_be_a_schedule_is_refused_with_the_reason() {
    let person = Person::with_store();
    let refused = |arguments: &[&str]| person.run([&["schedule"], arguments].concat()).error(2)["error"].to_string();
    assert!(refused(&["--cron", "0 0 30 2 *", "--json"]).contains("never fires"));
    let expression = refused(&["--cron", "often", "--json"]);
    assert!(expression.contains("not a cron expression") && !expression.contains("Pattern"), "{expression}");
    assert!(refused(&["--cron", "0 0 * * *", "--zone", "Nowhere", "--json"]).contains("not a time zone"));
    assert!(refused(&["--every", "5s", "--json"]).contains("once a minute"));
    let every = person.run(["schedule", "--every", "often"]);
    assert!(every.code == 2 && every.err.contains("such as 10min or 2h"), "{every:?}");
    person.run(["schedule", "Elsewhere", "--off"]).failed(3);
}

#[test]
fn sync_goes_through_whatever_the_schedule_and_explain_says_how_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let person = Person::with_store();
    assert!(person.run(["explain"]).ok().contains("sync is off"));
    person.run(["schedule", "--every", "1h"]).ok();
    person.run(["put", "notes", "title=Milk"]).ok();
    person.run(["connect", &relay.url()]).ok();
    let explained = person.run(["explain", "--json"]).json();
    let run = explained["runs"].as_array().unwrap().iter().find(|run| run["outcome"] == "completed").unwrap().clone();
    assert_eq!((&run["trigger"], &run["reason"]), (&json!("manual"), &json!("asked")), "{explained}");
    assert!(run["figures"]["changes_sent"].as_u64().unwrap() > 0, "{run}");
    assert!(person.run(["explain"]).ok().contains("somebody asked: in step after"));

    let start_again = relay.kill();
    person.run(["sync"]).failed(4);
    assert!(person.run(["explain"]).ok().contains("failed: "));
    drop(start_again);
}
