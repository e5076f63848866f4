//! A turn at sync: whoever has it works alone, and what has happened is told once everybody can see it.

use super::Synchronization;
use crate::driver::Driver;
use crate::driver::documents::lock;
use crate::status::SyncEvent;
use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

/// Sync, to be worked on until this is dropped.
pub(in crate::driver) struct Turn<'d> {
    sync: MutexGuard<'d, Synchronization>,
    driver: &'d Driver,
}

impl Driver {
    /// Waits for a turn at sync.
    pub(in crate::driver) fn turn(&self) -> Turn<'_> {
        Turn { sync: lock(&self.sync), driver: self }
    }

    /// Tells what has happened since the last time.
    pub(super) fn tell_what_happened(&self, sync: &mut Synchronization) {
        std::mem::take(&mut sync.happened).into_iter().for_each(|event| self.emit(event));
    }
}

impl Synchronization {
    /// Notes something to be told once what the status shows has it, too: who hears of it may look there at once.
    pub(in crate::driver) fn say(&mut self, event: SyncEvent) {
        self.happened.push(event);
    }
}

impl Deref for Turn<'_> {
    type Target = Synchronization;

    fn deref(&self) -> &Synchronization {
        &self.sync
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut Synchronization {
        &mut self.sync
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.driver.tell_what_happened(&mut self.sync);
    }
}
