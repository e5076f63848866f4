//! A log with something in it, as devices would have filled it.

use afield_core::change::ChangeHeader;
use afield_core::session::{
    AppendAnswer, AppendRequest, ChunkVerdict, OpenAnswer, OpenRequest, ReadAnswer, ReadRequest,
};
use afield_core::wire::{Channel, DecodedChunk, PushNumber};
use afield_core::{ChunkKind, Cursor, EntityId, Limits, LogId, Now, SpaceId};
use afield_relay::log::{Log, Principal, SqliteLog};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ROOT};
use std::path::Path;

pub(crate) const NOW: Now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };

/// The log's file in a folder.
pub(crate) fn log_file(data: &Path) -> std::path::PathBuf {
    data.join("log.sqlite")
}

/// A space with one entity that one device edits, straight in the log.
pub(crate) struct Desk {
    pub(crate) log: SqliteLog,
    pub(crate) space: SpaceId,
    pub(crate) entity: EntityId,
    told: Cursor,
    document: AutoCommit,
}

impl Desk {
    /// Whether a space is served to somebody who would make it, were it not there.
    pub(crate) fn is_served(data: &Path, number: u8) -> bool {
        let mut log = SqliteLog::open(&log_file(data)).unwrap();
        let request = open_request(SpaceId::from_bytes([number; 16]));
        let answer = log.open(Principal::ANYONE, &request, LogId::from_bytes([number; 16]), NOW).unwrap();
        matches!(answer.into_inner(), OpenAnswer::Served { .. })
    }

    /// Opens the log of a folder, and a space in it that nobody else fills.
    pub(crate) fn open(data: &Path, number: u8) -> Self {
        std::fs::create_dir_all(data).unwrap();
        let mut log = SqliteLog::open(&log_file(data)).unwrap();
        let space = SpaceId::from_bytes([number; 16]);
        let request = open_request(space);
        let fresh = LogId::from_bytes([number; 16]);
        let answer = log.open(Principal::ANYONE, &request, fresh, NOW).unwrap().into_inner();
        let OpenAnswer::Served { position, .. } = answer else { panic!("{answer:?}") };
        let document = AutoCommit::new().with_actor(ActorId::from([number; 16]));
        Self { log, space, entity: EntityId::from_bytes([number; 16]), told: position, document }
    }

    /// Appends changes with this text in them; each is durable when this returns.
    pub(crate) fn write(&mut self, text: &str, count: usize) {
        for verdict in self.push(text, count) {
            let ChunkVerdict::Stored { sequence, chain, .. } = verdict else { panic!("{verdict:?}") };
            self.told = Cursor { sequence, chain, ..self.told };
        }
    }

    /// Pushes changes with this text in them.
    pub(crate) fn push(&mut self, text: &str, count: usize) -> Vec<ChunkVerdict> {
        let chunks = (0..count).map(|number| {
            self.document.put(ROOT, "title", format!("{text} {number}")).unwrap();
            self.document.commit_with(CommitOptions::default().with_time(0)).unwrap();
            let bytes = self.document.get_last_local_change().unwrap().raw_bytes().to_vec();
            let header = ChangeHeader::read(&bytes, &Limits::DEFAULT);
            let collection = "notes".parse().unwrap();
            DecodedChunk { entity: self.entity, collection, kind: ChunkKind::Change, bytes, header }
        });
        let chunks = chunks.collect();
        let request =
            AppendRequest { channel: Channel(0), space: self.space, push: PushNumber(1), told: self.told, chunks };
        let answers = self.log.append(vec![(Principal::ANYONE, request)], NOW).unwrap().into_inner().answers;
        match answers.into_iter().next() {
            Some(AppendAnswer::Verdicts(verdicts)) => verdicts,
            answer => panic!("{answer:?}"),
        }
    }
}

/// Opens a space, or makes it.
fn open_request(space: SpaceId) -> OpenRequest {
    OpenRequest { channel: Channel(0), space, cursor: None, create: true, invitation: None }
}

/// How many chunks can be read of a space in a log's file, from the first to the last.
pub(crate) fn readable(file: &Path, space: SpaceId) -> usize {
    let mut log = SqliteLog::open(file).unwrap();
    let request = OpenRequest { channel: Channel(0), space, cursor: None, create: false, invitation: None };
    let answer = log.open(Principal::ANYONE, &request, LogId::from_bytes([9; 16]), NOW).unwrap().into_inner();
    let OpenAnswer::Served { position, .. } = answer else { return 0 };
    let (mut position, mut count) = (Cursor::start(position.log), 0);
    loop {
        let request = ReadRequest {
            channel: Channel(0),
            space,
            position,
            told: position,
            bytes_max: usize::MAX,
            filter: std::sync::Arc::default(),
            snapshots: None,
        };
        let answer = log.read(Principal::ANYONE, &request, NOW).unwrap().into_inner();
        let ReadAnswer::Run { run, .. } = answer else { panic!("{answer:?}") };
        if run.is_empty() {
            return count;
        }
        count += run.entries().len();
        position = run.after();
    }
}
