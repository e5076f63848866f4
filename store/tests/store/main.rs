//! What the store promises, against real files, real processes and injected faults.

// Clippy exempts functions marked as tests from these, and not what they call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

mod backup;
mod compaction;
mod conflicts;
mod corruption;
mod directions;
mod entities;
mod faults;
mod figures;
mod filters;
mod guards;
mod help;
mod leaving;
mod model;
mod opening;
mod purging;
mod queries;
mod runs;
mod spaces;
mod strategies;
mod sync;
mod syncing;
mod through;
