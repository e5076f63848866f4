//! The configuration as an operator meets it: the program with a file, variables and flags.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A folder with a file for a relay, whose data folder is in it.
struct Configured {
    folder: TempDir,
}

impl Configured {
    fn new(text: &str) -> Self {
        let configured = Self { folder: tempfile::tempdir().unwrap() };
        let data = configured.data();
        std::fs::write(configured.file(), format!("data = {data:?}\n{text}")).unwrap();
        configured
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("relay.toml")
    }

    fn relay(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afield-relay"));
        let ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("AFIELD_");
        std::env::vars_os().filter(|(name, _)| ours(name)).for_each(|(name, _)| {
            command.env_remove(name);
        });
        command.args(arguments).arg("--config").arg(self.file());
        command
    }

    fn done(&self, arguments: &[&str]) -> Output {
        self.relay(arguments).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The first line of a relay that serves; it is killed after that.
fn first_line(command: &mut Command) -> Value {
    let mut child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    serde_json::from_str(&line).expect("the first line says where it listens")
}

#[test]
fn all_commands_use_the_data_folder_of_the_file() {
    let configured = Configured::new("listen = '127.0.0.1:0'");
    assert!(configured.done(&["token", "create"]).status.success());
    assert!(configured.data().join("log.sqlite").exists());
    assert!(text(&configured.done(&["compact"]).stdout).contains("packed"));
    let ready = first_line(&mut configured.relay(&["serve"]));
    assert_eq!(ready["data"].as_str(), configured.data().to_str());
    assert_eq!(ready["has_tokens"], true);

    let other = configured.folder.path().join("other");
    let listed = configured.done(&["token", "list", "--data", other.to_str().unwrap()]);
    assert_eq!(listed.status.code(), Some(4), "a flag is stronger: nothing is there");
}

#[test]
fn a_wrong_file_is_told_with_line_and_key_and_nothing_starts() {
    let configured = Configured::new("[tls]\ncertificat = 'a.pem'");
    for command in [&["serve"][..], &["config", "check"], &["config", "print"], &["token", "create"], &["compact"]] {
        let output = configured.done(command);
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        let told = text(&output.stderr);
        assert!(told.contains("relay.toml:3: there is no key tls.certificat; did you mean tls.certificate?"), "{told}");
        assert!(told.contains("next: ") && output.stdout.is_empty());
        assert!(!configured.data().exists());
    }
    let output = configured.done(&["serve", "--json"]);
    let error: Value = serde_json::from_slice(&output.stderr).expect("one object");
    assert_eq!((&error["code"], &error["class"]), (&"configuration".into(), &"permanent".into()));
    assert!(error["error"].as_str().unwrap().contains(":3: "));
}

#[test]
fn check_finds_what_serve_would_refuse_and_starts_nothing() {
    let configured = Configured::new("");
    let right = configured.done(&["config", "check"]);
    assert!(right.status.success() && text(&right.stdout).contains("relay.toml"), "{right:?}");
    let right = configured.done(&["config", "check", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&right.stdout).unwrap()["event"], "checked");

    let missing = ["--tls-certificate", "missing.pem", "--tls-key", "missing.pem"];
    for (flags, told) in [
        (&["--listen", "0.0.0.0:0"][..], "--listen: listen: refusing to speak plain text"),
        (&missing, "--tls-certificate: tls.certificate: cannot read a PEM certificate from missing.pem"),
        (&["--tls-key", "key.pem"], "--tls-key: tls.key needs tls.certificate"),
    ] {
        for command in [&["config", "check"][..], &["serve"]] {
            let output = configured.done(&[command, flags].concat());
            assert_eq!(output.status.code(), Some(2), "{flags:?}");
            assert!(text(&output.stderr).contains(told), "{output:?}");
        }
    }
    assert!(!configured.data().exists());
}

#[test]
fn print_says_of_every_value_where_it_is_from() {
    let configured = Configured::new("connections_max = 7\nlog = 'warn'");
    let arguments = ["config", "print", "--log", "debug", "--json"];
    let output = configured.relay(&arguments).env("AFIELD_SPACE_BYTES_MAX", "2 GiB").output().unwrap();
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<_> = lines.collect();
    let of = |key: &str| {
        let line = lines.iter().find(|line| line["key"] == key).unwrap();
        (line["value"].to_string(), line["from"].as_str().unwrap().to_owned())
    };
    assert_eq!(of("log"), ("\"debug\"".to_owned(), "--log".to_owned()));
    assert_eq!(of("space.bytes_max"), ("\"2 GiB\"".to_owned(), "AFIELD_SPACE_BYTES_MAX".to_owned()));
    assert_eq!(of("connections_max"), ("7".to_owned(), format!("{}:2", configured.file().display())));
    assert_eq!(of("tls.key"), ("null".to_owned(), "default".to_owned()));

    let page = configured.done(&["config", "print"]);
    assert!(text(&page.stdout).contains("\nlog = \"warn\"  # "), "{page:?}");
}

#[test]
fn the_example_is_a_file_that_a_relay_starts_with() {
    let configured = Configured::new("");
    std::fs::write(configured.file(), configured.done(&["config", "example"]).stdout).unwrap();
    assert!(configured.done(&["config", "check"]).status.success());
}

#[test]
fn the_documentation_has_the_table_that_the_program_prints() {
    let printed = Configured::new("").done(&["config", "keys"]).stdout;
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFIGURATION.md");
    assert!(std::fs::read_to_string(documented).unwrap().ends_with(text(&printed)));
}

#[test]
fn a_variable_with_a_slip_is_told_and_those_of_other_programs_are_not() {
    let configured = Configured::new("listen = '127.0.0.1:0'");
    let output = configured.relay(&["serve"]).env("AFIELD_LISTN", "127.0.0.1:1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("AFIELD_LISTN: there is no such variable; did you mean AFIELD_LISTEN?"));
    let ready = first_line(configured.relay(&["serve"]).env("AFIELD_STORE", "notes.db").env("AFIELD_CONFIG", "none"));
    assert_eq!(ready["event"], "ready");
}
