//! Writes rows over a state.

use super::state::{Coded, LiveState};
use super::tables::Serial;
use super::{ENTITY_OF_POSITION, LIVE_OTHERS_MAX, LIVE_SHAPE_PARTS_MAX, NEW, VERBATIM, control, rare};
use crate::change::leb::{Reader, write_unsigned, zigzag};
use crate::change::{Column, Parts};
use crate::id::EntityId;
use crate::limits::Limits;
use crate::log::{ChunkKind, Sequence};
use crate::wire::batch::BatchChunk;
use crate::wire::row::actors::are_all_named;
use crate::wire::row::body::{Body, Columns, write_verbatim};
use crate::wire::row::place::RowContext;
use crate::wire::row::shape::{Shape, Tokens};
use automerge::ChangeHash;
use std::sync::Arc;

/// A row as it is being written.
#[derive(Default)]
pub(super) struct RowOut {
    pub(super) control: u8,
    rare: u8,
    pub(super) fields: Vec<u8>,
}

impl RowOut {
    pub(super) fn number(&mut self, number: u64) {
        write_unsigned(&mut self.fields, number);
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.fields.extend_from_slice(text);
    }

    fn finish(mut self) -> Vec<u8> {
        let mut row = Vec::with_capacity(2 + self.fields.len());
        if self.rare != 0 {
            self.control |= control::RARE;
            row.push(self.rare);
        }
        row.insert(0, self.control);
        row.append(&mut self.fields);
        row
    }
}

/// A change taken apart for a row.
pub(super) struct Change<'a> {
    parts: Parts<'a>,
    dependencies: Vec<ChangeHash>,
    pub(super) others: Vec<&'a [u8]>,
    columns: Vec<Column<'a>>,
    pub(super) tokens: Tokens<'a>,
    pub(super) shape: Found,
}

/// The shape of a change in a state.
pub(super) enum Found {
    Known(usize),
    New(Shape),
    None,
}

impl LiveState {
    /// Encodes a chunk as one item, and observes it.
    ///
    /// `known_at` gives the position in the log of a change of an entity, where the reader knows it too: what the stream
    /// has not observed is then named in a few bytes. It is asked for such dependencies alone.
    pub fn encode(
        &mut self,
        chunk: &BatchChunk<'_>,
        mut known_at: impl FnMut(EntityId, ChangeHash) -> Option<Sequence>,
    ) -> Vec<u8> {
        match self.take_apart(chunk) {
            Some(change) => self.encode_row(chunk, change, &mut known_at),
            None => self.encode_raw(chunk),
        }
    }

    /// Observes a chunk that came or went in another way.
    pub fn observe(&mut self, chunk: &BatchChunk<'_>) {
        self.encode(chunk, |_, _| None);
    }

    /// Takes a change apart that can be a row: `None` when it is none that the strict parser accepts, names too many
    /// actors, or would not be the same bytes afterwards.
    pub(super) fn take_apart<'a>(&self, chunk: &BatchChunk<'a>) -> Option<Change<'a>> {
        if chunk.kind != ChunkKind::Change {
            return None;
        }
        let parts = Parts::read(chunk.bytes, &Limits::DEFAULT).ok()?;
        if parts.other_actors_count > LIVE_OTHERS_MAX {
            return None;
        }
        let mut tokens = Tokens::default();
        let shape = if tokens.read(&parts.columns) { self.find_shape(&tokens.key) } else { Found::None };
        let change = Change {
            dependencies: parts.dependencies().collect(),
            others: parts.other_actors().collect(),
            columns: parts.columns.iter().copied().collect(),
            parts,
            tokens,
            shape,
        };
        self.is_rebuilt(&change).then_some(change)
    }

    pub(super) fn find_shape(&self, definition: &[u8]) -> Found {
        if let Some(rank) = self.shapes.find(|known| *known.definition == *definition) {
            return Found::Known(rank);
        }
        match Shape::read(&mut Reader::new(definition, 0)) {
            Ok(shape) if shape.parts() <= LIVE_SHAPE_PARTS_MAX => Found::New(shape),
            _ => Found::None,
        }
    }

    /// Rebuilds the change as the decoder will, and answers whether the bytes are the same.
    fn is_rebuilt(&self, change: &Change<'_>) -> bool {
        let parts = &change.parts;
        let shape = match &change.shape {
            Found::Known(rank) => self.shapes.get(*rank).map(|known| &*known.shape),
            Found::New(shape) => Some(shape),
            Found::None => None,
        };
        let body = Body {
            dependencies: &change.dependencies,
            actor: parts.actor,
            sequence: parts.sequence,
            start_op: parts.start_op.get(),
            time_ms: parts.time_ms,
            message: parts.message,
            others: &change.others,
            columns: match shape {
                Some(shape) => Columns::Shaped(shape, &change.tokens.values, change.tokens.raw_values),
                None => Columns::Verbatim(&change.columns),
            },
            extra: parts.extra,
        };
        let mut out = Vec::with_capacity(parts.body.len());
        body.write(&mut Vec::new(), &mut out);
        out == parts.body
    }

    fn encode_raw(&mut self, chunk: &BatchChunk<'_>) -> Vec<u8> {
        let mut row = RowOut { control: control::OTHER, ..RowOut::default() };
        if !self.is_last_entity(chunk) {
            row.control |= control::FIELDS;
            self.write_entity(chunk, None, &mut row);
        }
        row.fields.push(chunk.kind.number());
        row.text(chunk.bytes);
        row.finish()
    }

    fn encode_row(
        &mut self,
        chunk: &BatchChunk<'_>,
        change: Change<'_>,
        known_at: &mut dyn FnMut(EntityId, ChangeHash) -> Option<Sequence>,
    ) -> Vec<u8> {
        let mut row = RowOut::default();
        let parts = &change.parts;
        let mut expected = None;
        if !self.is_last_entity(chunk) {
            row.control |= control::ENTITY;
            let position = match &change.dependencies[..] {
                [hash] if self.rank_of_entity(chunk).is_none() => known_at(chunk.entity, *hash),
                _ => None,
            };
            self.write_entity(chunk, position, &mut row);
            expected = position.and_then(|_| Some((*change.dependencies.first()?, 0)));
        }
        let entity = self.entities.get(0).map_or(0, |entity| entity.serial);
        if self.expected_actor(entity).map(|id| &**id) != Some(parts.actor) {
            row.control |= control::ACTOR;
            self.write_actor(parts.actor, 0, &mut row);
        }
        let actor = self.use_actor_bytes(parts.actor);
        let expected = expected.or_else(|| self.expected_dependency(entity, actor));
        let highest = self.write_dependencies(entity, &change.dependencies, expected, &mut row, &mut |hash| {
            known_at(chunk.entity, hash)
        });
        let head = self.head(entity, actor);
        let place = head.map(|head| head.place).unwrap_or_default();
        let sequence = head.map_or(0, |head| head.sequence).wrapping_add(1);
        let start_op = parts.start_op.get();
        if parts.sequence != sequence {
            row.rare |= rare::SEQUENCE;
            row.number(zigzag(parts.sequence.wrapping_sub(sequence).cast_signed()));
        }
        if start_op != highest.wrapping_add(1) {
            row.rare |= rare::START_OP;
            row.number(zigzag(start_op.wrapping_sub(highest.wrapping_add(1)).cast_signed()));
        }
        write_time(parts.time_ms, self.expected_time_ms(actor), &mut row);
        let shape = self.use_shape(&change, entity, actor);
        self.write_others(&change, shape.as_ref().map(|(_, shape, _)| &**shape), &mut row);
        self.write_texts(parts, &mut row);
        let shaped = shape.map(|(serial, shape, code)| {
            let context = RowContext::new(start_op, place);
            (serial, self.write_columns(&change, &shape, code, context, &mut row))
        });
        if shaped.is_none() {
            row.control |= control::SHAPE;
            row.number(VERBATIM);
            write_verbatim(&change.columns, &mut row.fields);
        }
        self.record(&Coded {
            entity,
            actor,
            hash: parts.hash,
            sequence: parts.sequence,
            max_op: start_op.wrapping_add(parts.operations).wrapping_sub(1),
            time_ms: parts.time_ms,
            message: parts.message,
            extra: parts.extra,
            shaped,
        });
        row.finish()
    }

    fn rank_of_entity(&self, chunk: &BatchChunk<'_>) -> Option<usize> {
        self.entities.find(|entity| entity.id == chunk.entity && *entity.collection == *chunk.collection)
    }

    fn is_last_entity(&self, chunk: &BatchChunk<'_>) -> bool {
        self.entities.get(0).is_some_and(|entity| entity.id == chunk.entity && *entity.collection == *chunk.collection)
    }

    /// Names an entity that is not the last one: by its rank, by the position of a change of it, or by its id.
    fn write_entity(&mut self, chunk: &BatchChunk<'_>, position: Option<Sequence>, row: &mut RowOut) {
        if let Some(rank) = self.rank_of_entity(chunk) {
            row.number(ENTITY_OF_POSITION + rank as u64);
            self.entities.use_again(rank);
            return;
        }
        match position {
            Some(position) => {
                row.number(ENTITY_OF_POSITION);
                let step = self.step_to(position);
                row.number(step);
            }
            None => {
                row.number(NEW);
                row.fields.extend_from_slice(chunk.entity.as_bytes());
            }
        }
        let collection = match self.collections.find(|known| **known == *chunk.collection) {
            Some(rank) => {
                row.number(1 + rank as u64);
                self.collections.use_again(rank).map(|known| Arc::clone(known))
            }
            None => None,
        };
        let collection = collection.unwrap_or_else(|| {
            row.number(NEW);
            row.text(chunk.collection.as_str().as_bytes());
            let collection = Arc::new(chunk.collection.clone());
            self.collections.insert(Arc::clone(&collection));
            collection
        });
        self.add_entity(chunk.entity, collection);
    }

    /// How far a position is from the last one named.
    fn step_to(&mut self, position: Sequence) -> u64 {
        let step = zigzag(position.get().wrapping_sub(self.last_position).cast_signed());
        self.last_position = position.get();
        step
    }

    /// Names an actor by its rank or its id, and does not use it yet. `base` numbers stand before the code.
    pub(super) fn write_actor(&self, id: &[u8], base: u64, row: &mut RowOut) {
        match self.actors.find(|actor| *actor.id == *id) {
            Some(rank) => row.number(base + 1 + rank as u64),
            None => {
                row.number(base + NEW);
                row.text(id);
            }
        }
    }

    pub(super) fn use_actor_bytes(&mut self, id: &[u8]) -> Serial {
        let known = self.actors.iter().find(|actor| *actor.id == *id).map(|actor| Arc::clone(&actor.id));
        self.use_actor(&known.unwrap_or_else(|| id.into()))
    }

    /// Writes the dependencies where they are not the one expected, and gives their highest operation as far as known.
    fn write_dependencies(
        &mut self,
        entity: Serial,
        dependencies: &[ChangeHash],
        expected: Option<(ChangeHash, u64)>,
        row: &mut RowOut,
        known_at: &mut dyn FnMut(ChangeHash) -> Option<Sequence>,
    ) -> u64 {
        match (dependencies, expected) {
            ([], None) => return 0,
            ([hash], Some((expected, max_op))) if *hash == expected => return max_op,
            _ => {}
        }
        row.control |= control::DEPENDENCIES;
        let expected = expected.filter(|(expected, _)| dependencies.contains(expected));
        let listed = dependencies.len() - usize::from(expected.is_some());
        row.number(2 * listed as u64 + u64::from(expected.is_some()));
        let mut highest = expected.map_or(0, |(_, max_op)| max_op);
        for hash in dependencies.iter().filter(|hash| expected.is_none_or(|(expected, _)| expected != **hash)) {
            let known = self.rows_of(entity).enumerate().find(|(_, known)| known.hash == *hash);
            if let Some((back, known)) = known {
                highest = highest.max(known.max_op);
                row.number(1 + 2 * back as u64);
            } else if let Some(position) = known_at(*hash).filter(|position| position.get() <= u64::from(u32::MAX)) {
                let step = self.step_to(position);
                row.number(2 + 2 * step);
            } else {
                row.number(NEW);
                row.fields.extend_from_slice(&hash.0);
            }
        }
        highest
    }

    fn write_others(&mut self, change: &Change<'_>, shape: Option<&Shape>, row: &mut RowOut) {
        let follow = match shape {
            Some(shape) => are_all_named(shape, &change.tokens.values, change.others.len()),
            None => change.others.is_empty(),
        };
        if follow {
            return;
        }
        row.rare |= rare::OTHERS;
        row.number(change.others.len() as u64);
        for id in &change.others {
            self.write_actor(id, 0, row);
            self.use_actor_bytes(id);
        }
    }

    fn write_texts(&self, parts: &Parts<'_>, row: &mut RowOut) {
        if parts.message != self.message {
            row.rare |= rare::MESSAGE;
            row.text(parts.message);
        }
        if parts.extra != self.extra {
            row.rare |= rare::EXTRA;
            row.text(parts.extra);
        }
    }
}

/// How far a time is from the expected one: its lowest bit stands in the first byte.
fn write_time(time_ms: i64, expected: i64, row: &mut RowOut) {
    let difference = time_ms.wrapping_sub(expected);
    if difference < 0 {
        row.rare |= rare::TIME_EARLIER;
    }
    let distance = difference.unsigned_abs();
    if distance & 1 != 0 {
        row.control |= control::TIME_LOW;
    }
    row.number(distance >> 1);
}
