//! A relay of which there is one of everything to ask about.

use super::*;
use crate::log::accounts::{NewInvitation, Role};
use crate::testing::Backend;

/// A relay with one of everything, whose devices are here.
pub(super) struct Site {
    pub(super) office: Office,
    pub(super) document: Value,
    backend: Backend,
    /// What is shown to the administration by those who are no administrators, in a word each.
    pub(super) strangers: Vec<(&'static str, Option<String>)>,
    /// The numbers of an invitation and of a token that are good, the code of another invitation, and the id of a session.
    pub(super) invitation: i64,
    pub(super) token: i64,
    pub(super) code: String,
    pub(super) session: String,
    /// Held, so that they stay here.
    _devices: Vec<Device>,
}

impl Site {
    pub(super) async fn open() -> Self {
        let Office { relay, folder, admin } = Office::open().await;
        relay.shutdown().await;
        let backend = Backend::new();
        let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let rates = Rates { failures: Rate::per_minute(0, 1), ..Rates::DEFAULT };
        let options =
            RelayOptions { admin: Some(anywhere), rates, signed: Some(backend.options()), ..options(folder.path()) };
        let office = Office { relay: Relay::start(options).await.unwrap(), folder, admin };
        let document = serde_json::to_value(openapi()).unwrap();
        let mut site = Self {
            office,
            document,
            backend,
            strangers: Vec::new(),
            invitation: 0,
            token: 0,
            code: String::new(),
            session: String::new(),
            _devices: Vec::new(),
        };
        site.people().await;
        site
    }

    async fn people(&mut self) {
        let now = SystemClock::start().now();
        let mut log = DataFolder::existing(self.office.folder.path().to_owned()).unwrap().open_log().unwrap();
        for user in ["ada", "ben", "cyd", "dan", "eve"] {
            log.create_user(user, now).unwrap();
        }
        let mut made = |user: &str, new: NewToken| {
            let token = Token::new(&mut SystemEntropy);
            let number = log.create_token(&token, &NewToken { user: Some(user.to_owned()), ..new }, now).unwrap();
            (number, token.reveal().to_owned())
        };
        let device = NewToken { may_create: true, ..NewToken::default() };
        let admin = NewToken { administers: true, ..NewToken::default() };
        let (_, owner) = made("ada", device.clone());
        let (_, writer) = made("ben", device.clone());
        let (_, reader) = made("cyd", device.clone());
        let (stranger_number, stranger) = made("dan", device.clone());
        let (_, read_only) = made("ada", NewToken { read_only: true, may_create: false, ..device.clone() });
        let (_, limited) = made("ada", NewToken { spaces: vec![SPACE], ..device });
        let (_, expired) = made("ada", NewToken { expires_wall_ms: Some(now.wall_ms - 1), ..admin.clone() });
        let (revoked_number, revoked) = made("ada", admin.clone());
        let (_, closed) = made("eve", admin);
        log.revoke_token(revoked_number, now).unwrap();
        log.set_user_enabled("eve", false, now).unwrap();
        let signed =
            self.backend.token("ada", now, &json!({ "spaces": { SPACE.to_string(): "owner" }, "create": true }));
        let mut forged = signed.clone();
        forged.replace_range(forged.len() - 2.., if forged.ends_with("AA") { "BA" } else { "AA" });

        // Each that is good lets a device in, so that nobody is turned away for a token that is none.
        let live = [&owner, &writer, &reader, &stranger, &read_only, &limited, &signed];
        for (token, number) in live.into_iter().zip(1..) {
            let mut device = Device::try_connect(&self.office.relay.url(), Some(token), Vec::new()).await.unwrap();
            device.send(ToRelay::Hello(hello(number))).await;
            assert!(matches!(device.next().await, Some(Seen::Welcome(_))), "the control: device {number} is welcome");
            device.send(open(SPACE, None)).await;
            device.until(|seen| matches!(seen, Seen::CaughtUp(_) | Seen::Refused(_))).await;
            if number == 1 {
                log.grant(SPACE, "ben", Role::Writer, now).unwrap();
                log.grant(SPACE, "cyd", Role::Reader, now).unwrap();
            }
            self._devices.push(device);
        }
        for bad in [&expired, &revoked, &closed, &forged] {
            let mut device = Device::try_connect(&self.office.relay.url(), Some(bad), Vec::new()).await.unwrap();
            device.send(ToRelay::Hello(hello(200))).await;
            assert!(matches!(device.next().await, Some(Seen::Goodbye(_))), "the control: it lets nobody in");
        }

        let mut invited = || {
            let code = Token::invitation(SPACE, &mut SystemEntropy);
            let new = NewInvitation { space: SPACE, role: Role::Writer, expires_wall_ms: now.wall_ms + 3_600_000 };
            (log.invite(&code, new, now).unwrap(), code.reveal().to_owned())
        };
        (self.invitation, _) = invited();
        (_, self.code) = invited();
        self.token = stranger_number;
        let sessions = self.office.list("/v1/sessions").await;
        let hers = sessions.as_array().unwrap().iter().find(|session| session["user"] == "cyd").unwrap();
        self.session = hers["id"].as_str().unwrap().to_owned();
        let some = |token: &str| Some(token.to_owned());
        self.strangers = vec![
            ("no token", None),
            ("not a token", some("afield_wrong")),
            ("an invitation", some(&self.code)),
            ("an expired one of an administrator", Some(expired)),
            ("a revoked one of an administrator", Some(revoked)),
            ("one of an administrator whose account is closed", Some(closed)),
            ("an owner's", Some(owner)),
            ("a writer's", Some(writer)),
            ("a reader's", Some(reader)),
            ("that of who is no member", Some(stranger)),
            ("one for reading", Some(read_only)),
            ("one for a space", Some(limited)),
            ("a signed one", Some(signed)),
            ("a forged one", Some(forged)),
        ];
    }

    pub(super) async fn ask(&self, token: Option<&str>, operation: &Operation, asked: &Asked) -> Answer {
        let body = (!asked.body.is_null()).then(|| asked.body.to_string());
        let answer = self.office.ask_as(token, operation.method(), &asked.path, body.as_deref()).await;
        self.is_documented(operation, &answer);
        answer
    }

    /// Holds the document to what is answered.
    pub(super) fn is_documented(&self, operation: &Operation, answer: &Answer) {
        let verb = &self.document["paths"][operation.template()][operation.method().to_lowercase()];
        let documented = &verb["responses"][answer.status.to_string()];
        assert!(
            documented.is_object(),
            "{}: {} is not in the document: {}",
            operation.name,
            answer.status,
            answer.body
        );
        let is_told = documented["content"]["application/json"].is_object();
        assert_eq!(is_told, !answer.body.is_empty(), "{}: {}: {}", operation.name, answer.status, answer.body);
    }

    /// Everything that there is.
    pub(super) async fn everything(&self) -> Vec<Value> {
        let mut lists = Vec::new();
        for list in ["users", "tokens", "spaces", "devices", "sessions"] {
            lists.push(self.office.list(&format!("/v1/{list}")).await);
        }
        for list in ["members", "invitations"] {
            lists.push(self.office.list(&format!("/v1/spaces/{SPACE}/{list}")).await);
        }
        lists
    }
}
