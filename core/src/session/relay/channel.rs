//! One space within a relay's session.

use super::own::Own;
use super::run::{LogRun, parts};
use super::{AppendAnswer, ChunkVerdict, OpenAnswer, ReadAnswer, ReadRequest};
use crate::durable::Durable;
use crate::id::{LogId, SpaceId};
use crate::limits::BATCH_BYTES_MAX;
use crate::log::{Cursor, Sequence};
use crate::wire::{
    self, CaughtUp, Channel, Chunks, Opened, PushNumber, Receipt, ReceiptRun, Refused, Reset, Segment, SpaceCode,
    ToDevice,
};
use minicbor::bytes::ByteArray;

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The log has not answered the `Open` yet.
    Opening,
    /// Served from `position`.
    Live {
        /// Everything up to here has been sent.
        position: Cursor,
        /// The highest position told in anything; receipts can be ahead of the reader.
        told: Cursor,
        /// `CaughtUp` is due once the position reaches this.
        due: Option<Sequence>,
    },
    /// A Reset or a refusal was sent: everything is ignored until the next `Open`.
    Deaf,
}

/// One space within a relay's session.
#[derive(Debug)]
pub(super) struct RelayChannel {
    channel: Channel,
    space: SpaceId,
    phase: Phase,
    without_cursor: bool,
    raw: bool,
    /// Where chunks of this session stand in the log, above the position.
    own: Own,
}

impl RelayChannel {
    pub(super) fn new(channel: Channel, space: SpaceId, without_cursor: bool, raw: bool) -> Self {
        Self { channel, space, phase: Phase::Opening, without_cursor, raw, own: Own::default() }
    }

    pub(super) fn space(&self) -> SpaceId {
        self.space
    }

    /// The highest position told; `None` when pushes are to be ignored.
    pub(super) fn told(&self) -> Option<Cursor> {
        match self.phase {
            Phase::Live { told, .. } => Some(told),
            Phase::Opening | Phase::Deaf => None,
        }
    }

    pub(super) fn opened(&mut self, answer: OpenAnswer) -> Vec<ToDevice<'static>> {
        match answer {
            OpenAnswer::Reset(log) => vec![self.reset(log)],
            OpenAnswer::Refused(code) => vec![self.refuse(code)],
            OpenAnswer::Served { position, head } => {
                self.phase = Phase::Live { position, told: position, due: Some(head) };
                let opened = Opened { channel: self.channel, log: position.log };
                let opened = self.without_cursor.then_some(ToDevice::Opened(opened));
                opened.into_iter().chain(self.caught_up()).collect()
            }
        }
    }

    pub(super) fn catch_up(&mut self, head: Sequence) {
        if let Phase::Live { due, .. } = &mut self.phase {
            *due = Some(due.map_or(head, |due| due.max(head)));
        }
    }

    pub(super) fn appended(&mut self, push: PushNumber, answer: Durable<AppendAnswer>) -> Option<ToDevice<'static>> {
        let Phase::Live { position, told, .. } = &mut self.phase else { return None };
        match answer.into_inner() {
            AppendAnswer::Reset(log) => Some(self.reset(log)),
            AppendAnswer::Refused(code) => Some(self.refuse(code)),
            AppendAnswer::Verdicts(verdicts) => {
                for (index, verdict) in (0..).zip(&verdicts) {
                    match *verdict {
                        ChunkVerdict::Stored { sequence, chain } => {
                            raise(told, sequence, chain);
                            if sequence > position.sequence {
                                self.own.note(sequence, push, index);
                            }
                        }
                        ChunkVerdict::Duplicate { sequence, chain } => raise(told, sequence, chain),
                        ChunkVerdict::Refused { .. } => {}
                    }
                }
                Some(ToDevice::Receipt(Receipt { push, runs: runs(verdicts) }))
            }
        }
    }

    pub(super) fn read(&self, head: Sequence) -> Option<ReadRequest> {
        match self.phase {
            Phase::Live { position, told, .. } if position.sequence < head => Some(ReadRequest {
                channel: self.channel,
                space: self.space,
                position,
                told,
                bytes_max: BATCH_BYTES_MAX,
            }),
            _ => None,
        }
    }

    pub(super) fn deliver(&mut self, answer: &ReadAnswer) -> Vec<Vec<u8>> {
        match (self.phase, answer) {
            (Phase::Live { .. }, ReadAnswer::Run(run)) => self.deliver_run(run),
            (Phase::Live { .. }, ReadAnswer::Reset(log)) => vec![wire::encode_to_device(&self.reset(*log))],
            (Phase::Live { .. }, ReadAnswer::Refused(code)) => vec![wire::encode_to_device(&self.refuse(*code))],
            _ => Vec::new(),
        }
    }

    /// Whether the run continues exactly what this reader has, and agrees with everything it was told.
    pub(super) fn stands_before(&self, run: &LogRun) -> bool {
        let Phase::Live { position, told, .. } = self.phase else { return false };
        position == run.before()
            && (told.sequence <= position.sequence
                || run.entries().iter().any(|entry| entry.sequence == told.sequence && entry.chain == told.chain))
    }

    pub(super) fn deliver_run(&mut self, run: &LogRun) -> Vec<Vec<u8>> {
        let Phase::Live { position, told, due } = &mut self.phase else { return Vec::new() };
        if *position != run.before() || run.entries().is_empty() {
            if *position == run.before() {
                // Nothing follows, so this is the end, wherever the caller thought that it was.
                *due = due.map(|due| due.min(position.sequence));
            }
            return self.caught_up().iter().map(wire::encode_to_device).collect();
        }
        let after = run.after();
        let parts = parts(run, self.raw, |sequence| self.own.find(sequence));
        let segments: Vec<Segment<'_>> = parts.iter().map(super::run::Part::segment).collect();
        let chunks = Chunks {
            channel: self.channel,
            after: run.before().sequence,
            segments,
            check: ByteArray::from(after.chain.check()),
        };
        let mut messages = vec![wire::encode_to_device(&ToDevice::Chunks(chunks))];
        *position = after;
        raise(told, after.sequence, after.chain);
        self.own.forget_up_to(after.sequence);
        messages.extend(self.caught_up().iter().map(wire::encode_to_device));
        messages
    }

    fn caught_up(&mut self) -> Option<ToDevice<'static>> {
        let Phase::Live { position, due, .. } = &mut self.phase else { return None };
        due.take_if(|due| position.sequence >= *due)?;
        Some(ToDevice::CaughtUp(CaughtUp {
            channel: self.channel,
            sequence: position.sequence,
            check: ByteArray::from(position.chain.check()),
        }))
    }

    fn reset(&mut self, log: LogId) -> ToDevice<'static> {
        self.phase = Phase::Deaf;
        self.own.clear();
        ToDevice::Reset(Reset { channel: self.channel, log })
    }

    fn refuse(&mut self, code: SpaceCode) -> ToDevice<'static> {
        self.phase = Phase::Deaf;
        self.own.clear();
        ToDevice::Refused(Refused { channel: self.channel, code, retry_after_ms: None })
    }
}

fn raise(told: &mut Cursor, sequence: Sequence, chain: crate::log::ChainHash) {
    if sequence > told.sequence {
        *told = Cursor { log: told.log, sequence, chain };
    }
}

/// Run-length encodes verdicts.
fn runs(verdicts: Vec<ChunkVerdict>) -> Vec<ReceiptRun> {
    let mut runs: Vec<ReceiptRun> = Vec::new();
    for verdict in verdicts {
        match (verdict, runs.last_mut()) {
            (ChunkVerdict::Stored { sequence, .. }, Some(ReceiptRun::Stored { first, count }))
                if first.plus(*count) == sequence =>
            {
                *count += 1;
            }
            (ChunkVerdict::Duplicate { sequence, .. }, Some(ReceiptRun::Duplicate { first, count }))
                if first.plus(*count) == sequence =>
            {
                *count += 1;
            }
            (
                ChunkVerdict::Refused { code, missing },
                Some(ReceiptRun::Refused { code: last, count, missing: none }),
            ) if *last == code && none.is_empty() && missing.is_empty() => *count += 1,
            (ChunkVerdict::Stored { sequence, .. }, _) => runs.push(ReceiptRun::Stored { first: sequence, count: 1 }),
            (ChunkVerdict::Duplicate { sequence, .. }, _) => {
                runs.push(ReceiptRun::Duplicate { first: sequence, count: 1 });
            }
            (ChunkVerdict::Refused { code, missing }, _) => runs.push(ReceiptRun::Refused { code, count: 1, missing }),
        }
    }
    runs
}
