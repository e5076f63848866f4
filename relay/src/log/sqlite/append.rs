//! Appending the pushes of many sessions in one transaction.

mod rows;

use super::SqliteLog;
use super::row::SpaceRow;
use super::run::split;
use super::transaction::{Purpose, SqliteTransaction};
use crate::log::{Appended, LogError, Principal, Quotas};
use afield_core::session::{AppendAnswer, AppendRequest, ChunkVerdict, LogRun};
use afield_core::wire::{ChunkCode, SpaceCode};
use afield_core::{Durable, Now, SpaceId};
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
        match self.try_append(requests, now, Room::Free) {
            Err(LogError::Full(_)) => self.append_one_by_one(requests, now),
            answered => answered,
        }
    }

    /// Finds out which pushes still fit a full disk, each in a transaction of its own, so that nothing of a refused
    /// push is stored.
    fn append_one_by_one(
        &mut self,
        requests: &[(Principal, AppendRequest)],
        now: Now,
    ) -> Result<Durable<Appended>, LogError> {
        let (mut answers, mut runs) = (Vec::new(), Vec::new());
        for request in requests.chunks(1) {
            let durable = match self.try_append(request, now, Room::Free) {
                Err(LogError::Full(_)) => self.try_append(request, now, Room::None),
                answered => answered,
            };
            let appended = durable?.into_inner();
            answers.extend(appended.answers);
            runs.extend(appended.runs);
        }
        // Everything above is committed already; this makes the whole one durable value again.
        Durable::commit(&mut self.begin(Purpose::Read)?, Appended { answers, runs })
    }

    fn try_append(
        &mut self,
        requests: &[(Principal, AppendRequest)],
        now: Now,
        room: Room,
    ) -> Result<Durable<Appended>, LogError> {
        let quotas = self.quotas;
        let purpose = if room == Room::Free { Purpose::Write } else { Purpose::Read };
        let mut transaction = self.begin(purpose)?;
        let mut append = Append::new(&transaction, &quotas, now, room);
        let answers = requests
            .iter()
            .map(|(principal, request)| append.push(*principal, request))
            .collect::<Result<Vec<_>, _>>()?;
        let runs = append.finish()?;
        Durable::commit(&mut transaction, Appended { answers, runs })
    }
}

/// One transaction's appends.
struct Append<'t, 'c> {
    rows: Rows<'t, 'c>,
    now: Now,
    /// Whether a principal may write to a space; `None` when it may not even know it.
    access: BTreeMap<(Principal, SpaceId), Option<bool>>,
    spaces: BTreeMap<SpaceId, Space>,
}

impl<'t, 'c> Append<'t, 'c> {
    fn new(transaction: &'t SqliteTransaction<'c>, quotas: &'t Quotas, now: Now, room: Room) -> Self {
        Self { rows: Rows::new(transaction, quotas, room), now, access: BTreeMap::new(), spaces: BTreeMap::new() }
    }

    fn push(&mut self, principal: Principal, request: &AppendRequest) -> Result<AppendAnswer, LogError> {
        let Some(may_write) = self.access(principal, request.space)? else {
            return Ok(AppendAnswer::Refused(SpaceCode::UnknownOrForbidden));
        };
        let space = self.spaces.get_mut(&request.space).expect("a space is loaded with its access");
        if !space.row.holds(self.rows.transaction, request.told)? {
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
            } else {
                self.rows.append(space, chunk)?
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
    fn finish(self) -> Result<Vec<(SpaceId, LogRun)>, LogError> {
        let mut runs = Vec::new();
        for (id, space) in self.spaces {
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
                    .statement("UPDATE entities SET max_op = ?2 WHERE number = ?1")?
                    .execute([entity.number, entity.max_op.cast_signed()])?;
            }
            runs.extend(split(id, space.before, space.entries));
        }
        Ok(runs)
    }

    fn access(&mut self, principal: Principal, space: SpaceId) -> Result<Option<bool>, LogError> {
        if let Some(known) = self.access.get(&(principal, space)) {
            return Ok(*known);
        }
        let found = SpaceRow::find(self.rows.transaction, principal, space, self.now)?;
        self.access.insert((principal, space), found.map(|row| row.may_write));
        if let Some(row) = found {
            let loaded = Space { row, before: row.head, entries: Vec::new(), entities: BTreeMap::new() };
            self.spaces.entry(space).or_insert(loaded);
        }
        Ok(found.map(|row| row.may_write))
    }
}
