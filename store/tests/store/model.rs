//! Random histories against a model that is too simple to be wrong: sets of changes, a log, a cursor.

use crate::help::*;
use afield_core::document::{Document, Incoming};
use afield_core::{ChangeHash, Cursor, EntityId, Role};
use afield_store::{
    Arrival, ChangeState, Covering, Fault, FaultPoint, LoadFrom, OpenOptions, Proof, Reason, Settled, Store, Violation,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug, Clone)]
enum Step {
    Edit {
        entity: u8,
        change: u8,
    },
    Import {
        entity: u8,
        change: u8,
    },
    /// Another device writes to the log.
    Elsewhere {
        entity: u8,
        change: u8,
    },
    /// The log takes what the outbox offers.
    Push {
        count: u8,
    },
    Pull {
        count: u8,
        prove: bool,
    },
    /// The relay restores a backup with so much of the log, or makes a new log.
    Restore {
        keep: u8,
    },
    Settle {
        entity: u8,
        verdict: u8,
    },
    Receipt {
        index: u8,
    },
    Save {
        entity: u8,
    },
    Compact {
        entity: u8,
        covering: Covering,
    },
    /// A copy of a snapshot rots; the other one does not, until the next saving has mended it.
    Rot {
        entity: u8,
        slot: u8,
    },
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<(Step, Option<u32>)>> {
    let entity = || 0..4_u8;
    let change = || 0..40_u8;
    let step = prop_oneof![
        4 => (entity(), change()).prop_map(|(entity, change)| Step::Edit { entity, change }),
        1 => (entity(), change()).prop_map(|(entity, change)| Step::Import { entity, change }),
        3 => (entity(), change()).prop_map(|(entity, change)| Step::Elsewhere { entity, change }),
        3 => (1..6_u8).prop_map(|count| Step::Push { count }),
        4 => (1..6_u8, any::<bool>()).prop_map(|(count, prove)| Step::Pull { count, prove }),
        1 => any::<u8>().prop_map(|keep| Step::Restore { keep }),
        3 => (entity(), 0..3_u8).prop_map(|(entity, verdict)| Step::Settle { entity, verdict }),
        2 => any::<u8>().prop_map(|index| Step::Receipt { index }),
        1 => entity().prop_map(|entity| Step::Save { entity }),
        3 => (entity(), any::<bool>()).prop_map(|(entity, all)| {
            Step::Compact { entity, covering: if all { Covering::All } else { Covering::Marked } }
        }),
        1 => (entity(), 0..2_u8).prop_map(|(entity, slot)| Step::Rot { entity, slot }),
        1 => Just(Step::Crash),
    ];
    // One step in four meets a fault at one of its first points.
    prop::collection::vec((step, prop::option::weighted(0.25, 1..8_u32)), 1..60)
}

/// A change as the model names it; its number on the wire differs per entity, so that none is shared.
type Key = (u8, u8);

fn number((entity, change): Key) -> u32 {
    u32::from(entity) * 1_000 + u32::from(change)
}

fn id(entity: u8) -> EntityId {
    crate::help::entity(u16::from(entity))
}

#[derive(Debug, Clone)]
struct Model {
    /// What the device holds, and whether it is marked.
    held: BTreeMap<Key, bool>,
    cursor: Cursor,
    resets: u64,
}

struct World {
    store: Option<Store>,
    model: Model,
    log: Vec<Key>,
    /// At most one new log per step, of which there are fewer than 100.
    log_number: u8,
    /// The entities of which a copy of the snapshot may have rotted.
    rotten: BTreeSet<u8>,
}

impl World {
    fn new() -> Self {
        let mut store = store_in_memory();
        let _ = store.create_space(space(1), "a space", afield_store::Origin::MadeHere, AT_MS).unwrap();
        let _ = store.set_log(space(1), log(1), Role::Owner).unwrap();
        let model = Model { held: BTreeMap::new(), cursor: Cursor::start(log(1)), resets: 0 };
        Self { store: Some(store), model, log: Vec::new(), log_number: 1, rotten: BTreeSet::new() }
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    /// Does a step with or without a fault, and checks that the store is where the model was before or is after.
    fn step(&mut self, step: &Step, fault: Option<u32>) {
        let before = self.model.clone();
        let mut after = before.clone();
        let points = Arc::new(AtomicU32::new(0));
        if let Some(strikes_at) = fault {
            let points = Arc::clone(&points);
            self.store().inject(Box::new(move |_: FaultPoint| {
                let point = points.fetch_add(1, Ordering::Relaxed) + 1;
                (point == strikes_at).then_some(if point.is_multiple_of(2) { Fault::Crash } else { Fault::DiskFull })
            }));
        }
        let result = self.act(step, &mut after);
        let struck = fault.is_some_and(|at| points.load(Ordering::Relaxed) >= at);
        assert!(result || struck, "{step:?} failed without a fault");
        if struck || matches!(step, Step::Crash) {
            assert!(!struck || !result, "a fault of {step:?} was not told");
            let connection = self.store.take().unwrap().into_connection().unwrap();
            self.store = Some(Store::from_connection(connection, &OpenOptions::default()).unwrap());
        } else {
            self.store().inject(Box::new(|_| None));
        }
        // Only a fault may leave the store as it was.
        self.model = if !struck || self.agrees(&after) { after } else { before };
        let model = self.model.clone();
        assert!(self.agrees(&model), "after {step:?}, fault {fault:?}: the store is neither as before nor as after");
        // What rotted is said to have.
        let rotten: BTreeSet<_> = self.rotten.iter().map(|entity| id(*entity)).collect();
        let is_told = |violation: &Violation| matches!(violation, Violation::SnapshotDamaged { entity } if rotten.contains(entity));
        let found = self.store().verify().unwrap();
        assert!(found.iter().all(is_told), "after {step:?}, fault {fault:?}: {found:?}");
    }

    /// Acts on the store, and on the model as if all went well; false when the store answered with an error.
    fn act(&mut self, step: &Step, after: &mut Model) -> bool {
        match *step {
            Step::Edit { entity, change } => self.append((entity, change), Arrival::Applied, after),
            Step::Import { entity, change } => self.append((entity, change), Arrival::Received, after),
            Step::Elsewhere { entity, change } => {
                if !self.log.contains(&(entity, change)) {
                    self.log.push((entity, change));
                }
                true
            }
            Step::Push { count } => {
                self.push(count, after);
                true
            }
            Step::Pull { count, prove } => self.pull(count, prove, after),
            Step::Restore { keep } => {
                self.log.truncate(usize::from(keep) % (self.log.len() + 1));
                self.log_number += 1;
                self.reset(after)
            }
            Step::Settle { entity, verdict } => self.settle(entity, verdict),
            Step::Receipt { index } => self.receipt(index, after),
            Step::Save { entity } => self.save(entity),
            Step::Compact { entity, covering } => self.compact(entity, covering),
            Step::Rot { entity, slot } => {
                self.rot(entity, slot);
                true
            }
            Step::Crash => true,
        }
    }

    fn append(&mut self, key: Key, arrival: Arrival, after: &mut Model) -> bool {
        after.held.entry(key).or_insert(false);
        append(self.store(), space(1), id(key.0), &[number(key)], arrival).is_ok()
    }

    /// Whether the device follows the log that the relay has, which a fault during its reset prevents.
    fn is_current(&self, model: &Model) -> bool {
        model.cursor.log == log(self.log_number)
    }

    fn reset(&mut self, after: &mut Model) -> bool {
        let log = log(self.log_number);
        after.held.values_mut().for_each(|marked| *marked = false);
        after.cursor = Cursor::start(log);
        after.resets += 1;
        self.store().reset(space(1), log, 0).is_ok()
    }

    fn push(&mut self, count: u8, model: &Model) {
        if !self.is_current(model) {
            return;
        }
        let offered = outbox(self.store(), space(1));
        let keys: BTreeMap<ChangeHash, Key> = model.held.keys().map(|key| (hash(number(*key)), *key)).collect();
        for key in offered.iter().take(count.into()).map(|hash| keys[hash]) {
            if !self.log.contains(&key) {
                self.log.push(key);
            }
        }
    }

    fn pull(&mut self, count: u8, prove: bool, after: &mut Model) -> bool {
        if !self.is_current(after) {
            return self.reset(after);
        }
        let passed = after.cursor.sequence.get() as usize;
        let upto = self.log.len().min(passed + usize::from(count));
        let keys = self.log[passed..upto].to_vec();
        let place = |key: &Key| Place {
            entity: id(key.0),
            change: number(*key),
            proven: prove && after.held.contains_key(key),
        };
        let places: Vec<_> = keys.iter().map(place).collect();
        let expected = after.cursor;
        after.cursor = cursor_behind(expected, &places);
        after.held.extend(keys.into_iter().map(|key| (key, true)));
        receive_after(self.store(), space(1), expected, &places).is_ok()
    }

    fn settle(&mut self, entity: u8, verdict: u8) -> bool {
        let Some(stored) = self.store().load(id(entity), afield_store::LoadFrom::Snapshot).unwrap() else {
            return true;
        };
        let settled = match verdict {
            0 => Settled::Applied,
            1 => Settled::Waiting,
            _ => Settled::Quarantined(Reason { number: 2, rules: 1 }),
        };
        let verdicts: Vec<_> = stored.changes.iter().take(3).map(|change| (change.hash, settled)).collect();
        self.store().settle(&[settlement(id(entity), &verdicts, Some(&projection("settled")))], AT_MS).is_ok()
    }

    /// A receipt for what stands at or below the cursor. In these histories all of that is marked already, so it must
    /// change nothing.
    fn receipt(&mut self, index: u8, after: &Model) -> bool {
        let passed = after.cursor.sequence.get() as usize;
        if passed == 0 || !self.is_current(after) {
            return true;
        }
        let at = usize::from(index) % passed;
        let key = self.log[at];
        let proof = Proof { entity: id(key.0), hash: hash(number(key)), sequence: sequence(at as u64 + 1) };
        self.store().mark(space(1), &[proof]).is_ok()
    }

    fn save(&mut self, entity: u8) -> bool {
        if self.store().home(id(entity)).unwrap().is_none() {
            return true;
        }
        let snapshot = saved(self.store(), id(entity));
        let is_saved = self.store().save_snapshot(id(entity), &snapshot).is_ok();
        if is_saved {
            self.rotten.remove(&entity);
        }
        is_saved
    }

    /// Compacts, after which every change has the state, the mark and the bytes that it had.
    fn compact(&mut self, entity: u8, covering: Covering) -> bool {
        if self.store().home(id(entity)).unwrap().is_none() {
            return true;
        }
        let before = self.store().load(id(entity), LoadFrom::Changes).unwrap().unwrap().changes;
        let is_compacted = compact(self.store(), id(entity), covering);
        if is_compacted.is_ok() {
            self.rotten.remove(&entity);
            let after = self.store().load(id(entity), LoadFrom::Changes).unwrap().unwrap().changes;
            assert_eq!(after, before);
        }
        is_compacted.is_ok()
    }

    fn rot(&mut self, entity: u8, slot: u8) {
        if self.rotten.insert(entity) {
            self.store().tamper(|connection| {
                let table = SNAPSHOTS[usize::from(slot)];
                let sql = format!(
                    "UPDATE {table} SET bytes = zeroblob(length(bytes))
                     WHERE entity_row = (SELECT entity_row FROM entities WHERE entity = ?1)"
                );
                connection.execute(&sql, [id(entity).as_bytes()]).unwrap();
            });
        }
    }

    /// Checks that the document that is opened holds what is applied and nothing else, by whichever way it is loaded.
    fn document_agrees(&mut self, entity: u8, applied: &BTreeSet<ChangeHash>) -> bool {
        let Some(stored) = self.store().load(id(entity), LoadFrom::Snapshot).unwrap() else {
            return applied.is_empty();
        };
        let later = stored.changes.iter().filter(|change| change.state == ChangeState::Applied);
        let later = later.map(|change| Incoming { hash: change.hash, bytes: &change.bytes });
        let snapshot = stored.snapshot.as_ref().map(|snapshot| snapshot.bytes.as_slice());
        let document = Document::load(id(entity), snapshot, later).unwrap();
        // Each change rests on no other, so that each is a head.
        document.heads().into_iter().collect::<BTreeSet<_>>() == *applied
    }

    fn agrees(&mut self, model: &Model) -> bool {
        let wanted: BTreeSet<_> =
            model.held.iter().filter(|(_, marked)| !**marked).map(|(key, _)| hash(number(*key))).collect();
        let store = self.store();
        let offered = outbox_chunks(store, space(1)).into_iter().map(|chunk| (chunk.hash, chunk.bytes));
        let record = store.space(space(1)).unwrap().unwrap();
        let (mut held, mut documents_agree) = (BTreeMap::new(), true);
        for entity in 0..4 {
            let Some(stored) = self.store().load(id(entity), LoadFrom::Changes).unwrap() else { continue };
            let is_applied = |change: &&afield_store::StoredChange| change.state == ChangeState::Applied;
            let applied = stored.changes.iter().filter(is_applied).map(|change| change.hash).collect();
            documents_agree &= self.document_agrees(entity, &applied);
            held.extend(stored.changes.into_iter().map(|change| (change.hash, change.bytes)));
        }
        let all_held: BTreeMap<_, _> = model.held.keys().map(|key| (hash(number(*key)), bytes(number(*key)))).collect();
        let offered: BTreeMap<_, _> = offered.into_iter().collect();
        offered.keys().copied().collect::<BTreeSet<_>>() == wanted
            && offered.iter().all(|(hash, bytes)| held.get(hash) == Some(bytes))
            && documents_agree
            && held == all_held
            && record.resets == model.resets
            && record.cursor == Some(model.cursor)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_what_is_held_and_the_outbox_rule(history in steps()) {
        let mut world = World::new();
        for (step, fault) in &history {
            world.step(step, *fault);
        }
        // When faults stop, everything held reaches the log and every mark follows (S1, S2).
        world.store().inject(Box::new(|_| None));
        if !world.is_current(&world.model) {
            world.step(&Step::Pull { count: 1, prove: false }, None);
        }
        world.step(&Step::Push { count: 255 }, None);
        world.step(&Step::Pull { count: 255, prove: true }, None);
        prop_assert_eq!(world.store().space(space(1)).unwrap().unwrap().cursor, Some(world.model.cursor));
        prop_assert!(world.model.held.values().all(|marked| *marked));
        prop_assert!(outbox(world.store(), space(1)).is_empty());
    }
}
