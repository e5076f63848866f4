//! What happens on Ctrl-C.
//!
//! Most commands need nothing: whatever they store is one transaction, which the end of the process leaves whole. Those
//! that hold something which has to be put away listen here.

use crate::failure::Failure;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Listens from now on, within a runtime, and waits until somebody wants the command to end.
#[cfg(unix)]
pub(crate) fn listen() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    // A signal that cannot be listened for ends the process by itself, so there is nothing to wait for.
    let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok());
    let arrives = async |signal: Option<tokio::signal::unix::Signal>| match signal {
        Some(mut signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    };
    async move {
        tokio::select! {
            () = arrives(interrupt) => {}
            () = arrives(terminate) => {}
        }
    }
}

/// Listens, and waits until somebody wants the command to end.
#[cfg(not(unix))]
pub(crate) async fn listen() {
    if tokio::signal::ctrl_c().await.is_err() {
        // A system that cannot tell of Ctrl-C ends the process by itself, so there is nothing to wait for.
        std::future::pending::<()>().await;
    }
}

/// A small runtime for a command that waits for something.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|source| Failure::System { what: "event queue", source })
}

/// Whether somebody wants a command to end that does not wait for anything.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on. A second wish ends the process at once.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let runtime = runtime()?;
        let interrupt = Self(Arc::default());
        let wanted = interrupt.0.clone();
        let listen = move || {
            runtime.block_on(async {
                listen().await;
                wanted.store(true, Ordering::Relaxed);
                listen().await;
                std::process::exit(i32::from(Failure::Interrupted.exit_code()));
            });
        };
        let thread = std::thread::Builder::new().name("afield-interrupt".to_owned()).spawn(listen);
        thread.map_err(|source| Failure::System { what: "thread", source })?;
        Ok(interrupt)
    }

    /// Whether the command should end.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A writer that fails once the command should end.
    pub(crate) fn stopping<W: Write>(&self, inner: W) -> Stopping<W> {
        Stopping { inner, interrupt: self.clone() }
    }
}

/// A writer that fails once the command should end.
#[derive(Debug)]
pub(crate) struct Stopping<W> {
    inner: W,
    interrupt: Interrupt,
}

impl<W: Write> Write for Stopping<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.interrupt.is_wanted() {
            return Err(io::Error::other("interrupted"));
        }
        self.inner.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
