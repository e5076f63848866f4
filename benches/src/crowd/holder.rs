//! A process that holds sessions, seen from the one that measures.

use super::{PROCESSES, share, users};
use crate::party::PartyError;
use crate::protocol::Line;
use afield_tests::processes::Program;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

const ASKED: &str = "to hold sessions";

/// A process that holds sessions. It is killed when this is dropped.
#[derive(Debug)]
pub struct Holder {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    /// Starts some that hold so many sessions together with the relay that [`super::relay_for`] has started in this folder;
    /// its address, a file with tokens and a number come as the last arguments.
    ///
    /// # Errors
    ///
    /// A process does not start.
    pub fn start_all(program: &Program, url: &str, folder: &Path, sessions: usize) -> Result<Vec<Self>, PartyError> {
        let start = |number| Self::start(program, url, &users::file(folder, number), share(sessions, number));
        (0..PROCESSES).map(|number| Ok(start(number)?)).collect()
    }

    fn start(program: &Program, url: &str, tokens: &Path, count: usize) -> std::io::Result<Self> {
        let mut command = program.command();
        command.arg(url).arg(tokens).arg(count.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, lines: BufReader::new(output).lines() })
    }

    /// Waits until all sessions are held.
    ///
    /// # Errors
    ///
    /// The process has died, or says why it cannot.
    pub fn wait(&mut self) -> Result<(), PartyError> {
        match self.line()? {
            Line::Ready => Ok(()),
            Line::Failed(reason) => Err(PartyError::Failed { asked: ASKED, reason }),
            Line::Reply(_) => Err(PartyError::Answer { asked: ASKED }),
        }
    }

    /// Says a line to it, whatever its program understands by that.
    ///
    /// # Errors
    ///
    /// The process has died.
    pub fn tell(&mut self, line: &str) -> Result<(), PartyError> {
        let input = self.child.stdin.as_mut().ok_or(PartyError::Died { asked: ASKED })?;
        Ok(writeln!(input, "{line}")?)
    }

    /// Ends the sessions, all of which must still be held, and gives what the process says at the end.
    ///
    /// # Errors
    ///
    /// A session has ended, or the process has died.
    pub fn finish(&mut self) -> Result<serde_json::Value, PartyError> {
        drop(self.child.stdin.take());
        match self.line()? {
            Line::Reply(value) => Ok(value),
            Line::Failed(reason) => Err(PartyError::Failed { asked: ASKED, reason }),
            Line::Ready => Err(PartyError::Answer { asked: ASKED }),
        }
    }

    fn line(&mut self) -> Result<Line, PartyError> {
        let line = self.lines.next().ok_or(PartyError::Died { asked: ASKED })??;
        serde_json::from_str(&line).map_err(|_| PartyError::Answer { asked: ASKED })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // A child that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
