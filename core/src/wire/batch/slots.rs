//! The values of a shape's slots as what differs from the prediction.

use super::error::{BatchError, BatchField};
use crate::change::leb::{Reader, unzigzag, write_unsigned, zigzag};
use crate::wire::row::place::RowContext;
use crate::wire::row::read::{bytes, number};
use crate::wire::row::shape::{Shape, Slot, SlotValue};

/// What the slots of a shape are predicted from.
#[derive(Debug, Default)]
pub(super) struct SlotModel<'a> {
    last: Vec<SlotValue<'a>>,
}

impl<'a> SlotModel<'a> {
    /// Starts from the values of the first row, so that it is predicted too, and writes them.
    pub(super) fn start(&mut self, shape: &Shape, values: &[SlotValue<'a>], context: RowContext, out: &mut Vec<u8>) {
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
            (slot, SlotValue::Number(number)) if starts(*slot) => {
                write_unsigned(out, zigzag(number.cast_signed()));
                *value
            }
            _ => SlotValue::Number(0),
        });
        self.last = last.collect();
    }

    /// Reads what [`SlotModel::start`] writes.
    pub(super) fn read(shape: &Shape, reader: &mut Reader<'a>) -> Result<Self, BatchError> {
        let field = BatchField::Shapes;
        let last = shape.slots.iter().map(|slot| match slot {
            Slot::Text => {
                let length = number(reader, field)?;
                Ok(SlotValue::Text(bytes(reader, length, field)?))
            }
            slot if starts(*slot) => Ok(SlotValue::Number(unzigzag(number(reader, field)?).cast_unsigned())),
            _ => Ok(SlotValue::Number(0)),
        });
        Ok(Self { last: last.collect::<Result<_, BatchError>>()? })
    }

    /// How the values of a row differ from what is predicted; texts that do go to `texts`.
    pub(super) fn differences(
        &mut self,
        shape: &Shape,
        values: &[SlotValue<'a>],
        mut context: RowContext,
        texts: &mut Vec<u8>,
        mut push: impl FnMut(usize, u64),
    ) {
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
                    context.note(*slot, value.number());
                    let (base, reference) = context.predict(*slot, last.number());
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
        mut context: RowContext,
        texts: &mut Reader<'a>,
        mut difference: impl FnMut(usize) -> u64,
        values: &mut Vec<SlotValue<'a>>,
    ) -> Result<(), BatchError> {
        values.clear();
        for (index, (slot, last)) in shape.slots.iter().zip(&mut self.last).enumerate() {
            let difference = difference(index);
            if *slot == Slot::Text {
                if let Some(length) = difference.checked_sub(1) {
                    *last = SlotValue::Text(bytes(texts, length, BatchField::Bytes)?);
                }
                values.push(*last);
                continue;
            }
            let (base, reference) = context.predict(*slot, last.number());
            let relative = reference.wrapping_add(unzigzag(difference).cast_unsigned());
            *last = SlotValue::Number(relative);
            let value = relative.wrapping_add(base);
            context.note(*slot, value);
            values.push(SlotValue::Number(value));
        }
        Ok(())
    }
}

/// Whether the first value of a slot stands with the definition of its shape.
fn starts(slot: Slot) -> bool {
    !matches!(slot, Slot::Cursor | Slot::CursorActor | Slot::Key | Slot::KeyActor)
}
