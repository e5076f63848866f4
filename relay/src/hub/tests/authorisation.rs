//! Who may do what: every frame, from every kind of token.

use super::*;
use crate::log::accounts::{NewInvitation, Role, ShownTokens};
use crate::signed::SignedTokens;
use crate::testing::Backend;
use afield_core::wire::{Fetch, FetchNumber, NewFilter, Progress, Signal, SignalKind};
use afield_core::{EntityId, Filter};
use serde_json::json;

/// A kind of token, and of what its user may do in the space of the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// No token at all.
    None,
    /// One that never was.
    Wrong,
    /// One of an administrator.
    Admin,
    Expired,
    Revoked,
    /// One that is good, of a device that was signed out.
    SignedOut,
    /// One that is good, of a closed account.
    Closed,
    /// One of somebody who is no member.
    Foreign,
    /// The same, for reading only.
    ForeignReadOnly,
    /// One of a member, for another space only.
    Elsewhere,
    Reader,
    Writer,
    Owner,
    /// One of an owner, for reading only.
    ReadOnly,
    /// One of an owner who may bring no space.
    Settled,
    /// One that an app's backend signed, for a reader, a writer or an owner of the space.
    SignedReader,
    SignedWriter,
    SignedOwner,
    /// For another space only, although its user is a member of this one.
    SignedElsewhere,
    /// For another device.
    SignedForAnother,
    /// With a signature that is wrong.
    SignedWrong,
    /// From before its user was signed out.
    SignedOld,
}

/// What is tried, and what came of it; `-` where there is no session.
const VERBS: [&str; 17] = [
    "hello",
    "open",
    "adopt",
    "unknown",
    "create",
    "push",
    "fetch",
    "filter",
    "progress",
    "signal",
    "hear",
    "fresher",
    "another's",
    "wrong",
    "invited",
    "invited push",
    "guess",
];

/// The whole table, in the order of [`VERBS`].
#[rustfmt::skip]
const TABLE: [(Kind, [&str; 17]); 22] = [
    (Kind::None, ["unauthorized", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
    (Kind::Wrong, ["unauthorized", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
    (Kind::Admin, ["unauthorized", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
    (Kind::Expired, ["expired", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
    (Kind::Revoked, ["signed out", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
    (Kind::SignedOut, ["signed out", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
    (Kind::Closed, ["closed", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
    (Kind::Foreign, ["welcome", "no", "no", "no", "yes", "no", "no", "no", "no", "no", "no", "yes", "ends", "ends", "yes", "yes", "no"]),
    (Kind::ForeignReadOnly, ["welcome", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "yes", "ends", "ends", "yes", "no", "no"]),
    (Kind::Elsewhere, ["welcome", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "yes", "ends", "ends", "no", "no", "no"]),
    (Kind::Reader, ["welcome", "yes", "yes", "no", "yes", "no", "yes", "yes", "yes", "yes", "yes", "yes", "ends", "ends", "yes", "yes", "yes"]),
    (Kind::Writer, ["welcome", "yes", "yes", "no", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "ends", "ends", "yes", "yes", "yes"]),
    (Kind::Owner, ["welcome", "yes", "yes", "no", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "ends", "ends", "yes", "yes", "yes"]),
    (Kind::ReadOnly, ["welcome", "yes", "yes", "no", "no", "no", "yes", "yes", "yes", "yes", "yes", "yes", "ends", "ends", "yes", "no", "yes"]),
    (Kind::Settled, ["welcome", "yes", "yes", "no", "no", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "ends", "ends", "yes", "yes", "yes"]),
    (Kind::SignedReader, ["welcome", "yes", "yes", "no", "no", "no", "yes", "yes", "yes", "yes", "yes", "yes", "ends", "ends", "yes", "no", "yes"]),
    (Kind::SignedWriter, ["welcome", "yes", "yes", "no", "no", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "ends", "ends", "yes", "yes", "yes"]),
    (Kind::SignedOwner, ["welcome", "yes", "yes", "no", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "ends", "ends", "yes", "yes", "yes"]),
    (Kind::SignedElsewhere, ["welcome", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "yes", "ends", "ends", "no", "no", "no"]),
    (Kind::SignedForAnother, ["unauthorized", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
    (Kind::SignedWrong, ["unauthorized", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
    (Kind::SignedOld, ["signed out", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]),
];

const NOWHERE: SpaceId = SpaceId::from_bytes([99; 16]);
const NOTE: EntityId = EntityId::from_bytes([1; 16]);
/// The device of the owner of the space, and of who tries.
const OWNER: u8 = 1;
const WHO: u8 = 2;

/// A relay with a space that has one change in it, its owner's session, and somebody with a token.
struct Stage {
    relay: Relay,
    owner: SessionId,
    author: Author,
    token: Option<String>,
    backend: Backend,
    kind: Kind,
}

impl Stage {
    fn of(kind: Kind) -> Self {
        let backend = Backend::new();
        let Relay { hub, now_ms, token, links } = Relay::new();
        let hub = hub.with_signed_tokens(SignedTokens::open(backend.options()).unwrap());
        let mut relay = Relay { hub, now_ms, token, links };
        let owner = relay.device(OWNER);
        let mut author = Author::new(1, 1);
        relay.push(owner, 1, &mut author, &["the owner's"]);
        relay.send(owner, signal(SignalKind::Asks));
        relay.pass(10);
        let now = relay.now();
        let log = relay.hub.log_mut();
        for user in ["ada", "zoe"] {
            log.create_user(user, at(0)).unwrap();
        }
        let role = match kind {
            Kind::Foreign | Kind::ForeignReadOnly => None,
            Kind::Reader => Some(Role::Reader),
            Kind::Writer | Kind::Elsewhere => Some(Role::Writer),
            _ => Some(Role::Owner),
        };
        role.into_iter().for_each(|role| log.grant(SPACE, "ada", role, now).unwrap());
        let token = Token::new(&mut Seeded(40));
        let new = NewToken {
            user: Some("ada".to_owned()),
            spaces: if kind == Kind::Elsewhere { vec![SpaceId::from_bytes([50; 16])] } else { Vec::new() },
            read_only: matches!(kind, Kind::ReadOnly | Kind::ForeignReadOnly),
            may_create: !matches!(kind, Kind::ReadOnly | Kind::ForeignReadOnly | Kind::Settled),
            administers: kind == Kind::Admin,
            expires_wall_ms: (kind == Kind::Expired).then_some(now.wall_ms),
            ..NewToken::default()
        };
        if kind != Kind::Wrong {
            let number = log.create_token(&token, &new, at(1)).unwrap();
            match kind {
                Kind::Revoked => log.revoke_token(number, now).unwrap(),
                Kind::Closed => log.set_user_enabled("ada", false, now).unwrap(),
                Kind::SignedOut => {
                    let principal = match log.authenticate(&token.hash(), hello(WHO).device, now).unwrap() {
                        crate::log::Authentication::Good(principal) => principal,
                        other => panic!("{other:?}"),
                    };
                    let seen = |device: u8| crate::log::SeenDevice {
                        user: principal.user,
                        device: hello(device).device,
                        token: token.hash(),
                        address: None,
                        seen_wall_ms: now.wall_ms,
                    };
                    // Another device uses the token, too, so that it stays good.
                    log.note_devices(&[seen(WHO), seen(77)]).unwrap();
                    log.sign_out_device("ada", hello(WHO).device, ShownTokens::Keep, now).unwrap();
                }
                _ => {}
            }
        }
        let token = (kind != Kind::None).then(|| token.reveal().to_owned());
        let token = signed(kind, &backend, at(0)).or(token);
        if let (Kind::SignedOld, Some(token)) = (kind, &token) {
            // It was noted, so that there is somebody who can be signed out.
            let id = relay.connect_as(Some(token));
            relay.send(id, ToRelay::Hello(hello(WHO)));
            let log = relay.hub.log_mut();
            let user = log.users().unwrap().pop().unwrap().name;
            log.sign_out_user(&user, now).unwrap();
        }
        // Until the relay has looked, nothing passes between sessions.
        relay.pass(1_000);
        relay.seen(owner);
        Self { relay, owner, author, token, backend, kind }
    }

    /// Says hello.
    fn session(&mut self) -> SessionId {
        let token = self.token.clone();
        let id = self.relay.connect_as(token.as_deref());
        self.relay.send(id, ToRelay::Hello(hello(WHO)));
        self.relay.turn();
        id
    }

    fn say(&mut self, id: SessionId, frame: ToRelay<'_>) -> Vec<Seen> {
        self.relay.send(id, frame);
        self.relay.turn();
        self.relay.seen(id)
    }

    /// What comes of a verb: `yes` or `no`, or in a word what it is.
    fn comes_of(&mut self, verb: &str) -> &'static str {
        let id = self.session();
        let greeted = self.relay.seen(id);
        match greeted[..] {
            [Seen::Welcome(_)] => {}
            [Seen::Goodbye(code)] if verb == "hello" => {
                return match code {
                    GoodbyeCode::Unauthorized => "unauthorized",
                    GoodbyeCode::TokenExpired => "expired",
                    GoodbyeCode::SignedOut => "signed out",
                    GoodbyeCode::AccountClosed => "closed",
                    other => panic!("{other}"),
                };
            }
            [Seen::Goodbye(_)] => return "-",
            ref other => panic!("{other:?}"),
        }
        let opens = |seen: &[Seen]| if seen.iter().any(|seen| matches!(seen, Seen::Opened(_))) { "yes" } else { "no" };
        let stays = |stage: &Self| if stage.relay.is_closed(id) { "ends" } else { "yes" };
        let answers = |seen: &[Seen], wanted: fn(&Seen) -> bool| if seen.iter().any(wanted) { "yes" } else { "no" };
        match verb {
            "hello" => "welcome",
            "open" => opens(&self.say(id, open_of(SPACE, false))),
            "adopt" => opens(&self.say(id, open_of(SPACE, true))),
            "unknown" => opens(&self.say(id, open_of(NOWHERE, false))),
            "create" => opens(&self.say(id, open_of(NOWHERE, true))),
            "guess" => opens(&self.say(id, open_with(SPACE, Token::invitation(SPACE, &mut Seeded(51)).reveal()))),
            "invited" => opens(&self.opens_invited(id)),
            "invited push" => {
                self.opens_invited(id);
                self.pushes(id)
            }
            "fresher" if signed(self.kind, &self.backend, self.relay.now()).is_some() => {
                let fresher = signed(self.kind, &self.backend, at(1_000)).unwrap();
                self.say(id, authenticate(&fresher));
                stays(self)
            }
            "fresher" => {
                let fresher = Token::new(&mut Seeded(41));
                let new = NewToken { user: Some("ada".to_owned()), ..NewToken::default() };
                self.relay.hub.log_mut().create_token(&fresher, &new, at(1)).unwrap();
                self.say(id, authenticate(fresher.reveal()));
                stays(self)
            }
            "another's" => {
                let another = Token::new(&mut Seeded(42));
                let new = NewToken { user: Some("zoe".to_owned()), ..NewToken::default() };
                self.relay.hub.log_mut().create_token(&another, &new, at(1)).unwrap();
                self.say(id, authenticate(another.reveal()));
                stays(self)
            }
            "wrong" => {
                self.say(id, authenticate("afield_wrong"));
                stays(self)
            }
            _ => {
                self.say(id, open_of(SPACE, false));
                match verb {
                    "push" => self.pushes(id),
                    "fetch" => answers(&self.say(id, fetch()), |seen| matches!(seen, Seen::Fetched { .. })),
                    "filter" => {
                        self.say(
                            id,
                            ToRelay::Filter(NewFilter {
                                channel: Channel(0),
                                filter: Filter::Everything,
                                partial: false,
                            }),
                        );
                        self.hears_of_a_push(id)
                    }
                    "progress" => {
                        self.say(id, ToRelay::Progress(Progress { channel: Channel(0), sequence: Sequence::new(1) }));
                        answers(&self.relay.seen(self.owner), |seen| matches!(seen, Seen::Stored(1)))
                    }
                    "signal" => {
                        self.say(id, signal(SignalKind::Shows));
                        answers(&self.relay.seen(self.owner), |seen| matches!(seen, Seen::Signal { .. }))
                    }
                    "hear" => self.hears_of_a_push(id),
                    other => panic!("{other}"),
                }
            }
        }
    }

    fn pushes(&mut self, id: SessionId) -> &'static str {
        self.relay.push(id, 1, &mut Author::new(9, 9), &["of who tries"]);
        self.relay.turn();
        let stored = self.relay.everything().len() > 1;
        let told = self.relay.seen(id);
        let receipt = told.contains(&Seen::Receipt(1, super::stored(2, 1)));
        assert_eq!(stored, receipt, "a receipt says what is so: {told:?}");
        if stored { "yes" } else { "no" }
    }

    /// Opens the space with an invitation to write there, which gives nothing to somebody who may write already, or may not whatever the user may.
    fn opens_invited(&mut self, id: SessionId) -> Vec<Seen> {
        let code = self.invite(SPACE, 50);
        let seen = self.say(id, open_with(SPACE, code.reveal()));
        let is_used = self.relay.hub.log_mut().invitations(SPACE).unwrap()[0].used.is_some();
        let is_needed = matches!(self.kind, Kind::Foreign | Kind::ForeignReadOnly | Kind::Reader);
        assert_eq!(is_used, is_needed, "{:?}: it is used up by whom it lets in, or lets do more", self.kind);
        seen
    }

    fn invite(&mut self, space: SpaceId, seed: u64) -> Token {
        let (now, code) = (self.relay.now(), Token::invitation(space, &mut Seeded(seed)));
        let expires_wall_ms = now.wall_ms + 1_000;
        let new = NewInvitation { space, role: Role::Writer, expires_wall_ms };
        self.relay.hub.log_mut().invite(&code, new, now).unwrap();
        code
    }

    fn hears_of_a_push(&mut self, id: SessionId) -> &'static str {
        self.relay.seen(id);
        self.relay.push(self.owner, 2, &mut self.author, &["the next"]);
        self.relay.turn();
        if foreign(&self.relay.seen(id)).is_empty() { "no" } else { "yes" }
    }
}

/// A token that the backend signs.
fn signed(kind: Kind, backend: &Backend, now: Now) -> Option<String> {
    let of = |space: SpaceId, role: &str| {
        let spaces = json!({ space.to_string(): role, NOWHERE.to_string(): role });
        backend.token("ada", now, &json!({ "spaces": spaces, "create": true }))
    };
    let another =
        json!({ "spaces": { SPACE.to_string(): "owner" }, "device": DeviceId::from_bytes([77; 16]).to_string() });
    Some(match kind {
        Kind::SignedReader => of(SPACE, "reader"),
        Kind::SignedWriter => of(SPACE, "writer"),
        Kind::SignedOwner | Kind::SignedOld => of(SPACE, "owner"),
        Kind::SignedElsewhere => {
            let elsewhere = SpaceId::from_bytes([50; 16]).to_string();
            backend.token("ada", now, &json!({ "spaces": { elsewhere: "owner" }, "create": true }))
        }
        Kind::SignedForAnother => backend.token("ada", now, &another),
        Kind::SignedWrong => {
            let mut token = of(SPACE, "owner");
            let last = if token.ends_with('A') { "B" } else { "A" };
            token.replace_range(token.len() - 2..token.len() - 1, last);
            token
        }
        _ => return None,
    })
}

fn open_of(space: SpaceId, create: bool) -> ToRelay<'static> {
    let filter = Filter::Everything;
    ToRelay::Open(Open {
        channel: Channel(0),
        space,
        cursor: None,
        create,
        raw: false,
        filter,
        partial: false,
        invitation: None,
    })
}

fn open_with(space: SpaceId, code: &str) -> ToRelay<'static> {
    let ToRelay::Open(open) = open_of(space, false) else { panic!("it is an Open") };
    ToRelay::Open(Open { invitation: code.parse().ok(), ..open })
}

fn authenticate(token: &str) -> ToRelay<'static> {
    ToRelay::Authenticate(wire::Authenticate { token: token.to_owned() })
}

fn signal(kind: SignalKind) -> ToRelay<'static> {
    let (entity, data) =
        if kind == SignalKind::Shows { (Some(NOTE), Some(b"here".as_slice().into())) } else { (None, None) };
    ToRelay::Signal(Signal { channel: Channel(0), kind, entity, data })
}

fn fetch() -> ToRelay<'static> {
    ToRelay::Fetch(Fetch {
        channel: Channel(0),
        number: FetchNumber(1),
        filter: Filter::Everything,
        after: Sequence::ZERO,
        changes: false,
    })
}

#[test]
fn everyone_may_what_the_table_says() {
    for (kind, row) in TABLE {
        let found = VERBS.map(|verb| Stage::of(kind).comes_of(verb));
        assert_eq!(found, row, "{kind:?}: {VERBS:?}");
    }
}

#[test]
fn every_frame_about_a_forbidden_space_is_answered_as_one_about_no_space_at_all() {
    for kind in [Kind::Foreign, Kind::Elsewhere, Kind::SignedElsewhere] {
        let answers = [SPACE, NOWHERE].map(|space| {
            let mut stage = Stage::of(kind);
            // A member of another space may not create either here, or there would be a difference of the creation's own.
            let id = stage.session();
            stage.relay.raw(id);
            let mut said = Vec::new();
            for frame in [
                open_of(space, false),
                fetch(),
                ToRelay::Progress(Progress { channel: Channel(0), sequence: Sequence::new(1) }),
                signal(SignalKind::Asks),
                signal(SignalKind::Shows),
                ToRelay::Filter(NewFilter { channel: Channel(0), filter: Filter::Everything, partial: false }),
                open_of(space, false),
            ] {
                stage.relay.send(id, frame);
                stage.relay.turn();
                said.push(stage.relay.raw(id));
            }
            stage.relay.push(id, 1, &mut Author::new(9, 9), &["x"]);
            stage.relay.turn();
            said.push(stage.relay.raw(id));
            let (owner, mut author) = (stage.owner, stage.author);
            stage.relay.push(owner, 2, &mut author, &["the next"]);
            stage.relay.turn();
            said.push(stage.relay.raw(id));
            (said, stage.relay.is_closed(id))
        });
        assert_eq!(answers[0], answers[1], "R6: {kind:?}");
        assert!(!answers[0].0[0].is_empty(), "the control: there is an answer");
    }
}

#[test]
fn an_invitation_that_is_not_good_is_answered_as_none() {
    let elsewhere = SpaceId::from_bytes([50; 16]);
    let answer = |why: &str, kind: Kind, space: SpaceId| {
        let mut stage = Stage::of(kind);
        // Another space of the owner's, to which there are invitations, too.
        stage.relay.send(stage.owner, open_elsewhere(elsewhere));
        stage.relay.turn();
        let now = stage.relay.now();
        let good = stage.invite(SPACE, 50);
        let other = stage.invite(elsewhere, 51);
        let log = stage.relay.hub.log_mut();
        let code = match why {
            "none" => None,
            "wrong" => Some(Token::invitation(SPACE, &mut Seeded(52))),
            "another space's" => Some(other),
            "used" => {
                log.create_user("cleo", now).unwrap();
                log.accept(&good.hash(), "cleo", now).unwrap();
                Some(good)
            }
            "withdrawn" => {
                let number = log.invitations(SPACE).unwrap()[0].number;
                log.withdraw(number, now).unwrap();
                Some(good)
            }
            "too old" => {
                stage.relay.pass(1_000);
                Some(good)
            }
            "good" => Some(good),
            other => panic!("{other}"),
        };
        let id = stage.session();
        stage.relay.raw(id);
        let mut said = Vec::new();
        for _ in 0..2 {
            let frame = code.as_ref().map_or_else(|| open_of(space, false), |code| open_with(space, code.reveal()));
            stage.relay.send(id, frame);
            stage.relay.turn();
            said.push(stage.relay.raw(id));
        }
        let invitations = stage.relay.hub.log_mut().invitations(SPACE).unwrap();
        let is_used = invitations.iter().filter_map(|invitation| invitation.used.as_ref()).any(|(_, by)| by != "cleo");
        assert_eq!(is_used, why == "good" && space == SPACE && kind == Kind::Foreign, "{why}, {kind:?}, {space}");
        (said, stage.relay.is_closed(id))
    };
    let none = answer("none", Kind::Foreign, SPACE);
    assert!(!none.0[0].is_empty(), "the control: there is an answer");
    for why in ["wrong", "another space's", "used", "withdrawn", "too old"] {
        assert_eq!(answer(why, Kind::Foreign, SPACE), none, "R6: {why}");
        assert_eq!(answer(why, Kind::Foreign, NOWHERE), none, "R6: {why}, for a space that is not there");
    }
    assert_eq!(answer("good", Kind::Foreign, NOWHERE), none, "R6: good, for a space that is not there");
    assert_eq!(answer("good", Kind::SignedElsewhere, SPACE), none, "R6: good, with a token for another space");
    assert_ne!(answer("good", Kind::Foreign, SPACE), none, "the control");
}

fn open_elsewhere(space: SpaceId) -> ToRelay<'static> {
    let ToRelay::Open(open) = open_of(space, true) else { panic!("it is an Open") };
    ToRelay::Open(Open { channel: Channel(1), ..open })
}

#[test]
fn a_guest_joins_nothing_by_an_invitation() {
    for guest_of in [Some(hello(WHO).device), None] {
        let mut stage = Stage::of(Kind::Foreign);
        let code = stage.invite(SPACE, 50);
        let id = stage.relay.connect_as(stage.token.clone().as_deref());
        stage.relay.send(id, ToRelay::Hello(wire::Hello { guest_of, ..hello(77) }));
        stage.relay.turn();
        let seen = stage.say(id, open_with(SPACE, code.reveal()));
        let opens = seen.iter().any(|seen| matches!(seen, Seen::Opened(_)));
        assert_eq!(opens, guest_of.is_none(), "who only looks changes nothing; the other is the control: {seen:?}");
    }
}
