//! What a relay says when it starts, and what its commands say of themselves to who is new.

use super::{done, failure, json, relay};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

/// What stands on standard output before the first device can connect: all that there is when it has been asked to stop, which it hears
/// from the first moment.
fn greeting(data: &Path) -> String {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log", "off"];
    let mut child = relay(data, &arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    told.read_line(&mut text).unwrap();
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    told.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text
}

#[test]
fn a_relay_to_which_no_device_can_sign_in_says_how_to_make_a_user_and_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let says_how = |told: &str| {
        told.contains("No device can sign in")
            && told.contains("afield-relay user create NAME --data ")
            && told.contains("afield-relay token create --user NAME --data ")
    };
    let told = greeting(&data);
    assert!(says_how(&told), "{told}");
    json(&data, &["token", "create", "--admin"]);
    assert!(says_how(&greeting(&data)), "one of the administration signs no device in");
    json(&data, &["token", "create"]);
    let told = greeting(&data);
    assert!(!told.contains("No device"), "the control: {told}");
    json(&data, &["token", "revoke", "2"]);
    let told = greeting(&data);
    assert!(says_how(&told), "none is good any more: {told}");
    json(&data, &["token", "create", "--expires-in", "90d"]);
    assert!(!greeting(&data).contains("No device"));
    let log = rusqlite::Connection::open(data.join("log.sqlite")).unwrap();
    log.execute("UPDATE tokens SET expires_ms = 1 WHERE number = 3", []).unwrap();
    drop(log);
    assert!(says_how(&greeting(&data)), "it has expired");
}

#[test]
fn the_help_of_tokens_says_what_the_default_user_is() {
    let help = done(Path::new("unused"), &["token", "create", "--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let words: Vec<&str> = help.split_whitespace().collect();
    assert!(words.join(" ").contains("the user `default`"), "{help}");
}

#[test]
fn a_device_is_signed_out_by_its_user_and_its_id_and_both_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    json(&data, &["token", "create"]);
    let id = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    for one in [id, "ada"] {
        let (code, told) = failure(&data, &["device", "sign-out", one]);
        let words = told["error"].as_str().unwrap();
        assert_eq!((code, told["code"].as_str()), (Some(2), Some("usage")), "{told}");
        assert!(words.contains("USER") && words.contains("DEVICE"), "{told}");
    }
    let (code, told) = failure(&data, &["device", "sign-out", "ada", "no-id"]);
    assert_eq!((code, told["code"].as_str()), (Some(2), Some("usage")), "{told}");
    let (code, told) = failure(&data, &["device", "sign-out", "ada", id]);
    assert_eq!((code, told["code"].as_str()), (Some(4), Some("not_found")), "the control: {told}");
    for command in ["sign-out", "name"] {
        let help = String::from_utf8(done(&data, &["device", command, "--help"]).stdout).unwrap();
        assert!(help.contains("<USER> <DEVICE>"), "{help}");
    }
}

#[test]
fn a_secret_that_was_typed_where_none_belongs_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    json(&data, &["token", "create"]);
    let secret = "afield_invitation_0123456789abcdef_0192f0c17a3e7b6c8d2e5f4a3b2c1d0e";
    for line in [&["space", "accept", "ada", secret][..], &["space", "members", secret], &["doctor", secret]] {
        let (code, told) = failure(&data, line);
        assert_eq!((code, told["code"].as_str()), (Some(2), Some("usage")), "{told}");
        assert!(told["next"].as_str().unwrap().contains("standard input"), "{told}");
        let plain = relay(&data, line).output().unwrap();
        let said = String::from_utf8([plain.stdout, plain.stderr].concat()).unwrap();
        assert!(!said.contains("0123456789abcdef") && !told.to_string().contains("0123456789abcdef"), "S6: {said}");
    }
    let (_, told) = failure(&data, &["space", "members", "milk"]);
    assert!(told["error"].as_str().unwrap().contains("milk"), "the control: what is no secret is repeated: {told}");
}
