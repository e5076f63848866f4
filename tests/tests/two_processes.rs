//! One store, two processes: others read while one writes, and a second writer waits and is told who holds it.

use afield::{OpenError, ReadOnlyReplica, Replica, ReplicaError};
use afield_tests::processes::agent::Command;
use afield_tests::processes::{DeviceProcess, Program};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a second writer waits when nobody has said anything else.
const WRITER_WAIT: Duration = Duration::from_secs(5);
/// How long it may take beside that on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many notes the writing process edits, and how many edits it makes while others read.
const NOTES: usize = 7;
const EDITS: usize = 50;

fn writer(store: &Path) -> DeviceProcess {
    let mut writer = DeviceProcess::start(&Program::new(env!("CARGO_BIN_EXE_device_process")), store);
    writer.request(&Command::MakeSpace);
    writer.request(&Command::Populate { entities: NOTES, changes: 1 });
    writer
}

/// How many changes somebody who only reads finds in a store.
fn changes(beside: &ReadOnlyReplica) -> u64 {
    beside.status().expect("a store that is written can be read").pending_changes
}

#[test]
fn a_second_process_reads_while_another_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("notes.db");
    let mut writer = writer(&store);
    let beside = ReadOnlyReplica::open(&store).unwrap();
    let space = beside.spaces().unwrap().remove(0);
    let before = changes(&beside);
    writer.request(&Command::Load);
    for _ in 0..EDITS {
        writer.wait_for_edits(1);
        let (found, returned) = (changes(&beside), writer.seen().stored.len() as u64);
        assert!(found >= before + returned, "what had returned there is read here: {found} of {returned} and {before}");
        let notes = space.list("notes").unwrap();
        assert_eq!(notes.len(), NOTES);
        assert!(notes.iter().all(|(_, note)| note["project"].is_string()), "each as a whole: {notes:?}");
    }
    writer.request(&Command::Rest);
    assert_eq!(beside.verify().unwrap(), []);
    assert_eq!(changes(&beside), writer.request(&Command::Status)["pending_changes"].as_u64().unwrap());
}

#[test]
fn a_second_writer_waits_five_seconds_and_then_names_the_process_that_holds_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("notes.db");
    let mut writer = writer(&store);
    writer.request(&Command::Load);
    let began = Instant::now();
    let refused = Replica::open(&store).map(drop);
    let waited = began.elapsed();
    let Err(ReplicaError::Open(error @ OpenError::Locked { holder: Some(holder) })) = &refused else {
        panic!("{refused:?}")
    };
    assert!(waited >= WRITER_WAIT && waited < WRITER_WAIT + PATIENCE, "{waited:?}");
    assert_eq!(holder.process, writer.process());
    assert!(error.to_string().contains(&writer.process().to_string()), "{error}");
    assert!(holder.program.starts_with("device_process"), "{holder}");
    writer.wait_for_edits(1);
}

#[test]
fn a_second_writer_that_waits_gets_the_store_once_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("notes.db");
    let mut writer = writer(&store);
    writer.request(&Command::Load);
    writer.wait_for_edits(1);
    let (mut opened, began) = (None, Instant::now());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| Replica::options().writer_wait(PATIENCE).open(&store));
        writer.wait_for_edits(EDITS);
        assert!(!waiting.is_finished(), "the control: it is held");
        writer.kill();
        opened = Some(waiting.join().unwrap());
    });
    let replica = opened.unwrap().unwrap();
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let notes = replica.spaces().unwrap().remove(0).collection::<()>("notes").unwrap();
    assert_eq!(notes.ids().unwrap().len(), NOTES);
}
