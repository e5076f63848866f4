//! Where a workload runs: a folder, a server, and the clients that come to it.

use crate::party::{ClientProcess, Contender, PartyError, ServerProcess, files_below};
use afield_tests::processes::Proxy;
use std::path::Path;
use tempfile::TempDir;

/// A folder, a server, and the clients that come to it.
#[derive(Debug)]
pub(super) struct Venue<'c> {
    contender: &'c Contender,
    pub(super) server: ServerProcess,
    folder: TempDir,
}

impl<'c> Venue<'c> {
    /// Starts a server; with `strace` at `tracer`, its syncs are counted.
    pub(super) fn start(contender: &'c Contender, tracer: Option<&Path>) -> Result<Self, PartyError> {
        let folder = tempfile::tempdir()?;
        let server = ServerProcess::start(&contender.server, &folder.path().join("server"), tracer)?;
        Ok(Self { contender, server, folder })
    }

    /// Starts a process with clients.
    pub(super) fn clients(&self, name: &str, count: usize) -> Result<ClientProcess, PartyError> {
        ClientProcess::start(&self.contender.client, &self.folder.path().join(name), count)
    }

    /// Opens a door to the server that counts.
    pub(super) fn door(&self) -> Result<Proxy, PartyError> {
        Ok(Proxy::start(self.server.address())?)
    }

    /// Ends the server as a service manager does, and gives the size of its files, in bytes, and how many they are.
    pub(super) fn close(mut self) -> Result<(u64, u64), PartyError> {
        self.server.stop()?;
        Ok(files_below(self.server.folder())?)
    }
}
