//! The other end of a [`DeviceProcess`](super::DeviceProcess): a real replica that takes commands from standard input.
//!
//! A command is one line of JSON, and so is whatever is answered. It ends when its input does.

mod life;
mod protocol;
mod task;

pub use protocol::{Command, Line};
pub use task::{Task, populate};

use afield::{Collection, Durability, EntityId, Path, Presence, Relay, Replica, Space, Synchronous, Value, Write};
use serde_json::json;
use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// The collection that everything here is in.
const COLLECTION: &str = "notes";

const NO_ENTITY: &str = "there is no entity yet";

/// Runs a device on the store file `path` until standard input ends.
///
/// # Errors
///
/// The store does not open, or a pipe is broken.
pub fn run(path: &std::path::Path) -> Result<(), Box<dyn Error>> {
    run_with(path, Synchronous::Full)
}

/// Runs a device as [`run`] does, whose edits count as stored when this says.
///
/// # Errors
///
/// As [`run`].
pub fn run_with(path: &std::path::Path, synchronous: Synchronous) -> Result<(), Box<dyn Error>> {
    std::panic::set_hook(Box::new(afield::report_panic));
    let replica = Replica::options().synchronous(synchronous).open(path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut agent = Agent { replica, runtime, load: None, presence: None };
    say(&Line::Reply(json!({ "device": agent.replica.device().to_string() })));
    for line in std::io::stdin().lock().lines() {
        let command = serde_json::from_str(&line?)?;
        let answer = agent.handle(command);
        say(&answer.map_or_else(|error| Line::Failed(in_words(&*error)), Line::Reply));
    }
    Ok(())
}

struct Agent {
    replica: Replica,
    runtime: Runtime,
    load: Option<Load>,
    presence: Option<Presence>,
}

struct Load {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Agent {
    fn handle(&mut self, command: Command) -> Result<serde_json::Value, Box<dyn Error>> {
        match command {
            Command::MakeSpace => return Ok(json!(self.replica.create_space("home")?.id().to_string())),
            Command::JoinSpace { space } => drop(self.replica.join_space(space.parse()?)?),
            Command::Connect { url, token } => {
                let relay = Relay::new(url);
                self.replica.connect(match token {
                    Some(token) => relay.token(token),
                    None => relay,
                })?;
            }
            Command::Disconnect => self.replica.disconnect(),
            Command::SyncNow => self.runtime.block_on(self.replica.sync_now())?,
            Command::Hurry => {
                let replica = self.replica.clone();
                self.runtime.spawn(async move { replica.sync_now().await.is_ok() });
            }
            Command::Space => return Ok(json!(self.space()?.id().to_string())),
            Command::Populate { entities, changes } => return self.populate(entities, changes),
            Command::Increment { times } => {
                let notes = self.notes()?;
                let entity = notes.entity(*notes.ids()?.first().ok_or(NO_ENTITY)?)?;
                for _ in 0..times {
                    let write = entity.counter("count").increment(1)?;
                    self.runtime.block_on(write.wait(Durability::Relay))?;
                }
            }
            Command::Live { tasks } => return self.live(tasks),
            Command::Import { file } => {
                let file = std::io::BufReader::new(std::fs::File::open(file)?);
                return Ok(json!(self.space()?.import(file, |_| ())?.changed));
            }
            Command::Load => self.start_load()?,
            Command::Rest => self.rest(),
            Command::CompactOn => {
                let replica = self.replica.clone();
                std::thread::spawn(move || {
                    loop {
                        if let Err(error) = replica.compact(|_| ()) {
                            return say(&Line::Failed(in_words(&error)));
                        }
                    }
                });
            }
            Command::Tick { edits, every_ms } => return self.tick(edits, Duration::from_millis(every_ms)),
            Command::Watch { edits } => return self.watch(edits),
            Command::Show { state } => {
                let presence = self.space()?.presence();
                presence.set(&state)?;
                self.presence = Some(presence);
            }
            Command::Status => return Ok(serde_json::to_value(self.replica.status()?)?),
            Command::Changes => return self.changes(),
            Command::Count => return Ok(json!(self.notes()?.ids()?.len())),
        }
        Ok(json!(null))
    }

    fn space(&self) -> Result<Space, Box<dyn Error>> {
        Ok(self.replica.spaces()?.pop().ok_or("there is no space yet")?)
    }

    fn notes(&self) -> Result<Collection<()>, Box<dyn Error>> {
        Ok(self.space()?.collection(COLLECTION)?)
    }

    fn populate(&self, entities: usize, changes: usize) -> Result<serde_json::Value, Box<dyn Error>> {
        let started = Instant::now();
        populate(&self.replica, &self.space()?.collection(COLLECTION)?, entities, changes)?;
        Ok(json!({ "ms": started.elapsed().as_millis() as u64 }))
    }

    fn live(&self, tasks: u64) -> Result<serde_json::Value, Box<dyn Error>> {
        let all = self.space()?.collection(COLLECTION)?;
        let edits = (0..usize::try_from(tasks)?).map(|number| life::live(&all, number));
        Ok(json!(edits.sum::<Result<u64, _>>()?))
    }

    fn start_load(&mut self) -> Result<(), Box<dyn Error>> {
        self.rest();
        let notes = self.notes()?;
        let entities = notes.ids()?;
        if entities.is_empty() {
            return Err(NO_ENTITY.into());
        }
        let is_over = Arc::<AtomicBool>::default();
        let (of_thread, handle) = (is_over.clone(), self.runtime.handle().clone());
        let thread = std::thread::spawn(move || {
            for (round, id) in entities.iter().cycle().enumerate() {
                if of_thread.load(Ordering::Relaxed) {
                    return;
                }
                match edit_somehow(&notes, *id, round) {
                    Ok(write) => tell(&handle, write),
                    Err(error) => return say(&Line::Failed(in_words(&*error))),
                }
            }
        });
        self.load = Some(Load { is_over, thread });
        Ok(())
    }

    fn rest(&mut self) {
        let Some(load) = self.load.take() else { return };
        load.is_over.store(true, Ordering::Relaxed);
        if load.thread.join().is_err() {
            say(&Line::Failed("the thread that edits has panicked".to_owned()));
        }
    }

    fn tick(&self, edits: u64, every: Duration) -> Result<serde_json::Value, Box<dyn Error>> {
        let notes = self.notes()?;
        let id = *notes.ids()?.first().ok_or(NO_ENTITY)?;
        let entity = notes.entity(id)?;
        let start = Instant::now();
        let mut called = Vec::new();
        for (number, due) in (1..=edits).zip(1u32..) {
            std::thread::sleep((start + every * due).saturating_duration_since(Instant::now()));
            called.push(now_us());
            let _ = entity.map(Path::ROOT).put("tick", Value::Int(number.try_into()?))?;
        }
        Ok(json!(called))
    }

    fn watch(&self, edits: u64) -> Result<serde_json::Value, Box<dyn Error>> {
        let notes = self.notes()?;
        let id = *notes.ids()?.first().ok_or(NO_ENTITY)?;
        let entity = notes.entity(id)?;
        let mut watch = entity.watch();
        say(&Line::Ready);
        let mut seen = Vec::new();
        while (seen.len() as u64) < edits {
            let woken = self.runtime.block_on(watch.changed());
            let at = now_us();
            woken.ok_or("the replica was closed")?;
            let number = entity.get("tick")?.and_then(|value| value.as_integer()).unwrap_or(0);
            let number = usize::try_from(number)?;
            seen.resize(seen.len().max(number), at);
        }
        Ok(json!(seen))
    }

    fn changes(&self) -> Result<serde_json::Value, Box<dyn Error>> {
        let notes = self.notes()?;
        let mut held = Vec::new();
        for id in notes.ids()? {
            let hashes = notes.entity(id)?.raw(|document| {
                document.get_changes(&[]).iter().map(|change| change.hash().to_string()).collect::<Vec<_>>()
            })?;
            held.extend(hashes.into_iter().map(|hash| [id.to_string(), hash]));
        }
        Ok(json!(held))
    }
}

/// One edit, of another kind every time.
fn edit_somehow(notes: &Collection<()>, id: EntityId, round: usize) -> Result<Write, Box<dyn Error>> {
    let entity = notes.entity(id)?;
    let number = i64::try_from(round)?;
    Ok(match round % 5 {
        0 => entity.text("body").splice(0, 0, &format!("{round} "))?,
        1 => entity.counter("count").increment(1)?,
        2 => entity.map("labels").put(&format!("label-{}", round % 7), Value::Int(number))?,
        3 => entity.list("items").insert(0, Value::Int(number))?,
        _ => entity.map(Path::ROOT).put("title", Value::Str(format!("title {round}")))?,
    })
}

/// Tells that an edit is stored, and later that the relay has it.
fn tell(runtime: &tokio::runtime::Handle, write: Write) {
    // In one write, so that whoever traces system calls sees one word for one edit.
    let stored = |(entity, change): (EntityId, afield::ChangeHash)| Line::Stored {
        entity: entity.to_string(),
        change: change.to_string(),
    };
    say_all(&write.changes().map(stored).collect::<Vec<_>>());
    runtime.spawn(async move {
        match write.wait(Durability::Relay).await {
            Ok(()) => write.changes().for_each(|(entity, change)| {
                say(&Line::Receipt { entity: entity.to_string(), change: change.to_string() });
            }),
            Err(error) => say(&Line::Failed(in_words(&error))),
        }
    });
}

/// Writes one line at once: what was said before a SIGKILL has been said.
fn say(line: &Line) {
    say_all(std::slice::from_ref(line));
}

fn say_all(lines: &[Line]) {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line).expect("a line holds strings, numbers and lists only");
        text.push('\n');
    }
    use std::io::Write as _;
    // Nobody listens any more when the pipe is broken; the next read of standard input ends the process.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn now_us() -> u64 {
    // The processes that compare these moments run on one machine and so share this clock.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
