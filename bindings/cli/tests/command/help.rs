//! What somebody sees who asks.

use crate::running::{Person, Ran, afield};

const COMMANDS: [&str; 14] = [
    "demo", "init", "space", "put", "get", "list", "delete", "restore", "connect", "sync", "status", "export",
    "import", "relay",
];

fn run(arguments: &[&str]) -> Ran {
    Ran::from(afield().args(arguments).env("COLUMNS", "80").output().unwrap())
}

#[test]
fn the_help_names_every_command_every_exit_code_and_where_the_store_is() {
    let help = run(&["--help"]);
    let help = help.ok();
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is missing in {help}");
    }
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 8, 130] {
        assert!(help.contains(&format!("\n  {code}  ")), "exit code {code} is missing in {help}");
    }
    assert!(help.contains("afield/store.db"), "the place of the store is missing in {help}");
}

#[test]
fn the_help_fits_80_columns() {
    for command in COMMANDS {
        let ran = run(&[command, "--help"]);
        let help = ran.ok();
        // Examples and tables of a help text are not wrapped by anybody but its author.
        let widest = help.lines().skip_while(|line| !line.starts_with("Fields")).map(|line| line.chars().count()).max();
        assert!(widest.unwrap_or(0) <= 80, "{help}");
    }
    let ran = run(&["--help"]);
    let widest = ran.ok().lines().skip_while(|line| !line.starts_with("Exit")).map(|line| line.chars().count()).max();
    assert!(widest.unwrap() <= 80);
}

#[test]
fn a_command_line_that_is_not_understood_exits_with_2_as_text_and_as_json() {
    let ran = run(&["frobnicate"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("frobnicate"), "{ran:?}");
    let error = run(&["frobnicate", "--json"]).error(2);
    assert!(error["error"].as_str().unwrap().contains("frobnicate"), "{error}");
    let error = run(&["relay", "frobnicate", "--json"]).error(2);
    assert!(error["error"].as_str().unwrap().contains("frobnicate"), "{error}");
    assert_eq!((error["code"].as_str(), error["class"].as_str()), (Some("usage"), Some("permanent")));
    assert!(run(&["put", "notes"]).err.contains("Usage: afield put [OPTIONS] <COLLECTION> [ID] <JSON |"));
    assert_eq!(run(&["--version"]).ok(), concat!("afield ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn commands_without_a_store_say_how_to_make_one() {
    let person = Person::new();
    let needing: [&[&str]; 11] = [
        &["space", "list"],
        &["put", "notes", "a=b"],
        &["get", "notes", "1d0e"],
        &["list", "notes"],
        &["delete", "notes", "1d0e"],
        &["connect", "ws://127.0.0.1:9"],
        &["connect", "--off"],
        &["sync"],
        &["status"],
        &["export"],
        &["import", "-"],
    ];
    for arguments in needing {
        assert!(person.run(arguments).failed(3).contains("afield init"), "{arguments:?}");
        assert!(!person.store().exists(), "{arguments:?} made a store");
    }
    person.run(["init"]).ok();
    person.run(["status"]).ok();
}
