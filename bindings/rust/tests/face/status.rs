//! What is said of several spaces, and of all of them together.

use afield::{Replica, Space, SyncState};
use serde_json::json;
use std::time::{Duration, Instant};

/// By how much one edit is older than another.
const APART: Duration = Duration::from_millis(40);

fn add(space: &Space) {
    space.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "milk" })).unwrap();
}

#[test]
fn all_spaces_together_have_what_each_has_and_are_as_old_as_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::open(folder.path().join("notes.db")).unwrap();
    let (first, second) = (replica.create_space("first").unwrap(), replica.create_space("second").unwrap());
    let none = replica.status().unwrap();
    assert_eq!((none.pending_changes, none.oldest_pending_age_ms), (0, None));

    let began = Instant::now();
    add(&first);
    // An age cannot be seen without some time that passes: no other thing is waited for.
    while began.elapsed() < APART {
        std::hint::spin_loop();
    }
    let later = Instant::now();
    add(&first);
    add(&second);
    let status = replica.status().unwrap();
    let of = |space: &Space| status.spaces.iter().find(|one| one.space == space.id()).expect("it is listed");
    let (one, other) = (of(&first), of(&second));
    assert_eq!(one.pending_changes, 2 * other.pending_changes);
    assert_eq!(status.pending_changes, one.pending_changes + other.pending_changes);
    let (older, newer) = (one.oldest_pending_age_ms.unwrap(), other.oldest_pending_age_ms.unwrap());
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    // One more, since the moments are rounded down each.
    assert!(older + 1 >= ms(APART) && older <= ms(began.elapsed()) + 1, "{older} ms");
    assert!(newer <= ms(later.elapsed()) + 1, "{newer} ms: of its own edit, and not of the other space's");
    assert_eq!(status.oldest_pending_age_ms, Some(older));
    assert_eq!((status.state, one.state, other.state), (SyncState::Disabled, SyncState::Disabled, SyncState::Disabled));
}
