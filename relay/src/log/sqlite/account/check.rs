//! What a principal may do now: read in the transaction of every answer.

use super::DEFAULT_USER;
use crate::log::accounts::Role;
use crate::log::sqlite::row::{SPACE_NUMBER_MAX, count};
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{Authentication, Ended, LogError, Principal, Quotas, Standing, TokenHash};
use afield_core::wire::SpaceCode;
use afield_core::{Cursor, DeviceId, LogId, Now, SpaceId};
use rusqlite::{OptionalExtension, Row, params};

/// That the token `t` of the user `u` with the hash `?1` is good at `?2` in the hands of the device `?3`.
macro_rules! good {
    () => {
        "t.hash = ?1 AND NOT t.administers
            AND t.revoked_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > ?2)
            AND u.disabled_ms IS NULL
            AND (NOT t.signed OR u.signed_out_ms IS NULL OR t.created_ms > u.signed_out_ms)
            AND NOT EXISTS (
                SELECT 1 FROM devices d WHERE d.user = t.user AND d.id = ?3 AND d.signed_out_ms >= t.created_ms
            )"
    };
}

/// A space `?4` as a good token's user may use it, with what the token or the membership allows.
pub(in crate::log::sqlite) const SPACE_OF_MEMBER: &str = concat!(
    "SELECT s.number, s.log, s.sequence, s.chain, s.chunks, s.bytes, 
        CASE WHEN t.read_only THEN 1 ELSE coalesce(l.role, m.role) END
    FROM tokens t
    JOIN users u ON u.number = t.user
    JOIN spaces s ON s.id = ?4
    LEFT JOIN members m ON m.user = t.user AND m.space = s.number
    LEFT JOIN token_spaces l ON l.token = t.number AND l.space = s.id
    WHERE ",
    good!(),
    " AND (NOT t.restricted OR l.space IS NOT NULL) AND coalesce(l.role, m.role) IS NOT NULL"
);

const GOOD_TOKEN: &str = concat!(
    "SELECT t.user, t.may_create AND NOT t.read_only, t.expires_ms, u.name FROM tokens t JOIN users u ON u.number = t.user WHERE ",
    good!()
);

/// Why a token is not good; nothing where there is none, or it is one of an administrator. Of a purged user there is no account left
/// that somebody could open again: who signs in anew comes as another one.
const WHY_NOT: &str = "
    SELECT u.disabled_ms IS NOT NULL AND u.purged_ms IS NULL,
        t.revoked_ms IS NOT NULL OR (t.signed AND coalesce(u.signed_out_ms >= t.created_ms, 0)) OR EXISTS (
            SELECT 1 FROM devices d WHERE d.user = t.user AND d.id = ?2 AND d.signed_out_ms >= t.created_ms
        )
    FROM tokens t JOIN users u ON u.number = t.user WHERE t.hash = ?1 AND NOT t.administers";

/// A token may be restricted to spaces that its user is a member of, or name them with a role each.
const SPACES: &str = "
    SELECT s.number, s.id FROM tokens t
    JOIN members m ON m.user = t.user JOIN spaces s ON s.number = m.space
    WHERE t.hash = ?1 AND (NOT t.restricted
        OR EXISTS (SELECT 1 FROM token_spaces l WHERE l.token = t.number AND l.space = s.id))
    UNION
    SELECT s.number, s.id FROM tokens t
    JOIN token_spaces l ON l.token = t.number AND l.role IS NOT NULL JOIN spaces s ON s.id = l.space
    WHERE t.hash = ?1
    ORDER BY 1 LIMIT ?2";

/// Who names spaces with a role each creates only what it is to own.
const MAY_CREATE: &str = concat!(
    "SELECT 1 FROM tokens t
    JOIN users u ON u.number = t.user
    LEFT JOIN token_spaces l ON l.token = t.number AND l.space = ?4
    WHERE ",
    good!(),
    " AND t.may_create AND NOT t.read_only
        AND (NOT t.restricted OR (l.space IS NOT NULL AND coalesce(l.role, 3) >= 3))"
);

/// An invitation with the hash `?5` to the space `?4` that is good at `?2`, for who comes with a good token that is not for other spaces only, and
/// who may not use the space, or gets a higher role by it: what a token itself names or forbids no membership changes.
const INVITED: &str = concat!(
    "SELECT 1 FROM tokens t
    JOIN users u ON u.number = t.user
    JOIN invitations i ON i.hash = ?5
    JOIN spaces s ON s.number = i.space AND s.id = ?4
    LEFT JOIN members m ON m.user = t.user AND m.space = s.number
    LEFT JOIN token_spaces l ON l.token = t.number AND l.space = s.id
    WHERE ",
    good!(),
    " AND (NOT t.restricted OR l.space IS NOT NULL)
        AND CASE WHEN l.role IS NOT NULL THEN 0 WHEN m.role IS NULL THEN 1 ELSE m.role < i.role AND NOT t.read_only END
        AND i.used_ms IS NULL AND i.withdrawn_ms IS NULL AND i.expires_ms > ?2"
);

pub(in crate::log::sqlite) fn authenticate(
    transaction: &SqliteTransaction<'_>,
    token: &TokenHash,
    device: DeviceId,
    now: Now,
) -> Result<Authentication, LogError> {
    let good: Option<i64> = transaction
        .statement(GOOD_TOKEN)?
        .query_row(params![token.as_bytes(), now.wall_ms, device.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(match good {
        Some(user) => Authentication::Good(Principal { token: Some(*token), user, device: Some(device) }),
        None => why_not(transaction, token, Some(device))?.map_or(Authentication::Unknown, Authentication::Ended),
    })
}

/// Why a principal may do nothing any more; `None` while its token is good.
pub(in crate::log::sqlite) fn ended(
    transaction: &SqliteTransaction<'_>,
    principal: Principal,
    now: Now,
) -> Result<Option<Ended>, LogError> {
    let Some(token) = principal.token else { return Ok(None) };
    let device = principal.device.as_ref().map(DeviceId::as_bytes);
    if transaction.statement(GOOD_TOKEN)?.exists(params![token.as_bytes(), now.wall_ms, device])? {
        return Ok(None);
    }
    // Of a token whose row is gone, as after a restored backup, nothing is left to say.
    Ok(Some(why_not(transaction, &token, principal.device)?.unwrap_or(Ended::SignedOut)))
}

fn why_not(
    transaction: &SqliteTransaction<'_>,
    token: &TokenHash,
    device: Option<DeviceId>,
) -> Result<Option<Ended>, LogError> {
    let found: Option<(bool, bool)> = transaction
        .statement(WHY_NOT)?
        .query_row(params![token.as_bytes(), device.as_ref().map(DeviceId::as_bytes)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found.map(|why| match why {
        (true, _) => Ended::AccountClosed,
        (false, true) => Ended::SignedOut,
        (false, false) => Ended::Expired,
    }))
}

pub(in crate::log::sqlite) fn standing(
    transaction: &SqliteTransaction<'_>,
    principal: Principal,
    spaces_max: usize,
    now: Now,
) -> Result<Option<Standing>, LogError> {
    let limit = i64::try_from(spaces_max).unwrap_or(i64::MAX);
    let Some(token) = principal.token else {
        let mut statement = transaction.statement("SELECT id FROM spaces ORDER BY number LIMIT ?1")?;
        let spaces = statement.query_map([limit], |row| read_space(row, 0))?.collect::<Result<_, _>>()?;
        return Ok(Some(Standing { user: None, spaces, may_create: true, expires_wall_ms: None }));
    };
    let device = principal.device.as_ref().map(DeviceId::as_bytes);
    let found: Option<(bool, Option<i64>, String)> = transaction
        .statement(GOOD_TOKEN)?
        .query_row(params![token.as_bytes(), now.wall_ms, device], |row| Ok((row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((may_create, expires_wall_ms, user)) = found else { return Ok(None) };
    let mut spaces = Vec::new();
    // Where none is to be named, none is looked for.
    if limit > 0 {
        let mut statement = transaction.statement(SPACES)?;
        let found = statement.query_map(params![token.as_bytes(), limit], |row| read_space(row, 1))?;
        spaces = found.collect::<Result<_, _>>()?;
    }
    Ok(Some(Standing { user: Some(user), spaces, may_create, expires_wall_ms }))
}

fn read_space(row: &Row<'_>, column: usize) -> rusqlite::Result<SpaceId> {
    row.get(column).map(SpaceId::from_bytes)
}

/// What came of the wish to create a space.
pub(in crate::log::sqlite) enum Creation {
    /// It is there, and this is the start of its log.
    Created(Cursor),
    /// It is not.
    Refused(SpaceCode),
}

/// Creates a space for a principal that may, where none with this id exists; its user becomes the owner.
pub(in crate::log::sqlite) fn create_space(
    transaction: &SqliteTransaction<'_>,
    principal: Principal,
    space: SpaceId,
    fresh: LogId,
    quotas: &Quotas,
    now: Now,
) -> Result<Creation, LogError> {
    if presence(transaction, space)?.is_some() || !may_create(transaction, principal, space, now)? {
        return Ok(Creation::Refused(SpaceCode::UnknownOrForbidden));
    }
    let user = if principal.token.is_some() { principal.user } else { DEFAULT_USER };
    let owned: u64 = transaction
        .statement("SELECT count(*) FROM members WHERE user = ?1 AND role = ?2")?
        .query_row([user, Role::Owner.number().into()], |row| count(row, 0))?;
    if owned >= quotas.spaces_per_user_max {
        return Ok(Creation::Refused(SpaceCode::Quota));
    }
    let created = insert_space(transaction, (space, fresh), user, now)?;
    Ok(created.map_or(Creation::Refused(SpaceCode::Quota), Creation::Created))
}

/// What is known of the id of a space.
pub(super) enum Presence {
    /// There is such a space.
    Here,
    /// There was one: it does not come back with a device that was away meanwhile.
    Purged,
}

pub(super) fn presence(transaction: &SqliteTransaction<'_>, space: SpaceId) -> Result<Option<Presence>, LogError> {
    let is_in = |sql| Ok::<_, LogError>(transaction.statement(sql)?.exists([space.as_bytes()])?);
    Ok(if is_in("SELECT 1 FROM spaces WHERE id = ?1")? {
        Some(Presence::Here)
    } else {
        is_in("SELECT 1 FROM purged_spaces WHERE id = ?1")?.then_some(Presence::Purged)
    })
}

/// Makes the row of a space that is not there, with its owner; `None` where its number would be too high.
pub(super) fn insert_space(
    transaction: &SqliteTransaction<'_>,
    (space, fresh): (SpaceId, LogId),
    owner: i64,
    now: Now,
) -> Result<Option<Cursor>, LogError> {
    // No number is given twice: what a relay knows of one that was purged is of the space that was.
    let last: i64 = transaction
        .statement(
            "SELECT max((SELECT coalesce(max(number), 0) FROM spaces),
                (SELECT coalesce(max(number), 0) FROM purged_spaces))",
        )?
        .query_row([], |row| row.get(0))?;
    if last >= SPACE_NUMBER_MAX {
        return Ok(None);
    }
    let head = Cursor::start(fresh);
    transaction
        .statement(
            "INSERT INTO spaces (id, log, sequence, chain, chunks, bytes, created_ms, number)
            VALUES (?1, ?2, 0, ?3, 0, 0, ?4, ?5)",
        )?
        .execute(params![space.as_bytes(), fresh.as_bytes(), head.chain.as_bytes(), now.wall_ms, last + 1])?;
    let number = transaction.last_insert_rowid();
    transaction.statement("INSERT INTO members (user, space, role) VALUES (?1, ?2, ?3)")?.execute([
        owner,
        number,
        Role::Owner.number().into(),
    ])?;
    Ok(Some(head))
}

/// Whether an invitation would let a principal into a space that it may not use now, or let it do more there.
///
/// Looking changes nothing and takes no lock, so that guessing a code costs the relay what asking for a space does that is not there.
pub(in crate::log::sqlite) fn is_invited(
    transaction: &SqliteTransaction<'_>,
    principal: Principal,
    space: SpaceId,
    code: &TokenHash,
    now: Now,
) -> Result<bool, LogError> {
    // Where anyone may do everything, nobody has to be let in.
    let Some(token) = principal.token else { return Ok(false) };
    let device = principal.device.as_ref().map(DeviceId::as_bytes);
    let asked = params![token.as_bytes(), now.wall_ms, device, space.as_bytes(), code.as_bytes()];
    Ok(transaction.statement(INVITED)?.exists(asked)?)
}

fn may_create(
    transaction: &SqliteTransaction<'_>,
    principal: Principal,
    space: SpaceId,
    now: Now,
) -> Result<bool, LogError> {
    let Some(token) = principal.token else { return Ok(true) };
    let device = principal.device.as_ref().map(DeviceId::as_bytes);
    Ok(transaction.statement(MAY_CREATE)?.exists(params![token.as_bytes(), now.wall_ms, device, space.as_bytes()])?)
}
