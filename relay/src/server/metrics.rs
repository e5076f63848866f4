//! Figures for Prometheus, on a listener of their own. No label names a user, a device, a space or an address (S6).

use super::engine::EngineHandle;
use super::throttle::Throttle;
use crate::hub::{Counts, Hub};
use afield_core::wire::{ChunkCode, GoodbyeCode};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The port that exporters of Prometheus are given the next of: free of those in its list of default ports.
pub const METRICS_PORT: u16 = super::DEFAULT_PORT + 2;
/// What scrapers of the OpenMetrics text format expect.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long turns take in which something was appended, and with it the sync of the disk: from a quarter of a millisecond to 8 s.
#[derive(Debug, Clone)]
pub(super) struct CommitTimes(Histogram);

impl CommitTimes {
    pub(super) fn new() -> Self {
        Self(Histogram::new(exponential_buckets(0.000_25, 2.0, 16)))
    }

    pub(super) fn observe(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }
}

type Labelled = Family<Vec<(&'static str, String)>, Counter>;

/// All figures, as they were asked for last.
struct Figures {
    registry: Registry,
    sessions: Gauge,
    spaces: Gauge,
    queued_bytes: Gauge,
    lag: Gauge,
    ready: Gauge,
    log_bytes: Gauge,
    wal_bytes: Gauge,
    welcomed: Counter,
    ended: Labelled,
    refused_connections: Labelled,
    received_bytes: Counter,
    sent_bytes: Counter,
    pushes: Counter,
    stored: Counter,
    duplicates: Counter,
    refused: Labelled,
    commits: Counter,
    failed_commits: Counter,
    signals_dropped: Counter,
}

impl Figures {
    fn new(times: CommitTimes) -> Self {
        let mut registry = Registry::with_prefix("afield");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("build", crate::BUILD)]);
        registry.register("build", "Which relay this is", build);
        let started: Gauge = Gauge::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        started.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        registry.register_with_unit(
            "start_time",
            "When the relay started, since the Unix epoch",
            Unit::Seconds,
            started,
        );
        let CommitTimes(times) = times;
        let about = "How long a turn took in which something was appended, with the sync of the disk";
        registry.register_with_unit("commit", about, Unit::Seconds, times);
        let mut figures = Self {
            registry,
            sessions: Gauge::default(),
            spaces: Gauge::default(),
            queued_bytes: Gauge::default(),
            lag: Gauge::default(),
            ready: Gauge::default(),
            log_bytes: Gauge::default(),
            wal_bytes: Gauge::default(),
            welcomed: Counter::default(),
            ended: Family::default(),
            refused_connections: Family::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            pushes: Counter::default(),
            stored: Counter::default(),
            duplicates: Counter::default(),
            refused: Family::default(),
            commits: Counter::default(),
            failed_commits: Counter::default(),
            signals_dropped: Counter::default(),
        };
        figures.register();
        figures.begin_at_zero();
        figures
    }

    /// Each reason is there before it has happened: `increase` of Prometheus does not see the first of a series that begins with it.
    fn begin_at_zero(&self) {
        let begin = |family: &Labelled, code: String| drop(family.get_or_create(&vec![("code", code)]));
        GoodbyeCode::ALL.iter().for_each(|code| begin(&self.ended, format!("{code:?}")));
        ChunkCode::ALL.iter().for_each(|code| begin(&self.refused, format!("{code:?}")));
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("sessions", "Devices that are connected and welcome", self.sessions.clone());
        registry.register("open_spaces", "Spaces that some device has open", self.spaces.clone());
        registry.register(
            "lag_chunks",
            "Chunks that connected devices have not stored yet, of all together",
            self.lag.clone(),
        );
        let about = "What waits to be sent, of all sessions";
        registry.register_with_unit("send_queue", about, Unit::Bytes, self.queued_bytes.clone());
        registry.register("ready", "1 while the relay can append, 0 while it cannot", self.ready.clone());
        registry.register_with_unit("log", "The size of the log's file", Unit::Bytes, self.log_bytes.clone());
        registry.register_with_unit("wal", "The size of the log's WAL file", Unit::Bytes, self.wal_bytes.clone());
        registry.register("sessions_begun", "Sessions that were welcomed", self.welcomed.clone());
        registry.register(
            "sessions_ended",
            "Sessions that ended with a goodbye, by why: Done where the device said it",
            self.ended.clone(),
        );
        let about = "Connections and requests that were sent away, by why";
        registry.register("refused_connections", about, self.refused_connections.clone());
        let about = "Messages that devices sent";
        registry.register_with_unit("received", about, Unit::Bytes, self.received_bytes.clone());
        registry.register_with_unit("sent", "Messages for devices", Unit::Bytes, self.sent_bytes.clone());
        registry.register("pushes", "Pushes that were answered", self.pushes.clone());
        registry.register("chunks_stored", "Chunks that were stored", self.stored.clone());
        registry.register("chunks_duplicate", "Chunks that were in the log already", self.duplicates.clone());
        registry.register("chunks_refused", "Chunks that were refused, by why", self.refused.clone());
        registry.register("commits", "Transactions in which something was appended", self.commits.clone());
        registry.register("failed_commits", "Transactions that failed", self.failed_commits.clone());
        let about = "Signals of presence that were dropped";
        registry.register("signals_dropped", about, self.signals_dropped.clone());
    }

    fn take(&self, counts: &Counts, is_ready: bool) {
        let gauge = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        let counter = |counter: &Counter, value: u64| counter.inner().store(value, Ordering::Relaxed);
        gauge(&self.sessions, counts.sessions);
        gauge(&self.spaces, counts.spaces);
        gauge(&self.queued_bytes, counts.queued_bytes);
        gauge(&self.lag, counts.lag);
        gauge(&self.ready, u64::from(is_ready));
        counter(&self.welcomed, counts.welcomed);
        counter(&self.received_bytes, counts.received_bytes);
        counter(&self.sent_bytes, counts.sent_bytes);
        counter(&self.pushes, counts.pushes);
        counter(&self.stored, counts.stored);
        counter(&self.duplicates, counts.duplicates);
        counter(&self.commits, counts.commits);
        counter(&self.failed_commits, counts.failed_commits);
        counter(&self.signals_dropped, counts.signals_dropped);
        for (family, counts) in [(&self.ended, &counts.ended), (&self.refused, &counts.refused)] {
            for (code, count) in counts {
                counter(&family.get_or_create(&vec![("code", code.clone())]), *count);
            }
        }
    }
}

/// What a scrape needs.
#[derive(Clone)]
struct Shared {
    engine: EngineHandle,
    throttle: Arc<Throttle>,
    figures: Arc<Figures>,
    /// The log's file, and its WAL.
    files: [PathBuf; 2],
}

/// The routes of the listener for Prometheus.
pub(super) fn router(engine: EngineHandle, throttle: Arc<Throttle>, times: CommitTimes, files: [PathBuf; 2]) -> Router {
    let shared = Shared { engine, throttle, figures: Arc::new(Figures::new(times)), files };
    Router::new().route("/metrics", get(scrape)).with_state(shared)
}

async fn scrape(State(shared): State<Shared>) -> Response {
    let Shared { engine, throttle, figures, files } = shared;
    let asked = engine.ask(|hub: &mut Hub<_>, now| (hub.counts(), hub.readiness(now).is_ok())).await;
    let (counts, is_ready) = asked.unwrap_or_default();
    figures.take(&counts, is_ready);
    for (reason, count) in throttle.refused() {
        let labels = vec![("reason", reason.to_owned())];
        figures.refused_connections.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
    }
    for (gauge, file) in [&figures.log_bytes, &figures.wal_bytes].into_iter().zip(&files) {
        let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
        gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
    let mut text = String::new();
    match encode(&mut text, &figures.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
