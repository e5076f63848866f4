//! Tokens of the relay's own.

use super::user_row;
use crate::log::accounts::{AccountError, DEFAULT_USER_NAME, NewToken, TokenSummary, check_name};
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{LogError, Page, Part, Token, TokenHash};
use afield_core::{Now, SpaceId};
use rusqlite::{Row, params};

pub(super) fn create(
    transaction: &SqliteTransaction<'_>,
    token: &Token,
    new: &NewToken,
    now: Now,
) -> Result<i64, AccountError> {
    let user = user_row(transaction, new.user.as_deref().unwrap_or(DEFAULT_USER_NAME))?;
    transaction
        .statement(
            "INSERT INTO tokens (user, hash, name, may_create, read_only, restricted, administers, created_ms, expires_ms)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            user,
            token.hash().as_bytes(),
            new.name.as_deref().map(check_name).transpose()?,
            new.may_create,
            new.read_only,
            !new.spaces.is_empty(),
            new.administers,
            now.wall_ms,
            new.expires_wall_ms,
        ])?;
    let number = transaction.last_insert_rowid();
    for space in &new.spaces {
        transaction
            .statement("INSERT INTO token_spaces (token, space) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![number, space.as_bytes()])?;
    }
    Ok(number)
}

pub(super) fn list(transaction: &SqliteTransaction<'_>, part: &Part) -> Result<Page<TokenSummary>, AccountError> {
    let mut statement = transaction.statement(
        "SELECT t.number, u.name, t.name, t.restricted, t.read_only, t.may_create, t.administers, t.signed,
            t.created_ms, t.expires_ms, t.revoked_ms
        FROM tokens t JOIN users u ON u.number = t.user WHERE t.number > ?1 ORDER BY t.number LIMIT ?2",
    )?;
    let mut listed = transaction.statement("SELECT space FROM token_spaces WHERE token = ?1 ORDER BY space")?;
    let mut summaries = Vec::new();
    for summary in statement.query_map([part.after_number()?, part.rows_to_read()], read_summary)? {
        let mut summary = summary?;
        if let Some(spaces) = &mut summary.spaces {
            let rows = listed.query_map([summary.number], |row| row.get(0).map(SpaceId::from_bytes))?;
            *spaces = rows.collect::<Result<_, _>>()?;
        }
        summaries.push((summary.number, summary));
    }
    Ok(Page::of(summaries, part))
}

fn read_summary(row: &Row<'_>) -> rusqlite::Result<TokenSummary> {
    let restricted: bool = row.get(3)?;
    Ok(TokenSummary {
        number: row.get(0)?,
        user: row.get(1)?,
        name: row.get(2)?,
        spaces: restricted.then(Vec::new),
        read_only: row.get(4)?,
        may_create: row.get(5)?,
        administers: row.get(6)?,
        signed: row.get(7)?,
        created_wall_ms: row.get(8)?,
        expires_wall_ms: row.get(9)?,
        revoked_wall_ms: row.get(10)?,
    })
}

pub(super) fn revoke(transaction: &SqliteTransaction<'_>, number: i64, now: Now) -> Result<(), AccountError> {
    let revoked = transaction
        .statement("UPDATE tokens SET revoked_ms = ?2 WHERE number = ?1 AND revoked_ms IS NULL")?
        .execute([number, now.wall_ms])?;
    if revoked == 0 { Err(AccountError::NoSuchToken(number)) } else { Ok(()) }
}

/// A row where any device can sign in at a moment with a token of this relay's own.
pub(in crate::log::sqlite) const ANY_GOOD: &str = "SELECT 1 FROM tokens t JOIN users u ON u.number = t.user
    WHERE NOT t.administers AND t.revoked_ms IS NULL
        AND (t.expires_ms IS NULL OR t.expires_ms > ?1) AND u.disabled_ms IS NULL LIMIT 1";

/// Whether any device can sign in with a token of this relay's own.
pub(super) fn any_good(transaction: &SqliteTransaction<'_>, now: Now) -> Result<bool, LogError> {
    Ok(transaction.statement(ANY_GOOD)?.exists(params![now.wall_ms])?)
}

pub(super) fn administers(
    transaction: &SqliteTransaction<'_>,
    token: &TokenHash,
    now: Now,
) -> Result<bool, AccountError> {
    Ok(transaction
        .statement(
            "SELECT 1 FROM tokens t JOIN users u ON u.number = t.user
            WHERE t.hash = ?1 AND t.administers AND t.revoked_ms IS NULL
                AND (t.expires_ms IS NULL OR t.expires_ms > ?2) AND u.disabled_ms IS NULL",
        )?
        .exists(params![token.as_bytes(), now.wall_ms])?)
}
