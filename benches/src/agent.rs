//! Clients that do what [`crate::protocol`] tells them: those of any system that is a [`Member`], and Afield's.

mod replica;

pub use replica::ReplicaMember;

use crate::clock::wall_us;
use crate::protocol::{Command, Line, letter};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Whatever a client may fail with: it is told in words.
pub type Failure = Box<dyn Error + Send + Sync>;

/// One client of a system, with a store and a connection of its own. What it does is described in [`Command`].
pub trait Member: Send + Sync + 'static {
    /// How it follows the growth of its texts.
    type Growth: Growth;

    /// Starts to connect.
    fn connect(&self, url: &str) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Ends the connection.
    fn disconnect(&self) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Makes empty texts, and gives their ids.
    fn create_texts(&self, count: usize) -> impl Future<Output = Result<Vec<String>, Failure>> + Send;
    /// Gets texts from the server.
    fn open_texts(&self, ids: &[String]) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Makes small documents, and gives their ids.
    fn create_small(&self, count: usize, changes: usize) -> impl Future<Output = Result<Vec<String>, Failure>> + Send;
    /// Gets small documents from the server, and reads each.
    fn open_small(&self, ids: &[String], changes: usize) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Waits until the server has acknowledged everything.
    fn settle(&self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Adds a character to the end of one of the texts, whose length is told.
    ///
    /// # Errors
    ///
    /// There is no such text, or the edit failed.
    fn append(&self, text: usize, length: usize, letter: char) -> Result<(), Failure>;
    /// All texts.
    ///
    /// # Errors
    ///
    /// One cannot be read.
    fn read_texts(&self) -> Result<Vec<String>, Failure>;
    /// Follows all texts from now on.
    ///
    /// # Errors
    ///
    /// One cannot be read.
    fn follow(&self) -> Result<Self::Growth, Failure>;

    /// Types into the first text as a person does.
    ///
    /// # Errors
    ///
    /// The client does not know this, or the edit failed.
    fn type_as_a_person(&self, _keystrokes: usize) -> Result<(), Failure> {
        Err("this client does not know how a person types".into())
    }
    /// How many bytes the first text takes as `Automerge::save` writes it.
    ///
    /// # Errors
    ///
    /// The client does not know this, or the text cannot be read.
    fn saved_bytes(&self) -> Result<usize, Failure> {
        Err("this client does not know what a text takes".into())
    }
}

/// How the texts of a client grow.
pub trait Growth: Send + 'static {
    /// How many characters they have together.
    fn total(&self) -> u64;
    /// Waits until one has changed, counts anew, and gives the moment of the wake.
    fn next(&mut self) -> impl Future<Output = Result<u64, Failure>> + Send;
}

/// Runs clients until standard input ends.
///
/// # Errors
///
/// A pipe is broken.
pub fn run<M: Member>(members: Vec<M>, runtime: Runtime) -> Result<(), Failure> {
    let agent = Agent { members: members.into_iter().map(Arc::new).collect(), runtime };
    say(&Line::Reply(Value::Null))?;
    for line in std::io::stdin().lock().lines() {
        let command = serde_json::from_str(&line?)?;
        let answer = agent.handle(command);
        say(&answer.map_or_else(|error| Line::Failed(in_words(&*error)), Line::Reply))?;
    }
    Ok(())
}

struct Agent<M> {
    members: Vec<Arc<M>>,
    runtime: Runtime,
}

impl<M: Member> Agent<M> {
    fn handle(&self, command: Command) -> Result<Value, Failure> {
        match command {
            Command::Clock => return Ok(json!(wall_us())),
            Command::Connect { url } => {
                self.all(|member| {
                    let url = url.clone();
                    async move { member.connect(&url).await }
                })?;
            }
            Command::Disconnect => drop(self.all(|member| async move { member.disconnect().await })?),
            Command::CreateTexts { count } => {
                return Ok(json!(self.runtime.block_on(self.first()?.create_texts(count))?));
            }
            Command::OpenTexts { ids } => {
                self.all(|member| {
                    let ids = ids.clone();
                    async move { member.open_texts(&ids).await }
                })?;
            }
            Command::Type { edits, every_us } => return self.type_steadily(edits, Duration::from_micros(every_us)),
            Command::Keystrokes { count } => self.first()?.type_as_a_person(count)?,
            Command::Watch { edits } => {
                let growths = self.follow()?;
                say(&Line::Ready)?;
                return Ok(json!(self.join(growths.into_iter().map(|growth| see(growth, edits)))?));
            }
            Command::AwaitCharacters { count } => {
                let growths = self.follow()?;
                let moments = self.join(growths.into_iter().map(|growth| reach(growth, count)))?;
                return Ok(json!(moments.into_iter().max()));
            }
            Command::CreateSmall { count, changes } => {
                return Ok(json!(self.runtime.block_on(self.first()?.create_small(count, changes))?));
            }
            Command::OpenSmall { ids, changes } => {
                self.all(|member| {
                    let ids = ids.clone();
                    async move { member.open_small(&ids, changes).await }
                })?;
                return Ok(json!(wall_us()));
            }
            Command::Settle => {
                self.all(|member| async move { member.settle().await })?;
                return Ok(json!(wall_us()));
            }
            Command::Texts => return self.texts(),
            Command::SavedBytes => return Ok(json!(self.first()?.saved_bytes()?)),
        }
        Ok(Value::Null)
    }

    fn first(&self) -> Result<&Arc<M>, Failure> {
        Ok(self.members.first().ok_or("there is no client")?)
    }

    fn follow(&self) -> Result<Vec<M::Growth>, Failure> {
        self.members.iter().map(|member| member.follow()).collect()
    }

    /// Does something with every member at once.
    fn all<T: Send + 'static, F>(&self, act: impl Fn(Arc<M>) -> F) -> Result<Vec<T>, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        self.join(self.members.iter().map(|member| act(member.clone())))
    }

    /// Waits for all of these, which go on at once, and gives what they gave in their order.
    fn join<T: Send + 'static, F>(&self, futures: impl Iterator<Item = F>) -> Result<Vec<T>, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for (place, future) in futures.enumerate() {
                tasks.spawn(async move { (place, future.await) });
            }
            let mut given = Vec::new();
            while let Some(done) = tasks.join_next().await {
                let (place, value) = done?;
                given.push((place, value?));
            }
            given.sort_by_key(|(place, _)| *place);
            Ok(given.into_iter().map(|(_, value)| value).collect())
        })
    }

    fn type_steadily(&self, edits: u64, every: Duration) -> Result<Value, Failure> {
        let member = self.first()?;
        // Some systems need their runtime at hand for an edit.
        let _runtime = self.runtime.enter();
        let mut lengths: Vec<usize> = member.read_texts()?.iter().map(|text| text.chars().count()).collect();
        let count = lengths.len();
        let start = Instant::now();
        let mut called = Vec::new();
        for (number, due) in (0..edits).zip(1u32..) {
            std::thread::sleep((start + every * due).saturating_duration_since(Instant::now()));
            let place = usize::try_from(number)?.checked_rem(count).ok_or("there is no text")?;
            let Some(length) = lengths.get_mut(place) else { continue };
            called.push(wall_us());
            member.append(place, *length, letter(*length))?;
            *length += 1;
        }
        Ok(json!(called))
    }

    fn texts(&self) -> Result<Value, Failure> {
        let mut texts = self.members.iter().map(|member| member.read_texts());
        let first = texts.next().ok_or("there is no client")??;
        for other in texts {
            if other? != first {
                return Err("the texts of two clients are not equal".into());
            }
        }
        Ok(json!(first))
    }
}

/// Waits for so many more characters and gives the moment at which each was seen.
async fn see(mut growth: impl Growth, edits: u64) -> Result<Vec<u64>, Failure> {
    let start = growth.total();
    let mut seen = Vec::new();
    while (seen.len() as u64) < edits {
        let moment = growth.next().await?;
        let here = usize::try_from(growth.total().saturating_sub(start))?;
        seen.resize(seen.len().max(here), moment);
    }
    Ok(seen)
}

/// Waits until there are so many characters and gives the moment.
async fn reach(mut growth: impl Growth, count: u64) -> Result<u64, Failure> {
    let mut moment = wall_us();
    while growth.total() < count {
        moment = growth.next().await?;
    }
    Ok(moment)
}

/// Writes one line at once.
fn say(line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
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
