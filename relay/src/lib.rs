//! The Afield relay: a durable, ordered log of chunks for every space.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`log`] | [`log::Log`], the seam to a database, and [`log::SqliteLog`], one SQLite file |
//! | [`hub`] | [`hub::Hub`]: the relay's whole behaviour, synchronous and deterministic |
//! | [`server`] | [`server::Relay`]: sockets, TLS, HTTP, and the one thread that owns a hub |
//! | [`signed`] | tokens that an app's own backend signs: whether one is good, and what it says |
//! | [`config`] | what its operator can set: a file, variables, flags |
//! | [`operations`] | what an operator does to a log as a whole: backup, restore, doctor |
//! | [`cli`] | the commands: `serve`, `compact`, `config`, `backup`, `restore`, `verify`, `purge`, `doctor`, and those that administer accounts |
//! | [`views`] | what the administration shows, on a terminal and over HTTP |
//!
//! What holds here, by the numbers of the design's invariants:
//!
//! - **A receipt means fsynced (R1).** [`hub::Hub::commit`] appends everything that was pushed in one transaction with
//!   `synchronous=FULL`, and only a [`Durable`](afield_core::Durable) answer can become a frame.
//! - **One transaction per answer (R3, R4, R6).** Token, membership, position and quota are checked where the answer is
//!   made, never in a cache; a position that does not belong to the log is a Reset.
//! - **Nobody waits for a slow reader (R8, R9).** Each session reads the log at its own pace, gets all of it, and holds
//!   a bounded queue.
//!
//! - **What is old reads as it did (R2, R9).** [`log::Work`] packs chunks into segments and makes snapshots for them, apart from
//!   appends; every chunk is still served as it was accepted.
//! - **What was purged is in no file (R2, R5).** An erasure record takes the bytes of its entity's chunks away in the transaction that
//!   appends it, [`log::Work`] rewrites what is packed, and every answer over a removed place carries the record.
//!
//! Deliberately absent: Automerge documents on the way of a push (a chunk's header says all that is checked; only the work on
//! what is old opens one), and the device's store, which shares nothing with the log but the
//! words.

mod causes;
pub mod cli;
pub mod config;
pub mod hub;
pub mod log;
pub mod operations;
pub mod server;
pub mod signed;
mod spans;
pub mod views;

/// Which commit this is, in twelve digits; `debug` in a build that is no release, and `unknown` where nothing said it.
///
/// ```
/// assert!(!afield_relay::BUILD.is_empty());
/// ```
pub const BUILD: &str = env!("AFIELD_RELAY_BUILD");

/// The version with the build, as `--version` shows it.
///
/// ```
/// assert!(afield_relay::VERSION.ends_with(&format!("({})", afield_relay::BUILD)));
/// ```
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("AFIELD_RELAY_BUILD"), ")");

#[cfg(test)]
mod testing;
