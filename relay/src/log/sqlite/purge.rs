//! Purging at an operator's word: entities, whole spaces, users.

mod space;

pub(super) use space::UNFINISHED as UNFINISHED_PURGES;

use super::account::{SoleSpace, forget_user, sole_spaces};
use super::row::SpaceRow;
use super::transaction::{Purpose, SqliteTransaction};
use super::{Settled, SqliteLog};
use crate::log::accounts::AccountError;
use crate::log::{Log, LogError, Principal};
use afield_core::change::ChangeHeader;
use afield_core::session::{AppendAnswer, AppendRequest, ChunkVerdict};
use afield_core::wire::{Channel, DecodedChunk, PushNumber};
use afield_core::{ChunkKind, Collection, Commit, Cursor, EntityId, Erasure, ErasureReason, Limits, Now, SpaceId};
use rusqlite::{OptionalExtension, params};
use std::time::Duration;

/// How often the WAL is tried to be emptied that others read, and how long they have in between.
const WAL_TRIES: u32 = 50;
const WAL_PAUSE: Duration = Duration::from_millis(100);

/// How often work is tried that a relay beside it overtook.
const STALE_MAX: usize = 100;

/// What a purge would take away, or took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgedSpace {
    /// How many members it has.
    pub members: u64,
    /// How many chunks, of how many bytes as they were accepted.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What becomes of a user, or became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgedUser {
    /// How many tokens are revoked and forgotten.
    pub tokens: u64,
    /// How many devices are forgotten.
    pub devices: u64,
    /// The spaces that it is the only owner of.
    pub sole_spaces: Vec<SpaceId>,
}

/// Why nothing was purged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PurgeError {
    /// There is no such space.
    #[error("there is no space {0} on this relay")]
    NoSuchSpace(SpaceId),
    /// There is no such entity.
    #[error("there is no entity {0} in the space")]
    NoSuchEntity(EntityId),
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// The log took no record of it.
    #[error("the log of the space takes no record of the purge: it is full, or damaged")]
    Refused,
    /// The storage failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<AccountError> for PurgeError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Log(error) => Self::Log(error),
            _ => Self::NoSuchUser,
        }
    }
}

impl SqliteLog {
    /// Which of these entities a space has, and of which collection: all of them.
    ///
    /// # Errors
    ///
    /// The space, or one of them, is not there.
    pub fn entities_to_purge(&mut self, space: SpaceId, entities: &[EntityId]) -> Result<Vec<Collection>, PurgeError> {
        let transaction = self.begin(Purpose::Read)?;
        let number = number_of(&transaction, space)?.ok_or(PurgeError::NoSuchSpace(space))?;
        let sql = "SELECT c.name FROM entities e JOIN collections c ON c.number = e.collection
            WHERE e.space = ?1 AND e.id = ?2";
        let mut statement = transaction.statement(sql)?;
        let collection = |entity: &EntityId| {
            let name = statement.query_row(params![number, entity.as_bytes()], |row| row.get::<_, String>(0));
            let name = name.optional().map_err(LogError::from)?.ok_or(PurgeError::NoSuchEntity(*entity))?;
            name.parse().map_err(|_| LogError::Inconsistent(crate::log::Inconsistency::Collection).into())
        };
        entities.iter().map(collection).collect()
    }

    /// Appends the erasure records of entities, as a device that purges them does, and rewrites what is packed of them. They do not come
    /// back; one that was purged before is gone through once more.
    ///
    /// # Errors
    ///
    /// One of them is not there, or the storage failed. Called again, it completes.
    pub fn purge_entities(&mut self, space: SpaceId, entities: &[EntityId], now: Now) -> Result<(), PurgeError> {
        let collections = self.entities_to_purge(space, entities)?;
        let chunks = entities.iter().zip(collections).map(|(entity, collection)| {
            let bytes = Erasure { entity: *entity, reason: ErasureReason::ASKED }.to_bytes().to_vec();
            let header = ChangeHeader::read(&bytes, &Limits::DEFAULT);
            DecodedChunk { entity: *entity, collection, kind: ChunkKind::Erasure, bytes, header }
        });
        let (chunks, told) = (chunks.collect(), self.head_of(space)?);
        let request = AppendRequest { channel: Channel(0), space, push: PushNumber(0), told, chunks };
        let answers = self.append(vec![(Principal::ANYONE, request)], now)?.into_inner().answers;
        let is_taken = |answer: &AppendAnswer| match answer {
            AppendAnswer::Verdicts(verdicts) => {
                verdicts.iter().all(|verdict| !matches!(verdict, ChunkVerdict::Refused { .. }))
            }
            _ => false,
        };
        if !answers.iter().all(is_taken) {
            return Err(PurgeError::Refused);
        }
        let tasks = self.whole_tasks(space)?.ok_or(PurgeError::NoSuchSpace(space))?;
        for (_, _, strip) in tasks.entities.into_iter().filter(|(id, ..)| entities.contains(id)) {
            let mut stale = 0;
            while stale < STALE_MAX
                && let Some(work) = self.gather(strip)?
            {
                match self.settle(work.run())?.into_inner() {
                    // A relay beside it was first with something.
                    Settled::Stale => stale += 1,
                    Settled::Failed(_) => return Err(PurgeError::Refused),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn head_of(&mut self, space: SpaceId) -> Result<Cursor, PurgeError> {
        let transaction = self.begin(Purpose::Read)?;
        let number = number_of(&transaction, space)?.ok_or(PurgeError::NoSuchSpace(space))?;
        let row = SpaceRow::by_number(&transaction, number)?.ok_or(PurgeError::NoSuchSpace(space))?;
        Ok(row.head)
    }

    /// What purging a space would take away; `None` where it was purged already.
    ///
    /// # Errors
    ///
    /// It never was there, or the storage failed.
    pub fn space_to_purge(&mut self, space: SpaceId) -> Result<Option<PurgedSpace>, PurgeError> {
        let transaction = self.begin(Purpose::Read)?;
        match figures(&transaction, space)? {
            None if is_purged(&transaction, space)? => Ok(None),
            None => Err(PurgeError::NoSuchSpace(space)),
            found => Ok(found),
        }
    }

    /// Takes a space away with all that is in it; only its id stays, so that no device creates it again. `None` where it was purged
    /// already.
    ///
    /// It is blocked in a transaction of its own, and a relay beside this tells its sessions. What was in it goes in many short
    /// transactions after that, so that nobody who writes waits long.
    ///
    /// # Errors
    ///
    /// It never was there, or the storage failed. Called again, it completes.
    pub fn purge_space(&mut self, space: SpaceId, now: Now) -> Result<Option<PurgedSpace>, PurgeError> {
        let found = self.space_to_purge(space)?;
        if found.is_some() {
            self.with_orphans(|log| -> Result<(), LogError> {
                let mut transaction = log.begin(Purpose::Write)?;
                space::block(&transaction, space, now)?;
                transaction.commit()
            })?;
            self.after_purge();
        }
        self.finish_purges()?;
        Ok(found)
    }

    /// What purging a user would take away.
    ///
    /// # Errors
    ///
    /// There is no such user, or the storage failed.
    pub fn user_to_purge(&mut self, name: &str) -> Result<PurgedUser, PurgeError> {
        let transaction = self.begin(Purpose::Write)?;
        // Nothing is committed.
        let (tokens, devices) = forget_user(&transaction, name, Now { wall_ms: 0, monotonic_ms: 0 })?;
        drop(transaction);
        let transaction = self.begin(Purpose::Read)?;
        let sole_spaces = sole_spaces(&transaction, name)?.into_iter().map(|SoleSpace(id)| id).collect();
        Ok(PurgedUser { tokens, devices, sole_spaces })
    }

    /// Closes an account and forgets whose it was: name, tokens, devices, memberships, in one transaction. The spaces that only this
    /// user owned stay, with nobody to own them, or are blocked in the same transaction and taken away after it.
    ///
    /// # Errors
    ///
    /// There is no such user, or the storage failed. Where spaces are still to be taken away, [`Self::finish_purges`] completes it.
    pub fn purge_user(&mut self, name: &str, with_spaces: bool, now: Now) -> Result<PurgedUser, PurgeError> {
        let purged = self.with_orphans(|log| -> Result<PurgedUser, PurgeError> {
            let mut transaction = log.begin(Purpose::Write)?;
            let sole_spaces: Vec<SpaceId> =
                sole_spaces(&transaction, name)?.into_iter().map(|SoleSpace(id)| id).collect();
            if with_spaces {
                sole_spaces.iter().try_for_each(|space| space::block(&transaction, *space, now))?;
            }
            let (tokens, devices) = forget_user(&transaction, name, now)?;
            transaction.commit().map_err(PurgeError::Log)?;
            Ok(PurgedUser { tokens, devices, sole_spaces })
        })?;
        self.after_purge();
        self.finish_purges()?;
        Ok(purged)
    }

    fn after_purge(&mut self) {
        self.administered += 1;
        self.cache = super::archive::Cache::default();
        self.tasks = super::archive::Tasks::default();
        self.decayed = super::decay::Decayed::default();
    }

    /// Empties the WAL, which still has the pages that held what was purged; answers whether it could, which takes a moment in which
    /// nobody else reads.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn empty_wal_of_purged(&mut self) -> Result<bool, LogError> {
        for _ in 0..WAL_TRIES {
            if self.shorten_wal()? {
                return Ok(true);
            }
            std::thread::sleep(WAL_PAUSE);
        }
        Ok(false)
    }
}

fn number_of(transaction: &SqliteTransaction<'_>, space: SpaceId) -> Result<Option<i64>, LogError> {
    let mut statement = transaction.statement("SELECT number FROM spaces WHERE id = ?1")?;
    Ok(statement.query_row([space.as_bytes()], |row| row.get(0)).optional()?)
}

fn is_purged(transaction: &SqliteTransaction<'_>, space: SpaceId) -> Result<bool, LogError> {
    Ok(transaction.statement("SELECT 1 FROM purged_spaces WHERE id = ?1")?.exists([space.as_bytes()])?)
}

fn figures(transaction: &SqliteTransaction<'_>, space: SpaceId) -> Result<Option<PurgedSpace>, LogError> {
    let sql = "SELECT (SELECT count(*) FROM members m WHERE m.space = s.number), s.chunks, s.bytes
        FROM spaces s WHERE s.id = ?1";
    let read = |row: &rusqlite::Row<'_>| {
        let count = |column| super::row::count(row, column);
        Ok(PurgedSpace { members: count(0)?, chunks: count(1)?, bytes: count(2)? })
    };
    Ok(transaction.statement(sql)?.query_row([space.as_bytes()], read).optional()?)
}
