//! Which device this is, and which openings of it a relay may know.

use crate::error::StoreError;
use crate::reader::Reader;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row, rows};
use afield_core::limits::PREDECESSORS_MAX;
use afield_core::{DeviceId, Durable, Incarnation};

/// Which device this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The device.
    pub device: DeviceId,
    /// Since when the store has this identity, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// How many identities the store had before: a copied store takes a new one once.
    pub earlier: u64,
    /// The openings that may have reached a relay, newest last: at most [`PREDECESSORS_MAX`] before the newest.
    pub announced: Vec<Incarnation>,
}

impl Reader {
    /// The device whose store this is; `None` before the first [`Store::adopt_device`].
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn device(&self) -> Result<Option<DeviceId>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT device FROM devices ORDER BY device_row DESC LIMIT 1";
            row(connection, sql, [], |row| row.get(0).map(DeviceId::from_bytes))
        })
    }
}

impl Store {
    /// The identity of this store; `None` before the first [`Store::adopt_device`].
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn identity(&self) -> Result<Option<Identity>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT device, since_ms, (SELECT count(*) FROM devices) - 1 FROM devices
                       ORDER BY device_row DESC LIMIT 1";
            let found = row(connection, sql, [], |row| {
                Ok(Identity {
                    device: DeviceId::from_bytes(row.get(0)?),
                    since_ms: row.get(1)?,
                    earlier: crate::column::count(row, 2)?,
                    announced: Vec::new(),
                })
            })?;
            let Some(identity) = found else { return Ok(None) };
            let sql = "SELECT incarnation FROM incarnations ORDER BY incarnation_row";
            let announced = rows(connection, sql, [], |row| row.get(0).map(Incarnation::from_bytes))?;
            Ok(Some(Identity { announced, ..identity }))
        })
    }

    /// Gives the store an identity, or a new one, of which no opening has been announced yet.
    ///
    /// Adopting the present identity again changes nothing.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn adopt_device(&mut self, device: DeviceId, at_ms: i64) -> Result<Durable<()>, StoreError> {
        self.write(|transaction| {
            let sql = "SELECT device FROM devices ORDER BY device_row DESC LIMIT 1";
            let present = transaction.row(sql, [], |row| row.get(0).map(DeviceId::from_bytes))?;
            if present == Some(device) {
                return Ok(());
            }
            transaction.execute("DELETE FROM devices WHERE device = ?", [device.as_bytes()])?;
            let sql = "INSERT INTO devices (device, since_ms) VALUES (?, ?)";
            transaction.execute(sql, (device.as_bytes(), at_ms))?;
            transaction.execute("DELETE FROM incarnations", [])?;
            Ok(())
        })
    }

    /// Notes that this opening is about to be told to a relay: it has to be on disk first, or a relay could not tell
    /// this device after a crash from a copy of it.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn announce(&mut self, incarnation: Incarnation) -> Result<Durable<()>, StoreError> {
        self.write(|transaction| {
            if newest(transaction)? == Some(incarnation) {
                return Ok(());
            }
            transaction.execute("DELETE FROM incarnations WHERE incarnation = ?", [incarnation.as_bytes()])?;
            transaction.execute("INSERT INTO incarnations (incarnation) VALUES (?)", [incarnation.as_bytes()])?;
            let kept = i64::try_from(PREDECESSORS_MAX).unwrap_or(i64::MAX).saturating_add(1);
            let sql = "DELETE FROM incarnations WHERE incarnation_row NOT IN
                       (SELECT incarnation_row FROM incarnations ORDER BY incarnation_row DESC LIMIT ?)";
            transaction.execute(sql, [kept])?;
            Ok(())
        })
    }

    /// Notes that a relay knows this opening now, so that the ones before it need not be named any more.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn confirm(&mut self, incarnation: Incarnation) -> Result<Durable<()>, StoreError> {
        self.write(|transaction| {
            let sql = "DELETE FROM incarnations WHERE incarnation_row <
                       (SELECT incarnation_row FROM incarnations WHERE incarnation = ?)";
            transaction.execute(sql, [incarnation.as_bytes()])?;
            Ok(())
        })
    }
}

fn newest(transaction: &mut WriteTransaction<'_>) -> Result<Option<Incarnation>, StoreError> {
    let sql = "SELECT incarnation FROM incarnations ORDER BY incarnation_row DESC LIMIT 1";
    transaction.row(sql, [], |row| row.get(0).map(Incarnation::from_bytes))
}
