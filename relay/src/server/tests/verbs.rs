//! The same verbs on a terminal and over HTTP, and in the table that documents them.

use super::*;
use clap::{Args, Command};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Which verb over HTTP does what a verb on a terminal does.
const PAIRS: [(&str, &str); 22] = [
    ("user create", "POST /v1/users"),
    ("user list", "GET /v1/users"),
    ("user disable", "PATCH /v1/users/{name}"),
    ("user enable", "PATCH /v1/users/{name}"),
    ("user sign-out", "POST /v1/users/{name}/sign-out"),
    ("token create", "POST /v1/tokens"),
    ("token list", "GET /v1/tokens"),
    ("token revoke", "DELETE /v1/tokens/{number}"),
    ("space list", "GET /v1/spaces"),
    ("space create", "POST /v1/spaces"),
    ("space members", "GET /v1/spaces/{space}/members"),
    ("space grant", "PUT /v1/spaces/{space}/members/{user}"),
    ("space remove", "DELETE /v1/spaces/{space}/members/{user}"),
    ("space invite", "POST /v1/spaces/{space}/invitations"),
    ("space invitations", "GET /v1/spaces/{space}/invitations"),
    ("space accept", "POST /v1/invitations/accept"),
    ("space withdraw", "DELETE /v1/invitations/{number}"),
    ("device list", "GET /v1/devices"),
    ("device name", "PATCH /v1/devices/{user}/{device}"),
    ("device sign-out", "POST /v1/devices/{user}/{device}/sign-out"),
    ("session list", "GET /v1/sessions"),
    ("session sign-out", "DELETE /v1/sessions/{session}"),
];
/// What there is over HTTP alone: on a terminal `doctor`, the log and the metrics say it.
const OVERVIEW: &str = "GET /v1/overview";

/// The verbs of the command line, each with what it is told, in the words of the other side.
fn on_a_terminal() -> BTreeMap<String, BTreeSet<String>> {
    let relay = crate::cli::RelayCommand::augment_args(Command::new("afield-relay"));
    let mut verbs = BTreeMap::new();
    for group in ["user", "token", "space", "device", "session"] {
        for verb in relay.find_subcommand(group).unwrap().get_subcommands() {
            let name = format!("{group} {}", verb.get_name());
            let mut told: BTreeSet<String> =
                verb.get_arguments().flat_map(|argument| over_http_as(argument.get_id().as_str())).collect();
            match name.as_str() {
                // What the verb's own name says, and what it reads from standard input.
                "user disable" | "user enable" => drop(told.insert("disabled".to_owned())),
                "space accept" => drop(told.insert("code".to_owned())),
                _ => {}
            }
            verbs.insert(name, told);
        }
    }
    verbs
}

fn over_http_as(argument: &str) -> Vec<String> {
    let names: &[&str] = match argument {
        "expires_in" => &["expires_in_s"],
        "no_create_spaces" => &["may_create_spaces"],
        "whose" => &["user", "device"],
        // Where the answer goes is the business of whoever asks.
        "output" => &[],
        same => &[same],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The verbs of the OpenAPI document, each with what it is told.
fn over_http() -> BTreeMap<String, BTreeSet<String>> {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut verbs = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, verb) in methods.as_object().unwrap() {
            let parameters = verb["parameters"].as_array().into_iter().flatten();
            let mut told: BTreeSet<String> =
                parameters.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
            told.extend(properties(&document, &verb["requestBody"]["content"]["application/json"]["schema"]));
            // A terminal has no need of parts.
            told.retain(|name| !matches!(name.as_str(), "limit" | "after"));
            verbs.insert(format!("{} {path}", method.to_uppercase()), told);
        }
    }
    verbs
}

/// The names of the fields of a body.
fn properties(document: &Value, schema: &Value) -> Vec<String> {
    if let Some(named) = schema["$ref"].as_str() {
        return properties(document, document.pointer(named.trim_start_matches('#')).unwrap());
    }
    let of_any = schema["oneOf"].as_array().into_iter().flatten().flat_map(|one| properties(document, one));
    let own = schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned());
    of_any.chain(own).collect()
}

#[test]
fn a_terminal_and_http_have_the_same_verbs_which_are_told_the_same() {
    let (terminal, http) = (on_a_terminal(), over_http());
    let paired: BTreeSet<&str> = PAIRS.into_iter().map(|(terminal, _)| terminal).collect();
    assert_eq!(paired, terminal.keys().map(String::as_str).collect(), "each verb of the command line has its pair");
    let paired: BTreeSet<&str> = PAIRS.into_iter().map(|(_, http)| http).chain([OVERVIEW]).collect();
    assert_eq!(paired, http.keys().map(String::as_str).collect(), "each verb over HTTP has its pair");
    for (on_terminal, over_http) in PAIRS {
        assert_eq!(terminal[on_terminal], http[over_http], "{on_terminal} is told what {over_http} is told");
    }
}

#[test]
fn the_table_of_the_documentation_names_every_verb_beside_its_pair() {
    let text = include_str!("../../../ADMINISTRATION.md");
    let rows = text.lines().skip_while(|line| !line.starts_with("| what |")).skip(2);
    let (mut terminal, mut http) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.take_while(|line| line.starts_with('|')) {
        let [_, _, left, right, _] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let mut group = "";
        let mut verbs = BTreeSet::new();
        for verb in quoted(left) {
            // The first of a row names its group for all of them.
            group = verb.split_once(' ').map_or(group, |(group, _)| group);
            verbs.insert(format!("{group} {}", verb.split(' ').next_back().unwrap_or(verb)));
        }
        let mut asked = BTreeSet::new();
        for part in right.split(';') {
            let words: Vec<&str> = quoted(part).collect();
            let path = words.last().and_then(|last| last.split_once(' ')).unwrap_or_else(|| panic!("{part}")).1;
            asked.extend(words.iter().map(|word| format!("{} {path}", word.split(' ').next().unwrap())));
        }
        let paired = PAIRS.into_iter().filter(|(verb, _)| verbs.contains(*verb)).map(|(_, asked)| asked.to_owned());
        let mut paired: BTreeSet<String> = paired.collect();
        paired.extend(verbs.is_empty().then(|| OVERVIEW.to_owned()));
        assert_eq!(asked, paired, "{row}");
        terminal.extend(verbs);
        http.extend(asked);
    }
    assert!(terminal.iter().eq(on_a_terminal().keys()), "{terminal:?}");
    assert!(http.iter().eq(over_http().keys()), "{http:?}");
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
