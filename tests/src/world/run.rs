//! How time passes in a world.

use super::listener::Listener;
use super::network::InFlight;
use super::*;
use afield_core::{Limits, Sequence};
use afield_relay::hub::Output as RelayOutput;

/// How long an attempt to connect takes at most, in milliseconds.
const CONNECT_MS: u64 = 50;

/// How often in a thousand a device finds more messages after the first, and how long it takes them in before it merges,
/// in milliseconds at most.
const MORE_MESSAGES: u32 = 300;
const IDLE_MS: u64 = 100;

/// The most messages that a device takes in one call, of those that have arrived.
const MESSAGES_MAX: usize = 16;

#[derive(Debug, Clone, Copy)]
enum Due {
    Relay,
    ToRelay(Device),
    ToDevice(Device),
    Connect(Device),
    Timer(Device),
    Idle(Device),
}

impl World {
    pub(super) fn run_until(&mut self, until_ms: u64) {
        while let Some((at_ms, due)) = self.next_due().filter(|(at_ms, _)| *at_ms <= until_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            match due {
                Due::Relay => self.relay.handle_timeout(self.now()),
                Due::ToRelay(device) => self.deliver_to_relay(device),
                Due::ToDevice(device) => self.deliver_to_device(device),
                Due::Connect(device) => self.answer_connect(device),
                Due::Idle(device) => self.be_idle(device),
                Due::Timer(device) => {
                    let now = self.now_on(device);
                    let failed = self.driver(device).is_some_and(|driver| driver.handle_timeout(now).is_err());
                    if failed {
                        self.crash_or_reload(device);
                    }
                    self.drain(device);
                }
            }
            self.drain_relay();
        }
        self.now_ms = self.now_ms.max(until_ms);
    }

    /// The earliest thing to happen; ties go by kind and device, so that equal seeds give equal histories.
    fn next_due(&self) -> Option<(u64, Due)> {
        let relay = self.relay.next_at().map(|at| (at, Due::Relay));
        let devices = self.all().flat_map(|device| {
            let node = &self.devices[device.0];
            let wire = node.wire.as_ref();
            [
                wire.filter(|_| !node.stalled.0)
                    .and_then(|wire| wire.to_relay.next_at())
                    .map(|at| (at, Due::ToRelay(device))),
                wire.filter(|_| !node.stalled.1)
                    .and_then(|wire| wire.to_device.next_at())
                    .map(|at| (at, Due::ToDevice(device))),
                node.connecting_at.map(|at| (at, Due::Connect(device))),
                node.idle_at.map(|at| (at, Due::Idle(device))),
                node.driver.as_ref().and_then(Driver::poll_timeout).map(|at| (at, Due::Timer(device))),
            ]
        });
        std::iter::once(relay).chain(devices).flatten().min_by_key(|(at, _)| *at)
    }

    /// Takes what a device wants: connections, messages, the end of a connection.
    pub(super) fn drain(&mut self, device: Device) {
        self.listen(device);
        self.take_answers(device);
        if self.devices[device.0].faults.take_killed() {
            self.crash(device);
            self.restart(device);
        }
        while let Some(output) = self.driver(device).and_then(Driver::poll_output) {
            match output {
                Output::Connect => {
                    let delay = self.random.between(0, CONNECT_MS);
                    self.devices[device.0].connecting_at = Some(self.now_ms + delay);
                }
                Output::Transmit(message) => {
                    self.trace.note("to relay", &message);
                    let (now_ms, faults) = (self.now_ms, self.network);
                    let node = &mut self.devices[device.0];
                    let Some(wire) = &mut node.wire else { continue };
                    let cargo = wire.listener.sent(&message);
                    if wire.to_relay.send(message, cargo, now_ms, &faults, &mut self.random) {
                        self.cut(device);
                        self.tell_disconnected(device);
                    }
                }
                Output::Disconnect => self.cut(device),
            }
        }
    }

    /// Breaks a device's connection; what is on its way is lost. The device learns of it from whoever calls.
    pub(super) fn cut(&mut self, device: Device) {
        if let Some(wire) = self.devices[device.0].wire.take() {
            self.trace.note("cut", &[device.0 as u8]);
            self.devices[device.0].earlier = Some((wire.to_relay, wire.to_device));
            // A half-open connection: the relay finds out only when it next hears of the device.
            if !self.random.chance(self.network.half_open) {
                self.relay.disconnect(wire.session);
            }
        }
    }

    /// Breaks a device's connection, and the device notices.
    pub fn break_connection(&mut self, device: Device) {
        if self.devices[device.0].wire.is_some() {
            self.cut(device);
            self.tell_disconnected(device);
        }
    }

    fn tell_disconnected(&mut self, device: Device) {
        let now = self.now_on(device);
        if let Some(driver) = self.driver(device) {
            driver.handle_disconnected("the connection broke".to_owned(), now);
        }
        self.drain(device);
    }

    fn answer_connect(&mut self, device: Device) {
        self.devices[device.0].connecting_at = None;
        let now = self.now_on(device);
        let session = if self.devices[device.0].online { self.relay.connect(self.now()) } else { None };
        let Some(driver) = self.driver(device) else { return };
        match session {
            Some(session) => {
                let failed = driver.handle_connected(now).is_err();
                let wire = Wire::new(session, self.devices[device.0].earlier.take());
                wire.note(&mut self.trace);
                self.devices[device.0].wire = Some(wire);
                if failed {
                    self.crash_or_reload(device);
                }
            }
            None => driver.handle_connect_failed("unreachable".to_owned(), Class::Retry, None, now),
        }
        self.drain(device);
    }

    fn deliver_to_relay(&mut self, device: Device) {
        let Some(wire) = &mut self.devices[device.0].wire else { return };
        let session = wire.session;
        if let Some(InFlight { message, .. }) = wire.to_relay.take() {
            let head = self.record.present().map_or(Sequence::ZERO, |present| present.head().sequence);
            wire.listener.taken(&message, head);
            self.relay.handle_message(session, &message, self.now());
        }
    }

    fn deliver_to_device(&mut self, device: Device) {
        let (now, relay_now) = (self.now_on(device), self.now());
        let most = self.random.below(MESSAGES_MAX) + 1;
        let node = &mut self.devices[device.0];
        let Some(wire) = &mut node.wire else { return };
        let arrived = wire.to_device.take_arrived(most, self.now_ms);
        let session = wire.session;
        let mut acknowledged = Vec::new();
        for InFlight { message, is_forged, .. } in &arrived {
            if !is_forged {
                acknowledged.extend(wire.listener.acknowledged(message));
            }
            self.relay.handle_sent(session, message.len(), relay_now);
            self.trace.note("to device", message);
        }
        let Some(driver) = node.driver.as_ref().filter(|_| !arrived.is_empty()) else { return };
        let result = driver.handle_messages(arrived.iter().map(|arrived| arrived.message.as_slice()), now);
        if let Some(sabotage) = self.sabotage {
            driver.with_store(|store| sabotage.strike(store, &acknowledged));
        }
        self.acknowledged.extend(acknowledged.into_iter().map(|(change, _)| change));
        if result.is_err() {
            self.crash_or_reload(device);
        }
        self.drain(device);
        self.await_idle(device);
    }

    /// Lets a device be idle soon when it has something to merge: more messages, edits and crashes come in between.
    pub(super) fn await_idle(&mut self, device: Device) {
        if self.driver(device).is_some_and(Driver::wants_idle) {
            let delay = if self.random.chance(MORE_MESSAGES) { self.random.between(1, IDLE_MS) } else { 0 };
            self.devices[device.0].idle_at.get_or_insert(self.now_ms + delay);
        }
    }

    pub(super) fn drain_relay(&mut self) {
        self.look_at_relay();
        while let Some((session, output)) = self.relay.poll_transmit() {
            let device = self
                .all()
                .find(|device| self.devices[device.0].wire.as_ref().is_some_and(|wire| wire.session == session));
            let Some(device) = device else {
                // Nobody reads a half-open connection; its messages are lost.
                if matches!(output, RelayOutput::Close) {
                    self.relay.disconnect(session);
                }
                continue;
            };
            let broke = match output {
                RelayOutput::Message(message) => {
                    let (now_ms, faults) = (self.now_ms, self.network);
                    let wire = self.devices[device.0].wire.as_mut().expect("found by its wire");
                    let receipted = wire.listener.acknowledged(&message);
                    self.acknowledged_since_restore.extend(receipted.into_iter().map(|(change, _)| change));
                    let checked = wire.listener.check(&message, &self.record, self.relay.may_fail());
                    let cargo = Listener::cargo(&message);
                    let broke = wire.to_device.send(message, cargo, now_ms, &faults, &mut self.random);
                    self.find(checked);
                    broke
                }
                RelayOutput::Close => self.close_after_delivery(device),
            };
            if broke {
                self.break_connection(device);
            }
        }
    }

    /// The relay closes: what it sent before still arrives, then the device sees the end.
    fn close_after_delivery(&mut self, device: Device) -> bool {
        while self.devices[device.0].wire.as_ref().is_some_and(|wire| !wire.to_device.is_empty()) {
            self.deliver_to_device(device);
        }
        true
    }

    /// Ends the relay's process at once; every connection breaks.
    pub fn crash_relay(&mut self) {
        if self.relay.crash() {
            self.trace.note("relay crash", &[]);
            for device in self.all() {
                self.break_connection(device);
            }
        }
    }

    /// Starts the relay again, if it is dead.
    pub fn start_relay(&mut self) {
        if self.relay.start() {
            self.trace.note("relay start", &[]);
        }
    }

    /// How much the relay does at once.
    pub fn set_relay_pace(&mut self, pace: RelayPace) {
        self.relay.pace = pace;
    }

    /// Starts the relay again with these limits.
    pub fn set_relay_limits(&mut self, limits: Limits) {
        self.relay.set_limits(limits);
        self.crash_relay();
        self.start_relay();
    }
}
