//! Who may import whom, and what the core may not know: architecture held by `cargo metadata` and the source itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may import whom. Benches and tests may import all.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("afield-core", &[]),
    ("afield-macros", &[]),
    ("afield-store", &["afield-core"]),
    ("afield-transport", &["afield-core"]),
    ("afield-relay", &["afield-core", "afield-transport"]),
    ("afield", &["afield-core", "afield-macros", "afield-store", "afield-transport"]),
    ("afield-cli", &["afield", "afield-relay"]),
];

/// Everything that the core may depend on: none of it reads a clock, draws numbers or does I/O for the core.
const OF_THE_CORE: &[&str] = &[
    "automerge",
    "blake3",
    "minicbor",
    "serde",
    "serde_json",
    "sha2",
    "similar",
    "thiserror",
    "tracing",
    "uuid",
    "zstd",
];

/// What would bring clocks, randomness, sockets, threads or a random order into the core's own code.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
    "io::stdin",
    "io::stdout",
    "io::stderr",
    "HashMap",
    "HashSet",
    "RandomState",
    "thread_local!",
    "println!",
];

/// Direct dependencies of which somebody else needs another version, and who.
const TWICE: &[(&str, &str)] = &[
    ("getrandom", "ring, the one TLS provider, needs the older one"),
    ("rand", "the SDK of OpenTelemetry needs the older one for the ids of traces"),
    ("rand_chacha", "with that"),
    ("syn", "derive macros of others need the older one, at build time only"),
];

/// What starts a thread or a task beside the relay and the library, and why.
const MAY_START: &[(&str, &str)] = &[
    ("bindings/cli/src/command/relay.rs", "the end of standard input is waited for where nothing else may wait"),
    ("bindings/cli/src/demo/crash.rs", "many writes wait for their receipts at once"),
    (
        "bindings/cli/src/demo/relay.rs",
        "what the demo's relay says is read while it runs; and it names a process's start",
    ),
    ("bindings/cli/src/interrupt.rs", "Ctrl-C is listened for beside a command that does not wait"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the workspace").to_owned()
}

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// The direct dependencies of each crate of the workspace, without those that only tests need.
fn dependencies(metadata: &serde_json::Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> = strings(&metadata["workspace_members"]).collect();
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .filter(|package| members.contains(package["id"].as_str().expect("an id")))
        .map(|package| {
            let direct = package["dependencies"].as_array().expect("a list of dependencies").iter();
            let normal = direct.filter(|dependency| dependency["kind"].as_str() != Some("dev"));
            let names = normal.map(|dependency| dependency["name"].as_str().expect("a name").to_owned());
            (package["name"].as_str().expect("a name").to_owned(), names.collect())
        })
        .collect()
}

fn strings(list: &serde_json::Value) -> impl Iterator<Item = &str> {
    list.as_array().expect("a list").iter().map(|item| item.as_str().expect("a string"))
}

#[test]
fn crates_import_only_what_the_layering_allows() {
    let dependencies = dependencies(&metadata());
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY_IMPORT.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
    for (name, direct) in &dependencies {
        let Some(may) = allowed.get(name.as_str()) else {
            assert!(["afield-tests", "afield-benches"].contains(&name.as_str()), "{name} has no row in the table");
            continue;
        };
        let ours = direct.iter().map(String::as_str).filter(|name| name.starts_with("afield"));
        let forbidden: Vec<_> = ours.filter(|name| !may.contains(name)).collect();
        assert!(forbidden.is_empty(), "{name} imports {forbidden:?}");
    }
    assert!(allowed.keys().all(|name| dependencies.contains_key(*name)), "the table names a crate that is gone");
}

#[test]
fn the_core_depends_on_nothing_but_what_is_known_to_be_pure() {
    let dependencies = dependencies(&metadata());
    // Equal, so that an exception that is no longer needed goes.
    let found: Vec<&str> = dependencies["afield-core"].iter().map(String::as_str).collect();
    assert_eq!(found, OF_THE_CORE);
}

/// The words of [`IMPURE`] in a source text; groups like `std::{fs, net}` are taken apart first.
fn impure(text: &str) -> BTreeSet<&'static str> {
    let code = without_comments(text);
    // What a caught panic gives is a type of that module, and starts nothing.
    let code = code.replace("std::thread::Result", "");
    let mut whole = code.clone();
    for group in code.split("std::{").skip(1) {
        let names = group.split(';').next().unwrap_or_default();
        names.split(|c: char| !c.is_alphanumeric() && c != '_').for_each(|name| whole += &format!(" std::{name} "));
    }
    IMPURE.iter().copied().filter(|word| whole.contains(word)).collect()
}

#[test]
fn the_core_names_no_clock_file_socket_thread_environment_or_random_order() {
    let code = code(&["core/src"]);
    assert!(code.len() > 40, "{} files were looked through", code.len());
    for (path, text) in code {
        let found = impure(&text);
        // The panic hook writes the place of a panic; it is installed by whoever asks for it.
        assert!(found.is_empty() || path.ends_with("panics.rs"), "{} names {found:?}", path.display());
    }
    let control =
        "use std::{collections::{HashMap, BTreeMap}, fs};\n// std::net in a comment\nstd::time::Instant::now();";
    assert_eq!(impure(control), BTreeSet::from(["HashMap", "std::fs", "std::time"]), "the control");
}

#[test]
fn each_direct_dependency_has_one_version() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("a list of packages") {
        let (name, version) = (package["name"].as_str(), package["version"].as_str());
        versions.entry(name.expect("a name")).or_default().insert(version.expect("a version"));
    }
    let direct: BTreeSet<String> = dependencies(&metadata).into_values().flatten().collect();
    let twice: BTreeSet<_> = direct
        .iter()
        .map(String::as_str)
        .filter(|name| versions.get(name).is_some_and(|found| found.len() > 1))
        .collect();
    // Equal, so that an exception that is no longer needed goes.
    assert_eq!(twice, TWICE.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>());
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a file, named from the workspace's folder on, holds tests alone.
fn is_of_tests(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

/// A source text up to the tests within it. `mod tests;` names another file, and code follows it.
fn without_tests(text: &str) -> &str {
    let mut modules = text.match_indices("#[cfg(test)]\nmod ");
    let within = modules.find(|(at, found)| {
        let name = text[at + found.len()..].lines().next();
        name.is_some_and(|name| name.ends_with('{'))
    });
    within.map_or(text, |(at, _)| &text[..at])
}

/// A source text without what stands behind `//`.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every Rust file below these folders but those of tests, named from the workspace's folder on, with its text up to its
/// tests.
fn code(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    folders.iter().for_each(|folder| sources(&root().join(folder), &mut files));
    files
        .into_iter()
        .map(|path| path.strip_prefix(root()).expect("below the workspace").to_owned())
        .filter(|path| !is_of_tests(path))
        .map(|path| {
            let text = std::fs::read_to_string(root().join(&path)).expect("a source file");
            (path, without_tests(&text).to_owned())
        })
        .collect()
}

#[test]
fn code_ends_at_the_tests_within_a_file_and_not_at_the_name_of_another() {
    let named = "use a;\n#[cfg(test)]\nmod tests;\nfn code() {}\n";
    assert_eq!(without_tests(named), named);
    let within = "fn code() {}\n#[cfg(test)]\nmod tests {\n}\n";
    assert_eq!(without_tests(&format!("{named}{within}")), format!("{named}fn code() {{}}\n"));
    assert!(is_of_tests(Path::new("relay/src/hub/tests/access.rs")) && is_of_tests(Path::new("core/src/tests.rs")));
    assert!(!is_of_tests(Path::new("core/src/log.rs")));
    let seen = code(&["transport/src", "bindings/rust/src"]);
    for file in ["transport/src/link/mod.rs", "bindings/rust/src/driver/mod.rs"] {
        let lines = |text: &str| text.lines().count();
        let whole = std::fs::read_to_string(root().join(file)).expect("a source file");
        let found = seen.iter().find(|(path, _)| path == Path::new(file)).map(|(_, text)| lines(text));
        assert_eq!(found, Some(lines(&whole)), "{file}");
    }
}

#[test]
fn only_the_store_and_the_relays_logs_make_things_durable() {
    let implementing: Vec<_> = code(&["core/src", "store/src", "transport/src", "relay/src", "bindings", "benches"])
        .into_iter()
        .filter(|(_, text)| text.contains("Commit for "))
        .map(|(path, _)| path)
        .collect();
    let expected = ["store/src", "relay/src/log"];
    assert_eq!(implementing.len(), expected.len(), "{implementing:?}");
    for folder in expected {
        assert!(implementing.iter().any(|path| path.starts_with(folder)), "nothing in {folder} commits");
    }
}

#[test]
fn only_the_relay_and_the_library_start_threads_and_tasks() {
    let others = ["core/src", "store/src", "transport/src", "bindings/macros/src", "bindings/cli/src"];
    let starting: BTreeSet<PathBuf> =
        code(&others).into_iter().filter(|(_, text)| starts(text)).map(|(path, _)| path).collect();
    // Equal, so that an exception that is no longer needed goes.
    assert_eq!(starting, MAY_START.iter().map(|(path, _)| PathBuf::from(path)).collect());

    for start in [
        "std::thread::spawn(f)",
        "thread::Builder::new().spawn(f)",
        "thread::scope(|scope| ())",
        "tokio::spawn(f)",
        "task::spawn_blocking(f)",
        "handle.spawn(f)",
        "set.spawn_on(f, handle)",
        "set.spawn_local(f)",
    ] {
        assert!(starts(start), "the control: {start}");
    }
    for nothing in ["command.spawn()", "// tokio::spawn(f)", "fn respawned(child: &Child) {}"] {
        assert!(!starts(nothing), "the control: {nothing}");
    }
    for folder in ["bindings/rust/src", "relay/src"] {
        assert!(code(&[folder]).iter().any(|(_, text)| starts(text)), "{folder} starts what it needs");
    }
}

/// Whether a source text starts threads or tasks. `spawn()` without an argument starts a process.
fn starts(text: &str) -> bool {
    let code = without_comments(text);
    let spawns = code.match_indices("spawn").any(|(at, word)| {
        let rest = &code[at + word.len()..];
        let call = ["_blocking", "_local", "_on", "_unchecked", "_scoped", ""].iter().find_map(|kind| {
            let arguments = rest.strip_prefix(kind)?;
            arguments.strip_prefix('(')
        });
        call.is_some_and(|arguments| !arguments.starts_with(')'))
    });
    spawns || ["thread::scope", "thread::Builder"].iter().any(|word| code.contains(word))
}

/// What stands between quotation marks, or backticks, and is the code of an error: two names with a dot.
fn codes(text: &str, mark: char) -> BTreeSet<String> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let is_code = |word: &&str| word.split_once('.').is_some_and(|(kind, name)| is_name(kind) && is_name(name));
    text.split(mark).skip(1).step_by(2).filter(is_code).map(str::to_owned).collect()
}

#[test]
fn the_guide_lists_every_code_of_an_error_of_the_library_and_no_other() {
    let sources = code(&["bindings/rust/src", "store/src", "core/src", "transport/src"]);
    let arms = sources.iter().flat_map(|(_, text)| text.lines()).map(str::trim);
    let given =
        arms.filter(|line| line.starts_with("Self") || line.starts_with('|')).filter(|line| line.contains("=> \""));
    // The store's errors of one operation stand in tables: `}, Permanent, "space.unknown", "the store has no space {space}";`.
    let classes = ["Retry", "SignIn", "Quota", "Upgrade", "Permanent"];
    let tables = sources.iter().flat_map(|(_, text)| text.lines()).map(str::trim);
    let in_tables = tables.filter(|line| classes.iter().any(|class| line.starts_with(&format!("}}, {class}, \""))));
    let given: BTreeSet<_> = given.chain(in_tables).flat_map(|line| codes(line, '"')).collect();
    let guide = std::fs::read_to_string(root().join("bindings/rust/src/guide/errors.md")).expect("the guide");
    let first_cells = guide.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let listed: BTreeSet<_> = first_cells.flat_map(|cell| codes(cell, '`')).collect();
    let differ: Vec<_> = given.symmetric_difference(&listed).collect();
    assert!(given.len() > 100 && differ.is_empty(), "given and not listed, or listed and not given: {differ:?}");
}
