use crate::error::AutomergeFileError;
use crate::{Collection, Replica};
use afield_core::Limits;
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ROOT};
use proptest::prelude::*;
use serde_json::json;

fn notes() -> Collection<()> {
    Replica::open_in_memory().unwrap().create_space("Home").unwrap().collection("notes").unwrap()
}

/// A document that two people wrote at the same time.
fn written_elsewhere() -> AutoCommit {
    let mut anna = AutoCommit::new();
    anna.put(&ROOT, "title", "Milk").unwrap();
    let body = anna.put_object(&ROOT, "body", ObjType::Text).unwrap();
    anna.splice_text(&body, 0, 0, "from the shop").unwrap();
    let mut ben = anna.fork();
    ben.splice_text(&body, 13, 0, "!").unwrap();
    anna.put(&ROOT, "title", "Oat milk").unwrap();
    anna.merge(&mut ben).unwrap();
    anna
}

#[test]
fn a_file_of_automerge_is_an_entity_with_its_whole_history_and_syncs_like_any_other() {
    let (notes, mut elsewhere) = (notes(), written_elsewhere());
    let id = notes.import_automerge(&elsewhere.save()).unwrap();
    assert_eq!(notes.json().read(id).unwrap(), json!({ "title": "Oat milk", "body": "from the shop!" }));
    assert_eq!(notes.json().query("title = 'Oat milk'", ()).unwrap().count().unwrap(), 1);
    let hashes = |document: &automerge::Automerge| {
        document.get_changes(&[]).iter().map(automerge::Change::hash).collect::<Vec<_>>()
    };
    let kept = notes.entity(id).unwrap().raw(hashes).unwrap();
    let mut all: Vec<_> = elsewhere.get_changes(&[]).iter().map(automerge::Change::hash).collect();
    assert!(all.iter().all(|hash| kept.contains(hash)) && kept.len() == all.len(), "{kept:?} {all:?}");
    assert_eq!(notes.shared.driver.with_store(|store| store.outbox_size(notes.space())).unwrap().changes, 3);

    let _ = notes.json().edit(id, |note| note["title"] = json!("Bread")).unwrap();
    let file = notes.entity(id).unwrap().export_automerge().unwrap();
    let read = automerge::Automerge::load(&file).unwrap();
    all.extend(hashes(&read).into_iter().filter(|hash| !all.contains(hash)).collect::<Vec<_>>());
    assert_eq!(all.len(), 4, "one edit more");
    let again = notes.import_automerge(&file).unwrap();
    assert_ne!(again, id);
    assert_eq!(notes.json().read(again).unwrap()["title"], "Bread");
}

#[test]
fn whoever_watches_hears_of_conflicts_that_a_file_brings() {
    let mut anna = AutoCommit::new();
    let mut ben = anna.fork();
    anna.put(&ROOT, "title", "Milk").unwrap();
    ben.put(&ROOT, "title", "Oat milk").unwrap();
    anna.merge(&mut ben).unwrap();
    let home = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
    let mut watch = home.watch_conflicts();
    let notes = home.collection::<()>("notes").unwrap();
    let _ = notes.import_automerge(&written_elsewhere().save()).unwrap();
    assert!(watch.take().is_empty(), "the control: nobody has to decide anything");
    let id = notes.import_automerge(&anna.save()).unwrap();
    assert_eq!(watch.take(), [id].into());
    assert_eq!(home.conflicts().unwrap()[0].values.len(), 2);
}

#[test]
fn what_a_strategy_decides_of_a_file_is_decided_when_it_is_there() {
    let mut anna = AutoCommit::new();
    let mut ben = anna.fork();
    anna.put(&ROOT, "title", "Milk").unwrap();
    ben.put(&ROOT, "title", "Oat milk").unwrap();
    anna.merge(&mut ben).unwrap();
    let home = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
    let notes = home.collection::<()>("notes").unwrap();
    notes.on_conflict(crate::Strategy::Newest).unwrap();
    let id = notes.import_automerge(&anna.save()).unwrap();
    let listed = notes.shared.driver.with_store(|store| store.reader().conflict_count(home.id())).unwrap();
    assert_eq!(listed, 0, "before anybody asks");
    assert!(notes.entity(id).unwrap().conflicts().unwrap().is_empty());
}

#[test]
fn what_is_no_document_or_has_no_room_is_refused_and_nothing_is_stored() {
    let notes = notes();
    let refused = |bytes: &[u8]| notes.import_automerge(bytes).unwrap_err();
    assert!(matches!(refused(b"no document"), AutomergeFileError::NotADocument));
    assert!(matches!(refused(&AutoCommit::new().save()), AutomergeFileError::Empty));
    let mut large = AutoCommit::new();
    large.put(&ROOT, "bytes", vec![7_u8; Limits::DEFAULT.change_bytes_max + 1]).unwrap();
    let error = refused(&large.save());
    assert_eq!((error.code(), error.class()), ("automerge.change", afield_core::wire::Class::Permanent));
    assert!(notes.ids().unwrap().is_empty());
}

proptest! {
    #[test]
    fn fuzz_a_file_of_automerge(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut file = written_elsewhere().save();
        let place = place.index(file.len());
        file[place] = byte;
        let notes = notes();
        match notes.import_automerge(&file) {
            Ok(id) => drop(notes.json().read(id).unwrap()),
            Err(_) => prop_assert!(notes.ids().unwrap().is_empty()),
        }
    }
}
