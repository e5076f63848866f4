//! Reads the columns of a row over a state, and puts the change together again.

use super::decode::{RowHead, add, bad_reference};
use super::encode::Found;
use super::state::LiveState;
use super::tables::Serial;
use super::{LIVE_OTHERS_MAX, LIVE_SHAPE_PARTS_MAX, NEW, VERBATIM, control};
use crate::change::leb::Reader;
use crate::change::{Column, Parts};
use crate::wire::batch::{BATCH_OUTPUT_BYTES_MAX, BatchError, BatchField, ChunkBudget};
use crate::wire::row::actors::{actor_index, other_actors};
use crate::wire::row::body::{Body, Columns, read_verbatim};
use crate::wire::row::place::{AUTHOR, Edit, RowContext};
use crate::wire::row::read::{bytes, number};
use crate::wire::row::shape::{Shape, Slot, SlotValue, Tokens};
use std::sync::Arc;

/// The columns of a row as they were read. Actors are still what the state calls them.
pub(super) struct RowColumns<'b> {
    pub(super) shape: Option<(Serial, Arc<Shape>)>,
    /// Whether the row defines the shape.
    is_new: bool,
    values: Vec<Value>,
    texts: Vec<u8>,
    actors: Vec<(usize, Arc<[u8]>)>,
    raw_values: &'b [u8],
    verbatim: Vec<Column<'b>>,
    pub(super) edit: Edit,
}

/// The value of a slot; a text is a range of bytes copied.
#[derive(Clone, Copy)]
enum Value {
    Number(u64),
    Text(usize, usize),
}

impl LiveState {
    /// Holds the writer to the one form that a change has, so that the state depends on chunks alone: a shape is defined
    /// as this crate defines it, and columns stand as they are only where there is none.
    pub(super) fn check_form(&self, parts: &Parts<'_>, columns: &RowColumns<'_>) -> Result<(), BatchError> {
        let is_right = match &columns.shape {
            Some(_) if !columns.is_new => true,
            shape => {
                let mut tokens = Tokens::default();
                let has_shape = tokens.read(&parts.columns);
                match shape {
                    Some(_) => has_shape && self.shapes.get(0).is_some_and(|known| *known.definition == *tokens.key),
                    None => !has_shape || matches!(self.find_shape(&tokens.key), Found::None),
                }
            }
        };
        if is_right { Ok(()) } else { Err(bad_reference(BatchField::Shapes, NEW, self.shapes.len())) }
    }

    pub(super) fn read_columns<'b>(
        &mut self,
        reader: &mut Reader<'b>,
        head: &RowHead,
    ) -> Result<RowColumns<'b>, BatchError> {
        let mut columns = RowColumns {
            shape: None,
            is_new: false,
            values: Vec::new(),
            texts: Vec::new(),
            actors: Vec::new(),
            raw_values: &[],
            verbatim: Vec::new(),
            edit: Edit::default(),
        };
        let Some((serial, shape, is_new)) = self.read_shape(reader, head)? else {
            read_verbatim(reader, &mut columns.verbatim)?;
            return Ok(columns);
        };
        let masks = match head.control & control::SLOTS {
            0 => &[][..],
            _ => bytes(reader, shape.slots.len().div_ceil(8) as u64, BatchField::Values)?,
        };
        let (used, last_mask) = (shape.slots.len() % 8, masks.last().copied().unwrap_or(0));
        if used > 0 && last_mask >> used != 0 {
            let (found, maximum) = (last_mask.into(), (1 << used) - 1);
            return Err(BatchError::TooMany { field: BatchField::Values, found, maximum });
        }
        let place = self.head(head.entity, head.actor).map(|head| head.place).unwrap_or_default();
        let mut context = RowContext::new(head.start_op, place);
        let mut last = self.shapes.get_mut(0).map(|known| std::mem::take(&mut known.last)).unwrap_or_default();
        let mut named = Vec::with_capacity(last.len());
        for (index, (slot, last)) in shape.slots.iter().zip(&mut last).enumerate() {
            let differs = masks.get(index / 8).is_some_and(|mask| mask >> (index % 8) & 1 != 0);
            let code = if differs { Some(number(reader, BatchField::Values)?) } else { None };
            let value = match slot {
                Slot::Text => {
                    *last = self.read_text(reader, code, *last, &mut columns)?;
                    AUTHOR
                }
                slot if slot.is_actor() => {
                    *last =
                        self.read_slot_actor(reader, code, context.predict(*slot, *last).1, index, head, &mut columns)?;
                    columns.values.push(Value::Number(AUTHOR));
                    *last
                }
                slot => {
                    let (base, expected) = context.predict(*slot, *last);
                    *last = add(expected, code.unwrap_or(0));
                    let value = last.wrapping_add(base);
                    columns.values.push(Value::Number(value));
                    value
                }
            };
            context.note(*slot, value);
            named.push(SlotValue::Number(value));
        }
        if let Some(known) = self.shapes.get_mut(0) {
            known.last = last;
        }
        let length = shape.raw_value_bytes(&named);
        let length = length.ok_or(BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX })?;
        columns.raw_values = bytes(reader, length, BatchField::Bytes)?;
        columns.edit = shape.edit(&named);
        (columns.shape, columns.is_new) = (Some((serial, shape)), is_new);
        Ok(columns)
    }

    /// Reads the shape of the row and puts it in front; `None` when the columns follow as they are.
    fn read_shape(
        &mut self,
        reader: &mut Reader<'_>,
        head: &RowHead,
    ) -> Result<Option<(Serial, Arc<Shape>, bool)>, BatchError> {
        let field = BatchField::Shapes;
        let mut is_new = false;
        let unknown = |found, known: usize| bad_reference(field, found, known);
        let expected = self.expected_shape(self.head(head.entity, head.actor));
        if head.control & control::SHAPE == 0 {
            let rank = expected.ok_or_else(|| unknown(0, 0))?;
            self.shapes.use_again(rank);
        } else {
            match number(reader, field)? {
                VERBATIM => return Ok(None),
                NEW => {
                    let start = reader.clone();
                    let shape = Shape::read(reader)?;
                    let (found, maximum) = (shape.parts() as u64, LIVE_SHAPE_PARTS_MAX as u64);
                    let length = reader.offset() - start.offset();
                    let definition = bytes(&mut start.clone(), length as u64, field)?;
                    if found > maximum {
                        return Err(BatchError::TooMany { field, found, maximum });
                    }
                    if self.shapes.find(|known| *known.definition == *definition).is_some() {
                        return Err(unknown(NEW, self.shapes.len()));
                    }
                    self.add_shape(definition, shape);
                    is_new = true;
                }
                code => {
                    let rank = usize::try_from(code - 2).ok().filter(|rank| *rank < self.shapes.len());
                    let rank = rank.ok_or_else(|| unknown(code, self.shapes.len()))?;
                    self.shapes.use_again(rank);
                }
            }
        }
        Ok(self.shapes.get(0).map(|known| (known.serial, Arc::clone(&known.shape), is_new)))
    }

    fn read_text(
        &mut self,
        reader: &mut Reader<'_>,
        code: Option<u64>,
        expected: Serial,
        columns: &mut RowColumns<'_>,
    ) -> Result<Serial, BatchError> {
        let field = BatchField::Values;
        let start = columns.texts.len();
        let rank = match code {
            None => self.texts.find(|text| text.serial == expected),
            Some(code) if code & 1 != 0 => usize::try_from(code / 2).ok(),
            Some(_) => None,
        };
        match (code, rank.and_then(|rank| self.texts.get(rank))) {
            (Some(code), None) if code & 1 == 0 => {
                columns.texts.extend_from_slice(bytes(reader, code / 2, field)?);
            }
            (_, Some(text)) => columns.texts.extend_from_slice(&text.bytes),
            (code, None) => return Err(bad_reference(field, code.unwrap_or(0), self.texts.len())),
        }
        columns.values.push(Value::Text(start, columns.texts.len()));
        let text = columns.texts.get(start..).unwrap_or_default();
        Ok(self.use_text(text))
    }

    fn read_slot_actor(
        &mut self,
        reader: &mut Reader<'_>,
        code: Option<u64>,
        expected: Serial,
        slot: usize,
        head: &RowHead,
        columns: &mut RowColumns<'_>,
    ) -> Result<Serial, BatchError> {
        let id = match code {
            None if expected == AUTHOR => None,
            None => {
                let known = self.actor(expected).map(Arc::clone);
                Some(known.ok_or_else(|| bad_reference(BatchField::Values, 0, self.actors.len()))?)
            }
            Some(0) => None,
            Some(code) => Some(self.read_actor(reader, code - 1)?),
        };
        if id.as_ref().is_some_and(|id| *id == head.author) {
            return Err(bad_reference(BatchField::Values, code.unwrap_or(0), self.actors.len()));
        }
        let serial = id.as_ref().map_or(AUTHOR, |id| self.use_actor(id));
        columns.actors.push((slot, id.unwrap_or_else(|| Arc::clone(&head.author))));
        Ok(serial)
    }
}

/// Puts the body of a change together.
pub(super) fn rebuild(head: &RowHead, columns: &RowColumns<'_>, budget: &ChunkBudget) -> Result<Vec<u8>, BatchError> {
    let mut others = Vec::new();
    match &head.others {
        Some(listed) => others.extend(listed.iter().map(|id| &**id)),
        None => other_actors(&head.author, columns.actors.iter().map(|(_, id)| &**id), &mut others),
    }
    let (found, maximum) = (others.len() as u64, LIVE_OTHERS_MAX as u64);
    if found > maximum {
        return Err(BatchError::TooMany { field: BatchField::Ids, found, maximum });
    }
    let texts = |start, end| columns.texts.get(start..end).unwrap_or_default();
    let values = columns.values.iter().map(|value| match value {
        Value::Number(number) => SlotValue::Number(*number),
        Value::Text(start, end) => SlotValue::Text(texts(*start, *end)),
    });
    let mut values: Vec<_> = values.collect();
    for (slot, id) in &columns.actors {
        let index = actor_index(&head.author, &others, id);
        let index = index.ok_or_else(|| bad_reference(BatchField::Values, *slot as u64, others.len()))?;
        if let Some(value) = values.get_mut(*slot) {
            *value = SlotValue::Number(index);
        }
    }
    let body = Body {
        dependencies: &head.dependencies,
        actor: &head.author,
        sequence: head.sequence,
        start_op: head.start_op,
        time_ms: head.time_ms,
        message: &head.message,
        others: &others,
        columns: match &columns.shape {
            Some((_, shape)) => Columns::Shaped(shape, &values, columns.raw_values),
            None => Columns::Verbatim(&columns.verbatim),
        },
        extra: &head.extra,
    };
    if body.bytes_min() > budget.bytes_left() {
        return Err(BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX });
    }
    let mut out = Vec::new();
    body.write(&mut Vec::new(), &mut out);
    Ok(out)
}
