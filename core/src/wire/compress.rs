//! zstd with every size known before a byte is inflated.

use crate::limits::inflated_bytes_max;
use std::io::{self, Write};
use zstd::bulk::Decompressor;
use zstd::stream::write::Encoder;
use zstd::zstd_safe::find_frame_compressed_size;

/// The level of compression: above it zstd costs more time than it saves bytes on frames of this size.
pub(super) const LEVEL: i32 = 3;
/// The level for what is written once and kept, as a relay's segments are.
pub(super) const LEVEL_AT_REST: i32 = 9;
/// The number that a zstd frame starts with, and that batches leave out.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why bytes did not inflate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// The stated size is more than so many bytes may inflate to.
    #[error("{found} inflated bytes are stated, at most {maximum} are allowed")]
    TooLarge {
        /// The stated size.
        found: u64,
        /// The most that is allowed.
        maximum: usize,
    },
    /// The bytes are not exactly one frame of zstd's.
    #[error("the bytes are not exactly one zstd frame")]
    NotZstd,
    /// The frame inflates to another size than stated.
    #[error("{needed} inflated bytes are stated, {found} found")]
    WrongSize {
        /// The stated size.
        needed: usize,
        /// The size found; at least this when the frame holds more than stated.
        found: usize,
    },
}

/// Compresses sections as one frame, with a new block for each section, so that each gets its own table of symbols.
///
/// The frame states neither its size nor a checksum: both stand elsewhere. `None` when it would not be inflated again,
/// because it is smaller than the limits allow for.
pub(super) fn deflate(sections: &[&[u8]]) -> Option<Vec<u8>> {
    let inflated = inflated_bytes(sections);
    deflate_sections(sections, inflated, LEVEL).ok().filter(|frame| inflated <= inflated_bytes_max(frame.len()))
}

/// As [`deflate`], for a frame that travels without the number that it starts with: the limits count what travels.
pub(super) fn deflate_without_magic(sections: &[&[u8]], level: i32) -> Option<Vec<u8>> {
    let inflated = inflated_bytes(sections);
    let frame = deflate_sections(sections, inflated, level).ok()?;
    frame.strip_prefix(&MAGIC).filter(|frame| inflated <= inflated_bytes_max(frame.len())).map(<[u8]>::to_vec)
}

fn inflated_bytes(sections: &[&[u8]]) -> usize {
    sections.iter().map(|section| section.len()).sum()
}

fn deflate_sections(sections: &[&[u8]], inflated: usize, level: i32) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(Vec::with_capacity(inflated / 2), level)?;
    encoder.include_contentsize(false)?;
    encoder.set_pledged_src_size(Some(inflated as u64))?;
    let mut sections = sections.iter().filter(|section| !section.is_empty()).peekable();
    while let Some(section) = sections.next() {
        encoder.write_all(section)?;
        if sections.peek().is_some() {
            encoder.flush()?;
        }
    }
    encoder.finish()
}

/// Checks a stated size before anything is inflated.
pub(super) fn check_stated(stated: u64, compressed: usize) -> Result<usize, InflateError> {
    let maximum = inflated_bytes_max(compressed);
    usize::try_from(stated)
        .ok()
        .filter(|stated| *stated <= maximum)
        .ok_or(InflateError::TooLarge { found: stated, maximum })
}

/// Inflates one frame to exactly `stated` bytes.
pub(super) fn inflate(frame: &[u8], stated: usize) -> Result<Vec<u8>, InflateError> {
    if find_frame_compressed_size(frame) != Ok(frame.len()) {
        return Err(InflateError::NotZstd);
    }
    // One byte of room more than stated tells a frame that holds more from one that fits.
    let room = stated.saturating_add(1);
    let mut inflated = Vec::with_capacity(room);
    let found = Decompressor::new()
        .and_then(|mut decompressor| decompressor.decompress_to_buffer(frame, &mut inflated))
        .map_err(|_| InflateError::NotZstd)?;
    if found == stated { Ok(inflated) } else { Err(InflateError::WrongSize { needed: stated, found }) }
}

/// The frame with the number that it starts with.
pub(super) fn with_magic(frame: &[u8]) -> Vec<u8> {
    [&MAGIC, frame].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_inflates_to_its_stated_size_and_no_other() {
        let text = b"some text that repeats itself, some text that repeats itself".repeat(5);
        let frame = deflate(&[&text, &[], b"another section"]).unwrap();
        let whole = [&text[..], b"another section"].concat();
        assert_eq!(inflate(&frame, whole.len()), Ok(whole.clone()));
        assert!(inflate(&frame, whole.len() - 1).is_err());
        assert_eq!(
            inflate(&frame, whole.len() + 1),
            Err(InflateError::WrongSize { needed: whole.len() + 1, found: whole.len() })
        );
        assert_eq!(inflate(&frame[..frame.len() - 1], whole.len()), Err(InflateError::NotZstd));
        assert_eq!(inflate(&[&frame[..], &[0]].concat(), whole.len()), Err(InflateError::NotZstd));
        assert_eq!(inflate(&[&frame[..], &frame[..]].concat(), whole.len()), Err(InflateError::NotZstd));
        let headless = deflate_without_magic(&[&text, &[], b"another section"], LEVEL).unwrap();
        assert_eq!(with_magic(&headless), frame);
    }

    #[test]
    fn what_would_look_like_a_bomb_is_not_compressed() {
        assert!(deflate(&[&[0; 400]]).is_some());
        assert!(deflate(&[&vec![0; 1 << 20]]).is_none());
        for inflated in 1..4_000 {
            let zeros = vec![0; inflated];
            for frame in [deflate(&[&zeros]), deflate_without_magic(&[&zeros], LEVEL)].into_iter().flatten() {
                assert!(check_stated(inflated as u64, frame.len()).is_ok(), "{inflated}");
            }
        }
        assert!(check_stated(1600, 16).is_ok());
        assert_eq!(check_stated(1601, 16), Err(InflateError::TooLarge { found: 1601, maximum: 1600 }));
    }
}
