//! Many sessions in one process, each over a connection of its own and by the real protocol.

use crate::clock::{Clock, SystemEntropy};
use crate::protocol::Line;
use afield_core::session::{DeviceEvent, DeviceSession, Greeting, SpaceOpening};
use afield_core::{DeviceId, Filter, Incarnation, SpaceId};
use afield_transport::{Client, ClientOptions, Link, RelayAddress};
use bytes::Bytes;
use std::error::Error;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// How many devices share a space.
const DEVICES_PER_SPACE: usize = 5;
/// How many connections are being made at a time.
const CONNECTING_AT_ONCE: usize = 32;
/// How long a session may take to catch up with its empty space.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);

type Failure = Box<dyn Error + Send + Sync>;

/// Opens so many sessions, says [`Line::Ready`] once each has caught up with its space, and holds them until standard
/// input ends; then says whether they still stand.
///
/// # Errors
///
/// There is no runtime, or a pipe is broken.
pub fn hold_sessions(url: &str, count: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let line = match runtime.block_on(hold(url, count)) {
        Ok(()) => Line::Reply(serde_json::Value::Null),
        Err(error) => Line::Failed(error.to_string()),
    };
    say(&line)
}

async fn hold(url: &str, count: usize) -> Result<(), Failure> {
    let address: Arc<RelayAddress> = Arc::new(url.parse()?);
    let client = Arc::new(Client::new(ClientOptions::default()));
    let turn = Arc::new(Semaphore::new(CONNECTING_AT_ONCE));
    let (opened, mut arrivals) = mpsc::channel(count.max(1));
    let (finish, over) = watch::channel(false);
    let mut sessions = JoinSet::new();
    let mut space = SpaceId::new(Clock::new().now(), &mut SystemEntropy);
    for number in 0..count {
        if number.is_multiple_of(DEVICES_PER_SPACE) {
            space = SpaceId::new(Clock::new().now(), &mut SystemEntropy);
        }
        let (address, client, turn) = (address.clone(), client.clone(), turn.clone());
        let (opened, mut over) = (opened.clone(), over.clone());
        sessions.spawn(async move {
            let turn = turn.acquire().await?;
            let link = client.connect(&address).await?;
            let mut link = tokio::time::timeout(CATCH_UP_TIMEOUT, catch_up(link, space)).await??;
            drop(turn);
            opened.send(()).await?;
            tokio::select! {
                _ = over.wait_for(|is_over| *is_over) => Ok::<(), Failure>(()),
                failure = answer(&mut link) => Err(failure),
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

/// Opens a space as a fresh device does, until everything of it is here.
async fn catch_up(mut link: Link, space: SpaceId) -> Result<Link, Failure> {
    let clock = Clock::new();
    let greeting = Greeting {
        device: DeviceId::new(clock.now(), &mut SystemEntropy),
        incarnation: Incarnation::new(&mut SystemEntropy),
        predecessors: Vec::new(),
        token: None,
    };
    let opening =
        SpaceOpening { space, cursor: None, create: true, raw: false, filter: Filter::Everything, partial: false };
    let mut session = DeviceSession::new(greeting, [opening], clock.now());
    loop {
        while let Some(message) = session.poll_transmit() {
            link.send(Bytes::from(message)).await?;
        }
        while let Some(event) = session.poll_event() {
            if matches!(event, DeviceEvent::CaughtUp { .. }) {
                return Ok(link);
            }
        }
        let message = link.receive().await?.ok_or("the relay ended a session")?;
        session.handle_message(&message, clock.now())?;
    }
}

/// Answers pings, as receiving does, for as long as the relay keeps the session.
async fn answer(link: &mut Link) -> Failure {
    loop {
        match link.receive().await {
            Ok(Some(_)) => {}
            Ok(None) => return "the relay ended a session".into(),
            Err(error) => return error.into(),
        }
    }
}

fn say(line: &Line) -> Result<(), Failure> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}
