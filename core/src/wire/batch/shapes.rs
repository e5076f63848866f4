//! The shapes of one batch with their rows, at either end.

use super::BATCH_OUTPUT_BYTES_MAX;
use super::error::{BatchError, BatchField};
use super::numbers::{Numbers, NumbersOut};
use super::slots::SlotModel;
use crate::change::leb::Reader;
use crate::wire::row::place::{Edit, RowContext};
use crate::wire::row::read::bytes;
use crate::wire::row::shape::{BATCH_SLOTS_MAX, Shape, SlotValue};
use std::collections::BTreeMap;

/// The shapes that an encoder has met.
#[derive(Default)]
pub(super) struct Shapes<'a> {
    pub(super) indices: BTreeMap<Vec<u8>, usize>,
    pub(super) shapes: Vec<ShapeOut<'a>>,
    pub(super) definitions: Vec<u8>,
    pub(super) slots: usize,
}

/// A shape with the rows of it, to be written.
pub(super) struct ShapeOut<'a> {
    pub(super) shape: Shape,
    pub(super) model: SlotModel<'a>,
    pub(super) streams: Vec<NumbersOut>,
}

/// A shape for a row.
pub(super) enum FoundShape {
    Known(usize),
    New(Shape),
}

impl<'a> Shapes<'a> {
    /// Finds the shape with this key; `None` when it is new and there is no room for another.
    pub(super) fn find(&self, key: &[u8]) -> Option<FoundShape> {
        if let Some(index) = self.indices.get(key) {
            return Some(FoundShape::Known(*index));
        }
        let shape = Shape::read(&mut Reader::new(key, 0)).ok()?;
        (self.slots + shape.slots.len() <= BATCH_SLOTS_MAX).then_some(FoundShape::New(shape))
    }

    /// The shape itself.
    pub(super) fn shape<'f>(&'f self, found: &'f FoundShape) -> Option<&'f Shape> {
        match found {
            FoundShape::Known(index) => self.shapes.get(*index).map(|out| &out.shape),
            FoundShape::New(shape) => Some(shape),
        }
    }

    /// Adds a shape; the values of its first row are still to be told.
    pub(super) fn add(&mut self, shape: Shape, key: &[u8]) -> usize {
        let index = self.shapes.len();
        self.indices.insert(key.to_vec(), index);
        self.definitions.extend_from_slice(key);
        let streams = shape.slots.iter().map(|_| NumbersOut::default()).collect();
        self.slots += shape.slots.len();
        self.shapes.push(ShapeOut { shape, model: SlotModel::default(), streams });
        index
    }
}

impl ShapeOut<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for streams in self.streams.chunks(8) {
            let mask = streams.iter().rev().fold(0_u8, |mask, stream| mask << 1 | u8::from(stream.is_present()));
            out.push(mask);
        }
        self.streams.iter().filter(|stream| stream.is_present()).for_each(|stream| stream.write(out));
    }
}

/// A shape with the rows of it, being read.
pub(super) struct ShapeIn<'s> {
    pub(super) shape: Shape,
    pub(super) model: SlotModel<'s>,
    pub(super) streams: Vec<Numbers>,
}

impl<'s> ShapeIn<'s> {
    pub(super) fn read(section: &mut Reader<'s>, slots_left: &mut usize) -> Result<Self, BatchError> {
        let shape = Shape::read(section)?;
        let found = shape.slots.len();
        let maximum = *slots_left as u64;
        *slots_left = slots_left.checked_sub(found).ok_or(BatchError::TooMany {
            field: BatchField::Shapes,
            found: found as u64,
            maximum,
        })?;
        let model = SlotModel::read(&shape, section)?;
        Ok(Self { shape, model, streams: Vec::new() })
    }

    pub(super) fn read_streams(&mut self, section: &mut Reader<'s>, rows: u64) -> Result<(), BatchError> {
        let slots = self.shape.slots.len();
        let masks = bytes(section, slots.div_ceil(8) as u64, BatchField::Values)?;
        self.streams.reserve_exact(slots);
        for slot in 0..slots {
            let mask = masks.get(slot / 8).copied().unwrap_or(0);
            self.streams.push(match mask >> (slot % 8) & 1 {
                0 => Numbers::Zeros,
                _ => Numbers::read(section, rows, BatchField::Values)?,
            });
        }
        Ok(())
    }
}

impl<'s> ShapeIn<'s> {
    /// Reads a row: the bytes of its raw values, its operations, and where it edits.
    pub(super) fn row(
        &mut self,
        context: RowContext,
        texts: &mut Reader<'s>,
        values: &mut Vec<SlotValue<'s>>,
    ) -> Result<(&'s [u8], u64, Option<Edit>), BatchError> {
        let streams = &mut self.streams;
        let difference = |slot| streams.get_mut(slot).map_or(0, Numbers::next);
        self.model.values(&self.shape, context, texts, difference, values)?;
        let maximum = BATCH_OUTPUT_BYTES_MAX;
        let length = self.shape.raw_value_bytes(values).ok_or(BatchError::OverBudget { maximum })?;
        let raw_values = bytes(texts, length, BatchField::Bytes)?;
        Ok((raw_values, self.shape.operations, Some(self.shape.edit(values))))
    }
}
