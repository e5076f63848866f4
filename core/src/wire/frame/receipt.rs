//! What became of a push: `Receipt`, and the runs that it comes in.

use super::PushNumber;
use crate::log::Sequence;
use crate::wire::code::ChunkCode;
use automerge::ChangeHash;
use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Decoder, Encode, Encoder};

/// What became of the chunks of one push, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// The push.
    #[n(0)]
    pub push: PushNumber,
    /// The outcomes, run-length encoded.
    #[n(1)]
    pub runs: Vec<ReceiptRun>,
}

/// The same outcome for chunks in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptRun {
    /// Durable at these sequences, in a row.
    Stored {
        /// The sequence of the first chunk.
        first: Sequence,
        /// How many chunks.
        count: u64,
    },
    /// Durable already, at these sequences, in a row.
    Duplicate {
        /// The sequence of the first chunk.
        first: Sequence,
        /// How many chunks.
        count: u64,
    },
    /// Refused.
    Refused {
        /// Why.
        code: ChunkCode,
        /// How many chunks.
        count: u64,
        /// The dependencies that are missing, where that is the reason.
        missing: Vec<ChangeHash>,
    },
}

impl<C> Encode<C> for ReceiptRun {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Stored { first, count } => e.array(3)?.u8(0)?.encode_with(first, ctx)?.u64(*count)?.ok(),
            Self::Duplicate { first, count } => e.array(3)?.u8(1)?.encode_with(first, ctx)?.u64(*count)?.ok(),
            Self::Refused { code, count, missing } => {
                e.array(4)?.u8(2)?.encode_with(code, ctx)?.u64(*count)?.array(missing.len() as u64)?;
                for hash in missing {
                    e.bytes(hash.as_ref())?;
                }
                Ok(())
            }
        }
    }
}

impl<'b, C> Decode<'b, C> for ReceiptRun {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let position = d.position();
        match (d.array()?, d.u8()?) {
            (Some(3), 0) => Ok(Self::Stored { first: d.decode_with(ctx)?, count: d.u64()? }),
            (Some(3), 1) => Ok(Self::Duplicate { first: d.decode_with(ctx)?, count: d.u64()? }),
            (Some(4), 2) => {
                let (code, count) = (d.decode_with(ctx)?, d.u64()?);
                let missing: Vec<_> = d
                    .array_iter::<&'b ByteSlice>()?
                    .map(|hash| change_hash(hash?))
                    .collect::<Result<_, minicbor::decode::Error>>()?;
                // What is missing is told for each chunk: a run would have it copied as often as the run says.
                if count != 1 && !missing.is_empty() {
                    let message = "only a run of one chunk says which dependencies are missing";
                    return Err(minicbor::decode::Error::message(message).at(position));
                }
                Ok(Self::Refused { code, count, missing })
            }
            _ => Err(minicbor::decode::Error::message("unknown kind of receipt").at(position)),
        }
    }
}

fn change_hash(bytes: &[u8]) -> Result<ChangeHash, minicbor::decode::Error> {
    <[u8; 32]>::try_from(bytes)
        .map(ChangeHash)
        .map_err(|_| minicbor::decode::Error::message("a change hash needs 32 bytes"))
}
