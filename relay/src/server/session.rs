//! One upgraded connection: what comes in waits for room, what goes out is counted.

use super::engine::{Caller, Connection, EngineHandle, ToLink};
use super::places::OfAddress;
use super::throttle::{Throttle, Writer};
use crate::hub::Output;
use crate::spans;
use afield_core::limits::FRAME_BYTES_MAX;
use afield_core::wire::may_be_push;
use afield_transport::{CloseCode, Link, LinkError, LinkMeter, LinkReceiver, LinkSender};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Span;

/// How many bytes of messages one session may have waiting for the hub: the largest frame twice, so that the next one
/// arrives while the last one is handled.
const INBOUND_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;
/// How many bytes of messages all sessions together may have waiting for the hub.
const INBOUND_TOTAL_BYTES_MAX: usize = 128 * FRAME_BYTES_MAX;
/// What a message that waits takes beside its bytes: its place in the queue, its buffer's header and its two permits are
/// some 200 bytes. Without it, messages of a few bytes each would take fifty times what the bounds say.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// The room that all sessions share for what waits for the hub.
#[derive(Debug, Clone)]
pub(super) struct SharedRoom(Arc<Semaphore>);

impl SharedRoom {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(INBOUND_TOTAL_BYTES_MAX)))
    }
}

/// What a session shares with the others of its relay.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) room: SharedRoom,
    pub(super) throttle: Arc<Throttle>,
    pub(super) handshake: Handshake,
}

/// A session's places among those that were not welcomed yet, of all and of its address; given back once it was.
#[derive(Debug)]
pub(super) struct Handshake {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<OfAddress>,
}

impl Handshake {
    pub(super) fn new(of_all: OwnedSemaphorePermit, of_address: Option<OfAddress>) -> Self {
        Self { _of_all: of_all, _of_address: of_address }
    }
}

#[cfg(test)]
impl Common {
    /// Of a relay without limits.
    fn unlimited() -> Self {
        let handshake = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("it is the only one");
        let handshake = Handshake::new(handshake, None);
        Self { room: SharedRoom::new(), throttle: Throttle::unlimited(), handshake }
    }
}

/// Carries messages between a link and the hub until either ends.
pub(super) async fn run(link: Link, token: Option<String>, caller: Caller, engine: &EngineHandle, common: Common) {
    let (connection, outputs) = engine.connect(token, caller);
    let meter = link.meter();
    let (sender, receiver) = link.split();
    let (admit, admitted) = oneshot::channel();
    let reading = read(receiver, admitted, &connection, common);
    let writing = write(sender, outputs, admit, Progress::new(&connection, meter.clone()));
    tokio::pin!(reading);
    let ended = tokio::select! {
        ended = &mut reading => ended,
        ended = writing => match ended {
            // The close is on its way: wait for the peer's, so that nothing it has not read yet is lost.
            Ok(()) => reading.await,
            Err(error) => Err(error),
        },
    };
    let statistics = meter.read();
    match ended {
        Ok(()) => tracing::debug!(connection = %connection.number(), ?statistics, "a link has closed"),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(connection = %connection.number(), ?statistics, error, "a link has ended");
        }
    }
}

async fn read(
    mut receiver: LinkReceiver,
    mut admitted: oneshot::Receiver<Writer>,
    connection: &Connection,
    common: Common,
) -> Result<(), LinkError> {
    let Common { room: shared, throttle, handshake } = common;
    let own = Arc::new(Semaphore::new(INBOUND_BYTES_MAX));
    let (mut handshake, mut writer) = (Some(handshake), None);
    loop {
        let received = tokio::select! {
            biased;
            welcomed = &mut admitted, if handshake.is_some() => {
                // Where it was not, the session ends: what a stranger may send is all that it may until then.
                if welcomed.is_ok() {
                    receiver.admit();
                }
                (handshake, writer) = (None, welcomed.ok());
                continue;
            }
            received = receiver.receive() => received?,
        };
        let Some(message) = received else { return Ok(()) };
        let is_push = may_be_push(&message);
        let span = if is_push { spans::push(connection.number(), message.len()) } else { Span::none() };
        // Before it takes room: who writes too fast waits, and keeps nobody else waiting.
        if let Some(writer) = writer {
            throttle.wait_for(writer, is_push, message.len()).await;
        }
        let bytes = u32::try_from(message.len().saturating_add(MESSAGE_OVERHEAD_BYTES)).unwrap_or(u32::MAX);
        let room = [&own, &shared.0].map(|semaphore| Arc::clone(semaphore).acquire_many_owned(bytes));
        let [own, shared] = room;
        let (Ok(own), Ok(shared)) = (own.await, shared.await) else { return Ok(()) };
        connection.message(message, [own, shared], span);
    }
}

async fn write(
    mut sender: LinkSender,
    mut outputs: UnboundedReceiver<ToLink>,
    admit: oneshot::Sender<Writer>,
    mut progress: Progress<'_>,
) -> Result<(), LinkError> {
    let mut admit = Some(admit);
    while let Some(first) = outputs.recv().await {
        let mut next = Some(first);
        // What is ready goes out in one write, and its receipt counts as sent once the system has taken it.
        while let Some(output) = next {
            match output {
                ToLink::Admitted(writer) => {
                    if let Some(admit) = admit.take() {
                        let _ = admit.send(writer);
                    }
                }
                ToLink::Output(Output::Message(message)) => {
                    progress.owed += message.len();
                    progress.watch(sender.feed(message.into())).await?;
                }
                ToLink::Output(Output::Close) => return sender.close(CloseCode::Done).await,
            }
            next = outputs.try_recv().ok();
        }
        progress.watch(sender.flush()).await?;
        progress.everything_is_sent();
    }
    // The hub has ended.
    sender.close(CloseCode::Restarting).await
}

/// Tells the hub what a link has taken: whole flushes where they are quick, and every piece where the peer is slow, so
/// that one that goes on reading is told from one that does not, however long it needs for a message.
struct Progress<'c> {
    connection: &'c Connection,
    meter: LinkMeter,
    /// Bytes of messages that were handed to the link and not reported yet.
    owed: usize,
    /// What the meter said last.
    bytes_written: u64,
}

impl<'c> Progress<'c> {
    fn new(connection: &'c Connection, meter: LinkMeter) -> Self {
        let bytes_written = meter.read().bytes_written;
        Self { connection, meter, owed: 0, bytes_written }
    }

    /// Waits for a write, and reports on the way whenever the connection took something and then no more for now.
    async fn watch<T>(&mut self, writing: impl Future<Output = T>) -> T {
        let mut writing = pin!(writing);
        poll_fn(|cx| {
            let polled = writing.as_mut().poll(cx);
            if polled.is_pending() {
                self.report();
            }
            polled
        })
        .await
    }

    fn report(&mut self) {
        let written = self.meter.read().bytes_written;
        let news = written - std::mem::replace(&mut self.bytes_written, written);
        // The headers of frames are written, too, and owed to nobody.
        let bytes = usize::try_from(news).unwrap_or(usize::MAX).min(self.owed);
        if bytes > 0 {
            self.owed -= bytes;
            self.connection.sent(bytes);
        }
    }

    fn everything_is_sent(&mut self) {
        self.bytes_written = self.meter.read().bytes_written;
        self.connection.sent(std::mem::take(&mut self.owed));
    }
}

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod tests;
