//! The transport over real sockets of this machine.
// Clippy takes only test functions for tests, and not what they call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod loopback;
mod refusals;
mod support;
