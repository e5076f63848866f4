//! What a stream has observed, and what it predicts from that.

use super::tables::{Actor, Entity, Head, KnownShape, Recent, Row, Serial, Text};
use super::{
    LIVE_ACTORS_MAX, LIVE_COLLECTIONS_MAX, LIVE_ENTITIES_MAX, LIVE_HEADS_MAX, LIVE_PARTS_MAX, LIVE_ROWS_MAX,
    LIVE_SHAPES_MAX, LIVE_TEXT_BYTES_MAX, LIVE_TEXTS_MAX,
};
use crate::id::{Collection, EntityId};
use crate::wire::row::place::{AUTHOR, Edit, Place};
use crate::wire::row::shape::Shape;
use automerge::ChangeHash;
use std::sync::Arc;

/// What both ends of a stream remember of the chunks they have observed.
///
/// It depends on those chunks and their order alone, whatever form they came in. Its memory is bounded by the limits of
/// this module, below 60 KiB.
#[derive(Debug)]
pub struct LiveState {
    pub(super) entities: Recent<Entity>,
    pub(super) collections: Recent<Arc<Collection>>,
    pub(super) actors: Recent<Actor>,
    pub(super) heads: Recent<Head>,
    pub(super) rows: Recent<Row>,
    pub(super) shapes: Recent<KnownShape>,
    pub(super) texts: Recent<Text>,
    pub(super) message: Vec<u8>,
    pub(super) extra: Vec<u8>,
    pub(super) last_position: u64,
    last_actor: Serial,
    last_time_ms: i64,
    last_serial: Serial,
}

impl Default for LiveState {
    fn default() -> Self {
        Self::new()
    }
}

/// A row that has been coded.
pub(super) struct Coded<'r> {
    pub(super) entity: Serial,
    pub(super) actor: Serial,
    pub(super) hash: ChangeHash,
    pub(super) sequence: u64,
    pub(super) max_op: u64,
    pub(super) time_ms: i64,
    pub(super) message: &'r [u8],
    pub(super) extra: &'r [u8],
    /// The shape and what it says about the next edit.
    pub(super) shaped: Option<(Serial, Edit)>,
}

impl LiveState {
    /// The state of a stream that has observed nothing.
    pub fn new() -> Self {
        Self {
            entities: Recent::new(LIVE_ENTITIES_MAX),
            collections: Recent::new(LIVE_COLLECTIONS_MAX),
            actors: Recent::new(LIVE_ACTORS_MAX),
            heads: Recent::new(LIVE_HEADS_MAX),
            rows: Recent::new(LIVE_ROWS_MAX),
            shapes: Recent::new(LIVE_SHAPES_MAX),
            texts: Recent::new(LIVE_TEXTS_MAX),
            message: Vec::new(),
            extra: Vec::new(),
            last_position: 0,
            last_actor: AUTHOR,
            last_time_ms: 0,
            last_serial: 0,
        }
    }

    fn next_serial(&mut self) -> Serial {
        self.last_serial += 1;
        self.last_serial
    }

    /// Remembers an entity, as the one used last.
    pub(super) fn add_entity(&mut self, id: EntityId, collection: Arc<Collection>) {
        let serial = self.next_serial();
        self.entities.insert(Entity { serial, id, collection });
    }

    /// Names an actor, known or not, and makes it the one used last.
    pub(super) fn use_actor(&mut self, id: &Arc<[u8]>) -> Serial {
        match self.actors.find(|actor| actor.id == *id) {
            Some(rank) => self.actors.use_again(rank).map_or(AUTHOR, |actor| actor.serial),
            None => {
                let serial = self.next_serial();
                self.actors.insert(Actor { serial, id: Arc::clone(id), time_ms: None });
                serial
            }
        }
    }

    /// An actor that is still remembered.
    pub(super) fn actor(&self, serial: Serial) -> Option<&Arc<[u8]>> {
        self.actors.iter().find(|actor| actor.serial == serial).map(|actor| &actor.id)
    }

    /// Remembers a text, or makes it the one used last, where it is not empty and not too long. Gives what stands for it.
    pub(super) fn use_text(&mut self, bytes: &[u8]) -> Serial {
        if let Some(rank) = self.texts.find(|text| *text.bytes == *bytes) {
            return self.texts.use_again(rank).map_or(0, |text| text.serial);
        }
        if bytes.is_empty() || bytes.len() > LIVE_TEXT_BYTES_MAX {
            return 0;
        }
        let serial = self.next_serial();
        self.texts.insert(Text { serial, bytes: bytes.into() });
        serial
    }

    /// Remembers a shape; the ones not used for longest make room for its parts.
    pub(super) fn add_shape(&mut self, definition: &[u8], mut shape: Shape) -> Serial {
        shape.shrink_to_fit();
        let serial = self.next_serial();
        let last = vec![0; shape.slots.len()];
        self.shapes.insert(KnownShape { serial, definition: definition.into(), shape: Arc::new(shape), last });
        while self.shapes.iter().map(|known| known.shape.parts()).sum::<usize>() > LIVE_PARTS_MAX {
            self.shapes.drop_last();
        }
        serial
    }

    /// The rank of the shape that an actor is expected to use next in an entity.
    pub(super) fn expected_shape(&self, head: Option<&Head>) -> Option<usize> {
        let last = head.and_then(|head| self.shapes.find(|known| known.serial == head.shape));
        last.or_else(|| self.shapes.get(0).map(|_| 0))
    }

    /// Who is expected to write next in an entity.
    pub(super) fn expected_actor(&self, entity: Serial) -> Option<&Arc<[u8]>> {
        let last = self.heads.iter().find(|head| head.entity == entity).and_then(|head| self.actor(head.actor));
        last.or_else(|| self.actor(self.last_actor))
    }

    /// The last change of an actor in an entity.
    pub(super) fn head(&self, entity: Serial, actor: Serial) -> Option<&Head> {
        self.heads.iter().find(|head| head.entity == entity && head.actor == actor)
    }

    /// The change that the next one of an actor in an entity is expected to depend on, with its highest operation.
    pub(super) fn expected_dependency(&self, entity: Serial, actor: Serial) -> Option<(ChangeHash, u64)> {
        let own = self.head(entity, actor);
        let head = own.or_else(|| self.heads.iter().find(|head| head.entity == entity))?;
        Some((head.hash, head.max_op))
    }

    /// The changes of an entity that are remembered, newest first.
    pub(super) fn rows_of(&self, entity: Serial) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.entity == entity)
    }

    /// The time at which an actor's last change was made, or else the last change of all.
    pub(super) fn expected_time_ms(&self, actor: Serial) -> i64 {
        let known = self.actors.iter().find(|known| known.serial == actor);
        known.and_then(|known| known.time_ms).unwrap_or(self.last_time_ms)
    }

    /// Remembers a row.
    pub(super) fn record(&mut self, row: &Coded<'_>) {
        let Coded { entity, actor, hash, sequence, max_op, time_ms, .. } = *row;
        if self.heads.find(|head| head.entity == entity && head.actor == actor).is_none() {
            self.heads.insert(Head { entity, actor, hash, max_op, sequence, place: Place::default(), shape: 0 });
        }
        let rank = self.heads.find(|head| head.entity == entity && head.actor == actor).unwrap_or(0);
        if let Some(head) = self.heads.use_again(rank) {
            (head.hash, head.max_op, head.sequence) = (hash, max_op, sequence);
            if let Some((shape, edit)) = &row.shaped {
                head.shape = *shape;
                head.place.follow(edit, max_op);
            }
        }
        self.rows.insert(Row { entity, hash, max_op });
        let author = self.actors.find(|known| known.serial == actor);
        if let Some(author) = author.and_then(|rank| self.actors.get_mut(rank)) {
            author.time_ms = Some(time_ms);
        }
        (self.last_actor, self.last_time_ms) = (actor, time_ms);
        remember(&mut self.message, row.message);
        remember(&mut self.extra, row.extra);
    }
}

/// Keeps bytes to predict the next ones from: none when there are too many.
fn remember(kept: &mut Vec<u8>, bytes: &[u8]) {
    if *kept != bytes {
        kept.clear();
        if bytes.len() <= LIVE_TEXT_BYTES_MAX {
            kept.extend_from_slice(bytes);
        }
    }
}
