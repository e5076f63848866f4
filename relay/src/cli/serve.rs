//! `serve`: the relay until it is told to stop.

use super::{CommandError, LogFormat, log, print_line_if_read};
use crate::hub::{Access, SIGNALS_PER_SECOND, SignalRate};
use crate::log::Quotas;
use crate::server::{CONNECTIONS_MAX, DEFAULT_PORT, Relay, RelayOptions, RunningRelay, SHUTDOWN_DEADLINE_MS, TlsFiles};
use afield_core::Limits;
use clap::Args;
use clap::builder::BoolishValueParser;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Runs the relay until it is told to stop.
#[derive(Debug, Args)]
pub struct ServeCommand {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "AFIELD_LISTEN", value_name = "ADDRESS", default_value_t = default_listen())]
    listen: SocketAddr,
    /// Address and port of the administration over HTTP, such as 127.0.0.1:8454; there is none unless given
    #[arg(long, env = "AFIELD_ADMIN_LISTEN", value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Certificate chain as PEM; without one the relay speaks plain text, on loopback only
    #[arg(long, env = "AFIELD_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Private key of the certificate as PEM
    #[arg(long, env = "AFIELD_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// A proxy in front of the relay speaks TLS: allow plain text on any address
    #[arg(long, env = "AFIELD_BEHIND_PROXY", value_parser = BoolishValueParser::new())]
    behind_proxy: bool,
    /// Let anyone read and write everything, without tokens: for trials on this machine only
    #[arg(long)]
    insecure_open: bool,
    /// Most connections at once
    #[arg(
        long, env = "AFIELD_CONNECTIONS_MAX", value_name = "COUNT", default_value_t = CONNECTIONS_MAX,
        value_parser = parse_connections
    )]
    connections_max: usize,
    /// Most bytes of chunks in one space
    #[arg(long, env = "AFIELD_SPACE_BYTES_MAX", value_name = "BYTES", default_value_t = Quotas::SPACE_BYTES_MAX)]
    space_bytes_max: u64,
    /// Most chunks in one space
    #[arg(long, env = "AFIELD_SPACE_CHUNKS_MAX", value_name = "COUNT", default_value_t = Quotas::SPACE_CHUNKS_MAX)]
    space_chunks_max: u64,
    /// Most signals of presence that one session sends a second, and three times as many at once; what is above is dropped
    #[arg(long, env = "AFIELD_SIGNALS_PER_SECOND", value_name = "COUNT", default_value_t = SIGNALS_PER_SECOND)]
    signals_per_second: u32,
    /// Write the line that says where the relay listens to this file too, as JSON, once it does
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// What to log, such as info, debug or afield_relay=debug
    #[arg(long, env = "AFIELD_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    /// How log lines look
    #[arg(long, env = "AFIELD_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// The most connections that can be asked for: more than one process has file descriptors for anywhere.
const CONNECTIONS_ASKED_MAX: usize = 1_000_000;

/// The number is no number of connections.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("give a number from 1 to {CONNECTIONS_ASKED_MAX}")]
struct ParseConnectionsError;

fn parse_connections(text: &str) -> Result<usize, ParseConnectionsError> {
    let count = text.parse().map_err(|_| ParseConnectionsError)?;
    if (1..=CONNECTIONS_ASKED_MAX).contains(&count) { Ok(count) } else { Err(ParseConnectionsError) }
}

fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT)
}

impl ServeCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        log::start(self.log_format, &self.log);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
        runtime.block_on(self.serve(data, json))
    }

    async fn serve(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        // Heard from the first moment, so that a signal during the start is not lost.
        let stop = stop_signal().map_err(CommandError::Runtime)?;
        let ready_file = self.ready_file.clone();
        let is_open = self.insecure_open;
        let mut relay = Relay::start(self.options(data.clone())).await?;
        let ready = ready_line(&relay, &data);
        if let Some(path) = ready_file {
            write_whole(&path, &ready).map_err(|source| CommandError::ReadyFile { path, source })?;
        }
        if json {
            print_line_if_read(&ready)?;
        } else {
            print_line_if_read(&greeting(&relay, &data, is_open))?;
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

    fn options(self, data: PathBuf) -> RelayOptions {
        let tls = self.tls_certificate.zip(self.tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
        RelayOptions {
            data,
            listen: self.listen,
            access: if self.insecure_open { Access::Open } else { Access::Tokens },
            tls,
            admin: self.admin_listen,
            behind_proxy: self.behind_proxy,
            quotas: Quotas {
                space_bytes_max: self.space_bytes_max,
                space_chunks_max: self.space_chunks_max,
                ..Quotas::DEFAULT
            },
            limits: Limits::DEFAULT,
            signals: SignalRate {
                per_second: self.signals_per_second,
                burst: self.signals_per_second.saturating_mul(3),
            },
            connections_max: self.connections_max,
            shutdown_deadline_ms: SHUTDOWN_DEADLINE_MS,
        }
    }
}

/// What a program needs to know to use the relay.
fn ready_line(relay: &RunningRelay, data: &Path) -> String {
    serde_json::json!({
        "event": "ready",
        "address": relay.address().to_string(),
        "url": relay.url(),
        "admin_address": relay.admin_address().map(|address| address.to_string()),
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
    if is_open {
        text.push_str("\nANYONE on this machine may read and write everything: --insecure-open");
    } else if !relay.has_tokens() {
        text.push_str(&format!(
            "\nNo device can sign in yet. Create a token: afield-relay token create --data {}",
            quoted(&data.display().to_string())
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
