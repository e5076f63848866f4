//! Many sessions in one process that are all lost in one moment, and all come back in it.

use crate::agent::Failure;
use crate::clock::SystemEntropy;
use crate::crowd::{Guest, say};
use crate::protocol::Line;
use afield_core::policy::backoff::Backoff;
use afield_core::session::SessionError;
use afield_core::wire::Class;
use afield_transport::{ConnectError, Link, RelayAddress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many connections are being made at a time before the storm.
const CONNECTING_AT_ONCE: usize = 32;

/// What the sessions of one process met with.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Returned {
    /// How long each took until it had caught up again, in milliseconds.
    pub after_ms: Vec<f64>,
    /// How often one was asked to come later.
    pub sent_away: u64,
    /// Why a connection was not made, or did not stand until its session had caught up, and how often.
    pub broken: BTreeMap<String, u64>,
}

impl Returned {
    /// Adds what others met with.
    pub fn add(&mut self, other: Self) {
        self.after_ms.extend(other.after_ms);
        self.sent_away += other.sent_away;
        for (reason, times) in other.broken {
            *self.broken.entry(reason).or_default() += times;
        }
    }

    fn note(&mut self, error: &(dyn std::error::Error + 'static)) {
        let words: Vec<String> =
            std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
        *self.broken.entry(words.join(": ")).or_default() += 1;
    }
}

/// Opens so many sessions with the tokens of a file, and says [`Line::Ready`]. When a line comes, all of them are cut, and come back at once, each as a
/// device does; at the end of standard input it is said how that went, once all are back.
///
/// # Errors
///
/// There is no runtime, or a pipe is broken.
pub fn return_at_once(url: &str, tokens: &Path, count: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let line = match runtime.block_on(run(url, tokens, count)) {
        Ok(returned) => Line::Reply(serde_json::to_value(returned)?),
        Err(error) => Line::Failed(error.to_string()),
    };
    say(&line)
}

async fn run(url: &str, tokens: &Path, count: usize) -> Result<Returned, Failure> {
    let address: Arc<RelayAddress> = Arc::new(url.parse()?);
    let turn = Arc::new(Semaphore::new(CONNECTING_AT_ONCE));
    let mut first = JoinSet::new();
    for guest in Guest::many(tokens, count)? {
        let (address, turn) = (address.clone(), turn.clone());
        first.spawn(async move {
            let _turn = turn.acquire().await?;
            let link = guest.catch_up(guest.connect(&address).await?).await?;
            Ok::<_, Failure>((guest, link))
        });
    }
    let mut held = Vec::with_capacity(count);
    while let Some(opened) = first.join_next().await {
        held.push(opened??);
    }
    say(&Line::Ready)?;
    tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new())).await??;

    let began = Instant::now();
    let mut back = JoinSet::new();
    for (guest, link) in held {
        // As where a network is gone, or a proxy in front of the relay: nobody says goodbye.
        drop(link);
        let address = address.clone();
        back.spawn(async move { come_back(&guest, &address, began).await });
    }
    let (mut returned, mut links) = (Returned::default(), Vec::with_capacity(count));
    while let Some(one) = back.join_next().await {
        let (link, one) = one??;
        links.push(link);
        returned.add(one);
    }
    say(&Line::Ready)?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    drop(links);
    Ok(returned)
}

async fn come_back(guest: &Guest, address: &RelayAddress, began: Instant) -> Result<(Link, Returned), Failure> {
    let (mut returned, mut backoff) = (Returned::default(), Backoff::default());
    loop {
        let retry_after_ms = match guest.connect(address).await {
            Ok(link) => match guest.catch_up(link).await {
                Ok(link) => {
                    returned.after_ms.push(began.elapsed().as_secs_f64() * 1_000.0);
                    return Ok((link, returned));
                }
                Err(error) => match error.downcast_ref() {
                    Some(SessionError::Ended { retry_after_ms: Some(ms), .. }) => {
                        returned.sent_away += 1;
                        Some(*ms)
                    }
                    _ => {
                        returned.note(&*error);
                        None
                    }
                },
            },
            Err(error @ ConnectError::Refused { .. }) if error.class() == Class::Retry => {
                returned.sent_away += 1;
                error.retry_after_ms()
            }
            Err(error) if error.class() == Class::Retry => {
                returned.note(&error);
                None
            }
            Err(error) => return Err(error.into()),
        };
        tokio::time::sleep(Duration::from_millis(backoff.failed(retry_after_ms, &mut SystemEntropy))).await;
    }
}
