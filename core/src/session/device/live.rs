//! What is typed now: live pushes out, live chunks in.

use super::channel::SpaceChannel;
use super::follow::Follow;
use super::{DeviceEvent, PushedChunk};
use crate::limits::LOG_NAMES_MAX;
use crate::log::ChunkKind;
use crate::session::SessionError;
use crate::session::size::is_few;
use crate::wire::{self, BatchChunk, BatchError, Channel, LiveMessage, PushNumber, ToRelay};
use std::collections::VecDeque;

/// What live chunks are called in errors.
pub(super) const FRAME: &str = "live Chunks";

/// In what form something may be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushForm {
    /// As a plain one that names nothing by its position in the log.
    Plain,
    /// In the smallest form; `may_begin` says whether one more stream of live pushes may begin in the session.
    Best { may_begin: bool },
}

impl SpaceChannel {
    /// Writes the message of a push: a live one where it is small, else a plain one.
    pub(super) fn push(
        &mut self,
        channel: Channel,
        number: PushNumber,
        chunks: Vec<PushedChunk>,
        form: PushForm,
    ) -> Vec<u8> {
        let bytes = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        let may_be_live = match form {
            PushForm::Plain => false,
            PushForm::Best { may_begin } => may_begin || self.stream.is_some(),
        };
        let are_changes = chunks.iter().all(|chunk| chunk.kind == ChunkKind::Change);
        let is_live = may_be_live && are_changes && is_few(chunks.len(), bytes) && self.pushes.may_keep(bytes);
        let pushed: Vec<_> = chunks.iter().map(batch_chunk).collect();
        let mut names_left = if form == PushForm::Plain { 0 } else { LOG_NAMES_MAX };
        let end = self.end();
        let known_at = |entity, hash| {
            let sequence = self.known.find(entity, hash, end).filter(|_| names_left > 0)?;
            names_left -= 1;
            Some(sequence)
        };
        let message = if is_live {
            self.stream.get_or_insert_default().encode(channel, number, &pushed, known_at)
        } else {
            let batch = wire::encode_batch_over_log(pushed.iter().copied(), known_at);
            self.stream = None;
            wire::encode_to_relay(&ToRelay::Push(wire::Push { number, channel, batch: batch.as_slice().into() }))
        };
        self.pushes.add(number, chunks, is_live);
        message
    }

    /// Takes live chunks, which continue the cursor. `may_begin` says whether one more channel of the session may be in an
    /// epoch.
    pub(super) fn handle_live(
        &mut self,
        message: &LiveMessage<'_>,
        may_begin: bool,
        events: &mut VecDeque<DeviceEvent>,
    ) -> Result<(), SessionError> {
        let from = self.position(FRAME)?;
        if message.begins() {
            if !may_begin && self.reading.is_none() {
                return Err(SessionError::Order { frame: FRAME, problem: "on more channels than may have them" });
            }
            self.reading = Some(Box::default());
        }
        let undecoded = |source| SessionError::Batch { frame: FRAME, source };
        // What is left of it after an error is of no use, and the session ends.
        let mut state = self.reading.take().ok_or_else(|| undecoded(BatchError::NotBegun))?;
        let mut follow = Follow::chain(FRAME, from);
        follow.live(message, &mut state, &mut self.pushes)?;
        let to = follow.end_of_chain().unwrap_or(from);
        if !message.fits(state.chunks_check(&to.chain)) {
            return Err(undecoded(BatchError::WrongCheck));
        }
        self.reading = Some(state);
        self.advance(from, to, follow, events);
        Ok(())
    }
}

fn batch_chunk(chunk: &PushedChunk) -> BatchChunk<'_> {
    let PushedChunk { entity, collection, kind, bytes, .. } = chunk;
    BatchChunk { entity: *entity, collection, kind: *kind, bytes }
}
