//! `serve`: the relay until it is told to stop.

use super::{CommandError, log, print_line_if_read};
use crate::config::{Flags, Loaded, Sources};
use crate::hub::Access;
use crate::server::{Relay, RunningRelay};
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};

/// Runs the relay until it is told to stop.
#[derive(Debug, Args)]
pub struct ServeCommand {
    /// Let anyone read and write everything, without tokens: for trials on this machine only
    #[arg(long)]
    insecure_open: bool,
    /// Write the line that says where the relay listens to this file too, as JSON, once it does
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl ServeCommand {
    pub(super) fn run(self, file: Option<PathBuf>, data: Option<PathBuf>, json: bool) -> Result<(), CommandError> {
        let Self { insecure_open, ready_file, flags } = self;
        let loaded = Sources::of_process(file, data, flags).load()?;
        // Dropped last, when the relay has stopped and its runtime is gone.
        let _exporter = log::start_of_relay(&loaded.config)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
        runtime.block_on(serve(&loaded, insecure_open, ready_file, json))
    }
}

async fn serve(loaded: &Loaded, is_open: bool, ready_file: Option<PathBuf>, json: bool) -> Result<(), CommandError> {
    // Heard from the first moment, so that a signal during the start is not lost.
    let stop = stop_signal().map_err(CommandError::Runtime)?;
    let data = &loaded.config.data;
    let access = if is_open { Access::Open } else { Access::Tokens };
    let mut relay = Relay::start(loaded.config.options(access)).await.map_err(|error| loaded.located(error))?;
    let ready = ready_line(&relay, data);
    if let Some(path) = ready_file {
        write_whole(&path, &ready).map_err(|source| CommandError::ReadyFile { path, source })?;
    }
    if json {
        print_line_if_read(&ready)?;
    } else {
        print_line_if_read(&greeting(&relay, data, is_open))?;
    }
    tracing::info!(address = %relay.address(), data = %data.display(), "the relay is ready");
    tokio::select! {
        () = stop => {
            tracing::info!("the relay stops");
            relay.shutdown().await;
            Ok(())
        }
        () = relay.failed() => Err(CommandError::Failed),
    }
}

/// What a program needs to know to use the relay.
fn ready_line(relay: &RunningRelay, data: &Path) -> String {
    serde_json::json!({
        "event": "ready",
        "address": relay.address().to_string(),
        "url": relay.url(),
        "admin_address": relay.admin_address().map(|address| address.to_string()),
        "metrics_address": relay.metrics_address().map(|address| address.to_string()),
        "data": data.display().to_string(),
        "has_tokens": relay.has_tokens(),
        "process": std::process::id(),
    })
    .to_string()
}

/// What a person needs to know to use the relay.
fn greeting(relay: &RunningRelay, data: &Path, is_open: bool) -> String {
    let mut text = format!("afield-relay listens on {} (data in {})", relay.url(), data.display());
    if let Some(address) = relay.admin_address() {
        text.push_str(&format!("\nIts administration listens on {address}"));
    }
    if let Some(address) = relay.metrics_address() {
        text.push_str(&format!("\nIts figures are at http://{address}/metrics"));
    }
    if is_open {
        text.push_str("\nANYONE on this machine may read and write everything: --insecure-open");
    } else if !relay.lets_devices_in() {
        let data = quoted(&data.display().to_string());
        let when = if relay.has_tokens() { "now: no token is good any more" } else { "yet" };
        text.push_str(&format!(
            "\nNo device can sign in {when}. Make a user and a token for its device:\n  \
            afield-relay user create NAME --data {data}\n  afield-relay token create --user NAME --data {data}"
        ));
    }
    text
}

/// A path as a shell takes it back.
fn quoted(path: &str) -> String {
    let is_plain = path.chars().all(|c| c.is_alphanumeric() || "/._-+:\\".contains(c));
    if is_plain { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Writes a file so that nobody sees a part of it.
fn write_whole(path: &Path, line: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    std::fs::write(&beside, format!("{line}\n"))?;
    std::fs::rename(&beside, path)
}

/// Waits for Ctrl-C, or for what service managers send.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_comes_back_from_the_shell_as_it_was() {
        assert_eq!(quoted("/var/lib/afield-relay"), "/var/lib/afield-relay");
        assert_eq!(quoted("/home/a b/it's"), r"'/home/a b/it'\''s'");
    }
}
