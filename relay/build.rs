//! Notes which commit is built, for `--version` and `/version`.

#[path = "build/commit.rs"]
mod commit;

use std::env;
use std::path::Path;

/// Names the commit where nothing else does, as for an image that is built without the repository.
const VARIABLE: &str = "SOURCE_COMMIT";

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    // What is built to be worked on says only that: it would be built anew with every commit.
    if env::var("PROFILE").as_deref() != Ok("release") {
        println!("cargo::rustc-env=AFIELD_RELAY_BUILD=debug");
        return;
    }
    let folder = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let folder = Path::new(&folder);
    for path in commit::seen_in(folder) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let commit = commit::named(env::var(VARIABLE).ok()).or_else(|| commit::of(folder));
    println!("cargo::rustc-env=AFIELD_RELAY_BUILD={}", commit.as_deref().unwrap_or("unknown"));
}
