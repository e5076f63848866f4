//! What an operator does to a relay's log as a whole.
//!
//! | module | what it does |
//! | --- | --- |
//! | `backup` | copies the log beside a relay that runs |
//! | `restore` | puts a backup in place |
//! | `doctor` | says what is wrong with an installation, and what to do |
//!
//! None of it leaves a half state behind: what is made is made beside its place, checked, synced, and renamed. A process that is killed
//! on the way leaves the old state, and the same command again completes. Deliberately absent: what a running relay does by itself
//! ([`crate::log::Work`]), and accounts ([`crate::log::accounts`]).

mod backup;
mod certificate;
mod doctor;
mod partial;
mod restore;

pub use backup::{BackupError, BackupOptions, back_up};
pub(crate) use certificate::{OF_AUTHORITY, is_of_authority};
pub use doctor::{Finding, Severity, examine};
pub(crate) use partial::folder_of;
pub use restore::{RestoreError, RestoreOptions, Restored, restore};
