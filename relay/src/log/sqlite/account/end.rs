//! The end of all access at once, as behind a backup that was put in place.

use super::over;
use crate::log::accounts::AccountError;
use crate::log::sqlite::transaction::SqliteTransaction;
use afield_core::Now;

/// What was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedAccess {
    /// How many tokens are revoked.
    pub tokens: u64,
    /// How many invitations are withdrawn.
    pub invitations: u64,
}

/// Revokes all tokens, ends what was signed so far, signs all users and devices out and withdraws all invitations (R7): which of them
/// were ended since a backup was made, the backup does not know.
pub(super) fn all(transaction: &SqliteTransaction<'_>, now: Now) -> Result<EndedAccess, AccountError> {
    let end = |sql: &str| -> Result<u64, AccountError> {
        let ended = transaction.statement(sql)?.execute([now.wall_ms])?;
        Ok(u64::try_from(ended).unwrap_or(u64::MAX))
    };
    let signed = end("UPDATE tokens SET revoked_ms = ?1 WHERE revoked_ms IS NULL AND signed")?;
    tracing::debug!(signed, "what an app's backend signed is over");
    let tokens = end("UPDATE tokens SET revoked_ms = ?1 WHERE revoked_ms IS NULL")?;
    // The clock may have gone back since: a moment that was noted already stays the later one.
    end("UPDATE users SET signed_out_ms = max(coalesce(signed_out_ms, ?1), ?1)")?;
    end("UPDATE devices SET signed_out_ms = max(coalesce(signed_out_ms, ?1), ?1)")?;
    // Nor whom it does not know, who may hold what was signed meanwhile.
    over::end_all(transaction, now)?;
    let invitations = end("UPDATE invitations SET withdrawn_ms = ?1 WHERE used_ms IS NULL AND withdrawn_ms IS NULL")?;
    Ok(EndedAccess { tokens, invitations })
}
