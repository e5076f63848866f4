//! Spaces and their members.

use super::check::{Presence, insert_space, presence};
use super::{space_row, user_row};
use crate::log::accounts::{AccountError, Member, Role, SpaceSummary};
use crate::log::sqlite::row::count;
use crate::log::sqlite::transaction::SqliteTransaction;
use crate::log::{LogError, Page, Part};
use afield_core::{LogId, Now, SpaceId};
use rusqlite::{OptionalExtension, params};

pub(super) fn list(transaction: &SqliteTransaction<'_>, part: &Part) -> Result<Page<SpaceSummary>, AccountError> {
    let mut statement = transaction.statement(
        "SELECT s.number, s.id, (SELECT count(*) FROM members m WHERE m.space = s.number), s.sequence, s.chunks, s.bytes,
            s.created_ms
        FROM spaces s WHERE s.number > ?1 ORDER BY s.number LIMIT ?2",
    )?;
    let spaces = statement.query_map([part.after_number()?, part.rows_to_read()], |row| {
        let space = SpaceSummary {
            id: SpaceId::from_bytes(row.get(1)?),
            members: count(row, 2)?,
            sequence: count(row, 3)?,
            chunks: count(row, 4)?,
            bytes: count(row, 5)?,
            created_wall_ms: row.get(6)?,
        };
        Ok((row.get::<_, i64>(0)?, space))
    })?;
    Ok(Page::of(spaces.collect::<Result<_, _>>()?, part))
}

pub(super) fn members(
    transaction: &SqliteTransaction<'_>,
    space: SpaceId,
    part: &Part,
) -> Result<Page<Member>, AccountError> {
    let number = space_row(transaction, space)?;
    let mut statement = transaction.statement(
        "SELECT u.name, m.role, u.disabled_ms IS NOT NULL FROM members m JOIN users u ON u.number = m.user
        WHERE m.space = ?1 AND u.name > ?2 ORDER BY u.name LIMIT ?3",
    )?;
    // Every name comes after none.
    let after = part.after.as_deref().unwrap_or_default();
    let members = statement.query_map(params![number, after, part.rows_to_read()], |row| {
        let user: String = row.get(0)?;
        Ok((user.clone(), Member { user, role: Role::from_number(row.get(1)?), is_disabled: row.get(2)? }))
    })?;
    Ok(Page::of(members.collect::<Result<_, _>>()?, part))
}

pub(super) fn create(
    transaction: &SqliteTransaction<'_>,
    (space, fresh): (SpaceId, LogId),
    owner: &str,
    now: Now,
) -> Result<(), AccountError> {
    let owner = user_row(transaction, owner)?;
    match presence(transaction, space)? {
        Some(Presence::Here) => return Err(AccountError::SpaceExists(space)),
        Some(Presence::Purged) => return Err(AccountError::SpacePurged(space)),
        None => {}
    }
    insert_space(transaction, (space, fresh), owner, now)?.ok_or(AccountError::NoRoomForSpaces)?;
    Ok(())
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
    Ok(set_role(transaction, number, user, role)?)
}

pub(super) fn remove(transaction: &SqliteTransaction<'_>, space: SpaceId, user: &str) -> Result<(), AccountError> {
    let (number, user) = (space_row(transaction, space)?, user_row(transaction, user)?);
    keep_an_owner(transaction, space, number, user)?;
    let removed =
        transaction.statement("DELETE FROM members WHERE space = ?1 AND user = ?2")?.execute([number, user])?;
    if removed == 0 { Err(AccountError::NoSuchMember(space)) } else { Ok(()) }
}

/// What a user may do in a space now.
pub(super) fn role_in(transaction: &SqliteTransaction<'_>, number: i64, user: i64) -> Result<Option<Role>, LogError> {
    let found: Option<u8> = transaction
        .statement("SELECT role FROM members WHERE space = ?1 AND user = ?2")?
        .query_row([number, user], |row| row.get(0))
        .optional()?;
    Ok(found.map(Role::from_number))
}

pub(super) fn set_role(
    transaction: &SqliteTransaction<'_>,
    number: i64,
    user: i64,
    role: Role,
) -> Result<(), LogError> {
    transaction
        .statement(
            "INSERT INTO members (user, space, role) VALUES (?1, ?2, ?3)
            ON CONFLICT (user, space) DO UPDATE SET role = excluded.role",
        )?
        .execute([user, number, role.number().into()])?;
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
        .exists([number, user, Role::Owner.number().into()])?;
    if is_last { Err(AccountError::LastOwner(space)) } else { Ok(()) }
}
