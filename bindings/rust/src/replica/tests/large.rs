//! Entities so large that an edit leaves their projection to whoever reads it.

use super::*;
use crate::collection::JsonCollection;
use afield_store::ProjectedEntity;
use serde_json::{Value, json};

const LETTERS: usize = 20_000;

struct Book {
    replica: Replica,
    pages: JsonCollection,
    id: EntityId,
    _folder: tempfile::TempDir,
}

impl Book {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::open(folder.path().join("book.db")).unwrap();
        let pages = replica.create_space("Home").unwrap().collection::<()>("pages").unwrap().json();
        let id = pages.insert(&json!({"body": {"$text": "x".repeat(LETTERS)}})).unwrap();
        Self { replica, pages, id, _folder: folder }
    }

    fn type_key(&self) -> Result<Write, EditError> {
        self.pages.of.entity(self.id).unwrap().text("body").splice(0, 0, "k")
    }

    /// The row as another process reads it.
    fn row(&self) -> ProjectedEntity {
        self.replica.shared.reader.projection(self.id).unwrap().unwrap()
    }

    /// What `list` shows, which has to be what the document reads as.
    fn listed(&self) -> Value {
        let [(id, value)] = <[_; 1]>::try_from(self.pages.list().unwrap()).unwrap();
        assert_eq!((id, &value), (self.id, &self.pages.read(id).unwrap()));
        value
    }
}

fn letters(value: &Value) -> usize {
    value["body"].as_str().unwrap().len()
}

#[test]
fn a_key_in_a_large_text_writes_no_projection_and_whoever_reads_sees_it_all_the_same() {
    let book = Book::new();
    assert!(!book.row().stale, "what is new is projected");
    book.type_key().unwrap();
    assert!(book.row().stale && letters(&serde_json::from_str(&book.row().projection.json).unwrap()) == LETTERS);
    assert_eq!(letters(&book.listed()), LETTERS + 1);
    assert!(!book.row().stale, "the reader has left it projected");
    book.type_key().unwrap();
    let mut exported = Vec::new();
    book.replica.spaces().unwrap()[0].export(&mut exported, |_| ()).unwrap();
    assert!(exported.len() > LETTERS + 2);
    assert_eq!(letters(&book.listed()), LETTERS + 2);

    book.pages.edit(book.id, |page| page["body"] = json!({"$text": "short"})).unwrap();
    assert_eq!(book.listed(), json!({"body": "short"}));
    book.type_key().unwrap();
    assert!(!book.row().stale, "the control: a short text is projected at each key");
}

#[test]
fn a_projection_that_was_left_stale_is_what_rebuilding_all_of_them_gives() {
    let book = Book::new();
    book.type_key().unwrap();
    let _ = book.listed();
    let before = book.row();
    let _ = book.replica.shared.driver.with_store(|store| store.make_projections_stale()).unwrap();
    assert!(book.row().stale);
    let _ = book.listed();
    assert_eq!(book.row(), before);
}

#[test]
fn a_large_entity_that_is_deleted_or_restored_is_in_the_right_list_at_once() {
    let book = Book::new();
    let lists = || (book.pages.of.ids().unwrap(), book.pages.of.deleted().unwrap());
    book.type_key().unwrap();
    book.pages.of.delete(book.id).unwrap();
    assert_eq!(lists(), (vec![], vec![book.id]));
    book.type_key().unwrap();
    assert_eq!(lists(), (vec![], vec![book.id]));
    book.pages.of.restore(book.id).unwrap();
    book.type_key().unwrap();
    assert_eq!(lists(), (vec![book.id], vec![]));
}

#[test]
fn a_crash_shows_no_change_without_its_projection_nor_the_other_way_round() {
    let book = Book::new();
    book.type_key().unwrap();
    let _ = book.listed();
    let points = [FaultPoint::BeforeStatement(1), FaultPoint::BeforeStatement(2), FaultPoint::BeforeCommit];
    for (strikes_at, kept) in points.map(|point| (point, 0)).into_iter().chain([(FaultPoint::AfterCommit, 1)]) {
        let before = letters(&book.listed());
        let driver = &book.replica.shared.driver;
        let strike = move |point| (point == strikes_at).then_some(Fault::Crash);
        driver.with_store(|store| store.inject(Box::new(strike)));
        assert!(book.type_key().is_err(), "{strikes_at:?}");
        driver.with_store(|store| store.inject(Box::new(|_| None)));
        assert_eq!(letters(&serde_json::from_str(&book.row().projection.json).unwrap()), before, "{strikes_at:?}");
        assert_eq!(book.row().stale, kept == 1, "{strikes_at:?}");
        book.replica.reload().unwrap();
        assert_eq!(letters(&book.listed()), before + kept, "{strikes_at:?}");
        // The first key after a reload projects, so that its size is known again.
        book.type_key().unwrap();
        let _ = book.listed();
    }
}

#[test]
fn a_list_within_a_transaction_shows_what_is_stored_and_waits_for_nobody() {
    let book = Book::new();
    book.type_key().unwrap();
    let (told, done) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let given_up = book.replica.transaction(|tx| {
                tx.edit_json(&book.pages, book.id, |page| page["body"] = json!("of the transaction"))?;
                told.send(letters(&book.pages.list().unwrap()[0].1)).unwrap();
                Err::<(), _>(EditError::aborted("that was all"))
            });
            assert!(given_up.is_err());
        });
        assert_eq!(done.recv_timeout(NEVER), Ok(LETTERS + 1));
    });
    assert_eq!(letters(&book.listed()), LETTERS + 1);
}
