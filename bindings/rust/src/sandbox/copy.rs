//! The making of a sandbox: a copy of the store, as a device of its own, that takes in what the relay has.

use super::{Sandbox, SandboxError, SandboxProgress};
use crate::clock::{SystemClock, SystemEntropy};
use crate::connection::Connection;
use crate::driver::{Driver, DriverError, LinkView, NotInStep, Took};
use crate::error::ConnectError;
use crate::read_only::ReadOnlyReplica;
use crate::replica::Shared;
use crate::status::SyncEvent;
use afield_core::{DeviceId, SpaceId};
use afield_store::{BackupProgress, OpenOptions, Reader, Store};
use afield_transport::{ClientOptions, RelayAddress};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{broadcast, oneshot};

/// What stands beside a store's file while somebody writes to it, or after.
const BESIDE: [&str; 5] = ["", "-wal", "-shm", "-lock", "-holder"];

/// Where a relay is, and the space that a sandbox is for; all of them where none is named.
pub(crate) type For = ((RelayAddress, ClientOptions), Option<SpaceId>);

/// Makes a sandbox.
pub(crate) async fn made(
    shared: &Arc<Shared>,
    (parts, space): For,
    path: PathBuf,
    progress: impl FnMut(SandboxProgress) + Send + 'static,
) -> Result<Sandbox, SandboxError> {
    let (sender, answer) = oneshot::channel();
    let work = Work { reader: shared.reader.clone(), clock: shared.clock, parts, space, path, sender };
    let thread = std::thread::Builder::new().name("afield-sandbox".to_owned());
    let thread = thread.spawn(move || work.run(progress)).map_err(ConnectError::Thread)?;
    // Whoever gives up finds nothing of it afterwards: the thread notices, takes away what it has made, and is waited for.
    let _thread = Joined(Some(thread));
    let Looked { path, copy, took, refused } = answer.await.map_err(|_| SandboxError::Closed)??;
    Ok(Sandbox { shared: shared.clone(), path, copy, took, refused })
}

/// A thread that has ended once this is dropped.
struct Joined(Option<JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        // What it panicked with was told by the panic hook.
        self.0.take().map(JoinHandle::join);
    }
}

/// What the thread gives back.
struct Looked {
    path: PathBuf,
    copy: ReadOnlyReplica,
    took: BTreeMap<SpaceId, Took>,
    refused: BTreeMap<SpaceId, String>,
}

/// What the thread does, so that neither copying nor merging holds up an application's tasks.
struct Work {
    reader: Reader,
    clock: SystemClock,
    parts: (RelayAddress, ClientOptions),
    space: Option<SpaceId>,
    path: PathBuf,
    sender: oneshot::Sender<Result<Looked, SandboxError>>,
}

impl Work {
    fn run(self, mut progress: impl FnMut(SandboxProgress)) {
        let Self { reader, clock, parts, space, path, mut sender } = self;
        let copied = reader.backup_while(&path, |BackupProgress { done, total }| {
            progress(SandboxProgress::Copying { done, total });
            !sender.is_closed()
        });
        match copied {
            Ok(true) => {}
            // Nobody waits for it any more.
            Ok(false) => return,
            Err(error) => {
                let _ = sender.send(Err(error.into()));
                return;
            }
        }
        let looked = look(&path, clock, (parts, space), &mut sender, &mut progress);
        if looked.is_err() {
            discard(&path);
        }
        // Whoever gave up wants no file either.
        if let Err(Ok(unwanted)) = sender.send(looked) {
            let path = unwanted.path.clone();
            drop(unwanted);
            discard(&path);
        }
    }
}

/// Opens the copy as a device of its own, and lets it take in what the relay has.
fn look(
    path: &Path,
    clock: SystemClock,
    ((address, options), space): For,
    sender: &mut oneshot::Sender<Result<Looked, SandboxError>>,
    progress: &mut impl FnMut(SandboxProgress),
) -> Result<Looked, SandboxError> {
    let now = clock.now();
    let mut store = Store::open(path, &OpenOptions { opened_ms: now.wall_ms, ..OpenOptions::default() })?;
    // It comes to the relay as nobody's, and decides by strategy as the device does of which it has the store.
    let device = DeviceId::new(now, &mut SystemEntropy);
    let side = store.identity()?.map_or(device, |identity| identity.device);
    let _ = store.adopt_device(device, now.wall_ms)?;
    let others: Vec<_> = store.spaces()?.into_iter().map(|record| record.space).collect();
    for other in others.into_iter().filter(|other| space.is_some_and(|space| space != *other)) {
        let _ = store.set_sync_enabled(other, false).map_err(DriverError::from)?;
    }
    // Where nobody is asked, the copy shows what would be once somebody has confirmed it.
    let _ = store.forget_guards()?;
    let driver = Arc::new(Driver::only_looking(store, Box::new(SystemEntropy), now, side)?);
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(ConnectError::Thread)?;
    let connection = Connection::start(driver.clone(), clock, address, options).map_err(ConnectError::Thread)?;
    let waiting = driver.when_caught_up();
    connection.hurry();
    let answer = runtime.block_on(wait(waiting, driver.events(), sender, progress));
    let view = driver.view();
    drop(connection);
    let refused: BTreeMap<_, _> =
        view.spaces.into_iter().filter_map(|space| Some((space.space, space.refused?))).collect();
    match answer? {
        Err(NotInStep { reason, class, .. }) if view.link != LinkView::Up || refused.is_empty() => {
            return Err(SandboxError::Unreached { reason, class });
        }
        // What is refused is told of each space.
        _ => {}
    }
    let took = driver.taken_in();
    drop(driver);
    let copy = ReadOnlyReplica::open(path)?;
    Ok(Looked { path: path.to_owned(), copy, took, refused })
}

/// Waits until everything is there, and tells how far that is.
async fn wait(
    mut waiting: oneshot::Receiver<Result<(), NotInStep>>,
    mut events: broadcast::Receiver<SyncEvent>,
    sender: &mut oneshot::Sender<Result<Looked, SandboxError>>,
    progress: &mut impl FnMut(SandboxProgress),
) -> Result<Result<(), NotInStep>, SandboxError> {
    loop {
        tokio::select! {
            biased;
            answer = &mut waiting => return answer.map_err(|_| SandboxError::Closed),
            () = sender.closed() => return Err(SandboxError::Closed),
            event = events.recv() => match event {
                Ok(SyncEvent::Progress { changes_received: changes, bytes_received: bytes, .. }) => {
                    progress(SandboxProgress::Receiving { changes, bytes });
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Err(SandboxError::Closed),
            },
        }
    }
}

fn discard(path: &Path) {
    if let Err(error) = remove_files(path) {
        tracing::warn!(%error, "a copy of the store that nobody needs could not be deleted");
    }
}

pub(super) fn remove_files(path: &Path) -> io::Result<()> {
    for ending in BESIDE {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
