//! What the library tells of itself as `tracing` events: the names of sync's steps, and no content, token or key (S6).

use afield::{Choice, Collection, Confirm, Guard, Path, Relay, Replica, SpaceId, Strategy, SyncEvent, Trigger, Value};
use afield_tests::processes::{Access, Program, Site};
use afield_tests::told::Told;
use serde_json::json;

/// What stands in the fields of entities, in their names, in searches, in what is shown to others, and in what is imported.
const CONTENT: &str = "zebra-at-midnight-4711";
/// A token that no relay knows.
const WRONG_TOKEN: &str = "afield_quokka_at_noon_0815";

fn notes(replica: &Replica, space: SpaceId) -> Collection<()> {
    replica.space(space).unwrap().collection("notes").unwrap()
}

/// Does what a library could want to tell of, with content in all of it.
fn live(site: &mut Site, token: &str) {
    let open = |name: &str| Replica::options().author(CONTENT).open(site.path(name)).unwrap();
    let (anna, ben) = (open("anna.db"), open("ben.db"));
    let home = anna.create_space(CONTENT).unwrap();
    let space = home.id();
    ben.join_space(space).unwrap();
    let mut events = anna.events();
    anna.connect(Relay::new(site.relay.url()).token(WRONG_TOKEN)).unwrap();
    assert!(site.try_sync(&anna).is_err());
    for replica in [&anna, &ben] {
        replica.disconnect();
        replica.connect(Relay::new(site.relay.url()).token(token)).unwrap();
    }
    let ids: Vec<_> = (0..4)
        .map(|_| {
            notes(&anna, space).json().insert(&json!({ "title": CONTENT, CONTENT: { "$text": CONTENT } })).unwrap()
        })
        .collect();
    home.presence().set(&CONTENT).unwrap();
    site.sync_all(&[&anna, &ben]);
    for (replica, name) in [(&anna, "anna"), (&ben, "ben")] {
        let entity = notes(replica, space).entity(ids[0]).unwrap();
        let _ = entity.map(Path::ROOT).put(CONTENT, Value::Str(format!("{CONTENT}-{name}"))).unwrap();
        let _ = entity.map(Path::ROOT).put("title", Value::Str(format!("{CONTENT}-{name}"))).unwrap();
    }
    site.sync_all(&[&anna, &ben]);
    let conflict = home.conflicts().unwrap().remove(0);
    let _ = conflict.resolve(&Choice::Keep(1)).unwrap();
    notes(&anna, space).on_conflict(Strategy::Newest).unwrap();
    assert!(notes(&anna, space).json().query(&format!("\"{CONTENT}\" = ?"), [CONTENT]).unwrap().all().is_ok());
    assert!(notes(&anna, space).json().query(&format!("({CONTENT}"), ()).is_err());
    assert!(home.import(format!("{{\"{CONTENT}\"\n").as_bytes(), |_| ()).is_err());
    home.set_guard(Guard { deletions: Some(1), share: None }).unwrap();
    for id in &ids[..2] {
        let _ = notes(&anna, space).delete(*id).unwrap();
    }
    assert!(site.try_sync(&anna).is_err(), "much is deleted");
    home.confirm(&home.held().unwrap()).unwrap();
    notes(&anna, space).purge(ids[2], Confirm::Yes).unwrap();
    site.sync_all(&[&anna, &ben]);
    anna.maintain().unwrap();
    site.relay.kill();
    let _ = notes(&anna, space).entity(ids[3]).unwrap().map(Path::ROOT).put("title", CONTENT).unwrap();
    let is_lost = |event: &SyncEvent| matches!(event, SyncEvent::Failed { .. });
    while !site.block_on(events.recv()).is_ok_and(|event| is_lost(&event)) {}
    while anna.request(Trigger::Timer).unwrap().is_start() {}
    for replica in [&anna, &ben] {
        replica.disconnect();
    }
}

#[test]
fn sync_tells_its_steps_by_name_and_nothing_of_what_is_synced() {
    let told = Told::default();
    let of_subscriber = told.clone();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("off,afield=trace"))
        .with_ansi(false)
        .with_writer(move || of_subscriber.clone())
        .init();
    let mut site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Tokens);
    let token = site.relay.create_token();
    live(&mut site, &token);
    let told = told.text();
    for name in ["sync.request", "sync.started", "sync.progress", "sync.blocked", "sync.completed", "sync.failed"] {
        let line = told.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name} is missing: {told}"));
        assert!(line.contains(" afield::"), "{line}");
    }
    for figure in ["space=", "trigger=", "reason=", "changes_sent", "bytes_received", "session="] {
        assert!(told.contains(figure), "{figure} is missing: {told}");
    }
    for secret in [CONTENT, WRONG_TOKEN, &token, "zebra", "quokka"] {
        let leak = told.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "S6");
    }
}
