//! The middle of the story: the relay is killed while two devices sync, and starts again.

use super::bulk;
use super::device::{Changed, Device, Owner, all_in_step, within};
use super::note;
use super::page::{Page, person, traffic_in_words};
use super::relay::{self, ANY_PORT, RelayProcess};
use super::story::{Story, differing, in_words};
use crate::failure::Failure;
use crate::text;
use afield::{Durability, WaitError, Write};
use std::path::Path;
use std::time::Instant;
use tokio::task::JoinSet;

/// How often the relay is killed anew when it had everything before the kill reached it, or nothing.
const KILLS_MAX: u64 = 4;

impl Story {
    /// Syncs both while the relay is killed in the middle of it; leaves both without a relay.
    pub(super) async fn sync_until_killed(
        &mut self,
        relay: RelayProcess,
        folder: &Path,
        page: &mut Page,
    ) -> Result<(), Failure> {
        let mut relay = relay;
        let mut photos = bulk::PHOTOS;
        loop {
            let writes = bulk::take_photos(&self.ben, self.photos, photos)?;
            self.photos += photos;
            self.kills += 1;
            page.step("Both come back, and the relay is killed while they sync");
            page.beside("waiting", &changes(self.ada.pending()?), &changes(self.ben.pending()?));
            let address = relay.address().to_owned();
            let received = self.kill_while_syncing(relay, writes, page).await?;
            self.receipts = received.len() as u64;
            self.check_disk(folder, &received, page).await?;
            let is_middle = (1..photos).contains(&self.receipts) && self.ben.pending()? > 0;
            if is_middle || self.kills == KILLS_MAX {
                let expected = || (format!("some of {photos} photos"), format!("{} photos", self.receipts));
                page.check("it died in the middle: some have receipts, others do not", is_middle, expected)?;
                break;
            }
            if self.receipts == 0 {
                page.line("  The kill came before the first receipt. Once more.");
            } else {
                page.line("  The relay had everything before the kill reached it. Once more, with more photos.");
                photos *= 2;
            }
            relay = RelayProcess::start(folder, &address).await?;
            all_in_step_of(&mut self.ada, &mut self.ben, &relay).await?;
            self.disconnect()?;
        }
        note::edit_without_a_relay(&self.ada, self.id)?;
        page.line(&format!(
            "  {} goes on without it: {:?} becomes {:?} in the body",
            person(Owner::Ada),
            note::WORD_BEFORE,
            note::WORD_AFTER
        ));
        Ok(())
    }

    /// Looks at what the kill left, before Ada and Ben can bring anything again: a relay on a copy of the folder, and a
    /// device that has nothing.
    async fn check_disk(&self, folder: &Path, received: &[Changed], page: &mut Page) -> Result<(), Failure> {
        let copy = folder.join(format!("left-by-kill-{}", self.kills));
        relay::copy_data(folder, &copy)?;
        let relay = RelayProcess::start(&copy, ANY_PORT).await?;
        let mut witness = Device::new(Owner::Newcomer, &copy, Some(self.ada.space.id()))?;
        witness.connect(&relay.url())?;
        witness.in_step().await?;
        let left = witness.changes(&witness.contents()?)?;
        relay.kill()?;
        let lost = received.iter().filter(|change| !left.contains(change)).count();
        page.check("each photo with a receipt is on the dead relay's disk", lost == 0, || {
            (text::count(received.len() as u64, "change", "changes"), format!("{lost} of them missing"))
        })
    }

    /// Kills the relay at the first receipt for a photo; gives the photos that had one in the end.
    async fn kill_while_syncing(
        &mut self,
        relay: RelayProcess,
        writes: Vec<Write>,
        page: &Page,
    ) -> Result<Vec<Changed>, Failure> {
        let total = writes.len() as u64;
        let mut waiting = JoinSet::new();
        for write in writes {
            waiting.spawn(async move { write.wait(Durability::Relay).await.map(|()| write.changes().collect()) });
        }
        let since = Instant::now();
        self.ada.connect(&relay.url())?;
        self.ben.connect(&relay.url())?;
        let first = within("a photo had its receipt", waiting.join_next()).await?;
        let (process, took) = (relay.process(), since.elapsed());
        relay.kill()?;
        self.ada.disconnected().await?;
        self.ben.disconnected().await?;
        let mut received = Vec::new();
        let mut next = first;
        while let Some(word) = next {
            received.extend(received_by(word)?);
            next = waiting.try_join_next();
        }
        page.timed(&format!("the first receipt comes in, and process {process} gets a SIGKILL"), took);
        let have = if received.len() == 1 { "has" } else { "have" };
        page.line(&format!("  {} of Ben's {total} photos {have} a receipt", received.len()));
        page.beside("waiting", &changes(self.ada.pending()?), &changes(self.ben.pending()?));
        Ok(received)
    }

    pub(super) async fn recover(
        &mut self,
        folder: &Path,
        address: &str,
        page: &mut Page,
    ) -> Result<RelayProcess, Failure> {
        page.step("The relay starts again, on the same port and folder");
        let relay = RelayProcess::start(folder, address).await?;
        page.timed(&format!("process {} at {}", relay.process(), relay.address()), relay.started_in());
        let since = Instant::now();
        all_in_step(&[&self.ada, &self.ben]).await?;
        page.timed("both are connected again and in step", since.elapsed());
        page.about("wire", &format!("Ada  {}", traffic_in_words(self.ada.traffic()?)));
        page.about("", &format!("Ben  {}", traffic_in_words(self.ben.traffic()?)));
        let (hers, his) = (self.ada.contents()?, self.ben.contents()?);
        let total = 1 + bulk::JOURNAL_ENTRIES + self.photos;
        page.line(&format!(
            "  {} each: 1 note, {} journal entries, {} photos",
            text::count(hers.len() as u64, "entity", "entities"),
            bulk::JOURNAL_ENTRIES,
            self.photos
        ));
        page.check("everything that either wrote is on both", hers.len() as u64 == total && hers == his, || {
            (format!("{total} entities, equal"), format!("{} and {}", in_words(&hers), in_words(&his)))
        })?;
        let resets = self.ada.resets()? + self.ben.resets()?;
        page.check("the relay had lost nothing, so nobody had to bring it again", resets == 0, || {
            ("no reset".to_owned(), text::count(resets, "reset", "resets"))
        })?;
        let (hers, his) = (self.ada.heads(&hers)?, self.ben.heads(&his)?);
        page.check("the histories are equal, change by change", hers == his, || {
            (
                text::count(hers.len() as u64, "document with equal heads", "documents with equal heads"),
                differing(&hers, &his),
            )
        })?;
        Ok(relay)
    }
}

async fn all_in_step_of(ada: &mut Device, ben: &mut Device, relay: &RelayProcess) -> Result<(), Failure> {
    ada.connect(&relay.url())?;
    ben.connect(&relay.url())?;
    all_in_step(&[ada, ben]).await
}

type Word = Result<Result<Vec<Changed>, WaitError>, tokio::task::JoinError>;

/// The changes that the relay has given its word for.
fn received_by(word: Word) -> Result<Vec<Changed>, Failure> {
    match word {
        Ok(Ok(changes)) => Ok(changes),
        Ok(Err(WaitError::Store(error))) => Err(error.into()),
        Ok(Err(_)) | Err(_) => Ok(Vec::new()),
    }
}

fn changes(count: u64) -> String {
    text::count(count, "change", "changes")
}
