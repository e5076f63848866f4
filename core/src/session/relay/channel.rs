//! One space within a relay's session.

use super::given::{GivenPages, GivenSnapshots};
use super::live::LiveEpoch;
use super::own::{Origin, Own};
use super::pushing::InFlight;
use super::run::{LogEntry, LogRun, parts};
use super::{AppendAnswer, ChunkVerdict, OpenAnswer, PageAnswer, PageRequest, ReadAnswer, ReadRequest};
use crate::durable::Durable;
use crate::filter::Filter;
use crate::id::{Collection, EntityId, LogId, SpaceId};
use crate::limits::{BATCH_BYTES_MAX, SILENT_SEQUENCES_MAX};
use crate::log::{ChunkKind, Cursor, Sequence};
use crate::role::Role;
use crate::wire::{
    self, CaughtUp, Channel, Chunks, DecodedChunk, EntityIds, Fetch, Fetched, Jump, Opened, Places, PushNumber,
    PushStream, Receipt, ReceiptRun, Refused, Reset, Seen, Segment, SpaceCode, ToDevice,
};
use minicbor::bytes::ByteArray;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many pieces of a run that was just appended are cut for one reader; one that wants more reads them from the log.
const FRESH_PIECES_MAX: usize = 16;
/// How many entities are remembered as announced, so that each edit of one does not announce it anew (invariant R8).
const ANNOUNCED_MAX: usize = 1_024;

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The log has not answered the `Open` yet.
    Opening,
    /// Served from `position`.
    Live {
        /// Everything up to here that the reader wants has been sent, and it knows.
        position: Cursor,
        /// Nothing that it wants stands between `position` and here, of which it was told nothing yet.
        scanned: Cursor,
        /// The highest position told in anything; receipts can be ahead of the reader.
        told: Cursor,
        /// `CaughtUp` is due once the position reaches this.
        due: Option<Sequence>,
    },
    /// A Reset or a refusal was sent: everything is ignored until the next `Open`.
    Deaf,
}

/// How a device opened a space, as far as its session goes on to need it.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) channel: Channel,
    pub(super) space: SpaceId,
    pub(super) without_cursor: bool,
    pub(super) raw: bool,
    pub(super) filter: Filter,
    pub(super) partial: bool,
}

/// One space within a relay's session.
#[derive(Debug)]
pub(super) struct RelayChannel {
    pub(super) channel: Channel,
    space: SpaceId,
    phase: Phase,
    /// What the session may do with the space, as it was when its log was read last.
    role: Role,
    without_cursor: bool,
    raw: bool,
    filter: Arc<Filter>,
    /// Whether the device lacks some of what the filter names, below its cursor.
    partial: bool,
    /// Where chunks of this session stand in the log, above the position.
    pub(super) own: Own,
    /// The own chunk after the last one that was named.
    pub(super) next_own: u64,
    /// How many chunks were pushed on the channel.
    pushed: u64,
    /// The pushes that wait for their answer. Each holds chunks that wait in the relay, and is far smaller (invariant R8).
    unanswered: VecDeque<(Origin, InFlight)>,
    /// What these hold together.
    in_flight: InFlight,
    /// The stream of live pushes, once it has begun.
    pub(super) stream: Option<Box<PushStream>>,
    /// The epoch of live chunks that the reader is in.
    pub(super) epoch: Option<LiveEpoch>,
    /// Entities that were announced lately.
    announced: BTreeSet<EntityId>,
    /// The snapshots that the reader was given, as long as they cover something above its position.
    given: Arc<GivenSnapshots>,
    given_pages: GivenPages,
    /// How far the device has stored the log.
    stored: Sequence,
    /// How far it was told that another device has.
    seen: Sequence,
    /// How far it may want to know that.
    seen_wanted: Sequence,
}

impl RelayChannel {
    pub(super) fn new(opening: Opening) -> Self {
        let Opening { channel, space, without_cursor, raw, filter, partial } = opening;
        Self {
            channel,
            space,
            phase: Phase::Opening,
            role: Role::Reader,
            without_cursor,
            raw,
            filter: Arc::new(filter),
            partial,
            own: Own::default(),
            next_own: 0,
            pushed: 0,
            unanswered: VecDeque::new(),
            in_flight: InFlight::default(),
            stream: None,
            epoch: None,
            announced: BTreeSet::new(),
            given: Arc::default(),
            given_pages: GivenPages::default(),
            stored: Sequence::ZERO,
            seen: Sequence::ZERO,
            seen_wanted: Sequence::ZERO,
        }
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

    /// What the reader wants.
    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    pub(super) fn opened(&mut self, answer: OpenAnswer) -> Vec<ToDevice<'static>> {
        match answer {
            OpenAnswer::Reset(log) => vec![self.reset(log)],
            OpenAnswer::Refused(code) => vec![self.refuse(code)],
            OpenAnswer::Served { position, head, role } => {
                self.role = role;
                self.phase = Phase::Live { position, scanned: position, told: position, due: Some(head) };
                (self.stored, self.seen_wanted) = (position.sequence, head);
                let opened = Opened { channel: self.channel, log: position.log, role: self.told_role() };
                let opened = self.without_cursor.then_some(ToDevice::Opened(opened));
                opened.into_iter().chain(self.caught_up()).collect()
            }
        }
    }

    /// Whether the device lacks some of what the filter names, below its cursor.
    pub(super) fn is_partial(&self) -> bool {
        self.partial
    }

    /// Puts another filter in the place of the one before; what was passed without a word is looked at again.
    pub(super) fn set_filter(&mut self, filter: Filter, partial: bool) {
        (self.filter, self.partial) = (Arc::new(filter), partial);
        self.announced.clear();
        self.given = Arc::default();
        if let Phase::Live { position, scanned, .. } = &mut self.phase {
            *scanned = *position;
        }
    }

    pub(super) fn catch_up(&mut self, head: Sequence) {
        if let Phase::Live { due, .. } = &mut self.phase {
            *due = Some(due.map_or(head, |due| due.max(head)));
        }
    }

    /// Notes a push whose answer is awaited.
    pub(super) fn await_answer(&mut self, number: PushNumber, chunks: &[DecodedChunk], is_live: bool) {
        let pushed = InFlight { chunks: chunks.len(), bytes: chunks.iter().map(|chunk| chunk.bytes.len()).sum() };
        self.unanswered.push_back((Origin { number, first: self.pushed, is_live }, pushed));
        self.in_flight = self.in_flight.and(pushed);
        self.pushed = self.pushed.saturating_add(pushed.chunks as u64);
    }

    /// What was pushed and has no answer yet.
    pub(super) fn in_flight(&self) -> InFlight {
        self.in_flight
    }

    /// Takes the push that an answer is to. The answers come in the order of the pushes.
    fn answered(&mut self, number: PushNumber) -> Option<Origin> {
        while self.unanswered.front().is_some_and(|(origin, _)| origin.number <= number)
            && let Some((origin, pushed)) = self.unanswered.pop_front()
        {
            self.in_flight = self.in_flight.without(pushed);
            if origin.number == number {
                return Some(origin);
            }
        }
        None
    }

    pub(super) fn appended(&mut self, push: PushNumber, answer: Durable<AppendAnswer>) -> Vec<ToDevice<'static>> {
        let origin = self.answered(push);
        let Phase::Live { position, told, .. } = &mut self.phase else { return Vec::new() };
        match answer.into_inner() {
            AppendAnswer::Reset(log) => vec![self.reset(log)],
            AppendAnswer::Refused(code) => vec![self.refuse(code)],
            AppendAnswer::Verdicts(verdicts) => {
                for (index, verdict) in (0..).zip(&verdicts) {
                    match *verdict {
                        ChunkVerdict::Stored { sequence, chain, is_as_pushed } => {
                            raise(told, sequence, chain);
                            // What the device has kept of the push is not what other readers observe of such a chunk.
                            let origin =
                                origin.map(|origin| Origin { is_live: origin.is_live && is_as_pushed, ..origin });
                            if let Some(origin) = origin.filter(|_| sequence > position.sequence) {
                                self.own.note(sequence, origin, index);
                            }
                        }
                        ChunkVerdict::Duplicate { sequence, chain } => raise(told, sequence, chain),
                        ChunkVerdict::Refused { .. } => {}
                    }
                }
                self.seen_wanted = self.seen_wanted.max(told.sequence);
                vec![ToDevice::Receipt(Receipt { push, runs: runs(verdicts) })]
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
                filter: self.filter.clone(),
                snapshots: (!self.raw).then(|| Arc::clone(&self.given)),
            }),
            _ => None,
        }
    }

    /// The request for a page of what a device asked for; `None` when that is to be ignored.
    pub(super) fn page(&self, fetch: &Fetch, filter: &Arc<Filter>) -> Option<PageRequest> {
        let Phase::Live { position, told, .. } = self.phase else { return None };
        let &Fetch { channel, number, after, changes, .. } = fetch;
        let snapshots = (!changes && !self.raw).then(|| self.given_pages.before(filter, after));
        let (space, filter, bytes_max) = (self.space, filter.clone(), BATCH_BYTES_MAX);
        Some(PageRequest { channel, space, number, position, told, filter, after, snapshots, bytes_max })
    }

    pub(super) fn deliver_page(&mut self, request: &PageRequest, answer: &PageAnswer) -> Vec<u8> {
        self.note_page(answer);
        match answer {
            PageAnswer::Reset(log) => wire::encode_to_device(&self.reset(*log)),
            PageAnswer::Refused(code) => wire::encode_to_device(&self.refuse(*code)),
            PageAnswer::Page { run, done, unknown } => {
                let steps = (request.after, run.after().sequence);
                self.given_pages.note(&request.filter, steps, request.snapshots.as_ref(), run.snapshots());
                let parts = parts(run, self.raw, |_| None, |_| true);
                let announced = by_collection(run.announced());
                let mut segments = announced_segments(&announced);
                segments.extend(run.snapshot_segments());
                segments.extend(run.erasure_segments());
                segments.extend(parts.iter().map(super::run::Part::segment));
                let sequences = run.entries().iter().map(|entry| entry.sequence);
                wire::encode_to_device(&ToDevice::Fetched(Fetched {
                    number: request.number,
                    segments,
                    places: Places::of(run.before().sequence, sequences),
                    upto: run.after().sequence,
                    done: *done,
                    unknown: EntityIds(unknown.clone()),
                }))
            }
        }
    }

    /// Notes the last position that a page tells of: from there on the log has to stay the one that it was, or the reader was
    /// given something that then stands nowhere (R4).
    fn note_page(&mut self, answer: &PageAnswer) {
        if let (Phase::Live { told, .. }, PageAnswer::Page { run, .. }) = (&mut self.phase, answer) {
            let last = run.entries().last();
            last.into_iter().for_each(|last| raise(told, last.sequence, last.chain));
            raise_by_snapshots(told, run);
        }
    }

    pub(super) fn deliver(&mut self, answer: &ReadAnswer) -> Vec<Vec<u8>> {
        match (self.phase, answer) {
            (Phase::Live { .. }, ReadAnswer::Run { run, role }) => {
                self.role = *role;
                self.deliver_run(run)
            }
            (Phase::Live { .. }, ReadAnswer::Reset(log)) => vec![wire::encode_to_device(&self.reset(*log))],
            (Phase::Live { .. }, ReadAnswer::Refused(code)) => vec![wire::encode_to_device(&self.refuse(*code))],
            _ => Vec::new(),
        }
    }

    /// Whether the run continues exactly what this reader has, and agrees with everything it was told. One of which it
    /// wants too many pieces is better read from the log for it.
    pub(super) fn stands_before(&self, run: &LogRun) -> bool {
        let Phase::Live { scanned, told, .. } = self.phase else { return false };
        scanned == run.before()
            && (told.sequence <= scanned.sequence
                || run.entries().iter().any(|entry| entry.sequence == told.sequence && entry.chain == told.chain))
            && self.pieces(run) <= FRESH_PIECES_MAX
    }

    /// Whether this reader is to get every chunk of a run that follows what it has, in whatever form is best.
    pub(super) fn reads_everything_from(&self, run: &LogRun) -> bool {
        let stands = matches!(self.phase, Phase::Live { position, .. } if position == run.before());
        stands && !self.raw && *self.filter == Filter::Everything && !run.is_empty()
    }

    /// How many pieces the reader wants of a run.
    fn pieces(&self, run: &LogRun) -> usize {
        if *self.filter == Filter::Everything {
            return 1;
        }
        run.entries().chunk_by(|one, next| self.wants(one) == self.wants(next)).count()
    }

    fn wants(&self, entry: &LogEntry) -> bool {
        // That something is no more concerns whoever may have had it.
        entry.kind == ChunkKind::Erasure || self.filter.includes(entry.entity, &entry.collection)
    }

    pub(super) fn deliver_run(&mut self, run: &LogRun) -> Vec<Vec<u8>> {
        let Phase::Live { position, scanned, due, .. } = &mut self.phase else { return Vec::new() };
        let follows = *position == run.before() || *scanned == run.before();
        if follows {
            // It may have been as high as a number can be, where nobody knew the end of the log.
            *due = due.map(|due| due.min(run.head()));
        }
        if !follows || run.is_empty() {
            if follows {
                *scanned = run.before();
            }
            return self.caught_up().iter().map(wire::encode_to_device).collect();
        }
        let (before, after) = (*position, run.after());
        let is_whole = before == run.before() && run.is_whole() && run.entries().iter().all(|entry| self.wants(entry));
        let mut messages = Vec::new();
        if is_whole {
            messages.push(self.chunks(run));
            self.pass(after);
        } else {
            messages.extend(self.jump(run, before));
        }
        messages.extend(self.caught_up().iter().map(wire::encode_to_device));
        messages
    }

    /// What follows once live chunks have brought a run.
    pub(super) fn pass_live(&mut self, run: &LogRun, epoch: LiveEpoch) {
        self.name_own(run);
        self.pass(run.after());
        self.epoch = Some(epoch);
    }

    fn chunks(&mut self, run: &LogRun) -> Vec<u8> {
        self.name_own(run);
        let parts = parts(run, self.raw, |sequence| self.own.find(sequence), |_| true);
        let segments: Vec<Segment<'_>> = parts.iter().map(super::run::Part::segment).collect();
        wire::encode_to_device(&ToDevice::Chunks(Chunks {
            channel: self.channel,
            after: run.before().sequence,
            segments,
            check: ByteArray::from(run.after().chain.check()),
            left: self.left(run.after()),
        }))
    }

    /// How many places follow a position before `CaughtUp` is due.
    fn left(&self, after: Cursor) -> Option<u64> {
        let Phase::Live { due, .. } = self.phase else { return None };
        due?.get().checked_sub(after.sequence.get()).filter(|left| *left > 0)
    }

    /// Passes a run of which the reader does not want everything: with a word where there is something to tell.
    fn jump(&mut self, run: &LogRun, before: Cursor) -> Option<Vec<u8>> {
        self.name_own(run);
        let own = |sequence| self.own.find(sequence);
        let parts = parts(run, self.raw, own, |entry| self.wants(entry));
        let travels = |entry: &&LogEntry| own(entry.sequence).is_some() || self.wants(entry);
        let sequences = run.entries().iter().filter(travels).map(|entry| entry.sequence);
        let places = Places::of(before.sequence, sequences);
        let skipped = run.entries().iter().filter(|entry| !travels(entry));
        let skipped = skipped.filter(|entry| self.filter.announces(&entry.collection));
        let skipped = skipped.map(|entry| (entry.collection.clone(), entry.entity));
        let announced: BTreeSet<_> = skipped.chain(run.announced().iter().cloned()).collect();
        let announced: Vec<_> = announced.into_iter().filter(|(_, entity)| !self.announced.contains(entity)).collect();
        let after = run.after();
        let silent = after.sequence.get().saturating_sub(before.sequence.get());
        let is_due = match self.phase {
            Phase::Live { told, due, .. } => {
                told.sequence > before.sequence || due.is_some_and(|due| after.sequence >= due)
            }
            Phase::Opening | Phase::Deaf => false,
        };
        let grouped = by_collection(&announced);
        let mut segments = announced_segments(&grouped);
        segments.extend(run.snapshot_segments());
        segments.extend(run.erasure_segments());
        segments.extend(parts.iter().map(super::run::Part::segment));
        if segments.is_empty() && !is_due && silent < SILENT_SEQUENCES_MAX {
            if let Phase::Live { scanned, .. } = &mut self.phase {
                *scanned = after;
            }
            return None;
        }
        let jump = self.jump_frame(before, after, segments, places);
        let message = wire::encode_to_device(&ToDevice::Jump(jump));
        if self.announced.len() + announced.len() > ANNOUNCED_MAX {
            self.announced.clear();
        }
        self.announced.extend(announced.into_iter().take(ANNOUNCED_MAX).map(|(_, entity)| entity));
        if !run.snapshots().is_empty() {
            Arc::make_mut(&mut self.given).note(run.snapshots());
        }
        self.pass(after);
        if let Phase::Live { told, .. } = &mut self.phase {
            raise_by_snapshots(told, run);
        }
        Some(message)
    }

    fn jump_frame<'s>(&self, before: Cursor, after: Cursor, segments: Vec<Segment<'s>>, places: Places) -> Jump<'s> {
        Jump {
            channel: self.channel,
            after: before.sequence,
            check: ByteArray::from(before.chain.check()),
            segments,
            places,
            upto: after.sequence,
            chain: after.chain,
            left: self.left(after),
        }
    }

    /// Notes that the reader's own chunks of a run are named to it.
    fn name_own(&mut self, run: &LogRun) {
        let last = run.entries().iter().rev().find_map(|entry| self.own.find(entry.sequence));
        if let Some(last) = last {
            self.next_own = last.ordinal().saturating_add(1);
        }
    }

    /// Notes that the reader has been told of everything up to a position, and with that has left its epoch.
    fn pass(&mut self, after: Cursor) {
        self.epoch = None;
        if let Phase::Live { position, scanned, told, .. } = &mut self.phase {
            (*position, *scanned) = (after, after);
            raise(told, after.sequence, after.chain);
            self.own.forget_up_to(after.sequence);
        }
        if !self.given.is_empty() {
            Arc::make_mut(&mut self.given).forget_up_to(after.sequence);
        }
    }

    /// Forgets what the reader was given: it starts anew.
    fn forget_given(&mut self) {
        self.given = Arc::default();
        self.given_pages.clear();
    }

    /// Whether the reader was told of something that was passed without a word: a receipt for it proves nothing before the
    /// cursor has passed it, too. No transaction has checked lately what was passed, so the log is to be read again (R4).
    pub(super) fn owes_a_jump(&self) -> bool {
        match self.phase {
            Phase::Live { position, scanned, told, .. } => {
                told.sequence > position.sequence && told.sequence <= scanned.sequence
            }
            Phase::Opening | Phase::Deaf => false,
        }
    }

    fn jump_to_scanned(&mut self) -> Option<ToDevice<'static>> {
        let Phase::Live { position, scanned, .. } = self.phase else { return None };
        if position.sequence == scanned.sequence {
            return None;
        }
        let jump = self.jump_frame(position, scanned, Vec::new(), Places::default());
        self.pass(scanned);
        Some(ToDevice::Jump(jump))
    }

    /// The role as frames tell it: not at all to an owner.
    fn told_role(&self) -> Option<Role> {
        (self.role < Role::Owner).then_some(self.role)
    }

    pub(super) fn caught_up(&mut self) -> Vec<ToDevice<'static>> {
        let Phase::Live { scanned, due, .. } = &mut self.phase else { return Vec::new() };
        if due.take_if(|due| scanned.sequence >= *due).is_none() {
            return Vec::new();
        }
        let at = *scanned;
        let caught_up = ToDevice::CaughtUp(CaughtUp {
            channel: self.channel,
            sequence: at.sequence,
            check: ByteArray::from(at.chain.check()),
            role: self.told_role(),
        });
        self.jump_to_scanned().into_iter().chain([caught_up]).collect()
    }

    /// Notes how far the device says that it has stored the log: at most what it was told.
    pub(super) fn note_stored(&mut self, sequence: Sequence) {
        if let Phase::Live { position, .. } = self.phase {
            self.stored = self.stored.max(sequence.min(position.sequence));
        }
    }

    /// How far a device has stored the log that has all of it; `None` for one that lacks some below its cursor.
    pub(super) fn stored(&self) -> Option<Sequence> {
        let has_all = *self.filter == Filter::Everything && !self.partial && matches!(self.phase, Phase::Live { .. });
        has_all.then_some(self.stored)
    }

    /// What there is to tell of another device that has stored the log up to a sequence. A session hears of nothing above
    /// what it was told itself, which every answer checks: another history may stand there by then (R4).
    pub(super) fn news(&self, sequence: Sequence) -> Option<Sequence> {
        let Phase::Live { told, .. } = self.phase else { return None };
        let sequence = sequence.min(told.sequence);
        (sequence > self.seen && self.seen < self.seen_wanted).then_some(sequence)
    }

    /// Takes the word that another device has stored the log up to a sequence.
    pub(super) fn seen(&mut self, sequence: Sequence) -> Option<ToDevice<'static>> {
        let sequence = self.news(sequence)?;
        self.seen = sequence;
        Some(ToDevice::Seen(Seen { channel: self.channel, sequence }))
    }

    fn reset(&mut self, log: LogId) -> ToDevice<'static> {
        self.hear_nothing();
        ToDevice::Reset(Reset { channel: self.channel, log })
    }

    /// Ignores everything from here on, and keeps nothing that only the next `Open` would begin anew.
    fn hear_nothing(&mut self) {
        self.phase = Phase::Deaf;
        self.own.clear();
        self.forget_given();
        self.unanswered.clear();
        self.in_flight = InFlight::default();
        (self.stream, self.epoch) = (None, None);
    }

    pub(super) fn refuse(&mut self, code: SpaceCode) -> ToDevice<'static> {
        self.hear_nothing();
        ToDevice::Refused(Refused { channel: self.channel, code, retry_after_ms: None })
    }
}

/// Entities of which nothing travels, by their collection.
fn by_collection(announced: &[(Collection, EntityId)]) -> BTreeMap<&Collection, Vec<EntityId>> {
    let mut grouped: BTreeMap<&Collection, Vec<EntityId>> = BTreeMap::new();
    for (collection, entity) in announced {
        grouped.entry(collection).or_default().push(*entity);
    }
    grouped
}

fn announced_segments<'g>(grouped: &BTreeMap<&'g Collection, Vec<EntityId>>) -> Vec<Segment<'g>> {
    let segment = |(collection, entities): (&&'g Collection, &Vec<EntityId>)| Segment::Announced {
        collection: collection.as_str(),
        entities: EntityIds(entities.clone()),
    };
    grouped.iter().map(segment).collect()
}

fn raise(told: &mut Cursor, sequence: Sequence, chain: crate::log::ChainHash) {
    if sequence > told.sequence {
        *told = Cursor { log: told.log, sequence, chain };
    }
}

fn raise_by_snapshots(told: &mut Cursor, run: &LogRun) {
    run.snapshots().iter().for_each(|snapshot| raise(told, snapshot.last.sequence, snapshot.last.chain));
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

#[cfg(test)]
mod tests;
