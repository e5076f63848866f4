//! The bytes below the WebSocket: watched for life and progress, and rationed.

use super::{error::LinkError, statistics::LinkMeter};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Any two-way byte stream: TCP, TLS over TCP, what an HTTP server upgraded.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// A byte stream that knows when it last heard from the peer and how much was written, and stops reading when the peer
/// has used up its ration.
pub(crate) struct WatchedStream {
    stream: Box<dyn ByteStream>,
    /// Counts what is read and written once the handshake is done.
    meter: Option<LinkMeter>,
    last_read: Instant,
    bytes_written: u64,
    ration: Ration,
}

/// How much the peer may still send. Each limit allows one byte more than it says, so that what is exactly at the limit
/// is told from what is above it.
#[derive(Debug)]
struct Ration {
    until_message: Allowance,
    until_admitted: Option<Allowance>,
}

#[derive(Debug)]
struct Allowance {
    left: u64,
    bytes_max: u64,
}

impl WatchedStream {
    pub(crate) fn new(stream: impl ByteStream + 'static, bytes_without_message_max: u64) -> Self {
        let ration = Ration { until_message: Allowance::new(bytes_without_message_max), until_admitted: None };
        Self { stream: Box::new(stream), meter: None, last_read: Instant::now(), bytes_written: 0, ration }
    }

    /// Counts from now on: the handshake is done.
    pub(super) fn start_counting(&mut self, meter: LinkMeter) {
        self.meter = Some(meter);
        self.refill();
    }

    pub(super) fn last_read(&self) -> Instant {
        self.last_read
    }

    pub(super) fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Starts the count until the next message anew: one was complete, or the link was quiet.
    pub(super) fn refill(&mut self) {
        self.ration.until_message = Allowance::new(self.ration.until_message.bytes_max);
    }

    pub(super) fn limit_until_admitted(&mut self, bytes_max: Option<u64>) {
        self.ration.until_admitted = bytes_max.map(Allowance::new);
    }

    /// Why no more is read, if the ration is used up.
    pub(super) fn exhausted(&self) -> Option<LinkError> {
        match &self.ration {
            Ration { until_admitted: Some(Allowance { left: 0, bytes_max }), .. } => {
                Some(LinkError::NotAdmitted { bytes_max: *bytes_max })
            }
            Ration { until_message: Allowance { left: 0, bytes_max }, .. } => {
                Some(LinkError::Flood { bytes_max: *bytes_max })
            }
            _ => None,
        }
    }
}

impl Ration {
    fn left(&self) -> u64 {
        let until_admitted = self.until_admitted.as_ref().map_or(u64::MAX, |allowance| allowance.left);
        self.until_message.left.min(until_admitted)
    }

    fn spend(&mut self, bytes: usize) {
        for allowance in [Some(&mut self.until_message), self.until_admitted.as_mut()].into_iter().flatten() {
            allowance.left = allowance.left.saturating_sub(bytes as u64);
        }
    }
}

impl Allowance {
    fn new(bytes_max: u64) -> Self {
        Self { left: bytes_max.saturating_add(1), bytes_max }
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.exhausted().is_some() {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let room = buffer.remaining().min(usize::try_from(self.ration.left()).unwrap_or(usize::MAX));
        let mut rationed = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rationed))?;
        let bytes = rationed.filled().len();
        buffer.advance(bytes);
        if bytes > 0 {
            self.last_read = Instant::now();
            self.ration.spend(bytes);
            if let Some(meter) = &self.meter {
                meter.read_bytes(bytes);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.bytes_written += written as u64;
        if let Some(meter) = &self.meter {
            meter.wrote(written);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
