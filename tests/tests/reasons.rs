//! Every reason of the policy that an application can meet, met once through the public face with a real relay; what takes minutes
//! is met through [`Driver`], which is told the time.

use afield::store::{OpenOptions, Origin, Store};
use afield::{
    Class, Collection, Decision, Direction, Driver, Entropy, Filter, Guard, Now, Reason, Relay, Replica, Schedule,
    Space, SpaceId, SyncEvent, Trigger,
};
use afield_tests::processes::agent::Task;
use afield_tests::processes::{Access, Program, Proxy, Site, answering_once};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;

/// The reasons that were met.
#[derive(Default)]
struct Met(BTreeSet<Reason>);

impl Met {
    #[track_caller]
    fn note(&mut self, decision: Decision, is: Decision) {
        assert_eq!(decision, is);
        self.0.insert(decision.reason());
    }

    /// Notes one that holds until a moment which is not known before.
    #[track_caller]
    fn note_reason(&mut self, decision: Decision, is: Reason) {
        assert_eq!(decision.reason(), is, "{decision:?}");
        assert!(decision.until_ms(0).is_some(), "{decision:?}");
        self.0.insert(is);
    }

    /// Waits until sync is asked for by a trigger, and notes that it starts.
    fn hear(&mut self, site: &Site, events: &mut Receiver<SyncEvent>, by: &Trigger, is: Reason) {
        let is_it = |event: &SyncEvent| match event {
            SyncEvent::Requested { trigger, decision, .. } => trigger == by && *decision == Decision::start(is),
            _ => false,
        };
        site.hear(events, is_it);
        self.0.insert(is);
    }
}

fn started(site: &Site, name: &str) -> (Replica, Space, Collection<Task>) {
    let replica = site.replica(name);
    let home = replica.create_space("home").unwrap();
    let tasks = home.collection("tasks").unwrap();
    (replica, home, tasks)
}

/// A space that is in step all the time, and what takes it out of that.
fn live(site: &Site, met: &mut Met) {
    let door = Proxy::start(site.relay.address()).unwrap();
    let (replica, home, tasks) = started(site, "live.db");
    met.note(replica.request(Trigger::Manual).unwrap(), Decision::block(Reason::SyncOff, None));
    let mut events = replica.events();
    door.hold();
    replica.connect(Relay::new(door.url())).unwrap();
    met.hear(site, &mut events, &Trigger::StartUp, Reason::Wanted);
    met.note(replica.request(Trigger::Timer).unwrap(), Decision::skip(Reason::Running, None));
    door.release();
    let ids: Vec<_> = (0..4).map(|number| tasks.insert(&Task::number(number)).unwrap()).collect();
    site.sync(&replica);
    met.note(replica.request(Trigger::Timer).unwrap(), Decision::skip(Reason::Live, None));
    met.note(replica.request(Trigger::Manual).unwrap(), Decision::start(Reason::Asked));
    assert!(!replica.request(Trigger::push("17")).unwrap().is_start(), "it is live");
    met.note(replica.request(Trigger::push("17")).unwrap(), Decision::skip(Reason::DuplicatePush, None));

    home.set_sync_enabled(false).unwrap();
    met.note(home.request(Trigger::Manual).unwrap(), Decision::block(Reason::SpaceDisabled, None));
    home.set_sync_enabled(true).unwrap();
    home.set_filter(Filter::nothing()).unwrap();
    home.set_direction("tasks", Direction::PushOnly).unwrap();
    met.note(home.request(Trigger::push("18")).unwrap(), Decision::skip(Reason::NothingToDo, None));
    home.set_direction("tasks", Direction::LocalOnly).unwrap();
    met.note(home.request(Trigger::Manual).unwrap(), Decision::block(Reason::LocalOnly, None));
    home.set_filter(Filter::everything()).unwrap();
    home.set_direction("tasks", Direction::Both).unwrap();

    site.sync(&replica);
    home.set_guard(Guard { deletions: Some(1), share: None }).unwrap();
    ids.iter().for_each(|id| drop(tasks.delete(*id).unwrap()));
    met.note(home.request(Trigger::Timer).unwrap(), Decision::block(Reason::ConfirmationNeeded, None));
    replica.disconnect();
}

/// A space with a schedule that is far off, and a relay that goes away.
fn scheduled(site: &mut Site, met: &mut Met) {
    let (replica, home, tasks) = started(site, "scheduled.db");
    home.set_schedule(Some(Schedule::every(Duration::from_secs(36_000)).unwrap())).unwrap();
    let mut events = replica.events();
    replica.connect(Relay::new(site.relay.url())).unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::Requested { trigger: Trigger::StartUp, .. }));
    met.note_reason(replica.request(Trigger::Timer).unwrap(), Reason::NotDue);
    met.note_reason(replica.request(Trigger::LocalEdit).unwrap(), Reason::WaitsForSchedule);
    met.note(replica.request(Trigger::Maintenance).unwrap(), Decision::start(Reason::Stale));
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { .. }));
    site.sync(&replica);
    met.note_reason(replica.request(Trigger::Manual).unwrap(), Reason::CoolDown);

    site.relay.kill();
    tasks.insert(&Task::number(1)).unwrap();
    assert!(replica.request(Trigger::push("19")).unwrap().is_start());
    site.hear(&mut events, |event| matches!(event, SyncEvent::Failed { .. }));
    // What is asked between two attempts waits for the next.
    while replica.request(Trigger::Timer).unwrap().reason() == Reason::Running {}
    met.note_reason(replica.request(Trigger::Timer).unwrap(), Reason::BackOff);
    met.hear(site, &mut events, &Trigger::Retry, Reason::Owed);
    replica.disconnect();
    site.relay.restart();
}

/// Relays that are of no use.
fn refused(site: &Site, met: &mut Met) {
    for (answer, reason) in [
        ("401 Unauthorized", Reason::SignInNeeded),
        ("426 Upgrade Required", Reason::UpgradeNeeded),
        ("503 Service Unavailable\r\nretry-after: 3000", Reason::RelayAsked),
        ("429 Too Many Requests\r\nretry-after: 3000", Reason::BudgetSpent),
    ] {
        let (url, thread) = answering_once(answer);
        let (replica, ..) = started(site, &format!("{}.db", &answer[..3]));
        let mut events = replica.events();
        replica.connect(Relay::new(url)).unwrap();
        site.hear(&mut events, |event| matches!(event, SyncEvent::Disconnected { .. }));
        let decision = replica.request(Trigger::Manual).unwrap();
        match reason {
            Reason::RelayAsked | Reason::BudgetSpent => met.note_reason(decision, reason),
            _ => met.note(decision, Decision::block(reason, None)),
        }
        replica.disconnect();
        drop(thread.join().unwrap());
    }
    let (replica, ..) = started(site, "beside.db");
    let nowhere = replica.join_space(SpaceId::from_bytes([7; 16])).unwrap();
    let mut events = replica.events();
    replica.connect(Relay::new(site.relay.url())).unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::SpaceRefused { .. }));
    met.note_reason(nowhere.request(Trigger::Manual).unwrap(), Reason::SpaceRefused);
    replica.disconnect();
}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// What is decided when minutes have passed, and on a system that trusts nobody.
fn later(met: &mut Met) {
    let now = |minutes: u64| Now {
        wall_ms: 1_767_225_600_000 + i64::try_from(minutes * 60_000).unwrap(),
        monotonic_ms: minutes * 60_000,
    };
    let mut store = Store::open_in_memory(&OpenOptions::default()).unwrap();
    let space = SpaceId::from_bytes([1; 16]);
    let _ = store.create_space(space, "Home", Origin::MadeHere, now(0).wall_ms).unwrap();
    let driver = Driver::new(store, Box::new(Zeros), now(0)).unwrap();
    let every = Schedule::every(Duration::from_secs(600)).unwrap();
    driver.set_schedule(space, Some(&every), now(0)).unwrap();
    driver.enable_sync(now(0));
    let decided = driver.request(Some(space), &Trigger::Timer, now(10)).unwrap();
    met.note(decided, Decision::start(Reason::Due));
    driver.handle_connect_failed("no certificates are installed".to_owned(), Class::Permanent, None, now(13));
    met.note(driver.request(Some(space), &Trigger::Timer, now(13)).unwrap(), Decision::block(Reason::Stopped, None));
    driver.disable_sync(now(13));

    let decisions = Arc::new(Mutex::new(Vec::new()));
    let recorded = decisions.clone();
    driver.record_policy(move |line| recorded.lock().unwrap().push(line.decision));
    driver.enable_sync(now(60));
    met.note(decisions.lock().unwrap()[0], Decision::start(Reason::MissedSchedule));
}

#[test]
fn every_reason_can_be_met_and_is_what_the_documentation_says() {
    let mut site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let mut met = Met::default();
    live(&site, &mut met);
    scheduled(&mut site, &mut met);
    refused(&site, &mut met);
    later(&mut met);
    let missed: Vec<_> = Reason::ALL.iter().filter(|reason| !met.0.contains(reason)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
