//! Which entities of a space are kept on this device.

use crate::error::FilterError;
use afield_core::filter::{Filter as Wanted, Selection};
use afield_core::id::ParseCollectionError;
use afield_core::{Collection, EntityId};
use std::collections::BTreeSet;

/// Which entities of a space are kept on this device; see [`Space::set_filter`](crate::Space::set_filter).
///
/// Without one it is all of them. Whatever a filter leaves out can be fetched one by one, and whatever is made or edited
/// here is sent.
///
/// ```
/// use afield::Filter;
///
/// // All notes, and the ids of all photos, to be fetched when somebody looks at them.
/// let filter = Filter::collections(["notes"]).announcing(["photos"]);
/// assert_ne!(filter, Filter::everything());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    is_everything: bool,
    collections: BTreeSet<String>,
    entities: BTreeSet<EntityId>,
    announced: BTreeSet<String>,
}

impl Filter {
    /// Every entity.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::Filter;
    ///
    /// home.set_filter(Filter::collections(["notes"]))?;
    /// home.set_filter(Filter::everything())?; // what was left out is fetched from now on
    /// assert_eq!(home.filter()?, Filter::everything());
    /// # Ok(())
    /// # }
    /// ```
    pub fn everything() -> Self {
        Self { is_everything: true, ..Self::nothing() }
    }

    /// Nothing of what others make: this device sends only.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::Filter;
    ///
    /// home.set_filter(Filter::nothing())?; // a sensor has no use for what others measure
    /// home.collection::<()>("readings")?.json().insert(&serde_json::json!({ "degrees": 21 }))?;
    /// assert_eq!(replica.status()?.pending_changes, 1); // what it measures is sent
    /// # Ok(())
    /// # }
    /// ```
    pub fn nothing() -> Self {
        let (collections, entities, announced) = Default::default();
        Self { is_everything: false, collections, entities, announced }
    }

    /// Every entity of these collections.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::Filter;
    ///
    /// home.set_filter(Filter::collections(["notes", "tasks"]))?; // and no photos
    /// assert_eq!(home.filter()?, Filter::collections(["tasks", "notes"]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn collections<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self { collections: names.into_iter().map(Into::into).collect(), ..Self::nothing() }
    }

    /// These entities as well, whatever their collection.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let id = home.collection::<()>("photos")?.json().insert(&serde_json::json!({}))?;
    /// use afield::Filter;
    ///
    /// // All notes, and the one photo that the cover shows.
    /// let filter = Filter::collections(["notes"]).entities([id]);
    /// home.set_filter(filter.clone())?;
    /// assert_eq!(home.filter()?, filter);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn entities(mut self, ids: impl IntoIterator<Item = EntityId>) -> Self {
        self.entities.extend(ids);
        self
    }

    /// The ids of the entities of these collections as well, which [`Space::not_here`](crate::Space::not_here) lists.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::Filter;
    ///
    /// home.set_filter(Filter::collections(["notes"]).announcing(["photos"]))?;
    /// for photo in home.not_here()? {
    ///     println!("{} could be fetched from {}", photo.id, photo.collection);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn announcing<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.announced.extend(names.into_iter().map(Into::into));
        self
    }

    /// The filter in terms of the protocol.
    ///
    /// # Errors
    ///
    /// The name of a collection is not valid.
    pub(crate) fn parsed(&self) -> Result<Wanted, FilterError> {
        if self.is_everything {
            return Ok(Wanted::Everything);
        }
        let names = |names: &BTreeSet<String>| -> Result<BTreeSet<Collection>, ParseCollectionError> {
            names.iter().map(|name| name.parse()).collect()
        };
        let (collections, announced) = (names(&self.collections)?, names(&self.announced)?);
        Ok(Wanted::Only(Selection { collections, entities: self.entities.clone(), announced }))
    }
}

impl From<Wanted> for Filter {
    fn from(wanted: Wanted) -> Self {
        let Wanted::Only(Selection { collections, entities, announced }) = wanted else { return Self::everything() };
        let names = |names: BTreeSet<Collection>| names.iter().map(|name| name.as_str().to_owned()).collect();
        Self { is_everything: false, collections: names(collections), entities, announced: names(announced) }
    }
}

/// An entity that is known to exist and is not on this device.
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
/// use afield::Filter;
///
/// there.set_filter(Filter::collections([] as [&str; 0]).announcing(["notes"]))?; // only what there is
/// let id = notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// # sync(&laptop)?;
/// # sync(&phone)?;
/// let known = &there.not_here()?[0];
/// assert_eq!((known.collection.as_str(), known.id), ("notes", id)); // `fetch` brings it
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotHere {
    /// Its collection.
    pub collection: String,
    /// The entity.
    pub id: EntityId,
}

/// What became of entities that were asked for.
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
/// let nobodys = afield::EntityId::from_bytes([7; 16]);
/// # laptop.connect(afield::Relay::new(relay.url()))?;
/// # runtime.block_on(async {
/// let fetched = home.fetch([nobodys]).await?;
/// assert_eq!(fetched.unknown, [nobodys]); // the relay has never heard of it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # laptop.disconnect();
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// Those that the relay knows nothing of: they do not exist, or whoever made them has not been online since.
    pub unknown: Vec<EntityId>,
}
