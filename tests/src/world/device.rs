//! What happens on a device: people edit, processes die, networks come and go.

use super::*;
use afield::{EditFailure, OperationError};
use afield_core::document::Edit;

impl World {
    /// Makes a new entity with a title. The device has to be running.
    pub fn create(&mut self, device: Device, collection: &str) -> EntityId {
        let now = self.now_on(device);
        let id = EntityId::new(now, &mut self.devices[device.0].random);
        let fields = Value::from_json(&serde_json::json!({ "title": "new" }));
        let nothing = Value::Map(BTreeMap::new());
        let target = self.target(id, collection, Existence::Fresh);
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
        let target = self.target(entity, "notes", Existence::Required);
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
        let target = self.target(entity, "notes", Existence::Required);
        self.driver(device)?.read_document(&target, self.now_on(device), afield_core::document::Document::read).ok()
    }

    pub(super) fn heads_of(&self, device: Device, entity: EntityId) -> Option<Vec<afield::ChangeHash>> {
        let target = self.target(entity, "notes", Existence::Required);
        self.driver(device)?.read_document(&target, self.now_on(device), afield_core::document::Document::heads).ok()
    }

    /// The entities that a device knows, in order.
    pub fn entities(&self, device: Device) -> Vec<EntityId> {
        let Some(driver) = self.driver(device) else { return Vec::new() };
        let notes: Collection = "notes".parse().expect("a valid name");
        let query = ListQuery {
            space: self.space,
            collection: Some(&notes),
            deleted: Some(false),
            after: None,
            limit: usize::MAX,
        };
        let rows = driver.with_store(|store| store.reader().list(&query)).expect("the store can be read");
        rows.into_iter().map(|row| row.entity).collect()
    }

    /// Ends a device's process at once. What was committed is on its disk.
    pub fn crash(&mut self, device: Device) {
        self.trace.note("crash", &[device.0 as u8]);
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
        let was = std::mem::replace(&mut self.devices[device.0].online, true);
        let blocked = self.driver(device).is_some_and(Driver::has_blocked_spaces);
        if !was || blocked {
            self.cut(device);
            self.enable(device);
        }
    }

    /// Lets a device merge what it has stored, as it does when no more messages have come.
    pub(super) fn be_idle(&mut self, device: Device) {
        self.devices[device.0].idle_at = None;
        let now = self.now_on(device);
        let failed = self.driver(device).is_some_and(|driver| driver.handle_idle(now).is_err());
        if failed {
            self.crash_or_reload(device);
        }
        self.drain(device);
    }

    /// Whether a device's process is alive.
    pub fn is_running(&self, device: Device) -> bool {
        self.devices[device.0].driver.is_some()
    }

    fn target(&self, entity: EntityId, collection: &str, existence: Existence) -> Target {
        let collection = collection.parse().expect("a valid name");
        Target { space: self.space, collection, entity, existence }
    }

    fn edit_existing(
        &mut self,
        device: Device,
        entity: EntityId,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
    ) -> bool {
        let target = self.target(entity, "notes", Existence::Required);
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
        for (_, hash) in outcome.as_ref().map(|edited| edited.changes.as_slice()).unwrap_or_default() {
            self.trace.note("edit", hash.as_ref());
        }
        match outcome {
            Err(EditFailure::Store(_)) => self.crash_or_reload(device),
            Err(EditFailure::Document(error)) => panic!("an edit of the simulator is refused: {error}"),
            _ => {}
        }
        self.wake(device);
        stored
    }

    /// A device whose disk failed: its process is dead, or goes on from what is on disk.
    pub(super) fn crash_or_reload(&mut self, device: Device) {
        self.crash(device);
        self.restart(device);
    }

    fn wake(&mut self, device: Device) {
        let now = self.now_on(device);
        let failed = self.driver(device).is_some_and(|driver| driver.handle_wake(now).is_err());
        if failed {
            self.crash_or_reload(device);
        }
        self.drain(device);
    }
}
