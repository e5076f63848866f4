//! Files that are handed over: whole ones, and all others.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::path::PathBuf;

/// A device with an entity, of a few changes, and one that was purged; and what it hands over.
struct Ended {
    replica: Replica,
    space: SpaceId,
    entity: EntityId,
    folder: tempfile::TempDir,
}

impl Ended {
    fn new() -> Self {
        let (replica, folder) = (Replica::open_in_memory().unwrap(), tempfile::tempdir().unwrap());
        let home = replica.create_space("Home").unwrap();
        let notes = home.collection::<()>("notes").unwrap();
        let entity = notes.json().insert(&json!({ "title": "Milk" })).unwrap();
        let gone = notes.json().insert(&json!({ "title": "Gone" })).unwrap();
        let _ = notes.json().edit(entity, |note| note["done"] = json!(true)).unwrap();
        notes.purge(gone, crate::Confirm::Yes).unwrap();
        Self { replica, space: home.id(), entity, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("unsent")
    }

    fn bytes(&self) -> Vec<u8> {
        self.replica.export_unsent(self.path()).unwrap();
        std::fs::read(self.path()).unwrap()
    }

    /// What another device says of these bytes, and that device.
    fn taken(&self, bytes: &[u8]) -> (Replica, Result<TakenOver, HandOverError>) {
        let other = Replica::open_in_memory().unwrap();
        other.join_space(self.space).unwrap();
        let path = self.folder.path().join("copy");
        std::fs::write(&path, bytes).unwrap();
        let taken = other.take_over(&path);
        (other, taken)
    }
}

fn title(replica: &Replica, ended: &Ended) -> serde_json::Value {
    replica.space(ended.space).unwrap().collection::<()>("notes").unwrap().json().read(ended.entity).unwrap()
}

#[test]
fn what_was_handed_over_is_there_and_sent_by_who_took_it() {
    let ended = Ended::new();
    let handed = ended.replica.export_unsent(ended.path()).unwrap();
    let pending = ended.replica.status().unwrap().pending_changes;
    assert_eq!((handed.spaces, handed.entities, handed.changes), (vec![ended.space], 2, pending));
    let (other, taken) = ended.taken(&std::fs::read(ended.path()).unwrap());
    let taken = taken.unwrap();
    assert_eq!((taken.changes, taken.added, taken.unknown_spaces), (pending, pending, Vec::new()));
    assert_eq!(title(&other, &ended), title(&ended.replica, &ended));
    assert_eq!(other.status().unwrap().pending_changes, pending);
    let again = other.take_over(ended.path()).unwrap();
    assert_eq!((again.changes, again.added), (pending, 0), "the same again changes nothing");
    assert_eq!(other.status().unwrap().pending_changes, pending);
    let itself = ended.replica.take_over(ended.path()).unwrap();
    assert_eq!(itself.added, 0, "nor does it where it comes from");
}

#[test]
fn nothing_of_a_space_that_is_not_here_is_taken() {
    let ended = Ended::new();
    ended.bytes();
    let stranger = Replica::open_in_memory().unwrap();
    let taken = stranger.take_over(ended.path()).unwrap();
    assert_eq!((taken.changes, taken.added, taken.unknown_spaces), (0, 0, vec![ended.space]));
    assert!(stranger.spaces().unwrap().is_empty());
}

#[test]
fn a_file_is_not_written_over_and_one_of_nothing_is_whole() {
    let ended = Ended::new();
    ended.bytes();
    assert!(matches!(ended.replica.export_unsent(ended.path()), Err(HandOverError::Exists)));
    let empty = ended.folder.path().join("empty");
    assert_eq!(Replica::open_in_memory().unwrap().export_unsent(&empty).unwrap(), Handed::default());
    assert_eq!(ended.replica.take_over(&empty).unwrap(), TakenOver::default());
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let ended = Ended::new();
    ended.bytes();
    assert_eq!(std::fs::metadata(ended.path()).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn each_cut_of_a_file_is_refused_with_nothing_taken() {
    let ended = Ended::new();
    let bytes = ended.bytes();
    for length in 0..bytes.len() {
        let (other, taken) = ended.taken(&bytes[..length]);
        let problem = match taken.unwrap_err() {
            HandOverError::Content(problem) => problem,
            error => panic!("{length}: {error}"),
        };
        assert!(matches!(problem, HandOverProblem::Cut { .. } | HandOverProblem::NotHandedOver), "{length}: {problem}");
        assert_eq!(other.status().unwrap().pending_changes, 0, "{length}");
    }
    assert!(ended.taken(&bytes).1.is_ok(), "the control");
    let more = [bytes.as_slice(), b"more"].concat();
    assert!(matches!(ended.taken(&more).1, Err(HandOverError::Content(HandOverProblem::Section { .. }))));
}

#[test]
fn a_section_of_four_gigabytes_is_refused_before_any_of_it_is_read() {
    let ended = Ended::new();
    let mut bytes = ended.bytes();
    bytes.truncate(17);
    bytes.extend([2, 0xff, 0xff, 0xff, 0xff]);
    let (_, taken) = ended.taken(&bytes);
    assert!(matches!(taken, Err(HandOverError::Content(HandOverProblem::TooLong { at: 17, .. }))), "{taken:?}");
}

#[test]
fn a_change_that_no_device_may_make_is_put_aside_and_the_others_are_taken() {
    let ended = Ended::new();
    let (collection, kind) = ("notes".parse().unwrap(), afield_core::ChunkKind::Change);
    let bad = BatchChunk { entity: EntityId::from_bytes([9; 16]), collection: &collection, kind, bytes: b"no change" };
    let page = |after| {
        let unsent = |store: &mut afield_store::Store| store.unsent(ended.space, after, usize::MAX, usize::MAX);
        ended.replica.shared.driver.with_store(unsent).unwrap()
    };
    // Records of what was purged are a page of their own, before all else.
    let mut good = page(OutboxPosition::START);
    good.extend(page(good[0].position));
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.space(ended.space).unwrap();
    writer.batch(std::iter::once(bad).chain(good.iter().map(in_batch))).unwrap();
    let (other, taken) = ended.taken(&writer.finish().unwrap());
    assert_eq!(taken.unwrap().added, good.len() as u64);
    assert_eq!(other.status().unwrap().quarantined, 1);
    assert_eq!(title(&other, &ended), title(&ended.replica, &ended));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fuzz_a_changed_byte_is_refused_with_nothing_taken(place in any::<prop::sample::Index>(), flip in 1_u8..) {
        let ended = Ended::new();
        let mut bytes = ended.bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        let (other, taken) = ended.taken(&bytes);
        prop_assert!(matches!(taken, Err(HandOverError::Content(_))), "{place}: {taken:?}");
        prop_assert_eq!(other.status().unwrap().pending_changes, 0);
    }

    #[test]
    fn fuzz_no_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_begun in any::<bool>()) {
        let ended = Ended::new();
        let begun = if is_begun { b"afield unsent 1\r\n".as_slice() } else { b"" };
        let (_, taken) = ended.taken(&[begun, &bytes].concat());
        prop_assert!(matches!(taken, Err(HandOverError::Content(_))), "{:?}", taken);
    }
}
