//! Whether a file is of one piece: every space ends where its last row says.

use super::archive::{Archive, Cache};
use super::row::{SpaceRow, count};
use super::schema::OpenLogError;
use super::transaction::{Faults, Purpose, SqliteTransaction};
use crate::log::LogError;
use afield_core::log::ChunkHash;
use afield_core::{ChainHash, Cursor, EntityId, LogId, Sequence, SpaceId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

/// The last rows of a space's log, from the end.
const LAST: &str = "
    SELECT c.position, c.chain, e.id, c.kind, c.hash FROM chunks c LEFT JOIN entities e ON e.number = c.entity
    WHERE c.position > ?1 AND c.position <= ?2 ORDER BY c.position DESC LIMIT 1 OFFSET ?3";

/// The end of the last segment of a space.
const LAST_SEGMENT: &str = "
    SELECT last, chain FROM segments WHERE last > ?1 AND last <= ?2 ORDER BY last DESC LIMIT 1";

/// The most lines that are wanted of a check of the whole file.
const LINES_MAX: u32 = 16;

/// Checks that the pages of a file belong together, once there is a WAL beside it that somebody left there: where that is of
/// another file, what it changed and what it did not point past each other. Values that are not what they should be are
/// damage of their rows, which cost those.
///
/// # Errors
///
/// They do not, or the file cannot be read.
pub(super) fn check_pages(connection: &Connection) -> Result<(), OpenLogError> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({LINES_MAX})"))?;
    let lines: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let of_values = |line: &String| line == "ok" || line.contains("constraint") || line.contains(" value in ");
    if lines.iter().all(of_values) { Ok(()) } else { Err(OpenLogError::Torn) }
}

/// Compares the head of every space with the last row of its log, two rows a space, and mends a head in which the number or
/// the hash alone has decayed.
///
/// They are written in one transaction, so where they disagree in both parts of the file are older than others, as when a
/// WAL was replayed over another file than its own. Nothing such a file says can be relied on. A row that cannot be
/// understood is damage of its own, which costs its space or its entity when it is used.
///
/// # Errors
///
/// They disagree, or the file cannot be read.
pub(super) fn check(connection: &mut Connection) -> Result<(), OpenLogError> {
    let (mut mended, unsure) = compare(connection)?;
    for (number, head) in unsure {
        match verified(connection, number, head) {
            Ok(chain) if chain == head.chain => {}
            Ok(chain) => mended.push((number, Cursor { chain, ..head })),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "the last segment of a space is damaged; what needs it is refused"
            ),
        }
    }
    for (number, head) in mended {
        tracing::warn!(sequence = %head.sequence, "the head of a space had decayed: it is what its last row says");
        connection.execute(
            "UPDATE spaces SET sequence = ?2, chain = ?3 WHERE number = ?1",
            params![number, head.sequence.get().cast_signed(), head.chain.as_bytes()],
        )?;
    }
    Ok(())
}

/// The chain hash that the chunks of the segment at the end of a space lead to.
fn verified(connection: &mut Connection, number: i64, head: Cursor) -> Result<ChainHash, LogError> {
    let mut faults = Faults::default();
    let transaction = SqliteTransaction::begin(connection, &mut faults, Purpose::Read)?;
    let (start, _) = SpaceRow::positions(number);
    let cache = Cache::default();
    let archive = Archive::new(&transaction, &cache);
    Ok(archive.chain_at(start + head.sequence.get().cast_signed())?.unwrap_or(head.chain))
}

/// Spaces by number, and their heads as they should be, or as they are.
type Heads = Vec<(i64, Cursor)>;

/// The heads that have decayed, as they were, and those that say another thing than the segment at the end.
fn compare(connection: &mut Connection) -> Result<(Heads, Heads), OpenLogError> {
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare("SELECT number, id, log, sequence, chain FROM spaces")?;
    let mut rows = statement.query([])?;
    let (mut mended, mut unsure) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match found(&transaction, row) {
            Ok(Found::Same) => {}
            Ok(Found::Unsure(head)) => unsure.push((row.get(0)?, head)),
            Ok(Found::Decayed(head)) => mended.push((row.get(0)?, head)),
            Ok(Found::Other) => return Err(OpenLogError::Contradiction { space: SpaceId::from_bytes(row.get(1)?) }),
            Err(error) if error.sqlite_error_code().is_some() => return Err(error.into()),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "the head of a space, or its last row, is damaged; what needs it is refused"
            ),
        }
    }
    Ok((mended, unsure))
}

/// What the last row of a space says of its head.
enum Found {
    Same,
    /// The head is another one in a part that must have decayed.
    Decayed(Cursor),
    /// The head, or the chain hash at the end of the last segment, must have decayed.
    Unsure(Cursor),
    Other,
}

fn found(transaction: &Transaction<'_>, row: &Row<'_>) -> rusqlite::Result<Found> {
    let number = row.get(0)?;
    let log = LogId::from_bytes(row.get(2)?);
    let head = Cursor { log, sequence: Sequence::new(count(row, 3)?), chain: ChainHash::from_bytes(row.get(4)?) };
    let (start, end) = SpaceRow::positions(number);
    let mut segment = transaction.prepare_cached(LAST_SEGMENT)?;
    let read_segment = |row: &Row<'_>| Ok((row.get(0)?, row.get(1).map(ChainHash::from_bytes)?));
    // Rows below the end of the last segment stand for what had decayed in it.
    let (before, packed) =
        segment.query_row([start, end], read_segment).optional()?.unwrap_or((start, ChainHash::start(log)));
    let mut last = transaction.prepare_cached(LAST)?;
    let Some(position) = last.query_row(params![before, end, 0], |row| row.get(0)).optional()? else {
        return Ok(match (SpaceRow::sequence(before) == head.sequence, packed == head.chain) {
            (false, false) => Found::Other,
            (true, true) => Found::Same,
            (true, false) => Found::Unsure(head),
            (false, true) => Found::Decayed(Cursor { log, sequence: SpaceRow::sequence(before), chain: packed }),
        });
    };
    let sequence = SpaceRow::sequence(position);
    let chain_of = |row: &Row<'_>| row.get(1).map(ChainHash::from_bytes);
    let chain = last.query_row(params![before, end, 0], chain_of)?;
    let present = Cursor { log, sequence, chain };
    if present == head {
        return Ok(Found::Same);
    }
    if sequence != head.sequence && chain != head.chain {
        return Ok(Found::Other);
    }
    let previous = last.query_row(params![before, end, 1], chain_of).optional()?.unwrap_or(packed);
    let computed = last.query_row(params![before, end, 0], |row| {
        let (entity, kind) = (EntityId::from_bytes(row.get(2)?), row.get(3)?);
        Ok(previous.then(sequence, entity, kind, ChunkHash::from_bytes(row.get(4)?)))
    })?;
    Ok(match () {
        // The last row follows from the one before it: what differs in the head has decayed.
        () if computed == chain => Found::Decayed(present),
        // The last row has decayed, and what leads to the head is there still.
        () if computed == head.chain && sequence == head.sequence => Found::Same,
        () => Found::Other,
    })
}
