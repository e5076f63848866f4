//! Any interleaving of pushes, packing, compaction, readers and restarts is the log of a model that knows none of it.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// An author of an entity pushes so many changes.
    Push { author: usize, changes: usize },
    /// An author takes over what another one of the same entity wrote.
    Merge { from: usize, to: usize },
    /// Something that was pushed is pushed again, from one place to another.
    Again { from: usize, changes: usize },
    /// A change with a sequence of its actor that another change has.
    Fork { author: usize },
    /// A reader reads on, a page of so many bytes.
    Read { reader: usize, bytes_max: usize },
    /// One step of packing rows.
    Pack,
    /// One step of an entity's snapshot.
    Snapshot { entity: usize },
    /// One step of taking from segments what a snapshot stands for.
    Strip { entity: usize },
    /// Work is read now and put in place later.
    Prepare { entity: Option<usize> },
    /// What was prepared is put in place.
    Settle,
    /// The log is opened again.
    Reopen,
}

const AUTHORS: usize = 4;
const READERS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..AUTHORS, 1..24_usize).prop_map(|(author, changes)| Step::Push { author, changes }),
        2 => (0..AUTHORS, 0..AUTHORS).prop_map(|(from, to)| Step::Merge { from, to }),
        2 => (0..400_usize, 1..30_usize).prop_map(|(from, changes)| Step::Again { from, changes }),
        1 => (0..AUTHORS).prop_map(|author| Step::Fork { author }),
        5 => (0..READERS, prop_oneof![Just(1), 1..4_000_usize]).prop_map(|(reader, bytes_max)| Step::Read { reader, bytes_max }),
        4 => Just(Step::Pack),
        3 => (0..2_usize).prop_map(|entity| Step::Snapshot { entity }),
        3 => (0..2_usize).prop_map(|entity| Step::Strip { entity }),
        2 => prop::option::of(0..2_usize).prop_map(|entity| Step::Prepare { entity }),
        2 => Just(Step::Settle),
        1 => Just(Step::Reopen),
    ]
}

struct Run {
    desk: Desk,
    authors: Vec<Author>,
    /// What was stored, in the order of the log.
    model: Vec<DecodedChunk>,
    verdicts: Vec<ChunkVerdict>,
    readers: Vec<(Cursor, usize)>,
    prepared: Vec<crate::log::Prepared>,
}

impl Run {
    fn new() -> Self {
        let mut desk = Desk::new();
        let mut first = [Author::new(1, 1), Author::new(2, 2)];
        let model: Vec<_> = first.iter_mut().flat_map(|author| author.chunks(1)).collect();
        let verdicts = desk.push(model.clone());
        let [anna, other] = &mut first;
        let authors = vec![anna.fork(11), anna.fork(12), other.fork(21), other.fork(22)];
        let readers = vec![(desk.start(), 0); READERS];
        Self { desk, authors, model, verdicts, readers, prepared: Vec::new() }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Push { author, changes } => {
                let from = self.model.len();
                // No value twice: putting the same again is no change.
                let values = (from..from + changes).map(|number| format!("value {number}"));
                let chunks: Vec<_> = values.map(|value| self.authors[author].chunk(&value)).collect();
                let verdicts = self.desk.push(chunks.clone());
                assert!(verdicts.iter().all(is_stored), "{verdicts:?}");
                self.model.extend(chunks);
                self.verdicts.extend(verdicts);
            }
            Step::Merge { from, to } if from != to && self.authors[from].entity == self.authors[to].entity => {
                let (low, high) = self.authors.split_at_mut(from.max(to));
                let (low, high) = (&mut low[from.min(to)], &mut high[0]);
                if from < to { high.merge(low) } else { low.merge(high) }
            }
            Step::Merge { .. } => {}
            Step::Again { from, changes } => {
                let from = from % self.model.len();
                let to = self.model.len().min(from + changes);
                let verdicts = self.desk.push(self.model[from..to].to_vec());
                for (verdict, stored) in verdicts.iter().zip(&self.verdicts[from..to]) {
                    let ChunkVerdict::Stored { sequence, chain, .. } = *stored else { panic!("{stored:?}") };
                    assert_eq!(*verdict, ChunkVerdict::Duplicate { sequence, chain }, "R5");
                }
            }
            Step::Fork { author } => {
                let forked =
                    Author::new(self.authors[author].entity.as_bytes()[0], [11, 12, 21, 22][author]).chunk("fork");
                // That it has pushed anything makes this another first change.
                let taken = self.model.iter().any(|chunk| {
                    let actor = |chunk: &DecodedChunk| chunk.header.as_ref().unwrap().actor.clone();
                    chunk.entity == forked.entity && actor(chunk) == actor(&forked)
                });
                if taken {
                    let verdict = self.desk.push(vec![forked]).remove(0);
                    assert_eq!(code(&verdict), Some(ChunkCode::ActorForked));
                }
            }
            Step::Read { reader, bytes_max } => self.read(reader, bytes_max),
            Step::Pack => drop(self.one(None)),
            Step::Snapshot { entity } => drop(self.one(Some((entity, false)))),
            Step::Strip { entity } => drop(self.one(Some((entity, true)))),
            Step::Prepare { entity } => {
                let task = self.task(entity.map(|entity| (entity, false)));
                let work = self.desk.log.gather(task).unwrap();
                self.prepared.extend(work.map(|work| work.run()));
            }
            Step::Settle => {
                if let Some(prepared) = self.prepared.pop() {
                    let _ = self.desk.log.settle(prepared).unwrap();
                }
            }
            Step::Reopen => {
                let connection = std::mem::replace(&mut self.desk.log, SqliteLog::open_in_memory().unwrap());
                self.desk.log = SqliteLog::from_connection(connection.into_connection()).unwrap();
            }
        }
    }

    fn task(&mut self, entity: Option<(usize, bool)>) -> Task {
        let tasks = self.desk.log.whole_tasks(self.desk.space).unwrap().unwrap();
        match entity {
            None => tasks.rows.whatever_it_saves(),
            Some((entity, is_strip)) => {
                let (_, snapshot, strip) = tasks.entities[entity];
                if is_strip { strip } else { snapshot.whatever_it_saves() }
            }
        }
    }

    fn one(&mut self, entity: Option<(usize, bool)>) -> Option<Settled> {
        let task = self.task(entity);
        let work = self.desk.log.gather(task).unwrap()?;
        Some(self.desk.log.settle(work.run()).unwrap().into_inner())
    }

    fn read(&mut self, reader: usize, bytes_max: usize) {
        let (position, done) = self.readers[reader];
        let wanted = ReadRequest { bytes_max, ..read_request(self.desk.space, position) };
        let answer = self.desk.log.read(self.desk.principal, &wanted, at(0)).unwrap().into_inner();
        let ReadAnswer::Run { run, .. } = answer else { panic!("{answer:?}") };
        let expected = &self.model[done..];
        assert!(!run.entries().is_empty() || expected.is_empty(), "R9");
        for (entry, expected) in run.entries().iter().zip(expected) {
            assert_eq!((entry.entity, &entry.bytes), (expected.entity, &expected.bytes));
            assert_eq!(entry.collection, expected.collection);
        }
        assert!(run.entries().len() <= expected.len());
        let after = run.entries().iter().fold(position, |cursor, entry| {
            cursor.then(entry.entity, entry.kind.number(), ChunkHash::of(&entry.bytes))
        });
        assert_eq!(after, run.after(), "the chain leads there");
        self.readers[reader] = (after, done + run.entries().len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_the_old_part_the_log_reads_and_answers_as_if_nothing_were(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut run = Run::new();
        steps.into_iter().for_each(|step| run.take(step));
        let start = run.desk.start();
        let read = run.desk.all_after(start, usize::MAX);
        prop_assert_eq!(read.len(), run.model.len());
        for (entry, chunk) in read.iter().zip(&run.model) {
            prop_assert_eq!((entry.entity, &entry.bytes), (chunk.entity, &chunk.bytes));
        }
        // Readers who stand anywhere come to the same end.
        for reader in 0..READERS {
            while run.readers[reader].1 < run.model.len() {
                run.read(reader, 2_000);
            }
            prop_assert_eq!(run.readers[reader].0, run.desk.told);
        }
    }
}
