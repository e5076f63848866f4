//! What a signed-out device has not sent, and another device of the person that sends it.

use crate::running::{Person, Relay};
use serde_json::json;

#[test]
fn another_device_sends_what_a_signed_out_one_could_not() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let laptop = Person::with_store();
    laptop.run(["connect", &relay.url(), "--token", &relay.token(&["--user", "ada"])]).ok();
    let token = || relay.administer(&["token", "create", "--user", "ada"])[0]["token"].as_str().unwrap().to_owned();
    relay.administer(&["user", "sign-out", "ada"]);
    laptop.run(["put", "notes", "title=Milk"]).ok();
    assert!(laptop.run(["sync"]).failed(5).contains("hand-over FILE"));

    let file = folder.path().join("unsent").display().to_string();
    let handed = laptop.run(["hand-over", &file, "--json"]).json();
    assert_eq!(
        (&handed["changes"], &handed["entities"], &handed["spaces"]),
        (&json!(1), &json!(1), &json!([laptop.space()]))
    );
    assert!(laptop.run(["hand-over", &file]).failed(1).contains("nothing is overwritten"));
    let stranger = Person::with_store();
    let page = stranger.run(["take-over", &file]);
    assert!(page.ok().contains(&format!("space join {}", laptop.space())), "{page:?}");

    let phone = Person::joining(&laptop.space());
    phone.run(["connect", &relay.url(), "--token", &token()]).ok();
    assert!(phone.run(["take-over", &file]).ok().contains("1 change"));
    assert!(phone.run(["take-over", &file]).ok().contains("already"));
    phone.run(["sync"]).ok();
    let tablet = Person::joining(&laptop.space());
    tablet.run(["connect", &relay.url(), "--token", &token()]).ok();
    assert_eq!(tablet.titles(), ["Milk"]);
    laptop.run(["connect", &relay.url(), "--token", &token()]).ok();
    let status = laptop.run(["status", "--json"]).json();
    assert_eq!(
        (&status["pending_changes"], &status["spaces"][0]["sequence"]),
        (&json!(0), &json!(1)),
        "once in the log"
    );
}

#[test]
fn what_is_no_such_file_is_refused_with_what_is_wrong() {
    let person = Person::with_store();
    let file = person.folder().join("diary");
    std::fs::write(&file, "Dear diary").unwrap();
    let file = file.display().to_string();
    let error = person.run(["take-over", &file, "--json"]).error(1);
    assert!(error["error"].as_str().unwrap().contains("no device of this version has written it"), "{error}");
    person.run(["take-over", "/nowhere/unsent"]).failed(3);
}
