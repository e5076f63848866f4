//! What every answer to a reader has in common: its checks, and what was found again on the way.

use super::SqliteLog;
use super::archive::{Archive, MendedArchive};
use super::chain::Mended;
use super::row::SpaceRow;
use super::transaction::Purpose;
use crate::log::{LogError, Principal};
use afield_core::session::LogRun;
use afield_core::wire::SpaceCode;
use afield_core::{Cursor, Durable, LogId, Now, SpaceId};

/// The forms of an answer to a reader.
pub(super) struct Answers<A> {
    pub(super) refused: fn(SpaceCode) -> A,
    pub(super) reset: fn(LogId) -> A,
    pub(super) run: fn(&A) -> Option<&LogRun>,
}

impl SqliteLog {
    /// Answers who may read, whose position belongs to the log with what it was told (R4, R6), in one transaction; and stores
    /// what was found again on the way.
    pub(super) fn answer_reader<A>(
        &mut self,
        (principal, space, now): (Principal, SpaceId, Now),
        [position, told]: [Cursor; 2],
        answers: Answers<A>,
        read: impl FnOnce(&Archive<'_, '_>, &SpaceRow) -> Result<(A, Vec<Mended>), LogError>,
    ) -> Result<Durable<A>, LogError> {
        let cache = self.cache.clone();
        let mut transaction = self.begin(Purpose::Read)?;
        let archive = Archive::new(&transaction, &cache);
        let found = SpaceRow::find(&transaction, principal, space, now)?;
        let (answer, mended) = match &found {
            None => ((answers.refused)(SpaceCode::UnknownOrForbidden), Vec::new()),
            Some(space) if !space.holds(&archive, position)? || !space.holds(&archive, told)? => {
                ((answers.reset)(space.head.log), Vec::new())
            }
            Some(space) => read(&archive, space)?,
        };
        let mended_archive = archive.mended();
        let answer = Durable::commit(&mut transaction, answer)?;
        drop(transaction);
        if let (Some(space), Some(run)) = (&found, (answers.run)(answer.get())) {
            self.decayed.note_read(space, run);
        }
        self.store_found_again(&mended, &mended_archive);
        Ok(answer)
    }

    /// Stores what a reader found again.
    pub(super) fn store_found_again(&mut self, mended: &[Mended], archive: &MendedArchive) {
        if !mended.is_empty() {
            self.store_mended(mended);
        }
        if !archive.is_empty() {
            self.store_mended_archive(archive);
        }
    }
}
