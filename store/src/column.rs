//! Between columns and the types of core.

use afield_core::invitation::InvitationCode;
use afield_core::{ChainHash, ChangeHash, Collection, Cursor, EntityId, LogId, Sequence, SpaceId};
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};

macro_rules! row_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) i64);

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map(Self)
            }
        }
    };
}

row_number! {
    /// A row of `spaces`.
    SpaceRow
}
row_number! {
    /// A row of `entities`.
    EntityRow
}
row_number! {
    /// A row of `changes`.
    ChangeRow
}

/// What became of a change that the device holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeState {
    /// It is part of the document.
    Applied,
    /// It has been stored and not yet been looked at.
    Received,
    /// Dependencies are missing, or wait themselves.
    Waiting,
    /// It was refused; the quarantine says why.
    Quarantined,
}

impl ToSql for ChangeState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number: i64 = match self {
            Self::Applied => 0,
            Self::Received => 1,
            Self::Waiting => 2,
            Self::Quarantined => 3,
        };
        Ok(number.into())
    }
}

impl FromSql for ChangeState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match i64::column_result(value)? {
            0 => Ok(Self::Applied),
            1 => Ok(Self::Received),
            2 => Ok(Self::Waiting),
            3 => Ok(Self::Quarantined),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// SQLite's integers end at 2⁶³; no log reaches that, and what claims to is above every cursor anyway.
pub(crate) fn sequence_sql(sequence: Sequence) -> i64 {
    i64::try_from(sequence.get()).unwrap_or(i64::MAX)
}

/// Where something is marked; `None` while it is not.
pub(crate) fn mark(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Sequence>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|sequence| Sequence::new(sequence.unsigned_abs())))
}

pub(crate) fn entity(row: &Row<'_>, column: usize) -> rusqlite::Result<EntityId> {
    row.get(column).map(EntityId::from_bytes)
}

pub(crate) fn space(row: &Row<'_>, column: usize) -> rusqlite::Result<SpaceId> {
    row.get(column).map(SpaceId::from_bytes)
}

pub(crate) fn change_hash(row: &Row<'_>, column: usize) -> rusqlite::Result<ChangeHash> {
    row.get(column).map(ChangeHash)
}

pub(crate) fn collection(row: &Row<'_>, column: usize) -> rusqlite::Result<Collection> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// The code of an invitation. What cannot be one is damage, and is not told with the error.
pub(crate) fn invitation(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<InvitationCode>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    let code = text.parse();
    code.map(Some).map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// A number that is never negative.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// A number that fits the target, such as a code.
pub(crate) fn number<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let number: i64 = row.get(column)?;
    T::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(crate) fn sequence(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Sequence>> {
    let number: Option<i64> = row.get(column)?;
    number
        .map(|number| {
            u64::try_from(number)
                .map(Sequence::new)
                .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
        })
        .transpose()
}

/// The columns log, sequence and chain, from this one on.
pub(crate) fn cursor(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Cursor>> {
    let Some(log) = row.get::<_, Option<[u8; 16]>>(column)? else { return Ok(None) };
    let sequence = Sequence::new(count(row, column + 1)?);
    Ok(Some(Cursor { log: LogId::from_bytes(log), sequence, chain: ChainHash::from_bytes(row.get(column + 2)?) }))
}

/// Change hashes one after the other, as heads and missing dependencies are stored.
pub(crate) fn hashes(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<ChangeHash>> {
    let bytes = row.get_ref(column)?.as_blob()?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(FromSqlError::InvalidType)));
    }
    Ok(hashes.iter().copied().map(ChangeHash).collect())
}

pub(crate) fn hashes_sql(hashes: &[ChangeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}
