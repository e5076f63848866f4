//! A relay and devices in one thread, without sockets: what remains is the work of the library itself.

use crate::clock::SystemEntropy;
use afield::{Driver, DriverError, Output};
use afield_core::{Limits, Now};
use afield_relay::hub::{Access, Hub, Output as RelayOutput};
use afield_relay::log::{OpenLogError, SqliteLog};

/// A moment: nothing here waits.
const NOW: Now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 1 };

/// A relay's hub on a log in memory.
#[derive(Debug)]
pub struct Loopback {
    hub: Hub<SqliteLog>,
}

impl Loopback {
    /// Starts with an empty log.
    ///
    /// # Errors
    ///
    /// SQLite failed.
    pub fn start() -> Result<Self, OpenLogError> {
        let log = SqliteLog::open_in_memory()?;
        Ok(Self { hub: Hub::new(log, Access::Open, Limits::DEFAULT, SystemEntropy) })
    }

    /// Connects a device, moves its messages until it is in step, and disconnects it.
    ///
    /// # Errors
    ///
    /// The device failed.
    pub fn sync(&mut self, driver: &Driver) -> Result<(), DriverError> {
        driver.enable_sync(NOW);
        let session = self.hub.connect(None, NOW);
        while !driver.is_in_step() {
            while let Some(output) = driver.poll_output() {
                match output {
                    Output::Connect => driver.handle_connected(NOW)?,
                    Output::Transmit(message) => self.hub.handle_message(session, &message, NOW),
                    Output::Disconnect => return Ok(()),
                }
            }
            self.hub.commit(NOW);
            while self.hub.serve(usize::MAX, NOW) {}
            let mut messages = Vec::new();
            while let Some((_, output)) = self.hub.poll_transmit() {
                if let RelayOutput::Message(message) = output {
                    self.hub.handle_sent(session, message.len(), NOW);
                    while self.hub.serve(usize::MAX, NOW) {}
                    messages.push(message);
                }
            }
            driver.handle_messages(messages.iter().map(Vec::as_slice), NOW)?;
            while driver.wants_idle() {
                driver.handle_idle(NOW)?;
            }
        }
        driver.disable_sync(NOW);
        self.hub.disconnect(session);
        Ok(())
    }
}
