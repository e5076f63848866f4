//! Devices that have signed in.

use super::user_row;
use crate::log::accounts::{AccountError, DeviceSummary, SignedOut, check_name};
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{LogError, SeenDevice};
use afield_core::{DeviceId, Now};
use rusqlite::{OptionalExtension, params};

/// How many devices of a user are remembered. A device chooses its id itself: whoever has a token could otherwise fill the disk with them.
pub(in crate::log::sqlite) const DEVICES_PER_USER_MAX: i64 = 1_000;

/// That a device's last token is of a time before it was signed out: with a newer one it has come back.
macro_rules! signed_out {
    () => {
        "iif(t.created_ms > d.signed_out_ms AND t.revoked_ms IS NULL, NULL, d.signed_out_ms)"
    };
}

const LIST: &str = concat!(
    "SELECT u.name, d.id, coalesce(d.name, t.name), d.token, d.address, d.first_seen_ms, d.last_seen_ms, ",
    signed_out!(),
    " FROM devices d JOIN users u ON u.number = d.user LEFT JOIN tokens t ON t.number = d.token
    WHERE ?1 IS NULL OR d.user = ?1 ORDER BY d.last_seen_ms DESC, d.user, d.id"
);

/// Notes that a device was here.
pub(super) fn note(transaction: &SqliteTransaction<'_>, seen: &SeenDevice) -> Result<(), LogError> {
    let SeenDevice { user, device, token, address, seen_wall_ms } = seen;
    let known = transaction
        .statement(
            "UPDATE devices SET
                token = coalesce((SELECT number FROM tokens WHERE hash = ?3 AND user = ?1), token),
                address = coalesce(?4, address), last_seen_ms = max(last_seen_ms, ?5)
            WHERE user = ?1 AND id = ?2",
        )?
        .execute(params![user, device.as_bytes(), token.as_bytes(), address, seen_wall_ms])?;
    if known > 0 {
        return Ok(());
    }
    // Where user or token went away meanwhile, as with a purge beside the relay or a restored backup, nothing is noted: neither a device
    // nor where it came from is to be written back.
    transaction
        .statement(
            "INSERT INTO devices (user, id, token, address, first_seen_ms, last_seen_ms)
            SELECT u.number, ?2, t.number, ?4, ?5, ?5 FROM users u JOIN tokens t ON t.user = u.number AND t.hash = ?3
            WHERE u.number = ?1 AND u.purged_ms IS NULL",
        )?
        .execute(params![user, device.as_bytes(), token.as_bytes(), address, seen_wall_ms])?;
    // One that was signed out stays, or it would come back.
    transaction
        .statement(
            "DELETE FROM devices WHERE user = ?1 AND id IN (
                SELECT id FROM devices WHERE user = ?1 AND signed_out_ms IS NULL
                ORDER BY last_seen_ms DESC, id LIMIT -1 OFFSET ?2
            )",
        )?
        .execute(params![user, DEVICES_PER_USER_MAX])?;
    Ok(())
}

pub(super) fn list(
    transaction: &SqliteTransaction<'_>,
    user: Option<&str>,
) -> Result<Vec<DeviceSummary>, AccountError> {
    let user = user.map(|name| user_row(transaction, name)).transpose()?;
    let mut statement = transaction.statement(LIST)?;
    let devices = statement.query_map([user], |row| {
        Ok(DeviceSummary {
            user: row.get(0)?,
            id: DeviceId::from_bytes(row.get(1)?),
            name: row.get(2)?,
            token: row.get(3)?,
            address: row.get(4)?,
            first_seen_wall_ms: row.get(5)?,
            last_seen_wall_ms: row.get(6)?,
            signed_out_wall_ms: row.get(7)?,
        })
    })?;
    Ok(devices.collect::<Result<_, _>>()?)
}

pub(super) fn name(
    transaction: &SqliteTransaction<'_>,
    user: &str,
    device: DeviceId,
    name: &str,
) -> Result<(), AccountError> {
    let named = transaction.statement("UPDATE devices SET name = ?3 WHERE user = ?1 AND id = ?2")?.execute(params![
        user_row(transaction, user)?,
        device.as_bytes(),
        check_name(name)?
    ])?;
    if named == 0 { Err(AccountError::NoSuchDevice(device)) } else { Ok(()) }
}

pub(super) fn sign_out(
    transaction: &SqliteTransaction<'_>,
    user: &str,
    device: DeviceId,
    now: Now,
) -> Result<SignedOut, AccountError> {
    let user = user_row(transaction, user)?;
    let token: Option<Option<i64>> = transaction
        .statement("UPDATE devices SET signed_out_ms = ?3 WHERE user = ?1 AND id = ?2 RETURNING token")?
        .query_row(params![user, device.as_bytes(), now.wall_ms], |row| row.get(0))
        .optional()?;
    let Some(token) = token.ok_or(AccountError::NoSuchDevice(device))? else { return Ok(SignedOut::default()) };
    let is_shared = transaction
        .statement(
            "SELECT 1 FROM devices d JOIN tokens t ON t.number = d.token
            WHERE d.token = ?1 AND NOT (d.user = ?2 AND d.id = ?3) AND t.revoked_ms IS NULL
                AND (d.signed_out_ms IS NULL OR d.signed_out_ms < t.created_ms)",
        )?
        .exists(params![token, user, device.as_bytes()])?;
    if is_shared {
        return Ok(SignedOut { revoked: Vec::new(), shared: Some(token) });
    }
    let revoked = transaction
        .statement("UPDATE tokens SET revoked_ms = ?2 WHERE number = ?1 AND revoked_ms IS NULL")?
        .execute([token, now.wall_ms])?;
    Ok(SignedOut { revoked: if revoked > 0 { vec![token] } else { Vec::new() }, shared: None })
}
