//! `session`: who is connected, told beside the relay.

use super::device::Device;
use super::filled::{Desk, log_file};
use super::{Serving, done, failure, json, path};
use afield_core::SpaceId;
use afield_core::wire::{GoodbyeCode, ToDevice};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Within which a session ends that was signed out (R7), and one that came or left is known.
const WITHIN: Duration = Duration::from_secs(5);
const SPACE: SpaceId = SpaceId::from_bytes([7; 16]);

/// A token of a user, who is made.
fn token(data: &Path, user: &str, name: &str) -> String {
    // The user may be there already.
    done(data, &["user", "create", user]);
    let made = json(data, &["token", "create", "--user", user, "--name", name]);
    made.first().and_then(|made| made.get("token")).and_then(Value::as_str).unwrap().to_owned()
}

/// The sessions, once they are as they are wanted.
fn listed(data: &Path, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let since = Instant::now();
    loop {
        let listed = json(data, &["session", "list"]);
        if wanted(&listed) {
            return listed;
        }
        assert!(since.elapsed() < WITHIN, "{listed:?}");
    }
}

/// How many rows there are of sessions in a log's file.
fn rows(file: &Path) -> i64 {
    let log = rusqlite::Connection::open(file).unwrap();
    let count = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM session_spaces)";
    log.query_row(count, [], |row| row.get(0)).unwrap()
}

#[test]
fn two_devices_are_listed_with_their_lag_and_the_one_that_is_signed_out_ends() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (phones, laptops) = (token(&data, "ada", "phone"), token(&data, "ada", "laptop"));
    let relay = Serving::start(&data);
    assert!(json(&data, &["session", "list"]).is_empty(), "nobody is here yet");
    let empty = |filter: &[&str]| {
        let told = done(&data, &[&["session", "list"], filter].concat());
        String::from_utf8([told.stdout, told.stderr].concat()).unwrap()
    };
    assert!(empty(&[]).contains("Nobody is connected now."), "{}", empty(&[]));
    assert!(empty(&["--user", "ada"]).contains("No such device is connected now."));
    let mut phone = Device::connect(relay.url(), Some(&phones), 1, SPACE);
    let mut laptop = Device::connect(relay.url(), Some(&laptops), 2, SPACE);
    Desk::open(&data, 7).write("what both are sent", 3);
    laptop.until(|frame| matches!(frame, ToDevice::Chunks(_)));
    laptop.has_stored(3);

    let lag = |session: &Value| session["spaces"][0]["lag"].as_u64();
    let sessions = listed(&data, |listed| {
        let lags: Vec<_> = listed.iter().filter_map(lag).collect();
        lags == [3, 0]
    });
    let told = &sessions[0];
    assert_eq!((&told["user"], &told["name"]), (&Value::from("ada"), &Value::from("phone")));
    assert_eq!((&told["device"], &told["address"]), (&phone.id.to_string().into(), &Value::from("127.0.0.1")));
    assert!(told["since_ms"].as_i64() > Some(0) && told["last_seen_ms"].as_i64() >= told["since_ms"].as_i64());
    assert_eq!(told["spaces"][0]["space"], SPACE.to_string());
    assert_eq!((&sessions[1]["spaces"][0]["stored"], &sessions[1]["spaces"][0]["head"]), (&3.into(), &3.into()));
    let text = String::from_utf8(done(&data, &["session", "list"]).stdout).unwrap();
    assert!(text.lines().next().unwrap().contains("\t3 changes behind in 1 space"), "{text}");

    let found = |filter: &[&str]| json(&data, &[&["session", "list"], filter].concat()).len();
    let (id, space) = (phone.id.to_string(), SPACE.to_string());
    assert_eq!([found(&["--user", "ada"]), found(&["--user", "default"])], [2, 0]);
    assert_eq!([found(&["--device", &id]), found(&["--device", &id, "--space", &space])], [1, 1]);
    let unknown = SpaceId::from_bytes([8; 16]).to_string();
    for missing in [["--user", "nobody"], ["--space", &unknown]] {
        let (code, error) = failure(&data, &[&["session", "list"], &missing[..]].concat());
        assert_eq!((code, &error["code"]), (Some(4), &Value::from("not_found")));
    }

    let (code, error) = failure(&data, &["session", "sign-out", &"0".repeat(32)]);
    assert_eq!((code, &error["code"]), (Some(4), &Value::from("not_found")));
    assert!(error["next"].as_str().unwrap().contains("session list"));
    assert_eq!(failure(&data, &["session", "sign-out", "nonsense"]).0, Some(2));
    assert_eq!(found(&[]), 2, "nothing has changed");

    let session = told["id"].as_str().unwrap();
    let signed_out = json(&data, &["session", "sign-out", session]);
    let since = Instant::now();
    assert_eq!(signed_out[0]["revoked_tokens"], Value::from(vec![1]));
    assert_eq!(phone.goodbye(), GoodbyeCode::SignedOut);
    assert!(since.elapsed() < WITHIN, "R7");
    laptop.open(1, SpaceId::from_bytes([9; 16]));
    let left = listed(&data, |listed| listed.len() == 1 && listed[0]["spaces"][1].is_object());
    assert_eq!(left[0]["id"], sessions[1]["id"], "the other goes on");
    assert_eq!(failure(&data, &["session", "sign-out", session]).0, Some(4), "it is over");
}

#[test]
fn a_relay_that_was_killed_leaves_no_session_that_anybody_sees() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let phones = token(&data, "ada", "phone");
    let relay = Serving::start(&data);
    let _phone = Device::connect(relay.url(), Some(&phones), 1, SPACE);
    let ghost = listed(&data, |listed| listed.len() == 1).remove(0);
    drop(relay);
    assert!(rows(&log_file(&data)) > 0, "the control: it was killed and has forgotten nothing");

    let told = done(&data, &["session", "list"]);
    assert!(told.status.success() && told.stdout.is_empty());
    assert!(String::from_utf8_lossy(&told.stderr).contains("no relay runs"), "{told:?}");
    let (code, error) = failure(&data, &["session", "sign-out", ghost["id"].as_str().unwrap()]);
    assert_eq!((code, &error["code"]), (Some(4), &Value::from("not_found")));
    assert!(json(&data, &["token", "list"])[0]["revoked_ms"].is_null(), "nothing has changed");

    let second = Serving::start(&data);
    assert!(json(&data, &["session", "list"]).is_empty());
    assert_eq!(rows(&log_file(&data)), 0);
    let _laptop = Device::connect(second.url(), Some(&phones), 2, SPACE);
    let now = listed(&data, |listed| listed.len() == 1);
    assert_ne!(now[0]["id"], ghost["id"]);
}

#[test]
fn sessions_are_of_no_backup_and_of_no_user_who_is_purged() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let (hers, his) = (token(&data, "ada", "phone"), token(&data, "ben", "phone"));
    let relay = Serving::start(&data);
    let mut ada = Device::connect(relay.url(), Some(&hers), 1, SPACE);
    let _ben = Device::connect(relay.url(), Some(&his), 2, SpaceId::from_bytes([8; 16]));
    let both = listed(&data, |listed| listed.len() == 2);
    json(&data, &["backup", path(&file)]);
    let bytes = std::fs::read(&file).unwrap();
    let id = both[0]["id"].as_str().unwrap();
    let id: Vec<u8> = (0..16).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()).collect();
    let holds = |bytes: &[u8]| bytes.windows(16).any(|window| window == id);
    assert!(!holds(&bytes) && rows(&file) == 0, "not even in a free page");
    assert_eq!(json(&data, &["verify", path(&file)])[0]["problems"], json(&data, &["verify"])[0]["problems"]);

    json(&data, &["purge", "user", "ada", "--with-spaces", "--confirm"]);
    assert_eq!(ada.goodbye(), GoodbyeCode::SignedOut);
    let left = listed(&data, |listed| listed.len() == 1);
    assert_eq!(left[0]["user"], "ben");
    drop(relay);
    json(&data, &["restore", "--replace", path(&file)]);
    let _relay = Serving::start(&data);
    assert!(json(&data, &["session", "list"]).is_empty());
}

#[test]
fn a_list_of_more_than_one_page_is_printed_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    done(&data, &["user", "create", "first"]);
    let mut log = rusqlite::Connection::open(log_file(&data)).unwrap();
    let rows = log.transaction().unwrap();
    for number in 0..2_500_i64 {
        let user = "INSERT INTO users (name, created_ms) VALUES (printf('user %05d', ?1), 0)";
        rows.prepare_cached(user).unwrap().execute([number]).unwrap();
    }
    rows.commit().unwrap();
    let listed = json(&data, &["user", "list"]);
    let names: Vec<_> = listed.iter().map(|user| user["name"].as_str().unwrap()).collect();
    assert_eq!((names.len(), names[1], names[2_501]), (2_502, "first", "user 02499"));
    assert!(names[2..].is_sorted());
    assert!(json(&data, &["device", "list"]).is_empty());
}

#[test]
fn a_relays_log_says_which_sessions_ended_for_what_a_command_did() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let [lost, kept] = [token(&data, "ada", "lost"), token(&data, "grace", "kept")];
    let relay = Serving::logging(&data, &log);
    let mut lost = Device::connect(relay.url(), Some(&lost), 1, SPACE);
    let kept = Device::connect(relay.url(), Some(&kept), 2, SpaceId::from_bytes([8; 16]));
    let sessions = listed(&data, |listed| listed.len() == 2);
    let session_of = |device: &Device| {
        let device = Value::from(device.id.to_string());
        sessions.iter().find(|session| session["device"] == device).unwrap()["id"].as_str().unwrap().to_owned()
    };
    json(&data, &["user", "sign-out", "ada"]);
    assert_eq!(lost.goodbye(), GoodbyeCode::SignedOut);
    let told = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("its access was ended")).collect();
    let [line] = lines[..] else { panic!("one line: {told}") };
    assert!(line.contains("INFO") && line.contains("SignedOut"), "{line}");
    assert!(line.contains(&session_of(&lost)) && line.contains(&lost.id.to_string()), "{line}");
    assert!(!told.contains("ada") && !told.contains(&session_of(&kept)), "no names, and nobody else: {told}");
}
