//! A change's body put together from the parts of a row.

use super::shape::{Shape, SlotValue};
use crate::change::leb::{write_signed, write_unsigned};
use crate::change::{Column, HASH_BYTES};
use automerge::ChangeHash;

/// The parts of a body.
#[derive(Debug)]
pub(super) struct Body<'p> {
    pub(super) dependencies: &'p [ChangeHash],
    pub(super) actor: &'p [u8],
    pub(super) sequence: u64,
    pub(super) start_op: u64,
    pub(super) time_ms: i64,
    pub(super) message: &'p [u8],
    pub(super) others: &'p [&'p [u8]],
    pub(super) columns: Columns<'p>,
    pub(super) extra: &'p [u8],
}

/// The columns of a body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Columns<'p> {
    /// A shape, the values in it, and the bytes of its raw values.
    Shaped(&'p Shape, &'p [SlotValue<'p>], &'p [u8]),
    /// The columns as they are.
    Verbatim(&'p [Column<'p>]),
}

impl Body<'_> {
    /// At least how many bytes the body has: nothing is written before these fit the budget. What else there is are
    /// numbers, as many as one shape or list of columns has.
    pub(super) fn bytes_min(&self) -> usize {
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
    pub(super) fn write(&self, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
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
            Columns::Verbatim(columns) => {
                write_unsigned(out, columns.len() as u64);
                for column in columns {
                    write_unsigned(out, column.number.into());
                    write_unsigned(out, column.data.len() as u64);
                }
                columns.iter().for_each(|column| out.extend_from_slice(column.data));
            }
        }
        out.extend_from_slice(self.extra);
    }
}

fn write_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    write_unsigned(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
