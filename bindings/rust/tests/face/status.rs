//! What is said of several spaces, and of all of them together.

use afield::{Merged, Progress, Replica, Space, SyncState, Traffic};
use serde::Serialize;
use serde_json::{Value as Json, json};
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

/// The fields of something, as a program that reads its JSON sees them.
fn fields(of: &impl Serialize) -> Vec<String> {
    let Json::Object(fields) = serde_json::to_value(of).unwrap() else { panic!("it has fields") };
    let mut names: Vec<_> = fields.into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

#[test]
fn a_status_has_what_an_interface_needs_and_nothing_raw_behind_it() {
    let replica = Replica::open_in_memory().unwrap();
    add(&replica.create_space("Home").unwrap());
    let status = replica.status().unwrap();
    // Whoever adds a field says in its documentation what an interface does with it.
    let of_all = [
        "blocked_until_ms",
        "can_sync_now",
        "conflicts",
        "conflicts_behind",
        "cooldown_ms",
        "device",
        "failures",
        "last_error",
        "last_synced_ms",
        "merged",
        "oldest_pending_age_ms",
        "pending_changes",
        "progress",
        "quarantined",
        "relay",
        "retry_in_ms",
        "sign_in",
        "spaces",
        "state",
        "synchronous",
        "traffic",
    ];
    assert_eq!(fields(&status), of_all);
    let of_one = [
        "blocked_entities",
        "blocked_until_ms",
        "can_sync_now",
        "conflicts",
        "conflicts_behind",
        "cooldown_ms",
        "direction",
        "enabled",
        "held_back",
        "held_here",
        "held_to_send",
        "last_error",
        "last_reset_ms",
        "last_synced_ms",
        "name",
        "next_at_ms",
        "oldest_pending_age_ms",
        "pending_bytes",
        "pending_changes",
        "progress",
        "quarantined",
        "refused",
        "resets",
        "role",
        "schedule",
        "sequence",
        "space",
        "state",
    ];
    assert_eq!(fields(&status.spaces[0]), of_one);
    assert_eq!(
        fields(&Traffic::default()),
        ["bytes_received", "bytes_sent", "messages_received", "messages_sent", "sessions"]
    );
    assert_eq!(fields(&Merged::default()), ["changes", "replayed"]);
    let way = json!({ "done": { "chunks": 0, "bytes": 0 }, "total": null });
    assert_eq!(serde_json::to_value(Progress::default()).unwrap(), json!({ "up": way, "down": way }));
}

#[test]
fn the_words_of_a_state_are_those_that_are_promised() {
    let states = [
        SyncState::Disabled,
        SyncState::Idle,
        SyncState::Syncing,
        SyncState::Offline,
        SyncState::Blocked,
        SyncState::NeedsSignIn,
        SyncState::Error,
    ];
    let words = json!(["disabled", "idle", "syncing", "offline", "blocked", "needs_sign_in", "error"]);
    assert_eq!(serde_json::to_value(states).unwrap(), words);
}
