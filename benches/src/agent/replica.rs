//! Afield's clients: real replicas.

use super::{Failure, Growth, Member};
use crate::clock::wall_us;
use crate::history::Patch;
use crate::typing::steady;
use afield::{Entity, EntityId, Relay, Replica, Space, SpaceId, Text, Watch, model};
use afield_tests::processes::agent::{Task, populate};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The field that holds the text.
const BODY: &str = "body";
/// The collection of the texts.
const TEXTS: &str = "texts";
/// The collection of the small documents.
const TASKS: &str = "tasks";
/// How long a client may take to get in step with a relay that runs.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(110);

/// An entity that holds a text.
#[model]
#[derive(Debug, Clone, PartialEq)]
struct Page {
    body: Text,
}

/// A replica on a store file of its own.
#[derive(Debug)]
pub struct ReplicaMember {
    replica: Replica,
    texts: Mutex<Vec<Entity>>,
}

impl ReplicaMember {
    /// Opens replicas with their stores in a folder.
    ///
    /// # Errors
    ///
    /// A store does not open.
    pub fn open_all(folder: &Path, count: usize) -> Result<Vec<Self>, Failure> {
        let open = |number| Replica::open(folder.join(format!("{number}.db")));
        (0..count).map(|number| Ok(Self { replica: open(number)?, texts: Mutex::default() })).collect()
    }

    /// The space of some ids, joined if it is new, and the ids of the entities.
    fn join(&self, ids: &[String]) -> Result<(Space, Vec<EntityId>), Failure> {
        let halves = ids.iter().map(|id| id.split_once('/').ok_or("an id without a space"));
        let halves = halves.collect::<Result<Vec<_>, _>>()?;
        let (space, _) = halves.first().ok_or("no id was given")?;
        let space: SpaceId = space.parse()?;
        let space = match self.replica.space(space) {
            Ok(space) => space,
            Err(_) => self.replica.join_space(space)?,
        };
        let entities = halves.iter().map(|(_, entity)| Ok(entity.parse()?));
        Ok((space, entities.collect::<Result<Vec<_>, Failure>>()?))
    }

    fn own_space(&self) -> Result<Space, Failure> {
        match self.space() {
            Ok(space) => Ok(space),
            Err(_) => Ok(self.replica.create_space("home")?),
        }
    }

    fn space(&self) -> Result<Space, Failure> {
        Ok(self.replica.spaces()?.pop().ok_or("there is no space yet")?)
    }

    fn texts(&self) -> Vec<Entity> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, texts: Vec<Entity>) {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).extend(texts);
    }
}

impl Member for ReplicaMember {
    type Growth = WatchedTexts;

    async fn connect(&self, url: &str) -> Result<(), Failure> {
        Ok(self.replica.connect(Relay::new(url))?)
    }

    async fn disconnect(&self) -> Result<(), Failure> {
        self.replica.disconnect();
        Ok(())
    }

    async fn create_texts(&self, count: usize) -> Result<Vec<String>, Failure> {
        let space = self.own_space()?;
        let pages = space.collection::<Page>(TEXTS)?;
        let empty = Page { body: Text::default() };
        let (made, _) = self.replica.transaction(|transaction| {
            (0..count).map(|_| transaction.insert(&pages, &empty)).collect::<Result<Vec<_>, _>>()
        })?;
        self.keep(made.iter().map(|id| pages.entity(*id)).collect::<Result<Vec<_>, _>>()?);
        Ok(made.iter().map(|id| format!("{}/{id}", space.id())).collect())
    }

    async fn open_texts(&self, ids: &[String]) -> Result<(), Failure> {
        let (space, ids) = self.join(ids)?;
        self.settle().await?;
        let pages = space.collection::<Page>(TEXTS)?;
        self.keep(ids.iter().map(|id| pages.entity(*id)).collect::<Result<Vec<_>, _>>()?);
        Ok(())
    }

    async fn create_small(&self, count: usize, changes: usize) -> Result<Vec<String>, Failure> {
        let space = self.own_space()?;
        let made = populate(&self.replica, &space.collection(TASKS)?, count, changes)?;
        Ok(made.iter().map(|id| format!("{}/{id}", space.id())).collect())
    }

    async fn open_small(&self, ids: &[String], changes: usize) -> Result<(), Failure> {
        let (space, ids) = self.join(ids)?;
        self.settle().await?;
        let tasks = space.collection::<Task>(TASKS)?;
        let priority = i64::try_from(changes)? - 1;
        for id in ids {
            if tasks.read(id)?.priority != priority {
                return Err("a document is not as its last change left it".into());
            }
        }
        Ok(())
    }

    async fn settle(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        loop {
            match self.replica.sync_now().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error.into()),
                Err(_) => {}
            }
        }
    }

    fn append(&self, text: usize, length: usize, letter: char) -> Result<(), Failure> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts.get(text).ok_or("there is no such text")?.text(BODY);
        let _ = text.splice(length, 0, letter.encode_utf8(&mut [0; 4]))?;
        Ok(())
    }

    fn read_texts(&self) -> Result<Vec<String>, Failure> {
        self.texts().iter().map(|text| Ok(text.text(BODY).read()?)).collect()
    }

    fn follow(&self) -> Result<WatchedTexts, Failure> {
        let watch = self.space()?.collection::<Page>(TEXTS)?.watch();
        let length = |text: &Entity| Ok::<_, Failure>(text.text(BODY).read()?.chars().count());
        let texts = self.texts().into_iter().map(|text| Ok((text.id(), (text.clone(), length(&text)?))));
        let texts = texts.collect::<Result<BTreeMap<_, _>, Failure>>()?;
        let total = texts.values().map(|(_, length)| *length as u64).sum();
        Ok(WatchedTexts { watch, texts, total })
    }

    fn type_as_a_person(&self, keystrokes: usize) -> Result<(), Failure> {
        let texts = self.texts();
        let text = texts.first().ok_or("there is no text")?;
        for Patch(position, delete, insert) in steady(keystrokes).transactions.iter().flat_map(|made| &made.patches) {
            let _ = text.text(BODY).splice(*position, *delete, insert)?;
        }
        Ok(())
    }

    fn saved_bytes(&self) -> Result<usize, Failure> {
        let texts = self.texts();
        let text = texts.first().ok_or("there is no text")?;
        Ok(text.raw(|document| document.save().len())?)
    }
}

/// Texts of a replica that are watched.
#[derive(Debug)]
pub struct WatchedTexts {
    watch: Watch,
    texts: BTreeMap<EntityId, (Entity, usize)>,
    total: u64,
}

impl Growth for WatchedTexts {
    fn total(&self) -> u64 {
        self.total
    }

    async fn next(&mut self) -> Result<u64, Failure> {
        let changed = self.watch.changed().await.ok_or("the replica was closed")?;
        let moment = wall_us();
        for id in changed {
            let Some((text, length)) = self.texts.get_mut(&id) else { continue };
            let now = text.text(BODY).read()?.chars().count();
            self.total = self.total + now as u64 - *length as u64;
            *length = now;
        }
        Ok(moment)
    }
}
