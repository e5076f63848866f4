//! What was signed too early: for users who were purged since, or before all access ended.

use crate::log::sqlite::archive::secret_of;
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{LogError, SignedClaims};
use crate::signed::LIFETIME_MAX_MS;
use afield_core::Now;
use ring::hmac;
use rusqlite::{OptionalExtension, params};

/// How long it is kept that a user was purged, in milliseconds: as long as a token is good at most that was signed before, and a day more for
/// clocks that are set back.
const KEPT_MS: i64 = LIFETIME_MAX_MS + 86_400_000;

/// Whether a token is over although nobody has shown it yet. Its moment has whole seconds where those of the log have milliseconds,
/// and counts as the first of its second.
pub(super) fn is_over(transaction: &SqliteTransaction<'_>, claims: &SignedClaims) -> Result<bool, LogError> {
    let owner = owner_of(transaction, &claims.issuer, &claims.subject)?;
    Ok(transaction
        .statement(
            "SELECT 1 FROM file WHERE signed_not_before_ms > ?2
            UNION ALL SELECT 1 FROM purged_owners WHERE owner = ?1 AND signed_not_before_ms > ?2",
        )?
        .exists(params![owner.as_ref(), claims.signed_wall_ms()])?)
}

/// Ends everything that was signed so far, whoever it is of.
pub(super) fn end_all(transaction: &SqliteTransaction<'_>, now: Now) -> Result<(), LogError> {
    transaction
        .statement("UPDATE file SET signed_not_before_ms = max(coalesce(signed_not_before_ms, ?1), ?1)")?
        .execute([now.wall_ms])?;
    Ok(())
}

/// Keeps of a user who is about to be forgotten that nothing is good any more that was signed for it so far; nothing for one of the
/// relay's own.
pub(super) fn bury(transaction: &SqliteTransaction<'_>, user: i64, now: Now) -> Result<(), LogError> {
    let found: Option<(String, String)> = transaction
        .statement("SELECT issuer, subject FROM users WHERE number = ?1 AND issuer IS NOT NULL")?
        .query_row([user], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((issuer, subject)) = found else { return Ok(()) };
    transaction
        .statement(
            "INSERT INTO purged_owners (owner, signed_not_before_ms) VALUES (?1, ?2)
            ON CONFLICT (owner) DO UPDATE SET signed_not_before_ms = max(signed_not_before_ms, excluded.signed_not_before_ms)",
        )?
        .execute(params![owner_of(transaction, &issuer, &subject)?.as_ref(), now.wall_ms])?;
    Ok(())
}

/// Forgets some who were purged, once nothing that was signed before can be good.
pub(super) fn drop_old(transaction: &SqliteTransaction<'_>, count_max: i64, now: Now) -> Result<(), LogError> {
    transaction
        .statement(
            "DELETE FROM purged_owners WHERE owner IN (
                SELECT owner FROM purged_owners WHERE signed_not_before_ms < ?1 ORDER BY signed_not_before_ms LIMIT ?2
            )",
        )?
        .execute([now.wall_ms.saturating_sub(KEPT_MS), count_max])?;
    Ok(())
}

/// Who a token is of, in a form that names nobody: with the lengths before them, no two pairs are the same bytes.
fn owner_of(transaction: &SqliteTransaction<'_>, issuer: &str, subject: &str) -> Result<hmac::Tag, LogError> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret_of(transaction)?);
    let mut context = hmac::Context::with_key(&key);
    for part in [issuer, subject] {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    Ok(context.sign())
}
