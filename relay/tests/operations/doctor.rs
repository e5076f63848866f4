//! `doctor`: what is wrong, and what to do.

use super::filled::{Desk, log_file};
use super::{Serving, json, relay};
use base64::Engine;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the doctor finds, and the exit code.
pub(crate) fn examined(data: &Path, more: &[&str]) -> (Vec<Value>, Option<i32>) {
    findings_of(relay(data, &[&["doctor", "--json"], more].concat()))
}

fn findings_of(mut command: Command) -> (Vec<Value>, Option<i32>) {
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    (told.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), output.status.code())
}

/// How bad the worst is that is found about something, and all words about it.
pub(crate) fn about(findings: &[Value], about: &str) -> (String, String) {
    let found: Vec<&Value> = findings.iter().filter(|finding| finding["about"] == about).collect();
    assert!(!found.is_empty(), "{about}: {findings:?}");
    for finding in &found {
        assert_eq!(
            finding["severity"] == "good",
            finding["next"].is_null(),
            "what is wrong has a next step: {finding}"
        );
    }
    let has = |severity: &str| found.iter().any(|finding| finding["severity"] == severity);
    let worst = ["problem", "warning"].into_iter().find(|severity| has(severity)).unwrap_or("good");
    (worst.to_owned(), found.iter().map(|finding| finding.to_string()).collect())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[test]
fn a_relay_that_runs_well_has_no_problem() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    json(&data, &["token", "create"]);
    let (before, code) = examined(&data, &[]);
    assert_eq!(code, Some(0), "{before:?}");
    assert_eq!(about(&before, "relay").0, "warning", "none runs");
    let running = Serving::start(&data);
    let (findings, code) = examined(&data, &[]);
    assert_eq!(code, Some(0), "{findings:?}");
    assert!(about(&findings, "relay").1.contains(&running.process().to_string()), "{findings:?}");
    assert!(about(&findings, "disk").1.contains('%'));
    for what in ["configuration", "folder", "relay", "log", "tokens", "clock"] {
        assert_eq!(about(&findings, what).0, "good", "{findings:?}");
    }
}

#[test]
fn each_thing_that_is_wrong_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (findings, code) = examined(&data, &[]);
    assert_eq!((code, about(&findings, "folder").0.as_str()), (Some(6), "problem"), "there is none");

    let mut desk = Desk::open(&data, 1);
    desk.write("content", 1_000);
    drop(desk);
    assert_eq!(about(&examined(&data, &[]).0, "tokens").0, "warning", "no token");
    json(&data, &["token", "create"]);
    assert_eq!(about(&examined(&data, &[]).0, "tokens").0, "good", "the control: a token is good");
    json(&data, &["token", "revoke", "1"]);
    let (level, words) = about(&examined(&data, &[]).0, "tokens");
    assert!(level == "warning" && words.contains("no device can sign in now"), "none is good any more: {words}");
    let keys = data.join("keys.json");
    let signed = ["--jwt-keys", super::path(&keys), "--jwt-issuer", "app", "--jwt-audience", "relay"];
    assert_eq!(about(&examined(&data, &signed).0, "tokens").0, "good", "an app's backend signs some");
    json(&data, &["token", "create", "--expires-in", "2d"]);
    json(&data, &["token", "create", "--admin"]);
    let (level, words) = about(&examined(&data, &[]).0, "tokens");
    assert!(level == "warning" && words.contains("within a week: 2") && words.contains("administration"), "{words}");

    fs::write(data.join("log.sqlite.restoring"), b"half of it").unwrap();
    assert_eq!(about(&examined(&data, &[]).0, "restore").0, "warning");

    let mut command = relay(&data, &["doctor", "--json"]);
    command.env("AFIELD_DISK_FREE_MIN_PERCENT", "99");
    let (findings, code) = findings_of(command);
    assert_eq!((code, about(&findings, "disk").0.as_str()), (Some(6), "problem"), "the floor");
    let (findings, code) = examined(&data, &["--listen", "0.0.0.0:0"]);
    assert_eq!((code, about(&findings, "configuration").0.as_str()), (Some(6), "problem"));

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(about(&examined(&data, &[]).0, "folder").0, "warning");
    }

    let connection = rusqlite::Connection::open(log_file(&data)).unwrap();
    connection.execute("UPDATE spaces SET created_ms = 9000000000000", []).unwrap();
    drop(connection);
    let (findings, code) = examined(&data, &[]);
    assert_eq!((code, about(&findings, "clock").0.as_str()), (Some(6), "problem"));

    let mut bytes = fs::read(log_file(&data)).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4 * 4096].fill(0xa5);
    fs::write(log_file(&data), &bytes).unwrap();
    let (findings, code) = examined(&data, &[]);
    let (level, words) = about(&findings, "log");
    assert_eq!((code, level.as_str()), (Some(6), "problem"));
    assert!(words.contains("restore FILE --replace"), "{words}");
}

#[test]
fn a_certificate_that_ends_is_told_before_it_does_and_one_that_devices_refuse_too() {
    let folder = tempfile::tempdir().unwrap();
    let (data, certificate, key) =
        (folder.path().join("data"), folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    json(&data, &["token", "create"]);
    let pair = rcgen::KeyPair::generate().unwrap();
    fs::write(&key, pem("PRIVATE KEY", &pair.serialize_der())).unwrap();
    let now = std::time::SystemTime::now();
    for (days, expected) in [(-2, "problem"), (10, "warning"), (100, "good")] {
        let mut parameters = rcgen::CertificateParams::new(["relay.example".to_owned()]).unwrap();
        let span = std::time::Duration::from_secs(86_400 * u64::from(i32::unsigned_abs(days)));
        let end = if days < 0 { now - span } else { now + span };
        parameters.not_after = end.into();
        fs::write(&certificate, pem("CERTIFICATE", parameters.self_signed(&pair).unwrap().der())).unwrap();
        let files = ["--tls-certificate", super::path(&certificate), "--tls-key", super::path(&key)];
        assert_eq!(about(&examined(&data, &files).0, "certificate").0, expected, "{days} days");
    }
    let mut parameters = rcgen::CertificateParams::new(["relay.example".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    fs::write(&certificate, pem("CERTIFICATE", parameters.self_signed(&pair).unwrap().der())).unwrap();
    let files = ["--tls-certificate", super::path(&certificate), "--tls-key", super::path(&key)];
    let (level, words) = about(&examined(&data, &files).0, "certificate");
    assert!(level == "warning" && words.contains("CaUsedAsEndEntity"), "{words}");
    let checked = json(&data, &[&["config", "check"], &files[..]].concat());
    assert!(checked[0]["warning"].as_str().unwrap().contains("CaUsedAsEndEntity"), "{checked:?}");
}

#[test]
fn a_proxy_that_is_not_told_of_is_told_by_the_key_that_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    json(&data, &["token", "create"]);
    let (level, words) = about(&examined(&data, &[]).0, "proxy");
    assert!(level == "good" && words.contains("none is told of") && words.contains("trusted_proxies"), "{words}");
    assert!(!words.contains("behind_proxy"), "on loopback the one key is enough: {words}");
    let (level, words) = about(&examined(&data, &["--behind-proxy"]).0, "proxy");
    assert!(level == "warning" && words.contains("set trusted_proxies"), "{words}");
    let (level, words) = about(&examined(&data, &["--trusted-proxies", "127.0.0.1, ::1"]).0, "proxy");
    assert!(level == "good" && words.contains("127.0.0.1/32, ::1/128"), "{words}");
}

#[test]
fn logs_that_restores_have_replaced_are_told_with_their_size_and_how_to_remove_them() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    json(&data, &["token", "create"]);
    json(&data, &["backup", super::path(&file)]);
    assert!(examined(&data, &[]).0.iter().all(|finding| finding["about"] != "restore"), "the control");
    for _ in 0..2 {
        json(&data, &["restore", "--replace", "--keep-access", super::path(&file)]);
    }
    fs::write(data.join("log.sqlite.replaced-2-wal"), [0; 1_000]).unwrap();
    let bytes = |name: &str| fs::metadata(data.join(name)).unwrap().len();
    let (first, second) = (bytes("log.sqlite.replaced-1"), bytes("log.sqlite.replaced-2") + 1_000);
    let (level, words) = about(&examined(&data, &[]).0, "restore");
    assert_eq!(level, "warning");
    for part in [
        format!("{} B in all", first + second),
        format!("log.sqlite.replaced-1 ({first} B), log.sqlite.replaced-2 ({second} B)"),
        "rm log.sqlite.replaced-NUMBER*".to_owned(),
    ] {
        assert!(words.contains(&part), "{part}: {words}");
    }
}

#[test]
fn a_mistake_in_the_configuration_is_told_with_its_line_and_exits_with_2_as_every_command_does() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("relay.toml"));
    json(&data, &["token", "create"]);
    fs::write(&file, "\nlisten_on = \"127.0.0.1:0\"\n").unwrap();
    for command in ["doctor", "verify"] {
        let (code, told) = super::failure(&data, &[command, "--config", super::path(&file)]);
        assert_eq!((code, &told["code"]), (Some(2), &Value::from("configuration")), "{told}");
        let words = told["error"].as_str().unwrap();
        assert!(words.contains("relay.toml:2") && words.contains("listen_on"), "{told}");
        assert!(told["next"].as_str().unwrap().contains("config check"), "{told}");
    }
}
