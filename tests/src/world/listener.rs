//! Listening on a wire: which changes a receipt acknowledges, and whether the relay serves what it should.

use super::ChangeId;
use super::check::Violation;
use super::live::{Live, Named, Pushed};
use super::network::Cargo;
use super::record::{History, Record};
use afield::EntityId;
use afield_core::document::{SnapshotBudget, extract_changes};
use afield_core::wire::{
    self, Chunks, Fetch, FetchNumber, Fetched, Jump, LiveMessage, Message, PushNumber, Receipt, ReceiptRun, Segment,
    SnapshotChunk, SpaceCode, ToDevice, ToRelay,
};
use afield_core::{ChunkKind, Cursor, Filter, Limits, LogId, Sequence};
use std::collections::{BTreeMap, BTreeSet};

/// What went over one wire, as far as receipts and positions need it.
#[derive(Debug, Default)]
pub(super) struct Listener {
    pushes: BTreeMap<PushNumber, Pushed>,
    live: Live,
    /// Numbers under which the relay has taken more than one push, since the network changed a message on its way: which
    /// of them an answer is about cannot be told.
    unclear: BTreeSet<PushNumber>,
    /// Up to where the relay has served this reader; `None` while the space is not open.
    position: Option<Cursor>,
    /// The highest position that the reader was told in anything, receipts included; with [`Self::position`].
    told: Option<Cursor>,
    /// What the reader wants, and what it has asked for.
    filter: Filter,
    fetches: BTreeMap<FetchNumber, Fetch>,
    /// What the reader got in snapshots of this session, and what it got with the pages that lead somewhere.
    given: Given,
    given_pages: Vec<(Filter, Sequence, Given)>,
    /// The end of the log when the relay took the `Open`: `CaughtUp` promises everything up to there.
    promised: Sequence,
}

/// Whether a filter names single entities and no collection.
fn names_entities_alone(filter: &Filter) -> bool {
    matches!(filter, Filter::Only(only) if only.collections.is_empty() && only.announced.is_empty())
}

/// Changes that a reader got in snapshots, by where they stand.
type Given = BTreeMap<Sequence, ChangeId>;

impl Listener {
    /// Notes a message as the device sends it; says what it carries. `None` when it rests on what a message of an earlier session
    /// told, which cannot be followed.
    pub(super) fn sent(&mut self, message: &[u8], record: &Record) -> Option<Cargo> {
        if let Some(live) = LiveMessage::open(message).expect("a device sends well-formed messages") {
            let (number, pushed) = self.live.pushed_live(&live, record)?;
            self.pushes.insert(number, pushed);
            return Some(Cargo::Chunks);
        }
        let message = Message::open(message).expect("a device sends well-formed messages");
        Some(match message.to_relay().expect("a device sends well-formed frames") {
            ToRelay::Push(push) => {
                let pushed = self.live.pushed(&push, record)?;
                self.pushes.insert(push.number, pushed);
                Cargo::Chunks
            }
            ToRelay::Open(_) => {
                self.live.opened();
                Cargo::Other
            }
            _ => Cargo::Other,
        })
    }

    /// What a message of the relay carries.
    pub(super) fn cargo(message: &[u8]) -> Cargo {
        if LiveMessage::open(message).expect("a relay sends well-formed messages").is_some() {
            return Cargo::Chunks;
        }
        let message = Message::open(message).expect("a relay sends well-formed messages");
        match message.to_device().expect("a relay sends well-formed frames") {
            // A chunk on its own that differs from its hash has decayed on the relay's disk, as far as a device can tell.
            ToDevice::Chunks(chunks) if !chunks.segments.iter().any(|segment| matches!(segment, Segment::Raw(_))) => {
                Cargo::Chunks
            }
            // Of who is here, any message may be lost, come twice, or late, and be answered by another one.
            ToDevice::Signal(_) => Cargo::Other,
            // What they say rests on the session: on its pushes, its filter, and what it asked for.
            ToDevice::Receipt(_) | ToDevice::Goodbye(_) | ToDevice::Jump(_) | ToDevice::Fetched(_) => Cargo::Other,
            _ => Cargo::Replayable,
        }
    }

    /// Notes a message as the relay takes it, at this end of the log. On its way it may have become another one.
    pub(super) fn taken(&mut self, message: &[u8], record: &Record) {
        let head = record.present().map_or(Sequence::ZERO, |present| present.head().sequence);
        // A live push is taken as it was sent, and under its number, or not at all: so its check has it.
        if let Ok(Some(_)) = LiveMessage::open(message) {
            return self.live.push_taken();
        }
        let Ok(message) = Message::open(message) else { return };
        match message.to_relay() {
            Ok(ToRelay::Open(open)) => {
                self.live.open_taken();
                (self.position, self.told, self.promised) = (open.cursor, open.cursor, head);
                self.filter = open.filter;
                self.fetches.clear();
                self.given.clear();
                self.given_pages.clear();
            }
            Ok(ToRelay::Filter(frame)) if self.position.is_some() => {
                self.filter = frame.filter;
                self.given.clear();
            }
            Ok(ToRelay::Fetch(fetch)) if self.position.is_some() => {
                let before = self.filter.clone();
                self.filter.widen(&fetch.filter);
                if self.filter != before {
                    self.given.clear();
                }
                self.fetches.insert(fetch.number, fetch);
            }
            Ok(ToRelay::CatchUp(_)) if self.position.is_some() => self.promised = head,
            Ok(ToRelay::Push(push)) => {
                let Some(pushed) = self.live.understood(&push, record) else { return };
                if self.pushes.insert(push.number, pushed.clone()).is_some_and(|before| before != pushed) {
                    self.unclear.insert(push.number);
                }
            }
            _ => {}
        }
    }

    /// The changes that a message of the relay acknowledges.
    pub(super) fn acknowledged(&self, message: &[u8]) -> Vec<(ChangeId, Sequence)> {
        if LiveMessage::open(message).expect("a relay sends well-formed messages").is_some() {
            return Vec::new();
        }
        let message = Message::open(message).expect("a relay sends well-formed messages");
        match message.to_device().expect("a relay sends well-formed frames") {
            ToDevice::Receipt(receipt) => self.receipted(&receipt),
            _ => Vec::new(),
        }
    }

    /// Holds a message that the relay has just made against the record. `may_fail` says whether its disk may.
    ///
    /// # Errors
    ///
    /// It names or leaves out what it should not, or sends away whom it should not (R1, R4, R6, R9).
    pub(super) fn check(&mut self, message: &[u8], record: &Record, may_fail: bool) -> Result<(), Violation> {
        if let Some(live) = LiveMessage::open(message).expect("a relay sends well-formed messages") {
            return self.check_live(&live, record);
        }
        let message = Message::open(message).expect("a relay sends well-formed messages");
        match message.to_device().expect("a relay sends well-formed frames") {
            ToDevice::Opened(opened) => {
                let start = Cursor::start(opened.log);
                (self.position, self.told) = (Some(start), Some(start));
                self.check_reader(record)
            }
            ToDevice::Reset(reset) => {
                let reader = (self.position.take(), self.told.take());
                check_reset(reset.log, reader, record)
            }
            ToDevice::Refused(refused) => {
                (self.position, self.told) = (None, None);
                // Anyone may use the space once it is there, so nothing but the disk can be in the way.
                if record.present().is_some() && !(refused.code == SpaceCode::Unavailable && may_fail) {
                    return Violation::of("R6", format!("a space that is there is refused: {:?}", refused.code));
                }
                Ok(())
            }
            ToDevice::Chunks(chunks) => self.check_chunks(&chunks, record),
            ToDevice::Jump(jump) => self.check_jump(&jump, record),
            ToDevice::Fetched(fetched) => self.check_fetched(&fetched, record),
            ToDevice::CaughtUp(caught_up) => {
                let Some(at) = self.position else {
                    return Violation::of("R9", "CaughtUp for a space that is not open".to_owned());
                };
                self.check_reader(record)?;
                if (caught_up.sequence, *caught_up.check) != (at.sequence, at.chain.check()) {
                    return Violation::of("R9", format!("CaughtUp at {} for a reader at {at:?}", caught_up.sequence));
                }
                // A backup that was put back since may have taken some of it away, of which this reader was told nothing.
                let head = record.present().map_or(Sequence::ZERO, |present| present.head().sequence);
                let promised = self.promised.min(head);
                if at.sequence < promised {
                    let found = format!("CaughtUp at {}, and {promised} was durable at the Open", at.sequence);
                    return Violation::of("R9", found);
                }
                Ok(())
            }
            ToDevice::Receipt(receipt) => {
                self.check_reader(record)?;
                let stands = |(change, sequence): &(ChangeId, Sequence)| {
                    record.present().is_some_and(|present| {
                        present.is_unread(*sequence) || present.sequence(change) == Some(*sequence)
                    })
                };
                let receipted = self.receipted(&receipt);
                if let Some((change, sequence)) = receipted.iter().find(|place| !stands(place)) {
                    let found = format!("a receipt names {sequence} for {change:?}, which is not there");
                    return Violation::of("R1", found);
                }
                let is_erased = |(change, sequence): &&(ChangeId, Sequence)| {
                    let stands_at = |present: &History| present.place(sequence.get() - 1).cloned();
                    let place = record.present().and_then(stands_at).filter(|place| place.kind == ChunkKind::Change);
                    let was_erased = |present: &History| present.was_erased(change.0, record.head_before());
                    place.is_some() && record.present().is_some_and(was_erased)
                };
                if let Some((change, sequence)) = receipted.iter().find(is_erased) {
                    let found = format!("a receipt names {sequence} for {change:?}, whose entity was purged");
                    return Violation::of("R5", found);
                }
                receipted.iter().for_each(|(change, sequence)| self.live.tell(*change, *sequence));
                let last = receipted.iter().map(|(_, sequence)| sequence.get()).max();
                let place = record.present().zip(last).and_then(|(present, last)| present.place(last - 1));
                self.tell(place.map(|place| place.cursor));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks that the log holds where a reader stands that is served, and whatever that reader was told.
    fn check_reader(&self, record: &Record) -> Result<(), Violation> {
        let is_held =
            |position: &Cursor| record.present().is_some_and(|present| present.holds(*position) != Some(false));
        match [self.position, self.told].into_iter().flatten().find(|position| !is_held(position)) {
            Some(position) => {
                Violation::of("R4", format!("a reader is served who knows {position:?}, which the log does not hold"))
            }
            None => Ok(()),
        }
    }

    /// Notes a position that the reader was told.
    fn tell(&mut self, position: Option<Cursor>) {
        if position.map(|position| position.sequence) > self.told.map(|told| told.sequence) {
            self.told = position;
        }
    }

    fn check_chunks(&mut self, chunks: &Chunks<'_>, record: &Record) -> Result<(), Violation> {
        let Some(before) = self.position.filter(|before| before.sequence == chunks.after) else {
            let found = format!("Chunks after {} for a reader at {:?}", chunks.after, self.position);
            return Violation::of("R9", found);
        };
        self.check_reader(record)?;
        let mut at = before;
        let own = |segment: &Segment<'_>| matches!(segment, Segment::Own { push, .. } if self.unclear.contains(push));
        let is_unclear = chunks.segments.iter().any(own);
        for served in self.served(&chunks.segments) {
            if is_unclear {
                // Only how many they are is known.
                let place = record.present().and_then(|present| present.place(at.sequence.get()));
                at = place.map_or(at, |place| place.cursor);
                continue;
            }
            check_not_erased(&served, record)?;
            at = served.behind(at);
            let present = record.present();
            let place = present.and_then(|present| present.place(at.sequence.get() - 1));
            let is_there = place.map(|place| (place.cursor, place.change)) == Some((at, served.change));
            let is_fresh = at.sequence > record.head_before();
            if !is_there && !present.is_some_and(|present| is_fresh && present.is_unread(at.sequence)) {
                let found = format!("Chunks bring {served:?} at {}, the log holds {place:?}", at.sequence);
                return Violation::of("R9", found);
            }
            self.live.tell(served.change, at.sequence);
        }
        self.live.leave_epoch();
        if *chunks.check != at.chain.check() {
            return Violation::of("R4", format!("Chunks up to {} end with another chain", at.sequence));
        }
        self.position = Some(at);
        self.tell(self.position);
        Ok(())
    }

    /// Holds live chunks against the record: they bring what the log holds after the reader's position, and name as its own
    /// what it pushed live (R4, R9).
    fn check_live(&mut self, message: &LiveMessage<'_>, record: &Record) -> Result<(), Violation> {
        let Some(before) = self.position else {
            return Violation::of("R9", "live chunks for a space that is not open".to_owned());
        };
        self.check_reader(record)?;
        if self.filter != Filter::Everything {
            return Violation::of("R9", "live chunks for a reader who does not want everything".to_owned());
        }
        let Some(present) = record.present() else {
            return Violation::of("R4", "live chunks of a log that is not there".to_owned());
        };
        let brought = self.live.read(message, |number| present.place(before.sequence.get() + number))?;
        let mut at = before;
        for served in brought {
            check_not_erased(&served, record)?;
            at = served.behind(at);
            let place = present.place(at.sequence.get() - 1);
            let is_there = place.map(|place| (place.cursor, place.change)) == Some((at, served.change));
            let is_fresh = at.sequence > record.head_before() && present.is_unread(at.sequence);
            if !is_there && !is_fresh {
                let found = format!("live chunks bring {served:?} at {}, the log holds {place:?}", at.sequence);
                return Violation::of("R9", found);
            }
            self.live.tell(served.change, at.sequence);
        }
        if self.live.check(&at.chain).is_none_or(|check| !message.fits(check)) {
            return Violation::of("R4", format!("live chunks up to {} end with another chain", at.sequence));
        }
        self.position = Some(at);
        self.tell(self.position);
        Ok(())
    }

    /// How many live messages went each way.
    pub(super) fn live_messages(&self) -> (u64, u64) {
        self.live.messages()
    }

    /// Holds a run that leaves something out against the record: it starts where the reader stands, names the chain as it
    /// is, and carries everything that the reader wants (R4, R9).
    fn check_jump(&mut self, jump: &Jump<'_>, record: &Record) -> Result<(), Violation> {
        let Some(before) = self.position.filter(|before| before.sequence == jump.after) else {
            return Violation::of("R9", format!("a Jump after {} for a reader at {:?}", jump.after, self.position));
        };
        self.check_reader(record)?;
        let Some(present) = record.present() else {
            return Violation::of("R4", "a Jump through a log that is not there".to_owned());
        };
        let after = Cursor { sequence: jump.upto, chain: jump.chain, ..before };
        if *jump.check != before.chain.check() || present.holds(after) == Some(false) {
            return Violation::of("R4", format!("a Jump from {before:?} to {after:?}, which the log does not hold"));
        }
        self.live.leave_epoch();
        let filter = self.filter.clone();
        for (sequence, served) in jump.places.sequences(jump.after).zip(self.served(&jump.segments)) {
            self.live.tell(served.change, sequence);
        }
        let mut given = std::mem::take(&mut self.given);
        given.extend(snapshots_of(&jump.segments, present)?);
        let places = jump.places.sequences(jump.after);
        let told = self.check_served(
            &jump.segments,
            places,
            (jump.after, jump.upto),
            (&filter, &given, true),
            (present, record),
        )?;
        self.given = given;
        self.position = Some(after);
        self.tell(self.position);
        self.tell(told);
        Ok(())
    }

    /// Holds a page against the record: it carries everything that was asked for (R4, R9).
    fn check_fetched(&mut self, page: &Fetched<'_>, record: &Record) -> Result<(), Violation> {
        self.check_reader(record)?;
        let (Some(fetch), Some(present)) = (self.fetches.remove(&page.number), record.present()) else {
            return Violation::of("R9", "a page of what was not asked for".to_owned());
        };
        if page.done && page.upto < present.head().sequence {
            let found = format!("the last page ends at {}, the log at {}", page.upto, present.head().sequence);
            return Violation::of("R9", found);
        }
        let places = page.places.sequences(fetch.after);
        let before =
            self.given_pages.iter().rev().find(|(filter, upto, _)| {
                *filter == fetch.filter && *upto == fetch.after && fetch.after > Sequence::ZERO
            });
        let mut given = before.map(|(_, _, given)| given.clone()).unwrap_or_default();
        let fresh = snapshots_of(&page.segments, present)?;
        if fetch.changes && !fresh.is_empty() {
            return Violation::of("R9", "a snapshot for who asked for changes".to_owned());
        }
        given.extend(fresh);
        let reach = (fetch.after, page.upto);
        let told =
            self.check_served(&page.segments, places, reach, (&fetch.filter, &given, false), (present, record))?;
        self.tell(told);
        self.given_pages.push((fetch.filter, page.upto, given));
        Ok(())
    }

    /// Checks that what is served stands where it says, and that nothing wanted is left out that the reader was not given: of the
    /// log's prefix, or of a page. Answers the last position that is told.
    fn check_served(
        &self,
        segments: &[Segment<'_>],
        places: impl Iterator<Item = Sequence>,
        (after, upto): (Sequence, Sequence),
        (filter, given, is_prefix): (&Filter, &Given, bool),
        (present, record): (&History, &Record),
    ) -> Result<Option<Cursor>, Violation> {
        let own = |segment: &Segment<'_>| matches!(segment, Segment::Own { push, .. } if self.unclear.contains(push));
        let is_unclear = segments.iter().any(own);
        for served in self.served(segments).iter().filter(|_| !is_unclear) {
            check_not_erased(served, record)?;
        }
        let served: BTreeMap<Sequence, ChangeId> =
            places.zip(self.served(segments)).map(|(sequence, served)| (sequence, served.change)).collect();
        let erased: BTreeSet<EntityId> = segments.iter().filter_map(erased_by).collect();
        for place in present.between(after, upto) {
            let (sequence, entity) = (place.cursor.sequence, place.change.0);
            let found = served.get(&sequence);
            let is_wanted = filter.includes(entity, &place.collection);
            let is_wrong = match found {
                Some(change) => !is_unclear && *change != place.change,
                // Erasure records ignore filters where a cursor passes them, and travel with whatever passes what they took away.
                None if place.kind == ChunkKind::Erasure => (is_wanted || is_prefix) && !erased.contains(&entity),
                None if present.is_erased(place) => {
                    // Pages of single entities come to the record at its own place, and to nothing else of the entity.
                    let comes = |record: &Sequence| {
                        served.contains_key(record) || !is_prefix && names_entities_alone(filter) && *record > upto
                    };
                    is_wanted && present.erasure(entity).filter(comes).is_none() && !erased.contains(&entity)
                }
                None => is_wanted && given.get(&sequence) != Some(&place.change),
            };
            if is_wrong {
                return Violation::of(
                    "R9",
                    format!("{found:?} is served where {place:?} stands and is wanted with {filter:?}"),
                );
            }
        }
        match served.keys().find(|sequence| **sequence <= after || **sequence > upto) {
            Some(sequence) => Violation::of("R9", format!("{sequence} is served between {after} and {upto}")),
            None => {
                let last = served.keys().chain(given.keys()).max();
                let place = last.and_then(|last| present.place(last.get() - 1));
                Ok(place.map(|place| place.cursor))
            }
        }
    }

    /// What segments bring, in order.
    fn served(&self, segments: &[Segment<'_>]) -> Pushed {
        let of = |entity, kind, bytes: &[u8]| Named::of(entity, kind, bytes).expect("an honest relay serves changes");
        let mut served = Vec::new();
        for segment in segments {
            match segment {
                Segment::Own { push, count, .. } if self.unclear.contains(push) => {
                    served.extend(std::iter::repeat_n(Named::UNKNOWN, *count as usize));
                }
                Segment::Own { push, index, count } => {
                    let pushed = self.pushes.get(push).map(Vec::as_slice).unwrap_or_default();
                    served.extend(pushed.iter().skip(*index as usize).take(*count as usize).copied());
                }
                Segment::Batch(batch) => {
                    let chunks = wire::decode_batch(batch, &Limits::DEFAULT).expect("a relay serves whole batches");
                    served.extend(chunks.iter().map(|chunk| of(chunk.entity, chunk.kind, &chunk.bytes)));
                }
                Segment::Raw(chunk) => {
                    let kind = ChunkKind::from_number(chunk.kind).expect("an honest relay serves what it knows");
                    served.push(of(chunk.entity, kind, chunk.bytes));
                }
                Segment::Announced { .. } | Segment::Snapshot(_) | Segment::Erased(_) => {}
            }
        }
        served
    }

    fn receipted(&self, receipt: &Receipt) -> Vec<(ChangeId, Sequence)> {
        if self.unclear.contains(&receipt.push) {
            return Vec::new();
        }
        let pushed = self.pushes.get(&receipt.push).map(Vec::as_slice).unwrap_or_default();
        let mut pushed = pushed.iter().map(|named| named.change);
        let mut receipted = Vec::new();
        for run in &receipt.runs {
            match run {
                ReceiptRun::Stored { first, count } | ReceiptRun::Duplicate { first, count } => {
                    let sequences = (0..*count).map(|offset| first.plus(offset));
                    receipted.extend(sequences.zip(pushed.by_ref()).map(|(sequence, change)| (change, sequence)));
                }
                ReceiptRun::Refused { count, .. } => pushed.by_ref().take(*count as usize).for_each(drop),
            }
        }
        receipted
    }
}

/// What snapshots bring, and where it stands: each change there and as it was made (R2).
fn snapshots_of(segments: &[Segment<'_>], present: &History) -> Result<Given, Violation> {
    let mut given = Given::new();
    // One for the whole message, as devices count.
    let mut budget = SnapshotBudget::WHOLE;
    for segment in segments {
        let Segment::Snapshot(SnapshotChunk { entity, sequences, check, bytes, .. }) = segment else { continue };
        if let Some(erased) = present.erasure(*entity) {
            return Violation::of("R2", format!("a snapshot of {entity}, which was purged at {erased}"));
        }
        let changes = extract_changes(*entity, bytes, sequences.count(), check, &mut budget);
        let changes = changes.expect("an honest relay serves snapshots that can be used");
        for (sequence, (header, _)) in sequences.iter().zip(changes) {
            let change = (*entity, header.hash);
            if present.sequence(&change) != Some(sequence) {
                return Violation::of(
                    "R2",
                    format!("a snapshot brings {change:?} at {sequence}, where it does not stand"),
                );
            }
            given.insert(sequence, change);
        }
    }
    Ok(given)
}

/// Checks that no change is served of what was purged before.
fn check_not_erased(served: &Named, record: &Record) -> Result<(), Violation> {
    let was_erased = |present: &History| present.was_erased(served.change.0, record.head_before());
    if served.is_change() && record.present().is_some_and(was_erased) {
        return Violation::of("R2", format!("{served:?} is served, and its entity was purged"));
    }
    Ok(())
}

/// The entity whose chunks an erasure record stands for.
fn erased_by(segment: &Segment<'_>) -> Option<EntityId> {
    match segment {
        Segment::Erased(chunk) => Some(chunk.entity),
        _ => None,
    }
}

/// Checks that a reader is reset to the log that is there, and only when that log does not hold what the reader knows (R4).
fn check_reset(log: LogId, reader: (Option<Cursor>, Option<Cursor>), record: &Record) -> Result<(), Violation> {
    let Some(present) = record.present().filter(|present| present.start().log == log) else {
        return Violation::of("R4", format!("a Reset names {log}, which is not the log"));
    };
    let (Some(position), Some(told)) = reader else {
        return Violation::of(
            "R4",
            "a Reset for a space that is not open, or to a reader without a position".to_owned(),
        );
    };
    // What one commit appends may be what the log had lost, in the same order; the reader was judged before it.
    let is_held = |known: &Cursor| present.holds(*known) == Some(true) && known.sequence <= record.head_before();
    if [position, told].iter().all(is_held) {
        return Violation::of("R4", format!("a reader at {position:?} is reset, and the log holds all that it knows"));
    }
    Ok(())
}
