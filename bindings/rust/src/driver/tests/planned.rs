//! When a driver connects: what the policy decides, and what is left running.

use super::hand::{Desk, HandRelay, NOW, later};
use super::*;
use crate::schedule::Schedule;
use crate::status::RunFigures;
use afield_core::policy::{Decision, Reason, TraceLine, Trigger, Wait};
use afield_core::{Cursor, LogId};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

const TEN_MINUTES_MS: u64 = 600_000;

/// A desk whose space is synced every ten minutes.
fn scheduled() -> Desk {
    let desk = Desk::new();
    let every = Schedule::every(Duration::from_millis(TEN_MINUTES_MS)).unwrap();
    desk.driver.set_schedule(desk.space, Some(&every), NOW).unwrap();
    desk
}

fn wants_to_connect(desk: &Desk) -> bool {
    std::iter::from_fn(|| desk.driver.poll_output()).any(|output| output == Output::Connect)
}

/// Runs until the space is in step.
fn run(desk: &Desk, now: Now) -> HandRelay {
    let relay = desk.connect(now);
    desk.receive(&[relay.welcome(), relay.opened(), relay.caught_up()], now);
    relay
}

/// Lets time pass by what the driver asks for, up to a moment; answers when it wants to connect.
fn follow(desk: &Desk, from: Now, until_ms: u64) -> Option<u64> {
    let mut at_ms = from.monotonic_ms;
    loop {
        let now = later(NOW, at_ms);
        if wants_to_connect(desk) {
            return Some(now.monotonic_ms);
        }
        at_ms = desk.driver.poll_timeout().filter(|next| *next <= until_ms)?.max(at_ms + 1);
        desk.driver.handle_timeout(later(NOW, at_ms)).unwrap();
    }
}

#[test]
fn a_space_with_a_schedule_is_opened_for_a_run_and_left_once_it_is_in_step() {
    let desk = scheduled();
    desk.driver.enable_sync(NOW);
    assert!(!wants_to_connect(&desk), "it is not due");
    assert_eq!(desk.driver.view().link, LinkView::Resting);
    let due = follow(&desk, NOW, 2 * TEN_MINUTES_MS).expect("the schedule is followed");
    assert_eq!(due, TEN_MINUTES_MS);

    desk.driver.disable_sync(later(NOW, due));
    desk.driver.enable_sync(later(NOW, due));
    // What was started and switched off waits for its next time.
    assert!(!wants_to_connect(&desk));
    let now = later(NOW, 3 * TEN_MINUTES_MS);
    desk.driver.request(Some(desk.space), &Trigger::Timer, now).unwrap();
    let _ = run(&desk, now);
    assert_eq!(desk.driver.view().link, LinkView::Resting, "nothing is left running");
    assert!(desk.driver.poll_output().is_some_and(|output| matches!(output, Output::Transmit(_))), "the last words");
    let wait = desk.driver.poll_timeout().unwrap() - now.monotonic_ms;
    assert!(wait <= TEN_MINUTES_MS, "the next run is looked for");
}

#[test]
fn a_run_of_a_schedule_is_named_after_it() {
    let desk = scheduled();
    desk.driver.enable_sync(NOW);
    let now = later(NOW, TEN_MINUTES_MS);
    desk.driver.handle_timeout(now).unwrap();
    let _ = run(&desk, now);
    let runs = desk.driver.runs(Some(desk.space), 1, now).unwrap();
    assert_eq!((runs[0].trigger.as_str(), runs[0].reason.as_str()), ("schedule", "due"));
    assert!(runs[0].outcome.is_some(), "the control: it was one");
}

#[test]
fn how_much_is_on_its_way_is_known_with_the_first_of_it() {
    let (desk, other) = (scheduled(), Desk::new());
    let (entity, _) = other.edit("title");
    other.edit_again(entity, "later");
    let changes = other.stored(entity);
    desk.driver.enable_sync(NOW);
    desk.driver.hurry(NOW).unwrap();
    let mut relay = desk.connect(NOW);
    let look = || {
        let view = desk.driver.view();
        (view.plans[0].run.map(|(_, received)| received), view.plans[0].left)
    };
    desk.receive(&[relay.welcome(), relay.opened()], NOW);
    assert_eq!(look(), (Some((0, 0)), None), "nothing has been said of it");
    let first = relay.chunk_before(entity, &changes[0], Some(1));
    desk.receive(&[first], NOW);
    assert_eq!(look(), (Some((1, changes[0].len() as u64)), Some(1)));
    let last = relay.chunk(entity, &changes[1]);
    desk.receive(&[last], NOW);
    assert_eq!(look().1, Some(0));
}

#[test]
fn a_run_missed_while_closed_is_made_up_for_at_start_up() {
    let desk = scheduled();
    let much_later = later(NOW, 5 * TEN_MINUTES_MS);
    desk.driver.enable_sync(much_later);
    let relay = run(&desk, much_later);
    assert_eq!(relay.position(), Sequence::ZERO);
    let runs = desk.driver.runs(Some(desk.space), 10, much_later).unwrap();
    assert_eq!((runs[0].reason.as_str(), runs[0].outcome.as_deref()), ("missed_schedule", Some("completed")));

    // It counts as done for this interval, also for the next opening of the store.
    desk.driver.disable_sync(much_later);
    desk.driver.enable_sync(later(much_later, 1_000));
    assert!(!wants_to_connect(&desk), "and is not made up for twice");
}

#[test]
fn a_moment_of_a_calendar_that_was_missed_while_closed_is_made_up_for_once_at_start_up() {
    // NOW is a midnight; half past seven comes once a day.
    const HOUR_MS: u64 = 3_600_000;
    let desk = Desk::new();
    let daily = Schedule::cron("30 7 * * *", "UTC").unwrap();
    desk.driver.set_schedule(desk.space, Some(&daily), NOW).unwrap();
    let before = later(NOW, 7 * HOUR_MS);
    let desk = desk.restart(before);
    desk.driver.enable_sync(before);
    assert!(!wants_to_connect(&desk), "it is half an hour too early");
    desk.driver.disable_sync(before);

    // Several days later one run makes up for all of them.
    let after = later(NOW, 3 * 24 * HOUR_MS + 8 * HOUR_MS);
    let desk = desk.restart(after);
    desk.driver.enable_sync(after);
    let _ = run(&desk, after);
    let runs = desk.driver.runs(Some(desk.space), 10, after).unwrap();
    assert_eq!((runs[0].reason.as_str(), runs[0].outcome.as_deref()), ("missed_schedule", Some("completed")));
    desk.driver.disable_sync(after);

    let soon = later(NOW, 3 * 24 * HOUR_MS + 9 * HOUR_MS);
    let desk = desk.restart(soon);
    desk.driver.enable_sync(soon);
    assert!(!wants_to_connect(&desk), "it is not made up for twice");
    let due_ms = 4 * 24 * HOUR_MS + 7 * HOUR_MS + HOUR_MS / 2;
    let due = follow(&desk, soon, due_ms + 120_000).expect("the schedule is followed");
    assert!((due_ms..=due_ms + 60_000).contains(&due), "{due}");
}

#[test]
fn a_local_edit_waits_for_the_schedule_and_goes_at_once_without_one() {
    let desk = scheduled();
    desk.driver.enable_sync(NOW);
    desk.edit("title");
    desk.driver.handle_wake(NOW).unwrap();
    assert!(!wants_to_connect(&desk));
    let runs = desk.driver.runs(Some(desk.space), 10, NOW).unwrap();
    assert_eq!((runs[0].trigger.as_str(), runs[0].reason.as_str()), ("local_edit", "waits_for_schedule"));
    assert_eq!(runs[0].until_ms, Some(NOW.wall_ms + i64::try_from(TEN_MINUTES_MS).unwrap()));

    desk.driver.set_schedule(desk.space, None, NOW).unwrap();
    assert!(wants_to_connect(&desk), "without a schedule it is to be in step all the time");
}

#[test]
fn who_asks_within_the_cool_down_is_told_when_to_ask_again() {
    let desk = scheduled();
    desk.driver.enable_sync(NOW);
    let mut first = desk.driver.when_in_step();
    desk.driver.hurry(NOW).unwrap();
    let _ = run(&desk, NOW);
    assert!(first.try_recv().unwrap().is_ok());
    assert_eq!(desk.driver.view().link, LinkView::Resting);

    let soon = later(NOW, 2_000);
    let mut second = desk.driver.when_in_step();
    desk.driver.hurry(soon).unwrap();
    let not = second.try_recv().unwrap().unwrap_err();
    assert!(not.reason.contains("ask again in 3 s"), "{}", not.reason);
    assert!(!wants_to_connect(&desk));
    let _waiting = desk.driver.when_in_step();
    desk.driver.hurry(later(NOW, 5_000)).unwrap();
    assert!(wants_to_connect(&desk));
}

#[test]
fn a_push_that_comes_twice_starts_one_run() {
    let desk = scheduled();
    desk.driver.enable_sync(NOW);
    let push = Trigger::push("17");
    assert!(desk.driver.request(None, &push, NOW).unwrap().is_start());
    let _ = run(&desk, NOW);
    let again = desk.driver.request(None, &push, NOW).unwrap();
    assert_eq!(again, Decision::skip(Reason::DuplicatePush, None));
    assert!(!wants_to_connect(&desk));
}

#[test]
fn a_run_that_fails_is_tried_again_by_itself_and_told_after_so_many_times() {
    let desk = scheduled();
    let mut events = desk.driver.events();
    desk.driver.tell_after_failures(3);
    desk.driver.enable_sync(later(NOW, TEN_MINUTES_MS));
    let mut at = TEN_MINUTES_MS;
    assert!(wants_to_connect(&desk));
    desk.driver.handle_connect_failed("unplugged".to_owned(), Class::Retry, None, later(NOW, at));
    for _ in 1..6 {
        at = follow(&desk, later(NOW, at), at + 60_001).expect("a retry by itself");
        desk.driver.handle_connect_failed("unplugged".to_owned(), Class::Retry, None, later(NOW, at));
    }
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let again_and_again =
        told.iter().filter(|event| matches!(event, SyncEvent::FailingRepeatedly { failures, .. } if failures % 3 == 0));
    assert_eq!(again_and_again.count(), 2, "{told:?}");
    assert_eq!(desk.driver.view().failures, 6);
}

#[test]
fn a_space_that_is_switched_off_is_left_at_once_and_taken_up_again() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let relay = run(&desk, NOW);
    assert_eq!(desk.driver.view().link, LinkView::Up);
    desk.driver.set_sync_enabled(desk.space, false, NOW).unwrap();
    assert_eq!(desk.driver.view().link, LinkView::Resting);
    assert!(!wants_to_connect(&desk) && desk.driver.poll_timeout().is_none(), "nothing is left running");
    desk.edit("title");
    desk.driver.handle_wake(NOW).unwrap();
    let decision = desk.driver.request(None, &Trigger::Manual, NOW).unwrap();
    assert_eq!(decision, Decision::block(Reason::SpaceDisabled, None));
    assert!(!wants_to_connect(&desk));

    desk.driver.set_sync_enabled(desk.space, true, NOW).unwrap();
    let _ = desk.connect_from(relay.at(), NOW);
    assert_eq!(desk.driver.view().link, LinkView::Up);
}

#[test]
fn one_space_is_left_and_the_others_stay_in_step() {
    let desk = scheduled();
    let live = desk.add_space(1);
    desk.driver.enable_sync(NOW);
    let relay = desk.connect(NOW);
    desk.receive(&[relay.welcome(), relay.opened(), relay.caught_up()], NOW);
    let served = |desk: &Desk| desk.driver.view().spaces.iter().map(|space| space.space).collect::<Vec<_>>();
    assert_eq!(served(&desk), [live]);
    desk.driver.request(Some(desk.space), &Trigger::Manual, NOW).unwrap();
    assert_eq!(served(&desk).len(), 2, "it is opened in the session that stands");
    assert!(
        desk.driver.request(Some(desk.space), &Trigger::Timer, NOW).unwrap() == Decision::skip(Reason::Running, None)
    );
}

#[test]
fn a_relay_that_asks_to_be_left_alone_is_until_then() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    assert!(wants_to_connect(&desk));
    desk.driver.handle_connect_failed("busy".to_owned(), Class::Retry, Some(Wait::Limited(20_000)), NOW);
    let now = later(NOW, 1_000);
    for trigger in [Trigger::Manual, Trigger::NetworkBack, Trigger::push("1"), Trigger::Timer] {
        let decision = desk.driver.request(None, &trigger, now).unwrap();
        assert_eq!(decision, Decision::block(Reason::BudgetSpent, Some(NOW.wall_ms + 20_000)));
    }
    assert!(follow(&desk, now, 200_000).unwrap() >= 20_000);
}

#[test]
fn a_session_that_ends_for_a_limit_is_told_from_one_that_ends_with_the_relay() {
    let of = |code, retry_after_ms| {
        let desk = Desk::new();
        desk.driver.enable_sync(NOW);
        let relay = desk.connect(NOW);
        desk.receive(&[relay.welcome(), relay.goodbye_until(code, retry_after_ms)], NOW);
        desk.driver.request(None, &Trigger::Timer, later(NOW, 1)).unwrap()
    };
    let until = Some(NOW.wall_ms + 20_000);
    assert_eq!(of(GoodbyeCode::RateLimited, Some(20_000)), Decision::block(Reason::BudgetSpent, until));
    assert_eq!(of(GoodbyeCode::GoingAway, Some(20_000)), Decision::block(Reason::RelayAsked, until));
    assert_eq!(of(GoodbyeCode::RateLimited, None).reason(), Reason::BackOff, "nobody said until when");
}

#[test]
fn what_answers_and_is_no_relay_is_left_alone_for_long_but_keeps_nobody_from_asking() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    assert!(wants_to_connect(&desk));
    desk.driver.handle_connect_failed("a hotel".to_owned(), Class::Retry, Some(Wait::Unasked(60_000)), NOW);
    let now = later(NOW, 1_000);
    assert_eq!(desk.driver.request(None, &Trigger::Timer, now).unwrap().reason(), Reason::BackOff);
    assert!(!wants_to_connect(&desk), "the control: nothing by itself");
    assert!(desk.driver.request(None, &Trigger::Manual, now).unwrap().is_start());
    assert!(wants_to_connect(&desk), "whoever has signed in at the hotel need not wait");
}

#[test]
fn a_network_that_is_back_ends_the_wait_between_two_attempts() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    assert!(wants_to_connect(&desk));
    desk.driver.handle_connect_failed("unplugged".to_owned(), Class::Retry, None, NOW);
    let now = later(NOW, 1);
    let timer = desk.driver.request(None, &Trigger::Timer, now).unwrap();
    assert!(!timer.is_start() && !wants_to_connect(&desk), "the control: it waits");
    let decision = desk.driver.request(None, &Trigger::NetworkBack, now).unwrap();
    assert!(decision.is_start(), "{decision:?}");
    assert!(wants_to_connect(&desk), "at once, and not when the wait is over");
}

#[test]
fn a_clock_that_was_ahead_and_is_corrected_silences_no_schedule() {
    const YEAR_MS: i64 = 365 * 86_400_000;
    let desk = scheduled();
    let ahead = Now { wall_ms: NOW.wall_ms + YEAR_MS, ..NOW };
    desk.driver.enable_sync(ahead);
    let _ = run(&desk, ahead);
    let due = follow(&desk, NOW, 2 * TEN_MINUTES_MS).expect("the schedule is followed");
    assert!((TEN_MINUTES_MS..TEN_MINUTES_MS + 60_001).contains(&due), "{due}");

    // The same for what an earlier opening has stored.
    let desk = scheduled();
    desk.driver.enable_sync(ahead);
    let _ = run(&desk, ahead);
    desk.driver.disable_sync(ahead);
    let desk = desk.restart(NOW);
    desk.driver.enable_sync(NOW);
    assert!(!wants_to_connect(&desk), "it is not due");
    let soon = later(NOW, TEN_MINUTES_MS / 2);
    let desk = desk.restart(soon);
    desk.driver.enable_sync(soon);
    let due = follow(&desk, soon, 2 * TEN_MINUTES_MS).expect("the schedule is followed");
    assert_eq!(due, TEN_MINUTES_MS, "opening it again postpones nothing");
}

#[test]
fn looking_at_the_history_makes_no_rows_of_it() {
    let desk = scheduled();
    desk.driver.enable_sync(NOW);
    let (entity, _) = desk.edit("first");
    for number in 1..=5 {
        desk.driver.handle_wake(NOW).unwrap();
        let runs = desk.driver.runs(Some(desk.space), 10, NOW).unwrap();
        let of_edits: Vec<_> = runs.iter().filter(|run| run.trigger == "local_edit").map(|run| run.times).collect();
        assert_eq!(of_edits, [number], "{runs:?}");
        assert_eq!(desk.driver.runs(None, 1, NOW).unwrap()[0], runs[0], "the newest comes first");
        desk.edit_again(entity, &number.to_string());
    }
    desk.driver.disable_sync(NOW);
    let stored = desk.driver.with_store(|store| store.reader().runs(Some(desk.space), 10)).unwrap();
    assert_eq!(stored.iter().filter(|run| run.trigger == "local_edit").count(), 1, "{stored:?}");
}

#[test]
fn the_history_of_several_spaces_is_in_the_order_of_their_runs() {
    let desk = scheduled();
    let other = desk.add_space(9);
    desk.driver.enable_sync(NOW);
    // What may still count up of the one space is older than what is stored of the other.
    for (at, space, trigger) in [(1, desk.space, "1"), (2, other, "2"), (3, other, "3")] {
        desk.driver.request(Some(space), &Trigger::push(trigger), later(NOW, at)).unwrap();
    }
    let runs = desk.driver.runs(None, 10, later(NOW, 4)).unwrap();
    let at: Vec<_> = runs.iter().map(|run| run.at_ms).collect();
    assert!(at.len() >= 2 && at.is_sorted_by(|one, next| one >= next), "{runs:#?}");
    assert_eq!(desk.driver.runs(None, 1, later(NOW, 4)).unwrap()[0], runs[0]);
}

#[test]
fn what_a_driver_decides_replays_to_the_same_decisions() {
    let desk = scheduled();
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let recorded = lines.clone();
    desk.driver.record_policy(move |line| lock(&recorded).push(line.to_string()));
    desk.driver.enable_sync(NOW);
    desk.edit("title");
    desk.driver.handle_wake(NOW).unwrap();
    desk.driver.request(None, &Trigger::NetworkBack, NOW).unwrap();
    desk.driver.request(None, &Trigger::push("1"), NOW).unwrap();
    desk.driver.handle_connect_failed("unplugged".to_owned(), Class::Retry, None, NOW);
    desk.driver.request(None, &Trigger::Timer, later(NOW, 1)).unwrap();
    desk.driver.disable_sync(NOW);
    desk.driver.request(None, &Trigger::Manual, NOW).unwrap();
    let lines = lock(&lines).clone();
    assert!(lines.len() >= 6, "{lines:#?}");
    for line in &lines {
        let line = TraceLine::parse(line).unwrap();
        assert_eq!(line.replay(), line.decision);
    }
    let reasons: BTreeSet<_> = lines.iter().map(|line| TraceLine::parse(line).unwrap().decision.reason()).collect();
    assert!(reasons.contains(&Reason::SyncOff) && reasons.contains(&Reason::BackOff), "{reasons:?}");
}

#[test]
fn a_run_tells_its_beginning_its_end_and_what_it_moved() {
    let desk = Desk::new();
    let entity = EntityId::from_bytes([9; 16]);
    let mut events = desk.driver.events();
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect_from(Cursor::start(LogId::from_bytes([3; 16])), NOW);
    let messages =
        [relay.welcome(), relay.opened(), relay.chunk(entity, &hand::changes(entity, 1)[0]), relay.caught_up()];
    desk.receive(&messages, later(NOW, 40));
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let space = Some(desk.space);
    assert!(told.iter().any(|event| matches!(event, SyncEvent::Requested { decision, .. } if decision.is_start())));
    assert!(told.contains(&SyncEvent::Started { space, trigger: Trigger::StartUp, reason: Reason::Wanted }));
    let is_progress = |event: &SyncEvent| matches!(event, SyncEvent::Progress { changes_received: 1, bytes_received, .. } if *bytes_received > 0);
    assert!(told.iter().any(is_progress), "{told:?}");
    let completed = told.iter().find_map(|event| match event {
        SyncEvent::Completed { space: of, figures, .. } if *of == space => Some(*figures),
        _ => None,
    });
    let figures = completed.expect("the run is told to be over");
    assert_eq!((figures.duration_ms, figures.changes_received, figures.changes_sent), (40, 1, 0));
    assert!(figures.bytes_sent > 0 && figures.bytes_received > 0);
    let runs = desk.driver.runs(Some(desk.space), 10, later(NOW, 40)).unwrap();
    let stored = runs.iter().filter(|run| run.outcome.is_some()).map(|run| RunFigures {
        duration_ms: run.duration_ms,
        changes_sent: run.changes_sent,
        changes_received: run.changes_received,
        bytes_sent: run.bytes_sent,
        bytes_received: run.bytes_received,
    });
    assert_eq!(stored.collect::<Vec<_>>(), [figures], "the history has what was told: {runs:#?}");
}

/// Somebody who looks at the state of sync the moment that something is told.
struct Looker(Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Looker {
    fn look(self: &Arc<Self>) {
        let waker = Waker::from(self.clone());
        let _ = self.0.lock().unwrap().as_mut().poll(&mut Context::from_waker(&waker));
    }
}

impl Wake for Looker {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

#[test]
fn who_hears_of_something_finds_it_in_the_state_of_sync() {
    let desk = Arc::new(scheduled());
    let (watched, seen) = (Arc::downgrade(&desk), Arc::new(Mutex::new(Vec::new())));
    let (mut events, noted) = (desk.driver.events(), seen.clone());
    let looker = Arc::new(Looker(Mutex::new(Box::pin(async move {
        while let (Ok(event), Some(desk)) = (events.recv().await, watched.upgrade()) {
            let view = desk.driver.view();
            noted.lock().unwrap().push((event, view.link, view.plans.iter().any(|plan| plan.run.is_some())));
        }
    }))));
    looker.look();
    desk.driver.enable_sync(NOW);
    desk.driver.hurry(NOW).unwrap();
    let _ = run(&desk, NOW);
    let now = later(NOW, TEN_MINUTES_MS);
    desk.driver.request(Some(desk.space), &Trigger::Timer, now).unwrap();
    let _ = desk.connect(now);
    desk.driver.handle_disconnected("the connection broke".to_owned(), now);
    let seen = seen.lock().unwrap();
    let at = |is: fn(&SyncEvent) -> bool| {
        let found: Vec<_> = seen.iter().filter(|(event, ..)| is(event)).map(|(_, link, runs)| (*link, *runs)).collect();
        assert!(!found.is_empty(), "{seen:?}");
        found
    };
    assert!(at(|event| matches!(event, SyncEvent::Completed { .. })).iter().all(|(_, runs)| !*runs));
    assert!(at(|event| matches!(event, SyncEvent::Started { .. })).iter().all(|(_, runs)| *runs));
    for (link, runs) in at(|event| matches!(event, SyncEvent::Failed { .. } | SyncEvent::Disconnected { .. })) {
        assert_eq!((link, runs), (LinkView::Waiting, false));
    }
}
