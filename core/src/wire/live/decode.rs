//! Reads rows over a state.

use super::columns_in::rebuild;
use super::state::{Coded, LiveState};
use super::tables::Serial;
use super::{ENTITY_OF_POSITION, LIVE_OTHERS_MAX, NEW, control, rare};
use crate::change::leb::{Reader, unzigzag};
use crate::change::{ChangeError, ChangeHeader, HASH_BYTES, Parts, frame_body, framed_bytes, hash_of};
use crate::id::{COLLECTION_BYTES_MAX, EntityId};
use crate::limits::{ACTOR_BYTES_MAX, CHANGE_DEPENDENCIES_MAX, Limits};
use crate::log::{ChunkKind, Sequence};
use crate::wire::batch::{BATCH_OUTPUT_BYTES_MAX, BatchChunk, BatchError, BatchField, ChunkBudget, DecodedChunk};
use crate::wire::row::read::{bytes, capped, number};
use automerge::ChangeHash;
use std::sync::Arc;

/// The items of a live message that have not been read yet.
#[derive(Debug, Clone)]
pub struct LiveItems<'b> {
    reader: Reader<'b>,
}

impl<'b> LiveItems<'b> {
    /// The items that these bytes are.
    pub fn new(items: &'b [u8]) -> Self {
        Self { reader: Reader::new(items, 0) }
    }
}

/// One item of a live message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveItem {
    /// Chunks that the reader pushed itself in this session: it observes them. They are the next `count` ones that no
    /// item has named, after `skip` ones that the log did not take.
    Own {
        /// How many are left out.
        skip: u64,
        /// How many are named.
        count: u64,
    },
    /// A chunk, which the state has observed.
    Chunk(DecodedChunk),
}

/// What finds the change at a position of the log.
type Resolve<'r> = dyn FnMut(Sequence) -> Option<(EntityId, ChangeHash)> + 'r;

/// What stands in a row before its columns.
pub(super) struct RowHead {
    pub(super) entity: Serial,
    pub(super) id: EntityId,
    pub(super) author: Arc<[u8]>,
    pub(super) actor: Serial,
    pub(super) dependencies: Vec<ChangeHash>,
    pub(super) sequence: u64,
    pub(super) start_op: u64,
    pub(super) time_ms: i64,
    pub(super) others: Option<Vec<Arc<[u8]>>>,
    pub(super) message: Vec<u8>,
    pub(super) extra: Vec<u8>,
    pub(super) control: u8,
}

impl LiveState {
    /// Decodes the next item, and observes the chunk that it is; `None` at the end.
    ///
    /// `resolve` finds the entity and the hash of the change at a position of the log. After an error the two ends no
    /// longer hold the same state: the connection has to be closed.
    ///
    /// # Errors
    ///
    /// What is wrong with the item, and where; or it takes more than the budget has left.
    pub fn decode(
        &mut self,
        items: &mut LiveItems<'_>,
        limits: &Limits,
        budget: &mut ChunkBudget,
        mut resolve: impl FnMut(Sequence) -> Option<(EntityId, ChangeHash)>,
    ) -> Result<Option<LiveItem>, BatchError> {
        let reader = &mut items.reader;
        if reader.remaining() == 0 {
            return Ok(None);
        }
        let offset = reader.offset();
        let control = byte(reader)?;
        let bad = BatchError::BadNumber { field: BatchField::Control, offset };
        if control & control::OTHER == 0 {
            budget.take_chunks(1)?;
            return self.decode_row(reader, control, limits, budget, &mut resolve).map(LiveItem::Chunk).map(Some);
        }
        if control & !(control::OTHER | control::OWN | control::FIELDS) != 0 {
            return Err(bad);
        }
        if control & control::OWN == 0 {
            budget.take_chunks(1)?;
            return self.decode_raw(reader, control, limits, budget, &mut resolve).map(LiveItem::Chunk).map(Some);
        }
        let (count, skip) = match control & control::FIELDS {
            0 => (1, 0),
            _ => (number(reader, BatchField::Control)?, number(reader, BatchField::Control)?),
        };
        budget.take_chunks(count)?;
        if count == 0 { Err(bad) } else { Ok(Some(LiveItem::Own { skip, count })) }
    }

    fn decode_raw(
        &mut self,
        reader: &mut Reader<'_>,
        control: u8,
        limits: &Limits,
        budget: &mut ChunkBudget,
        resolve: &mut Resolve<'_>,
    ) -> Result<DecodedChunk, BatchError> {
        if control & control::FIELDS != 0 {
            self.read_entity(reader, resolve)?;
        }
        let found = byte(reader)?;
        let kind = ChunkKind::from_number(found).ok_or(BatchError::UnknownKind { found: found.into() })?;
        let length = number(reader, BatchField::Bytes)?;
        let chunk = bytes(reader, length, BatchField::Bytes)?;
        budget.take_bytes(chunk.len())?;
        let (_, entity, collection) = self.last_entity()?;
        if self.take_apart(&BatchChunk { entity, collection: &collection, kind, bytes: chunk }).is_some() {
            return Err(bad_reference(BatchField::Control, control.into(), 0));
        }
        let header = match kind {
            ChunkKind::Change => ChangeHeader::read_in(entity, chunk, limits),
            kind => Err(ChangeError::NotAChange { kind }),
        };
        Ok(DecodedChunk { entity, collection, kind, bytes: chunk.to_vec(), header })
    }

    fn decode_row(
        &mut self,
        reader: &mut Reader<'_>,
        control: u8,
        limits: &Limits,
        budget: &mut ChunkBudget,
        resolve: &mut Resolve<'_>,
    ) -> Result<DecodedChunk, BatchError> {
        let head = self.read_head(reader, control, budget, resolve)?;
        let columns = self.read_columns(reader, &head)?;
        let body = rebuild(&head, &columns, budget)?;
        budget.take_bytes(framed_bytes(body.len()))?;
        let hash = hash_of(&body);
        let bytes = frame_body(&body, hash);
        let offset = bytes.len() - body.len();
        let parts = Parts::read_body(&body, offset, hash, &Limits::DEFAULT).map_err(BatchError::BadRow)?;
        let (found, maximum) = (bytes.len(), Limits::DEFAULT.change_bytes_max);
        if found > maximum {
            return Err(BatchError::BadRow(ChangeError::TooLarge { found, maximum }));
        }
        self.check_form(&parts, &columns)?;
        self.record(&Coded {
            entity: head.entity,
            actor: head.actor,
            hash,
            sequence: head.sequence,
            max_op: head.start_op.wrapping_add(parts.operations).wrapping_sub(1),
            time_ms: head.time_ms,
            message: &head.message,
            extra: &head.extra,
            shaped: columns.shape.as_ref().map(|(serial, _)| (*serial, columns.edit)),
        });
        let header = if *limits == Limits::DEFAULT {
            parts.header_in(head.id, found)
        } else if found > limits.change_bytes_max {
            Err(ChangeError::TooLarge { found, maximum: limits.change_bytes_max })
        } else {
            Parts::read_body(&body, offset, hash, limits).and_then(|parts| parts.header_in(head.id, found))
        };
        let (_, entity, collection) = self.last_entity()?;
        Ok(DecodedChunk { entity, collection, kind: ChunkKind::Change, bytes, header })
    }

    fn read_head(
        &mut self,
        reader: &mut Reader<'_>,
        control: u8,
        budget: &ChunkBudget,
        resolve: &mut Resolve<'_>,
    ) -> Result<RowHead, BatchError> {
        let offset = reader.offset();
        let rare = if control & control::RARE == 0 { 0 } else { byte(reader)? };
        if rare & !rare::ALL != 0 {
            return Err(BatchError::BadNumber { field: BatchField::Control, offset });
        }
        let given = if control & control::ENTITY == 0 { None } else { self.read_entity(reader, resolve)? };
        let (entity, id, _) = self.last_entity()?;
        let author = if control & control::ACTOR == 0 {
            self.expected_actor(entity).map(Arc::clone).ok_or_else(|| bad_reference(BatchField::Ids, 0, 0))?
        } else {
            let code = number(reader, BatchField::Ids)?;
            self.read_actor(reader, code)?
        };
        let actor = self.use_actor(&author);
        let expected = given.map(|hash| (hash, 0)).or_else(|| self.expected_dependency(entity, actor));
        let (dependencies, highest) = if control & control::DEPENDENCIES == 0 {
            (expected.iter().map(|(hash, _)| *hash).collect(), expected.map_or(0, |(_, max_op)| max_op))
        } else {
            self.read_dependencies(reader, (entity, id), expected, resolve)?
        };
        let flagged = |flag: u8, reader: &mut Reader<'_>| -> Result<u64, BatchError> {
            if rare & flag == 0 { Ok(0) } else { number(reader, BatchField::Control) }
        };
        let sequence = self.head(entity, actor).map_or(0, |head| head.sequence).wrapping_add(1);
        let sequence = add(sequence, flagged(rare::SEQUENCE, reader)?);
        let start_op = add(highest.wrapping_add(1), flagged(rare::START_OP, reader)?);
        let low = u64::from(control & control::TIME_LOW != 0);
        let distance = (number(reader, BatchField::Control)? << 1 | low).cast_signed();
        let distance = if rare & rare::TIME_EARLIER == 0 { distance } else { distance.wrapping_neg() };
        let time_ms = self.expected_time_ms(actor).wrapping_add(distance);
        let others = if rare & rare::OTHERS == 0 { None } else { Some(self.read_others(reader)?) };
        let mut text = |flag: u8, last: &[u8]| -> Result<Vec<u8>, BatchError> {
            if rare & flag == 0 {
                return Ok(last.to_vec());
            }
            let length = number(reader, BatchField::Bytes)?;
            if length > budget.bytes_left() as u64 {
                return Err(BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX });
            }
            bytes(reader, length, BatchField::Bytes).map(<[u8]>::to_vec)
        };
        let message = text(rare::MESSAGE, &self.message)?;
        let extra = text(rare::EXTRA, &self.extra)?;
        Ok(RowHead {
            entity,
            id,
            author,
            actor,
            dependencies,
            sequence,
            start_op,
            time_ms,
            others,
            message,
            extra,
            control,
        })
    }

    /// The entity of the row.
    fn last_entity(&self) -> Result<(Serial, EntityId, crate::id::Collection), BatchError> {
        let entity = self.entities.get(0).ok_or_else(|| bad_reference(BatchField::Ids, 0, 0))?;
        Ok((entity.serial, entity.id, (*entity.collection).clone()))
    }

    /// Reads which entity the row is of; the change at a position of the log is given where that names it.
    fn read_entity(
        &mut self,
        reader: &mut Reader<'_>,
        resolve: &mut Resolve<'_>,
    ) -> Result<Option<ChangeHash>, BatchError> {
        let code = number(reader, BatchField::Ids)?;
        let (id, given) = match code {
            NEW => {
                let offset = reader.offset();
                let id = reader.array().map_err(|fault| BatchError::reading(BatchField::Ids, offset, fault))?;
                (EntityId::from_bytes(id), None)
            }
            ENTITY_OF_POSITION => {
                let step = number(reader, BatchField::Ids)?;
                let (id, hash) = self.resolve(step, resolve)?;
                (id, Some(hash))
            }
            _ => {
                let rank = usize::try_from(code - ENTITY_OF_POSITION).ok();
                let known = rank.filter(|rank| *rank < self.entities.len());
                let rank = known.ok_or_else(|| bad_reference(BatchField::Ids, code, self.entities.len()))?;
                self.entities.use_again(rank);
                return Ok(None);
            }
        };
        let code = number(reader, BatchField::Collections)?;
        let collection = match code.checked_sub(1) {
            Some(rank) => {
                let known = usize::try_from(rank).ok().and_then(|rank| {
                    self.collections.get(rank)?;
                    self.collections.use_again(rank).map(|known| Arc::clone(known))
                });
                known.ok_or_else(|| bad_reference(BatchField::Collections, code, self.collections.len()))?
            }
            None => {
                let length = capped(reader, BatchField::Collections, COLLECTION_BYTES_MAX as u64)?;
                let name = bytes(reader, length as u64, BatchField::Collections)?;
                let name = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
                let collection = Arc::new(name.ok_or(BatchError::BadCollection)?);
                if self.collections.find(|known| *known == collection).is_some() {
                    return Err(bad_reference(BatchField::Collections, code, self.collections.len()));
                }
                self.collections.insert(Arc::clone(&collection));
                collection
            }
        };
        if self.entities.find(|known| known.id == id && known.collection == collection).is_some() {
            return Err(bad_reference(BatchField::Ids, code, self.entities.len()));
        }
        self.add_entity(id, collection);
        Ok(given)
    }

    fn resolve(&mut self, step: u64, resolve: &mut Resolve<'_>) -> Result<(EntityId, ChangeHash), BatchError> {
        let sequence = self.last_position.wrapping_add(unzigzag(step).cast_unsigned());
        self.last_position = sequence;
        resolve(Sequence::new(sequence)).ok_or(BatchError::UnknownPosition { sequence })
    }

    /// Reads an actor whose code has been read; it is not used yet.
    pub(super) fn read_actor(&self, reader: &mut Reader<'_>, code: u64) -> Result<Arc<[u8]>, BatchError> {
        let unknown = || bad_reference(BatchField::Ids, code, self.actors.len());
        if let Some(rank) = code.checked_sub(1) {
            let actor = usize::try_from(rank).ok().and_then(|rank| self.actors.get(rank));
            return actor.map(|actor| Arc::clone(&actor.id)).ok_or_else(unknown);
        }
        let length = capped(reader, BatchField::Ids, ACTOR_BYTES_MAX as u64)?;
        let id = bytes(reader, length as u64, BatchField::Ids)?;
        if id.is_empty() || self.actors.find(|actor| *actor.id == *id).is_some() {
            Err(unknown())
        } else {
            Ok(id.into())
        }
    }

    fn read_dependencies(
        &mut self,
        reader: &mut Reader<'_>,
        (entity, id): (Serial, EntityId),
        expected: Option<(ChangeHash, u64)>,
        resolve: &mut Resolve<'_>,
    ) -> Result<(Vec<ChangeHash>, u64), BatchError> {
        let field = BatchField::Ids;
        let code = capped(reader, field, 2 * CHANGE_DEPENDENCIES_MAX as u64 + 1)?;
        let mut dependencies = Vec::new();
        let mut highest = 0;
        if code & 1 != 0 {
            let (hash, max_op) = expected.ok_or_else(|| bad_reference(field, code as u64, 0))?;
            dependencies.push(hash);
            highest = max_op;
        }
        for _ in 0..code / 2 {
            let code = number(reader, field)?;
            dependencies.push(match code.checked_sub(1) {
                None => {
                    let offset = reader.offset();
                    let hash = reader.array::<HASH_BYTES>();
                    ChangeHash(hash.map_err(|fault| BatchError::reading(field, offset, fault))?)
                }
                Some(back) if back & 1 == 0 => {
                    let row = usize::try_from(back / 2).ok().and_then(|back| self.rows_of(entity).nth(back));
                    let row = row.ok_or_else(|| bad_reference(field, code, self.rows_of(entity).count()))?;
                    highest = highest.max(row.max_op);
                    row.hash
                }
                Some(step) => {
                    let (of, hash) = self.resolve(step / 2, resolve)?;
                    if of != id {
                        return Err(BatchError::UnknownPosition { sequence: self.last_position });
                    }
                    hash
                }
            });
        }
        dependencies.sort_unstable();
        Ok((dependencies, highest))
    }

    fn read_others(&mut self, reader: &mut Reader<'_>) -> Result<Vec<Arc<[u8]>>, BatchError> {
        let count = capped(reader, BatchField::Ids, LIVE_OTHERS_MAX as u64)?;
        let mut others = Vec::with_capacity(count);
        for _ in 0..count {
            let code = number(reader, BatchField::Ids)?;
            let actor = self.read_actor(reader, code)?;
            self.use_actor(&actor);
            others.push(actor);
        }
        Ok(others)
    }
}

fn byte(reader: &mut Reader<'_>) -> Result<u8, BatchError> {
    let offset = reader.offset();
    reader.byte().map_err(|fault| BatchError::reading(BatchField::Control, offset, fault))
}

pub(super) fn bad_reference(field: BatchField, found: u64, known: usize) -> BatchError {
    BatchError::BadReference { field, found, maximum: known as u64 }
}

pub(super) fn add(expected: u64, difference: u64) -> u64 {
    expected.wrapping_add(unzigzag(difference).cast_unsigned())
}
