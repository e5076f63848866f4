//! Many sessions in one process, held until they are over.

use crate::agent::Failure;
use crate::crowd::{Guest, say};
use crate::protocol::Line;
use afield_transport::RelayAddress;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// How many connections are being made at a time.
const CONNECTING_AT_ONCE: usize = 32;

/// Opens so many sessions with the tokens of a file, says [`Line::Ready`] once each has caught up with its space, and holds them until standard
/// input ends; then says whether they still stand.
///
/// # Errors
///
/// There is no runtime, or a pipe is broken.
pub fn hold_sessions(url: &str, tokens: &Path, count: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let line = match runtime.block_on(hold(url, tokens, count)) {
        Ok(()) => Line::Reply(serde_json::Value::Null),
        Err(error) => Line::Failed(error.to_string()),
    };
    say(&line)
}

async fn hold(url: &str, tokens: &Path, count: usize) -> Result<(), Failure> {
    let address: Arc<RelayAddress> = Arc::new(url.parse()?);
    let turn = Arc::new(Semaphore::new(CONNECTING_AT_ONCE));
    let (opened, mut arrivals) = mpsc::channel(count.max(1));
    let (finish, over) = watch::channel(false);
    let mut sessions = JoinSet::new();
    for guest in Guest::many(tokens, count)? {
        let (address, turn) = (address.clone(), turn.clone());
        let (opened, mut over) = (opened.clone(), over.clone());
        sessions.spawn(async move {
            let turn = turn.acquire().await?;
            let mut link = guest.catch_up(guest.connect(&address).await?).await?;
            drop(turn);
            opened.send(()).await?;
            tokio::select! {
                _ = over.wait_for(|is_over| *is_over) => Ok::<(), Failure>(()),
                failure = Guest::answer(&mut link) => Err(failure),
            }
        });
    }
    for _ in 0..count {
        tokio::select! {
            _ = arrivals.recv() => {}
            Some(ended) = sessions.join_next() => ended??,
        }
    }
    say(&Line::Ready)?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    finish.send(true)?;
    while let Some(ended) = sessions.join_next().await {
        ended??;
    }
    Ok(())
}
