use super::*;
use crate::{Replica, RunFigures};

const NOW: Now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };

/// The status of a replica with one space, as things stand otherwise.
fn status(change: impl FnOnce(&mut Status)) -> Status {
    let replica = Replica::open_in_memory().unwrap();
    replica.create_space("Home").unwrap();
    let mut status = replica.status().unwrap();
    change(&mut status);
    status
}

fn in_state(state: SyncState, change: impl FnOnce(&mut SpaceStatus)) -> Status {
    status(|status| {
        status.spaces[0].state = state;
        change(&mut status.spaces[0]);
    })
}

fn explained(status: &Status) -> Explanation {
    Explanation::of(status, &status.spaces[0], &[], Vec::new(), NOW)
}

#[track_caller]
fn check(status: &Status, (now, next, next_in_ms): (&str, &str, Option<i64>)) {
    let explained = explained(status);
    assert_eq!((explained.now.as_str(), explained.next.as_str()), (now, next));
    assert_eq!(explained.next_at_ms, next_in_ms.map(|ms| NOW.wall_ms + ms));
}

const BOTH_LIVE: &str = "what is edited goes out at once, and what others send is merged as it comes";

const STANDS_WHILE_HELD: &str = "nothing is sent until somebody confirms it; what others send is merged as long as this \
                                 connection stands, and none is made for this space before that";
const HELD_WITHOUT_SESSION: &str = "no connection is made for this space until somebody confirms it: nothing is sent before that, \
                                    and nothing received";

#[test]
fn each_state_without_a_schedule_says_what_is_and_what_comes() {
    let live = |state, now| check(&in_state(state, |_| ()), (now, BOTH_LIVE, None));
    live(SyncState::Idle, "it is in step, and stays so");
    live(SyncState::Syncing, "it is being synced");
    let off = in_state(SyncState::Disabled, |_| ());
    check(&off, ("sync is off", "nothing until a relay is connected", None));
    let switched_off = in_state(SyncState::Disabled, |space| space.enabled = false);
    let words = "sync of this space is switched off: switch it on";
    check(&switched_off, (words, "nothing until it is switched on", None));
    let mut offline = in_state(SyncState::Offline, |_| ());
    check(&offline, ("the relay is not reached", "the next attempt comes by itself", None));
    (offline.last_error, offline.retry_in_ms) = (Some("no route".to_owned()), Some(9_000));
    let words = "the next attempt comes by itself in 9 s";
    check(&offline, ("the relay is not reached: no route", words, Some(9_000)));
    for reason in [Reason::RelayAsked, Reason::BudgetSpent] {
        offline.spaces[0].why_not = Some(reason);
        check(&offline, ("no attempt is made for a while: no route", words, Some(9_000)));
    }
    let signs_in = in_state(SyncState::NeedsSignIn, |_| ());
    check(&signs_in, ("the relay wants a token, or another one: sign in", "nothing until somebody signs in", None));
    let error = in_state(SyncState::Error, |space| space.last_error = Some("it is too old".to_owned()));
    check(&error, ("trying again does not help: it is too old", "nothing until sync is switched on anew", None));
}

#[test]
fn a_schedule_says_when_and_what_then() {
    let scheduled = |state, change: fn(&mut SpaceStatus)| {
        in_state(state, |space| {
            (space.schedule, space.next_at_ms) = (Some("every 1 h".to_owned()), Some(NOW.wall_ms + 600_000));
            change(space);
        })
    };
    let next = "its schedule: every 1 h, in 10 min; what was edited goes out then, and what others sent is merged";
    let idle = scheduled(SyncState::Idle, |_| ());
    check(&idle, ("it waits for its schedule", next, Some(600_000)));
    check(&scheduled(SyncState::Syncing, |_| ()), ("it is being synced", next, Some(600_000)));
    let unknown = scheduled(SyncState::Idle, |space| space.next_at_ms = None);
    let words = "its schedule: every 1 h; what was edited goes out then, and what others sent is merged";
    check(&unknown, ("it waits for its schedule", words, None));
    let off = "nothing until sync is on; then as its schedule says: every 1 h";
    check(&scheduled(SyncState::Disabled, |_| ()), ("sync is off", off, Some(600_000)));
    let sends = scheduled(SyncState::Idle, |space| space.direction = Direction::PushOnly);
    let words = "its schedule: every 1 h, in 10 min; what was edited goes out then, and nothing is taken from others";
    check(&sends, ("it waits for its schedule", words, Some(600_000)));
    let receives = scheduled(SyncState::Idle, |space| space.direction = Direction::PullOnly);
    let words =
        "its schedule: every 1 h, in 10 min; what others sent is merged then, and what was edited stays on this device";
    check(&receives, ("it waits for its schedule", words, Some(600_000)));

    for (outcome, words) in [("refused", "was refused"), ("failed", "failed")] {
        let run = run("schedule", "start", Reason::Due, Some((outcome, Some("no such space"))));
        let now = Explanation::of(&idle, &idle.spaces[0], &[], vec![run], NOW).now;
        assert_eq!(now, format!("it waits for its schedule; the run before {words}: no such space"));
    }
    let run = run("schedule", "start", Reason::Due, Some(("completed", None)));
    assert_eq!(Explanation::of(&idle, &idle.spaces[0], &[], vec![run], NOW).now, "it waits for its schedule");
}

#[test]
fn a_space_that_goes_one_way_is_not_said_to_go_both() {
    let one_way = |direction| in_state(SyncState::Idle, |space| space.direction = direction);
    let mut sends = one_way(Direction::PushOnly);
    let next = "what is edited goes out at once, and nothing is taken from others";
    check(&sends, ("the relay has all that is to be sent", next, None));
    sends.spaces[0].pending_changes = 1;
    check(&sends, ("it is sent only; 1 change waits to be sent", next, None));
    let mut receives = one_way(Direction::PullOnly);
    let next = "what others send is merged as it comes, and what is edited stays on this device";
    check(&receives, ("it is in step, and stays so", next, None));
    receives.spaces[0].held_back = 1;
    let words = "it is in step, and stays so; 1 change stays on this device, as the direction of its collection says";
    check(&receives, (words, next, None));
    receives.spaces[0].held_back = 2;
    let words =
        "it is in step, and stays so; 2 changes stay on this device, as the directions of their collections say";
    check(&receives, (words, next, None));
    let next = "nothing, as long as the directions of its collections and its filter stay as they are";
    for state in [SyncState::Idle, SyncState::Disabled, SyncState::Offline, SyncState::NeedsSignIn, SyncState::Error] {
        let mut stays = one_way(Direction::LocalOnly);
        stays.spaces[0].state = state;
        check(&stays, ("the space stays on this device", next, None));
    }
}

#[test]
fn collections_that_do_not_go_both_ways_are_named() {
    let idle = in_state(SyncState::Idle, |_| ());
    let words = |directions: &[(&str, Direction)]| {
        let directions: Vec<_> =
            directions.iter().map(|(name, direction)| (name.parse().unwrap(), *direction)).collect();
        Explanation::of(&idle, &idle.spaces[0], &directions, Vec::new(), NOW)
    };
    assert_eq!(words(&[]).directions, None);
    let few = [("drafts", Direction::LocalOnly), ("log", Direction::PushOnly), ("prices", Direction::PullOnly)];
    let told = "log is only sent; prices is only received; drafts stays on this device";
    assert_eq!(words(&few).directions.as_deref(), Some(told));
    assert!(words(&few).to_string().contains(&format!("\n  directions: {told}\n")), "{}", words(&few));
    let many = ["a", "b", "c", "d", "e"];
    let of = |direction, count| words(&many[..count].iter().map(|name| (*name, direction)).collect::<Vec<_>>());
    let told = |direction, count| of(direction, count).directions.unwrap();
    assert_eq!(told(Direction::PushOnly, 2), "a, b are only sent");
    assert_eq!(told(Direction::PullOnly, 3), "a, b, c are only received");
    assert_eq!(told(Direction::LocalOnly, 5), "a, b, c and 2 more stay on this device");
}

#[test]
fn what_is_kept_back_is_said_once_with_whoever_keeps_it() {
    let blocked = |change: fn(&mut SpaceStatus)| {
        in_state(SyncState::Blocked, |space| {
            space.last_error = Some("no such space".to_owned());
            change(space);
        })
    };
    let mut refused = blocked(|space| space.refused = true);
    check(&refused, ("the relay does not serve it: no such space", "it is asked for again by itself", None));
    refused.spaces[0].blocked_until_ms = Some(NOW.wall_ms + 30_000);
    let next = "it is asked for again by itself in 30 s";
    check(&refused, ("the relay does not serve it: no such space", next, Some(30_000)));
    refused.spaces[0].why_not = Some(Reason::Stopped);
    let words = "its log cannot be followed any further: no such space";
    check(&refused, (words, "nothing until sync is switched on anew", None));

    let changes = blocked(|space| space.last_error = Some("changes of 1 entity: too large".to_owned()));
    let next = format!("what is refused is offered again with the next session; of the rest, {BOTH_LIVE}");
    check(&changes, ("the relay refuses some of it: changes of 1 entity: too large", &next, None));

    let held = blocked(|space| (space.held_to_send, space.pending_changes, space.is_served) = (1, 6, true));
    let now = "nothing of it is sent; 6 changes wait to be sent; 1 deletion made here waits to be confirmed";
    check(&held, (now, STANDS_WHILE_HELD, None));
    let cut = blocked(|space| (space.held_to_send, space.is_served) = (2, false));
    let now = "nothing of it is sent or received; 2 deletions made here wait to be confirmed";
    check(&cut, (now, HELD_WITHOUT_SESSION, None));
    let scheduled = blocked(|space| {
        (space.held_to_send, space.schedule, space.is_served) = (2, Some("every 1 h".to_owned()), false);
    });
    check(&scheduled, (now, HELD_WITHOUT_SESSION, None));
    let off = in_state(SyncState::Disabled, |space| space.held_to_send = 2);
    let words = "nothing until a relay is connected and somebody has confirmed what was deleted here";
    check(&off, ("sync is off; 2 deletions made here wait to be confirmed", words, None));
    let sends = blocked(|space| (space.held_to_send, space.direction) = (5, Direction::PushOnly));
    let now = "nothing of it is sent; 5 deletions made here wait to be confirmed";
    check(&sends, (now, "nothing is sent until somebody confirms it", None));
    let both = blocked(|space| (space.held_to_send, space.held_here, space.is_served) = (1, 2, true));
    let now = "nothing of it is sent; 1 deletion made here and 2 by others wait to be confirmed";
    check(&both, (now, STANDS_WHILE_HELD, None));
    for (deletions, words) in [(1, "1 deletion by others waits"), (2, "2 deletions by others wait")] {
        let here = in_state(SyncState::Idle, |space| space.held_here = deletions);
        check(&here, (&format!("it is in step, and stays so; {words} to be confirmed"), BOTH_LIVE, None));
    }
}

#[test]
fn how_long_ago_it_was_in_step_is_said_in_the_unit_that_fits() {
    for (ms, ago) in [(-5, "0 s"), (119_999, "119 s"), (120_000, "2 min"), (7_200_000, "2 h"), (172_800_000, "2 d")] {
        let idle = in_state(SyncState::Idle, |space| space.last_synced_ms = Some(NOW.wall_ms - ms));
        assert_eq!(explained(&idle).now, format!("it is in step, and stays so; last in step {ago} ago"));
    }
}

fn run(trigger: &str, decision: &str, reason: Reason, outcome: Option<(&str, Option<&str>)>) -> Run {
    Run {
        space: None,
        trigger: trigger.to_owned(),
        decision: decision.to_owned(),
        reason: reason.name().to_owned(),
        until_ms: None,
        at_ms: NOW.wall_ms - 3_000,
        times: 1,
        outcome: outcome.map(|(outcome, _)| outcome.to_owned()),
        figures: RunFigures { duration_ms: 9, changes_sent: 2, changes_received: 3, ..RunFigures::default() },
        error: outcome.and_then(|(_, error)| error).map(str::to_owned),
    }
}

#[test]
fn each_trigger_each_outcome_and_each_reason_has_words() {
    let words = |run: &Run| in_words(run, NOW);
    let triggers = [
        ("local_edit", "something was edited"),
        ("timer", "the application's timer"),
        ("schedule", "the schedule"),
        ("manual", "somebody asked"),
        ("network_back", "the network was back"),
        ("push", "a notification"),
        ("start_up", "sync was switched on"),
        ("retry", "another attempt"),
        ("maintenance", "maintenance"),
        ("of_a_newer_version", "of_a_newer_version"),
    ];
    for (trigger, told) in triggers {
        let completed = run(trigger, "start", Reason::Asked, Some(("completed", None)));
        assert_eq!(words(&completed), format!("3 s ago: {told}: in step after 9 ms (2 sent, 3 received)"));
    }
    let begun = [
        (Reason::Wanted, "it is to be in step all the time"),
        (Reason::Due, "its schedule is due"),
        (Reason::MissedSchedule, "its schedule was due while nothing ran"),
        (Reason::Owed, "the run before did not get in step"),
        (Reason::Stale, "it was not in step for long, or has changes to send"),
    ];
    for (reason, told) in begun {
        let completed = words(&run("timer", "start", reason, Some(("completed", None))));
        let did = "3 s ago: the application's timer: in step after 9 ms (2 sent, 3 received)";
        assert_eq!(completed, format!("{did}; begun since {told}"));
        let failed = words(&run("timer", "start", reason, Some(("failed", Some("unplugged")))));
        assert_eq!(failed, format!("3 s ago: the application's timer: failed: unplugged; begun since {told}"));
    }
    for reason in Reason::ALL {
        let skipped = run("timer", "skip", *reason, None);
        assert_eq!(words(&skipped), format!("3 s ago: the application's timer: nothing done, since {reason}"));
        let blocked = run("timer", "block", *reason, None);
        assert_eq!(words(&blocked), format!("3 s ago: the application's timer: kept back, since {reason}"));
    }
    let failed = run("retry", "start", Reason::Asked, Some(("failed", Some("unplugged"))));
    assert_eq!(words(&failed), "3 s ago: another attempt: failed: unplugged");
    let times = Run { times: 4, error: None, reason: "of_a_newer_version".to_owned(), ..failed };
    let told = "3 s ago: another attempt: failed: for no known reason; begun since of_a_newer_version, 4 times";
    assert_eq!(words(&times), told);
    let unknown = Run { outcome: None, decision: "skip".to_owned(), ..times };
    assert_eq!(words(&unknown), "3 s ago: another attempt: nothing done, since of_a_newer_version, 4 times");
}

fn stored(trigger: &str, decision: &str, reason: Reason, outcome: Option<&str>) -> Run {
    let record = afield_store::RunRecord {
        number: 1,
        space: None,
        trigger: trigger.to_owned(),
        decision: decision.to_owned(),
        reason: reason.name().to_owned(),
        until_ms: Some(NOW.wall_ms + 4_000),
        at_ms: NOW.wall_ms - 60_000,
        times: 2,
        outcome: outcome.map(str::to_owned),
        duration_ms: 30,
        changes_sent: 4,
        changes_received: 5,
        bytes_sent: 600,
        bytes_received: 700,
        error: outcome.map(|_| "no route".to_owned()),
    };
    record.into()
}

#[test]
fn a_run_is_told_with_every_figure_that_was_stored() {
    let run = stored("timer", "start", Reason::Due, Some("failed"));
    let RunFigures { duration_ms, changes_sent, changes_received, bytes_sent, bytes_received, .. } = run.figures;
    assert_eq!((duration_ms, changes_sent, changes_received, bytes_sent, bytes_received), (30, 4, 5, 600, 700));
    assert_eq!((run.trigger.as_str(), run.decision.as_str(), run.reason.as_str()), ("timer", "start", "due"));
    assert_eq!((run.at_ms, run.until_ms, run.times), (NOW.wall_ms - 60_000, Some(NOW.wall_ms + 4_000), 2));
    assert_eq!((run.outcome.as_deref(), run.error.as_deref()), (Some("failed"), Some("no route")));
}

#[test]
fn what_is_printed_has_what_is_and_what_comes_and_why_the_last_runs_were_or_were_not() {
    let status = in_state(SyncState::Idle, |_| ());
    // Long before, so that it is not what the run itself was asked for.
    let earlier = Run { at_ms: NOW.wall_ms - 3_600_000, ..stored("manual", "skip", Reason::CoolDown, None) };
    let runs = vec![stored("schedule", "start", Reason::Due, Some("completed")), earlier];
    let explained = Explanation::of(&status, &status.spaces[0], &[], runs, NOW);
    let printed = explained.to_string();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "Home: it is in step, and stays so");
    assert_eq!(lines[1], format!("  next: {BOTH_LIVE}"));
    assert_eq!(lines[2..].len(), 2, "{printed}");
    for words in ["the schedule", "in step after 30 ms (4 sent, 5 received)", &Reason::Due.to_string()] {
        assert!(lines[2].contains(words), "{words}: {printed}");
    }
    for words in ["somebody asked", &Reason::CoolDown.to_string()] {
        assert!(lines[3].contains(words), "{words}: {printed}");
    }
}
