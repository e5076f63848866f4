//! Guards against mass deletion with a real relay: what is too much waits on the side that sends and on the side that receives, across
//! restarts, and goes once somebody has confirmed exactly that.

use afield::{
    Collection, Confirm, EntityId, Guard, HeldWay, Reason, Relay, Replica, RunOutcome, RunQuery, Space, SpaceId,
    SyncError, SyncEvent, SyncState, Trigger,
};
use afield_tests::processes::{Access, Program, Site, changes_of};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn notes(replica: &Replica, space: SpaceId) -> Collection<()> {
    replica.space(space).unwrap().collection("notes").unwrap()
}

fn insert_many(replica: &Replica, space: SpaceId, count: usize) -> Vec<EntityId> {
    let notes = notes(replica, space);
    (0..count).map(|number| notes.json().insert(&json!({ "number": number })).unwrap()).collect()
}

fn delete(replica: &Replica, space: SpaceId, ids: &[EntityId]) {
    ids.iter().for_each(|id| drop(notes(replica, space).delete(*id).unwrap()));
}

/// Syncs, whatever the network does, until it is in step or waits for somebody.
fn sync(site: &Site, replica: &Replica) -> Result<(), SyncError> {
    if replica.status().unwrap().relay.is_none() {
        replica.connect(Relay::new(site.relay.url())).unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match site.try_sync(replica) {
            Err(SyncError::Failed { reason, .. }) => assert!(Instant::now() < deadline, "{reason}"),
            result => return result,
        }
    }
}

fn held(result: Result<(), SyncError>) -> (u64, bool) {
    match result {
        Err(error @ SyncError::Held { deletions, received, .. }) => {
            assert_eq!((error.code(), error.class()), ("sync.held", afield::Class::Permanent));
            (deletions, received)
        }
        other => panic!("deletions wait to be confirmed: {other:?}"),
    }
}

/// Two devices that have the same notes, the first of which made them.
fn pair(site: &Site, count: usize) -> (Replica, Replica, SpaceId, Vec<EntityId>) {
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("home").unwrap().id();
    ben.join_space(space).unwrap();
    let ids = insert_many(&anna, space, count);
    site.sync_all(&[&anna, &ben]);
    anna.disconnect();
    ben.disconnect();
    (anna, ben, space, ids)
}

fn number(deletions: u64) -> Guard {
    Guard { deletions: Some(deletions), share: None }
}

fn home(replica: &Replica, space: SpaceId) -> Space {
    replica.space(space).unwrap()
}

fn log_of(site: &Site, space: SpaceId) -> String {
    format!("{:?}", site.relay.contents(space))
}

fn are_equal(one: &Replica, other: &Replica, space: SpaceId) {
    for list in [Collection::<()>::ids, Collection::<()>::deleted] {
        let of = |replica| list(&notes(replica, space)).unwrap().into_iter().collect::<BTreeSet<_>>();
        assert_eq!(of(one), of(other));
        for id in of(one) {
            assert_eq!(changes_of(&notes(one, space), id), changes_of(&notes(other, space), id));
        }
    }
}

#[test]
fn more_deletions_than_allowed_are_not_sent_until_somebody_confirms_them() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 8);
    home(&anna, space).set_guard(number(3)).unwrap();
    delete(&anna, space, &ids[..5]);
    let _ = notes(&anna, space).json().edit(ids[7], |note| note["number"] = 70.into()).unwrap();
    let log = log_of(&site, space);
    let planned = home(&anna, space).plan_to_send().unwrap();
    assert_eq!((planned.deletions, planned.needs_confirmation), (5, true), "a plan says so");
    let mut events = anna.events();
    assert_eq!(held(sync(&site, &anna)), (5, false));
    assert_eq!(log_of(&site, space), log, "nothing of the space is sent");
    let told = std::iter::from_fn(|| events.try_recv().ok())
        .any(|event| event == SyncEvent::Held { space, deletions: 5, received: false });
    assert!(told, "an event tells of it");
    let mut whole = anna.status().unwrap();
    let status = whole.spaces.remove(0);
    assert_eq!((status.state, status.held_to_send, status.pending_changes), (SyncState::Blocked, 5, 6));
    assert_eq!((whole.state, &whole.last_error), (SyncState::Blocked, &status.last_error), "so is all of it");
    assert_eq!(home(&anna, space).request(Trigger::Timer).unwrap().reason(), Reason::ConfirmationNeeded);
    assert!(anna.explain().unwrap()[0].to_string().contains("5 deletions made here wait to be confirmed"));

    drop(anna);
    let anna = site.replica("anna.db");
    assert_eq!(held(sync(&site, &anna)), (5, false));
    assert_eq!(log_of(&site, space), log, "nor after a restart");
    let shown = home(&anna, space).held().unwrap();
    let listed: BTreeSet<_> = shown.list.iter().map(|held| held.entity).collect();
    assert_eq!(listed, ids[..5].iter().copied().collect());
    let first = &shown.list[0];
    assert_eq!((first.way, first.purged, first.device), (HeldWay::Send, false, Some(anna.device())));

    // What comes after the list was made is not confirmed by it.
    delete(&anna, space, &ids[5..7]);
    let later = home(&anna, space).held().unwrap();
    assert_ne!(later.token, shown.token);
    assert_eq!(home(&anna, space).confirm(&shown).unwrap(), 5);
    sync(&site, &anna).unwrap();
    site.sync(&ben);
    are_equal(&anna, &ben, space);
    assert_eq!(notes(&ben, space).ids().unwrap(), [ids[7]], "two more are few enough, and went, too");
    assert_eq!(anna.status().unwrap().pending_changes, 0);
}

#[test]
fn what_was_confirmed_is_that_list_and_more_is_asked_for_again() {
    let site = site();
    let (anna, _ben, space, ids) = pair(&site, 12);
    home(&anna, space).set_guard(number(3)).unwrap();
    delete(&anna, space, &ids[..4]);
    let shown = home(&anna, space).held().unwrap();
    assert_eq!(shown.list.len(), 4);
    home(&anna, space).confirm(&shown).unwrap();
    delete(&anna, space, &ids[4..8]);
    assert_eq!(held(sync(&site, &anna)), (4, false));
    let shown = home(&anna, space).held().unwrap();
    assert_eq!(shown.list.iter().map(|held| held.entity).collect::<BTreeSet<_>>(), ids[4..8].iter().copied().collect());
    // Restoring takes a deletion off the list.
    let _ = notes(&anna, space).restore(ids[4]).unwrap();
    sync(&site, &anna).unwrap();
    assert!(home(&anna, space).held().unwrap().list.is_empty());
}

#[test]
fn a_share_of_a_collection_is_looked_at_from_ten_deletions_on() {
    let site = site();
    let (anna, _ben, space, ids) = pair(&site, 40);
    let home = home(&anna, space);
    home.set_guard(Guard { deletions: None, share: Some(0.2) }).unwrap();
    delete(&anna, space, &ids[..8]);
    sync(&site, &anna).unwrap();
    home.set_guard(Guard::OFF).unwrap();
    home.set_guard_of("notes", Some(Guard { deletions: None, share: Some(0.2) })).unwrap();
    anna.disconnect();
    delete(&anna, space, &ids[8..9]);
    sync(&site, &anna).unwrap();
    anna.disconnect();
    delete(&anna, space, &ids[9..20]);
    assert_eq!(held(sync(&site, &anna)), (11, false), "of the 31 that were left, after 9 others a moment ago");
    home.set_guard_of("notes", None).unwrap();
    sync(&site, &anna).unwrap();
}

#[test]
fn what_others_deleted_too_much_of_stays_until_somebody_confirms_it() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 8);
    home(&ben, space).set_guard(number(3)).unwrap();
    anna.set_author(Some("Anna"));
    delete(&anna, space, &ids[..5]);
    let _ = notes(&anna, space).json().edit(ids[7], |note| note["number"] = 70.into()).unwrap();
    let new = insert_many(&anna, space, 1)[0];
    sync(&site, &anna).unwrap();
    let planned = site.block_on(home(&ben, space).plan_with(Relay::new(site.relay.url()), |_| {})).unwrap().receive;
    assert_eq!((planned.deletions, planned.needs_confirmation), (5, true), "a plan says so");
    let mut events = ben.events();
    assert_eq!(held(sync(&site, &ben)), (5, true));
    let told = std::iter::from_fn(|| events.try_recv().ok())
        .any(|event| event == SyncEvent::Held { space, deletions: 5, received: true });
    assert!(told, "an event tells of it");
    let check = |ben: &Replica| {
        assert_eq!(notes(ben, space).ids().unwrap().len(), 9, "nothing is deleted");
        assert_eq!(notes(ben, space).json().read(ids[7]).unwrap()["number"], 70, "what else came is there");
        assert_eq!(notes(ben, space).json().read(new).unwrap()["number"], 0);
        assert_eq!(notes(ben, space).json().read(ids[0]).unwrap()["number"], 0);
        let status = ben.status().unwrap().spaces.remove(0);
        assert_eq!((status.held_here, status.quarantined), (5, 0));
        let log = status.sequence;
        assert_eq!(log, anna.status().unwrap().spaces[0].sequence, "the cursor has moved over it");
    };
    check(&ben);
    drop(ben);
    let ben = site.replica("ben.db");
    check(&ben);
    assert_eq!(held(sync(&site, &ben)), (5, true));
    check(&ben);
    assert!(ben.explain().unwrap()[0].to_string().contains("5 deletions by others wait to be confirmed"));

    // What is held can be edited, and the edit goes out.
    let _ = notes(&ben, space).json().edit(ids[0], |note| note["number"] = 100.into()).unwrap();
    assert_eq!(held(sync(&site, &ben)), (5, true));
    assert_eq!(ben.status().unwrap().pending_changes, 0);

    let shown = home(&ben, space).held().unwrap();
    let first = shown.list.iter().find(|held| held.entity == ids[0]).unwrap();
    assert_eq!((first.way, first.purged, first.author.as_deref()), (HeldWay::Receive, false, Some("Anna")));
    assert_eq!((first.device, first.collection.as_str()), (Some(anna.device()), "notes"));
    assert!(first.at_ms > 0);
    assert_eq!(home(&ben, space).confirm(&shown).unwrap(), 5);
    assert_eq!(notes(&ben, space).deleted().unwrap().len(), 5, "at once");
    sync(&site, &ben).unwrap();
    sync(&site, &anna).unwrap();
    sync(&site, &ben).unwrap();
    are_equal(&anna, &ben, space);
    assert!(home(&ben, space).held().unwrap().list.is_empty());
    assert_eq!(ben.status().unwrap().spaces[0].held_here, 0);
}

#[test]
fn what_others_deleted_can_be_kept_for_everybody() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 6);
    home(&ben, space).set_guard(number(3)).unwrap();
    delete(&anna, space, &ids[..5]);
    sync(&site, &anna).unwrap();
    assert_eq!(held(sync(&site, &ben)), (5, true));
    let shown = home(&ben, space).held().unwrap();
    assert_eq!(home(&ben, space).keep(&shown).unwrap(), 5);
    sync(&site, &ben).unwrap();
    sync(&site, &anna).unwrap();
    assert_eq!(notes(&anna, space).ids().unwrap().len(), 6);
    are_equal(&anna, &ben, space);
    assert!(home(&ben, space).held().unwrap().list.is_empty());
}

#[test]
fn who_takes_a_deletion_back_takes_it_off_the_list_of_others() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 8);
    home(&ben, space).set_guard(number(3)).unwrap();
    delete(&anna, space, &ids[..5]);
    sync(&site, &anna).unwrap();
    assert_eq!(held(sync(&site, &ben)), (5, true));
    for id in &ids[..5] {
        let _ = notes(&anna, space).restore(*id).unwrap();
    }
    sync(&site, &anna).unwrap();
    sync(&site, &ben).unwrap();
    assert!(home(&ben, space).held().unwrap().list.is_empty());
    are_equal(&anna, &ben, space);
}

#[test]
fn few_deletions_and_any_number_without_a_guard_go_unasked() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 30);
    assert_eq!(home(&ben, space).guard().unwrap(), Guard::OFF, "as it is at first");
    let mut events = ben.events();
    delete(&anna, space, &ids[..20]);
    sync(&site, &anna).unwrap();
    sync(&site, &ben).unwrap();
    assert_eq!(notes(&ben, space).ids().unwrap().len(), 10);
    home(&ben, space).set_guard(number(3)).unwrap();
    delete(&anna, space, &ids[20..23]);
    sync(&site, &anna).unwrap();
    sync(&site, &ben).unwrap();
    are_equal(&anna, &ben, space);
    let told = std::iter::from_fn(|| events.try_recv().ok()).any(|event| matches!(event, SyncEvent::Held { .. }));
    assert!(!told);
}

#[test]
fn deletions_one_by_one_while_the_sessions_stand_count_together() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 10);
    home(&ben, space).set_guard(number(3)).unwrap();
    for id in &ids[..6] {
        delete(&anna, space, &[*id]);
        sync(&site, &anna).unwrap();
        let _ = sync(&site, &ben);
    }
    assert_eq!(held(sync(&site, &ben)), (3, true));
    assert_eq!(notes(&ben, space).deleted().unwrap().len(), 3, "as many as may be");
    home(&anna, space).set_guard(number(2)).unwrap();
    // Those that went a moment ago count, too.
    delete(&anna, space, &ids[6..7]);
    assert_eq!(held(sync(&site, &anna)), (1, false));
}

#[test]
fn deletions_of_many_frames_are_counted_together() {
    const MANY: usize = 1_000;
    let site = site();
    let (anna, ben, space, _) = pair(&site, 0);
    let of_anna = notes(&anna, space);
    let (ids, _) = anna
        .transaction(|transaction| {
            (0..MANY).map(|number| transaction.insert_json(&of_anna.json(), &json!({ "number": number }))).collect()
        })
        .map(|(ids, write): (Vec<EntityId>, _)| (ids, write))
        .unwrap();
    sync(&site, &anna).unwrap();
    sync(&site, &ben).unwrap();
    ben.disconnect();
    home(&ben, space).set_guard(Guard { deletions: None, share: Some(0.9) }).unwrap();
    // Between two deletions stands so much else that they come in many frames.
    let _ = anna
        .transaction(|transaction| {
            for id in &ids[..MANY - 50] {
                transaction.edit_json(&of_anna.json(), *id, |note| note["text"] = "x".repeat(4_000).into())?;
                transaction.delete(&of_anna, *id)?;
            }
            Ok(())
        })
        .unwrap();
    sync(&site, &anna).unwrap();
    assert_eq!(held(sync(&site, &ben)), (MANY as u64 - 50, true));
    assert!(ben.status().unwrap().traffic.messages_received > 3, "the control: there were several frames");
    assert_eq!(notes(&ben, space).ids().unwrap().len(), MANY);
    let shown = home(&ben, space).held().unwrap();
    home(&ben, space).confirm(&shown).unwrap();
    assert_eq!(notes(&ben, space).ids().unwrap().len(), 50);
}

#[test]
fn purges_by_others_are_held_like_deletions_and_nothing_is_lost_before() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 6);
    home(&ben, space).set_guard(number(2)).unwrap();
    home(&anna, space).purge(ids[..3].iter().copied(), Confirm::Yes).unwrap();
    sync(&site, &anna).unwrap();
    assert_eq!(held(sync(&site, &ben)), (3, true));
    drop(ben);
    let ben = site.replica("ben.db");
    // What is written meanwhile stays, though the relay takes it no more.
    let _ = notes(&ben, space).json().edit(ids[0], |note| note["number"] = 100.into()).unwrap();
    assert_eq!(held(sync(&site, &ben)), (3, true));
    assert_eq!(notes(&ben, space).json().read(ids[0]).unwrap()["number"], 100);
    assert_eq!(notes(&ben, space).ids().unwrap().len(), 6);
    let _ = notes(&anna, space).json().edit(ids[5], |note| note["number"] = 50.into()).unwrap();
    sync(&site, &anna).unwrap();
    assert_eq!(held(sync(&site, &ben)), (3, true));
    assert_eq!(notes(&ben, space).json().read(ids[5]).unwrap()["number"], 50, "everything else goes on");

    let shown = home(&ben, space).held().unwrap();
    assert!(shown.list.iter().all(|held| held.purged && held.way == HeldWay::Receive));
    assert_eq!(home(&ben, space).confirm(&shown).unwrap(), 3);
    sync(&site, &ben).unwrap();
    sync(&site, &anna).unwrap();
    for replica in [&anna, &ben] {
        for id in &ids[..3] {
            assert_eq!(notes(replica, space).json().read(*id).unwrap_err().code(), "entity.purged");
        }
        assert_eq!(replica.status().unwrap().pending_changes, 0);
    }
    are_equal(&anna, &ben, space);
    let store = afield::ReadOnlyReplica::open(site.path("ben.db")).unwrap();
    assert!(store.verify().unwrap().is_empty());
}

#[test]
fn purges_made_here_wait_to_be_sent_like_deletions() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 6);
    home(&anna, space).set_guard(number(2)).unwrap();
    home(&anna, space).purge(ids[..3].iter().copied(), Confirm::Yes).unwrap();
    assert_eq!(held(sync(&site, &anna)), (3, false));
    site.sync(&ben);
    assert_eq!(notes(&ben, space).ids().unwrap().len(), 6);
    let shown = home(&anna, space).held().unwrap();
    assert!(shown.list.iter().all(|held| held.purged && held.way == HeldWay::Send));
    home(&anna, space).confirm(&shown).unwrap();
    sync(&site, &anna).unwrap();
    site.sync(&ben);
    assert_eq!(notes(&ben, space).ids().unwrap().len(), 3);
    are_equal(&anna, &ben, space);
}

#[test]
fn another_space_and_another_guard_are_no_matter_of_what_is_held() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 6);
    let other = anna.create_space("other").unwrap();
    ben.join_space(other.id()).unwrap();
    home(&anna, space).set_guard(number(2)).unwrap();
    delete(&anna, space, &ids[..3]);
    let elsewhere = insert_many(&anna, other.id(), 4);
    delete(&anna, other.id(), &elsewhere[..3]);
    assert_eq!(held(sync(&site, &anna)), (3, false));
    site.sync(&ben);
    assert_eq!(notes(&ben, other.id()).ids().unwrap(), [elsewhere[3]], "what another space has goes");
    assert_eq!(notes(&ben, space).ids().unwrap().len(), 6);
    let refused = home(&anna, space).set_guard(Guard { deletions: None, share: Some(2.0) });
    assert_eq!(refused.unwrap_err().code(), "guard.share");
}

#[test]
fn runs_that_a_guard_holds_back_are_failures_in_a_row_of_their_space_and_are_told() {
    let site = site();
    let (anna, _ben, space, ids) = pair(&site, 6);
    // Others keep the session, with which each run of the space that is held begins anew.
    let (beside, _third) = (anna.create_space("beside").unwrap(), anna.create_space("third").unwrap());
    home(&anna, space).set_guard(number(1)).unwrap();
    delete(&anna, space, &ids[..3]);
    anna.tell_after_failures(2);
    let mut events = anna.events();
    let next_run = |events: &mut _| {
        let ended = site.hear(events, |event| {
            matches!(event, SyncEvent::Failed { space: of, .. } | SyncEvent::FailingRepeatedly { space: of, .. } if *of == Some(space))
        });
        match ended {
            SyncEvent::Failed { failures, reason, .. } => {
                assert_eq!(reason, Reason::ConfirmationNeeded.to_string());
                (failures, false)
            }
            SyncEvent::FailingRepeatedly { failures, .. } => (failures, true),
            other => panic!("{other:?}"),
        }
    };
    anna.connect(Relay::new(site.relay.url())).unwrap();
    assert_eq!(next_run(&mut events), (1, false));
    beside.set_sync_enabled(false).unwrap();
    assert_eq!(next_run(&mut events), (2, false));
    assert_eq!(next_run(&mut events), (2, true), "as often as was asked for");
    beside.set_sync_enabled(true).unwrap();
    beside.set_sync_enabled(false).unwrap();
    assert_eq!(next_run(&mut events), (3, false));

    let asked = RunQuery::new().outcome(RunOutcome::Refused);
    let refused = home(&anna, space).find_runs(&asked).unwrap();
    assert_eq!(refused.iter().map(|run| run.times).sum::<u64>(), 3, "{refused:#?}");
    let shown = home(&anna, space).held().unwrap();
    home(&anna, space).confirm(&shown).unwrap();
    sync(&site, &anna).unwrap();
}

#[test]
fn emptying_the_trash_is_judged_alike_on_both_sides_and_by_a_plan() {
    let site = site();
    let (anna, ben, space, ids) = pair(&site, 40);
    let half = Guard { deletions: None, share: Some(0.5) };
    delete(&anna, space, &ids[..19]);
    site.sync_all(&[&anna, &ben]);
    [&anna, &ben].into_iter().for_each(|replica| home(replica, space).set_guard(half).unwrap());
    home(&anna, space).purge_deleted(Duration::ZERO, Confirm::Yes).unwrap();
    assert!(!home(&anna, space).plan_to_send().unwrap().needs_confirmation, "19 of 40");
    ben.disconnect();
    sync(&site, &anna).unwrap();
    sync(&site, &ben).unwrap();
    are_equal(&anna, &ben, space);
    assert_eq!((notes(&ben, space).ids().unwrap().len(), notes(&ben, space).deleted().unwrap().len()), (21, 0));
    let purged = |id: &EntityId| notes(&ben, space).json().read(*id).unwrap_err().code() == "entity.purged";
    assert!(ids[..19].iter().all(purged));
}
