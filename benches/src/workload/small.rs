//! Many small documents: to the server, to a fresh client, and connecting again with nothing new.

use super::venue::Venue;
use super::{Outcome, until_quiet};
use crate::clock::wall_us;
use crate::party::{ClientProcess, Contender, PartyError, Usage};
use crate::protocol::Command;
use crate::report::WireRow;
use afield_tests::processes::Proxy;
use std::path::Path;
use std::time::Instant;

/// Many small documents: to the server, to a fresh client, and connecting again with nothing new.
#[derive(Debug, Clone, Copy)]
pub struct Small {
    /// How many.
    pub count: usize,
    /// How many changes each.
    pub changes: usize,
}

/// Runs it; with `strace` at `tracer`, the server's syncs are counted.
///
/// Up is from the call to connect until the server has acknowledged everything, down until all were read, and connecting
/// again until nothing goes over the wire any more.
///
/// # Errors
///
/// A process fails.
pub fn small(contender: &Contender, options: &Small, tracer: Option<&Path>) -> Result<[Outcome; 3], PartyError> {
    let Small { count, changes } = *options;
    let venue = Venue::start(contender, tracer)?;
    let mut author = venue.clients("author", 1)?;
    let ids: Vec<String> = author.request(&Command::CreateSmall { count, changes })?;

    let timed = |client: &mut ClientProcess, door: &Proxy, wait: Command, name: &str| {
        let before = Usage::of(&venue.server, &[&*client])?;
        let started = wall_us();
        client.order(&Command::Connect { url: door.url() })?;
        let moment: u64 = client.request(&wait)?;
        let mut outcome = Outcome::new(format!("{count} small documents {name}"));
        outcome.seconds(name, moment.saturating_sub(started) as f64 / 1e6);
        outcome.wires = vec![WireRow::of("client", &door.figures())];
        outcome.processes = Usage::of(&venue.server, &[&*client])?.since(&before, &["client"]);
        Ok::<_, PartyError>(outcome)
    };
    let of_author = venue.door()?;
    let up = timed(&mut author, &of_author, Command::Settle, "up")?;
    // What is acknowledged before it is shared with others would otherwise be waited for by the next.
    author.order(&Command::Disconnect)?;
    let mut fresh = venue.clients("fresh", 1)?;
    let of_fresh = venue.door()?;
    let down = timed(&mut fresh, &of_fresh, Command::OpenSmall { ids, changes }, "down")?;

    fresh.order(&Command::Settle)?;
    fresh.order(&Command::Disconnect)?;
    let before = Usage::of(&venue.server, &[&fresh])?;
    let (earlier, started) = (of_fresh.figures(), Instant::now());
    fresh.order(&Command::Connect { url: of_fresh.url() })?;
    let took = until_quiet(&of_fresh, &earlier, started)?;
    let mut again = Outcome::new(format!("{count} small documents, connecting again with nothing new"));
    again.seconds("connect to last message", took.as_secs_f64());
    again.wires = vec![WireRow::of("client", &of_fresh.figures().since(&earlier))];
    again.processes = Usage::of(&venue.server, &[&fresh])?.since(&before, &["client"]);
    again.disk_bytes = Some(venue.close()?.0);
    Ok([up, down, again])
}
