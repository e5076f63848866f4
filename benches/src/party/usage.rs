//! What processes use between two moments.

use super::{ClientProcess, PartyError, ServerProcess};
use crate::report::ProcessRow;
use afield_tests::processes::Figures;

/// What processes had used at a moment.
#[derive(Debug)]
pub(crate) struct Usage {
    server: Option<Figures>,
    syncs: Option<u64>,
    clients: Vec<Option<Figures>>,
}

impl Usage {
    /// What a server and clients have used so far.
    pub(crate) fn of(server: &ServerProcess, clients: &[&ClientProcess]) -> Result<Self, PartyError> {
        let clients = clients.iter().map(|client| Figures::of(client.process())).collect();
        Ok(Self { server: Figures::of(server.process()), syncs: server.syncs()?, clients })
    }

    /// What has been used since an earlier moment, with a name for each client; the peaks are those of whole lives.
    pub(crate) fn since(&self, earlier: &Self, names: &[&str]) -> Vec<ProcessRow> {
        let syncs = self.syncs.zip(earlier.syncs).map(|(now, earlier)| now - earlier);
        let clients = names.iter().zip(self.clients.iter().zip(&earlier.clients));
        let clients = clients.map(|(name, (now, earlier))| row(name, *now, *earlier, None));
        std::iter::once(row("server", self.server, earlier.server, syncs)).chain(clients).collect()
    }
}

fn row(name: &str, now: Option<Figures>, earlier: Option<Figures>, syncs: Option<u64>) -> ProcessRow {
    let cpu = now.zip(earlier).map(|(now, earlier)| now.cpu_since(&earlier));
    ProcessRow {
        name: name.to_owned(),
        cpu_seconds: cpu.map(|cpu| cpu.as_secs_f64()),
        peak_kib: now.map(|figures| figures.peak_kib),
        syncs,
    }
}
