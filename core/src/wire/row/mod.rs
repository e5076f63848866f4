//! What the forms of coded changes have in common: shapes of columns, places of edits, and bodies put together again.

pub(super) mod actors;
pub(super) mod body;
pub(super) mod place;
pub(super) mod read;
pub(super) mod shape;
