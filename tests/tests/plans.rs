//! Dry runs and sandboxes with a real relay: what a plan says is what the run does, and looking changes nothing anywhere.

use afield::{
    Collection, Confirm, Durability, EntityId, Filter, PlanError, PlannedEffect, PlannedEntity, PlannedWay, Relay,
    Replica, Space, SpaceId, Strategy, SyncPlan,
};
use afield_core::ChunkKind;
use afield_tests::processes::{Access, Planned, Program, Site, StoredChanges};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;
use serde_json::json;
use std::collections::BTreeSet;
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

        let planned = Planned::make(&site, "anna.db", &home);
        let to_send = home.plan_to_send().unwrap();
        let are_known = planned.log().entries().iter().filter(|entry| entry.kind == ChunkKind::Erasure);
        let purged_there: BTreeSet<_> = are_known.map(|entry| entry.entity).collect();
        let is_left = |entity: &&PlannedEntity| !purged_there.contains(&entity.entity);
        let left: Vec<_> = to_send.list.iter().filter(is_left).cloned().collect();
        let plan = planned.plan.clone();
        match strategy {
            // What it does there takes what there is there: an entity that both have deleted is no deletion, and only one plan knows.
            Strategy::Merge | Strategy::Manual => {
                assert_eq!(what_goes(&plan.send.list), what_goes(&left), "what is purged there goes nowhere");
                let comes: BTreeSet<_> = plan.receive.list.iter().map(|entity| entity.entity).collect();
                let here_alone = |list: &[PlannedEntity]| -> Vec<PlannedEntity> {
                    list.iter().filter(|entity| !comes.contains(&entity.entity)).cloned().collect()
                };
                assert_eq!(here_alone(&plan.send.list), here_alone(&left), "both know what it does there");
            }
            _ => assert!(
                plan.send.changes >= left.iter().map(|entity| entity.changes).sum(),
                "what is decided goes besides"
            ),
        }
        planned.check_run(&replicas[0]);
        // What becomes of the entities there is what was planned, and nothing else.
        let others = StoredChanges::read(&site, "ben.db", space);
        site.sync(&replicas[1]);
        replicas[1].disconnect();
        check_effects(&plan.send, &others, &StoredChanges::read(&site, "ben.db", space));
        for replica in &replicas {
            let _ = replica.leave_space_discarding(space).unwrap();
        }
        Ok(())
    });
    tested.unwrap();
}

/// What goes of each entity, whatever it does there.
fn what_goes(list: &[PlannedEntity]) -> Vec<(EntityId, &str, u64, u64)> {
    list.iter().map(|entity| (entity.entity, entity.collection.as_str(), entity.changes, entity.bytes)).collect()
}

/// Holds what was planned to be sent against what became of it on the other device, which had everything else before.
#[track_caller]
fn check_effects(send: &PlannedWay, before: &StoredChanges, after: &StoredChanges) {
    let planned = |effect| {
        let of_effect = send.list.iter().filter(move |entity| entity.effect == effect);
        of_effect.map(|entity| entity.entity.as_bytes().to_vec()).collect::<BTreeSet<_>>()
    };
    let turned = |was: Option<bool>, is: &[bool]| {
        let now = after.deleted.iter().filter(|(id, now)| before.deleted.get(*id).copied() == was && is.contains(now));
        now.map(|(id, _)| id.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(planned(PlannedEffect::Deleted), turned(Some(false), &[true]));
    assert_eq!(planned(PlannedEffect::Restored), turned(Some(true), &[false]));
    assert_eq!(planned(PlannedEffect::New), turned(None, &[true, false]));
    assert_eq!(send.deletions as usize, planned(PlannedEffect::Deleted).len());
}

#[test]
fn what_both_have_deleted_is_planned_as_a_deletion_by_nobody_and_a_restore_as_one() {
    let site = site();
    let (replicas, home, [trip, other]) = shared(&site, ["anna.db", "ben.db"]);
    for replica in &replicas {
        let _ = notes(replica, home.id()).delete(trip).unwrap();
    }
    site.sync(&replicas[1]);
    replicas[1].disconnect();
    let sent = |planned: &Planned<'_>| {
        let list: Vec<_> = planned.plan.send.list.iter().map(|entity| (entity.entity, entity.effect)).collect();
        (planned.plan.send.deletions, list)
    };
    assert_eq!(home.plan_to_send().unwrap().deletions, 1, "nobody has told this device yet");
    let planned = Planned::make(&site, "anna.db", &home);
    assert_eq!(sent(&planned), (0, vec![(trip, PlannedEffect::Changed)]), "it is deleted there already");
    planned.check_run(&replicas[0]);
    site.sync(&replicas[1]);
    replicas[1].disconnect();

    let _ = notes(&replicas[0], home.id()).restore(trip).unwrap();
    let _ = notes(&replicas[0], home.id()).delete(other).unwrap();
    let planned = Planned::make(&site, "anna.db", &home);
    let mut list = vec![(trip, PlannedEffect::Restored), (other, PlannedEffect::Deleted)];
    list.sort();
    assert_eq!(sent(&planned), (1, list));
    let (plan, before) = (planned.plan.clone(), StoredChanges::read(&site, "ben.db", home.id()));
    planned.check_run(&replicas[0]);
    site.sync(&replicas[1]);
    check_effects(&plan.send, &before, &StoredChanges::read(&site, "ben.db", home.id()));
    replicas[1].disconnect();

    // Deleted and restored again is neither.
    let _ = notes(&replicas[0], home.id()).delete(trip).unwrap();
    let _ = notes(&replicas[0], home.id()).restore(trip).unwrap();
    assert_eq!(sent(&Planned::make(&site, "anna.db", &home)), (0, vec![(trip, PlannedEffect::Changed)]));
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
    let planned = Planned::make(&site, "anna.db", &home);
    let plan = &planned.plan;
    assert_eq!((plan.receive.changes, plan.receive.purges, plan.receive.entities), (1, 1, 2));
    assert_eq!((plan.send.changes, plan.send.purges, plan.send.entities), (1, 0, 1), "the log takes nothing of it");
    planned.check_run(&anna);
}

#[test]
fn what_was_purged_here_and_is_not_sent_yet_is_not_planned_to_come() {
    let site = site();
    let ([anna, ben], home, [gone, other]) = shared(&site, ["anna.db", "ben.db"]);
    notes(&anna, home.id()).purge(gone, Confirm::Yes).unwrap();
    edit(&ben, home.id(), gone, "of Ben");
    edit(&ben, home.id(), other, "of Ben, too");
    site.sync(&ben);
    let planned = Planned::make(&site, "anna.db", &home);
    assert_eq!((planned.plan.receive.changes, planned.plan.receive.entities), (1, 1), "what comes of it is dropped");
    assert_eq!((planned.plan.send.changes, planned.plan.send.purges), (0, 1));
    planned.check_run(&anna);

    // Both purge the same, each without knowing.
    notes(&anna, home.id()).purge(other, Confirm::Yes).unwrap();
    notes(&ben, home.id()).purge(other, Confirm::Yes).unwrap();
    site.sync(&ben);
    assert_eq!(home.plan_to_send().unwrap().purges, 1, "the control: it waits here");
    let planned = Planned::make(&site, "anna.db", &home);
    assert_eq!(
        (planned.plan.receive.entities, planned.plan.send.entities),
        (0, 0),
        "there is one record of it, which is there"
    );
    planned.check_run(&anna);
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
    let planned = Planned::make(&site, "anna.db", &home);
    assert_eq!((planned.plan.receive.changes, planned.plan.receive.entities), (2, 2), "what was written here is here");
    planned.check_run(&anna);
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
        let planned = Planned::make(&site, "anna.db", &home);
        let send = &planned.plan.send;
        assert_eq!((send.entities, send.changes), (2, 3), "{strategy}: both edits, and a decision");
        planned.check_run(&anna);
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
    assert_eq!(BTreeSet::from_iter(notes(&anna, space).ids().unwrap()), BTreeSet::from([changed, gone]));
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
