//! Strategies hold what they say, and any of them beside any others comes to an end.

use super::*;
// The one of proptest has the same name.
use super::Strategy;
use crate::document::path::Path;
use crate::document::test_kit::ENTITY;
use crate::document::{Edit, EditContext, Incoming, Point, PointError, Verdict};
use crate::time::Now;
use automerge::legacy::{Key as LegacyKey, Op, OpType};
use automerge::{ActorId, ReadDoc};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use std::collections::BTreeSet;

/// A device that settles what it receives.
struct Device {
    number: u8,
    strategy: Strategy,
    document: Document,
    /// How many changes it has made by settling.
    settled: usize,
}

impl Device {
    fn new(number: u8, strategy: Strategy) -> Self {
        Self { number, strategy, document: Document::new(ENTITY), settled: 0 }
    }

    fn id(&self) -> DeviceId {
        DeviceId::from_bytes([self.number; 16])
    }

    fn edit(&mut self, at_ms: i64, edit: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>) -> ChangeHash {
        let mut actor = self.id().as_bytes().to_vec();
        actor.extend([self.number; 8]);
        let now = Now { wall_ms: at_ms, monotonic_ms: 0 };
        let context = EditContext::new(ActorId::from(actor), now);
        let made = self.document.edit(&context, &Limits::DEFAULT, edit).unwrap().changes;
        made.last().unwrap().hash
    }

    fn put(&mut self, at_ms: i64, key: &str, value: i64) -> ChangeHash {
        self.edit(at_ms, |edit| edit.put(key, Value::Int(value)))
    }

    fn delete(&mut self, at_ms: i64, key: &str) -> ChangeHash {
        self.edit(at_ms, |edit| edit.delete(key))
    }

    /// Takes in what another device holds, and settles; says whether anything was new.
    fn receive(&mut self, from: &Document) -> bool {
        let before = self.document.heads();
        take_in(&mut self.document, &from.changes_since(&[]));
        if before == self.document.heads() {
            return false;
        }
        self.settle();
        true
    }

    fn settle(&mut self) {
        for conflict in self.document.conflicts() {
            let settlement = self.document.settlement(&conflict, self.strategy, self.id());
            if let Some(settlement) = settlement {
                self.settled += self.document.settle(&settlement, &Limits::DEFAULT).unwrap().changes.len();
                assert!(
                    !self.document.conflicts().iter().any(|left| left.id == conflict.id),
                    "what was settled is decided: {conflict:?}"
                );
            }
        }
    }

    fn copied(&self) -> Document {
        Document::load(ENTITY, Some(&self.document.save()), []).unwrap()
    }

    fn value(&self, key: &str) -> Option<Value> {
        shown(&self.document, key)
    }
}

fn take_in(document: &mut Document, changes: &[(ChangeHash, Vec<u8>)]) {
    let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    let applied = document.apply_guarded(&incoming, &Limits::DEFAULT).unwrap();
    let is_taken = |verdict: &Verdict| matches!(verdict, Verdict::Applied | Verdict::Held);
    assert!(applied.verdicts.iter().all(is_taken), "{:?}", applied.verdicts);
}

fn shown(document: &Document, key: &str) -> Option<Value> {
    let Value::Map(mut fields) = document.read() else { return None };
    fields.remove(key)
}

/// Lets everybody have everything, until nobody makes anything any more; gives how many rounds that took.
fn exchange(devices: &mut [Device]) -> usize {
    for round in 0.. {
        assert!(round < 50, "devices rewrite each other for ever");
        let mut is_new = false;
        for to in 0..devices.len() {
            for from in 0..devices.len() {
                let held = devices[from].copied();
                is_new |= devices[to].receive(&held);
            }
        }
        if !is_new {
            return round;
        }
    }
    unreachable!()
}

fn trio(strategies: [Strategy; 3]) -> [Device; 3] {
    let mut number = 0;
    strategies.map(|strategy| {
        number += 1;
        Device::new(number, strategy)
    })
}

#[test]
fn the_newest_write_holds_on_every_device_and_nothing_is_left_to_decide() {
    let mut devices = trio([Strategy::Newest; 3]);
    devices[0].put(1_000, "title", 1);
    exchange(&mut devices);
    devices[0].put(2_000, "title", 10);
    devices[1].put(9_000, "title", 20);
    devices[2].put(3_000, "title", 30);
    exchange(&mut devices);
    for device in &devices {
        assert_eq!(device.value("title"), Some(Value::Int(20)));
        assert_eq!(device.document.conflicts(), []);
    }
}

#[test]
fn a_deletion_is_no_value_and_is_left_to_people_beside_one_whenever_it_comes() {
    for (strategy, deletes_at_ms) in [
        (Strategy::Newest, 500),
        (Strategy::Newest, 9_000),
        (Strategy::PreferThis, 9_000),
        (Strategy::PreferOther, 9_000),
    ] {
        for is_settled_before in [false, true] {
            let mut devices = trio([strategy; 3]);
            devices[0].put(1_000, "title", 10);
            devices[1].put(2_000, "title", 20);
            // The third deletes what it knows of: the first value alone.
            let first = devices[0].copied();
            devices[2].receive(&first);
            devices[2].delete(deletes_at_ms, "title");
            if is_settled_before {
                let second = devices[1].copied();
                devices[0].receive(&second);
                assert_eq!(devices[0].settled, 1, "the control: two values are decided");
            } else {
                let third = devices[2].copied();
                devices[0].receive(&third);
                devices[1].receive(&third);
            }
            let settled = devices[0].settled;
            exchange(&mut devices);
            for device in &devices {
                assert!(device.value("title").is_some(), "{strategy}");
                let conflicts = device.document.conflicts();
                let [conflict] = conflicts.as_slice() else { panic!("{strategy}: {conflicts:?}") };
                assert_eq!(conflict.kind, ConflictKind::Deleted);
                assert_eq!(conflict.values.last().unwrap().value, None);
            }
            assert_eq!(devices.iter().map(|device| device.settled).sum::<usize>(), settled, "{strategy}");
        }
    }
    // Who deletes all that there is decides that nothing is there.
    let mut devices = trio([Strategy::Newest; 3]);
    devices[0].put(1_000, "title", 10);
    devices[1].put(2_000, "title", 20);
    exchange(&mut devices);
    devices[2].delete(500, "title");
    exchange(&mut devices);
    assert!(devices.iter().all(|device| device.value("title").is_none() && device.document.conflicts().is_empty()));
}

#[test]
fn the_newest_write_stays_the_newest_when_others_have_settled_before_they_saw_it() {
    let mut devices = trio([Strategy::Newest; 3]);
    devices[0].put(2_000, "title", 10);
    devices[1].put(5_000, "title", 20);
    devices[2].put(3_000, "title", 30);
    // The first settles without the third, the third without the second.
    let (of_first, of_second) = (devices[0].copied(), devices[1].copied());
    assert!(devices[0].receive(&of_second) && devices[2].receive(&of_first));
    assert_eq!((devices[0].settled, devices[2].settled), (1, 1), "the control: both have settled");
    assert_eq!((devices[0].value("title"), devices[2].value("title")), (Some(Value::Int(20)), Some(Value::Int(30))));
    exchange(&mut devices);
    for device in &devices {
        assert_eq!(device.value("title"), Some(Value::Int(20)));
        assert_eq!(device.document.conflicts(), []);
    }
}

#[test]
fn devices_that_hold_the_same_make_the_same_settlement() {
    let [mut one, mut other, _] = trio([Strategy::Newest; 3]);
    let write = one.put(2_000, "title", 10);
    other.put(1_000, "title", 20);
    let (of_one, of_other) = (one.copied(), other.copied());
    one.receive(&of_other);
    other.receive(&of_one);
    assert_eq!(one.document.heads(), other.document.heads());
    let [head] = one.document.heads()[..] else { panic!("one settlement") };
    assert_eq!(one.document.settled_write(&head), Some(write));
    assert_eq!(one.document.settled_write(&write), None, "the control");
}

#[test]
fn a_device_that_prefers_its_own_writes_decides_for_them_and_one_that_prefers_the_others_for_those() {
    for (strategy, expected) in [(Strategy::PreferThis, 10), (Strategy::PreferOther, 30)] {
        let mut devices = trio([strategy, Strategy::Merge, Strategy::Merge]);
        devices[0].put(2_000, "title", 10);
        devices[1].put(1_000, "title", 20);
        devices[2].put(1_500, "title", 30);
        exchange(&mut devices);
        for device in &devices {
            assert_eq!(device.value("title"), Some(Value::Int(expected)), "{strategy}");
            assert_eq!(device.document.conflicts(), []);
        }
        // What it had no part in is not its affair.
        devices[1].put(3_000, "other", 1);
        devices[2].put(3_000, "other", 2);
        exchange(&mut devices);
        assert!(devices.iter().all(|device| device.document.conflicts().len() == 1), "{strategy}");
    }
}

#[test]
fn opposing_strategies_end_in_the_inbox_and_rewrite_each_other_so_often_and_no_more() {
    let mut devices = trio([Strategy::PreferThis, Strategy::PreferThis, Strategy::Merge]);
    devices[0].put(2_000, "title", 10);
    devices[1].put(1_000, "title", 20);
    // Each decides before it knows what the other has decided, again and again.
    for _ in 0..=SETTLEMENT_DEPTH_MAX {
        let (of_first, of_second) = (devices[0].copied(), devices[1].copied());
        devices[0].receive(&of_second);
        devices[1].receive(&of_first);
    }
    exchange(&mut devices);
    let made = devices.iter().map(|device| device.settled).sum::<usize>();
    assert_eq!(made, 2 * SETTLEMENT_DEPTH_MAX as usize, "each has tried, and stops");
    let conflicts = devices[0].document.conflicts();
    assert_eq!(conflicts.len(), 1, "a person has to decide");
    assert!(devices.iter().all(|device| device.document.conflicts() == conflicts));
}

#[test]
fn what_others_write_into_is_left_to_people_and_so_is_what_is_manual() {
    let mut devices = trio([Strategy::Newest; 3]);
    let list = |number| Value::List(vec![Value::Int(number)]);
    devices[0].edit(1_000, |edit| edit.put("steps", Value::Int(0)));
    exchange(&mut devices);
    devices[0].edit(2_000, |edit| edit.put("steps", list(1)));
    devices[1].edit(3_000, |edit| edit.put("steps", list(2)));
    exchange(&mut devices);
    assert!(devices.iter().all(|device| device.settled == 0));
    assert_eq!(devices[0].document.conflicts().len(), 1);
    let mut devices = trio([Strategy::Manual, Strategy::Merge, Strategy::Manual]);
    devices[0].put(1_000, "title", 1);
    devices[1].put(2_000, "title", 2);
    exchange(&mut devices);
    assert!(devices.iter().all(|device| device.settled == 0 && device.document.conflicts().len() == 1));
    // A strategy is a device's own: what decides by itself elsewhere decides this, too.
    for (other, shown) in [(Strategy::Newest, 2), (Strategy::PreferThis, 2), (Strategy::PreferOther, 1)] {
        let mut devices = trio([Strategy::Manual, other, Strategy::Manual]);
        devices[0].put(1_000, "title", 1);
        devices[1].put(2_000, "title", 2);
        exchange(&mut devices);
        assert!(devices.iter().all(|device| device.value("title") == Some(Value::Int(shown))), "{other}");
        assert!(devices.iter().all(|device| device.document.conflicts().is_empty()), "{other}");
        assert_eq!(devices.iter().map(|device| device.settled).collect::<Vec<_>>(), [0, 1, 0], "{other}");
    }
}

#[test]
fn what_somebody_chose_is_a_write_like_any_other_whether_a_strategy_had_settled_before_or_not() {
    for is_settled_before in [false, true] {
        let mut devices = trio([Strategy::Newest, Strategy::Newest, Strategy::Merge]);
        devices[0].put(1_000, "title", 10);
        devices[1].put(2_000, "title", 20);
        let (of_first, of_second) = (devices[0].copied(), devices[1].copied());
        devices[2].receive(&of_first);
        devices[2].receive(&of_second);
        let conflicts = devices[2].document.conflicts();
        let older = conflicts[0].values.iter().position(|side| side.value == Some(Value::Int(10))).unwrap();
        devices[2].edit(9_000, |edit| edit.resolve(&conflicts[0], &Choice::Keep(older)));
        if is_settled_before {
            devices[0].receive(&of_second);
            assert_eq!((devices[0].settled, devices[0].value("title")), (1, Some(Value::Int(20))), "the control");
        } else {
            let third = devices[2].copied();
            devices[0].receive(&third);
            devices[1].receive(&third);
            assert!(devices.iter().all(|device| device.settled == 0), "nothing is left to settle");
        }
        exchange(&mut devices);
        assert!(devices.iter().all(|device| device.value("title") == Some(Value::Int(10))), "a person has decided it");
        assert!(devices.iter().all(|device| device.document.conflicts().is_empty()));
    }
}

#[test]
fn a_document_was_changed_when_people_changed_it_whatever_was_settled_since() {
    let mut devices = trio([Strategy::Newest; 3]);
    devices[0].put(1_000, "title", 10);
    devices[1].put(2_000, "title", 20);
    exchange(&mut devices);
    assert!(devices.iter().any(|device| device.settled > 0), "the control");
    for device in &devices {
        let heads = device.document.heads();
        let of_head = device.document.attribution(&heads[0]).unwrap();
        assert_eq!((heads.len(), of_head.at_ms, device.document.changed_ms()), (1, 0, 2_000));
        let title_at = |ms| device.document.read_as_of(&Point::TimeMs(ms)).map(|value| value.entry("title").cloned());
        assert_eq!(title_at(999), Err(PointError::NothingYet));
        assert_eq!(title_at(1_500), Ok(Some(Value::Int(10))));
        assert_eq!(title_at(2_000), Ok(Some(Value::Int(20))));
    }
    assert_eq!(Document::new(devices[0].document.entity()).changed_ms(), 0);
}

#[test]
fn more_values_than_people_write_are_left_to_them() {
    let base = Document::new(crate::document::test_kit::ENTITY);
    let mut document = Document::load(base.entity(), Some(&base.save()), []).unwrap();
    for number in 0..70_u8 {
        let mut writer = Document::new(base.entity());
        crate::document::test_kit::edit(&mut writer, number + 1, |edit| edit.put("title", i64::from(number)));
        let changes = writer.changes_since(&[]);
        let incoming: Vec<_> =
            changes.iter().map(|(hash, bytes)| crate::document::Incoming { hash: *hash, bytes }).collect();
        let _ = document.apply_guarded(&incoming, &Limits::DEFAULT).unwrap();
        let conflicts = document.conflicts();
        let settles = conflicts
            .iter()
            .any(|conflict| document.settlement(conflict, Strategy::Newest, DeviceId::from_bytes([1; 16])).is_some());
        assert_eq!(settles, (1..CLAIMS_MAX).contains(&usize::from(number)), "{number}");
    }
}

#[test]
fn the_name_of_a_strategy_reads_back() {
    for strategy in Strategy::ALL {
        assert_eq!(strategy.to_string().parse(), Ok(strategy));
    }
    assert_eq!("latest".parse::<Strategy>(), Err(ParseStrategyError));
}

#[derive(Debug, Clone)]
enum Act {
    Put { device: usize, key: usize, value: i64, at_ms: i64 },
    Delete { device: usize, key: usize, at_ms: i64 },
    Receive { device: usize, from: usize },
}

fn acts() -> impl proptest::strategy::Strategy<Value = Vec<Act>> {
    let put = (0..3_usize, 0..2_usize, 0..4_i64, 0..6_i64);
    prop::collection::vec(
        prop_oneof![
            5 => put.prop_map(|(device, key, value, at_ms)| Act::Put { device, key, value, at_ms }),
            1 => (0..3_usize, 0..2_usize, 0..6_i64).prop_map(|(device, key, at_ms)| Act::Delete { device, key, at_ms }),
            4 => (0..3_usize, 0..3_usize).prop_map(|(device, from)| Act::Receive { device, from }),
        ],
        1..24,
    )
}

fn strategies() -> impl proptest::strategy::Strategy<Value = [Strategy; 3]> {
    let one = || prop::sample::select(Strategy::ALL.to_vec());
    prop_oneof![
        1 => Just([Strategy::Newest; 3]),
        3 => (one(), one(), one()).prop_map(|(first, second, third)| [first, second, third]),
    ]
}

const KEYS: [&str; 2] = ["a", "b"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_strategies_beside_each_other_come_to_an_end_with_the_same_on_every_device(
        strategies in strategies(),
        acts in acts(),
    ) {
        let mut devices = trio(strategies);
        let mut writes = 0;
        for (turn, act) in (0_i64..).zip(&acts) {
            // Clocks differ, and go on.
            let at = |at_ms: i64| 2 * turn + at_ms;
            match *act {
                Act::Put { device, key, value, at_ms } => {
                    let before = devices[device].document.change_count();
                    devices[device].edit_if(at(at_ms), |edit| edit.put(KEYS[key], Value::Int(value)));
                    writes += devices[device].document.change_count() - before;
                }
                Act::Delete { device, key, at_ms } => {
                    let before = devices[device].document.change_count();
                    devices[device].edit_if(at(at_ms), |edit| edit.delete(KEYS[key]));
                    writes += devices[device].document.change_count() - before;
                }
                Act::Receive { device, from } if device != from => {
                    let held = devices[from].copied();
                    devices[device].receive(&held);
                }
                Act::Receive { .. } => {}
            }
        }
        exchange(&mut devices);
        let [first, rest @ ..] = &devices;
        for other in rest {
            prop_assert_eq!(first.document.heads(), other.document.heads());
            prop_assert_eq!(first.document.conflicts(), other.document.conflicts());
        }
        // Each device settles each of the two places once for each time that it learns of a write, or of a settlement of which there are
        // no more than these.
        let settled: usize = devices.iter().map(|device| device.settled).sum();
        prop_assert!(settled as u64 <= 12 * writes.max(1), "{settled} settlements of {writes} writes");
        if strategies == [Strategy::Newest; 3] {
            let conflicts = first.document.conflicts();
            for key in KEYS {
                let writes = Writes::of(&first.document, key);
                if writes.have_a_deletion_beside_them() {
                    continue;
                }
                let listed = conflicts.iter().find(|conflict| conflict.path == Path::from(key));
                prop_assert_eq!(listed, None, "what nobody deleted beside others is decided");
                if let Some(newest) = writes.newest() {
                    prop_assert_eq!(first.value(key), newest);
                }
            }
        }
    }
}

impl Device {
    /// An edit that may turn out to be none.
    fn edit_if(&mut self, at_ms: i64, edit: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>) {
        let mut actor = self.id().as_bytes().to_vec();
        actor.extend([self.number; 8]);
        let context = EditContext::new(ActorId::from(actor), Now { wall_ms: at_ms, monotonic_ms: 0 });
        // What is absent already is not deleted.
        let _ = self.document.edit(&context, &Limits::DEFAULT, edit);
    }
}

/// What was written to a field, worked out from the changes alone.
struct Writes<'d> {
    document: &'d Document,
    key: &'static str,
    all: Vec<automerge::Change>,
}

impl<'d> Writes<'d> {
    fn of(document: &'d Document, key: &'static str) -> Self {
        let mut all = document.automerge().get_changes(&[]);
        all.retain(|change| !actions_of(change, key).is_empty());
        Self { document, key, all }
    }

    fn past_of(&self, hash: ChangeHash) -> BTreeSet<ChangeHash> {
        let (mut past, mut stack) = (BTreeSet::new(), vec![hash]);
        while let Some(next) = stack.pop() {
            let change = self.document.automerge().get_change_by_hash(&next).unwrap();
            stack.extend(change.deps().iter().copied().filter(|dependency| past.insert(*dependency)));
        }
        past
    }

    fn is_after(&self, later: &automerge::Change, earlier: &automerge::Change) -> bool {
        self.past_of(later.hash()).contains(&earlier.hash())
    }

    /// The writes of people.
    fn made(&self) -> impl Iterator<Item = &automerge::Change> {
        self.all.iter().filter(|change| !is_derived(change.actor_id().to_bytes()))
    }

    /// Whether somebody deleted the field, or all but one of its values, without knowing of another write, by a person or a settlement. The
    /// engine does the latter where what is shown already is put once more.
    fn have_a_deletion_beside_them(&self) -> bool {
        let only_deletes =
            |change: &&automerge::Change| actions_of(change, self.key).iter().all(|one| matches!(one, OpType::Delete));
        let is_beside = |deletion: &automerge::Change, other: &automerge::Change| {
            deletion.hash() != other.hash() && !self.is_after(deletion, other) && !self.is_after(other, deletion)
        };
        let mut deletions = self.made().filter(only_deletes);
        deletions.any(|deletion| self.all.iter().any(|other| is_beside(deletion, other)))
    }

    /// What the newest of the writes says that no other write has seen; `None` where somebody wrote over what was newer by the clocks.
    fn newest(&self) -> Option<Option<Value>> {
        let is_before = |one: &automerge::Change, other: &automerge::Change| {
            self.is_after(other, one) && one.timestamp() >= other.timestamp()
        };
        if self.made().any(|one| self.made().any(|other| is_before(one, other))) {
            return None;
        }
        let is_last = |write: &&automerge::Change| !self.made().any(|other| self.is_after(other, write));
        let last = self.made().filter(is_last).max_by_key(|write| (write.timestamp(), write.hash()))?;
        let mut past = self.past_of(last.hash());
        past.insert(last.hash());
        let mut held = self.document.changes_since(&[]);
        held.retain(|(hash, _)| past.contains(hash));
        let mut alone = Document::new(ENTITY);
        take_in(&mut alone, &held);
        Some(shown(&alone, self.key))
    }
}

/// What a change does to a field.
fn actions_of(change: &automerge::Change, key: &str) -> Vec<OpType> {
    let is_of_field = |operation: &Op| matches!(&operation.key, LegacyKey::Map(name) if name.as_str() == key);
    change.decode().operations.into_iter().filter(is_of_field).map(|operation| operation.action).collect()
}
