//! Reads batches.

use super::body::{Body, Columns};
use super::error::{BatchError, BatchField};
use super::model::{CodedRow, Dependency, Edit, Model, Position, Seen, resolve_entity};
use super::numbers::{Numbers, bytes, number};
use super::shape::{BATCH_SLOTS_MAX, RowContext, Shape, SlotModel, SlotValue};
use super::{
    ACTOR_BYTES, BATCH_OUTPUT_BYTES_MAX, BATCH_SECTION_BYTES_MAX, CHECK_BYTES, CODEC_PLAIN, CODEC_ZSTD, Check,
    DecodedChunk, FORM_LAST, FORM_NEW_SHAPE, FORM_RAW, FORM_SHAPE, FORM_VERBATIM, Form, STREAMS, Stream, TIME_LOW_BIT,
};
use crate::change::leb::{Reader, unzigzag};
use crate::change::{
    COLUMNS_MAX, ChangeError, ChangeHeader, Column, HASH_BYTES, Parts, frame_body, framed_bytes, hash_of,
};
use crate::id::{COLLECTION_BYTES_MAX, Collection, EntityId};
use crate::limits::{ACTOR_BYTES_MAX, BATCH_CHUNKS_MAX, Limits};
use crate::log::ChunkKind;
use crate::wire::compress::{InflateError, check_stated, inflate, with_magic};
use automerge::ChangeHash;
use std::borrow::Cow;

/// Decodes a batch into its chunks, in their order.
///
/// Every change is rebuilt byte for byte and its hash computed; the check at the end of the batch covers hashes and
/// entities. A chunk that is not a change within `limits` does not fail the batch: its header is the error.
///
/// # Errors
///
/// What is wrong with the batch, and where. Nothing is decoded beyond the limits of a batch, whatever it claims.
pub fn decode_batch(batch: &[u8], limits: &Limits) -> Result<Vec<DecodedChunk>, BatchError> {
    let framed = Framed::read(batch)?;
    let mut section = Reader::new(&framed.section, 0);
    let mut tables = Tables::read(&mut section, framed.ids)?;
    let streams = Streams::read(&mut section, &mut tables)?;
    let mut decoder = BatchDecoder::new(limits, tables, streams, section);
    let mut chunks = Vec::new();
    let mut check = Check::default();
    while let Some((chunk, id)) = decoder.next()? {
        check.chunk(chunk.entity, &chunk.collection, chunk.kind, &id);
        chunks.push(chunk);
    }
    decoder.finish()?;
    if check.finish() == framed.check { Ok(chunks) } else { Err(BatchError::WrongCheck) }
}

/// A batch without its codec.
struct Framed<'b> {
    section: Cow<'b, [u8]>,
    ids: Reader<'b>,
    check: &'b [u8],
}

impl<'b> Framed<'b> {
    fn read(batch: &'b [u8]) -> Result<Self, BatchError> {
        let mut reader = Reader::new(batch, 0);
        let [codec] = reader.array().map_err(|fault| BatchError::reading(BatchField::Codec, 0, fault))?;
        if codec != CODEC_PLAIN && codec != CODEC_ZSTD {
            return Err(BatchError::UnknownCodec { found: codec });
        }
        let stated = number(&mut reader, BatchField::Length)?;
        let maximum = BATCH_SECTION_BYTES_MAX;
        if stated > maximum as u64 {
            return Err(BatchError::Inflate(InflateError::TooLarge { found: stated, maximum }));
        }
        let section = if codec == CODEC_PLAIN {
            Cow::Borrowed(bytes(&mut reader, stated, BatchField::Length)?)
        } else {
            let compressed = number(&mut reader, BatchField::Length)?;
            let frame = bytes(&mut reader, compressed, BatchField::Length)?;
            let stated = check_stated(stated, frame.len())?;
            Cow::Owned(inflate(&with_magic(frame), stated)?)
        };
        let found = reader.remaining();
        let offset = reader.offset();
        let ids = found.checked_sub(CHECK_BYTES).ok_or(BatchError::Truncated {
            field: BatchField::Check,
            offset,
            needed: CHECK_BYTES as u64,
            found,
        })?;
        let ids = Reader::new(bytes(&mut reader, ids as u64, BatchField::Ids)?, offset);
        Ok(Self { section, ids, check: reader.rest() })
    }
}

/// What the batch names once.
struct Tables<'s> {
    chunks: u64,
    mask: u64,
    collections: Vec<Collection>,
    entities_count: usize,
    entities: Vec<(EntityId, usize)>,
    actors_count: usize,
    actors: Vec<&'s [u8]>,
    outside: Vec<ChangeHash>,
    shapes: Vec<ShapeIn<'s>>,
    ids: Reader<'s>,
}

struct ShapeIn<'s> {
    shape: Shape,
    model: SlotModel<'s>,
    streams: Vec<Numbers>,
}

impl<'s> Tables<'s> {
    fn read(section: &mut Reader<'s>, mut ids: Reader<'s>) -> Result<Self, BatchError> {
        let chunks = capped(section, BatchField::Count, BATCH_CHUNKS_MAX as u64)? as u64;
        let mask = number(section, BatchField::Presence)?;
        if mask >> (TIME_LOW_BIT + 1) != 0 {
            let maximum = (1 << (TIME_LOW_BIT + 1)) - 1;
            return Err(BatchError::TooMany { field: BatchField::Presence, found: mask, maximum });
        }
        let collections_count = capped(section, BatchField::Collections, chunks)?;
        let entities_count = capped(section, BatchField::Ids, chunks)?;
        let actors_count = capped(section, BatchField::Ids, ids.remaining() as u64)?;
        let outside_count = capped(section, BatchField::Ids, (ids.remaining() / HASH_BYTES) as u64)?;
        let shapes_count = capped(section, BatchField::Shapes, chunks.min(section.remaining() as u64))?;
        let collections = (0..collections_count).map(|_| read_collection(section)).collect::<Result<_, _>>()?;
        let mut slots_left = BATCH_SLOTS_MAX;
        let shapes = (0..shapes_count).map(|_| ShapeIn::read(section, &mut slots_left)).collect::<Result<_, _>>()?;
        let hashes_bytes = (outside_count * HASH_BYTES) as u64;
        let (mut front, offset) = (ids.clone(), ids.offset());
        let front_bytes = (ids.remaining() as u64).saturating_sub(hashes_bytes);
        bytes(&mut ids, front_bytes, BatchField::Ids)?;
        let hashes = bytes(&mut ids, hashes_bytes, BatchField::Ids)?;
        let ids = Reader::new(bytes(&mut front, front_bytes, BatchField::Ids)?, offset);
        let outside = hashes.as_chunks::<HASH_BYTES>().0.iter().map(|hash| ChangeHash(*hash)).collect();
        Ok(Self {
            chunks,
            mask,
            collections,
            entities_count,
            entities: Vec::new(),
            actors_count,
            actors: Vec::new(),
            outside,
            shapes,
            ids,
        })
    }

    /// Reads the entities and actors, whose lengths stand in streams.
    fn read_ids(&mut self, streams: &mut Streams<'_>) -> Result<(), BatchError> {
        let mut seen = Seen::of(self.collections.len());
        let mut last = ([0; 16], None);
        for _ in 0..self.entities_count {
            let shared = streams.next(Stream::EntityPrefix);
            let shared = usize::try_from(shared).ok().filter(|shared| *shared <= 16).ok_or(BatchError::TooMany {
                field: BatchField::Ids,
                found: shared,
                maximum: 16,
            })?;
            let suffix = bytes(&mut self.ids, 16 - shared as u64, BatchField::Ids)?;
            last.0.iter_mut().skip(shared).zip(suffix).for_each(|(byte, new)| *byte = *new);
            let code = streams.next(Stream::EntityCollection);
            let collection = resolved(seen.resolve(code, last.1), BatchField::Collections, code, seen.count())?;
            last.1 = Some(collection);
            self.entities.push((EntityId::from_bytes(last.0), collection));
        }
        if !seen.is_complete() {
            return Err(unused(BatchField::Collections, self.collections.len() - seen.count()));
        }
        for _ in 0..self.actors_count {
            let length = ACTOR_BYTES.saturating_add(unzigzag(streams.next(Stream::ActorLength)));
            let found = length.cast_unsigned();
            if found == 0 || found > ACTOR_BYTES_MAX as u64 {
                return Err(BatchError::TooMany { field: BatchField::Ids, found, maximum: ACTOR_BYTES_MAX as u64 });
            }
            self.actors.push(bytes(&mut self.ids, found, BatchField::Ids)?);
        }
        match self.ids.remaining() {
            0 => Ok(()),
            found => Err(BatchError::Trailing { field: BatchField::Ids, offset: self.ids.offset(), found }),
        }
    }
}

impl<'s> ShapeIn<'s> {
    fn read(section: &mut Reader<'s>, slots_left: &mut usize) -> Result<Self, BatchError> {
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

    fn read_streams(&mut self, section: &mut Reader<'s>, rows: u64) -> Result<(), BatchError> {
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

/// The streams of rows.
struct Streams<'s> {
    numbers: [Numbers; STREAMS],
    forms: std::vec::IntoIter<Form>,
    time_low: std::slice::Iter<'s, u8>,
}

impl<'s> Streams<'s> {
    fn read(section: &mut Reader<'s>, tables: &mut Tables<'s>) -> Result<Self, BatchError> {
        let mut streams = Self { numbers: Default::default(), forms: Vec::new().into_iter(), time_low: [].iter() };
        streams.read_numbers(section, tables.mask, Stream::Form, tables.chunks)?;
        let forms = streams.read_forms(tables)?;
        let rows = forms.iter().filter(|form| **form != Form::Raw).count() as u64;
        for stream in [Stream::Sequence, Stream::StartOp, Stream::Dependencies] {
            streams.read_numbers(section, tables.mask, stream, rows)?;
        }
        let references = streams.numbers_of(Stream::Dependencies).references();
        streams.read_numbers(section, tables.mask, Stream::DependencyReference, references)?;
        streams.read_numbers(section, tables.mask, Stream::Actor, rows)?;
        streams.read_numbers(section, tables.mask, Stream::Entity, tables.chunks)?;
        streams.read_numbers(section, tables.mask, Stream::Others, rows)?;
        let references = streams.numbers_of(Stream::Others).references();
        streams.read_numbers(section, tables.mask, Stream::OtherReference, references)?;
        streams.read_numbers(section, tables.mask, Stream::Message, rows)?;
        streams.read_numbers(section, tables.mask, Stream::Extra, rows)?;
        streams.read_numbers(section, tables.mask, Stream::EntityPrefix, tables.entities_count as u64)?;
        streams.read_numbers(section, tables.mask, Stream::EntityCollection, tables.entities_count as u64)?;
        streams.read_numbers(section, tables.mask, Stream::ActorLength, tables.actors_count as u64)?;
        streams.read_numbers(section, tables.mask, Stream::TimeHigh, rows)?;
        if tables.mask >> TIME_LOW_BIT & 1 != 0 {
            streams.time_low = bytes(section, rows, BatchField::Stream)?.iter();
        }
        tables.read_ids(&mut streams)?;
        let mut rows = vec![0_u64; tables.shapes.len()];
        for form in &forms {
            if let Form::Shape(index) = form
                && let Some(rows) = rows.get_mut(*index)
            {
                *rows += 1;
            }
        }
        for (shape, rows) in tables.shapes.iter_mut().zip(rows) {
            shape.read_streams(section, rows)?;
        }
        streams.forms = forms.into_iter();
        Ok(streams)
    }

    fn read_numbers(
        &mut self,
        section: &mut Reader<'s>,
        mask: u64,
        stream: Stream,
        count: u64,
    ) -> Result<(), BatchError> {
        if mask >> (stream as usize) & 1 != 0 {
            *self.numbers_of(stream) = Numbers::read(section, count, BatchField::Stream)?;
        }
        Ok(())
    }

    fn read_forms(&mut self, tables: &Tables<'s>) -> Result<Vec<Form>, BatchError> {
        let mut seen = Seen::of(tables.shapes.len());
        let mut last = None;
        let mut forms = Vec::new();
        for _ in 0..tables.chunks {
            let code = self.next(Stream::Form);
            let form = match (code, last) {
                (FORM_LAST, Some(last)) => last,
                (FORM_VERBATIM, _) => Form::Verbatim,
                (FORM_RAW, _) => Form::Raw,
                _ => {
                    let shape = if code < FORM_SHAPE { FORM_NEW_SHAPE } else { code - FORM_SHAPE + 2 };
                    let shape = seen.resolve(shape, None);
                    Form::Shape(resolved(shape, BatchField::Shapes, code, seen.count())?)
                }
            };
            last = Some(form);
            forms.push(form);
        }
        if seen.is_complete() { Ok(forms) } else { Err(unused(BatchField::Shapes, tables.shapes.len() - seen.count())) }
    }

    fn numbers_of(&mut self, stream: Stream) -> &mut Numbers {
        self.numbers.get_mut(stream as usize).expect("there are as many streams as the enum has variants")
    }

    fn next(&mut self, stream: Stream) -> u64 {
        self.numbers_of(stream).next()
    }
}

/// Buffers that are used again for every row.
#[derive(Default)]
struct Scratch<'s> {
    dependencies: Vec<ChangeHash>,
    references: Vec<Dependency>,
    others: Vec<usize>,
    other_ids: Vec<&'s [u8]>,
    values: Vec<SlotValue<'s>>,
    columns: Vec<Column<'s>>,
    column_data: Vec<u8>,
    body: Vec<u8>,
}

struct BatchDecoder<'s> {
    limits: Limits,
    tables: Tables<'s>,
    streams: Streams<'s>,
    bytes: Reader<'s>,
    model: Model,
    actors: Seen,
    entities_seen: usize,
    outside_seen: usize,
    last_entity: Option<usize>,
    last_message: &'s [u8],
    last_extra: &'s [u8],
    budget: usize,
    scratch: Scratch<'s>,
}

impl<'s> BatchDecoder<'s> {
    fn new(limits: &Limits, tables: Tables<'s>, streams: Streams<'s>, bytes: Reader<'s>) -> Self {
        Self {
            limits: *limits,
            actors: Seen::of(tables.actors.len()),
            tables,
            streams,
            bytes,
            model: Model::default(),
            entities_seen: 0,
            outside_seen: 0,
            last_entity: None,
            last_message: &[],
            last_extra: &[],
            budget: BATCH_OUTPUT_BYTES_MAX,
            scratch: Scratch::default(),
        }
    }

    /// The next chunk and the id of it that the check covers.
    fn next(&mut self) -> Result<Option<(DecodedChunk, [u8; HASH_BYTES])>, BatchError> {
        let Some(form) = self.streams.forms.next() else { return Ok(None) };
        let index = self.entity()?;
        let named = self
            .tables
            .entities
            .get(index)
            .and_then(|(entity, collection)| Some((*entity, self.tables.collections.get(*collection)?.clone())));
        let (entity, collection) = named.expect("the index of an entity and of its collection have been checked");
        let (kind, bytes, header, id) = match form {
            Form::Raw => self.raw()?,
            Form::Verbatim => self.row(index, None)?,
            Form::Shape(shape) => self.row(index, Some(shape))?,
        };
        Ok(Some((DecodedChunk { entity, collection, kind, bytes, header }, id)))
    }

    /// Everything that the batch holds must have been used.
    fn finish(&self) -> Result<(), BatchError> {
        let left = [
            self.tables.entities.len() - self.entities_seen,
            self.tables.actors.len() - self.actors.count(),
            self.tables.outside.len() - self.outside_seen,
        ];
        if let Some(left) = left.into_iter().find(|left| *left > 0) {
            return Err(unused(BatchField::Ids, left));
        }
        match self.bytes.remaining() {
            0 => Ok(()),
            found => Err(BatchError::Trailing { field: BatchField::Bytes, offset: self.bytes.offset(), found }),
        }
    }

    fn entity(&mut self) -> Result<usize, BatchError> {
        let code = self.streams.next(Stream::Entity);
        let index = resolve_entity(code, self.entities_seen, self.last_entity)
            .filter(|index| *index < self.tables.entities.len());
        let index = resolved(index, BatchField::Ids, code, self.entities_seen)?;
        if index == self.entities_seen {
            self.entities_seen += 1;
            self.model.add_entity();
        }
        self.last_entity = Some(index);
        Ok(index)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), BatchError> {
        let maximum = BATCH_OUTPUT_BYTES_MAX;
        self.budget = self.budget.checked_sub(bytes).ok_or(BatchError::OverBudget { maximum })?;
        Ok(())
    }

    fn raw(&mut self) -> Result<Chunk, BatchError> {
        let [found] = bytes(&mut self.bytes, 1, BatchField::Bytes)?.try_into().unwrap_or([0]);
        let kind = ChunkKind::from_number(found).ok_or(BatchError::UnknownKind { found: found.into() })?;
        let length = number(&mut self.bytes, BatchField::Bytes)?;
        let chunk = bytes(&mut self.bytes, length, BatchField::Bytes)?;
        self.charge(chunk.len())?;
        let header = match kind {
            ChunkKind::Change => ChangeHeader::read(chunk, &self.limits),
            kind => Err(ChangeError::NotAChange { kind }),
        };
        Ok((kind, chunk.to_vec(), header, *blake3::hash(chunk).as_bytes()))
    }

    fn row(&mut self, entity: usize, shape: Option<usize>) -> Result<Chunk, BatchError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let coded = self.row_into(entity, shape, &mut scratch);
        self.scratch = scratch;
        coded
    }

    fn row_into(
        &mut self,
        entity: usize,
        shape: Option<usize>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Chunk, BatchError> {
        let predicted = self.model.actor(entity);
        let actor = self.actor(Stream::Actor, predicted)?;
        let position = self.model.position(entity, actor);
        let sequence = add(position.sequence.wrapping_add(1), self.streams.next(Stream::Sequence));
        self.dependencies(entity, &position, scratch)?;
        let expected = self.model.start_op(entity, &scratch.references);
        let start_op = add(expected, self.streams.next(Stream::StartOp));
        let low = self.streams.time_low.next().copied().unwrap_or(0);
        let time_ms = self.model.time_ms(self.streams.next(Stream::TimeHigh) << 8 | u64::from(low));
        let others = self.others(&position, scratch)?;
        self.texts()?;
        let context = RowContext { start_op, cursor: position.cursor };
        let (raw_values, operations, edit) = match shape.and_then(|shape| self.tables.shapes.get_mut(shape)) {
            Some(shape) => shape.row(context, &mut self.bytes, &mut scratch.values)?,
            None => {
                read_verbatim(&mut self.bytes, &mut scratch.columns)?;
                (&[][..], 1, None)
            }
        };
        let body = Body {
            dependencies: &scratch.dependencies,
            actor: self.tables.actors.get(actor).copied().unwrap_or_default(),
            sequence,
            start_op,
            time_ms,
            message: self.last_message,
            others: &scratch.other_ids,
            columns: match shape.and_then(|shape| self.tables.shapes.get(shape)) {
                Some(shape) => Columns::Shaped(&shape.shape, &scratch.values, raw_values),
                None => Columns::Verbatim(&scratch.columns),
            },
            extra: self.last_extra,
        };
        if body.bytes_min() > self.budget {
            return Err(BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX });
        }
        body.write(&mut scratch.column_data, &mut scratch.body);
        self.charge(framed_bytes(scratch.body.len()))?;
        let hash = hash_of(&scratch.body);
        let dependencies = &scratch.references;
        let others = others.then_some(&scratch.others[..]);
        self.model.record(&CodedRow {
            entity,
            actor,
            hash,
            sequence,
            start_op,
            operations,
            time_ms,
            dependencies,
            others,
            edit,
        });
        Ok(self.chunk(&scratch.body, hash))
    }

    fn chunk(&self, body: &[u8], hash: ChangeHash) -> Chunk {
        let bytes = frame_body(body, hash);
        let (found, maximum) = (bytes.len(), self.limits.change_bytes_max);
        let header = if found > maximum {
            Err(ChangeError::TooLarge { found, maximum })
        } else {
            let offset = found - body.len();
            Parts::read_body(body, offset, hash, &self.limits).map(|parts| ChangeHeader::of(&parts, found))
        };
        (ChunkKind::Change, bytes, header, hash.0)
    }

    fn actor(&mut self, stream: Stream, predicted: Option<usize>) -> Result<usize, BatchError> {
        let code = self.streams.next(stream);
        resolved(self.actors.resolve(code, predicted), BatchField::Ids, code, self.actors.count())
    }

    fn dependencies(
        &mut self,
        entity: usize,
        position: &Position,
        scratch: &mut Scratch<'s>,
    ) -> Result<(), BatchError> {
        scratch.references.clear();
        scratch.dependencies.clear();
        match self.streams.next(Stream::Dependencies).checked_sub(1) {
            None => scratch.references.extend(self.model.dependency(entity, position).map(Dependency::Row)),
            Some(count) => {
                if count.saturating_mul(HASH_BYTES as u64) > self.budget as u64 {
                    return Err(BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX });
                }
                for _ in 0..count {
                    let dependency = self.dependency(entity)?;
                    scratch.references.push(dependency);
                }
            }
        }
        scratch.dependencies.extend(scratch.references.iter().filter_map(|reference| match reference {
            Dependency::Row(row) => self.model.hash(entity, *row),
            Dependency::Outside(index) => self.tables.outside.get(*index).copied(),
        }));
        Ok(())
    }

    fn dependency(&mut self, entity: usize) -> Result<Dependency, BatchError> {
        let code = self.streams.next(Stream::DependencyReference);
        let index = usize::try_from(code >> 1).ok();
        if code & 1 == 0 {
            let rows = self.model.rows(entity);
            let row = index.and_then(|back| rows.checked_sub(1)?.checked_sub(back));
            return resolved(row, BatchField::Stream, code, rows).map(Dependency::Row);
        }
        let index = index.filter(|index| *index <= self.outside_seen && *index < self.tables.outside.len());
        let index = resolved(index, BatchField::Ids, code, self.outside_seen)?;
        if index == self.outside_seen {
            self.outside_seen += 1;
            self.model.add_outside();
        }
        Ok(Dependency::Outside(index))
    }

    /// Answers whether the other actors are not the ones expected.
    fn others(&mut self, position: &Position, scratch: &mut Scratch<'s>) -> Result<bool, BatchError> {
        scratch.others.clear();
        let count = self.streams.next(Stream::Others).checked_sub(1);
        match count {
            None => scratch.others.extend_from_slice(self.model.others(position)),
            Some(count) => {
                for _ in 0..count {
                    let actor = self.actor(Stream::OtherReference, None)?;
                    scratch.others.push(actor);
                }
            }
        }
        scratch.other_ids.clear();
        scratch.other_ids.extend(scratch.others.iter().filter_map(|actor| self.tables.actors.get(*actor)));
        Ok(count.is_some())
    }

    fn texts(&mut self) -> Result<(), BatchError> {
        let (message, extra) = (self.streams.next(Stream::Message), self.streams.next(Stream::Extra));
        if let Some(length) = message.checked_sub(1) {
            self.last_message = bytes(&mut self.bytes, length, BatchField::Bytes)?;
        }
        if let Some(length) = extra.checked_sub(1) {
            self.last_extra = bytes(&mut self.bytes, length, BatchField::Bytes)?;
        }
        Ok(())
    }
}

/// Kind, bytes, header, and the id that the check covers.
type Chunk = (ChunkKind, Vec<u8>, Result<ChangeHeader, ChangeError>, [u8; HASH_BYTES]);

impl<'s> ShapeIn<'s> {
    /// Reads a row: the bytes of its raw values, its operations, and where it edits.
    fn row(
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
        let element = self.shape.cursor_slot.and_then(|slot| values.get(slot)).map(SlotValue::number);
        Ok((raw_values, self.shape.operations, Some(Edit { element, inserts: self.shape.inserts })))
    }
}

fn read_verbatim<'s>(reader: &mut Reader<'s>, columns: &mut Vec<Column<'s>>) -> Result<(), BatchError> {
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

fn read_collection(section: &mut Reader<'_>) -> Result<Collection, BatchError> {
    let length = capped(section, BatchField::Collections, COLLECTION_BYTES_MAX as u64)?;
    let name = bytes(section, length as u64, BatchField::Collections)?;
    std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or(BatchError::BadCollection)
}

/// A count that may not be above `maximum`.
fn capped(reader: &mut Reader<'_>, field: BatchField, maximum: u64) -> Result<usize, BatchError> {
    let found = number(reader, field)?;
    usize::try_from(found).ok().filter(|_| found <= maximum).ok_or(BatchError::TooMany { field, found, maximum })
}

fn resolved(index: Option<usize>, field: BatchField, found: u64, seen: usize) -> Result<usize, BatchError> {
    index.ok_or(BatchError::BadReference { field, found, maximum: seen as u64 })
}

fn unused(field: BatchField, found: usize) -> BatchError {
    BatchError::Trailing { field, offset: 0, found }
}

fn add(expected: u64, difference: u64) -> u64 {
    expected.wrapping_add(unzigzag(difference).cast_unsigned())
}
