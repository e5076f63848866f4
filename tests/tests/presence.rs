//! Who is here: whole devices, a real relay process and real sockets.

use afield::{Filter, Peer, PresenceError, PresenceWatch, Relay, Replica, Space, SpaceId, TextCursor};
use afield_core::wire::{LiveMessage, Message, ToDevice};
use afield_tests::processes::agent::Command;
use afield_tests::processes::{Access, DeviceProcess, Program, Proxy, Site};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// Far longer than anything here takes, so that only what never comes runs into it.
const NEVER: Duration = Duration::from_secs(20);
/// What is shown, to be looked for in files.
const MARKER: &str = "wistaria-and-foxglove";

/// What the app of these tests shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Here {
    name: String,
    at: Option<TextCursor>,
}

fn here(name: &str) -> Here {
    Here { name: name.to_owned(), at: None }
}

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

/// A space on two devices that are in step.
fn shared(site: &Site) -> ((Replica, Space), (Replica, Space)) {
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let of_anna = anna.create_space("home").unwrap();
    of_anna.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "here" })).unwrap();
    let of_ben = ben.join_space(of_anna.id()).unwrap();
    site.sync_all(&[&anna, &ben]);
    ((anna, of_anna), (ben, of_ben))
}

/// Waits until what others show is as expected.
fn until(site: &Site, watch: &mut PresenceWatch, what: &str, is_so: impl Fn(&[Peer]) -> bool) -> Vec<Peer> {
    let deadline = Instant::now() + NEVER;
    let mut last = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let changed = site.block_on(async { tokio::time::timeout(left, watch.changed()).await });
        match changed {
            Ok(peers) => last = peers.expect("the replica is open"),
            Err(_) => panic!("{what}: {last:?}"),
        }
        if is_so(&last) {
            return last;
        }
    }
}

fn names(peers: &[Peer]) -> Vec<String> {
    let mut names: Vec<_> = peers.iter().map(|peer| peer.get::<Here>().unwrap().name).collect();
    names.sort();
    names
}

#[test]
fn two_devices_see_each_other_whoever_came_first() {
    let site = site();
    let ((anna, of_anna), (ben, of_ben)) = shared(&site);
    let first = of_anna.presence();
    first.set(&here("Anna")).unwrap();
    let second = of_ben.presence();
    let mut at_ben = second.watch();
    let seen = until(&site, &mut at_ben, "who comes later sees who is there", |peers| !peers.is_empty());
    assert_eq!((seen[0].device, seen[0].entity, names(&seen)), (anna.device(), None, vec!["Anna".to_owned()]));
    assert!(seen[0].heard < NEVER);

    let mut at_anna = first.watch();
    second.set(&here("Ben")).unwrap();
    let seen = until(&site, &mut at_anna, "who is there sees who comes", |peers| !peers.is_empty());
    assert_eq!((seen[0].device, names(&seen)), (ben.device(), vec!["Ben".to_owned()]));
    second.set(&here("Benjamin")).unwrap();
    until(&site, &mut at_anna, "what is set anew is shown", |peers| names(peers) == ["Benjamin"]);
    second.clear();
    until(&site, &mut at_anna, "what is cleared is gone", <[Peer]>::is_empty);
    assert_eq!(names(&second.peers()), ["Anna"], "and who has cleared it goes on hearing");

    drop(first);
    until(&site, &mut at_ben, "a dropped handle is cleared", <[Peer]>::is_empty);
}

#[test]
fn a_cursor_follows_what_others_type() {
    let site = site();
    let ((anna, of_anna), (ben, of_ben)) = shared(&site);
    let id = of_anna.collection::<()>("notes").unwrap().ids().unwrap()[0];
    let note = |space: &Space| space.collection::<()>("notes").unwrap().entity(id).unwrap();
    let (of_anna, of_ben) = (note(&of_anna), note(&of_ben));
    of_anna.text("body").splice(0, 0, "milk, bread").unwrap();
    site.sync_all(&[&anna, &ben]);
    let mut at_ben = of_ben.presence().watch();
    let cursor = of_anna.presence();
    let place = of_anna.text("body").cursor_at(6).unwrap();
    cursor.set(&Here { at: Some(place), ..here("Anna") }).unwrap();
    let seen = until(&site, &mut at_ben, "the cursor comes", |peers| !peers.is_empty());
    assert_eq!(seen[0].entity, Some(id));
    let at = seen[0].get::<Here>().unwrap().at.unwrap();
    assert_eq!(of_ben.text("body").position_of(&at).unwrap(), Some(6));
    of_ben.text("body").splice(0, 0, "oat ").unwrap();
    assert_eq!(of_ben.text("body").position_of(&at).unwrap(), Some(10), "before bread, as ever");
    let text = of_ben.text("body").read().unwrap();
    assert_eq!(text.chars().skip(10).collect::<String>(), "bread");
}

#[test]
fn who_disconnects_or_is_killed_is_gone_for_the_others_at_once() {
    let site = site();
    let ((_anna, of_anna), (ben, of_ben)) = shared(&site);
    let mut watch = of_anna.presence().watch();
    let handle = of_ben.presence();
    handle.set(&here("Ben")).unwrap();
    until(&site, &mut watch, "the control", |peers| names(peers) == ["Ben"]);
    ben.disconnect();
    until(&site, &mut watch, "a disconnect is told", <[Peer]>::is_empty);
    assert!(handle.peers().is_empty(), "and who is offline sees nobody");
    ben.connect(Relay::new(site.relay.url())).unwrap();
    until(&site, &mut watch, "what was set is shown again", |peers| names(peers) == ["Ben"]);

    let program = Program::new(env!("CARGO_BIN_EXE_device_process"));
    let mut carol = DeviceProcess::start(&program, &site.path("carol.db"));
    carol.request(&Command::JoinSpace { space: of_anna.id().to_string() });
    carol.request(&Command::Connect { url: site.relay.url(), token: None });
    carol.request(&Command::Show { state: serde_json::to_value(here("Carol")).unwrap() });
    until(&site, &mut watch, "another process", |peers| names(peers) == ["Ben", "Carol"]);
    carol.kill();
    until(&site, &mut watch, "a killed process is gone", |peers| names(peers) == ["Ben"]);
}

#[test]
fn everybody_is_gone_when_the_relay_dies_and_here_again_when_it_is_back() {
    let mut site = site();
    let ((_anna, of_anna), (_ben, of_ben)) = shared(&site);
    let (one, two) = (of_anna.presence(), of_ben.presence());
    let (mut at_anna, mut at_ben) = (one.watch(), two.watch());
    one.set(&here("Anna")).unwrap();
    two.set(&here("Ben")).unwrap();
    until(&site, &mut at_anna, "the control", |peers| names(peers) == ["Ben"]);
    until(&site, &mut at_ben, "the control", |peers| names(peers) == ["Anna"]);
    site.relay.kill();
    until(&site, &mut at_anna, "nobody can be known to be here", <[Peer]>::is_empty);
    site.relay.restart();
    until(&site, &mut at_anna, "the next session shows it again", |peers| names(peers) == ["Ben"]);
    until(&site, &mut at_ben, "on both sides", |peers| names(peers).contains(&"Anna".to_owned()));
}

/// The bytes of all files in a folder and below it, by name.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    found.sort();
    found
}

fn holds(bytes: &[u8], marker: &str) -> bool {
    bytes.windows(marker.len()).any(|window| window == marker.as_bytes())
}

#[test]
fn nothing_of_it_is_stored_anywhere() {
    let site = site();
    let ((anna, of_anna), (ben, of_ben)) = shared(&site);
    let before = files(site.relay.folder());
    let (one, two) = (of_anna.presence(), of_ben.presence());
    let mut at_ben = two.watch();
    for number in 0..20 {
        one.set(&here(&format!("{MARKER} {number}"))).unwrap();
        let newest = format!("{MARKER} {number}");
        until(&site, &mut at_ben, "it arrives", |peers| names(peers).contains(&newest));
    }
    assert!(before == files(site.relay.folder()), "the relay's files are the same, byte for byte");
    assert_eq!(anna.status().unwrap().pending_changes, 0);

    let notes = of_anna.collection::<()>("notes").unwrap().json();
    notes.insert(&json!({ "title": "lavender-in-a-document" })).unwrap();
    site.sync_all(&[&anna, &ben]);
    let everything = files(site.path("").as_path());
    assert!(everything.iter().any(|(_, bytes)| holds(bytes, "lavender-in-a-document")), "the control");
    let found: Vec<_> = everything.iter().filter(|(_, bytes)| holds(bytes, MARKER)).map(|(path, _)| path).collect();
    assert_eq!(found, Vec::<&std::path::PathBuf>::new());
}

/// How many signals went through a door to a device.
fn signals(door: &Proxy) -> usize {
    let is_signal = |message: &&Vec<u8>| {
        LiveMessage::open(message).unwrap().is_none()
            && matches!(Message::open(message).unwrap().to_device().unwrap(), ToDevice::Signal(_))
    };
    door.to_device().iter().filter(is_signal).count()
}

#[test]
fn who_takes_no_part_sends_and_receives_nothing() {
    let site = site();
    let ((_anna, of_anna), (_ben, of_ben)) = shared(&site);
    let idle = site.replica("idle.db");
    // With a filter, so that it does not say how far it has the log, either.
    idle.join_space(of_anna.id()).unwrap().set_filter(Filter::collections(["notes"])).unwrap();
    let door = Proxy::start_keeping(site.relay.address()).unwrap();
    idle.connect(Relay::new(door.url())).unwrap();
    site.sync(&idle);
    let before = door.figures();
    let (one, two) = (of_anna.presence(), of_ben.presence());
    let mut at_ben = two.watch();
    for number in 0..10 {
        let name = number.to_string();
        one.set(&here(&name)).unwrap();
        until(&site, &mut at_ben, "the control: others see each other", |peers| names(peers) == [name.clone()]);
    }
    let since = door.figures().since(&before);
    assert_eq!((since.to_relay.messages, signals(&door)), (0, 0), "{since:?}");
    let late = idle.space(of_anna.id()).unwrap().presence();
    until(&site, &mut late.watch(), "the control: who takes part later", |peers| names(peers) == ["9"]);
    assert!(signals(&door) > 0);
}

#[test]
fn a_space_that_the_relay_does_not_serve_shows_nobody_and_disturbs_no_other() {
    let site = site();
    let ((_anna, of_anna), (ben, of_ben)) = shared(&site);
    let nowhere = ben.join_space(SpaceId::from_bytes([7; 16])).unwrap();
    let lost = nowhere.presence();
    lost.set(&here("Nobody")).unwrap();
    let found = of_ben.presence();
    found.set(&here("Ben")).unwrap();
    until(&site, &mut of_anna.presence().watch(), "the other space goes on", |peers| names(peers) == ["Ben"]);
    assert!(lost.peers().is_empty());
}

#[test]
fn far_too_many_signals_cost_none_of_what_is_durable() {
    let site = site();
    let ((anna, of_anna), (ben, of_ben)) = shared(&site);
    let (one, two) = (of_anna.presence(), of_ben.presence());
    let mut at_ben = two.watch();
    let notes = of_anna.collection::<()>("notes").unwrap();
    let entities: Vec<_> = (0..400).map(|number| notes.json().insert(&json!({ "number": number })).unwrap()).collect();
    let cursors: Vec<_> = entities.iter().map(|id| notes.entity(*id).unwrap().presence()).collect();
    for cursor in &cursors {
        cursor.set(&here("Anna")).unwrap();
    }
    one.set(&here("Anna")).unwrap();
    until(&site, &mut at_ben, "some of them arrive", |peers| peers.len() > 50);
    site.sync_all(&[&anna, &ben]);
    let (status, copies) = (anna.status().unwrap(), of_ben.collection::<()>("notes").unwrap().ids().unwrap());
    assert_eq!((status.pending_changes, copies.len()), (0, 401));
    assert_eq!(status.traffic.sessions, 1, "the session was not closed");
}

#[test]
fn too_much_to_show_is_refused_with_a_code_and_what_was_shown_stays() {
    let site = site();
    let ((_anna, of_anna), (_ben, of_ben)) = shared(&site);
    let (one, two) = (of_anna.presence(), of_ben.presence());
    one.set(&here("Anna")).unwrap();
    let error = one.set(&json!({ "name": MARKER.repeat(100), "at": null })).unwrap_err();
    assert!(matches!(error, PresenceError::TooLarge { bytes_max: 1_024, .. }), "{error}");
    assert_eq!((error.code(), error.class()), ("presence.too_large", afield::Class::Permanent));
    assert!(!error.to_string().contains(MARKER) && error.to_string().contains(&of_anna.id().to_string()), "{error}");
    let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_eq!(one.set(&unwritable).unwrap_err().code(), "presence.json");
    until(&site, &mut two.watch(), "what was shown before", |peers| names(peers) == ["Anna"]);
}
