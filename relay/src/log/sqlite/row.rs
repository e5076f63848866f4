//! A space's row as every answer's transaction sees it, and the check of a position against it.

use super::account::SPACE_OF_MEMBER;
use super::archive::Archive;
use super::chain::leads_on;
use super::read::row_after;
use super::transaction::SqliteTransaction;
use crate::log::{Inconsistency, LogError, Principal};
use afield_core::{ChainHash, Cursor, DeviceId, LogId, Now, Role, Sequence, SpaceId};
use rusqlite::{OptionalExtension, Row, params};

/// The bits of a position that hold the sequence; the ones above hold the space's number.
const SEQUENCE_BITS: u32 = 40;
/// The highest sequence a log can give: a million a second for twelve days.
pub(super) const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;
/// The highest number of a space, so that a position stays positive.
pub(super) const SPACE_NUMBER_MAX: i64 = (1 << (62 - SEQUENCE_BITS)) - 1;

/// A space that a principal may use now.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpaceRow {
    /// Its row.
    pub(super) number: i64,
    /// The end of its log.
    pub(super) head: Cursor,
    /// How many chunks it holds.
    pub(super) chunks: u64,
    /// How many bytes they have.
    pub(super) bytes: u64,
    /// What the principal may do.
    pub(super) role: Role,
}

const COLUMNS_OF_ANYONE: &str = "SELECT number, log, sequence, chain, chunks, bytes, 3 FROM spaces WHERE id = ?1";

const COLUMNS_OF_NUMBER: &str = "SELECT number, log, sequence, chain, chunks, bytes, 3 FROM spaces WHERE number = ?1";

impl SpaceRow {
    /// Finds a space by present membership (invariant R6): `None` when it is unknown or not for this principal.
    pub(super) fn find(
        transaction: &SqliteTransaction<'_>,
        principal: Principal,
        space: SpaceId,
        now: Now,
    ) -> Result<Option<Self>, LogError> {
        let found = match principal.token {
            None => transaction.statement(COLUMNS_OF_ANYONE)?.query_row([space.as_bytes()], Self::read).optional(),
            Some(token) => transaction
                .statement(SPACE_OF_MEMBER)?
                .query_row(
                    params![
                        token.as_bytes(),
                        now.wall_ms,
                        principal.device.as_ref().map(DeviceId::as_bytes),
                        space.as_bytes()
                    ],
                    Self::read,
                )
                .optional(),
        };
        Ok(found?)
    }

    /// The space in a row, for the log's own work on it.
    pub(super) fn by_number(transaction: &SqliteTransaction<'_>, number: i64) -> Result<Option<Self>, LogError> {
        Ok(transaction.statement(COLUMNS_OF_NUMBER)?.query_row([number], Self::read).optional()?)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            head: Cursor {
                log: LogId::from_bytes(row.get(1)?),
                sequence: Sequence::new(count(row, 2)?),
                chain: ChainHash::from_bytes(row.get(3)?),
            },
            chunks: count(row, 4)?,
            bytes: count(row, 5)?,
            role: Role::from_number(row.get(6)?),
        })
    }

    /// The position of a sequence in the table of chunks.
    pub(super) fn position(&self, sequence: Sequence) -> i64 {
        self.number << SEQUENCE_BITS | (sequence.get().min(SEQUENCE_MAX)).cast_signed()
    }

    /// The position before the first of a space, and the last that it can have.
    pub(super) fn positions(number: i64) -> (i64, i64) {
        let first = number << SEQUENCE_BITS;
        (first, first | SEQUENCE_MAX.cast_signed())
    }

    /// The number of the space that a position belongs to.
    pub(super) fn number_of(position: i64) -> i64 {
        position >> SEQUENCE_BITS
    }

    /// The sequence at a position of the table of chunks.
    pub(super) fn sequence(position: i64) -> Sequence {
        Sequence::new(position.cast_unsigned() & SEQUENCE_MAX)
    }

    /// Whether a position belongs to this log: the same lineage, and the same chain hash at its sequence (R4).
    pub(super) fn holds(&self, archive: &Archive<'_, '_>, cursor: Cursor) -> Result<bool, LogError> {
        if cursor.log != self.head.log || cursor.sequence > self.head.sequence {
            return Ok(false);
        }
        if cursor.sequence == self.head.sequence {
            return Ok(cursor.chain == self.head.chain);
        }
        if cursor.sequence == Sequence::ZERO {
            return Ok(cursor.chain == ChainHash::start(self.head.log));
        }
        let position = self.position(cursor.sequence);
        if let Some(chain) = archive.chain_at(position)? {
            return Ok(cursor.chain == chain);
        }
        let chain = archive
            .transaction
            .statement("SELECT chain FROM chunks WHERE position = ?1")?
            .query_row([position], |row| row.get(0).map(ChainHash::from_bytes))
            .optional()?;
        match chain {
            // A sequence below the head that stands nowhere is damage: nobody begins anew because of it.
            None => Err(LogError::Inconsistent(Inconsistency::Gap(cursor.sequence.get()))),
            Some(chain) if chain == cursor.chain => Ok(true),
            // The chain hash here may have decayed: nothing but the right one leads to the row behind it.
            Some(_) => {
                let next = row_after(archive.transaction, self, cursor.sequence)?;
                Ok(leads_on(self, cursor, next.as_ref()))
            }
        }
    }
}

/// Reads a number that SQLite keeps as a signed one.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}
