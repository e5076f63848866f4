//! The connection itself: what goes out waits in a short queue, and reading never waits for it.

use afield_core::limits::FRAME_BYTES_MAX;
use afield_transport::{CloseCode, Link, LinkMeter, LinkReceiver, LinkSender};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Fuse;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};

/// How many messages wait to be written; what is more stays with the driver, which holds no more than may be in flight.
const UNWRITTEN_MAX: usize = 16;
/// How many bytes of messages are taken in one go: enough to store a catch-up in large transactions.
const BATCH_BYTES: usize = 4 * FRAME_BYTES_MAX;
/// How many bytes have to move for a message to count as on its way: far more than the heartbeats of a minute, which a
/// relay that answers nothing goes on sending, and far less than the slowest line moves in that time.
const PROGRESS_BYTES: u64 = 1_024;
/// How long a closing connection may take to send its last messages.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

type Writing = Pin<Box<Fuse<Pin<Box<dyn Future<Output = ()> + Send>>>>>;

/// A connection that stands.
///
/// A relay ends the session of a device that reads nothing for half a minute, and on a slow uplink a push takes longer
/// than that. So whoever waits here for a message moves what is to be sent at the same time.
pub(super) struct Wire {
    receiver: LinkReceiver,
    unwritten: mpsc::Sender<Bytes>,
    writing: Writing,
    meter: LinkMeter,
    /// Whether the connection took no more bytes for a while since the last look, and whether it does so now.
    held_up: Arc<HeldUp>,
    /// How many bytes had been read and written at the last look.
    moved: (u64, u64),
    /// How the connection ended, where that was seen while messages were gathered.
    ended: Option<Result<(), String>>,
}

/// What happened on a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// A message came.
    Received(Bytes),
    /// It is over: in good order, or for a reason.
    Ended(Result<(), String>),
    /// The queue takes another message.
    Room,
}

impl Wire {
    pub(super) fn new(link: Link) -> Self {
        let meter = link.meter();
        let (sender, receiver) = link.split();
        let (unwritten, messages) = mpsc::channel(UNWRITTEN_MAX);
        let held_up = Arc::new(HeldUp::default());
        let writing: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(write(sender, messages, Arc::clone(&held_up)));
        Self { receiver, unwritten, writing: Box::pin(writing.fuse()), meter, held_up, moved: (0, 0), ended: None }
    }

    /// Queues a message; gives it back where the queue is full.
    pub(super) fn send(&self, message: Bytes) -> Result<(), Bytes> {
        match self.unwritten.try_send(message) {
            Err(TrySendError::Full(message)) => Err(message),
            // A failed send shows again at the receiving half, which tells the driver.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Whether a message was on its way since the last look, in either direction, though none was complete.
    pub(super) fn has_moved(&mut self) -> bool {
        let statistics = self.meter.read();
        let (read, written) = (statistics.bytes_read, statistics.bytes_written);
        let (read_before, written_before) = std::mem::replace(&mut self.moved, (read, written));
        // What the connection takes at once says nothing of the other end.
        let was_held_up = self.held_up.since_last_look.swap(self.held_up.now.load(Relaxed), Relaxed);
        read - read_before >= PROGRESS_BYTES || was_held_up && written - written_before >= PROGRESS_BYTES
    }

    /// Waits for the next message, or for room in the queue where that is wanted, and sends meanwhile. Cancel-safe.
    pub(super) async fn next(&mut self, is_room_wanted: bool) -> Happened {
        if let Some(ended) = self.ended.take() {
            return Happened::Ended(ended);
        }
        let Self { receiver, unwritten, writing, .. } = self;
        let writing = async {
            writing.await;
            // What it failed with is read from the other half, after everything that the relay had said before.
            std::future::pending::<Happened>().await
        };
        tokio::select! {
            biased;
            never = writing => never,
            received = receiver.receive() => match received {
                Ok(Some(message)) => Happened::Received(message),
                Ok(None) => Happened::Ended(Ok(())),
                Err(error) => Happened::Ended(Err(super::in_words(&error))),
            },
            _ = unwritten.reserve(), if is_room_wanted => Happened::Room,
        }
    }

    /// Takes everything that has arrived already, so that it is stored in one go.
    pub(super) fn gather(&mut self, first: Bytes) -> Vec<Bytes> {
        let mut bytes = first.len();
        let mut messages = vec![first];
        while bytes < BATCH_BYTES {
            match self.receiver.receive().now_or_never() {
                None => break,
                Some(Ok(Some(message))) => {
                    bytes += message.len();
                    messages.push(message);
                }
                Some(end) => {
                    self.ended = Some(end.map(|_| ()).map_err(|error| super::in_words(&error)));
                    break;
                }
            }
        }
        messages
    }

    /// Sends what is queued, says that it closes, and ends.
    pub(super) fn close(self) -> impl Future<Output = ()> + Send {
        let Self { unwritten, writing, .. } = self;
        // The end of the queue is what makes the writer close.
        drop(unwritten);
        async move {
            if tokio::time::timeout(CLOSE_TIMEOUT, writing).await.is_err() {
                tracing::debug!("the relay did not take the last messages in time");
            }
        }
    }
}

/// Whether writing has to wait for the connection.
#[derive(Debug, Default)]
struct HeldUp {
    now: AtomicBool,
    since_last_look: AtomicBool,
}

impl HeldUp {
    async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
            return done;
        }
        self.now.store(true, Relaxed);
        self.since_last_look.store(true, Relaxed);
        let done = work.await;
        self.now.store(false, Relaxed);
        done
    }
}

/// Writes what is queued until the queue ends, and then closes.
async fn write(mut sender: LinkSender, mut messages: mpsc::Receiver<Bytes>, held_up: Arc<HeldUp>) {
    while let Some(first) = messages.recv().await {
        let mut next = Some(first);
        // What is ready goes out in one write.
        while let Some(message) = next {
            if let Err(error) = held_up.during(sender.feed(message)).await {
                return tracing::debug!(%error, "could not send");
            }
            next = messages.try_recv().ok();
        }
        if let Err(error) = held_up.during(sender.flush()).await {
            return tracing::debug!(%error, "could not send");
        }
    }
    if let Err(error) = sender.close(CloseCode::Done).await {
        tracing::debug!(%error, "could not close in good order");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use afield_transport::memory_pair;

    fn message(number: u8) -> Bytes {
        Bytes::from(vec![number])
    }

    #[tokio::test]
    async fn reading_goes_on_while_the_relay_takes_nothing() {
        let (device, mut relay) = memory_pair(1);
        let mut wire = Wire::new(device);
        let mut refused = None;
        for number in 0..=u8::MAX {
            // The first poll of the writer takes a message out of the queue.
            assert!(wire.next(false).now_or_never().is_none());
            if let Err(given_back) = wire.send(message(number)) {
                refused = Some((number, given_back));
                break;
            }
        }
        let (number, given_back) = refused.expect("the queue is bounded");
        assert_eq!(given_back, message(number));
        for number in 0..10 {
            relay.send(message(number)).await.unwrap();
            assert_eq!(wire.next(true).await, Happened::Received(message(number)));
        }
        assert_eq!(relay.receive().await.unwrap(), Some(message(0)));
        assert_eq!(wire.next(true).await, Happened::Room, "the control: what was taken makes room");
        wire.send(given_back).unwrap();
        let (closed, received) = tokio::join!(wire.close(), async {
            let mut received = 1;
            while relay.receive().await.unwrap().is_some() {
                received += 1;
            }
            received
        });
        assert_eq!((closed, received), ((), usize::from(number) + 1), "everything went out before the close");
    }

    #[tokio::test]
    async fn what_the_relay_said_before_the_end_is_received() {
        let (device, mut relay) = memory_pair(8);
        let mut wire = Wire::new(device);
        for number in 0..3 {
            relay.send(message(number)).await.unwrap();
        }
        drop(relay);
        wire.send(message(9)).unwrap();
        let Happened::Received(first) = wire.next(false).await else { panic!("a message was there") };
        assert_eq!(wire.gather(first), [message(0), message(1), message(2)]);
        assert!(matches!(wire.next(false).await, Happened::Ended(Err(_))));
    }
}
