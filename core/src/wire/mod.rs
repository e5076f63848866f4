//! The wire format. `PROTOCOL.md` beside this file is the normative text.

mod batch;
mod cbor;
mod code;
mod compress;
mod envelope;
mod frame;
mod live;
mod row;

pub use batch::{
    BATCH_OUTPUT_BYTES_MAX, BATCH_SECTION_BYTES_MAX, BatchChunk, BatchError, BatchField, ChunkBudget, DecodedChunk,
    decode_batch, decode_batch_over_log, decode_batch_within, encode_batch, encode_batch_at_rest,
    encode_batch_over_log,
};
pub use cbor::ITEMS_MAX;
pub use code::{ChunkCode, Class, GoodbyeCode, SpaceCode};
pub use compress::InflateError;
pub use envelope::{CborFault, Message, WireError, encode_to_device, encode_to_relay, may_be_push};
pub use frame::{
    Authenticate, CatchUp, CaughtUp, ChainCheck, Channel, Chunks, EntityIds, ErasedChunk, Fetch, FetchNumber, Fetched,
    Goodbye, Hello, Jump, NewFilter, Open, Opened, PLACES_RUNS_MAX, PROTOCOL_VERSION, Places, Progress, Push,
    PushNumber, RawChunk, Receipt, ReceiptRun, Refused, Reset, Seen, Segment, SequenceRuns, Signal, SignalKind,
    Signalled, SnapshotChunk, ToDevice, ToRelay, Welcome,
};

pub use live::{
    LIVE_ACTORS_MAX, LIVE_CHECK_BYTES, LIVE_CHUNKS_CHANNELS_MAX, LIVE_COLLECTIONS_MAX, LIVE_ENTITIES_MAX,
    LIVE_HEADS_MAX, LIVE_OTHERS_MAX, LIVE_PARTS_MAX, LIVE_PUSH_CHANNELS_MAX, LIVE_ROWS_MAX, LIVE_SHAPE_PARTS_MAX,
    LIVE_SHAPES_MAX, LIVE_TEXT_BYTES_MAX, LIVE_TEXTS_MAX, LiveCheck, LiveItem, LiveItems, LiveKind, LiveMessage,
    LiveState, PushStream, encode_live_chunks, own_item,
};

#[cfg(test)]
mod histories;
#[cfg(test)]
mod vectors;
