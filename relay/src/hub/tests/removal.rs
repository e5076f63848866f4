//! Who is taken out of a space while a session of theirs has it open (R6, R7).

use super::*;
use crate::log::accounts::Role;
use afield_core::EntityId;
use afield_core::wire::{Signal, SignalKind};

const NOTE: EntityId = EntityId::from_bytes([6; 16]);
/// Another space, of the member's own.
const ELSEWHERE: SpaceId = SpaceId::from_bytes([50; 16]);

fn signal(kind: SignalKind) -> ToRelay<'static> {
    let data = (kind == SignalKind::Shows).then(|| b"here".as_slice().into());
    ToRelay::Signal(Signal { channel: Channel(0), kind, entity: Some(NOTE), data })
}

fn elsewhere() -> ToRelay<'static> {
    let ToRelay::Open(open) = open(ELSEWHERE, None) else { panic!("it is an Open") };
    ToRelay::Open(Open { channel: Channel(1), ..open })
}

/// The owner of a space and another member who writes there, both with a session and showing something, over a log in a file.
struct Team {
    folder: tempfile::TempDir,
    relay: Relay,
    owner: SessionId,
    member: SessionId,
    hers: Author,
    his: Author,
}

impl Team {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut relay = Relay::with(SqliteLog::open(&folder.path().join("log.sqlite")).unwrap());
        let owner = relay.device(1);
        let (log, token) = (relay.hub.log_mut(), Token::new(&mut Seeded(3)));
        log.create_user("ada", at(0)).unwrap();
        let new = NewToken { user: Some("ada".to_owned()), may_create: true, ..NewToken::default() };
        log.create_token(&token, &new, at(0)).unwrap();
        log.grant(SPACE, "ada", Role::Writer, at(0)).unwrap();
        let member = relay.connect_as(Some(token.reveal()));
        relay.send(member, ToRelay::Hello(hello(2)));
        relay.send(member, open(SPACE, None));
        relay.send(member, elsewhere());
        for id in [owner, member] {
            relay.send(id, signal(SignalKind::Asks));
        }
        relay.pass(2_000);
        let mut team = Self { folder, relay, owner, member, hers: Author::new(1, 1), his: Author::new(2, 2) };
        team.hear();
        team
    }

    /// What the owner and the member heard since.
    fn hear(&mut self) -> (Vec<Seen>, Vec<Seen>) {
        (self.relay.seen(self.owner), self.relay.seen(self.member))
    }

    /// Both push, and show something.
    fn work(&mut self, push: u64) -> (Vec<Seen>, Vec<Seen>) {
        self.relay.send(self.member, signal(SignalKind::Shows));
        self.relay.send(self.owner, signal(SignalKind::Shows));
        self.relay.push(self.member, push, &mut self.his, &[&format!("his {push}")]);
        self.relay.push(self.owner, push, &mut self.hers, &[&format!("hers {push}")]);
        self.relay.turn();
        self.hear()
    }

    /// Takes the member out, as a command beside the relay does or as the relay itself.
    fn remove(&mut self, is_beside: bool) {
        let now = self.relay.now();
        if is_beside {
            let mut beside = SqliteLog::open(&self.folder.path().join("log.sqlite")).unwrap();
            beside.remove_member(SPACE, "ada", now).unwrap();
        } else {
            self.relay.hub.log_mut().remove_member(SPACE, "ada", now).unwrap();
            self.relay.hub.look_for_changes(now);
        }
    }
}

fn shows(seen: &[Seen], of: SessionId) -> bool {
    let is_shown = |seen: &Seen| matches!(seen, Seen::Signal { session, kind, .. } if (*session, *kind) == (of, SignalKind::Shows));
    seen.iter().any(is_shown)
}

const REFUSED: Seen = Seen::Refused(SpaceCode::UnknownOrForbidden);

#[test]
fn who_is_taken_out_of_a_space_hears_and_writes_nothing_of_it_from_then_on() {
    for is_beside in [true, false] {
        let mut team = Team::new();
        let (owner, member) = team.work(1);
        assert!(shows(&owner, team.member) && shows(&member, team.owner), "the control: each hears the other");
        assert_eq!((foreign(&owner).len(), foreign(&member).len()), (1, 1), "the control: each reads the other");

        team.remove(is_beside);
        let (owner, member) = team.work(2);
        assert_eq!(member, [REFUSED], "R6, R7: it is told, and nothing else");
        assert!(!shows(&owner, team.member) && foreign(&owner).is_empty(), "R7: {owner:?}");
        let (owner, member) = team.work(3);
        assert_eq!(member, [], "R6");
        assert!(!shows(&owner, team.member) && foreign(&owner).is_empty(), "R7: {owner:?}");
        team.relay.send(team.member, open(SPACE, None));
        team.relay.turn();
        assert_eq!(team.hear().1, [REFUSED]);
        assert_eq!(team.relay.everything().len(), 4, "R7: his first, and hers");
        assert!(!team.relay.is_closed(team.member), "the session goes on");
    }
}

#[test]
fn an_idle_session_is_told_within_five_seconds_that_it_was_taken_out_of_a_space_and_keeps_its_others() {
    let mut team = Team::new();
    // Nothing of its coming is left to be written down.
    (0..5).for_each(|_| team.relay.pass(2_000));
    team.hear();
    team.remove(true);
    let removed_ms = team.relay.now_ms;
    let told = loop {
        let due = team.relay.hub.poll_timeout().unwrap();
        assert!(due <= removed_ms + 5_000, "R7: {due}");
        team.relay.pass(due - team.relay.now_ms);
        let (_, member) = team.hear();
        if !member.is_empty() {
            break member;
        }
    };
    assert_eq!(told, [REFUSED]);
    let collection: Collection = "notes".parse().unwrap();
    let (entity, kind, bytes) = (team.his.entity, ChunkKind::Change, team.his.edit("elsewhere"));
    let batch = wire::encode_batch([BatchChunk { entity, collection: &collection, kind, bytes: &bytes }]);
    let push = Push { number: PushNumber(1), channel: Channel(1), batch: batch.as_slice().into() };
    team.relay.send(team.member, ToRelay::Push(push));
    team.relay.turn();
    assert_eq!(team.hear().1.first(), Some(&Seen::Receipt(1, stored(1, 1))), "its own space goes on");
}

#[test]
fn who_may_only_read_from_now_on_reads_on_and_writes_nothing_more() {
    let mut team = Team::new();
    team.work(1);
    let mut beside = SqliteLog::open(&team.folder.path().join("log.sqlite")).unwrap();
    beside.grant(SPACE, "ada", Role::Reader, team.relay.now()).unwrap();
    let (owner, _) = team.work(2);
    assert!(foreign(&owner).is_empty() && team.relay.everything().len() == 3, "R7: {owner:?}");
}
