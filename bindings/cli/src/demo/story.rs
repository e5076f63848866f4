//! What happens, step by step.

use super::bulk;
use super::device::{Contents, Device, Owner, all_in_step};
use super::newcomer;
use super::note;
use super::page::{Figures, Page, milliseconds, person};
use super::relay::{ANY_PORT, RelayProcess};
use crate::failure::Failure;
use crate::text;
use afield::{EntityId, Traffic};
use console::style;
use std::path::Path;
use std::time::Instant;

/// Tells the story; every claim is checked on the way.
pub(super) async fn tell(folder: &Path, page: &mut Page) -> Result<Figures, Failure> {
    let since = Instant::now();
    page.line("Two people, three devices, one relay, and a crash. Nothing is simulated.");
    let relay = start_relay(folder, page).await?;
    let (ada, ben, id) = first_note(folder, &relay, page).await?;
    let mut story = Story { ada, ben, id, photos: 0, receipts: 0, kills: 0, traffic: [Traffic::default(); 2] };
    story.edit_offline(page)?;
    let address = relay.address().to_owned();
    story.sync_until_killed(relay, folder, page).await?;
    let relay = story.recover(folder, &address, page).await?;
    let (merged, contents) = story.show_the_merge(page)?;
    let newcomer = story.newcomer(folder, &relay, &contents, page).await?;
    let reconnect = newcomer::reconnect(newcomer.device, &relay, page).await?;
    let changes = story.ada.position()?.0;
    relay.kill()?;
    Ok(Figures {
        ok: true,
        duration_ms: milliseconds(since.elapsed()),
        relay_processes: story.kills + 1,
        kills: story.kills,
        entities: contents.len() as u64,
        changes,
        photos: story.photos,
        photos_with_receipt_before_the_kill: story.receipts,
        ada: story.traffic[0],
        ben: story.traffic[1],
        merged,
        catch_up: newcomer.cost,
        reconnect,
        checks: page.checks(),
    })
}

async fn start_relay(folder: &Path, page: &mut Page) -> Result<RelayProcess, Failure> {
    page.step("A relay starts, as a process of its own");
    let relay = RelayProcess::start(folder, ANY_PORT).await?;
    page.timed(&format!("process {} at {}", relay.process(), relay.address()), relay.started_in());
    Ok(relay)
}

async fn first_note(
    folder: &Path,
    relay: &RelayProcess,
    page: &mut Page,
) -> Result<(Device, Device, EntityId), Failure> {
    page.step("Ada makes a note, and Ben gets it");
    let mut ada = Device::new(Owner::Ada, folder, None)?;
    let id = note::make(&ada)?;
    page.line(&format!("  {} wrote it offline; her store is one SQLite file", person(Owner::Ada)));
    let mut ben = Device::new(Owner::Ben, folder, Some(ada.space.id()))?;
    let since = Instant::now();
    ada.connect(&relay.url())?;
    all_in_step(&[&ada]).await?;
    ben.connect(&relay.url())?;
    all_in_step(&[&ada, &ben]).await?;
    page.timed(&format!("{} joined her space and synced", person(Owner::Ben)), since.elapsed());
    let (hers, his) = (ada.contents()?, ben.contents()?);
    page.check("both hold the same note", hers.len() == 1 && hers == his, || (in_words(&hers), in_words(&his)))?;
    Ok((ada, ben, id))
}

/// Two people and what has become of their work.
pub(super) struct Story {
    pub(super) ada: Device,
    pub(super) ben: Device,
    pub(super) id: EntityId,
    pub(super) photos: u64,
    pub(super) receipts: u64,
    pub(super) kills: u64,
    /// Of Ada and of Ben, over all connections that have ended.
    traffic: [Traffic; 2],
}

impl Story {
    fn edit_offline(&mut self, page: &mut Page) -> Result<(), Failure> {
        page.step("Both go offline and edit the same note");
        self.disconnect()?;
        note::edit_as_ada(&self.ada, self.id)?;
        note::edit_as_ben(&self.ben, self.id)?;
        bulk::write_journal(&self.ada)?;
        page.beside("", &person(Owner::Ada).to_string(), &person(Owner::Ben).to_string());
        page.beside("title", note::ADAS_TITLE, note::BENS_TITLE);
        page.beside("body", &format!("+ {:?}", note::ADAS_WORDS), &format!("+ {:?}", note::BENS_WORDS));
        page.beside("packing", "+ umbrella", "+ guitar, - camera");
        page.beside("votes", "+2", "+3");
        page.beside("costs", "train 40", "hostel 95");
        let size = text::bytes(bulk::PHOTOS * bulk::PHOTO_BYTES as u64);
        page.beside(
            "and",
            &format!("{} journal entries", bulk::JOURNAL_ENTRIES),
            &format!("{} photos, {size}", bulk::PHOTOS),
        );
        Ok(())
    }

    fn show_the_merge(&mut self, page: &mut Page) -> Result<(note::Merged, Contents), Failure> {
        page.step("What has become of the note");
        let shown = note::read(&self.ada, self.id)?;
        let other = shown.title.kept.iter().find(|title| **title != shown.title.shown);
        page.about(
            "title",
            &format!("{:?} {}", shown.title.shown, style("a conflict: both set the same field").yellow()),
        );
        page.about("", &format!("{:?} is kept beside it, and every device agrees", other.map_or("", |title| title)));
        page.about("body", &format!("{:?}", shown.body));
        page.about("packing", &shown.packing.to_string());
        page.about("votes", &format!("{} = 1 + 2 + 3", shown.votes));
        page.about("costs", &shown.costs.to_string());
        let merged = note::check(&[&self.ada, &self.ben], self.id, page)?;
        Ok((merged, self.ada.contents()?))
    }

    /// Takes both offline and adds up what went over the wire.
    pub(super) fn disconnect(&mut self) -> Result<(), Failure> {
        for (device, total) in [&self.ada, &self.ben].into_iter().zip(&mut self.traffic) {
            add(total, device.traffic()?);
            device.replica.disconnect();
        }
        Ok(())
    }
}

fn add(total: &mut Traffic, more: Traffic) {
    total.sessions += more.sessions;
    total.messages_sent += more.messages_sent;
    total.bytes_sent += more.bytes_sent;
    total.messages_received += more.messages_received;
    total.bytes_received += more.bytes_received;
}

pub(super) fn in_words(contents: &Contents) -> String {
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    for (collection, _) in contents.keys() {
        *counts.entry(collection).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(collection, count)| format!("{collection}: {count}")).collect();
    if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
}

pub(super) fn differing<H: PartialEq>(
    left: &std::collections::BTreeMap<EntityId, H>,
    right: &std::collections::BTreeMap<EntityId, H>,
) -> String {
    let count = left.iter().filter(|(id, heads)| right.get(id) != Some(heads)).count();
    text::count(count as u64, "document differs", "documents differ")
}
