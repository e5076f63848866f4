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
const OF_THE_CORE: &[&str] =
    &["automerge", "blake3", "minicbor", "serde_json", "sha2", "similar", "thiserror", "tracing", "uuid", "zstd"];

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
    ("syn", "derive macros of others need the older one, at build time only"),
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
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
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

/// Every Rust file below these folders but those of tests, with its text up to its tests.
fn code(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    folders.iter().for_each(|folder| sources(&root().join(folder), &mut files));
    files
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs") && !path.components().any(|part| part.as_os_str() == "tests"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            (path, code)
        })
        .collect()
}

#[test]
fn only_the_store_and_the_relays_logs_make_things_durable() {
    let implementing: Vec<_> = code(&["core/src", "store/src", "transport/src", "relay/src", "bindings", "benches"])
        .into_iter()
        .filter(|(_, text)| text.contains("Commit for "))
        .map(|(path, _)| path.strip_prefix(root()).expect("below the workspace").to_owned())
        .collect();
    let expected = ["store/src", "relay/src/log"];
    assert_eq!(implementing.len(), expected.len(), "{implementing:?}");
    for folder in expected {
        assert!(implementing.iter().any(|path| path.starts_with(folder)), "nothing in {folder} commits");
    }
}

#[test]
fn only_the_relay_and_the_library_start_threads_and_tasks() {
    for (path, text) in code(&["core/src", "store/src", "transport/src"]) {
        for start in ["thread::spawn", "tokio::spawn", "thread::Builder", "spawn_blocking"] {
            assert!(!text.contains(start), "{} uses {start}", path.display());
        }
    }
    let library = code(&["bindings/rust/src"]);
    assert!(
        library.iter().any(|(_, text)| text.contains("thread::Builder")),
        "the words looked for are the right ones"
    );
}
