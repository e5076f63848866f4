//! The values of a shape's slots as what differs from the prediction.

use super::error::{BatchError, BatchField};
use super::numbers::{bytes, number};
use super::shape::{Shape, Slot, SlotValue};
use crate::change::leb::{Reader, unzigzag, write_unsigned, zigzag};

/// What the slots of a shape are predicted from.
#[derive(Debug)]
pub(super) struct SlotModel<'a> {
    last: Vec<SlotValue<'a>>,
}

/// What the values of one row are predicted from, apart from the rows before.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowContext {
    /// The counter of the first operation.
    pub(super) start_op: u64,
    /// Where the last edit of this actor left off.
    pub(super) cursor: u64,
}

impl<'a> SlotModel<'a> {
    /// Starts from the values of the first row, so that it is predicted too, and writes them.
    pub(super) fn start(shape: &Shape, values: &[SlotValue<'a>], context: RowContext, out: &mut Vec<u8>) -> Self {
        let last = shape.slots.iter().zip(values).map(|(slot, value)| match (slot, value) {
            (Slot::Text, SlotValue::Text(text)) => {
                write_unsigned(out, text.len() as u64);
                out.extend_from_slice(text);
                *value
            }
            (Slot::FromStart, SlotValue::Number(number)) => {
                let distance = number.wrapping_sub(context.start_op);
                write_unsigned(out, zigzag(distance.cast_signed()));
                SlotValue::Number(distance)
            }
            (Slot::Same | Slot::Lengths(_), SlotValue::Number(number)) => {
                write_unsigned(out, zigzag(number.cast_signed()));
                *value
            }
            _ => SlotValue::Number(0),
        });
        Self { last: last.collect() }
    }

    /// Reads what [`SlotModel::start`] writes.
    pub(super) fn read(shape: &Shape, reader: &mut Reader<'a>) -> Result<Self, BatchError> {
        let field = BatchField::Shapes;
        let last = shape.slots.iter().map(|slot| match slot {
            Slot::Text => {
                let length = number(reader, field)?;
                Ok(SlotValue::Text(bytes(reader, length, field)?))
            }
            Slot::FromStart | Slot::Same | Slot::Lengths(_) => {
                Ok(SlotValue::Number(unzigzag(number(reader, field)?).cast_unsigned()))
            }
            Slot::Cursor | Slot::Key => Ok(SlotValue::Number(0)),
        });
        Ok(Self { last: last.collect::<Result<_, BatchError>>()? })
    }

    /// How the values of a row differ from what is predicted; texts that do go to `texts`.
    pub(super) fn differences(
        &mut self,
        shape: &Shape,
        values: &[SlotValue<'a>],
        context: RowContext,
        texts: &mut Vec<u8>,
        mut push: impl FnMut(usize, u64),
    ) {
        let key = shape.cursor_slot.and_then(|slot| values.get(slot)).map_or(0, SlotValue::number);
        let rows = shape.slots.iter().zip(values).zip(&mut self.last).enumerate();
        for (index, ((slot, value), last)) in rows {
            let difference = match (slot, value) {
                (Slot::Text, SlotValue::Text(text)) => {
                    if last == value {
                        0
                    } else {
                        texts.extend_from_slice(text);
                        *last = *value;
                        1 + text.len() as u64
                    }
                }
                _ => {
                    let (base, reference) = bases(*slot, last, key, context);
                    let value = value.number().wrapping_sub(base);
                    *last = SlotValue::Number(value);
                    zigzag(value.wrapping_sub(reference).cast_signed())
                }
            };
            push(index, difference);
        }
    }

    /// The values of a row from how they differ.
    pub(super) fn values(
        &mut self,
        shape: &Shape,
        context: RowContext,
        texts: &mut Reader<'a>,
        mut difference: impl FnMut(usize) -> u64,
        values: &mut Vec<SlotValue<'a>>,
    ) -> Result<(), BatchError> {
        values.clear();
        let mut key = 0;
        for (index, (slot, last)) in shape.slots.iter().zip(&mut self.last).enumerate() {
            let difference = difference(index);
            if *slot == Slot::Text {
                if let Some(length) = difference.checked_sub(1) {
                    *last = SlotValue::Text(bytes(texts, length, BatchField::Bytes)?);
                }
                values.push(*last);
                continue;
            }
            let (base, reference) = bases(*slot, last, key, context);
            let relative = reference.wrapping_add(unzigzag(difference).cast_unsigned());
            *last = SlotValue::Number(relative);
            let value = relative.wrapping_add(base);
            if *slot == Slot::Cursor {
                key = value;
            }
            values.push(SlotValue::Number(value));
        }
        Ok(())
    }
}

/// What a number counts from, and what it is predicted to be when counted from there.
fn bases(slot: Slot, last: &SlotValue<'_>, key: u64, context: RowContext) -> (u64, u64) {
    match slot {
        Slot::Same | Slot::Lengths(_) | Slot::Text => (0, last.number()),
        Slot::FromStart => (context.start_op, last.number()),
        Slot::Cursor => (context.cursor, 0),
        Slot::Key => (key, 0),
    }
}
