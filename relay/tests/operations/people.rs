//! What is done at a terminal for a user or a device that cannot do it.

use super::device::Device;
use super::filled::Desk;
use super::{Serving, done, failure, json, relay};
use serde_json::{Value, json as object};
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

/// Within which a device that has signed in is listed.
const WITHIN: Duration = Duration::from_secs(30);

/// A command to which an invitation is piped.
fn accept(data: &Path, arguments: &[&str], code: &str) -> Output {
    let mut command = relay(data, arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn an_invitation_is_accepted_at_a_terminal_for_one_user_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let desk = Desk::open(&data, 1);
    let space = desk.space.to_string();
    for user in ["ben", "cleo", "dora"] {
        json(&data, &["user", "create", user]);
    }
    let invite = |role: &str| {
        let made = json(&data, &["space", "invite", &space, "--role", role]);
        made[0]["code"].as_str().unwrap().to_owned()
    };
    let (of_a_reader, of_a_writer) = (invite("reader"), invite("writer"));
    // As it is pasted, with the end of its line.
    let told = accept(&data, &["space", "accept", "ben", "--json"], &format!("{of_a_reader}\n"));
    let view: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(view, object!({ "space": space, "user": "ben", "role": "reader" }));
    let told = accept(&data, &["space", "accept", "cleo"], &of_a_writer);
    assert_eq!(String::from_utf8(told.stdout).unwrap(), format!("cleo is a writer of {space}.\n"));

    let members = json(&data, &["space", "members", &space]);
    let role = |user: &str| members.iter().find(|member| member["user"] == user).map(|member| member["role"].clone());
    assert_eq!((role("ben"), role("cleo")), (Some("reader".into()), Some("writer".into())));
    let invitations = json(&data, &["space", "invitations", &space]);
    let used: Vec<_> = invitations.iter().map(|one| one["used_by"].clone()).collect();
    assert_eq!(used, ["ben", "cleo"]);

    let again = accept(&data, &["space", "accept", "dora"], &of_a_writer);
    assert_eq!(again.status.code(), Some(4), "it was used: {again:?}");
    let said = String::from_utf8([again.stdout, again.stderr].concat()).unwrap();
    assert!(!said.contains(&of_a_writer), "S6: {said}");
    assert_eq!(json(&data, &["space", "members", &space]).len(), members.len());
}

#[test]
fn a_device_is_called_what_an_administrator_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    json(&data, &["user", "create", "ada"]);
    let made = json(&data, &["token", "create", "--user", "ada"]);
    let serving = Serving::start(&data);
    let space = afield_core::SpaceId::from_bytes([7; 16]);
    let device = Device::connect(serving.url(), made[0]["token"].as_str(), 1, space);
    let id = device.id.to_string();
    let (since, listed) = (Instant::now(), || json(&data, &["device", "list"]));
    while listed().is_empty() {
        assert!(since.elapsed() < WITHIN, "it has signed in");
    }
    assert!(listed()[0]["name"].is_null(), "the control");
    let told = json(&data, &["device", "name", "ada", &id, "the phone"]);
    assert_eq!(told, [object!({ "user": "ada", "id": id, "name": "the phone" })]);
    assert_eq!((&listed()[0]["id"], &listed()[0]["name"]), (&Value::from(&*id), &Value::from("the phone")));
    let told = done(&data, &["device", "name", "ada", &id, "the old phone"]);
    assert_eq!(String::from_utf8(told.stdout).unwrap(), format!("Device {id} is called the old phone.\n"));
    let shown = String::from_utf8(done(&data, &["device", "list"]).stdout).unwrap();
    assert!(shown.contains("the old phone") && !shown.contains("the phone"), "{shown}");
    drop((device, serving));
    assert_eq!(listed()[0]["name"], "the old phone", "also when nobody is here");
    let other = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    assert_eq!(failure(&data, &["device", "name", "ada", other, "nobody's"]).0, Some(4));
}
