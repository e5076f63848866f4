//! Tokens that an app's backend signed: noted when they are shown first, so that each of them can be listed and revoked.

use super::over;
use crate::log::accounts::check_name;
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{LogError, SignedClaims, TokenHash};
use afield_core::{DeviceId, Now};
use rusqlite::{OptionalExtension, params};

/// How long a signed token is listed after its end, in milliseconds: a day, as long as one is good at most.
const KEPT_MS: i64 = 86_400_000;
/// How many old ones one that is noted takes away: more than it adds.
const DROPPED_MAX: i64 = 4;
/// How many signed tokens of a user are good at once; the one that was shown first ends for another one. What its devices need is far
/// below that, and whatever has the backend sign without end is bounded by it (R8).
const GOOD_MAX: i64 = 1_000;
/// Up to which number users of the same name are numbered.
const NUMBERED_MAX: u32 = 9;

/// Makes the user `?4` of the issuer `?3`, where nobody has the name.
pub(in crate::log::sqlite) const INSERT_USER: &str =
    "INSERT INTO users (name, created_ms, issuer, subject) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING";

/// Notes a token whose signature was checked with the device that shows it, and makes its user where there is none. Answers whether others of
/// the user ended for it.
pub(super) fn store(
    transaction: &SqliteTransaction<'_>,
    token: &TokenHash,
    claims: &SignedClaims,
    device: DeviceId,
    now: Now,
) -> Result<bool, LogError> {
    drop_old(transaction, now)?;
    let user = find_or_make_user(transaction, claims, now)?;
    let spaces = claims.spaces.as_deref();
    transaction
        .statement(
            "INSERT INTO tokens (user, hash, may_create, read_only, restricted, signed, created_ms, expires_ms)
            VALUES (?1, ?2, ?3, 0, ?4, 1, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            user,
            token.as_bytes(),
            claims.may_create,
            spaces.is_some(),
            claims.signed_wall_ms().min(now.wall_ms),
            claims.expires_wall_ms,
        ])?;
    let number = transaction.last_insert_rowid();
    transaction
        .statement("INSERT INTO shown_tokens (user, device, token) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![user, device.as_bytes(), number])?;
    for (space, role) in spaces.unwrap_or_default() {
        transaction
            .statement("INSERT INTO token_spaces (token, space, role) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
            .execute(params![number, space.as_bytes(), role.number()])?;
    }
    // They stay as ended ones until their time is over: one that was taken away would be good again when it is shown.
    let ended = transaction
        .statement(
            "UPDATE tokens SET revoked_ms = ?2 WHERE number IN (
                SELECT number FROM tokens WHERE user = ?1 AND signed AND revoked_ms IS NULL AND expires_ms > ?2
                ORDER BY number DESC LIMIT -1 OFFSET ?3
            )",
        )?
        .execute([user, now.wall_ms, GOOD_MAX])?;
    Ok(ended > 0)
}

fn find_or_make_user(transaction: &SqliteTransaction<'_>, claims: &SignedClaims, now: Now) -> Result<i64, LogError> {
    let SignedClaims { issuer, subject, .. } = claims;
    let found: Option<i64> = transaction
        .statement("SELECT number FROM users WHERE issuer = ?1 AND subject = ?2")?
        .query_row([issuer, subject], |row| row.get(0))
        .optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    let mut insert = transaction.statement(INSERT_USER)?;
    // A user of the relay's own, or of another issuer, may have that name. However many have it, few are tried: behind some numbers, which
    // are easy to tell apart, comes what nobody has by chance.
    let wished = check_name(subject).unwrap_or("signed");
    let mut name = wished.to_owned();
    let mut numbers = 2..=NUMBERED_MAX;
    while insert.execute(params![name, now.wall_ms, issuer, subject])? == 0 {
        name = match numbers.next() {
            Some(number) => format!("{wished} {number}"),
            None => {
                let random: String =
                    transaction.statement("SELECT lower(hex(randomblob(4)))")?.query_row([], |row| row.get(0))?;
                format!("{wished} {random}")
            }
        };
    }
    Ok(transaction.last_insert_rowid())
}

/// Takes some tokens away that are over. The newest stays, so that no number is given twice.
fn drop_old(transaction: &SqliteTransaction<'_>, now: Now) -> Result<(), LogError> {
    let old: Vec<i64> = transaction
        .statement(
            "SELECT number FROM tokens WHERE signed AND expires_ms < ?1 AND number < (SELECT max(number) FROM tokens)
            ORDER BY expires_ms LIMIT ?2",
        )?
        .query_map([now.wall_ms.saturating_sub(KEPT_MS), DROPPED_MAX], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for number in old {
        transaction.statement("UPDATE devices SET token = NULL WHERE token = ?1")?.execute([number])?;
        transaction.statement("DELETE FROM token_spaces WHERE token = ?1")?.execute([number])?;
        transaction.statement("DELETE FROM tokens WHERE number = ?1")?.execute([number])?;
    }
    over::drop_old(transaction, DROPPED_MAX, now)
}
