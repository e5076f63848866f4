//! Asking for entities by what they hold.

use crate::running::Person;
use serde_json::{Value, json};

fn shop() -> Person {
    let person = Person::with_store();
    for fields in [
        ["title=Milk", "price:=3", "done:=false", "body~=whole milk"],
        ["title=Bread", "price:=2.5", "done:=true", "body~=with milk and salt"],
        ["title=Käse", "price:=7", "done:=false", "body~="],
    ] {
        person.run(["put", "goods"].into_iter().chain(fields)).ok();
    }
    person
}

fn titles(out: &str) -> Vec<String> {
    let title =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["value"]["title"].as_str().unwrap().to_owned();
    out.lines().map(title).collect()
}

#[test]
fn query_prints_what_meets_a_condition_in_the_order_asked_for() {
    let person = shop();
    let asked = |rest: &[&str]| {
        let all = ["query", "goods"].iter().chain(rest).chain(&["--json"]).copied().collect::<Vec<_>>();
        titles(person.run(all).ok())
    };
    assert_eq!(asked(&[]), ["Milk", "Bread", "Käse"]);
    assert_eq!(asked(&["done = 0 AND price > ?", "--param", "3.5"]), ["Käse"]);
    assert_eq!(asked(&["title = ?", "--param", "Bread"]), ["Bread"]);
    assert_eq!(asked(&["done", "--order-by", "price"]), ["Bread"]);
    assert_eq!(asked(&["--order-by", "done:desc", "--order-by", "price", "--limit", "2"]), ["Bread", "Milk"]);
    assert_eq!(asked(&["--order-by", "price", "--offset", "2"]), ["Käse"]);
    assert_eq!(person.run(["query", "goods", "price < 5", "--count"]).ok(), "2");
    assert_eq!(person.run(["query", "goods", "--sum", "price", "--json"]).json(), json!({"sum": 12.5}));
    let lines = person.run(["query", "goods", "price = 7"]);
    assert!(lines.ok().contains("\t{") && lines.ok().contains("Käse"), "{lines:?}");
}

#[test]
fn a_query_that_is_none_is_a_wrong_command_line_and_says_where() {
    let person = shop();
    let mistake = person.run(["query", "goods", "done = 0 AND prise > 3"]);
    let told = mistake.failed(2);
    assert!(told.contains("column 14") && told.contains("did you mean \"price\"?"), "{told}");
    assert!(person.run(["query", "goods", "price = ?"]).failed(2).contains("1 question mark, and 0 values were given"));
    assert!(person.run(["query", "goods", "1 = 1; DROP TABLE changes"]).failed(2).contains("column 6"));
    assert_eq!(titles(person.run(["query", "goods", "--json"]).ok()).len(), 3);
}

#[test]
fn an_index_is_added_once_used_listed_and_dropped() {
    let person = shop();
    assert_eq!(person.run(["index", "add", "goods", "price", "--json"]).json()["added"], true);
    assert_eq!(person.run(["index", "add", "goods", "price", "--json"]).json()["added"], false);
    let plan = person.run(["query", "goods", "price > 3", "--plan"]);
    assert!(plan.ok().contains("USING INDEX query_1"), "{plan:?}");
    person.run(["index", "add", "goods", "title", "body", "--text"]).ok();
    let listed = person.run(["index", "list", "goods", "--json"]);
    let listed: Vec<Value> = listed.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected =
        [json!({"kind": "index", "fields": ["price"]}), json!({"kind": "text", "fields": ["title", "body"]})];
    assert_eq!(listed, expected);
    assert_eq!(person.run(["index", "drop", "goods", "price", "--json"]).json()["dropped"], true);
    assert_eq!(person.run(["index", "drop", "goods", "--text", "--json"]).json()["dropped"], true);
    assert_eq!(person.run(["index", "list", "goods"]).ok(), "");
}

#[test]
fn search_finds_words_once_it_is_told_which_fields_hold_them() {
    let person = shop();
    let undeclared = person.run(["search", "goods", "milk"]);
    assert!(undeclared.failed(2).contains("search fields"), "{undeclared:?}");
    assert!(undeclared.failed(2).contains(&person.proposed("index add goods FIELD --text")), "{undeclared:?}");
    person.run(["index", "add", "goods", "title", "body", "--text"]).ok();
    let found = person.run(["search", "goods", "milk", "salt", "--json"]).json();
    assert_eq!((&found["value"]["title"], &found["snippet"]), (&json!("Bread"), &json!("with milk and salt")));
    assert_eq!(found["matches"], json!([[5, 9], [14, 18]]));
    assert_eq!(titles(person.run(["search", "goods", "kas", "--prefix", "--json"]).ok()), ["Käse"]);
    let either = person.run(["search", "goods", "--expression", "kase OR salt", "--json"]);
    assert_eq!(titles(either.ok()).len(), 2);
    person.run(["search", "goods", "--expression", "milk AND"]).failed(2);
    assert_eq!(person.run(["search", "goods", "\"milk OR ("]).ok().lines().count(), 0);
}

#[test]
fn a_field_that_no_entity_has_is_refused_with_the_fields_that_there_are() {
    let person = shop();
    let asked = |rest: &[&str]| person.run(["query", "goods"].iter().chain(rest));
    for unknown in [&["zzqqx = 1"][..], &["zzqqx", "--count"], &["--order-by", "blabla"], &["--sum", "blubb"]] {
        let ran = asked(unknown);
        let told = ran.failed(2);
        assert!(told.contains("there is no field") && told.contains("body, done, price, title"), "{told}");
    }
    asked(&["price > 3", "--order-by", "_updated_ms:desc"]).ok();
    assert_eq!(person.run(["query", "drafts", "zzqqx = 1"]).ok(), "", "no entity has a field yet");
    person.run(["index", "add", "goods", "due"]).ok();
    assert_eq!(asked(&["due > 5"]).ok(), "", "a field that was declared is known");
}

#[test]
fn a_text_whose_quotes_were_forgotten_is_told_with_them() {
    let person = shop();
    for condition in
        ["title = Shopping", "price = 3 AND title<>Shopping", "title LIKE Shopping", "title = \"Shopping\""]
    {
        let ran = person.run(["query", "goods", condition]);
        assert!(ran.failed(2).contains("'Shopping'"), "{condition}: {ran:?}");
    }
    let field = person.run(["query", "goods", "Shopping = title"]);
    assert!(!field.failed(2).contains("'Shopping'"), "a field may be meant: {field:?}");
}
