//! What makes the sync long enough to be killed in the middle: a journal of many small entities, and photos.

use super::device::Device;
use crate::failure::Failure;
use afield::{Path, Write};
use serde_json::json;

/// Entries that Ada adds to the journal.
pub(super) const JOURNAL_ENTRIES: u64 = 300;
/// Photos that Ben takes at first: more bytes than a device sends before it has a receipt.
pub(super) const PHOTOS: u64 = 40;
/// The size of a photo, in bytes.
pub(super) const PHOTO_BYTES: usize = 200_000;
const JOURNAL: &str = "journal";
const PHOTO_COLLECTION: &str = "photos";

/// Adds entries to the journal in one transaction.
pub(super) fn write_journal(device: &Device) -> Result<(), Failure> {
    let journal = device.space.collection::<()>(JOURNAL)?;
    let mut ids = Vec::new();
    for number in 0..JOURNAL_ENTRIES {
        ids.push(journal.json().insert(&json!({"day": number, "text": {"$text": format!("Day {number}. ")}}))?);
    }
    let _ = device.replica.transaction(|transaction| {
        for id in &ids {
            transaction.edit_fields(&journal, *id, |edit| Ok(edit.splice_text("text", 0, 0, "Sunny. ")?))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Takes photos; each gives the handle that tells when the relay has it.
pub(super) fn take_photos(device: &Device, first: u64, count: u64) -> Result<Vec<Write>, Failure> {
    let photos = device.space.collection::<()>(PHOTO_COLLECTION)?;
    let mut writes = Vec::new();
    for number in first..first + count {
        let id = photos.json().insert(&json!({"name": format!("photo-{number}.jpg")}))?;
        let photo = photos.entity(id)?;
        writes.push(photo.map(Path::ROOT).put("image", afield::Value::Bytes(noise(number)))?);
    }
    Ok(writes)
}

/// Bytes that no compression makes smaller, as those of a photo.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        // Xorshift64: as good as any other noise.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words = std::iter::repeat_with(|| next().to_le_bytes());
    words.take(PHOTO_BYTES.div_ceil(8)).flatten().take(PHOTO_BYTES).collect()
}
