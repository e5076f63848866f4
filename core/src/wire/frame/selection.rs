//! Filters on the wire, and what they lead to: `Filter`, `Fetch` and `Fetched`.

use super::{Channel, Places, Segment};
use crate::filter::{Filter, Selection};
use crate::id::{Collection, EntityId};
use crate::limits::{ANNOUNCED_IDS_MAX, FILTER_ENTITIES_MAX};
use crate::log::Sequence;
use minicbor::bytes::ByteSlice;
use minicbor::data::Type;
use minicbor::decode::Error;
use minicbor::{Decode, Decoder, Encode, Encoder};
use std::collections::BTreeSet;

/// A request for entities within one session, numbered by the device; numbers rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct FetchNumber(#[n(0)] pub u64);

/// Puts another filter in the place of the one that a space was opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFilter {
    /// The space.
    pub channel: Channel,
    /// What is wanted from now on.
    pub filter: Filter,
    /// Whether some of what it names is not here up to the cursor, and is still to be fetched.
    pub partial: bool,
}

/// Asks for what the log holds of some entities, wherever the device's cursor stands; the session's filter includes them
/// from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The space.
    pub channel: Channel,
    /// The number of this request.
    pub number: FetchNumber,
    /// What is wanted.
    pub filter: Filter,
    /// The sequence up to which it is here already.
    pub after: Sequence,
    /// Asks for changes where there are snapshots.
    pub changes: bool,
}

/// One page of what a [`Fetch`] asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Fetched<'b> {
    /// The request.
    #[n(0)]
    pub number: FetchNumber,
    /// The chunks, in the order of the log.
    #[b(1)]
    pub segments: Vec<Segment<'b>>,
    /// Where in the log they stand, from what the request named as `after` on.
    #[n(2)]
    pub places: Places,
    /// The sequence up to which everything that was asked for has been told.
    #[n(3)]
    pub upto: Sequence,
    /// Whether that was all; otherwise the device asks on from there.
    #[n(4)]
    #[cbor(default)]
    pub done: bool,
    /// Entities that were asked for one by one, and of which the log knows nothing.
    #[n(5)]
    #[cbor(default)]
    pub unknown: EntityIds,
}

/// Entities, as one string of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntityIds(pub Vec<EntityId>);

impl<C> Encode<C> for EntityIds {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|entity| *entity.as_bytes()).collect();
        e.bytes(&bytes)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for EntityIds {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, Error> {
        let position = d.position();
        let bytes: &ByteSlice = d.decode_with(ctx)?;
        Ok(Self(ids(bytes, ANNOUNCED_IDS_MAX, position)?.collect()))
    }
}

/// The ids in a string of bytes, of which there may be so many.
fn ids(bytes: &[u8], maximum: usize, position: usize) -> Result<impl Iterator<Item = EntityId>, Error> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Error::message("ids need 16 bytes each").at(position));
    }
    if ids.len() > maximum {
        return Err(Error::message("there are too many ids").at(position));
    }
    Ok(ids.iter().copied().map(EntityId::from_bytes))
}

/// A filter that is absent asks for everything.
impl<C> Encode<C> for Filter {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        // What is left out of everything stands beside it, under a key of the frame.
        let Self::Only(Selection { collections, entities, announced }) = self else { return e.null()?.ok() };
        let lists = [!collections.is_empty(), !entities.is_empty(), !announced.is_empty()];
        e.map(lists.into_iter().map(u64::from).sum())?;
        if !collections.is_empty() {
            encode_names(e.u8(0)?, collections)?;
        }
        if !entities.is_empty() {
            e.u8(1)?.encode_with(EntityIds(entities.iter().copied().collect()), ctx)?;
        }
        if !announced.is_empty() {
            encode_names(e.u8(2)?, announced)?;
        }
        Ok(())
    }

    fn is_nil(&self) -> bool {
        !matches!(self, Self::Only(_))
    }
}

pub(super) fn encode_names<W: minicbor::encode::Write>(
    e: &mut Encoder<W>,
    names: &BTreeSet<Collection>,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    e.array(names.len() as u64)?;
    names.iter().try_for_each(|name| e.str(name.as_str())?.ok())
}

impl<'b, C> Decode<'b, C> for Filter {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, Error> {
        let position = d.position();
        if d.datatype()? == Type::Null {
            d.null()?;
            return Ok(Self::Everything);
        }
        let mut selection = Selection::default();
        for _ in 0..d.map()?.unwrap_or(0) {
            match d.u64()? {
                0 => selection.collections = decode_names(d)?,
                1 => {
                    let bytes: &ByteSlice = d.decode_with(ctx)?;
                    selection.entities = ids(bytes, FILTER_ENTITIES_MAX, position)?.collect();
                }
                2 => selection.announced = decode_names(d)?,
                _ => d.skip()?,
            }
        }
        let filter = Self::Only(selection);
        if filter.is_within_limits() {
            Ok(filter)
        } else {
            Err(Error::message("a list of the filter is too long").at(position))
        }
    }

    fn nil() -> Option<Self> {
        Some(Self::Everything)
    }
}

pub(super) fn decode_names(d: &mut Decoder<'_>) -> Result<BTreeSet<Collection>, Error> {
    let position = d.position();
    let names = d.array()?.unwrap_or(0);
    let name =
        |d: &mut Decoder<'_>| d.str()?.parse().map_err(|_| Error::message("not the name of a collection").at(position));
    (0..names).map(|_| name(d)).collect()
}
