//! Invitations to spaces: codes that are good once.

use super::{space_row, user_row};
use crate::log::accounts::{AccountError, InvitationSummary, NewInvitation, Role};
use crate::log::sqlite::account::space;
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{LogError, Page, Part, Token, TokenHash};
use afield_core::{Now, SpaceId};
use rusqlite::{OptionalExtension, params};

pub(super) fn create(
    transaction: &SqliteTransaction<'_>,
    code: &Token,
    new: NewInvitation,
    now: Now,
) -> Result<i64, AccountError> {
    let NewInvitation { space, role, expires_wall_ms } = new;
    transaction
        .statement("INSERT INTO invitations (hash, space, role, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            code.hash().as_bytes(),
            space_row(transaction, space)?,
            role.number(),
            now.wall_ms,
            expires_wall_ms,
        ])?;
    Ok(transaction.last_insert_rowid())
}

pub(super) fn accept(
    transaction: &SqliteTransaction<'_>,
    code: &TokenHash,
    user: &str,
    now: Now,
) -> Result<(SpaceId, Role), AccountError> {
    let user = user_row(transaction, user)?;
    let (number, role) = take(transaction, code, user, now)?.ok_or(AccountError::NoSuchInvitation)?;
    let id = transaction
        .statement("SELECT id FROM spaces WHERE number = ?1")?
        .query_row([number], |row| row.get(0).map(SpaceId::from_bytes))?;
    Ok((id, role))
}

/// Makes a user, by the row, a member by an invitation's code, which is used up by that, and answers with the row of the space and the role
/// there; `None` where the code is good no more, or never was.
pub(in crate::log::sqlite) fn take(
    transaction: &SqliteTransaction<'_>,
    code: &TokenHash,
    user: i64,
    now: Now,
) -> Result<Option<(i64, Role)>, LogError> {
    let used: Option<(i64, u8)> = transaction
        .statement(
            "UPDATE invitations SET used_ms = ?2, used_by = ?3
            WHERE hash = ?1 AND used_ms IS NULL AND withdrawn_ms IS NULL AND expires_ms > ?2
            RETURNING space, role",
        )?
        .query_row(params![code.as_bytes(), now.wall_ms, user], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((number, role)) = used else { return Ok(None) };
    let (role, before) = (Role::from_number(role), space::role_in(transaction, number, user)?);
    let role = before.map_or(role, |before| before.max(role));
    space::set_role(transaction, number, user, role)?;
    Ok(Some((number, role)))
}

pub(super) fn list(
    transaction: &SqliteTransaction<'_>,
    space: SpaceId,
    part: &Part,
) -> Result<Page<InvitationSummary>, AccountError> {
    let number = space_row(transaction, space)?;
    let mut statement = transaction.statement(
        "SELECT i.number, i.role, i.created_ms, i.expires_ms, i.used_ms, u.name, i.withdrawn_ms
        FROM invitations i LEFT JOIN users u ON u.number = i.used_by WHERE i.space = ?1 AND i.number > ?2
        ORDER BY i.number LIMIT ?3",
    )?;
    let invitations = statement.query_map([number, part.after_number()?, part.rows_to_read()], |row| {
        let (used_ms, used_by): (Option<i64>, Option<String>) = (row.get(4)?, row.get(5)?);
        let invitation = InvitationSummary {
            number: row.get(0)?,
            role: Role::from_number(row.get(1)?),
            created_wall_ms: row.get(2)?,
            expires_wall_ms: row.get(3)?,
            used: used_ms.zip(used_by),
            withdrawn_wall_ms: row.get(6)?,
        };
        Ok((invitation.number, invitation))
    })?;
    Ok(Page::of(invitations.collect::<Result<_, _>>()?, part))
}

pub(super) fn withdraw(transaction: &SqliteTransaction<'_>, number: i64, now: Now) -> Result<(), AccountError> {
    let withdrawn = transaction
        .statement(
            "UPDATE invitations SET withdrawn_ms = ?2 WHERE number = ?1 AND withdrawn_ms IS NULL AND used_ms IS NULL",
        )?
        .execute([number, now.wall_ms])?;
    if withdrawn == 0 { Err(AccountError::NotWithdrawn(number)) } else { Ok(()) }
}
