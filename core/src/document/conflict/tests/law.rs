//! The laws of conflicts, held against a record of who did what knowing what.
//!
//! The record borrows from the engine the names of objects and elements, so that both can say of what they speak, and
//! nothing else: what is visible, gone, known and concurrent it works out from the record alone.

use super::*;
use crate::document::EditContext;
use crate::document::undo::{Direction, TYPING_PAUSE_MAX_MS};
use crate::time::Now;
use automerge::{ActorId, Prop, ReadDoc};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Action {
    Edit { device: usize, place: u8, what: u8, number: u8 },
    Receive { device: usize, from: usize },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let edit = (0..3usize, 0..8u8, 0..10u8, 0..6u8);
    prop::collection::vec(
        prop_oneof![
            4 => edit.prop_map(|(device, place, what, number)| Action::Edit { device, place, what, number }),
            1 => (0..3usize, 0..3usize).prop_map(|(device, from)| Action::Receive { device, from }),
        ],
        1..36,
    )
}

/// Something that was done, and all that its author held, itself included.
struct Event {
    known: BTreeSet<usize>,
    acts: Vec<Act>,
}

#[derive(Debug)]
enum Act {
    /// A register was set, or deleted where there is no value. Where the value was among several that stood there already, the
    /// engine takes the others away.
    Write { register: Register, written: Option<Written>, derived: bool, keeps: bool },
    /// Something was written into an object, or a counter was incremented.
    Into { target: Id },
}

#[derive(Debug, Clone, PartialEq)]
struct Written {
    id: Id,
    scalar: Option<Value>,
}

#[derive(Default)]
struct Record {
    events: Vec<Event>,
    /// Where values were written, and which element each value of a list is.
    homes: BTreeMap<Id, Register>,
}

/// What is listed at a register.
type Listed = (ConflictKind, BTreeSet<String>);

impl Record {
    fn writes<'r>(
        &'r self,
        view: &'r BTreeSet<usize>,
        register: &'r Register,
    ) -> impl Iterator<Item = (usize, Option<&'r Written>, bool)> {
        view.iter().flat_map(move |number| {
            self.events[*number].acts.iter().filter_map(move |act| match act {
                Act::Write { register: at, written, derived, .. } if at == register => {
                    Some((*number, written.as_ref(), *derived))
                }
                _ => None,
            })
        })
    }

    fn knows(&self, event: usize, other: usize) -> bool {
        self.events[event].known.contains(&other)
    }

    fn decisions(&self, view: &BTreeSet<usize>, register: &Register) -> Vec<usize> {
        self.writes(view, register).filter(|(.., derived)| !derived).map(|(event, ..)| event).collect()
    }

    /// The values that nobody who knew them has written over.
    fn visible(&self, view: &BTreeSet<usize>, register: &Register) -> Vec<(Written, Option<usize>)> {
        let decisions = self.decisions(view, register);
        let mut found: BTreeMap<Id, (Written, Option<usize>)> = BTreeMap::new();
        let mut over: BTreeSet<Id> = BTreeSet::new();
        for (event, written, derived) in self.writes(view, register) {
            let Some(written) = written else { continue };
            found.entry(written.id.clone()).or_insert_with(|| (written.clone(), (!derived).then_some(event)));
            let replaces = |decision: &usize| {
                *decision != event && self.knows(*decision, event) && !self.keeps(*decision, written)
            };
            if decisions.iter().any(replaces) {
                over.insert(written.id.clone());
            }
        }
        found.retain(|id, _| !over.contains(id));
        found.into_values().collect()
    }

    /// Whether an event left a value where it stood.
    fn keeps(&self, event: usize, value: &Written) -> bool {
        let is_kept = |act: &Act| matches!(act, Act::Write { written: Some(written), .. } if written.id == value.id);
        self.events[event].acts.iter().any(is_kept)
    }

    /// The outermost register that lost something; `Err` where it stands, or stands behind something else.
    fn lost_at(&self, view: &BTreeSet<usize>, target: &Id) -> Result<Register, bool> {
        let Some(home) = self.homes.get(target) else { return Err(true) };
        if let Some(object) = &home.object {
            match self.lost_at(view, object) {
                Err(true) => {}
                lost_or_hidden => return lost_or_hidden,
            }
        }
        let visible = self.visible(view, home);
        let stands = visible.iter().any(|(written, _)| written.id == *target);
        if !stands { Ok(home.clone()) } else { Err(visible.len() == 1) }
    }

    fn is_keeping(&self, event: usize, at: &Register) -> bool {
        self.events[event]
            .acts
            .iter()
            .any(|act| matches!(act, Act::Write { register, keeps: true, .. } if register == at))
    }

    fn is_unseen(&self, decisions: &[usize], against: &[usize], edit: usize) -> bool {
        !decisions.iter().any(|decision| self.knows(*decision, edit))
            && against.iter().any(|decision| !self.knows(edit, *decision))
    }

    /// The objects and counters that an event wrote something into.
    fn edited(&self, event: usize) -> BTreeSet<Id> {
        let acts = self.events[event].acts.iter();
        let targets = acts.filter_map(|act| match act {
            Act::Write { register, written: Some(_), derived: false, keeps: false } => register.object.clone(),
            Act::Into { target } => Some(target.clone()),
            Act::Write { .. } => None,
        });
        targets.collect()
    }

    fn conflicts(&self, view: &BTreeSet<usize>) -> BTreeMap<Register, Listed> {
        let mark = Register::deletion();
        let mut lost: BTreeMap<Register, BTreeSet<usize>> = BTreeMap::new();
        for event in view {
            for target in self.edited(*event) {
                if let Ok(register) = self.lost_at(view, &target) {
                    lost.entry(register).or_default().insert(*event);
                }
            }
        }
        let registers: BTreeSet<&Register> = view
            .iter()
            .flat_map(|event| &self.events[*event].acts)
            .filter_map(|act| if let Act::Write { register, .. } = act { Some(register) } else { None })
            .filter(|register| register.object.as_ref().is_none_or(|object| self.lost_at(view, object) == Err(true)))
            .collect();
        let mut listed = BTreeMap::new();
        for register in registers {
            let visible = self.visible(view, register);
            let decisions = self.decisions(view, register);
            if *register == mark {
                listed.extend(
                    self.entity(view, &decisions, &visible)
                        .then(|| (mark.clone(), (ConflictKind::Entity, BTreeSet::new()))),
                );
                continue;
            }
            let says = |written: &Written| match &written.scalar {
                Some(value) => format!("{value:?}"),
                None => format!("{:?}", written.id),
            };
            let values: BTreeSet<String> = visible.iter().map(|(written, _)| says(written)).collect();
            let is_lost =
                lost.get(register).into_iter().flatten().any(|edit| self.is_unseen(&decisions, &decisions, *edit));
            let decided_otherwise = |(event, written, _): &(usize, Option<&Written>, bool)| match written {
                None => true,
                Some(written) => self.is_keeping(*event, register) && !values.contains(&says(written)),
            };
            let is_deleted = self.writes(view, register).filter(decided_otherwise).any(|(event, ..)| {
                let is_last = !decisions.iter().any(|other| *other != event && self.knows(*other, event));
                let beside = |at: &Option<usize>| at.is_some_and(|at| !self.knows(at, event) && !self.knows(event, at));
                let is_empty = visible.is_empty() && self.is_keeping(event, register);
                is_last && (is_empty || visible.iter().any(|(_, at)| beside(at)))
            });
            let kind = if values.len() > 1 {
                ConflictKind::Values
            } else if is_lost {
                ConflictKind::Lost
            } else if is_deleted {
                ConflictKind::Deleted
            } else {
                continue;
            };
            listed.insert(register.clone(), (kind, values));
        }
        listed
    }

    fn entity(&self, view: &BTreeSet<usize>, decisions: &[usize], visible: &[(Written, Option<usize>)]) -> bool {
        let is_deletion = |written: &Written| written.scalar.as_ref().is_some_and(|value| !value.is_null());
        let marks: Vec<usize> =
            visible.iter().filter(|(written, _)| is_deletion(written)).filter_map(|(_, at)| *at).collect();
        let is_restored = visible.iter().any(|(written, _)| !is_deletion(written));
        let writes_something = |event: &usize| {
            self.events[*event].acts.iter().any(|act| match act {
                Act::Write { register, written: Some(_), derived: false, keeps: false } => {
                    *register != Register::deletion()
                }
                Act::Into { .. } => true,
                Act::Write { .. } => false,
            })
        };
        let is_edited =
            view.iter().filter(|event| writes_something(event)).any(|edit| self.is_unseen(decisions, &marks, *edit));
        !marks.is_empty() && (is_restored || is_edited)
    }
}

/// Three devices, and the record of what they do.
struct World {
    documents: Vec<Document>,
    views: Vec<BTreeSet<usize>>,
    record: Record,
    /// The heads at which a device had no conflict.
    clear: Vec<Vec<ChangeHash>>,
    /// The changes in which a device said that the entity is deleted.
    marked: Vec<Vec<ChangeHash>>,
    /// Goes on with each edit, so that each is a step of its own to undo.
    wall_ms: i64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            documents: (0..3).map(|_| Document::new(ENTITY)).collect(),
            views: vec![BTreeSet::new(); 3],
            record: Record::default(),
            clear: vec![Vec::new(); 3],
            marked: vec![Vec::new(); 3],
            wall_ms: by(1).now.wall_ms,
        };
        for number in 0..2 {
            world.insert(0, 0, number);
        }
        world.receive(1, 0);
        world.receive(2, 0);
        world
    }

    fn at(&self, device: usize, object: &ObjId, prop: impl Into<Prop>) -> Option<(Id, bool)> {
        let found = self.documents[device].automerge().get(object, prop).unwrap();
        found.map(|(found, id)| (Id::of_object(&id).unwrap(), found.is_object()))
    }

    fn add(&mut self, device: usize, acts: Vec<Act>) {
        let number = self.record.events.len();
        self.views[device].insert(number);
        self.record.events.push(Event { known: self.views[device].clone(), acts });
    }

    fn do_edit(
        &mut self,
        device: usize,
        closure: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
    ) -> Vec<LocalChange> {
        self.wall_ms += TYPING_PAUSE_MAX_MS + 1;
        let now = Now { wall_ms: self.wall_ms, monotonic_ms: 0 };
        let context = EditContext { now, ..by(device as u8 + 1) };
        self.documents[device].edit(&context, &Limits::DEFAULT, closure).unwrap().changes
    }

    /// Inserts a number, or a map with one, into the list; its creation is the record's first act.
    fn insert(&mut self, device: usize, index: usize, number: u8) {
        let list = Register { object: None, key: Key::Map("l".to_owned()) };
        let length = self.length(device);
        let index = index.min(length.unwrap_or(0));
        if length.is_none() && !self.record.visible(&self.views[device], &list).is_empty() {
            return;
        }
        let value =
            if number.is_multiple_of(2) { Value::Int(number.into()) } else { Value::from([("x", Value::Int(0))]) };
        let made = self.do_edit(device, |edit| edit.insert("l", index, value));
        let (list_id, _) = self.at(device, &ObjId::Root, "l").unwrap();
        let (element, is_object) = self.at(device, &list_id.object(), index).unwrap();
        let register = Register { object: Some(list_id.clone()), key: Key::Element(element.clone()) };
        let mut acts = Vec::new();
        if length.is_none() {
            let written = Some(Written { id: list_id.clone(), scalar: None });
            self.record.homes.insert(list_id, list.clone());
            acts.push(Act::Write {
                register: list,
                written,
                derived: made.iter().any(|change| change.derived),
                keeps: false,
            });
        }
        self.record.homes.insert(element.clone(), register.clone());
        let scalar = (!is_object).then_some(Value::Int(number.into()));
        let written = Some(Written { id: element.clone(), scalar });
        acts.push(Act::Write { register, written, derived: false, keeps: false });
        if is_object {
            let (x, _) = self.at(device, &element.object(), "x").unwrap();
            let register = Register { object: Some(element), key: Key::Map("x".to_owned()) };
            self.record.homes.insert(x.clone(), register.clone());
            let written = Some(Written { id: x, scalar: Some(Value::Int(0)) });
            acts.push(Act::Write { register, written, derived: false, keeps: false });
        }
        self.add(device, acts);
    }

    /// How long the list is; `None` where something else or nothing is there.
    fn length(&self, device: usize) -> Option<usize> {
        let read = self.documents[device].read_at("l").unwrap();
        read.as_ref().and_then(Value::as_list).map(<[Value]>::len)
    }

    /// The register at a place, with the path that leads to it; `None` where another value hides what stands there.
    fn register(&self, device: usize, place: u8, number: u8) -> Option<(Path, Register)> {
        let key = |key: &str| Key::Map(key.to_owned());
        let root = |name: &str| (Path::from(name), Register { object: None, key: key(name) });
        let inside = |(path, register): (Path, Register), name: &str| {
            let visible = self.record.visible(&self.views[device], &register);
            let [(Written { id, scalar: None }, _)] = visible.as_slice() else { return None };
            let is_map = matches!(self.documents[device].read_at(path.clone()), Ok(Some(Value::Map(_))));
            is_map.then(|| (path.key(name), Register { object: Some(id.clone()), key: key(name) }))
        };
        let element = || {
            let list = root("l").1;
            let visible = self.record.visible(&self.views[device], &list);
            let [(Written { id, scalar: None }, _)] = visible.as_slice() else { return None };
            let index = usize::from(number).checked_rem(self.length(device)?)?;
            let (value, _) = self.at(device, &id.object(), index)?;
            Some((Path::from("l").index(index), self.record.homes.get(&value)?.clone()))
        };
        match place {
            0 => Some(root("a")),
            1 => Some(root("b")),
            2 => inside(root("a"), "x"),
            3 => inside(root("a"), "x").and_then(|below| inside(below, "y")),
            4 => element(),
            5 => element().and_then(|element| inside(element, "x")),
            6 => Some(root("l")),
            _ => Some(root(DELETED_KEY)),
        }
    }

    fn act(&mut self, device: usize, place: u8, what: u8, number: u8) {
        if what == 7 {
            return self.insert(device, number.into(), number);
        }
        let Some((path, register)) = self.register(device, place, number) else { return };
        let value = match what {
            8 | 9 if register == Register::deletion() => return self.take_deletion_back(device, register),
            _ if register == Register::deletion() => {
                if number.is_multiple_of(2) {
                    Value::Null
                } else {
                    Value::Timestamp(number.into())
                }
            }
            0 | 1 => Value::Int((number % 3).into()),
            3 => Value::Map(BTreeMap::new()),
            4 => Value::Text(String::new()),
            5 => Value::Counter(0),
            6 => return self.write_into(device, path, &register),
            8 | 9 => return self.keep(device, &path, register, number),
            _ => return self.delete(device, path, register),
        };
        let made = self.do_edit(device, |edit| edit.put(path.clone(), value.clone()));
        if made.is_empty() {
            return;
        }
        let prop = prop_at(&path, &register);
        if register == Register::deletion() {
            self.marked[device].extend(made.iter().map(|change| change.hash));
        }
        let (id, is_object) = self.at(device, &register.object(), prop).unwrap();
        let derived = made.iter().any(|change| change.derived);
        let is_known = self.record.homes.insert(id.clone(), register.clone()).is_some();
        assert!(derived || !is_known, "what is put is new");
        let is_written_into = is_object || matches!(value, Value::Counter(_));
        let written = Some(Written { id, scalar: (!is_written_into).then_some(value) });
        self.add(device, vec![Act::Write { register, written, derived, keeps: false }]);
    }

    /// Undoes the latest deletion or restoration of a device's own, where it can be.
    fn take_deletion_back(&mut self, device: usize, register: Register) {
        let Some(marked) = self.marked[device].pop() else { return };
        let own = ActorId::from([device as u8 + 1; 16]);
        let document = &self.documents[device];
        let Some(plan) = document.undo_plan_of(Direction::Undo, &marked, |actor| *actor == own) else { return };
        if self.do_edit(device, |edit| edit.revert(&plan)).is_empty() {
            return;
        }
        // Whoever takes a deletion back says that the entity is there: a mark that is gone would say nothing.
        let (id, _) = self.at(device, &register.object(), DELETED_KEY).expect("the mark is written, and not removed");
        let scalar = self.documents[device].read_at(DELETED_KEY).unwrap();
        self.record.homes.insert(id.clone(), register.clone());
        let written = Some(Written { id, scalar });
        self.add(device, vec![Act::Write { register, written, derived: false, keeps: false }]);
    }

    /// Keeps one of the values that stand at a place, or leaves it empty, where that is in conflict.
    fn keep(&mut self, device: usize, path: &Path, register: Register, number: u8) {
        let conflicts = self.documents[device].conflicts();
        let Some(conflict) = conflicts.into_iter().find(|conflict| conflict.register == register) else { return };
        let side = usize::from(number) % conflict.values.len();
        let written = match &conflict.values[side] {
            ConflictValue { value: None, .. } => None,
            ConflictValue { operation: Some(id), value: Some(value), .. } => Some((id.clone(), value.clone())),
            // What is gone is made anew with all that is in it.
            ConflictValue { operation: None, .. } => return,
        };
        assert!(!self.do_edit(device, |edit| edit.resolve(&conflict, &Choice::Keep(side))).is_empty());
        let keeps = matches!(
            written,
            Some((_, Value::Map(_) | Value::List(_) | Value::Text(_) | Value::RichText(_) | Value::Counter(_)))
        );
        let written = written.map(|(kept, value)| {
            if keeps {
                return Written { id: kept, scalar: None };
            }
            let (id, _) = self.at(device, &register.object(), prop_at(path, &register)).unwrap();
            self.record.homes.insert(id.clone(), register.clone());
            Written { id, scalar: Some(value) }
        });
        self.add(device, vec![Act::Write { register, written, derived: false, keeps }]);
    }

    fn delete(&mut self, device: usize, path: Path, register: Register) {
        if !self.do_edit(device, |edit| edit.delete(path)).is_empty() {
            self.add(device, vec![Act::Write { register, written: None, derived: false, keeps: false }]);
        }
    }

    /// Types into a text, or increments a counter, where one stands alone.
    fn write_into(&mut self, device: usize, path: Path, register: &Register) {
        let visible = self.record.visible(&self.views[device], register);
        let [(Written { id, .. }, _)] = visible.as_slice() else { return };
        let target = id.clone();
        let made = match self.documents[device].read_at(path.clone()) {
            Ok(Some(Value::Text(_))) => self.do_edit(device, |edit| edit.splice_text(path, 0, 0, "x")),
            Ok(Some(Value::Counter(_))) => self.do_edit(device, |edit| edit.increment(path, 1)),
            _ => return,
        };
        assert!(!made.is_empty());
        let mut acts = vec![Act::Into { target }];
        // An increment is written at the place of its counter.
        acts.extend(register.object.clone().map(|target| Act::Into { target }));
        self.add(device, acts);
    }

    fn receive(&mut self, device: usize, from: usize) {
        let changes = self.documents[from].changes_since(&[]);
        receive(&mut self.documents[device], &changes);
        let theirs = self.views[from].clone();
        self.views[device].extend(theirs);
    }

    /// Holds the list of a device against the record.
    fn check(&mut self, device: usize) {
        let document = &self.documents[device];
        let found = document.conflicts();
        assert_eq!(document.conflicts_since(&self.clear[device]), found);
        if found.is_empty() {
            self.clear[device] = document.heads();
        }
        let listed: BTreeMap<Register, Listed> =
            found.iter().map(|conflict| (conflict.register.clone(), listed(conflict))).collect();
        let view = &self.views[device];
        let mut expected = self.record.conflicts(view);
        let mut shown = listed;
        // Which of several values is shown is for the engine to say, and so whether anything in them is.
        let is_open = |register: &Register| {
            register.object.as_ref().is_none_or(|object| self.record.lost_at(view, object) == Err(true))
        };
        shown.retain(|register, _| is_open(register));
        expected.retain(|register, _| is_open(register));
        assert_eq!(shown, expected);
    }
}

fn listed(conflict: &Conflict) -> Listed {
    let says = |side: &ConflictValue| match (&side.operation, &side.value) {
        (Some(id), Some(Value::Map(_) | Value::List(_) | Value::Text(_) | Value::Counter(_))) => {
            Some(format!("{id:?}"))
        }
        (Some(_), Some(value)) => Some(format!("{value:?}")),
        _ => None,
    };
    (conflict.kind, conflict.values.iter().filter_map(says).collect())
}

fn prop_at(path: &Path, register: &Register) -> Prop {
    match (path.steps().last(), &register.key) {
        (Some(crate::document::Step::Index(index)), _) => Prop::Seq(*index),
        (_, Key::Map(key)) => Prop::from(key.as_str()),
        (_, Key::Element(_)) => unreachable!("elements have indices"),
    }
}

fn play(actions: &[Action]) -> World {
    let mut world = World::new();
    for action in actions {
        let touched = match *action {
            Action::Edit { device, place, what, number } => {
                world.act(device, place, what, number);
                device
            }
            Action::Receive { device, from } => {
                world.receive(device, from);
                device
            }
        };
        world.check(touched);
    }
    world
}

fn exchange_all(world: &mut World) {
    for (device, from) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
        world.receive(device, from);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_listed_is_what_people_did_without_knowing_of_each_other(actions in actions()) {
        let mut world = play(&actions);
        exchange_all(&mut world);
        for device in 0..3 {
            world.check(device);
        }
        let all = world.documents[0].conflicts();
        prop_assert_eq!(&world.documents[1].conflicts(), &all);
        prop_assert_eq!(&world.documents[2].conflicts(), &all);
        prop_assert_eq!(&copy(&world.documents[0]).conflicts(), &all);
    }

    #[test]
    fn what_one_device_decided_is_decided_on_every_device(actions in actions(), choices in prop::collection::vec(0..4usize, 1..5)) {
        let mut world = play(&actions);
        exchange_all(&mut world);
        let mut decided = Vec::new();
        for choice in choices.iter().cycle().take(100) {
            let Some(conflict) = world.documents[0].conflicts().into_iter().next() else { break };
            prop_assert!(!decided.contains(&conflict), "{conflict:?}");
            let choice = Choice::Keep(choice % conflict.values.len());
            world.do_edit(0, |edit| edit.resolve(&conflict, &choice));
            decided.push(conflict);
        }
        exchange_all(&mut world);
        for document in &world.documents {
            prop_assert_eq!(document.conflicts(), []);
        }
    }
}
