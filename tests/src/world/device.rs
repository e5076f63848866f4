//! What happens on a device: people edit, processes die, networks come and go.

use super::*;
use afield::{EditFailure, EntityError, OperationError};
use afield_core::change::ChangeHeader;
use afield_core::document::Edit;
use afield_core::{Limits, Sequence};

/// A fault that a correct device does not have: the simulator has to notice each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSabotage {
    /// Whatever a receipt names leaves the outbox, although the cursor has not reached it.
    OutboxClearedOnReceipt,
    /// Changes that wait for dependencies are thrown away.
    OrphansDropped,
    /// Edits are committed and not synced.
    NeverSynced,
    /// What was purged is forgotten: the records are thrown away.
    ErasuresForgotten,
}

impl DeviceSabotage {
    /// Breaks a store, past what it guards, after a message that held these receipts.
    pub(super) fn strike(self, store: &mut Store, receipts: &[(ChangeId, Sequence)]) {
        store.tamper(|connection| match self {
            Self::OutboxClearedOnReceipt => {
                for ((entity, hash), sequence) in receipts {
                    let sql = "UPDATE changes SET sequence = ?1 WHERE sequence IS NULL AND hash = ?2
                               AND entity_row = (SELECT entity_row FROM entities WHERE entity = ?3)";
                    let sequence = i64::try_from(sequence.get()).expect("a short log");
                    connection.execute(sql, (sequence, hash.0, entity.as_bytes())).expect("the store can be written");
                }
            }
            Self::NeverSynced => {
                connection.pragma_update(None, "synchronous", "NORMAL").expect("SQLite takes it");
            }
            Self::ErasuresForgotten => {
                connection.execute("DELETE FROM erasures", []).expect("the store can be written");
            }
            Self::OrphansDropped => {
                connection.execute("DELETE FROM changes WHERE state = 2", []).expect("the store can be written");
            }
        });
    }
}

impl World {
    /// Makes a new entity with a title. The device has to be running.
    pub fn create(&mut self, device: Device, collection: &str) -> EntityId {
        let now = self.now_on(device);
        let id = EntityId::new(now, &mut self.devices[device.0].random);
        let fields = Value::from_json(&serde_json::json!({ "title": "new" }));
        let nothing = Value::Map(BTreeMap::new());
        let name = collection.parse().expect("a valid name");
        self.collections.insert(id, name);
        let target = self.target(id, Existence::Fresh);
        self.edit(device, &target, |edit| edit.assign(Path::ROOT, &nothing, &fields).map(drop));
        id
    }

    /// Inserts into the text `body`, as far into it as it reaches.
    pub fn type_text(&mut self, device: Device, entity: EntityId, position: usize, text: &str) -> bool {
        self.edit_existing(device, entity, |edit| {
            let length = edit.read("body")?.as_ref().and_then(Value::as_str).map_or(0, |body| body.chars().count());
            edit.splice_text("body", position.min(length), 0, text)
        })
    }

    /// Adds to the counter `count`.
    pub fn increment(&mut self, device: Device, entity: EntityId, by: i64) -> bool {
        self.edit_existing(device, entity, |edit| edit.increment("count", by))
    }

    /// Sets an entry of the map `labels`.
    pub fn label(&mut self, device: Device, entity: EntityId, key: &str, value: i64) -> bool {
        self.edit_existing(device, entity, |edit| edit.put_entry("labels", key, Value::Int(value)))
    }

    /// Inserts into the list `items`, as far into it as it reaches.
    pub fn add_item(&mut self, device: Device, entity: EntityId, index: usize, value: i64) -> bool {
        self.edit_existing(device, entity, |edit| {
            let length = edit.read("items")?.as_ref().and_then(Value::as_list).map_or(0, <[Value]>::len);
            edit.insert("items", index.min(length), Value::Int(value))
        })
    }

    /// Sets the field `title`.
    pub fn set_title(&mut self, device: Device, entity: EntityId, title: &str) -> bool {
        self.edit_existing(device, entity, |edit| edit.put("title", Value::Str(title.to_owned())))
    }

    /// The text `body` of an entity on a device.
    pub fn text(&self, device: Device, entity: EntityId) -> String {
        let target = self.target(entity, Existence::Required);
        let driver = self.driver(device).expect("the device is running");
        let read = driver.read_document(&target, self.now_on(device), |document| document.read_at("body"));
        let value = read.expect("the entity is on the device").expect("the path leads to a field");
        value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// How many changes stand in a device's outbox.
    pub fn outbox(&self, device: Device) -> u64 {
        let driver = self.driver(device).expect("the device is running");
        driver.with_store(|store| store.outbox_size(self.space)).expect("the store can be read").changes
    }

    /// The whole entity on a device.
    pub fn value(&self, device: Device, entity: EntityId) -> Option<Value> {
        let target = self.target(entity, Existence::Required);
        self.driver(device)?.read_document(&target, self.now_on(device), afield_core::document::Document::read).ok()
    }

    /// The heads of an entity that can be opened; a device whose process is dead has none.
    pub(super) fn heads_of(&self, device: Device, entity: EntityId) -> Result<BTreeSet<ChangeHash>, EntityError> {
        let target = self.target(entity, Existence::Required);
        let Some(driver) = self.driver(device) else { return Ok(BTreeSet::new()) };
        let heads = driver.read_document(&target, self.now_on(device), afield_core::document::Document::heads)?;
        Ok(heads.into_iter().collect())
    }

    /// The entities that a device knows, in order.
    pub fn entities(&self, device: Device) -> Vec<EntityId> {
        self.listed(device, Some(false))
    }

    /// The entities that a device knows, deleted or not or both, in order.
    pub(super) fn listed(&self, device: Device, deleted: Option<bool>) -> Vec<EntityId> {
        let Some(driver) = self.driver(device) else { return Vec::new() };
        let query = ListQuery { space: self.space, collection: None, deleted, after: None, limit: usize::MAX };
        let rows = driver.with_store(|store| store.reader().list(&query)).expect("the store can be read");
        rows.into_iter().map(|row| row.entity).collect()
    }

    /// How often a process went on after its disk had failed, instead of starting again.
    pub fn reloads(&self) -> u64 {
        self.reloads
    }

    /// How many live messages devices and relay have sent so far: pushes, and live chunks.
    pub fn live_messages(&self) -> (u64, u64) {
        let wires = self.devices.iter().filter_map(|node| node.wire.as_ref());
        wires.fold(self.live_messages, |(pushes, runs), wire| {
            let (more_pushes, more_runs) = wire.listener.live_messages();
            (pushes + more_pushes, runs + more_runs)
        })
    }

    /// What a device has said of its sync since its beginning.
    pub fn events(&mut self, device: Device) -> &[SyncEvent] {
        self.listen(device);
        &self.devices[device.0].heard
    }

    pub(super) fn listen(&mut self, device: Device) {
        let node = &mut self.devices[device.0];
        if let Some(events) = &mut node.events {
            node.heard.extend(std::iter::from_fn(|| events.try_recv().ok()));
        }
    }

    /// Ends a device's process at once. What was committed is on its disk.
    pub fn crash(&mut self, device: Device) {
        self.trace.note("crash", &[device.0 as u8]);
        self.listen(device);
        self.cut(device);
        let node = &mut self.devices[device.0];
        if let Some(driver) = node.driver.take() {
            node.disk = Some(driver.into_store().into_connection().expect("a store in memory keeps its connection"));
        }
        (node.connecting_at, node.idle_at) = (None, None);
    }

    /// Cuts a device's power: its process ends, and of its disk what was synced is left.
    pub fn lose_power(&mut self, device: Device) {
        self.crash(device);
        let node = &mut self.devices[device.0];
        let Some(image) = lock(&node.synced).take() else { return };
        self.trace.note("power lost", &[device.0 as u8]);
        let node = &mut self.devices[device.0];
        node.may_lack_marks = true;
        if let Some(disk) = &mut node.disk {
            disk.deserialize_read_exact("main", image.as_slice(), image.len(), false)
                .expect("a copy of a database is one");
        }
    }

    /// Starts a device's process again, if it is dead.
    pub fn restart(&mut self, device: Device) {
        let Some(disk) = self.devices[device.0].disk.take() else { return };
        self.trace.note("restart", &[device.0 as u8]);
        let store = Store::from_connection(disk, &OpenOptions::default()).expect("what was committed opens again");
        self.start(device, store);
    }

    /// Takes a device off the network.
    pub fn go_offline(&mut self, device: Device) {
        self.devices[device.0].online = false;
        self.cut(device);
        let now = self.now_on(device);
        if let Some(driver) = self.driver(device) {
            driver.disable_sync(now);
        }
        self.drain(device);
    }

    /// Puts a device on the network, as if its person had just switched sync on.
    pub fn go_online(&mut self, device: Device) {
        if !std::mem::replace(&mut self.devices[device.0].online, true) {
            self.switch_sync_on_anew(device);
        }
    }

    pub(super) fn switch_sync_on_anew(&mut self, device: Device) {
        self.cut(device);
        self.enable(device);
    }

    /// Lets a device merge what it has stored, as it does when no more messages have come.
    pub(super) fn be_idle(&mut self, device: Device) {
        self.devices[device.0].idle_at = None;
        let now = self.now_on(device);
        let failed = self.driver(device).is_some_and(|driver| driver.handle_idle(now).is_err());
        if let (Some(driver), Some(sabotage)) = (self.driver(device), self.sabotage) {
            driver.with_store(|store| sabotage.strike(store, &[]));
        }
        if failed {
            self.crash_or_reload(device);
        }
        self.drain(device);
        self.await_idle(device);
    }

    /// Whether a device's process is alive.
    pub fn is_running(&self, device: Device) -> bool {
        self.devices[device.0].driver.is_some()
    }

    pub(super) fn target(&self, entity: EntityId, existence: Existence) -> Target {
        let notes = || "notes".parse().expect("a valid name");
        let collection = self.collections.get(&entity).cloned().unwrap_or_else(notes);
        Target { space: self.space, collection, entity, existence }
    }

    pub(super) fn edit_existing(
        &mut self,
        device: Device,
        entity: EntityId,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
    ) -> bool {
        let target = self.target(entity, Existence::Required);
        self.edit(device, &target, edit)
    }

    /// Edits, unless the device is dead or does not have the entity. Answers whether the edit is stored.
    fn edit(
        &mut self,
        device: Device,
        target: &Target,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
    ) -> bool {
        let now = self.now_on(device);
        let Some(driver) = self.driver(device) else { return false };
        let outcome = driver.edit(target, now, edit);
        let stored = outcome.is_ok();
        let changes = outcome.as_ref().map(|edited| edited.changes.clone()).unwrap_or_default();
        self.returned(device, &changes);
        match outcome {
            Err(EditFailure::Store(_)) => self.crash_or_reload(device),
            Err(EditFailure::Document(error)) => panic!("an edit of the simulator is refused: {error}"),
            Err(EditFailure::Entity(error)) => self.not_opened(device, target.entity, &error),
            Err(_) | Ok(_) => {}
        }
        self.wake(device);
        stored
    }

    /// An entity that an edit could not open: it is not there, its changes wait for others, or the disk fails. Anything
    /// else must not come of honest changes (D8).
    pub(super) fn not_opened(&mut self, device: Device, entity: EntityId, error: &EntityError) {
        match error {
            EntityError::Store(_) | EntityError::Driver(_) => self.crash_or_reload(device),
            EntityError::Missing { .. } | EntityError::NotHere { .. } if !self.holds_changes_of(device, entity) => {}
            EntityError::NotYet { .. } if self.record.is_disordered || self.devices[device.0].was_filtered => {}
            _ => {
                let found = format!("device {} cannot edit an entity of which it holds changes: {error}", device.0);
                self.find(Violation::of("D8", found));
            }
        }
    }

    /// Takes note of changes whose edit has returned: they have to be there from now on (D1), under numbers that no
    /// other change has (D6).
    pub(super) fn returned(&mut self, device: Device, changes: &[ChangeId]) {
        for (entity, hash) in changes {
            self.trace.note("edit", hash.as_ref());
            self.returned.insert((*entity, *hash));
            let Some(driver) = self.driver(device) else { continue };
            let stored = driver.with_store(|store| store.change(*entity, *hash)).expect("the store can be read");
            let bytes = stored.expect("an edit that has returned is stored").bytes;
            let header = ChangeHeader::read(&bytes, &Limits::DEFAULT).expect("a device makes well-formed changes");
            let number = (*entity, header.actor.to_bytes().to_vec(), header.sequence);
            if self.numbers.insert(number, *hash).is_some_and(|other| other != *hash) {
                let found =
                    format!("number {} of {} stands for {hash} and another change", header.sequence, header.actor);
                self.find(Violation::of("D6", found));
            }
        }
    }

    /// A device whose disk failed: its process is dead, or goes on from what is on disk.
    pub(super) fn crash_or_reload(&mut self, device: Device) {
        let killed = self.devices[device.0].faults.take_killed();
        let now = self.now_on(device);
        if !killed && self.random.chance(500) && self.driver(device).is_some_and(|driver| driver.reload(now).is_ok()) {
            self.trace.note("reload", &[device.0 as u8]);
            self.reloads += 1;
            return;
        }
        self.crash(device);
        self.restart(device);
    }

    /// Every change and erasure record that a device holds, with its mark; of a dead process, what is on its disk.
    pub(super) fn held(&self, device: Device) -> Vec<(EntityId, ChangeHash, Option<Sequence>)> {
        let node = &self.devices[device.0];
        let marks = |store: &Store| store.marks(self.space).expect("the store can be read");
        match (&node.driver, &node.disk) {
            (Some(driver), _) => driver.with_store(|store| marks(store)),
            (None, Some(disk)) => {
                let copy = Store::from_connection(copied(disk), &OpenOptions::default());
                marks(&copy.expect("what was committed opens again"))
            }
            (None, None) => Vec::new(),
        }
    }

    pub(super) fn wake(&mut self, device: Device) {
        let now = self.now_on(device);
        let failed = self.driver(device).is_some_and(|driver| driver.handle_wake(now).is_err());
        if failed {
            self.crash_or_reload(device);
        }
        self.drain(device);
    }
}
