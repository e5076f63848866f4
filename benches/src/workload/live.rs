//! One text, one who types into it, and one who watches.

use super::venue::Venue;
use super::{Outcome, latencies, quantile};
use crate::party::{Contender, PartyError, Usage};
use crate::protocol::Command;
use crate::report::WireRow;
use std::path::Path;

/// One text, one who types into it, and one who watches, each in a process of their own.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// How many characters are typed before it counts.
    pub warm_up: u64,
    /// How many characters are typed.
    pub edits: u64,
    /// The time between two of them, in microseconds.
    pub every_us: u64,
    /// Whether the wire is counted, which takes a little of its own: then no latency is told.
    pub is_counted: bool,
}

/// Runs it; with `strace` at `tracer`, the server's syncs are counted.
///
/// # Errors
///
/// A process fails, or the texts differ at the end.
pub fn live(contender: &Contender, live: &Live, tracer: Option<&Path>) -> Result<Outcome, PartyError> {
    let venue = Venue::start(contender, tracer)?;
    let (mut writer, mut reader) = (venue.clients("writer", 1)?, venue.clients("reader", 1)?);
    let doors = [venue.door()?, venue.door()?];
    let [of_writer, of_reader] = match live.is_counted {
        true => doors.each_ref().map(|door| door.url()),
        false => [venue.server.url(), venue.server.url()],
    };
    writer.order(&Command::Connect { url: of_writer })?;
    let ids: Vec<String> = writer.request(&Command::CreateTexts { count: 1 })?;
    writer.order(&Command::Settle)?;
    reader.order(&Command::Connect { url: of_reader })?;
    reader.order(&Command::OpenTexts { ids })?;

    let mut tick = |edits| -> Result<(Vec<u64>, Vec<Vec<u64>>), PartyError> {
        reader.send(&Command::Watch { edits })?;
        reader.wait_until_ready()?;
        let called = writer.request(&Command::Type { edits, every_us: live.every_us })?;
        Ok((called, reader.reply()?))
    };
    tick(live.warm_up)?;
    let earlier = doors.each_ref().map(|door| door.figures());
    let before = Usage::of(&venue.server, &[])?;
    let (called, seen) = tick(live.edits)?;

    let mut outcome = Outcome::new("live");
    outcome.processes = Usage::of(&venue.server, &[])?.since(&before, &[]);
    let sorted = latencies(&called, &seen);
    if live.is_counted {
        let names = ["writer", "reader"].iter().zip(doors.iter().zip(&earlier));
        outcome.wires =
            names.map(|(name, (door, earlier))| WireRow::of(name, &door.figures().since(earlier))).collect();
    } else {
        outcome.milliseconds("edit to reader, median", quantile(&sorted, 0.5));
        outcome.milliseconds("edit to reader, p95", quantile(&sorted, 0.95));
    }
    if writer.request::<Vec<String>>(&Command::Texts)? != reader.request::<Vec<String>>(&Command::Texts)? {
        return Err(PartyError::Unequal);
    }
    outcome.disk_bytes = Some(venue.close()?.0);
    Ok(outcome)
}
