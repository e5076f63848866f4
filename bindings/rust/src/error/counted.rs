//! Words that count: one of something is told in the singular.

/// So many, in words.
pub(crate) fn count(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", by(count, one, many))
}

/// What goes with a number.
pub(crate) fn by<'w>(count: u64, one: &'w str, many: &'w str) -> &'w str {
    if count == 1 { one } else { many }
}

/// Why deletions wait that a guard holds.
pub(super) fn whose(deletions: u64, is_received: bool) -> &'static str {
    match (is_received, deletions) {
        (true, 1) => "another device made it, and it is not followed here",
        (true, _) => "others made them, and they are not followed here",
        (false, 1) => "it was made here, and nothing of the space is sent",
        (false, _) => "they were made here, and nothing of the space is sent",
    }
}

#[cfg(test)]
mod tests {
    use crate::{EditError, EntityId, PurgeError, Purged, SpaceError, SpaceId, SyncError};

    /// The errors that count, with this number.
    fn counted(count: u64) -> Vec<String> {
        let (space, entity) = (SpaceId::from_bytes([1; 16]), EntityId::from_bytes([2; 16]));
        let held = |received| SyncError::Held { space, deletions: count, received };
        let extent = Purged { entities: count, changes: count, unsent: 0, skipped: 0 };
        let restored = |is_deleted| EditError::Unconfirmed { entity, places: count, is_deleted };
        vec![
            held(true).to_string(),
            held(false).to_string(),
            PurgeError::Unconfirmed { space, extent }.to_string(),
            restored(true).to_string(),
            restored(false).to_string(),
            SpaceError::Unsent { space, changes: count }.to_string(),
            SpaceError::OnlyCopy { space, changes: count }.to_string(),
            afield_store::SpaceError::UnsentChanges { space, changes: count }.to_string(),
        ]
    }

    #[test]
    fn one_is_told_in_the_singular_and_more_in_the_plural() {
        let plurals = ["1 changes", "1 entities", "1 places", "1 deletions", " are ", " they ", " them", " wait "];
        for words in counted(1) {
            assert_eq!(plurals.into_iter().find(|plural| words.contains(plural)), None, "{words}");
        }
        let singulars = ["2 change ", "2 entity", "2 place ", "2 deletion ", " it was", " waits ", "discarding it"];
        for words in counted(2) {
            assert_eq!(singulars.into_iter().find(|singular| words.contains(singular)), None, "{words}");
        }
        let [received, _, purge, ..] = &counted(2)[..] else { panic!("some errors count") };
        assert!(received.starts_with("2 deletions of space "), "{received}");
        assert!(purge.starts_with("this would delete 2 changes of 2 entities for good"), "{purge}");
    }
}
