//! Who is answered what after the one transaction of many pushes failed.

use super::super::SqliteLog;
use super::super::transaction::Purpose;
use super::rows::Room;
use super::{Attempt, Failed};
use crate::log::{Appended, LogError, Principal};
use afield_core::session::{AppendAnswer, AppendRequest};
use afield_core::wire::{ChunkCode, SpaceCode};
use afield_core::{Durable, Now};
use std::collections::BTreeSet;

/// The most entities of one push that are left out because their rows are damaged. Each costs one more attempt; beyond
/// that the space is answered as a whole.
const DAMAGED_ENTITIES_MAX: usize = 16;

/// What the file still takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    Taken,
    /// Until an operator does something about it.
    Refused,
    /// Nothing at all for now: another process holds the file, or the storage failed.
    Lost,
}

impl SqliteLog {
    /// Appends each push in a transaction of its own, after all together failed with `error`: only those are refused
    /// whose rows or whose size it was, and nothing of a refused chunk is stored.
    ///
    /// # Errors
    ///
    /// The storage failed as a whole, and nothing was committed before it did.
    pub(super) fn append_one_by_one(
        &mut self,
        requests: &[(Principal, AppendRequest)],
        error: &LogError,
        now: Now,
    ) -> Result<Durable<Appended>, LogError> {
        tracing::error!(error = error as &dyn std::error::Error, "a turn's pushes could not be appended all together");
        let mut writes = match error {
            LogError::ReadOnly(_) => Writes::Refused,
            LogError::Busy(_) => Writes::Lost,
            _ => Writes::Taken,
        };
        let mut gathered = Gathered::default();
        for request in requests {
            if writes == Writes::Lost {
                gathered.refuse();
                continue;
            }
            match self.append_alone(request, &mut writes, now) {
                Ok(appended) => gathered.add(appended),
                Err(error) if error.is_fatal() && gathered.is_empty() => return Err(error),
                Err(error) => {
                    let space = request.1.space;
                    tracing::error!(%space, error = &error as &dyn std::error::Error, "a push could not be appended");
                    // What was committed before is answered, whatever the storage does from now on.
                    if error.is_fatal() || matches!(error, LogError::Busy(_)) {
                        self.note_failure(&error);
                        writes = Writes::Lost;
                    }
                    gathered.refuse();
                }
            }
        }
        match gathered {
            Gathered { committed: Some(committed), .. } => Ok(committed),
            // No push was appended, and none is answered as if it were.
            Gathered { refused, .. } => {
                let answers = vec![UNAVAILABLE; refused];
                Durable::commit(&mut self.begin(Purpose::Read)?, Appended { answers, runs: Vec::new() })
            }
        }
    }

    /// Appends one push, without what cannot be stored of it.
    fn append_alone(
        &mut self,
        request: &(Principal, AppendRequest),
        writes: &mut Writes,
        now: Now,
    ) -> Result<Durable<Appended>, LogError> {
        let read_only = Room::None(ChunkCode::Unavailable);
        let mut room = if *writes == Writes::Refused { read_only } else { Room::Free };
        let mut damaged = BTreeSet::new();
        loop {
            let attempt = Attempt { room, damaged: &damaged };
            let Failed { error, entity } = match self.try_append(std::slice::from_ref(request), now, attempt) {
                Ok(appended) => return Ok(appended),
                Err(failed) => failed,
            };
            match (&error, entity) {
                (LogError::Full(_), _) if room == Room::Free => room = Room::None(ChunkCode::StorageFull),
                (LogError::ReadOnly(_), _) if room == Room::Free => {
                    room = read_only;
                    *writes = Writes::Refused;
                }
                (_, Some(entity))
                    if error.is_damage() && damaged.len() < DAMAGED_ENTITIES_MAX && damaged.insert(entity) =>
                {
                    let space = request.1.space;
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(%space, %entity, error, "the rows of an entity are damaged; its chunks are refused");
                }
                _ => return Err(error),
            }
        }
    }
}

/// The answer to a push whose space cannot be read or written now.
const UNAVAILABLE: AppendAnswer = AppendAnswer::Refused(SpaceCode::Unavailable);

/// The answers so far, in the order of the pushes.
#[derive(Default)]
struct Gathered {
    /// Everything from the first push on that was committed.
    committed: Option<Durable<Appended>>,
    /// How many pushes before that were refused.
    refused: usize,
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.committed.is_none()
    }

    fn add(&mut self, next: Durable<Appended>) {
        self.committed = Some(match self.committed.take() {
            None => next.map(|mut next| {
                next.answers.splice(0..0, std::iter::repeat_n(UNAVAILABLE, self.refused));
                next
            }),
            Some(committed) => committed.join(next).map(|(mut committed, next)| {
                committed.answers.extend(next.answers);
                committed.runs.extend(next.runs);
                committed
            }),
        });
    }

    fn refuse(&mut self) {
        match self.committed.take() {
            None => self.refused += 1,
            Some(committed) => {
                self.committed = Some(committed.map(|mut committed| {
                    committed.answers.push(UNAVAILABLE);
                    committed
                }));
            }
        }
    }
}
