//! The relay's process: started, killed, started again.

use super::DemoFailure;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long a relay may take to say where it listens: a hundred times what it needs.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of what a relay said is repeated, in characters.
const SAID_MAX: usize = 300;

/// An address on this machine whose port the system chooses.
pub(super) const ANY_PORT: &str = "127.0.0.1:0";
/// The relay's data, in the demo's folder.
const DATA: &str = "relay";

/// A relay in a process of its own. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct RelayProcess {
    child: Child,
    address: String,
    started_in: Duration,
}

impl RelayProcess {
    /// Starts a relay at an address on this machine; port 0 lets the system choose.
    pub(super) async fn start(folder: &Path, listen: &str) -> Result<Self, DemoFailure> {
        let since = Instant::now();
        let said = folder.join("relay.log");
        let mut child = spawn(folder, listen, &said).map_err(DemoFailure::Spawn)?;
        let lines = read_lines(&mut child)?;
        // From here on the process is killed whatever happens.
        let mut relay = Self { child, address: String::new(), started_in: Duration::ZERO };
        relay.address = relay.first_address(lines, &said).await?;
        relay.started_in = since.elapsed();
        Ok(relay)
    }

    /// Where it listens, as "127.0.0.1:1234".
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// What a device connects to.
    pub(super) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The number of the process.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// How long it took to listen.
    pub(super) fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Kills it as a power failure would: SIGKILL, which no process can catch.
    pub(super) fn kill(mut self) -> Result<(), DemoFailure> {
        self.child.kill().map_err(DemoFailure::Kill)?;
        self.child.wait().map_err(DemoFailure::Kill)?;
        Ok(())
    }

    async fn first_address(&mut self, mut lines: mpsc::Receiver<String>, said: &Path) -> Result<String, DemoFailure> {
        let listens = async {
            while let Some(line) = lines.recv().await {
                if let Some(address) = address_in(&line) {
                    return Some(address);
                }
            }
            None
        };
        match tokio::time::timeout(START_TIMEOUT, listens).await {
            Ok(Some(address)) => Ok(address),
            Ok(None) => {
                let status = self.child.wait().map_err(DemoFailure::Spawn)?;
                Err(DemoFailure::RelayEnded { status, said: last_words(said) })
            }
            Err(_) => Err(DemoFailure::RelaySilent { seconds: START_TIMEOUT.as_secs(), said: last_words(said) }),
        }
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        // A process that has ended already can be neither killed nor waited for once more, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies the data of a relay that is dead to another folder, with the files as they are.
pub(super) fn copy_data(from: &Path, to: &Path) -> Result<(), DemoFailure> {
    let copy = || {
        std::fs::create_dir_all(to.join(DATA))?;
        for entry in std::fs::read_dir(from.join(DATA))? {
            let entry = entry?;
            std::fs::copy(entry.path(), to.join(DATA).join(entry.file_name()))?;
        }
        Ok(())
    };
    copy().map_err(DemoFailure::Folder)
}

fn spawn(folder: &Path, listen: &str, said: &Path) -> std::io::Result<Child> {
    let log = File::options().create(true).append(true).open(said)?;
    let data: PathBuf = folder.join(DATA);
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AFIELD_")) {
        // What is set for this user's own relay and store has no place in a demo.
        command.env_remove(name);
    }
    // So has a configuration of this machine's own relay.
    let config = folder.join("relay.toml");
    File::create(&config)?;
    command.args(["relay", "--while-stdin-is-open", "--config"]).arg(config);
    command.args(["serve", "--insecure-open", "--listen", listen, "--data"]);
    command.arg(data).arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()
}

/// The lines that a process prints, read to the end so that it never waits for a reader.
fn read_lines(child: &mut Child) -> Result<mpsc::Receiver<String>, DemoFailure> {
    let (sender, receiver) = mpsc::channel(64);
    let Some(stdout) = child.stdout.take() else { return Ok(receiver) };
    let read = move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens any more once the address is known.
            let _ = sender.try_send(line);
        }
    };
    std::thread::Builder::new().name("afield-demo-relay".to_owned()).spawn(read).map_err(DemoFailure::Spawn)?;
    Ok(receiver)
}

/// The address on this machine that a line names.
fn address_in(line: &str) -> Option<String> {
    const HOST: &str = "127.0.0.1:";
    let (_, after) = line.split_once(HOST)?;
    let port: String = after.chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty()).then(|| format!("{HOST}{port}"))
}

fn last_words(said: &Path) -> String {
    let text = std::fs::read_to_string(said).unwrap_or_default();
    let text = text.trim().replace('\n', " ");
    let skipped = text.chars().count().saturating_sub(SAID_MAX);
    let words: String = text.chars().skip(skipped).collect();
    if words.is_empty() { "nothing".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_text_and_in_json() {
        assert_eq!(address_in("listening on ws://127.0.0.1:4711/").as_deref(), Some("127.0.0.1:4711"));
        assert_eq!(address_in(r#"{"address":"127.0.0.1:4711"}"#).as_deref(), Some("127.0.0.1:4711"));
        assert_eq!(address_in("starting"), None);
    }
}
