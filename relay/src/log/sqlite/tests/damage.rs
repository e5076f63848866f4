//! What damaged rows, and a file that takes nothing, cost: what they concern, and nothing else.

use super::archive::page_request;
use super::*;
use crate::testing::Author;
use afield_core::Filter;
use afield_core::session::PageAnswer;
use rusqlite::Connection;
use std::time::Duration;

/// A log in a file with two spaces, the first of which is the desk's.
struct Office {
    folder: tempfile::TempDir,
    desk: Desk,
    other: Cursor,
}

const OTHER: SpaceId = SpaceId::from_bytes([2; 16]);

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = Desk::with(SqliteLog::open(&folder.path().join("log.sqlite")).unwrap());
        let other = create(&mut desk.log, desk.principal, OTHER, 2);
        Self { folder, desk, other }
    }

    fn beside(&self) -> Connection {
        Connection::open(self.folder.path().join("log.sqlite")).unwrap()
    }

    /// Makes the last chunk of an entity unreadable: its chain hash is one byte.
    fn damage(&self, entity: u8) {
        let damaged = self.beside().execute(
            "UPDATE chunks SET chain = x'00' WHERE position =
                (SELECT max(position) FROM chunks WHERE entity = (SELECT number FROM entities WHERE id = ?1))",
            [[entity; 16]],
        );
        assert_eq!(damaged, Ok(1));
    }

    fn append(&mut self, requests: Vec<AppendRequest>) -> Result<Appended, LogError> {
        let requests = requests.into_iter().map(|request| (self.desk.principal, request)).collect();
        self.desk.log.append(requests, at(0)).map(Durable::into_inner)
    }

    fn of_other(&self, chunks: Vec<DecodedChunk>) -> AppendRequest {
        request(OTHER, self.other, chunks)
    }

    /// How many chunks of the desk's space anybody can read from a position.
    fn readable_after(&mut self, position: Cursor) -> usize {
        self.desk.run(position).entries().len()
    }
}

fn codes(answer: &AppendAnswer) -> Vec<Option<ChunkCode>> {
    match answer {
        AppendAnswer::Verdicts(verdicts) => verdicts.iter().map(code).collect(),
        other => panic!("{other:?}"),
    }
}

const UNAVAILABLE: Option<ChunkCode> = Some(ChunkCode::Unavailable);
const BLOCKED: Option<ChunkCode> = Some(ChunkCode::Blocked);

fn is_unavailable(answer: &AppendAnswer) -> bool {
    matches!(answer, AppendAnswer::Refused(SpaceCode::Unavailable))
}

#[test]
fn a_damaged_row_refuses_its_entity_and_everything_else_of_the_group_is_stored() {
    let mut office = Office::new();
    let mut damaged = Author::new(1, 1);
    let known = damaged.chunk("in the log");
    office.desk.push(vec![known.clone()]);
    office.desk.push(Author::new(9, 9).chunks(1));
    office.damage(1);
    let whole = Author::new(2, 2).chunk("of another entity");
    let beside = Author::new(3, 3).chunk("of another session");
    let elsewhere = Author::new(4, 4).chunk("of another space");
    let requests = vec![
        office.desk.request(vec![known, whole, damaged.chunk("behind it")]),
        office.desk.request(vec![beside]),
        office.of_other(vec![elsewhere]),
    ];
    let start = office.desk.told;
    let Appended { answers, runs } = office.append(requests).unwrap();
    let expected = [vec![UNAVAILABLE, None, BLOCKED], vec![None], vec![None]];
    assert_eq!(answers.iter().map(codes).collect::<Vec<_>>(), expected);
    assert_eq!(runs.iter().map(|(_, run)| run.entries().len()).sum::<usize>(), 3);
    assert_eq!(office.readable_after(start), 2, "R2, R9");
}

#[test]
fn the_damaged_row_of_a_space_refuses_that_space_alone() {
    let mut office = Office::new();
    let damaged = office.beside().execute("UPDATE spaces SET chain = x'00' WHERE id = ?1", [[1; 16]]);
    assert_eq!(damaged, Ok(1));
    let requests = vec![
        office.desk.request(Author::new(1, 1).chunks(1)),
        office.of_other(Author::new(2, 2).chunks(1)),
        office.desk.request(Author::new(3, 3).chunks(1)),
    ];
    let Appended { answers, .. } = office.append(requests).unwrap();
    assert!(is_unavailable(&answers[0]) && is_unavailable(&answers[2]), "{answers:?}");
    assert_eq!(codes(&answers[1]), [None]);

    let only = office.desk.request(Author::new(1, 1).chunks(1));
    let Appended { answers, runs } = office.append(vec![only]).unwrap();
    assert!(is_unavailable(&answers[0]) && runs.is_empty());
}

#[test]
fn a_push_of_many_damaged_entities_ends_in_one_answer() {
    let mut office = Office::new();
    let mut authors: Vec<_> = (1..=40).map(|number| Author::new(number, number)).collect();
    let known: Vec<_> = authors.iter_mut().map(|author| author.chunk("known")).collect();
    office.desk.push(known.clone());
    office.desk.push(Author::new(99, 99).chunks(1));
    office.beside().execute("UPDATE chunks SET chain = x'00' WHERE position & 0xffff <= 40", []).unwrap();
    let requests = vec![office.desk.request(known)];
    let Appended { answers, .. } = office.append(requests).unwrap();
    assert!(is_unavailable(&answers[0]), "{answers:?}");
}

#[test]
fn what_was_committed_is_answered_although_the_storage_fails_after_it() {
    for (point, stays) in [(FaultPoint::BeforeCommit, 2), (FaultPoint::AfterCommit, 3)] {
        let mut office = Office::new();
        let known = Author::new(1, 1).chunk("in the log");
        office.desk.push(vec![known.clone()]);
        office.desk.push(Author::new(9, 9).chunks(1));
        office.damage(1);
        let mut commits = 0;
        office.desk.log.inject_faults(move |at| {
            commits += i32::from(at == point);
            (at == point && commits == 3).then_some(Fault::Error)
        });
        let requests = vec![
            office.desk.request(Author::new(2, 2).chunks(1)),
            office.desk.request(vec![known]),
            office.desk.request(Author::new(3, 3).chunks(1)),
            office.desk.request(Author::new(4, 4).chunks(1)),
        ];
        let start = office.desk.told;
        let Appended { answers, runs } = office.append(requests).unwrap();
        assert_eq!(codes(&answers[0]), [None], "R1: it was committed");
        assert_eq!(codes(&answers[1]), [UNAVAILABLE]);
        assert!(is_unavailable(&answers[2]) && is_unavailable(&answers[3]), "no word about what nobody knows");
        assert_eq!(runs.len(), 1);
        assert_eq!(office.readable_after(start), stays - 1, "{point:?}");
    }
}

#[test]
fn a_file_that_may_not_be_written_refuses_what_is_new_and_reads_go_on() {
    let mut office = Office::new();
    let known = Author::new(1, 1).chunk("in the log");
    office.desk.push(vec![known.clone()]);
    office.desk.log.connection.pragma_update(None, "query_only", true).unwrap();
    let requests = vec![
        office.desk.request(vec![Author::new(2, 2).chunk("new"), known.clone()]),
        office.desk.request(vec![known.clone()]),
    ];
    let Appended { answers, runs } = office.append(requests).unwrap();
    assert_eq!(answers.iter().map(codes).collect::<Vec<_>>(), [vec![UNAVAILABLE, None], vec![None]]);
    assert!(runs.is_empty());
    let start = office.desk.start();
    assert_eq!(office.readable_after(start), 1);

    office.desk.log.connection.pragma_update(None, "query_only", false).unwrap();
    assert!(is_stored(&office.desk.push(vec![Author::new(2, 2).chunk("new")])[0]), "the control");
}

#[test]
fn a_file_that_another_process_holds_refuses_pushes_for_now_and_reads_go_on() {
    let mut office = Office::new();
    office.desk.push(Author::new(1, 1).chunks(1));
    office.desk.log.connection.busy_timeout(Duration::ZERO).unwrap();
    let beside = office.beside();
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let requests = vec![office.desk.request(Author::new(2, 2).chunks(1)), office.of_other(Author::new(3, 3).chunks(1))];
    let Appended { answers, runs } = office.append(requests).unwrap();
    assert!(answers.iter().all(is_unavailable) && runs.is_empty(), "{answers:?}");
    let start = office.desk.start();
    assert_eq!(office.readable_after(start), 1);

    beside.execute_batch("ROLLBACK").unwrap();
    assert!(is_stored(&office.desk.push(Author::new(2, 2).chunks(1))[0]), "the control");
}

#[test]
fn rows_that_contradict_each_other_refuse_the_entity_and_are_no_failure_of_the_storage() {
    let mut office = Office::new();
    let known = Author::new(1, 1).chunk("in the log");
    office.desk.push(vec![known.clone()]);
    // The next position is taken, although the space's row says that the log ends before it.
    let renamed = office.beside().execute("UPDATE chunks SET position = position + 1", []);
    assert_eq!(renamed, Ok(1));
    let requests = vec![office.desk.request(vec![Author::new(2, 2).chunk("at a place that is taken")])];
    let Appended { answers, .. } = office.append(requests).unwrap();
    assert_eq!(codes(&answers[0]), [UNAVAILABLE]);
}

#[test]
fn a_name_that_is_no_text_any_more_refuses_the_entities_under_it_alone() {
    let mut office = Office::new();
    let mut author = Author::new(1, 1);
    office.desk.push(author.chunks(1));
    let damaged = office.beside().execute("UPDATE collections SET name = CAST(x'ee6f746573' AS TEXT)", []);
    assert_eq!(damaged, Ok(1));
    let requests = vec![
        office.desk.request(vec![author.chunk("of that collection"), Author::new(2, 2).chunk("of a new entity")]),
        office.of_other(Author::new(3, 3).chunks(1)),
    ];
    let Appended { answers, .. } = office.append(requests).unwrap();
    assert_eq!(answers.iter().map(codes).collect::<Vec<_>>(), [vec![UNAVAILABLE, None], vec![None]]);
    assert!(!office.desk.log.failed, "the storage is whole");
}

/// What stands beside a log's file and belongs to it.
fn beside_the_log(folder: &tempfile::TempDir) -> [std::path::PathBuf; 2] {
    ["log.sqlite-wal", "log.sqlite-shm"].map(|name| folder.path().join(name))
}

#[test]
fn a_backup_beside_the_wal_of_another_file_is_refused_until_that_is_deleted() {
    let mut office = Office::new();
    let mut author = Author::new(1, 1);
    office.desk.push(author.chunks(20));
    let backup = office.desk.log.snapshot().unwrap();
    office.desk.push((2..=120).map(|number| Author::new(number, number).chunk(&"x".repeat(2_000))).collect());
    office.desk.log.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    office.desk.push(author.chunks(3));
    // A kill, and then the backup in the place of the file: its WAL is still there.
    let restored = tempfile::tempdir().unwrap();
    let path = restored.path().join("log.sqlite");
    let [wal, shm] = beside_the_log(&restored);
    std::fs::copy(&beside_the_log(&office.folder)[0], &wal).unwrap();
    std::fs::write(&path, &backup).unwrap();

    for _ in 0..2 {
        let error = SqliteLog::open(&path).unwrap_err();
        assert!(
            matches!(error, OpenLogError::Torn | OpenLogError::Contradiction { .. } | OpenLogError::Damaged(_)),
            "{error:?}"
        );
        assert!(error.to_string().contains("-wal"), "it says what to do: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), backup, "the backup is left alone");
    }
    std::fs::remove_file(wal).unwrap();
    std::fs::remove_file(shm).unwrap();
    office.desk.log = SqliteLog::open(&path).expect("the control");
    let start = office.desk.start();
    assert_eq!(office.readable_after(start), 20);
}

#[test]
fn a_backup_is_not_written_over_however_much_the_wal_of_another_file_holds() {
    let mut refused = 0;
    for commits in [20, 150, 400_usize] {
        let mut office = Office::new();
        let mut author = Author::new(1, 1);
        office.desk.push(author.chunks(120));
        let backup = office.desk.log.snapshot().unwrap();
        for number in 0..commits {
            let mut another = Author::new(number as u8, 2 + (number / 256) as u8);
            office.desk.push(vec![another.chunk(&"x".repeat(3_000))]);
        }
        let restored = tempfile::tempdir().unwrap();
        let path = restored.path().join("log.sqlite");
        let [wal, shm] = beside_the_log(&restored);
        std::fs::copy(&beside_the_log(&office.folder)[0], &wal).unwrap();
        std::fs::write(&path, &backup).unwrap();
        match SqliteLog::open(&path) {
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("-wal"), "it says what to do: {error}");
                assert_eq!(std::fs::read(&path).unwrap(), backup, "the backup is left alone");
                std::fs::remove_file(wal).unwrap();
                let _ = std::fs::remove_file(shm);
                office.desk.log = SqliteLog::open(&path).expect("the control");
                let start = office.desk.start();
                assert_eq!(office.readable_after(start), 120);
            }
            // The WAL held all that had changed since, so that the two are of one piece.
            Ok(log) => {
                office.desk.log = log;
                let start = office.desk.start();
                assert_eq!(office.readable_after(start), 120 + commits);
            }
        }
    }
    assert!(refused > 0, "no WAL was of another file, so this shows nothing");
}

#[test]
fn a_log_opens_although_a_row_is_damaged_and_not_where_a_head_and_its_last_row_disagree() {
    let cases = [
        ("UPDATE chunks SET chain = x'00'", true),
        ("UPDATE chunks SET chain = zeroblob(32) WHERE position & 0xff = 3", true),
        ("UPDATE chunks SET bytes = zeroblob(9)", true),
        ("DELETE FROM entities", true),
        ("UPDATE spaces SET chain = x'00' WHERE id = x'01010101010101010101010101010101'", true),
        ("DELETE FROM chunks WHERE position & 0xff = 3", false),
        ("DELETE FROM chunks", false),
        ("UPDATE spaces SET sequence = 2 WHERE sequence > 0", true),
        ("UPDATE spaces SET chain = zeroblob(32)", true),
        ("UPDATE spaces SET sequence = 2, chain = zeroblob(32)", false),
        ("UPDATE chunks SET position = position + 1 WHERE position & 0xff = 3", false),
        ("UPDATE chunks SET chain = zeroblob(32), hash = zeroblob(32) WHERE position & 0xff = 3", false),
    ];
    for (sql, opens) in cases {
        let mut office = Office::new();
        office.desk.push(Author::new(1, 1).chunks(3));
        office.beside().execute(sql, []).unwrap();
        let path = office.folder.path().join("log.sqlite");
        let opened = SqliteLog::open(&path);
        assert_eq!(opened.is_ok(), opens, "{sql}: {opened:?}");
        assert!(opens || matches!(opened, Err(OpenLogError::Contradiction { space }) if space == office.desk.space));
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_gone_is_not_made_anew_by_a_log_that_failed() {
    let mut office = Office::new();
    office.desk.push(Author::new(1, 1).chunks(2));
    let (path, away) = (office.folder.path().join("log.sqlite"), office.folder.path().join("away.sqlite"));
    std::fs::rename(&path, &away).unwrap();
    for nothing in [false, true] {
        if nothing {
            std::fs::write(&path, []).unwrap();
        }
        office.desk.log.failed = true;
        let wanted = read_request(office.desk.space, office.desk.told);
        let answer = office.desk.log.read(office.desk.principal, &wanted, at(0));
        assert!(matches!(answer, Err(LogError::Reopen(_))), "{answer:?}");
        assert_eq!(std::fs::metadata(&path).map_or(0, |file| file.len()), 0, "nothing is made in its place");
        assert_eq!(path.exists(), nothing);
    }
    std::fs::rename(&away, &path).unwrap();
    let start = office.desk.start();
    assert_eq!(office.readable_after(start), 2, "the control: it is there again");
}

#[cfg(unix)]
#[test]
fn a_file_that_is_put_in_the_place_of_the_log_is_noticed_and_opened() {
    let mut office = Office::new();
    let mut author = Author::new(1, 1);
    office.desk.push(author.chunks(2));
    let (kept, backup) = (office.desk.told, office.desk.log.snapshot().unwrap());
    office.desk.push(author.chunks(2));
    let lost = office.desk.told;
    let version = office.desk.log.foreign_version().unwrap();
    assert_eq!(office.desk.log.foreign_version().unwrap(), version, "the control");

    let (path, new) = (office.folder.path().join("log.sqlite"), office.folder.path().join("new.sqlite"));
    std::fs::write(&new, backup).unwrap();
    beside_the_log(&office.folder).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    std::fs::rename(new, path).unwrap();
    assert_ne!(office.desk.log.foreign_version().unwrap(), version, "R7");
    assert!(matches!(office.desk.read(lost), ReadAnswer::Reset(_)), "R4");
    office.desk.told = kept;
    assert!(is_stored(&office.desk.push(Author::new(2, 2).chunks(1))[0]));
    let there: i64 = office.beside().query_row("SELECT count(*) FROM chunks", [], |row| row.get(0)).unwrap();
    assert_eq!(there, 3, "R1: what is appended is in the file that is there");
}

#[test]
fn a_file_that_opens_for_reading_only_after_a_failure_goes_on_being_read() {
    let mut office = Office::new();
    let known = Author::new(1, 1).chunk("in the log");
    office.desk.push(vec![known.clone()]);
    office.desk.log.reopen = |_| Err(OpenLogError::ReadOnly);
    office.desk.log.failed = true;
    let start = office.desk.start();
    assert_eq!(office.readable_after(start), 1);
    let requests = vec![office.desk.request(vec![Author::new(2, 2).chunk("new"), known])];
    let Appended { answers, .. } = office.append(requests).unwrap();
    assert_eq!(answers.iter().map(codes).collect::<Vec<_>>(), [vec![UNAVAILABLE, None]]);

    office.desk.log.reopen = schema::open_file_again;
    assert!(is_stored(&office.desk.push(vec![Author::new(2, 2).chunk("new")])[0]), "the control: it takes more again");
    assert!(!office.desk.log.failed);
}

#[test]
fn a_chain_hash_that_decayed_is_told_to_nobody() {
    for (decayed, asked) in [(2, 2), (2, 3), (3, 3), (4, 3), (6, 6), (5, 6), (7, 6)] {
        let mut desk = Desk::new();
        let (mut anna, mut ben) = (Author::new(1, 1), Author::new(2, 2));
        let mut chunks: Vec<DecodedChunk> = Vec::new();
        for number in 0..3 {
            chunks.extend([anna.chunk(&format!("anna {number}")), ben.chunk(&format!("ben {number}"))]);
        }
        desk.push(chunks.clone());
        let start = desk.start();
        let right: Vec<_> = desk.run(start).entries().iter().map(|entry| entry.chain).collect();
        let sql = "UPDATE chunks SET chain = zeroblob(32) WHERE position & 0xff = ?1";
        assert_eq!(desk.log.connection.execute(sql, [decayed]), Ok(usize::from(decayed < 7)));
        let whole = desk.log.snapshot().unwrap();
        let wanted = chunks[asked - 1].clone();
        let entity = wanted.entity;
        let case = format!("{decayed} has decayed, {asked} is asked for");
        let verdict = desk.push(vec![wanted]).remove(0);
        let (sequence, chain) = (Sequence::new(asked as u64), right[asked - 1]);
        assert_eq!(verdict, ChunkVerdict::Duplicate { sequence, chain }, "{case}: R4");
        for filter in [Filter::nothing().entities([entity]), Filter::collections(["notes".parse().unwrap()])] {
            desk.log.restore(&whole).unwrap();
            let request = page_request(&desk, &filter, Sequence::ZERO, usize::MAX, false);
            let answer = desk.log.page(desk.principal, &request, at(0)).unwrap().into_inner();
            let PageAnswer::Page { run, .. } = answer else { panic!("{answer:?}") };
            let last = run.entries().last().unwrap();
            assert_eq!(last.chain, right[last.sequence.get() as usize - 1], "{case}: R4");
        }
    }
}
