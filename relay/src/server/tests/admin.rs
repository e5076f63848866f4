//! The administration, over real sockets beside real sessions.

mod accounts;
mod crowd;
mod dashboard;
mod lists;
mod strangers;

use super::*;
use serde_json::{Value, json};

/// A relay with an administration, and the token that opens it.
pub(super) struct Office {
    pub(super) relay: RunningRelay,
    pub(super) admin: String,
    pub(super) folder: tempfile::TempDir,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    /// Without what differs from answer to answer on purpose.
    pub(super) fn as_bytes(&self) -> String {
        let differs = |line: &&str| !line.starts_with("x-request-id:") && !line.starts_with("date:");
        format!("{}\n{}", self.head.lines().filter(differs).collect::<Vec<_>>().join("\n"), self.body)
    }
}

impl Office {
    pub(super) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = Token::new(&mut SystemEntropy);
        let mut log = DataFolder::create(folder.path().to_owned()).unwrap().open_log().unwrap();
        let new = NewToken { administers: true, ..NewToken::default() };
        log.create_token(&admin, &new, SystemClock::start().now()).unwrap();
        let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let rates = Rates { failures: Rate::per_minute(0, 1), ..Rates::DEFAULT };
        let options = RelayOptions { admin: Some(anywhere), rates, ..options(folder.path()) };
        let relay = Relay::start(options).await.unwrap();
        Self { relay, admin: admin.reveal().to_owned(), folder }
    }

    pub(super) async fn ask_as(&self, token: Option<&str>, method: &str, path: &str, body: Option<&str>) -> Answer {
        self.ask_typed(token, method, path, ("application/json", body.unwrap_or_default())).await
    }

    /// Asks with a body of any type.
    pub(super) async fn ask_typed(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        (content_type, body): (&str, &str),
    ) -> Answer {
        let mut stream = TcpStream::connect(self.relay.admin_address().unwrap()).await.unwrap();
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\n{token}content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        self.ask_as(Some(&self.admin), method, path, body.as_deref()).await
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// The rows of a list that has one page.
    pub(super) async fn list(&self, path: &str) -> Value {
        let mut page = self.get(path).await;
        assert_eq!(page["next"], Value::Null, "{path}");
        page["rows"].take()
    }

    pub(super) async fn token_of(&self, user: &str) -> String {
        let made = self.ask("POST", "/v1/tokens", Some(json!({ "user": user, "name": "a phone" }))).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.json()["token"].as_str().unwrap().to_owned()
    }

    pub(super) async fn device(&self, token: &str, number: u8) -> Device {
        let mut device = Device::try_connect(&self.relay.url(), Some(token), Vec::new()).await.unwrap();
        device.send(ToRelay::Hello(hello(number))).await;
        device.send(open(SPACE, None)).await;
        device
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_told_and_changes_nothing() {
    let office = Office::open().await;
    let cases = [
        ("POST", "/v1/users", r#"{"name":"a\nb"}"#, 400),
        ("POST", "/v1/users", r#"{"name":"ada","admin":true}"#, 422),
        ("POST", "/v1/users", "{", 400),
        ("POST", "/v1/tokens", r#"{"spaces":["not-an-id"]}"#, 400),
        ("POST", "/v1/tokens", r#"{"user":"nobody"}"#, 404),
        ("POST", "/v1/tokens", r#"{"admin":true,"read_only":true}"#, 400),
        ("DELETE", "/v1/tokens/one", "", 400),
        ("GET", "/v1/spaces/not-an-id/members", "", 400),
        ("POST", "/v1/spaces", r#"{"space":"not-an-id","owner":"default"}"#, 400),
        ("POST", "/v1/spaces", r#"{"space":"0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e","owner":"nobody"}"#, 404),
        ("PUT", "/v1/spaces/0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e/members/default", r#"{"role":"king"}"#, 422),
        ("POST", "/v1/devices/default/not-an-id/sign-out", "", 400),
        ("DELETE", "/v1/sessions/not-an-id", "", 404),
        ("GET", "/v1/devices?whose=ada", "", 400),
        ("GET", "/v1/nothing", "", 404),
        ("PUT", "/v1/users", "{}", 405),
    ];
    for (method, path, body, status) in cases {
        let answer = office.ask_as(Some(&office.admin), method, path, Some(body)).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert!(answer.json()["error"].is_string(), "{method} {path}: {}", answer.body);
        assert!(answer.head.contains("x-request-id: "), "{}", answer.head);
    }
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(70_000));
    assert_eq!(office.ask_as(Some(&office.admin), "POST", "/v1/users", Some(&large)).await.status, 413);
    assert_eq!(office.list("/v1/users").await.as_array().unwrap().len(), 1);
    assert_eq!(office.list("/v1/tokens").await.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_administers_nothing_unless_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await.unwrap();
    assert_eq!(relay.admin_address(), None);
    for path in ["/v1/users", "/v1/overview", "/", "/dashboard.js"] {
        let answer = http(&relay, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}");
    }
    let public = Some("0.0.0.0:0".parse().unwrap());
    let refused = Relay::start(RelayOptions { admin: public, ..options(folder.path()) }).await;
    assert!(matches!(refused, Err(StartError::PlainText(_))), "tokens would go over the net in plain text");
}

#[test]
fn the_document_in_the_repository_is_the_one_that_is_served() {
    let stored: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
    assert!(
        stored == serde_json::to_value(openapi()).unwrap(),
        "openapi.json is an older one: write what `afield-relay openapi` prints there"
    );
    for (path, methods) in stored["paths"].as_object().unwrap() {
        for (method, verb) in methods.as_object().unwrap() {
            assert!(verb["summary"].is_string() && verb["responses"]["401"].is_object(), "{method} {path}");
        }
    }
}
