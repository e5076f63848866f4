//! What a proxy lets through, and how.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long something may take to arrive at the gate, on a machine that is busy.
const ARRIVAL_MAX: Duration = Duration::from_secs(60);

/// How many bytes pass at a time when it is narrow.
///
/// The WebSocket library takes a handshake of more than 64 reads of under 128 bytes on average for an attack
/// (`AttackCheck` in tungstenite's `handshake/machine.rs`); a handshake has a few hundred bytes.
const NARROW_BYTES: usize = 16;

/// Lets bytes pass, or keeps them back until it is opened.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_shut: bool,
    is_narrow: bool,
    /// How many bytes may pass before it shuts by itself.
    left_bytes: Option<u64>,
    kept_bytes: u64,
}

impl Gate {
    pub(super) fn shut(&self) {
        self.lock().is_shut = true;
    }

    /// Shuts by itself once so many bytes have passed, either way.
    pub(super) fn shut_after(&self, bytes: u64) {
        self.lock().left_bytes = Some(bytes);
    }

    /// Lets a few bytes pass at a time from now on.
    pub(super) fn narrow(&self) {
        self.lock().is_narrow = true;
    }

    pub(super) fn open(&self) {
        let mut state = self.lock();
        (state.is_shut, state.left_bytes) = (false, None);
        drop(state);
        self.changed.notify_all();
    }

    /// How many bytes have arrived and are kept back.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.lock().kept_bytes
    }

    /// Waits until something has arrived that is kept back, and gives how many bytes.
    pub(super) fn wait_until_it_keeps(&self) -> u64 {
        let is_empty = |state: &mut State| state.kept_bytes == 0;
        let waited = self.changed.wait_timeout_while(self.lock(), ARRIVAL_MAX, is_empty);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "nothing arrives at the gate");
        state.kept_bytes
    }

    /// Waits until so many bytes may pass; gives how many of them at a time.
    pub(super) fn pass(&self, bytes: usize) -> usize {
        let mut state = self.lock();
        if let Some(left) = state.left_bytes {
            state.is_shut |= left < bytes as u64;
            state.left_bytes = Some(left.saturating_sub(bytes as u64));
        }
        if state.is_shut {
            state.kept_bytes += bytes as u64;
            self.changed.notify_all();
            state = self.changed.wait_while(state, |state| state.is_shut).unwrap_or_else(PoisonError::into_inner);
            state.kept_bytes -= bytes as u64;
        }
        if state.is_narrow { NARROW_BYTES } else { bytes.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
