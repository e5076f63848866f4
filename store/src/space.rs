//! Spaces and their cursors.

use crate::column::{self, SpaceRow, sequence_sql};
use crate::directions;
use crate::error::{SpaceError, StoreError};
use crate::filter;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row, rows};
use afield_core::invitation::InvitationCode;
use afield_core::{Cursor, Durable, Invitation, LogId, Role, SpaceId};
use rusqlite::{Connection, Row};

/// How a space came to this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It was created here.
    MadeHere,
    /// It was created on another device.
    Joined,
}

/// What the store knows about a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceRecord {
    /// The space.
    pub space: SpaceId,
    /// Its name on this device.
    pub name: String,
    /// How it came here.
    pub origin: Origin,
    /// Since when it is here, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// How far the device has the log; `None` while the space has never been on a relay.
    pub cursor: Option<Cursor>,
    /// What the device may do with it, as the relay said last; `None` while the space has never been on a relay.
    pub role: Option<Role>,
    /// Whether the relay that had it said last that it knows no such space for this device, as after a restored backup: what is here may be
    /// nowhere else.
    pub is_lost: bool,
    /// How many times the relay's log was another than the cursor's.
    pub resets: u64,
    /// When that was the last time, in milliseconds since the Unix epoch.
    pub last_reset_ms: Option<i64>,
    /// The invitation that the device was given and has not used, as far as it knows.
    pub invitation: Option<InvitationCode>,
}

impl Store {
    /// Adds a space.
    ///
    /// # Errors
    ///
    /// [`SpaceError::SpaceExists`], or the storage failed.
    pub fn create_space(
        &mut self,
        space: SpaceId,
        name: &str,
        origin: Origin,
        at_ms: i64,
    ) -> Result<Durable<()>, SpaceError> {
        self.write(|transaction| {
            let origin = match origin {
                Origin::MadeHere => 0,
                Origin::Joined => 1,
            };
            let sql = "INSERT INTO spaces (space, name, origin, created_ms) VALUES (?, ?, ?, ?)
                       ON CONFLICT (space) DO NOTHING";
            match transaction.execute(sql, (space.as_bytes(), name, origin, at_ms))? {
                0 => Err(SpaceError::SpaceExists { space }),
                _ => Ok(()),
            }
        })
    }

    /// Adds a space that the device was invited to, or keeps the invitation with the space that is here already, which keeps its name. It is kept until the
    /// relay serves the space: [`Store::forget_invitation`].
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn join_invited(&mut self, invitation: &Invitation, name: &str, at_ms: i64) -> Result<Durable<()>, StoreError> {
        self.write(|transaction| {
            let sql = "INSERT INTO spaces (space, name, origin, created_ms, invitation) VALUES (?, ?, 1, ?, ?)
                       ON CONFLICT (space) DO UPDATE SET invitation = excluded.invitation";
            let space = invitation.space();
            transaction.execute(sql, (space.as_bytes(), name, at_ms, invitation.expose())).map(drop)
        })
    }

    /// Forgets the invitation to a space, which was used or is not needed.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn forget_invitation(&mut self, space: SpaceId) -> Result<Durable<()>, StoreError> {
        self.write(|transaction| {
            let sql = "UPDATE spaces SET invitation = NULL WHERE space = ? AND invitation IS NOT NULL";
            transaction.execute(sql, [space.as_bytes()]).map(drop)
        })
    }

    /// Renames a space on this device.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn rename_space(&mut self, space: SpaceId, name: &str) -> Result<Durable<()>, SpaceError> {
        self.write(|transaction| {
            let sql = "UPDATE spaces SET name = ?2 WHERE space = ?1";
            known(transaction.execute(sql, (space.as_bytes(), name))?, space)
        })
    }

    /// All spaces, in the order in which they came.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn spaces(&self) -> Result<Vec<SpaceRecord>, StoreError> {
        self.read(all)
    }

    /// One space.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn space(&self, space: SpaceId) -> Result<Option<SpaceRecord>, StoreError> {
        self.read(|connection| one(connection, space))
    }

    /// Binds a space that has no cursor to its log, and notes what the device may do with it: the cursor is the log's start from now on.
    ///
    /// Repeated with the log that the cursor names it changes nothing, and answers with the cursor.
    ///
    /// # Errors
    ///
    /// [`SpaceError::OtherLog`] when the cursor names another log; [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn set_log(&mut self, space: SpaceId, log: LogId, role: Role) -> Result<Durable<Cursor>, SpaceError> {
        self.write(|transaction| {
            let (row, cursor) = find(transaction, space)?.ok_or(SpaceError::UnknownSpace { space })?;
            match cursor {
                Some(cursor) if cursor.log == log => Ok(cursor),
                Some(cursor) => Err(SpaceError::OtherLog { stored: cursor.log }),
                None => {
                    let start = Cursor::start(log);
                    move_cursor(transaction, row, start)?;
                    let sql = "UPDATE spaces SET role = ?2, lost = 0 WHERE space = ?1";
                    transaction.execute(sql, (space.as_bytes(), role.number()))?;
                    Ok(start)
                }
            }
        })
    }

    /// Notes that the relay knows no such space for this device any more; nothing is noted of one that it never had.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn set_lost(&mut self, space: SpaceId) -> Result<Durable<()>, StoreError> {
        self.write(|transaction| {
            let sql = "UPDATE spaces SET lost = 1 WHERE space = ? AND log IS NOT NULL";
            transaction.execute(sql, [space.as_bytes()]).map(drop)
        })
    }

    /// Notes what the device may do with a space that the relay serves, as the relay says. A higher role is not synced: what is lost with the power
    /// is said again at the next session. A lower one is, since with the one before the device might make a space anew that it does not own.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn set_role(&mut self, space: SpaceId, role: Role) -> Result<(), SpaceError> {
        let is_lower = self.space(space)?.and_then(|record| record.role).is_some_and(|before| role < before);
        let note = |transaction: &mut WriteTransaction<'_>| {
            let sql = "UPDATE spaces SET role = ?2, lost = 0 WHERE space = ?1";
            known(transaction.execute(sql, (space.as_bytes(), role.number()))?, space)
        };
        if is_lower { self.write(note).map(Durable::into_inner) } else { self.write_unsynced(note) }
    }

    /// Follows the relay's log from its start, in one transaction: the cursor moves to (log, 0), every mark of the space
    /// goes, which puts all that the device holds of it into the outbox, and so do all blocks (the outbox rule, D5).
    /// Nothing is left to be fetched then, since all that is wanted is on its way. `now_ms` is by the wall clock, for people.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn reset(&mut self, space: SpaceId, log: LogId, now_ms: i64) -> Result<Durable<Cursor>, SpaceError> {
        self.write(|transaction| {
            let (row, _) = find(transaction, space)?.ok_or(SpaceError::UnknownSpace { space })?;
            let start = Cursor::start(log);
            move_cursor(transaction, row, start)?;
            let sql = "UPDATE spaces SET resets = resets + 1, last_reset_ms = ?2 WHERE space_row = ?1";
            transaction.execute(sql, (row, now_ms))?;
            let sql = "UPDATE changes SET sequence = NULL, logged = 1 WHERE space_row = ? AND sequence IS NOT NULL";
            transaction.execute(sql, [row])?;
            let sql = "UPDATE quarantine SET sequence = NULL WHERE space_row = ? AND sequence IS NOT NULL";
            transaction.execute(sql, [row])?;
            let sql = "UPDATE erasures SET sequence = NULL, logged = 1 WHERE space_row = ? AND sequence IS NOT NULL";
            transaction.execute(sql, [row])?;
            transaction.execute("UPDATE held_deletions SET sequence = NULL WHERE space_row = ?", [row])?;
            transaction.execute("DELETE FROM blocks WHERE space_row = ?", [row])?;
            directions::hold_all(transaction, row)?;
            filter::start_over(transaction, row)?;
            Ok(start)
        })
    }
}

/// The row of a space and its cursor.
pub(crate) fn find(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceId,
) -> Result<Option<(SpaceRow, Option<Cursor>)>, StoreError> {
    let sql = "SELECT space_row, log, sequence, chain FROM spaces WHERE space = ?";
    transaction.row(sql, [space.as_bytes()], |row| Ok((row.get(0)?, column::cursor(row, 1)?)))
}

/// Moves the cursor. An invitation stays: it may be to a higher role, and not be on its way yet.
pub(crate) fn move_cursor(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    cursor: Cursor,
) -> Result<(), StoreError> {
    let sql = "UPDATE spaces SET log = ?2, sequence = ?3, chain = ?4 WHERE space_row = ?1";
    let sequence = sequence_sql(cursor.sequence);
    transaction.execute(sql, (space, cursor.log.as_bytes(), sequence, cursor.chain.as_bytes()))?;
    Ok(())
}

pub(crate) fn all(connection: &Connection) -> Result<Vec<SpaceRecord>, StoreError> {
    let sql = "SELECT space, name, origin, created_ms, log, sequence, chain, resets, last_reset_ms, role, invitation, lost FROM spaces ORDER BY space_row";
    rows(connection, sql, [], record)
}

pub(crate) fn one(connection: &Connection, space: SpaceId) -> Result<Option<SpaceRecord>, StoreError> {
    let sql = "SELECT space, name, origin, created_ms, log, sequence, chain, resets, last_reset_ms, role, invitation, lost FROM spaces WHERE space = ?";
    row(connection, sql, [space.as_bytes()], record)
}

fn record(row: &Row<'_>) -> rusqlite::Result<SpaceRecord> {
    let cursor = column::cursor(row, 4)?;
    let role: Option<u8> = row.get(9)?;
    Ok(SpaceRecord {
        space: column::space(row, 0)?,
        name: row.get(1)?,
        origin: if row.get::<_, i64>(2)? == 0 { Origin::MadeHere } else { Origin::Joined },
        created_ms: row.get(3)?,
        cursor,
        role: role.map(Role::from_number),
        is_lost: row.get(11)?,
        resets: column::count(row, 7)?,
        last_reset_ms: row.get(8)?,
        invitation: column::invitation(row, 10)?,
    })
}

fn known(changed: usize, space: SpaceId) -> Result<(), SpaceError> {
    if changed == 0 { Err(SpaceError::UnknownSpace { space }) } else { Ok(()) }
}
