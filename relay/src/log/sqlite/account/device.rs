//! Devices that have signed in.

use super::user_row;
use crate::log::accounts::{AccountError, DeviceSummary, ShownTokens, SignedOut, check_name};
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{LogError, Page, Part, SeenDevice};
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
    "SELECT d.user, u.name, d.id, coalesce(d.name, t.name), d.token, d.address, d.first_seen_ms, d.last_seen_ms, ",
    signed_out!(),
    " FROM devices d JOIN users u ON u.number = d.user LEFT JOIN tokens t ON t.number = d.token
    WHERE (d.user, d.id) > (?1, ?2) AND d.user <= ?3 ORDER BY d.user, d.id LIMIT ?4"
);

/// Notes that a device was here.
pub(super) fn note(transaction: &SqliteTransaction<'_>, seen: &SeenDevice) -> Result<(), LogError> {
    let SeenDevice { user, device, token, address, seen_wall_ms } = seen;
    let known = transaction
        .statement(
            "UPDATE devices SET
                token = iif(last_seen_ms > ?5, token, coalesce((SELECT number FROM tokens WHERE hash = ?3 AND user = ?1), token)),
                address = iif(last_seen_ms > ?5, address, coalesce(?4, address)), last_seen_ms = max(last_seen_ms, ?5)
            WHERE user = ?1 AND id = ?2",
        )?
        .execute(params![user, device.as_bytes(), token.as_bytes(), address, seen_wall_ms])?;
    if known == 0 {
        // Where user or token went away meanwhile, as with a purge beside the relay or a restored backup, nothing is noted: neither a
        // device nor where it came from is to be written back.
        transaction
            .statement(
                "INSERT INTO devices (user, id, token, address, first_seen_ms, last_seen_ms)
                SELECT u.number, ?2, t.number, ?4, ?5, ?5 FROM users u JOIN tokens t ON t.user = u.number AND t.hash = ?3
                WHERE u.number = ?1 AND u.purged_ms IS NULL",
            )?
            .execute(params![user, device.as_bytes(), token.as_bytes(), address, seen_wall_ms])?;
    }
    transaction
        .statement(
            "INSERT INTO shown_tokens (user, device, token)
            SELECT d.user, d.id, t.number FROM devices d JOIN tokens t ON t.user = d.user AND t.hash = ?3
            WHERE d.user = ?1 AND d.id = ?2 ON CONFLICT DO NOTHING",
        )?
        .execute(params![user, device.as_bytes(), token.as_bytes()])?;
    if known == 0 { forget_oldest(transaction, *user, *device) } else { Ok(()) }
}

/// Forgets the devices of a user that are more than so many. One that was signed out stays, or it would come back; so does the one that was
/// just noted, whatever clocks say, for whoever is about to sign it out.
fn forget_oldest(transaction: &SqliteTransaction<'_>, user: i64, noted: DeviceId) -> Result<(), LogError> {
    let forgotten: Vec<[u8; 16]> = transaction
        .statement(
            "DELETE FROM devices WHERE user = ?1 AND id <> ?3 AND id IN (
                SELECT id FROM devices WHERE user = ?1 AND signed_out_ms IS NULL
                ORDER BY last_seen_ms DESC, id LIMIT -1 OFFSET ?2
            ) RETURNING id",
        )?
        .query_map(params![user, DEVICES_PER_USER_MAX, noted.as_bytes()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for device in forgotten {
        transaction
            .statement("DELETE FROM shown_tokens WHERE user = ?1 AND device = ?2")?
            .execute(params![user, device])?;
    }
    Ok(())
}

pub(super) fn list(
    transaction: &SqliteTransaction<'_>,
    user: Option<&str>,
    part: &Part,
) -> Result<Page<DeviceSummary>, AccountError> {
    let user = user.map(|name| user_row(transaction, name)).transpose()?;
    let after = part.after.as_deref().map(place).transpose()?;
    let (first, id) = after.unzip();
    // Every id comes after none.
    let id = id.as_ref().map_or(&[][..], |id: &DeviceId| &id.as_bytes()[..]);
    let (first, last) = (first.or(user).unwrap_or_default(), user.unwrap_or(i64::MAX));
    let mut statement = transaction.statement(LIST)?;
    let devices = statement.query_map(params![first, id, last, part.rows_to_read()], |row| {
        let device = DeviceSummary {
            user: row.get(1)?,
            id: DeviceId::from_bytes(row.get(2)?),
            name: row.get(3)?,
            token: row.get(4)?,
            address: row.get(5)?,
            first_seen_wall_ms: row.get(6)?,
            last_seen_wall_ms: row.get(7)?,
            signed_out_wall_ms: row.get(8)?,
        };
        Ok((format!("{}.{}", row.get::<_, i64>(0)?, device.id), device))
    })?;
    Ok(Page::of(devices.collect::<Result<_, _>>()?, part))
}

/// Reads the place of a device: the row of its user, and its id.
fn place(after: &str) -> Result<(i64, DeviceId), AccountError> {
    let place = after.split_once('.').and_then(|(user, id)| Some((user.parse().ok()?, id.parse().ok()?)));
    place.ok_or(AccountError::After)
}

/// What devices are called.
pub(super) fn names(
    transaction: &SqliteTransaction<'_>,
    devices: &[(String, DeviceId)],
) -> Result<Vec<Option<String>>, AccountError> {
    let mut statement = transaction.statement(
        "SELECT coalesce(d.name, t.name) FROM users u JOIN devices d ON d.user = u.number LEFT JOIN tokens t ON t.number = d.token
        WHERE u.name = ?1 AND d.id = ?2",
    )?;
    let names = devices.iter().map(|(user, device)| {
        let name = statement.query_row(params![user, device.as_bytes()], |row| row.get(0)).optional()?;
        Ok(name.flatten())
    });
    names.collect()
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

/// The tokens that a device `?2` of the user `?1` has shown and that are good at `?3`, each with whether another one has shown it that could come
/// with it.
const SHOWN: &str = "
    SELECT t.number, EXISTS (
        SELECT 1 FROM shown_tokens o LEFT JOIN devices d ON d.user = o.user AND d.id = o.device
        WHERE o.token = t.number AND NOT (o.user = ?1 AND o.device = ?2)
            AND (d.signed_out_ms IS NULL OR d.signed_out_ms < t.created_ms)
    )
    FROM shown_tokens s JOIN tokens t ON t.number = s.token
    WHERE s.user = ?1 AND s.device = ?2 AND t.revoked_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > ?3)
    ORDER BY t.number";

pub(super) fn sign_out(
    transaction: &SqliteTransaction<'_>,
    user: &str,
    device: DeviceId,
    tokens: ShownTokens,
    now: Now,
) -> Result<SignedOut, AccountError> {
    let user = user_row(transaction, user)?;
    let signed_out = transaction
        .statement(
            "UPDATE devices SET signed_out_ms = max(coalesce(signed_out_ms, ?3), ?3) WHERE user = ?1 AND id = ?2",
        )?
        .execute(params![user, device.as_bytes(), now.wall_ms])?;
    if signed_out == 0 {
        return Err(AccountError::NoSuchDevice(device));
    }
    let shown: Vec<(i64, bool)> = transaction
        .statement(SHOWN)?
        .query_map(params![user, device.as_bytes(), now.wall_ms], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let numbers = shown.iter().map(|(number, _)| *number).collect();
    if tokens == ShownTokens::Keep {
        return Ok(SignedOut { kept: numbers, ..SignedOut::default() });
    }
    for (number, _) in &shown {
        transaction
            .statement("UPDATE tokens SET revoked_ms = ?2 WHERE number = ?1")?
            .execute([*number, now.wall_ms])?;
    }
    let shared = shown.into_iter().filter(|(_, is_shared)| *is_shared).map(|(number, _)| number).collect();
    Ok(SignedOut { revoked: numbers, shared, kept: Vec::new() })
}
