//! A relay that says all it can, and those who sign its tokens.

use crate::running::afield;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

/// What tokens that an app's backend signs are checked with.
pub(super) const SECRET: &str = "thirty-two bytes, and none of them told";

/// A relay that logs everything there is, in one of its two forms, with all its listeners. Nobody is sent away, however often a token is
/// wrong.
pub(super) struct Talkative {
    child: Child,
    ready: Value,
    rest: Option<JoinHandle<String>>,
}

impl Talkative {
    pub(super) fn start(data: &Path, log: &Path, format: &str) -> Self {
        let keys = data.with_extension("keys");
        fs::write(&keys, SECRET).unwrap();
        let mut command = afield();
        command
            .args(["relay", "--while-stdin-is-open", "serve", "--json", "--listen", "127.0.0.1:0", "--log", "trace"])
            .args(["--log-format", format, "--admin-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .args(["--jwt-algorithm", "HS256", "--jwt-issuer", "https://app.example", "--jwt-audience", "relay"])
            .args(["--rates-failures-per-minute", "0", "--rates-connections-per-minute", "0"])
            .arg("--jwt-keys")
            .arg(keys)
            .arg("--data")
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        out.read_line(&mut ready).unwrap();
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            out.read_to_string(&mut rest).unwrap();
            rest
        });
        Self { child, ready: serde_json::from_str(&ready).unwrap(), rest: Some(rest) }
    }

    pub(super) fn url(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }

    /// What it answers over HTTP, head and body.
    pub(super) fn ask(&self, listener: &str, authorization: &str, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.ready[listener].as_str().unwrap()).unwrap();
        let length = body.len();
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let head = format!("authorization: {authorization}\r\n{kind}content-length: {length}\r\nconnection: close");
        write!(stream, "{request} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Lets it end by itself; gives what it wrote on standard output.
    pub(super) fn end(mut self) -> String {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        format!("{}{}", self.ready, self.rest.take().unwrap().join().unwrap())
    }
}

impl Drop for Talkative {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token that an app's backend signs, with this secret, so that this user brings a space to the relay.
pub(super) fn signed(secret: &str, subject: &str, space: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": "https://app.example", "aud": "relay", "sub": subject, "iat": now, "exp": now + 3_600,
        "create": true, "spaces": { space: "owner" },
    });
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", part(br#"{"alg":"HS256"}"#), part(claims.to_string().as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", part(signature.as_ref()))
}
