//! How spaces are synced, and the history of runs.

use crate::help::*;
use afield_store::{Origin, RUN_AGE_MAX_MS, RUNS_MAX, RunRecord, SpaceError, StoredSchedule, SyncMoment, Unsent};
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
    store.note_runs(&[], &[(space(1), AT_MS + 1)], &[(space(1), AT_MS + 2), (space(9), 1)], AT_MS).unwrap();
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
    store
        .note_runs(&[full.clone(), run(None, "wanted", AT_MS), run(Some(space(9)), "gone", 0)], &[], &[], AT_MS)
        .unwrap();
    let reader = store.reader();
    let all = reader.runs(None, 10).unwrap();
    assert_eq!(all.iter().map(|run| run.reason.as_str()).collect::<Vec<_>>(), ["wanted", "asked"]);
    let of_space = reader.runs(Some(space(1)), 10).unwrap();
    assert_eq!(of_space, [RunRecord { number: of_space[0].number, ..full }]);

    let many: Vec<_> = (0..RUNS_MAX + 5).map(|number| run(None, "due", AT_MS + number)).collect();
    store.note_runs(&many, &[], &[], AT_MS).unwrap();
    let kept = reader.runs(None, usize::MAX).unwrap();
    assert_eq!(kept.len() as i64, RUNS_MAX);
    assert_eq!(kept[0].at_ms, AT_MS + RUNS_MAX + 4);
    assert!(reader.runs(Some(space(1)), 10).unwrap().is_empty(), "the oldest went");

    let later = AT_MS + RUNS_MAX + 4 + RUN_AGE_MAX_MS;
    store.note_runs(&[run(None, "due", later)], &[], &[], later).unwrap();
    assert_eq!(reader.runs(None, usize::MAX).unwrap().len(), 2, "what is too old went, too");
}

#[test]
fn the_history_goes_with_its_space() {
    let mut store = store_in_memory();
    let _ = store.create_space(space(1), "Home", Origin::MadeHere, AT_MS).unwrap();
    let _ = store.set_sync_enabled(space(1), false).unwrap();
    store.note_runs(&[run(Some(space(1)), "asked", AT_MS)], &[], &[], AT_MS).unwrap();
    let _ = store.leave_space(space(1), Unsent::Keep).unwrap();
    assert!(store.reader().runs(None, 10).unwrap().is_empty());
    let _ = store.create_space(space(1), "Home", Origin::MadeHere, AT_MS).unwrap();
    assert!(store.sync_settings().unwrap()[0].is_enabled);
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
    store.note_runs(&[run(Some(space(1)), "asked", AT_MS)], &[(space(1), 1)], &[(space(1), 1)], AT_MS).unwrap();
    assert_eq!(*synced.lock().unwrap(), (0, 1));
    let _ = store.set_sync_enabled(space(1), false).unwrap();
    assert_eq!(*synced.lock().unwrap(), (1, 1), "the control: what a person sets is synced");
}
