//! A token that takes the place of another.

use super::hand::{Desk, HandRelay};
use super::*;
use afield_core::wire::{LiveMessage, Message, ToRelay};

/// The tokens that a device sends, among other things, until it has nothing more to say; and whether it ended the session.
fn said(desk: &Desk) -> (Vec<String>, bool) {
    let (mut tokens, mut is_over) = (Vec::new(), false);
    while let Some(output) = desk.driver.poll_output() {
        match output {
            Output::Transmit(message) if LiveMessage::open(&message).unwrap().is_none() => {
                if let ToRelay::Authenticate(frame) = Message::open(&message).unwrap().to_relay().unwrap() {
                    tokens.push(frame.token);
                }
            }
            Output::Transmit(_) => {}
            Output::Connect | Output::Disconnect => is_over = true,
        }
    }
    (tokens, is_over)
}

fn nothing() -> (Vec<String>, bool) {
    (Vec::new(), false)
}

fn told(token: &str) -> (Vec<String>, bool) {
    (vec![token.to_owned()], false)
}

fn live() -> (Desk, HandRelay) {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let relay = desk.connect(NOW);
    desk.receive(&[relay.welcome(), relay.opened(), relay.caught_up()], NOW);
    assert_eq!(said(&desk), nothing(), "the token came with the connection");
    (desk, relay)
}

fn needs_sign_in(desk: &Desk) -> bool {
    desk.driver.view().link == LinkView::Stopped(Class::SignIn)
}

#[test]
fn a_live_session_is_given_the_fresher_token_and_stays() {
    let (desk, _relay) = live();
    assert!(desk.driver.refresh_token("fresher", NOW).unwrap());
    assert_eq!(said(&desk), told("fresher"));
    assert_eq!(desk.driver.view().link, LinkView::Up);
}

#[test]
fn a_token_that_comes_before_the_welcome_waits_for_it() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let relay = desk.connect(NOW);
    desk.driver.refresh_token("fresher", NOW).unwrap();
    desk.driver.refresh_token("freshest", NOW).unwrap();
    assert_eq!(said(&desk), nothing(), "a relay takes none between Hello and Welcome");
    desk.receive(&[relay.welcome()], NOW);
    assert_eq!(said(&desk), told("freshest"));
}

#[test]
fn a_token_that_comes_while_the_link_is_made_begins_the_session() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    assert_eq!(desk.driver.poll_output(), Some(Output::Connect));
    desk.driver.refresh_token("fresher", NOW).unwrap();
    assert_eq!(said(&desk), nothing());
    desk.driver.handle_connected(NOW).unwrap();
    assert_eq!(said(&desk), told("fresher"));
}

#[test]
fn a_token_that_comes_between_two_sessions_begins_the_next() {
    let (desk, _relay) = live();
    desk.driver.handle_disconnected("the cable was pulled".to_owned(), NOW);
    desk.driver.refresh_token("fresher", NOW).unwrap();
    assert_eq!(said(&desk), nothing(), "the wait after a failure goes on");
    let then = later(NOW, desk.driver.poll_timeout().unwrap());
    desk.driver.handle_timeout(then).unwrap();
    assert_eq!(desk.driver.poll_output(), Some(Output::Connect));
    desk.driver.handle_connected(then).unwrap();
    assert_eq!(said(&desk), told("fresher"));
}

#[test]
fn a_device_that_waits_for_somebody_to_sign_in_connects_at_once() {
    for code in [GoodbyeCode::TokenExpired, GoodbyeCode::SignedOut, GoodbyeCode::AccountClosed] {
        let (desk, relay) = live();
        desk.receive(&[relay.goodbye(code)], NOW);
        assert_eq!((said(&desk), needs_sign_in(&desk)), ((Vec::new(), true), true));
        assert_eq!(desk.driver.poll_timeout(), None, "nothing is tried again by itself");
        desk.driver.refresh_token("fresher", NOW).unwrap();
        let _ = desk.connect(NOW);
        assert_eq!(said(&desk), told("fresher"));
    }
}

#[test]
fn the_end_of_the_token_before_is_not_taken_for_the_end_of_the_fresher_one() {
    let (desk, relay) = live();
    desk.driver.refresh_token("fresher", NOW).unwrap();
    assert_eq!(said(&desk), told("fresher"));
    // On its way before the fresher token had arrived.
    desk.receive(&[relay.goodbye(GoodbyeCode::TokenExpired)], NOW);
    assert!(!needs_sign_in(&desk));
    desk.driver.handle_timeout(NOW).unwrap();
    let relay = desk.connect(NOW);
    assert_eq!(said(&desk), told("fresher"));
    desk.receive(&[relay.goodbye(GoodbyeCode::Unauthorized)], NOW);
    assert!(needs_sign_in(&desk), "the control: the relay has judged the fresher one");
}

#[test]
fn a_refused_connection_with_the_token_before_is_made_again_with_the_fresher_one() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    assert_eq!(desk.driver.poll_output(), Some(Output::Connect));
    desk.driver.refresh_token("fresher", NOW).unwrap();
    desk.driver.handle_connect_failed("401 Unauthorized".to_owned(), Class::SignIn, None, NOW);
    desk.driver.handle_timeout(NOW).unwrap();
    assert_eq!(desk.driver.poll_output(), Some(Output::Connect));
    desk.driver.handle_connect_failed("401 Unauthorized".to_owned(), Class::SignIn, None, NOW);
    assert!(needs_sign_in(&desk), "that attempt was made with the fresher one");
}

#[test]
fn no_token_is_kept_while_sync_is_off() {
    let desk = Desk::new();
    assert!(!desk.driver.refresh_token("fresher", NOW).unwrap());
    desk.driver.enable_sync(NOW);
    let _ = desk.connect(NOW);
    assert_eq!(said(&desk), nothing());
}
