//! One session of many, by the real protocol over a connection of its own.

use super::{DEVICES_PER_USER, users};
use crate::agent::Failure;
use crate::clock::{Clock, SystemEntropy};
use crate::protocol::Line;
use afield_core::session::{DeviceEvent, DeviceSession, Greeting, SpaceOpening};
use afield_core::{DeviceId, Filter, Incarnation, SpaceId};
use afield_transport::{Client, ClientOptions, ConnectError, Link, RelayAddress};
use bytes::Bytes;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a session may take to catch up with its empty space.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);

/// A device of many, each with a space that few others share.
#[derive(Debug, Clone)]
pub struct Guest {
    device: DeviceId,
    incarnation: Incarnation,
    space: SpaceId,
    client: Arc<Client>,
}

impl Guest {
    /// So many of them, with the tokens of a file.
    ///
    /// # Errors
    ///
    /// The file has too few tokens, or cannot be read.
    pub fn many(tokens: &Path, count: usize) -> Result<Vec<Self>, Failure> {
        let (clock, mut guests) = (Clock::new(), Vec::with_capacity(count));
        for token in users::read(tokens)? {
            let space = SpaceId::new(clock.now(), &mut SystemEntropy);
            let client = Arc::new(Client::new(ClientOptions { token: Some(token), ..ClientOptions::default() }));
            for _ in 0..DEVICES_PER_USER {
                let device = DeviceId::new(clock.now(), &mut SystemEntropy);
                let incarnation = Incarnation::new(&mut SystemEntropy);
                guests.push(Self { device, incarnation, space, client: Arc::clone(&client) });
            }
        }
        if guests.len() < count {
            return Err("there are too few tokens".into());
        }
        guests.truncate(count);
        Ok(guests)
    }

    /// Connects to a relay.
    ///
    /// # Errors
    ///
    /// There is no connection, or the relay takes none now.
    pub async fn connect(&self, address: &RelayAddress) -> Result<Link, ConnectError> {
        self.client.connect(address).await
    }

    /// Opens its space, until everything of it is here.
    ///
    /// # Errors
    ///
    /// The relay ends the session, or it takes too long.
    pub async fn catch_up(&self, link: Link) -> Result<Link, Failure> {
        tokio::time::timeout(CATCH_UP_TIMEOUT, self.open(link)).await?
    }

    async fn open(&self, mut link: Link) -> Result<Link, Failure> {
        let Self { device, incarnation, space, .. } = *self;
        let clock = Clock::new();
        let greeting = Greeting { device, incarnation, predecessors: Vec::new(), guest_of: None, token: None };
        let opening = SpaceOpening {
            space,
            cursor: None,
            create: true,
            raw: false,
            filter: Filter::Everything,
            partial: false,
            invitation: None,
        };
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
    pub async fn answer(link: &mut Link) -> Failure {
        loop {
            match link.receive().await {
                Ok(Some(_)) => {}
                Ok(None) => return "the relay ended a session".into(),
                Err(error) => return error.into(),
            }
        }
    }
}

/// Says a line to the process that measures.
///
/// # Errors
///
/// The pipe is broken.
pub fn say(line: &Line) -> Result<(), Failure> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}
