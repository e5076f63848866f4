//! The steps of sync with their ids and figures: as `tracing` events, and on the stream that one subscribes to, the same.

use afield::{Collection, Decision, Reason, Relay, Replica, RunFigures, SyncEvent, Trigger};
use afield_tests::processes::{Access, Program, Site};
use afield_tests::told::Told;
use serde_json::{Value as Json, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The names of the steps.
const NAMES: [&str; 6] =
    ["sync.request", "sync.started", "sync.progress", "sync.blocked", "sync.completed", "sync.failed"];

/// The steps that were told: the name of each, and its fields.
fn steps(told: &Told) -> Vec<(String, Json)> {
    let text = told.text();
    let lines = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let fields = lines.filter_map(|mut line| match line["fields"].take() {
        Json::Object(fields) => Some(fields),
        _ => None,
    });
    let named = fields.filter_map(|mut fields| Some((fields.remove("message")?.as_str()?.to_owned(), fields.into())));
    named.filter(|(name, _)| NAMES.contains(&name.as_str())).collect()
}

/// What the log says of an event of the stream, where it is a step.
fn said(event: &SyncEvent) -> Option<(String, Json)> {
    let id = |space: &Option<afield::SpaceId>| space.map(|space| space.to_string());
    let with = |figures: &RunFigures, mut fields: Json| {
        let Json::Object(figures) = serde_json::to_value(figures).unwrap() else { panic!("figures have names") };
        fields.as_object_mut().unwrap().extend(figures);
        fields
    };
    let (name, mut fields) = match event {
        SyncEvent::Requested { space, trigger, decision } => {
            let mut fields =
                json!({ "space": id(space), "trigger": trigger.name(), "reason": decision.reason().name() });
            fields["decision"] = decision.name().into();
            match decision {
                Decision::Skip { retry_after_ms, .. } => fields["retry_after_ms"] = json!(retry_after_ms),
                Decision::Block { blocked_until_ms, .. } => fields["blocked_until_ms"] = json!(blocked_until_ms),
                _ => {}
            }
            ("sync.request", fields)
        }
        SyncEvent::Started { space, trigger, reason } => {
            ("sync.started", json!({ "space": id(space), "trigger": trigger.name(), "reason": reason.name() }))
        }
        SyncEvent::Progress { space, changes_sent, changes_received, bytes_received } => {
            let (space, sent, received) = (space.to_string(), changes_sent, changes_received);
            let bytes = bytes_received;
            let fields =
                json!({ "space": space, "changes_sent": sent, "changes_received": received, "bytes_received": bytes });
            ("sync.progress", fields)
        }
        SyncEvent::Blocked { space, reason, blocked_until_ms } => {
            let fields = json!({ "space": id(space), "reason": reason.name(), "blocked_until_ms": blocked_until_ms });
            ("sync.blocked", fields)
        }
        SyncEvent::Completed { space, trigger, figures } => {
            ("sync.completed", with(figures, json!({ "space": id(space), "trigger": trigger.name() })))
        }
        SyncEvent::Failed { space, trigger, reason, failures, figures } => {
            let fields =
                json!({ "space": id(space), "trigger": trigger.name(), "reason": reason, "failures": failures });
            ("sync.failed", with(figures, fields))
        }
        _ => return None,
    };
    // The log leaves out what there is none of.
    fields.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    Some((name.to_owned(), fields))
}

fn wall_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn notes(replica: &Replica) -> Collection<()> {
    replica.spaces().unwrap().remove(0).collection("notes").unwrap()
}

/// Writes so many notes.
fn write(replica: &Replica, count: usize) {
    for number in 0..count {
        notes(replica).json().insert(&json!({ "number": number })).unwrap();
    }
}

/// Puts something on the relay that others have to fetch.
fn publish(site: &Site, space: afield::SpaceId, count: usize) {
    let other = site.replica("other.db");
    other.join_space(space).unwrap();
    write(&other, count);
    site.sync(&other);
    other.disconnect();
}

#[test]
fn each_step_has_its_ids_and_figures_in_the_log_and_on_the_stream_alike() {
    let told = Told::default();
    let mut site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let replica = site.replica("device.db");
    let space = replica.create_space("home").unwrap().id();
    write(&replica, 3);
    site.sync(&replica);
    replica.disconnect();
    publish(&site, space, 5);
    write(&replica, 2);

    // From here on there is one device that tells anything.
    let of_subscriber = told.clone();
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(tracing_subscriber::EnvFilter::new("off,afield=trace"))
        .with_writer(move || of_subscriber.clone())
        .init();
    let mut events = replica.events();
    let is_off = replica.request(Trigger::NetworkBack).unwrap();
    assert_eq!(is_off, Decision::block(Reason::SyncOff, None));
    replica.connect(Relay::new(site.relay.url())).unwrap();
    let mut all = site.hear_all(&mut events, |event| matches!(event, SyncEvent::Completed { .. }));
    site.relay.kill();
    all.extend(site.hear_all(&mut events, |event| matches!(event, SyncEvent::Failed { failures: 2, .. })));
    let before_ms = wall_ms();
    while replica.request(Trigger::push("a notification")).unwrap().reason() != Reason::BackOff {}
    all.extend(site.hear_all(&mut events, |event| matches!(event, SyncEvent::Blocked { reason: Reason::BackOff, .. })));
    replica.disconnect();
    while let Ok(event) = events.try_recv() {
        all.push(event);
    }

    let streamed: Vec<_> = all.iter().filter_map(said).collect();
    assert_eq!(steps(&told), streamed, "the log and the stream say the same, in the same order");
    let (this, start_up) = (Some(space), Trigger::StartUp);
    let find = |is_it: &dyn Fn(&SyncEvent) -> bool| {
        all.iter().find(|event| is_it(event)).unwrap_or_else(|| panic!("{all:#?}"))
    };
    let requested = |of: &Trigger, so: Decision| {
        let expected = SyncEvent::Requested { space: this, trigger: of.clone(), decision: so };
        find(&|event| *event == expected);
    };
    requested(&Trigger::NetworkBack, is_off);
    find(&|event| *event == SyncEvent::Blocked { space: this, reason: Reason::SyncOff, blocked_until_ms: None });
    requested(&start_up, Decision::start(Reason::Wanted));
    let started = SyncEvent::Started { space: this, trigger: start_up.clone(), reason: Reason::Wanted };
    find(&|event| *event == started);
    let is_progress = |event: &SyncEvent| matches!(event, SyncEvent::Progress { space: of, .. } if *of == space);
    let SyncEvent::Progress { changes_sent, changes_received, bytes_received, .. } = find(&is_progress) else {
        panic!()
    };
    assert!(changes_sent + changes_received > 0 && *changes_received <= 5 && *changes_sent <= 2);
    assert_eq!(*bytes_received > 0, *changes_received > 0);

    let SyncEvent::Completed { space: of, trigger, figures } =
        find(&|event| matches!(event, SyncEvent::Completed { .. }))
    else {
        panic!()
    };
    assert_eq!((of, trigger), (&this, &start_up));
    assert_eq!((figures.changes_sent, figures.changes_received), (2, 5));
    assert!(figures.bytes_sent > 0 && figures.bytes_received > 0);
    assert!(u128::from(figures.duration_ms) <= PATIENCE.as_millis());
    let is_failed = |event: &SyncEvent| matches!(event, SyncEvent::Failed { failures: 2, .. });
    let SyncEvent::Failed { space: of, trigger, reason, figures, .. } = find(&is_failed) else { panic!() };
    assert_eq!((of, trigger), (&this, &Trigger::Retry));
    assert!(!reason.is_empty() && figures.changes_sent + figures.changes_received == 0, "nobody was there");
    let is_waiting = |event: &SyncEvent| matches!(event, SyncEvent::Blocked { reason: Reason::BackOff, .. });
    let SyncEvent::Blocked { space: of, blocked_until_ms, .. } = find(&is_waiting) else { panic!() };
    let until_ms = blocked_until_ms.expect("a wait after a failure ends by itself");
    assert!(*of == this && until_ms > before_ms && until_ms <= wall_ms() + 60_000, "{until_ms} after {before_ms}");
    for name in NAMES {
        assert!(streamed.iter().any(|(told, _)| told == name), "{name}");
    }
}
