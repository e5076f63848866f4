//! Writes the columns of a row over a state.

use super::NEW;
use super::control;
use super::encode::{Change, Found, RowOut};
use super::state::LiveState;
use super::tables::Serial;
use crate::change::leb::{Reader, zigzag};
use crate::wire::row::place::{AUTHOR, Edit, RowContext};
use crate::wire::row::shape::{Shape, Slot, SlotValue};
use std::sync::Arc;

impl LiveState {
    /// The shape of a change, in front now, and the code that names it where it is not the expected one.
    pub(super) fn use_shape(
        &mut self,
        change: &Change<'_>,
        entity: Serial,
        actor: Serial,
    ) -> Option<(Serial, Arc<Shape>, Option<u64>)> {
        let expected = self.expected_shape(self.head(entity, actor));
        let code = match change.shape {
            Found::Known(rank) => {
                self.shapes.use_again(rank);
                (Some(rank) != expected).then_some(2 + rank as u64)
            }
            Found::New(_) => {
                let shape = Shape::read(&mut Reader::new(&change.tokens.key, 0)).ok()?;
                self.add_shape(&change.tokens.key, shape);
                Some(NEW)
            }
            Found::None => return None,
        };
        self.shapes.get(0).map(|known| (known.serial, Arc::clone(&known.shape), code))
    }

    pub(super) fn write_columns(
        &mut self,
        change: &Change<'_>,
        shape: &Shape,
        code: Option<u64>,
        mut context: RowContext,
        row: &mut RowOut,
    ) -> Edit {
        if let Some(code) = code {
            row.control |= control::SHAPE;
            row.number(code);
            if code == NEW {
                row.fields.extend_from_slice(&change.tokens.key);
            }
        }
        let mut last = self.shapes.get_mut(0).map(|known| std::mem::take(&mut known.last)).unwrap_or_default();
        let mut named = Vec::with_capacity(last.len());
        let mut slots = RowOut::default();
        let mut masks = vec![0_u8; last.len().div_ceil(8)];
        let values = shape.slots.iter().zip(&change.tokens.values).zip(&mut last).enumerate();
        for (index, ((slot, value), last)) in values {
            let start = slots.fields.len();
            let (value, kept) = match value {
                SlotValue::Text(text) => (0, self.write_text(text, *last, &mut slots)),
                SlotValue::Number(local) if slot.is_actor() => {
                    let (_, expected) = context.predict(*slot, *last);
                    let other = local.checked_sub(1).and_then(|place| change.others.get(usize::try_from(place).ok()?));
                    let actor = self.write_slot_actor(other.copied(), expected, &mut slots);
                    (actor, actor)
                }
                SlotValue::Number(number) => write_number(*slot, *number, *last, &context, &mut slots),
            };
            context.note(*slot, value);
            *last = kept;
            named.push(SlotValue::Number(value));
            if slots.fields.len() > start
                && let Some(mask) = masks.get_mut(index / 8)
            {
                *mask |= 1 << (index % 8);
            }
        }
        if let Some(known) = self.shapes.get_mut(0) {
            known.last = last;
        }
        if masks.iter().any(|mask| *mask != 0) {
            row.control |= control::SLOTS;
            row.fields.append(&mut masks);
            row.fields.append(&mut slots.fields);
        }
        row.fields.extend_from_slice(change.tokens.raw_values);
        shape.edit(&named)
    }

    /// Writes a text unless it is the expected one, and gives what stands for it.
    fn write_text(&mut self, text: &[u8], expected: Serial, row: &mut RowOut) -> Serial {
        let rank = self.texts.find(|known| *known.bytes == *text);
        let known = rank.and_then(|rank| self.texts.get(rank));
        if known.is_none_or(|known| known.serial != expected) {
            match rank {
                Some(rank) => row.number(1 + 2 * rank as u64),
                None => {
                    row.number(2 * text.len() as u64);
                    row.fields.extend_from_slice(text);
                }
            }
        }
        self.use_text(text)
    }

    /// Writes an actor unless it is the expected one, uses it, and gives what stands for it. `None` is the author.
    fn write_slot_actor(&mut self, id: Option<&[u8]>, expected: Serial, row: &mut RowOut) -> Serial {
        let Some(id) = id else {
            if expected != AUTHOR {
                row.number(0);
            }
            return AUTHOR;
        };
        let is_expected = expected != AUTHOR && self.actor(expected).is_some_and(|known| **known == *id);
        if !is_expected {
            self.write_actor(id, 1, row);
        }
        self.use_actor_bytes(id)
    }
}

/// Writes a number unless it is the expected one. Gives it, and what the next one is predicted from.
fn write_number(slot: Slot, number: u64, last: u64, context: &RowContext, row: &mut RowOut) -> (u64, u64) {
    let (base, expected) = context.predict(slot, last);
    let counted = number.wrapping_sub(base);
    if counted != expected {
        row.number(zigzag(counted.wrapping_sub(expected).cast_signed()));
    }
    (number, counted)
}
