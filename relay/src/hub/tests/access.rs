use super::*;
use afield_core::limits::HANDSHAKE_TIMEOUT_MS;

#[test]
fn only_a_good_token_is_welcome() {
    let mut relay = Relay::new();
    let good = relay.token.reveal().to_owned();
    let wrong = Token::new(&mut Seeded(99));
    let cases = [
        (Some(good.as_str()), None, Seen::Welcome(vec![])),
        (None, Some(good.as_str()), Seen::Welcome(vec![])),
        (None, None, Seen::Goodbye(GoodbyeCode::Unauthorized)),
        (Some(wrong.reveal()), None, Seen::Goodbye(GoodbyeCode::Unauthorized)),
        (Some("not even a token"), None, Seen::Goodbye(GoodbyeCode::Unauthorized)),
    ];
    for (device, (header, frame, expected)) in (1..).zip(cases) {
        let id = relay.connect_as(header);
        if let Some(token) = frame {
            relay.send(id, ToRelay::Authenticate(wire::Authenticate { token: token.to_owned() }));
        }
        relay.send(id, ToRelay::Hello(hello(device)));
        relay.turn();
        let ends = matches!(expected, Seen::Goodbye(_));
        assert_eq!((relay.seen(id), relay.is_closed(id)), (vec![expected], ends));
    }
}

#[test]
fn without_access_control_anyone_may_do_everything() {
    let log = SqliteLog::open_in_memory().unwrap();
    let mut relay = Relay { hub: Hub::new(log, Access::Open, Limits::DEFAULT, Seeded(2)), ..Relay::new() };
    let id = relay.connect_as(None);
    relay.send(id, ToRelay::Hello(hello(1)));
    relay.send(id, open(SPACE, None));
    relay.push(id, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    assert!(matches!(relay.seen(id)[..], [_, Seen::Opened(_), Seen::CaughtUp(0), Seen::Receipt(1, _), _]));
}

#[test]
fn an_unknown_and_a_forbidden_space_are_answered_with_the_same_bytes() {
    let mut relay = Relay::new();
    let owner = relay.device(1);
    relay.push(owner, 1, &mut Author::new(1, 1), &["secret"]);
    relay.turn();
    let stranger = Token::new(&mut Seeded(3));
    relay.hub.log_mut().create_user("stranger", at(0)).unwrap();
    let new = NewToken { user: Some("stranger".to_owned()), ..NewToken::default() };
    relay.hub.log_mut().create_token(&stranger, &new, at(0)).unwrap();
    let id = relay.connect_as(Some(stranger.reveal()));
    relay.send(id, ToRelay::Hello(hello(2)));
    relay.turn();
    relay.seen(id);
    let mut answers = BTreeSet::new();
    for space in [SPACE, SpaceId::from_bytes([99; 16])] {
        for create in [false, true] {
            relay.send(
                id,
                ToRelay::Open(Open {
                    channel: Channel(0),
                    space,
                    cursor: None,
                    create,
                    raw: false,
                    filter: afield_core::Filter::Everything,
                    partial: false,
                    invitation: None,
                }),
            );
            relay.turn();
            answers.insert(relay.raw(id));
        }
    }
    assert_eq!(answers.len(), 1, "R6");
    let answer = answers.pop_first().unwrap();
    assert_eq!(understand(&answer[0]), Seen::Refused(SpaceCode::UnknownOrForbidden));
    relay.push(id, 1, &mut Author::new(5, 5), &["x"]);
    relay.turn();
    assert_eq!(relay.seen(id), [], "what it pushes there is ignored");
    assert_eq!(relay.everything().len(), 1);
}

#[test]
fn a_newer_session_of_a_device_replaces_the_older_one() {
    let mut relay = Relay::new();
    let token = relay.token.reveal().to_owned();
    let other_life = Hello { incarnation: Incarnation::from_bytes([77; 16]), ..hello(1) };
    let restarted = Hello { predecessors: vec![hello(1).incarnation], ..other_life };
    for newcomer in [hello(1), restarted] {
        let mut relay = Relay { token: Token::new(&mut Seeded(1)), ..Relay::new() };
        let older = relay.device(1);
        relay.push(older, 1, &mut Author::new(1, 1), &["pushed a moment ago"]);
        let newer = relay.connect_as(Some(&token));
        relay.send(newer, ToRelay::Hello(newcomer));
        relay.push(older, 2, &mut Author::new(2, 2), &["pushed after that"]);
        relay.turn();
        assert_eq!(relay.seen(older), [Seen::Goodbye(GoodbyeCode::Replaced)]);
        assert!(relay.is_closed(older));
        assert!(matches!(relay.seen(newer)[..], [Seen::Welcome(_)]));
        assert!(relay.everything().is_empty(), "nothing from the older session is handled any more");
    }
    relay.turn();
}

#[test]
fn a_copied_store_is_told_so_and_the_first_one_stays() {
    let mut relay = Relay::new();
    let token = relay.token.reveal().to_owned();
    let first = relay.device(1);
    let copy = relay.connect_as(Some(&token));
    let stranger = Incarnation::from_bytes([8; 16]);
    let incarnation = Incarnation::from_bytes([7; 16]);
    relay.send(copy, ToRelay::Hello(Hello { incarnation, predecessors: vec![stranger], ..hello(1) }));
    relay.turn();
    assert_eq!(relay.seen(copy), [Seen::Goodbye(GoodbyeCode::CopiedDevice)]);
    relay.push(first, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    assert!(matches!(relay.seen(first)[0], Seen::Receipt(1, _)));

    relay.hub.disconnect(first);
    let later = relay.connect_as(Some(&token));
    relay.send(later, ToRelay::Hello(Hello { incarnation, ..hello(1) }));
    relay.turn();
    assert!(matches!(relay.seen(later)[..], [Seen::Welcome(_)]), "the control: alone it is welcome");
}

#[test]
fn knowing_the_device_id_of_another_user_ends_nothing() {
    let mut relay = Relay::new();
    let victim = relay.device(1);
    let stranger = Token::new(&mut Seeded(3));
    relay.hub.log_mut().create_user("stranger", at(0)).unwrap();
    let new = NewToken { user: Some("stranger".to_owned()), ..NewToken::default() };
    relay.hub.log_mut().create_token(&stranger, &new, at(0)).unwrap();
    let id = relay.connect_as(Some(stranger.reveal()));
    relay.send(id, ToRelay::Hello(hello(1)));
    relay.turn();
    assert!(matches!(relay.seen(id)[..], [Seen::Welcome(_)]));
    assert!(!relay.is_closed(victim));
}

#[test]
fn a_revoked_token_ends_its_sessions_before_anything_else_reaches_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut relay = Relay::with(SqliteLog::open(&path).unwrap());
    let writer = relay.device(1);
    let phone = Token::new(&mut Seeded(3));
    let number = relay.hub.log_mut().create_token(&phone, &NewToken::default(), at(0)).unwrap();
    let mut lost = [2, 3].map(|device| {
        let id = relay.connect_as(Some(phone.reveal()));
        relay.send(id, ToRelay::Hello(hello(device)));
        relay.send(id, open(SPACE, None));
        relay.turn();
        assert!(matches!(relay.seen(id)[..], [Seen::Welcome(_), Seen::Opened(_), Seen::CaughtUp(0)]));
        id
    });
    relay.pass(1_000);
    let mut author = Author::new(1, 1);
    relay.push(writer, 1, &mut author, &["before"]);
    relay.turn();
    assert!(lost.iter_mut().all(|id| foreign(&relay.seen(*id)).len() == 1), "the control");

    SqliteLog::open(&path).unwrap().revoke_token(number, relay.now()).unwrap();
    relay.push(lost[0], 1, &mut Author::new(2, 2), &["by the thief"]);
    relay.push(writer, 2, &mut author, &["after"]);
    relay.turn();
    for id in lost {
        assert_eq!(relay.seen(id), [Seen::Goodbye(GoodbyeCode::SignedOut)], "R6, R7");
        assert!(relay.is_closed(id));
    }
    assert_eq!(relay.everything().len(), 2, "R7: nothing more was appended");
}

#[test]
fn an_idle_session_ends_within_five_seconds_of_its_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut relay = Relay::with(SqliteLog::open(&path).unwrap());
    let idle = relay.device(1);
    relay.pass(1_000);
    SqliteLog::open(&path).unwrap().revoke_token(1, relay.now()).unwrap();
    let due = relay.hub.poll_timeout().unwrap();
    assert!(due <= relay.now_ms + 5_000, "R7");
    relay.pass(due - relay.now_ms);
    assert_eq!(relay.seen(idle), [Seen::Goodbye(GoodbyeCode::SignedOut)]);
}

#[test]
fn a_relay_on_which_nothing_happens_looks_for_revocations_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut relay = Relay::with(SqliteLog::open(&path).unwrap());
    let idle = relay.device(1);
    // Nothing of its coming is left to be written down.
    (0..5).for_each(|_| relay.pass(2_000));
    relay.seen(idle);
    SqliteLog::open(&path).unwrap().revoke_token(1, relay.now()).unwrap();
    let revoked_ms = relay.now_ms;
    while !relay.is_closed(idle) {
        let due = relay.hub.poll_timeout().unwrap();
        assert!(due <= revoked_ms + 5_000, "R7: {due}");
        relay.pass(due - relay.now_ms);
    }
    assert_eq!(relay.seen(idle), [Seen::Goodbye(GoodbyeCode::SignedOut)]);
}

#[test]
fn a_token_that_expires_ends_its_session_unless_a_fresher_one_came() {
    let mut relay = Relay::new();
    let expiring = Token::new(&mut Seeded(3));
    let new = NewToken { expires_wall_ms: Some(at(10_000).wall_ms), ..NewToken::default() };
    relay.hub.log_mut().create_token(&expiring, &new, at(0)).unwrap();
    let ids = [1, 2].map(|device| {
        let id = relay.connect_as(Some(expiring.reveal()));
        relay.send(id, ToRelay::Hello(hello(device)));
        id
    });
    let fresher = relay.token.reveal().to_owned();
    relay.send(ids[1], ToRelay::Authenticate(wire::Authenticate { token: fresher }));
    relay.pass(9_999);
    assert!(ids.iter().all(|id| matches!(relay.seen(*id)[..], [Seen::Welcome(_)])), "the control");
    relay.pass(1_000);
    assert_eq!(relay.seen(ids[0]), [Seen::Goodbye(GoodbyeCode::TokenExpired)]);
    assert!(!relay.is_closed(ids[1]));
}

#[test]
fn a_peer_that_does_not_greet_ends() {
    let mut relay = Relay::new();
    let silent = relay.connect_as(None);
    assert!(relay.hub.poll_timeout().is_some_and(|due| due <= HANDSHAKE_TIMEOUT_MS));
    relay.pass(HANDSHAKE_TIMEOUT_MS - 1);
    assert!(!relay.is_closed(silent), "the control");
    relay.pass(1);
    assert_eq!(relay.seen(silent), [Seen::Goodbye(GoodbyeCode::TimedOut)]);
    assert_eq!(relay.hub.session_count(), 0);
}

#[test]
fn the_time_for_the_handshake_counts_from_where_the_connection_began() {
    let mut relay = Relay::new();
    relay.now_ms = 20_000;
    let began_ms = relay.now_ms - 7_000;
    let late = relay.hub.connect_from(None, Origin { address: None, began_ms }, relay.now());
    relay.links.insert(late, Wire::default());
    let prompt = relay.connect_as(None);
    relay.pass(HANDSHAKE_TIMEOUT_MS - 7_000 - 1);
    assert!(!relay.is_closed(late), "the control");
    relay.pass(1);
    assert_eq!(relay.seen(late), [Seen::Goodbye(GoodbyeCode::TimedOut)]);
    assert!(!relay.is_closed(prompt));
}

#[test]
fn a_fresher_token_for_fewer_spaces_reads_no_others() {
    let mut relay = Relay::new();
    let (writer, reader) = (relay.device(1), relay.device(2));
    let narrow = Token::new(&mut Seeded(3));
    let elsewhere = vec![SpaceId::from_bytes([9; 16])];
    relay.hub.log_mut().create_token(&narrow, &NewToken { spaces: elsewhere, ..NewToken::default() }, at(0)).unwrap();
    relay.pass(1_000);
    let mut author = Author::new(1, 1);
    relay.push(writer, 1, &mut author, &["before"]);
    relay.turn();
    assert_eq!(foreign(&relay.seen(reader)).len(), 1, "the control");
    relay.send(reader, ToRelay::Authenticate(wire::Authenticate { token: narrow.reveal().to_owned() }));
    relay.push(writer, 2, &mut author, &["after"]);
    relay.turn();
    assert_eq!(relay.seen(reader), [Seen::Refused(SpaceCode::UnknownOrForbidden)], "R6");
    assert!(!relay.is_closed(reader));
}

#[test]
fn a_user_with_more_spaces_than_a_frame_can_name_is_welcome_all_the_same() {
    let mut relay = Relay::new();
    let count = wire::ITEMS_MAX + 1;
    // By the administrator's hand, for opening them one by one is what a year of use would be.
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO spaces (id, log, sequence, chain, chunks, bytes, created_ms)
        SELECT unhex(printf('%032x', i)), unhex(printf('%032x', i)), 0, zeroblob(32), 0, 0, 0 FROM n";
    relay.hub.log.connection().execute(sql, [count as i64]).unwrap();
    let last = SpaceId::from_bytes(u128::try_from(count).unwrap().to_be_bytes());
    let start = Cursor::start(LogId::from_bytes(*last.as_bytes()));
    let chain = "UPDATE spaces SET chain = ?2 WHERE id = ?1";
    relay.hub.log.connection().execute(chain, [&last.as_bytes()[..], start.chain.as_bytes()]).unwrap();
    relay.hub.log.connection().execute("INSERT INTO members SELECT 1, number, 3 FROM spaces", []).unwrap();
    let token = relay.token.reveal().to_owned();
    let id = relay.connect_as(Some(&token));
    relay.send(id, ToRelay::Hello(hello(1)));
    relay.send(id, open(last, None));
    relay.turn();
    let seen = relay.seen(id);
    assert!(matches!(&seen[0], Seen::Welcome(spaces) if spaces.len() == wire::ITEMS_MAX), "as many as a list may have");
    assert!(matches!(seen[1], Seen::Opened(_)), "one that was not named is served: {:?}", seen[1]);
}

#[test]
fn a_session_with_too_many_spaces_is_refused_the_rest_and_goes_on() {
    use afield_core::limits::SPACES_PER_SESSION_MAX;
    let mut relay = Relay::new();
    let one = relay.device(1);
    let frame = |number: usize| {
        let space = SpaceId::from_bytes((1_000 + number as u128).to_be_bytes());
        let channel = Channel(u32::try_from(number).unwrap());
        ToRelay::Open(Open {
            channel,
            space,
            cursor: None,
            create: true,
            raw: false,
            filter: afield_core::Filter::Everything,
            partial: false,
            invitation: None,
        })
    };
    for number in 1..SPACES_PER_SESSION_MAX {
        relay.send(one, frame(number));
    }
    relay.turn();
    assert!(relay.seen(one).iter().all(|seen| !matches!(seen, Seen::Refused(_))), "the control");
    let mut author = Author::new(7, 7);
    for (push, number) in [(1, SPACES_PER_SESSION_MAX), (2, SPACES_PER_SESSION_MAX + 1)] {
        relay.send(one, frame(number));
        let collection: Collection = "notes".parse().unwrap();
        let (entity, kind) = (author.entity, ChunkKind::Change);
        let bytes = author.edit(&format!("pushed without waiting, {number}"));
        let batch = wire::encode_batch([BatchChunk { entity, collection: &collection, kind, bytes: &bytes }]);
        let channel = Channel(u32::try_from(number).unwrap());
        relay.send(one, ToRelay::Push(Push { number: PushNumber(push), channel, batch: batch.as_slice().into() }));
    }
    relay.push(one, 3, &mut Author::new(1, 1), &["in a space that is open"]);
    relay.turn();
    let seen = relay.seen(one);
    assert_eq!(seen[..2], [Seen::Refused(SpaceCode::Quota), Seen::Refused(SpaceCode::Quota)]);
    assert_eq!(seen[2], Seen::Receipt(3, stored(1, 1)), "the session and its other spaces go on");
    assert!(!relay.is_closed(one));
}

#[test]
fn a_token_that_expires_ends_its_session_while_others_push_without_a_pause() {
    let mut relay = Relay::new();
    let expiring = Token::new(&mut Seeded(3));
    let new = NewToken { expires_wall_ms: Some(at(3_000).wall_ms), ..NewToken::default() };
    relay.hub.log_mut().create_token(&expiring, &new, at(0)).unwrap();
    let (writer, lasting) = (relay.device(1), relay.device(2));
    let listener = relay.connect_as(Some(expiring.reveal()));
    relay.send(listener, ToRelay::Hello(hello(3)));
    relay.send(listener, open(SPACE, None));
    relay.turn();
    relay.seen(listener);
    let mut author = Author::new(1, 1);
    for number in 1..=12 {
        relay.now_ms += 500;
        relay.push(writer, number, &mut author, &[&number.to_string()]);
        // As the server does: what is due is handled before the commit, and nothing else is.
        if relay.hub.poll_timeout().is_some_and(|due_ms| due_ms <= relay.now_ms) {
            relay.hub.handle_timeout(relay.now());
        }
        relay.turn();
    }
    let seen = relay.seen(listener);
    assert_eq!(foreign(&seen).len(), 5, "R6: what was pushed before it expired, and nothing after");
    assert_eq!(seen.last(), Some(&Seen::Goodbye(GoodbyeCode::TokenExpired)));
    assert_eq!(foreign(&relay.seen(lasting)).len(), 12, "the control");
}

#[test]
fn a_session_that_gives_one_token_after_another_is_told_to_come_back_and_others_give_theirs() {
    let mut relay = Relay::new();
    let (busy, calm) = (relay.device(1), relay.device(2));
    let token = relay.token.reveal().to_owned();
    let give = |relay: &mut Relay, id| {
        relay.send(id, ToRelay::Authenticate(wire::Authenticate { token: token.clone() }));
        relay.turn();
    };
    (0..6).for_each(|_| give(&mut relay, busy));
    assert!(!relay.is_closed(busy), "the control: some at once are taken");
    (0..10).for_each(|_| give(&mut relay, busy));
    let raw = relay.raw(busy);
    let last = Message::open(raw.last().expect("it is told")).unwrap();
    let ToDevice::Goodbye(goodbye) = last.to_device().unwrap() else { panic!("it goes on") };
    assert_eq!(goodbye.code, GoodbyeCode::RateLimited, "R8");
    assert!(goodbye.retry_after_ms.is_some());
    for _ in 0..20 {
        give(&mut relay, calm);
        relay.pass(10_000);
    }
    assert!(!relay.is_closed(calm), "who gives a fresher one now and then is not concerned");
}
