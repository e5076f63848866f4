//! The tables and streams of a batch's section, read and checked before any row.

use super::error::{BatchError, BatchField};
use super::model::{Seen, after_step};
use super::numbers::Numbers;
use super::shapes::ShapeIn;
use super::{
    ACTOR_BYTES, BATCH_SECTION_BYTES_MAX, CHECK_BYTES, CODEC_PLAIN, CODEC_ZSTD, ChunkBudget, FORM_LAST, FORM_NEW_SHAPE,
    FORM_RAW, FORM_SHAPE, FORM_VERBATIM, Form, PREFIX_OUTSIDE, STREAMS, Stream, TIME_LOW_BIT,
};
use crate::change::HASH_BYTES;
use crate::change::leb::{Reader, unzigzag};
use crate::id::{COLLECTION_BYTES_MAX, Collection, EntityId};
use crate::limits::ACTOR_BYTES_MAX;
use crate::log::Sequence;
use crate::wire::compress::{InflateError, check_stated, inflate, with_magic};
use crate::wire::row::read::{bytes, capped, number};
use crate::wire::row::shape::BATCH_SLOTS_MAX;
use automerge::ChangeHash;
use std::borrow::Cow;

/// A batch without its codec.
pub(super) struct Framed<'b> {
    pub(super) section: Cow<'b, [u8]>,
    pub(super) ids: Reader<'b>,
    pub(super) check: &'b [u8],
}

impl<'b> Framed<'b> {
    pub(super) fn read(batch: &'b [u8]) -> Result<Self, BatchError> {
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

/// A change that the batch does not hold and that one in it depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outside {
    pub(super) hash: ChangeHash,
    /// Its entity, where it was named by its position in the log.
    pub(super) entity: Option<EntityId>,
}

/// What finds the change at a position of the log.
pub(super) type Resolve<'r> = dyn FnMut(Sequence) -> Option<(EntityId, ChangeHash)> + 'r;

/// What the batch names once.
pub(super) struct Tables<'s> {
    pub(super) chunks: u64,
    pub(super) mask: u64,
    pub(super) collections: Vec<Collection>,
    pub(super) entities_count: usize,
    pub(super) entities: Vec<(EntityId, usize)>,
    pub(super) actors_count: usize,
    pub(super) actors: Vec<&'s [u8]>,
    pub(super) outside_count: usize,
    pub(super) outside: Vec<Outside>,
    pub(super) shapes: Vec<ShapeIn<'s>>,
    pub(super) ids: Reader<'s>,
}

impl<'s> Tables<'s> {
    pub(super) fn read(
        section: &mut Reader<'s>,
        ids: Reader<'s>,
        budget: &mut ChunkBudget,
    ) -> Result<Self, BatchError> {
        let chunks = number(section, BatchField::Count)?;
        budget.take_chunks(chunks)?;
        let mask = number(section, BatchField::Presence)?;
        if mask >> (TIME_LOW_BIT + 1) != 0 {
            let maximum = (1 << (TIME_LOW_BIT + 1)) - 1;
            return Err(BatchError::TooMany { field: BatchField::Presence, found: mask, maximum });
        }
        let collections_count = capped(section, BatchField::Collections, chunks)?;
        let entities_count = capped(section, BatchField::Ids, chunks)?;
        let actors_count = capped(section, BatchField::Ids, ids.remaining() as u64)?;
        // Each is a hash among the ids, or a number of a stream that is not zero.
        let outside_max = ids.remaining() / HASH_BYTES + section.remaining();
        let outside_count = capped(section, BatchField::Ids, outside_max as u64)?;
        let shapes_count = capped(section, BatchField::Shapes, chunks.min(section.remaining() as u64))?;
        let collections = (0..collections_count).map(|_| read_collection(section)).collect::<Result<_, _>>()?;
        let mut slots_left = BATCH_SLOTS_MAX;
        let shapes = (0..shapes_count).map(|_| ShapeIn::read(section, &mut slots_left)).collect::<Result<_, _>>()?;
        Ok(Self {
            chunks,
            mask,
            collections,
            entities_count,
            entities: Vec::new(),
            actors_count,
            actors: Vec::new(),
            outside_count,
            outside: Vec::new(),
            shapes,
            ids,
        })
    }

    /// Reads the outside changes: those that the log does not give stand as hashes at the end of the ids.
    fn read_outside(&mut self, streams: &mut Streams<'_>, resolve: &mut Resolve<'_>) -> Result<(), BatchError> {
        let mut last = 0;
        let mut positions = Vec::new();
        for _ in 0..self.outside_count {
            let code = streams.next(Stream::OutsidePosition);
            positions.push(code.checked_sub(1).map(|step| after_step(step, &mut last)));
        }
        let hashes = positions.iter().filter(|position| position.is_none()).count() * HASH_BYTES;
        let (front, offset) = (self.ids.remaining().saturating_sub(hashes) as u64, self.ids.offset());
        let front = bytes(&mut self.ids, front, BatchField::Ids)?;
        let mut hashes = std::mem::replace(&mut self.ids, Reader::new(front, offset));
        for position in positions {
            self.outside.push(match position {
                None => {
                    let offset = hashes.offset();
                    let hash = hashes.array().map_err(|fault| BatchError::reading(BatchField::Ids, offset, fault))?;
                    Outside { hash: ChangeHash(hash), entity: None }
                }
                Some(sequence) => {
                    let found = resolve(Sequence::new(sequence)).ok_or(BatchError::UnknownPosition { sequence })?;
                    Outside { hash: found.1, entity: Some(found.0) }
                }
            });
        }
        Ok(())
    }

    /// Reads the entities and actors, whose lengths stand in streams.
    fn read_ids(&mut self, streams: &mut Streams<'_>) -> Result<(), BatchError> {
        let mut seen = Seen::of(self.collections.len());
        let mut last = ([0; 16], None);
        let mut last_outside = u64::MAX;
        for _ in 0..self.entities_count {
            let shared = streams.next(Stream::EntityPrefix);
            if let Some(step) = shared.checked_sub(PREFIX_OUTSIDE) {
                let index = after_step(step, &mut last_outside);
                let outside = usize::try_from(index).ok().and_then(|index| self.outside.get(index));
                let entity = outside.and_then(|outside| outside.entity);
                let maximum = self.outside_count as u64;
                let field = BatchField::Ids;
                last.0 = *entity.ok_or(BatchError::BadReference { field, found: index, maximum })?.as_bytes();
            } else {
                let suffix = bytes(&mut self.ids, 16_u64.saturating_sub(shared), BatchField::Ids)?;
                let shared = usize::try_from(shared).unwrap_or(16);
                last.0.iter_mut().skip(shared).zip(suffix).for_each(|(byte, new)| *byte = *new);
            }
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

/// The streams of rows.
pub(super) struct Streams<'s> {
    pub(super) numbers: [Numbers; STREAMS],
    pub(super) forms: std::vec::IntoIter<Form>,
    pub(super) time_low: std::slice::Iter<'s, u8>,
}

impl<'s> Streams<'s> {
    pub(super) fn read(
        section: &mut Reader<'s>,
        tables: &mut Tables<'s>,
        resolve: &mut Resolve<'_>,
    ) -> Result<Self, BatchError> {
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
        streams.read_numbers(section, tables.mask, Stream::OutsidePosition, tables.outside_count as u64)?;
        streams.read_numbers(section, tables.mask, Stream::TimeHigh, rows)?;
        if tables.mask >> TIME_LOW_BIT & 1 != 0 {
            streams.time_low = bytes(section, rows, BatchField::Stream)?.iter();
        }
        tables.read_outside(&mut streams, resolve)?;
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

    pub(super) fn next(&mut self, stream: Stream) -> u64 {
        self.numbers_of(stream).next()
    }
}

fn read_collection(section: &mut Reader<'_>) -> Result<Collection, BatchError> {
    let length = capped(section, BatchField::Collections, COLLECTION_BYTES_MAX as u64)?;
    let name = bytes(section, length as u64, BatchField::Collections)?;
    std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or(BatchError::BadCollection)
}

pub(super) fn resolved(index: Option<usize>, field: BatchField, found: u64, seen: usize) -> Result<usize, BatchError> {
    index.ok_or(BatchError::BadReference { field, found, maximum: seen as u64 })
}

pub(super) fn unused(field: BatchField, found: usize) -> BatchError {
    BatchError::Trailing { field, offset: 0, found }
}
