//! What a glance at a log's file tells, without reading all of it.

use super::account::ANY_GOOD_TOKEN;
use super::copy::{LogFigures, figures};
use super::heads;
use super::purge::UNFINISHED_PURGES;
use super::schema::{self, OpenLogError, wal_of};
use rusqlite::Connection;
use std::path::Path;

/// The most tokens that are named.
const TOKENS_NAMED_MAX: i64 = 20;

/// The newest moment that is noted anywhere. One of a sign-out that lies ahead keeps out whoever signs in until then.
const NEWEST: &str = "SELECT max(ms) FROM (
    SELECT max(created_ms) AS ms FROM tokens UNION ALL SELECT max(created_ms) FROM spaces
    UNION ALL SELECT max(created_ms) FROM users UNION ALL SELECT max(last_seen_ms) FROM devices
    UNION ALL SELECT max(signed_out_ms) FROM users UNION ALL SELECT max(signed_out_ms) FROM devices
    UNION ALL SELECT signed_not_before_ms FROM file UNION ALL SELECT max(signed_not_before_ms) FROM purged_owners)";

/// Tokens that are good, and were not signed by an app's backend, which end by themselves.
const GOOD_TOKENS: &str = "revoked_ms IS NULL AND NOT signed AND (expires_ms IS NULL OR expires_ms > ?1)";

/// A log's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogHealth {
    /// The version of its schema, and the one that this program makes. Where they differ the rest is not known.
    pub(crate) version: (i64, i64),
    /// How large its WAL is.
    pub(crate) wal_bytes: u64,
    pub(crate) more: Option<MoreHealth>,
}

/// What a log of this version tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MoreHealth {
    pub(crate) figures: LogFigures,
    /// Whether any device can sign in with a token of the relay's own.
    pub(crate) lets_devices_in: bool,
    /// How many good tokens never end, and how many of them open the administration.
    pub(crate) tokens_for_ever: u64,
    pub(crate) admin_tokens_for_ever: u64,
    /// The tokens that end soon.
    pub(crate) tokens_ending: Vec<i64>,
    /// How many purged entities are not yet taken out of what is packed.
    pub(crate) unfinished_purges: u64,
    /// How many purged spaces are still partly there.
    pub(crate) unfinished_spaces: u64,
    /// The newest moment that is noted anywhere.
    pub(crate) newest_ms: Option<i64>,
}

/// Looks at a log beside whoever uses it; tokens that end before `soon_ms` are named.
///
/// # Errors
///
/// It cannot be read, or its pages do not belong together.
pub(crate) fn health(path: &Path, now_ms: i64, soon_ms: i64) -> Result<LogHealth, OpenLogError> {
    let connection = schema::open_to_read(path)?;
    let version = (schema::identify(&connection)?, schema::supported());
    let wal_bytes = std::fs::metadata(wal_of(path)).map_or(0, |wal| wal.len());
    heads::check_pages(&connection)?;
    let more = if version.0 == version.1 { Some(more(&connection, now_ms, soon_ms)?) } else { None };
    Ok(LogHealth { version, wal_bytes, more })
}

fn more(connection: &Connection, now_ms: i64, soon_ms: i64) -> Result<MoreHealth, OpenLogError> {
    let count = |sql: String, parameters: &[&dyn rusqlite::ToSql]| {
        connection.query_row(&sql, parameters, |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
    };
    let for_ever = format!("SELECT count(*) FROM tokens WHERE {GOOD_TOKENS} AND expires_ms IS NULL");
    let ending = format!(
        "SELECT number FROM tokens WHERE {GOOD_TOKENS} AND expires_ms <= ?2 ORDER BY number LIMIT {TOKENS_NAMED_MAX}"
    );
    let mut ending = connection.prepare(&ending)?;
    Ok(MoreHealth {
        figures: figures(connection)?,
        lets_devices_in: connection.prepare(ANY_GOOD_TOKEN)?.exists([now_ms])?,
        admin_tokens_for_ever: count(format!("{for_ever} AND administers"), &[&now_ms])?,
        tokens_for_ever: count(for_ever, &[&now_ms])?,
        tokens_ending: ending.query_map([now_ms, soon_ms], |row| row.get(0))?.collect::<Result<_, _>>()?,
        unfinished_purges: count("SELECT count(*) FROM erasures WHERE cleared < position".to_owned(), &[])?,
        unfinished_spaces: count(format!("SELECT count(*) FROM ({UNFINISHED_PURGES})"), &[])?,
        newest_ms: connection.query_row(NEWEST, [], |row| row.get(0))?,
    })
}
