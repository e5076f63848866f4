//! One text, one who types into it fast, and many who watch.

use super::venue::Venue;
use super::{Outcome, latencies, quantile};
use crate::party::{ClientProcess, Contender, PartyError, Usage};
use crate::protocol::Command;
use crate::report::WireRow;
use std::path::Path;

/// One text, one who types into it fast, and many who watch, each over a connection and, where the system has such, on a
/// store of their own.
#[derive(Debug, Clone, Copy)]
pub struct FanOut {
    /// How many watch. One of them is counted on the wire; the others share two processes.
    pub readers: usize,
    /// How many characters are typed.
    pub edits: u64,
    /// The time between two of them, in microseconds.
    pub every_us: u64,
}

/// Runs it; with `strace` at `tracer`, the server's syncs are counted.
///
/// # Errors
///
/// A process fails, or the texts differ at the end.
pub fn fan_out(contender: &Contender, options: &FanOut, tracer: Option<&Path>) -> Result<Outcome, PartyError> {
    let FanOut { readers, edits, every_us } = *options;
    let venue = Venue::start(contender, tracer)?;
    let mut writer = venue.clients("writer", 1)?;
    writer.order(&Command::Connect { url: venue.server.url() })?;
    let ids: Vec<String> = writer.request(&Command::CreateTexts { count: 1 })?;
    writer.order(&Command::Settle)?;

    let door = venue.door()?;
    let half = readers.saturating_sub(1) / 2;
    let other_half = readers.saturating_sub(1 + half);
    let direct = venue.server.url();
    let groups = [
        ("counted reader", 1, door.url()),
        ("half of the readers", half, direct.clone()),
        ("other half", other_half, direct),
    ];
    let (mut names, mut crowd): (_, Vec<ClientProcess>) = (vec!["writer"], Vec::new());
    for (name, count, url) in groups.into_iter().filter(|(_, count, _)| *count > 0) {
        names.push(name);
        let mut group = venue.clients(name, count)?;
        group.order(&Command::Connect { url })?;
        group.order(&Command::OpenTexts { ids: ids.clone() })?;
        crowd.push(group);
    }
    for group in &mut crowd {
        group.send(&Command::Watch { edits })?;
        group.wait_until_ready()?;
    }
    let earlier = door.figures();
    let usage = |writer: &ClientProcess, crowd: &[ClientProcess]| {
        let processes: Vec<_> = std::iter::once(writer).chain(crowd).collect();
        Usage::of(&venue.server, &processes)
    };
    let before = usage(&writer, &crowd)?;
    let called: Vec<u64> = writer.request(&Command::Type { edits, every_us })?;
    let mut seen: Vec<Vec<u64>> = Vec::new();
    for group in &mut crowd {
        seen.extend(group.reply::<Vec<Vec<u64>>>()?);
    }

    let mut outcome = Outcome::new("fan-out");
    outcome.processes = usage(&writer, &crowd)?.since(&before, &names);
    let sorted = latencies(&called, &seen);
    outcome.milliseconds("edit to each reader, median", quantile(&sorted, 0.5));
    outcome.milliseconds("edit to each reader, p95", quantile(&sorted, 0.95));
    let (first, last) = (called.first().copied(), seen.iter().flatten().max().copied());
    let all = first.zip(last).map_or(f64::NAN, |(first, last)| last.saturating_sub(first) as f64 / 1e6);
    outcome.seconds("first edit to last reader's last", all);
    outcome.wires = vec![WireRow::of("one reader", &door.figures().since(&earlier))];
    let expected: Vec<String> = writer.request(&Command::Texts)?;
    for group in &mut crowd {
        if group.request::<Vec<String>>(&Command::Texts)? != expected {
            return Err(PartyError::Unequal);
        }
    }
    outcome.disk_bytes = Some(venue.close()?.0);
    Ok(outcome)
}
