//! What processes write while content and secrets pass through them: neither (S6).

use crate::running::{Person, Ran, afield};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

/// What stands in documents, and in nothing that is written.
const CONTENT: &str = "the diagnosis of a patient";
/// What tokens that an app's backend signs are checked with.
const SECRET: &str = "thirty-two bytes, and none of them told";
/// So many letters of a secret are enough to know that it was told.
const PART: usize = 16;

/// A relay that logs everything there is, in one of its two forms, with all its listeners.
struct Talkative {
    child: Child,
    ready: serde_json::Value,
}

impl Talkative {
    fn start(data: &Path, log: &Path, format: &str) -> Self {
        let keys = data.with_extension("keys");
        fs::write(&keys, SECRET).unwrap();
        let mut command = afield();
        command
            .args(["relay", "--while-stdin-is-open", "serve", "--json", "--listen", "127.0.0.1:0", "--log", "trace"])
            .args(["--log-format", format, "--admin-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .args(["--jwt-algorithm", "HS256", "--jwt-issuer", "https://app.example", "--jwt-audience", "relay"])
            .arg("--jwt-keys")
            .arg(keys)
            .arg("--data")
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        Self { child, ready: serde_json::from_str(&ready).unwrap() }
    }

    fn url(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }

    /// What it answers over HTTP.
    fn ask(&self, listener: &str, token: &str, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.ready[listener].as_str().unwrap()).unwrap();
        let length = body.len();
        let head =
            format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}");
        write!(stream, "{request} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Talkative {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A command of the relay that makes a secret, and what it shows this once.
fn made(data: &Path, arguments: &[&str], key: &str) -> String {
    let output = afield().arg("relay").args(arguments).args(["--json", "--data"]).arg(data).output().unwrap();
    Ran::from(output).json()[key].as_str().unwrap().to_owned()
}

#[test]
fn neither_content_nor_secrets_are_in_anything_that_is_written_at_the_most_talkative() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let (data, log) = (folder.path().join("data"), folder.path().join("log"));
        let relay = Talkative::start(&data, &log, format);
        let administer = |arguments: &[&str]| {
            let output = afield().arg("relay").args(arguments).arg("--data").arg(&data).output().unwrap();
            Ran::from(output)
        };
        administer(&["user", "create", "ada"]).ok();
        let create = |more: &[&str]| made(&data, &[&["token", "create", "--user", "ada"], more].concat(), "token");
        let tokens = [create(&[]), create(&[]), create(&["--admin"]), create(&[])];
        let [phone, laptop, admin, revoked] = &tokens;
        administer(&["token", "revoke", "4"]).ok();

        let mut said = String::new();
        let mut note = |ran: &Ran| said.push_str(&format!("{}{}", ran.out, ran.err));
        let (one, signed) =
            (Person::with_store(), "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlIG9mIG5vYm9keQ");
        one.run(["put", "notes", &format!("title={CONTENT}")]).ok();
        for wrong in ["afield_0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefghjk", revoked, signed] {
            note(&one.run(["-vvv", "connect", relay.url(), "--token", wrong]));
        }
        note(&one.run(["-vvv", "connect", relay.url(), "--token", phone]));
        let space = one.space();
        let two = Person::joining(&space);
        note(&two.run(["-vvv", "connect", relay.url(), "--token", laptop]));
        assert_eq!(two.titles(), [CONTENT], "the control: it has passed through all of them");
        for person in [&one, &two] {
            for command in [&["-vvv", "sync"][..], &["-vvv", "status"], &["-vvv", "doctor"], &["-vvv", "explain"]] {
                note(&person.run(command));
            }
        }
        let code = made(&data, &["space", "invite", &space], "code");
        let accept = format!(r#"{{"user":"nobody","code":"{code}"}}"#);
        let mut answers = relay.ask("admin_address", admin, "POST /v1/invitations/accept", &accept);
        administer(&["user", "create", "ben"]).ok();
        administer(&["user", "create", "cleo"]).ok();
        for (user, is_in_time) in [("ben", true), ("cleo", false)] {
            let token = made(&data, &["token", "create", "--user", user], "token");
            let invited = Person::new();
            note(&invited.run_with(["-vvv", "space", "join", "--invitation"], &code));
            let connected = invited.run(["-vvv", "connect", relay.url(), "--token", &token]);
            assert_eq!(connected.code == 0, is_in_time, "the control: it was used, and used up: {connected:?}");
            note(&connected);
            for command in [
                &["-vvv", "sync"][..],
                &["-vvv", "status", "--json"],
                &["-vvv", "doctor"],
                &["-vvv", "explain"],
                &["space", "list"],
            ] {
                note(&invited.run(command));
            }
        }
        for token in [admin, phone, "afield_guess"] {
            for path in ["sessions", "tokens", "users", "devices", "spaces"] {
                answers.push_str(&relay.ask("admin_address", token, &format!("GET /v1/{path}"), ""));
            }
            answers.push_str(&relay.ask(
                "admin_address",
                token,
                "POST /v1/users",
                &format!(r#"{{"name":7,"{CONTENT}":1}}"#),
            ));
        }
        answers.push_str(&relay.ask("metrics_address", "", "GET /metrics", ""));
        assert!(answers.contains("last_seen_ms") && answers.contains("# EOF"), "the control: {answers}");
        for command in
            [&["token", "list"][..], &["device", "list"], &["space", "invitations", &space], &["user", "list"]]
        {
            note(&administer(command));
        }
        note(&administer(&["user", "sign-out", "ada"]));
        note(&one.run(["-vvv", "sync"]));
        drop(relay);
        let log = fs::read_to_string(&log).unwrap();
        assert!(log.contains("TRACE"), "the control: it does log");
        assert_eq!(log.matches("an invitation was used").count(), 1, "it tells who runs the relay, once");
        assert!(said.contains("TRACE") || said.contains("DEBUG"), "the control: the command does, too");
        for (who, written) in [("the relay's log", &log), ("what commands say", &said), ("answers", &answers)] {
            assert!(!written.contains(CONTENT), "{who}: content");
            for (nth, secret) in tokens.iter().map(String::as_str).chain([&*code, SECRET, signed]).enumerate() {
                let told = secret.as_bytes().windows(PART).skip(usize::from(nth < 5) * "afield_".len()).any(|part| {
                    // A token begins as all do.
                    let part = std::str::from_utf8(part).unwrap();
                    !part.starts_with("afield_") && !"afield_invitation_".contains(part) && written.contains(part)
                });
                assert!(!told, "{who}, {format}: secret {nth}");
            }
        }
    }
}
