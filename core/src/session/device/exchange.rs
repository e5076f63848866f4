//! What goes in and out of a device's session.

use crate::change::{ChangeError, ChangeHeader};
use crate::document::SnapshotFault;
use crate::erasure::Erasure;
use crate::filter::Filter;
use crate::id::{Collection, DeviceId, EntityId, Incarnation, SpaceId};
use crate::invitation::InvitationCode;
use crate::log::{ChunkKind, Cursor, Sequence};
use crate::role::Role;
use crate::wire::{ChunkCode, FetchNumber, PushNumber, SpaceCode, Welcome};
use automerge::ChangeHash;

/// Who is speaking, for `Hello`.
#[derive(Clone)]
pub struct Greeting {
    /// The device.
    pub device: DeviceId,
    /// This opening of the store.
    pub incarnation: Incarnation,
    /// Earlier openings that may have reached the relay.
    pub predecessors: Vec<Incarnation>,
    /// The device in whose name this one only looks: no push is taken, spaces are opened without creating any, and as by a device that does
    /// not have all of them, so that the relay counts it nowhere among those that do. The relay writes down that one, and not this.
    pub guest_of: Option<DeviceId>,
    /// A token to send in a frame, where it could not travel in the `Authorization` header.
    pub token: Option<String>,
}

// By hand, for a token is in no log (invariant S6).
impl std::fmt::Debug for Greeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { device, incarnation, predecessors, guest_of, token } = self;
        f.debug_struct("Greeting")
            .field("device", device)
            .field("incarnation", incarnation)
            .field("predecessors", predecessors)
            .field("guest_of", guest_of)
            .field("token", &token.as_ref().map(|_| "withheld"))
            .finish()
    }
}

/// How a space is opened.
#[derive(Debug, Clone)]
pub struct SpaceOpening {
    /// The space.
    pub space: SpaceId,
    /// The stored cursor; absent when the space has never been on a relay.
    pub cursor: Option<Cursor>,
    /// Whether the relay may create the space.
    pub create: bool,
    /// Whether to ask for every chunk on its own.
    pub raw: bool,
    /// What is wanted of it.
    pub filter: Filter,
    /// Whether some of what the filter names is not here up to the cursor, and is still to be fetched.
    pub partial: bool,
    /// The invitation that the device was given and has not used, as far as it knows.
    pub invitation: Option<InvitationCode>,
}

/// What is asked for with one `Fetch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// What is wanted; the filter of the session includes it from now on.
    pub filter: Filter,
    /// The sequence up to which it is here already.
    pub after: Sequence,
    /// Whether changes are wanted where the relay has snapshots.
    pub changes: bool,
}

/// A chunk taken from the outbox.
#[derive(Debug, Clone)]
pub struct PushedChunk {
    /// The entity.
    pub entity: EntityId,
    /// Its collection.
    pub collection: Collection,
    /// What it is: a change or an erasure record.
    pub kind: ChunkKind,
    /// The change's hash, or what [`Erasure::hash`] says.
    pub hash: ChangeHash,
    /// The chunk, raw.
    pub bytes: Vec<u8>,
}

/// A chunk that came from the log.
#[derive(Debug, Clone)]
pub struct ReceivedChunk {
    /// The entity.
    pub entity: EntityId,
    /// Its collection; absent when the relay named none that parses.
    pub collection: Option<Collection>,
    /// Its position in the log; above the end of the run for some of the changes that a snapshot covers.
    pub sequence: Sequence,
    /// Whether it travelled in its place of the run, and not in a snapshot.
    pub is_placed: bool,
    /// The number of its kind.
    pub kind: u8,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The header, or why the bytes are not a change that this device accepts.
    pub header: Result<ChangeHeader, ChunkFault>,
}

/// An erasure record that came from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedErasure {
    /// The record.
    pub record: Erasure,
    /// The collection of its entity.
    pub collection: Collection,
    /// Its position in the log; absent where it came for chunks that are no more, and its own place is still to come.
    pub sequence: Option<Sequence>,
}

/// Why a received chunk is not a change that can be stored as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkFault {
    /// The bytes do not parse.
    #[error("the bytes are not a change that this device accepts")]
    Change(#[from] ChangeError),
    /// The bytes are not those that entered the chain.
    #[error("the bytes are not those that entered the log")]
    Decayed,
    /// A kind of a later version.
    #[error("a chunk of kind {0}, which this version does not know")]
    Kind(u8),
    /// An erasure record of another form.
    #[error("the bytes are not an erasure record that this device reads")]
    Erasure(#[source] crate::erasure::ErasureError),
    /// The collection's name does not parse.
    #[error("the name of the collection is not valid")]
    Collection,
    /// No changes can be taken out of a snapshot.
    #[error("the snapshot is not usable")]
    Snapshot(#[source] SnapshotFault),
}

/// A snapshot whose changes are to be asked for one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableSnapshot {
    /// The entity.
    pub entity: EntityId,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What is wrong with it.
    pub fault: ChunkFault,
}

/// A change that is proven to stand in the log at or below the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The entity.
    pub entity: EntityId,
    /// The change.
    pub hash: ChangeHash,
    /// Where it stands.
    pub sequence: Sequence,
}

/// A verified step of the log.
#[derive(Debug)]
pub struct Advance {
    /// The space.
    pub space: SpaceId,
    /// Where the step starts.
    pub from: Cursor,
    /// Where it ends.
    pub to: Cursor,
    /// What others contributed.
    pub received: Vec<ReceivedChunk>,
    /// Which entities were purged.
    pub erasures: Vec<ReceivedErasure>,
    /// Which held changes the step proves to be in the log.
    pub proofs: Vec<Proof>,
    /// Whether everything travelled that the log holds there, and not only what the filter includes.
    pub is_whole: bool,
    /// Entities of which nothing travelled, with their collections.
    pub announced: Vec<(Collection, EntityId)>,
    /// Snapshots of which nothing could be used: the cursor may pass them once it is stored that they are to be fetched.
    pub unusable: Vec<UnusableSnapshot>,
}

/// A page of what was asked for.
#[derive(Debug)]
pub struct FetchedPage {
    /// The space.
    pub space: SpaceId,
    /// The request.
    pub number: FetchNumber,
    /// What was asked for.
    pub request: FetchRequest,
    /// The chunks.
    pub received: Vec<ReceivedChunk>,
    /// Which entities were purged.
    pub erasures: Vec<ReceivedErasure>,
    /// Entities of which nothing travelled, with their collections.
    pub announced: Vec<(Collection, EntityId)>,
    /// Snapshots of which nothing could be used.
    pub unusable: Vec<UnusableSnapshot>,
    /// Up to where everything that was asked for has been told.
    pub upto: Sequence,
    /// Whether that was all.
    pub done: bool,
    /// Entities that were asked for one by one, and of which the log knows nothing.
    pub unknown: Vec<EntityId>,
    /// How far the log of the space was verified when the page came: what stands at or below it is proven to be there.
    pub cursor: Cursor,
}

/// How much more may be pushed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushRoom {
    /// Chunks.
    pub chunks: usize,
    /// Bytes, raw.
    pub bytes: usize,
}

/// What the device has to do.
#[derive(Debug)]
pub enum DeviceEvent {
    /// The relay accepted the session.
    Welcome(Box<Welcome>),
    /// The space got its first cursor: store it.
    Opened {
        /// The space.
        space: SpaceId,
        /// The start of its log.
        cursor: Cursor,
        /// What the device may do with it.
        role: Role,
    },
    /// Store chunks, proofs and cursor in one transaction.
    Advance(Advance),
    /// Store what was asked for.
    Fetched(Box<FetchedPage>),
    /// Another device has stored the log of the space up to here.
    Seen {
        /// The space.
        space: SpaceId,
        /// The last sequence that it has stored.
        sequence: Sequence,
    },
    /// Another session of the space says something to those who are here now.
    Signalled(Box<super::ReceivedSignal>),
    /// Changes are durable on the relay.
    Receipted {
        /// The space.
        space: SpaceId,
        /// The changes, with their positions.
        changes: Vec<Proof>,
        /// How many of them the log did not hold before.
        stored: usize,
    },
    /// Held changes are proven to be in the log at or below the cursor: mark them.
    Proven {
        /// The space.
        space: SpaceId,
        /// The changes, with their positions.
        proofs: Vec<Proof>,
    },
    /// The relay refused a change.
    ChunkRefused {
        /// The space.
        space: SpaceId,
        /// The push that brought it.
        push: PushNumber,
        /// The entity, whose later changes wait too.
        entity: EntityId,
        /// The change.
        hash: ChangeHash,
        /// Why.
        code: ChunkCode,
        /// The dependencies that the relay lacks.
        missing: Vec<ChangeHash>,
    },
    /// The relay's log is another one: run the Reset of the outbox rule and answer with [`DeviceSession::reopen`](super::DeviceSession::reopen).
    Reset {
        /// The space.
        space: SpaceId,
        /// The relay's log.
        cursor: Cursor,
        /// How many pushed chunks the relay will not answer for, because of it: they are offered again.
        unanswered: usize,
    },
    /// Everything that was durable when the space was opened, or was asked about, has arrived.
    CaughtUp {
        /// The space.
        space: SpaceId,
        /// What this device may do with it, as it was when the space was opened.
        role: Role,
    },
    /// The relay does not serve the space in this session.
    SpaceRefused {
        /// The space.
        space: SpaceId,
        /// Why.
        code: SpaceCode,
        /// The earliest moment to ask again, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}
