//! Frames that carry a filter: what is left out of it stands under a key of its own.
//!
//! A relay that does not know that key sees a filter that asks for more, and sends more: the device lets go of what it did
//! not want. The other way round, with the key within the filter, such a relay would send less than was wanted, and nobody
//! would notice.

use super::{Channel, Fetch, FetchNumber, NewFilter, Open, selection};
use crate::filter::Filter;
use crate::id::{Collection, SpaceId};
use crate::invitation::InvitationCode;
use crate::limits::FILTER_COLLECTIONS_MAX;
use crate::log::{Cursor, Sequence};
use minicbor::decode::Error;
use minicbor::{Decode, Decoder, Encode, Encoder};
use std::collections::BTreeSet;

/// Collections of which nothing is wanted; absent where there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Except(BTreeSet<Collection>);

impl Except {
    fn of(filter: &Filter) -> Self {
        match filter {
            Filter::AllBut(but) => Self(but.clone()),
            Filter::Everything | Filter::Only(_) => Self::default(),
        }
    }
}

impl<C> Encode<C> for Except {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        selection::encode_names(e, &self.0)
    }

    fn is_nil(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'b, C> Decode<'b, C> for Except {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        let position = d.position();
        let names = selection::decode_names(d)?;
        if names.len() > FILTER_COLLECTIONS_MAX {
            return Err(Error::message("too many collections are left out").at(position));
        }
        Ok(Self(names))
    }

    fn nil() -> Option<Self> {
        Some(Self::default())
    }
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct OpenFields {
    #[n(0)]
    channel: Channel,
    #[n(1)]
    space: SpaceId,
    #[n(2)]
    cursor: Option<Cursor>,
    #[n(3)]
    #[cbor(default)]
    create: bool,
    #[n(4)]
    #[cbor(default)]
    raw: bool,
    #[n(5)]
    filter: Filter,
    #[n(6)]
    #[cbor(default)]
    partial: bool,
    #[n(7)]
    except: Except,
    #[n(8)]
    invitation: Option<InvitationCode>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct FetchFields {
    #[n(0)]
    channel: Channel,
    #[n(1)]
    number: FetchNumber,
    #[n(2)]
    filter: Filter,
    #[n(3)]
    after: Sequence,
    #[n(4)]
    #[cbor(default)]
    changes: bool,
    #[n(5)]
    except: Except,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct NewFilterFields {
    #[n(0)]
    channel: Channel,
    #[n(1)]
    filter: Filter,
    #[n(2)]
    #[cbor(default)]
    partial: bool,
    #[n(3)]
    except: Except,
}

macro_rules! frame_with_a_filter {
    ($frame:ident, $fields:ident { $($field:ident),* }) => {
        impl<C> Encode<C> for $frame {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut Encoder<W>,
                ctx: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                let Self { filter, $($field),* } = self.clone();
                let except = Except::of(&filter);
                e.encode_with($fields { filter, except, $($field),* }, ctx)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $frame {
            fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, Error> {
                let $fields { filter, except, $($field),* } = d.decode_with(ctx)?;
                Ok(Self { filter: filter.without(&except.0), $($field),* })
            }
        }
    };
}

frame_with_a_filter!(Open, OpenFields { channel, space, cursor, create, raw, partial, invitation });
frame_with_a_filter!(Fetch, FetchFields { channel, number, after, changes });
frame_with_a_filter!(NewFilter, NewFilterFields { channel, partial });
