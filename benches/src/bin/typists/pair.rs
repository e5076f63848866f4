//! Two typists, their relay and the line between them, each a process of its own.

use crate::delay;
use crate::typist::{Key, Order, Seen, Texts, Typing, Which};
use afield::Replay;
use afield_benches::role;
use afield_tests::processes::{Access, Figures, RelayProcess};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// What makes this program a typist.
pub(crate) const ROLE: &str = "role-typist";

/// How both type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) letters: u64,
    pub(crate) changes: u64,
    pub(crate) pause_ms: (u64, u64),
}

/// What was measured while both typed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    /// From each call to the wake elsewhere, in milliseconds.
    pub(crate) across_ms: Vec<f64>,
    /// From each call to its return, in milliseconds.
    pub(crate) local_ms: Vec<f64>,
    /// CPU time of both devices, in seconds.
    pub(crate) cpu_seconds: f64,
    /// For how long they typed, added up over both, in seconds.
    pub(crate) seconds: f64,
    pub(crate) merged: u64,
    pub(crate) replayed: u64,
}

/// Two typists in step with a relay.
pub(crate) struct Pair {
    typists: [Process; 2],
    texts: Texts,
    manner: Manner,
    _relay: RelayProcess,
}

impl Pair {
    pub(crate) fn start(
        folder: &Path,
        replay: Replay,
        one_way: Duration,
        manner: Manner,
    ) -> Result<Self, Box<dyn Error>> {
        let relay = RelayProcess::start(&role::relay()?, &folder.join("relay"), Access::Open);
        let url =
            if one_way.is_zero() { relay.url() } else { format!("ws://{}", delay::start(relay.address(), one_way)?) };
        let mut first = Process::start(&folder.join("first.db"), replay)?;
        let mut second = Process::start(&folder.join("second.db"), replay)?;
        let Manner { letters, changes, .. } = manner;
        let texts: Texts = first.ask(&Order::Make { letters, changes })?;
        let _: Value = second.ask(&Order::Join { space: texts.space.clone() })?;
        for typist in [&mut first, &mut second] {
            let _: Value = typist.ask(&Order::Connect { url: url.clone() })?;
            let _: Value = typist.ask(&Order::Sync)?;
        }
        Ok(Self { typists: [first, second], texts, manner, _relay: relay })
    }

    /// Both type into one of the texts.
    pub(crate) fn type_keys(&mut self, which: Which, keys: u64, seed: u64) -> Result<Measured, Box<dyn Error>> {
        let letters = if which == Which::Short { 0 } else { self.manner.letters };
        let pause_ms = self.manner.pause_ms;
        for typist in &mut self.typists {
            let _: Value = typist.ask(&Order::Watch { entity: self.texts.entity(which).to_owned() })?;
        }
        let cpu = |typists: &[Process; 2]| -> Option<Duration> {
            let figures = typists.iter().map(|typist| Figures::of(typist.child.id()));
            figures.map(|figures| figures.map(|figures| Duration::from_millis(figures.cpu_ms))).sum()
        };
        let (started, before) = (Instant::now(), cpu(&self.typists));
        for (typist, seed) in self.typists.iter_mut().zip([seed * 2, seed * 2 + 1]) {
            typist.send(&Order::Type(Typing { which, letters, keys, pause_ms, seed }))?;
        }
        let mut typed: Vec<Vec<Key>> = Vec::new();
        for typist in &mut self.typists {
            typed.push(typist.reply()?);
        }
        let (seconds, after) = (started.elapsed().as_secs_f64() * 2.0, cpu(&self.typists));
        let mut measured = Measured { seconds, ..Measured::default() };
        if let (Some(before), Some(after)) = (before, after) {
            measured.cpu_seconds = after.saturating_sub(before).as_secs_f64();
        }
        let mut seen: Vec<Seen> = Vec::new();
        for (typist, keys) in self.typists.iter_mut().zip(typed.iter().rev()) {
            let change = keys.last().map(|key| key.change.clone()).ok_or("nobody typed")?;
            seen.push(typist.ask(&Order::Seen { change })?);
        }
        for (keys, seen) in typed.iter().zip(seen.iter().rev()) {
            measured.across_ms.extend(across(keys, seen)?);
            let ms = |key: &Key| key.returned_us.saturating_sub(key.called_us) as f64 / 1_000.0;
            measured.local_ms.extend(keys.iter().map(ms));
            measured.merged += seen.merged;
            measured.replayed += seen.replayed;
        }
        Ok(measured)
    }
}

impl Measured {
    pub(crate) fn add(&mut self, more: Self) {
        self.across_ms.extend(more.across_ms);
        self.local_ms.extend(more.local_ms);
        self.cpu_seconds += more.cpu_seconds;
        self.seconds += more.seconds;
        self.merged += more.merged;
        self.replayed += more.replayed;
    }
}

/// From each key to the first wake elsewhere at which the document held it, in milliseconds.
fn across(keys: &[Key], seen: &Seen) -> Result<Vec<f64>, Box<dyn Error>> {
    // Of each change the last sequence of each actor that it stands on or is.
    let mut clocks: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for (hash, actor, sequence, dependencies) in &seen.changes {
        let mut clock: BTreeMap<&str, u64> = BTreeMap::new();
        for known in dependencies.iter().filter_map(|dependency| clocks.get(dependency.as_str())) {
            for (actor, sequence) in known {
                let last = clock.entry(actor).or_default();
                *last = (*last).max(*sequence);
            }
        }
        clock.insert(actor, *sequence);
        clocks.insert(hash, clock);
    }
    let named: BTreeMap<&str, (&str, u64)> =
        seen.changes.iter().map(|(hash, actor, sequence, _)| (hash.as_str(), (actor.as_str(), *sequence))).collect();
    let mut wakes = seen.wakes.iter();
    let (mut at, mut held, mut across) = (0, 0, Vec::new());
    for key in keys {
        let (actor, sequence) = named.get(key.change.as_str()).ok_or("a key did not arrive")?;
        while held < *sequence {
            let (woken, heads) = wakes.next().ok_or("nobody woke for a key")?;
            let last = heads.iter().filter_map(|head| clocks.get(head.as_str())?.get(actor)).max();
            (at, held) = (*woken, last.copied().unwrap_or(0));
        }
        across.push((at as f64 - key.called_us as f64) / 1_000.0);
    }
    Ok(across)
}

/// The process of a typist. It is killed when this is dropped.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(store: &Path, replay: Replay) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ROLE).arg(store);
        if replay == Replay::Off {
            command.arg("--no-replay");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("standard input is no pipe")?;
        let output = BufReader::new(child.stdout.take().ok_or("standard output is no pipe")?);
        Ok(Self { child, input, output })
    }

    fn ask<T: DeserializeOwned>(&mut self, order: &Order) -> Result<T, Box<dyn Error>> {
        self.send(order)?;
        self.reply()
    }

    fn send(&mut self, order: &Order) -> Result<(), Box<dyn Error>> {
        writeln!(self.input, "{}", serde_json::to_string(order)?)?;
        Ok(())
    }

    fn reply<T: DeserializeOwned>(&mut self) -> Result<T, Box<dyn Error>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line).map_err(|_| "a typist has died")?;
        match answer.get_mut("reply") {
            Some(reply) => Ok(serde_json::from_value(reply.take())?),
            None => Err(format!("a typist failed: {answer}").into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
