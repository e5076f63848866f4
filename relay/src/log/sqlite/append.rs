//! Appending the pushes of many sessions in one transaction.

mod erase;
mod known;
mod retry;
mod rows;

use super::SqliteLog;
use super::archive::Archive;
use super::foreign;
use super::room;
use super::row::SpaceRow;
use super::run::split;
use super::transaction::Purpose;
use crate::log::{Appended, LogError, Principal};
use afield_core::session::{AppendAnswer, AppendRequest, ChunkVerdict, LogRun};
use afield_core::wire::{ChunkCode, SpaceCode};
use afield_core::{Durable, EntityId, Now, Role, Sequence, SpaceId};
use rows::{Room, Rows, Space, refused};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};

/// The most missing dependencies that the answer to one push names: a device sends those and asks again, and a receipt
/// stays far below a frame.
const MISSING_NAMED_MAX: usize = 1_024;

impl SqliteLog {
    pub(super) fn append_batch(
        &mut self,
        requests: &[(Principal, AppendRequest)],
        now: Now,
    ) -> Result<Durable<Appended>, LogError> {
        let below_floor = Attempt { room: Room::None(ChunkCode::StorageFull), ..Attempt::default() };
        let attempt = if self.is_below_floor(now) { below_floor } else { Attempt::default() };
        match self.try_append(requests, now, attempt) {
            Ok(appended) => Ok(appended),
            Err(Failed { error, .. }) if error.is_fatal() => Err(error),
            Err(Failed { error, .. }) => self.append_one_by_one(requests, &error, now),
        }
    }

    fn try_append(
        &mut self,
        requests: &[(Principal, AppendRequest)],
        now: Now,
        attempt: Attempt<'_>,
    ) -> Result<Durable<Appended>, Failed> {
        let quotas = self.quotas;
        let mut decayed = std::mem::take(&mut self.decayed);
        let cache = self.cache.clone();
        let result = self.begin(attempt.purpose()).map_err(Failed::from).and_then(|mut transaction| {
            let mut append = Append::new(
                Rows::new(Archive::new(&transaction, &cache), &quotas, &decayed, attempt.room),
                now,
                attempt.damaged,
            );
            let answers = requests
                .iter()
                .map(|(principal, request)| append.push(*principal, request))
                .collect::<Result<Vec<_>, _>>()?;
            let runs = append.finish()?;
            let Append { rows: Rows { intact, found, erased, .. }, grown, .. } = append;
            if !erased.is_empty() {
                foreign::note_administration(&transaction)?;
            }
            let appended = Durable::commit(&mut transaction, Appended { answers, runs })?;
            Ok((appended, intact, found, grown, erased))
        });
        if let Ok((_, intact, found, grown, erased)) = &result {
            found.iter().for_each(|decay| decayed.note(*decay));
            decayed.forget(intact);
            grown.iter().for_each(|(space, before, after)| self.tasks.grown(*space, *before, *after));
            self.tasks.erased(erased);
        }
        self.decayed = decayed;
        if result.as_ref().is_ok_and(|(.., erased)| !erased.is_empty()) {
            self.foreign.administered(1);
            self.empty_wal();
        }
        let path = self.path.as_deref();
        result.map(|(appended, ..)| appended).map_err(|Failed { error, entity }| {
            let error = room::explained(error, path);
            Failed { error, entity }
        })
    }
}

/// What an attempt to append leaves out.
#[derive(Debug, Clone, Copy)]
struct Attempt<'a> {
    room: Room,
    /// Entities whose rows are damaged: their chunks are refused without a look at them.
    damaged: &'a BTreeSet<EntityId>,
}

impl Default for Attempt<'_> {
    fn default() -> Self {
        const NOTHING: &BTreeSet<EntityId> = &BTreeSet::new();
        Self { room: Room::Free, damaged: NOTHING }
    }
}

impl Attempt<'_> {
    fn purpose(self) -> Purpose {
        if self.room == Room::Free { Purpose::Write } else { Purpose::Read }
    }
}

/// Why an attempt to append failed.
struct Failed {
    error: LogError,
    /// The entity whose rows were being read or written.
    entity: Option<EntityId>,
}

impl From<LogError> for Failed {
    fn from(error: LogError) -> Self {
        Self { error, entity: None }
    }
}

impl Failed {
    /// Says which entity a failure is about.
    fn about(entity: EntityId) -> impl Fn(LogError) -> Self {
        move |error| Self { error, entity: Some(entity) }
    }
}

/// One transaction's appends.
struct Append<'t, 'c> {
    rows: Rows<'t, 'c>,
    now: Now,
    damaged: &'t BTreeSet<EntityId>,
    /// Whether a principal may write to a space; `None` when it may not even know it.
    access: BTreeMap<(Principal, SpaceId), Option<bool>>,
    spaces: BTreeMap<SpaceId, Space>,
    /// The spaces that have grown, by number, and from where to where.
    grown: Vec<(i64, Sequence, Sequence)>,
}

impl<'t, 'c> Append<'t, 'c> {
    fn new(rows: Rows<'t, 'c>, now: Now, damaged: &'t BTreeSet<EntityId>) -> Self {
        Self { rows, now, damaged, access: BTreeMap::new(), spaces: BTreeMap::new(), grown: Vec::new() }
    }

    fn push(&mut self, principal: Principal, request: &AppendRequest) -> Result<AppendAnswer, Failed> {
        let Some(may_write) = self.access(principal, request.space)? else {
            return Ok(AppendAnswer::Refused(SpaceCode::UnknownOrForbidden));
        };
        let space = self.spaces.get_mut(&request.space).expect("a space is loaded with its access");
        if !space.row.holds(&self.rows.archive, request.told)? {
            return Ok(AppendAnswer::Reset(space.row.head.log));
        }
        let mut blocked = BTreeSet::new();
        let mut nameable = MISSING_NAMED_MAX;
        let mut verdicts = Vec::with_capacity(request.chunks.len());
        for chunk in &request.chunks {
            let mut verdict = if blocked.contains(&chunk.entity) {
                refused(ChunkCode::Blocked)
            } else if !may_write {
                refused(ChunkCode::ReadOnly)
            } else if self.damaged.contains(&chunk.entity) {
                refused(ChunkCode::Unavailable)
            } else {
                self.rows.append(space, chunk).map_err(Failed::about(chunk.entity))?
            };
            if let ChunkVerdict::Refused { missing, .. } = &mut verdict {
                blocked.insert(chunk.entity);
                missing.truncate(nameable);
                nameable -= missing.len();
            }
            verdicts.push(verdict);
        }
        Ok(AppendAnswer::Verdicts(verdicts))
    }

    /// Writes back what the chunks changed, and gives the runs that were appended.
    fn finish(&mut self) -> Result<Vec<(SpaceId, LogRun)>, LogError> {
        let mut runs = Vec::new();
        for (id, space) in std::mem::take(&mut self.spaces) {
            if space.entries.is_empty() {
                continue;
            }
            let SpaceRow { number, head, chunks, bytes, .. } = space.row;
            self.rows
                .transaction
                .statement("UPDATE spaces SET sequence = ?2, chain = ?3, chunks = ?4, bytes = ?5 WHERE number = ?1")?
                .execute(params![
                    number,
                    head.sequence.get().cast_signed(),
                    head.chain.as_bytes(),
                    chunks.cast_signed(),
                    bytes.cast_signed(),
                ])?;
            for entity in space.entities.values().flatten().filter(|entity| entity.raised) {
                self.rows
                    .transaction
                    .statement("UPDATE entities SET operations = ?2 WHERE number = ?1")?
                    .execute([entity.number, entity.operations.cast_signed()])?;
            }
            self.grown.push((number, space.before.sequence, head.sequence));
            runs.extend(split(id, space.before, space.entries));
        }
        Ok(runs)
    }

    fn access(&mut self, principal: Principal, space: SpaceId) -> Result<Option<bool>, LogError> {
        if let Some(known) = self.access.get(&(principal, space)) {
            return Ok(*known);
        }
        let found = SpaceRow::find(self.rows.transaction, principal, space, self.now)?;
        self.access.insert((principal, space), found.map(|row| row.role >= Role::Writer));
        if let Some(row) = found {
            let loaded = Space { row, before: row.head, entries: Vec::new(), entities: BTreeMap::new() };
            self.spaces.entry(space).or_insert(loaded);
        }
        Ok(found.map(|row| row.role >= Role::Writer))
    }
}
