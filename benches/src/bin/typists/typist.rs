//! One typist: a real device in a process of its own, which takes orders from standard input, one line of JSON each.

use afield::{Collection, Entity, EntityId, Relay, Replay, Replica, Synchronous};
use afield_benches::random::Random;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// The field that is typed into.
const TEXT: &str = "body";
/// How much of the text's end is left alone, so that every position there is stands whatever was deleted meanwhile.
const MARGIN: u64 = 100;
/// One key in so many deletes a character.
const DELETES_ONE_IN: u64 = 5;

/// What a typist is told to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Order {
    /// Make a space with a short text and two of the length that is measured; the reply is [`Texts`].
    Make {
        /// How long these two are.
        letters: u64,
        /// How many changes each is made of.
        changes: u64,
    },
    /// Join the space.
    Join { space: String },
    /// Switch sync on.
    Connect { url: String },
    /// Get in step with the relay.
    Sync,
    /// Note from now on when a text changes.
    Watch { entity: String },
    /// Type into it; the reply is a list of [`Key`]s.
    Type(Typing),
    /// Stop noting once the text holds a change; the reply is a [`Seen`].
    Seen { change: String },
}

/// Which of the texts is typed into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Which {
    /// A `Text` of a few words.
    Short,
    /// A `LongText` of the length that is measured.
    LongText,
    /// A `Text` of that length.
    Text,
}

/// The entities of the texts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Texts {
    pub(crate) space: String,
    pub(crate) short: String,
    pub(crate) long_text: String,
    pub(crate) text: String,
}

impl Texts {
    pub(crate) fn entity(&self, which: Which) -> &str {
        match which {
            Which::Short => &self.short,
            Which::LongText => &self.long_text,
            Which::Text => &self.text,
        }
    }
}

/// How somebody types.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Typing {
    pub(crate) which: Which,
    /// How long the text is.
    pub(crate) letters: u64,
    /// How many keys are pressed.
    pub(crate) keys: u64,
    /// The least and the most time between two of them, in milliseconds.
    pub(crate) pause_ms: (u64, u64),
    pub(crate) seed: u64,
}

/// A key that was pressed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    /// When the library was called, in microseconds since the Unix epoch.
    pub(crate) called_us: u64,
    /// When it returned: the key is durable on this device.
    pub(crate) returned_us: u64,
    pub(crate) change: String,
}

/// What a typist saw of a text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// When the watcher woke, in microseconds since the Unix epoch, and the heads it found.
    pub(crate) wakes: Vec<(u64, Vec<String>)>,
    /// The changes made since typing began, in causal order: hash, actor, sequence, dependencies.
    pub(crate) changes: Vec<(String, String, u64, Vec<String>)>,
    /// How many changes of others were merged.
    pub(crate) merged: u64,
    /// How many of them were redone.
    pub(crate) replayed: u64,
}

/// Runs a typist until standard input ends.
pub(crate) fn run(store: &Path, replay: Replay) -> Result<(), Box<dyn Error>> {
    std::panic::set_hook(Box::new(afield::report_panic));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut typist = Typist { store: store.to_owned(), replay, replica: None, runtime, watching: None };
    for line in std::io::stdin().lock().lines() {
        let reply = match typist.handle(serde_json::from_str(&line?)?) {
            Ok(reply) => json!({ "reply": reply }),
            Err(error) => json!({ "failed": error.to_string() }),
        };
        writeln!(std::io::stdout().lock(), "{reply}")?;
    }
    Ok(())
}

struct Typist {
    store: PathBuf,
    replay: Replay,
    replica: Option<Replica>,
    runtime: Runtime,
    watching: Option<Watching>,
}

struct Watching {
    entity: Entity,
    heads: Vec<afield::ChangeHash>,
    merged: (u64, u64),
    stop: Arc<Notify>,
    thread: JoinHandle<Vec<(u64, Vec<String>)>>,
}

impl Typist {
    fn handle(&mut self, order: Order) -> Result<Value, Box<dyn Error>> {
        Ok(match order {
            Order::Make { letters, changes } => serde_json::to_value(make(&self.store, letters, changes)?)?,
            Order::Join { space } => {
                let _ = self.replica()?.join_space(space.parse()?)?;
                Value::Null
            }
            Order::Connect { url } => {
                self.replica()?.connect(Relay::new(url))?;
                Value::Null
            }
            Order::Sync => {
                let replica = self.replica()?.clone();
                self.runtime.block_on(replica.sync_now())?;
                Value::Null
            }
            Order::Watch { entity } => {
                self.watch(&entity)?;
                Value::Null
            }
            Order::Type(typing) => serde_json::to_value(self.type_keys(&typing)?)?,
            Order::Seen { change } => serde_json::to_value(self.seen(&change)?)?,
        })
    }

    fn replica(&mut self) -> Result<&Replica, Box<dyn Error>> {
        if self.replica.is_none() {
            self.replica = Some(Replica::options().replay(self.replay).open(&self.store)?);
        }
        self.replica.as_ref().ok_or_else(|| "the store is not open".into())
    }

    fn notes(&mut self) -> Result<Collection<()>, Box<dyn Error>> {
        Ok(self.replica()?.spaces()?.pop().ok_or("there is no space")?.collection("notes")?)
    }

    fn merged(&mut self) -> Result<(u64, u64), Box<dyn Error>> {
        let merged = self.replica()?.status()?.merged;
        Ok((merged.changes, merged.replayed))
    }

    fn watch(&mut self, entity: &str) -> Result<(), Box<dyn Error>> {
        let entity = self.notes()?.entity(entity.parse::<EntityId>()?)?;
        let heads = entity.raw(|document| document.get_heads())?;
        let merged = self.merged()?;
        let stop = Arc::<Notify>::default();
        let (watched, runtime, until) = (entity.clone(), self.runtime.handle().clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || runtime.block_on(watch(&watched, &until)));
        self.watching = Some(Watching { entity, heads, merged, stop, thread });
        Ok(())
    }

    fn type_keys(&self, typing: &Typing) -> Result<Vec<Key>, Box<dyn Error>> {
        let entity = &self.watching.as_ref().ok_or("nobody watches")?.entity;
        let mut random = Random::new(typing.seed);
        let mut keys = Vec::new();
        let (least_ms, most_ms) = typing.pause_ms;
        for _ in 0..typing.keys {
            std::thread::sleep(Duration::from_micros(random.between(least_ms * 1_000, most_ms * 1_000)));
            let position = usize::try_from(random.below(typing.letters.saturating_sub(MARGIN).max(1)))?;
            let deletes = typing.letters > MARGIN && random.below(DELETES_ONE_IN) == 0;
            let (delete, insert) = if deletes { (1, "") } else { (0, "k") };
            let called_us = now_us();
            let write = splice(entity, typing.which, position, delete, insert)?;
            let returned_us = now_us();
            let change = write.changes().last().ok_or("a key made no change")?.1.to_string();
            keys.push(Key { called_us, returned_us, change });
        }
        Ok(keys)
    }

    fn seen(&mut self, change: &str) -> Result<Seen, Box<dyn Error>> {
        let Watching { entity, heads, merged: before, stop, thread } = self.watching.take().ok_or("nobody watches")?;
        let last = change.parse::<afield::ChangeHash>()?;
        let mut watch = entity.watch();
        while !entity.raw(|document| document.get_change_meta_by_hash(&last).is_some())? {
            self.runtime.block_on(watch.changed()).ok_or("the replica was closed")?;
        }
        stop.notify_one();
        let wakes = thread.join().map_err(|_| "the watcher panicked")?;
        let changes = entity.raw(|document| {
            let made = document.get_changes_meta(&heads);
            let of = |change: &afield::automerge::ChangeMetadata<'_>| {
                let deps = change.deps.iter().map(ToString::to_string).collect();
                (change.hash.to_string(), change.actor.to_string(), change.seq, deps)
            };
            made.iter().map(of).collect()
        })?;
        let merged = self.merged()?;
        Ok(Seen { wakes, changes, merged: merged.0 - before.0, replayed: merged.1 - before.1 })
    }
}

/// Notes the heads at each wake, as an application would look at what has changed.
async fn watch(entity: &Entity, until: &Notify) -> Vec<(u64, Vec<String>)> {
    let mut watch = entity.watch();
    let mut wakes = Vec::new();
    loop {
        tokio::select! {
            biased;
            changed = watch.changed() => {
                let at = now_us();
                let heads = entity.raw(|document| document.get_heads());
                let (Some(_), Ok(heads)) = (changed, heads) else { return wakes };
                wakes.push((at, heads.iter().map(ToString::to_string).collect()));
            }
            () = until.notified() => return wakes,
        }
    }
}

/// Makes the texts, without a sync of each change: how long that takes is not what is measured.
fn make(store: &Path, letters: u64, changes: u64) -> Result<Texts, Box<dyn Error>> {
    let replica = Replica::options().synchronous(Synchronous::Normal).open(store)?;
    let space = replica.create_space("home")?;
    let notes = space.collection::<()>("notes")?;
    let short = notes.json().insert(&json!({ TEXT: { "$text": "" } }))?;
    let _ = notes.entity(short)?.text(TEXT).splice(0, 0, "short")?;
    let mut made = Vec::new();
    for (which, kind) in [(Which::LongText, "$longtext"), (Which::Text, "$text")] {
        let id = notes.json().insert(&json!({ TEXT: { kind: "" } }))?;
        let entity = notes.entity(id)?;
        let mut random = Random::new(letters);
        let mut length = 0;
        for number in 0..changes.max(1) {
            let count = letters * (number + 1) / changes.max(1) - length;
            let text = "x".repeat(usize::try_from(count)?);
            let _ = splice(&entity, which, usize::try_from(random.below(length + 1))?, 0, &text)?;
            length += count;
        }
        made.push(id.to_string());
    }
    let [long_text, text] = <[String; 2]>::try_from(made).map_err(|_| "there are two texts")?;
    Ok(Texts { space: space.id().to_string(), short: short.to_string(), long_text, text })
}

fn splice(
    entity: &Entity,
    which: Which,
    position: usize,
    delete: usize,
    insert: &str,
) -> Result<afield::Write, afield::EditError> {
    match which {
        Which::LongText => entity.long_text(TEXT).splice(position, delete, insert),
        Which::Short | Which::Text => entity.text(TEXT).splice(position, delete, insert),
    }
}

fn now_us() -> u64 {
    // The processes that compare these moments run on one machine and so share this clock.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
