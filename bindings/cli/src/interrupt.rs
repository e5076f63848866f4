//! What happens on Ctrl-C.
//!
//! Most commands need nothing: whatever they store is one transaction, which the end of the process leaves whole. Those
//! that hold something which has to be put away listen here.

use crate::failure::Failure;
use crate::screen;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// Listens from now on, within a runtime, and waits until somebody wants the command to end.
#[cfg(windows)]
pub(crate) fn listen() -> impl Future<Output = ()> {
    // A signal that cannot be listened for ends the process by itself, so there is nothing to wait for.
    let interrupt = tokio::signal::windows::ctrl_c().ok();
    async move {
        match interrupt {
            Some(mut interrupt) => drop(interrupt.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// A small runtime for a command that waits for something.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|source| Failure::System { what: "event queue", source })
}

/// While this lives, and from then on, Ctrl-C does not end the process.
#[derive(Debug)]
pub(crate) struct Held {
    _runtime: tokio::runtime::Runtime,
}

/// Leaves Ctrl-C to a program that this one runs and waits for. Whoever ends this process by a signal of its own still does.
pub(crate) fn hold() -> Result<Held, Failure> {
    let runtime = runtime()?;
    {
        let _runtime = runtime.enter();
        // Listening is enough: the system then leaves the process alone. Where it cannot be listened for, Ctrl-C ends both.
        #[cfg(unix)]
        let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let _ = tokio::signal::windows::ctrl_c();
    }
    Ok(Held { _runtime: runtime })
}

/// Whether somebody wants a command to end that does not wait for anything.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<Wish>);

#[derive(Debug, Default)]
struct Wish {
    is_there: Mutex<bool>,
    came: Condvar,
}

impl Wish {
    fn is_there(&self) -> MutexGuard<'_, bool> {
        self.is_there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupt {
    /// Listens from now on. A second wish ends the process at once.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let runtime = runtime()?;
        let interrupt = Self(Arc::default());
        let wanted = interrupt.0.clone();
        // Before the thread runs: whoever was started with the signal ignored, as in the background of a shell, would lose it.
        let first = {
            let _runtime = runtime.enter();
            listen()
        };
        let listen = move || {
            runtime.block_on(async {
                first.await;
                let second = listen();
                *wanted.is_there() = true;
                wanted.came.notify_all();
                second.await;
                screen::put_back_at_once();
                std::process::exit(i32::from(Failure::Interrupted.exit_code()));
            });
        };
        let thread = std::thread::Builder::new().name("afield-interrupt".to_owned()).spawn(listen);
        thread.map_err(|source| Failure::System { what: "thread", source })?;
        Ok(interrupt)
    }

    /// Whether the command should end.
    pub(crate) fn is_wanted(&self) -> bool {
        *self.0.is_there()
    }

    /// Waits so long, or until the command should end; gives whether it should.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let waited = self.0.came.wait_timeout_while(self.0.is_there(), time, |is_there| !*is_there);
        *waited.unwrap_or_else(PoisonError::into_inner).0
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};

    #[test]
    fn a_signal_right_after_listening_began_is_heard() {
        let interrupt = Interrupt::listen().unwrap();
        kill_process(getpid(), Signal::INT).unwrap();
        assert!(interrupt.wait(Duration::from_secs(20)));
    }
}
