//! The form of a segment's chunks on the disk. This is the one place that knows it.

use afield_core::Limits;
use afield_core::wire::{BatchChunk, DecodedChunk, decode_batch, encode_batch_at_rest};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Encodes chunks; nothing when there are none.
pub(super) fn encode(chunks: &[BatchChunk<'_>]) -> Vec<u8> {
    if chunks.is_empty() { Vec::new() } else { encode_batch_at_rest(chunks.iter().copied()) }
}

/// Decodes what [`encode`] made; `None` when it has decayed.
pub(super) fn decode(body: &[u8]) -> Option<Vec<DecodedChunk>> {
    if body.is_empty() {
        return Some(Vec::new());
    }
    // What a disk has made of the bytes may be anything.
    catch_unwind(AssertUnwindSafe(|| decode_batch(body, &Limits::DEFAULT))).ok()?.ok()
}
