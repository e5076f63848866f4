//! What happened, as a hash and as text.

use std::fmt::Write;

/// A record of everything that happened in a world: equal seeds give equal traces, in every process.
#[derive(Debug, Default)]
pub struct Trace {
    hasher: blake3::Hasher,
    lines: Option<String>,
}

impl Trace {
    /// A record that keeps every line, for reading.
    pub fn readable() -> Self {
        Self { hasher: blake3::Hasher::new(), lines: Some(String::new()) }
    }

    /// Notes what happened, and with what bytes.
    pub fn note(&mut self, what: &str, bytes: &[u8]) {
        self.hasher.update(what.as_bytes());
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
        if let Some(lines) = &mut self.lines {
            let digest = blake3::hash(bytes).to_hex();
            writeln!(lines, "{what} {} bytes {}", bytes.len(), &digest[..8]).expect("a string takes every line");
        }
    }

    /// The hash of everything noted so far.
    pub fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    /// The lines, where they are kept.
    pub fn lines(&self) -> &str {
        self.lines.as_deref().unwrap_or_default()
    }
}
