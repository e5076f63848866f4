//! Users, tokens and members.

use super::SqliteLog;
use super::row::{SPACE_NUMBER_MAX, count};
use super::transaction::{Purpose, SqliteTransaction};
use crate::log::{Authentication, LogError, Principal, Quotas, Standing, Token, TokenHash};
use afield_core::wire::SpaceCode;
use afield_core::{Commit, Cursor, LogId, Now, SpaceId};
use rusqlite::{OptionalExtension, Row, params};

/// The row of the user of tokens that name none, and of a relay without access control.
pub(in crate::log) const DEFAULT_USER: i64 = 1;
/// The name of that user.
const DEFAULT_USER_NAME: &str = "default";
/// The number of the role that may do everything with a space.
const ROLE_OWNER: i64 = 3;

/// What a new token is for.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// Whose it is; absent for the default user. A user that does not exist yet is created.
    pub user: Option<String>,
    /// What its holder calls it.
    pub name: Option<String>,
    /// The spaces it is for; empty for all of its user's, also later ones.
    pub spaces: Vec<SpaceId>,
    /// Whether it may only read.
    pub read_only: bool,
    /// Whether it may bring a space that was made offline to this relay.
    pub may_create: bool,
    /// When it expires, in milliseconds since the Unix epoch; absent for never.
    pub expires_wall_ms: Option<i64>,
}

/// What is known of a token; never the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSummary {
    /// The number by which it is revoked.
    pub number: i64,
    /// Whose it is.
    pub user: String,
    /// What its holder calls it.
    pub name: Option<String>,
    /// The spaces it is for; absent for all of its user's.
    pub spaces: Option<Vec<SpaceId>>,
    /// Whether it may only read.
    pub read_only: bool,
    /// Whether it may create a space.
    pub may_create: bool,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_wall_ms: i64,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_wall_ms: Option<i64>,
    /// When it was revoked, in milliseconds since the Unix epoch.
    pub revoked_wall_ms: Option<i64>,
}

impl SqliteLog {
    /// Stores a new token, as its hash, and answers with its number.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn create_token(&mut self, token: &Token, new: &NewToken, now: Now) -> Result<i64, LogError> {
        let mut transaction = self.begin(Purpose::Write)?;
        let user = new.user.as_deref().unwrap_or(DEFAULT_USER_NAME);
        transaction
            .statement("INSERT INTO users (name, created_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![user, now.wall_ms])?;
        transaction
            .statement(
                "INSERT INTO tokens (user, hash, name, may_create, read_only, restricted, created_ms, expires_ms)
                VALUES ((SELECT number FROM users WHERE name = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                user,
                token.hash().as_bytes(),
                new.name,
                new.may_create,
                new.read_only,
                !new.spaces.is_empty(),
                now.wall_ms,
                new.expires_wall_ms,
            ])?;
        let number = transaction.last_insert_rowid();
        for space in &new.spaces {
            transaction
                .statement("INSERT INTO token_spaces (token, space) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![number, space.as_bytes()])?;
        }
        transaction.commit()?;
        drop(transaction);
        self.administered += 1;
        Ok(number)
    }

    /// Lists all tokens, ended ones too.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn tokens(&mut self) -> Result<Vec<TokenSummary>, LogError> {
        let transaction = self.begin(Purpose::Read)?;
        let mut statement = transaction.statement(
            "SELECT t.number, u.name, t.name, t.restricted, t.read_only, t.may_create, t.created_ms, t.expires_ms,
                t.revoked_ms
            FROM tokens t JOIN users u ON u.number = t.user ORDER BY t.number",
        )?;
        let mut listed = transaction.statement("SELECT space FROM token_spaces WHERE token = ?1 ORDER BY space")?;
        let mut summaries = Vec::new();
        for summary in statement.query_map([], read_summary)? {
            let mut summary = summary?;
            if let Some(spaces) = &mut summary.spaces {
                let rows = listed.query_map([summary.number], |row| row.get(0).map(SpaceId::from_bytes))?;
                *spaces = rows.collect::<Result<_, _>>()?;
            }
            summaries.push(summary);
        }
        Ok(summaries)
    }

    /// Revokes a token; answers whether there was one to revoke.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn revoke_token(&mut self, number: i64, now: Now) -> Result<bool, LogError> {
        let mut transaction = self.begin(Purpose::Write)?;
        let revoked = transaction
            .statement("UPDATE tokens SET revoked_ms = ?2 WHERE number = ?1 AND revoked_ms IS NULL")?
            .execute([number, now.wall_ms])?;
        transaction.commit()?;
        drop(transaction);
        self.administered += 1;
        Ok(revoked > 0)
    }
}

fn read_summary(row: &Row<'_>) -> rusqlite::Result<TokenSummary> {
    let restricted: bool = row.get(3)?;
    Ok(TokenSummary {
        number: row.get(0)?,
        user: row.get(1)?,
        name: row.get(2)?,
        spaces: restricted.then(Vec::new),
        read_only: row.get(4)?,
        may_create: row.get(5)?,
        created_wall_ms: row.get(6)?,
        expires_wall_ms: row.get(7)?,
        revoked_wall_ms: row.get(8)?,
    })
}

pub(super) fn authenticate(
    transaction: &SqliteTransaction<'_>,
    token: &TokenHash,
    now: Now,
) -> Result<Authentication, LogError> {
    let found: Option<(i64, bool)> = transaction
        .statement(
            "SELECT user, revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2) FROM tokens WHERE hash = ?1",
        )?
        .query_row(params![token.as_bytes(), now.wall_ms], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        None => Authentication::Unknown,
        Some((_, false)) => Authentication::Ended,
        Some((user, true)) => Authentication::Good(Principal { token: Some(*token), user }),
    })
}

/// Whether a principal's token is good now.
pub(super) fn is_good(transaction: &SqliteTransaction<'_>, principal: Principal, now: Now) -> Result<bool, LogError> {
    let Some(token) = principal.token else { return Ok(true) };
    Ok(transaction
        .statement(
            "SELECT 1 FROM tokens WHERE hash = ?1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2)",
        )?
        .exists(params![token.as_bytes(), now.wall_ms])?)
}

pub(super) fn standing(
    transaction: &SqliteTransaction<'_>,
    principal: Principal,
    now: Now,
) -> Result<Option<Standing>, LogError> {
    let read_space = |row: &Row<'_>| row.get(0).map(SpaceId::from_bytes);
    let Some(token) = principal.token else {
        let mut statement = transaction.statement("SELECT id FROM spaces ORDER BY number")?;
        let spaces = statement.query_map([], read_space)?.collect::<Result<_, _>>()?;
        return Ok(Some(Standing { spaces, may_create: true, expires_wall_ms: None }));
    };
    let found: Option<(bool, Option<i64>)> = transaction
        .statement(
            "SELECT may_create AND NOT read_only, expires_ms FROM tokens
            WHERE hash = ?1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2)",
        )?
        .query_row(params![token.as_bytes(), now.wall_ms], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((may_create, expires_wall_ms)) = found else { return Ok(None) };
    let mut statement = transaction.statement(
        "SELECT s.id FROM tokens t JOIN members m ON m.user = t.user JOIN spaces s ON s.number = m.space
        WHERE t.hash = ?1 AND (NOT t.restricted
            OR EXISTS (SELECT 1 FROM token_spaces l WHERE l.token = t.number AND l.space = s.id))
        ORDER BY s.number",
    )?;
    let spaces = statement.query_map([token.as_bytes()], read_space)?.collect::<Result<_, _>>()?;
    Ok(Some(Standing { spaces, may_create, expires_wall_ms }))
}

/// What came of the wish to create a space.
pub(super) enum Creation {
    /// It is there, and this is the start of its log.
    Created(Cursor),
    /// It is not.
    Refused(SpaceCode),
}

/// Creates a space for a principal that may, where none with this id exists; its user becomes the owner.
pub(super) fn create_space(
    transaction: &SqliteTransaction<'_>,
    principal: Principal,
    space: SpaceId,
    fresh: LogId,
    quotas: &Quotas,
    now: Now,
) -> Result<Creation, LogError> {
    let exists = transaction.statement("SELECT 1 FROM spaces WHERE id = ?1")?.exists([space.as_bytes()])?;
    if exists || !may_create(transaction, principal, space, now)? {
        return Ok(Creation::Refused(SpaceCode::UnknownOrForbidden));
    }
    let owned: u64 = transaction
        .statement("SELECT count(*) FROM members WHERE user = ?1 AND role = ?2")?
        .query_row([principal.user, ROLE_OWNER], |row| count(row, 0))?;
    let last: i64 =
        transaction.statement("SELECT coalesce(max(number), 0) FROM spaces")?.query_row([], |row| row.get(0))?;
    if owned >= quotas.spaces_per_user_max || last >= SPACE_NUMBER_MAX {
        return Ok(Creation::Refused(SpaceCode::Quota));
    }
    let head = Cursor::start(fresh);
    transaction
        .statement(
            "INSERT INTO spaces (id, log, sequence, chain, chunks, bytes, created_ms) VALUES (?1, ?2, 0, ?3, 0, 0, ?4)",
        )?
        .execute(params![space.as_bytes(), fresh.as_bytes(), head.chain.as_bytes(), now.wall_ms])?;
    let number = transaction.last_insert_rowid();
    transaction.statement("INSERT INTO members (user, space, role) VALUES (?1, ?2, ?3)")?.execute([
        principal.user,
        number,
        ROLE_OWNER,
    ])?;
    Ok(Creation::Created(head))
}

fn may_create(
    transaction: &SqliteTransaction<'_>,
    principal: Principal,
    space: SpaceId,
    now: Now,
) -> Result<bool, LogError> {
    let Some(token) = principal.token else { return Ok(true) };
    Ok(transaction
        .statement(
            "SELECT 1 FROM tokens t
            WHERE t.hash = ?1 AND t.may_create AND NOT t.read_only
                AND t.revoked_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > ?3)
                AND (NOT t.restricted
                    OR EXISTS (SELECT 1 FROM token_spaces l WHERE l.token = t.number AND l.space = ?2))",
        )?
        .exists(params![token.as_bytes(), space.as_bytes(), now.wall_ms])?)
}
