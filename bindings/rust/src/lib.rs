//! Offline-first documents that sync: edit on any device without a network, merge later, lose nothing.
//!
//! An application object, an *entity*, is an [Automerge](https://automerge.org) document in a SQLite file on the
//! device. Editing and reading are local and synchronous; when a relay is connected, changes travel through it to the
//! other devices, where concurrent edits merge instead of the last write winning.
//!
//! ```
//! use afield::{Counter, Replica, Text, model};
//!
//! #[model]
//! #[derive(Debug, Clone, PartialEq)]
//! struct Note {
//!     title: String,
//!     body: Text,
//!     opened: Counter,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("notes.db");
//! let replica = Replica::open(path)?;                        // one SQLite file; no network, no tasks, no config
//! let home = replica.create_space("Home")?;                  // made offline; adopted by a relay later
//! let notes = home.collection::<Note>("notes")?;             // typed
//! let id = notes.insert(&Note {
//!     title: "Shopping".into(),
//!     body: "milk".into(),
//!     opened: Counter::default(),
//! })?;                                                       // durable when it returns
//! notes.edit(id, |note| note.title = "Groceries".into())?;   // only what changed becomes operations
//! notes.entity(id)?.text("body").splice(4, 0, ", bread")?;   // characters merge, not strings
//! assert_eq!(notes.read(id)?.body.as_str(), "milk, bread");
//! # Ok(())
//! # }
//! ```
//!
//! With a relay running (`afield-relay serve`), sync is two lines:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use afield::{Durability, Relay};
//! # use afield_relay::{hub, server};
//! # let folder = tempfile::tempdir()?;
//! # let options = server::RelayOptions {
//! #     access: hub::Access::Open,
//! #     listen: "127.0.0.1:0".parse()?,
//! #     ..server::RelayOptions::new(folder.path().join("relay"))
//! # };
//! # let relay = server::Relay::start(options).await?;
//! # let (url, token) = (relay.url(), "afield_0123456789abcdef");
//! # let replica = afield::Replica::open(folder.path().join("notes.db"))?;
//! # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
//! # let id = notes.insert(&serde_json::json!({"title": "Milk"}))?;
//! # let write = notes.edit(id, |note| note["title"] = "Bread".into())?;
//!
//! replica.connect(Relay::new(url).token(token))?;   // on; disconnect() leaves nothing behind
//! replica.sync_now().await?;                        // in step with the relay
//! write.wait(Durability::Relay).await?;             // this very edit is durable there
//! # assert_eq!(replica.status()?.pending_changes, 0);
//! # relay.shutdown().await;
//! # Ok(())
//! # })
//! # }
//! ```
//!
#![doc = include_str!("guide/app.md")]
#![doc = include_str!("guide/sync.md")]
//!
//! # What an entity holds
//!
//! Whatever is nested in whatever, several devices edit it at the same time:
//!
//! ```
//! use afield::{Block, Bytes, Counter, Expand, LongText, Path, Replica, RichText, Text, Timestamp, model};
//! use std::collections::{BTreeMap, BTreeSet};
//!
//! #[model]
//! #[derive(Debug, Clone, Default, PartialEq)]
//! struct Page {
//!     title: String,                      // replaced as a whole
//!     summary: Text,                      // merges by character
//!     body: RichText,                     // with bold, links, headings
//!     transcript: LongText,               // merges quickly with 100,000 characters, too
//!     opened: Counter,                    // increments add up
//!     cover: Bytes,                       // at most 512 KiB in one change
//!     due: Option<Timestamp>,             // milliseconds; `SystemTime` does, too
//!     tags: BTreeSet<String>,             // additions and removals merge
//!     steps: Vec<Vec<Text>>,              // lists of lists of texts
//!     remarks: BTreeMap<String, RichText>,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let replica = Replica::open_in_memory()?;
//! let pages = replica.create_space("Home")?.collection::<Page>("pages")?;
//! let id = pages.insert(&Page::default())?;
//! pages.edit(id, |page| {
//!     page.body = "Read this".into();
//!     page.body.mark(0..4, "bold", true);
//!     page.steps.push(vec!["mix".into()]);
//! })?;
//!
//! let page = pages.entity(id)?;                                          // the same, by path
//! page.text("body").insert_block(0, &Block::new("heading").with_attribute("level", 1))?;
//! page.text("body").mark(6..10, "link", "https://example.org", Expand::None)?;
//! page.text(Path::from("steps").index(0).index(0)).splice(3, 0, " well")?;
//! page.long_text("transcript").splice(0, 0, "Once upon a time")?;
//! page.map(Path::ROOT).put("cover", Bytes::from(vec![0, 255]))?;
//!
//! let json = pages.json().read_tagged(id)?;                              // the same, as JSON: nothing is lost
//! assert_eq!(json["steps"][0][0]["$text"], "mix well");
//! assert_eq!(json["cover"]["$bytes"], "00ff");
//! assert_eq!(json["body"]["$richtext"][0]["block"]["attrs"]["level"], 1);
//! # Ok(())
//! # }
//! ```
//!
//! Positions in texts count Unicode code points, and each block of a rich text as one: not bytes as in Rust's `str`, nor the
//! UTF-16 units of JavaScript. [`Value::to_tagged_json`] has the JSON of every kind. A value that no change has room for is
//! refused before anything of the edit is written, with the place, the size and the limit ([`OperationError`]).
//!
//! # Where to go from here
//!
//! - [`Replica`]: open, spaces, transactions, sync and its [`Status`].
//! - [`Collection`]: typed entities with the [`model`] attribute; [`JsonCollection`]: the same as JSON values;
//!   [`Entity`]: fields by path, and the Automerge document itself.
//! - [`Query`]: conditions, orders, sums over local data; [`LiveQuery`] tells when the answer is another one; [`SearchBox`]: full
//!   text.
//! - [`Collection::through`]: an app whose shape of entities changed, beside older versions of it; [`Lens`] has what may change.
//! - [`Conflict`]: what people did to one place without knowing of each other, and how one of them decides it; [`Strategy`]: what needs
//!   nobody.
//! - [`Space::set_direction`]: collections whose changes only go out, only come in, or stay on this device.
//! - [`Replica::request`], [`Schedule`], [`Replica::explain`]: when each space is synced, and why not.
//! - [`Presence`]: who is here now, and where.
//! - [`Watch`]: what changed, by this device or by others. [`SyncEvent`]: what happens in sync.
//! - `cargo run -p afield --example journal`: an app in a terminal, on several devices, with models, live queries, full text, history, undo,
//!   the trash, conflicts, schedules and status.
//!
//! # Errors
//!
//! Operations that can fail in the same ways share an enum, such as [`ReadError`] of all that reads and [`EditError`] of all that edits. Every one of them has a `class()`, which says what would help (trying again,
//! signing in, making room, a newer version, or nothing), and a `code()` such as `entity.missing`, which stays the same
//! from version to version; [`error_codes`] lists them all. Texts are for people and may change; no text holds content, tokens or keys. `Display` says what
//! failed, and [`source`](std::error::Error::source) why: show a person the whole chain, as `anyhow` and `eyre` do.
//!
//! # What holds
//!
//! An edit that has returned is on this device's stable storage. A receipt means that the relay has it on its own. An
//! acknowledged change is lost only if the relay's storage and every device holding it are lost; a relay that lost
//! history is noticed and repaired while one device with the right to write survives (of a space that it lacks altogether: a device of an
//! owner). With sync off no task, socket or timer exists.
//!
//! Deliberately absent from this crate: merging (Automerge, through `afield-core`), SQL (`afield-store`) and sockets
//! (`afield-transport`).

/// The examples of the README, compiled; those of its blocks that stand in tests/readme run there.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

// The code that `model` generates names this crate by its own name, inside it too.
extern crate self as afield;

mod clock;
mod collection;
mod conflict;
mod connection;
mod direction;
mod driver;
mod entity;
mod error;
mod filter;
mod guard;
mod hand_over;
mod history;
mod leave;
mod plan;
mod presence;
mod probe;
mod purge;
mod query;
mod read_only;
mod relay;
mod replica;
mod runs;
mod sandbox;
mod schedule;
mod sign_in;
mod space;
mod status;
mod transaction;
mod transfer;
pub mod typed;
mod upkeep;
mod watch;
mod write;

/// As a conflict's name is read from a text.
///
/// ```
/// use afield::{ConflictId, ParseConflictIdError};
///
/// assert_eq!("the first one".parse::<ConflictId>(), Err(ParseConflictIdError));
/// ```
pub use afield_core::document::conflict::ParseConflictIdError;
pub use afield_core::document::strategy::{ParseStrategyError, Strategy};
pub use afield_core::document::{
    Attribution, Changed, Difference, HistoryChange, HistoryPage, Point, PointError, Sitting, TextHunk, Undoes,
};
pub use afield_core::document::{
    BLOCK_CHARACTER, Block, Choice, ConflictId, ConflictKind, Edit, Expand, Kind, OperationError, ParsePathError, Path,
    Replay, RichText, Span, Step, TaggedJsonError, Value, paired_elements,
};
pub use afield_core::document::{ParseTextCursorError, TextCursor};
pub use afield_core::id::{ParseCollectionError, ParseIdError};
pub use afield_core::lens::{DeclareError, Lens, LensError, Lenses};
pub use afield_core::policy::{Decision, Direction, Reason, Trigger};
pub use afield_core::role::ParseRoleError;
pub use afield_core::wire::{ChunkCode, Class, SpaceCode};
pub use afield_core::{
    ChangeHash, DeviceId, EntityId, Entropy, Invitation, Now, ParseInvitationError, Role, SessionId, SpaceId,
};
pub use afield_store::{AppendError, BackupError, BackupProgress, OpenError, StoreError, Synchronous};
pub use afield_store::{Position, QueryValue, Snippet};
pub use afield_transport::{ParseAddressError, ParseTokenError};
pub use automerge;
pub use collection::{Collection, JsonCollection, Listing};
pub use conflict::{Conflict, ConflictStrategy, ConflictValue, ReadConflict};
pub use direction::{CollectionDirection, DirectionError, SourceOfTruth};
pub use driver::{Compacted, CompactionProgress, EntityError};
pub use entity::{CounterField, Entity, ListField, LongTextField, MapField, TextField};
pub use error::{
    AutomergeFileError, ConnectError, EditError, FetchError, FilterError, LineProblem, ReadError, RefreshTokenError,
    ReplicaError, SkippedEntity, SpaceError, SyncError, TransferError,
};
pub use filter::{Fetched, Filter, NotHere};
pub use guard::{Guard, GuardError, Held, HeldEntity, HeldWay};
pub use hand_over::{HandOverError, HandOverProblem, Handed, TakenOver};
pub use leave::LeftSpace;
pub use plan::{PlanError, PlannedEffect, PlannedEntity, PlannedWay, SyncPlan};
pub use presence::{Peer, Presence, PresenceError, PresenceWatch};
pub use probe::{ProbeError, Probed};
pub use purge::{Confirm, PurgeError, Purged};
pub use query::{
    AsJson, Beside, Fields, Found, LiveQuery, LiveWork, Param, Params, Query, QueryError, SearchBox, Shown,
};
pub use read_only::{ReadEntity, ReadOnlyReplica, ReadOnlySpace};
pub use relay::Relay;
pub use replica::{Replica, ReplicaOptions};
pub use runs::{Explanation, RequestError, Run, RunOutcome, RunQuery};
pub use sandbox::{Sandbox, SandboxError, SandboxProgress};
pub use schedule::{SCHEDULE_INTERVAL_MIN_MS, Schedule, ScheduleError};
pub use sign_in::SignInReason;
pub use space::Space;
pub use status::{Amount, Merged, Progress, RunFigures, SpaceStatus, Status, SyncEvent, SyncState, Traffic, Way};
pub use transaction::Transaction;
pub use transfer::Transferred;
pub use typed::{Bytes, Counter, LongText, Text, Timestamp};
pub use upkeep::{MaintainError, Maintained};
pub use watch::Watch;
pub use write::{Durability, WaitError, Write};

// The engine beneath a replica, for the simulator and for other runtimes. What is hidden here and below is outside of the promise of
// versions: it may change with any of them.
#[doc(hidden)]
pub use afield_core::policy::{TraceLine, Wait};
#[doc(hidden)]
pub use driver::{Driver, DriverError, EditFailure, Edited, Existence, NotInStep, Output, Target};

/// The document beneath an entity, as errors name it.
pub mod document {
    pub use afield_core::document::{Direction, EditError, LoadError};
    pub use afield_core::{Collection, ErasureReason};

    // Outside of the promise of versions, as the driver that takes them.
    #[doc(hidden)]
    pub use afield_core::Filter;
    #[doc(hidden)]
    pub use afield_core::document::Document;
}

/// The file beneath a replica: what errors say of it, who has it, and what is wrong with it.
pub mod store {
    pub use afield_store::{
        Commits, DirectionError, FilterError, Holder, QueryError, SchemaVersion, SpaceError, Violation, Writer,
        sqlite_version,
    };

    // Outside of the promise of versions, as the driver that takes them.
    #[doc(hidden)]
    pub use afield_store::{DeletionLimits, EntityError, MarkError, OpenOptions, Origin, ReceiveError, Store};
}

#[doc = include_str!("guide/errors.md")]
pub mod error_codes {}

/// Makes a struct or enum a model: a type that a [`Collection`] holds.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Text, model};
///
/// #[model]
/// struct Note {
///     title: String,                // replaced as a whole
///     body: Text,                   // merges by character
///     #[model(rename = "pinned")]
///     is_pinned: Option<bool>,      // absent in what older versions of the app wrote
/// }
///
/// let notes = home.collection::<Note>("notes")?;
/// let id = notes.insert(&Note { title: "Milk".into(), body: "two litres".into(), is_pinned: None })?;
/// notes.edit(id, |note| note.is_pinned = Some(true))?;
/// assert_eq!(notes.json().read(id)?["pinned"], true);
/// # Ok(())
/// # }
/// ```
pub use afield_macros::model;

/// Reports a panic by its place alone, so that no content reaches a log; install it with `std::panic::set_hook`.
pub use afield_core::panics::report as report_panic;
