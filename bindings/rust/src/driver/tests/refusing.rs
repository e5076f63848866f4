//! What a relay that refuses a space, run after run, leads to.

use super::hand::{Desk, NOW, later};
use super::*;
use crate::schedule::Schedule;
use afield_core::wire::{self, Channel, Refused, SpaceCode, ToDevice, ToRelay};
use afield_core::{Cursor, Invitation, LogId};
use std::time::Duration;

const EVERY_MS: u64 = 600_000;

fn follow(desk: &Desk, from_ms: u64, until_ms: u64) -> Option<u64> {
    let mut at_ms = from_ms;
    loop {
        if std::iter::from_fn(|| desk.driver.poll_output()).any(|output| output == Output::Connect) {
            return Some(at_ms);
        }
        at_ms = desk.driver.poll_timeout().filter(|next| *next <= until_ms)?.max(at_ms + 1);
        desk.driver.handle_timeout(later(NOW, at_ms)).unwrap();
    }
}

/// How often a device asks for its space.
fn opens(desk: &Desk) -> usize {
    let sent = std::iter::from_fn(|| desk.driver.poll_output());
    let is_open = |output: &Output| {
        let Output::Transmit(message) = output else { return false };
        matches!(wire::Message::open(message).unwrap().to_relay(), Ok(ToRelay::Open(_)))
    };
    sent.filter(is_open).count()
}

#[test]
fn a_device_that_is_invited_asks_at_once_unless_the_relay_has_asked_for_a_wait() {
    const WAIT_MS: u64 = 5_000;
    for (code, asked_ms) in [
        (SpaceCode::Unavailable, Some(WAIT_MS)),
        (SpaceCode::UnknownOrForbidden, Some(WAIT_MS)),
        (SpaceCode::UnknownOrForbidden, None),
    ] {
        let desk = Desk::new();
        desk.driver.enable_sync(NOW);
        let relay = desk.connect(NOW);
        let refused = Refused { channel: Channel(0), code, retry_after_ms: asked_ms };
        desk.receive(&[relay.welcome(), wire::encode_to_device(&ToDevice::Refused(refused))], NOW);
        assert_eq!(opens(&desk), 1, "the control");
        let invitation = Invitation::new(desk.space, "0123456789abcdef");
        let _ = desk.driver.with_store(|store| store.join_invited(&invitation, "Home", NOW.wall_ms)).unwrap();
        desk.driver.note_invitation(desk.space);
        desk.driver.handle_wake(NOW).unwrap();
        assert_eq!(opens(&desk), usize::from(asked_ms.is_none()), "{code}");
        desk.driver.handle_timeout(later(NOW, WAIT_MS - 1)).unwrap();
        assert_eq!(opens(&desk), 0, "{code}");
        desk.driver.handle_timeout(later(NOW, WAIT_MS)).unwrap();
        assert_eq!(
            opens(&desk),
            usize::from(asked_ms.is_some()),
            "{code}: and then at once, without a back-off of its own"
        );
    }
}

#[test]
fn runs_of_a_space_that_is_refused_again_and_again_are_counted_for_it_and_told() {
    let desk = Desk::new();
    let every = Schedule::every(Duration::from_millis(EVERY_MS)).unwrap();
    desk.driver.set_schedule(desk.space, Some(&every), NOW).unwrap();
    desk.driver.tell_after_failures(2);
    let mut events = desk.driver.events();
    desk.driver.enable_sync(NOW);
    let refused = Refused { channel: Channel(0), code: SpaceCode::UnknownOrForbidden, retry_after_ms: None };
    let mut at_ms = 0;
    for _ in 0..5 {
        at_ms = follow(&desk, at_ms, at_ms + 2 * EVERY_MS).expect("the schedule is followed");
        let relay = desk.connected(Cursor::start(LogId::from_bytes([3; 16])), later(NOW, at_ms));
        let answers = [relay.welcome(), wire::encode_to_device(&ToDevice::Refused(refused))];
        desk.receive(&answers, later(NOW, at_ms));
    }
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let failed = told.iter().filter_map(|event| match event {
        SyncEvent::Failed { space, failures, .. } => Some((*space, *failures)),
        _ => None,
    });
    let failed: Vec<_> = failed.collect();
    assert_eq!(failed, (1..=5).map(|failures| (Some(desk.space), failures)).collect::<Vec<_>>(), "{told:?}");
    let repeated = told.iter().filter_map(|event| match event {
        SyncEvent::FailingRepeatedly { space, failures, .. } => Some((*space, *failures)),
        _ => None,
    });
    assert_eq!(repeated.collect::<Vec<_>>(), [(Some(desk.space), 2), (Some(desk.space), 4)], "{told:?}");
    assert_eq!(desk.driver.view().failures, 0, "no session failed");
}
