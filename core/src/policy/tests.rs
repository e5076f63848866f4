use super::*;
use proptest::prelude::*;

mod table;

const NOW: Now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 100_000 };

fn on() -> State {
    State { is_on: true, ..State::default() }
}

/// A space whose schedule is due in ten seconds and that was in step a moment ago.
fn scheduled() -> State {
    State { due_ms: Some(NOW.wall_ms + 10_000), in_step_at_ms: Some(NOW.monotonic_ms - 1_000), ..on() }
}

fn push(id: &str) -> Trigger {
    Trigger::push(id)
}

fn all() -> Vec<Trigger> {
    vec![
        Trigger::LocalEdit,
        Trigger::Timer,
        Trigger::Schedule,
        Trigger::Manual,
        Trigger::NetworkBack,
        push("new"),
        Trigger::StartUp,
        Trigger::Retry,
        Trigger::Maintenance,
    ]
}

fn each(state: &State, expected: Decision) {
    for trigger in all() {
        assert_eq!(evaluate(state, &trigger, NOW), expected, "{trigger:?}");
    }
}

#[test]
fn what_stands_in_the_way_blocks_every_trigger() {
    let block = |reason| Decision::block(reason, None);
    each(&State::default(), block(Reason::SyncOff));
    each(&State { is_enabled: false, ..on() }, block(Reason::SpaceDisabled));
    each(&State { direction: Direction::LocalOnly, ..on() }, block(Reason::LocalOnly));
    each(&State { need: Some(Need::SignIn), ..on() }, block(Reason::SignInNeeded));
    each(&State { need: Some(Need::Upgrade), ..on() }, block(Reason::UpgradeNeeded));
    each(&State { need: Some(Need::Help), ..on() }, block(Reason::Stopped));
    each(&State { needs_confirmation: true, ..on() }, block(Reason::ConfirmationNeeded));
    // What is first in the table is told.
    each(&State { need: Some(Need::SignIn), needs_confirmation: true, ..State::default() }, block(Reason::SyncOff));
}

#[test]
fn a_space_without_a_schedule_is_started_by_everything() {
    each(&on(), Decision::start(Reason::Wanted));
}

#[test]
fn a_push_that_comes_twice_is_dropped_by_its_id() {
    let mut state = on();
    state.pushes.note("a");
    assert_eq!(evaluate(&state, &push("a"), NOW), Decision::skip(Reason::DuplicatePush, None));
    assert_eq!(evaluate(&state, &push("b"), NOW), Decision::start(Reason::Wanted), "the control");
    for number in 0..PUSH_IDS_MAX {
        state.pushes.note(&number.to_string());
    }
    assert_eq!(evaluate(&state, &push("a"), NOW), Decision::start(Reason::Wanted), "no more are remembered than that");
    let long = "é".repeat(PUSH_ID_BYTES_MAX);
    let Trigger::Push { id } = push(&long) else { unreachable!("a push") };
    assert_eq!(id.len(), PUSH_ID_BYTES_MAX);
}

#[test]
fn a_direction_leaves_out_what_goes_the_other_way() {
    let nothing = Decision::skip(Reason::NothingToDo, None);
    let pull = State { direction: Direction::PullOnly, ..on() };
    assert_eq!(evaluate(&pull, &Trigger::LocalEdit, NOW), nothing);
    assert!(evaluate(&pull, &Trigger::Timer, NOW).is_start());
    let pushes = State { direction: Direction::PushOnly, ..on() };
    assert_eq!(evaluate(&pushes, &push("a"), NOW), nothing);
    assert_eq!(evaluate(&pushes, &Trigger::Timer, NOW), nothing, "nothing is pending");
    assert!(evaluate(&pushes, &Trigger::Manual, NOW).is_start());
    assert!(evaluate(&State { has_pending: true, ..pushes }, &Trigger::Timer, NOW).is_start());
}

#[test]
fn there_is_one_job_of_a_space_at_a_time() {
    each(&State { job: Job::Running, ..on() }, Decision::skip(Reason::Running, None));
}

#[test]
fn the_relay_is_left_alone_until_the_moment_it_named_whoever_asks() {
    let until_ms = NOW.monotonic_ms + 7_000;
    let until = Some(NOW.wall_ms + 7_000);
    let asked = State { hold: Some(Hold::RetryAfter { until_ms }), ..on() };
    each(&asked, Decision::block(Reason::RelayAsked, until));
    each(&State { hold: Some(Hold::Budget { until_ms }), ..on() }, Decision::block(Reason::BudgetSpent, until));
    each(&State { hold: Some(Hold::Refused { until_ms }), ..on() }, Decision::block(Reason::SpaceRefused, until));
    let over = State { hold: Some(Hold::RetryAfter { until_ms: NOW.monotonic_ms }), ..on() };
    each(&over, Decision::start(Reason::Wanted));
}

#[test]
fn a_session_that_stands_needs_no_new_one() {
    let live = State { job: Job::Live, manual_at_ms: Some(NOW.monotonic_ms), in_step_at_ms: Some(99_000), ..on() };
    for trigger in all() {
        let expected = match trigger {
            // A question costs no connection, so that nothing has to cool down.
            Trigger::Manual | Trigger::NetworkBack => Decision::start(Reason::Asked),
            _ => Decision::skip(Reason::Live, None),
        };
        assert_eq!(evaluate(&live, &trigger, NOW), expected, "{trigger:?}");
    }
}

#[test]
fn sync_now_rests_for_five_seconds_unless_the_space_is_stale() {
    let at = |ago_ms| State { manual_at_ms: Some(NOW.monotonic_ms - ago_ms), ..scheduled() };
    let manual = |state: &State| evaluate(state, &Trigger::Manual, NOW);
    assert_eq!(manual(&at(1_000)), Decision::skip(Reason::CoolDown, Some(4_000)));
    assert_eq!(manual(&at(4_999)), Decision::skip(Reason::CoolDown, Some(1)));
    assert_eq!(manual(&at(MANUAL_COOL_DOWN_MS)), Decision::start(Reason::Asked));
    assert_eq!(manual(&scheduled()), Decision::start(Reason::Asked), "nobody asked before");
    assert!(manual(&State { has_pending: true, ..at(1_000) }).is_start(), "something is to be sent");
    assert!(manual(&State { in_step_at_ms: None, ..at(1_000) }).is_start(), "it was never in step");
    let long_ago = Some(NOW.monotonic_ms - STALE_AFTER_MS);
    assert!(manual(&State { in_step_at_ms: long_ago, ..at(1_000) }).is_start());
    let stale_in = |ms| State { in_step_at_ms: Some(NOW.monotonic_ms - STALE_AFTER_MS + ms), ..at(1_000) };
    assert_eq!(manual(&stale_in(3_000)), Decision::skip(Reason::CoolDown, Some(3_000)), "until it is stale");
    assert_eq!(manual(&stale_in(4_500)), Decision::skip(Reason::CoolDown, Some(4_000)), "the control");
    let waiting = State { back_off_until_ms: Some(u64::MAX), ..at(1_000) };
    assert_eq!(manual(&waiting).reason(), Reason::CoolDown, "a button does not hammer a relay that cannot be reached");
    assert_eq!(
        evaluate(&at(1_000), &push("a"), NOW),
        Decision::start(Reason::Asked),
        "only what a person presses rests"
    );
}

#[test]
fn a_person_and_a_network_that_is_back_end_the_wait_after_a_failure() {
    for state in [on(), scheduled(), State { is_owed: true, ..scheduled() }] {
        let waiting = State { back_off_until_ms: Some(NOW.monotonic_ms + 3_000), ..state };
        for trigger in all() {
            let expected = match trigger {
                Trigger::Manual | Trigger::NetworkBack => Decision::start(Reason::Asked),
                _ => Decision::block(Reason::BackOff, Some(NOW.wall_ms + 3_000)),
            };
            assert_eq!(evaluate(&waiting, &trigger, NOW), expected, "{trigger:?}");
        }
    }
    let over = State { back_off_until_ms: Some(NOW.monotonic_ms), ..on() };
    assert_eq!(evaluate(&over, &Trigger::Retry, NOW), Decision::start(Reason::Wanted));
}

#[test]
fn a_schedule_that_is_not_due_waits_but_for_who_asks() {
    for trigger in all() {
        let expected = match trigger {
            Trigger::Manual | Trigger::Push { .. } => Decision::start(Reason::Asked),
            Trigger::LocalEdit => Decision::skip(Reason::WaitsForSchedule, Some(10_000)),
            Trigger::Maintenance => Decision::skip(Reason::NothingToDo, None),
            _ => Decision::skip(Reason::NotDue, Some(10_000)),
        };
        assert_eq!(evaluate(&scheduled(), &trigger, NOW), expected, "{trigger:?}");
    }
}

#[test]
fn a_schedule_that_is_due_starts_and_one_missed_while_closed_is_made_up_for() {
    let due = State { due_ms: Some(NOW.wall_ms), ..scheduled() };
    for trigger in all() {
        let expected = match trigger {
            Trigger::Manual | Trigger::Push { .. } => Reason::Asked,
            Trigger::StartUp => Reason::MissedSchedule,
            _ => Reason::Due,
        };
        assert_eq!(evaluate(&due, &trigger, NOW), Decision::start(expected), "{trigger:?}");
    }
}

#[test]
fn a_run_that_failed_is_owed() {
    let owed = State { is_owed: true, ..scheduled() };
    assert_eq!(evaluate(&owed, &Trigger::Retry, NOW), Decision::start(Reason::Owed));
    assert_eq!(evaluate(&scheduled(), &Trigger::Retry, NOW).name(), "skip", "the control");
}

#[test]
fn maintenance_syncs_what_was_forgotten() {
    let maintain = |state: &State| evaluate(state, &Trigger::Maintenance, NOW);
    assert_eq!(maintain(&State { has_pending: true, ..scheduled() }), Decision::start(Reason::Stale));
    assert_eq!(maintain(&State { in_step_at_ms: None, ..scheduled() }), Decision::start(Reason::Stale));
    assert_eq!(maintain(&scheduled()).reason(), Reason::NothingToDo);
    let later = Now { monotonic_ms: NOW.monotonic_ms + MAINTENANCE_STALE_MS, ..NOW };
    assert_eq!(evaluate(&scheduled(), &Trigger::Maintenance, later), Decision::start(Reason::Stale));
}

#[test]
fn maintenance_of_a_process_that_has_just_begun_goes_by_when_the_space_was_last_in_step() {
    let day_ms = i64::try_from(MAINTENANCE_STALE_MS).unwrap();
    let maintain = |state: &State| evaluate(state, &Trigger::Maintenance, NOW).reason();
    let restarted =
        |ago_ms: i64| State { in_step_at_ms: None, last_synced_ms: Some(NOW.wall_ms - ago_ms), ..scheduled() };
    assert_eq!(maintain(&restarted(60_000)), Reason::NothingToDo);
    assert_eq!(maintain(&restarted(day_ms - 1)), Reason::NothingToDo);
    assert_eq!(maintain(&restarted(day_ms)), Reason::Stale);
    assert_eq!(maintain(&restarted(-1)), Reason::Stale, "the clock was set back: rather one sync too much");
    // A device that slept for a day, of which its monotonic clock knows nothing.
    let slept = State { last_synced_ms: Some(NOW.wall_ms - day_ms), ..scheduled() };
    assert_eq!(maintain(&slept), Reason::Stale);
    let awake = State { last_synced_ms: Some(NOW.wall_ms - 1_000), ..scheduled() };
    assert_eq!(maintain(&awake), Reason::NothingToDo);
}

#[test]
fn every_reason_has_a_name_that_leads_back_to_it() {
    for reason in Reason::ALL {
        assert_eq!(reason.name().parse(), Ok(*reason));
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
    }
    assert!("another".parse::<Reason>().is_err());
}

#[test]
fn the_guide_has_each_reason_once_with_the_decision_that_it_comes_with() {
    let decision = |reason: &Reason| match reason {
        Reason::Wanted | Reason::Asked | Reason::Due | Reason::MissedSchedule | Reason::Owed | Reason::Stale => "start",
        Reason::Running
        | Reason::Live
        | Reason::CoolDown
        | Reason::DuplicatePush
        | Reason::NotDue
        | Reason::WaitsForSchedule
        | Reason::NothingToDo => "skip",
        Reason::SyncOff
        | Reason::SpaceDisabled
        | Reason::LocalOnly
        | Reason::SignInNeeded
        | Reason::UpgradeNeeded
        | Reason::Stopped
        | Reason::ConfirmationNeeded
        | Reason::RelayAsked
        | Reason::BudgetSpent
        | Reason::SpaceRefused
        | Reason::BackOff => "block",
    };
    let guide = include_str!("../../../bindings/rust/src/guide/sync.md");
    let told: Vec<_> = guide.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(told.len(), Reason::ALL.len());
    for (line, reason) in told.iter().zip(Reason::ALL) {
        let row = format!("| `{}` | {} | ", reason.name(), decision(reason));
        assert!(line.starts_with(&row), "{row} has {line}");
    }
    // What the guide says of each is what the policy decides.
    let trace = include_str!("fixtures/trace.jsonl").lines().map(|line| TraceLine::parse(line).unwrap().decision);
    trace.for_each(|decided| assert_eq!(decided.name(), decision(&decided.reason()), "{decided:?}"));
}

/// What was recorded once decides the same for ever, or a rule has changed.
#[test]
fn a_recorded_trace_replays_to_the_same_decisions() {
    let trace = include_str!("fixtures/trace.jsonl");
    let lines: Vec<_> = trace.lines().map(|line| TraceLine::parse(line).unwrap()).collect();
    assert!(lines.len() >= 10, "{} lines", lines.len());
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line.replay(), line.decision, "line {}", number + 1);
    }
    let mut other = lines[0].clone();
    other.state.is_on = !other.state.is_on;
    assert_ne!(other.replay(), other.decision, "the control");
    assert!(TraceLine::parse("{\"state\":1}").is_err());
}

fn states() -> impl Strategy<Value = State> {
    let moment = || prop::option::of(0_u64..200_000);
    let last_synced = prop::option::of(NOW.wall_ms - 100_000_000..NOW.wall_ms + 50_000);
    let hold = prop::option::of((0_u8..3, 0_u64..200_000));
    let flags = any::<(bool, bool, bool, bool, bool)>();
    let jobs = prop::sample::select(vec![Job::Resting, Job::Running, Job::Live]);
    let directions =
        prop::sample::select(vec![Direction::Both, Direction::PushOnly, Direction::PullOnly, Direction::LocalOnly]);
    let needs = prop::sample::select(vec![None, Some(Need::SignIn), Some(Need::Upgrade), Some(Need::Help)]);
    let due = prop::option::of(NOW.wall_ms - 50_000..NOW.wall_ms + 50_000);
    (flags, jobs, directions, needs, due, hold, (moment(), moment(), moment(), last_synced)).prop_map(
        |((is_on, is_enabled, is_owed, has_pending, needs_confirmation), job, direction, need, due_ms, hold, times)| {
            let (back_off_until_ms, manual_at_ms, in_step_at_ms, last_synced_ms) = times;
            let hold = hold.map(|(kind, until_ms)| match kind {
                0 => Hold::RetryAfter { until_ms },
                1 => Hold::Budget { until_ms },
                _ => Hold::Refused { until_ms },
            });
            let (pushes, is_off) = (PushIds::default(), !is_on);
            State {
                is_on: !is_off,
                is_enabled,
                direction,
                due_ms,
                job,
                is_owed,
                has_pending,
                back_off_until_ms,
                hold,
                need,
                needs_confirmation,
                manual_at_ms,
                in_step_at_ms,
                last_synced_ms,
                pushes,
            }
        },
    )
}

proptest! {
    /// What is told as the moment at which it would start is that moment, and not one before.
    #[test]
    fn a_moment_that_is_told_is_the_first_one_that_starts_it(state in states(), trigger in prop::sample::select(all())) {
        let decision = evaluate(&state, &trigger, NOW);
        let Some(until_ms) = decision.until_ms(NOW.wall_ms) else { return Ok(()) };
        let wait_ms = u64::try_from(until_ms - NOW.wall_ms).unwrap();
        prop_assert!(wait_ms > 0);
        let after = |ms| Now { wall_ms: NOW.wall_ms + i64::try_from(ms).unwrap(), monotonic_ms: NOW.monotonic_ms + ms };
        let before = evaluate(&state, &trigger, after(wait_ms - 1));
        prop_assert!(!before.is_start(), "{before:?}");
        // What stood behind it may still hold it back, but no longer this.
        prop_assert_ne!(evaluate(&state, &trigger, after(wait_ms)).reason(), decision.reason());
    }

    /// Nothing but a decision to start starts anything, and only what is on is started.
    #[test]
    fn what_is_off_is_never_started(state in states(), trigger in prop::sample::select(all())) {
        let decision = evaluate(&state, &trigger, NOW);
        let is_free = state.is_on && state.is_enabled && state.need.is_none() && !state.needs_confirmation
            && state.direction != Direction::LocalOnly && state.job != Job::Running;
        prop_assert!(is_free || !decision.is_start());
    }

    #[test]
    fn a_line_of_a_trace_reads_as_it_was_written(state in states(), trigger in prop::sample::select(all())) {
        let line = TraceLine::record(&state, &trigger, NOW);
        prop_assert_eq!(TraceLine::parse(&line.to_string()).unwrap(), line);
    }
}
