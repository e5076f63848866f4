use super::*;
use crate::Replica;
use afield_core::policy::{Direction, Reason};

const NOW: Now = Now { wall_ms: 1_000_000, monotonic_ms: 500 };

/// A space in a state, about which nothing else is known.
fn space(state: SyncState) -> SpaceStatus {
    let replica = Replica::open_in_memory().unwrap();
    replica.create_space("Home").unwrap();
    let known = replica.status().unwrap().spaces.remove(0);
    SpaceStatus { state, enabled: true, direction: Direction::Both, why_not: None, ..known }
}

fn switched_off() -> SpaceStatus {
    SpaceStatus { enabled: false, why_not: Some(Reason::SpaceDisabled), ..space(SyncState::Disabled) }
}

fn local_only() -> SpaceStatus {
    SpaceStatus { direction: Direction::LocalOnly, why_not: Some(Reason::LocalOnly), ..space(SyncState::Disabled) }
}

fn all(link: LinkView, spaces: &[&SpaceStatus]) -> Status {
    let view = View { link, ..View::default() };
    let beside = Beside { device: DeviceId::from_bytes([1; 16]), relay: None, synchronous: None };
    whole(&view, beside, spaces.iter().map(|space| (*space).clone()).collect(), NOW)
}

#[test]
fn the_state_of_all_is_the_one_that_counts_most_of_those_that_are_synced() {
    use SyncState::{Blocked, Disabled, Error, Idle, NeedsSignIn, Offline, Syncing};
    let of = |state| space(state);
    let (off, local) = (switched_off(), local_only());
    for (link, states, expected) in [
        (LinkView::Up, vec![Idle, Idle], Idle),
        (LinkView::Up, vec![Idle, Blocked], Blocked),
        (LinkView::Up, vec![Blocked, Syncing, Idle], Syncing),
        (LinkView::Resting, vec![Idle, Blocked], Blocked),
        (LinkView::Waiting, vec![Idle, Offline], Offline),
        (LinkView::Waiting, vec![Blocked, Offline], Offline),
        (LinkView::Waiting, vec![Idle, Idle], Idle),
        (LinkView::Waiting, vec![], Offline),
        (LinkView::Resting, vec![], Idle),
        (LinkView::Off, vec![Disabled, Disabled], Disabled),
        (LinkView::Stopped(Class::SignIn), vec![NeedsSignIn], NeedsSignIn),
        (LinkView::Stopped(Class::Upgrade), vec![Error], Error),
    ] {
        let spaces: Vec<_> = states.into_iter().map(of).collect();
        let of_these: Vec<_> = spaces.iter().collect();
        assert_eq!(all(link, &of_these).state, expected, "{link:?} {of_these:#?}");
        if !of_these.is_empty() {
            let with_others: Vec<_> = [&off, &local].into_iter().chain(of_these).collect();
            assert_eq!(all(link, &with_others).state, expected, "what is not synced changes nothing: {link:?}");
        }
    }
}

#[test]
fn sync_now_works_for_all_where_it_does_for_one_and_else_rests_until_the_first() {
    let rests = |ms| SpaceStatus { cooldown_ms: Some(ms), ..space(SyncState::Idle) };
    let works = SpaceStatus { can_sync_now: true, ..space(SyncState::Idle) };
    let told = |spaces: &[&SpaceStatus]| {
        let status = all(LinkView::Resting, spaces);
        (status.can_sync_now, status.cooldown_ms)
    };
    assert_eq!(told(&[&rests(4_000), &rests(3_000)]), (false, Some(3_000)));
    assert_eq!(told(&[&rests(4_000), &works]), (true, None), "one can be asked for");
    assert_eq!(told(&[&rests(4_000), &switched_off(), &local_only()]), (false, Some(4_000)));
    assert_eq!(told(&[&space(SyncState::Idle)]), (false, None), "nothing cools down");
    assert_eq!(told(&[]), (true, None), "there is a relay to ask for spaces");
    let of_link = |link| all(link, &[]).can_sync_now;
    assert!(!of_link(LinkView::Off) && !of_link(LinkView::Stopped(Class::SignIn)));
}

#[test]
fn all_are_kept_back_until_the_first_goes_on() {
    let until =
        |at_ms| SpaceStatus { blocked_until_ms: at_ms, why_not: Some(Reason::BackOff), ..space(SyncState::Offline) };
    let told = |spaces: &[&SpaceStatus]| all(LinkView::Waiting, spaces).blocked_until_ms;
    assert_eq!(told(&[&until(Some(9_000)), &until(Some(7_000))]), Some(7_000));
    assert_eq!(told(&[&until(Some(9_000)), &until(None)]), Some(9_000), "one waits for a person");
    assert_eq!(told(&[&until(Some(9_000)), &switched_off(), &local_only()]), Some(9_000));
    assert_eq!(told(&[&until(Some(9_000)), &space(SyncState::Idle)]), None, "one is not kept back");
    assert_eq!(told(&[&until(None)]), None);
}

#[test]
fn all_were_in_step_when_the_last_of_those_that_are_synced_was() {
    let at = |at_ms| SpaceStatus { last_synced_ms: at_ms, ..space(SyncState::Idle) };
    let told = |spaces: &[&SpaceStatus]| all(LinkView::Up, spaces).last_synced_ms;
    assert_eq!(told(&[&at(Some(9_000)), &at(Some(7_000))]), Some(7_000));
    assert_eq!(told(&[&at(Some(9_000)), &at(None)]), None, "one never was");
    assert_eq!(told(&[&at(Some(9_000)), &switched_off(), &local_only()]), Some(9_000));
    assert_eq!(told(&[]), None);
}

#[test]
fn figures_are_those_of_all_spaces_also_of_those_that_are_not_synced() {
    let amount = |chunks, bytes| Amount { chunks, bytes };
    let way = |done, total| Way { done, total };
    let one = SpaceStatus {
        pending_changes: 1,
        quarantined: 10,
        conflicts: 100,
        conflicts_behind: 1_000,
        oldest_pending_age_ms: Some(5),
        progress: Some(Progress {
            up: way(amount(1, 10), Some(amount(2, 20))),
            down: way(amount(3, 30), Some(amount(4, 40))),
        }),
        ..space(SyncState::Syncing)
    };
    let other = SpaceStatus {
        pending_changes: 2,
        quarantined: 20,
        conflicts: 200,
        conflicts_behind: 2_000,
        oldest_pending_age_ms: Some(7),
        ..switched_off()
    };
    let unknown = SpaceStatus {
        progress: Some(Progress { up: way(amount(10, 100), Some(amount(20, 200))), down: way(amount(30, 300), None) }),
        ..space(SyncState::Syncing)
    };
    let status = all(LinkView::Up, &[&one, &other]);
    let figures = (status.pending_changes, status.quarantined, status.conflicts, status.conflicts_behind);
    assert_eq!(figures, (3, 30, 300, 3_000));
    assert_eq!((status.oldest_pending_age_ms, status.progress), (Some(7), one.progress));
    let together = all(LinkView::Up, &[&one, &unknown]).progress.unwrap();
    assert_eq!(together.up, way(amount(11, 110), Some(amount(22, 220))));
    assert_eq!(together.down, way(amount(33, 330), None), "how much comes is known once it is of all");
    assert_eq!(all(LinkView::Up, &[&other]).progress, None);
}

#[test]
fn the_connection_has_its_say_before_the_spaces_and_those_in_their_order() {
    let says = |words: &str| SpaceStatus { last_error: Some(words.to_owned()), ..space(SyncState::Blocked) };
    let (quiet, first, second) = (space(SyncState::Idle), says("first"), says("second"));
    let spaces = [&quiet, &first, &second];
    assert_eq!(all(LinkView::Up, &spaces).last_error.as_deref(), Some("first"));
    let view = View { last_error: Some(("cut".to_owned(), Class::Retry)), retry_at_ms: Some(800), ..View::default() };
    let beside = Beside { device: DeviceId::from_bytes([1; 16]), relay: None, synchronous: None };
    let status = whole(&view, beside, spaces.into_iter().cloned().collect(), NOW);
    assert_eq!((status.last_error.as_deref(), status.retry_in_ms), (Some("cut"), Some(300)));
}
