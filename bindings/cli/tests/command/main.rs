//! The real binary, with stores and relays of its own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails here says where")]

mod demo;
mod help;
mod reading;
mod running;
mod store;
mod streams;
mod sync;
mod throttled;
mod transfer;
