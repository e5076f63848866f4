//! Spaces and their members.

use super::{number_of, role_of, space_row, user_row};
use crate::log::accounts::{AccountError, Member, Role, SpaceSummary};
use crate::log::sqlite::row::count;
use crate::log::sqlite::transaction::SqliteTransaction;
use afield_core::SpaceId;
use rusqlite::OptionalExtension;

pub(super) fn list(transaction: &SqliteTransaction<'_>) -> Result<Vec<SpaceSummary>, AccountError> {
    let mut statement = transaction.statement(
        "SELECT s.id, (SELECT count(*) FROM members m WHERE m.space = s.number), s.sequence, s.chunks, s.bytes,
            s.created_ms
        FROM spaces s ORDER BY s.number",
    )?;
    let spaces = statement.query_map([], |row| {
        Ok(SpaceSummary {
            id: SpaceId::from_bytes(row.get(0)?),
            members: count(row, 1)?,
            sequence: count(row, 2)?,
            chunks: count(row, 3)?,
            bytes: count(row, 4)?,
            created_wall_ms: row.get(5)?,
        })
    })?;
    Ok(spaces.collect::<Result<_, _>>()?)
}

pub(super) fn members(transaction: &SqliteTransaction<'_>, space: SpaceId) -> Result<Vec<Member>, AccountError> {
    let number = space_row(transaction, space)?;
    let mut statement = transaction.statement(
        "SELECT u.name, m.role, u.disabled_ms IS NOT NULL FROM members m JOIN users u ON u.number = m.user
        WHERE m.space = ?1 ORDER BY u.name",
    )?;
    let members = statement.query_map([number], |row| {
        Ok(Member { user: row.get(0)?, role: role_of(row.get(1)?), is_disabled: row.get(2)? })
    })?;
    Ok(members.collect::<Result<_, _>>()?)
}

pub(super) fn grant(
    transaction: &SqliteTransaction<'_>,
    space: SpaceId,
    user: &str,
    role: Role,
) -> Result<(), AccountError> {
    let (number, user) = (space_row(transaction, space)?, user_row(transaction, user)?);
    if role != Role::Owner {
        keep_an_owner(transaction, space, number, user)?;
    }
    set_role(transaction, number, user, role)
}

pub(super) fn remove(transaction: &SqliteTransaction<'_>, space: SpaceId, user: &str) -> Result<(), AccountError> {
    let (number, user) = (space_row(transaction, space)?, user_row(transaction, user)?);
    keep_an_owner(transaction, space, number, user)?;
    let removed =
        transaction.statement("DELETE FROM members WHERE space = ?1 AND user = ?2")?.execute([number, user])?;
    if removed == 0 { Err(AccountError::NoSuchMember(space)) } else { Ok(()) }
}

/// What a user may do in a space now.
pub(super) fn role_in(
    transaction: &SqliteTransaction<'_>,
    number: i64,
    user: i64,
) -> Result<Option<Role>, AccountError> {
    let found: Option<i64> = transaction
        .statement("SELECT role FROM members WHERE space = ?1 AND user = ?2")?
        .query_row([number, user], |row| row.get(0))
        .optional()?;
    Ok(found.map(role_of))
}

pub(super) fn set_role(
    transaction: &SqliteTransaction<'_>,
    number: i64,
    user: i64,
    role: Role,
) -> Result<(), AccountError> {
    transaction
        .statement(
            "INSERT INTO members (user, space, role) VALUES (?1, ?2, ?3)
            ON CONFLICT (user, space) DO UPDATE SET role = excluded.role",
        )?
        .execute([user, number, number_of(role)])?;
    Ok(())
}

/// Refuses to take the owner of a space away where nobody else owns it.
fn keep_an_owner(
    transaction: &SqliteTransaction<'_>,
    space: SpaceId,
    number: i64,
    user: i64,
) -> Result<(), AccountError> {
    let is_last = transaction
        .statement(
            "SELECT 1 FROM members WHERE space = ?1 AND user = ?2 AND role = ?3
                AND NOT EXISTS (SELECT 1 FROM members WHERE space = ?1 AND user <> ?2 AND role = ?3)",
        )?
        .exists([number, user, number_of(Role::Owner)])?;
    if is_last { Err(AccountError::LastOwner(space)) } else { Ok(()) }
}
