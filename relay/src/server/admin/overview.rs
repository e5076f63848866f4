//! How the relay is: whether it can append, how much goes through it, what it refuses, and what happened last.

use super::Shared;
use super::answer::Refusal;
use crate::hub::{Access, Counts, Hub};
use crate::log::Quotas;
use crate::views::EventView;
use afield_core::wire::PROTOCOL_VERSION;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

/// Over how long rates are taken.
const RATES_OVER: Duration = Duration::from_secs(10);
/// How far two samples lie apart at least, however many ask.
const SAMPLED_EVERY: Duration = Duration::from_millis(500);

/// What is watched beside the hub.
#[derive(Debug)]
pub(in crate::server) struct Watched {
    pub(in crate::server) connections: Arc<Semaphore>,
    pub(in crate::server) connections_max: usize,
    pub(in crate::server) sessions_per_user_max: usize,
    pub(in crate::server) quotas: Quotas,
    pub(in crate::server) access: Access,
    pub(in crate::server) disk_free_min_percent: u8,
    /// The log's file, and its WAL.
    pub(in crate::server) files: [PathBuf; 2],
    pub(in crate::server) samples: Samples,
}

/// How the relay is now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overview)]
pub(super) struct OverviewView {
    /// Its version.
    version: &'static str,
    /// The version of the protocol that it speaks.
    protocol: u16,
    /// When this was answered.
    now_ms: i64,
    /// For how long the relay has been running.
    up_ms: u64,
    /// Whether it can append.
    ready: bool,
    /// Why it cannot.
    not_ready_because: Option<String>,
    /// Whether devices need no tokens, as with `--insecure-open`.
    open_access: bool,
    /// What there is now.
    now: NowView,
    /// What has happened since the start.
    total: TotalView,
    /// How much goes through it, over the last seconds; absent for whoever asks first after some time.
    rates: Option<RatesView>,
    /// How much there may be.
    limits: LimitsView,
    /// What happened last, newest first; what is alike and close together is one event.
    events: Vec<EventView>,
}

/// What there is now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewNow)]
struct NowView {
    /// Devices that are connected and welcome.
    sessions: u64,
    /// Connections that are open, those not welcomed yet among them.
    connections: u64,
    /// Spaces that some device has open.
    open_spaces: u64,
    /// Bytes that wait to be sent, of all sessions.
    queued_bytes: u64,
    /// Chunks that connected devices have not stored yet, of all together.
    lag_chunks: u64,
    /// The size of the log's file.
    log_bytes: u64,
    /// The size of the log's WAL file.
    wal_bytes: u64,
}

/// What has happened since the start.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewTotal)]
struct TotalView {
    /// Sessions that were welcomed.
    sessions_begun: u64,
    /// Sessions that the relay ended, by the code that they were told.
    sessions_ended: BTreeMap<String, u64>,
    /// Connections and requests that were sent away, by why.
    refused_connections: BTreeMap<&'static str, u64>,
    /// Bytes of messages that devices sent.
    received_bytes: u64,
    /// Bytes of messages for devices.
    sent_bytes: u64,
    /// Pushes that were answered.
    pushes: u64,
    /// Chunks that were stored.
    chunks_stored: u64,
    /// Chunks that were in the log already.
    chunks_duplicate: u64,
    /// Chunks that were refused, by why.
    chunks_refused: BTreeMap<String, u64>,
    /// Transactions in which something was appended.
    commits: u64,
    /// Transactions that failed.
    failed_commits: u64,
}

/// How much goes through the relay in a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[schema(as = OverviewRates)]
struct RatesView {
    /// Over how long that was measured.
    over_ms: u64,
    /// Chunks that are stored.
    chunks: f64,
    /// Bytes that devices send.
    received_bytes: f64,
    /// Bytes for devices.
    sent_bytes: f64,
}

/// How much there may be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewLimits)]
struct LimitsView {
    /// Most connections at once.
    connections: u64,
    /// Most devices of one user at once.
    sessions_per_user: u64,
    /// Most bytes of chunks in one space.
    space_bytes: u64,
    /// Most chunks in one space.
    space_chunks: u64,
    /// Most spaces that one user owns.
    spaces_per_user: u64,
    /// How much of the disk has to be free for anything to be appended.
    disk_free_min_percent: u8,
}

/// Shows how the relay is: readiness, counts, rates, limits, and what happened last.
#[utoipa::path(get, path = "/v1/overview", tag = "overview", responses((status = 200, body = OverviewView), (status = 401, body = Refusal)))]
pub(super) async fn overview(State(desk): Shared) -> Result<Json<OverviewView>, Refusal> {
    let asked = desk.engine.ask(|hub: &mut Hub<_>, now| {
        let is_ready = hub.readiness(now).is_ok();
        (is_ready, hub.not_ready_because().map(str::to_owned), hub.counts(), hub.recent_events(now))
    });
    let (ready, not_ready_because, counts, events) = asked.await.ok_or_else(Refusal::failed)?;
    let watched = &desk.relay;
    let rates = watched.samples.take(&counts, Instant::now());
    let [log_bytes, wal_bytes] =
        watched.files.each_ref().map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
    let connections = watched.connections_max.saturating_sub(watched.connections.available_permits());
    Ok(Json(OverviewView {
        version: env!("CARGO_PKG_VERSION"),
        protocol: PROTOCOL_VERSION,
        now_ms: desk.clock.now().wall_ms,
        up_ms: milliseconds(watched.samples.started.elapsed()),
        ready,
        not_ready_because,
        open_access: watched.access == Access::Open,
        now: NowView {
            sessions: counts.sessions,
            connections: connections as u64,
            open_spaces: counts.spaces,
            queued_bytes: counts.queued_bytes,
            lag_chunks: counts.lag,
            log_bytes,
            wal_bytes,
        },
        rates,
        total: TotalView {
            sessions_begun: counts.welcomed,
            sessions_ended: counts.ended,
            refused_connections: desk.gate.throttle.refused().filter(|(_, count)| *count > 0).collect(),
            received_bytes: counts.received_bytes,
            sent_bytes: counts.sent_bytes,
            pushes: counts.pushes,
            chunks_stored: counts.stored,
            chunks_duplicate: counts.duplicates,
            chunks_refused: counts.refused,
            commits: counts.commits,
            failed_commits: counts.failed_commits,
        },
        limits: LimitsView {
            connections: watched.connections_max as u64,
            sessions_per_user: watched.sessions_per_user_max as u64,
            space_bytes: watched.quotas.space_bytes_max,
            space_chunks: watched.quotas.space_chunks_max,
            spaces_per_user: watched.quotas.spaces_per_user_max,
            disk_free_min_percent: watched.disk_free_min_percent,
        },
        events: events.into_iter().map(EventView::from).collect(),
    }))
}

/// What was counted lately, by whoever asked.
#[derive(Debug)]
pub(in crate::server) struct Samples {
    started: Instant,
    /// Oldest first; they reach back over [`RATES_OVER`] and one more.
    taken: Mutex<VecDeque<Sample>>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    chunks: u64,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Samples {
    pub(in crate::server) fn start() -> Self {
        Self { started: Instant::now(), taken: Mutex::default() }
    }

    /// Takes a sample and tells the rates since the oldest one.
    fn take(&self, counts: &Counts, at: Instant) -> Option<RatesView> {
        let last =
            Sample { at, chunks: counts.stored, received_bytes: counts.received_bytes, sent_bytes: counts.sent_bytes };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.front().is_some_and(|first| at.saturating_duration_since(first.at) > RATES_OVER) {
            taken.pop_front();
        }
        let first = taken.front().copied();
        if taken.back().is_none_or(|before| at.saturating_duration_since(before.at) >= SAMPLED_EVERY) {
            taken.push_back(last);
        }
        first.and_then(|first| last.since(&first))
    }
}

impl Sample {
    fn since(&self, first: &Self) -> Option<RatesView> {
        let over = self.at.saturating_duration_since(first.at);
        if over < SAMPLED_EVERY {
            return None;
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / over.as_secs_f64();
        Some(RatesView {
            over_ms: milliseconds(over),
            chunks: rate(self.chunks, first.chunks),
            received_bytes: rate(self.received_bytes, first.received_bytes),
            sent_bytes: rate(self.sent_bytes, first.sent_bytes),
        })
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_seconds_and_of_nothing_before() {
        let samples = Samples::start();
        let began = Instant::now();
        let counts = |stored| Counts { stored, received_bytes: 10 * stored, sent_bytes: 0, ..Counts::default() };
        let at = |ms| began + Duration::from_millis(ms);
        assert_eq!(samples.take(&counts(1_000), at(0)), None, "there is nothing to compare with");
        assert_eq!(samples.take(&counts(1_000), at(100)), None, "too short to say anything");
        let rates = samples.take(&counts(1_020), at(2_000)).unwrap();
        assert_eq!((rates.over_ms, rates.chunks, rates.received_bytes, rates.sent_bytes), (2_000, 10.0, 100.0, 0.0));
        let rates = samples.take(&counts(1_020), at(12_000)).unwrap();
        assert_eq!((rates.over_ms, rates.chunks), (10_000, 0.0));
        assert_eq!(samples.take(&counts(5_000), at(60_000)), None, "nobody has looked for long");
    }
}
