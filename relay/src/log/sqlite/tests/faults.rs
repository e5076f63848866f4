use super::*;
use crate::testing::Author;

#[test]
fn everything_is_there_after_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let chunks = Author::new(1, 1).chunks(3);
    desk.push(chunks.clone());
    let Desk { principal, space, told, log } = desk;
    drop(log);
    let mut desk = Desk { log: SqliteLog::open(&path).unwrap(), principal, space, told };
    let start = desk.start();
    assert_eq!(desk.run(start).after(), told);
    assert!(desk.push(chunks).iter().all(|verdict| matches!(verdict, ChunkVerdict::Duplicate { .. })));
}

#[test]
fn a_crash_before_the_commit_leaves_nothing_and_one_after_it_everything() {
    for (point, stays) in [(FaultPoint::BeforeCommit, 0), (FaultPoint::AfterCommit, 3)] {
        for fault in [Fault::Error, Fault::Crash] {
            let mut desk = Desk::new();
            desk.log.inject_faults(move |at| (at == point).then_some(fault));
            let batch = vec![(desk.principal, desk.request(Author::new(1, 1).chunks(3)))];
            assert!(matches!(desk.log.append(batch, at(0)), Err(LogError::Injected)), "R1: no answer");
            let wanted = read_request(desk.space, desk.start());
            let alive = desk.log.read(desk.principal, &wanted, at(0)).is_ok();
            assert_eq!(alive, fault == Fault::Error, "a crashed log answers nothing");

            let Desk { log, principal, space, told } = desk;
            let log = SqliteLog::from_connection(log.into_connection()).unwrap();
            let mut desk = Desk { log, principal, space, told };
            let start = desk.start();
            assert_eq!(desk.run(start).entries().len(), stays, "{point:?}");
        }
    }
}

/// Lets the database grow by so many pages and no more.
fn room_for(log: &SqliteLog, pages: i64) {
    let now: i64 = log.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    log.connection.pragma_update_and_check(None, "max_page_count", now + pages, |_| Ok(())).unwrap();
}

#[test]
fn a_full_disk_refuses_whole_pushes_and_reads_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::with(SqliteLog::open(&folder.path().join("log.sqlite")).unwrap());
    let known = Author::new(1, 1).chunks(2);
    desk.push(known.clone());
    room_for(&desk.log, 4);
    let large = |author: u8| {
        let mut author = Author::new(author, author);
        vec![author.chunk("small"), author.chunk(&"x".repeat(100_000))]
    };
    let small = vec![Author::new(4, 4).chunk("fits")];
    let requests = [large(2), small.clone(), known, large(3)].map(|chunks| (desk.principal, desk.request(chunks)));
    let Appended { answers, runs } = desk.log.append(requests.into(), at(0)).unwrap().into_inner();
    let codes = |answer: &AppendAnswer| match answer {
        AppendAnswer::Verdicts(verdicts) => verdicts.iter().map(code).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let full = vec![Some(ChunkCode::StorageFull), Some(ChunkCode::Blocked)];
    assert_eq!(answers.iter().map(codes).collect::<Vec<_>>(), [full.clone(), vec![None], vec![None; 2], full]);
    assert_eq!(runs.iter().map(|(_, run)| run.entries().len()).sum::<usize>(), 1);
    let start = desk.start();
    assert_eq!(desk.run(start).entries().len(), 3, "nothing of a refused push is stored");

    room_for(&desk.log, 1_000);
    assert!(desk.push(large(2)).iter().all(is_stored), "the control: there is room again");
}

#[test]
fn a_push_whose_transaction_fails_is_not_half_there() {
    let mut desk = Desk::new();
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = calls.clone();
    desk.log.inject_faults(move |point| {
        let first = counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        (first && point == FaultPoint::BeforeCommit).then_some(Fault::Error)
    });
    let chunks = Author::new(1, 1).chunks(3);
    assert!(desk.log.append(vec![(desk.principal, desk.request(chunks.clone()))], at(0)).is_err());
    let verdicts = desk.push(chunks);
    assert_eq!(verdicts.iter().filter_map(sequence).collect::<Vec<_>>(), [1, 2, 3], "R2: no sequence was used up");
    assert!(verdicts.iter().all(is_stored));
}

#[test]
fn only_what_others_do_changes_the_foreign_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let mut last = desk.log.foreign_version().unwrap();
    desk.push(Author::new(1, 1).chunks(2));
    assert_eq!(desk.log.foreign_version().unwrap(), last);
    let backup = desk.log.snapshot().unwrap();
    assert_eq!(desk.log.foreign_version().unwrap(), last);

    let mut beside = SqliteLog::open(&path).unwrap();
    let mut changed = |desk: &mut Desk| {
        let before = std::mem::replace(&mut last, desk.log.foreign_version().unwrap());
        before != last
    };
    beside.revoke_token(1, at(0)).unwrap();
    assert!(changed(&mut desk), "a command beside the relay");
    assert!(!changed(&mut desk));
    desk.log.restore(&backup).unwrap();
    assert!(changed(&mut desk), "a restored backup");
    desk.log.create_token(&Token::new(&mut Seeded(3)), &NewToken::default(), at(0)).unwrap();
    assert!(changed(&mut desk), "administration through this value");
}

#[test]
fn below_the_floor_of_the_disk_reads_go_on_and_pushes_are_told_why() {
    use crate::log::sqlite::floor::{Floor, Space};
    use std::sync::atomic::{AtomicU64, Ordering};
    static FREE: AtomicU64 = AtomicU64::new(50);
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::with(SqliteLog::open(&folder.path().join("log.sqlite")).unwrap());
    desk.log.floor = Floor::looking(5, |_| Ok(Space { free_bytes: FREE.load(Ordering::Relaxed), total_bytes: 100 }));
    let mut author = Author::new(1, 1);
    assert!(is_stored(&desk.push(vec![author.chunk("before")])[0]));
    FREE.store(4, Ordering::Relaxed);
    let refused = |desk: &mut Desk, chunk, ms| {
        let request = desk.request(vec![chunk]);
        let answers = desk.log.append(vec![(desk.principal, request)], at(ms)).unwrap().into_inner().answers;
        let [AppendAnswer::Verdicts(verdicts)] = &answers[..] else { panic!("{answers:?}") };
        code(&verdicts[0])
    };
    assert_eq!(refused(&mut desk, author.chunk("meanwhile"), 1_000), Some(ChunkCode::StorageFull));
    assert!(matches!(desk.log.check_writable(at(1_000)), Err(LogError::Reserved)));
    let run = desk.run(desk.start());
    assert_eq!(run.entries().len(), 1, "reads go on");
    FREE.store(50, Ordering::Relaxed);
    let mut author = Author::new(2, 2);
    assert_eq!(refused(&mut desk, author.chunk("after"), 2_000), None);
    desk.log.check_writable(at(2_000)).expect("and it is ready again");
}

#[test]
fn the_newest_moment_of_a_log_is_that_of_a_sign_out_too() {
    let newest = |act: &dyn Fn(&mut SqliteLog)| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let mut log = SqliteLog::open(&path).unwrap();
        super::signed::good(super::signed::signed(&mut log, "a.1", &super::signed::claims("zoe", None), 1));
        act(&mut log);
        let health = crate::log::health(&path, at(0).wall_ms, at(0).wall_ms).unwrap();
        health.more.unwrap().newest_ms
    };
    let ahead = Some(at(900_000).wall_ms);
    assert_ne!(newest(&|_| {}), ahead, "the control");
    assert_eq!(newest(&|log| drop(log.sign_out_user("zoe", at(900_000)).unwrap())), ahead);
    assert_eq!(
        newest(&|log| {
            log.end_all_access(at(900_000)).unwrap();
        }),
        ahead
    );
    assert_eq!(newest(&|log| drop(log.purge_user("zoe", false, at(900_000)).unwrap())), ahead);
    let restored = |log: &mut SqliteLog| {
        log.connection.execute("UPDATE file SET signed_not_before_ms = ?1", [ahead]).unwrap();
    };
    assert_eq!(newest(&restored), ahead, "where there is no user at all");
    let device = |log: &mut SqliteLog| {
        let sql = "INSERT INTO devices (user, id, first_seen_ms, last_seen_ms, signed_out_ms) VALUES (1, zeroblob(16), 0, 0, ?1)";
        log.connection.execute(sql, [ahead]).unwrap();
    };
    assert_eq!(newest(&device), ahead);
}

#[test]
fn what_this_value_commits_itself_makes_no_change_of_the_upkeep_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let beside = Connection::open(&path).unwrap();
    let upkeep = || beside.execute("UPDATE file SET upkeep = upkeep + 1", []).unwrap();
    upkeep();
    desk.log.foreign_version().unwrap();
    upkeep();
    let last = desk.log.foreign_version().unwrap();
    let claims =
        super::signed::claims("zoe", Some(vec![(SpaceId::from_bytes([7; 16]), crate::log::accounts::Role::Owner)]));
    let token = super::signed::good(super::signed::signed(&mut desk.log, "a.1", &claims, 1));
    upkeep();
    assert_eq!(desk.log.foreign_version().unwrap(), last, "a token that was noted");
    create(&mut desk.log, token, SpaceId::from_bytes([7; 16]), 1);
    upkeep();
    assert_eq!(desk.log.foreign_version().unwrap(), last, "a space that was made");
    beside.execute("UPDATE tokens SET name = 'other' WHERE number = 1", []).unwrap();
    let again = super::signed::signed(&mut desk.log, "a.2", &claims, 1);
    assert!(matches!(again, Authentication::Good(_)));
    upkeep();
    assert_ne!(desk.log.foreign_version().unwrap(), last, "the control: administration by others");
}

#[test]
fn what_others_append_is_noticed_although_this_value_did_upkeep_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let beside = Connection::open(&path).unwrap();
    // As another process that appends.
    let append_beside = || beside.execute("UPDATE spaces SET sequence = sequence + 1", []).unwrap();
    let old = Author::new(1, 1).chunks(1_200);
    desk.push(old);
    let before = desk.log.foreign_version().unwrap();
    let pack = |log: &mut SqliteLog| {
        let task = log.next_task().unwrap().expect("something is old");
        let work = log.gather(task).unwrap().expect("it is to be packed");
        drop(log.settle(work.run()).unwrap());
    };
    pack(&mut desk.log);
    assert_eq!(desk.log.foreign_version().unwrap(), before, "the control: upkeep of its own is no change");
    desk.push(Author::new(2, 2).chunks(800));
    pack(&mut desk.log);
    append_beside();
    assert_ne!(desk.log.foreign_version().unwrap(), before, "R9: whoever reads has to look at the log again");
}

#[test]
fn whether_something_could_be_appended_is_tried_by_writing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let beside = Connection::open(&path).unwrap();
    let version = || beside.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let wal = || std::fs::metadata(path.with_extension("sqlite-wal")).unwrap().len();
    let (before, bytes) = (version(), wal());
    desk.log.check_writable(at(0)).unwrap();
    assert!(version() != before && wal() > bytes, "a commit that writes nothing succeeds on a full disk, too");
}
