//! A stream of pushes: a state, and a check over all that it has observed.

use super::decode::LiveItem;
use super::message::{LIVE_CHECK_BYTES, LiveKind, LiveMessage, encode_live};
use super::state::LiveState;
use crate::id::{Collection, EntityId};
use crate::limits::Limits;
use crate::log::{ChunkKind, Sequence};
use crate::wire::batch::{BatchChunk, BatchError, BatchField, ChunkBudget, DecodedChunk};
use crate::wire::frame::Channel;
use automerge::ChangeHash;

/// One end of the live pushes on a channel of a session.
///
/// The device's end calls [`PushStream::encode`], the relay's end [`PushStream::decode`], and both of them
/// [`PushStream::observe`] for what goes in plain `Push` frames after the stream has begun.
#[derive(Debug, Default)]
pub struct PushStream {
    state: LiveState,
    check: [u8; 32],
    has_begun: bool,
}

impl PushStream {
    /// The end of a stream that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a message has begun the stream; what goes in other frames before is not observed.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Observes a chunk of a plain `Push`; does nothing before the stream has begun.
    pub fn observe(&mut self, chunk: &BatchChunk<'_>) {
        if self.has_begun {
            self.state.observe(chunk);
            self.extend_check(chunk.entity, chunk.collection, chunk.kind, chunk.bytes);
        }
    }

    /// Encodes chunks as one message. The first one begins the stream.
    ///
    /// `known_at` gives the position in the log of a change of an entity that the relay has told this device.
    pub fn encode(
        &mut self,
        channel: Channel,
        chunks: &[BatchChunk<'_>],
        mut known_at: impl FnMut(EntityId, ChangeHash) -> Option<Sequence>,
    ) -> Vec<u8> {
        let begins = !std::mem::replace(&mut self.has_begun, true);
        let mut items = Vec::new();
        for chunk in chunks {
            items.extend(self.state.encode(chunk, &mut known_at));
            self.extend_check(chunk.entity, chunk.collection, chunk.kind, chunk.bytes);
        }
        encode_live(LiveKind::Push, channel, begins, &items, &self.check)
    }

    /// Decodes a message into its chunks, in their order. After an error the connection has to be closed.
    ///
    /// `resolve` finds the entity and the hash of the change at a position of the log of this channel's space.
    ///
    /// # Errors
    ///
    /// The stream has not begun; what is wrong with an item, and where; or the check shows that the two ends have not
    /// observed the same chunks.
    pub fn decode(
        &mut self,
        message: &LiveMessage<'_>,
        limits: &Limits,
        mut resolve: impl FnMut(Sequence) -> Option<(EntityId, ChangeHash)>,
    ) -> Result<Vec<DecodedChunk>, BatchError> {
        if message.begins() {
            *self = Self { has_begun: true, ..Self::default() };
        }
        if !self.has_begun {
            return Err(BatchError::NotBegun);
        }
        let mut budget = ChunkBudget::WHOLE;
        let mut items = message.items();
        let mut chunks = Vec::new();
        while let Some(item) = self.state.decode(&mut items, limits, &mut budget, &mut resolve)? {
            let LiveItem::Chunk(chunk) = item else {
                return Err(BatchError::BadNumber { field: BatchField::Control, offset: 0 });
            };
            self.extend_check(chunk.entity, &chunk.collection, chunk.kind, &chunk.bytes);
            chunks.push(chunk);
        }
        if message.fits(&self.check) { Ok(chunks) } else { Err(BatchError::WrongCheck) }
    }

    fn extend_check(&mut self, entity: EntityId, collection: &Collection, kind: ChunkKind, bytes: &[u8]) {
        let name = collection.as_str().as_bytes();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.check).update(entity.as_bytes()).update(&[kind.number()]);
        hasher.update(blake3::hash(bytes).as_bytes()).update(name);
        self.check = *hasher.finalize().as_bytes();
    }
}

/// The bytes of a hash that travel as a check.
pub(super) fn check_of(hash: &[u8; 32]) -> [u8; LIVE_CHECK_BYTES] {
    let [a, b, c, d, ..] = *hash;
    [a, b, c, d]
}
