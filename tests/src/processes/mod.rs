//! Real relay and device processes, and what can be seen of them from outside.
//!
//! - [`RelayProcess`]: the real relay on a data folder, started, killed with SIGKILL, and started again on its port.
//! - [`DeviceProcess`]: a real device that takes commands as JSON lines; its other end is [`agent`].
//! - [`Site`]: a relay process and replicas of this process that use it.
//! - [`Proxy`]: stands between devices and the relay and counts what really goes over the wire.
//! - [`Figures`]: CPU time and peak memory of a process.
//! - [`Trace`]: the system calls of a process, seen by `strace`.
//!
//! The programs are the callers': a test names a binary of its own package, a benchmark starts itself again. Processes
//! end with the value that holds them.

pub mod agent;
mod device;
mod figures;
mod frames;
mod proxy;
mod relay;
mod site;
mod trace;

pub use device::{DeviceProcess, LoadSeen, Program};
pub use figures::Figures;
pub use frames::{FrameCounter, Seen};
pub use proxy::{Proxy, WireFigures};
pub use relay::{Access, RelayProcess};
pub use site::{Site, changes_of};
pub use trace::{SystemCall, TRACER_REQUIRED, Trace, count_syncs, find_tracer, read_trace, required_tracer};
