//! The sessions of the relay that runs on the file, which it writes down for commands beside it.

use super::{device, space_row, user_row};
use crate::log::accounts::{
    AccountError, SessionFilter, SessionProgress, ShownTokens, SignedOut, SignedOutSession, WrittenSession,
};
use crate::log::sqlite::SqliteLog;
use crate::log::sqlite::row::count;
use crate::log::sqlite::transaction::{Purpose, SqliteTransaction};
use crate::log::{LogError, Page, Part, SessionNote, SessionNotes, SessionPlace};
use afield_core::{Commit, DeviceId, Now, SessionId, SpaceId};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// What forgets all of them.
const FORGET: [&str; 2] = ["DELETE FROM session_spaces", "DELETE FROM sessions"];

/// Writes down a session. Where user or token went away meanwhile, as with a purge beside the relay, nothing is: neither a device nor where
/// it came from is to be written back.
const NOTE: &str = "
    INSERT INTO sessions (id, user, device, token, address, since_ms, heard_ms, queued_bytes)
    SELECT ?1, ?2, ?3, t.number, ?5, ?6, ?7, ?8
    FROM (SELECT 1) LEFT JOIN tokens t ON t.hash = ?4 AND t.user = ?2 LEFT JOIN users u ON u.number = ?2
    WHERE ?2 IS NULL OR (t.number IS NOT NULL AND u.number IS NOT NULL AND u.purged_ms IS NULL)
    ON CONFLICT (id) DO UPDATE SET
        token = excluded.token, heard_ms = excluded.heard_ms, queued_bytes = excluded.queued_bytes";

const NOTE_SPACE: &str = "
    INSERT INTO session_spaces (session, space, stored)
    SELECT n.id, s.number, ?3 FROM sessions n JOIN spaces s ON s.id = ?2 WHERE n.id = ?1
    ON CONFLICT (session, space) DO UPDATE SET stored = excluded.stored";

const LIST: &str = "
    SELECT s.id, u.name, s.device, coalesce(d.name, t.name), s.address, s.since_ms, s.heard_ms, s.queued_bytes
    FROM sessions s LEFT JOIN users u ON u.number = s.user
        LEFT JOIN devices d ON d.user = s.user AND d.id = s.device
        LEFT JOIN tokens t ON t.number = coalesce(d.token, s.token)
    WHERE (?1 IS NULL OR s.user = ?1) AND (?2 IS NULL OR s.device = ?2)
        AND (?3 IS NULL OR EXISTS (SELECT 1 FROM session_spaces p WHERE p.session = s.id AND p.space = ?3))
        AND (s.since_ms, s.id) > (?4, ?5)
    ORDER BY s.since_ms, s.id LIMIT ?6";

const PROGRESS: &str = "
    SELECT s.id, p.stored, s.sequence FROM session_spaces p JOIN spaces s ON s.number = p.space
    WHERE p.session = ?1 ORDER BY p.space";

impl SqliteLog {
    /// Forgets the sessions of a relay that ran before.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub(crate) fn forget_sessions(&mut self) -> Result<(), LogError> {
        let has_any = self
            .begin(Purpose::Read)
            .and_then(|transaction| Ok(transaction.statement("SELECT 1 FROM sessions LIMIT 1")?.exists([])?));
        if !self.watched(has_any)? {
            return Ok(());
        }
        let forgotten = self.begin(Purpose::Write).and_then(|mut transaction| {
            forget(&transaction)?;
            transaction.commit()
        });
        self.watched(forgotten)
    }
}

fn forget(transaction: &SqliteTransaction<'_>) -> Result<(), LogError> {
    FORGET.iter().try_for_each(|sql| Ok(transaction.statement(sql)?.execute([]).map(|_| ())?))
}

/// Takes the sessions out of a copy of the file, whatever its version: they are of the relay that runs, and not of the log.
pub(in crate::log::sqlite) fn take_out(copy: &Connection) -> rusqlite::Result<()> {
    let has_table = copy.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sessions'")?.exists([])?;
    if !has_table || !copy.prepare("SELECT 1 FROM sessions LIMIT 1")?.exists([])? {
        return Ok(());
    }
    // Overwritten, too: where devices came from is not to be read in a free page.
    copy.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    FORGET.iter().try_for_each(|sql| copy.execute(sql, []).map(|_| ()))
}

/// Writes down what has changed.
pub(super) fn note(transaction: &SqliteTransaction<'_>, notes: &SessionNotes) -> Result<(), LogError> {
    if notes.anew {
        forget(transaction)?;
    }
    for id in &notes.gone {
        transaction.statement("DELETE FROM session_spaces WHERE session = ?1")?.execute([id.as_bytes()])?;
        transaction.statement("DELETE FROM sessions WHERE id = ?1")?.execute([id.as_bytes()])?;
    }
    notes.here.iter().try_for_each(|session| note_one(transaction, session))
}

fn note_one(transaction: &SqliteTransaction<'_>, session: &SessionNote) -> Result<(), LogError> {
    let SessionNote { id, user, device, token, address, since_wall_ms, heard_wall_ms, queued_bytes, spaces } = session;
    transaction.statement(NOTE)?.execute(params![
        id.as_bytes(),
        user,
        device.as_bytes(),
        token.as_ref().map(|token| token.as_bytes()),
        address,
        since_wall_ms,
        heard_wall_ms,
        queued_bytes.cast_signed(),
    ])?;
    for note in spaces {
        if note.is_open {
            let stored = note.stored.map(u64::cast_signed);
            transaction.statement(NOTE_SPACE)?.execute(params![id.as_bytes(), note.space.as_bytes(), stored])?;
        } else {
            let sql = "DELETE FROM session_spaces
                WHERE session = ?1 AND space = (SELECT number FROM spaces WHERE id = ?2)";
            transaction.statement(sql)?.execute([id.as_bytes(), note.space.as_bytes()])?;
        }
    }
    Ok(())
}

/// Lists them, the one that has been here for longest first.
pub(super) fn list(
    transaction: &SqliteTransaction<'_>,
    filter: &SessionFilter,
    part: &Part,
) -> Result<Page<WrittenSession>, AccountError> {
    let user = filter.user.as_deref().map(|name| user_row(transaction, name)).transpose()?;
    let space = filter.space.map(|space| space_row(transaction, space)).transpose()?;
    let mut statement = transaction.statement(LIST)?;
    let device = filter.device.as_ref().map(DeviceId::as_bytes);
    let after = SessionPlace::before(part)?;
    let bounds = params![user, device, space, after.since_wall_ms, after.id.as_bytes(), part.rows_to_read()];
    let mut progress = transaction.statement(PROGRESS)?;
    let mut listed = Vec::new();
    for session in statement.query_map(bounds, read)? {
        let mut session = session?;
        let spaces = progress.query_map([session.id.as_bytes()], |row| {
            let stored: Option<i64> = row.get(1)?;
            let stored = stored.map(|_| count(row, 1)).transpose()?;
            Ok(SessionProgress { space: SpaceId::from_bytes(row.get(0)?), stored, head: count(row, 2)? })
        })?;
        session.spaces = spaces.collect::<Result<_, _>>()?;
        listed.push((SessionPlace { since_wall_ms: session.since_wall_ms, id: session.id }, session));
    }
    Ok(Page::of(listed, part))
}

fn read(row: &Row<'_>) -> rusqlite::Result<WrittenSession> {
    Ok(WrittenSession {
        id: SessionId::from_bytes(row.get(0)?),
        user: row.get(1)?,
        device: DeviceId::from_bytes(row.get(2)?),
        name: row.get(3)?,
        address: row.get(4)?,
        since_wall_ms: row.get(5)?,
        heard_wall_ms: row.get(6)?,
        queued_bytes: count(row, 7)?,
        spaces: Vec::new(),
    })
}

/// Signs out the device of a session.
pub(super) fn sign_out(
    transaction: &SqliteTransaction<'_>,
    session: SessionId,
    tokens: ShownTokens,
    now: Now,
) -> Result<SignedOutSession, AccountError> {
    let found: Option<(Option<String>, [u8; 16])> = transaction
        .statement("SELECT u.name, s.device FROM sessions s LEFT JOIN users u ON u.number = s.user WHERE s.id = ?1")?
        .query_row([session.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (user, device) = found.ok_or(AccountError::NoSuchSession(session))?;
    let (user, device) = (user.ok_or(AccountError::OpenAccess)?, DeviceId::from_bytes(device));
    note_device(transaction, session)?;
    let signed_out: SignedOut = device::sign_out(transaction, &user, device, tokens, now)?;
    Ok(SignedOutSession { user, device, signed_out })
}

/// Notes the device of a session that is about to be signed out: where a user has very many, one that came long ago was forgotten although
/// it is still here.
fn note_device(transaction: &SqliteTransaction<'_>, session: SessionId) -> Result<(), LogError> {
    for sql in [
        "INSERT INTO devices (user, id, token, address, first_seen_ms, last_seen_ms)
        SELECT s.user, s.device, t.number, s.address, s.since_ms, s.heard_ms
        FROM sessions s JOIN tokens t ON t.number = s.token AND t.user = s.user WHERE s.id = ?1
        ON CONFLICT DO NOTHING",
        "INSERT INTO shown_tokens (user, device, token)
        SELECT s.user, s.device, t.number
        FROM sessions s JOIN tokens t ON t.number = s.token AND t.user = s.user WHERE s.id = ?1
        ON CONFLICT DO NOTHING",
    ] {
        transaction.statement(sql)?.execute([session.as_bytes()])?;
    }
    Ok(())
}
