//! Schedules of whole devices, by the machine's own clocks and with a real relay: they fire without anybody's doing, and one that fell
//! due while the app was closed is made up for.

use afield::{Reason, Replica, Run, RunFigures, Schedule, Space, SyncEvent, Trigger};
use afield_tests::processes::{Access, Program, Site};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast::Receiver;

/// How long a schedule may take to fire: it is looked at once a minute at the least, and a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);
const MINUTE_MS: u64 = 60_000;

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn write(space: &Space) {
    space.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "milk" })).unwrap();
}

fn count(space: &Space) -> usize {
    space.collection::<()>("notes").unwrap().ids().unwrap().len()
}

/// Listens until an event comes that is asked for.
fn heard<T>(site: &Site, events: &mut Receiver<SyncEvent>, asked: impl Fn(SyncEvent) -> Option<T>) -> T {
    let listening = async {
        loop {
            if let Some(found) = asked(events.recv().await.expect("nothing is missed")) {
                return found;
            }
        }
    };
    site.block_on(async { tokio::time::timeout(PATIENCE, listening).await }).expect("the event comes")
}

/// The figures of the first run that is completed because of a trigger.
fn completed(site: &Site, events: &mut Receiver<SyncEvent>, because: &Trigger) -> RunFigures {
    heard(site, events, |event| match event {
        SyncEvent::Completed { trigger, figures, .. } if trigger == *because => Some(figures),
        _ => None,
    })
}

/// What the history says of runs that were started.
fn started(space: &Space) -> Vec<Run> {
    space.runs(100).unwrap().into_iter().filter(|run| run.decision == "start").collect()
}

/// Connects a device whose schedule is not due, and waits until it has decided to do nothing.
fn connect_and_rest(site: &Site, replica: &Replica) -> Receiver<SyncEvent> {
    let mut events = replica.events();
    replica.connect(afield::Relay::new(site.relay.url())).unwrap();
    let decision = heard(site, &mut events, |event| match event {
        SyncEvent::Requested { trigger: Trigger::StartUp, decision, .. } => Some(decision),
        _ => None,
    });
    assert_eq!(decision.reason(), Reason::NotDue);
    events
}

fn wall_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Names one minute of the day that begins soon, and not before a device has connected.
fn soon() -> Schedule {
    let begins_ms = (wall_ms() + 10_000).div_ceil(MINUTE_MS) * MINUTE_MS;
    let minute_of_day = begins_ms / MINUTE_MS % (24 * 60);
    Schedule::cron(&format!("{} {} * * *", minute_of_day % 60, minute_of_day / 60), "UTC").unwrap()
}

#[test]
fn an_interval_sends_what_was_written_meanwhile_without_anybodys_doing() {
    let site = site();
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    home.set_schedule(Some(Schedule::every(Duration::from_millis(MINUTE_MS)).unwrap())).unwrap();
    let set_ms = wall_ms();
    let mut events = connect_and_rest(&site, &replica);
    write(&home);
    let figures = completed(&site, &mut events, &Trigger::Schedule);
    assert!(wall_ms() >= set_ms + MINUTE_MS, "and not before its time");
    assert_eq!((figures.changes_sent, figures.changes_received), (1, 0));

    let runs = started(&home);
    let [run] = runs.as_slice() else { panic!("one run alone: {runs:#?}") };
    let (trigger, reason, outcome) = (run.trigger.as_str(), run.reason.as_str(), run.outcome.as_deref());
    assert_eq!((trigger, reason, outcome), ("schedule", "due", Some("completed")));
    assert_eq!(run.figures.changes_sent, 1);
    let other = site.replica("other.db");
    let there = other.join_space(home.id()).unwrap();
    site.sync(&other);
    assert_eq!(count(&there), 1, "what the schedule has sent");
}

#[test]
fn a_moment_of_a_calendar_brings_what_others_have_sent_meanwhile_without_anybodys_doing() {
    let site = site();
    let (replica, other) = (site.replica("device.db"), site.replica("other.db"));
    let there = other.create_space("home").unwrap();
    site.sync(&other);
    let home = replica.join_space(there.id()).unwrap();
    home.set_schedule(Some(soon())).unwrap();
    let mut events = connect_and_rest(&site, &replica);
    write(&there);
    site.sync(&other);
    assert_eq!(count(&home), 0, "it waits for its moment");
    let figures = completed(&site, &mut events, &Trigger::Schedule);
    assert_eq!((figures.changes_sent, figures.changes_received), (0, 1));
    assert_eq!(count(&home), 1);

    let runs = started(&home);
    let [run] = runs.as_slice() else { panic!("one run alone: {runs:#?}") };
    assert_eq!((run.trigger.as_str(), run.reason.as_str()), ("schedule", "due"));
    assert_eq!(run.figures.changes_received, 1);
}

#[test]
fn what_fell_due_while_the_store_was_closed_runs_at_start_up_and_what_did_not_waits() {
    let site = site();
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    home.set_schedule(Some(Schedule::every(Duration::from_secs(3_600)).unwrap())).unwrap();
    write(&home);
    let id = home.id();
    drop((replica, home));

    let replica = site.replica("device.db");
    let home = replica.space(id).unwrap();
    let _ = connect_and_rest(&site, &replica);
    assert_eq!((started(&home), replica.status().unwrap().pending_changes), (vec![], 1), "the control: it is not due");
    replica.disconnect();
    drop((replica, home));

    // As if it had been closed for two hours.
    let file = rusqlite::Connection::open(site.path("device.db")).unwrap();
    assert_eq!(file.execute("UPDATE sync_settings SET started_ms = started_ms - 7200000", []).unwrap(), 1);
    drop(file);
    let replica = site.replica("device.db");
    let home = replica.space(id).unwrap();
    let mut events = replica.events();
    replica.connect(afield::Relay::new(site.relay.url())).unwrap();
    let figures = completed(&site, &mut events, &Trigger::StartUp);
    assert_eq!(figures.changes_sent, 1);
    let runs = started(&home);
    let [run] = runs.as_slice() else { panic!("one run alone: {runs:#?}") };
    assert_eq!((run.trigger.as_str(), run.reason.as_str()), ("start_up", "missed_schedule"));
    assert_eq!((run.outcome.as_deref(), run.figures.changes_sent), (Some("completed"), 1));
    assert_eq!(replica.status().unwrap().pending_changes, 0);

    // It is made up for, also for the next opening.
    replica.disconnect();
    drop((replica, home));
    let replica = site.replica("device.db");
    let home = replica.space(id).unwrap();
    let _ = connect_and_rest(&site, &replica);
    assert_eq!(started(&home).len(), 1, "and not twice");
}
