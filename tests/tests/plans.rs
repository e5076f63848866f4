//! Dry runs and sandboxes with a real relay: what a plan says is what the run does, and looking changes nothing anywhere.

use afield::{
    Collection, Confirm, Durability, EntityId, Filter, PlanError, PlannedEffect, PlannedEntity, PlannedWay, Relay,
    Replica, Space, SpaceId, Strategy, SyncPlan,
};
use afield_core::change::ChangeHeader;
use afield_core::erasure::ERASURE_BYTES;
use afield_core::session::LogEntry;
use afield_core::{ChunkKind, Limits};
use afield_tests::contents::LogContents;
use afield_tests::processes::{Access, Program, Site};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn notes(replica: &Replica, space: SpaceId) -> Collection<()> {
    replica.space(space).unwrap().collection("notes").unwrap()
}

fn insert(replica: &Replica, space: SpaceId, title: &str) -> EntityId {
    notes(replica, space).json().insert(&json!({ "title": title })).unwrap()
}

fn edit(replica: &Replica, space: SpaceId, id: EntityId, title: &str) {
    let _ = notes(replica, space).json().edit(id, |note| note["title"] = title.into()).unwrap();
}

fn plan(site: &Site, space: &Space) -> SyncPlan {
    site.block_on(space.plan_with(Relay::new(site.relay.url()), |_| {})).unwrap()
}

/// What a store holds: each change with its size, which entities are deleted, and which were purged.
#[derive(Debug, Default, PartialEq)]
struct Stored {
    changes: BTreeMap<(Vec<u8>, Vec<u8>), u64>,
    deleted: BTreeMap<Vec<u8>, bool>,
    purged: BTreeSet<Vec<u8>>,
    bodies: Vec<(Vec<u8>, Vec<u8>)>,
}

fn stored(site: &Site, name: &str, space: SpaceId) -> Stored {
    let store = Connection::open_with_flags(site.path(name), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let space = space.as_bytes().to_vec();
    let of_space = "space_row = (SELECT space_row FROM spaces WHERE space = ?1)";
    let mut found = Stored::default();
    let sql =
        format!("SELECT entity, hash, size FROM changes JOIN entities USING (entity_row) WHERE changes.{of_space}");
    let mut statement = store.prepare(&sql).unwrap();
    let rows = statement.query_map([&space], |row| Ok(((row.get(0)?, row.get(1)?), u64::from(row.get::<_, u32>(2)?))));
    found.changes = rows.unwrap().collect::<Result<_, _>>().unwrap();
    let sql =
        format!("SELECT entity, deleted FROM projections JOIN entities USING (entity_row) WHERE entities.{of_space}");
    let mut statement = store.prepare(&sql).unwrap();
    let rows = statement.query_map([&space], |row| Ok((row.get(0)?, row.get(1)?)));
    found.deleted = rows.unwrap().collect::<Result<_, _>>().unwrap();
    let sql = format!("SELECT entity FROM erasures WHERE {of_space}");
    let mut statement = store.prepare(&sql).unwrap();
    found.purged = statement.query_map([&space], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let sql = "SELECT hash, bytes FROM bodies JOIN changes USING (change_row) ORDER BY change_row";
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    found.bodies = rows.unwrap().collect::<Result<_, _>>().unwrap();
    found
}

/// Changes sent and received by all runs of a space.
fn moved(space: &Space) -> (u64, u64) {
    let runs = space.runs(2_000).unwrap();
    runs.iter().fold((0, 0), |(sent, received), run| {
        (sent + run.figures.changes_sent, received + run.figures.changes_received)
    })
}

/// What a plan is to say of what a run has brought: changes and bytes by entity, who is deleted by it, and who purged.
fn check_received(planned: &PlannedWay, (before, after): (&Stored, &Stored), log: &LogContents) {
    let changes = log.entries().iter().filter(|entry| entry.kind == ChunkKind::Change);
    let hash = |entry: &LogEntry| ChangeHeader::read(&entry.bytes, &Limits::DEFAULT).unwrap().hash.0.to_vec();
    let on_relay: BTreeSet<(Vec<u8>, Vec<u8>)> =
        changes.map(|entry| (entry.entity.as_bytes().to_vec(), hash(entry))).collect();
    let mut brought: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
    for ((entity, hash), size) in &after.changes {
        // What strategies have decided came from here.
        let change = (entity.clone(), hash.clone());
        if !before.changes.contains_key(&change) && on_relay.contains(&change) {
            let (changes, bytes) = brought.entry(entity.clone()).or_default();
            (*changes, *bytes) = (*changes + 1, *bytes + size);
        }
    }
    let of = |effect| {
        let of_effect = planned.list.iter().filter(move |entity| entity.effect == effect);
        of_effect.map(|entity| entity.entity.as_bytes().to_vec()).collect::<BTreeSet<_>>()
    };
    let here = |entity: &&Vec<u8>| before.deleted.contains_key(*entity);
    let purged: BTreeSet<_> = after.purged.difference(&before.purged).filter(here).cloned().collect();
    assert_eq!(of(PlannedEffect::Purged), purged);
    let listed = planned.list.iter().filter(|entity| entity.effect != PlannedEffect::Purged);
    let listed: BTreeMap<_, _> =
        listed.map(|entity| (entity.entity.as_bytes().to_vec(), (entity.changes, entity.bytes))).collect();
    assert_eq!(listed, brought);
    let turned = |from: bool| {
        let turned = before.deleted.iter().filter(|(id, was)| **was == from && after.deleted.get(*id) == Some(&!from));
        turned.map(|(id, _)| id.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(of(PlannedEffect::Deleted), turned(false));
    assert_eq!(of(PlannedEffect::Restored), turned(true));
    let new = brought.keys().filter(|entity| !before.deleted.contains_key(*entity)).cloned().collect::<BTreeSet<_>>();
    assert_eq!(of(PlannedEffect::New), new);
    assert_eq!(planned.changes, brought.values().map(|(changes, _)| changes).sum::<u64>());
    let bytes = brought.values().map(|(_, bytes)| bytes).sum::<u64>() + purged.len() as u64 * ERASURE_BYTES as u64;
    assert_eq!(planned.bytes, bytes);
    assert_eq!((planned.deletions, planned.purges), (turned(false).len() as u64, purged.len() as u64));
    assert_eq!(planned.entities as usize, planned.list.len());
}

/// What a plan is to say of what a run has added to the log: changes and records, and their bytes, by entity.
fn check_sent(planned: &PlannedWay, before: &LogContents, after: &LogContents) {
    let mut added: BTreeMap<EntityId, (u64, u64)> = BTreeMap::new();
    for entry in after.entries().iter().filter(|entry| entry.sequence > before.head().sequence) {
        let (chunks, bytes) = added.entry(entry.entity).or_default();
        (*chunks, *bytes) = (*chunks + 1, *bytes + entry.bytes.len() as u64);
    }
    let chunks = |entity: &PlannedEntity| entity.changes + u64::from(entity.effect == PlannedEffect::Purged);
    let listed = planned.list.iter().map(|entity| (entity.entity, (chunks(entity), entity.bytes)));
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), added);
    assert_eq!(planned.entities as usize, added.len());
    assert_eq!(planned.bytes, added.values().map(|(_, bytes)| bytes).sum::<u64>());
}

/// What somebody does to the notes of a space.
#[derive(Debug, Clone)]
enum Step {
    Insert(usize),
    Edit(usize, usize),
    Delete(usize, usize),
    Restore(usize, usize),
    Purge(usize, usize),
    Sync(usize),
}

fn step() -> impl Generator<Value = Step> {
    let (who, which) = (0..2_usize, 0..6_usize);
    prop_oneof![
        3 => who.clone().prop_map(Step::Insert),
        4 => (who.clone(), which.clone()).prop_map(|(who, which)| Step::Edit(who, which)),
        2 => (who.clone(), which.clone()).prop_map(|(who, which)| Step::Delete(who, which)),
        1 => (who.clone(), which.clone()).prop_map(|(who, which)| Step::Restore(who, which)),
        1 => (who.clone(), which).prop_map(|(who, which)| Step::Purge(who, which)),
        2 => who.prop_map(Step::Sync),
    ]
}

/// Does what can be done: what one does not have, or had purged, it cannot edit.
fn act(site: &Site, replicas: &[Replica; 2], space: SpaceId, step: &Step) {
    let pick = |who: usize, which: usize| {
        let notes = notes(&replicas[who], space);
        let all = [notes.ids().unwrap(), notes.deleted().unwrap()].concat();
        all.get(which % all.len().max(1)).copied()
    };
    match *step {
        Step::Insert(who) => drop(insert(&replicas[who], space, "new")),
        Step::Edit(who, which) => {
            if let Some(id) = pick(who, which) {
                let _ = notes(&replicas[who], space).json().edit(id, |note| note["title"] = which.into());
            }
        }
        Step::Delete(who, which) => {
            if let Some(id) = pick(who, which) {
                let _ = notes(&replicas[who], space).delete(id).unwrap();
            }
        }
        Step::Restore(who, which) => {
            if let Some(id) = pick(who, which) {
                let _ = notes(&replicas[who], space).restore(id).unwrap();
            }
        }
        Step::Purge(who, which) => {
            if let Some(id) = pick(who, which) {
                notes(&replicas[who], space).purge(id, Confirm::Yes).unwrap();
            }
        }
        Step::Sync(who) => {
            site.sync(&replicas[who]);
            replicas[who].disconnect();
        }
    }
}

#[test]
fn a_plan_equals_what_the_run_then_does() {
    let site = site();
    let replicas = [site.replica("anna.db"), site.replica("ben.db")];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let cases = (prop::collection::vec(step(), 0..24), prop::sample::select(Strategy::ALL.to_vec()));
    let tested = runner.run(&cases, |(steps, strategy)| {
        let home = replicas[0].create_space("home").unwrap();
        notes(&replicas[0], home.id()).on_conflict(strategy).unwrap();
        let space = home.id();
        replicas[1].join_space(space).unwrap();
        site.sync(&replicas[0]);
        replicas[0].disconnect();
        steps.iter().for_each(|step| act(&site, &replicas, space, step));
        // Whoever is behind: what the other one did is on the relay, what it did itself is not.
        site.sync(&replicas[1]);
        replicas[1].disconnect();

        let contents = || site.relay.contents(space).unwrap();
        let (log, contents_before) = (|| format!("{:?}", contents()), contents());
        let (before, log_before, moved_before) = (stored(&site, "anna.db", space), log(), moved(&home));
        let plan = plan(&site, &home);
        assert_eq!(stored(&site, "anna.db", space), before, "nothing is applied");
        assert!(log() == log_before, "nothing is sent");
        let to_send = home.plan_to_send().unwrap();
        let are_known = contents_before.entries().iter().filter(|entry| entry.kind == ChunkKind::Erasure);
        let purged_there: BTreeSet<_> = are_known.map(|entry| entry.entity).collect();
        let is_left = |entity: &&PlannedEntity| !purged_there.contains(&entity.entity);
        let left: Vec<_> = to_send.list.iter().filter(is_left).cloned().collect();
        match strategy {
            Strategy::Merge | Strategy::Manual => assert_eq!(plan.send.list, left, "what is purged there goes nowhere"),
            _ => assert!(
                plan.send.changes >= left.iter().map(|entity| entity.changes).sum(),
                "what is decided goes besides"
            ),
        }

        site.sync(&replicas[0]);
        replicas[0].disconnect();
        check_received(&plan.receive, (&before, &stored(&site, "anna.db", space)), &contents_before);
        let moved_after = moved(&home);
        let received = moved_after.1 - moved_before.1;
        assert_eq!(plan.receive.changes, received);
        assert_eq!(plan.send.changes + plan.send.purges, moved_after.0 - moved_before.0);
        check_sent(&plan.send, &contents_before, &contents());
        // The other one is told of the very deletions that were planned to be sent.
        let others = stored(&site, "ben.db", space);
        site.sync(&replicas[1]);
        replicas[1].disconnect();
        let others_after = stored(&site, "ben.db", space);
        for entity in plan.send.list.iter().filter(|entity| entity.effect == PlannedEffect::Deleted) {
            let id = entity.entity.as_bytes().to_vec();
            let was_there = others.deleted.get(&id) == Some(&false);
            assert!(!was_there || others_after.deleted.get(&id) == Some(&true));
        }
        for replica in &replicas {
            let _ = replica.leave_space_discarding(space).unwrap();
        }
        Ok(())
    });
    tested.unwrap();
}

/// A space of two devices with notes that both have, of which one is left as it is.
fn shared(site: &Site, names: [&str; 2]) -> ([Replica; 2], Space, [EntityId; 2]) {
    let replicas = names.map(|name| site.replica(name));
    let home = replicas[0].create_space("home").unwrap();
    replicas[1].join_space(home.id()).unwrap();
    let ids = [insert(&replicas[0], home.id(), "Trip"), insert(&replicas[0], home.id(), "Other")];
    site.sync_all(&[&replicas[0], &replicas[1]]);
    replicas.iter().for_each(Replica::disconnect);
    (replicas, home, ids)
}

/// Syncs one device as it was planned, and holds the plan against what that did.
fn sync_as_planned(site: &Site, (name, replica): (&str, &Replica), home: &Space, plan: &SyncPlan) {
    let (log, before, moved_before) =
        (site.relay.contents(home.id()).unwrap(), stored(site, name, home.id()), moved(home));
    site.sync(replica);
    replica.disconnect();
    check_received(&plan.receive, (&before, &stored(site, name, home.id())), &log);
    check_sent(&plan.send, &log, &site.relay.contents(home.id()).unwrap());
    let moved_after = moved(home);
    assert_eq!(plan.receive.changes, moved_after.1 - moved_before.1);
    assert_eq!(plan.send.changes + plan.send.purges, moved_after.0 - moved_before.0);
}

#[test]
fn what_somebody_else_purged_is_neither_planned_to_come_nor_to_go() {
    let site = site();
    let ([anna, ben], home, [gone, other]) = shared(&site, ["anna.db", "ben.db"]);
    edit(&ben, home.id(), gone, "of Ben");
    site.sync(&ben);
    notes(&ben, home.id()).purge(gone, Confirm::Yes).unwrap();
    edit(&ben, home.id(), other, "of Ben, too");
    site.sync(&ben);
    edit(&anna, home.id(), gone, "of Anna");
    edit(&anna, home.id(), gone, "of Anna again");
    edit(&anna, home.id(), other, "of Anna, too");
    let plan = plan(&site, &home);
    assert_eq!((plan.receive.changes, plan.receive.purges, plan.receive.entities), (1, 1, 2));
    assert_eq!((plan.send.changes, plan.send.purges, plan.send.entities), (1, 0, 1), "the log takes nothing of it");
    sync_as_planned(&site, ("anna.db", &anna), &home, &plan);
}

#[test]
fn what_was_purged_here_and_is_not_sent_yet_is_not_planned_to_come() {
    let site = site();
    let ([anna, ben], home, [gone, other]) = shared(&site, ["anna.db", "ben.db"]);
    notes(&anna, home.id()).purge(gone, Confirm::Yes).unwrap();
    edit(&ben, home.id(), gone, "of Ben");
    edit(&ben, home.id(), other, "of Ben, too");
    site.sync(&ben);
    let planned = plan(&site, &home);
    assert_eq!((planned.receive.changes, planned.receive.entities), (1, 1), "what comes of it is dropped");
    assert_eq!((planned.send.changes, planned.send.purges), (0, 1));
    sync_as_planned(&site, ("anna.db", &anna), &home, &planned);

    // Both purge the same, each without knowing.
    notes(&anna, home.id()).purge(other, Confirm::Yes).unwrap();
    notes(&ben, home.id()).purge(other, Confirm::Yes).unwrap();
    site.sync(&ben);
    assert_eq!(home.plan_to_send().unwrap().purges, 1, "the control: it waits here");
    let planned = plan(&site, &home);
    assert_eq!((planned.receive.entities, planned.send.entities), (0, 0), "there is one record of it, which is there");
    sync_as_planned(&site, ("anna.db", &anna), &home, &planned);
}

#[test]
fn what_a_widened_filter_brings_once_more_is_neither_planned_nor_counted() {
    let site = site();
    let ([anna, ben], home, [here, _]) = shared(&site, ["anna.db", "ben.db"]);
    let tasks = |replica: &Replica| replica.space(home.id()).unwrap().collection::<()>("tasks").unwrap().json();
    home.set_filter(Filter::collections(["notes"])).unwrap();
    let task = tasks(&anna).insert(&json!({ "title": "of Anna" })).unwrap();
    site.sync_all(&[&anna, &ben]);
    let _ = tasks(&ben).edit(task, |task| task["title"] = "of Ben".into()).unwrap();
    tasks(&ben).insert(&json!({ "title": "more" })).unwrap();
    edit(&ben, home.id(), here, "of Ben, too");
    site.sync_all(&[&ben, &anna]);
    anna.disconnect();
    home.set_filter(Filter::everything()).unwrap();
    let planned = plan(&site, &home);
    assert_eq!((planned.receive.changes, planned.receive.entities), (2, 2), "what was written here is here");
    sync_as_planned(&site, ("anna.db", &anna), &home, &planned);
    assert_eq!(plan(&site, &home).receive.changes, 0);
}

#[test]
fn a_plan_decides_conflicts_as_the_device_does_and_counts_what_it_would_send_for_that() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    for (strategy, decided) in
        [(Strategy::Newest, "of Ben"), (Strategy::PreferThis, "of Anna"), (Strategy::PreferOther, "of Ben")]
    {
        let home = anna.create_space("home").unwrap();
        let space = home.id();
        ben.join_space(space).unwrap();
        let (id, other) = (insert(&anna, space, "Trip"), insert(&anna, space, "Other"));
        site.sync_all(&[&anna, &ben]);
        anna.disconnect();
        notes(&anna, space).on_conflict(strategy).unwrap();
        edit(&anna, space, id, "of Anna");
        edit(&anna, space, other, "Another");
        edit(&ben, space, id, "of Ben");
        site.sync(&ben);
        ben.disconnect();
        let log = site.relay.contents(space).unwrap();
        let plan = plan(&site, &home);
        assert_eq!((plan.send.entities, plan.send.changes), (2, 3), "{strategy}: both edits, and a decision");
        site.sync(&anna);
        anna.disconnect();
        check_sent(&plan.send, &log, &site.relay.contents(space).unwrap());
        assert_eq!(notes(&anna, space).json().read(id).unwrap()["title"], decided, "{strategy}");
        assert!(home.conflicts().unwrap().is_empty(), "{strategy}");
    }
}

#[test]
fn a_sandbox_shows_what_would_be_and_can_be_compared_and_deleted() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("home").unwrap().id();
    ben.join_space(space).unwrap();
    let (changed, gone) = (insert(&anna, space, "Trip"), insert(&anna, space, "Old"));
    site.sync_all(&[&anna, &ben]);
    anna.disconnect();
    let _ = notes(&ben, space).json().edit(changed, |note| note["place"] = json!("north")).unwrap();
    let _ = notes(&ben, space).delete(gone).unwrap();
    let new = insert(&ben, space, "New");
    site.sync(&ben);
    edit(&anna, space, changed, "Trip!");

    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let progress = {
        let told = told.clone();
        move |progress| told.lock().unwrap().push(progress)
    };
    let relay = Relay::new(site.relay.url());
    let sandbox = site.block_on(anna.sandbox_with(relay, site.path("look.db"), progress)).unwrap();
    assert!(!told.lock().unwrap().is_empty(), "how far it is, is told");
    assert_ne!(sandbox.replica().device().unwrap(), anna.device(), "the copy is a device of its own");
    let home = sandbox.replica().spaces().unwrap().remove(0);
    let mut ids = home.ids("notes").unwrap();
    ids.sort();
    assert_eq!(ids, BTreeSet::from([changed, new]).into_iter().collect::<Vec<_>>());
    assert!(home.read("notes", gone).unwrap().is_deleted());
    let differences = sandbox.differences(space, "notes", changed).unwrap();
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].path.to_string(), "place");
    assert!(!sandbox.differences(space, "notes", new).unwrap().is_empty());
    let received = sandbox.received(space).unwrap();
    assert_eq!((received.entities, received.changes, received.deletions), (3, 3, 1));

    assert_eq!(notes(&anna, space).json().read(changed).unwrap()["title"], "Trip!", "the store is as it was");
    assert_eq!(notes(&anna, space).ids().unwrap(), [changed, gone]);
    let refused = site.block_on(anna.sandbox_with(Relay::new(site.relay.url()), site.path("look.db"), |_| {}));
    assert_eq!(refused.unwrap_err().code(), "backup.exists");
    sandbox.remove().unwrap();
    let left: Vec<_> = std::fs::read_dir(site.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("look")), "{left:?}");
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("plan")), "{left:?}");
}

#[test]
fn a_sandbox_does_not_count_as_a_device_that_has_what_it_looked_at() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let home = anna.create_space("home").unwrap();
    ben.join_space(home.id()).unwrap();
    site.sync_all(&[&anna, &ben]);
    ben.disconnect();
    let id = insert(&anna, home.id(), "Trip");
    let write = notes(&anna, home.id()).json().edit(id, |note| note["title"] = "Night trip".into()).unwrap();
    site.sync(&anna);
    let sandbox = site.block_on(ben.sandbox_with(Relay::new(site.relay.url()), site.path("look.db"), |_| {})).unwrap();
    assert_eq!(sandbox.received(home.id()).unwrap().changes, 2, "the control: it has the change");
    let mut waiting = Box::pin(write.wait(Durability::AnotherDevice));
    // What the relay had to say of it comes before the answer to a question that is asked later.
    site.sync(&anna);
    let polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "{polled:?}");
    site.sync(&ben);
    site.block_on(waiting).unwrap();
}

#[test]
fn a_relay_that_is_not_reached_leaves_the_half_that_would_be_sent() {
    let mut site = site();
    let anna = site.replica("anna.db");
    let home = anna.create_space("home").unwrap();
    let id = insert(&anna, home.id(), "Trip");
    assert!(matches!(site.block_on(home.plan()), Err(PlanError::Half { source: afield::SandboxError::Disabled, .. })));
    site.sync(&anna);
    anna.disconnect();
    let _ = notes(&anna, home.id()).delete(id).unwrap();
    site.relay.stop();
    let error = site.block_on(home.plan_with(Relay::new(site.relay.url()), |_| {})).unwrap_err();
    assert_eq!((error.code(), error.class()), ("sandbox.unreached", afield::Class::Retry));
    let send = error.send().unwrap();
    assert_eq!((send.entities, send.changes, send.deletions), (1, 1, 1));
    let left: Vec<_> = std::fs::read_dir(site.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("plan")), "{left:?}");
    site.relay.restart();
    assert_eq!(plan(&site, &home).send, *send, "the control: it is reached");
}

#[test]
fn a_plan_for_a_space_that_the_relay_does_not_know_makes_none_there() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let home = anna.create_space("home").unwrap();
    insert(&anna, home.id(), "Trip");
    let plan_of_new = plan(&site, &home);
    assert_eq!((plan_of_new.send.changes, plan_of_new.receive.changes), (1, 0));
    assert!(site.relay.contents(home.id()).is_none());
    let joined = ben.join_space(home.id()).unwrap();
    let refused = site.block_on(joined.plan_with(Relay::new(site.relay.url()), |_| {}));
    assert!(matches!(refused, Err(PlanError::Refused { .. })), "{refused:?}");
    site.sync(&anna);
    assert!(site.relay.contents(home.id()).is_some(), "the control: a sync makes it");
    assert_eq!(plan(&site, &joined).receive.changes, 1);
}

#[test]
fn a_relay_that_lost_history_is_planned_to_be_offered_everything() {
    let mut site = site();
    let anna = site.replica("anna.db");
    let home = anna.create_space("home").unwrap();
    let id = insert(&anna, home.id(), "Trip");
    site.sync(&anna);
    site.relay.stop();
    let log = site.relay.folder().join("log.sqlite");
    let backup = std::fs::read(&log).unwrap();
    site.relay.restart();
    edit(&anna, home.id(), id, "Night trip");
    site.sync(&anna);
    anna.disconnect();
    assert_eq!(plan(&site, &home).send.changes, 0, "the control: the relay has all of it");
    site.relay.stop();
    std::fs::write(&log, backup).unwrap();
    site.relay.restart();
    assert_eq!(plan(&site, &home).send.changes, 1, "what it reads in the log it need not send");
    assert_eq!(anna.status().unwrap().spaces[0].resets, 0, "nothing has happened here");
}

#[test]
fn a_plan_that_is_given_up_leaves_nothing_behind() {
    let site = site();
    let anna = site.replica("anna.db");
    let home = anna.create_space("home").unwrap();
    for number in 0..40 {
        insert(&anna, home.id(), &format!("{number} {}", "x".repeat(50_000)));
    }
    site.sync(&anna);
    anna.disconnect();
    let left = || {
        let entries = std::fs::read_dir(site.path("")).unwrap().map(|entry| entry.unwrap().file_name());
        entries.filter(|name| name.to_string_lossy().contains("plan")).count()
    };
    // At each of the first moments at which it tells how far it is, also in the middle of the copy.
    for moment in 0..6 {
        let told = Arc::new(Mutex::new((0, None::<Waker>)));
        let progress = {
            let told = told.clone();
            move |_| {
                let mut told = told.lock().unwrap();
                told.0 += 1;
                told.1.take().into_iter().for_each(Waker::wake);
            }
        };
        let mut planning = Box::pin(home.plan_with(Relay::new(site.relay.url()), progress));
        site.block_on(std::future::poll_fn(|context| {
            let mut heard = told.lock().unwrap();
            heard.1 = Some(context.waker().clone());
            let is_over = heard.0 > moment;
            drop(heard);
            if is_over { Poll::Ready(()) } else { planning.as_mut().poll(context).map(drop) }
        }));
        drop(planning);
        assert_eq!(left(), 0, "given up after {moment} words");
    }
}
