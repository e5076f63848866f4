//! A two-way stream of whole binary messages, the same at both ends and in memory.

mod close;
mod error;
mod memory;
mod options;
mod receive;
mod send;
mod socket;
mod statistics;
mod stream;
#[cfg(test)]
mod tests;

pub use close::CloseCode;
pub use error::{LinkError, ProtocolViolation};
pub use memory::memory_pair;
pub use options::LinkOptions;
pub(crate) use statistics::Side;
pub use statistics::{LinkMeter, LinkStatistics};
pub(crate) use stream::{ByteStream, WatchedStream};

use bytes::Bytes;
use memory::{MemoryReceiver, MemorySender};
use receive::SocketReceiver;
use send::SocketSender;
use socket::Shared;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;

/// One connection between a device and a relay, at either end.
///
/// It works only while it is polled: pings are sent and answered, and a dead peer is found, inside
/// [`receive`](Self::receive). Poll that all the time, in a `select!` or in a task of its own after
/// [`split`](Self::split). Two ends that both only send wait for each other until the slow reader's time is over; the
/// two halves in two tasks never do.
///
/// Dropping it cuts the connection; [`close`](Self::close) ends it in good order.
#[derive(Debug)]
pub struct Link {
    sender: LinkSender,
    receiver: LinkReceiver,
    close_timeout: Duration,
}

/// The half of a [`Link`] that sends.
#[derive(Debug)]
pub struct LinkSender {
    kind: SenderKind,
    meter: LinkMeter,
}

/// The half of a [`Link`] that receives, and that keeps the link alive while it is polled.
#[derive(Debug)]
pub struct LinkReceiver {
    kind: ReceiverKind,
    meter: LinkMeter,
}

enum SenderKind {
    Socket(SocketSender),
    Memory(MemorySender),
}

enum ReceiverKind {
    Socket(SocketReceiver),
    Memory(MemoryReceiver),
}

impl Link {
    fn new(sender: LinkSender, receiver: LinkReceiver, options: LinkOptions) -> Self {
        Self { sender, receiver, close_timeout: options.close_timeout() }
    }

    /// A link over a WebSocket whose handshake is done.
    pub(crate) fn over(mut socket: WebSocketStream<WatchedStream>, side: Side, options: LinkOptions) -> Self {
        let meter = LinkMeter::new(side);
        socket.get_mut().start_counting(meter.clone());
        let shared = Arc::new(Shared::new(socket, meter.clone(), options));
        let receiver = SocketReceiver::new(Arc::clone(&shared));
        Self::new(
            LinkSender { kind: SenderKind::Socket(SocketSender::new(shared)), meter: meter.clone() },
            LinkReceiver { kind: ReceiverKind::Socket(receiver), meter },
            options,
        )
    }

    /// Sends one message and everything queued before it: [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// As [`LinkSender::send`].
    pub async fn send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.sender.send(message).await
    }

    /// Queues one message; see [`LinkSender::feed`].
    ///
    /// # Errors
    ///
    /// As [`LinkSender::feed`].
    pub async fn feed(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.sender.feed(message).await
    }

    /// Hands everything queued to the operating system.
    ///
    /// # Errors
    ///
    /// As [`LinkSender::flush`].
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        self.sender.flush().await
    }

    /// Receives the next message; see [`LinkReceiver::receive`].
    ///
    /// # Errors
    ///
    /// As [`LinkReceiver::receive`].
    pub async fn receive(&mut self) -> Result<Option<Bytes>, LinkError> {
        self.receiver.receive().await
    }

    /// Closes in good order: sends what is queued and the code, drops what still arrives, and waits for the peer's
    /// answer until the close time is over.
    ///
    /// # Errors
    ///
    /// When the connection broke first. It is gone either way.
    pub async fn close(mut self, code: CloseCode) -> Result<(), LinkError> {
        let closing = async {
            self.sender.close(code).await?;
            while self.receiver.receive().await?.is_some() {}
            Ok(())
        };
        tokio::time::timeout(self.close_timeout, closing).await.unwrap_or(Ok(()))
    }

    /// Why the link was closed in good order, once it was.
    pub fn close_code(&self) -> Option<CloseCode> {
        self.receiver.close_code()
    }

    /// Lets the peer send without the limit that [`ServerOptions`](crate::ServerOptions) set for strangers.
    pub fn admit(&self) {
        self.receiver.admit();
    }

    /// What went over the link so far.
    pub fn statistics(&self) -> LinkStatistics {
        self.sender.meter.read()
    }

    /// Reads the statistics from elsewhere, also after [`split`](Self::split).
    pub fn meter(&self) -> LinkMeter {
        self.sender.meter.clone()
    }

    /// Splits into halves for two tasks or for two branches of a `select!`. The connection ends when both are dropped.
    pub fn split(self) -> (LinkSender, LinkReceiver) {
        (self.sender, self.receiver)
    }

    pub(crate) fn limit_until_admitted(&self, bytes_max: Option<u64>) {
        self.receiver.limit_until_admitted(bytes_max);
    }
}

impl LinkSender {
    /// Sends one message and everything queued before it.
    ///
    /// Dropping the future loses the message or leaves it queued, and never half of it on the wire.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed).
    pub async fn send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues one message, so that many small ones go out in one write: small ones wait for a [`flush`](Self::flush)
    /// or until some KiB are together, and large ones go out at once.
    ///
    /// Waits while the connection takes nothing. Dropping the future loses the message or leaves it queued, and never
    /// half of it on the wire: what has begun goes on with the next call.
    ///
    /// # Errors
    ///
    /// [`LinkError::MessageTooLarge`] leaves the link as it was; after any other it is over. What the peer said last may
    /// still be there to receive.
    pub async fn feed(&mut self, message: Bytes) -> Result<(), LinkError> {
        match &mut self.kind {
            SenderKind::Socket(sender) => {
                let mut message = Some(message);
                poll_fn(|cx| sender.poll_feed(&mut message, cx)).await
            }
            SenderKind::Memory(sender) => sender.feed(message).await,
        }
    }

    /// Hands everything queued to the operating system. It may be dropped and called again.
    ///
    /// # Errors
    ///
    /// When the link is over, or when the peer leaves the connection unread for too long.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        match &mut self.kind {
            SenderKind::Socket(sender) => poll_fn(|cx| sender.poll_flush(cx)).await,
            SenderKind::Memory(_) => Ok(()),
        }
    }

    /// Starts to close in good order: sends what is queued and the code, and no message after it. The other half then
    /// receives what the peer still sends until the peer answers or the close time is over.
    ///
    /// # Errors
    ///
    /// When the connection broke before the code was out.
    pub async fn close(&mut self, code: CloseCode) -> Result<(), LinkError> {
        match &mut self.kind {
            SenderKind::Socket(sender) => sender.close(code).await,
            SenderKind::Memory(sender) => {
                sender.start_close(code);
                Ok(())
            }
        }
    }
}

impl LinkReceiver {
    /// Receives the next message; nothing when the link was closed in good order.
    ///
    /// Cancel-safe: dropping the future loses no message. While it is polled it also answers pings, pings a quiet peer
    /// and finds a dead one.
    ///
    /// # Errors
    ///
    /// When the connection broke or the peer misbehaved. The link is over then, and every later call says the same.
    pub async fn receive(&mut self) -> Result<Option<Bytes>, LinkError> {
        match &mut self.kind {
            ReceiverKind::Socket(receiver) => poll_fn(|cx| receiver.poll_receive(cx)).await,
            ReceiverKind::Memory(receiver) => poll_fn(|cx| receiver.poll_receive(cx)).await,
        }
    }

    /// Why the link was closed in good order, once it was.
    pub fn close_code(&self) -> Option<CloseCode> {
        match &self.kind {
            ReceiverKind::Socket(receiver) => receiver.close_code(),
            ReceiverKind::Memory(receiver) => receiver.close_code(),
        }
    }

    /// Lets the peer send without the limit that [`ServerOptions`](crate::ServerOptions) set for strangers.
    pub fn admit(&self) {
        self.limit_until_admitted(None);
    }

    /// Reads the statistics of the whole link.
    pub fn meter(&self) -> LinkMeter {
        self.meter.clone()
    }

    fn limit_until_admitted(&self, bytes_max: Option<u64>) {
        match &self.kind {
            ReceiverKind::Socket(receiver) => receiver.limit_until_admitted(bytes_max),
            ReceiverKind::Memory(_) => {}
        }
    }
}

impl std::fmt::Debug for SenderKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Socket(_) => "Socket",
            Self::Memory(_) => "Memory",
        })
    }
}

impl std::fmt::Debug for ReceiverKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Socket(_) => "Socket",
            Self::Memory(_) => "Memory",
        })
    }
}
