//! The wire format. `PROTOCOL.md` beside this file is the normative text.

mod batch;
mod cbor;
mod code;
mod compress;
mod envelope;
mod frame;

pub use batch::{
    BATCH_OUTPUT_BYTES_MAX, BATCH_SECTION_BYTES_MAX, BatchChunk, BatchError, BatchField, ChunkBudget, DecodedChunk,
    decode_batch, decode_batch_within, encode_batch,
};
pub use cbor::ITEMS_MAX;
pub use code::{ChunkCode, Class, GoodbyeCode, SpaceCode};
pub use compress::InflateError;
pub use envelope::{CborFault, Message, WireError, encode_to_device, encode_to_relay};
pub use frame::{
    Authenticate, CatchUp, CaughtUp, ChainCheck, Channel, Chunks, Goodbye, Hello, Open, Opened, PROTOCOL_VERSION, Push,
    PushNumber, RawChunk, Receipt, ReceiptRun, Refused, Reset, Segment, ToDevice, ToRelay, Welcome,
};

#[cfg(test)]
mod vectors;
