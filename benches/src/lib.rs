//! Workloads and measurements of Afield, against a real relay process.
//!
//! | binary | what it does |
//! | --- | --- |
//! | `replay` | replays a recorded editing history keystroke by keystroke and compares the texts at the end |
//! | `system` | live latency between two devices, uploads, downloads, reconnecting; many readers, merging, idle sessions, all devices back at once, disk |
//! | `typists` | two people who type into one long text: how long a key takes to the other, and what it costs |
//! | `wire` | bytes a change on recorded histories and on updates of fields, by form, by how many go together, and through real sessions |
//!
//! `cargo bench -p afield-benches` measures the hot paths one by one.
//!
//! The crate in `benches/peers`, apart from the workspace, puts other systems through the same workloads.
//!
//! - [`agent`]: Afield's clients, told what to do by [`protocol`].
//! - [`clock`]: the system's clocks and randomness.
//! - [`crowd`]: many sessions with one relay, in a few processes.
//! - [`disk`]: what keystrokes take on the relay's disk.
//! - [`history`]: the recorded editing histories.
//! - [`hand`]: a replica whose messages are moved by hand, so that they can be held back on their way.
//! - [`idle`]: sessions that do nothing.
//! - [`loopback`]: a relay and devices in one thread, without sockets.
//! - [`party`]: the server and the clients of a system, each a process of its own.
//! - [`protocol`]: what a client of any system is told, and what it says.
//! - [`random`]: numbers that look random and come again with their seed.
//! - [`report`]: figures for a person and for a machine.
//! - [`role`]: the processes that a benchmark consists of, all of them this same program.
//! - [`sessions`]: changes through real sessions, message by message.
//! - [`site`]: a relay and two devices, each a process of its own.
//! - [`storm`]: all devices come back in one moment.
//! - [`typing`]: a history typed again into documents, for its changes.
//! - [`updates`]: updates of the fields of many small entities, as changes.
//! - [`workload`]: what every system is put through.

pub mod agent;
pub mod clock;
pub mod crowd;
pub mod disk;
pub mod hand;
pub mod history;
pub mod idle;
pub mod loopback;
pub mod party;
pub mod protocol;
pub mod random;
pub mod report;
pub mod role;
pub mod sessions;
pub mod site;
pub mod storm;
pub mod typing;
pub mod updates;
pub mod workload;
