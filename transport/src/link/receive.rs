//! The half of a WebSocket link that receives, and its heartbeat.

use super::close::CloseCode;
use super::error::LinkError;
use super::socket::{Half, Live, Shared, State};
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::protocol::Message;

pub(super) struct SocketReceiver {
    shared: Arc<Shared>,
    /// When an unanswered ping was sent.
    pinged_at: Option<Instant>,
    /// Runs until the earliest moment at which there may be something to do. It is not set anew for each message: when
    /// it fires, what is due is computed from the last byte's time.
    sleep: Pin<Box<Sleep>>,
    close_code: Option<CloseCode>,
}

/// What one look at the socket found.
enum Found {
    Message(Bytes),
    /// Closed in good order.
    Closed,
    Failed(LinkError),
    Nothing,
}

impl SocketReceiver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let sleep = Box::pin(tokio::time::sleep(shared.options.ping_interval()));
        Self { shared, pinged_at: None, sleep, close_code: None }
    }

    pub(super) fn close_code(&self) -> Option<CloseCode> {
        self.close_code
    }

    pub(super) fn limit_until_admitted(&self, bytes_max: Option<u64>) {
        if let State::Live(live) = &mut *self.shared.lock() {
            live.socket.get_mut().limit_until_admitted(bytes_max);
        }
    }

    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, LinkError>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let live = match &mut *state {
            State::Live(live) => live,
            State::Ended(None) => return Poll::Ready(Ok(None)),
            State::Ended(Some(error)) => return Poll::Ready(Err(error.clone())),
        };
        let mut socket_context = shared.context(Half::Receiver, cx);
        // The socket comes before the timers: after a long pause of this process the answer may be there already.
        let mut found = look(live, &mut socket_context);
        if matches!(found, Found::Nothing) {
            found = self.poll_heartbeat(live, &mut socket_context, cx);
        }
        self.close_code = live.close_code();
        match found {
            Found::Message(bytes) => {
                live.socket.get_mut().refill();
                shared.meter.received(bytes.len());
                Poll::Ready(Ok(Some(bytes)))
            }
            Found::Nothing => Poll::Pending,
            Found::Closed => {
                shared.end(&mut state, None);
                Poll::Ready(Ok(None))
            }
            Found::Failed(error) => {
                shared.end(&mut state, Some(error.clone()));
                Poll::Ready(Err(error))
            }
        }
    }

    /// Pings a quiet peer, and finds it dead when it does not answer.
    fn poll_heartbeat(&mut self, live: &mut Live, socket_context: &mut Context<'_>, cx: &mut Context<'_>) -> Found {
        let options = self.shared.options;
        loop {
            let now = Instant::now();
            let last_read = live.socket.get_ref().last_read();
            self.pinged_at = self.pinged_at.filter(|pinged_at| *pinged_at > last_read);
            let due = match (live.closing_until, self.pinged_at) {
                (Some(closing_until), _) => closing_until,
                (None, Some(pinged_at)) => pinged_at + options.answer_timeout(),
                (None, None) => last_read + options.ping_interval(),
            };
            if now < due {
                if self.sleep.deadline() > due || self.sleep.is_elapsed() {
                    self.sleep.as_mut().reset(due);
                }
                if self.sleep.as_mut().poll(cx).is_pending() {
                    return Found::Nothing;
                }
                continue;
            }
            if live.closing_until.is_some() {
                // The peer does not answer the close. Nobody waits for anything any more.
                return Found::Closed;
            }
            if self.pinged_at.is_some() {
                return Found::Failed(LinkError::SilentPeer { silent_ms: options.silent_peer_timeout_ms });
            }
            live.socket.get_mut().refill();
            live.ping(socket_context);
            self.pinged_at = Some(now);
        }
    }
}

/// Reads on to the next data message.
fn look(live: &mut Live, cx: &mut Context<'_>) -> Found {
    loop {
        match live.poll_message(cx) {
            Poll::Pending => return Found::Nothing,
            Poll::Ready(Some(Ok(Message::Binary(bytes)))) => return Found::Message(bytes),
            Poll::Ready(Some(Ok(Message::Text(_)))) => return Found::Failed(LinkError::Text),
            // The implementation queues the answer to a ping and writes it at the next read. `Frame` is never read.
            Poll::Ready(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
            Poll::Ready(Some(Ok(Message::Close(frame)))) => {
                live.note_close(CloseCode::from_frame(frame.as_ref()));
                // One more look writes the answer. Whether the peer waits for it is the peer's business.
                let _ = live.poll_message(cx);
                return Found::Closed;
            }
            Poll::Ready(Some(Err(error))) => {
                let exhausted = live.socket.get_ref().exhausted();
                return match exhausted.unwrap_or_else(|| LinkError::from(error)) {
                    // Once this end has said that it closes, how the connection ends does not matter.
                    LinkError::Closed => Found::Closed,
                    _ if live.closing_until.is_some() => Found::Closed,
                    error => Found::Failed(error),
                };
            }
            Poll::Ready(None) => return Found::Closed,
        }
    }
}
