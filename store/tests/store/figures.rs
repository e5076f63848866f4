//! What an edit costs, and how the store does with ten thousand changes.

use crate::help::*;
use afield_core::{ChangeHash, Collection};
use afield_store::{
    Arrival, EntityWrite, FaultPoint, LoadFrom, NewChange, OpenOptions, OutboxPosition, ReceivedChange, Run, Settled,
    Store,
};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const MANY: u32 = 10_000;

#[test]
fn an_edit_of_a_known_entity_is_three_writing_statements_and_one_commit() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    store.inject(Box::new(move |point| {
        log.lock().unwrap().push(point);
        None
    }));
    edit(&mut store, entity(1), &[2]);
    let expected = [
        FaultPoint::BeforeStatement(1),
        FaultPoint::BeforeStatement(2),
        FaultPoint::BeforeStatement(3),
        FaultPoint::BeforeCommit,
        FaultPoint::AfterCommit,
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

fn rate(what: &str, rows: u32, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    println!("{what}: {rows} in {:.0} ms, {:.0} per second", seconds * 1e3, f64::from(rows) / seconds);
    // A hundred times what a slow disk needs: only a cost that grows with the store would pass it.
    assert!(seconds < 60.0, "{what} took {seconds} s");
}

#[test]
fn ten_thousand_changes_are_appended_received_settled_and_sent_in_acceptable_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("a.db"), &OpenOptions::default()).unwrap();
    prepare(&mut store);
    let contents: Vec<(ChangeHash, Vec<u8>)> = (0..2 * MANY).map(|number| (hash(number), bytes(number))).collect();
    let (local, remote) = contents.split_at(MANY as usize);
    let notes = notes();

    append_many(&mut store, local, &notes);
    send_many(&mut store);
    receive_many(&mut store, remote, &notes);
    settle_many(&mut store, remote);

    let start = Instant::now();
    for (number, (_, bytes)) in (0..1_000_u32).zip(local) {
        let new = [NewChange { hash: hash(MANY * 3 + number), bytes, arrival: Arrival::Applied }];
        let shown = projection("an edit");
        let write = EntityWrite {
            space: space(1),
            entity: entity(7),
            collection: &notes,
            changes: &new,
            projection: Some(&shown),
        };
        let _ = store.append(&[write], AT_MS).unwrap();
    }
    rate("edits, each a transaction of its own", 1_000, start);
    let start = Instant::now();
    let _ = store.reset(space(2), log(9), 0).unwrap();
    rate("marks cleared by a reset", MANY, start);
    sound(&store);
}

fn append_many(store: &mut Store, local: &[(ChangeHash, Vec<u8>)], notes: &Collection) {
    let start = Instant::now();
    let changes: Vec<_> =
        local.iter().map(|(hash, bytes)| NewChange { hash: *hash, bytes, arrival: Arrival::Applied }).collect();
    let shown = projection("many");
    let writes: Vec<_> = changes
        .chunks(3)
        .zip(0..)
        .map(|(changes, id)| EntityWrite {
            space: space(1),
            entity: entity(id),
            collection: notes,
            changes,
            projection: Some(&shown),
        })
        .collect();
    assert_eq!(store.append(&writes, AT_MS).unwrap().into_inner(), u64::from(MANY));
    rate("appended in one transaction, 3 per entity", MANY, start);
}

fn send_many(store: &mut Store) {
    let start = Instant::now();
    let (mut sent, mut after) = (0, OutboxPosition::START);
    loop {
        let page = store.outbox(space(1), after, 1_000, usize::MAX).unwrap().into_inner();
        let Some(last) = page.last() else { break };
        after = last.position;
        sent += page.len() as u32;
    }
    assert_eq!(sent, MANY);
    rate("read from the outbox, 1,000 a page", MANY, start);
}

fn receive_many(store: &mut Store, remote: &[(ChangeHash, Vec<u8>)], notes: &Collection) {
    let start = Instant::now();
    let expected = cursor(store, space(2));
    let received: Vec<_> = remote
        .iter()
        .zip(1..)
        .map(|((hash, bytes), number)| ReceivedChange {
            entity: entity(20_000 + (number / 3) as u16),
            collection: notes,
            hash: *hash,
            sequence: sequence(number),
            bytes,
        })
        .collect();
    let cursor_after = afield_core::Cursor { sequence: sequence(u64::from(MANY)), ..expected };
    let run = Run {
        space: space(2),
        expected,
        cursor_after,
        received: &received,
        erasures: &[],
        unreadable: &[],
        proofs: &[],
        left_out: None,
    };
    assert_eq!(store.receive(&run, AT_MS).unwrap().added, u64::from(MANY));
    rate("received in one transaction, 3 per entity", MANY, start);
}

fn settle_many(store: &mut Store, remote: &[(ChangeHash, Vec<u8>)]) {
    let start = Instant::now();
    let mut opened = 0;
    let pending = store.pending(None, usize::MAX).unwrap();
    for id in &pending {
        let stored = store.load(*id, LoadFrom::Snapshot).unwrap().unwrap();
        opened += stored.changes.len();
    }
    assert_eq!(opened, remote.len());
    rate("entities loaded", pending.len() as u32, start);
    let start = Instant::now();
    for id in &pending[..500] {
        let stored = store.load(*id, LoadFrom::Snapshot).unwrap().unwrap();
        let verdicts: Vec<_> = stored.changes.iter().map(|change| (change.hash, Settled::Applied)).collect();
        store.settle(&[settlement(*id, &verdicts, Some(&projection("settled")))], AT_MS).unwrap();
    }
    rate("entities settled, each a transaction of its own", 500, start);
}
