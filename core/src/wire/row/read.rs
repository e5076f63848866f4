//! Reading of numbers and bytes that says what was being read.

use crate::change::leb::Reader;
use crate::wire::batch::{BatchError, BatchField};

/// Reads one number.
pub(in crate::wire) fn number(reader: &mut Reader<'_>, field: BatchField) -> Result<u64, BatchError> {
    let offset = reader.offset();
    reader.unsigned().map_err(|fault| BatchError::reading(field, offset, fault))
}

/// Reads so many bytes.
pub(in crate::wire) fn bytes<'s>(
    reader: &mut Reader<'s>,
    count: u64,
    field: BatchField,
) -> Result<&'s [u8], BatchError> {
    let offset = reader.offset();
    reader.take(count).map_err(|fault| BatchError::reading(field, offset, fault))
}

/// Reads a count that may not be above `maximum`.
pub(in crate::wire) fn capped(reader: &mut Reader<'_>, field: BatchField, maximum: u64) -> Result<usize, BatchError> {
    let found = number(reader, field)?;
    usize::try_from(found).ok().filter(|_| found <= maximum).ok_or(BatchError::TooMany { field, found, maximum })
}
