//! Shapes: what the column data of many changes has in common, and the values that differ.
//!
//! A shape is the set of columns together with the headers of their runs. What is left of a change's column data are
//! the *slots*, the values of the runs, each predicted from the row before or from the position of the last edit.

use super::error::{BatchError, BatchField};
use super::numbers::number;
use crate::change::leb::{Reader, unzigzag, write_signed, write_unsigned, zigzag};
use crate::change::{Column, ColumnList, ColumnType, Token, scan};

/// The most slots of one shape: changes with more carry their columns as they are.
pub(super) const SHAPE_SLOTS_MAX: usize = 256;
/// The most runs of one shape.
pub(super) const SHAPE_RUNS_MAX: usize = 256;
/// The most slots of all shapes of a batch.
pub(super) const BATCH_SLOTS_MAX: usize = 16_384;

/// Automerge's numbers of the columns that a shape may have, in their order; the mask of a shape has a bit for each.
const COLUMNS: [u32; 13] =
    [0x01, 0x02, 0x11, KEY_COUNTER, 0x15, INSERT, ACTION, 0x56, 0x70, 0x71, PRED_COUNTER, EXPAND, 0xa5];
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

/// How a value is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// As in the row before.
    Same,
    /// As in the row before; the value states the length of so many raw values.
    Lengths(u64),
    /// The element where the last edit of this actor left off.
    Cursor,
    /// The value of this row's [`Slot::Cursor`].
    Key,
    /// As far from the first operation as in the row before.
    FromStart,
    /// The text of the row before.
    Text,
}

/// The value of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotValue<'a> {
    /// A number; a signed one has the same bits.
    Number(u64),
    /// A text.
    Text(&'a [u8]),
}

impl SlotValue<'_> {
    pub(super) fn number(&self) -> u64 {
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
pub(super) struct Shape {
    columns: Vec<ShapeColumn>,
    pub(super) slots: Vec<Slot>,
    /// Which slot holds the element that the first operation refers to.
    pub(super) cursor_slot: Option<usize>,
    /// How many operations such a change has.
    pub(super) operations: u64,
    /// Whether any operation inserts.
    pub(super) inserts: bool,
}

/// A change's column data taken apart.
#[derive(Debug, Default)]
pub(super) struct Tokens<'a> {
    /// The shape as it is written.
    pub(super) key: Vec<u8>,
    pub(super) values: Vec<SlotValue<'a>>,
    pub(super) raw_values: &'a [u8],
    runs: Vec<Run>,
    ends: Vec<(u32, usize)>,
}

impl<'a> Tokens<'a> {
    /// Takes column data apart. Answers whether it has a shape; a change of another kind carries its columns as they
    /// are.
    pub(super) fn read(&mut self, columns: &ColumnList<'a>) -> bool {
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BatchError> {
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
                let slot = match (column_type(number), number) {
                    (ColumnType::Text, _) => Slot::Text,
                    (ColumnType::ValueMetadata, _) => Slot::Lengths(repeated),
                    (_, KEY_COUNTER) if first => {
                        self.cursor_slot = Some(self.slots.len());
                        Slot::Cursor
                    }
                    (_, PRED_COUNTER) if first && self.cursor_slot.is_some() => Slot::Key,
                    (_, PRED_COUNTER) if first => Slot::FromStart,
                    _ => Slot::Same,
                };
                first = false;
                self.slots.push(slot);
            }
        }
        self.columns.push(ShapeColumn { number, runs });
        Ok(())
    }

    /// Writes the list of columns and their data into a body. `raw_values` are the bytes of the values.
    pub(super) fn write_columns(
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
    pub(super) fn raw_value_bytes(&self, values: &[SlotValue<'_>]) -> Option<u64> {
        self.slots.iter().zip(values).try_fold(0_u64, |sum, (slot, value)| match slot {
            Slot::Lengths(repeated) => sum.checked_add((value.number() >> 4).checked_mul(*repeated)?),
            _ => Some(sum),
        })
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
