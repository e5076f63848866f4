use super::positions::{Asked, Item, Positions};
use super::row::SpaceRow;
use super::transaction::Purpose;
use super::*;
use crate::log::Inconsistency;
use crate::testing::Author;
use afield_core::session::{LogEntry, PageAnswer, PageRequest};
use afield_core::{ChainHash, EntityId, Filter};

#[test]
fn a_reader_gets_everything_after_its_position_once_and_in_order() {
    let mut desk = Desk::new();
    let chunks = Author::new(1, 1).chunks(40);
    desk.push(chunks.clone());
    let mut position = desk.start();
    let mut received = Vec::new();
    loop {
        let wanted = ReadRequest { bytes_max: 500, ..read_request(desk.space, position) };
        let answer = desk.log.read(desk.principal, &wanted, at(0)).unwrap().into_inner();
        let ReadAnswer::Run { run, .. } = answer else { panic!("{answer:?}") };
        assert!(run.entries().iter().map(|entry| entry.bytes.len()).sum::<usize>() <= 500);
        if run.entries().is_empty() {
            break;
        }
        position = run.after();
        received.extend(run.entries().iter().map(|entry| entry.bytes.clone()));
    }
    assert_eq!(received, chunks.into_iter().map(|chunk| chunk.bytes).collect::<Vec<_>>(), "R9");
    assert_eq!(position, desk.told);
}

#[test]
fn one_chunk_is_read_however_little_is_asked_for() {
    let mut desk = Desk::new();
    desk.push(Author::new(1, 1).chunks(3));
    let wanted = ReadRequest { bytes_max: 1, ..read_request(desk.space, desk.start()) };
    let answer = desk.log.read(desk.principal, &wanted, at(0)).unwrap().into_inner();
    assert!(matches!(answer, ReadAnswer::Run { run, .. } if sequences(&run) == [Sequence::new(1)]));
}

/// Every way in which a position can fail to belong to a log.
fn strangers(desk: &Desk, past: Cursor) -> Vec<(&'static str, Cursor)> {
    let other = ChainHash::start(LogId::from_bytes([200; 16]));
    vec![
        ("another log", Cursor { log: LogId::from_bytes([200; 16]), ..past }),
        ("another log's start", Cursor::start(LogId::from_bytes([200; 16]))),
        ("another chain below the head", Cursor { chain: other, ..past }),
        ("another chain at the head", Cursor { chain: other, ..desk.told }),
        ("another chain at the start", Cursor { chain: other, ..desk.start() }),
        ("beyond the head", Cursor { sequence: desk.told.sequence.next(), ..desk.told }),
        ("far beyond the head", Cursor { sequence: Sequence::new(u64::MAX), ..desk.told }),
    ]
}

#[test]
fn a_position_that_does_not_belong_to_the_log_is_a_reset_in_every_answer() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    desk.push(author.chunks(2));
    let past = desk.told;
    desk.push(author.chunks(2));
    let (head, log) = (desk.told, desk.told.log);
    for (name, stranger) in strangers(&desk, past) {
        let opened = open(&mut desk.log, desk.principal, desk.space, Some(stranger), true);
        assert!(matches!(opened, OpenAnswer::Reset(id) if id == log), "{name}: {opened:?}");
        assert!(matches!(desk.read(stranger), ReadAnswer::Reset(id) if id == log), "{name}: read (R4)");
        let told_wrong = ReadRequest { told: stranger, ..read_request(desk.space, past) };
        let answer = desk.log.read(desk.principal, &told_wrong, at(0)).unwrap().into_inner();
        assert!(matches!(answer, ReadAnswer::Reset(id) if id == log), "{name}: read, told");
        let refused = request(desk.space, stranger, vec![Author::new(2, 2).chunk("x")]);
        let answer = append(&mut desk.log, desk.principal, refused);
        assert!(matches!(answer, AppendAnswer::Reset(id) if id == log), "{name}: append");
    }
    for good in [desk.start(), past, head] {
        let opened = open(&mut desk.log, desk.principal, desk.space, Some(good), false);
        assert!(matches!(opened, OpenAnswer::Served { position, .. } if position == good), "the control");
        assert!(matches!(desk.read(good), ReadAnswer::Run { run, .. } if run.after() == head), "the control");
    }
    let start = desk.start();
    assert_eq!(desk.run(start).entries().len(), 4, "nothing was appended meanwhile");
}

#[test]
fn a_log_that_was_restored_and_written_past_old_positions_resets_them() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    desk.push(author.chunks(3));
    let (kept, backup) = (desk.told, desk.log.snapshot().unwrap());
    desk.push(author.chunks(2));
    let (lost, later) = (desk.told, desk.log.snapshot().unwrap());

    desk.log.restore(&backup).unwrap();
    assert!(matches!(desk.read(lost), ReadAnswer::Reset(_)), "beyond the head");
    desk.told = kept;
    desk.push(Author::new(2, 2).chunks(9));
    assert!(matches!(desk.read(lost), ReadAnswer::Reset(_)), "R4: the head is past it, the chain is another");
    assert_eq!(desk.run(kept).entries().len(), 9, "what the backup knew goes on");

    desk.log.restore(&later).unwrap();
    assert!(matches!(desk.read(lost), ReadAnswer::Run { .. }), "the restore was undone");
    desk.told = lost;
    assert!(is_stored(&desk.push(author.chunks(1))[0]));
}

#[test]
fn a_log_that_was_replaced_by_an_empty_one_is_created_anew_and_resets() {
    let mut desk = Desk::new();
    let empty = desk.log.snapshot().unwrap();
    desk.push(Author::new(1, 1).chunks(3));
    let lost = desk.told;
    desk.log.restore(&empty).unwrap();
    assert!(matches!(desk.read(lost), ReadAnswer::Reset(_)), "the same space, emptied");

    let mut fresh = SqliteLog::open_in_memory().unwrap();
    let principal = principal(&mut fresh, &NewToken { may_create: true, ..NewToken::default() }, 1);
    let opened = open(&mut fresh, principal, desk.space, Some(lost), true);
    assert!(matches!(opened, OpenAnswer::Reset(log) if log != lost.log), "{opened:?}");
    let opened = open(&mut fresh, principal, desk.space, Some(lost), false);
    assert!(matches!(opened, OpenAnswer::Reset(_)), "it exists now");
}

fn flip_a_stored_byte(log: &SqliteLog, sequence: i64) {
    let connection = &log.connection;
    let at = "WHERE position & 0xffffffff = ?1";
    let mut bytes: Vec<u8> =
        connection.query_row(&format!("SELECT bytes FROM chunks {at}"), [sequence], |row| row.get(0)).unwrap();
    bytes[20] ^= 1;
    let changed = connection.execute(&format!("UPDATE chunks SET bytes = ?2 {at}"), rusqlite::params![sequence, bytes]);
    assert_eq!(changed, Ok(1));
}

#[test]
fn a_decayed_chunk_is_read_as_it_is_and_repaired_by_whoever_still_has_it() {
    let mut desk = Desk::new();
    let chunks = Author::new(1, 1).chunks(3);
    desk.push(chunks.clone());
    flip_a_stored_byte(&desk.log, 2);
    let start = desk.start();
    let intact = |run: &LogRun| run.entries().iter().map(|entry| entry.is_intact()).collect::<Vec<_>>();
    let run = desk.run(start);
    assert_eq!(intact(&run), [true, false, true]);
    assert_eq!(run.entries()[1].hash, hash(&chunks[1]), "with the hash that entered the chain");
    assert_eq!(run.after(), desk.told, "the chain goes on");

    assert!(matches!(desk.push(chunks)[..], [_, ChunkVerdict::Duplicate { .. }, _]), "R5");
    let run = desk.run(start);
    assert_eq!(intact(&run), [true, true, true]);
    assert_eq!(run.after(), desk.told);
}

#[test]
fn a_decayed_chunk_is_asked_for_when_a_change_depends_on_it() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    let chunks = author.chunks(2);
    desk.push(chunks.clone());
    flip_a_stored_byte(&desk.log, 2);
    let (start, next) = (desk.start(), author.chunk("depends on it"));
    let decayed = vec![chunks[1].header.as_ref().unwrap().hash];
    assert!(!desk.run(start).entries()[1].is_intact());

    let missing = ChunkVerdict::Refused { code: ChunkCode::MissingDependencies, missing: decayed };
    assert_eq!(desk.push(vec![next.clone()]), [missing]);
    // A repair that is not committed is none.
    let mut failures = 1;
    desk.log.inject_faults(move |point| {
        failures -= i32::from(point == FaultPoint::BeforeCommit);
        (failures >= 0 && point == FaultPoint::BeforeCommit).then_some(Fault::Error)
    });
    let again = desk.request(chunks.clone());
    assert!(desk.log.append(vec![(desk.principal, again)], at(0)).is_err());
    assert_eq!(code(&desk.push(vec![next.clone()])[0]), Some(ChunkCode::MissingDependencies));

    let verdicts = desk.push(vec![chunks[1].clone(), next.clone()]);
    assert!(matches!(verdicts[..], [ChunkVerdict::Duplicate { .. }, ChunkVerdict::Stored { .. }]), "R5: {verdicts:?}");
    assert!(desk.run(start).entries().iter().all(LogEntry::is_intact));
    assert!(is_stored(&desk.push(vec![author.chunk("the next")])[0]), "the control: nothing is missing any more");
}

#[test]
fn a_chunk_whose_hash_decayed_is_repaired_and_not_called_a_fork() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    let chunks = author.chunks(1);
    desk.push(chunks.clone());
    for column in ["change", "hash"] {
        let connection = &desk.log.connection;
        assert_eq!(connection.execute(&format!("UPDATE chunks SET {column} = zeroblob(32)"), []), Ok(1));
        assert!(matches!(desk.push(chunks.clone())[..], [ChunkVerdict::Duplicate { .. }]), "R5: {column}");
        let start = desk.start();
        assert!(desk.run(start).entries()[0].is_intact());
    }
    assert!(is_stored(&desk.push(vec![author.chunk("depends on it")])[0]));
}

#[test]
fn a_chunk_that_is_gone_is_an_error_and_never_skipped() {
    let mut desk = Desk::new();
    desk.push(Author::new(1, 1).chunks(4));
    for missing in [4, 2] {
        assert_eq!(desk.log.connection.execute("DELETE FROM chunks WHERE position & 0xffff = ?1", [missing]), Ok(1));
        let wanted = read_request(desk.space, desk.start());
        let error = desk.log.read(desk.principal, &wanted, at(0)).unwrap_err();
        assert!(
            matches!(error, LogError::Inconsistent(Inconsistency::Gap(at)) if at == missing as u64),
            "R9: {error:?}"
        );
    }
}

#[test]
fn a_dependency_that_nobody_read_since_it_decayed_is_asked_for_too() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    let chunks = author.chunks(2);
    desk.push(chunks.clone());
    flip_a_stored_byte(&desk.log, 2);
    let next = author.chunk("depends on it");
    let decayed = vec![chunks[1].header.as_ref().unwrap().hash];
    let missing = ChunkVerdict::Refused { code: ChunkCode::MissingDependencies, missing: decayed };
    assert_eq!(desk.push(vec![next.clone()]), [missing], "R5");
    let verdicts = desk.push(vec![chunks[1].clone(), next]);
    assert!(matches!(verdicts[..], [ChunkVerdict::Duplicate { .. }, ChunkVerdict::Stored { .. }]), "{verdicts:?}");
    let start = desk.start();
    assert!(desk.run(start).entries().iter().all(LogEntry::is_intact));
}

#[test]
fn a_chunk_that_was_read_as_decayed_is_asked_for_by_whatever_rests_on_it() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    let first = author.chunk("first");
    let mut beside = author.fork(2);
    let concurrent = beside.chunk("concurrent");
    desk.push([vec![first.clone()], author.chunks(3), vec![concurrent.clone()]].concat());
    flip_a_stored_byte(&desk.log, 1);
    flip_a_stored_byte(&desk.log, 5);
    let start = desk.start();
    desk.run(start);
    let next = author.chunk("rests on the first by way of three others");
    // Whoever wrote it may never have seen the concurrent change, and could not send it.
    let missing = vec![first.header.as_ref().unwrap().hash];
    assert_eq!(
        desk.push(vec![next.clone()]),
        [ChunkVerdict::Refused { code: ChunkCode::MissingDependencies, missing }]
    );
    let verdicts = desk.push(vec![first, next]);
    assert!(matches!(verdicts[..], [ChunkVerdict::Duplicate { .. }, ChunkVerdict::Stored { .. }]), "{verdicts:?}");
    assert!(is_stored(&desk.push(vec![author.chunk("the control: nothing it rests on is missing")])[0]));
    let intact: Vec<_> = desk.run(start).entries().iter().map(LogEntry::is_intact).collect();
    assert_eq!(intact, [true, true, true, true, false, true, true]);
    assert!(matches!(desk.push(vec![concurrent])[..], [ChunkVerdict::Duplicate { .. }]));
}

fn zero(log: &SqliteLog, column: &str, sequence: i64) {
    let sql = format!("UPDATE chunks SET {column} = zeroblob(32) WHERE position & 0xffffffff = ?1");
    assert_eq!(log.connection.execute(&sql, [sequence]), Ok(1));
}

/// How many rows have lost their hash or their chain hash.
fn zeroed(log: &SqliteLog) -> i64 {
    let sql = "SELECT count(*) FROM chunks WHERE hash = zeroblob(32) OR chain = zeroblob(32)";
    log.connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_hash_or_a_chain_hash_that_decayed_is_found_again_and_stored() {
    for column in ["hash", "chain"] {
        for sequence in 1..=4 {
            let mut desk = Desk::new();
            let chunks = Author::new(1, 1).chunks(4);
            desk.push(chunks.clone());
            let whole: Vec<_> = desk.run(desk.start()).entries().iter().map(|entry| entry.chain).collect();
            zero(&desk.log, column, sequence);
            // A run that ends at the row, and one that goes on.
            for bytes_max in [1, usize::MAX] {
                let position = if sequence == 1 { desk.start() } else { cursor_at(&desk, &whole, sequence - 1) };
                let wanted = ReadRequest { bytes_max, ..read_request(desk.space, position) };
                let answer = desk.log.read(desk.principal, &wanted, at(0)).unwrap().into_inner();
                let ReadAnswer::Run { run, .. } = answer else { panic!("{column} of {sequence}: {answer:?}") };
                assert!(run.entries().iter().all(LogEntry::is_intact), "{column} of {sequence}");
                let chains: Vec<_> = run.entries().iter().map(|entry| entry.chain).collect();
                let from = usize::try_from(sequence).unwrap() - 1;
                assert_eq!(chains, whole[from..from + chains.len()], "{column} of {sequence}");
            }
            assert_eq!(zeroed(&desk.log), 0, "{column} of {sequence} is stored");
        }
    }
}

fn cursor_at(desk: &Desk, chains: &[ChainHash], sequence: i64) -> Cursor {
    let sequence = u64::try_from(sequence).unwrap();
    let chain = chains[usize::try_from(sequence).unwrap() - 1];
    Cursor { log: desk.told.log, sequence: Sequence::new(sequence), chain }
}

#[test]
fn a_reader_that_stands_where_the_chain_hash_decayed_is_not_reset() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    desk.push(author.chunks(2));
    let cursor = desk.told;
    desk.push(author.chunks(2));
    zero(&desk.log, "chain", 2);
    let opened = open(&mut desk.log, desk.principal, desk.space, Some(cursor), false);
    assert!(matches!(opened, OpenAnswer::Served { position, .. } if position == cursor), "{opened:?}");
    assert_eq!(desk.run(cursor).after(), desk.told);
    let stranger = Cursor { chain: ChainHash::from_bytes([9; 32]), ..cursor };
    assert!(matches!(desk.read(stranger), ReadAnswer::Reset(_)), "R4: the control");
}

#[test]
fn a_row_whose_hashes_cannot_be_found_again_is_an_error_and_never_sent() {
    let mut desk = Desk::new();
    desk.push(Author::new(1, 1).chunks(4));
    zero(&desk.log, "hash", 2);
    flip_a_stored_byte(&desk.log, 2);
    let wanted = read_request(desk.space, desk.start());
    let error = desk.log.read(desk.principal, &wanted, at(0)).unwrap_err();
    assert!(matches!(error, LogError::Inconsistent(Inconsistency::Chain(2))), "{error:?}");
    assert!(error.is_damage());
}

fn page_of(desk: &mut Desk, entities: impl IntoIterator<Item = EntityId>) -> LogRun {
    let request = PageRequest {
        channel: Channel(0),
        space: desk.space,
        number: afield_core::wire::FetchNumber(1),
        position: desk.start(),
        told: desk.start(),
        filter: std::sync::Arc::new(Filter::nothing().entities(entities)),
        after: Sequence::ZERO,
        snapshots: None,
        bytes_max: usize::MAX,
    };
    match desk.log.page(desk.principal, &request, at(0)).unwrap().into_inner() {
        PageAnswer::Page { run, done: true, .. } => run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hash_that_decayed_is_found_again_for_who_asks_for_the_entity_too() {
    for sequence in 1..=3 {
        let mut desk = Desk::new();
        let mut author = Author::new(1, 1);
        desk.push(author.chunks(3));
        zero(&desk.log, "hash", sequence);
        let run = page_of(&mut desk, [author.entity]);
        assert!(run.entries().len() == 3 && run.entries().iter().all(LogEntry::is_intact), "of {sequence}");
        assert_eq!(zeroed(&desk.log), 0, "of {sequence} it is stored");
    }
}

#[test]
fn a_page_looks_up_what_it_brings_and_not_all_that_was_asked_for() {
    let (entities, chunks) = (40, 100);
    let mut desk = Desk::new();
    for number in 1..=entities {
        desk.push(Author::new(number, number).chunks(chunks));
    }
    let transaction = desk.log.begin(Purpose::Read).unwrap();
    let space = SpaceRow::find(&transaction, desk.principal, desk.space, at(0)).unwrap().unwrap();
    let cache = Cache::default();
    let archive = crate::log::sqlite::archive::Archive::new(&transaction, &cache);
    let after = space.position(Sequence::ZERO);
    let asked = (1..=i64::from(entities)).map(|number| Asked { number, after, takes_snapshots: true });
    let mut positions = Positions::of(&archive, &space, asked).unwrap();
    let mut next = || positions.next().unwrap().map(|(position, _)| SpaceRow::sequence(position));
    let first: Vec<_> = (0..50).map(|_| next()).collect();
    assert_eq!(first, (1..=50).map(|sequence| Some(Sequence::new(sequence))).collect::<Vec<_>>());
    let looked_up = positions.looked_up();
    assert!(looked_up <= 4 * usize::from(entities) + 2 * 50 + 4, "R8: {looked_up} looked up");
    let mut rest = 50;
    while let Some((position, item)) = positions.next().unwrap() {
        rest += 1;
        assert_eq!((SpaceRow::sequence(position), item), (Sequence::new(rest), Item::Chunk), "R9: nothing is left out");
    }
    assert_eq!(rest, u64::from(entities) * chunks as u64, "the control");
}
