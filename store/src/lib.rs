//! The SQLite file of an Afield device.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `store` | [`Store`]: opening, the one way to write, what happens after a failure |
//! | `identity` | which device this is, which openings a relay may know |
//! | `space` | spaces, cursors, [`Store::reset`] |
//! | `append` | [`Store::append`]: local and imported changes |
//! | `receive` | [`Store::receive`]: a run of the log and the cursor behind it |
//! | `filter` | [`Store::set_filter`]: what is asked for, and what of it is still to be fetched |
//! | `settle` | [`Store::settle`]: what the guarded apply decided, with the projection |
//! | `outbox` | [`Store::outbox`], marks, blocks |
//! | `load` | [`Store::load`], what is pending |
//! | `snapshot`, `compact`, `extract` | saved documents, [`Store::cover`], and covered changes' bytes |
//! | `erase` | [`Store::purge`], erasure records, for how long the trash is kept |
//! | `runs` | how each space is synced, and the history of that |
//! | `leave`, `backup` | [`Store::leave_space`], [`Reader::backup`] |
//! | `reader` | [`Reader`]: queries beside the writer, from any thread or process |
//! | `conflicts` | [`Store::put_conflicts`], [`Reader::conflicts`]: what people have to decide, or the word that it is stale |
//! | `listing` | [`Reader::list`], one by one, by ids alone |
//! | `query` | [`Reader::query`], [`Store::declare_index`], [`Reader::search`] |
//! | `verify` | [`Store::verify`]: the invariants, read from the whole file |
//! | `schema`, `connection`, `lock`, `transaction`, `fault`, `column`, `entity` | what those stand on |
//!
//! Invariants (numbers as in the design's list):
//!
//! - **D1, D9**: changes, their places in the outbox and the projection, or the word that it is stale, commit together.
//! - **D2, D3**: a run of the log and the cursor behind it commit together, and only when the run follows the stored
//!   cursor and names every sequence up to its end.
//! - **D5**: a change without a mark is in the outbox by being a row of that partial index; no second write can be
//!   forgotten. A mark never stands above the cursor.
//! - **D8**: the bytes of a change go only once a snapshot that gives them back was read from the disk and compared, and
//!   then it is kept twice; nothing else is ever deleted but what is purged, left or asked to be discarded; a failure to read is an
//!   error and never an empty answer.
//! - **D10**: after a failed write the store refuses to write until it has been reloaded.
//! - Every method that writes is one transaction, and what may be sent or shown of it is a [`afield_core::Durable`] that
//!   only its commit makes. One writer per file, across processes; readers never wait for it.
//! - Marks, verdicts and projections follow from the changes, and the history of runs tells how things went, so their transactions are not synced by themselves: a power
//!   failure takes the last of them back in order, and they are found again. No change is stored by such a transaction.
//!
//! Deliberately absent: randomness and clocks (ids and times are arguments), tasks, and anything about sockets; and
//! documents, but for taking covered changes out of a snapshot: no other bytes are parsed here, nor verified against their
//! hashes when read.
//!
//! # What an edit costs
//!
//! [`Store::append`] of one change with its projection is `BEGIN`, three reading statements (the entity with its space, and
//! whether it has conflicts), three writing ones (the change, its bytes, the projection), `COMMIT`, and one sync of the
//! WAL; it touches one page each of the changes, their hash index, the outbox, the bytes and the projections. The checkpoint that moves
//! 1,000 pages of WAL into the file adds two syncs when it falls due.

mod append;
mod backup;
mod column;
mod compact;
mod conflicts;
mod connection;
mod directions;
mod entity;
mod erase;
mod error;
mod extract;
mod fault;
mod filter;
mod guard;
mod held;
mod identity;
mod leave;
mod listing;
mod load;
mod lock;
mod options;
mod outbox;
mod over;
#[cfg(test)]
mod plans;
mod query;
mod reader;
mod receive;
mod runs;
mod schema;
mod settle;
mod snapshot;
mod space;
mod store;
mod strategies;
mod transaction;
mod trash;
mod verify;

pub use afield_core::session::Proof;
pub use append::{Arrival, EntityWrite, NewChange};
pub use backup::{BackupError, BackupProgress};
pub use column::ChangeState;
pub use compact::{CheckedSnapshot, Covered, Covering};
pub use conflicts::{CONFLICT_BYTES, ConflictQuery, ConflictRow, ListedConflict};
pub use connection::{SQLITE_VERSION_MIN, sqlite_version};
pub use entity::{EntityHome, Projection};
pub use erase::{Purged, ReceivedErasure};
pub use error::{
    AppendError, DirectionError, EntityError, FilterError, MarkError, OpenError, PurgeError, ReceiveError,
    SnapshotError, SpaceError, StoreError,
};
#[doc(hidden)]
pub use fault::{Fault, FaultHook, FaultPoint, SyncHook, SyncMoment};
pub use filter::{Backfill, Wanted};
pub use guard::{PlannedPush, UnsentDeletion};
pub use held::{DeletionLimits, HeldDeletion, SHARE_DELETIONS_MIN};
pub use identity::Identity;
pub use leave::{Left, Unsent};
pub use listing::{CollectionCount, ListQuery, ProjectedEntity};
pub use load::{LoadFrom, StoredChange, StoredEntity, WaitingSize};
pub use lock::{Holder, Writer};
pub use options::{OpenOptions, Synchronous, WRITER_WAIT_MS};
pub use outbox::{Block, OutboxChunk, OutboxPosition, OutboxSize};
pub use query::{
    Aggregate, Direction, FieldPath, INDEX_FIELDS_MAX, INDEXES_MAX, Mark, MatchedEntity, Position, Probe,
    QUERY_STEPS_MAX, Query, QueryError, QueryValue, RANKED_MAX, Search, SearchHit, Snippet,
};
pub use reader::{Commits, QuarantinedChunk, Reader, SpaceFigures};
pub use receive::{
    Brought, Handed, HandedChange, LeftOut, Page, ReceivedChange, Run, RunOutcome, TakenOver, UnreadableChunk,
};
pub use runs::{RUN_AGE_MAX_MS, RUNS_MAX, RunNotes, RunRecord, RunsAsked, StoredSchedule, SyncSettings};
pub use schema::{APPLICATION_ID, SchemaVersion};
pub use settle::{Reason, Settled, Settlement};
pub use snapshot::Snapshot;
pub use space::{Origin, SpaceRecord};
pub use store::Store;
pub use strategies::StoredStrategy;
pub use trash::{DeletedBefore, Expired};
pub use verify::Violation;
