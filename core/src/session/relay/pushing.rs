//! Understanding pushes, plain and live.

use super::{AppendRequest, Phase, RelayRequest, RelaySession};
use crate::id::{EntityId, SpaceId};
use crate::limits::{LOG_NAMES_BEHIND_MAX, LOG_NAMES_MAX, Limits, UNAUTHENTICATED_BYTES_MAX};
use crate::log::{Cursor, Sequence};
use crate::session::SessionError;
use crate::wire::{self, Channel, ChunkBudget, LIVE_PUSH_CHANNELS_MAX, LiveKind, LiveMessage, PushNumber};
use automerge::ChangeHash;

impl RelaySession {
    pub(super) fn handle_push(
        &mut self,
        frame: &wire::Push<'_>,
        resolve: Resolve<'_>,
    ) -> Result<Option<RelayRequest>, SessionError> {
        if frame.number != PushNumber(self.next_push) {
            return Err(SessionError::Order { frame: "Push", problem: "with a number that does not follow" });
        }
        self.next_push = self.next_push.saturating_add(1);
        let (channel, limits) = (frame.channel, self.limits);
        let Some((space, told)) = self.pushed_to(channel, "Push")? else { return Ok(None) };
        let mut budget = ChunkBudget::WHOLE;
        let chunks = wire::decode_batch_over_log(frame.batch, &limits, &mut budget, named(space, told, resolve))
            .map_err(|source| SessionError::Batch { frame: "Push", source })?;
        let Some(state) = self.channels.get_mut(&channel) else { return Ok(None) };
        state.stream = None;
        state.await_answer(frame.number, &chunks, false);
        Ok(Some(RelayRequest::Append(AppendRequest { channel, space, push: frame.number, told, chunks })))
    }

    /// Handles a live push: one whose number is one more than that of the push before, on any channel.
    pub(super) fn handle_live(
        &mut self,
        message: &LiveMessage<'_>,
        resolve: Resolve<'_>,
    ) -> Result<Option<RelayRequest>, SessionError> {
        const FRAME: &str = "live Push";
        let order = |problem| Err(SessionError::Order { frame: FRAME, problem });
        match (message.kind(), self.phase) {
            (LiveKind::Chunks, _) => return order("that is none"),
            (LiveKind::Push, Phase::Live) => {}
            (LiveKind::Push, _) => return order("before Welcome"),
        }
        let (channel, limits) = (message.channel(), self.limits);
        let push = PushNumber(self.next_push);
        self.next_push = self.next_push.saturating_add(1);
        let Some((space, told)) = self.pushed_to(channel, FRAME)? else { return Ok(None) };
        let streams = self.channels.values().filter(|state| state.stream.is_some()).count();
        let Some(state) = self.channels.get_mut(&channel) else { return Ok(None) };
        if state.stream.is_none() && streams >= LIVE_PUSH_CHANNELS_MAX {
            return order("on more channels than may have them");
        }
        let stream = state.stream.get_or_insert_default();
        let chunks = stream
            .decode(message, push, &limits, named(space, told, resolve))
            .map_err(|source| SessionError::Batch { frame: FRAME, source })?;
        state.await_answer(push, &chunks, true);
        Ok(Some(RelayRequest::Append(AppendRequest { channel, space, push, told, chunks })))
    }

    /// The space that is pushed to, with what this session was told of it; `None` when the push is to be ignored.
    fn pushed_to(&self, channel: Channel, frame: &'static str) -> Result<Option<(SpaceId, Cursor)>, SessionError> {
        let state = self.opened_channel(channel, frame)?;
        let in_flight = self.channels.values().map(|state| state.in_flight()).fold(InFlight::default(), InFlight::and);
        if in_flight.leaves_no_room(&self.limits) {
            return Err(SessionError::Order { frame, problem: "while as much as the relay takes awaits its receipt" });
        }
        Ok(state.and_then(|state| Some((state.space(), state.told()?))))
    }
}

/// What a session has pushed and has no receipt for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct InFlight {
    pub(super) chunks: usize,
    pub(super) bytes: usize,
}

impl InFlight {
    pub(super) fn and(self, other: Self) -> Self {
        Self { chunks: self.chunks.saturating_add(other.chunks), bytes: self.bytes.saturating_add(other.bytes) }
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self { chunks: self.chunks.saturating_sub(other.chunks), bytes: self.bytes.saturating_sub(other.bytes) }
    }

    /// Whether nothing more may be pushed. A device is told the limits in `Welcome` and may have pushed before, so some is always taken.
    fn leaves_no_room(self, limits: &Limits) -> bool {
        self.chunks >= limits.in_flight_chunks_max.max(EARLY_CHUNKS_MAX)
            || self.bytes >= limits.in_flight_bytes_max.max(UNAUTHENTICATED_BYTES_MAX)
    }
}

/// The most chunks that a device may push before it is welcome: a change has more than 16 bytes, as many as the id of its actor alone.
const EARLY_CHUNKS_MAX: usize = UNAUTHENTICATED_BYTES_MAX / 16;

/// What finds the entity and the hash of the change at a position of a space's log.
pub(super) type Resolve<'r> = &'r mut dyn FnMut(SpaceId, Sequence) -> Option<(EntityId, ChangeHash)>;

/// Finds what a push names by its position: at most so many, and none that the session was not told of.
fn named(space: SpaceId, told: Cursor, resolve: Resolve<'_>) -> impl FnMut(Sequence) -> Option<(EntityId, ChangeHash)> {
    let mut left = LOG_NAMES_MAX;
    move |sequence| {
        left = left.checked_sub(1)?;
        let is_told = Sequence::ZERO < sequence && sequence <= told.sequence;
        let is_near = told.sequence.get().saturating_sub(sequence.get()) <= LOG_NAMES_BEHIND_MAX;
        if is_told && is_near { resolve(space, sequence) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LogId;

    #[test]
    fn a_push_names_so_many_places_and_none_that_was_not_told() {
        let start = Cursor::start(LogId::from_bytes([4; 16]));
        let told = Cursor { sequence: Sequence::new(9), ..start };
        let space = SpaceId::from_bytes([1; 16]);
        let mut asked = Vec::new();
        let mut log = |of, sequence: Sequence| {
            assert_eq!(of, space, "R6");
            asked.push(sequence.get());
            Some((EntityId::from_bytes([6; 16]), ChangeHash([7; 32])))
        };
        let mut resolve = named(space, told, &mut log);
        assert!(resolve(Sequence::ZERO).is_none() && resolve(Sequence::new(10)).is_none());
        let found = (0..LOG_NAMES_MAX).filter(|_| resolve(Sequence::new(9)).is_some()).count();
        assert_eq!(found, LOG_NAMES_MAX - 2, "each that is named is counted");
        drop(resolve);
        assert!(asked.iter().all(|sequence| *sequence == 9));
    }
}
