//! The module's table, row by row: the first that fits decides.

use super::*;

/// How many things about a space the rows look at.
const DIMENSIONS: usize = 14;

// Each with the numbers of its values; 0 is that of a space whose schedule is not due, which was in step a moment ago, and of which
// nothing else is known.
const ON: usize = 0;
const ENABLED: usize = 1;
const DIRECTION: usize = 2;
const NEED: usize = 3;
const CONFIRMATION: usize = 4;
const PUSHES: usize = 5;
const JOB: usize = 6;
const HOLD: usize = 7;
const MANUAL: usize = 8;
const PENDING: usize = 9;
const BACK_OFF: usize = 10;
const DUE: usize = 11;
const OWED: usize = 12;
const OLD: usize = 13;
const VALUES: [u8; DIMENSIONS] = [2, 2, 4, 4, 2, 2, 3, 4, 2, 2, 2, 3, 2, 2];

const WAIT_MS: u64 = 3_000;

fn state_of(values: [u8; DIMENSIONS]) -> State {
    let until_ms = NOW.monotonic_ms + WAIT_MS;
    let mut pushes = PushIds::default();
    if values[PUSHES] == 1 {
        pushes.note("known");
    }
    let directions = [Direction::Both, Direction::PushOnly, Direction::PullOnly, Direction::LocalOnly];
    let needs = [None, Some(Need::SignIn), Some(Need::Upgrade), Some(Need::Help)];
    let holds =
        [None, Some(Hold::RetryAfter { until_ms }), Some(Hold::Budget { until_ms }), Some(Hold::Refused { until_ms })];
    let dues = [Some(NOW.wall_ms + 10_000), None, Some(NOW.wall_ms)];
    State {
        is_on: values[ON] == 0,
        is_enabled: values[ENABLED] == 0,
        direction: directions[usize::from(values[DIRECTION])],
        need: needs[usize::from(values[NEED])],
        needs_confirmation: values[CONFIRMATION] == 1,
        pushes,
        job: [Job::Resting, Job::Running, Job::Live][usize::from(values[JOB])],
        hold: holds[usize::from(values[HOLD])],
        manual_at_ms: (values[MANUAL] == 1).then_some(NOW.monotonic_ms - 1_000),
        has_pending: values[PENDING] == 1,
        back_off_until_ms: (values[BACK_OFF] == 1).then_some(until_ms),
        due_ms: dues[usize::from(values[DUE])],
        is_owed: values[OWED] == 1,
        in_step_at_ms: (values[OLD] == 0).then_some(NOW.monotonic_ms - 1_000),
        last_synced_ms: (values[OLD] == 0).then_some(NOW.wall_ms - 1_000),
    }
}

fn triggers() -> Vec<Trigger> {
    all().into_iter().chain([push("known")]).collect()
}

/// A row, or a part of one that names several things.
struct Row {
    /// The state and the trigger, as the table has them.
    text: &'static str,
    /// What may be, of all that the row looks at.
    fits: &'static [(usize, &'static [u8])],
    by: fn(&Trigger) -> bool,
    decision: Decision,
}

impl Row {
    fn may(&self, dimension: usize, value: u8) -> bool {
        self.fits.iter().all(|(looked_at, values)| *looked_at != dimension || values.contains(&value))
    }

    fn is_fit(&self, values: [u8; DIMENSIONS], trigger: &Trigger) -> bool {
        (self.by)(trigger) && values.iter().enumerate().all(|(dimension, value)| self.may(dimension, *value))
    }
}

fn rows() -> Vec<Row> {
    let any: fn(&Trigger) -> bool = |_| true;
    let by_hand: fn(&Trigger) -> bool = |trigger| matches!(trigger, Trigger::Manual | Trigger::NetworkBack);
    let not_by_hand: fn(&Trigger) -> bool = |trigger| !matches!(trigger, Trigger::Manual | Trigger::NetworkBack);
    let is_manual: fn(&Trigger) -> bool = |trigger| *trigger == Trigger::Manual;
    let is_edit: fn(&Trigger) -> bool = |trigger| *trigger == Trigger::LocalEdit;
    let is_push: fn(&Trigger) -> bool = |trigger| matches!(trigger, Trigger::Push { .. });
    let is_maintenance: fn(&Trigger) -> bool = |trigger| *trigger == Trigger::Maintenance;
    let block = |reason| Decision::block(reason, None);
    let skip = |reason| Decision::skip(reason, None);
    let start = Decision::start;
    let until = |reason| Decision::block(reason, Some(NOW.wall_ms + WAIT_MS as i64));
    let later = |reason| Decision::skip(reason, Some(10_000));
    let nothing = skip(Reason::NothingToDo);
    let mut rows = Vec::new();
    let mut row = |text, fits, by, decision| rows.push(Row { text, fits, by, decision });
    row("sync is off | any", &[(ON, &[1])], any, block(Reason::SyncOff));
    row("the space is switched off | any", &[(ENABLED, &[1])], any, block(Reason::SpaceDisabled));
    row("the space is kept on this device | any", &[(DIRECTION, &[3])], any, block(Reason::LocalOnly));
    row("the relay wants a person to sign in | any", &[(NEED, &[1])], any, block(Reason::SignInNeeded));
    let text = "one side is too old; trying again does not help | any";
    row(text, &[(NEED, &[2])], any, block(Reason::UpgradeNeeded));
    row(text, &[(NEED, &[3])], any, block(Reason::Stopped));
    let text = "a person has to confirm what would be deleted | any";
    row(text, &[(CONFIRMATION, &[1])], any, block(Reason::ConfirmationNeeded));
    let came_before = |trigger: &Trigger| *trigger == push("known");
    row("any | a push whose id came before", &[(PUSHES, &[1])], came_before, skip(Reason::DuplicatePush));
    let text = "pull only; push only | a local edit; a push";
    row(text, &[(DIRECTION, &[2])], is_edit, nothing);
    row(text, &[(DIRECTION, &[1])], is_push, nothing);
    row("a job of the space runs | any", &[(JOB, &[1])], any, skip(Reason::Running));
    let text = "the relay asked to be left alone, or its budget is spent | any";
    row(text, &[(HOLD, &[1])], any, until(Reason::RelayAsked));
    row(text, &[(HOLD, &[2])], any, until(Reason::BudgetSpent));
    row("the relay does not serve the space | any", &[(HOLD, &[3])], any, until(Reason::SpaceRefused));
    row("the session stands | \"sync now\", the network is back", &[(JOB, &[2])], by_hand, start(Reason::Asked));
    row("the session stands | any other", &[(JOB, &[2])], not_by_hand, skip(Reason::Live));
    let text = "\"sync now\" was followed less than 5 s ago, and not stale | \"sync now\"";
    let rests: &[(usize, &[u8])] = &[(MANUAL, &[1]), (PENDING, &[0]), (OLD, &[0]), (JOB, &[0, 1])];
    row(text, rests, is_manual, Decision::skip(Reason::CoolDown, Some(MANUAL_COOL_DOWN_MS - 1_000)));
    let text = "waits after a failure | \"sync now\", the network is back";
    row(text, &[(BACK_OFF, &[1])], by_hand, start(Reason::Asked));
    row("waits after a failure | any other", &[(BACK_OFF, &[1])], not_by_hand, until(Reason::BackOff));
    let text = "push only, and nothing is pending | any but \"sync now\"";
    row(text, &[(DIRECTION, &[1]), (PENDING, &[0])], |trigger| *trigger != Trigger::Manual, nothing);
    row("without a schedule | any", &[(DUE, &[1])], any, start(Reason::Wanted));
    let asks = |trigger: &Trigger| matches!(trigger, Trigger::Manual | Trigger::Push { .. });
    row("with a schedule | \"sync now\", a push", &[(DUE, &[0, 2])], asks, start(Reason::Asked));
    row("a run failed and is owed | any", &[(OWED, &[1]), (DUE, &[0, 2])], any, start(Reason::Owed));
    let starts_up = |trigger: &Trigger| *trigger == Trigger::StartUp;
    row("the schedule is due | start-up", &[(DUE, &[2])], starts_up, start(Reason::MissedSchedule));
    row("the schedule is due | any other", &[(DUE, &[2])], any, start(Reason::Due));
    row("the schedule is not due | a local edit", &[(DUE, &[0])], is_edit, later(Reason::WaitsForSchedule));
    let text = "the schedule is not due | maintenance, with changes pending or not in step for a day";
    row(text, &[(DUE, &[0]), (PENDING, &[1])], is_maintenance, start(Reason::Stale));
    row(text, &[(DUE, &[0]), (OLD, &[1])], is_maintenance, start(Reason::Stale));
    row("the schedule is not due | maintenance, otherwise", &[(DUE, &[0])], is_maintenance, nothing);
    row("the schedule is not due | any other", &[(DUE, &[0])], any, later(Reason::NotDue));
    rows
}

/// A state in which both fit, and nothing else is said that neither needs; `None` where they cannot both.
fn both(one: &Row, other: &Row) -> Option<[u8; DIMENSIONS]> {
    let mut values = [0; DIMENSIONS];
    for (dimension, place) in values.iter_mut().enumerate() {
        *place = (0..VALUES[dimension]).find(|value| one.may(dimension, *value) && other.may(dimension, *value))?;
    }
    Some(values)
}

#[test]
fn the_rows_are_those_of_the_table_in_its_order() {
    let told = include_str!("../mod.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let told: Vec<_> = told.filter_map(|line| Some(line.rsplit_once(" | ")?.0)).skip(1).collect();
    let told: Vec<_> = told.into_iter().filter(|line| !line.starts_with("---")).collect();
    let mut tested: Vec<_> = rows().iter().map(|row| row.text).collect();
    tested.dedup();
    assert_eq!(tested, told);
}

#[test]
fn of_each_two_rows_that_fit_the_first_decides() {
    let rows = rows();
    let (mut met, mut hidden) = (0, Vec::new());
    for (number, first) in rows.iter().enumerate() {
        for second in &rows[number + 1..] {
            let Some(values) = both(first, second) else { continue };
            let state = state_of(values);
            let shared: Vec<_> =
                triggers().into_iter().filter(|trigger| (first.by)(trigger) && (second.by)(trigger)).collect();
            let is_hidden = |trigger: &Trigger| rows[..number].iter().any(|row| row.is_fit(values, trigger));
            let (behind, decided): (Vec<_>, Vec<_>) = shared.into_iter().partition(|trigger| is_hidden(trigger));
            for trigger in &decided {
                let decision = evaluate(&state, trigger, NOW);
                assert_eq!(decision, first.decision, "{trigger:?}: {} before {}", first.text, second.text);
            }
            match (decided.is_empty(), behind.is_empty()) {
                (false, _) => met += 1,
                (true, false) => hidden.push((first.text, second.text)),
                (true, true) => {}
            }
        }
    }
    assert!(met > 250, "{met} pairs");
    // With a push alone both fit, which a row above has decided by then.
    let push_only = "push only, and nothing is pending | any but \"sync now\"";
    assert_eq!(hidden, [(push_only, "with a schedule | \"sync now\", a push")]);
}

proptest! {
    #[test]
    fn whatever_is_known_the_first_row_that_fits_decides(
        drawn in prop::array::uniform14(0_u8..12),
        trigger in prop::sample::select(triggers()),
    ) {
        let mut values = drawn;
        // Mostly nothing particular, or the first rows would decide nearly always.
        values.iter_mut().zip(VALUES).for_each(|(value, count)| if *value >= count { *value = 0 });
        let rows = rows();
        let first = rows.iter().find(|row| row.is_fit(values, &trigger)).expect("the last rows leave nothing out");
        prop_assert_eq!(evaluate(&state_of(values), &trigger, NOW), first.decision, "{}", first.text);
    }
}

/// The recorded trace has each row with each trigger that it decides; what is missing is told as it is to be recorded.
#[test]
fn the_recorded_trace_has_every_row() {
    let trace = include_str!("../fixtures/trace.jsonl");
    let recorded: Vec<_> = trace.lines().map(|line| TraceLine::parse(line).unwrap()).collect();
    let (rows, mut missing) = (rows(), Vec::new());
    for (number, row) in rows.iter().enumerate() {
        let values = both(row, row).unwrap();
        let first = |trigger: &Trigger| rows.iter().position(|row| row.is_fit(values, trigger));
        for trigger in triggers().into_iter().filter(|trigger| first(trigger) == Some(number)) {
            let line = TraceLine::record(&state_of(values), &trigger, NOW);
            if !recorded.contains(&line) {
                missing.push(line.to_string());
            }
        }
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
    let reasons: std::collections::BTreeSet<_> = recorded.iter().map(|line| line.decision.reason()).collect();
    assert_eq!(reasons, Reason::ALL.iter().copied().collect());
}
