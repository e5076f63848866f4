//! What a person is told to do next.

use crate::running::{Person, Ran, afield};

#[test]
fn every_common_mistake_comes_with_what_to_do_next() {
    let person = Person::with_store();
    let folder = person.folder().to_str().unwrap().to_owned();
    let other = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    let cases: [(&[&str], i32, &str); 14] = [
        (&["put", "bad name", "a=b"], 2, "choose a name such as"),
        (&["get", "bad name", other], 2, "choose a name such as"),
        (&["list", "bad name"], 2, "choose a name such as"),
        (&["watch", "bad name"], 2, "choose a name such as"),
        (&["trash", "bad name"], 2, "choose a name such as"),
        (&["delete", "bad name", other], 2, "choose a name such as"),
        (&["connect", "ws://127.0.0.1:9", "--token-file", "/nowhere/token"], 3, "relay token create"),
        (&["connect", "ws://127.0.0.1:9", "--token", "two words"], 2, "on one line"),
        (&["connect", "ws://127.0.0.1:9", "--ca", "/nowhere/ca.pem"], 3, "check the path"),
        (&["import", "/nowhere/file"], 3, "check the path"),
        (&["import", &folder], 1, "next:"),
        (&["export", "--output", "/nowhere/file"], 3, "check the path"),
        (&["put", "notes", "[1]"], 1, "put --help"),
        (&["watch", "notes", "--sync"], 3, "connect URL"),
    ];
    for (arguments, code, next) in cases {
        let ran = person.run(arguments);
        let told = ran.failed(code);
        let (_, hint) = told.split_once("\n  next: ").unwrap_or_else(|| panic!("{arguments:?}: {told}"));
        assert!(told.contains(next) && !hint.trim().is_empty(), "{arguments:?}: {told}");
        let error = person.run(arguments.iter().chain(&["--json"])).error(code);
        assert!(error["next"].is_string(), "{arguments:?}: {error}");
    }
}

#[test]
fn an_error_says_its_causes_each_once() {
    let person = Person::with_store();
    let ran = person.run(["import", "/nowhere/file"]);
    assert_eq!(ran.failed(3).matches("No such file").count(), 1, "{ran:?}");
    let large = format!("title={}", "x".repeat(100_000));
    let chunk: Vec<String> = (0..8).map(|number| format!("f{number}{large}")).collect();
    let ran = person.run(["put", "notes"].map(str::to_owned).iter().chain(&chunk));
    let told = ran.failed(1);
    assert!(told.contains("bytes") && told.contains("$text"), "why it was refused, and what to do: {told}");
    assert!(!told.contains("xxx"), "and no content");
}

#[test]
fn proposed_commands_repeat_the_store_and_the_space_that_were_typed() {
    let person = Person::new();
    let store = person.store();
    let with_store = format!("afield --store {} ", store.display());
    let ran = person.run(["init"]);
    for command in ["put notes", "connect URL"] {
        assert!(ran.ok().contains(&format!("{with_store}{command}")), "{ran:?}");
    }
    let by_environment =
        |arguments: &[&str]| Ran::from(afield().args(arguments).env("AFIELD_STORE", &store).output().unwrap());
    assert!(by_environment(&["init"]).ok().contains("\n      afield put notes"), "what is set needs no repeating");
    let id = person.run(["put", "notes", "title=Milk"]).ok().to_owned();
    let ran = person.run(["--space", "Home", "delete", "notes", &id]);
    assert!(ran.ok().contains(&format!("{with_store}--space Home restore notes {id}")), "{ran:?}");
    // What is proposed works as it stands, typed into a shell.
    let proposed = ran.out.lines().last().unwrap().trim();
    let typed = proposed.replacen("afield", env!("CARGO_BIN_EXE_afield"), 1);
    assert!(std::process::Command::new("sh").args(["-c", &typed]).status().unwrap().success());
    assert_eq!(person.titles(), ["Milk"]);
    let gone = person.folder().join("my store.db");
    let ran = Ran::from(afield().arg("--store").arg(&gone).arg("status").output().unwrap());
    assert!(ran.failed(3).contains(&format!("`afield --store '{}' init`", gone.display())), "{ran:?}");
}

#[test]
fn a_space_that_is_joined_may_have_a_name_and_is_not_shown_by_its_id_twice() {
    let (ada, ben) = (Person::with_store(), Person::with_store());
    let space = ada.space();
    ben.run(["space", "join", &space, "--name", "Shared"]).ok();
    ben.run(["--space", "Shared", "put", "notes", "title=Milk"]).ok();
    let other = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    ben.run(["space", "join", other]).ok();
    let listed = ben.run(["space", "list", "--json"]).json_lines();
    assert_eq!(listed[1]["name"], "Shared");
    let ran = ben.run(["list"]);
    assert_eq!(ran.failed(3).matches(other).count(), 1, "{ran:?}");
    let status = ben.run(["status"]);
    assert_eq!(status.ok().matches(&other[24..]).count(), 1, "{status:?}");
}
