//! How spaces are synced, and the history of runs.

use crate::help::*;
use afield_core::SpaceId;
use afield_core::policy::PUSH_IDS_MAX;
use afield_store::{
    OpenOptions, Origin, RUN_AGE_MAX_MS, RUNS_MAX, RunNotes, RunRecord, RunsAsked, SpaceError, Store, StoredSchedule,
    SyncMoment, Unsent,
};
use std::sync::{Arc, Mutex};

fn run(space: Option<afield_core::SpaceId>, reason: &str, at_ms: i64) -> RunRecord {
    RunRecord {
        space,
        trigger: "manual".into(),
        decision: "start".into(),
        reason: reason.into(),
        at_ms,
        times: 1,
        ..RunRecord::default()
    }
}

#[test]
fn settings_are_those_that_were_set_and_a_space_without_any_has_the_defaults() {
    let mut store = store_in_memory();
    let _ = store.create_space(space(1), "Home", Origin::MadeHere, AT_MS).unwrap();
    let settings = store.sync_settings().unwrap().remove(0);
    assert!(settings.is_enabled && settings.schedule.is_none() && settings.last_synced_ms.is_none());

    let cron = StoredSchedule::Cron { expression: "0 3 * * *".into(), zone: "Europe/Berlin".into() };
    let _ = store.set_schedule(space(1), Some(&cron), AT_MS).unwrap();
    let _ = store.set_sync_enabled(space(1), false).unwrap();
    let (started, synced) = ([(space(1), AT_MS + 1)], [(space(1), AT_MS + 2), (space(9), 1)]);
    store.note_runs(&RunNotes { started: &started, synced: &synced, ..RunNotes::default() }, AT_MS).unwrap();
    let settings = store.reader().sync_settings().unwrap();
    assert_eq!(settings.len(), 1, "a space that is not here is left out");
    assert_eq!(settings[0].schedule, Some(cron));
    assert_eq!(
        (settings[0].is_enabled, settings[0].started_ms, settings[0].last_synced_ms),
        (false, Some(AT_MS + 1), Some(AT_MS + 2))
    );

    let every = StoredSchedule::Every { interval_ms: 600_000 };
    let _ = store.set_schedule(space(1), Some(&every), AT_MS).unwrap();
    assert_eq!(store.sync_settings().unwrap()[0].schedule, Some(every));
    let _ = store.set_schedule(space(1), None, AT_MS).unwrap();
    assert_eq!(store.sync_settings().unwrap()[0].schedule, None);
    assert!(matches!(store.set_schedule(space(9), None, 0), Err(SpaceError::UnknownSpace { .. })));
    assert!(matches!(store.set_sync_enabled(space(9), true), Err(SpaceError::UnknownSpace { .. })));
}

#[test]
fn the_history_is_the_newest_first_and_is_bounded_by_number_and_age() {
    let mut store = store_in_memory();
    let _ = store.create_space(space(1), "Home", Origin::MadeHere, AT_MS).unwrap();
    let full = RunRecord {
        until_ms: Some(AT_MS + 5),
        times: 3,
        outcome: Some("failed".into()),
        duration_ms: 7,
        changes_sent: 8,
        changes_received: 9,
        bytes_sent: 10,
        bytes_received: 11,
        error: Some("unreachable".into()),
        ..run(Some(space(1)), "asked", AT_MS)
    };
    let runs = [full.clone(), run(None, "wanted", AT_MS), run(Some(space(9)), "gone", 0)];
    store.note_runs(&RunNotes { runs: &runs, ..RunNotes::default() }, AT_MS).unwrap();
    let reader = store.reader();
    let all = reader.runs(None, 10).unwrap();
    assert_eq!(all.iter().map(|run| run.reason.as_str()).collect::<Vec<_>>(), ["wanted", "asked"]);
    let of_space = reader.runs(Some(space(1)), 10).unwrap();
    assert_eq!(of_space, [RunRecord { number: of_space[0].number, ..full }]);

    let many: Vec<_> = (0..RUNS_MAX + 5).map(|number| run(None, "due", AT_MS + number)).collect();
    store.note_runs(&RunNotes { runs: &many, ..RunNotes::default() }, AT_MS).unwrap();
    let kept = reader.runs(None, usize::MAX).unwrap();
    assert_eq!(kept.len() as i64, RUNS_MAX);
    assert_eq!(kept[0].at_ms, AT_MS + RUNS_MAX + 4);
    assert!(reader.runs(Some(space(1)), 10).unwrap().is_empty(), "the oldest went");

    let later = AT_MS + RUNS_MAX + 4 + RUN_AGE_MAX_MS;
    store.note_runs(&RunNotes { runs: &[run(None, "due", later)], ..RunNotes::default() }, later).unwrap();
    assert_eq!(reader.runs(None, usize::MAX).unwrap().len(), 2, "what is too old went, too");
}

#[test]
fn the_history_goes_with_its_space() {
    let mut store = store_in_memory();
    let _ = store.create_space(space(1), "Home", Origin::MadeHere, AT_MS).unwrap();
    let _ = store.set_sync_enabled(space(1), false).unwrap();
    let pushes = [(Some(space(1)), "17".to_owned())];
    let runs = [run(Some(space(1)), "asked", AT_MS)];
    store.note_runs(&RunNotes { runs: &runs, pushes: &pushes, ..RunNotes::default() }, AT_MS).unwrap();
    assert!(store.pushes(Some(space(1))).unwrap().has("17"), "the control");
    let _ = store.leave_space(space(1), Unsent::Keep).unwrap();
    assert!(store.reader().runs(None, 10).unwrap().is_empty());
    let _ = store.create_space(space(1), "Home", Origin::MadeHere, AT_MS).unwrap();
    assert!(store.sync_settings().unwrap()[0].is_enabled);
    assert!(store.pushes(Some(space(1))).unwrap().is_empty());
}

#[test]
fn the_history_costs_no_sync() {
    let mut store = store_in_memory();
    let _ = store.create_space(space(1), "Home", Origin::MadeHere, AT_MS).unwrap();
    let synced = Arc::<Mutex<(u32, u32)>>::default();
    let of_hook = synced.clone();
    store.watch_syncs(Box::new(move |moment| match moment {
        SyncMoment::Synced => of_hook.lock().unwrap().0 += 1,
        SyncMoment::BeforeUnsynced(_) => of_hook.lock().unwrap().1 += 1,
    }));
    let (runs, moment) = ([run(Some(space(1)), "asked", AT_MS)], [(space(1), 1)]);
    let pushes = [(Some(space(1)), "17".to_owned())];
    store.note_runs(&RunNotes { runs: &runs, started: &moment, synced: &moment, pushes: &pushes }, AT_MS).unwrap();
    assert_eq!(*synced.lock().unwrap(), (0, 1));
    let _ = store.set_sync_enabled(space(1), false).unwrap();
    assert_eq!(*synced.lock().unwrap(), (1, 1), "the control: what a person sets is synced");
}

#[test]
fn the_last_pushes_of_each_space_and_of_the_device_alone_are_remembered_across_openings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    let _ = store.create_space(space(1), "Home", Origin::MadeHere, AT_MS).unwrap();
    let _ = store.create_space(space(2), "Other", Origin::MadeHere, AT_MS).unwrap();
    let note = |store: &mut Store, pushes: &[(Option<SpaceId>, String)]| {
        store.note_runs(&RunNotes { pushes, ..RunNotes::default() }, AT_MS).unwrap();
    };
    let many: Vec<_> = (0..=PUSH_IDS_MAX).map(|number| (Some(space(1)), number.to_string())).collect();
    note(&mut store, &many);
    // One that comes again takes nobody's place.
    note(&mut store, &[(Some(space(1)), "1".to_owned()), (Some(space(9)), "nowhere".to_owned())]);
    note(&mut store, &[(Some(space(2)), "of the other".to_owned()), (None, "of the device".to_owned())]);
    drop(store);

    let store = Store::open(&path, &OpenOptions::default()).unwrap();
    let of_home = store.pushes(Some(space(1))).unwrap();
    assert!(!of_home.has("0") && of_home.has("1") && of_home.has(&PUSH_IDS_MAX.to_string()));
    assert!(store.pushes(Some(space(2))).unwrap().has("of the other"));
    assert!(store.pushes(None).unwrap().has("of the device"));
    assert!(!of_home.has("of the device") && !of_home.has("of the other"));
    assert!(store.pushes(Some(space(9))).unwrap().is_empty());
    let rows = store.into_connection().unwrap();
    let count: i64 = rows.query_row("SELECT count(*) FROM pushes", [], |row| row.get(0)).unwrap();
    assert_eq!(count, PUSH_IDS_MAX as i64 + 2, "no more rows are kept than are read");
}

#[test]
fn the_history_is_asked_by_trigger_outcome_space_and_time_and_all_of_it_has_to_fit() {
    let mut store = store_in_memory();
    for number in [1, 2] {
        let _ = store.create_space(space(number), "Home", Origin::MadeHere, AT_MS).unwrap();
    }
    let row = |number: u8, trigger: &str, outcome: Option<&str>, at_ms: i64| RunRecord {
        trigger: trigger.into(),
        outcome: outcome.map(Into::into),
        ..run(Some(space(number)), "due", AT_MS + at_ms)
    };
    let runs = [
        row(1, "schedule", Some("completed"), 0),
        row(1, "schedule", Some("failed"), 1),
        row(1, "retry", Some("failed"), 2),
        row(2, "manual", None, 3),
        row(2, "retry", Some("refused"), 4),
    ];
    store.note_runs(&RunNotes { runs: &runs, ..RunNotes::default() }, AT_MS).unwrap();
    let reader = store.reader();
    let found = |asked: &RunsAsked| {
        let found = reader.find_runs(asked).unwrap();
        let by_row: Vec<_> = runs.iter().rev().filter(|run| asked.has(run)).map(|run| run.at_ms).collect();
        let found: Vec<_> = found.iter().map(|run| run.at_ms).collect();
        assert_eq!(found, by_row.into_iter().take(asked.limit).collect::<Vec<_>>(), "stored or not: {asked:?}");
        found.into_iter().map(|at_ms| at_ms - AT_MS).collect::<Vec<_>>()
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let all = RunsAsked::default();
    assert_eq!(found(&all), [4, 3, 2, 1, 0]);
    assert_eq!(found(&RunsAsked { limit: 2, ..all.clone() }), [4, 3]);
    assert_eq!(found(&RunsAsked { triggers: words(&["retry", "manual"]), ..all.clone() }), [4, 3, 2]);
    assert_eq!(found(&RunsAsked { outcomes: words(&["failed"]), ..all.clone() }), [2, 1]);
    assert_eq!(found(&RunsAsked { outcomes: words(&["failed", "refused"]), limit: 2, ..all.clone() }), [4, 2]);
    assert_eq!(found(&RunsAsked { since_ms: AT_MS + 1, until_ms: AT_MS + 3, ..all.clone() }), [2, 1]);
    assert_eq!(found(&RunsAsked { space: Some(space(2)), ..all.clone() }), [4, 3]);
    let one =
        RunsAsked { space: Some(space(1)), triggers: words(&["retry"]), outcomes: words(&["failed"]), ..all.clone() };
    assert_eq!(found(&one), [2]);
    let text = "retry' OR '1' = '1";
    assert!(found(&RunsAsked { triggers: words(&[text]), ..all }).is_empty(), "what is asked for is bound");
}
