//! The wire format. `PROTOCOL.md` beside this file is the normative text.

mod code;
mod frame;

pub use code::{ChunkCode, Class, GoodbyeCode, SpaceCode};
pub use frame::{
    Authenticate, CaughtUp, ChainCheck, Channel, Chunks, Goodbye, Hello, Open, Opened, PROTOCOL_VERSION, Push,
    PushNumber, RawChunk, Receipt, ReceiptRun, Refused, Reset, Segment, ToDevice, ToRelay, Welcome,
};
