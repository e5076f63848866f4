//! Leaving a space: it ends in the store, in memory and in sync at once.

use super::documents::lock;
use super::{Driver, NotInStep};
use crate::watch::Subject;
use afield_core::wire::Class;
use afield_core::{EntityId, Now, SpaceId};
use afield_store::{ConflictQuery, Left, ListQuery, SpaceError, Store, StoreError, Unsent};
use std::collections::BTreeSet;

/// The size up to which a store is rebuilt when a space is left, in bytes, whatever became free: some 100 ms.
const REBUILT_ANYWAY_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The share of a larger one that has to be free.
const FREE_PARTS_OF: u64 = 4;

/// What an attempt to rebuild the file has done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rebuilt {
    /// Whether nothing that was deleted can be read in the file any more.
    is_erased: bool,
    /// Whether the WAL is empty, which somebody who reads prevents.
    pub(super) is_wal_empty: bool,
}

impl Driver {
    /// Removes a space with all that is held of it. A session that runs ends, and the next one begins without it.
    ///
    /// Answers what was removed, and whether the file was rebuilt so that nothing of it can be read there any more. What was
    /// removed is overwritten in any case; what had been deleted before may be readable in a file that was not rebuilt.
    ///
    /// # Errors
    ///
    /// No such space is here, it has changes that no relay holds and that are to be kept, or the store failed; then
    /// nothing has changed.
    pub(crate) fn leave_space(&self, space: SpaceId, unsent: Unsent, now: Now) -> Result<(Left, bool), SpaceError> {
        let mut sync = self.turn();
        let mut store = lock(&self.store);
        let mut of_space = Vec::new();
        for entity in self.documents.known() {
            // What the store does not know yet is being made; it is refused when it is to be stored.
            if store.home(entity)?.is_none_or(|home| home.space == space) {
                of_space.push(entity);
            }
        }
        let watched = self.watched_in(&store, space)?;
        let left = store.leave_space(space, unsent)?.into_inner();
        // While the store is locked, so that nothing of it can be stored again.
        self.documents.forget(&of_space);
        drop(store);
        lock(&self.edited).remove(&space);
        lock(&self.invited).remove(&space);
        self.forget_seen(Some(space));
        self.forget_presence(Some(space));
        self.forget_guards_of(space);
        self.disappoint_those_who_wait_for(space);
        sync.plans.remove(&space);
        sync.aside.remove(&space);
        if sync.spaces.remove(&space).is_some() {
            self.restart_session(&mut sync, now);
        }
        self.publish(&mut sync, now);
        // What comes now takes long and concerns nobody else's space.
        drop(sync);
        for (subject, entities) in watched {
            self.observers.tell_all(&subject, &entities);
        }
        let rebuilt = self.rebuild_when_worth_it().unwrap_or_else(|error| {
            tracing::warn!(%space, %error, "the space is left, but the file could not be rebuilt without its traces");
            Rebuilt { is_erased: false, is_wal_empty: false }
        });
        if !rebuilt.is_wal_empty {
            self.keep_traces(0, now);
        }
        Ok((left, rebuilt.is_erased))
    }

    /// Those who watch something of a space, with what they are to be told is gone when it is left.
    fn watched_in(&self, store: &Store, space: SpaceId) -> Result<Vec<(Subject, BTreeSet<EntityId>)>, StoreError> {
        let (reader, mut watched) = (store.reader(), Vec::new());
        for subject in self.observers.subjects() {
            let entities: BTreeSet<_> = match &subject {
                Subject::Entity(entity) => {
                    let home = store.home(*entity)?.filter(|home| home.space == space);
                    home.map(|_| *entity).into_iter().collect()
                }
                Subject::Collection(of, name) if *of == space => {
                    let (collection, limit) = (Some(name), usize::MAX);
                    reader
                        .ids(&ListQuery { space, collection, deleted: None, after: None, limit })?
                        .into_iter()
                        .collect()
                }
                Subject::Conflicts(of) if *of == space => {
                    let query = ConflictQuery { space, collection: None, entity: None };
                    let stale = reader.entities_with_stale_conflicts(&query)?.into_iter().map(|(entity, _)| entity);
                    let known = reader.conflicts(&query)?.into_iter().map(|listed| listed.entity);
                    known.chain(stale).collect()
                }
                Subject::Collection(..) | Subject::Conflicts(_) => continue,
            };
            watched.push((subject, entities));
        }
        Ok(watched)
    }

    pub(super) fn rebuild_when_worth_it(&self) -> Result<Rebuilt, StoreError> {
        let mut store = lock(&self.store);
        if !is_worth_rebuilding(&store)? {
            // What the transaction overwrote stands in the WAL as it was until then.
            let is_wal_empty = store.empty_wal()?;
            tracing::debug!(is_wal_empty, "the store is not rebuilt: little of it became free");
            return Ok(Rebuilt { is_erased: false, is_wal_empty });
        }
        let is_erased = store.shrink()?;
        self.growth.end_rest();
        Ok(Rebuilt { is_erased, is_wal_empty: is_erased })
    }

    /// Tells those who wait for something of a space that it is gone.
    fn disappoint_those_who_wait_for(&self, space: SpaceId) {
        let not = NotInStep::new("the space was left", Class::Permanent);
        self.disappoint_fetchers(space, &not);
        let store = lock(&self.store);
        // Where the store cannot be read, they are told when it can be.
        self.acknowledgements.forget(|entity| store.home(entity).is_ok_and(|home| home.is_none()));
        drop(store);
        if let Err(error) = self.tell_sightings() {
            tracing::warn!(%space, %error, "who waits for another device to have a change was not told that it is gone");
        }
    }
}

fn is_worth_rebuilding(store: &Store) -> Result<bool, StoreError> {
    let bytes = store.size_bytes()?;
    Ok(bytes <= REBUILT_ANYWAY_BYTES_MAX || store.free_bytes()? >= bytes / FREE_PARTS_OF)
}
