use super::leb::{write_signed, write_unsigned};
use super::*;
use crate::limits::{CHANGE_ACTORS_MAX, CHANGE_TEXT_BYTES_MAX};
use crate::wire::ChunkCode;
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{AutoCommit, Change, ROOT};
use proptest::prelude::*;

const LIMITS: Limits = Limits::DEFAULT;

/// A change with these parts and a good checksum, however hostile they are.
struct Forged {
    dependencies: Vec<[u8; 32]>,
    actor: Vec<u8>,
    sequence: u64,
    start_op: u64,
    message: Vec<u8>,
    others: Vec<Vec<u8>>,
    columns: Vec<(u32, Vec<u8>)>,
}

impl Default for Forged {
    /// One `put` of a null into the root map.
    fn default() -> Self {
        Self {
            dependencies: vec![],
            actor: vec![1; 16],
            sequence: 1,
            start_op: 1,
            message: vec![],
            others: vec![],
            columns: vec![
                (0x15, vec![0x7f, 1, b'k']),
                (0x34, vec![1]),
                (0x42, vec![0x7f, 1]),
                (0x56, vec![0x7f, 0]),
                (0x70, vec![0x7f, 0]),
            ],
        }
    }
}

impl Forged {
    fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_unsigned(&mut out, self.dependencies.len() as u64);
        self.dependencies.iter().for_each(|hash| out.extend_from_slice(hash));
        let prefixed = |out: &mut Vec<u8>, bytes: &[u8]| {
            write_unsigned(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        };
        prefixed(&mut out, &self.actor);
        write_unsigned(&mut out, self.sequence);
        write_unsigned(&mut out, self.start_op);
        write_signed(&mut out, 5);
        prefixed(&mut out, &self.message);
        write_unsigned(&mut out, self.others.len() as u64);
        self.others.iter().for_each(|actor| prefixed(&mut out, actor));
        write_unsigned(&mut out, self.columns.len() as u64);
        for (number, data) in &self.columns {
            write_unsigned(&mut out, u64::from(*number));
            write_unsigned(&mut out, data.len() as u64);
        }
        self.columns.iter().for_each(|(_, data)| out.extend_from_slice(data));
        out
    }

    fn chunk(&self) -> Vec<u8> {
        let body = self.body();
        frame_body(&body, hash_of(&body))
    }

    fn read(&self) -> Result<ChangeHeader, ChangeError> {
        ChangeHeader::read(&self.chunk(), &LIMITS)
    }

    fn with_column(number: u32, data: &[u8]) -> Self {
        let mut forged = Self::default();
        forged.columns.retain(|(kept, _)| *kept != number);
        forged.columns.push((number, data.to_vec()));
        forged.columns.sort();
        forged
    }
}

fn column_fault(result: Result<ChangeHeader, ChangeError>) -> ColumnFault {
    match result {
        Err(ChangeError::BadColumn { fault, .. }) => fault,
        other => panic!("a broken column expected, {other:?} found"),
    }
}

#[test]
fn headers_agree_with_automerge_for_every_kind_of_operation() {
    let mut kinds = 0;
    for bytes in samples::every_kind() {
        let header = ChangeHeader::read(&bytes, &LIMITS).unwrap();
        let change = Change::from_bytes(bytes.clone()).unwrap();
        assert_eq!(header.hash, change.hash());
        assert_eq!(&header.actor, change.actor_id());
        assert_eq!(header.sequence, change.seq());
        assert_eq!(header.start_op, change.start_op());
        assert_eq!(header.operations, change.len() as u64);
        assert_eq!(header.max_op(), change.max_op());
        assert_eq!(header.time_ms, change.timestamp());
        assert_eq!(header.dependencies, change.deps());
        assert_eq!(header.bytes_len, bytes.len());
        let parts = Parts::read(&bytes, &LIMITS).unwrap();
        assert_eq!(parts.message, change.message().unwrap_or_default().as_bytes());
        assert!(parts.other_actors().eq(change.other_actor_ids().iter().map(automerge::ActorId::to_bytes)));
        kinds += 1;
    }
    assert!(kinds > 15);
}

#[test]
fn a_truncated_change_is_refused_at_every_byte() {
    for bytes in samples::every_kind() {
        assert!(ChangeHeader::read(&bytes, &LIMITS).is_ok());
        for length in 0..bytes.len() {
            assert!(ChangeHeader::read(&bytes[..length], &LIMITS).is_err());
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_anywhere() {
    for bytes in samples::every_kind() {
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << (position % 8);
            let error = ChangeHeader::read(&flipped, &LIMITS).unwrap_err();
            if position > 11 {
                assert_eq!(error.code(), ChunkCode::WrongChecksum);
            }
        }
    }
}

#[test]
fn a_truncated_body_with_a_good_checksum_says_where_it_ends() {
    // Extra bytes may follow the columns, so a cut there can only shorten them.
    for bytes in samples::every_kind() {
        let body = Parts::read(&bytes, &LIMITS).unwrap().body;
        for length in 0..body.len() {
            let cut = &body[..length];
            let error = ChangeHeader::read(&frame_body(cut, hash_of(cut)), &LIMITS).unwrap_err();
            assert!(matches!(error, ChangeError::Truncated { .. }), "{error}");
        }
    }
}

#[test]
fn what_is_not_an_uncompressed_change_is_refused_and_never_inflated() {
    assert!(Forged::default().read().is_ok());
    let good = Forged::default().chunk();
    for chunk_type in [0, 2, 3, 9] {
        let mut other = good.clone();
        other[8] = chunk_type;
        assert_eq!(ChangeHeader::read(&other, &LIMITS), Err(ChangeError::WrongChunkType { found: chunk_type }));
    }
    let mut wrong_magic = good.clone();
    wrong_magic[0] = 0;
    assert_eq!(ChangeHeader::read(&wrong_magic, &LIMITS), Err(ChangeError::WrongMagic));
    let mut trailing = good.clone();
    trailing.push(0);
    assert_eq!(ChangeHeader::read(&trailing, &LIMITS), Err(ChangeError::Trailing { offset: good.len(), found: 1 }));
}

#[test]
fn a_deflated_change_and_a_deflated_column_are_refused() {
    let mut document = samples::document(1);
    document.put(ROOT, "long", "deflate me ".repeat(1000)).unwrap();
    document.commit();
    let mut change = document.get_last_local_change().unwrap();
    assert!(ChangeHeader::read(change.raw_bytes(), &LIMITS).is_ok());
    assert_eq!(ChangeHeader::read(&change.bytes(), &LIMITS), Err(ChangeError::WrongChunkType { found: 2 }));

    let forged = Forged::with_column(0x1d, &[0]);
    assert_eq!(column_fault(forged.read()), ColumnFault::Deflated);
}

#[test]
fn sizes_and_counts_above_their_limits_are_refused_with_both_numbers() {
    let good = Forged::default().chunk();
    let limits = Limits { change_bytes_max: good.len() - 1, ..LIMITS };
    let error = ChangeHeader::read(&good, &limits).unwrap_err();
    assert_eq!(error, ChangeError::TooLarge { found: good.len(), maximum: good.len() - 1 });
    assert_eq!(error.code(), ChunkCode::TooLarge);

    let hashes = |count: u8| (0..count).map(|byte| [byte; 32]).collect::<Vec<_>>();
    let limits = Limits { change_dependencies_max: 3, ..LIMITS };
    let read =
        |count| ChangeHeader::read(&Forged { dependencies: hashes(count), ..Forged::default() }.chunk(), &limits);
    assert!(read(3).is_ok());
    assert_eq!(read(4).unwrap_err().code(), ChunkCode::TooManyDependencies);

    let operations = |count: i64| {
        let mut action = Vec::new();
        write_signed(&mut action, count);
        action.push(1);
        Forged { columns: vec![(0x42, action)], ..Forged::default() }.read()
    };
    let maximum = i64::try_from(LIMITS.change_operations_max).unwrap();
    assert_eq!(operations(maximum).map(|header| header.operations), Ok(LIMITS.change_operations_max));
    assert_eq!(operations(maximum + 1).unwrap_err().code(), ChunkCode::TooManyOperations);
    assert_eq!(operations(i64::MAX).unwrap_err().code(), ChunkCode::TooManyOperations);
}

#[test]
fn a_key_in_a_run_may_not_expand_to_more_text_than_a_change_can_use() {
    let read = |run: i64, key_bytes: usize, mark_bytes: usize| {
        let text = |run: i64, length: usize| {
            let mut column = Vec::new();
            write_signed(&mut column, run);
            write_unsigned(&mut column, length as u64);
            column.extend(vec![b'k'; length]);
            column
        };
        let mut action = Vec::new();
        write_signed(&mut action, run);
        action.push(1);
        let columns = vec![(0x15, text(run, key_bytes)), (0x42, action), (0xa5, text(run, mark_bytes))];
        Forged { columns, ..Forged::default() }.read()
    };
    let maximum = CHANGE_TEXT_BYTES_MAX;
    assert!(read(1024, 2048, 0).is_ok());
    assert_eq!(column_fault(read(1024, 2049, 0)), ColumnFault::TooMuchText { found: maximum + 1024, maximum });
    assert_eq!(column_fault(read(1024, 2048, 1)), ColumnFault::TooMuchText { found: maximum + 1024, maximum });
    assert_eq!(read(100_000, 400_000, 0).unwrap_err().code(), ChunkCode::BadColumns);
    assert!(read(100_000, 20, 0).is_ok(), "as many entries as a change may write under an ordinary key");
}

#[test]
fn a_change_may_name_as_many_actors_as_touched_what_it_deletes() {
    let read = |count: u32| {
        let actor = |number: u32| [&[9; 12][..], &number.to_be_bytes()].concat();
        Forged { others: (0..count).map(actor).collect(), ..Forged::default() }.read()
    };
    assert!(read(2_000).is_ok());
    let maximum = CHANGE_ACTORS_MAX as u64;
    assert!(read(CHANGE_ACTORS_MAX as u32).is_ok());
    let error = read(CHANGE_ACTORS_MAX as u32 + 1).unwrap_err();
    assert!(
        matches!(error, ChangeError::TooMany { field: ChangeField::OtherActors, maximum: most, .. } if most == maximum)
    );
}

#[test]
fn a_count_is_checked_against_the_bytes_that_remain() {
    let giant = |prefix: &[u8]| {
        let mut body = prefix.to_vec();
        write_unsigned(&mut body, u64::MAX >> 1);
        ChangeHeader::read(&frame_body(&body, hash_of(&body)), &LIMITS).unwrap_err()
    };
    let no_dependencies_and_actor = [0, 1, 7];
    let up_to_others = [0, 1, 7, 1, 1, 0, 0];
    let up_to_columns = [0, 1, 7, 1, 1, 0, 0, 0];
    let truncated = |error| matches!(error, ChangeError::Truncated { needed, .. } if needed > 1 << 40);
    assert!(truncated(giant(&[])));
    assert!(matches!(giant(&no_dependencies_and_actor), ChangeError::OutOfRange { .. }));
    assert!(truncated(giant(&up_to_others)));
    assert!(truncated(giant(&up_to_columns)));
}

#[test]
fn operations_are_numbered_within_what_automerge_can_count() {
    let read = |start_op| Forged { start_op, ..Forged::default() }.read();
    assert_eq!(read(u64::from(u32::MAX) - 1).map(|header| header.max_op()), Ok(u64::from(u32::MAX) - 1));
    assert_eq!(read(u64::from(u32::MAX)).unwrap_err().code(), ChunkCode::StartOpLeap);
    assert_eq!(read(0).unwrap_err().code(), ChunkCode::StartOpLeap);
    let sequence = |sequence| Forged { sequence, ..Forged::default() }.read();
    assert!(sequence(1).is_ok());
    assert_eq!(sequence(0).unwrap_err().code(), ChunkCode::Malformed);
}

#[test]
fn dependencies_actors_and_columns_stand_sorted_and_once() {
    let dependencies = |dependencies: &[u8]| {
        let dependencies = dependencies.iter().map(|byte| [*byte; 32]).collect();
        Forged { dependencies, ..Forged::default() }.read()
    };
    assert!(dependencies(&[1, 2]).is_ok());
    let others = |others: &[u8]| {
        Forged { others: others.iter().map(|byte| vec![*byte; 16]).collect(), ..Forged::default() }.read()
    };
    assert!(others(&[2, 3]).is_ok());
    let unsorted = |result| matches!(result, Err(ChangeError::NotSorted { .. }));
    assert!(unsorted(dependencies(&[2, 1])) && unsorted(dependencies(&[1, 1])));
    assert!(unsorted(others(&[3, 2])) && unsorted(others(&[2, 2])) && unsorted(others(&[1])));
    let mut columns = Forged::default();
    columns.columns.reverse();
    assert!(unsorted(columns.read()));
}

#[test]
fn broken_run_lengths_are_refused() {
    let action = |data: &[u8]| column_fault(Forged::with_column(0x42, data).read());
    assert_eq!(action(&[0, 1]), ColumnFault::Null);
    assert_eq!(action(&[0, 0]), ColumnFault::EmptyRun);
    assert!(matches!(action(&[0x7e, 1]), ColumnFault::Truncated { .. }));
    assert_eq!(action(&[0x81, 0x00, 1]), ColumnFault::BadNumber);
    let overflow: Vec<u8> = [i64::MAX; 3].iter().fold(Vec::new(), |mut out, run| {
        write_signed(&mut out, *run);
        out.push(1);
        out
    });
    assert!(matches!(action(&overflow), ColumnFault::TooLong { .. }));
    let mut smallest = Vec::new();
    write_signed(&mut smallest, i64::MIN);
    assert!(matches!(action(&smallest), ColumnFault::Truncated { .. }));
}

#[test]
fn no_column_expands_beyond_the_operations() {
    let with = |number, data: &[u8]| Forged::with_column(number, data).read();
    assert!(with(0x01, &[0, 1]).is_ok());
    for (number, bomb) in [
        (0x01, vec![0xff, 0xff, 0x03, 0]),
        (0x15, vec![0, 0xff, 0xff, 0xff, 0x0f]),
        (0x13, vec![0xff, 0xff, 0x03, 0]),
        (0x34, vec![0xff, 0xff, 0x03]),
        (0x56, vec![0xff, 0xff, 0x03, 0]),
        (0xa5, vec![0xff, 0xff, 0x03, 0]),
        (0x1_02, vec![0xff, 0xff, 0x03, 0]),
    ] {
        assert!(matches!(column_fault(with(number, &bomb)), ColumnFault::TooLong { maximum: 1 }), "{number:#x}");
    }
    let mut group = vec![0x7f];
    write_unsigned(&mut group, u64::MAX);
    assert!(matches!(column_fault(with(0x70, &group)), ColumnFault::TooLong { .. }));
    assert!(matches!(
        column_fault(with(0x71, &[0x7f, 0])),
        ColumnFault::WrongLength { needed: 0, found: 1 } | ColumnFault::TooLong { maximum: 0 }
    ));
}

#[test]
fn values_have_the_length_that_their_metadata_says() {
    let read = |metadata: u8, value: Option<&[u8]>| {
        let mut forged = Forged::with_column(0x56, &[0x7f, metadata]);
        if let Some(value) = value {
            forged.columns.insert(4, (0x57, value.to_vec()));
        }
        forged.read()
    };
    assert!(read(0x26, Some(b"ab")).is_ok());
    assert_eq!(column_fault(read(0x26, Some(b"a"))), ColumnFault::WrongLength { needed: 2, found: 1 });
    assert_eq!(column_fault(read(0x26, Some(b"abc"))), ColumnFault::WrongLength { needed: 2, found: 3 });
    assert_eq!(column_fault(read(0x26, None)), ColumnFault::WrongLength { needed: 2, found: 0 });
    let mut lone = Forged::default();
    lone.columns.push((0xb7, vec![1]));
    assert_eq!(column_fault(lone.read()), ColumnFault::LoneValues);
}

#[test]
fn an_actor_that_the_change_does_not_name_is_refused() {
    let read = |index: u8| {
        let mut forged = Forged::with_column(0x01, &[0x7f, index]);
        forged.columns.insert(1, (0x02, vec![0x7f, 1]));
        forged.others = vec![vec![9; 16]];
        forged.read()
    };
    assert!(read(1).is_ok());
    assert_eq!(column_fault(read(2)), ColumnFault::UnknownActor { found: 2, maximum: 2 });
}

#[test]
fn a_message_that_is_not_utf_8_is_refused() {
    assert!(Forged { message: "grüße".into(), ..Forged::default() }.read().is_ok());
    let broken = Forged { message: vec![b'a', 0xff], ..Forged::default() }.read();
    assert!(matches!(broken, Err(ChangeError::MessageNotUtf8 { .. })));
}

#[test]
fn extra_bytes_after_the_columns_belong_to_the_change() {
    let mut body = Forged::default().body();
    body.extend_from_slice(b"later");
    let bytes = frame_body(&body, hash_of(&body));
    assert_eq!(Parts::read(&bytes, &LIMITS).unwrap().extra, b"later");
}

#[derive(Debug, Clone)]
enum Edit {
    Splice { position: usize, delete: usize, insert: String },
    Put { key: String, value: i64 },
    Commit,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (0_usize..40, 0_usize..4, ".{0,6}").prop_map(|(position, delete, insert)| Edit::Splice {
            position,
            delete,
            insert
        }),
        ("[a-c]", any::<i64>()).prop_map(|(key, value)| Edit::Put { key, value }),
        Just(Edit::Commit),
    ];
    proptest::collection::vec(edit, 1..60)
}

fn replay(edits: &[Edit], document: &mut AutoCommit) {
    let text = document.put_object(ROOT, "text", automerge::ObjType::Text).unwrap();
    for edit in edits {
        let length = automerge::ReadDoc::length(document, &text);
        match edit {
            Edit::Splice { position, delete, insert } => {
                let position = (*position).min(length);
                let delete = (*delete).min(length - position);
                document.splice_text(&text, position, delete.cast_signed(), insert).unwrap();
            }
            Edit::Put { key, value } => document.put(ROOT, key, *value).unwrap(),
            Edit::Commit => {
                document.commit_with(CommitOptions::default().with_time(1));
            }
        }
    }
    document.commit();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_automerge_writes_is_read(edits in edits()) {
        let mut document = samples::document(4);
        replay(&edits, &mut document);
        for change in document.get_changes(&[]) {
            let header = ChangeHeader::read(change.raw_bytes(), &LIMITS).unwrap();
            prop_assert_eq!(header.operations, change.len() as u64);
            prop_assert_eq!(header.hash, change.hash());
            let named: usize = change.decode().operations.iter().map(|operation| operation.pred.len()).sum();
            prop_assert_eq!(header.predecessors, named as u64);
        }
    }
}

proptest! {
    // How many cases are tried comes from the environment variable PROPTEST_CASES.

    #[test]
    fn fuzz_no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ChangeHeader::read(&frame_body(&body, hash_of(&body)), &LIMITS);
        let _ = ChangeHeader::read(&body, &LIMITS);
    }

    #[test]
    fn fuzz_no_column_panics(number in 0_u32..0xc0, data in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = Forged::with_column(number & !8, &data).read();
    }
}
