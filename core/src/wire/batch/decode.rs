//! Reads batches.

use super::error::{BatchError, BatchField};
use super::model::{CodedRow, Dependency, Model, Position, Seen, resolve_entity};
use super::section::{Framed, Streams, Tables, resolved, unused};
use super::{BATCH_OUTPUT_BYTES_MAX, Check, ChunkBudget, DecodedChunk, Form, Stream};
use crate::change::leb::{Reader, unzigzag};
use crate::change::{ChangeError, ChangeHeader, Column, HASH_BYTES, Parts, frame_body, framed_bytes, hash_of};
use crate::id::EntityId;
use crate::limits::Limits;
use crate::log::{ChunkKind, Sequence};
use crate::wire::row::actors::{actor_index, actor_values, other_actors};
use crate::wire::row::body::{Body, Columns, read_verbatim};
use crate::wire::row::place::RowContext;
use crate::wire::row::read::{bytes, number};
use crate::wire::row::shape::{Shape, SlotValue};
use automerge::ChangeHash;

/// Decodes a batch into its chunks, in their order.
///
/// Every change is rebuilt byte for byte and its hash computed; the check at the end of the batch covers hashes and
/// entities. A chunk that is not a change within `limits` does not fail the batch: its header is the error.
///
/// # Errors
///
/// What is wrong with the batch, and where. Nothing is decoded beyond the limits of a batch, whatever it claims.
pub fn decode_batch(batch: &[u8], limits: &Limits) -> Result<Vec<DecodedChunk>, BatchError> {
    let mut budget = ChunkBudget::WHOLE;
    decode_batch_within(batch, limits, &mut budget)
}

/// As [`decode_batch`], within what other batches of the same frame have left.
///
/// # Errors
///
/// What is wrong with the batch, and where; or it takes more than is left.
pub fn decode_batch_within(
    batch: &[u8],
    limits: &Limits,
    budget: &mut ChunkBudget,
) -> Result<Vec<DecodedChunk>, BatchError> {
    decode_batch_over_log(batch, limits, budget, |_| None)
}

/// As [`decode_batch_within`], for a batch that may name dependencies by their positions in the log: `resolve` finds the
/// change at a position, and `None` where it knows none.
///
/// # Errors
///
/// What is wrong with the batch, and where; or a position at which no change is known.
pub fn decode_batch_over_log(
    batch: &[u8],
    limits: &Limits,
    budget: &mut ChunkBudget,
    mut resolve: impl FnMut(Sequence) -> Option<(EntityId, ChangeHash)>,
) -> Result<Vec<DecodedChunk>, BatchError> {
    let framed = Framed::read(batch)?;
    let mut section = Reader::new(&framed.section, 0);
    let mut tables = Tables::read(&mut section, framed.ids, budget)?;
    let streams = Streams::read(&mut section, &mut tables, &mut resolve)?;
    let mut decoder = BatchDecoder::new(limits, tables, streams, section, budget);
    let mut chunks = Vec::new();
    let mut check = Check::default();
    while let Some((chunk, id)) = decoder.next()? {
        check.chunk(chunk.entity, &chunk.collection, chunk.kind, &id);
        chunks.push(chunk);
    }
    decoder.finish()?;
    if check.finish() == framed.check { Ok(chunks) } else { Err(BatchError::WrongCheck) }
}

/// Buffers that are used again for every row.
#[derive(Default)]
struct Scratch<'s> {
    dependencies: Vec<ChangeHash>,
    references: Vec<Dependency>,
    others: Vec<&'s [u8]>,
    used: Vec<(usize, &'s [u8])>,
    values: Vec<SlotValue<'s>>,
    columns: Vec<Column<'s>>,
    column_data: Vec<u8>,
    body: Vec<u8>,
}

struct BatchDecoder<'s, 'b> {
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
    budget: &'b mut ChunkBudget,
    scratch: Scratch<'s>,
}

impl<'s, 'b> BatchDecoder<'s, 'b> {
    fn new(
        limits: &Limits,
        tables: Tables<'s>,
        streams: Streams<'s>,
        bytes: Reader<'s>,
        budget: &'b mut ChunkBudget,
    ) -> Self {
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
            budget,
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
            Form::Raw => self.raw(entity)?,
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

    fn raw(&mut self, entity: EntityId) -> Result<Chunk, BatchError> {
        let [found] = bytes(&mut self.bytes, 1, BatchField::Bytes)?.try_into().unwrap_or([0]);
        let kind = ChunkKind::from_number(found).ok_or(BatchError::UnknownKind { found: found.into() })?;
        let length = number(&mut self.bytes, BatchField::Bytes)?;
        let chunk = bytes(&mut self.bytes, length, BatchField::Bytes)?;
        self.budget.take_bytes(chunk.len())?;
        let header = match kind {
            ChunkKind::Change => ChangeHeader::read_in(entity, chunk, &self.limits),
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
        let are_listed = self.others(scratch)?;
        self.texts()?;
        let context = RowContext::new(start_op, position.place);
        let (raw_values, operations, edit) = match shape.and_then(|shape| self.tables.shapes.get_mut(shape)) {
            Some(shape) => shape.row(context, &mut self.bytes, &mut scratch.values)?,
            None => {
                read_verbatim(&mut self.bytes, &mut scratch.columns)?;
                (&[][..], 1, None)
            }
        };
        let author = self.tables.actors.get(actor).copied().unwrap_or_default();
        match shape.and_then(|shape| self.tables.shapes.get(shape)) {
            Some(shape) => {
                name_actors(&mut self.actors, &self.tables.actors, &shape.shape, author, are_listed, scratch)?
            }
            None if !are_listed => scratch.others.clear(),
            None => {}
        }
        let body = Body {
            dependencies: &scratch.dependencies,
            actor: author,
            sequence,
            start_op,
            time_ms,
            message: self.last_message,
            others: &scratch.others,
            columns: match shape.and_then(|shape| self.tables.shapes.get(shape)) {
                Some(shape) => Columns::Shaped(&shape.shape, &scratch.values, raw_values),
                None => Columns::Verbatim(&scratch.columns),
            },
            extra: self.last_extra,
        };
        if body.bytes_min() > self.budget.bytes {
            return Err(BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX });
        }
        body.write(&mut scratch.column_data, &mut scratch.body);
        self.budget.take_bytes(framed_bytes(scratch.body.len()))?;
        let hash = hash_of(&scratch.body);
        let dependencies = &scratch.references;
        self.model.record(&CodedRow {
            entity,
            actor,
            hash,
            sequence,
            start_op,
            operations,
            time_ms,
            dependencies,
            edit,
        });
        Ok(self.chunk(entity, &scratch.body, hash))
    }

    fn chunk(&self, entity: usize, body: &[u8], hash: ChangeHash) -> Chunk {
        let bytes = frame_body(body, hash);
        let (found, maximum) = (bytes.len(), self.limits.change_bytes_max);
        let header = if found > maximum {
            Err(ChangeError::TooLarge { found, maximum })
        } else {
            let offset = found - body.len();
            let (entity, _) = self.tables.entities.get(entity).expect("the index of an entity has been checked");
            Parts::read_body(body, offset, hash, &self.limits).and_then(|parts| parts.header_in(*entity, found))
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
                if count.saturating_mul(HASH_BYTES as u64) > self.budget.bytes as u64 {
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
            Dependency::Outside(index) => self.tables.outside.get(*index).map(|outside| outside.hash),
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

    /// Reads the other actors where they are listed, and answers whether they are: else they follow from the columns.
    fn others(&mut self, scratch: &mut Scratch<'s>) -> Result<bool, BatchError> {
        let Some(count) = self.streams.next(Stream::Others).checked_sub(1) else { return Ok(false) };
        scratch.others.clear();
        for _ in 0..count {
            let actor = self.actor(Stream::OtherReference, None)?;
            scratch.others.extend(self.tables.actors.get(actor));
        }
        Ok(true)
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

/// Names the actors of a row's columns, finds the other actors of the change unless they were listed, and puts the
/// indices that the change itself has in the place of the actors.
fn name_actors<'s>(
    seen: &mut Seen,
    actors: &[&'s [u8]],
    shape: &Shape,
    author: &'s [u8],
    are_listed: bool,
    scratch: &mut Scratch<'s>,
) -> Result<(), BatchError> {
    let unknown = |found, seen: &Seen| BatchError::BadReference {
        field: BatchField::Values,
        found,
        maximum: seen.count() as u64,
    };
    let Scratch { used, values, others, .. } = scratch;
    used.clear();
    for (slot, actor) in actor_values(shape, values) {
        let id = match actor.checked_sub(1) {
            None => Some(author),
            Some(index) => seen.name(index).and_then(|index| actors.get(index).copied()),
        };
        used.push((slot, id.ok_or_else(|| unknown(actor, seen))?));
    }
    if !are_listed {
        other_actors(author, used.iter().map(|(_, id)| *id), others);
    }
    for (slot, id) in used {
        let index = actor_index(author, others, id).ok_or_else(|| unknown(*slot as u64, seen))?;
        if let Some(value) = values.get_mut(*slot) {
            *value = SlotValue::Number(index);
        }
    }
    Ok(())
}

fn add(expected: u64, difference: u64) -> u64 {
    expected.wrapping_add(unzigzag(difference).cast_unsigned())
}
