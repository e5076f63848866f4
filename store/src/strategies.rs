//! How the conflicts of collections and fields are decided. What the names of strategies mean is not known here.

use crate::column;
use crate::error::{SpaceError, StoreError};
use crate::reader::Reader;
use crate::space;
use crate::store::Store;
use crate::transaction::{row, rows};
use afield_core::{Collection, Durable, SpaceId};
use rusqlite::Connection;

/// A strategy as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStrategy {
    /// The collection.
    pub collection: Collection,
    /// The path of the field; empty for all fields that have no strategy of their own.
    pub field: String,
    /// The name of the strategy.
    pub strategy: String,
}

impl Store {
    /// Gives a field of a collection a strategy, or all fields where its path is empty; `None` takes it away.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn set_strategy(
        &mut self,
        space: SpaceId,
        collection: &Collection,
        field: &str,
        strategy: Option<&str>,
    ) -> Result<Durable<()>, SpaceError> {
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(SpaceError::UnknownSpace { space })?;
            let sql = "DELETE FROM strategies WHERE space_row = ? AND collection = ? AND field = ?";
            transaction.execute(sql, (space_row, collection.as_str(), field))?;
            if let Some(strategy) = strategy {
                let sql = "INSERT INTO strategies (space_row, collection, field, strategy) VALUES (?, ?, ?, ?)";
                transaction.execute(sql, (space_row, collection.as_str(), field, strategy))?;
            }
            Ok(())
        })
    }

    /// The strategies of a space, or of one of its collections, in the order of collections and fields.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn strategies(
        &self,
        space: SpaceId,
        collection: Option<&Collection>,
    ) -> Result<Vec<StoredStrategy>, StoreError> {
        self.read(|connection| strategies(connection, space, collection))
    }

    /// Whether any collection of any space has a strategy.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn has_strategies(&self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM strategies LIMIT 1";
        self.read(|connection| Ok(row(connection, sql, [], |_| Ok(()))?.is_some()))
    }
}

impl Reader {
    /// As [`Store::strategies`], of a whole space.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn strategies(&self, space: SpaceId) -> Result<Vec<StoredStrategy>, StoreError> {
        self.read(|connection| strategies(connection, space, None))
    }
}

fn strategies(
    connection: &Connection,
    space: SpaceId,
    collection: Option<&Collection>,
) -> Result<Vec<StoredStrategy>, StoreError> {
    let sql = "SELECT collection, field, strategy FROM strategies
               WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND (?2 IS NULL OR collection = ?2)
               ORDER BY collection, field";
    rows(connection, sql, (space.as_bytes(), collection.map(Collection::as_str)), |row| {
        Ok(StoredStrategy { collection: column::collection(row, 0)?, field: row.get(1)?, strategy: row.get(2)? })
    })
}
