//! The device's and the relay's half of a session as pure state machines.
//!
//! Inputs are `handle_*` calls and the answers of storage, outputs are polled. Neither half does I/O: the device's
//! `Driver` and the relay's `Hub` store what an event asks for and hand back the proof.

mod device;
mod relay;
mod size;

pub use device::{
    Advance, ChunkFault, DeviceEvent, DeviceSession, FetchRequest, FetchedPage, Greeting, Proof, PushRoom, PushedChunk,
    ReceivedChunk, ReceivedErasure, ReceivedSignal, SpaceOpening, UnusableSnapshot,
};
pub use relay::{
    AppendAnswer, AppendRequest, ChunkVerdict, GivenSnapshots, LiveEpoch, LiveFeed, LiveRun, LiveStanding, LogEntry,
    LogErasure, LogRun, LogSnapshot, OpenAnswer, OpenRequest, PageAnswer, PageRequest, ReadAnswer, ReadRequest,
    RelayRequest, RelaySession, SIGNAL_QUEUE_BYTES_MAX, SIGNALS_WAITING_MAX, SignalRequest, WelcomeAnswer,
};

use crate::wire::{BatchError, GoodbyeCode, WireError};

/// Why this side ends a session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A message did not parse.
    #[error("a frame did not parse")]
    Wire(#[from] WireError),
    /// A batch did not decode; the next session should ask for its chunks one by one.
    #[error("a batch of {frame} did not decode")]
    Batch {
        /// The frame that carried it.
        frame: &'static str,
        /// What was wrong.
        #[source]
        source: BatchError,
    },
    /// A frame came that does not fit the state of the session.
    #[error("a {frame} frame came {problem}")]
    Order {
        /// The frame.
        frame: &'static str,
        /// What did not fit.
        problem: &'static str,
    },
    /// A run of the log does not continue the device's cursor.
    #[error("a run of the log starts after sequence {found}, but the cursor stands at {expected}")]
    Gap {
        /// Where the cursor stands.
        expected: u64,
        /// Where the run starts.
        found: u64,
    },
    /// The chain hash of a run of the log does not fit its chunks.
    #[error("the chain hash after sequence {sequence} does not fit the chunks before it")]
    Chain {
        /// Where the run ends.
        sequence: u64,
    },
    /// The peer did not answer in time.
    #[error("the peer did not complete the handshake in time")]
    HandshakeTimeout,
    /// The peer owes an answer and has been silent for too long.
    #[error("the peer owes an answer and has been silent for too long")]
    Silent,
    /// The other side ended the session.
    #[error("{code}")]
    Ended {
        /// Its reason.
        code: GoodbyeCode,
        /// The earliest moment to come back, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}

impl SessionError {
    /// The code that tells the other side, or that the other side gave.
    pub fn code(&self) -> GoodbyeCode {
        match self {
            Self::Wire(error) => error.goodbye(),
            Self::Batch { .. } => GoodbyeCode::BadFrame,
            Self::Order { .. } | Self::Gap { .. } | Self::Chain { .. } => GoodbyeCode::Protocol,
            Self::HandshakeTimeout | Self::Silent => GoodbyeCode::TimedOut,
            Self::Ended { code, .. } => *code,
        }
    }
}
