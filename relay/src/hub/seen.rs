//! How far devices have stored a log, for those who wait until another device has what they pushed.

use super::{Hub, Readers};
use crate::log::Log;
use afield_core::session::LiveFeed;
use afield_core::{DeviceId, Sequence, SessionId, SpaceId};
use std::collections::BTreeSet;

/// A device of a user.
type DeviceKey = (i64, DeviceId);

/// The two devices that have stored most of a log, whether they are here or gone: to every device one of them is another one.
///
/// Kept in memory while anybody has the space open, and forgotten with the relay's process: each device says with its `Open`
/// how far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Farthest {
    first: Option<(DeviceKey, Sequence)>,
    second: Option<(DeviceKey, Sequence)>,
}

impl Farthest {
    /// Notes how far a device is; answers whether that says anything new.
    fn note(&mut self, device: DeviceKey, stored: Sequence) -> bool {
        let before = *self;
        let others = [self.first, self.second].into_iter().flatten().filter(|(other, _)| *other != device);
        let known = [self.first, self.second].into_iter().flatten().find(|(other, _)| *other == device);
        let stored = known.map_or(stored, |(_, known)| known.max(stored));
        let mut all: Vec<_> = others.chain([(device, stored)]).collect();
        all.sort_by_key(|(_, stored)| std::cmp::Reverse(*stored));
        let mut all = all.into_iter();
        (self.first, self.second) = (all.next(), all.next());
        *self != before
    }

    /// How far the farthest other device is.
    fn beside(&self, device: DeviceKey) -> Option<Sequence> {
        let others = [self.first, self.second].into_iter().flatten().filter(|(other, _)| *other != device);
        others.map(|(_, stored)| stored).max()
    }
}

impl Readers {
    pub(super) fn new(head: Sequence) -> Self {
        Self {
            head,
            sessions: BTreeSet::new(),
            live: LiveFeed::default(),
            farthest: Farthest::default(),
            listeners: std::collections::BTreeMap::new(),
        }
    }
}

impl<L: Log> Hub<L> {
    /// Notes how far a session's device has stored a space, and tells those who want to know.
    pub(super) fn note_stored(&mut self, id: SessionId, space: SpaceId) {
        let Some(seat) = self.sessions.get(&id) else { return };
        // Whether that is still the log that it has stored is checked by the read that is due, which notes it then. A guest only looks: who
        // waits until another device has what was pushed is not to take it for one.
        if seat.behind.contains(&space) || seat.guest_of.is_some() {
            return;
        }
        let (Some(device), Some(stored)) = (seat.device_key(), seat.session.stored(space)) else { return };
        let Some(readers) = self.spaces.get_mut(&space) else { return };
        let before = readers.farthest;
        if !readers.farthest.note(device, stored) {
            return;
        }
        // For everybody but the one who is farthest, nothing changes with the second.
        let concerned = if before.first.map(|(_, stored)| stored) == readers.farthest.first.map(|(_, stored)| stored) {
            readers.farthest.first.and_then(|(device, _)| self.devices.get(&device).copied()).into_iter().collect()
        } else {
            readers.sessions.iter().copied().collect::<Vec<_>>()
        };
        concerned.into_iter().for_each(|id| self.tell_seen(id, space));
    }

    /// Tells a session how far another device has stored a space, where it may want to know.
    pub(super) fn tell_seen(&mut self, id: SessionId, space: SpaceId) {
        let Some(farthest) = self.spaces.get(&space).map(|readers| readers.farthest) else { return };
        let Some(seat) = self.sessions.get_mut(&id) else { return };
        // A session that has to read first is told once it has: until then its log may be another one.
        if seat.behind.contains(&space) {
            return;
        }
        let Some(sequence) = seat.device_key().and_then(|device| farthest.beside(device)) else { return };
        if !seat.session.wants_to_hear(space, sequence) {
            return;
        }
        // What others have stored is of the log before, where that was replaced and nobody has noticed yet.
        if self.log.foreign_version().ok().is_none_or(|version| self.foreign_version != Some(version)) {
            return;
        }
        if seat.session.seen(space, sequence) {
            self.dirty.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_every_device_the_farthest_of_the_others_counts() {
        let device = |number| (1, DeviceId::from_bytes([number; 16]));
        let at = Sequence::new;
        let mut farthest = Farthest::default();
        assert_eq!(farthest.beside(device(1)), None);
        assert!(farthest.note(device(1), at(5)));
        assert_eq!((farthest.beside(device(1)), farthest.beside(device(2))), (None, Some(at(5))));
        assert!(farthest.note(device(2), at(3)) && farthest.note(device(3), at(4)));
        assert_eq!((farthest.beside(device(1)), farthest.beside(device(2))), (Some(at(4)), Some(at(5))));
        assert!(!farthest.note(device(2), at(2)) && !farthest.note(device(1), at(1)), "nobody goes back");
        assert!(farthest.note(device(2), at(9)));
        assert_eq!((farthest.beside(device(2)), farthest.beside(device(1))), (Some(at(5)), Some(at(9))));
        assert_eq!(
            farthest.beside((2, DeviceId::from_bytes([2; 16]))),
            Some(at(9)),
            "another user's device is another"
        );
    }
}
