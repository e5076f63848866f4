//! What sync means, without any I/O.
//!
//! This crate is the pure heart of Afield. It owns
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`id`] | identities: entity, space, device, log, session, incarnation |
//! | [`time`] | the caller's clock as a value, and random bytes as an argument |
//! | [`invitation`] | what a person is given to join a space |
//! | [`limits`] | every limit of the protocol, named, with unit and reason |
//! | [`durable`] | [`Durable`]: what has been committed, and nothing else, may be sent or shown |
//! | [`change`] | a change's header, read from raw bytes without a document |
//! | [`erasure`] | the record that an entity was purged |
//! | [`log`] | sequence, chain hash and cursor of a space's log |
//! | [`filter`] | which entities of a space a device asks for |
//! | [`role`] | what a member may do with a space |
//! | [`document`] | one entity's Automerge document: edit, read, guarded apply |
//! | [`lens`] | versions of a collection's shape, and reading and writing one through another |
//! | [`wire`] | frames, batches and live messages; `src/wire/PROTOCOL.md` is the normative text |
//! | [`session`] | the device's and the relay's half of a session as state machines |
//! | [`policy`] | when to sync, and why not; how long to wait before connecting again |
//! | [`panics`] | a panic hook that keeps content out of logs |
//! | `frozen` | for tests alone: tables of errors with their codes and classes |
//!
//! Deliberately absent: sockets, files, SQL, tasks, threads, clocks, sources of randomness and globals. Time comes in
//! as [`time::Now`], randomness through [`time::Entropy`], so the same code runs under tokio and in the simulator.
//! The crate imports no other crate of the workspace; a test over `cargo metadata` holds this.

pub mod change;
mod codes;
pub mod document;
pub mod durable;
pub mod erasure;
pub mod filter;
#[cfg(any(test, feature = "test-support"))]
pub mod frozen;
pub mod id;
pub mod invitation;
pub mod lens;
pub mod limits;
pub mod log;
pub mod panics;
pub mod policy;
pub mod role;
pub mod session;
pub mod time;
pub mod wire;

pub use automerge::ChangeHash;
pub use durable::{Commit, Durable};
pub use erasure::{Erasure, ErasureReason};
pub use filter::Filter;
pub use id::{Collection, DeviceId, EntityId, Incarnation, LogId, SessionId, SpaceId};
pub use invitation::{Invitation, ParseInvitationError};
pub use limits::Limits;
pub use log::{ChainHash, ChunkKind, Cursor, Sequence};
pub use role::Role;
pub use time::{Entropy, Now};
