use super::*;
use crate::hub::roster::KEPT_MAX;
use crate::log::accounts::{AccountError, SessionFilter, ShownTokens, WrittenSession};
use crate::log::{Fault, FaultPoint};

/// The same relay, which writes its sessions down.
fn writing(relay: Relay) -> Relay {
    let Relay { hub, now_ms, token, links } = relay;
    Relay { hub: hub.with_written_sessions(), now_ms, token, links }
}

fn written(relay: &mut Relay) -> Vec<WrittenSession> {
    relay.hub.log_mut().sessions(&SessionFilter::default()).unwrap()
}

fn progress(sequence: u64) -> ToRelay<'static> {
    ToRelay::Progress(wire::Progress { channel: Channel(0), sequence: Sequence::new(sequence) })
}

#[test]
fn a_session_is_written_down_with_its_device_in_one_commit_and_gone_when_it_left() {
    let mut relay = writing(Relay::new());
    let writer = relay.device(1);
    let reader = relay.device(2);
    relay.push(writer, 1, &mut Author::new(1, 1), &["a", "b"]);
    relay.turn();
    let before = relay.hub.log_mut().write_transactions();
    assert!(written(&mut relay).is_empty(), "nobody waits for it");
    relay.pass(2_000);
    assert_eq!(relay.hub.log_mut().write_transactions(), before + 1, "with the devices");
    let listed = written(&mut relay);
    let told = listed.iter().find(|session| session.id == reader).unwrap();
    assert_eq!((listed.len(), told.user.as_deref(), told.device), (2, Some("default"), hello(2).device));
    let [space] = told.spaces[..] else { panic!("{told:?}") };
    assert_eq!((space.space, space.stored, space.head), (SPACE, Some(0), 2));

    relay.send(reader, progress(2));
    relay.pass(2_000);
    relay.pass(2_000);
    let told = written(&mut relay).into_iter().find(|session| session.id == reader).unwrap();
    assert_eq!(told.spaces[0].stored, Some(2));
    relay.hub.disconnect(reader);
    relay.pass(2_000);
    let left: Vec<_> = written(&mut relay).into_iter().map(|session| session.id).collect();
    assert_eq!(left, [writer]);
}

#[test]
fn an_idle_session_costs_no_write() {
    let mut relay = writing(Relay::new());
    relay.device(1);
    relay.pass(2_000);
    relay.pass(2_000);
    let before = relay.hub.log_mut().write_transactions();
    for _ in 0..20 {
        relay.pass(5_000);
    }
    assert_eq!(relay.hub.log_mut().write_transactions(), before);
    assert_eq!(relay.hub.roster_due(), None);
    assert_eq!(written(&mut relay).len(), 1, "the control: it is here");
}

#[test]
fn of_very_many_that_go_on_some_are_written_at_a_time_and_all_in_turn() {
    let mut relay = writing(Relay::new());
    let ids: Vec<SessionId> = (0..2_500_u32)
        .map(|number| {
            let token = relay.token.reveal().to_owned();
            let id = relay.connect_as(Some(&token));
            let mut device = hello(0);
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            device.device = DeviceId::from_bytes(bytes);
            relay.send(id, ToRelay::Hello(device));
            relay.send(id, open(SPACE, None));
            relay.turn();
            id
        })
        .collect();
    let mut author = Author::new(1, 1);
    relay.push(ids[0], 1, &mut author, &["a"]);
    relay.turn();
    (0..3).for_each(|_| relay.pass(2_000));
    assert_eq!(written(&mut relay).len(), ids.len());
    for id in &ids {
        relay.send(*id, progress(1));
    }
    let stored = |relay: &mut Relay| {
        let stored = |session: &WrittenSession| session.spaces.first().and_then(|space| space.stored);
        written(relay).iter().filter(|session| stored(session) == Some(1)).count()
    };
    assert_eq!(stored(&mut relay), 1, "the one that pushed it");
    relay.pass(2_000);
    let first = stored(&mut relay);
    assert!((2..=1_001).contains(&first), "{first}");
    (0..3).for_each(|_| relay.pass(2_000));
    assert_eq!(stored(&mut relay), ids.len());
}

#[test]
fn a_space_that_a_session_does_not_get_is_none_of_its_spaces() {
    let mut relay = writing(Relay::new());
    let id = relay.device(1);
    let foreign = SpaceId::from_bytes([9; 16]);
    relay.send(id, ToRelay::Open(Open { create: false, ..opened(foreign) }));
    relay.pass(2_000);
    assert!(written(&mut relay)[0].spaces.is_empty(), "it was opened in the place of the first");
    relay.send(id, open(SPACE, None));
    relay.pass(2_000);
    relay.pass(2_000);
    assert_eq!(written(&mut relay)[0].spaces.len(), 1, "the control");
}

fn opened(space: SpaceId) -> Open {
    match open(space, None) {
        ToRelay::Open(open) => open,
        _ => panic!("it is an Open"),
    }
}

#[test]
fn what_could_not_be_written_for_long_is_written_when_it_can_be() {
    let mut relay = writing(Relay::new());
    let id = relay.device(1);
    relay.pass(2_000);
    let gone = relay.device(2);
    relay.pass(2_000);
    let mut failures = 3;
    relay.hub.log_mut().inject_faults(move |point| {
        let fails = point == FaultPoint::BeforeCommit && failures > 0;
        failures -= i32::from(fails);
        fails.then_some(Fault::Error)
    });
    relay.hub.disconnect(gone);
    let third = relay.device(3);
    // More come and go than are kept.
    for number in 0..=KEPT_MAX as u64 {
        relay.hub.note_session(SessionId::from_bytes((u128::from(number) + 1).to_be_bytes()), relay.now_ms);
    }
    (0..3).for_each(|_| relay.pass(2_000));
    assert!(written(&mut relay).iter().any(|session| session.id == gone), "the control: nothing was written");
    (0..12).for_each(|_| relay.pass(2_000));
    let mut here: Vec<_> = written(&mut relay).into_iter().map(|session| session.id).collect();
    here.sort();
    let mut expected = [id, third];
    expected.sort();
    assert_eq!(here, expected);
    assert!(written(&mut relay).iter().all(|session| session.spaces.len() == 1));
}

#[test]
fn the_device_of_a_session_is_signed_out_also_where_it_was_forgotten() {
    let mut relay = writing(Relay::new());
    let phone = relay.device(1);
    relay.pass(2_000);
    // As where very many came since.
    relay.hub.log_mut().connection().execute_batch("DELETE FROM shown_tokens; DELETE FROM devices").unwrap();
    let now = relay.now();
    let stranger = SessionId::from_bytes([9; 16]);
    let refused = relay.hub.log_mut().sign_out_session(stranger, ShownTokens::Revoke, now).unwrap_err();
    assert!(matches!(refused, AccountError::NoSuchSession(_)) && refused.is_missing());
    relay.pass(1_000);
    assert!(!relay.is_closed(phone), "the control: nothing has changed");
    let done = relay.hub.log_mut().sign_out_session(phone, ShownTokens::Revoke, now).unwrap();
    assert_eq!((done.user.as_str(), done.device, done.signed_out.revoked), ("default", hello(1).device, vec![1]));
    relay.seen(phone);
    relay.pass(1_000);
    assert_eq!(relay.seen(phone), [Seen::Goodbye(GoodbyeCode::SignedOut)]);
}

#[test]
fn without_access_control_a_session_has_no_user_and_a_relay_that_stops_leaves_none() {
    let log = SqliteLog::open_in_memory().unwrap();
    let hub = Hub::new(log, Access::Open, Limits::DEFAULT, Seeded(2));
    let mut relay = writing(Relay { hub, ..Relay::new() });
    let id = relay.connect_as(None);
    relay.send(id, ToRelay::Hello(hello(1)));
    relay.pass(2_000);
    let listed = written(&mut relay);
    assert_eq!((listed[0].id, listed[0].user.as_deref()), (id, None));
    let now = relay.now();
    let refused = relay.hub.log_mut().sign_out_session(id, ShownTokens::Keep, now).unwrap_err();
    assert!(matches!(refused, AccountError::OpenAccess), "there is nobody who could be");
    relay.hub.shutdown(now);
    assert!(written(&mut relay).is_empty(), "at once: there may be no next moment");
    relay.turn();
    relay.pass(2_000);
    assert!(written(&mut relay).is_empty());
}
