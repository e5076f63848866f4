//! The stage on which a verb is tried, over the real log and the real frames.

use super::*;
use crate::log::accounts::{NewInvitation, Role, ShownTokens};
use crate::log::{Authentication, SeenDevice};
use crate::signed::SignedTokens;
use crate::testing::Backend;
use afield_core::wire::{LiveMessage, SignalKind};
use serde_json::json;

/// The device of the owner of the space, of who tries, and of whom a guest is.
const OWNER: u8 = 1;
pub(super) const WHO: u8 = 2;
const HOST: u8 = 3;

/// What came of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Nothing,
    /// The session is over.
    Ends,
    /// There was no session.
    Turned(GoodbyeCode),
}

/// A relay with a space that has one change in it, its owner's session, and somebody with a token.
pub(super) struct Stage {
    pub(super) relay: Relay,
    pub(super) owner: SessionId,
    pub(super) author: Author,
    pub(super) token: Option<String>,
    backend: Backend,
    kind: Kind,
}

impl Stage {
    pub(super) fn of(kind: Kind) -> Self {
        let backend = Backend::new();
        let Relay { hub, now_ms, token, links } = Relay::new();
        let hub = hub.with_signed_tokens(SignedTokens::open(backend.options()).unwrap());
        let mut relay = Relay { hub, now_ms, token, links };
        let owner = relay.device(OWNER);
        let mut author = Author::new(1, 1);
        relay.push(owner, 1, &mut author, &["the owner's"]);
        relay.hub.handle_message(owner, &signal(SignalKind::Asks), relay.now());
        relay.pass(10);
        let now = relay.now();
        let log = relay.hub.log_mut();
        for user in ["ada", "zoe"] {
            log.create_user(user, at(0)).unwrap();
        }
        let role = match kind {
            Kind::Foreign | Kind::ForeignReadOnly | Kind::GuestForeign => None,
            Kind::Reader | Kind::GuestReader => Some(Role::Reader),
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
                Kind::SignedOut => sign_out(log, &token, WHO, now),
                Kind::GuestSignedOut => sign_out(log, &token, HOST, now),
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

    /// Who says hello.
    fn greeting(&self) -> Vec<u8> {
        greeting(WHO, self.kind.is_guest().then_some(HOST))
    }

    /// Says hello.
    pub(super) fn session(&mut self) -> SessionId {
        let token = self.token.clone();
        let id = self.relay.connect_as(token.as_deref());
        self.hand(id, &self.greeting());
        self.relay.turn();
        id
    }

    pub(super) fn hand(&mut self, id: SessionId, message: &[u8]) {
        self.relay.hub.handle_message(id, message, self.relay.now());
    }

    pub(super) fn say(&mut self, id: SessionId, message: &[u8]) -> Vec<Seen> {
        self.hand(id, message);
        self.relay.turn();
        self.relay.seen(id)
    }

    /// Says what a verb is about.
    fn tries(&mut self, verb: Verb, id: SessionId, message: &[u8]) -> Vec<Seen> {
        assert!(verbs_of(message).contains(&verb), "{verb:?} is tried with another frame");
        self.say(id, message)
    }

    /// What comes of a verb.
    pub(super) fn comes_of(&mut self, verb: Verb) -> Outcome {
        let id = self.session();
        match self.relay.seen(id)[..] {
            [Seen::Welcome(_)] => {}
            [Seen::Goodbye(code)] => return Outcome::Turned(code),
            ref other => panic!("{other:?}"),
        }
        let is_done = self.is_done(verb, id);
        assert!(!self.relay.is_closed(self.owner), "nothing that others do ends the owner's session");
        match (is_done, self.relay.is_closed(id)) {
            (true, false) => Outcome::Done,
            (false, false) => Outcome::Nothing,
            (false, true) => Outcome::Ends,
            (true, true) => panic!("{:?}: {verb:?} was done, and the session is over", self.kind),
        }
    }

    fn is_done(&mut self, verb: Verb, id: SessionId) -> bool {
        let opens = |seen: &[Seen]| seen.iter().any(|seen| matches!(seen, Seen::Opened(_)));
        match verb {
            Verb::Hello => verbs_of(&self.greeting()).contains(&verb),
            Verb::HelloAgain => {
                self.tries(verb, id, &self.greeting());
                false
            }
            Verb::Goodbye => {
                self.tries(verb, id, &goodbye());
                false
            }
            Verb::Open => opens(&self.tries(verb, id, &open_of(SPACE, false))),
            Verb::Adopt => opens(&self.tries(verb, id, &open_of(SPACE, true))),
            Verb::Unknown => opens(&self.tries(verb, id, &open_of(NOWHERE, false))),
            Verb::Create => opens(&self.tries(verb, id, &open_of(NOWHERE, true))),
            Verb::Guess => {
                let guess = Token::invitation(SPACE, &mut Seeded(51));
                opens(&self.tries(verb, id, &open_with(SPACE, guess.reveal())))
            }
            Verb::Invited => opens(&self.opens_invited(id)),
            Verb::InvitedPush => {
                self.opens_invited(id);
                self.is_stored(verb, id)
            }
            Verb::Fresher | Verb::Anothers | Verb::Wrong => {
                let token = self.other_token(verb);
                self.tries(verb, id, &authenticate(&token));
                !self.relay.is_closed(id)
            }
            Verb::Push
            | Verb::PushLive
            | Verb::PushSnapshot
            | Verb::Erase
            | Verb::PushSealed
            | Verb::SendChunks
            | Verb::Fetch
            | Verb::Filter
            | Verb::Progress
            | Verb::CatchUp
            | Verb::Ask
            | Verb::Show
            | Verb::Clear
            | Verb::Leave
            | Verb::SignalOfLater
            | Verb::Hear => {
                self.say(id, &open_of(SPACE, false));
                self.is_done_in_space(verb, id)
            }
        }
    }

    fn is_done_in_space(&mut self, verb: Verb, id: SessionId) -> bool {
        let answers = |seen: &[Seen], wanted: fn(&Seen) -> bool| seen.iter().any(wanted);
        let hears = |stage: &mut Self, kind| {
            let seen = stage.relay.seen(stage.owner);
            seen.iter().any(|seen| matches!(seen, Seen::Signal { kind: heard, .. } if *heard == kind))
        };
        match verb {
            Verb::Fetch => answers(&self.tries(verb, id, &fetch()), |seen| matches!(seen, Seen::Fetched { .. })),
            Verb::CatchUp => answers(&self.tries(verb, id, &catch_up()), |seen| matches!(seen, Seen::CaughtUp(1))),
            Verb::Filter => {
                self.tries(verb, id, &filter());
                self.hears_of_a_push(id)
            }
            Verb::Hear => self.hears_of_a_push(id),
            Verb::Progress => {
                self.tries(verb, id, &progress());
                answers(&self.relay.seen(self.owner), |seen| matches!(seen, Seen::Stored(1)))
            }
            Verb::Ask => {
                self.tries(verb, id, &signal(SignalKind::Asks));
                hears(self, SignalKind::Asks)
            }
            Verb::Show => {
                self.tries(verb, id, &signal(SignalKind::Shows));
                hears(self, SignalKind::Shows)
            }
            // Who has shown nothing has nothing to take back.
            Verb::Clear => {
                self.say(id, &signal(SignalKind::Shows));
                self.tries(verb, id, &signal(SignalKind::Clears));
                hears(self, SignalKind::Clears)
            }
            Verb::Leave => {
                self.say(id, &signal(SignalKind::Shows));
                self.tries(verb, id, &signal(SignalKind::Leaves));
                hears(self, SignalKind::Leaves)
            }
            Verb::SignalOfLater => {
                self.tries(verb, id, &signal(SignalKind::Unknown(9)));
                answers(&self.relay.seen(self.owner), |seen| matches!(seen, Seen::Signal { .. }))
            }
            _ => self.is_stored(verb, id),
        }
    }

    /// Whether the log is longer by what a verb pushes, which a receipt says then, and never else.
    fn is_stored(&mut self, verb: Verb, id: SessionId) -> bool {
        let mut author = Author::new(9, 9);
        let message = match verb {
            Verb::PushLive => push_live(1),
            Verb::PushSnapshot => push_of(ChunkKind::Snapshot, 1),
            Verb::Erase => push_of(ChunkKind::Erasure, 1),
            Verb::PushSealed => push_of(ChunkKind::Sealed, 1),
            Verb::SendChunks => live_chunks(),
            _ => push_message(1, author.entity, &[author.edit("of who tries")]),
        };
        assert!(verbs_of(&message).contains(&verb), "{verb:?} is tried with another frame");
        self.hand(id, &message);
        self.relay.turn();
        // What is told of a live push in the live form is of its own, and not looked at here.
        let told = self.relay.raw(id);
        let told = told.iter().filter(|told| LiveMessage::open(told).unwrap().is_none());
        let told: Vec<Seen> = told.map(|told| understand(told)).collect();
        let is_stored = self.relay.hub.log_mut().spaces().unwrap()[0].sequence > 1;
        let receipt = told.contains(&Seen::Receipt(1, super::stored(2, 1)));
        assert_eq!(is_stored, receipt, "a receipt says what is so: {told:?}");
        let left = usize::from(is_stored && verb != Verb::Erase) + 1;
        assert_eq!(self.relay.everything().len(), left, "what was erased is gone, but for the record of that");
        is_stored
    }

    /// Opens the space with an invitation to write there, which gives nothing to somebody who may write already, or may not whatever the user may.
    fn opens_invited(&mut self, id: SessionId) -> Vec<Seen> {
        let code = self.invite(SPACE, 50);
        let seen = self.tries(Verb::Invited, id, &open_with(SPACE, code.reveal()));
        let is_used = self.relay.hub.log_mut().invitations(SPACE).unwrap()[0].used.is_some();
        let is_needed = matches!(self.kind, Kind::Foreign | Kind::ForeignReadOnly | Kind::Reader);
        assert_eq!(is_used, is_needed, "{:?}: it is used up by whom it lets in, or lets do more", self.kind);
        seen
    }

    pub(super) fn invite(&mut self, space: SpaceId, seed: u64) -> Token {
        let (now, code) = (self.relay.now(), Token::invitation(space, &mut Seeded(seed)));
        let expires_wall_ms = now.wall_ms + 1_000;
        let new = NewInvitation { space, role: Role::Writer, expires_wall_ms };
        self.relay.hub.log_mut().invite(&code, new, now).unwrap();
        code
    }

    /// A token that a live session is given instead of its own.
    fn other_token(&mut self, verb: Verb) -> String {
        if verb == Verb::Wrong {
            return "afield_wrong".to_owned();
        }
        if let (Verb::Fresher, Some(fresher)) = (verb, signed(self.kind, &self.backend, at(1_000))) {
            return fresher;
        }
        let token = Token::new(&mut Seeded(41));
        let user = if verb == Verb::Fresher { "ada" } else { "zoe" };
        let new = NewToken { user: Some(user.to_owned()), ..NewToken::default() };
        self.relay.hub.log_mut().create_token(&token, &new, at(1)).unwrap();
        token.reveal().to_owned()
    }

    fn hears_of_a_push(&mut self, id: SessionId) -> bool {
        self.relay.seen(id);
        self.relay.push(self.owner, 2, &mut self.author, &["the next"]);
        self.relay.turn();
        !foreign(&self.relay.seen(id)).is_empty()
    }
}

/// Signs a device out that has shown a token, which stays good.
fn sign_out(log: &mut SqliteLog, token: &Token, device: u8, now: Now) {
    let principal = match log.authenticate(&token.hash(), hello(device).device, now).unwrap() {
        Authentication::Good(principal) => principal,
        other => panic!("{other:?}"),
    };
    let seen = |device: u8| SeenDevice {
        user: principal.user,
        device: hello(device).device,
        token: token.hash(),
        address: None,
        seen_wall_ms: now.wall_ms,
    };
    // Another device uses the token, too, so that it stays good.
    log.note_devices(&[seen(device), seen(77)]).unwrap();
    log.sign_out_device("ada", hello(device).device, ShownTokens::Keep, now).unwrap();
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
