//! The one parser of Automerge's change format: borrowed parts, checked, and what puts them together again.

use super::ChangeHeader;
use super::columns::{ColumnList, Expanded};
use super::derived::{DERIVED_ACTOR_BYTES, derived_actor, is_derived};
use super::error::{ChangeError, ChangeField};
use super::leb::{Reader, unsigned_bytes, write_unsigned};
use crate::id::EntityId;
use crate::limits::{ACTOR_BYTES_MAX, CHANGE_ACTORS_MAX, Limits};
use automerge::ChangeHash;
use sha2::{Digest, Sha256};
use std::num::NonZeroU64;

/// The bytes that every chunk of Automerge's starts with.
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// The type of an uncompressed change.
const CHUNK_TYPE: u8 = 1;
/// How many bytes a hash has.
pub(crate) const HASH_BYTES: usize = 32;
/// The largest counter and sequence that Automerge 0.12 can hold.
const COUNTER_MAX: u64 = u32::MAX as u64;

/// A change taken apart: every part but the columns' meaning has been checked.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'a> {
    pub(crate) hash: ChangeHash,
    dependencies: &'a [u8],
    pub(crate) actor: &'a [u8],
    pub(crate) sequence: u64,
    pub(crate) start_op: NonZeroU64,
    pub(crate) time_ms: i64,
    pub(crate) message: &'a [u8],
    other_actors: &'a [u8],
    pub(crate) other_actors_count: usize,
    pub(crate) columns: ColumnList<'a>,
    pub(crate) extra: &'a [u8],
    pub(crate) operations: u64,
    pub(crate) predecessors: u64,
    pub(crate) text_bytes: u64,
    pub(crate) body: &'a [u8],
    /// What of the body stands before the length of the actor, and after the actor.
    around_actor: (&'a [u8], &'a [u8]),
}

impl<'a> Parts<'a> {
    /// Takes a whole chunk apart; nothing may follow it.
    pub(crate) fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, ChangeError> {
        if bytes.len() > limits.change_bytes_max {
            return Err(ChangeError::TooLarge { found: bytes.len(), maximum: limits.change_bytes_max });
        }
        let mut reader = Reader::new(bytes, 0);
        let magic = field(&mut reader, ChangeField::Magic, Reader::array)?;
        if magic != MAGIC {
            return Err(ChangeError::WrongMagic);
        }
        let found: [u8; 4] = field(&mut reader, ChangeField::Checksum, Reader::array)?;
        let chunk_type = field(&mut reader, ChangeField::ChunkType, Reader::byte)?;
        if chunk_type != CHUNK_TYPE {
            return Err(ChangeError::WrongChunkType { found: chunk_type });
        }
        let length = field(&mut reader, ChangeField::Length, |reader| reader.count(1))?;
        let offset = reader.offset();
        let body = field(&mut reader, ChangeField::Length, |reader| reader.take(length))?;
        if reader.remaining() > 0 {
            return Err(ChangeError::Trailing { offset: reader.offset(), found: reader.remaining() });
        }
        let hash = hash_of(body);
        let [a, b, c, d, ..] = hash.0;
        if found != [a, b, c, d] {
            return Err(ChangeError::WrongChecksum { needed: [a, b, c, d], found });
        }
        Self::read_body(body, offset, hash, limits)
    }

    /// Takes a body apart whose hash is known and which starts at `offset` in its chunk.
    pub(crate) fn read_body(
        body: &'a [u8],
        offset: usize,
        hash: ChangeHash,
        limits: &Limits,
    ) -> Result<Self, ChangeError> {
        let reader = &mut Reader::new(body, offset);
        let dependencies = read_dependencies(reader, limits.change_dependencies_max)?;
        let before_actor = reader.offset() - offset;
        let actor = read_actor(reader, ChangeField::Actor)?;
        let after_actor = reader.offset() - offset;
        let around_actor = (body.get(..before_actor).unwrap_or_default(), body.get(after_actor..).unwrap_or_default());
        let sequence = in_range(reader, ChangeField::Sequence)?;
        let start_offset = reader.offset();
        let start_op = in_range(reader, ChangeField::StartOp)?;
        let time_ms = field(reader, ChangeField::Time, Reader::signed)?;
        let message = field(reader, ChangeField::Message, |reader| {
            let length = reader.unsigned()?;
            reader.take(length)
        })?;
        if std::str::from_utf8(message).is_err() {
            return Err(ChangeError::MessageNotUtf8 { offset: reader.offset() - message.len() });
        }
        let (other_actors, other_actors_count) = read_other_actors(reader, actor)?;
        let columns = ColumnList::read(reader)?;
        let Expanded { operations, predecessors, text_bytes } =
            columns.check(1 + other_actors_count as u64, limits.change_operations_max)?;
        let maximum = COUNTER_MAX.saturating_sub(operations);
        if start_op.get() > maximum {
            return Err(ChangeError::OutOfRange {
                field: ChangeField::StartOp,
                offset: start_offset,
                found: start_op.get(),
                minimum: 1,
                maximum,
            });
        }
        let extra = reader.rest();
        Ok(Self {
            hash,
            dependencies,
            actor,
            sequence: sequence.get(),
            start_op,
            time_ms,
            message,
            other_actors,
            other_actors_count,
            columns,
            extra,
            operations,
            predecessors,
            text_bytes,
            body,
            around_actor,
        })
    }

    /// The header, once it is known that the actor may stand in this entity.
    pub(crate) fn header_in(&self, entity: EntityId, bytes_len: usize) -> Result<ChangeHeader, ChangeError> {
        if is_derived(self.actor) && (self.sequence != 1 || self.derived_actor(entity) != self.actor) {
            return Err(ChangeError::WrongDerivedActor);
        }
        Ok(ChangeHeader::of(self, bytes_len))
    }

    /// The actor that this change has when it is a derived one.
    pub(crate) fn derived_actor(&self, entity: EntityId) -> [u8; DERIVED_ACTOR_BYTES] {
        derived_actor(entity, self.around_actor.0, self.around_actor.1)
    }

    /// The whole chunk of this change under another actor, which is none of those that it names.
    pub(crate) fn under(&self, actor: &[u8]) -> Vec<u8> {
        let (before, after) = self.around_actor;
        let mut body = Vec::with_capacity(self.body.len() + actor.len());
        body.extend_from_slice(before);
        write_unsigned(&mut body, actor.len() as u64);
        body.extend_from_slice(actor);
        body.extend_from_slice(after);
        frame_body(&body, hash_of(&body))
    }

    /// The hashes of the changes that this one follows, sorted.
    pub(crate) fn dependencies(&self) -> impl ExactSizeIterator<Item = ChangeHash> + '_ {
        self.dependencies.as_chunks::<HASH_BYTES>().0.iter().map(|hash| ChangeHash(*hash))
    }

    /// The other actors, sorted.
    pub(crate) fn other_actors(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        let mut reader = Reader::new(self.other_actors, 0);
        (0..self.other_actors_count).map_while(move |_| {
            let length = reader.unsigned().ok()?;
            reader.take(length).ok()
        })
    }
}

/// The hash of a change with this body: SHA-256 over type, length and body.
pub(crate) fn hash_of(body: &[u8]) -> ChangeHash {
    let mut head = Vec::with_capacity(1 + unsigned_bytes(body.len() as u64));
    head.push(CHUNK_TYPE);
    write_unsigned(&mut head, body.len() as u64);
    let mut hasher = Sha256::new();
    hasher.update(&head);
    hasher.update(body);
    ChangeHash(hasher.finalize().into())
}

/// The whole chunk around a body.
pub(crate) fn frame_body(body: &[u8], hash: ChangeHash) -> Vec<u8> {
    let length = body.len() as u64;
    let mut bytes = Vec::with_capacity(framed_bytes(body.len()));
    bytes.extend_from_slice(&MAGIC);
    bytes.extend(hash.0.iter().take(4));
    bytes.push(CHUNK_TYPE);
    write_unsigned(&mut bytes, length);
    bytes.extend_from_slice(body);
    bytes
}

/// How many bytes a chunk has whose body has so many.
pub(crate) const fn framed_bytes(body: usize) -> usize {
    MAGIC.len() + 4 + 1 + unsigned_bytes(body as u64) + body
}

fn field<'a, T>(
    reader: &mut Reader<'a>,
    field: ChangeField,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, super::leb::ReadFault>,
) -> Result<T, ChangeError> {
    let offset = reader.offset();
    read(reader).map_err(|fault| ChangeError::reading(field, offset, fault))
}

fn in_range(reader: &mut Reader<'_>, name: ChangeField) -> Result<NonZeroU64, ChangeError> {
    let offset = reader.offset();
    let found = field(reader, name, Reader::unsigned)?;
    NonZeroU64::new(found).filter(|number| number.get() <= COUNTER_MAX).ok_or(ChangeError::OutOfRange {
        field: name,
        offset,
        found,
        minimum: 1,
        maximum: COUNTER_MAX,
    })
}

fn read_dependencies<'a>(reader: &mut Reader<'a>, maximum: usize) -> Result<&'a [u8], ChangeError> {
    let name = ChangeField::Dependencies;
    let offset = reader.offset();
    let count = field(reader, name, |reader| reader.count(HASH_BYTES as u64))?;
    if count > maximum as u64 {
        return Err(ChangeError::TooMany { field: name, offset, found: count, maximum: maximum as u64 });
    }
    let dependencies = field(reader, name, |reader| reader.take(count * HASH_BYTES as u64))?;
    if !dependencies.as_chunks::<HASH_BYTES>().0.is_sorted_by(|before, after| before < after) {
        return Err(ChangeError::NotSorted { field: name, offset });
    }
    Ok(dependencies)
}

fn read_actor<'a>(reader: &mut Reader<'a>, name: ChangeField) -> Result<&'a [u8], ChangeError> {
    let offset = reader.offset();
    let length = field(reader, name, Reader::unsigned)?;
    if length == 0 || length > ACTOR_BYTES_MAX as u64 {
        let maximum = ACTOR_BYTES_MAX as u64;
        return Err(ChangeError::OutOfRange { field: name, offset, found: length, minimum: 1, maximum });
    }
    field(reader, name, |reader| reader.take(length))
}

fn read_other_actors<'a>(reader: &mut Reader<'a>, author: &[u8]) -> Result<(&'a [u8], usize), ChangeError> {
    let name = ChangeField::OtherActors;
    let offset = reader.offset();
    let length_and_actor_bytes = 2;
    let found = field(reader, name, |reader| reader.count(length_and_actor_bytes))?;
    let maximum = CHANGE_ACTORS_MAX as u64;
    let count = usize::try_from(found).ok().filter(|count| *count <= CHANGE_ACTORS_MAX);
    let count = count.ok_or(ChangeError::TooMany { field: name, offset, found, maximum })?;
    let start = reader.clone();
    let mut previous: Option<&[u8]> = None;
    for _ in 0..count {
        let offset = reader.offset();
        let actor = read_actor(reader, name)?;
        if actor == author || previous.is_some_and(|previous| previous >= actor) {
            return Err(ChangeError::NotSorted { field: name, offset });
        }
        previous = Some(actor);
    }
    let length = reader.offset() - start.offset();
    let actors = field(&mut start.clone(), name, |reader| reader.take(length as u64))?;
    Ok((actors, count))
}
