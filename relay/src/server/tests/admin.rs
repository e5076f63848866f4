//! The administration, over real sockets beside real sessions.

mod crowd;

use super::*;
use crate::log::{Authentication, Log, SeenDevice, TokenHash};
use afield_core::DeviceId;
use serde_json::{Value, json};

/// A relay with an administration, and the token that opens it.
struct Office {
    relay: RunningRelay,
    admin: String,
    folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    /// Without what differs from answer to answer on purpose.
    fn as_bytes(&self) -> String {
        let differs = |line: &&str| !line.starts_with("x-request-id:") && !line.starts_with("date:");
        format!("{}\n{}", self.head.lines().filter(differs).collect::<Vec<_>>().join("\n"), self.body)
    }
}

impl Office {
    async fn open() -> Self {
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

    async fn ask_as(&self, token: Option<&str>, method: &str, path: &str, body: Option<&str>) -> Answer {
        let mut stream = TcpStream::connect(self.relay.admin_address().unwrap()).await.unwrap();
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let body = body.unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\n{token}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        self.ask_as(Some(&self.admin), method, path, body.as_deref()).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// The rows of a list that has one page.
    async fn list(&self, path: &str) -> Value {
        let mut page = self.get(path).await;
        assert_eq!(page["next"], Value::Null, "{path}");
        page["rows"].take()
    }

    async fn token_of(&self, user: &str) -> String {
        let made = self.ask("POST", "/v1/tokens", Some(json!({ "user": user, "name": "a phone" }))).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.json()["token"].as_str().unwrap().to_owned()
    }

    async fn device(&self, token: &str, number: u8) -> Device {
        let mut device = Device::try_connect(&self.relay.url(), Some(token), Vec::new()).await.unwrap();
        device.send(ToRelay::Hello(hello(number))).await;
        device.send(open(SPACE, None)).await;
        device
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_is_made_and_everyone_gets_what_was_granted() {
    let office = Office::open().await;
    for user in ["ada", "ben"] {
        assert_eq!(office.ask("POST", "/v1/users", Some(json!({ "name": user }))).await.status, 201);
    }
    assert_eq!(office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await.status, 409);
    let (ada, ben) = (office.token_of("ada").await, office.token_of("ben").await);
    let mut hers = office.device(&ada, 1).await;
    hers.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    let mut author = Author::new(1, 1);
    let change = author.edit("hers");
    hers.send_message(push_message(1, author.entity, std::slice::from_ref(&change))).await;
    hers.until(|seen| matches!(seen, Seen::Receipt(..))).await;

    let mut his = office.device(&ben, 2).await;
    let refused = his.until(|seen| matches!(seen, Seen::Refused(_))).await;
    assert_eq!(refused.last(), Some(&Seen::Refused(wire::SpaceCode::UnknownOrForbidden)), "R6");

    let spaces = office.list("/v1/spaces").await;
    let space = spaces[0]["id"].as_str().unwrap().to_owned();
    assert_eq!((space.as_str(), &spaces[0]["members"]), (SPACE.to_string().as_str(), &json!(1)));
    let members = format!("/v1/spaces/{space}/members");
    let granted = office.ask("PUT", &format!("{members}/ben"), Some(json!({ "role": "reader" }))).await;
    assert_eq!(granted.json(), json!({ "space": space, "user": "ben", "role": "reader" }));
    his.send(open(SPACE, None)).await;
    let got = his.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    assert_eq!(foreign(&got), [change]);

    let order = json!({ "space": "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e", "owner": "ben" });
    let created = office.ask("POST", "/v1/spaces", Some(order.clone())).await;
    assert_eq!((created.status, &created.json()["role"]), (201, &json!("owner")), "without a device");
    assert_eq!(office.ask("POST", "/v1/spaces", Some(order)).await.status, 409, "there it is");

    let invitation =
        office.ask("POST", &format!("/v1/spaces/{space}/invitations"), Some(json!({ "role": "owner" }))).await;
    assert_eq!(invitation.status, 201);
    let code = invitation.json()["code"].as_str().unwrap().to_owned();
    let accept = json!({ "user": "ben", "code": code });
    assert_eq!(office.ask("POST", "/v1/invitations/accept", Some(accept.clone())).await.json()["role"], "owner");
    assert_eq!(office.ask("POST", "/v1/invitations/accept", Some(accept)).await.status, 404, "it is used");
    let invitations = office.list(&format!("/v1/spaces/{space}/invitations")).await;
    assert_eq!((&invitations[0]["used_by"], invitations.to_string().contains(&code)), (&json!("ben"), false));
    assert_eq!(office.ask("DELETE", "/v1/invitations/1", None).await.status, 404, "too late");
    assert_eq!(office.ask("DELETE", &format!("{members}/ada"), None).await.status, 204);
    let conflict = office.ask("DELETE", &format!("{members}/ben"), None).await;
    assert_eq!((conflict.status, &conflict.json()["code"]), (409, &json!("conflict")), "the last owner stays");
    assert_eq!(office.list(&members).await, json!([{ "user": "ben", "role": "owner", "disabled": false }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_seen_and_signed_out_and_the_device_learns_why() {
    let office = Office::open().await;
    office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await;
    let (phone, laptop) = (office.token_of("ada").await, office.token_of("ada").await);
    let (mut one, mut two) = (office.device(&phone, 1).await, office.device(&laptop, 2).await);
    for device in [&mut one, &mut two] {
        device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    }
    let sessions = office.list("/v1/sessions").await;
    let sessions = sessions.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let first = sessions.iter().find(|session| session["device"] == hello(1).device.to_string()).unwrap();
    assert_eq!((&first["user"], &first["name"]), (&json!("ada"), &json!("a phone")));
    assert_eq!((&first["address"], &first["spaces"][0]["lag"]), (&json!("127.0.0.1"), &json!(0)));

    let path = format!("/v1/sessions/{}", first["id"].as_str().unwrap());
    let signed_out = office.ask("DELETE", &path, None).await;
    assert_eq!(signed_out.json(), json!({ "revoked_tokens": [2], "shared_tokens": [], "kept_tokens": [] }));
    assert_eq!(one.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)));
    assert_eq!(one.next().await, None);
    assert_eq!(office.ask("DELETE", &path, None).await.status, 404, "it is gone");
    let mut again = Device::try_connect(&office.relay.url(), Some(&phone), Vec::new()).await.unwrap();
    again.send(ToRelay::Hello(hello(1))).await;
    assert_eq!(again.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)));

    let devices = office.list("/v1/devices?user=ada").await;
    let state = |id: &str| {
        let device = devices.as_array().unwrap().iter().find(|device| device["id"] == id).unwrap();
        device["signed_out_ms"].is_i64()
    };
    assert!(state(&hello(1).device.to_string()) && !state(&hello(2).device.to_string()));
    let named = format!("/v1/devices/ada/{}", hello(2).device);
    assert_eq!(office.ask("PATCH", &named, Some(json!({ "name": "the laptop" }))).await.status, 204);
    assert_eq!(office.list("/v1/sessions").await[0]["name"], "the laptop");

    assert_eq!(office.ask("PATCH", "/v1/users/ada", Some(json!({ "disabled": true }))).await.status, 204);
    assert_eq!(two.next().await, Some(Seen::Goodbye(GoodbyeCode::AccountClosed)));
    assert_eq!(office.list("/v1/sessions").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_signed_out_with_its_token_unless_that_is_to_be_kept_for_others() {
    let office = Office::open().await;
    office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await;
    let shared = office.token_of("ada").await;
    let mut devices = Vec::new();
    for number in 1..=4 {
        let mut device = office.device(&shared, number).await;
        device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
        devices.push(device);
    }
    let sign_out = |number: u8| format!("/v1/devices/ada/{}/sign-out", hello(number).device);
    let kept = json!({ "revoked_tokens": [], "shared_tokens": [], "kept_tokens": [2] });
    let told = office.ask("POST", &sign_out(1), Some(json!({ "keep_tokens": true }))).await;
    assert_eq!(told.json(), kept);
    let sessions = office.list("/v1/sessions").await;
    assert_eq!(sessions.as_array().unwrap().len(), 3, "the others go on");
    let id = sessions[0]["id"].as_str().unwrap();
    assert_eq!(office.ask("DELETE", &format!("/v1/sessions/{id}?keep_tokens=true"), None).await.json(), kept);
    assert_eq!(office.ask("POST", &sign_out(3), Some(json!({ "keep": true }))).await.status, 422, "no slip is taken");
    let told = office.ask("POST", &sign_out(3), None).await;
    assert_eq!(told.json(), json!({ "revoked_tokens": [2], "shared_tokens": [2], "kept_tokens": [] }));
    for device in &mut devices {
        assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)));
    }
    let mut invented = Device::try_connect(&office.relay.url(), Some(&shared), Vec::new()).await.unwrap();
    invented.send(ToRelay::Hello(hello(5))).await;
    assert_eq!(invented.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)), "under no other id either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_device_that_was_forgotten_for_many_others_is_signed_out_all_the_same() {
    let office = Office::open().await;
    office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await;
    let (token, flooding) = (office.token_of("ada").await, office.token_of("ada").await);
    let mut devices = Vec::new();
    for number in 1..=3 {
        let mut device = office.device(&token, number).await;
        device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
        devices.push(device);
    }
    let sessions = office.list("/v1/sessions").await;
    let mut log = DataFolder::existing(office.folder.path().to_owned()).unwrap().open_log().unwrap();
    let flooding = TokenHash::of(&flooding);
    let now = SystemClock::start().now();
    let Authentication::Good(principal) = log.authenticate(&flooding, hello(9).device, now).unwrap() else { panic!() };
    let flood: Vec<SeenDevice> = (0..1_001_u128)
        .map(|number| SeenDevice {
            user: principal.user,
            device: DeviceId::from_bytes((number << 64 | 1).to_be_bytes()),
            token: flooding,
            address: None,
            seen_wall_ms: now.wall_ms + 1_000,
        })
        .collect();
    log.note_devices(&flood).unwrap();
    let listed = office.list("/v1/devices?user=ada&limit=10000").await.to_string();
    for number in 1..=3 {
        assert!(!listed.contains(&hello(number).device.to_string()), "the control: it is forgotten");
    }
    let path = |number: u8| format!("/v1/devices/ada/{}", hello(number).device);
    let named = office.ask("PATCH", &path(1), Some(json!({ "name": "the first" }))).await;
    assert_eq!(named.status, 204, "{}", named.body);
    let kept = Some(json!({ "keep_tokens": true }));
    let signed_out = office.ask("POST", &format!("{}/sign-out", path(1)), kept).await;
    assert_eq!(signed_out.json()["kept_tokens"], json!([2]), "with the token that it has shown: {}", signed_out.body);
    let second = sessions.as_array().unwrap().iter().find(|one| one["device"] == hello(2).device.to_string()).unwrap();
    let signed_out = office.ask("DELETE", &format!("/v1/sessions/{}", second["id"].as_str().unwrap()), None).await;
    assert_eq!(signed_out.json()["revoked_tokens"], json!([2]), "{}", signed_out.body);
    for device in &mut devices {
        assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)));
    }
    let nobody = format!("{}/sign-out", path(77));
    assert_eq!(office.ask("POST", &nobody, None).await.status, 404, "the control: one that never was");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overview_says_how_the_relay_is_and_what_happened_last() {
    let office = Office::open().await;
    office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await;
    let (phone, laptop) = (office.token_of("ada").await, office.token_of("ada").await);
    let mut one = office.device(&phone, 1).await;
    one.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    let mut author = Author::new(1, 1);
    let change = author.edit("secret content");
    one.send_message(push_message(1, author.entity, &[change, vec![7; 9]])).await;
    one.until(|seen| matches!(seen, Seen::Receipt(..))).await;
    let mut two = office.device(&laptop, 2).await;
    two.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    let mut stranger = Device::try_connect(&office.relay.url(), Some("afield_guess"), Vec::new()).await.unwrap();
    stranger.send(ToRelay::Hello(hello(3))).await;
    assert_eq!(stranger.next().await, Some(Seen::Goodbye(GoodbyeCode::Unauthorized)));

    let overview = office.get("/v1/overview").await;
    assert_eq!((&overview["version"], &overview["protocol"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(1)));
    assert_eq!((&overview["ready"], &overview["not_ready_because"]), (&json!(true), &Value::Null));
    assert_eq!((&overview["now"]["sessions"], &overview["open_access"]), (&json!(2), &json!(false)));
    assert!(overview["now"]["connections"].as_u64() >= Some(2) && overview["now"]["log_bytes"].as_u64() > Some(0));
    let total = &overview["total"];
    assert_eq!((&total["sessions_begun"], &total["chunks_stored"]), (&json!(2), &json!(1)));
    assert_eq!(total["sessions_ended"], json!({ "Unauthorized": 1 }));
    assert_eq!(total["chunks_refused"], json!({ "Malformed": 1 }));
    assert_eq!(overview["limits"]["space_bytes"], json!(Quotas::SPACE_BYTES_MAX));
    assert!(overview["limits"]["connections"].as_u64() > Some(0));

    assert_eq!(office.ask("DELETE", "/v1/tokens/2", None).await.status, 204);
    one.until(|seen| *seen == Seen::Goodbye(GoodbyeCode::SignedOut)).await;
    drop(two);
    let kinds = |overview: &Value| -> Vec<String> {
        let events = overview["events"].as_array().unwrap();
        events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    let overview = loop {
        let overview = office.get("/v1/overview").await;
        if kinds(&overview).first().is_some_and(|kind| kind == "left") {
            break overview;
        }
        assert!(std::time::Instant::now() < deadline, "{overview}");
    };
    let expected = ["left", "token_revoked", "ended", "turned_away", "signed_in", "chunk_refused", "signed_in"];
    assert_eq!(kinds(&overview), expected, "newest first");
    let (left, revoked, ended) = (&overview["events"][0], &overview["events"][1], &overview["events"][2]);
    assert_eq!((&left["user"], &left["address"]), (&json!("ada"), &json!("127.0.0.1")));
    assert_eq!((&left["device"], &revoked["token"]), (&json!(hello(2).device.to_string()), &json!(2)));
    assert_eq!(ended["because"], "this device was signed out");
    assert!(overview["events"].as_array().unwrap().iter().all(|event| event["at_ms"].as_i64() > Some(0)));
    for secret in ["secret content", &phone, &laptop, &office.admin, "afield_guess"] {
        assert!(!overview.to_string().contains(secret), "S6: {secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_needs_no_token_holds_no_data_and_loads_nothing_from_elsewhere() {
    let office = Office::open().await;
    let mut page = String::new();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/dashboard.js", "text/javascript; charset=utf-8"),
        ("/boards.js", "text/javascript; charset=utf-8"),
        ("/people.js", "text/javascript; charset=utf-8"),
        ("/tables.js", "text/javascript; charset=utf-8"),
        ("/words.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = office.ask_as(None, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        for header in [
            &format!("content-type: {kind}\r\n"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(answer.head.contains(header), "{path}: {header} in {}", answer.head);
        }
        if path != "/icon.svg" {
            assert!(!answer.body.contains("//www.") && !answer.body.contains("https:"), "{path} names another place");
        }
        if path == "/" {
            page = answer.body;
        } else {
            let name = path.trim_start_matches('/');
            let imported = ["dashboard.js", "boards.js"].map(|file| {
                let text = std::fs::read_to_string(format!("{}/dashboard/{file}", env!("CARGO_MANIFEST_DIR")));
                text.unwrap().contains(&format!("\"./{name}\""))
            });
            assert!(page.contains(&format!("\"{name}\"")) || imported.contains(&true), "nothing asks for {path}");
        }
        assert_eq!(office.ask_as(None, "POST", path, Some("{}")).await.status, 405, "{path}");
    }
    for inline in ["<script>", "<style", " style=", " onclick=", " onload=", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
    let answer = office.ask("GET", "/v1/users", None).await;
    assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_administrator_learns_anything() {
    let office = Office::open().await;
    let now = SystemClock::start().now();
    let mut log = DataFolder::existing(office.folder.path().to_owned()).unwrap().open_log().unwrap();
    log.create_user("ada", now).unwrap();
    let mut made = |new: NewToken| {
        let token = Token::new(&mut SystemEntropy);
        let number = log.create_token(&token, &new, now).unwrap();
        (number, token.reveal().to_owned())
    };
    let admin = NewToken { administers: true, ..NewToken::default() };
    let (_, device) = made(NewToken { user: Some("ada".to_owned()), may_create: true, ..NewToken::default() });
    let (_, reader) = made(NewToken { read_only: true, ..NewToken::default() });
    let (_, expired) = made(NewToken { expires_wall_ms: Some(now.wall_ms - 1), ..admin.clone() });
    let (number, revoked) = made(admin.clone());
    let (_, closed) = made(NewToken { user: Some("ada".to_owned()), ..admin });
    log.revoke_token(number, now).unwrap();
    log.set_user_enabled("ada", false, now).unwrap();
    let strangers =
        [None, Some("afield_wrong"), Some(&device), Some(&reader), Some(&expired), Some(&revoked), Some(&closed)];

    // Every verb of the document, so that one that is added is here, too.
    let document = serde_json::to_value(openapi()).unwrap();
    let mut answers = std::collections::BTreeSet::new();
    let mut verbs = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            verbs += 1;
            for existing in [true, false] {
                let (user, number) = if existing { ("ada", "2") } else { ("nobody", "99") };
                let path = path.replace("{name}", user).replace("{user}", user).replace("{number}", number);
                let path =
                    path.replace("{space}", &SPACE.to_string()).replace("{device}", &hello(1).device.to_string());
                let method = method.to_uppercase();
                for token in strangers {
                    let answer = office.ask_as(token.map(|token| token as &str), &method, &path, Some("{}")).await;
                    assert_eq!(answer.status, 401, "{method} {path} {token:?}");
                    answers.insert(answer.as_bytes());
                }
                let control = office.ask_as(Some(&office.admin), &method, &path, Some("{}")).await;
                assert_ne!(control.status, 401, "the control: {method} {path}");
            }
        }
    }
    assert!(verbs >= 20, "{verbs}");
    assert_eq!(answers.len(), 1, "all of them are the same bytes: {answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_learns_even_what_there_is_to_ask() {
    let office = Office::open().await;
    let mut answers = std::collections::BTreeSet::new();
    for (method, path) in [("GET", "/openapi.json"), ("GET", "/v1/nothing"), ("GET", "/v1/users"), ("GET", "/other")] {
        let answer = office.ask_as(None, method, path, None).await;
        assert_eq!(answer.status, 401, "{method} {path}");
        answers.insert(answer.as_bytes());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(office.get("/openapi.json").await, serde_json::to_value(openapi()).unwrap(), "the control");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_does_not_hold_the_administration_full() {
    let office = Office::open().await;
    let address = office.relay.admin_address().unwrap();
    let mut silent = Vec::new();
    for _ in 0..ADMIN_CONNECTIONS_PER_ADDRESS_MAX {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let refused = office.ask("GET", "/v1/users", None).await;
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("too_many")));
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    #[cfg(target_os = "linux")]
    {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::from([127, 0, 0, 2]), 0)).unwrap();
        let mut other = socket.connect(address).await.unwrap();
        other.write_all(b"GET /v1/users HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(PATIENCE, other.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401", "another address finds a place");
    }
    silent.clear();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while office.ask("GET", "/v1/users", None).await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "its places are free again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_who_asks_for_nothing_at_the_address_of_a_trusted_proxy() {
    let Office { relay, folder, admin } = Office::open().await;
    relay.shutdown().await;
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let options = RelayOptions { admin: Some(anywhere), trusted_proxies, ..options(folder.path()) };
    let office = Office { relay: Relay::start(options).await.unwrap(), folder, admin };
    let address = office.relay.admin_address().unwrap();
    let mut silent = Vec::new();
    for _ in 0..ADMIN_CONNECTIONS_PER_ADDRESS_MAX {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let refused = office.ask("GET", "/v1/users", None).await;
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("too_many")));
    silent.clear();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while office.ask("GET", "/v1/users", None).await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "its places are free again");
    }
    for _ in 0..2 * ADMIN_CONNECTIONS_PER_ADDRESS_MAX {
        for token in [format!("{}\r\nx-forwarded-for: 192.0.2.1", office.admin), office.admin.clone()] {
            let answer = office.ask_as(Some(&token), "GET", "/v1/users", None).await;
            assert_eq!(answer.status, 200, "the control: what was answered holds no place");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_an_administrators_token_is_sent_away_for_a_while() {
    let Office { relay, folder, admin } = Office::open().await;
    relay.shutdown().await;
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let rates = Rates { failures: Rate::per_minute(1, 2), ..Rates::DEFAULT };
    let options = RelayOptions { admin: Some(anywhere), rates, ..options(folder.path()) };
    let office = Office { relay: Relay::start(options).await.unwrap(), folder, admin };
    for _ in 0..5 {
        assert_eq!(office.ask_as(None, "GET", "/v1/users", None).await.status, 401, "without a token nobody guesses");
    }
    for _ in 0..3 {
        assert_eq!(office.ask_as(Some("afield_guess"), "GET", "/v1/users", None).await.status, 401);
    }
    let refused = office.ask_as(Some("afield_guess"), "GET", "/v1/users", None).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("too_many")));
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    assert_eq!(office.ask("GET", "/v1/users", None).await.status, 200, "a good token opens from anywhere");
    let mut device = office.device(&office.token_of("default").await, 1).await;
    assert!(matches!(device.next().await, Some(Seen::Welcome(_))), "devices of the address are not concerned");

    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Ok(mut device) = Device::try_connect(&office.relay.url(), Some("afield_guess"), Vec::new()).await {
        device.send(ToRelay::Hello(hello(2))).await;
        assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::Unauthorized)));
        assert!(tokio::time::Instant::now() < deadline, "it is sent away in the end");
    }
    assert_eq!(office.ask("GET", "/v1/users", None).await.status, 200, "and the other way round");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_who_guesses_an_administrators_token_is_the_one_who_is_sent_away() {
    let Office { relay, folder, admin } = Office::open().await;
    relay.shutdown().await;
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let rates = Rates { failures: Rate::per_minute(1, 1), ..Rates::DEFAULT };
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let options = RelayOptions { admin: Some(anywhere), rates, trusted_proxies, ..options(folder.path()) };
    let office = Office { relay: Relay::start(options).await.unwrap(), folder, admin };
    for (address, wanted) in [("192.0.2.1", 401), ("192.0.2.1", 401), ("192.0.2.1", 429), ("192.0.2.2", 401)] {
        // What stands behind the token in its line is a header of its own.
        let token = format!("afield_guess\r\nx-forwarded-for: {address}");
        assert_eq!(office.ask_as(Some(&token), "GET", "/v1/users", None).await.status, wanted, "{address}");
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
        assert!(status == 405 || answer.json()["error"].is_string(), "{method} {path}: {}", answer.body);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_written_down_as_it_is_told_over_http() {
    let office = Office::open().await;
    let token = office.token_of("default").await;
    let mut device = office.device(&token, 1).await;
    device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    let mut author = Author::new(1, 1);
    device.send_message(push_message(1, author.entity, &[author.edit("a")])).await;
    device.until(|seen| matches!(seen, Seen::Receipt(..))).await;
    let told = office.list("/v1/sessions").await;
    assert_eq!((&told[0]["name"], &told[0]["spaces"][0]["lag"]), (&json!("a phone"), &json!(0)));
    // The list has the devices written down, and with them the sessions.
    let mut beside = DataFolder::existing(office.folder.path().to_owned()).unwrap().open_log().unwrap();
    let written = beside.sessions(&crate::log::accounts::SessionFilter::default()).unwrap();
    let written: Vec<_> = written.into_iter().map(crate::views::SessionView::from).collect();
    assert_eq!(serde_json::to_value(&written).unwrap(), told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_given_part_by_part_and_what_is_wrong_with_the_question_is_named() {
    let office = Office::open().await;
    for user in ["ada", "ben", "cyd"] {
        assert_eq!(office.ask("POST", "/v1/users", Some(json!({ "name": user }))).await.status, 201);
    }
    let mut devices = Vec::new();
    for number in 1..=3 {
        let token = office.token_of("ada").await;
        let mut device = office.device(&token, number).await;
        device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
        devices.push(device);
    }
    for (path, key, count) in [
        ("users", "name", 4),
        ("tokens", "number", 4),
        ("sessions", "id", 3),
        ("devices", "id", 3),
        ("spaces", "id", 1),
    ] {
        let all = office.list(&format!("/v1/{path}")).await;
        let mut told = Vec::new();
        let mut page = office.get(&format!("/v1/{path}?limit=1")).await;
        loop {
            told.push(page["rows"][0].clone());
            assert_eq!(page["rows"].as_array().unwrap().len(), 1, "{path}");
            let Some(next) = page["next"].as_str().map(str::to_owned) else { break };
            page = office.get(&format!("/v1/{path}?after={next}&limit=1")).await;
        }
        let keys = |rows: &[Value]| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
        assert_eq!(keys(&told), keys(all.as_array().unwrap()), "{path}");
        assert_eq!(told.len(), count, "{path}");
        for (query, named) in [
            ("limit=0", "limit"),
            ("limit=10001", "limit"),
            ("limit=many", "limit"),
            ("after=nowhere", "after"),
            ("page=2", "query"),
        ] {
            let answer = office.ask("GET", &format!("/v1/{path}?{query}"), None).await;
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(answer.status == 400 && error.contains(named), "{path}?{query}: {} {error}", answer.status);
        }
        assert_eq!(office.ask("GET", &format!("/v1/{path}?limit=10000"), None).await.status, 200, "{path}");
    }
}
