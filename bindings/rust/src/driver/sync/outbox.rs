//! From the outbox to the wire.

use super::fetch::asked;
use super::{Link, Synchronization};
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError};
use afield_core::policy::Trigger;
use afield_core::session::PushedChunk;
use afield_core::{Now, SpaceId};
use afield_store::{OutboxChunk, OutboxPosition};

impl Driver {
    /// Sends what the outbox holds, as far as the session has room.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, Output, SpaceId, Target};
    /// # use afield_core::wire::{self, Channel, Opened, ToDevice, Welcome};
    /// # use afield_core::{Cursor, Limits, LogId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// # let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Either };
    /// # let cursor = Cursor::start(LogId::from_bytes([3; 16]));
    /// # let welcome = wire::encode_to_device(&ToDevice::Welcome(Welcome {
    /// #     version: wire::PROTOCOL_VERSION,
    /// #     session: afield::SessionId::from_bytes([4; 16]),
    /// #     limits: Limits::DEFAULT,
    /// #     spaces: Vec::new(),
    /// #     may_create: true,
    /// #     signals: true,
    /// # }));
    /// # let opened = wire::encode_to_device(&ToDevice::Opened(Opened { channel: Channel(0), log: cursor.log, role: None }));
    /// # driver.enable_sync(now);
    /// # driver.handle_connected(now)?;
    /// # driver.handle_messages([welcome.as_slice(), opened.as_slice()], now)?;
    /// # while driver.poll_output().is_some() {}
    /// driver.edit(&target, now, |edit| edit.put("title", "Milk"))?;
    /// driver.handle_wake(now)?;
    /// assert!(matches!(driver.poll_output(), Some(Output::Transmit(_)))); // on its way to the relay
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn handle_wake(&self, now: Now) -> Result<(), DriverError> {
        let mut sync = self.turn();
        let result = self.pump(&mut sync, now);
        self.finish(&mut sync, result, now)
    }

    pub(in crate::driver) fn pump(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        self.empty_told_trash(sync, now)?;
        let edited = std::mem::take(&mut *lock(&self.edited));
        for space in edited {
            if let Some(state) = sync.spaces.get_mut(&space) {
                state.outbox_empty = false;
            }
            if !matches!(sync.link, Link::Off) {
                self.ask_policy(sync, Some(space), &Trigger::LocalEdit, now)?;
            }
        }
        self.ask_for_invited(sync, now)?;
        let Synchronization { link: Link::Up { session, .. }, spaces, .. } = sync else { return Ok(()) };
        let mut held = Vec::new();
        for (space, state) in spaces.iter_mut().filter(|(_, state)| !state.outbox_empty && !state.blocked) {
            while let Some(room) = session.push_room(*space) {
                let mut store = lock(&self.store);
                if self.holds_back(&mut store, *space, now)? {
                    held.push(*space);
                    break;
                }
                let chunks = store.outbox(*space, state.outbox, room.chunks, room.bytes)?;
                drop(store);
                let Some(last) = chunks.get().last() else {
                    state.outbox_empty = true;
                    break;
                };
                // A page holds a change even when it is larger than the room. What a relay takes before it knows the
                // device is less than a change may be, so such a one waits for `Welcome`.
                if !session.is_welcome() && bytes_of(chunks.get()) > room.bytes {
                    break;
                }
                state.outbox = last.position;
                state.sent = state.sent.saturating_add(chunks.get().len() as u64);
                session.push(*space, chunks.map(|chunks| chunks.into_iter().map(pushed).collect()), now);
            }
        }
        for space in held {
            self.look_at_guard(sync, space, now)?;
        }
        self.pump_fetches(sync, now)?;
        self.settle_fetchers(sync)?;
        if let Link::Up { session, .. } = &mut sync.link {
            self.pump_presence(session, now)?;
        }
        sync.flush_session();
        self.note_in_step(sync, now);
        Ok(())
    }

    /// A space that was made or joined while the session runs.
    pub(super) fn open_new_space(
        &self,
        sync: &mut Synchronization,
        space: SpaceId,
        now: Now,
    ) -> Result<(), DriverError> {
        let store = lock(&self.store);
        let Some(record) = store.space(space)? else { return Ok(()) };
        let asked = asked(&store, space)?;
        drop(store);
        let Link::Up { session, .. } = &mut sync.link else { return Ok(()) };
        let mut state = super::SpaceSync::default();
        state.open(session, &record, asked, now);
        sync.spaces.insert(space, state);
        Ok(())
    }

    /// Starts the scan of the outbox over, so that changes whose marks were cleared are offered again.
    pub(in crate::driver) fn rescan(sync: &mut Synchronization, space: SpaceId) {
        if let Some(state) = sync.spaces.get_mut(&space) {
            state.outbox = OutboxPosition::START;
            state.outbox_empty = false;
        }
    }
}

fn bytes_of(chunks: &[OutboxChunk]) -> usize {
    chunks.iter().map(|chunk| chunk.bytes.len()).sum()
}

fn pushed(chunk: OutboxChunk) -> PushedChunk {
    let OutboxChunk { entity, collection, kind, hash, bytes, .. } = chunk;
    PushedChunk { entity, collection, kind, hash, bytes }
}
