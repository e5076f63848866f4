//! What is small enough for a live message.

/// The most chunks with which a stream or an epoch begins, and the most of a live push: with more of them a batch, which is
/// compressed, is smaller.
const FEW_CHUNKS_MAX: usize = 20;
/// The most bytes that those have together, raw: a live message is never compressed, and large changes are mostly text.
const FEW_BYTES_MAX: usize = 4 * 1024;
/// The most chunks of live chunks within an epoch: what a batch would save is less than what the next epoch costs.
const SOME_CHUNKS_MAX: usize = 64;
/// The most bytes that those have together, raw.
const SOME_BYTES_MAX: usize = 12 * 1024;

/// Whether chunks are few and small enough to begin with.
pub(super) fn is_few(chunks: usize, bytes: usize) -> bool {
    chunks <= FEW_CHUNKS_MAX && bytes <= FEW_BYTES_MAX
}

/// Whether chunks are few and small enough to go on with.
pub(super) fn are_some(chunks: usize, bytes: usize) -> bool {
    chunks <= SOME_CHUNKS_MAX && bytes <= SOME_BYTES_MAX
}
