//! What an app developer is promised, against the public face alone.

// Clippy exempts functions marked as tests from these, and not what they call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod beside;
mod closing;
mod contents;
mod guide;
mod handles;
mod large;
mod names;
mod queries;
mod status;
mod transaction;
mod transfer;
mod upkeep;
