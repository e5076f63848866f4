//! The rules that a change has to meet before the engine sees it.
//!
//! They rest on the change and on what it depends on, never on what else the document happens to hold, so that every
//! device comes to the same verdict (invariant D7). Each stands for something that Automerge 0.12 panics on, cannot
//! save, or takes differently in different builds; `apply/hostile.rs` has the list.

use super::engine::Sequences;
use super::past::{History, Past};
use super::verdict::QuarantineReason;
use super::{COUNTER_MAX, DEPTH_MAX, INCREMENT_MAX, Incoming, OPERATION_MAX, TIME_MAX_MS};
use crate::change::{ChangeError, ChangeField, ChangeHeader};
use crate::id::EntityId;
use crate::limits::Limits;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{Automerge, Change, ExpandedChange, ObjType, ScalarValue};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A change whose form is right, with its operations.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) change: Change,
    pub(super) expanded: ExpandedChange,
}

/// Checks all that can be told from the bytes without expanding a run.
pub(super) fn header(
    entity: EntityId,
    incoming: &Incoming<'_>,
    limits: &Limits,
) -> Result<ChangeHeader, QuarantineReason> {
    let header = ChangeHeader::read_in(entity, incoming.bytes, limits).map_err(|error| header_reason(&error))?;
    if header.hash != incoming.hash {
        return Err(QuarantineReason::WrongHash);
    }
    if header.time_ms.unsigned_abs() > TIME_MAX_MS.unsigned_abs() {
        return Err(QuarantineReason::TimeOutOfRange);
    }
    Ok(header)
}

/// Reads the operations of a change whose header is right.
pub(super) fn content(incoming: &Incoming<'_>, header: &ChangeHeader) -> Result<Parsed, QuarantineReason> {
    let parsed = catch_unwind(AssertUnwindSafe(|| Change::try_from(incoming.bytes)));
    let change = parsed.map_err(|_| QuarantineReason::Malformed)?.map_err(|_| QuarantineReason::Malformed)?;
    if change.author().is_some() && change.seq() != 1 {
        return Err(QuarantineReason::MisplacedAuthor);
    }
    let expanded = catch_unwind(AssertUnwindSafe(|| change.decode())).map_err(|_| QuarantineReason::BadOperation)?;
    let same_form = expanded.operations.len() as u64 == header.operations && change.hash() == header.hash;
    if same_form { Ok(Parsed { change, expanded }) } else { Err(QuarantineReason::Malformed) }
}

/// The reason that stands for an error of the header.
pub(super) fn header_reason(error: &ChangeError) -> QuarantineReason {
    match error {
        ChangeError::WrongChunkType { .. } | ChangeError::NotAChange { .. } => QuarantineReason::NotAChange,
        ChangeError::WrongChecksum { .. } => QuarantineReason::WrongHash,
        ChangeError::WrongDerivedActor => QuarantineReason::WrongActor,
        ChangeError::TooLarge { .. } => QuarantineReason::TooLarge,
        ChangeError::TooMany { field: ChangeField::Operations, .. } => QuarantineReason::TooManyOperations,
        ChangeError::TooMany { field: ChangeField::Dependencies, .. } => QuarantineReason::TooManyDependencies,
        ChangeError::OutOfRange { field: ChangeField::StartOp, .. } => QuarantineReason::StartOpTooHigh,
        _ => QuarantineReason::Malformed,
    }
}

/// Checks a change against its past, and gives the objects it makes: their operation, type and depth.
pub(super) fn against_past(
    parsed: &Parsed,
    past: &Past,
    history: &mut History<'_>,
    limits: &Limits,
) -> Result<Vec<(u64, ObjType, usize)>, QuarantineReason> {
    let change = &parsed.expanded;
    let start_op = change.start_op.get();
    if start_op <= past.max_op {
        return Err(QuarantineReason::StartOpTooLow);
    }
    let end = start_op.saturating_add(change.operations.len() as u64);
    // However many changes leap, what they leave out together is bounded: numbers can only be used up by operations.
    let left_out = (start_op - 1).saturating_sub(history.operations(past));
    if left_out > limits.start_op_leap_max || end > OPERATION_MAX {
        return Err(QuarantineReason::StartOpTooHigh);
    }
    // Automerge works out how many operations a change has from the numbers around it when it loads.
    if change.operations.is_empty() && start_op != past.max_op + 1 {
        return Err(QuarantineReason::StartOpTooHigh);
    }
    if change.seq > 1 && !history.has_sequence(past, &change.actor_id, change.seq - 1) {
        return Err(QuarantineReason::SequenceGap);
    }
    check_operations(change, past, history)
}

/// Whether an operation begins or ends a mark.
pub(super) fn is_mark(operation: &Op) -> bool {
    matches!(operation.action, OpType::MarkBegin(_) | OpType::MarkEnd(_))
}

/// Checks the operations of a change that this document made itself, in the engine that holds it.
pub(super) fn own_operations(change: &Change, engine: &Automerge) -> Result<(), QuarantineReason> {
    let (sequences, past) = (Sequences::default(), Past::default());
    let mut history = History::new(engine, &sequences);
    check_operations(&change.decode(), &past, &mut history).map(drop)
}

fn check_operations(
    change: &ExpandedChange,
    past: &Past,
    history: &mut History<'_>,
) -> Result<Vec<(u64, ObjType, usize)>, QuarantineReason> {
    let mut operations = Operations { change, past, history, made: Vec::new(), open_mark: None };
    for (operation, counter) in change.operations.iter().zip(change.start_op.get()..) {
        operations.check(operation, counter)?;
    }
    if operations.open_mark.is_some() { Err(QuarantineReason::BadOperation) } else { Ok(operations.made) }
}

/// The operations of one change, checked from first to last.
struct Operations<'c, 'h, 'e> {
    change: &'c ExpandedChange,
    past: &'c Past,
    history: &'h mut History<'e>,
    /// Objects made so far, in the order of their operations.
    made: Vec<(u64, ObjType, usize)>,
    /// The text in which the operation before began a mark: the next one has to end it.
    open_mark: Option<&'c ObjectId>,
}

impl<'c> Operations<'c, '_, '_> {
    fn check(&mut self, operation: &'c Op, counter: u64) -> Result<(), QuarantineReason> {
        let kind = match &operation.obj {
            ObjectId::Root => ObjType::Map,
            ObjectId::Id(id) => self.object_type(id, counter)?,
        };
        self.check_place(operation, kind, counter)?;
        operation.pred.iter().try_for_each(|id| self.known(id, counter))?;
        check_distinct(operation)?;
        self.check_action(operation, kind)?;
        self.check_in_text(operation, kind)?;
        if let OpType::Make(made) = operation.action {
            let depth = self.depth(&operation.obj);
            if depth >= DEPTH_MAX {
                return Err(QuarantineReason::TooDeep);
            }
            self.made.push((counter, made, depth + 1));
        }
        Ok(())
    }

    /// Checks that the key or element fits the object.
    fn check_place(&self, operation: &Op, kind: ObjType, counter: u64) -> Result<(), QuarantineReason> {
        let sequence = matches!(kind, ObjType::List | ObjType::Text);
        match &operation.key {
            Key::Map(_) if sequence => Err(QuarantineReason::WrongObject),
            Key::Seq(_) if !sequence => Err(QuarantineReason::WrongObject),
            Key::Map(_) if operation.insert => Err(QuarantineReason::BadOperation),
            Key::Seq(ElementId::Head) if !operation.insert => Err(QuarantineReason::BadOperation),
            Key::Map(_) | Key::Seq(ElementId::Head) => Ok(()),
            Key::Seq(ElementId::Id(id)) => self.known(id, counter),
        }
    }

    /// Checks what an operation does, apart from where.
    fn check_action(&mut self, operation: &'c Op, kind: ObjType) -> Result<(), QuarantineReason> {
        let Op { action, pred, insert, .. } = operation;
        let open_mark = self.open_mark.take();
        let good = match action {
            OpType::MarkBegin(_) | OpType::MarkEnd(_) if kind != ObjType::Text => {
                return Err(QuarantineReason::WrongObject);
            }
            OpType::MarkEnd(_) => *insert && pred.is_empty() && open_mark == Some(&operation.obj),
            _ if open_mark.is_some() => false,
            OpType::MarkBegin(mark) => {
                self.open_mark = Some(&operation.obj);
                // The engine compares the values of marks, and in some builds panics on one that is not equal to itself.
                let is_nan = matches!(&mark.value, ScalarValue::F64(number) if number.is_nan());
                *insert && pred.is_empty() && !is_nan
            }
            OpType::Delete => !insert && !pred.is_empty(),
            OpType::Increment(by) => !insert && !pred.is_empty() && by.unsigned_abs() <= INCREMENT_MAX.unsigned_abs(),
            OpType::Make(ObjType::Table) => false,
            OpType::Make(ObjType::List | ObjType::Text) if kind == ObjType::Text => {
                return Err(QuarantineReason::WrongObject);
            }
            OpType::Put(ScalarValue::Counter(counter))
                if i64::from(counter).unsigned_abs() > COUNTER_MAX.unsigned_abs() =>
            {
                false
            }
            OpType::Make(_) | OpType::Put(_) => !insert || pred.is_empty(),
        };
        if good { Ok(()) } else { Err(QuarantineReason::BadOperation) }
    }

    /// Checks that a character is inserted or deleted and never replaced, and that no mark is deleted by the change that
    /// makes it. Where one device replaces a character and another deletes it, the engine panics on one of them.
    fn check_in_text(&self, operation: &Op, kind: ObjType) -> Result<(), QuarantineReason> {
        if kind != ObjType::Text || operation.insert {
            return Ok(());
        }
        let element = match &operation.key {
            Key::Seq(ElementId::Id(id)) => Some(id),
            _ => None,
        };
        let mut targets = operation.pred.iter().chain(element);
        if operation.action != OpType::Delete || targets.any(|id| self.is_own_mark(id)) {
            Err(QuarantineReason::BadOperation)
        } else {
            Ok(())
        }
    }

    fn is_own_mark(&self, id: &OpId) -> bool {
        let place = id.counter().checked_sub(self.change.start_op.get()).filter(|_| self.is_own(id));
        let place = place.and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.change.operations.get(place)).is_some_and(is_mark)
    }

    /// The type of the object that an operation works on.
    fn object_type(&self, id: &OpId, counter: u64) -> Result<ObjType, QuarantineReason> {
        if self.is_own(id) {
            return self.own_object(id).map(|(kind, _)| kind).ok_or(QuarantineReason::UnknownReference);
        }
        self.known(id, counter)?;
        self.history.object_type(id).ok_or(QuarantineReason::WrongObject)
    }

    /// How many steps an object that was looked up before stands below the root.
    fn depth(&mut self, object: &ObjectId) -> usize {
        match object {
            ObjectId::Root => 0,
            ObjectId::Id(id) => match self.own_object(id) {
                Some((_, depth)) => depth,
                None => self.history.depth(id),
            },
        }
    }

    fn own_object(&self, id: &OpId) -> Option<(ObjType, usize)> {
        let own = self.is_own(id).then(|| self.made.binary_search_by_key(&id.counter(), |(made, ..)| *made));
        self.made.get(own?.ok()?).map(|(_, kind, depth)| (*kind, *depth))
    }

    /// Whether the operation `counter` may refer to `id`: an earlier one of this change, or one of its past.
    fn known(&self, id: &OpId, counter: u64) -> Result<(), QuarantineReason> {
        let known = if self.is_own(id) { id.counter() < counter } else { self.history.has_operation(self.past, id) };
        if known { Ok(()) } else { Err(QuarantineReason::UnknownReference) }
    }

    fn is_own(&self, id: &OpId) -> bool {
        *id.actor() == self.change.actor_id && id.counter() >= self.change.start_op.get()
    }
}

/// Checks that an operation names no predecessor twice, which would do what it does twice, for a byte.
fn check_distinct(operation: &Op) -> Result<(), QuarantineReason> {
    let mut seen = BTreeSet::new();
    let is_distinct =
        operation.pred.len() < 2 || operation.pred.iter().all(|id| seen.insert((id.counter(), id.actor())));
    if is_distinct { Ok(()) } else { Err(QuarantineReason::BadOperation) }
}
