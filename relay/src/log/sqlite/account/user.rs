//! Users.

use super::user_row;
use crate::log::accounts::{AccountError, SignedOut, UserSummary, check_name};
use crate::log::sqlite::row::count;
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{Page, Part};
use afield_core::Now;
use rusqlite::params;

const LIST: &str = "
    SELECT u.number, u.name, u.created_ms, u.disabled_ms, u.issuer,
        (SELECT count(*) FROM members m WHERE m.user = u.number),
        (SELECT count(*) FROM tokens t WHERE t.user = u.number AND NOT t.signed AND t.revoked_ms IS NULL),
        (SELECT count(*) FROM devices d WHERE d.user = u.number AND d.signed_out_ms IS NULL)
    FROM users u WHERE u.number > ?1 ORDER BY u.number LIMIT ?2";

pub(super) fn create(transaction: &SqliteTransaction<'_>, name: &str, now: Now) -> Result<(), AccountError> {
    let made = transaction
        .statement("INSERT INTO users (name, created_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![check_name(name)?, now.wall_ms])?;
    if made == 0 { Err(AccountError::UserExists) } else { Ok(()) }
}

pub(super) fn list(transaction: &SqliteTransaction<'_>, part: &Part) -> Result<Page<UserSummary>, AccountError> {
    let mut statement = transaction.statement(LIST)?;
    let users = statement.query_map([part.after_number()?, part.rows_to_read()], |row| {
        let user = UserSummary {
            name: row.get(1)?,
            created_wall_ms: row.get(2)?,
            disabled_wall_ms: row.get(3)?,
            issuer: row.get(4)?,
            spaces: count(row, 5)?,
            tokens: count(row, 6)?,
            devices: count(row, 7)?,
        };
        Ok((row.get::<_, i64>(0)?, user))
    })?;
    Ok(Page::of(users.collect::<Result<_, _>>()?, part))
}

pub(super) fn set_enabled(
    transaction: &SqliteTransaction<'_>,
    name: &str,
    enabled: bool,
    now: Now,
) -> Result<(), AccountError> {
    let user = user_row(transaction, name)?;
    // The moment of the first closing stays.
    transaction
        .statement("UPDATE users SET disabled_ms = iif(?2, NULL, coalesce(disabled_ms, ?3)) WHERE number = ?1")?
        .execute(params![user, enabled, now.wall_ms])?;
    Ok(())
}

pub(super) fn sign_out(transaction: &SqliteTransaction<'_>, name: &str, now: Now) -> Result<SignedOut, AccountError> {
    let user = user_row(transaction, name)?;
    let revoked = transaction
        .statement("UPDATE tokens SET revoked_ms = ?2 WHERE user = ?1 AND revoked_ms IS NULL RETURNING number, signed")?
        .query_map(params![user, now.wall_ms], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(i64, bool)>, _>>()?;
    // The clock may have gone back since: a moment that was noted already stays the later one.
    transaction
        .statement("UPDATE users SET signed_out_ms = max(coalesce(signed_out_ms, ?2), ?2) WHERE number = ?1")?
        .execute(params![user, now.wall_ms])?;
    transaction
        .statement("UPDATE devices SET signed_out_ms = max(coalesce(signed_out_ms, ?2), ?2) WHERE user = ?1")?
        .execute(params![user, now.wall_ms])?;
    let mut revoked: Vec<i64> = revoked.into_iter().filter(|(_, signed)| !signed).map(|(number, _)| number).collect();
    revoked.sort_unstable();
    Ok(SignedOut { revoked, ..SignedOut::default() })
}
