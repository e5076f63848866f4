//! Spaces: what is shared and synced together.

use crate::collection::Collection;
use crate::driver::Driver;
use crate::error::{FetchError, FilterError, ReadError, SpaceError, SyncError};
use crate::filter::{Fetched, Filter, NotHere};
use crate::replica::Shared;
use afield_core::{EntityId, SpaceId};
use std::sync::Arc;

/// A set of entities that is shared, and synced, as one.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// let notes = home.collection::<()>("notes")?.json();
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// assert_eq!(home.name(), "Home"); // on this device
/// assert_eq!(replica.space(home.id())?.collection::<()>("notes")?.ids()?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Space {
    pub(crate) shared: Arc<Shared>,
    id: SpaceId,
    name: String,
}

impl Space {
    pub(crate) fn new(shared: Arc<Shared>, id: SpaceId, name: String) -> Self {
        Self { shared, id, name }
    }

    /// The space's identity: give it to [`crate::Replica::join_space`] on another device.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// println!("join {} on another device", home.id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn id(&self) -> SpaceId {
        self.id
    }

    /// The space's name on this device.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// assert_eq!(home.name(), "Home");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The entities of one collection, as values of `T`.
    ///
    /// ```
    /// # use afield::{Collection, Replica, model};
    /// #[model]
    /// struct Note {
    ///     title: String,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = Replica::open_in_memory()?.create_space("Home")?;
    /// let notes: Collection<Note> = home.collection("notes")?;
    /// assert!(notes.ids()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The name is not valid.
    pub fn collection<T>(&self, name: &str) -> Result<Collection<T>, SpaceError> {
        Ok(Collection::new(self.shared.clone(), self.id, name.parse()?))
    }

    /// Says which entities of the space are kept on this device from now on.
    ///
    /// What the filter asks for and is not here yet is fetched from the relay, now or with the next connection, and kept up to
    /// date; [`Replica::catch_up`](crate::Replica::catch_up) waits for it. What is here and is not asked for any more stays
    /// as it is, and is not kept up to date. What was brought by [`Space::fetch`] belongs to every filter, so that a filter may be
    /// set anew at every start. What is made or edited here is sent whatever the filter.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let id = replica.create_space("elsewhere")?.id();
    /// use afield::Filter;
    ///
    /// let home = replica.create_space("Home")?;
    /// home.set_filter(Filter::collections(["notes"]).announcing(["photos"]))?;
    /// assert_eq!(home.filter()?, Filter::collections(["notes"]).announcing(["photos"]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The name of a collection is not valid, the filter is too long, or the store failed.
    pub fn set_filter(&self, filter: Filter) -> Result<(), FilterError> {
        if Driver::is_inside_an_edit() {
            return Err(FilterError::Nested);
        }
        let Shared { driver, .. } = &*self.shared;
        driver.set_filter(self.id, &filter.parsed()?, self.shared.now())?;
        self.shared.wake();
        Ok(())
    }

    /// Which entities of the space are kept on this device, with those that were fetched one by one.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::Filter;
    ///
    /// assert_eq!(home.filter()?, Filter::everything());
    /// home.set_filter(Filter::collections(["notes"]))?;
    /// assert_eq!(home.filter()?, Filter::collections(["notes"]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn filter(&self) -> Result<Filter, ReadError> {
        Ok(self.shared.reader.filter(self.id)?.into())
    }

    /// The entities that are known to exist and are not here: those of collections that the filter only announces, in
    /// the order of collections and ids.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// assert!(home.not_here()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn not_here(&self) -> Result<Vec<NotHere>, ReadError> {
        let found = self.shared.reader.not_here(self.id)?.into_iter();
        Ok(found.map(|(collection, id)| NotHere { collection: collection.as_str().to_owned(), id }).collect())
    }

    /// Fetches entities that the filter leaves out, and waits until they are here. They belong to the filter from then on,
    /// and are kept up to date until [`Space::unfetch`].
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
    /// # let id = home.collection::<()>("photos")?.json().insert(&serde_json::json!({ "of": "the sea" }))?;
    /// # let home = phone.join_space(home.id())?;
    /// # home.set_filter(afield::Filter::collections(["notes"]))?;
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # runtime.block_on(async {
    /// let photos = home.collection::<()>("photos")?.json();
    /// assert!(photos.read(id).is_err()); // a laptop made it, and the filter here is for notes
    /// assert!(home.fetch([id]).await?.unknown.is_empty());
    /// assert_eq!(photos.read(id)?["of"], "the sea");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Sync is off or the relay was not reached: they are fetched with the next connection. Or the filter would be too long, or
    /// the store failed.
    pub async fn fetch(&self, ids: impl IntoIterator<Item = EntityId>) -> Result<Fetched, FetchError> {
        if Driver::is_inside_an_edit() {
            return Err(FilterError::Nested.into());
        }
        let ids: Vec<EntityId> = ids.into_iter().collect();
        let waiting = {
            let Shared { driver, .. } = &*self.shared;
            driver.fetch(self.id, &ids, self.shared.now()).map_err(FilterError::from)?
        };
        let Some(waiting) = waiting else { return Ok(Fetched { unknown: Vec::new() }) };
        if !self.shared.is_connected() {
            return Err(SyncError::Disabled.into());
        }
        self.shared.wake();
        match waiting.await {
            Ok(Ok(unknown)) => Ok(Fetched { unknown }),
            Ok(Err(not)) => Err(SyncError::from(not).into()),
            Err(_) => Err(SyncError::Closed.into()),
        }
    }

    /// Takes back what [`Space::fetch`] asked for: the entities are kept up to date no more than the filter says.
    ///
    /// What is here of them stays, and edits made here are sent as ever. A filter and what was fetched name at most 16,384
    /// entities together, so who looks at many for a short while gives them up again.
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
    /// # let id = home.collection::<()>("photos")?.json().insert(&serde_json::json!({ "of": "the sea" }))?;
    /// # let home = phone.join_space(home.id())?;
    /// # home.set_filter(afield::Filter::collections(["notes"]))?;
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # runtime.block_on(async {
    /// home.fetch([id]).await?;
    /// home.unfetch([id])?;
    /// assert_eq!(home.filter()?, afield::Filter::collections(["notes"]));
    /// assert!(home.collection::<()>("photos")?.json().read(id).is_ok()); // as it is now
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store failed.
    pub fn unfetch(&self, ids: impl IntoIterator<Item = EntityId>) -> Result<(), FilterError> {
        if Driver::is_inside_an_edit() {
            return Err(FilterError::Nested);
        }
        let ids: Vec<EntityId> = ids.into_iter().collect();
        let Shared { driver, .. } = &*self.shared;
        driver.unwant_entities(self.id, &ids, self.shared.now())?;
        self.shared.wake();
        Ok(())
    }

    /// The names of the collections that hold entities, in order.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// home.collection::<()>("notes")?.json().insert(&serde_json::json!({ "title": "Milk" }))?;
    /// assert_eq!(home.collections()?, ["notes"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn collections(&self) -> Result<Vec<String>, ReadError> {
        Ok(self.shared.collections(self.id)?.into_iter().map(|name| name.as_str().to_owned()).collect())
    }
}
