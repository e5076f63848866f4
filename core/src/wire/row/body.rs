//! A change's body put together from the parts of a row.

use super::read::{bytes, capped, number};
use super::shape::{Shape, SlotValue};
use crate::change::leb::{Reader, write_signed, write_unsigned};
use crate::change::{COLUMNS_MAX, Column, HASH_BYTES};
use crate::wire::batch::{BatchError, BatchField};
use automerge::ChangeHash;

/// The parts of a body.
#[derive(Debug)]
pub(in crate::wire) struct Body<'p> {
    pub(in crate::wire) dependencies: &'p [ChangeHash],
    pub(in crate::wire) actor: &'p [u8],
    pub(in crate::wire) sequence: u64,
    pub(in crate::wire) start_op: u64,
    pub(in crate::wire) time_ms: i64,
    pub(in crate::wire) message: &'p [u8],
    pub(in crate::wire) others: &'p [&'p [u8]],
    pub(in crate::wire) columns: Columns<'p>,
    pub(in crate::wire) extra: &'p [u8],
}

/// The columns of a body.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) enum Columns<'p> {
    /// A shape, the values in it, and the bytes of its raw values.
    Shaped(&'p Shape, &'p [SlotValue<'p>], &'p [u8]),
    /// The columns as they are.
    Verbatim(&'p [Column<'p>]),
}

impl Body<'_> {
    /// At least how many bytes the body has: nothing is written before these fit the budget. What else there is are
    /// numbers, as many as one shape or list of columns has.
    pub(in crate::wire) fn bytes_min(&self) -> usize {
        let others: usize = self.others.iter().map(|actor| 1 + actor.len()).sum();
        let columns = match self.columns {
            Columns::Shaped(_, values, raw_values) => {
                let texts = values.iter().map(|value| match value {
                    SlotValue::Text(text) => text.len(),
                    SlotValue::Number(_) => 1,
                });
                texts.sum::<usize>() + raw_values.len()
            }
            Columns::Verbatim(columns) => columns.iter().map(|column| column.data.len()).sum::<usize>(),
        };
        let texts = self.actor.len() + self.message.len() + self.extra.len();
        self.dependencies.len() * HASH_BYTES + texts + others + columns
    }

    /// Writes the body over what `out` held. `scratch` saves an allocation.
    pub(in crate::wire) fn write(&self, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        out.clear();
        write_unsigned(out, self.dependencies.len() as u64);
        self.dependencies.iter().for_each(|hash| out.extend_from_slice(&hash.0));
        write_prefixed(out, self.actor);
        write_unsigned(out, self.sequence);
        write_unsigned(out, self.start_op);
        write_signed(out, self.time_ms);
        write_prefixed(out, self.message);
        write_unsigned(out, self.others.len() as u64);
        self.others.iter().for_each(|actor| write_prefixed(out, actor));
        match self.columns {
            Columns::Shaped(shape, values, raw_values) => shape.write_columns(values, raw_values, scratch, out),
            Columns::Verbatim(columns) => write_verbatim(columns, out),
        }
        out.extend_from_slice(self.extra);
    }
}

fn write_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    write_unsigned(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes columns as they are.
pub(in crate::wire) fn write_verbatim(columns: &[Column<'_>], out: &mut Vec<u8>) {
    write_unsigned(out, columns.len() as u64);
    for column in columns {
        write_unsigned(out, column.number.into());
        write_unsigned(out, column.data.len() as u64);
    }
    columns.iter().for_each(|column| out.extend_from_slice(column.data));
}

/// Reads what [`write_verbatim`] writes.
pub(in crate::wire) fn read_verbatim<'s>(
    reader: &mut Reader<'s>,
    columns: &mut Vec<Column<'s>>,
) -> Result<(), BatchError> {
    columns.clear();
    let count = capped(reader, BatchField::Bytes, COLUMNS_MAX as u64)?;
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = reader.offset();
        let number = number(reader, BatchField::Bytes)?;
        let number = u32::try_from(number).map_err(|_| BatchError::BadNumber { field: BatchField::Bytes, offset })?;
        lengths.push((number, self::number(reader, BatchField::Bytes)?));
    }
    for (number, length) in lengths {
        let offset = reader.offset();
        columns.push(Column { number, offset, data: bytes(reader, length, BatchField::Bytes)? });
    }
    Ok(())
}
