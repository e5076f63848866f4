//! What somebody sees who asks.

use crate::running::{Person, Ran, afield};

const COMMANDS: [&str; 39] = [
    "demo",
    "init",
    "space",
    "put",
    "edit",
    "get",
    "list",
    "query",
    "search",
    "index",
    "watch",
    "presence",
    "delete",
    "restore",
    "log",
    "at",
    "diff",
    "undo",
    "redo",
    "purge",
    "trash",
    "conflicts",
    "resolve",
    "connect",
    "sync",
    "guard",
    "confirm",
    "schedule",
    "direction",
    "explain",
    "status",
    "verify",
    "doctor",
    "backup",
    "export",
    "import",
    "completions",
    "man",
    "relay",
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
        let widest = help.lines().map(|line| line.chars().count()).max();
        assert!(widest.unwrap_or(0) <= 80, "{help}");
        let has_examples = ["Examples:", "Where shells look"].iter().any(|heading| help.contains(heading));
        assert!(has_examples || ["demo", "relay"].contains(&command), "{command} has no examples: {help}");
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
    let needing: [&[&str]; 19] = [
        &["space", "list"],
        &["put", "notes", "a=b"],
        &["get", "notes", "1d0e"],
        &["list", "notes"],
        &["delete", "notes", "1d0e"],
        &["connect", "ws://127.0.0.1:9"],
        &["connect", "--off"],
        &["sync"],
        &["status"],
        &["status", "--watch"],
        &["edit", "notes", "1d0e", "a=b"],
        &["watch", "notes"],
        &["trash"],
        &["conflicts"],
        &["resolve", "notes", "1d0e", "--keep", "1"],
        &["verify"],
        &["doctor"],
        &["export"],
        &["import", "-"],
    ];
    for arguments in needing {
        assert!(person.run(arguments).failed(3).contains(&person.proposed("init")), "{arguments:?}");
        assert!(!person.store().exists(), "{arguments:?} made a store");
    }
    person.run(["init"]).ok();
    person.run(["status"]).ok();
}

#[test]
fn completions_and_manual_pages_know_every_command_and_those_of_the_relay() {
    for (shell, marks) in [("bash", "complete -F"), ("zsh", "#compdef afield"), ("fish", "complete -c afield")] {
        let ran = run(&["completions", shell]);
        let script = ran.ok();
        assert!(script.contains(marks), "{shell}: {script}");
        for command in COMMANDS.iter().chain(&["serve", "token"]) {
            assert!(script.contains(command), "{command} is missing for {shell}");
        }
    }
    run(&["completions", "powershell"]).ok();
    assert_eq!(run(&["completions", "csh"]).code, 2);
    let ran = run(&["man"]);
    let page = ran.ok();
    assert!(page.contains(".TH afield 1") && page.contains("Exit codes"), "{page}");
    let person = Person::new();
    let folder = person.folder().join("man1");
    let written = run(&["man", "--output", folder.to_str().unwrap(), "--json"]).json();
    let pages: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(written["pages"].as_u64(), Some(pages.len() as u64));
    for command in COMMANDS {
        assert!(pages.contains(&format!("afield-{command}.1")), "{command} has no page: {pages:?}");
    }
}

#[cfg(unix)]
#[test]
fn the_script_for_bash_completes_commands_and_options() {
    let person = Person::new();
    let script = person.folder().join("afield.bash");
    std::fs::write(&script, run(&["completions", "bash"]).ok()).unwrap();
    let complete = |words: &str| {
        let count = words.split(' ').count() - 1;
        let line = format!(
            ". '{}'; COMP_WORDS=({words} ''); COMP_CWORD={}; _afield afield '' afield; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            count + 1
        );
        let output = std::process::Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let commands = complete("afield");
    assert!(commands.lines().any(|word| word == "doctor") && commands.lines().any(|word| word == "edit"), "{commands}");
    assert!(complete("afield doctor").contains("--offline"));
    assert!(complete("afield relay").contains("serve"));
}
