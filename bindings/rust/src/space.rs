//! Spaces: what is shared and synced together.

use crate::collection::Collection;
use crate::error::{ReadError, SpaceError};
use crate::replica::Shared;
use afield_core::SpaceId;
use std::sync::Arc;

/// A set of entities that is shared, and synced, as one.
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
    pub fn id(&self) -> SpaceId {
        self.id
    }

    /// The space's name on this device.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The entities of one collection, as values of `T`.
    ///
    /// # Errors
    ///
    /// The name is not valid.
    pub fn collection<T>(&self, name: &str) -> Result<Collection<T>, SpaceError> {
        Ok(Collection::new(self.shared.clone(), self.id, name.parse()?))
    }

    /// The names of the collections that hold entities, in order.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn collections(&self) -> Result<Vec<String>, ReadError> {
        Ok(self.shared.collections(self.id)?.into_iter().map(|name| name.as_str().to_owned()).collect())
    }
}
