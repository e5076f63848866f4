//! Queries of a store that another process may be writing to.

use super::{Params, Query, QueryError, SearchBox};
use crate::error::SpaceError;
use crate::read_only::ReadOnlySpace;
use afield_core::{Collection as Name, EntityId};

/// What a [`Query`] or a [`SearchBox`] gives that was made of a [`ReadOnlySpace`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// use afield::{Beside, Query, ReadOnlyReplica, Replica};
///
/// let replica = Replica::open(&path)?; // perhaps another process
/// let tasks = replica.create_space("Home")?.collection::<()>("tasks")?.json();
/// let id = tasks.insert(&serde_json::json!({"title": "sow"}))?;
///
/// let home = ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
/// let all: Query<Beside> = home.query("tasks".parse()?, "title = ?", ["sow"])?;
/// assert_eq!(all.ids()?, [id]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Beside;

impl ReadOnlySpace {
    /// Asks for entities of a collection that meet a condition, as [`crate::Collection::query`] does; an error that a
    /// query would be is told where it is made. No lenses are declared here: fields have the names and values that documents have.
    ///
    /// Nothing is stored from here. So an entity of more than 8 KiB that was edited since anybody has read it counts as it was
    /// then: [`ReadOnlySpace::is_behind`] tells whether there are any.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
    /// notes.insert(&serde_json::json!({"title": "Milk", "done": false}))?;
    /// let home = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(home.query("notes".parse()?, "title LIKE ?", ["m%"])?.count()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`crate::Collection::query`].
    pub fn query(&self, collection: Name, condition: &str, params: impl Params) -> Result<Query<Beside>, QueryError> {
        Query::beside(self.reader.clone(), (self.id(), collection), condition, params)
    }

    /// Looks for entities by their words, as [`crate::Collection::search`] does.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// home.collection::<()>("notes")?.search_fields("title")?;
    /// notes.insert(&serde_json::json!({ "title": "Milk and bread" }))?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let found = beside.search("notes".parse()?, "bre")?.while_typing().all()?;
    /// assert_eq!(found[0].value["title"], "Milk and bread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing is declared for full-text search, or the store could not be read.
    pub fn search(&self, collection: Name, words: &str) -> Result<SearchBox<Beside>, QueryError> {
        SearchBox::beside(self.reader.clone(), (self.id(), collection), words)
    }

    /// Whether queries and searches of a collection see some entities as they were: see [`ReadOnlySpace::query`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # use serde_json::json;
    /// let id = notes.insert(&json!({ "title": "Milk", "body": "x".repeat(10_000) }))?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let name = "notes".parse()?;
    /// assert!(!beside.is_behind(&name)?);
    /// notes.edit(id, |note| note["title"] = json!("Bread"))?; // of more than 8 KiB, and nobody has read it since
    /// assert!(beside.is_behind(&name)?);
    /// assert_eq!(notes.query("title = 'Bread'", ())?.count()?, 1); // by the process that writes
    /// assert!(!beside.is_behind(&name)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn is_behind(&self, collection: &Name) -> Result<bool, SpaceError> {
        Ok(!self.reader.stale_of(self.id(), collection)?.is_empty())
    }

    /// The indexes that are declared for a collection: the fields of each.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// home.collection::<()>("notes")?.index(["done", "due"])?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(beside.indexes(&"notes".parse()?)?, [["done", "due"]]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn indexes(&self, collection: &Name) -> Result<Vec<Vec<String>>, SpaceError> {
        Ok(self.reader.indexes(self.id(), collection)?)
    }

    /// The fields that full-text search looks into; `None` where it was not declared.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// home.collection::<()>("notes")?.search_fields("title")?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(beside.searched_fields(&"notes".parse()?)?, Some(vec!["title".to_owned()]));
    /// assert_eq!(beside.searched_fields(&"photos".parse()?)?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn searched_fields(&self, collection: &Name) -> Result<Option<Vec<String>>, SpaceError> {
        Ok(self.reader.search_fields(self.id(), collection)?)
    }
}

impl Query<Beside> {
    /// The entities as JSON values.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # use serde_json::json;
    /// let id = notes.insert(&json!({ "title": "Milk", "due": 3 }))?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let due = beside.query("notes".parse()?, "due < ?", [7])?.order_by("due");
    /// assert_eq!(due.all()?, [(id, json!({ "title": "Milk", "due": 3 }))]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`].
    pub fn all(&self) -> Result<Vec<(EntityId, serde_json::Value)>, QueryError> {
        Ok(super::values(&self.matched()?, None))
    }
}
