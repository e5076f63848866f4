//! Real changes of every kind, made by Automerge, for this crate's tests.

use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ObjType, ROOT, ScalarValue};

/// An empty document of the actor whose id is sixteen times `actor`.
#[expect(clippy::disallowed_methods, reason = "the actor is given right after")]
pub(crate) fn document(actor: u8) -> AutoCommit {
    AutoCommit::new().with_actor(ActorId::from([actor; 16]))
}

/// Commits what is open, at a fixed time, and gives the bytes of that change.
pub(crate) fn commit(document: &mut AutoCommit, time_ms: i64) -> Vec<u8> {
    document.commit_with(CommitOptions::default().with_time(time_ms)).expect("something to commit");
    last_change(document)
}

fn last_change(document: &mut AutoCommit) -> Vec<u8> {
    document.get_last_local_change().expect("a local change").raw_bytes().to_vec()
}

/// All changes of a document in causal order.
pub(crate) fn changes(document: &mut AutoCommit) -> Vec<Vec<u8>> {
    document.get_changes(&[]).into_iter().map(|change| change.raw_bytes().to_vec()).collect()
}

/// Changes by several actors that hold every kind of operation and of value, in causal order.
pub(crate) fn every_kind() -> Vec<Vec<u8>> {
    let mut one = document(1);
    one.put(ROOT, "title", "Grüße").unwrap();
    one.put(ROOT, "done", false).unwrap();
    one.put(ROOT, "size", -5_i64).unwrap();
    one.put(ROOT, "count", 7_u64).unwrap();
    one.put(ROOT, "ratio", 0.5).unwrap();
    one.put(ROOT, "nothing", ()).unwrap();
    one.put(ROOT, "bytes", vec![1_u8, 2, 3]).unwrap();
    one.put(ROOT, "when", ScalarValue::Timestamp(1_700_000_000_000)).unwrap();
    one.put(ROOT, "stars", ScalarValue::counter(1)).unwrap();
    commit(&mut one, 1_700_000_000_000);
    let text = one.put_object(ROOT, "text", ObjType::Text).unwrap();
    let list = one.put_object(ROOT, "list", ObjType::List).unwrap();
    let map = one.put_object(ROOT, "map", ObjType::Map).unwrap();
    commit(&mut one, 1_700_000_000_100);
    one.splice_text(&text, 0, 0, "hello, wörld 🎈").unwrap();
    commit(&mut one, 1_700_000_000_200);
    for position in 0..5 {
        one.splice_text(&text, position, 0, "x").unwrap();
        commit(&mut one, 1_700_000_000_300 + position as i64 * 150);
    }
    one.insert(&list, 0, 1).unwrap();
    one.insert(&list, 1, "two").unwrap();
    one.insert_object(&list, 2, ObjType::Map).unwrap();
    one.put(&map, "nested", true).unwrap();
    commit(&mut one, 1_700_000_002_000);

    let mut two = document(2);
    two.merge(&mut one).unwrap();
    for (document, word) in [(&mut one, "left"), (&mut two, "right")] {
        document.splice_text(&text, 3, 2, word).unwrap();
        document.put(ROOT, "title", word).unwrap();
        document.increment(ROOT, "stars", 3).unwrap();
        document.delete(&list, 0).unwrap();
        commit(document, 1_700_000_003_000);
    }
    two.merge(&mut one).unwrap();
    let bold = Mark::new("bold".to_owned(), true, 1, 6);
    two.mark(&text, bold, ExpandMark::Both).unwrap();
    commit(&mut two, 1_700_000_004_000);
    two.unmark(&text, "bold", 2, 3, ExpandMark::None).unwrap();
    two.delete(ROOT, "title").unwrap();
    two.splice_text(&text, 0, 4, "").unwrap();
    two.put(&list, 0, "changed").unwrap();
    two.commit_with(CommitOptions::default().with_message("with words").with_time(-3)).unwrap();
    two.empty_change(CommitOptions::default().with_message("joins").with_time(1_700_000_005_000));

    let mut three = document(3);
    three.merge(&mut two).unwrap();
    three.splice_text(&text, 2, 0, &"paste ".repeat(300)).unwrap();
    commit(&mut three, 1_700_000_006_000);
    three.put(ROOT, "title", "again").unwrap();
    commit(&mut three, 1_700_000_006_100);
    changes(&mut three)
}
