//! Shapes: what the column data of many changes has in common, and the values that differ.
//!
//! A shape is the set of columns together with the headers of their runs. What is left of a change's column data are
//! the *slots*, the values of the runs, each predicted from the row before or from the position of the last edit.

use super::place::Edit;
use super::read::number;
use crate::change::leb::{Reader, unzigzag, write_signed, write_unsigned, zigzag};
use crate::change::{Column, ColumnList, ColumnType, Token, scan};
use crate::wire::batch::{BatchError, BatchField};

/// The most slots of one shape: changes with more carry their columns as they are.
pub(in crate::wire) const SHAPE_SLOTS_MAX: usize = 256;
/// The most runs of one shape.
pub(in crate::wire) const SHAPE_RUNS_MAX: usize = 256;
/// The most slots of all shapes of a batch.
pub(in crate::wire) const BATCH_SLOTS_MAX: usize = 16_384;

/// Automerge's numbers of the columns that a shape may have, in their order; the mask of a shape has a bit for each.
const COLUMNS: [u32; 13] = [
    OBJECT_ACTOR,
    OBJECT_COUNTER,
    KEY_ACTOR,
    KEY_COUNTER,
    0x15,
    INSERT,
    ACTION,
    0x56,
    0x70,
    PRED_ACTOR,
    PRED_COUNTER,
    EXPAND,
    0xa5,
];
const OBJECT_ACTOR: u32 = 0x01;
const OBJECT_COUNTER: u32 = 0x02;
const KEY_ACTOR: u32 = 0x11;
const PRED_ACTOR: u32 = 0x71;
const KEY_COUNTER: u32 = 0x13;
const INSERT: u32 = 0x34;
const ACTION: u32 = crate::change::ACTION;
const PRED_COUNTER: u32 = 0x73;
const EXPAND: u32 = 0x94;
/// The raw values have no bit: they are there when their lengths do not add up to zero, right before this column.
const VALUE: u32 = 0x57;
const AFTER_VALUE: u32 = 0x70;

const PLAIN: u64 = 1;
const PLAIN_INSERTS: u64 = 2;
const MASK_SHIFT: u32 = 2;

/// A part of a column: the head of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Values(i64),
    Nulls(u64),
    Booleans(u64),
}

/// What the value of a run is, which says how it is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Slot {
    /// A number as in the row before.
    Same,
    /// As in the row before; the value states the length of so many raw values.
    Lengths(u64),
    /// The counter of the object that is edited.
    Object,
    /// Who made the object that is edited.
    ObjectActor,
    /// The counter of the element where the last edit of this actor left off.
    Cursor,
    /// Who made that element.
    CursorActor,
    /// The value of this row's [`Slot::Cursor`].
    Key,
    /// The value of this row's [`Slot::CursorActor`].
    KeyActor,
    /// Another actor, as in the row before.
    Actor,
    /// As far from the first operation as in the row before.
    FromStart,
    /// The text of the row before.
    Text,
}

impl Slot {
    /// Whether the value is an actor: 0 for the author of the change, else one more than what names it.
    pub(in crate::wire) fn is_actor(self) -> bool {
        matches!(self, Self::ObjectActor | Self::CursorActor | Self::KeyActor | Self::Actor)
    }
}

/// The value of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum SlotValue<'a> {
    /// A number; a signed one has the same bits.
    Number(u64),
    /// A text.
    Text(&'a [u8]),
}

impl SlotValue<'_> {
    pub(in crate::wire) fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(_) => 0,
        }
    }
}

#[derive(Debug)]
struct ShapeColumn {
    number: u32,
    runs: Vec<Run>,
}

/// What the column data of some changes has in common.
#[derive(Debug)]
pub(in crate::wire) struct Shape {
    columns: Vec<ShapeColumn>,
    pub(in crate::wire) slots: Vec<Slot>,
    /// Which slot holds the element that the first operation refers to.
    cursor_slot: Option<usize>,
    /// How many operations such a change has.
    pub(in crate::wire) operations: u64,
    /// Whether any operation inserts.
    inserts: bool,
}

/// A change's column data taken apart.
#[derive(Debug, Default)]
pub(in crate::wire) struct Tokens<'a> {
    /// The shape as it is written.
    pub(in crate::wire) key: Vec<u8>,
    pub(in crate::wire) values: Vec<SlotValue<'a>>,
    pub(in crate::wire) raw_values: &'a [u8],
    runs: Vec<Run>,
    ends: Vec<(u32, usize)>,
}

impl<'a> Tokens<'a> {
    /// Takes column data apart. Answers whether it has a shape; a change of another kind carries its columns as they
    /// are.
    pub(in crate::wire) fn read(&mut self, columns: &ColumnList<'a>) -> bool {
        self.key.clear();
        self.values.clear();
        self.runs.clear();
        self.ends.clear();
        self.raw_values = &[];
        let mut mask = 0_u64;
        for column in columns.iter() {
            if column.data.is_empty() {
                return false;
            }
            if column.number == VALUE {
                self.raw_values = column.data;
                continue;
            }
            let Some(bit) = COLUMNS.iter().position(|number| *number == column.number) else {
                return false;
            };
            mask |= 1 << bit;
            self.read_column(column);
            if self.runs.len() > SHAPE_RUNS_MAX || self.values.len() > SHAPE_SLOTS_MAX {
                return false;
            }
        }
        self.write_key(mask);
        true
    }

    fn read_column(&mut self, column: &Column<'a>) {
        let Self { runs, values, .. } = self;
        // The parser has been here before, so there is no error to be had.
        let _ = scan(column, u64::MAX, u64::MAX, &mut |token| match token {
            Token::Run(header) => runs.push(Run::Values(header)),
            Token::Nulls(count) => runs.push(Run::Nulls(count)),
            Token::Booleans(count) => runs.push(Run::Booleans(count)),
            Token::Unsigned(value) => values.push(SlotValue::Number(value)),
            Token::Signed(value) => values.push(SlotValue::Number(value.cast_unsigned())),
            Token::Text(text) => values.push(SlotValue::Text(text)),
        });
        self.ends.push((column.number, self.runs.len()));
    }

    fn write_key(&mut self, mask: u64) {
        let mut start = 0;
        let mut plain = true;
        let mut inserts = false;
        for (number, end) in &self.ends {
            let runs = self.runs.get(start..*end).unwrap_or_default();
            start = *end;
            inserts |= *number == INSERT && runs.len() > 1;
            plain &= is_plain(*number, runs);
        }
        let flags = if plain { PLAIN | if inserts { PLAIN_INSERTS } else { 0 } } else { 0 };
        write_unsigned(&mut self.key, mask << MASK_SHIFT | flags);
        if plain {
            return;
        }
        let mut start = 0;
        for (_, end) in &self.ends {
            let runs = self.runs.get(start..*end).unwrap_or_default();
            start = *end;
            write_unsigned(&mut self.key, runs.len() as u64);
            for run in runs {
                match run {
                    Run::Values(header) => write_unsigned(&mut self.key, zigzag(*header)),
                    Run::Nulls(count) => {
                        write_unsigned(&mut self.key, 0);
                        write_unsigned(&mut self.key, *count);
                    }
                    Run::Booleans(count) => write_unsigned(&mut self.key, *count),
                }
            }
        }
    }
}

/// The runs of a change with one operation, which is most of them.
const ONE_VALUE: [Run; 1] = [Run::Values(-1)];
const ONE_FALSE: [Run; 1] = [Run::Booleans(1)];
const ONE_TRUE: [Run; 2] = [Run::Booleans(0), Run::Booleans(1)];

fn is_plain(number: u32, runs: &[Run]) -> bool {
    match number {
        INSERT => runs == ONE_FALSE || runs == ONE_TRUE,
        EXPAND => runs == ONE_TRUE,
        _ => runs == ONE_VALUE,
    }
}

fn column_type(number: u32) -> ColumnType {
    Column { number, ..Column::default() }.column_type()
}

impl Shape {
    /// Reads a shape as [`Tokens`] writes it.
    pub(in crate::wire) fn read(reader: &mut Reader<'_>) -> Result<Self, BatchError> {
        let word = number(reader, BatchField::Shapes)?;
        let mask = word >> MASK_SHIFT;
        if mask >> COLUMNS.len() != 0 {
            let maximum = (1 << COLUMNS.len()) - 1;
            return Err(BatchError::TooMany { field: BatchField::Shapes, found: mask, maximum });
        }
        let mut shape =
            Self { columns: Vec::new(), slots: Vec::new(), cursor_slot: None, operations: 0, inserts: false };
        let mut runs_left = SHAPE_RUNS_MAX;
        for (bit, number) in COLUMNS.iter().enumerate() {
            if mask & (1 << bit) == 0 {
                continue;
            }
            let runs = if word & PLAIN == 0 {
                read_runs(reader, *number, &mut runs_left)?
            } else {
                match *number {
                    INSERT if word & PLAIN_INSERTS == 0 => ONE_FALSE.to_vec(),
                    INSERT | EXPAND => ONE_TRUE.to_vec(),
                    _ => ONE_VALUE.to_vec(),
                }
            };
            shape.add_column(*number, runs)?;
        }
        Ok(shape)
    }

    fn add_column(&mut self, number: u32, runs: Vec<Run>) -> Result<(), BatchError> {
        self.inserts |= number == INSERT && runs.len() > 1;
        let mut first = true;
        for run in &runs {
            let Run::Values(header) = *run else { continue };
            let repeated = header.unsigned_abs();
            if number == ACTION {
                self.operations = self.operations.saturating_add(repeated);
            }
            let (values, repeated) = if header > 0 { (1, repeated) } else { (repeated, 1) };
            let found = values.saturating_add(self.slots.len() as u64);
            if found > SHAPE_SLOTS_MAX as u64 {
                let maximum = SHAPE_SLOTS_MAX as u64;
                return Err(BatchError::TooMany { field: BatchField::Shapes, found, maximum });
            }
            for _ in 0..values {
                let slot = if first { self.first_slot(number, repeated) } else { other_slot(number, repeated) };
                if slot == Slot::Cursor {
                    self.cursor_slot = Some(self.slots.len());
                }
                first = false;
                self.slots.push(slot);
            }
        }
        self.columns.push(ShapeColumn { number, runs });
        Ok(())
    }

    /// Gives back the memory that the shape does not need.
    pub(in crate::wire) fn shrink_to_fit(&mut self) {
        self.columns.shrink_to_fit();
        self.slots.shrink_to_fit();
    }

    /// At most how many bytes a shape takes apart from its slots and runs, and how many one of these.
    #[cfg(test)]
    pub(in crate::wire) fn bytes_max() -> (usize, usize) {
        let columns = COLUMNS.len() * size_of::<ShapeColumn>();
        (size_of::<Self>() + columns, size_of::<Run>().max(size_of::<Slot>()))
    }

    /// How many runs and slots the shape has, which is what remembering it takes.
    pub(in crate::wire) fn parts(&self) -> usize {
        self.slots.len() + self.columns.iter().map(|column| column.runs.len()).sum::<usize>()
    }

    /// What the first value of a column is.
    fn first_slot(&self, number: u32, repeated: u64) -> Slot {
        match number {
            OBJECT_ACTOR => Slot::ObjectActor,
            OBJECT_COUNTER => Slot::Object,
            KEY_ACTOR => Slot::CursorActor,
            KEY_COUNTER => Slot::Cursor,
            PRED_ACTOR if self.cursor_slot.is_some() => Slot::KeyActor,
            PRED_COUNTER if self.cursor_slot.is_some() => Slot::Key,
            PRED_COUNTER => Slot::FromStart,
            _ => other_slot(number, repeated),
        }
    }

    /// What a row with these values says about where the next edit may be.
    pub(in crate::wire) fn edit(&self, values: &[SlotValue<'_>]) -> Edit {
        let mut edit = Edit { inserts: self.inserts, ..Edit::default() };
        for (slot, value) in self.slots.iter().zip(values) {
            let value = Some(value.number());
            match slot {
                Slot::Object => edit.object = value,
                Slot::ObjectActor => edit.object_actor = value,
                Slot::Cursor => edit.element = value,
                Slot::CursorActor => edit.element_actor = value,
                _ => {}
            }
        }
        edit
    }

    /// Writes the list of columns and their data into a body. `raw_values` are the bytes of the values.
    pub(in crate::wire) fn write_columns(
        &self,
        values: &[SlotValue<'_>],
        raw_values: &[u8],
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        scratch.clear();
        let mut values = values.iter();
        let count = self.columns.len() + usize::from(!raw_values.is_empty());
        write_unsigned(out, count as u64);
        let mut pending = (!raw_values.is_empty()).then_some(raw_values);
        let write_value_column = |scratch: &mut Vec<u8>, out: &mut Vec<u8>, raw_values: &[u8]| {
            write_unsigned(out, VALUE.into());
            write_unsigned(out, raw_values.len() as u64);
            scratch.extend_from_slice(raw_values);
        };
        for column in &self.columns {
            if column.number >= AFTER_VALUE
                && let Some(raw_values) = pending.take()
            {
                write_value_column(scratch, out, raw_values);
            }
            let start = scratch.len();
            for run in &column.runs {
                write_run(scratch, column.number, *run, &mut values);
            }
            write_unsigned(out, column.number.into());
            write_unsigned(out, (scratch.len() - start) as u64);
        }
        if let Some(raw_values) = pending {
            write_value_column(scratch, out, raw_values);
        }
        out.extend_from_slice(scratch);
    }

    /// How many bytes of raw values the values of a row state; `None` when it is more than can be counted.
    pub(in crate::wire) fn raw_value_bytes(&self, values: &[SlotValue<'_>]) -> Option<u64> {
        self.slots.iter().zip(values).try_fold(0_u64, |sum, (slot, value)| match slot {
            Slot::Lengths(repeated) => sum.checked_add((value.number() >> 4).checked_mul(*repeated)?),
            _ => Some(sum),
        })
    }
}

/// What a value is that is not the first of its column.
fn other_slot(number: u32, repeated: u64) -> Slot {
    match column_type(number) {
        ColumnType::Text => Slot::Text,
        ColumnType::ValueMetadata => Slot::Lengths(repeated),
        ColumnType::Actor => Slot::Actor,
        _ => Slot::Same,
    }
}

fn read_runs(reader: &mut Reader<'_>, column: u32, runs_left: &mut usize) -> Result<Vec<Run>, BatchError> {
    let field = BatchField::Shapes;
    let found = number(reader, field)?;
    let too_many = BatchError::TooMany { field, found, maximum: *runs_left as u64 };
    let count = usize::try_from(found).ok().filter(|count| count <= runs_left).ok_or(too_many)?;
    *runs_left -= count;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        let head = number(reader, field)?;
        runs.push(match (column_type(column), unzigzag(head)) {
            (ColumnType::Boolean, _) => Run::Booleans(head),
            (_, 0) => Run::Nulls(number(reader, field)?),
            (_, header) => Run::Values(header),
        });
    }
    Ok(runs)
}

fn write_run<'v, 'a: 'v>(
    out: &mut Vec<u8>,
    column: u32,
    run: Run,
    values: &mut impl Iterator<Item = &'v SlotValue<'a>>,
) {
    let header = match run {
        Run::Booleans(count) => return write_unsigned(out, count),
        Run::Nulls(count) => {
            write_signed(out, 0);
            return write_unsigned(out, count);
        }
        Run::Values(header) => header,
    };
    write_signed(out, header);
    let count = if header > 0 { 1 } else { usize::try_from(header.unsigned_abs()).unwrap_or(usize::MAX) };
    for value in values.take(count) {
        match value {
            SlotValue::Text(text) => {
                write_unsigned(out, text.len() as u64);
                out.extend_from_slice(text);
            }
            SlotValue::Number(value) if column_type(column) == ColumnType::Delta => {
                write_signed(out, value.cast_signed());
            }
            SlotValue::Number(value) => write_unsigned(out, *value),
        }
    }
}
