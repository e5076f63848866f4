//! Opening: versions, foreign files, one writer, readers beside it.

use crate::help::*;
use afield_core::wire::Class;
use afield_store::{OpenError, OpenOptions, Reader, SchemaVersion, Store, StoreError, Synchronous, Writer};
use rusqlite::Connection;
use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

fn impatient() -> OpenOptions {
    OpenOptions { writer_wait_ms: 0, ..OpenOptions::default() }
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    edit(&mut store, entity(1), &[1, 2]);
    drop(store);

    let mut store = Store::open(&path, &impatient()).unwrap();
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 2]));
    assert_eq!(store.path(), Some(path.canonicalize().unwrap().as_path()));
    sound(&store);
}

#[test]
fn a_file_is_in_wal_mode_synced_in_full_and_names_its_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    for (synchronous, number) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
        let store = Store::open(&path, &OpenOptions { synchronous, ..OpenOptions::default() }).unwrap();
        assert_eq!(store.synchronous(), synchronous);
        let connection = store.into_connection().unwrap();
        let number_of = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!((mode.as_str(), number_of("synchronous"), number_of("foreign_keys")), ("wal", number, 1));
        assert_eq!(number_of("application_id"), i64::from(afield_store::APPLICATION_ID));
        assert_eq!(number_of("user_version"), SchemaVersion::NEWEST.number());
    }
}

#[test]
fn a_store_of_a_newer_version_is_refused_with_both_versions_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(Store::open(&path, &OpenOptions::default()).unwrap());
    beside(&path).pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();

    for error in [Store::open(&path, &impatient()).unwrap_err(), Reader::open(&path).unwrap_err()] {
        assert!(
            matches!(error, OpenError::Newer { found, known } if found.number() == 99 && known == SchemaVersion::NEWEST)
        );
        assert_eq!(error.class(), Class::Upgrade);
        assert!(error.to_string().contains("99"), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);

    beside(&path).pragma_update(None, "user_version", SchemaVersion::NEWEST.number()).unwrap();
    assert!(Store::open(&path, &impatient()).is_ok());
}

#[test]
fn an_empty_file_becomes_a_store_but_a_reader_asks_for_a_writer_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fs::write(&path, b"").unwrap();
    let error = Reader::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Older { found, .. } if found.number() == 0), "{error}");
    drop(Store::open(&path, &OpenOptions::default()).unwrap());
    assert!(Reader::open(&path).is_ok());
}

#[test]
fn a_file_of_another_program_is_refused_and_nothing_is_put_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    fs::write(&text, "This is not a database, however long the text may be that stands in it. ".repeat(99)).unwrap();
    let short = folder.path().join("short.db");
    fs::write(&short, "SQLite format 3\0").unwrap();
    let named = folder.path().join("named.db");
    Connection::open(&named).unwrap().pragma_update(None, "application_id", 77).unwrap();
    let tables = folder.path().join("tables.db");
    Connection::open(&tables).unwrap().execute_batch("CREATE TABLE theirs (value)").unwrap();

    for path in [&text, &short, &named, &tables] {
        let before = fs::read(path).unwrap();
        let error = Store::open(path, &impatient()).unwrap_err();
        assert!(matches!(error, OpenError::NotAStore), "{path:?}: {error:?}");
        assert_eq!((error.class(), fs::read(path).unwrap()), (Class::Permanent, before));
    }
    for path in [&text, &short, &named] {
        assert!(!path.with_extension("db-lock").exists());
    }
}

#[test]
fn a_missing_folder_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(folder.path().join("missing").join("a.db"), &impatient()).unwrap_err();
    assert!(matches!(error, OpenError::Folder(_)), "{error:?}");
    let error = Reader::open(folder.path().join("a.db")).unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::CannotOpen(_))), "{error:?}");
}

#[test]
fn a_read_only_file_is_a_typed_error_and_can_still_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    drop(store);
    // Byte 18 of the header is the version of the format that a writer needs; SQLite only reads where it is higher than
    // its own. Unlike the permission bits this also holds for root, who runs the tests in a container.
    let mut bytes = fs::read(&path).unwrap();
    bytes[18] = 3;
    fs::write(&path, bytes).unwrap();

    let error = Store::open(&path, &impatient()).unwrap_err();
    assert!(matches!(error, OpenError::ReadOnly), "{error:?}");
    assert_eq!(Reader::open(&path).unwrap().spaces().unwrap().len(), 2);
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_a_typed_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write there all the same, but nobody may in the kernel's own tree.
    let is_root = fs::write(folder.path().join("probe"), "").is_ok();
    let path = if is_root { "/sys/a.db".into() } else { folder.path().join("a.db") };
    let error = Store::open(path, &impatient()).unwrap_err();
    assert!(matches!(error, OpenError::ReadOnly), "{error:?}");
}

#[test]
fn a_second_writer_in_this_process_is_refused_and_a_reader_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let options = OpenOptions { opened_ms: AT_MS, ..impatient() };
    let mut store = Store::open(&path, &options).unwrap();
    let error = Store::open(&path, &options).unwrap_err();
    let OpenError::Locked { holder: Some(holder) } = &error else { panic!("{error:?}") };
    assert_eq!((holder.process, holder.since_ms), (std::process::id(), AT_MS));

    let other = Reader::open(&path).unwrap();
    prepare(&mut store);
    assert_eq!((other.spaces().unwrap().len(), store.reader().spaces().unwrap().len()), (2, 2));
    drop(store);
    assert!(Store::open(&path, &options).is_ok());
}

#[cfg(unix)]
#[test]
fn a_store_has_one_writer_by_whatever_way_it_is_opened() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("a.db"), folder.path().join("link.db"));
    fs::create_dir(folder.path().join("sub")).unwrap();
    // The link is there before the file, as where a person moves the folder of an app's data.
    symlink(&path, &link).unwrap();
    let ways = [link.clone(), folder.path().join("sub").join("..").join("a.db"), path.clone()];
    for first in &ways {
        let mut store = Store::open(first, &impatient()).unwrap();
        for second in &ways {
            let error = Store::open(second, &impatient()).unwrap_err();
            assert!(matches!(error, OpenError::Locked { holder: Some(_) }), "{first:?} {second:?} {error:?}");
        }
        if store.spaces().unwrap().is_empty() {
            prepare(&mut store);
        }
        assert_eq!(Reader::open(&link).unwrap().spaces().unwrap().len(), 2);
    }
}

#[test]
fn a_store_opens_where_nobody_can_be_told_who_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fs::create_dir(folder.path().join("a.db-holder")).unwrap();
    let _store = Store::open(&path, &impatient()).unwrap();
    let error = Store::open(&path, &impatient()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { holder: None }), "the control: it is locked all the same; {error:?}");
}

thread_local! {
    static PARKED_MS: Cell<u128> = const { Cell::new(0) };
}

#[test]
fn a_second_writer_waits_as_long_as_it_was_told_and_only_by_parking() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let _store = Store::open(&path, &impatient()).unwrap();
    let park = |time: Duration| PARKED_MS.set(PARKED_MS.get() + time.as_millis());
    let options = OpenOptions { park, ..OpenOptions::default() };
    assert!(matches!(Store::open(&path, &options), Err(OpenError::Locked { .. })));
    assert_eq!(PARKED_MS.get(), 5_000);
}

#[test]
fn a_writer_in_another_process_is_named_and_its_death_frees_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut other = Other::start(&path);

    let error = Store::open(&path, &impatient()).unwrap_err();
    let OpenError::Locked { holder: Some(holder) } = &error else { panic!("{error:?}") };
    assert_eq!((holder.process, error.class()), (other.0.id(), Class::Retry));
    assert!(error.to_string().contains(&other.0.id().to_string()), "{error}");
    assert!(!holder.program.is_empty());
    assert_eq!(Reader::open(&path).unwrap().spaces().unwrap().len(), 2);

    other.0.kill().unwrap();
    other.0.wait().unwrap();
    let store = Store::open(&path, &impatient()).unwrap();
    assert_eq!(store.spaces().unwrap().len(), 2);
    sound(&store);
}

#[test]
fn a_second_attempt_to_open_takes_no_lock_of_the_first_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &impatient()).unwrap();
    prepare(&mut store);
    edit(&mut store, entity(1), &[1]);
    let locks = locks_on(&path);
    assert!(matches!(Store::open(&path, &impatient()), Err(OpenError::Locked { .. })));
    assert_eq!(locks_on(&path), locks);

    // The last connection to close takes the WAL away. Without those locks another process takes itself for the last,
    // but for what SQLite does since 3.51 for programs that lose them.
    let other = Command::new(env::current_exe().unwrap())
        .args(["--exact", "opening::opens_and_closes_a_file", "--ignored"])
        .env("AFIELD_STORE_CLOSED", &path)
        .output();
    assert!(other.unwrap().status.success());
    assert!(folder.path().join("a.db-wal").exists(), "the WAL of a store that is open was deleted");
    edit(&mut store, entity(1), &[2]);

    // What a kill leaves: the files as they are, and nothing of what is in memory.
    let left = tempfile::tempdir().unwrap();
    for name in ["a.db", "a.db-wal"] {
        fs::copy(folder.path().join(name), left.path().join(name)).unwrap();
    }
    let mut found = Store::open(left.path().join("a.db"), &impatient()).unwrap();
    assert_eq!(outbox(&mut found, space(1)), hashes(&[1, 2]));
}

/// The POSIX locks on a file, where the system tells.
fn locks_on(path: &std::path::Path) -> Vec<String> {
    #[cfg(target_os = "linux")]
    let file = format!(":{} ", std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap()));
    #[cfg(not(target_os = "linux"))]
    let file = format!("{}", path.display());
    let all = fs::read_to_string("/proc/locks").unwrap_or_default();
    let on_file = all.lines().filter(|line| line.contains("POSIX") && line.contains(&file));
    on_file.filter_map(|line| Some(line.split_once(": ")?.1.to_owned())).collect()
}

#[test]
#[ignore = "runs in a process of its own, started by a_second_attempt_to_open_takes_no_lock_of_the_first_away"]
fn opens_and_closes_a_file() {
    let connection = Connection::open(env::var_os("AFIELD_STORE_CLOSED").unwrap()).unwrap();
    connection.query_row("SELECT count(*) FROM entities", [], |row| row.get::<_, i64>(0)).unwrap();
    connection.close().unwrap();
}

/// This test binary again, running the one test below with a store open.
struct Other(Child);

impl Other {
    fn start(path: &std::path::Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "opening::holds_a_store_until_it_is_killed", "--ignored", "--nocapture"])
            .env("AFIELD_STORE_HELD", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("held")), "the other process ended without opening the store");
        Self(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "runs in a process of its own, started by a_writer_in_another_process_is_named_and_its_death_frees_the_store"]
fn holds_a_store_until_it_is_killed() {
    let mut store = Store::open(env::var_os("AFIELD_STORE_HELD").unwrap(), &impatient()).unwrap();
    prepare(&mut store);
    println!("held");
    std::io::stdout().flush().unwrap();
    // Ends at the latest when the parent does, which closes the pipe.
    let _ = std::io::stdin().lines().count();
}

#[test]
fn who_has_a_store_open_is_told_without_taking_it_and_a_lock_left_behind_is_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Store::open(&path, &OpenOptions::default()).unwrap();
    let Writer::Known(holder) = Writer::of(&path).unwrap() else { panic!("this process has it") };
    assert_eq!(holder.process, std::process::id());
    drop(store);
    assert_eq!(Writer::of(&path).unwrap(), Writer::Nobody);
    drop(Store::open(&path, &impatient()).unwrap());
    assert!(Writer::of(folder.path().join("none.db")).is_err());
}

#[test]
fn a_reader_is_told_once_of_every_commit_and_of_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    let reader = Reader::open(&path).unwrap();
    let mut commits = reader.commits().unwrap().unwrap();
    assert!(!commits.have_come().unwrap());
    for change in 1..=3 {
        edit(&mut store, entity(1), &[change]);
        assert!(commits.have_come().unwrap(), "change {change}");
        assert!(!commits.have_come().unwrap(), "once");
    }
    assert_eq!(reader.spaces().unwrap().len(), 2, "reading is no commit");
    assert!(!commits.have_come().unwrap());
    assert!(store_in_memory().reader().commits().unwrap().is_none());
}

#[test]
fn a_reader_finds_the_violations_that_the_writer_finds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    edit(&mut store, entity(1), &[1]);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.verify().unwrap(), []);
    beside(&path).execute("UPDATE changes SET sequence = 9", []).unwrap();
    let found = store.verify().unwrap();
    assert!(!found.is_empty());
    assert_eq!(reader.verify().unwrap(), found);
}
