//! A history of one author, one change per keystroke.

use crate::report::ReplayError;
use crate::{Failed, Replayed};
use afield::{Relay, Replica};
use afield_benches::history::History;
use afield_benches::report::{Phase, Progress, WireRow};
use afield_tests::processes::Proxy;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;
use tokio::runtime::Runtime;

/// How many keystrokes are stored in one commit, each of them a change of its own.
pub(crate) const KEYSTROKES_PER_COMMIT: usize = 100;
/// The field that holds the text.
const TEXT: &str = "text";

/// One author who is synced while typing, and a fresh device afterwards.
pub(crate) fn replay_sequential(history: &History, folder: &Path, relay: SocketAddr) -> Replayed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (author_wire, fresh_wire) = (Proxy::start(relay)?, Proxy::start(relay)?);
    let total = history.transactions.len() as u64;
    let author = Replica::open(folder.join("author.db"))?;
    let space = author.create_space("replay")?;
    let texts = space.collection::<()>("texts")?;
    let id = texts.json().insert(&serde_json::json!({ TEXT: { "$text": "" } }))?;
    author.connect(Relay::new(author_wire.url()))?;
    sync(&runtime, &author)?;

    let started = Instant::now();
    let mut progress = Progress::start("typing", total);
    for (number, keystrokes) in history.transactions.chunks(KEYSTROKES_PER_COMMIT).enumerate() {
        let _ = author.transaction(|transaction| {
            for patch in keystrokes.iter().flat_map(|keystroke| &keystroke.patches) {
                transaction.edit_fields(&texts, id, |edit| Ok(edit.splice_text(TEXT, patch.0, patch.1, &patch.2)?))?;
            }
            Ok(())
        })?;
        progress.reach((number * KEYSTROKES_PER_COMMIT + keystrokes.len()) as u64);
    }
    progress.end();
    let mut phases = vec![Phase::new("typing, synced live", started.elapsed(), total)];
    let started = Instant::now();
    sync(&runtime, &author)?;
    phases.push(Phase::new("the rest reaches the relay", started.elapsed(), 0));

    let started = Instant::now();
    let fresh = Replica::open(folder.join("fresh.db"))?;
    let joined = fresh.join_space(space.id())?;
    fresh.connect(Relay::new(fresh_wire.url()))?;
    sync(&runtime, &fresh)?;
    phases.push(Phase::new("fresh device catches up", started.elapsed(), total));

    let changes = |replica: &Replica, texts: &afield::Collection<()>| -> Result<u64, Failed> {
        let (text, changes) =
            texts.entity(id)?.raw(|document| (read_text(document), document.get_changes(&[]).len()))?;
        if text.as_deref() != Some(&history.end) {
            return Err(ReplayError::OtherText { replica: replica.device().to_string() }.into());
        }
        Ok(changes as u64)
    };
    // One change per keystroke, and the one that made the entity with its empty text.
    let made = [
        ("the author", changes(&author, &texts)?),
        ("the fresh device", changes(&fresh, &joined.collection("texts")?)?),
    ];
    for (replica, found) in made {
        if found != total + 1 {
            return Err(ReplayError::Changes { replica: replica.to_owned(), expected: total + 1, found }.into());
        }
    }
    let wires = vec![WireRow::of("author", &author_wire.figures()), WireRow::of("fresh device", &fresh_wire.figures())];
    Ok((phases, wires))
}

fn read_text(document: &afield::automerge::Automerge) -> Option<String> {
    use afield::automerge::{ROOT, ReadDoc};
    let (_, text) = document.get(ROOT, TEXT).ok()??;
    document.text(&text).ok()
}

fn sync(runtime: &Runtime, replica: &Replica) -> Result<(), afield::SyncError> {
    runtime.block_on(replica.sync_now())
}
