//! What goes in and out of a relay's session.

use super::{GivenSnapshots, LogRun};
use crate::filter::Filter;
use crate::id::{EntityId, LogId, SpaceId};
use crate::invitation::InvitationCode;
use crate::log::{ChainHash, Cursor, Sequence};
use crate::role::Role;
use crate::wire::{Channel, ChunkCode, DecodedChunk, FetchNumber, Hello, PushNumber, SpaceCode};
use automerge::ChangeHash;
use std::sync::Arc;

/// What a message asks of the relay's storage. Each is answered before the next message of the session is handled,
/// but for [`RelayRequest::Append`], which waits for the commit that it shares with others.
#[derive(Debug)]
pub enum RelayRequest {
    /// Check the token and the device; answer with [`RelaySession::welcome`](super::RelaySession::welcome) or [`RelaySession::close`](super::RelaySession::close).
    Hello {
        /// The token from a frame; `None` when there was none.
        token: Option<String>,
        /// Who is speaking.
        hello: Hello,
    },
    /// Check a fresher token; answer with [`RelaySession::close`](super::RelaySession::close) when it is not good.
    Token {
        /// The token.
        token: String,
    },
    /// Check the cursor; answer with [`RelaySession::opened`](super::RelaySession::opened).
    Open(OpenRequest),
    /// Say where the log ends now; answer with [`RelaySession::catch_up`](super::RelaySession::catch_up), and read for the
    /// session once more.
    CatchUp {
        /// The short name of the space in this session.
        channel: Channel,
        /// The space.
        space: SpaceId,
    },
    /// Append chunks; answer with [`RelaySession::appended`](super::RelaySession::appended).
    Append(AppendRequest),
    /// Read for the session once more: it wants something else of the space than before, or asked for a page
    /// ([`RelaySession::next_page`](super::RelaySession::next_page)).
    Read {
        /// The space.
        space: SpaceId,
    },
    /// Say something to the other sessions of the space that may read it; see [`RelaySession::signalled`](super::RelaySession::signalled).
    Signal(super::SignalRequest),
    /// The device has stored more of the space: see [`RelaySession::stored`](super::RelaySession::stored).
    Stored {
        /// The space.
        space: SpaceId,
    },
}

/// A request to open a space.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// The short name of the space in this session.
    pub channel: Channel,
    /// The space.
    pub space: SpaceId,
    /// The device's position; absent when it has none.
    pub cursor: Option<Cursor>,
    /// Whether the space may be created.
    pub create: bool,
    /// An invitation that makes the session's user a member, where he or she is none.
    pub invitation: Option<InvitationCode>,
}

/// What the log says to an [`OpenRequest`].
#[derive(Debug, Clone, Copy)]
pub enum OpenAnswer {
    /// The position belongs to the log.
    Served {
        /// The position: the device's cursor, or the start of the log.
        position: Cursor,
        /// The last sequence of the log.
        head: Sequence,
        /// What the session may do with the space.
        role: Role,
    },
    /// The position does not belong to the log.
    Reset(LogId),
    /// The space is not served.
    Refused(SpaceCode),
}

/// A request to append the chunks of one push.
#[derive(Debug)]
pub struct AppendRequest {
    /// The short name of the space in this session.
    pub channel: Channel,
    /// The space.
    pub space: SpaceId,
    /// The push.
    pub push: PushNumber,
    /// The highest position that this session was told in anything, to be checked in the same transaction.
    pub told: Cursor,
    /// The chunks.
    pub chunks: Vec<DecodedChunk>,
}

/// What the log says to an [`AppendRequest`].
#[derive(Debug, Clone)]
pub enum AppendAnswer {
    /// A verdict for every chunk, in order.
    Verdicts(Vec<ChunkVerdict>),
    /// The position told does not belong to the log; nothing was appended.
    Reset(LogId),
    /// The space is not, or no longer, for this session; nothing was appended.
    Refused(SpaceCode),
}

/// What became of one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkVerdict {
    /// Appended.
    Stored {
        /// Its position.
        sequence: Sequence,
        /// The chain hash there.
        chain: ChainHash,
        /// Whether the push named the collection in which the log has the entity, which is the one it was first pushed in.
        is_as_pushed: bool,
    },
    /// In the log already, durable and readable.
    Duplicate {
        /// Its position.
        sequence: Sequence,
        /// The chain hash there.
        chain: ChainHash,
    },
    /// Not accepted.
    Refused {
        /// Why.
        code: ChunkCode,
        /// The dependencies that are not in the log.
        missing: Vec<ChangeHash>,
    },
}

/// A request to read on from a position.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// The short name of the space in this session.
    pub channel: Channel,
    /// The space.
    pub space: SpaceId,
    /// Where the reader stands.
    pub position: Cursor,
    /// The highest position that this session was told in anything, to be checked in the same transaction.
    pub told: Cursor,
    /// The most bytes that the run may hold, raw; one chunk is always allowed.
    pub bytes_max: usize,
    /// What of it is wanted.
    pub filter: Arc<Filter>,
    /// The snapshots that the reader was given and that may stand above its position; `None` when it takes changes only.
    pub snapshots: Option<Arc<GivenSnapshots>>,
}

/// A request to read some entities, wherever the reader stands.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// The short name of the space in this session.
    pub channel: Channel,
    /// The space.
    pub space: SpaceId,
    /// The request that it belongs to.
    pub number: FetchNumber,
    /// Where the reader stands, to be checked as for a [`ReadRequest`].
    pub position: Cursor,
    /// The highest position that this session was told in anything, to be checked in the same transaction.
    pub told: Cursor,
    /// What is wanted.
    pub filter: Arc<Filter>,
    /// The sequence up to which it is there already.
    pub after: Sequence,
    /// The snapshots that were given with the pages before; `None` when changes are wanted where the log has snapshots.
    pub snapshots: Option<Arc<GivenSnapshots>>,
    /// The most bytes that the page may hold, raw; one chunk is always allowed.
    pub bytes_max: usize,
}

/// What the log says to a [`PageRequest`].
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made per read, and nearly all of them are the large one")]
pub enum PageAnswer {
    /// What follows.
    Page {
        /// The chunks, from the sequence asked for up to where all that is wanted was found. Its chain hashes are not looked
        /// at.
        run: LogRun,
        /// Whether that is the end of the log.
        done: bool,
        /// Entities asked for one by one that the log knows nothing of.
        unknown: Vec<EntityId>,
    },
    /// The position does not belong to the log.
    Reset(LogId),
    /// The space is not, or no longer, for this session.
    Refused(SpaceCode),
}

/// What the log says to a [`ReadRequest`].
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made per read, and nearly all of them are the large one")]
pub enum ReadAnswer {
    /// What follows the position.
    Run {
        /// The chunks; empty at the head of the log.
        run: LogRun,
        /// What the session may do with the space now.
        role: Role,
    },
    /// The position does not belong to the log.
    Reset(LogId),
    /// The space is not, or no longer, for this session.
    Refused(SpaceCode),
}

/// What a relay tells an accepted device.
#[derive(Debug, Clone, Default)]
pub struct WelcomeAnswer {
    /// The spaces that the token may use.
    pub spaces: Vec<SpaceId>,
    /// Whether the token may create a space.
    pub may_create: bool,
}
