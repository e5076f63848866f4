//! The log on standard error, and for a collector where there is one.

use super::otlp::{Exporter, OtlpError};
use crate::config::{Config, LogFormat};
use std::io;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Sends the log of a command to standard error, as text.
pub(super) fn start(filter: &str) {
    install(LogFormat::Text, filter, None);
}

/// Sends the log of a relay to standard error, and to a collector where the configuration names one: for as long as what is
/// answered lives. Not to be called from asynchronous code.
pub(super) fn start_of_relay(config: &Config) -> Result<Option<Exporter>, OtlpError> {
    let exporter = Exporter::start(&config.otlp)?;
    install(config.log_format, config.log.as_str(), exporter.as_ref());
    Ok(exporter)
}

/// Whatever is asked for, nothing that prints content is let through (S6).
fn install(format: LogFormat, filter: &str, exporter: Option<&Exporter>) {
    let wanted = || EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).parse_lossy(filter);
    // A filter of its own beside the one that was asked for: a directive there could name a module more precisely.
    let without_content = filter_fn(|about| afield_transport::may_be_logged(about.target(), *about.level()));
    // Whoever read standard error may have gone, and its disk may be full. A line that cannot be written is dropped: what
    // would report that prints to standard error too, and panics where that fails.
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let exported = exporter.map(|exporter| exporter.layer(wanted()));
    // An embedding program that has a log already keeps it.
    let _ = tracing_subscriber::registry()
        .with(without_content)
        .with(lines.with_filter(wanted()))
        .with(exported)
        .try_init();
}
