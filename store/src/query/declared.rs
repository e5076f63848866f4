//! Indexes that an application declares for the queries of a collection.

use super::error::QueryError;
use super::field::{FieldPath, quoted};
use super::search;
use crate::column::SpaceRow;
use crate::error::StoreError;
use crate::reader::Reader;
use crate::space;
use crate::store::Store;
use crate::transaction::{WriteTransaction, rows};
use afield_core::{Collection, Durable, SpaceId};
use rusqlite::Connection;

/// How many indexes a collection may have: each edit of one of its entities writes them all.
pub const INDEXES_MAX: usize = 16;
/// How many fields an index may have.
pub const INDEX_FIELDS_MAX: usize = 8;

impl Store {
    /// Declares an index over fields of a collection, from the first on; says whether it is new. It is kept up to date from
    /// then on in the transactions that change what an entity reads as.
    ///
    /// # Errors
    ///
    /// [`QueryError::TooMany`] and [`QueryError::UnknownSpace`] with nothing changed; or the storage failed.
    pub fn declare_index(
        &mut self,
        space: SpaceId,
        collection: &Collection,
        fields: &[FieldPath],
    ) -> Result<Durable<bool>, QueryError> {
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(QueryError::UnknownSpace { space })?;
            let too_many = QueryError::TooMany { indexes_max: INDEXES_MAX, fields_max: INDEX_FIELDS_MAX };
            if !(1..=INDEX_FIELDS_MAX).contains(&fields.len()) {
                return Err(too_many);
            }
            // What was made of other lenses serves no query of these any more.
            let text = written(fields);
            let alike = of_these_names(transaction, space_row, collection, fields)?;
            for (row, _) in alike.iter().filter(|(_, of)| *of != text && is_made(of) && is_made(&text)) {
                drop_one(transaction, *row)?;
            }
            let sql = "SELECT count(*) FROM query_indexes WHERE space_row = ? AND collection = ?";
            let of = (space_row, collection.as_str());
            let count = transaction.row(sql, of, |row| row.get::<_, i64>(0))?.unwrap_or_default();
            let sql =
                "INSERT INTO query_indexes (space_row, collection, fields) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            if transaction.execute(sql, (space_row, collection.as_str(), written(fields)))? == 0 {
                return Ok(false);
            }
            if count >= INDEXES_MAX as i64 {
                return Err(too_many);
            }
            let sql = "SELECT query_index_row FROM query_indexes WHERE space_row = ? AND collection = ? AND fields = ?";
            let of = (space_row, collection.as_str(), written(fields));
            let row = transaction.row(sql, of, |row| row.get::<_, i64>(0))?.unwrap_or_default();
            let columns: Vec<_> = fields.iter().map(|field| field.sql("")).collect();
            let sql = format!(
                "CREATE INDEX query_{row} ON projections ({}) WHERE space_row = {} AND collection = {} AND deleted = 0",
                columns.join(", "),
                space_row.0,
                quoted(collection.as_str())
            );
            transaction.execute_made(&sql, [])?;
            Ok(true)
        })
    }

    /// Drops an index that was declared over fields of these names; says whether there was one.
    ///
    /// # Errors
    ///
    /// [`QueryError::UnknownSpace`], or the storage failed.
    pub fn drop_index(
        &mut self,
        space: SpaceId,
        collection: &Collection,
        fields: &[FieldPath],
    ) -> Result<Durable<bool>, QueryError> {
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(QueryError::UnknownSpace { space })?;
            let alike = of_these_names(transaction, space_row, collection, fields)?;
            alike.iter().try_for_each(|(row, _)| drop_one(transaction, *row))?;
            Ok(!alike.is_empty())
        })
    }

    /// Makes every declared index and full-text table anew from the projections; `progress` is told how many of how many are
    /// done.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn rebuild_declared(&mut self, mut progress: impl FnMut(u64, u64)) -> Result<Durable<()>, StoreError> {
        self.write(|transaction| {
            let indexes = row_numbers(transaction, "SELECT query_index_row FROM query_indexes ORDER BY 1")?;
            let searches = row_numbers(transaction, "SELECT search_row FROM search_declarations ORDER BY 1")?;
            let indexes = indexes.into_iter().map(|row| format!("REINDEX query_{row}"));
            let searches = searches.into_iter().map(search::rebuilding);
            let all: Vec<_> = indexes.chain(searches).collect();
            for (sql, done) in all.iter().zip(1..) {
                transaction.execute_made(sql, [])?;
                progress(done, all.len() as u64);
            }
            Ok(())
        })
    }
}

impl Reader {
    /// The indexes that are declared for a collection, in the order of their making: the fields of each.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn indexes(&self, space: SpaceId, collection: &Collection) -> Result<Vec<Vec<String>>, StoreError> {
        self.read(|connection| {
            let sql =
                "SELECT fields FROM query_indexes JOIN spaces USING (space_row) WHERE space = ? AND collection = ?
                       ORDER BY query_index_row";
            let found = rows(connection, sql, (space.as_bytes(), collection.as_str()), |row| row.get::<_, String>(0))?;
            Ok(found.iter().map(|fields| names(fields)).collect())
        })
    }
}

/// Takes everything away that is declared for a space that is left.
pub(crate) fn forget(transaction: &mut WriteTransaction<'_>, space: SpaceRow) -> Result<(), StoreError> {
    let indexes = "SELECT query_index_row FROM query_indexes WHERE space_row = ?";
    for row in transaction.read(|connection| rows(connection, indexes, [space], |row| row.get(0)))? {
        drop_one(transaction, row)?;
    }
    let searches = "SELECT search_row FROM search_declarations WHERE space_row = ?";
    for row in transaction.read(|connection| rows(connection, searches, [space], |row| row.get(0)))? {
        search::drop_one(transaction, row)?;
    }
    Ok(())
}

/// The fields of all indexes of a collection.
pub(super) fn fields(
    connection: &Connection,
    space_row: i64,
    collection: &Collection,
) -> Result<Vec<FieldPath>, QueryError> {
    let sql = "SELECT fields FROM query_indexes WHERE space_row = ? AND collection = ?";
    let found = rows(connection, sql, (space_row, collection.as_str()), |row| row.get::<_, String>(0))?;
    found.iter().flat_map(|fields| names(fields)).map(|name| FieldPath::parse(&name)).collect()
}

/// Fields as they are stored.
pub(super) fn written(fields: &[FieldPath]) -> String {
    serde_json::Value::from_iter(fields.iter().map(FieldPath::declared)).to_string()
}

/// The names of fields that are stored so.
pub(super) fn names(written: &str) -> Vec<String> {
    let written: Vec<serde_json::Value> = serde_json::from_str(written).unwrap_or_default();
    written.iter().filter_map(FieldPath::name_of_declared).collect()
}

/// Whether lenses make any of the fields that are stored so.
fn is_made(written: &str) -> bool {
    let written: Vec<serde_json::Value> = serde_json::from_str(written).unwrap_or_default();
    written.iter().any(serde_json::Value::is_array)
}

/// The indexes of a collection over fields of these names, whatever lenses made of them then, each with what is stored of its fields.
fn of_these_names(
    transaction: &mut WriteTransaction<'_>,
    space_row: SpaceRow,
    collection: &Collection,
    fields: &[FieldPath],
) -> Result<Vec<(i64, String)>, StoreError> {
    let sql = "SELECT query_index_row, fields FROM query_indexes WHERE space_row = ? AND collection = ?";
    let of = (space_row, collection.as_str());
    let all =
        transaction.read(|connection| rows(connection, sql, of, |row| Ok((row.get(0)?, row.get::<_, String>(1)?))))?;
    let asked = names(&written(fields));
    Ok(all.into_iter().filter(|(_, written)| names(written) == asked).collect())
}

fn drop_one(transaction: &mut WriteTransaction<'_>, row: i64) -> Result<(), StoreError> {
    transaction.execute_made(&format!("DROP INDEX query_{row}"), [])?;
    transaction.execute("DELETE FROM query_indexes WHERE query_index_row = ?", [row])?;
    Ok(())
}

fn row_numbers(transaction: &mut WriteTransaction<'_>, sql: &'static str) -> Result<Vec<i64>, StoreError> {
    transaction.read(|connection| rows(connection, sql, [], |row| row.get(0)))
}
