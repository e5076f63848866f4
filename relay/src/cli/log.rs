//! The log on standard error.

use crate::config::LogFormat;
use std::io;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Sends the log to standard error. Whatever is asked for, nothing that prints content is let through (S6).
pub(super) fn start(format: LogFormat, filter: &str) {
    let wanted = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).parse_lossy(filter);
    // A filter of its own beside the one that was asked for: a directive there could name a module more precisely.
    let without_content = filter_fn(|about| afield_transport::may_be_logged(about.target(), *about.level()));
    // Whoever read standard error may have gone, and its disk may be full. A line that cannot be written is dropped: what
    // would report that prints to standard error too, and panics where that fails.
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // An embedding program that has a log already keeps it.
    let _ = tracing_subscriber::registry().with(without_content).with(wanted).with(lines).try_init();
}
