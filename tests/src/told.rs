//! What a subscriber of `tracing` was told, to be read by a test.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Everything that was told so far. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Mutex<Vec<u8>>>);

impl Told {
    /// It as text.
    ///
    /// # Panics
    ///
    /// It is not UTF-8.
    pub fn text(&self) -> String {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(told).expect("what is told is text")
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
