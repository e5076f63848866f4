//! Changing an entity, by fields or in an editor, which here is a script.

use crate::running::{Person, Ran};
use serde_json::{Value as Json, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A note with a field of every kind.
const NOTE: &str = r#"{"title": "Milk", "body": {"$text": "one\ntwo wörld"}, "votes": {"$counter": 3},
    "tags": ["food"], "at": {"$timestamp": 5}, "raw": {"$bytes": "00ff"}, "address": {"city": "Porto"}}"#;

fn note(person: &Person) -> String {
    person.run(["put", "notes", NOTE]).ok().to_owned()
}

fn value(person: &Person, id: &str) -> Json {
    person.run(["get", "notes", id, "--tagged", "--json"]).json()["value"].clone()
}

/// How many changes wait: what an edit wrote shows here.
fn changes(person: &Person) -> u64 {
    person.run(["status", "--json"]).json()["pending_changes"].as_u64().unwrap()
}

/// Edits with a script in the editor's place; `$1` is the file. Drafts are made in a folder that the test can look into.
fn edit<S: AsRef<OsStr>>(person: &Person, arguments: impl IntoIterator<Item = S>, script: &str) -> Ran {
    let path = person.folder().join("editor.sh");
    std::fs::write(&path, format!("set -eu\ncd '{}'\n{script}\n", person.folder().display())).unwrap();
    let drafts = drafts(person);
    std::fs::create_dir_all(&drafts).unwrap();
    let mut command = person.command(["edit"]);
    command.args(arguments).env("TMPDIR", &drafts).env("VISUAL", format!("sh '{}'", path.display()));
    Ran::from(command.env("EDITOR", "false").output().unwrap())
}

fn drafts(person: &Person) -> PathBuf {
    person.folder().join("drafts")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn fields_are_changed_without_an_editor_and_only_where_the_entity_is_there() {
    let person = Person::with_store();
    let id = note(&person);
    let ran = person.run(["edit", "notes", &id[30..], "title=Bread", "body~=one\ntwo world", "votes+=2", "--json"]);
    assert_eq!(ran.json(), json!({"id": id, "collection": "notes", "space": person.space(), "changed": true}));
    let edited = value(&person, &id);
    assert_eq!((&edited["title"], &edited["votes"]), (&json!("Bread"), &json!({"$counter": 5})));
    assert_eq!(edited["body"], json!({"$text": "one\ntwo world"}));
    assert_eq!(person.run(["edit", "notes", &id, "title=Bread", "--json"]).json()["changed"], false);
    person.run(["edit", "notes", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e", "title=x"]).failed(3);
    assert!(person.run(["edit", "notes", &id, "title", "x=y"]).failed(2).contains("afield put --help"));
    assert!(person.run(["edit", "notes", &id, "title+=1"]).failed(2).contains("no counter"));
}

#[test]
fn an_editor_gets_the_whole_entity_and_what_was_not_touched_stays_to_the_byte() {
    let person = Person::with_store();
    let id = note(&person);
    let before = value(&person, &id);
    let script = r#"cp "$1" seen; sed -i 's/"Milk"/"Bread"/; s/"two wörld"/"two wörlds", "three"/' "$1""#;
    assert_eq!(edit(&person, ["notes", &id], script).ok(), "Changed.");
    let seen = std::fs::read_to_string(person.folder().join("seen")).unwrap();
    assert!(seen.starts_with("// ") && seen.contains("\"one\",\n"), "a text stands there line by line: {seen}");
    let mut wanted = before;
    wanted["title"] = json!("Bread");
    wanted["body"] = json!({"$text": "one\ntwo wörlds\nthree"});
    assert_eq!(value(&person, &id), wanted);
    assert_eq!(files_below(&drafts(&person)), [""; 0].map(PathBuf::from), "no draft stays behind");
}

#[test]
fn an_editor_that_does_not_wait_is_told_from_one_in_which_nothing_was_changed() {
    let person = Person::with_store();
    let id = note(&person);
    let at_once = edit(&person, ["notes", &id], "true");
    assert_eq!(at_once.code, 0, "{at_once:?}");
    assert!(at_once.err.contains("'code --wait'"), "{at_once:?}");
    let changed_at_once = edit(&person, ["notes", &id], r#"sed -i 's/"Milk"/"Bread"/' "$1""#);
    assert_eq!((changed_at_once.code, changed_at_once.err.as_str()), (0, ""), "{changed_at_once:?}");
}

#[test]
fn what_was_left_as_it_was_and_what_an_editor_failed_with_write_nothing() {
    let person = Person::with_store();
    let id = note(&person);
    let (before, pending) = (value(&person, &id), changes(&person));
    for field in [None, Some("body"), Some("title"), Some("votes"), Some("absent")] {
        let arguments = ["notes", &id].into_iter().chain(field);
        let ran = edit(&person, arguments, "true");
        assert_eq!(ran.ok(), "Nothing changed.", "{field:?}");
    }
    let ran = edit(&person, ["notes", &id], "exit 3");
    assert!(ran.failed(1).contains("exit status: 3"), "{ran:?}");
    assert_eq!(files_below(&drafts(&person)).len(), 0);
    let ran = edit(&person, ["notes", &id], r#"sed -i s/Milk/Bread/ "$1"; exit 1"#);
    assert!(ran.failed(1).contains("what you wrote is kept in"), "{ran:?}");
    assert!(std::fs::read_to_string(&files_below(&drafts(&person))[0]).unwrap().contains("Bread"));
    assert_eq!((value(&person, &id), changes(&person)), (before, pending));
    assert_eq!(edit(&person, ["notes", &id], r#"sed -i s/Milk/Bread/ "$1""#).ok(), "Changed.", "the control");
    assert_eq!(changes(&person), pending + 1);
}

#[test]
fn a_text_field_is_plain_text_and_keeps_its_end() {
    let person = Person::with_store();
    let id = note(&person);
    let script = r#"test "$(cat "$1")" = "$(printf 'one\ntwo wörld')"; printf 'one\ntwo 👋🏽 wörld\n' >"$1""#;
    edit(&person, ["notes", &id, "body"], script).ok();
    assert_eq!(value(&person, &id)["body"], json!({"$text": "one\ntwo 👋🏽 wörld"}));
    edit(&person, ["notes", &id, "title"], r#"printf Bread >"$1""#).ok();
    edit(&person, ["notes", &id, "address.city"], r#"printf 'Lisbon\n' >"$1""#).ok();
    edit(&person, ["notes", &id, "new"], r#"printf 'new\n' >"$1""#).ok();
    edit(&person, ["notes", &id, "tags"], r#"sed -i 's/"food"/"food", "drink"/' "$1""#).ok();
    let edited = value(&person, &id);
    assert_eq!((&edited["title"], &edited["address"]["city"]), (&json!("Bread"), &json!("Lisbon")));
    assert_eq!((&edited["new"], &edited["tags"]), (&json!({"$text": "new"}), &json!(["food", "drink"])));
    let inside = edit(&person, ["notes", &id, "title.x"], "true");
    assert!(inside.failed(2).contains("no map or list"), "{inside:?}");
}

#[test]
fn what_others_changed_while_the_editor_was_open_stays() {
    let person = Person::with_store();
    let id = note(&person);
    let other = format!(
        "{} --quiet --store '{}' edit notes {id} 'body~=one\ntwo wörld, three' votes+=10 done:=true",
        env!("CARGO_BIN_EXE_afield"),
        person.store().display()
    );
    let script = format!(r#"{other}; sed -i 's/"one"/"ONE"/; s/"$counter": 3/"$counter": 4/; s/Milk/Bread/' "$1""#);
    edit(&person, ["notes", &id], &script).ok();
    let merged = value(&person, &id);
    assert_eq!(merged["body"], json!({"$text": "ONE\ntwo wörld, three"}));
    assert_eq!(
        (&merged["votes"], &merged["done"], &merged["title"]),
        (&json!({"$counter": 14}), &json!(true), &json!("Bread"))
    );
}

/// What the command has no words of its own for.
const PAGE: &str = r#"{"title": "Page",
    "rich": {"$richtext": [{"block": {"type": "heading", "attrs": {"level": 1, "cells": [{"$text": "x"}]}, "parents": []}},
        {"text": "bold", "marks": {"bold": true, "at": {"$timestamp": 5}}}, {"text": " and\nplain"}]},
    "long": {"$longtext": "once\nupon a time"}, "at": {"$timestamp": -5}, "raw": {"$bytes": "00ff"},
    "uint": {"$uint": 5}, "float": {"$float": "7ff8000000000001"},
    "deep": {"list": [[{"$counter": 1}, {"$text": "a"}], {"map": {"$richtext": [{"block": {}}]}}]}}"#;

fn page(person: &Person) -> (String, Json) {
    let id = person.run(["put", "pages", PAGE]).ok().to_owned();
    let stored = person.run(["get", "pages", &id, "--tagged", "--json"]).json()["value"].clone();
    assert_eq!(stored, serde_json::from_str::<Json>(PAGE).unwrap(), "what is put is there to the byte");
    (id, stored)
}

fn page_value(person: &Person, id: &str) -> Json {
    person.run(["get", "pages", id, "--tagged", "--json"]).json()["value"].clone()
}

#[test]
fn of_content_of_every_kind_only_what_was_changed_is_written() {
    let person = Person::with_store();
    let (id, mut wanted) = page(&person);
    for field in [None, Some("rich"), Some("long"), Some("raw"), Some("float"), Some("deep")] {
        let ran = edit(&person, ["pages", &id].into_iter().chain(field), "true");
        assert_eq!(ran.ok(), "Nothing changed.", "{field:?}");
    }
    assert_eq!(page_value(&person, &id), wanted);
    edit(&person, ["pages", &id], r#"sed -i s/Page/Sheet/ "$1""#).ok();
    wanted["title"] = json!("Sheet");
    assert_eq!(page_value(&person, &id), wanted, "everything else in the page stays");
    edit(&person, ["pages", &id], r#"sed -i 's/"plain"/"simple"/; s/"level": 1/"level": 2/' "$1""#).ok();
    wanted["rich"]["$richtext"][2]["text"] = json!(" and\nsimple");
    wanted["rich"]["$richtext"][0]["block"]["attrs"]["level"] = json!(2);
    assert_eq!(page_value(&person, &id), wanted, "what is in a text with marks and blocks is edited within it");
    edit(&person, ["pages", &id, "rich"], r#"sed -i 's/"bold": true/"italic": true/' "$1""#).ok();
    wanted["rich"]["$richtext"][1]["marks"] = json!({"italic": true, "at": {"$timestamp": 5}});
    assert_eq!(page_value(&person, &id), wanted);
    edit(&person, ["pages", &id, "long"], r#"test "$(head -1 "$1")" = once; echo more >>"$1""#).ok();
    wanted["long"] = json!({"$longtext": "once\nupon a time\nmore"});
    assert_eq!(page_value(&person, &id), wanted, "a long text is plain text in the editor, and stays long");
    person.run(["edit", "pages", &id, "long=short", "rich~=\u{fffc}bold words", "deep.list[0][0]+=2"]).ok();
    wanted["long"] = json!({"$longtext": "short"});
    wanted["rich"]["$richtext"].as_array_mut().unwrap()[2]["text"] = json!(" words");
    wanted["deep"]["list"][0][0] = json!({"$counter": 3});
    assert_eq!(page_value(&person, &id), wanted, "a text that is set keeps the marks and blocks of what remains");
}

#[test]
fn what_cannot_be_edited_is_told_and_left_as_it_is() {
    let person = Person::with_store();
    let (id, stored) = page(&person);
    for field in ["rich[0].attrs.level:=2", "long.x=1", "raw[0]:=1", "at+=1", "float.x=1"] {
        let ran = person.run(["edit", "pages", &id, "title=Other", field]);
        let told = ran.failed(2);
        assert!(
            told.contains("field 2") && (told.contains("no map or list") || told.contains("no counter")),
            "{ran:?}"
        );
    }
    for field in ["rich[0].type", "long.x", "raw[0]"] {
        assert!(edit(&person, ["pages", &id, field], "true").failed(2).contains("no map or list"), "{field}");
    }
    let script = r#"grep -q wrong "$1" || sed -i 's/"bold": true/"bold": {"wrong": 1}/' "$1""#;
    let ran = edit(&person, ["pages", &id], script);
    assert!(ran.code == 1 && ran.err.contains("what was edited cannot be read"), "{ran:?}");
    assert_eq!(page_value(&person, &id), stored);
    person.run(["edit", "pages", &id, "title=Other", "uint:=6"]).ok();
    assert_eq!(page_value(&person, &id)["title"], "Other", "the control");
}

#[test]
fn what_others_did_to_a_rich_text_while_the_editor_was_open_stays() {
    let person = Person::with_store();
    let (id, mut wanted) = page(&person);
    let rich = r#"{"$richtext": [{"block": {"type": "heading", "attrs": {"level": 3, "cells": [{"$text": "x"}]}, "parents": []}},
        {"text": "bold", "marks": {"bold": true, "at": {"$timestamp": 5}}}, {"text": " and\n"},
        {"text": "plain", "marks": {"link": "a"}}, {"text": "!"}]}"#;
    let other = format!(
        "{} --quiet --store '{}' edit pages {id} 'rich:={rich}' 'long=0 once\nupon a time'",
        env!("CARGO_BIN_EXE_afield"),
        person.store().display()
    );
    let script =
        format!(r#"{other}; sed -i 's/" and"/" and then"/; s/"heading"/"title"/; s/"once"/"once more"/' "$1""#);
    edit(&person, ["pages", &id], &script).ok();
    wanted["rich"] = serde_json::from_str(rich).unwrap();
    wanted["rich"]["$richtext"][0]["block"]["type"] = json!("title");
    wanted["rich"]["$richtext"][2]["text"] = json!(" and then\n");
    assert_eq!(page_value(&person, &id)["rich"], wanted["rich"]);
    assert_eq!(page_value(&person, &id)["long"], json!({"$longtext": "0 once more\nupon a time"}));
}

#[test]
fn a_line_that_looks_like_a_complaint_is_the_person_s_own() {
    let person = Person::with_store();
    let id = note(&person);
    edit(&person, ["notes", &id, "body"], r#"printf '// ! call Ann\nrest' >"$1""#).ok();
    assert_eq!(value(&person, &id)["body"], json!({"$text": "// ! call Ann\nrest"}));
    assert_eq!(edit(&person, ["notes", &id, "body"], "true").ok(), "Nothing changed.");
    assert_eq!(value(&person, &id)["body"], json!({"$text": "// ! call Ann\nrest"}));
}

#[test]
fn json_that_cannot_be_read_is_offered_again_with_its_line_and_never_lost() {
    let person = Person::with_store();
    let id = note(&person);
    let twice = r#"if test -e broken; then cp "$1" again; sed -i 's/"Bread" oops/"Bread"/' "$1"
        else touch broken; sed -i 's/"Milk"/"Bread" oops/' "$1"; fi"#;
    let ran = edit(&person, ["notes", &id], twice);
    assert_eq!(ran.ok(), "Changed.");
    assert!(ran.err.contains("it is opened again") && !ran.err.contains("oops"), "{ran:?}");
    let again = std::fs::read_to_string(person.folder().join("again")).unwrap();
    let (problem, _) = again.split_once('\n').unwrap();
    let line: usize = problem.strip_prefix("// ! line ").unwrap().split(':').next().unwrap().parse().unwrap();
    assert!(again.lines().nth(line - 1).unwrap().contains("oops"), "{again}");
    assert_eq!(value(&person, &id)["title"], "Bread");

    let ran = edit(&person, ["notes", &id], r#"grep -q broken "$1" || echo broken >"$1""#);
    assert!(ran.code == 1 && ran.err.contains("what was edited cannot be read: line 1"), "{ran:?}");
    let kept = files_below(&drafts(&person));
    assert!(kept.len() == 1 && ran.err.contains(kept[0].to_str().unwrap()), "{ran:?}");
    assert!(std::fs::read_to_string(&kept[0]).unwrap().contains("broken"));
    assert_eq!(value(&person, &id)["title"], "Bread");
}

#[test]
fn what_cannot_be_stored_is_kept_in_a_file_that_is_named() {
    let person = Person::with_store();
    let id = note(&person);
    let store = person.store();
    let script = format!(r#"mv '{0}' '{0}.away'; sed -i s/Milk/Bread/ "$1""#, store.display());
    let ran = edit(&person, ["notes", &id], &script);
    let kept = files_below(&drafts(&person));
    assert!(ran.failed(3).contains("there is no store") && ran.err.contains(kept[0].to_str().unwrap()), "{ran:?}");
    assert!(std::fs::read_to_string(&kept[0]).unwrap().contains("Bread"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(kept[0].parent().unwrap()).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else reads it");
    }
}

#[test]
fn the_store_is_free_while_the_editor_is_open() {
    let person = Person::with_store();
    let id = note(&person);
    let store = person.store();
    let afield = env!("CARGO_BIN_EXE_afield");
    let script = format!("{afield} --wait 0 --quiet --store '{}' put notes title=Other >id", store.display());
    assert_eq!(edit(&person, ["notes", &id], &script).ok(), "Nothing changed.");
    assert_eq!(person.titles(), ["Milk", "Other"]);
}

#[test]
fn an_editor_that_is_not_there_is_named_with_what_to_do() {
    let person = Person::with_store();
    let id = note(&person);
    let with = |visual: &str| {
        Ran::from(person.command(["edit", "notes", &id]).env("VISUAL", visual).env_remove("EDITOR").output().unwrap())
    };
    let ran = with("/nowhere/editor --wait");
    assert!(
        ran.failed(1).contains("/nowhere/editor could not be started") && ran.err.contains("next: set VISUAL"),
        "{ran:?}"
    );
    assert!(with("sh 'open").failed(1).contains("VISUAL is no command"));
}

#[test]
fn ctrl_c_in_the_editor_does_not_end_the_command_that_waits_for_it() {
    let person = Person::with_store();
    let id = note(&person);
    let ran = edit(&person, ["notes", &id], r#"kill -INT $PPID; sed -i s/Milk/Bread/ "$1""#);
    assert_eq!(ran.ok(), "Changed.");
    assert_eq!(value(&person, &id)["title"], "Bread");
}
