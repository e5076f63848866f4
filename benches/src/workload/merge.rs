//! Two devices that type into the same texts without a network, and then meet.

use super::Outcome;
use super::venue::Venue;
use crate::clock::wall_us;
use crate::party::{Contender, PartyError, Usage};
use crate::protocol::Command;
use crate::report::WireRow;
use std::path::Path;

/// Two devices that type into the same texts without a network, and then meet.
#[derive(Debug, Clone, Copy)]
pub struct Merge {
    /// Over how many texts the characters are spread.
    pub texts: usize,
    /// How many characters each of the two types, one change each.
    pub edits: u64,
}

/// Runs it; with `strace` at `tracer`, the server's syncs are counted. The time is that from the call to connect until both
/// show everything.
///
/// # Errors
///
/// A process fails, or the texts differ at the end.
pub fn merge(contender: &Contender, options: &Merge, tracer: Option<&Path>) -> Result<Outcome, PartyError> {
    let Merge { texts, edits } = *options;
    let venue = Venue::start(contender, tracer)?;
    let mut pair = [venue.clients("first", 1)?, venue.clients("second", 1)?];
    let doors = [venue.door()?, venue.door()?];
    let urls = doors.each_ref().map(|door| door.url());
    let [first, second] = &mut pair;
    let [of_first, of_second] = urls.clone();
    first.order(&Command::Connect { url: of_first })?;
    let ids: Vec<String> = first.request(&Command::CreateTexts { count: texts })?;
    first.order(&Command::Settle)?;
    second.order(&Command::Connect { url: of_second })?;
    second.order(&Command::OpenTexts { ids })?;
    second.order(&Command::Settle)?;
    for client in &mut pair {
        client.order(&Command::Disconnect)?;
        client.send(&Command::Type { edits, every_us: 0 })?;
    }
    for client in &mut pair {
        client.reply::<Vec<u64>>()?;
    }

    let earlier = doors.each_ref().map(|door| door.figures());
    let usage = |pair: &[_; 2]| Usage::of(&venue.server, &pair.each_ref());
    let before = usage(&pair)?;
    let started = wall_us();
    for (client, url) in pair.iter_mut().zip(urls) {
        client.send(&Command::Connect { url })?;
        client.send(&Command::AwaitCharacters { count: 2 * edits })?;
    }
    let mut moments = Vec::new();
    for client in &mut pair {
        client.reply::<serde_json::Value>()?;
        moments.push(client.reply::<u64>()?);
    }
    for client in &mut pair {
        client.order(&Command::Settle)?;
    }

    let spread = if texts == 1 { "merge in one text".to_owned() } else { format!("merge in {texts} texts") };
    let mut outcome = Outcome::new(spread);
    outcome.processes = usage(&pair)?.since(&before, &["first device", "second device"]);
    let took = moments.iter().max().map_or(f64::NAN, |moment| moment.saturating_sub(started) as f64 / 1e6);
    outcome.seconds("connect to both equal", took);
    let names = ["first device", "second device"].iter().zip(doors.iter().zip(&earlier));
    outcome.wires = names.map(|(name, (door, earlier))| WireRow::of(name, &door.figures().since(earlier))).collect();
    let [first, second] = &mut pair;
    let held: Vec<String> = first.request(&Command::Texts)?;
    if held != second.request::<Vec<String>>(&Command::Texts)? {
        return Err(PartyError::Unequal);
    }
    outcome.disk_bytes = Some(venue.close()?.0);
    Ok(outcome)
}
