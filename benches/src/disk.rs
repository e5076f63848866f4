//! What keystrokes take on the relay's disk.

use crate::party::{ClientProcess, PartyError, ServerProcess, files_below};
use crate::protocol::Command;
use crate::report::{grouped, write_table};
use crate::role;
use serde::Serialize;
use std::io::Write;
use std::time::{Duration, Instant};

/// How long the relay's files must not change before they count as settled.
const SETTLED: Duration = Duration::from_secs(5);
/// How long they may take until then.
const SETTLED_TIMEOUT: Duration = Duration::from_secs(30);
/// How often they are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What keystrokes take on the relay's disk, in bytes, everything in its folder included.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct DiskOutcome {
    /// How many keystrokes, one change each, into one text.
    pub keystrokes: usize,
    /// How long it took from the first one until the relay had acknowledged all, in seconds.
    pub seconds: f64,
    /// A relay that holds the empty text.
    pub empty_bytes: u64,
    /// Right after the last receipt.
    pub receipt_bytes: u64,
    /// Once its files had not changed for a while.
    pub idle_bytes: u64,
    /// After it had ended.
    pub ended_bytes: u64,
    /// The document, as `Automerge::save` writes it.
    pub saved_bytes: u64,
}

/// Has a device type into one text and looks at the relay's files.
///
/// # Errors
///
/// A process fails.
pub fn disk(keystrokes: usize) -> Result<DiskOutcome, PartyError> {
    let folder = tempfile::tempdir()?;
    let mut relay = ServerProcess::start(&role::afield()?.server, &folder.path().join("server"), None)?;
    let mut device = ClientProcess::start(&role::afield()?.client, &folder.path().join("device"), 1)?;
    device.order(&Command::Connect { url: relay.url() })?;
    device.request::<Vec<String>>(&Command::CreateTexts { count: 1 })?;
    device.order(&Command::Settle)?;
    let bytes = |relay: &ServerProcess| files_below(relay.folder()).map(|(bytes, _)| bytes);
    let empty_bytes = bytes(&relay)?;

    let started = Instant::now();
    device.order(&Command::Keystrokes { count: keystrokes })?;
    device.order(&Command::Settle)?;
    let seconds = started.elapsed().as_secs_f64();
    let receipt_bytes = bytes(&relay)?;
    let saved_bytes = device.request(&Command::SavedBytes)?;
    let (mut idle_bytes, mut changed, deadline) = (receipt_bytes, Instant::now(), Instant::now() + SETTLED_TIMEOUT);
    while changed.elapsed() < SETTLED && Instant::now() < deadline {
        std::thread::sleep(LOOK_INTERVAL);
        let now = bytes(&relay)?;
        if now != idle_bytes {
            (idle_bytes, changed) = (now, Instant::now());
        }
    }
    drop(device);
    relay.stop()?;
    let ended_bytes = bytes(&relay)?;
    Ok(DiskOutcome { keystrokes, seconds, empty_bytes, receipt_bytes, idle_bytes, ended_bytes, saved_bytes })
}

impl DiskOutcome {
    /// Writes it for a person.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let rows = [
            ("a relay that holds the empty text", self.empty_bytes),
            ("after the last receipt", self.receipt_bytes),
            ("once its files no longer change", self.idle_bytes),
            ("after it has ended", self.ended_bytes),
            ("the document, as Automerge saves it", self.saved_bytes),
        ];
        let keystrokes = grouped(self.keystrokes as u64);
        writeln!(
            out,
            "the relay's files after {keystrokes} keystrokes, typed and acknowledged in {:.1} s",
            self.seconds
        )?;
        write_table(out, &rows.map(|(name, bytes)| vec![name.to_owned(), format!("{} B", grouped(bytes))]))?;
        writeln!(out)
    }
}
