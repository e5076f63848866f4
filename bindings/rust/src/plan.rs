//! What a sync would do, found out without doing it.

mod folder;

pub(crate) use folder::discard_abandoned;

use crate::driver::{Took, document_of, is_deleted_in};
use crate::relay::Relay;
use crate::sandbox::{For, SandboxError, SandboxProgress, made};
use crate::space::Space;
use afield_core::document::View;
use afield_core::wire::Class;
use afield_core::{Collection, EntityId, SpaceId};
use afield_store::{LoadFrom, Origin, PlannedPush, Reader, StoreError};
use folder::PlanFolder;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// What a sync of a space would do, as things stand.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use afield_relay::{hub, server};
/// # let folder = tempfile::tempdir()?;
/// # let options = server::RelayOptions {
/// #     access: hub::Access::Open,
/// #     listen: "127.0.0.1:0".parse()?,
/// #     ..server::RelayOptions::new(folder.path().join("relay"))
/// # };
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # let relay = runtime.block_on(server::Relay::start(options))?;
/// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
/// # let home = laptop.create_space("Home")?;
/// # let there = phone.join_space(home.id())?;
/// # let (notes, notes_there) = (home.collection::<()>("notes")?.json(), there.collection::<()>("notes")?.json());
/// # let sync = |replica: &afield::Replica| -> Result<(), Box<dyn std::error::Error>> {
/// #     replica.connect(afield::Relay::new(relay.url()))?;
/// #     let _ = runtime.block_on(replica.sync_now());
/// #     replica.disconnect();
/// #     Ok(())
/// # };
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// # runtime.block_on(async {
/// let plan = home.plan_with(afield::Relay::new(relay.url()), |_| ()).await?;
/// assert_eq!((plan.send.changes, plan.receive.changes), (1, 0)); // and nothing was sent
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SyncPlan {
    /// The space.
    #[serde(serialize_with = "as_text")]
    pub space: SpaceId,
    /// What would go to the relay.
    pub send: PlannedWay,
    /// What would come from it.
    pub receive: PlannedWay,
}

/// One way of a plan.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let send = home.plan_to_send()?;
/// assert_eq!((send.entities, send.changes, send.deletions, send.purges), (1, 1, 0, 0));
/// assert!(!send.needs_confirmation);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedWay {
    /// Entities that something is sent or comes of.
    pub entities: u64,
    /// Changes, without erasure records.
    pub changes: u64,
    /// The bytes of the changes and of the erasure records as they are stored: on the wire they take less.
    pub bytes: u64,
    /// Entities that are there on the other side and would be deleted.
    pub deletions: u64,
    /// Entities that would be purged: an erasure record each, which the figures of a run count among the changes it sends.
    pub purges: u64,
    /// Whether these are more deletions than may be unasked, so that they wait ([`Space::set_guard`]).
    pub needs_confirmation: bool,
    /// The entities, by collection and id.
    pub list: Vec<PlannedEntity>,
}

/// What a plan says about an entity.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// let id = notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let planned = &home.plan_to_send()?.list[0];
/// assert_eq!((planned.entity, planned.collection.as_str(), planned.changes), (id, "notes", 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedEntity {
    /// The entity.
    #[serde(serialize_with = "as_text")]
    pub entity: EntityId,
    /// Its collection.
    pub collection: String,
    /// Changes.
    pub changes: u64,
    /// Their bytes, as they are stored.
    pub bytes: u64,
    /// What becomes of it.
    pub effect: PlannedEffect,
}

/// What becomes of an entity on the side that receives.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// use afield::PlannedEffect;
///
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// assert_eq!(home.plan_to_send()?.list[0].effect, PlannedEffect::New); // on the side that receives it
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlannedEffect {
    /// It is new there.
    New,
    /// It is changed.
    Changed,
    /// It is deleted, and can be restored.
    Deleted,
    /// It had been deleted, and is there again.
    Restored,
    /// It is gone for good.
    Purged,
}

/// What a sync would do is not known, but for what would be sent.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{PlanError, SandboxError};
///
/// home.collection::<()>("notes")?.json().insert(&serde_json::json!({"title": "Milk"}))?;
/// match home.plan().await {
///     // What would be sent is known without a relay.
///     Err(PlanError::Half { send, source: SandboxError::Disabled }) => assert_eq!(send.changes, 1),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// What would come is not known.
    #[error("what a sync would bring is not known; what it would send is")]
    Half {
        /// What would be sent.
        send: Box<PlannedWay>,
        /// Why.
        #[source]
        source: SandboxError,
    },
    /// The relay does not serve the space.
    #[error("the relay does not serve space {space}: {reason}")]
    Refused {
        /// The space.
        space: SpaceId,
        /// Why, in words for a person.
        reason: String,
        /// What would be sent.
        send: Box<PlannedWay>,
    },
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
}

impl PlanError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// use afield::{Class, Relay};
    ///
    /// let error = home.plan_with(Relay::new("ws://127.0.0.1:9"), |_| ()).await.unwrap_err(); // nobody is there
    /// assert_eq!(error.class(), Class::Retry);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Half { source, .. } => source.class(),
            Self::Refused { .. } => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// assert_eq!(home.plan().await.unwrap_err().code(), "sync.disabled"); // no relay is connected
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Half { source, .. } => source.code(),
            Self::Refused { .. } => "plan.refused",
            Self::Store(error) => error.code(),
        }
    }

    /// What would be sent, where that is known.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let error = home.plan().await.unwrap_err(); // no relay is connected
    /// assert_eq!(error.send().map(|send| send.changes), Some(1), "what would go is known all the same");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn send(&self) -> Option<&PlannedWay> {
        match self {
            Self::Half { send, .. } | Self::Refused { send, .. } => Some(send),
            Self::Store(_) => None,
        }
    }
}

impl Space {
    /// Says what a sync of this space would do, both ways, without sending or applying anything.
    ///
    /// What would come is found out by a [sandbox](crate::Replica::sandbox): a copy of the store in a folder of its own beside the
    /// store (where temporary files are kept for a store in memory), which takes in what the relay has and is deleted
    /// afterwards. So this takes as long as the sync would, and as much room as the store once more.
    ///
    /// It holds for as long as nobody edits anything. A relay that turns out to have lost history is offered all that is held here,
    /// which the plan says.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?;
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # home.set_schedule(Some(afield::Schedule::every(std::time::Duration::from_secs(3_600))?))?;
    /// # there.delete(id)?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # runtime.block_on(async {
    /// // The space is synced every hour, and a phone has deleted the note meanwhile.
    /// notes.insert(&serde_json::json!({ "title": "Tea" }))?;
    /// let plan = home.plan().await?;
    /// assert_eq!((plan.send.changes, plan.receive.changes), (1, 1));
    /// assert_eq!(plan.receive.list[0].effect, afield::PlannedEffect::Deleted);
    /// assert!(notes.read(id).is_ok()); // nothing has happened yet
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PlanError::Half`] has what would be sent where sync is off, the relay was not reached or the store could not be copied;
    /// the relay does not serve the space, or the store could not be read.
    pub async fn plan(&self) -> Result<SyncPlan, PlanError> {
        let parts = self.shared.relay_parts().ok_or(SandboxError::Disabled);
        self.planned(parts.map(|parts| (parts, Some(self.id()))), |_| {}).await
    }

    /// Plans as [`Space::plan`] does, with a relay that the replica need not be connected to, and tells how far it is.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?.json();
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # laptop.disconnect();
    /// # there.edit(id, |note| note["title"] = "Bread".into())?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # let path = folder.path().join("look.db");
    /// use afield::{PlannedEffect, Relay};
    /// # runtime.block_on(async {
    ///
    /// // A phone has changed the title of the note meanwhile.
    /// let plan = home.plan_with(Relay::new(relay.url()), |progress| println!("{progress:?}")).await?;
    /// assert_eq!((plan.send.changes, plan.receive.changes), (0, 1));
    /// assert_eq!((plan.receive.list[0].entity, plan.receive.list[0].effect), (id, PlannedEffect::Changed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Space::plan`], or the address or the token cannot be one.
    pub async fn plan_with(
        &self,
        relay: Relay,
        progress: impl FnMut(SandboxProgress) + Send + 'static,
    ) -> Result<SyncPlan, PlanError> {
        let parts = relay.into_parts().map_err(SandboxError::from);
        self.planned(parts.map(|parts| (parts, Some(self.id()))), progress).await
    }

    /// Says what a sync of this space would send, which takes no relay.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// let home = replica.create_space("Home")?;
    /// home.collection::<()>("notes")?.json().insert(&serde_json::json!({"title": "Trip"}))?;
    ///
    /// let send = home.plan_to_send()?;
    /// assert_eq!((send.entities, send.changes, send.deletions), (1, 1, 0));
    /// assert_eq!(send.list[0].effect, afield::PlannedEffect::New);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn plan_to_send(&self) -> Result<PlannedWay, StoreError> {
        let send = sent_way(&self.shared.reader, self.id())?;
        Ok(PlannedWay { needs_confirmation: self.holds_what_it_would_send()?, ..send })
    }

    fn holds_what_it_would_send(&self) -> Result<bool, StoreError> {
        Ok(!self.shared.reader.held_to_send(self.id(), self.shared.now().wall_ms)?.is_empty())
    }

    async fn planned(
        &self,
        of: Result<For, SandboxError>,
        progress: impl FnMut(SandboxProgress) + Send + 'static,
    ) -> Result<SyncPlan, PlanError> {
        let send = self.plan_to_send()?;
        let half = |send, source| PlanError::Half { send: Box::new(send), source };
        let of = match of {
            Ok(of) => of,
            Err(error) => return Err(half(send, error)),
        };
        // It is deleted with its content when this is dropped.
        let folder = match self.folder() {
            Ok(folder) => folder,
            Err(error) => return Err(half(send, SandboxError::Place(error))),
        };
        let sandbox = match made(&self.shared, of, folder.path().join("sandbox.db"), progress).await {
            Ok(sandbox) => sandbox,
            Err(error) => return Err(half(send, error)),
        };
        let space = self.id();
        let record = self.shared.reader.spaces()?.into_iter().find(|record| record.space == space);
        let is_new_there = record.is_some_and(|record| record.cursor.is_none() && record.origin == Origin::MadeHere);
        if let Some(reason) = sandbox.refused(space).filter(|_| !is_new_there) {
            return Err(PlanError::Refused { space, reason: reason.to_owned(), send: Box::new(send) });
        }
        // The outbox of the copy is what this device still has to send once it knows what the relay has: without what turned out to be
        // there or to be purged, and with the decisions of strategies, and all that a relay has lost.
        let left = sent_way(sandbox.replica().reader(), space)?;
        let send = PlannedWay { needs_confirmation: send.needs_confirmation, ..left };
        Ok(SyncPlan { space, send, receive: sandbox.received(space)? })
    }

    /// A folder beside the store for a copy of it.
    fn folder(&self) -> io::Result<PlanFolder> {
        let store = self.shared.driver.with_store(|store| store.path().map(PathBuf::from));
        match store.as_deref().and_then(Path::parent) {
            Some(folder) => PlanFolder::make(folder),
            None => PlanFolder::make(&std::env::temp_dir()),
        }
    }
}

impl PlannedWay {
    fn of(mut list: Vec<PlannedEntity>) -> Self {
        list.sort_by(|one, other| (&one.collection, one.entity).cmp(&(&other.collection, other.entity)));
        let with = |effect| list.iter().filter(|entity| entity.effect == effect).count() as u64;
        Self {
            entities: list.len() as u64,
            changes: list.iter().map(|entity| entity.changes).sum(),
            bytes: list.iter().map(|entity| entity.bytes).sum(),
            deletions: with(PlannedEffect::Deleted),
            purges: with(PlannedEffect::Purged),
            needs_confirmation: false,
            list,
        }
    }
}

/// What the outbox of a store would send.
fn sent_way(reader: &Reader, space: SpaceId) -> Result<PlannedWay, StoreError> {
    let deleted: BTreeSet<_> = reader.unsent_deletions(space)?.into_iter().map(|deletion| deletion.entity).collect();
    let planned = reader.planned_pushes(space)?.into_iter().map(|push| {
        let PlannedPush { entity, collection, changes, bytes, is_purge, is_new } = push;
        let effect = match (is_purge, is_new) {
            (true, _) => PlannedEffect::Purged,
            (false, true) => PlannedEffect::New,
            (false, false) => match is_deleted_there(reader, entity)? {
                Some((false, true)) => PlannedEffect::Deleted,
                Some((true, false)) => PlannedEffect::Restored,
                None if deleted.contains(&entity) => PlannedEffect::Deleted,
                _ => PlannedEffect::Changed,
            },
        };
        Ok(PlannedEntity { entity, collection: collection.as_str().to_owned(), changes, bytes, effect })
    });
    Ok(PlannedWay::of(planned.collect::<Result<_, StoreError>>()?))
}

/// Whether an entity is deleted for those who have what relays are known to have of it, before and after the rest was sent; `None` where
/// what is stored of it does not load.
fn is_deleted_there(reader: &Reader, entity: EntityId) -> Result<Option<(bool, bool)>, StoreError> {
    let Some(stored) = reader.load(entity, LoadFrom::Snapshot)? else { return Ok(None) };
    let Ok(document) = document_of(entity, stored) else { return Ok(None) };
    let only_here = reader.only_here(entity)?;
    let before = document.heads_without(|hash| only_here.contains_key(hash));
    let after = document.heads_without(|hash| only_here.get(hash) == Some(&true));
    let is_deleted = |heads| is_deleted_in(&View::new(document.automerge(), heads));
    Ok(Some((is_deleted(before), is_deleted(after))))
}

/// What a copy has taken in that is not here; `passed` are deletions that were let through unasked here a moment ago.
pub(crate) fn received_way(
    here: &Reader,
    copy: &Reader,
    space: SpaceId,
    (took, passed): (Option<&Took>, &BTreeMap<Collection, BTreeSet<EntityId>>),
) -> Result<PlannedWay, StoreError> {
    let nothing = Took::default();
    let took = took.unwrap_or(&nothing);
    let (mut list, mut gone) = (Vec::new(), BTreeMap::<Collection, BTreeSet<EntityId>>::new());
    for (entity, brought) in &took.brought {
        let Some(home) = copy.home(*entity)?.filter(|home| home.space == space) else { continue };
        let deleted = |reader: &Reader| -> Result<Option<bool>, StoreError> {
            Ok(reader.projection(*entity)?.map(|projected| projected.projection.deleted))
        };
        let effect = match (deleted(here)?, deleted(copy)?) {
            (Some(false), Some(true)) => PlannedEffect::Deleted,
            (Some(true), Some(false)) => PlannedEffect::Restored,
            (None, _) if here.home(*entity)?.is_none() => PlannedEffect::New,
            _ => PlannedEffect::Changed,
        };
        if effect == PlannedEffect::Deleted {
            gone.entry(home.collection.clone()).or_default().insert(*entity);
        }
        let collection = home.collection.as_str().to_owned();
        list.push(PlannedEntity {
            entity: *entity,
            collection,
            changes: brought.changes,
            bytes: brought.bytes,
            effect,
        });
    }
    for entity in &took.erased {
        let Some(home) = here.home(*entity)?.filter(|home| home.space == space) else { continue };
        gone.entry(home.collection.clone()).or_default().insert(*entity);
        let (collection, effect) = (home.collection.as_str().to_owned(), PlannedEffect::Purged);
        let bytes = afield_core::erasure::ERASURE_BYTES as u64;
        list.push(PlannedEntity { entity: *entity, collection, changes: 0, bytes, effect });
    }
    let needs_confirmation = here.would_hold(space, &gone, passed)?;
    Ok(PlannedWay { needs_confirmation, ..PlannedWay::of(list) })
}

fn as_text<T: std::fmt::Display, S: serde::Serializer>(id: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
