//! The README's examples in Rust, run: each stands in a file of `blocks/`, character by character, and a test calls what it defines and
//! looks whether that does what the README says.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails here says where")]
#![allow(clippy::print_stdout, reason = "an example shows what it found by printing it")]
// What an example defines and no test calls would be compiled and never run.
#![deny(dead_code)]

mod one_device;
mod two_devices;

use std::collections::BTreeMap;
use std::path::Path;

const README: &str = include_str!("../../../../README.md");

/// The blocks of Rust that the README has, but for one that says of itself that it is only compiled.
fn blocks() -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = README.lines();
    while let Some(fence) = lines.find(|line| line.starts_with("```")) {
        let block = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        if fence == "```rust" {
            blocks.push(block);
        }
    }
    blocks
}

/// The files of `blocks/`, by name.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readme/blocks");
    let files = folder.read_dir().unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap())).collect()
}

#[test]
fn every_block_of_the_readme_is_one_that_runs_here_character_by_character() {
    let (blocks, mut files) = (blocks(), files());
    assert!(blocks.len() >= 9, "the control: there are blocks");
    let tests = [include_str!("one_device.rs"), include_str!("two_devices.rs")].concat();
    for block in &blocks {
        let same = files.iter().find(|(_, content)| *content == block).map(|(name, _)| name.clone());
        let name =
            same.unwrap_or_else(|| panic!("no file of tests/readme/blocks is this block of the README:\n{block}"));
        assert!(tests.contains(&format!("include!(\"blocks/{name}\");")), "no test includes {name}");
        files.remove(&name);
    }
    assert!(files.is_empty(), "these are not in the README: {:?}", files.keys());
}

/// Takes an error for a failure of the test, with what it was.
fn done<T>(result: Result<T, impl Into<Box<dyn std::error::Error>>>) -> T {
    result.map_err(Into::into).unwrap()
}
