//! Clients in a process of their own.

use super::{PartyError, START_TIMEOUT};
use crate::clock::wall_us;
use crate::protocol::{Command, Line};
use afield_tests::processes::Program;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// How long one command may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(120);
/// How far a client's clock may be off beyond what the question itself takes, in microseconds: a tenth of the smallest
/// latency that is told.
const CLOCK_MARGIN_US: u64 = 50;
/// How often the clock is asked for; the quickest answer counts.
const CLOCK_QUESTIONS: usize = 10;

/// Clients in a process of their own. It is killed when this is dropped.
#[derive(Debug)]
pub struct ClientProcess {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Line>,
    /// What was asked and has no reply yet.
    asked: VecDeque<&'static str>,
}

impl ClientProcess {
    /// Starts `clients` clients with their stores in a folder, and compares their clock with this process's.
    ///
    /// # Errors
    ///
    /// They do not start, or their clock is off.
    pub fn start(program: &Program, folder: &Path, clients: usize) -> Result<Self, PartyError> {
        std::fs::create_dir_all(folder)?;
        let mut command = program.command();
        command.arg(folder).arg(clients.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(PartyError::Died { asked: "to start" });
        };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Libraries may print lines of their own.
                let Ok(line) = serde_json::from_str(&line) else { continue };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut client = Self { child, input, lines, asked: VecDeque::new() };
        client.asked.push_back("to start");
        client.line(START_TIMEOUT)?;
        client.asked.clear();
        client.compare_clocks()?;
        Ok(client)
    }

    /// The process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Has a command done and gives its reply.
    ///
    /// # Errors
    ///
    /// It failed, in the client's words.
    pub fn request<T: DeserializeOwned>(&mut self, command: &Command) -> Result<T, PartyError> {
        self.send(command)?;
        self.reply()
    }

    /// Has a command done whose reply says nothing.
    ///
    /// # Errors
    ///
    /// As [`Self::request`].
    pub fn order(&mut self, command: &Command) -> Result<(), PartyError> {
        self.request::<serde_json::Value>(command).map(drop)
    }

    /// Sends a command without waiting for its reply; commands are done one after the other.
    ///
    /// # Errors
    ///
    /// The process has died.
    pub fn send(&mut self, command: &Command) -> Result<(), PartyError> {
        let mut line = serde_json::to_string(command).map_err(std::io::Error::from)?;
        line.push('\n');
        self.asked.push_back(command.name());
        Ok(self.input.write_all(line.as_bytes())?)
    }

    /// Waits for the reply to the oldest command that has none yet.
    ///
    /// # Errors
    ///
    /// As [`Self::request`].
    pub fn reply<T: DeserializeOwned>(&mut self) -> Result<T, PartyError> {
        loop {
            let line = self.line(REPLY_TIMEOUT)?;
            let asked = match line {
                Line::Ready => continue,
                Line::Reply(_) | Line::Failed(_) => self.asked.pop_front().unwrap_or("nothing"),
            };
            match line {
                Line::Reply(reply) => return serde_json::from_value(reply).map_err(|_| PartyError::Answer { asked }),
                Line::Failed(reason) => return Err(PartyError::Failed { asked, reason }),
                Line::Ready => {}
            }
        }
    }

    /// Waits until the command that was sent last has begun.
    ///
    /// # Errors
    ///
    /// It failed instead.
    pub fn wait_until_ready(&mut self) -> Result<(), PartyError> {
        let asked = self.asked.back().copied().unwrap_or("nothing");
        match self.line(REPLY_TIMEOUT)? {
            Line::Ready => Ok(()),
            Line::Failed(reason) => Err(PartyError::Failed { asked, reason }),
            Line::Reply(_) => Err(PartyError::Answer { asked }),
        }
    }

    fn line(&mut self, within: Duration) -> Result<Line, PartyError> {
        let asked = self.asked.front().copied().unwrap_or("nothing");
        self.lines.recv_timeout(within).map_err(|error| match error {
            RecvTimeoutError::Timeout => PartyError::Silent { asked, within },
            RecvTimeoutError::Disconnected => PartyError::Died { asked },
        })
    }

    /// Both ends of a latency are told by different processes, perhaps in different languages.
    fn compare_clocks(&mut self) -> Result<(), PartyError> {
        let mut off_us_min = u64::MAX;
        for _ in 0..CLOCK_QUESTIONS {
            let before = wall_us();
            let told: u64 = self.request(&Command::Clock)?;
            let after = wall_us();
            off_us_min = off_us_min.min(before.saturating_sub(told).max(told.saturating_sub(after)));
        }
        if off_us_min > CLOCK_MARGIN_US { Err(PartyError::Clock { off_us: off_us_min }) } else { Ok(()) }
    }
}

impl Drop for ClientProcess {
    fn drop(&mut self) {
        // A child that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
