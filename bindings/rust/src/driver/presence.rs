//! Who is here: what this device shows in each space, and what others show. All of it lives in memory alone.

use super::Driver;
use super::documents::lock;
use afield_core::limits::{SIGNAL_ANSWER_SPREAD_MS, SIGNAL_EXPIRY_MS, SIGNAL_INTERVAL_MS, SIGNAL_REPEAT_MS};
use afield_core::session::{DeviceSession, ReceivedSignal};
use afield_core::wire::SignalKind;
use afield_core::{DeviceId, EntityId, Now, SessionId, SpaceId};
use afield_store::StoreError;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

/// The most places of other sessions that are remembered of one space, which bounds what hostile peers make a device hold: some
/// megabytes.
const PLACES_MAX: usize = 1_024;

/// Where something is shown: in an entity, or in the space as a whole.
pub(crate) type Place = Option<EntityId>;

/// What another session shows in one place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) session: SessionId,
    pub(crate) device: DeviceId,
    pub(crate) place: Place,
    pub(crate) state: Arc<Json>,
    /// When it was last heard, on the monotonic clock.
    pub(crate) heard_ms: u64,
}

/// Who is here, for all spaces in which somebody on this device takes part. Held for a moment at a time, inside all other locks.
#[derive(Debug, Default)]
pub(super) struct Presences {
    spaces: Mutex<BTreeMap<SpaceId, Here>>,
}

/// Who is here in one space.
#[derive(Debug, Default)]
struct Here {
    /// Those on this device who show or watch something.
    parties: u64,
    /// The number of the last of them.
    last_party: u64,
    own: BTreeMap<Place, Own>,
    peers: BTreeMap<(SessionId, Place), Shown>,
    watchers: Vec<Weak<Mutex<Notice>>>,
    /// Whether this session has asked who is here.
    is_joined: bool,
    /// When everything shown is to be said again, on the monotonic clock.
    repeat_ms: u64,
    /// When somebody who asked is to be answered.
    answer_ms: Option<u64>,
}

/// What this device shows in one place.
#[derive(Debug, Default)]
struct Own {
    /// What each party shows there, the newest last, which is what others see; none where all was taken back, and others are still to be told.
    states: Vec<(u64, Vec<u8>)>,
    /// Whether it stays here, since nothing of the collection leaves, or nothing of the entity has.
    is_kept: bool,
    is_due: bool,
    /// When it was last said in this session.
    said_ms: Option<u64>,
}

/// What a watcher is told.
#[derive(Debug, Default)]
pub(crate) struct Notice {
    pub(crate) changed: bool,
    pub(crate) closed: bool,
    pub(crate) waker: Option<Waker>,
}

impl Driver {
    /// Takes part in a space: from now on it is heard who is there. Answers the number of who does; whoever moves messages should
    /// call [`Driver::handle_wake`] after this and all that follows.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let party = driver.join_presence(space);
    /// driver.show_presence(space, None, party, br#"{"name":"Ada"}"#.to_vec());
    /// driver.handle_wake(now)?; // it goes out once the space is open in a session
    /// assert_ne!(driver.join_presence(space), party); // another window of the app
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_presence(&self, space: SpaceId) -> u64 {
        let mut spaces = lock(&self.presences.spaces);
        let here = spaces.entry(space).or_default();
        here.parties += 1;
        here.last_party += 1;
        here.last_party
    }

    /// Takes part no more, and takes back what was shown.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, Output, SpaceId};
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
    /// # let party = driver.join_presence(space);
    /// # driver.enable_sync(now);
    /// # driver.handle_connected(now)?;
    /// # driver.handle_messages([welcome.as_slice(), opened.as_slice()], now)?;
    /// # while driver.poll_output().is_some() {}
    /// driver.leave_presence(space, party);
    /// driver.handle_wake(now)?;
    /// assert!(matches!(driver.poll_output(), Some(Output::Transmit(_)))); // others are told
    /// # Ok(())
    /// # }
    /// ```
    pub fn leave_presence(&self, space: SpaceId, party: u64) {
        let mut spaces = lock(&self.presences.spaces);
        let Entry::Occupied(mut here) = spaces.entry(space) else { return };
        here.get_mut().take_back(party);
        here.get_mut().parties = here.get().parties.saturating_sub(1);
        if here.get().parties == 0 && !here.get().is_joined {
            here.remove();
        }
    }

    /// Shows something, as JSON of at most [`SIGNAL_BYTES_MAX`](afield_core::limits::SIGNAL_BYTES_MAX) bytes, in an entity or in the
    /// space as a whole until it is taken back, in place of what the party showed there. Others see what was shown last of that which still is.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, Output, SpaceId};
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
    /// # let party = driver.join_presence(space);
    /// # driver.enable_sync(now);
    /// # driver.handle_connected(now)?;
    /// # driver.handle_messages([welcome.as_slice(), opened.as_slice()], now)?;
    /// # while driver.poll_output().is_some() {}
    /// driver.show_presence(space, None, party, br#"{"name":"Ada"}"#.to_vec());
    /// driver.handle_wake(now)?;
    /// assert!(matches!(driver.poll_output(), Some(Output::Transmit(_)))); // others see it
    /// # Ok(())
    /// # }
    /// ```
    pub fn show_presence(&self, space: SpaceId, place: Option<EntityId>, party: u64, data: Vec<u8>) {
        let mut spaces = lock(&self.presences.spaces);
        let Some(here) = spaces.get_mut(&space) else { return };
        here.show(place, party, data);
    }

    /// Takes back what somebody shows.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, Output, SpaceId};
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
    /// # let party = driver.join_presence(space);
    /// # driver.enable_sync(now);
    /// # driver.handle_connected(now)?;
    /// # driver.handle_messages([welcome.as_slice(), opened.as_slice()], now)?;
    /// # while driver.poll_output().is_some() {}
    /// # driver.show_presence(space, None, party, br#"{"name":"Ada"}"#.to_vec());
    /// # driver.handle_wake(now)?;
    /// # while driver.poll_output().is_some() {}
    /// driver.clear_presence(space, party);
    /// let later = Now { monotonic_ms: 1_000, ..now };
    /// driver.handle_wake(later)?;
    /// assert!(matches!(driver.poll_output(), Some(Output::Transmit(_)))); // others see it no more
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_presence(&self, space: SpaceId, party: u64) {
        if let Some(here) = lock(&self.presences.spaces).get_mut(&space) {
            here.take_back(party);
        }
    }

    /// What others show in a space.
    pub(crate) fn who_is_here(&self, space: SpaceId) -> Vec<Shown> {
        let spaces = lock(&self.presences.spaces);
        spaces.get(&space).map(|here| here.peers.values().cloned().collect()).unwrap_or_default()
    }

    /// Where it will be told that others show something else in a space.
    pub(crate) fn watch_presence(&self, space: SpaceId) -> Arc<Mutex<Notice>> {
        // What there is now counts as news.
        let notice = Arc::new(Mutex::new(Notice { changed: true, ..Notice::default() }));
        let mut spaces = lock(&self.presences.spaces);
        let watchers = &mut spaces.entry(space).or_default().watchers;
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&notice));
        notice
    }

    /// Says what is to be said, and forgets who has not been heard for too long. Nothing is said of an entity that is to stay here.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub(super) fn pump_presence(&self, session: &mut DeviceSession, now: Now) -> Result<(), StoreError> {
        let may_leave = self.which_may_leave()?;
        let mut spaces = lock(&self.presences.spaces);
        let mut told = Vec::new();
        for (space, here) in &mut *spaces {
            let has_changed = if session.takes_signals(*space) {
                here.keep_what_stays(&may_leave);
                here.say(now, |kind, place, data| session.signal(*space, kind, place, data));
                here.expire(now)
            } else {
                here.end_session()
            };
            if has_changed {
                told.append(&mut here.watchers());
            }
        }
        spaces.retain(|_, here| here.parties > 0 || here.is_joined);
        drop(spaces);
        tell(told, |notice| notice.changed = true);
        Ok(())
    }

    /// Whether others may know of the entities in which something is shown; nothing is said of those that are not here.
    fn which_may_leave(&self) -> Result<BTreeMap<EntityId, Option<bool>>, StoreError> {
        let spaces = lock(&self.presences.spaces);
        let places: Vec<_> = spaces.values().flat_map(|here| here.own.keys().copied().flatten()).collect();
        drop(spaces);
        let (store, mut may_leave) = (lock(&self.store), BTreeMap::new());
        for entity in places {
            may_leave.insert(entity, store.may_leave(entity)?);
        }
        Ok(may_leave)
    }

    /// When there is something to say or to forget, on the monotonic clock; `None` while nobody takes part.
    pub(super) fn presence_due_ms(&self) -> Option<u64> {
        lock(&self.presences.spaces).values().filter_map(Here::due_ms).min()
    }

    /// Takes what another session says.
    pub(super) fn hear(&self, signal: ReceivedSignal, now: Now) {
        let mut spaces = lock(&self.presences.spaces);
        let Some(here) = spaces.get_mut(&signal.space).filter(|here| here.parties > 0) else { return };
        let random = || {
            let bytes = afield_core::time::random_bytes(&mut **lock(&self.entropy));
            u64::from_le_bytes(bytes) % SIGNAL_ANSWER_SPREAD_MS
        };
        let told = if here.hear(signal, now, random) { here.watchers() } else { Vec::new() };
        drop(spaces);
        tell(told, |notice| notice.changed = true);
    }

    /// Notes that a session, or its exchange about one space, is over: nobody is known to be here.
    pub(super) fn forget_presence(&self, space: Option<SpaceId>) {
        let mut spaces = lock(&self.presences.spaces);
        let mut told = Vec::new();
        for (_, here) in spaces.iter_mut().filter(|(of, _)| space.is_none_or(|space| space == **of)) {
            if here.end_session() {
                told.append(&mut here.watchers());
            }
        }
        spaces.retain(|_, here| here.parties > 0);
        drop(spaces);
        tell(told, |notice| notice.changed = true);
    }
}

impl Here {
    /// Shows something for a party in place of what that showed there, and before what others show there.
    fn show(&mut self, place: Place, party: u64, data: Vec<u8>) {
        let own = self.own.entry(place).or_default();
        own.states.retain(|(of, _)| *of != party);
        own.states.push((party, data));
        own.is_due = true;
    }

    /// Takes back what a party shows: others see what was shown there before it, where somebody still shows that.
    fn take_back(&mut self, party: u64) {
        for own in self.own.values_mut() {
            own.is_due |= own.states.last().is_some_and(|(of, _)| *of == party);
            own.states.retain(|(of, _)| *of != party);
        }
        // What nobody was told of is not taken back from anybody.
        self.own.retain(|_, own| !own.states.is_empty() || own.said_ms.is_some());
    }

    /// Keeps here what others may not know of, and takes it back from those who were shown it. An entity that is not here any more stays
    /// what it was; what was shown since the look waits for the next one, for which whoever showed it wakes the driver.
    fn keep_what_stays(&mut self, may_leave: &BTreeMap<EntityId, Option<bool>>) {
        for (place, own) in &mut self.own {
            let Some(entity) = place else { continue };
            let is_kept = may_leave.get(entity).is_none_or(|may| may.map_or(own.is_kept, |may| !may));
            own.is_due |= std::mem::replace(&mut own.is_kept, is_kept) != is_kept;
            own.is_due &= !is_kept || own.said_ms.is_some();
        }
    }

    fn say(&mut self, now: Now, mut signal: impl FnMut(SignalKind, Place, Option<&[u8]>) -> bool) {
        if self.parties == 0 {
            if std::mem::take(&mut self.is_joined) {
                signal(SignalKind::Leaves, None, None);
            }
            return;
        }
        let now_ms = now.monotonic_ms;
        let is_new = !std::mem::replace(&mut self.is_joined, true);
        if is_new {
            signal(SignalKind::Asks, None, None);
        }
        if is_new || self.repeat_ms <= now_ms || self.answer_ms.is_some_and(|answer_ms| answer_ms <= now_ms) {
            (self.repeat_ms, self.answer_ms) = (now_ms.saturating_add(SIGNAL_REPEAT_MS), None);
            self.own.values_mut().filter(|own| !own.is_kept).for_each(|own| own.is_due = true);
        }
        for (place, own) in &mut self.own {
            if own.is_due && own.due_ms() <= now_ms {
                match own.shown() {
                    Some(data) => signal(SignalKind::Shows, *place, Some(data)),
                    None => signal(SignalKind::Clears, *place, None),
                };
                // What was taken back to be kept has been said to nobody, as far as they know.
                (own.is_due, own.said_ms) = (false, Some(now_ms).filter(|_| !own.is_kept));
            }
        }
        self.own.retain(|_, own| !own.states.is_empty() || own.is_due);
    }

    /// Takes what another session says; answers whether others now show something else.
    fn hear(&mut self, signal: ReceivedSignal, now: Now, random: impl FnOnce() -> u64) -> bool {
        let ReceivedSignal { session, device, kind, entity: place, data, .. } = signal;
        match kind {
            SignalKind::Asks => {
                if self.answer_ms.is_none() && self.own.values().any(|own| own.shown().is_some()) {
                    self.answer_ms = Some(now.monotonic_ms.saturating_add(random()));
                }
                false
            }
            SignalKind::Shows => {
                // What is no JSON is of no version that this one could show.
                let Ok(state) = serde_json::from_slice(&data) else { return false };
                let shown = Shown { session, device, place, state: Arc::new(state), heard_ms: now.monotonic_ms };
                let is_full = self.peers.len() >= PLACES_MAX;
                match self.peers.entry((session, place)) {
                    Entry::Occupied(mut before) => {
                        let is_other = before.get().state != shown.state;
                        before.insert(shown);
                        is_other
                    }
                    Entry::Vacant(_) if is_full => false,
                    Entry::Vacant(free) => {
                        free.insert(shown);
                        true
                    }
                }
            }
            SignalKind::Clears => self.peers.remove(&(session, place)).is_some(),
            SignalKind::Leaves => self.forget(|shown| shown.session == session),
            SignalKind::Unknown(_) => false,
        }
    }

    fn expire(&mut self, now: Now) -> bool {
        self.forget(|shown| expiry_ms(shown) <= now.monotonic_ms)
    }

    fn forget(&mut self, is_gone: impl Fn(&Shown) -> bool) -> bool {
        let before = self.peers.len();
        self.peers.retain(|_, shown| !is_gone(shown));
        self.peers.len() < before
    }

    /// Forgets what was heard and said in a session; what is shown is said in the next one.
    fn end_session(&mut self) -> bool {
        (self.is_joined, self.answer_ms) = (false, None);
        self.own.retain(|_, own| !own.states.is_empty());
        self.own.values_mut().for_each(|own| (own.is_due, own.said_ms) = (true, None));
        self.forget(|_| true)
    }

    fn due_ms(&self) -> Option<u64> {
        // Before the session has begun there, nothing is said, and nothing has been heard.
        if !self.is_joined {
            return None;
        }
        let own = self.own.values().filter(|own| own.is_due).map(Own::due_ms);
        let repeat = Some(self.repeat_ms).filter(|_| self.own.values().any(|own| own.shown().is_some()));
        own.chain(repeat).chain(self.answer_ms).chain(self.peers.values().map(expiry_ms)).min()
    }

    fn watchers(&self) -> Vec<Arc<Mutex<Notice>>> {
        self.watchers.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Own {
    /// What others are to see.
    fn shown(&self) -> Option<&Vec<u8>> {
        self.states.last().map(|(_, data)| data).filter(|_| !self.is_kept)
    }

    /// When it may be said again.
    fn due_ms(&self) -> u64 {
        self.said_ms.map_or(0, |said_ms| said_ms.saturating_add(SIGNAL_INTERVAL_MS))
    }
}

impl Drop for Presences {
    fn drop(&mut self) {
        let spaces = std::mem::take(&mut *lock(&self.spaces));
        tell(spaces.values().flat_map(Here::watchers).collect(), |notice| notice.closed = true);
    }
}

fn expiry_ms(shown: &Shown) -> u64 {
    shown.heard_ms.saturating_add(SIGNAL_EXPIRY_MS)
}

/// Wakers are called without a lock of this module held: what they wake may drop its watch at once.
fn tell(watchers: Vec<Arc<Mutex<Notice>>>, what: impl Fn(&mut Notice)) {
    for watcher in watchers {
        let waker = {
            let mut notice = locked(&watcher);
            what(&mut notice);
            notice.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

pub(crate) fn locked(notice: &Mutex<Notice>) -> MutexGuard<'_, Notice> {
    notice.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: EntityId = EntityId::from_bytes([3; 16]);

    #[test]
    fn what_is_shown_since_the_look_at_directions_waits_for_the_next_look() {
        let mut here = Here { parties: 1, ..Here::default() };
        here.show(Some(NOTE), 1, b"1".to_vec());
        let mut say_after = |may_leave: &[(EntityId, Option<bool>)]| {
            let mut said = Vec::new();
            here.keep_what_stays(&may_leave.iter().copied().collect());
            here.say(Now { wall_ms: 0, monotonic_ms: 0 }, |kind, place, _| {
                said.push((kind, place));
                true
            });
            said
        };
        assert_eq!(say_after(&[]), [(SignalKind::Asks, None)], "nobody knows yet whether it may leave");
        assert_eq!(say_after(&[(NOTE, Some(false))]), []);
        assert_eq!(say_after(&[(NOTE, Some(true))]), [(SignalKind::Shows, Some(NOTE))]);
    }

    #[test]
    fn what_one_window_takes_back_leaves_what_another_shows_in_the_same_place() {
        let mut here = Here { parties: 2, ..Here::default() };
        let mut now_ms = 0;
        let mut said_by = |here: &mut Here| {
            let mut said = Vec::new();
            now_ms += SIGNAL_INTERVAL_MS;
            here.say(Now { wall_ms: 0, monotonic_ms: now_ms }, |kind, _, data| {
                said.push((kind, data.map(<[u8]>::to_vec)));
                true
            });
            said
        };
        let shows = |data: &[u8]| vec![(SignalKind::Shows, Some(data.to_vec()))];
        here.show(None, 1, b"1".to_vec());
        assert_eq!(said_by(&mut here)[1..], shows(b"1"));
        here.show(None, 2, b"2".to_vec());
        assert_eq!(said_by(&mut here), shows(b"2"));
        here.take_back(2);
        assert_eq!(said_by(&mut here), shows(b"1"), "the first still shows it");
        here.show(None, 2, b"2".to_vec());
        assert_eq!(said_by(&mut here), shows(b"2"));
        here.take_back(1);
        assert_eq!(said_by(&mut here), [], "nothing else is seen than before");
        here.take_back(2);
        assert_eq!(said_by(&mut here), [(SignalKind::Clears, None)]);
    }
}
