//! Who changed what, and undo beside others: whole devices and a real relay.

use afield::{
    Changed, Collection, Confirm, EditError, EntityId, Point, PointError, ReadError, Relay, Replica, Text, model,
};
use afield_tests::processes::{Access, Program, Site};
use std::time::{SystemTime, UNIX_EPOCH};

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Note {
    title: String,
    body: Text,
}

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn connect(site: &Site, replica: &Replica) {
    replica.connect(Relay::new(site.relay.url())).unwrap();
    site.sync(replica);
}

/// Two connected devices with one note, made by the first.
fn pair(site: &Site) -> (Replica, Replica, Collection<Note>, Collection<Note>, EntityId) {
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    anna.set_author(Some("Anna"));
    let home = anna.create_space("home").unwrap();
    let ours: Collection<Note> = home.collection("notes").unwrap();
    let id = ours.insert(&Note { title: "Trip".into(), body: "by train".into() }).unwrap();
    connect(site, &anna);
    let theirs = ben.join_space(home.id()).unwrap().collection("notes").unwrap();
    connect(site, &ben);
    (anna, ben, ours, theirs, id)
}

#[test]
fn who_changed_what_when_why_and_on_which_device_is_seen_on_the_other_one() {
    let site = site();
    let (anna, ben, ours, theirs, id) = pair(&site);
    let _ = ours.with_message("it is far").edit(id, |note| note.title = "Night trip".into()).unwrap();
    site.sync(&anna);
    site.sync(&ben);
    let page = theirs.history(id, &Point::Now, 10).unwrap();
    let last = &page.changes[0];
    assert_eq!(last.attribution.author.as_deref(), Some("Anna"));
    assert_eq!(last.attribution.device, Some(anna.device()));
    assert_eq!(last.attribution.message.as_deref(), Some("it is far"));
    assert_eq!(theirs.at(id, &Point::Before(last.hash)).unwrap().title, "Trip");
    let found = theirs.differences(id, &Point::Before(last.hash), &Point::Now).unwrap();
    assert!(matches!(&found[..], [one] if matches!(one.changed, Changed::Replaced { .. })), "{found:?}");
}

/// What this machine's clock says, in milliseconds since the Unix epoch.
fn clock_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Waits until the clock shows another moment, so that what comes next is told from what came before.
fn next_moment() -> i64 {
    let before = clock_ms();
    loop {
        let now = clock_ms();
        if now > before {
            return now;
        }
        std::hint::spin_loop();
    }
}

#[test]
fn when_an_edit_was_made_is_within_the_clock_before_and_after_it_and_each_moment_between_shows_its_own() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let home = anna.create_space("home").unwrap();
    let ours: Collection<Note> = home.collection("notes").unwrap();
    let before_all = clock_ms();
    let first_from = next_moment();
    let id = ours.insert(&Note { title: "Trip".into(), ..Note::default() }).unwrap();
    let first_to = clock_ms();
    let between = next_moment();
    let second_from = next_moment();
    let _ = ours.edit(id, |note| note.title = "Night trip".into()).unwrap();
    let second_to = clock_ms();
    connect(&site, &anna);
    let theirs: Collection<Note> = ben.join_space(home.id()).unwrap().collection("notes").unwrap();
    connect(&site, &ben);

    for notes in [&ours, &theirs] {
        let page = notes.history(id, &Point::Now, 10).unwrap();
        let [second, first] = &page.changes[..] else { panic!("{page:?}") };
        assert!((first_from..=first_to).contains(&first.attribution.at_ms), "{first_from} {first_to}: {first:?}");
        assert!((second_from..=second_to).contains(&second.attribution.at_ms), "{second_from} {second_to}: {second:?}");
        let title_at = |time_ms| notes.at(id, &Point::TimeMs(time_ms)).map(|note| note.title);
        assert_eq!(title_at(between).unwrap(), "Trip");
        assert_eq!(title_at(first.attribution.at_ms).unwrap(), "Trip", "a change is part of its own moment");
        assert_eq!(title_at(second.attribution.at_ms - 1).unwrap(), "Trip");
        assert_eq!(title_at(second_to).unwrap(), "Night trip");
        let nothing = title_at(before_all).unwrap_err();
        assert!(matches!(&nothing, ReadError::Point { entity, source: PointError::NothingYet } if *entity == id));
        assert_eq!(notes.json().at(id, &Point::TimeMs(between)).unwrap()["title"], "Trip");
        let found = notes.differences(id, &Point::TimeMs(between), &Point::TimeMs(second_to)).unwrap();
        assert!(matches!(&found[..], [one] if one.path.to_string() == "title"), "{found:?}");
    }
    let restored = ours.restore_to(id, &Point::TimeMs(between), Confirm::Yes).unwrap();
    drop(restored);
    assert_eq!(ours.read(id).unwrap().title, "Trip");
}

#[test]
fn an_undo_takes_back_ones_own_edit_alone_after_others_edited_and_after_a_restart() {
    let site = site();
    let (anna, ben, ours, theirs, id) = pair(&site);
    let _ = ours.entity(id).unwrap().text("body").splice(3, 0, "night ").unwrap();
    let _ = theirs.entity(id).unwrap().text("body").splice(8, 0, ", not by car").unwrap();
    for replica in [&anna, &ben, &anna] {
        site.sync(replica);
    }
    assert!(theirs.can_undo(id).unwrap(), "Ben has edited it");
    assert_eq!(ours.read(id).unwrap().body.as_str(), "by night train, not by car");
    let space = ours.space();
    drop(ours);
    drop(anna);

    let anna = site.replica("anna.db");
    let ours: Collection<Note> = anna.space(space).unwrap().collection("notes").unwrap();
    assert!(ours.can_undo(id).unwrap() && !ours.can_redo(id).unwrap());
    assert!(ours.undo(id).unwrap().is_some());
    assert_eq!(ours.read(id).unwrap().body.as_str(), "by train, not by car");
    connect(&site, &anna);
    site.sync(&ben);
    assert_eq!(theirs.read(id).unwrap().body.as_str(), "by train, not by car");
    assert!(theirs.undo(id).unwrap().is_some());
    assert!(theirs.undo(id).unwrap().is_none(), "what Anna wrote is not Ben's to undo");
    assert!(ours.redo(id).unwrap().is_some());
    for replica in [&anna, &ben, &anna] {
        site.sync(replica);
    }
    assert_eq!(ours.read(id).unwrap().body.as_str(), "by night train");
    assert_eq!(theirs.read(id).unwrap(), ours.read(id).unwrap());
}

#[test]
fn undoing_the_edit_that_made_an_entity_deletes_it_and_a_redo_brings_it_back() {
    let site = site();
    let (anna, ben, ours, theirs, id) = pair(&site);
    let start = ours.read(id).unwrap();
    assert!(ours.undo(id).unwrap().is_some());
    site.sync(&anna);
    site.sync(&ben);
    assert_eq!((ours.ids().unwrap(), theirs.deleted().unwrap()), (vec![], vec![id]));
    assert!(ours.undo(id).unwrap().is_none());
    assert!(ours.redo(id).unwrap().is_some());
    assert_eq!((ours.ids().unwrap(), ours.read(id).unwrap()), (vec![id], start));
}

#[test]
fn an_entity_is_restored_to_a_moment_by_an_edit_that_can_be_undone() {
    let site = site();
    let (_anna, _ben, ours, _, id) = pair(&site);
    let start = ours.history(id, &Point::Now, 1).unwrap().changes[0].hash;
    let _ = ours.edit(id, |note| note.title = "Voyage".into()).unwrap();
    let _ = ours.entity(id).unwrap().text("body").splice(0, 2, "not by").unwrap();
    let later = ours.read(id).unwrap();
    let _ = ours.restore_to(id, &Point::After(start), Confirm::Yes).unwrap();
    assert_eq!(ours.read(id).unwrap(), Note { title: "Trip".into(), body: "by train".into() });
    assert!(ours.undo(id).unwrap().is_some());
    assert_eq!(ours.read(id).unwrap(), later);
    let nothing = ours.restore_to(id, &Point::Before(start), Confirm::Ask).unwrap_err();
    assert_eq!(nothing.code(), "history.point");
}

#[test]
fn what_a_transaction_did_to_an_entity_is_one_step() {
    let site = site();
    let (anna, _ben, ours, _, id) = pair(&site);
    let edit = |tx: &mut afield::Transaction<'_>| {
        tx.edit(&ours, id, |note| note.title = "one".into())?;
        tx.edit(&ours, id, |note| note.body = "two".into())
    };
    let _ = anna.transaction(edit).unwrap();
    assert!(ours.undo(id).unwrap().is_some());
    assert_eq!(ours.read(id).unwrap(), Note { title: "Trip".into(), body: "by train".into() });
}

#[test]
fn bringing_a_deleted_entity_back_to_a_moment_is_asked_for_with_its_deletion_named() {
    let replica = Replica::open_in_memory().unwrap();
    let notes: Collection<Note> = replica.create_space("home").unwrap().collection("notes").unwrap();
    let id = notes.insert(&Note { title: "Trip".into(), body: "by train".into() }).unwrap();
    let first = Point::After(notes.history(id, &Point::Now, 1).unwrap().changes[0].hash);
    let _ = notes.edit(id, |note| note.title = "Night trip".into()).unwrap();
    let asked = |places: u64, is_deleted: bool| match notes.restore_to(id, &first, Confirm::Ask).unwrap_err() {
        EditError::Unconfirmed { entity, places: would, is_deleted: was, .. } => {
            assert_eq!((entity, would, was), (id, places, is_deleted));
        }
        other => panic!("{other:?}"),
    };
    asked(1, false);
    let _ = notes.delete(id).unwrap();
    asked(1, true);
    let error = notes.restore_to(id, &first, Confirm::Ask).unwrap_err();
    assert!(error.to_string().contains("1 place of entity"), "{error}");
    assert!(error.to_string().contains("as it was and take its deletion back"), "{error}");
    assert_eq!(notes.ids().unwrap(), [], "nothing was written");
    let _ = notes.restore_to(id, &first, Confirm::Yes).unwrap();
    assert_eq!((notes.ids().unwrap(), notes.read(id).unwrap().title.as_str()), (vec![id], "Trip"));

    // Where nothing but the deletion differs, that is asked for, too.
    let _ = notes.delete(id).unwrap();
    asked(0, true);
}
