//! A history of two authors, each with a replica of its own.

use crate::report::ReplayError;
use crate::{Failed, Replayed};
use afield::{EntityId, SpaceId};
use afield_benches::clock::{Clock, SystemEntropy};
use afield_benches::hand::HandDriven;
use afield_benches::history::{History, Transaction};
use afield_benches::report::{Phase, Progress, WireRow};
use afield_store::Origin;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

/// Two authors, each with a replica whose messages are moved by hand.
pub(crate) fn replay_concurrent(history: &History, folder: &Path, relay: SocketAddr) -> Replayed {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (clock, url) = (Clock::new(), format!("ws://{relay}"));
    let space = SpaceId::new(clock.now(), &mut SystemEntropy);
    let entity = EntityId::new(clock.now(), &mut SystemEntropy);
    let open = |name: &str, origin| {
        HandDriven::open(&folder.join(format!("{name}.db")), (space, origin), entity, runtime.handle())
    };
    let mut authors = Vec::new();
    for author in 0..history.authors() {
        let origin = if author == 0 { Origin::MadeHere } else { Origin::Joined };
        let mut replica = open(&format!("author-{author}"), origin)?;
        replica.connect(&url)?;
        if author == 0 {
            replica.create()?;
        }
        replica.settle()?;
        replica.start_counting();
        authors.push(replica);
    }

    let started = Instant::now();
    let total = history.transactions.len() as u64;
    edit_as_recorded(history, &mut authors)?;
    for author in &mut authors {
        author.settle()?;
    }
    // In step with the relay is one thing, and having what the others pushed at the last moment another.
    for (author, replica) in authors.iter_mut().enumerate() {
        replica.take(history.transactions.iter().filter(|transaction| transaction.author != author).count())?;
    }
    let mut phases = vec![Phase::new("replay, live", started.elapsed(), total)];

    let started = Instant::now();
    let mut third = open("late third", Origin::Joined)?;
    third.connect(&url)?;
    third.settle()?;
    phases.push(Phase::new("late third catches up", started.elapsed(), total));

    let names = (0..authors.len()).map(|author| format!("author {author}")).chain(["late third".to_owned()]);
    let mut wires = Vec::new();
    for (name, replica) in names.zip(authors.iter().chain([&third])) {
        if replica.text()? != history.end {
            return Err(ReplayError::OtherText { replica: name }.into());
        }
        let statistics = replica.statistics();
        wires.push(WireRow {
            name,
            sent_bytes: statistics.bytes_sent,
            sent_frames: statistics.messages_sent,
            received_bytes: statistics.bytes_received,
            received_frames: statistics.messages_received,
        });
    }
    Ok((phases, wires))
}

/// Makes every transaction when its author's replica holds exactly its parents.
fn edit_as_recorded(history: &History, authors: &mut [HandDriven]) -> Result<(), Failed> {
    let reaches = history.reaches();
    let borders = history.borders(&reaches);
    let root = authors.first().map(HandDriven::heads).transpose()?.unwrap_or_default();
    let mut made = vec![0; authors.len()];
    let mut hashes = Vec::with_capacity(history.transactions.len());
    let mut progress = Progress::start("replay", history.transactions.len() as u64);
    for (place, (transaction, reach)) in history.transactions.iter().zip(&reaches).enumerate() {
        let Transaction { parents, author, patches } = transaction;
        let seen: usize = reach.iter().enumerate().filter(|(other, _)| other != author).map(|(_, seen)| seen).sum();
        let Some(replica) = authors.get_mut(*author) else { continue };
        replica.take(seen)?;
        let mut expected: Vec<_> = parents.iter().filter_map(|parent| hashes.get(*parent).copied()).collect();
        if parents.is_empty() {
            expected.clone_from(&root);
        }
        let mut heads = replica.heads()?;
        expected.sort();
        heads.sort();
        if heads != expected {
            return Err(ReplayError::OtherParents { place }.into());
        }
        let [patch] = patches.as_slice() else { return Err(ReplayError::Patches(patches.len()).into()) };
        hashes.push(replica.splice(patch.0, patch.1, &patch.2)?);
        if let Some(made) = made.get_mut(*author) {
            *made += 1;
            // Somebody edits knowing this and nothing after it: whatever comes next must not share its frame.
            if borders.contains(&(*author, *made)) {
                arrive_elsewhere(authors, *author, *made)?;
            }
        }
        progress.reach(place as u64 + 1);
    }
    progress.end();
    Ok(())
}

fn arrive_elsewhere(authors: &mut [HandDriven], author: usize, made: usize) -> Result<(), Failed> {
    for (other, replica) in authors.iter_mut().enumerate() {
        if other != author {
            replica.await_arrival(made)?;
        }
    }
    Ok(())
}
