//! All entities of a collection, and those among them that could not be read.

use crate::error::ReadError;
use afield_core::EntityId;

/// What a collection holds: see [`Collection::list`](crate::Collection::list).
///
/// Any device that may write to the space can leave an entity that does not have the shape of the type, above all one
/// with a newer version of the application. It never stands in the way of the others.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::model;
///
/// #[model]
/// #[derive(Debug)]
/// struct Note { title: String }
///
/// let notes = home.collection::<Note>("notes")?;
/// notes.insert(&Note { title: "Milk".into() })?;
/// let odd = notes.json().insert(&serde_json::json!({"title": 5}))?;
/// let listing = notes.list()?;
/// assert_eq!((listing.entities.len(), listing.unreadable[0].0), (1, odd)); // one does not hide the others
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "entities that could not be read are told here and nowhere else"]
pub struct Listing<T> {
    /// The entities, in the order of their making.
    pub entities: Vec<(EntityId, T)>,
    /// The entities that could not be read, and why; in the order of their making.
    pub unreadable: Vec<(EntityId, ReadError)>,
}

impl<T> Listing<T> {
    /// Sorts what was read of each entity, unless the store itself failed.
    pub(crate) fn of(read: impl Iterator<Item = (EntityId, Result<T, ReadError>)>) -> Result<Self, ReadError> {
        let mut listing = Self { entities: Vec::new(), unreadable: Vec::new() };
        for (id, result) in read {
            match result {
                Ok(value) => listing.entities.push((id, value)),
                Err(error) if error.is_of_entity() => listing.unreadable.push((id, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }

    /// All entities, for those who can do nothing with a part of them.
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # use serde_json::json;
    /// # #[model]
    /// # #[derive(Debug)]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// notes.insert(&Note { title: "Milk".into() })?;
    /// assert_eq!(notes.list()?.complete()?[0].1.title, "Milk");
    ///
    /// notes.json().insert(&json!({ "title": 5 }))?; // as some other version of the application might
    /// assert!(notes.list()?.complete().is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An entity could not be read; it is the first one.
    pub fn complete(self) -> Result<Vec<(EntityId, T)>, ReadError> {
        match self.unreadable.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(self.entities),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{ReadError, Replica};
    use serde_json::json;

    #[crate::model]
    #[derive(Debug, PartialEq)]
    struct Note {
        title: String,
    }

    #[test]
    fn an_entity_that_does_not_fit_is_told_and_stops_no_other() {
        let replica = Replica::open_in_memory().unwrap();
        let notes = replica.create_space("home").unwrap().collection::<Note>("notes").unwrap();
        let first = notes.insert(&Note { title: "first".into() }).unwrap();
        let listing = notes.list().unwrap();
        assert!(listing.unreadable.is_empty());
        assert_eq!(listing.complete().unwrap(), [(first, Note { title: "first".into() })]);

        let other = notes.json().insert(&json!({"title": 5})).unwrap();
        let last = notes.insert(&Note { title: "last".into() }).unwrap();
        let listing = notes.list().unwrap();
        assert_eq!(listing.entities.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [first, last]);
        assert!(matches!(listing.unreadable.as_slice(), [(id, ReadError::Shape { entity, .. })] if id == entity));
        assert_eq!(listing.unreadable[0].0, other);
        assert!(matches!(listing.complete(), Err(ReadError::Shape { .. })));
    }
}
