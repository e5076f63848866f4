//! Real relay and device processes, and what can be seen of them from outside.
//!
//! - [`RelayProcess`]: the real relay on a data folder, started, killed with SIGKILL, and started again on its port.
//! - [`DeviceProcess`]: a real device that takes commands as JSON lines; its other end is [`agent`].
//! - [`Site`]: a relay process and replicas of this process that use it.
//! - [`Party`]: devices that share a space through a relay.
//! - [`Planned`]: a plan that is held against what the run then does.
//! - [`answering_once`]: answers a device as no relay that is well does.
//! - [`Proxy`]: stands between devices and the relay, counts what really goes over the wire, and keeps it back where it is to.
//! - [`Figures`]: CPU time and peak memory of a process.
//! - [`Trace`]: the system calls of a process, seen by `strace`.
//!
//! The programs are the callers': a test names a binary of its own package, a benchmark starts itself again. Processes
//! end with the value that holds them.

pub mod agent;
mod answer;
mod device;
mod figures;
mod frames;
mod gate;
mod party;
mod planned;
mod proxy;
mod relay;
mod site;
mod trace;

pub use answer::answering_once;
pub use device::{DeviceProcess, LoadSeen, Program};
pub use figures::Figures;
pub use frames::{FrameCounter, Seen};
pub use party::{Party, said};
pub use planned::{Planned, StoredChanges};
pub use proxy::{Proxy, WireFigures};
pub use relay::{Access, RelayProcess};
pub use site::{Site, changes_of};
pub use trace::{SystemCall, TRACER_REQUIRED, Trace, count_syncs, find_tracer, read_trace, required_tracer};

/// A signal that ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// It may put things away first.
    Terminate,
    /// It does nothing more.
    Kill,
}

/// Sends a signal to a process. Answers whether it was sent, which it is not where there are no signals.
fn send_signal(process: u32, signal: Signal) -> bool {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal as Unix, kill_process};
        let signal = match signal {
            Signal::Terminate => Unix::TERM,
            Signal::Kill => Unix::KILL,
        };
        let process = i32::try_from(process).ok().and_then(Pid::from_raw);
        process.is_some_and(|process| kill_process(process, signal).is_ok())
    }
    #[cfg(not(unix))]
    {
        let _ = (process, signal);
        false
    }
}
