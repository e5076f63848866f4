//! One WebSocket, shared by the half that sends and the half that receives.

use super::close::CloseCode;
use super::error::LinkError;
use super::options::LinkOptions;
use super::statistics::LinkMeter;
use super::stream::WatchedStream;
use futures_util::task::AtomicWaker;
use futures_util::{Sink, Stream};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::{Bytes, Error as WebSocketError};

type WebSocket = WebSocketStream<WatchedStream>;

/// What both halves share. The lock is held while a poll runs and never across an await.
pub(super) struct Shared {
    pub(super) options: LinkOptions,
    pub(super) meter: LinkMeter,
    wakers: Arc<Wakers>,
    waker: Waker,
    state: Mutex<State>,
}

/// Which half is polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Sender,
    Receiver,
}

/// Wakes whichever half waits.
///
/// Either half reads and writes: the receiver answers pings and sends its own. The socket remembers one waker for each
/// direction, so each poll gives it this one, and no half takes away the other's.
#[derive(Default)]
struct Wakers {
    sender: AtomicWaker,
    receiver: AtomicWaker,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.sender.wake();
        self.receiver.wake();
    }
}

pub(super) enum State {
    Live(Box<Live>),
    /// The connection is gone; no error means that it was closed in good order.
    Ended(Option<LinkError>),
}

pub(super) struct Live {
    pub(super) socket: WebSocket,
    /// A control frame was written and not flushed yet.
    unflushed: bool,
    /// When this end asked to close, and until when it waits for the answer.
    pub(super) closing_until: Option<Instant>,
    /// Why the link was closed, once it was.
    close_code: Option<CloseCode>,
}

impl Shared {
    pub(super) fn new(socket: WebSocket, meter: LinkMeter, options: LinkOptions) -> Self {
        let wakers = Arc::new(Wakers::default());
        let live = Live { socket, unflushed: false, closing_until: None, close_code: None };
        Self {
            options,
            meter,
            waker: Waker::from(Arc::clone(&wakers)),
            wakers,
            state: Mutex::new(State::Live(Box::new(live))),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock can only leave a socket that reports an error at its next use.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers who is polling and gives the context that the socket gets instead.
    pub(super) fn context(&self, half: Half, cx: &Context<'_>) -> Context<'_> {
        match half {
            Half::Sender => self.wakers.sender.register(cx.waker()),
            Half::Receiver => self.wakers.receiver.register(cx.waker()),
        }
        Context::from_waker(&self.waker)
    }

    /// Makes both halves look again.
    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// Ends the link for both halves: tells the peer if that costs no waiting, and drops the connection.
    pub(super) fn end(&self, state: &mut State, error: Option<LinkError>) {
        if let State::Live(live) = state {
            if let Some(code) = error.as_ref().and_then(parting_code) {
                live.say_close(code);
            }
            tracing::debug!(error = error.as_ref().map(tracing::field::display), "link ended");
            *state = State::Ended(error);
            self.wake();
        }
    }
}

impl State {
    /// The live socket, or what a half is told when there is none.
    pub(super) fn live(&mut self) -> Result<&mut Live, LinkError> {
        match self {
            Self::Live(live) => Ok(live),
            Self::Ended(error) => Err(error.clone().unwrap_or(LinkError::Closed)),
        }
    }
}

impl Live {
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WebSocketError>> {
        Pin::new(&mut self.socket).poll_ready(cx)
    }

    pub(super) fn start_send(&mut self, message: Message) -> Result<(), WebSocketError> {
        Pin::new(&mut self.socket).start_send(message)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WebSocketError>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        if flushed.is_ready() {
            self.unflushed = false;
        }
        flushed
    }

    /// Reads until a data message, the end, or nothing more.
    pub(super) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, WebSocketError>>> {
        if self.unflushed {
            // An error of the write side shows when reading, after everything that the peer had said before.
            let _ = self.poll_flush(cx);
        }
        Pin::new(&mut self.socket).poll_next(cx)
    }

    pub(super) fn ping(&mut self, cx: &mut Context<'_>) {
        // With no room in the write buffer the peer is already asked to show life: by everything that waits there.
        if self.start_send(Message::Ping(Bytes::new())).is_ok() {
            self.unflushed = true;
            let _ = self.poll_flush(cx);
        }
    }

    /// Starts closing; harmless when that has begun.
    pub(super) fn start_close(&mut self, code: CloseCode, until: Instant) {
        if self.closing_until.is_none() {
            self.closing_until = Some(until);
            self.close_code.get_or_insert(code);
            self.say_close(code);
        }
    }

    /// The peer closed; the answer is on its way.
    pub(super) fn note_close(&mut self, code: CloseCode) {
        self.close_code.get_or_insert(code);
    }

    pub(super) fn close_code(&self) -> Option<CloseCode> {
        self.close_code
    }

    fn say_close(&mut self, code: CloseCode) {
        // The peer learns the reason if the connection takes a few bytes at once; it is closed either way.
        let _ = self.start_send(Message::Close(code.to_frame()));
        let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()));
        self.unflushed = true;
    }
}

/// The code to part with, for failures that are the peer's doing and leave a connection to say so on.
fn parting_code(error: &LinkError) -> Option<CloseCode> {
    match error {
        LinkError::PeerMessageTooLarge { .. } => Some(CloseCode::TooLarge),
        LinkError::Text => Some(CloseCode::Text),
        LinkError::Protocol(_) => Some(CloseCode::Protocol),
        LinkError::Flood { .. } | LinkError::NotAdmitted { .. } => Some(CloseCode::Policy),
        LinkError::SilentPeer { .. } | LinkError::SlowReader { .. } => Some(CloseCode::GoingAway),
        LinkError::Closed | LinkError::Lost(_) | LinkError::MessageTooLarge { .. } => None,
    }
}
