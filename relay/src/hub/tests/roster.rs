use super::*;
use crate::log::accounts::{DeviceSummary, ShownTokens, SignedOut};
use crate::signed::SignedTokens;
use crate::testing::Backend;

fn devices(relay: &mut Relay) -> Vec<DeviceSummary> {
    relay.hub.log_mut().devices(None).unwrap()
}

#[test]
fn sessions_that_came_in_the_same_moment_are_listed_once_each_however_short_the_parts() {
    let mut relay = Relay::new();
    let mut here: Vec<_> = (1..=5).map(|number| relay.device(number)).collect();
    relay.pass(5);
    here.push(relay.device(6));
    let since: BTreeSet<_> = relay.hub.sessions().iter().map(|session| session.since_wall_ms).collect();
    assert_eq!(since.len(), 2, "the control");
    for limit in 1..=6 {
        let (mut told, mut part) = (Vec::new(), crate::log::Part { after: None, limit });
        loop {
            let page = relay.hub.list_sessions(&Default::default(), &part).unwrap();
            assert!((1..=limit).contains(&page.rows.len()));
            told.extend(page.rows.into_iter().map(|session| session.id));
            match page.next {
                Some(next) => part.after = Some(next),
                None => break,
            }
        }
        assert_eq!(told.len(), here.len(), "in parts of {limit}");
        assert_eq!(told.iter().collect::<BTreeSet<_>>(), here.iter().collect(), "in parts of {limit}");
    }
}

#[test]
fn a_session_is_listed_with_its_device_its_place_and_its_lag() {
    let mut relay = Relay::new();
    let writer = relay.device(1);
    relay.pass(5);
    let token = relay.token.reveal().to_owned();
    let address = Some([192, 0, 2, 7].into());
    let origin = Origin { address, began_ms: relay.now_ms };
    let reader = relay.hub.connect_from(Some(token), origin, relay.now());
    relay.links.insert(reader, Wire::default());
    assert_eq!(relay.hub.sessions().len(), 1, "who was not welcomed is no session yet");
    relay.send(reader, ToRelay::Hello(hello(2)));
    relay.send(reader, open(SPACE, None));
    relay.turn();
    relay.push(writer, 1, &mut Author::new(1, 1), &["a", "b"]);
    relay.turn();
    let listed = relay.hub.sessions();
    assert_eq!(listed.iter().map(|session| session.id).collect::<Vec<_>>(), [writer, reader]);
    let told = &listed[1];
    assert_eq!(told.user.as_deref(), Some("default"));
    assert_eq!((told.device, told.address, told.since_wall_ms), (hello(2).device, address, at(5).wall_ms));
    let [progress] = told.spaces[..] else { panic!("{:?}", told.spaces) };
    assert_eq!((progress.space, progress.head, progress.lag), (SPACE, 2, 2), "it has said nothing of them yet");
    let [of_writer] = listed[0].spaces[..] else { panic!("{:?}", listed[0].spaces) };
    assert_eq!((of_writer.stored, of_writer.lag), (Some(2), 0), "what it pushed itself it has");
    let progress = wire::Progress { channel: Channel(0), sequence: Sequence::new(2) };
    relay.send(reader, ToRelay::Progress(progress));
    relay.turn();
    let [progress] = relay.hub.sessions()[1].spaces[..] else { panic!() };
    assert_eq!((progress.stored, progress.lag), (Some(2), 0));
}

#[test]
fn who_was_here_is_written_down_once_for_many_and_when_it_left() {
    let mut relay = Relay::new();
    let first = relay.device(1);
    relay.device(2);
    let before = relay.hub.log_mut().write_transactions();
    assert!(devices(&mut relay).is_empty(), "nobody waits for it");
    relay.pass(2_000);
    assert_eq!(relay.hub.log_mut().write_transactions(), before + 1);
    let listed = devices(&mut relay);
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|device| device.last_seen_wall_ms == at(0).wall_ms && device.token == Some(1)));
    relay.pass(7_000);
    relay.send(first, open(SPACE, None));
    relay.hub.disconnect(first);
    relay.pass(2_000);
    let last = devices(&mut relay).remove(0);
    assert_eq!((last.id, last.last_seen_wall_ms), (hello(1).device, at(9_000).wall_ms));
}

#[test]
fn a_device_that_is_signed_out_hears_so_and_the_others_of_its_user_stay() {
    let mut relay = Relay::new();
    let phone_token = Token::new(&mut Seeded(9));
    relay.hub.log_mut().create_token(&phone_token, &NewToken::default(), at(0)).unwrap();
    let laptop = relay.device(1);
    let phone = relay.connect_as(Some(phone_token.reveal()));
    relay.send(phone, ToRelay::Hello(hello(2)));
    relay.send(phone, open(SPACE, None));
    relay.pass(2_000);
    relay.seen(phone);
    let now = relay.now();
    let signed_out = relay.hub.log_mut().sign_out_device("default", hello(2).device, ShownTokens::Revoke, now).unwrap();
    assert_eq!(signed_out, SignedOut { revoked: vec![2], ..SignedOut::default() });
    relay.push(phone, 1, &mut Author::new(2, 2), &["too late"]);
    relay.push(laptop, 1, &mut Author::new(1, 1), &["goes on"]);
    relay.turn();
    assert_eq!(relay.seen(phone), [Seen::Goodbye(GoodbyeCode::SignedOut)], "R7");
    assert!(!relay.is_closed(laptop));
    assert_eq!(relay.everything().len(), 1, "R7: what it pushed after that is not appended");
}

#[test]
fn a_closed_account_is_told_so() {
    let mut relay = Relay::new();
    let session = relay.device(1);
    let now = relay.now();
    relay.hub.log_mut().set_user_enabled("default", false, now).unwrap();
    relay.pass(1_000);
    assert_eq!(relay.seen(session), [Seen::Goodbye(GoodbyeCode::AccountClosed)]);
    let token = relay.token.reveal().to_owned();
    let again = relay.connect_as(Some(&token));
    relay.send(again, ToRelay::Hello(hello(1)));
    relay.turn();
    assert_eq!(relay.seen(again), [Seen::Goodbye(GoodbyeCode::AccountClosed)]);
}

#[test]
fn without_access_control_nobody_is_written_down() {
    let log = SqliteLog::open_in_memory().unwrap();
    let mut relay = Relay { hub: Hub::new(log, Access::Open, Limits::DEFAULT, Seeded(2)), ..Relay::new() };
    let id = relay.connect_as(None);
    relay.send(id, ToRelay::Hello(hello(1)));
    relay.pass(2_000);
    assert_eq!((relay.hub.sessions().len(), devices(&mut relay).len()), (1, 0));
}

#[test]
fn a_user_has_so_many_devices_here_at_once_and_the_next_is_told_when_to_come_back() {
    let mut relay = Relay::new();
    relay.hub.sessions_per_user_max = 2;
    let (first, _second) = (relay.device(1), relay.device(2));
    let token = relay.token.reveal().to_owned();
    let knock = |relay: &mut Relay, number: u8| {
        let id = relay.connect_as(Some(&token));
        relay.send(id, ToRelay::Hello(hello(number)));
        relay.turn();
        relay.seen(id)
    };
    assert_eq!(knock(&mut relay, 3), [Seen::Goodbye(GoodbyeCode::RateLimited)]);
    assert!(matches!(knock(&mut relay, 2)[..], [Seen::Welcome(_)]), "one that is here already replaces itself");
    let stranger = Token::new(&mut Seeded(7));
    relay.hub.log_mut().create_user("zoe", at(0)).unwrap();
    let new = NewToken { user: Some("zoe".to_owned()), ..NewToken::default() };
    relay.hub.log_mut().create_token(&stranger, &new, at(0)).unwrap();
    let other = relay.connect_as(Some(stranger.reveal()));
    relay.send(other, ToRelay::Hello(hello(3)));
    relay.turn();
    assert!(matches!(relay.seen(other)[..], [Seen::Welcome(_)]), "others are not concerned");
    relay.hub.disconnect(first);
    assert!(matches!(knock(&mut relay, 3)[..], [Seen::Welcome(_)]), "there is a place again");
}

#[test]
fn only_a_token_that_never_was_counts_as_a_guess() {
    let mut relay = Relay::new();
    let address = [192, 0, 2, 7].into();
    let expired = Token::new(&mut Seeded(8));
    let new = NewToken { expires_wall_ms: Some(at(0).wall_ms), ..NewToken::default() };
    relay.hub.log_mut().create_token(&expired, &new, at(0)).unwrap();
    let good = relay.token.reveal().to_owned();
    for (number, (token, guesses)) in (1..).zip([(good.as_str(), 0), (expired.reveal(), 0), ("afield_guess", 1)]) {
        let origin = Origin { address: Some(address), began_ms: 0 };
        let id = relay.hub.connect_from(Some(token.to_owned()), origin, relay.now());
        relay.links.insert(id, Wire::default());
        relay.send(id, ToRelay::Hello(hello(number)));
        assert_eq!(relay.hub.take_refused(), vec![address; guesses], "{token}");
    }
}

#[test]
fn a_user_who_is_purged_beside_the_relay_is_not_written_down_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let backend = Backend::new();
    let Relay { hub, now_ms, token, links } = Relay::with(SqliteLog::open(&path).unwrap());
    let hub = hub.with_signed_tokens(SignedTokens::open(backend.options()).unwrap());
    let mut relay = Relay { hub, now_ms, token, links };
    relay.hub.log_mut().create_user("ada", at(0)).unwrap();
    let own = Token::new(&mut Seeded(9));
    let new = NewToken { user: Some("ada".to_owned()), ..NewToken::default() };
    relay.hub.log_mut().create_token(&own, &new, at(0)).unwrap();
    let signed = backend.token("zoe", at(0), &serde_json::json!({}));
    let default = relay.token.reveal().to_owned();
    let sessions: Vec<SessionId> = (1..)
        .zip([own.reveal(), &signed, &default])
        .map(|(number, token)| {
            let origin = Origin { address: Some([192, 0, 2, number].into()), began_ms: 0 };
            let id = relay.hub.connect_from(Some(token.to_owned()), origin, relay.now());
            relay.links.insert(id, Wire::default());
            relay.send(id, ToRelay::Hello(hello(number)));
            relay.turn();
            assert!(matches!(relay.seen(id)[..], [Seen::Welcome(_)]));
            id
        })
        .collect();
    // What is noted of them now, and what is noted as they leave.
    let mut beside = SqliteLog::open(&path).unwrap();
    for user in ["ada", "zoe"] {
        beside.purge_user(user, false, at(500)).unwrap();
    }
    relay.pass(2_000);
    for id in &sessions[..2] {
        assert_eq!(relay.seen(*id), [Seen::Goodbye(GoodbyeCode::SignedOut)]);
    }
    relay.pass(5_000);
    let noted: Vec<_> = devices(&mut relay).into_iter().map(|device| device.id).collect();
    assert_eq!(noted, [hello(3).device], "nobody but the control");
    let bytes = relay.hub.log_mut().snapshot().unwrap();
    let holds = |address: &str| bytes.windows(address.len()).any(|window| window == address.as_bytes());
    assert_eq!(["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(holds), [false, false, true]);
    let again = relay.connect_as(Some(&signed));
    relay.send(again, ToRelay::Hello(hello(2)));
    relay.turn();
    assert_eq!(relay.seen(again), [Seen::Goodbye(GoodbyeCode::SignedOut)], "nor let in with what was signed before");
}

#[test]
fn who_was_here_while_nothing_could_be_written_is_written_down_later() {
    let mut relay = Relay::new();
    relay.device(1);
    let mut failures = 2;
    relay.hub.log_mut().inject_faults(move |point| {
        let fails = point == crate::log::FaultPoint::BeforeCommit && failures > 0;
        failures -= i32::from(fails);
        fails.then_some(crate::log::Fault::Error)
    });
    relay.pass(2_000);
    let due_ms = relay.hub.roster_due().expect("it is tried again");
    assert!(due_ms > relay.now_ms, "and not at once");
    relay.device(2);
    relay.pass(2_000);
    assert!(devices(&mut relay).is_empty(), "the control: that failed, too");
    relay.pass(2_000);
    let mut noted: Vec<_> = devices(&mut relay).into_iter().map(|device| device.id).collect();
    noted.sort();
    assert_eq!(noted, [hello(1).device, hello(2).device]);
    assert_eq!(relay.hub.roster_due(), None);
}
