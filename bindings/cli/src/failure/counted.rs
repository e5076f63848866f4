//! Errors of the library that count, in words: singular where it is one.

use super::Failure;
use crate::text;
use afield::{EditError, PurgeError, SpaceError, SyncError};

/// What the library says of a number, and how it is said here. `None` for an error that counts nothing.
pub(super) fn of(failure: &Failure) -> Option<(String, String)> {
    match failure {
        Failure::Purge(error) => Some((error.to_string(), purge(error)?)),
        Failure::Edit(error) => Some((error.to_string(), edit(error)?)),
        Failure::Space(error) => Some((error.to_string(), space(error)?)),
        Failure::Sync(error)
        | Failure::NotInStep { source: error, .. }
        | Failure::NotReplaced { source: error, .. } => Some((error.to_string(), sync(error)?)),
        Failure::Kept { source, .. } => of(source),
        _ => None,
    }
}

/// Chooses by a number.
fn by<'t>(count: u64, one: &'t str, many: &'t str) -> &'t str {
    if count == 1 { one } else { many }
}

fn purge(error: &PurgeError) -> Option<String> {
    let PurgeError::Unconfirmed { space, extent, .. } = error else { return None };
    let changes = text::count(extent.changes, "change", "changes");
    let entities = text::count(extent.entities, "entity", "entities");
    let them = by(extent.changes, "it", "them");
    Some(format!(
        "this would delete {changes} of {entities} for good: on this device now, on the relay and on every device of space {space} with the next sync; nothing brings {them} back. Confirm it to do so"
    ))
}

fn edit(error: &EditError) -> Option<String> {
    let EditError::Unconfirmed { entity, places, is_deleted, .. } = error else { return None };
    let count = text::count(*places, "place", "places");
    let were = by(*places, "it was", "they were");
    let deletion = if *is_deleted { " and take its deletion back" } else { "" };
    Some(format!(
        "this would write {count} of entity {entity} as {were}{deletion}, over what was written there since. Confirm it to do so; undo takes it back"
    ))
}

fn space(error: &SpaceError) -> Option<String> {
    let SpaceError::Unsent { space, changes, .. } = error else { return None };
    let count = text::count(*changes, "change", "changes");
    let (are, them) = (by(*changes, "is", "are"), by(*changes, "it", "them"));
    Some(format!("{count} of space {space} {are} on no relay yet; sync first, or leave the space discarding {them}"))
}

/// What kept a sync back, in words.
pub(crate) fn sync_in_words(error: &SyncError) -> String {
    sync(error).unwrap_or_else(|| error.to_string())
}

fn sync(error: &SyncError) -> Option<String> {
    let SyncError::Held { space, deletions, received, .. } = error else { return None };
    let count = text::count(*deletions, "deletion", "deletions");
    let wait = by(*deletions, "waits", "wait");
    let why = match (received, deletions) {
        (true, 1) => "another device made it, and it is not followed here",
        (true, _) => "others made them, and they are not followed here",
        (false, 1) => "it was made here, and nothing of the space is sent",
        (false, _) => "they were made here, and nothing of the space is sent",
    };
    Some(format!("{count} of space {space} {wait} to be confirmed: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use afield::{EntityId, Purged, SpaceId};

    const ID: &str = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";

    /// The errors that count, with this number.
    fn errors(count: u64) -> Vec<Failure> {
        let (space, entity): (SpaceId, EntityId) = (ID.parse().unwrap(), ID.parse().unwrap());
        let held = |received| SyncError::Held { space, deletions: count, received };
        let kept = Failure::Edit(EditError::Unconfirmed { entity, places: count, is_deleted: true });
        vec![
            PurgeError::Unconfirmed { space, extent: Purged { entities: count, changes: count, unsent: 0 } }.into(),
            EditError::Unconfirmed { entity, places: count, is_deleted: false }.into(),
            Failure::Kept { kept: "here".into(), source: Box::new(kept) },
            SpaceError::Unsent { space, changes: count }.into(),
            held(true).into(),
            Failure::NotInStep { relay: "ws://r".into(), is_token_missing: true, source: held(false) },
            Failure::NotReplaced { kept: "ws://r".into(), source: held(false) },
        ]
    }

    #[test]
    fn one_is_singular_and_more_are_what_the_library_says() {
        let plurals = ["1 changes", "1 entities", "1 places", "1 deletions", " are ", " they ", " them", "wait "];
        for one in errors(1) {
            let words = one.in_words();
            assert_eq!(plurals.into_iter().find(|plural| words.contains(plural)), None, "{words}");
        }
        for many in errors(2) {
            let (theirs, ours) = of(&many).unwrap();
            assert_eq!(ours, theirs);
            assert!(many.in_words().contains(&theirs), "the control: it is in the words that are told");
        }
    }
}
