//! The real binary, with stores and relays of its own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails here says where")]

mod authority;
mod conflicts;
mod demo;
mod direction;
mod doctor;
#[cfg(unix)]
mod edit;
mod explain;
mod guard;
mod guest;
mod hand_over;
mod help;
mod hints;
mod history;
mod invited;
#[cfg(unix)]
mod json;
#[cfg(unix)]
mod progress;
#[cfg(unix)]
mod pseudo_terminal;
mod purge;
mod queries;
mod reading;
mod reading_only;
mod repair;
mod running;
mod schedule;
mod second_device;
mod secrets;
mod signed_out;
mod status;
mod store;
mod streams;
mod sync;
#[cfg(unix)]
mod terminal;
mod throttled;
mod transfer;
mod verify;
mod versions;
#[cfg(unix)]
mod watch;
