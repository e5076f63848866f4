//! Users who are to be forgotten.

use super::{DEFAULT_USER, over, user_row};
use crate::log::accounts::{AccountError, Role};
use crate::log::sqlite::transaction::SqliteTransaction;
use afield_core::{Now, SpaceId};
use rusqlite::params;

/// A space that has one owner.
pub(in crate::log::sqlite) struct SoleSpace(pub(in crate::log::sqlite) SpaceId);

/// The spaces that a user alone owns.
pub(in crate::log::sqlite) fn sole_spaces(
    transaction: &SqliteTransaction<'_>,
    name: &str,
) -> Result<Vec<SoleSpace>, AccountError> {
    let user = user_row(transaction, name)?;
    let mut statement = transaction.statement(
        "SELECT s.id FROM members m JOIN spaces s ON s.number = m.space WHERE m.user = ?1 AND m.role = ?2
            AND NOT EXISTS (SELECT 1 FROM members o WHERE o.space = m.space AND o.user <> ?1 AND o.role = ?2)
        ORDER BY s.number",
    )?;
    let spaces = statement.query_map([user, Role::Owner.number().into()], |row| {
        row.get(0).map(|id| SoleSpace(SpaceId::from_bytes(id)))
    })?;
    Ok(spaces.collect::<Result<_, _>>()?)
}

/// Closes an account for good and takes away what says whose it was; gives how many tokens were good, and how many devices it had.
///
/// Numbers of users and tokens are given once, so their rows stay, with nothing in them. Tokens that an app's backend signed keep their
/// hashes, too, until they are over: one that is not known would be noted as a new one. The default user, whom a relay without access
/// control needs, stays open.
pub(in crate::log::sqlite) fn forget_user(
    transaction: &SqliteTransaction<'_>,
    name: &str,
    now: Now,
) -> Result<(u64, u64), AccountError> {
    let user = user_row(transaction, name)?;
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let run = |sql: &str| -> Result<u64, AccountError> { Ok(transaction.statement(sql)?.execute([user]).map(count)?) };
    let tokens = transaction
        .statement("UPDATE tokens SET revoked_ms = ?2 WHERE user = ?1 AND revoked_ms IS NULL")?
        .execute([user, now.wall_ms])
        .map(count)?;
    run("DELETE FROM token_spaces WHERE token IN (SELECT number FROM tokens WHERE user = ?1)")?;
    run("UPDATE tokens SET hash = iif(signed, hash, randomblob(32)), name = NULL WHERE user = ?1")?;
    run("DELETE FROM shown_tokens WHERE user = ?1")?;
    run("DELETE FROM session_spaces WHERE session IN (SELECT id FROM sessions WHERE user = ?1)")?;
    run("DELETE FROM sessions WHERE user = ?1")?;
    let devices = run("DELETE FROM devices WHERE user = ?1")?;
    run("DELETE FROM members WHERE user = ?1")?;
    if user != DEFAULT_USER {
        over::bury(transaction, user, now)?;
        transaction
            .statement(
                "UPDATE users SET name = 'purged ' || number || ' ' || lower(hex(randomblob(4))), issuer = NULL, subject = NULL,
                    purged_ms = ?2, disabled_ms = coalesce(disabled_ms, ?2), signed_out_ms = max(coalesce(signed_out_ms, ?2), ?2) WHERE number = ?1",
            )?
            .execute(params![user, now.wall_ms])?;
    }
    Ok((tokens, devices))
}
