//! The build says which commit it is, where anything does.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "../build/commit.rs"]
mod commit;

use std::fs;
use std::path::Path;
use std::process::Command;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false", "-C"]);
    let output = command.arg(folder).args(arguments).output().expect("this test needs git");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_build_names_its_own_commit_and_nobody_elses() {
    let repository = tempfile::tempdir().unwrap();
    let (own, foreign) = (repository.path().join("relay"), repository.path().join("vendor"));
    for folder in [&own, &foreign] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("Cargo.toml"), "").unwrap();
    }
    git(repository.path(), &["init", "--quiet"]);
    assert_eq!((commit::of(&own), commit::seen_in(&own)), (None, Vec::new()), "nothing is in it yet");
    git(repository.path(), &["add", "relay"]);
    git(repository.path(), &["commit", "--quiet", "--message", "first"]);
    let head = git(repository.path(), &["rev-parse", "HEAD"]);
    assert_eq!(commit::of(&own).as_deref(), head.get(..12));
    assert!(commit::seen_in(&own).iter().any(|path| path.ends_with(".git/HEAD")));
    assert_eq!(
        (commit::of(&foreign), commit::seen_in(&foreign)),
        (None, Vec::new()),
        "it is none of this repository's"
    );

    let sha1 = "0123456789abcdef0123456789abcdef01234567";
    let noted = format!("{{\n  \"git\": {{\n    \"sha1\": \"{sha1}\"\n  }},\n  \"path_in_vcs\": \"relay\"\n}}");
    fs::write(foreign.join(".cargo_vcs_info.json"), noted).unwrap();
    assert_eq!(commit::of(&foreign).as_deref(), sha1.get(..12), "as cargo notes it in what is published");
}

#[test]
fn what_is_no_commit_is_not_taken_for_one() {
    for text in ["", "main", "v0.1.0", "abc", "0123456\"; exit"] {
        assert_eq!(commit::named(Some(text.to_owned())), None, "{text}");
    }
    assert_eq!(commit::named(Some(" 0123456789ABCDEF0123\n".to_owned())).as_deref(), Some("0123456789ab"));
    assert_eq!(commit::named(None), None);
}
