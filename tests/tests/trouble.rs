//! What status and events say of trouble: a relay that asks for time, one that is of no use, and one that fails again and again.

use afield::{Class, Collection, Decision, Durability, Reason, Relay, Replica, SyncEvent, SyncState, Trigger};
use afield_tests::processes::agent::Task;
use afield_tests::processes::{Access, Program, Site, answering_once};
#[cfg(unix)]
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast::Receiver;

/// How long an event may take to come: the longest wait before a retry, twice.
const PATIENCE: Duration = Duration::from_secs(120);

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn wall_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn is_disconnected(event: &SyncEvent) -> bool {
    matches!(event, SyncEvent::Disconnected { .. })
}

#[test]
fn a_relay_that_asks_for_time_blocks_what_comes_before_that_and_says_until_when() {
    let (site, since_ms) = (site(), wall_ms());
    let (url, thread) = answering_once("503 Service Unavailable\r\nretry-after: 3000");
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    home.collection::<Task>("tasks").unwrap().insert(&Task::number(1)).unwrap();
    let mut events = replica.events();
    replica.connect(Relay::new(url)).unwrap();
    site.hear_all(&mut events, is_disconnected);
    let decision = replica.request(Trigger::Manual).unwrap();
    let Decision::Block { reason: Reason::RelayAsked, blocked_until_ms: Some(until_ms) } = decision else {
        panic!("{decision:?}")
    };
    let (least, most) = (since_ms + 3_000_000, wall_ms() + 3_000_000);
    assert!((least..=most).contains(&until_ms), "{least} <= {until_ms} <= {most}");
    let heard = site.hear_all(&mut events, |event| matches!(event, SyncEvent::Blocked { .. }));
    let told =
        SyncEvent::Blocked { space: Some(home.id()), reason: Reason::RelayAsked, blocked_until_ms: Some(until_ms) };
    assert_eq!(heard.last(), Some(&told));
    let status = replica.status().unwrap();
    let shown = status.blocked_until_ms.unwrap();
    assert!((least..=wall_ms() + 3_000_000).contains(&shown), "{status:?}");
    assert_eq!(status.spaces[0].blocked_until_ms, status.blocked_until_ms);
    assert_eq!((status.state, status.can_sync_now), (SyncState::Offline, false));
    let runs = replica.runs(10).unwrap();
    assert!(runs.iter().any(|run| run.decision == "block" && run.reason == "relay_asked"), "{runs:#?}");
    replica.disconnect();
    assert_eq!(replica.status().unwrap().blocked_until_ms, None, "the control: with sync off nothing is in the way");
    drop(thread.join().unwrap());
}

#[test]
fn a_device_that_connects_too_often_is_told_until_when_and_comes_back_by_itself() {
    /// Until the relay takes another connection of that address, in whole seconds, and as much as it spreads those who come back over.
    const WAIT_MAX_MS: i64 = 6_000 + 1_000 + 10_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    std::fs::write(&file, "[rates]\nconnections_per_minute = 10\nconnections_burst = 1\n").unwrap();
    let program = Program::new(env!("CARGO_BIN_EXE_relay_process"));
    let site = Site::start_with_options(&program, Access::Open, &["--config", file.to_str().unwrap()]);
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    let tasks: Collection<Task> = home.collection("tasks").unwrap();
    site.sync(&replica);
    replica.disconnect();
    let id = tasks.insert(&Task::number(1)).unwrap();
    let write = tasks.edit(id, |task| *task = Task::number(2)).unwrap();

    let (mut events, since_ms) = (replica.events(), wall_ms());
    replica.connect(Relay::new(site.relay.url())).unwrap();
    let heard = site.hear_all(&mut events, is_disconnected);
    let Some(SyncEvent::Disconnected { class: Class::Retry, reason }) = heard.last() else { panic!("{heard:?}") };
    let decision = replica.request(Trigger::Manual).unwrap();
    let Decision::Block { reason: Reason::BudgetSpent, blocked_until_ms: Some(until_ms) } = decision else {
        panic!("{decision:?}")
    };
    assert!((since_ms + 1_000..=wall_ms() + WAIT_MAX_MS).contains(&until_ms), "{since_ms} {until_ms}");
    let status = replica.status().unwrap();
    assert_eq!((status.state, status.can_sync_now), (SyncState::Offline, false));
    let near = status.blocked_until_ms.expect("until when").abs_diff(until_ms);
    assert!(near <= 1_000, "{near} ms between what is shown and what was decided");
    assert_eq!(status.last_error.as_ref(), Some(reason));
    let explained = replica.explain().unwrap().remove(0);
    assert!(explained.now.contains("no attempt is made for a while"), "{explained}");
    assert!(explained.runs.iter().any(|run| run.reason == "budget_spent"), "{explained}");
    let refused = site.try_sync(&replica).unwrap_err();
    assert!(refused.to_string().contains(&Reason::BudgetSpent.to_string()), "{refused}");

    let waited = async { tokio::time::timeout(PATIENCE, write.wait(Durability::Relay)).await };
    site.block_on(waited).expect("it goes by itself").unwrap();
    assert!(wall_ms() >= until_ms, "and not before the moment that was told");
}

#[test]
fn where_trying_again_does_not_help_the_state_says_so_and_nothing_is_tried() {
    let site = site();
    for (answer, state, class) in [
        ("426 Upgrade Required", SyncState::Error, Class::Upgrade),
        ("401 Unauthorized", SyncState::NeedsSignIn, Class::SignIn),
    ] {
        let (url, thread) = answering_once(answer);
        let replica = site.replica(&format!("{}.db", &answer[..3]));
        replica.create_space("home").unwrap();
        let mut events = replica.events();
        replica.connect(Relay::new(url)).unwrap();
        let heard = site.hear_all(&mut events, is_disconnected);
        let Some(SyncEvent::Disconnected { class: told, reason }) = heard.last() else { panic!("{heard:?}") };
        // What is asked waits for what the thread is about to do, and it does nothing.
        assert!(!replica.request(Trigger::Timer).unwrap().is_start());
        let status = replica.status().unwrap();
        assert_eq!((status.state, *told), (state, class), "{answer}: {status:?}");
        assert_eq!((status.spaces[0].state, status.last_error.as_ref()), (state, Some(reason)), "{answer}");
        assert_eq!((status.retry_in_ms, status.blocked_until_ms, status.progress), (None, None, None), "{answer}");
        let listener = thread.join().unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "{answer}: the relay was asked again");
        replica.disconnect();
        site.sync(&replica);
        assert_eq!(replica.status().unwrap().state, SyncState::Idle, "the control: a relay that is well");
    }
}

/// What no person should read: how a value of the program, or an error of the system, is written down for its developers.
const RAW: [&str; 10] = ["Err(", "Ok(", "Some(", "None", "os error", "::", "{", "}", "Error", "\""];

/// Holds that a replica says these words of its trouble, and nothing raw there or where it explains itself.
fn assert_says(replica: &Replica, words: &str) {
    let status = replica.status().unwrap();
    assert_eq!(status.last_error.as_deref(), Some(words));
    for text in [words.to_owned(), replica.explain().unwrap().remove(0).to_string()] {
        let raw: Vec<_> = RAW.iter().filter(|raw| text.contains(**raw)).collect();
        assert!(raw.is_empty(), "{raw:?} in {text}");
    }
}

/// An address where nobody listens, nor will anybody while the socket is held: its port is taken.
#[cfg(unix)]
fn refusing() -> (impl Drop, SocketAddr) {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

    let held = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&held, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = getsockname(&held).unwrap().try_into().unwrap();
    (held, address)
}

#[cfg(unix)]
#[test]
fn what_went_wrong_is_said_in_words_for_a_person() {
    let site = site();
    let said_of = |name: &str, url: String, words: &str| {
        let replica = site.replica(name);
        replica.create_space("home").unwrap();
        let mut events = replica.events();
        replica.connect(Relay::new(url)).unwrap();
        // Whoever hears of it may look at the status at once, and another attempt takes nothing of it back.
        site.hear_all(&mut events, is_disconnected);
        assert_says(&replica, words);
        replica.disconnect();
        site.sync(&replica);
        assert_eq!(replica.status().unwrap().last_error, None, "the control: a relay that is well");
    };
    let (_held, closed) = refusing();
    said_of("closed.db", format!("ws://{closed}"), "the relay cannot be reached: Connection refused");
    for (answer, words) in [
        ("401 Unauthorized", "the relay did not accept the token: sign in again (HTTP status 401)"),
        (
            "426 Upgrade Required",
            "the relay speaks another version of the protocol: the older side has to be upgraded (HTTP status 426)",
        ),
        ("429 Too Many Requests\r\nretry-after: 3000", "the relay asks for fewer connections (HTTP status 429)"),
        ("503 Service Unavailable\r\nretry-after: 3000", "the relay cannot take connections now (HTTP status 503)"),
    ] {
        let (url, thread) = answering_once(answer);
        said_of(&format!("{}.db", &answer[..3]), url, words);
        drop(thread.join().unwrap());
    }
}

#[test]
fn a_space_that_is_not_served_says_so_in_words_for_a_person() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Tokens);
    let [ada, ben] = ["ada", "ben"].map(|user| {
        site.relay.administer(&["user", "create", user]);
        let replica = site.replica(&format!("{user}.db"));
        let token = site.relay.create_token_with(&["--user", user]);
        replica.connect(Relay::new(site.relay.url()).token(token)).unwrap();
        replica
    });
    let home = ada.create_space("home").unwrap();
    site.sync(&ada);
    assert_eq!(ada.status().unwrap().last_error, None, "the control: she may use it");
    ben.join_space(home.id()).unwrap();
    assert!(site.try_sync(&ben).is_err());
    assert!(ben.status().unwrap().spaces[0].refused);
    assert_says(&ben, "the relay knows no such space for this token");
}

#[test]
fn failures_in_a_row_are_told_at_each_so_many_and_counted_anew_after_a_success() {
    let mut site = site();
    let replica = site.replica("device.db");
    let tasks: Collection<Task> = replica.create_space("home").unwrap().collection("tasks").unwrap();
    site.sync(&replica);
    replica.tell_after_failures(2);
    let mut events = replica.events();
    site.relay.kill();
    // The word comes with the failure that makes it so many, before the word of that failure itself.
    let is_repeated = |event: &SyncEvent| matches!(event, SyncEvent::FailingRepeatedly { .. });
    let next = |events: &mut Receiver<SyncEvent>| {
        let heard = site.hear_all(events, is_repeated);
        let Some(SyncEvent::FailingRepeatedly { space: None, failures, reason }) = heard.last().cloned() else {
            panic!()
        };
        assert!(!reason.is_empty());
        (failures, heard.iter().filter(|event| is_disconnected(event)).count())
    };
    assert_eq!(next(&mut events), (2, 1), "not at the first");
    assert_eq!(next(&mut events), (4, 2), "nor at the third");
    // The next attempt may have failed by now: how soon it comes is drawn by lot.
    assert!(replica.status().unwrap().failures >= 4);

    site.relay.restart();
    tasks.insert(&Task::number(1)).unwrap();
    site.hear_all(&mut events, |event| matches!(event, SyncEvent::Completed { .. }));
    site.sync(&replica);
    assert_eq!(replica.status().unwrap().failures, 0);
    site.relay.kill();
    let heard = site.hear_all(&mut events, is_repeated);
    assert!(matches!(heard.last(), Some(SyncEvent::FailingRepeatedly { failures: 2, .. })), "{heard:?}");
    assert_eq!(heard.iter().filter(|event| is_disconnected(event)).count(), 1, "{heard:?}");
    replica.disconnect();
}
