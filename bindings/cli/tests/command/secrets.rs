//! What processes write while content and secrets pass through them: neither (S6).

mod administration;
mod refreshing;
mod talkative;

use crate::running::{Person, Ran, afield};
use administration::About;
use refreshing::Refreshing;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use talkative::{SECRET, Talkative, signed};

/// What stands in documents, and in nothing that is written.
const CONTENT: &str = "the diagnosis of a patient";
/// What somebody types where it does not belong.
const PASSWORD: &str = "mandarin-quartz-velvet-harbour";
/// So many letters of a secret are enough to know that it was told.
const PART: usize = 16;
/// Within which a relay has written down who is connected, and with which token.
const WITHIN: Duration = Duration::from_secs(30);

/// All that was written, and what must not stand in it.
#[derive(Default)]
struct Written {
    /// What commands, and devices, have said.
    said: String,
    /// What the relay has answered over HTTP.
    answers: String,
    secrets: Vec<String>,
}

/// A relay, whoever administers it, and all that is written.
struct Scene {
    folder: tempfile::TempDir,
    relay: Talkative,
    written: Written,
}

impl Scene {
    fn start(format: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = Talkative::start(&folder.path().join("data"), &folder.path().join("log"), format);
        let secrets = vec![SECRET.to_owned(), PASSWORD.to_owned()];
        Self { folder, relay, written: Written { secrets, ..Written::default() } }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn relay_command(&self, data: &Path, arguments: &[&str]) -> Ran {
        Ran::from(afield().arg("relay").args(arguments).arg("--data").arg(data).output().unwrap())
    }

    /// A command of the relay that tells no secret.
    fn administer(&mut self, arguments: &[&str]) -> Ran {
        let ran = self.relay_command(&self.path("data"), arguments);
        self.note(ran)
    }

    fn note(&mut self, ran: Ran) -> Ran {
        self.written.said.push_str(&format!("{}{}", ran.out, ran.err));
        ran
    }

    /// A command of the relay that makes a secret, which is shown this once.
    fn made(&mut self, arguments: &[&str], key: &str) -> String {
        let made = self.relay_command(&self.path("data"), &[arguments, &["--json"]].concat());
        self.written.said.push_str(&made.err);
        let secret = made.json()[key].as_str().unwrap().to_owned();
        self.written.secrets.push(secret.clone());
        secret
    }

    fn token(&mut self, user: &str, more: &[&str]) -> String {
        self.made(&[&["token", "create", "--user", user], more].concat(), "token")
    }

    /// Signs a device in, and syncs it where the token is good.
    fn connect(&mut self, person: &Person, token: &str) -> Ran {
        let url = self.relay.url().to_owned();
        let ran = person.run(["-vvv", "connect", &url, "--token", token]);
        self.note(ran)
    }

    /// Has a device say what it can.
    fn question(&mut self, person: &Person) {
        for command in [
            &["-vvv", "sync"][..],
            &["-vvv", "status", "--json"],
            &["-vvv", "doctor"],
            &["-vvv", "explain"],
            &["space", "list"],
        ] {
            let ran = person.run(command);
            self.note(ran);
        }
    }

    /// Looks for each secret, and a part of each, in all that was written.
    fn look(self, format: &str) {
        let Self { folder, relay, written } = self;
        let out = relay.end();
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(log.contains("TRACE"), "the control: it does log");
        assert_eq!(log.matches("an invitation was used").count(), 1, "it tells who runs the relay, once");
        let Written { said, answers, secrets } = written;
        assert!(said.contains("TRACE") || said.contains("DEBUG"), "the control: the command does, too");
        assert!(answers.contains("last_seen_ms") && answers.contains("# EOF"), "the control: {answers}");
        assert!(secrets.len() > 12, "the control: {}", secrets.len());
        for (who, written) in
            [("the relay's log", log), ("its output", out), ("what commands say", said), ("answers", answers)]
        {
            assert!(!written.contains(CONTENT), "{who}, {format}: content");
            for (nth, secret) in secrets.iter().enumerate() {
                // A token begins as all do.
                let own = secret.trim_start_matches("afield_").trim_start_matches("invitation_");
                let mut parts = own.as_bytes().windows(PART).map(|part| std::str::from_utf8(part).unwrap());
                assert!(parts.len() > 0, "secret {nth} is long enough");
                let told = parts.find(|part| written.contains(part));
                assert_eq!(told, None, "{who}, {format}: secret {nth}");
            }
        }
    }
}

/// Devices of ada, and those who are turned away; gives the device that made the space, and its space.
fn sync_content(scene: &mut Scene) -> (Person, String) {
    scene.administer(&["user", "create", "ada"]).ok();
    let (phone, laptop) = (scene.token("ada", &[]), scene.token("ada", &[]));
    let revoked = scene.token("ada", &[]);
    scene.administer(&["token", "revoke", "3"]).ok();
    let one = Person::with_store();
    one.run(["put", "notes", &format!("title={CONTENT}")]).ok();
    let space = one.space();
    let forged = signed("what somebody else has as a secret", "ada", &space);
    let unknown = "afield_0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefghjk".to_owned();
    for wrong in [unknown, revoked, forged] {
        assert_ne!(scene.connect(&one, &wrong).code, 0, "the control");
        scene.written.secrets.push(wrong);
    }
    let with_password = scene.relay.url().replace("ws://", &format!("ws://ada:{PASSWORD}@"));
    let refused = one.run(["-vvv", "connect", &with_password, "--token", &phone]);
    assert_ne!(scene.note(refused).code, 0, "the control");
    scene.connect(&one, &phone).ok();
    let two = Person::joining(&space);
    scene.connect(&two, &laptop).ok();
    assert_eq!(two.titles(), [CONTENT], "the control: it has passed through all of them");
    scene.question(&one);
    scene.question(&two);
    (one, space)
}

/// A device whose token an app's backend has signed brings a space.
fn sync_signed(scene: &mut Scene) {
    let person = Person::with_store();
    person.run(["put", "notes", &format!("title={CONTENT}")]).ok();
    let token = signed(SECRET, "subject-of-the-backend", &person.space());
    scene.written.secrets.push(token.clone());
    scene.connect(&person, &token).ok();
    scene.question(&person);
    let listed = scene.administer(&["user", "list"]);
    assert!(listed.ok().contains("subject-of-the-backend"), "the control: it has signed in: {listed:?}");
}

/// An invitation that is used, and used up.
fn invite(scene: &mut Scene, space: &str) {
    let code = scene.made(&["space", "invite", space], "code");
    let admin = scene.token("ada", &["--admin"]);
    let accept = format!(r#"{{"user":"nobody","code":"{code}"}}"#);
    let request = "POST /v1/invitations/accept";
    let answer = scene.relay.ask("admin_address", &format!("Bearer {admin}"), request, &accept);
    assert!(answer.starts_with("HTTP/1.1 404"), "the control: {answer}");
    scene.written.answers.push_str(&answer);
    for (user, is_in_time) in [("ben", true), ("cleo", false)] {
        scene.administer(&["user", "create", user]).ok();
        let token = scene.token(user, &[]);
        let invited = Person::new();
        let joined = invited.run_with(["-vvv", "space", "join", "--invitation"], &code);
        scene.note(joined);
        let connected = scene.connect(&invited, &token);
        assert_eq!(connected.code == 0, is_in_time, "the control: it was used, and used up: {connected:?}");
        scene.question(&invited);
    }
}

/// A device that gives a fresher token while it is connected, and all that can be asked over HTTP about it.
fn ask_while_one_is_here(scene: &mut Scene, space: &str) {
    let (first, fresher) = (scene.token("ada", &[]), scene.token("ada", &["--name", "fresher"]));
    let (admin, store) = (scene.token("ada", &["--admin"]), scene.path("refreshing.db"));
    let refreshing = Refreshing::start(&store, scene.relay.url(), &first, &fresher);
    let tokens = scene.administer(&["token", "list", "--json"]).json_lines();
    let number = &tokens.iter().find(|token| token["name"] == "fresher").unwrap()["number"];
    let since = Instant::now();
    loop {
        let devices = scene.administer(&["device", "list", "--user", "ada", "--json"]).json_lines();
        let sessions = scene.administer(&["session", "list", "--json"]).json_lines();
        let is_here = sessions.iter().any(|session| session["device"] == *refreshing.device);
        if is_here && devices.iter().any(|one| one["id"] == *refreshing.device && one["token"] == *number) {
            break;
        }
        assert!(since.elapsed() < WITHIN, "the control: the fresher token is taken: {devices:?} {sessions:?}");
    }
    scene.administer(&["session", "list"]).ok();
    let about = About { admin: &admin, phone: &first, space, device: &refreshing.device };
    administration::ask_all(&scene.relay, &about, &mut scene.written);
    scene.written.said.push_str(&refreshing.end(&store));
}

/// What is done to the log as a whole.
fn operate(scene: &mut Scene, one: &Person, space: &str) {
    let entity = one.run(["list", "notes", "--json"]).json()["id"].as_str().unwrap().to_owned();
    let (backup, again) = (scene.path("backup"), scene.path("again"));
    let backup = backup.to_str().unwrap();
    scene.administer(&["backup", backup]).ok();
    let restored = scene.relay_command(&again, &["restore", backup]);
    scene.note(restored).ok();
    let verified = scene.relay_command(&again, &["verify"]);
    scene.note(verified).ok();
    for command in [
        &["token", "list"][..],
        &["device", "list"],
        &["space", "invitations", space],
        &["space", "members", space],
        &["verify"],
        &["compact"],
        &["config", "print"],
        &["purge", "entity", space, &entity, "--confirm"],
        &["purge", "space", space, "--confirm"],
        &["user", "sign-out", "ada"],
        &["purge", "user", "ben", "--confirm"],
    ] {
        scene.administer(command).ok();
        scene.administer(&[command, &["--json"]].concat());
    }
    // The clock and the disk of this machine may want to be looked at.
    let told = scene.administer(&["doctor"]);
    assert!([0, 6].contains(&told.code), "{told:?}");
    let synced = one.run(["-vvv", "sync"]);
    assert_ne!(scene.note(synced).code, 0, "the control: it is signed out");
}

#[test]
fn neither_content_nor_secrets_are_in_anything_that_is_written_at_the_most_talkative() {
    for format in ["text", "json"] {
        let mut scene = Scene::start(format);
        let (one, space) = sync_content(&mut scene);
        sync_signed(&mut scene);
        invite(&mut scene, &space);
        ask_while_one_is_here(&mut scene, &space);
        operate(&mut scene, &one, &space);
        scene.look(format);
    }
}
