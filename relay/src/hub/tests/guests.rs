//! Sessions that only look, in the name of a device.

use super::*;
use crate::log::accounts::ShownTokens;
use afield_core::DeviceId;

/// What a guest of the device 1 greets with.
fn guest() -> Hello {
    Hello { guest_of: Some(hello(1).device), ..hello(9) }
}

fn welcomed(relay: &mut Relay, greeting: Hello) -> SessionId {
    let token = relay.token.reveal().to_owned();
    let id = relay.connect_as(Some(&token));
    relay.send(id, ToRelay::Hello(greeting));
    relay.turn();
    assert!(matches!(relay.seen(id)[..], [Seen::Welcome(_)]));
    id
}

fn listed(relay: &mut Relay) -> Vec<DeviceId> {
    relay.hub.log_mut().devices(None).unwrap().into_iter().map(|device| device.id).collect()
}

#[test]
fn a_guest_reads_beside_the_device_that_it_is_a_guest_of_and_is_written_down_as_that_one() {
    let mut relay = Relay::new();
    let device = relay.device(1);
    relay.push(device, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    let id = welcomed(&mut relay, guest());
    relay.send(id, open(SPACE, None));
    relay.turn();
    assert_eq!(foreign(&relay.seen(id)).len(), 1, "it reads what is there");
    assert!(!relay.is_closed(device), "and replaces nobody");
    assert!(relay.hub.sessions().iter().all(|session| session.device == hello(1).device));
    relay.hub.disconnect(id);
    relay.pass(4_000);
    assert_eq!(listed(&mut relay), [hello(1).device]);

    welcomed(&mut relay, hello(9));
    relay.pass(4_000);
    assert_eq!(listed(&mut relay).len(), 2, "the control: who is nobody's guest is written down");
}

#[test]
fn a_guest_appends_nothing_and_makes_no_space() {
    let mut relay = Relay::new();
    relay.device(1);
    let id = welcomed(&mut relay, guest());
    relay.send(id, open(SpaceId::from_bytes([99; 16]), None));
    relay.turn();
    assert_eq!(relay.seen(id), [Seen::Refused(SpaceCode::UnknownOrForbidden)], "though its token may create spaces");
    relay.hub.disconnect(id);

    let id = welcomed(&mut relay, guest());
    relay.send(id, open(SPACE, None));
    relay.turn();
    relay.seen(id);
    relay.push(id, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    assert_eq!(relay.seen(id), [Seen::Goodbye(GoodbyeCode::Protocol)]);
    assert!(relay.is_closed(id) && relay.everything().is_empty(), "R7: nothing is appended that is in no list");
}

#[test]
fn a_guest_is_signed_out_with_the_device_that_it_is_a_guest_of() {
    let mut relay = Relay::new();
    relay.device(1);
    let id = welcomed(&mut relay, guest());
    relay.pass(2_000);
    let now = relay.now();
    relay.hub.log_mut().sign_out_device("default", hello(1).device, ShownTokens::Keep, now).unwrap();
    relay.hub.look_for_changes(now);
    relay.pass(2_000);
    assert!(relay.is_closed(id), "R7");
    let token = relay.token.reveal().to_owned();
    let again = relay.connect_as(Some(&token));
    relay.send(again, ToRelay::Hello(guest()));
    relay.turn();
    assert_eq!(relay.seen(again), [Seen::Goodbye(GoodbyeCode::SignedOut)]);
    let other = relay.connect_as(Some(&token));
    relay.send(other, ToRelay::Hello(hello(2)));
    relay.turn();
    assert!(matches!(relay.seen(other)[..], [Seen::Welcome(_)]), "the control: the token is good for others");
}
