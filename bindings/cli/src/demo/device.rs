//! A device: a store file of its own, and its sync.

use super::DemoFailure;
use crate::failure::Failure;
use afield::{Class, EntityId, Relay, Replica, Space, SpaceId, SyncError, SyncEvent, Traffic};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// How long anything may take that takes well under a second on a machine with nothing else to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How often something is looked at that cannot be waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Whose device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Ada,
    Ben,
    Newcomer,
}

impl Owner {
    /// The person.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ada | Self::Newcomer => "Ada",
            Self::Ben => "Ben",
        }
    }

    /// The kind of device.
    pub(super) fn device(self) -> &'static str {
        match self {
            Self::Ada => "laptop",
            Self::Ben => "phone",
            Self::Newcomer => "tablet",
        }
    }
}

/// Everything that a device holds of a space: the entities by collection, as their current values.
pub(super) type Contents = BTreeMap<(String, EntityId), Json>;

/// A change of an entity.
pub(super) type Changed = (EntityId, afield::ChangeHash);

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) replica: Replica,
    pub(super) space: Space,
    events: broadcast::Receiver<SyncEvent>,
}

impl Device {
    /// Makes a device whose space is a new one, or one of another device.
    pub(super) fn new(owner: Owner, folder: &Path, join: Option<SpaceId>) -> Result<Self, Failure> {
        let path = folder.join(format!("{}.db", owner.device()));
        let replica = Replica::open(&path).map_err(|source| Failure::Open { path, source })?;
        let space = match join {
            Some(id) => replica.join_space(id)?,
            None => replica.create_space("Trip")?,
        };
        let events = replica.events();
        Ok(Self { replica, space, events })
    }

    /// Switches sync on.
    pub(super) fn connect(&mut self, url: &str) -> Result<(), Failure> {
        self.events = self.replica.events();
        Ok(self.replica.connect(Relay::new(url))?)
    }

    /// Waits until the device is in step with the relay, however often it has to connect for that.
    pub(super) async fn in_step(&self) -> Result<(), Failure> {
        let since = Instant::now();
        loop {
            match self.replica.sync_now().await {
                Ok(()) => return Ok(()),
                Err(SyncError::Failed { class: Class::Retry, .. }) if since.elapsed() < PATIENCE => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the device knows that its relay is gone.
    pub(super) async fn disconnected(&mut self) -> Result<(), Failure> {
        let gone = async {
            loop {
                match self.events.recv().await {
                    Ok(SyncEvent::Disconnected { .. }) | Err(broadcast::error::RecvError::Closed) => return,
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                }
            }
        };
        within("a device noticed that the relay was gone", gone).await
    }

    /// How far the device is in the relay's log, and how many changes are not known to be in it.
    pub(super) fn position(&self) -> Result<(u64, u64), Failure> {
        let status = self.replica.status()?;
        Ok((status.spaces.iter().map(|space| space.sequence).sum(), status.pending_changes))
    }

    /// Changes that are not known to be on the relay.
    pub(super) fn pending(&self) -> Result<u64, Failure> {
        Ok(self.position()?.1)
    }

    /// What went over the wire since sync was switched on.
    pub(super) fn traffic(&self) -> Result<Traffic, Failure> {
        Ok(self.replica.status()?.traffic)
    }

    /// How often the device was told that the relay had lost history.
    pub(super) fn resets(&self) -> Result<u64, Failure> {
        Ok(self.replica.status()?.spaces.iter().map(|space| space.resets).sum())
    }

    /// Everything that the device holds.
    pub(super) fn contents(&self) -> Result<Contents, Failure> {
        let mut contents = Contents::new();
        for name in self.space.collections()? {
            let entities = self.space.collection::<()>(&name)?.json().list()?;
            contents.extend(entities.into_iter().map(|(id, value)| ((name.clone(), id), value)));
        }
        Ok(contents)
    }

    /// The heads of every document: equal heads are equal histories.
    pub(super) fn heads(&self, contents: &Contents) -> Result<BTreeMap<EntityId, Vec<afield::ChangeHash>>, Failure> {
        let mut heads = BTreeMap::new();
        for (collection, id) in contents.keys() {
            let entity = self.space.collection::<()>(collection)?.entity(*id)?;
            let mut of_entity = entity.raw(|document| document.get_heads())?;
            of_entity.sort_unstable();
            heads.insert(*id, of_entity);
        }
        Ok(heads)
    }

    /// Every change of every document.
    pub(super) fn changes(&self, contents: &Contents) -> Result<BTreeSet<Changed>, Failure> {
        let mut changes = BTreeSet::new();
        for (collection, id) in contents.keys() {
            let entity = self.space.collection::<()>(collection)?.entity(*id)?;
            let hashes = entity.raw(|document| {
                let of_entity = document.get_changes_meta(&[]);
                of_entity.into_iter().map(|change| change.hash).collect::<Vec<_>>()
            })?;
            changes.extend(hashes.into_iter().map(|hash| (*id, hash)));
        }
        Ok(changes)
    }
}

/// Waits until devices stand at the same place of the relay's log with nothing left to send.
pub(super) async fn all_in_step(devices: &[&Device]) -> Result<(), Failure> {
    let level = async {
        loop {
            for device in devices {
                device.in_step().await?;
            }
            let positions = devices.iter().map(|device| device.position()).collect::<Result<Vec<_>, _>>()?;
            let is_level = positions.windows(2).all(|pair| pair.first() == pair.last());
            if is_level && positions.iter().all(|(_, pending)| *pending == 0) {
                return Ok::<(), Failure>(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    within("all devices were in step", level).await??;
    // What a device has stored it may still be merging; being in step once more comes after that.
    for device in devices {
        device.in_step().await?;
    }
    Ok(())
}

/// Waits for something, but not for ever.
pub(super) async fn within<T>(what: &'static str, future: impl Future<Output = T>) -> Result<T, Failure> {
    let seconds = PATIENCE.as_secs();
    let in_time = tokio::time::timeout(PATIENCE, future).await;
    in_time.map_err(|_| DemoFailure::TooSlow { what, seconds }.into())
}
