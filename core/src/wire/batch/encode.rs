//! Writes batches.

use super::model::{CodedRow, Dependency, Model, Position, code, entity_code, step};
use super::numbers::NumbersOut;
use super::shapes::{FoundShape, ShapeOut, Shapes};
use super::{
    ACTOR_BYTES, BatchChunk, CHECK_BYTES, CODEC_PLAIN, CODEC_ZSTD, Check, FORM_LAST, FORM_NEW_SHAPE, FORM_RAW,
    FORM_SHAPE, FORM_VERBATIM, Form, PREFIX_OUTSIDE, STREAMS, Stream, TIME_LOW_BIT,
};
use crate::change::leb::{write_unsigned, zigzag};
use crate::change::{Column, Parts};
use crate::id::{Collection, EntityId};
use crate::limits::Limits;
use crate::log::{ChunkKind, Sequence};
use crate::wire::compress::{LEVEL, LEVEL_AT_REST, deflate_without_magic};
use crate::wire::row::actors::{actor_values, are_all_named};
use crate::wire::row::body::{Body, Columns, write_verbatim};
use crate::wire::row::place::{Edit, RowContext};
use crate::wire::row::shape::{SlotValue, Tokens};
use automerge::ChangeHash;
use std::collections::BTreeMap;

/// Encodes chunks as one batch, in their order.
///
/// The caller keeps to [`crate::limits::BATCH_CHUNKS_MAX`] and [`crate::limits::BATCH_BYTES_MAX`]: a larger batch is
/// refused by whoever decodes it. Chunks that the strict parser refuses travel as they are.
pub fn encode_batch<'a>(chunks: impl IntoIterator<Item = BatchChunk<'a>>) -> Vec<u8> {
    encode(chunks, &mut |_, _| None, &[LEVEL])
}

/// As [`encode_batch`], for a reader that knows the log: a dependency outside the batch is named by its position there
/// instead of its hash, where `known_at` gives one, and so is the entity of a change that depends on it.
pub fn encode_batch_over_log<'a>(
    chunks: impl IntoIterator<Item = BatchChunk<'a>>,
    mut known_at: impl FnMut(EntityId, ChangeHash) -> Option<Sequence>,
) -> Vec<u8> {
    encode(chunks, &mut known_at, &[LEVEL])
}

/// As [`encode_batch`], compressed as far as is worth it for what is written once and kept.
pub fn encode_batch_at_rest<'a>(chunks: impl IntoIterator<Item = BatchChunk<'a>>) -> Vec<u8> {
    encode(chunks, &mut |_, _| None, &[LEVEL, LEVEL_AT_REST])
}

fn encode<'a>(chunks: impl IntoIterator<Item = BatchChunk<'a>>, known_at: &mut KnownAt<'_>, levels: &[i32]) -> Vec<u8> {
    let mut encoder = BatchEncoder::default();
    for chunk in chunks {
        encoder.push(&chunk, known_at);
    }
    encoder.finish(levels)
}

/// What finds the position in the log of a change of an entity.
type KnownAt<'k> = dyn FnMut(EntityId, ChangeHash) -> Option<Sequence> + 'k;

#[derive(Default)]
struct BatchEncoder<'a> {
    chunks: u64,
    model: Model,
    tables: Tables<'a>,
    streams: [NumbersOut; STREAMS],
    time_low: Vec<u8>,
    shapes: Shapes<'a>,
    bytes: Vec<u8>,
    check: Check,
    last_entity: Option<usize>,
    last_form: Option<Form>,
    last_message: &'a [u8],
    last_extra: &'a [u8],
    tokens: Tokens<'a>,
    scratch: Scratch<'a>,
}

/// Buffers that are used again for every row.
#[derive(Default)]
struct Scratch<'a> {
    dependencies: Vec<ChangeHash>,
    references: Vec<Dependency>,
    other_actors: Vec<&'a [u8]>,
    values: Vec<SlotValue<'a>>,
    columns: Vec<Column<'a>>,
    column_data: Vec<u8>,
    body: Vec<u8>,
}

/// What the batch names once.
#[derive(Default)]
struct Tables<'a> {
    entities: BTreeMap<(EntityId, usize), usize>,
    last_entity: Option<EntityId>,
    last_collection: Option<usize>,
    collections: BTreeMap<&'a Collection, usize>,
    collection_names: Vec<u8>,
    actors: BTreeMap<&'a [u8], usize>,
    rows: BTreeMap<(usize, ChangeHash), usize>,
    outside: BTreeMap<ChangeHash, usize>,
    last_position: u64,
    last_entity_outside: Option<u64>,
    entity_ids: Vec<u8>,
    actor_ids: Vec<u8>,
    outside_hashes: Vec<u8>,
}

impl<'a> BatchEncoder<'a> {
    fn push(&mut self, chunk: &BatchChunk<'a>, known_at: &mut KnownAt<'_>) {
        self.chunks += 1;
        let parts = match chunk.kind {
            ChunkKind::Change => Parts::read(chunk.bytes, &Limits::DEFAULT).ok(),
            _ => None,
        };
        let row = parts.and_then(|parts| Some((self.shape_of(&parts)?, parts)));
        let dependencies = row.iter().flat_map(|(_, parts)| parts.dependencies()).collect();
        let entity = self.name_entity(chunk.entity, chunk.collection, dependencies, known_at);
        let id = match row {
            Some((shape, parts)) => {
                let mut known_at = |hash| known_at(chunk.entity, hash);
                self.push_row(entity, &parts, shape, &mut known_at);
                parts.hash.0
            }
            None => {
                self.push_raw(chunk.kind, chunk.bytes);
                *blake3::hash(chunk.bytes).as_bytes()
            }
        };
        self.check.chunk(chunk.entity, chunk.collection, chunk.kind, &id);
    }

    fn number(&mut self, stream: Stream, number: u64) {
        if let Some(stream) = self.streams.get_mut(stream as usize) {
            stream.push(number);
        }
    }

    fn name_entity(
        &mut self,
        id: EntityId,
        collection: &'a Collection,
        dependencies: Vec<ChangeHash>,
        known_at: &mut KnownAt<'_>,
    ) -> usize {
        let tables = &mut self.tables;
        let next = tables.collections.len();
        let collection_index = *tables.collections.entry(collection).or_insert(next);
        if collection_index == next {
            write_unsigned(&mut tables.collection_names, collection.as_str().len() as u64);
            tables.collection_names.extend_from_slice(collection.as_str().as_bytes());
        }
        let next_entity = tables.entities.len();
        let entity = *tables.entities.entry((id, collection_index)).or_insert(next_entity);
        if entity == next_entity {
            let collection = code(collection_index, collection_index == next, tables.last_collection);
            tables.last_collection = Some(collection_index);
            self.model.add_entity();
            let prefix = self.name_new_entity(id, &dependencies, known_at);
            self.number(Stream::EntityPrefix, prefix);
            self.number(Stream::EntityCollection, collection);
        }
        self.number(Stream::Entity, entity_code(entity, self.last_entity));
        self.last_entity = Some(entity);
        entity
    }

    /// Names a new entity by the only change that the first of its changes here depends on, or by its id.
    fn name_new_entity(&mut self, id: EntityId, dependencies: &[ChangeHash], known_at: &mut KnownAt<'_>) -> u64 {
        let last = self.tables.last_entity.replace(id).unwrap_or(EntityId::from_bytes([0; 16]));
        if let [hash] = dependencies
            && !self.tables.outside.contains_key(hash)
            && let Some(position) = known_at(id, *hash)
        {
            let index = self.add_outside(*hash, Some(position)) as u64;
            let mut last = self.tables.last_entity_outside.replace(index).unwrap_or(u64::MAX);
            return PREFIX_OUTSIDE + step(index, &mut last);
        }
        let shared = id.as_bytes().iter().zip(last.as_bytes()).take_while(|(id, last)| id == last).count();
        self.tables.entity_ids.extend(id.as_bytes().iter().skip(shared));
        shared as u64
    }

    /// Adds a change that is not in the batch; it stands as its hash unless the reader knows its position in the log.
    fn add_outside(&mut self, hash: ChangeHash, position: Option<Sequence>) -> usize {
        let index = self.tables.outside.len();
        self.tables.outside.insert(hash, index);
        self.model.add_outside();
        let code = match position {
            Some(position) => 1 + step(position.get(), &mut self.tables.last_position),
            None => {
                self.tables.outside_hashes.extend_from_slice(&hash.0);
                0
            }
        };
        self.number(Stream::OutsidePosition, code);
        index
    }

    fn push_raw(&mut self, kind: ChunkKind, bytes: &[u8]) {
        self.push_form(Form::Raw, false);
        self.bytes.push(kind.number());
        write_unsigned(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn push_form(&mut self, form: Form, is_new: bool) {
        let code = match form {
            _ if self.last_form == Some(form) => FORM_LAST,
            Form::Shape(_) if self.last_form.is_none() => FORM_LAST,
            Form::Shape(_) if is_new => FORM_NEW_SHAPE,
            Form::Shape(index) => FORM_SHAPE + index as u64,
            Form::Verbatim => FORM_VERBATIM,
            Form::Raw => FORM_RAW,
        };
        self.last_form = Some(form);
        self.number(Stream::Form, code);
    }

    /// The shape of a change that can be a row, if it has one; `None` when its bytes would not be the same afterwards.
    fn shape_of(&mut self, parts: &Parts<'a>) -> Option<Option<FoundShape>> {
        let shape = if self.tokens.read(&parts.columns) { self.shapes.find(&self.tokens.key) } else { None };
        self.is_rebuilt(parts, shape.as_ref()).then_some(shape)
    }

    fn push_row(
        &mut self,
        entity: usize,
        parts: &Parts<'a>,
        shape: Option<FoundShape>,
        known_at: &mut dyn FnMut(ChangeHash) -> Option<Sequence>,
    ) {
        let actor = self.push_actor(entity, parts.actor);
        let position = self.model.position(entity, actor);
        self.number(Stream::Sequence, zigzag(parts.sequence.wrapping_sub(position.sequence + 1).cast_signed()));
        self.push_dependencies(entity, &position, known_at);
        let expected = self.model.start_op(entity, &self.scratch.references);
        self.number(Stream::StartOp, zigzag(parts.start_op.get().wrapping_sub(expected).cast_signed()));
        self.push_time(parts.time_ms);
        self.push_others(shape.as_ref());
        self.push_texts(parts);
        let context = RowContext::new(parts.start_op.get(), position.place);
        let (operations, edit) = self.push_columns(shape, context);
        let scratch = &self.scratch;
        self.model.record(&CodedRow {
            entity,
            actor,
            hash: parts.hash,
            sequence: parts.sequence,
            start_op: parts.start_op.get(),
            operations,
            time_ms: parts.time_ms,
            dependencies: &scratch.references,
            edit,
        });
        let row = self.model.rows(entity).saturating_sub(1);
        self.tables.rows.insert((entity, parts.hash), row);
    }

    /// Rebuilds the change as the decoder will, and answers whether the bytes are the same.
    fn is_rebuilt(&mut self, parts: &Parts<'a>, shape: Option<&FoundShape>) -> bool {
        let scratch = &mut self.scratch;
        scratch.dependencies.clear();
        scratch.dependencies.extend(parts.dependencies());
        scratch.other_actors.clear();
        scratch.other_actors.extend(parts.other_actors());
        scratch.columns.clear();
        scratch.columns.extend(parts.columns.iter());
        let shape = shape.and_then(|found| self.shapes.shape(found));
        let body = Body {
            dependencies: &scratch.dependencies,
            actor: parts.actor,
            sequence: parts.sequence,
            start_op: parts.start_op.get(),
            time_ms: parts.time_ms,
            message: parts.message,
            others: &scratch.other_actors,
            columns: match shape {
                Some(shape) => Columns::Shaped(shape, &self.tokens.values, self.tokens.raw_values),
                None => Columns::Verbatim(&scratch.columns),
            },
            extra: parts.extra,
        };
        body.write(&mut scratch.column_data, &mut scratch.body);
        scratch.body == parts.body
    }

    fn push_actor(&mut self, entity: usize, id: &'a [u8]) -> usize {
        let (actor, is_new) = self.name_actor(id);
        let code = code(actor, is_new, self.model.actor(entity));
        self.number(Stream::Actor, code);
        actor
    }

    fn name_actor(&mut self, id: &'a [u8]) -> (usize, bool) {
        let next = self.tables.actors.len();
        let actor = *self.tables.actors.entry(id).or_insert(next);
        if actor == next {
            self.tables.actor_ids.extend_from_slice(id);
            self.number(Stream::ActorLength, zigzag(id.len() as i64 - ACTOR_BYTES));
        }
        (actor, actor == next)
    }

    fn push_dependencies(
        &mut self,
        entity: usize,
        position: &Position,
        known_at: &mut dyn FnMut(ChangeHash) -> Option<Sequence>,
    ) {
        let hashes = std::mem::take(&mut self.scratch.dependencies);
        let mut references = std::mem::take(&mut self.scratch.references);
        references.clear();
        let predicted = self.model.dependency(entity, position);
        let is_predicted = match (&hashes[..], predicted) {
            ([], None) => true,
            ([hash], Some(row)) => self.model.hash(entity, row) == Some(*hash),
            _ => false,
        };
        if is_predicted {
            references.extend(predicted.map(Dependency::Row));
            self.number(Stream::Dependencies, 0);
        } else {
            self.number(Stream::Dependencies, 1 + hashes.len() as u64);
            for hash in &hashes {
                references.push(self.push_dependency(entity, *hash, known_at));
            }
        }
        self.scratch.dependencies = hashes;
        self.scratch.references = references;
    }

    fn push_dependency(
        &mut self,
        entity: usize,
        hash: ChangeHash,
        known_at: &mut dyn FnMut(ChangeHash) -> Option<Sequence>,
    ) -> Dependency {
        if let Some(row) = self.tables.rows.get(&(entity, hash)).copied() {
            let back = self.model.rows(entity) - 1 - row;
            self.number(Stream::DependencyReference, 2 * back as u64);
            return Dependency::Row(row);
        }
        let index = match self.tables.outside.get(&hash) {
            Some(index) => *index,
            None => self.add_outside(hash, known_at(hash)),
        };
        self.number(Stream::DependencyReference, 2 * index as u64 + 1);
        Dependency::Outside(index)
    }

    fn push_time(&mut self, time_ms: i64) {
        let difference = self.model.time_difference(time_ms);
        self.time_low.push(difference.to_le_bytes()[0]);
        self.number(Stream::TimeHigh, difference >> 8);
    }

    /// Lists the other actors where they are not the ones that the columns name.
    fn push_others(&mut self, shape: Option<&FoundShape>) {
        let actors = std::mem::take(&mut self.scratch.other_actors);
        let follow = match shape.and_then(|found| self.shapes.shape(found)) {
            Some(shape) => are_all_named(shape, &self.tokens.values, actors.len()),
            None => actors.is_empty(),
        };
        self.number(Stream::Others, if follow { 0 } else { 1 + actors.len() as u64 });
        if !follow {
            for id in &actors {
                let (actor, is_new) = self.name_actor(id);
                self.number(Stream::OtherReference, code(actor, is_new, None));
            }
        }
        self.scratch.other_actors = actors;
    }

    /// The values of a row with the actors of the batch in the place of the indices that the change has.
    fn name_values(&mut self, shape: usize) {
        let mut values = std::mem::take(&mut self.scratch.values);
        values.clone_from(&self.tokens.values);
        let others = std::mem::take(&mut self.scratch.other_actors);
        let shape = self.shapes.shapes.get(shape).map(|out| &out.shape);
        let named: Vec<_> = shape.iter().flat_map(|shape| actor_values(shape, &values)).collect();
        for (slot, index) in named {
            let other = index.checked_sub(1).and_then(|place| others.get(usize::try_from(place).ok()?));
            if let (Some(id), Some(value)) = (other, values.get_mut(slot)) {
                *value = SlotValue::Number(1 + self.name_actor(id).0 as u64);
            }
        }
        self.scratch.other_actors = others;
        self.scratch.values = values;
    }

    fn push_texts(&mut self, parts: &Parts<'a>) {
        let text_code = |text: &'a [u8], last: &mut &'a [u8], bytes: &mut Vec<u8>| {
            if text == *last {
                return 0;
            }
            *last = text;
            bytes.extend_from_slice(text);
            1 + text.len() as u64
        };
        let message = text_code(parts.message, &mut self.last_message, &mut self.bytes);
        let extra = text_code(parts.extra, &mut self.last_extra, &mut self.bytes);
        self.number(Stream::Message, message);
        self.number(Stream::Extra, extra);
    }

    fn push_columns(&mut self, shape: Option<FoundShape>, context: RowContext) -> (u64, Option<Edit>) {
        let Some(found) = shape else {
            self.push_form(Form::Verbatim, false);
            write_verbatim(&self.scratch.columns, &mut self.bytes);
            return (1, None);
        };
        let (index, is_new) = match found {
            FoundShape::Known(index) => (index, false),
            FoundShape::New(shape) => (self.shapes.add(shape, &self.tokens.key), true),
        };
        self.push_form(Form::Shape(index), is_new);
        self.name_values(index);
        let values = &self.scratch.values;
        let Some(ShapeOut { shape, model, streams, .. }) = self.shapes.shapes.get_mut(index) else { return (1, None) };
        if is_new {
            model.start(shape, values, context, &mut self.shapes.definitions);
        }
        model.differences(shape, values, context, &mut self.bytes, |slot, difference| {
            if let Some(stream) = streams.get_mut(slot) {
                stream.push(difference);
            }
        });
        self.bytes.extend_from_slice(self.tokens.raw_values);
        (shape.operations, Some(shape.edit(values)))
    }

    fn finish(self, levels: &[i32]) -> Vec<u8> {
        let sections = self.sections();
        let plain: usize = sections.iter().map(Vec::len).sum();
        let ids = [&self.tables.entity_ids[..], &self.tables.actor_ids, &self.tables.outside_hashes];
        let mut batch = Vec::with_capacity(plain + ids.iter().map(|ids| ids.len()).sum::<usize>() + CHECK_BYTES + 8);
        let compressed = levels.iter().filter_map(|level| compress(&sections, plain, *level));
        match compressed.min_by_key(Vec::len) {
            Some(compressed) if compressed.len() < plain => {
                batch.push(CODEC_ZSTD);
                write_unsigned(&mut batch, plain as u64);
                write_unsigned(&mut batch, compressed.len() as u64);
                batch.extend_from_slice(&compressed);
            }
            _ => {
                batch.push(CODEC_PLAIN);
                write_unsigned(&mut batch, plain as u64);
                sections.iter().for_each(|section| batch.extend_from_slice(section));
            }
        }
        ids.iter().for_each(|ids| batch.extend_from_slice(ids));
        batch.extend_from_slice(&self.check.finish());
        batch
    }

    /// The section in parts that differ in what symbols are common in them.
    fn sections(&self) -> [Vec<u8>; 5] {
        let mut head = Vec::new();
        let tables = &self.tables;
        write_unsigned(&mut head, self.chunks);
        let mut mask = u64::from(self.time_low.iter().any(|low| *low != 0)) << TIME_LOW_BIT;
        for (bit, stream) in self.streams.iter().enumerate() {
            mask |= u64::from(stream.is_present()) << bit;
        }
        write_unsigned(&mut head, mask);
        let counts = [
            tables.collections.len(),
            tables.entities.len(),
            tables.actors.len(),
            tables.outside.len(),
            self.shapes.shapes.len(),
        ];
        counts.iter().for_each(|count| write_unsigned(&mut head, *count as u64));
        head.extend_from_slice(&tables.collection_names);
        head.extend_from_slice(&self.shapes.definitions);
        let (time_high, streams) = self.streams.split_last().expect("there is more than one stream");
        streams.iter().filter(|stream| stream.is_present()).for_each(|stream| stream.write(&mut head));
        let mut time = Vec::new();
        if time_high.is_present() {
            time_high.write(&mut time);
        }
        let low = if mask >> TIME_LOW_BIT == 0 { Vec::new() } else { self.time_low.clone() };
        let mut slots = Vec::new();
        self.shapes.shapes.iter().for_each(|shape| shape.write(&mut slots));
        [head, time, low, slots, self.bytes.clone()]
    }
}

/// The smallest section that is tried with zstd: below it nothing is gained.
const COMPRESS_BYTES_MIN: usize = 200;
/// The smallest section whose parts are tried with a table of symbols each: a table takes some tens of bytes.
const SEPARATE_BYTES_MIN: usize = 1_000;

/// Compresses the parts as one frame, in the way that makes it smaller.
fn compress(sections: &[Vec<u8>], plain: usize, level: i32) -> Option<Vec<u8>> {
    if plain < COMPRESS_BYTES_MIN {
        return None;
    }
    let parts: Vec<&[u8]> = sections.iter().map(Vec::as_slice).collect();
    let together = deflate_without_magic(&[&parts.concat()], level);
    let separate = if plain < SEPARATE_BYTES_MIN { None } else { deflate_without_magic(&parts, level) };
    [separate, together].into_iter().flatten().min_by_key(Vec::len)
}
