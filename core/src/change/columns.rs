//! The columns of a change's operations: runs of values, walked without expanding them.
//!
//! See <https://automerge.org/automerge-binary-format-spec/> for the format.

use super::error::{ChangeError, ChangeField, ColumnFault};
use super::leb::Reader;
use crate::limits::CHANGE_TEXT_BYTES_MAX;

/// The most columns of a change: Automerge 0.12 writes at most 14.
pub(crate) const COLUMNS_MAX: usize = 32;
/// How many values a group may hold for each operation allowed: an operation supersedes rarely more than one.
const GROUPED_VALUES_PER_OPERATION: u64 = 4;

/// The number of the column whose runs count the operations.
pub(crate) const ACTION: u32 = 0x42;
const DEFLATED: u32 = 0x08;

/// What a column holds: the three low bits of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    /// How many values of the next columns belong to each operation.
    Group,
    /// Indices of actors.
    Actor,
    /// Unsigned numbers.
    Integer,
    /// Signed differences to the value before.
    Delta,
    /// Alternating counts of false and true.
    Boolean,
    /// Strings.
    Text,
    /// Types and lengths of raw values.
    ValueMetadata,
    /// The raw values themselves.
    Value,
}

/// One column as it stands in a change.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Column<'a> {
    /// Automerge's number of the column: `id · 16 + deflated · 8 + type`.
    pub(crate) number: u32,
    /// Where the data starts in the chunk.
    pub(crate) offset: usize,
    /// The data.
    pub(crate) data: &'a [u8],
}

/// The columns of one change, in their order, without an allocation.
#[derive(Debug, Clone)]
pub(crate) struct ColumnList<'a> {
    columns: [Column<'a>; COLUMNS_MAX],
    count: usize,
}

/// A part of a column's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A run: one value that stands `n` times, or `-n` values that stand once each. The values follow.
    Run(i64),
    /// So many nulls.
    Nulls(u64),
    /// The next value of a run of unsigned numbers.
    Unsigned(u64),
    /// The next value of a run of signed numbers.
    Signed(i64),
    /// The next value of a run of strings.
    Text(&'a [u8]),
    /// So many booleans; false and true take turns, false first.
    Booleans(u64),
}

/// How far a column's runs reach.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    /// How many values the runs expand to, nulls included.
    pub(crate) values: u64,
    /// What a group's values, the lengths in value metadata, or the lengths of texts add up to.
    pub(crate) sum: u64,
}

impl Column<'_> {
    pub(crate) fn column_type(&self) -> ColumnType {
        match self.number & 7 {
            0 => ColumnType::Group,
            1 => ColumnType::Actor,
            2 => ColumnType::Integer,
            3 => ColumnType::Delta,
            4 => ColumnType::Boolean,
            5 => ColumnType::Text,
            6 => ColumnType::ValueMetadata,
            _ => ColumnType::Value,
        }
    }

    fn id(&self) -> u32 {
        self.number >> 4
    }
}

/// What the columns of a change expand to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expanded {
    pub(crate) operations: u64,
    /// How many earlier operations those name.
    pub(crate) predecessors: u64,
    /// What the texts in runs take, each counted as often as it is repeated.
    pub(crate) text_bytes: u64,
}

impl<'a> ColumnList<'a> {
    /// Reads the list of columns and then their data.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, ChangeError> {
        let mut lengths = [(0, 0); COLUMNS_MAX];
        let offset = reader.offset();
        let number_and_length_bytes = 2;
        let count = reader
            .count(number_and_length_bytes)
            .map_err(|fault| ChangeError::reading(ChangeField::Columns, offset, fault))?;
        let too_many =
            ChangeError::TooMany { field: ChangeField::Columns, offset, found: count, maximum: COLUMNS_MAX as u64 };
        let count = usize::try_from(count).ok().filter(|count| *count <= COLUMNS_MAX).ok_or(too_many)?;
        let mut previous = None;
        for length in lengths.iter_mut().take(count) {
            let offset = reader.offset();
            let number =
                reader.unsigned().map_err(|fault| ChangeError::reading(ChangeField::Columns, offset, fault))?;
            let number =
                u32::try_from(number).map_err(|_| ChangeError::BadNumber { field: ChangeField::Columns, offset })?;
            if number & DEFLATED != 0 {
                return Err(ChangeError::BadColumn { column: number, offset, fault: ColumnFault::Deflated });
            }
            if previous.is_some_and(|previous| previous >= number) {
                return Err(ChangeError::NotSorted { field: ChangeField::Columns, offset });
            }
            previous = Some(number);
            let bytes = reader.unsigned().map_err(|fault| ChangeError::reading(ChangeField::Columns, offset, fault))?;
            *length = (number, bytes);
        }
        let mut columns = [Column::default(); COLUMNS_MAX];
        for (column, (number, bytes)) in columns.iter_mut().zip(lengths).take(count) {
            let offset = reader.offset();
            let data =
                reader.take(bytes).map_err(|fault| ChangeError::reading(ChangeField::ColumnData, offset, fault))?;
            *column = Column { number, offset, data };
        }
        Ok(Self { columns, count })
    }

    /// The columns in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Column<'a>> {
        self.columns.iter().take(self.count)
    }

    /// Checks every column, and counts what the change expands to. `actors` is how many the change names, its author included.
    ///
    /// The work is linear in the bytes, however far the runs reach: a column may not expand beyond the operations,
    /// nor a group beyond a few values for each operation allowed.
    pub(crate) fn check(&self, actors: u64, operations_max: u64) -> Result<Expanded, ChangeError> {
        let operations = self.operations(actors, operations_max)?;
        let mut open = Open::default();
        let (mut text_bytes, mut predecessors) = (0_u64, 0_u64);
        for column in self.iter() {
            open.close_unless_same(column)?;
            let maximum = open.group.map_or(operations, |(_, values)| values);
            match column.column_type() {
                ColumnType::Group => {
                    let extent = scan(column, actors, operations, &mut |_| {})?;
                    let most = operations_max.saturating_mul(GROUPED_VALUES_PER_OPERATION);
                    if extent.sum > most {
                        return Err(column.broken(0, ColumnFault::TooLong { maximum: most }));
                    }
                    open.group = Some((column.id(), extent.sum));
                    predecessors = predecessors.saturating_add(extent.sum);
                }
                ColumnType::ValueMetadata => {
                    let extent = scan(column, actors, maximum, &mut |_| {})?;
                    open.metadata = Some((*column, extent.sum));
                }
                ColumnType::Value => open.values(column)?,
                _ if column.number == ACTION => {}
                _ => {
                    let extent = scan(column, actors, maximum, &mut |_| {})?;
                    if open.group.is_some() && extent.values != maximum {
                        let fault = ColumnFault::WrongLength { needed: maximum, found: extent.values };
                        return Err(column.broken(0, fault));
                    }
                    text_bytes = text_bytes.saturating_add(extent.sum);
                    if text_bytes > CHANGE_TEXT_BYTES_MAX {
                        let fault = ColumnFault::TooMuchText { found: text_bytes, maximum: CHANGE_TEXT_BYTES_MAX };
                        return Err(column.broken(0, fault));
                    }
                }
            }
        }
        open.close_metadata()?;
        Ok(Expanded { operations, predecessors, text_bytes })
    }

    fn operations(&self, actors: u64, operations_max: u64) -> Result<u64, ChangeError> {
        let Some(action) = self.iter().find(|column| column.number == ACTION) else {
            return Ok(0);
        };
        let mut nulls = 0_u64;
        let extent = scan(action, actors, u64::MAX, &mut |token| {
            if let Token::Nulls(count) = token {
                nulls = nulls.max(count);
            }
        })?;
        if nulls > 0 {
            return Err(action.broken(0, ColumnFault::Null));
        }
        if extent.values > operations_max {
            return Err(ChangeError::TooMany {
                field: ChangeField::Operations,
                offset: action.offset,
                found: extent.values,
                maximum: operations_max,
            });
        }
        Ok(extent.values)
    }
}

/// Columns that the ones after them may belong to.
#[derive(Default)]
struct Open<'a> {
    group: Option<(u32, u64)>,
    metadata: Option<(Column<'a>, u64)>,
}

impl Open<'_> {
    fn close_unless_same(&mut self, next: &Column<'_>) -> Result<(), ChangeError> {
        if self.group.is_some_and(|(id, _)| id != next.id()) {
            self.group = None;
        }
        let values_follow = self.metadata.as_ref().is_some_and(|(metadata, _)| metadata.id() == next.id())
            && next.column_type() == ColumnType::Value;
        if values_follow { Ok(()) } else { self.close_metadata() }
    }

    fn close_metadata(&mut self) -> Result<(), ChangeError> {
        match self.metadata.take() {
            Some((metadata, needed)) if needed > 0 => {
                Err(metadata.broken(0, ColumnFault::WrongLength { needed, found: 0 }))
            }
            _ => Ok(()),
        }
    }

    fn values(&mut self, column: &Column<'_>) -> Result<(), ChangeError> {
        let (_, needed) = self.metadata.take().ok_or_else(|| column.broken(0, ColumnFault::LoneValues))?;
        let found = column.data.len() as u64;
        if needed == found { Ok(()) } else { Err(column.broken(0, ColumnFault::WrongLength { needed, found })) }
    }
}

impl Column<'_> {
    fn broken(&self, within: usize, fault: ColumnFault) -> ChangeError {
        ChangeError::BadColumn { column: self.number, offset: self.offset + within, fault }
    }
}

/// Walks the runs of a column, which may expand to `maximum` values, and hands every part of it to `sink`.
pub(crate) fn scan<'a>(
    column: &Column<'a>,
    actors: u64,
    maximum: u64,
    sink: &mut impl FnMut(Token<'a>),
) -> Result<Extent, ChangeError> {
    let mut reader = Reader::new(column.data, 0);
    let scanned = match column.column_type() {
        ColumnType::Boolean => scan_booleans(&mut reader, maximum, sink),
        _ => scan_runs(column.column_type(), &mut reader, actors, maximum, sink),
    };
    scanned.map_err(|fault| column.broken(reader.offset(), fault))
}

fn scan_booleans<'a>(
    reader: &mut Reader<'a>,
    maximum: u64,
    sink: &mut impl FnMut(Token<'a>),
) -> Result<Extent, ColumnFault> {
    let mut values = 0_u64;
    while reader.remaining() > 0 {
        let first = reader.offset() == 0;
        let count = reader.unsigned()?;
        let last = reader.remaining() == 0;
        if count == 0 && (!first || last) {
            return Err(ColumnFault::EmptyRun);
        }
        values = bounded(values, count, maximum)?;
        sink(Token::Booleans(count));
    }
    Ok(Extent { values, sum: 0 })
}

fn scan_runs<'a>(
    column_type: ColumnType,
    reader: &mut Reader<'a>,
    actors: u64,
    maximum: u64,
    sink: &mut impl FnMut(Token<'a>),
) -> Result<Extent, ColumnFault> {
    let mut extent = Extent::default();
    while reader.remaining() > 0 {
        let run = reader.signed()?;
        if run == 0 {
            let nulls = reader.unsigned()?;
            if nulls == 0 {
                return Err(ColumnFault::EmptyRun);
            }
            if matches!(column_type, ColumnType::Group | ColumnType::ValueMetadata) {
                return Err(ColumnFault::Null);
            }
            extent.values = bounded(extent.values, nulls, maximum)?;
            sink(Token::Nulls(nulls));
            continue;
        }
        extent.values = bounded(extent.values, run.unsigned_abs(), maximum)?;
        sink(Token::Run(run));
        let (items, repeated) = if run > 0 { (1, run.unsigned_abs()) } else { (run.unsigned_abs(), 1) };
        // A literal run of n values takes n bytes at the least, so the loop is bounded by the bytes.
        for _ in 0..items {
            let counted = scan_value(column_type, reader, actors, sink)?;
            let counted = counted.checked_mul(repeated).ok_or(ColumnFault::TooLong { maximum })?;
            extent.sum = extent.sum.checked_add(counted).ok_or(ColumnFault::TooLong { maximum })?;
        }
    }
    Ok(extent)
}

/// Reads one value and answers what it adds to the sum of its column.
fn scan_value<'a>(
    column_type: ColumnType,
    reader: &mut Reader<'a>,
    actors: u64,
    sink: &mut impl FnMut(Token<'a>),
) -> Result<u64, ColumnFault> {
    match column_type {
        ColumnType::Delta => {
            sink(Token::Signed(reader.signed()?));
            Ok(0)
        }
        ColumnType::Text => {
            let length = reader.unsigned()?;
            sink(Token::Text(reader.take(length)?));
            Ok(length)
        }
        _ => {
            let value = reader.unsigned()?;
            sink(Token::Unsigned(value));
            match column_type {
                ColumnType::Actor if value >= actors => {
                    Err(ColumnFault::UnknownActor { found: value, maximum: actors })
                }
                ColumnType::Group => Ok(value),
                ColumnType::ValueMetadata => Ok(value >> 4),
                _ => Ok(0),
            }
        }
    }
}

fn bounded(values: u64, more: u64, maximum: u64) -> Result<u64, ColumnFault> {
    let values = values.checked_add(more).ok_or(ColumnFault::TooLong { maximum })?;
    if values > maximum { Err(ColumnFault::TooLong { maximum }) } else { Ok(values) }
}
