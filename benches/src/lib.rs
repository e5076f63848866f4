//! Workloads and measurements of Afield, against a real relay process.
//!
//! | binary | what it does |
//! | --- | --- |
//! | `replay` | replays a recorded editing history keystroke by keystroke and compares the texts at the end |
//! | `system` | live latency between two devices, uploads, downloads, reconnecting with nothing new |
//! | `typists` | two people who type into one long text: how long a key takes to the other, and what it costs |
//! | `wire` | bytes a change on the recorded histories, by size of the batch |
//!
//! `cargo bench -p afield-benches` measures the hot paths one by one.
//!
//! - [`clock`]: the system's clocks and randomness.
//! - [`history`]: the recorded editing histories.
//! - [`hand`]: a replica whose messages are moved by hand, so that they can be held back on their way.
//! - [`loopback`]: a relay and devices in one thread, without sockets.
//! - [`random`]: numbers that look random and come again with their seed.
//! - [`report`]: figures for a person and for a machine.
//! - [`role`]: the processes that a benchmark consists of, all of them this same program.
//! - [`site`]: a relay and two devices, each a process of its own.
//! - [`typing`]: a history typed again into documents, for its changes.

pub mod clock;
pub mod hand;
pub mod history;
pub mod loopback;
pub mod random;
pub mod report;
pub mod role;
pub mod site;
pub mod typing;
