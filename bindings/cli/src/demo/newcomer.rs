//! The end of the story: a third device, with nothing on it, catches up, and comes back.

use super::device::{Contents, Device, Owner};
use super::note;
use super::page::{CatchUp, Page, milliseconds, person, traffic_in_words};
use super::relay::RelayProcess;
use super::story::{Story, differing, in_words};
use crate::failure::Failure;
use crate::text;
use afield::Traffic;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a device sends before it has heard anything: `Hello`, and an `Open` for its only space.
const FIRST_MESSAGES: u64 = 2;
/// The most that reconnecting may cost each way when there is nothing new, in bytes.
const RECONNECT_BYTES_MAX: u64 = 300;

/// The third device and what its first sync cost.
pub(super) struct Newcomer {
    pub(super) device: Device,
    pub(super) cost: CatchUp,
}

impl Story {
    pub(super) async fn newcomer(
        &mut self,
        folder: &Path,
        relay: &RelayProcess,
        contents: &Contents,
        page: &mut Page,
    ) -> Result<Newcomer, Failure> {
        page.step("A third device, with nothing on it, catches up");
        self.disconnect()?;
        let mut device = Device::new(Owner::Newcomer, folder, Some(self.ada.space.id()))?;
        let cost = catch_up(&mut device, relay).await?;
        let name = person(Owner::Newcomer).to_string();
        page.timed(
            &format!("{name} has {}", text::count(contents.len() as u64, "entity", "entities")),
            millis(cost.duration_ms),
        );
        page.about("wire", &traffic_in_words(cost.traffic));
        let sent = cost.traffic.messages_sent;
        page.check(
            "one round trip: it sent two frames, and nothing more until it had everything",
            sent == FIRST_MESSAGES,
            || (frames(FIRST_MESSAGES), frames(sent)),
        )?;
        let found = device.contents()?;
        page.check("it holds what the others hold", &found == contents, || (in_words(contents), in_words(&found)))?;
        let (hers, its) = (self.ada.heads(contents)?, device.heads(&found)?);
        page.check("so does its history", hers == its, || {
            (
                text::count(hers.len() as u64, "document with equal heads", "documents with equal heads"),
                differing(&hers, &its),
            )
        })?;
        note::check(&[&device], self.id, page)?;
        Ok(Newcomer { device, cost })
    }
}

pub(super) async fn reconnect(mut device: Device, relay: &RelayProcess, page: &mut Page) -> Result<CatchUp, Failure> {
    page.step("The third device comes back, and there is nothing new");
    device.replica.disconnect();
    let cost = catch_up(&mut device, relay).await?;
    page.timed(&traffic_in_words(cost.traffic), millis(cost.duration_ms));
    let Traffic { bytes_sent, bytes_received, messages_sent, .. } = cost.traffic;
    let is_small = messages_sent == FIRST_MESSAGES && bytes_sent.max(bytes_received) < RECONNECT_BYTES_MAX;
    page.check("one round trip and under 300 bytes each way, however much there is", is_small, || {
        (format!("{FIRST_MESSAGES} frames, under {RECONNECT_BYTES_MAX} bytes"), traffic_in_words(cost.traffic))
    })?;
    Ok(cost)
}

/// Connects and gets in step; what was sent until then is what it cost.
async fn catch_up(device: &mut Device, relay: &RelayProcess) -> Result<CatchUp, Failure> {
    let since = Instant::now();
    device.connect(&relay.url())?;
    device.in_step().await?;
    let duration_ms = milliseconds(since.elapsed());
    let traffic = device.traffic()?;
    // Whatever is sent after the first messages can only answer something, so it would be a round trip more.
    let round_trips = 1 + traffic.messages_sent.saturating_sub(FIRST_MESSAGES);
    Ok(CatchUp { round_trips, traffic, duration_ms })
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn frames(count: u64) -> String {
    text::count(count, "frame sent", "frames sent")
}
