//! When devices sync, with a real relay process that is stopped and started.

use afield::{
    Collection, Decision, Durability, Reason, Relay, RunOutcome, RunQuery, Schedule, SyncEvent, SyncState, Trigger,
};
use afield_tests::processes::agent::Task;
use afield_tests::processes::{Access, Program, Site};
use std::time::Duration;

/// How long anything here may take: the longest wait before a retry, twice.
const PATIENCE: Duration = Duration::from_secs(120);

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_failed_upload_goes_on_by_itself_when_the_relay_is_back() {
    let mut site = site();
    let replica = site.replica("device.db");
    let tasks: Collection<Task> = replica.create_space("home").unwrap().collection("tasks").unwrap();
    let _ = tasks.insert(&Task::number(0)).unwrap();
    replica.connect(Relay::new(site.relay.url())).unwrap();
    site.sync(&replica);
    let mut events = replica.events();
    site.relay.kill();
    site.hear(&mut events, |event| matches!(event, SyncEvent::Disconnected { .. }));
    let id = tasks.insert(&Task::number(1)).unwrap();
    let write = tasks.edit(id, |task| *task = Task::number(2)).unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::Failed { .. }));
    let status = replica.status().unwrap();
    assert_eq!(status.state, SyncState::Offline);
    // While the next attempt is under way, there is nothing to ask for.
    let may_ask = status.can_sync_now || status.retry_in_ms == Some(0);
    assert!(status.pending_changes > 0 && status.retry_in_ms.is_some() && may_ask, "{status:?}");
    assert!(status.last_error.is_some() && status.oldest_pending_age_ms.is_some());

    site.relay.restart();
    let waited = runtime().block_on(async { tokio::time::timeout(PATIENCE, write.wait(Durability::Relay)).await });
    waited.expect("it goes by itself").unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { trigger: Trigger::Retry, .. }));
    let runs = replica.runs(10).unwrap();
    let failed = |run: &&afield::Run| run.outcome.as_deref() == Some("failed") && run.trigger == "retry";
    assert!(runs.iter().filter(failed).any(|run| run.error.is_some()), "{runs:#?}");
    assert!(runs.iter().filter(failed).all(|run| run.figures.changes_sent == 0), "nobody was there: {runs:#?}");
    assert!(runs.iter().any(|run| run.trigger == "retry" && run.outcome.as_deref() == Some("completed")), "{runs:#?}");
    replica.disconnect();

    // The history answers for what is stored and for what still counts up.
    let asked = RunQuery::new().trigger(Trigger::Retry).outcome(RunOutcome::Completed);
    let found = replica.find_runs(&asked).unwrap();
    assert!(!found.is_empty() && found.len() < replica.runs(usize::MAX).unwrap().len());
    assert!(
        found.iter().all(|run| run.trigger == "retry" && run.outcome.as_deref() == Some("completed")),
        "{found:#?}"
    );
    let at_ms = found[0].at_ms;
    assert_eq!(replica.find_runs(&asked.clone().since_ms(at_ms).until_ms(at_ms + 1)).unwrap()[0], found[0]);
    assert!(replica.find_runs(&asked.since_ms(at_ms + 1)).unwrap().is_empty());
    let any = replica.find_runs(&RunQuery::new()).unwrap();
    assert_eq!(any, replica.runs(usize::MAX).unwrap(), "all of them where nothing is said");
}

#[test]
fn a_space_with_a_schedule_syncs_when_somebody_asks_and_leaves_no_session_behind() {
    let site = site();
    let (author, reader) = (site.replica("author.db"), site.replica("reader.db"));
    let home = author.create_space("home").unwrap();
    let tasks: Collection<Task> = home.collection("tasks").unwrap();
    home.set_schedule(Some(Schedule::cron("0 0 1 1 *", "UTC").unwrap())).unwrap();
    let mut events = author.events();
    author.connect(Relay::new(site.relay.url())).unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::Requested { trigger: Trigger::StartUp, .. }));
    tasks.insert(&Task::number(1)).unwrap();
    // The answer waits for what the thread is about to do.
    assert!(!author.request(Trigger::Timer).unwrap().is_start());
    let status = author.status().unwrap();
    assert_eq!((status.spaces[0].state, status.traffic.sessions), (SyncState::Idle, 0), "it is not due");

    site.sync(&author);
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { trigger: Trigger::Manual, .. }));
    let status = author.status().unwrap();
    assert_eq!((status.pending_changes, status.traffic.sessions), (0, 1));
    assert!(status.spaces[0].last_synced_ms.is_some() && status.spaces[0].schedule.is_some());
    let again = author.request(Trigger::Manual).unwrap();
    assert_eq!(again.reason(), Reason::CoolDown);
    assert!(author.status().unwrap().spaces[0].cooldown_ms.is_some());

    let copy: Collection<Task> = reader.join_space(home.id()).unwrap().collection("tasks").unwrap();
    reader.connect(Relay::new(site.relay.url())).unwrap();
    site.sync(&reader);
    assert_eq!(copy.ids().unwrap().len(), 1);
    assert!(author.request(Trigger::push("there is something new")).unwrap().is_start());
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { trigger: Trigger::Push { .. }, .. }));
}

#[test]
fn maintenance_syncs_what_waits_or_is_old_whatever_the_schedule() {
    let site = site();
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    let tasks: Collection<Task> = home.collection("tasks").unwrap();
    home.set_schedule(Some(Schedule::cron("0 0 1 1 *", "UTC").unwrap())).unwrap();
    let decided = || {
        let mut sync = replica.maintain().unwrap().sync;
        let (space, decision) = sync.remove(0);
        assert_eq!((space, sync.len()), (home.id(), 0));
        decision
    };
    tasks.insert(&Task::number(1)).unwrap();
    assert_eq!(decided(), Decision::block(Reason::SyncOff, None));
    let mut events = replica.events();
    replica.connect(Relay::new(site.relay.url())).unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::Requested { trigger: Trigger::StartUp, .. }));
    assert_eq!(replica.status().unwrap().traffic.sessions, 0, "the control: it is not due");

    assert_eq!(decided(), Decision::start(Reason::Stale), "it was never in step");
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { trigger: Trigger::Maintenance, .. }));
    assert_eq!(decided(), Decision::skip(Reason::NothingToDo, None));
    tasks.insert(&Task::number(2)).unwrap();
    assert_eq!(decided(), Decision::start(Reason::Stale), "a change waits");
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { trigger: Trigger::Maintenance, .. }));
    assert_eq!(replica.status().unwrap().pending_changes, 0);
    let rows = home.runs(100).unwrap();
    assert!(rows.iter().any(|run| run.trigger == "maintenance" && run.reason == "nothing_to_do"), "{rows:#?}");
    assert_eq!(decided(), Decision::skip(Reason::NothingToDo, None));
    replica.disconnect();
    assert_eq!(decided(), Decision::block(Reason::SyncOff, None));
}

#[test]
fn a_notification_that_was_followed_starts_nothing_more_after_a_reconnection_or_a_restart() {
    let site = site();
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    home.set_schedule(Some(Schedule::cron("0 0 1 1 *", "UTC").unwrap())).unwrap();
    let is_asked = |event: &SyncEvent| matches!(event, SyncEvent::Requested { trigger: Trigger::StartUp, .. });
    let is_done = |event: &SyncEvent| matches!(event, SyncEvent::Completed { trigger: Trigger::Push { .. }, .. });
    let connected = |replica: &afield::Replica| {
        let mut events = replica.events();
        replica.connect(Relay::new(site.relay.url())).unwrap();
        site.hear(&mut events, is_asked);
        events
    };
    let mut events = connected(&replica);
    assert!(home.request(Trigger::push("17")).unwrap().is_start());
    site.hear(&mut events, is_done);
    let duplicate = Decision::skip(Reason::DuplicatePush, None);
    assert_eq!(home.request(Trigger::push("17")).unwrap(), duplicate);
    replica.disconnect();
    let _ = connected(&replica);
    assert_eq!(home.request(Trigger::push("17")).unwrap(), duplicate, "after a reconnection");
    let id = home.id();
    drop((home, replica));

    let replica = site.replica("device.db");
    let mut events = connected(&replica);
    let home = replica.space(id).unwrap();
    assert_eq!(home.request(Trigger::push("17")).unwrap(), duplicate, "after a restart");
    assert_eq!(replica.request(Trigger::push("17")).unwrap(), duplicate, "and of all spaces");
    assert!(home.request(Trigger::push("18")).unwrap().is_start(), "the control: another one");
    site.hear(&mut events, is_done);
}

#[test]
fn maintenance_after_a_restart_knows_when_a_space_was_last_in_step() {
    let site = site();
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    home.set_schedule(Some(Schedule::cron("0 0 1 1 *", "UTC").unwrap())).unwrap();
    home.collection::<Task>("tasks").unwrap().insert(&Task::number(1)).unwrap();
    site.sync(&replica);
    replica.disconnect();
    drop((home, replica));

    let maintained = || {
        let replica = site.replica("device.db");
        let mut events = replica.events();
        replica.connect(Relay::new(site.relay.url())).unwrap();
        site.hear(&mut events, |event| matches!(event, SyncEvent::Requested { trigger: Trigger::StartUp, .. }));
        replica.maintain().unwrap().sync.remove(0).1
    };
    assert_eq!(maintained(), Decision::skip(Reason::NothingToDo, None), "a moment ago");
    let put = |moment: &str| {
        let file = rusqlite::Connection::open(site.path("device.db")).unwrap();
        let sql = format!("UPDATE sync_settings SET last_synced_ms = last_synced_ms {moment}");
        assert_eq!(file.execute(&sql, []).unwrap(), 1);
    };
    put("- 43200000");
    assert_eq!(maintained(), Decision::skip(Reason::NothingToDo, None), "half a day ago");
    put("- 43200000");
    assert_eq!(maintained(), Decision::start(Reason::Stale), "a day ago");
    // As if the clock had been ahead by two days, and been set right.
    put("+ 172800000");
    assert_eq!(maintained(), Decision::start(Reason::Stale));
}
