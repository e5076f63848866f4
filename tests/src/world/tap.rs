//! Listening on a wire: which changes a receipt acknowledges.

use afield_core::change::ChangeHeader;
use afield_core::wire::{self, Message, PushNumber, ReceiptRun, ToDevice, ToRelay};
use afield_core::{ChangeHash, EntityId, Limits};
use std::collections::BTreeMap;

/// A change, by entity and hash.
pub type ChangeId = (EntityId, ChangeHash);

/// What went over one wire, as far as receipts need it.
#[derive(Debug, Default)]
pub(super) struct Tap {
    pushes: BTreeMap<PushNumber, Vec<ChangeId>>,
}

impl Tap {
    /// Notes a message of the device.
    pub(super) fn sent(&mut self, message: &[u8]) {
        let message = Message::open(message).expect("a device sends well-formed messages");
        if let ToRelay::Push(push) = message.to_relay().expect("a device sends well-formed frames") {
            let chunks = wire::decode_batch(push.batch, &Limits::DEFAULT).expect("a device sends well-formed batches");
            let header = |chunk: &wire::DecodedChunk| -> ChangeHash {
                let read: Result<ChangeHeader, _> = ChangeHeader::read(&chunk.bytes, &Limits::DEFAULT);
                read.expect("an honest device pushes well-formed changes").hash
            };
            self.pushes.insert(push.number, chunks.iter().map(|chunk| (chunk.entity, header(chunk))).collect());
        }
    }

    /// The changes that a message of the relay acknowledges.
    pub(super) fn acknowledged(&self, message: &[u8]) -> Vec<ChangeId> {
        let message = Message::open(message).expect("a relay sends well-formed messages");
        let ToDevice::Receipt(receipt) = message.to_device().expect("a relay sends well-formed frames") else {
            return Vec::new();
        };
        let Some(pushed) = self.pushes.get(&receipt.push) else { return Vec::new() };
        let mut pushed = pushed.iter().copied();
        let mut acknowledged = Vec::new();
        for run in receipt.runs {
            match run {
                ReceiptRun::Stored { count, .. } | ReceiptRun::Duplicate { count, .. } => {
                    acknowledged.extend(pushed.by_ref().take(count as usize));
                }
                ReceiptRun::Refused { count, .. } => pushed.by_ref().take(count as usize).for_each(drop),
            }
        }
        acknowledged
    }
}
