//! What is left of something in files, byte by byte.

use std::fs;
use std::path::PathBuf;

/// Bytes that no compression makes smaller, so that they can be found wherever they are packed.
pub fn secret(number: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ number;
    let step = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        state.to_le_bytes()
    };
    (0..40).flat_map(|_| step(&mut state)).collect()
}

/// The files of a folder and those below it that hold some bytes.
///
/// # Panics
///
/// A folder cannot be read.
pub fn holders(folder: PathBuf, needle: &[u8]) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle)) {
                found.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
            }
        }
    }
    found.sort();
    found
}
