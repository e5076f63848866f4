//! Whether a file is of one piece: every space ends where its last row says.

use super::row::{SpaceRow, count};
use super::schema::OpenLogError;
use afield_core::log::ChunkHash;
use afield_core::{ChainHash, Cursor, EntityId, LogId, Sequence, SpaceId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

/// The last rows of a space's log, from the end.
const LAST: &str = "
    SELECT c.position, c.chain, e.id, c.kind, c.hash FROM chunks c LEFT JOIN entities e ON e.number = c.entity
    WHERE c.position > ?1 AND c.position <= ?2 ORDER BY c.position DESC LIMIT 1 OFFSET ?3";

/// Compares the head of every space with the last row of its log: two rows a space.
///
/// They are written in one transaction, so where they disagree parts of the file are older than others, as when a WAL was
/// replayed over another file than its own. Nothing such a file says can be relied on. A row that cannot be
/// understood is damage of its own, which costs its space or its entity when it is used.
///
/// # Errors
///
/// They disagree, or the file cannot be read.
pub(super) fn check(connection: &mut Connection) -> Result<(), OpenLogError> {
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare("SELECT number, id, log, sequence, chain FROM spaces")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match agrees(&transaction, row) {
            Ok(true) => {}
            Ok(false) => return Err(OpenLogError::Contradiction { space: SpaceId::from_bytes(row.get(1)?) }),
            Err(error) if error.sqlite_error_code().is_some() => return Err(error.into()),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "the head of a space, or its last row, is damaged; what needs it is refused"
            ),
        }
    }
    Ok(())
}

fn agrees(transaction: &Transaction<'_>, row: &Row<'_>) -> rusqlite::Result<bool> {
    let number = row.get(0)?;
    let log = LogId::from_bytes(row.get(2)?);
    let head = Cursor { log, sequence: Sequence::new(count(row, 3)?), chain: ChainHash::from_bytes(row.get(4)?) };
    let (before, end) = SpaceRow::positions(number);
    let mut last = transaction.prepare_cached(LAST)?;
    let Some(position) = last.query_row(params![before, end, 0], |row| row.get(0)).optional()? else {
        return Ok(head.sequence == Sequence::ZERO);
    };
    if SpaceRow::sequence(position) != head.sequence {
        return Ok(false);
    }
    let chain_of = |row: &Row<'_>| row.get(1).map(ChainHash::from_bytes);
    if last.query_row(params![before, end, 0], chain_of)? == head.chain {
        return Ok(true);
    }
    // One flipped bit in the last row is no contradiction: what leads to the head is there still.
    let previous = last.query_row(params![before, end, 1], chain_of).optional()?.unwrap_or(ChainHash::start(log));
    last.query_row(params![before, end, 0], |row| {
        let (entity, kind) = (EntityId::from_bytes(row.get(2)?), row.get(3)?);
        Ok(previous.then(head.sequence, entity, kind, ChunkHash::from_bytes(row.get(4)?)) == head.chain)
    })
}
