//! A receipt goes out only after its commit is on disk (R1), seen from outside by the system calls of a real relay.

use afield_core::wire::{LiveMessage, Message, ToDevice};
use afield_tests::processes::agent::Command;
use afield_tests::processes::{
    Access, DeviceProcess, Program, RelayProcess, SystemCall, Trace, read_trace, required_tracer,
};
use std::collections::BTreeSet;
use std::path::Path;

/// How many edits are made, each after the receipt for the one before it.
const EDITS: usize = 50;

/// What a relay has done, in order, as far as receipts go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A file of the log was written to.
    Written(String),
    /// Everything written to a file of the log is on disk.
    Synced(String),
    /// A receipt was handed to the network.
    Receipt,
}

/// Why a trace breaks R1.
#[derive(Debug, PartialEq, Eq)]
enum Breach {
    /// A receipt went out while something written to the log was not on disk.
    Unsynced { receipt: usize },
    /// More receipts went out than transactions were on disk, though each push had one of its own.
    TooEarly { receipt: usize },
}

/// Checks that by each receipt every push acknowledged so far had its own write and its own sync behind it.
///
/// It holds for a device that makes one edit after the other's receipt: then the transaction of an edit cannot have
/// been written before the receipt for the one before it.
fn check(steps: &[Step]) -> Result<usize, Breach> {
    let mut written = BTreeSet::new();
    let (mut transactions, mut receipts) = (0, 0);
    for (place, step) in steps.iter().enumerate() {
        match step {
            Step::Written(file) => drop(written.insert(file)),
            Step::Synced(file) => transactions += usize::from(written.remove(file)),
            Step::Receipt if !written.is_empty() => return Err(Breach::Unsynced { receipt: place }),
            Step::Receipt => {
                receipts += 1;
                if receipts > transactions {
                    return Err(Breach::TooEarly { receipt: place });
                }
            }
        }
    }
    Ok(receipts)
}

/// Reads the steps after the last answer to an `Open` out of a trace.
///
/// A write and a receipt count from their start, a sync from its end: each is taken at its worst.
fn steps(calls: &[SystemCall], log: &Path) -> Vec<Step> {
    let mut placed: Vec<(usize, Step)> = Vec::new();
    let mut opened = 0;
    for call in calls {
        let file = call.target().filter(|target| target.starts_with(&*log.to_string_lossy()));
        if let Some(file) = file {
            match call.is_sync() {
                true if call.result == Some(0) => placed.push((call.ended, Step::Synced(file))),
                true => {}
                false => placed.push((call.started, Step::Written(file))),
            }
        } else if call.is_to_network() {
            let bytes = call.bytes();
            for message in messages(&bytes) {
                if LiveMessage::open(message).expect("the relay sends well-formed messages").is_some() {
                    continue;
                }
                match Message::open(message).expect("the relay sends well-formed messages").to_device() {
                    Ok(ToDevice::CaughtUp(_)) => opened = call.started,
                    Ok(ToDevice::Receipt(_)) => placed.push((call.started, Step::Receipt)),
                    Ok(_) => {}
                    Err(error) => panic!("the relay sends well-formed frames: {error}"),
                }
            }
        }
    }
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().filter(|(place, _)| *place > opened).map(|(_, step)| step).collect()
}

/// The messages in bytes that a relay sent: whole frames without masks (RFC 6455, section 5.2), or an HTTP answer.
fn messages(mut bytes: &[u8]) -> Vec<&[u8]> {
    const BINARY: u8 = 0x82;
    let mut messages = Vec::new();
    if bytes.starts_with(b"HTTP/") {
        let end =
            bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("the head of an answer is one write");
        bytes = &bytes[end + 4..];
    }
    while let [start, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => panic!("nothing in this test is that large"),
            length => (usize::from(*length), rest),
        };
        let (payload, rest) = rest.split_at(length);
        if *start == BINARY {
            messages.push(payload);
        }
        bytes = rest;
    }
    messages
}

#[test]
fn no_receipt_leaves_before_its_sync_has_returned() {
    let Some(tracer) = required_tracer() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path().canonicalize().expect("the folder is there");
    let trace = Trace::of_writes(&tracer, at.join("relay.trace"));
    let program = Program::new(env!("CARGO_BIN_EXE_relay_process"));
    let data = at.join("relay");
    let mut relay = RelayProcess::start_traced(&program, &data, Access::Open, trace.clone());
    let mut device = DeviceProcess::start(&Program::new(env!("CARGO_BIN_EXE_device_process")), &at.join("device.db"));
    device.request(&Command::MakeSpace);
    device.request(&Command::Populate { entities: 1, changes: 1 });
    device.request(&Command::Connect { url: relay.url(), token: None });
    device.sync();
    device.request(&Command::Disconnect);
    device.request(&Command::Connect { url: relay.url(), token: None });
    device.sync();
    device.request(&Command::Increment { times: EDITS as u64 });
    drop(device);
    relay.stop();

    let calls = read_trace(trace.file()).expect("the trace is there");
    let steps = steps(&calls, &data.join("log.sqlite"));
    assert_eq!(check(&steps), Ok(EDITS), "R1");
}

#[test]
fn a_receipt_before_its_sync_would_be_noticed() {
    let (written, synced) = (|| Step::Written("wal".to_owned()), || Step::Synced("wal".to_owned()));
    let receipt = || Step::Receipt;
    assert_eq!(check(&[written(), synced(), receipt(), written(), synced(), receipt()]), Ok(2));
    assert_eq!(check(&[written(), receipt(), synced()]), Err(Breach::Unsynced { receipt: 1 }));
    assert_eq!(check(&[receipt(), written(), synced(), receipt()]), Err(Breach::TooEarly { receipt: 0 }));
    let twice = [written(), synced(), receipt(), receipt(), written(), synced()];
    assert_eq!(check(&twice), Err(Breach::TooEarly { receipt: 3 }));
    let another = Step::Synced("database".to_owned());
    assert_eq!(check(&[written(), another, receipt()]), Err(Breach::Unsynced { receipt: 2 }));
}
