//! The compression of snapshots on the disk: LZMA, by which the columns of a saved document take about a tenth less than by zstd at
//! its highest level. Inflating takes longer, which is still a fraction of what the engine takes to load the document.

use lzma_rust2::{LzmaOptions, LzmaReader, LzmaWriter};
use std::io::{Read, Write};

/// The preset: those above it have a larger window and are no different in anything else. Of what the model can be told of the
/// bytes, its usual is best for these columns.
const PRESET: u32 = 6;
/// How far back repetitions are looked for, in bytes. Compressing takes about twelve times as much memory.
const WINDOW_BYTES_MAX: usize = 8 << 20;
const WINDOW_BYTES_MIN: usize = 4 << 10;

/// The window for so many bytes.
fn window_bytes(bytes: usize) -> u32 {
    let bytes = bytes.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX).next_power_of_two();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The settings for so many bytes.
fn options(bytes: usize) -> LzmaOptions {
    LzmaOptions { dict_size: window_bytes(bytes), ..LzmaOptions::with_preset(PRESET) }
}

/// Compresses bytes; whoever decompresses them has to know how many they are.
pub(super) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut writer = LzmaWriter::new_no_header(Vec::new(), &options(bytes.len()), false).ok()?;
    writer.write_all(bytes).ok()?;
    writer.finish().ok()
}

/// So many bytes that were compressed, the hash of which the caller has compared; `None` where they are not as many.
pub(super) fn decompress(compressed: &[u8], bytes: usize) -> Option<Vec<u8>> {
    let (length, options) = (bytes as u64, options(bytes));
    let (props, window) = (options.get_props(), options.dict_size);
    let mut reader = LzmaReader::new_with_props(compressed, length, props, window, None).ok()?;
    reader.set_relaxed_end_condition(false);
    let mut inflated = Vec::new();
    reader.read_to_end(&mut inflated).ok()?;
    (inflated.len() == bytes).then_some(inflated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(bytes in proptest::collection::vec(0_u8..4, 0..20_000), cut in any::<prop::sample::Index>()) {
            let compressed = compress(&bytes).unwrap();
            prop_assert_eq!(decompress(&compressed, bytes.len()), Some(bytes.clone()));
            prop_assert_eq!(decompress(&compressed[..cut.index(compressed.len())], bytes.len()), None);
        }

        #[test]
        fn fuzz_whatever_is_inflated_is_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200), length in 0_usize..5_000) {
            let _ = decompress(&bytes, length);
        }
    }

    #[test]
    fn what_repeats_far_apart_is_found() {
        let noise: Vec<u8> = crate::testing::noise(1, 1 << 20).into_bytes();
        let bytes = [&noise[..], &noise].concat();
        let (once, twice) = (compress(&noise).unwrap(), compress(&bytes).unwrap());
        assert!(twice.len() < once.len() + once.len() / 100, "{} and {}", once.len(), twice.len());
        assert_eq!(decompress(&twice, bytes.len()), Some(bytes));
    }
}
