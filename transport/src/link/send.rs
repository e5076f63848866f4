//! The half of a WebSocket link that sends.

use super::close::CloseCode;
use super::error::LinkError;
use super::options::FRAGMENT_BYTES;
use super::socket::{Half, Live, Shared, State};
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::Error as WebSocketError;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

pub(super) struct SocketSender {
    shared: Arc<Shared>,
    /// The message that is being sent. It outlives the future that began it, so that dropping that future never leaves
    /// half a message on the wire.
    outgoing: Option<Outgoing>,
    stall: Stall,
}

/// A message on its way into the socket, piece by piece.
struct Outgoing {
    rest: Bytes,
    payload_bytes: usize,
    begun: bool,
}

/// How long the connection has taken nothing.
#[derive(Default)]
struct Stall {
    since_bytes_written: Option<u64>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl SocketSender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, outgoing: None, stall: Stall::default() }
    }

    /// Takes `message` once everything before it is in the socket, and puts it there.
    pub(super) fn poll_feed(
        &mut self,
        message: &mut Option<Bytes>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), LinkError>> {
        loop {
            ready!(self.poll_drive(Goal::Accepted, cx))?;
            let Some(bytes) = message.take() else { return Poll::Ready(Ok(())) };
            let bytes_max = self.shared.options.frame_bytes_max;
            if bytes.len() > bytes_max {
                return Poll::Ready(Err(LinkError::MessageTooLarge { bytes: bytes.len(), bytes_max }));
            }
            self.outgoing = Some(Outgoing { payload_bytes: bytes.len(), rest: bytes, begun: false });
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.poll_drive(Goal::Flushed, cx)
    }

    /// Sends what is queued and the code, for as long as a close may take.
    pub(super) async fn close(&mut self, code: CloseCode) -> Result<(), LinkError> {
        let until = Instant::now() + self.shared.options.close_timeout();
        let queued = tokio::time::timeout_at(until, poll_fn(|cx| self.poll_flush(cx))).await;
        self.outgoing = None;
        if let State::Live(live) = &mut *self.shared.lock() {
            live.start_close(code, until);
        }
        // The other half waits for the answer from now on, and no longer than until then.
        self.shared.wake();
        match queued {
            Ok(Ok(())) => tokio::time::timeout_at(until, poll_fn(|cx| self.poll_flush(cx))).await.unwrap_or(Ok(())),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(()),
        }
    }

    fn poll_drive(&mut self, goal: Goal, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let mut state = self.shared.lock();
        let live = state.live()?;
        let mut socket_context = self.shared.context(Half::Sender, cx);
        let mut outcome = poll_outgoing(live, &mut self.outgoing, &self.shared, &mut socket_context);
        if goal == Goal::Flushed && matches!(outcome, Poll::Ready(Ok(()))) {
            outcome = live.poll_flush(&mut socket_context);
        }
        match outcome {
            Poll::Ready(outcome) => {
                self.stall.clear();
                // The receiving half keeps the connection: the peer's last words may still be there to read.
                Poll::Ready(outcome.map_err(LinkError::from))
            }
            Poll::Pending => {
                ready!(self.stall.poll(live.socket.get_ref().bytes_written(), &self.shared, cx));
                let error = LinkError::SlowReader { stalled_ms: self.shared.options.slow_reader_timeout_ms };
                self.shared.end(&mut state, Some(error.clone()));
                Poll::Ready(Err(error))
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// The socket has taken the message, perhaps only into its buffer.
    Accepted,
    /// Everything is with the operating system.
    Flushed,
}

fn poll_outgoing(
    live: &mut Live,
    outgoing: &mut Option<Outgoing>,
    shared: &Shared,
    cx: &mut Context<'_>,
) -> Poll<Result<(), WebSocketError>> {
    while let Some(message) = outgoing {
        ready!(live.poll_ready(cx))?;
        match live.start_send(Message::Frame(message.next_frame())) {
            Ok(()) => {
                if message.advance() {
                    shared.meter.sent(message.payload_bytes);
                    *outgoing = None;
                }
            }
            // Answers to pings took the room. An empty buffer always has room for one piece, so this ends.
            Err(WebSocketError::WriteBufferFull(_)) => ready!(live.poll_flush(cx))?,
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}

impl Outgoing {
    fn piece_bytes(&self) -> usize {
        self.rest.len().min(FRAGMENT_BYTES)
    }

    fn next_frame(&self) -> Frame {
        let piece = self.rest.slice(..self.piece_bytes());
        let data = if self.begun { Data::Continue } else { Data::Binary };
        Frame::message(piece, OpCode::Data(data), self.rest.len() <= FRAGMENT_BYTES)
    }

    /// Goes past the piece that was taken; true if it was the last.
    fn advance(&mut self) -> bool {
        let piece_bytes = self.piece_bytes();
        bytes::Buf::advance(&mut self.rest, piece_bytes);
        self.begun = true;
        self.rest.is_empty()
    }
}

impl Stall {
    fn clear(&mut self) {
        self.since_bytes_written = None;
    }

    /// Ready when the connection has taken no byte for the slow reader's time.
    fn poll(&mut self, bytes_written: u64, shared: &Shared, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now())));
        if self.since_bytes_written != Some(bytes_written) {
            self.since_bytes_written = Some(bytes_written);
            sleep.as_mut().reset(Instant::now() + shared.options.slow_reader_timeout());
        }
        sleep.as_mut().poll(cx)
    }
}
