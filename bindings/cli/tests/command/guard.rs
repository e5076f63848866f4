//! How much may be deleted unasked.

use crate::running::Person;
use serde_json::{Value as Json, json};

/// What a guard is: how many deletions, and which share.
fn guard(person: &Person, more: &[&str]) -> (Json, Json) {
    let told = person.run(["guard", "--json"].iter().chain(more)).json();
    (told["deletions"].clone(), told["share"].clone())
}

#[test]
fn what_is_said_of_a_guard_adds_to_what_was_said_before() {
    let person = Person::with_store();
    assert_eq!(guard(&person, &["--deletions", "50"]), (json!(50), Json::Null));
    assert_eq!(guard(&person, &["--share", "20%"]), (json!(50), json!(0.2)), "the 50 stay");
    assert_eq!(guard(&person, &["--deletions", "7"]), (json!(7), json!(0.2)));
    assert_eq!(guard(&person, &[]), (json!(7), json!(0.2)));
    assert_eq!(guard(&person, &["--off"]), (Json::Null, Json::Null));
    assert_eq!(guard(&person, &["--share", "30%"]), (Json::Null, json!(0.3)), "and nothing comes back");
}

#[test]
fn a_collection_has_a_guard_of_its_own_until_that_is_taken_away() {
    let person = Person::with_store();
    guard(&person, &["--deletions", "50"]);
    let of_drafts = |more: &[&str]| guard(&person, &[&["--collection", "drafts"], more].concat());
    assert_eq!(of_drafts(&[]), (json!(50), Json::Null), "that of the space");
    assert_eq!(of_drafts(&["--share", "20%"]), (json!(50), json!(0.2)), "what held before still holds");
    assert_eq!(of_drafts(&["--off"]), (Json::Null, Json::Null));
    guard(&person, &["--deletions", "5"]);
    assert_eq!(of_drafts(&[]), (Json::Null, Json::Null), "it is its own");
    assert_eq!(of_drafts(&["--inherit"]), (json!(5), Json::Null));
    guard(&person, &["--deletions", "6"]);
    assert_eq!(of_drafts(&[]), (json!(6), Json::Null), "it follows the space again");
    assert_eq!(person.run(["guard", "--inherit"]).code, 2, "a space has nothing to inherit from");
    assert_eq!(person.run(["guard", "--collection", "drafts", "--inherit", "--off"]).code, 2);
}
