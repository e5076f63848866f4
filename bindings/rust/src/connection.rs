//! The thread that moves a driver's messages over a real connection.
//!
//! One thread with a small runtime of its own does everything: it owns the socket, the timers and the calls into the
//! driver, which write to disk and merge documents and so must not run on an application's async threads. It exists
//! only between `connect` and `disconnect` (invariant S7).

mod wire;

use crate::clock::SystemClock;
use crate::driver::{Driver, DriverError, Output};
use afield_core::Now;
use afield_transport::{Client, ClientOptions, ConnectError, Link, RelayAddress, Token};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use wire::{CLOSE_TIMEOUT, Happened, Wire};

/// How long the end of the thread waits for a look-up of the relay's name, which nothing can interrupt: threads that have
/// nothing to do end at once, and one that the resolver holds ends by itself when the resolver answers.
const RESOLVER_TIMEOUT: Duration = Duration::from_millis(250);

/// What the application wishes; more than one of a kind says nothing new.
#[derive(Debug, Default)]
struct Wishes {
    /// The outbox has grown, or a space was added.
    wake: Notify,
    /// Try to connect now, or ask the relay for those who wait.
    hurry: Notify,
    /// A fresher token is there.
    refresh: Notify,
    /// It, until it is taken.
    fresher_token: Mutex<Option<Token>>,
}

/// Sync while it is on.
#[derive(Debug)]
pub(crate) struct Connection {
    wishes: Arc<Wishes>,
    /// Closing this channel stops the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    address: RelayAddress,
    /// How it was made, for another one to the same relay.
    options: ClientOptions,
}

impl Connection {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system gave no thread or no event queue.
    pub(crate) fn start(
        driver: Arc<Driver>,
        clock: SystemClock,
        address: RelayAddress,
        options: ClientOptions,
    ) -> std::io::Result<Self> {
        let wishes = Arc::new(Wishes::default());
        let client = Arc::new(Client::new(options.clone()));
        let mover = Mover {
            driver,
            clock,
            address: address.clone(),
            client,
            options: options.clone(),
            wishes: wishes.clone(),
            line: Line::Down,
            unsent: None,
            closing: None,
        };
        Self::spawn((address, options), wishes, |stopped| mover.run(stopped))
    }

    fn spawn<F: Future<Output = ()>>(
        (address, options): (RelayAddress, ClientOptions),
        wishes: Arc<Wishes>,
        work: impl FnOnce(mpsc::Receiver<()>) -> F + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel(1);
        let (give, given) = std::sync::mpsc::sync_channel::<tokio::runtime::Runtime>(1);
        let thread = std::thread::Builder::new().name("afield-sync".to_owned()).spawn(move || {
            // Nothing is given where the system had no event queue.
            let Ok(runtime) = given.recv() else { return };
            runtime.block_on(work(stopped));
            runtime.shutdown_timeout(RESOLVER_TIMEOUT);
        })?;
        // Only once somebody takes it: inside the application's runtime, one that is not taken could not be dropped.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        give.send(runtime).map_err(|_| std::io::Error::other("the sync thread has ended"))?;
        Ok(Self { wishes, stop: Some(stop), thread: Some(thread), address, options })
    }

    /// The relay's address.
    pub(crate) fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// How it was made: what another connection to the same relay takes.
    pub(crate) fn parts(&self) -> (RelayAddress, ClientOptions) {
        (self.address.clone(), self.options.clone())
    }

    /// Says that the outbox has grown. Costs nothing when the thread knows already.
    pub(crate) fn wake(&self) {
        self.wishes.wake.notify_one();
    }

    /// Gives a fresher token to the session that stands, and to connections to come.
    pub(crate) fn refresh_token(&mut self, token: Token) {
        self.options.token = Some(token.clone());
        *self.wishes.fresher_token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        self.wishes.refresh.notify_one();
    }

    /// Asks for an attempt to connect now.
    pub(crate) fn hurry(&self) {
        self.wishes.hurry.notify_one();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stop.take();
        let Some(thread) = self.thread.take() else { return };
        // The last handle of a replica may be dropped by the thread itself, which cannot wait for its own end.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the sync thread had panicked");
        }
    }
}

enum Line {
    Down,
    Connecting(mpsc::Receiver<Result<Link, ConnectError>>),
    Up(Wire),
}

enum Turn {
    Woken,
    Hurried,
    Refreshed,
    Connected(Result<Link, ConnectError>),
    Happened(Happened),
    TimedOut,
    /// Nothing more has arrived.
    Idle,
}

struct Mover {
    driver: Arc<Driver>,
    clock: SystemClock,
    address: RelayAddress,
    client: Arc<Client>,
    /// What the client was made with.
    options: ClientOptions,
    wishes: Arc<Wishes>,
    line: Line,
    /// A message that the queue had no room for.
    unsent: Option<Bytes>,
    /// The connection before, as long as it closes.
    closing: Option<JoinHandle<()>>,
}

impl Mover {
    async fn run(mut self, mut stopped: mpsc::Receiver<()>) {
        self.driver.enable_sync(self.clock.now());
        loop {
            self.hand_out();
            let turn = tokio::select! {
                biased;
                _ = stopped.recv() => break,
                turn = self.turn() => turn,
            };
            self.handle(turn);
        }
        self.driver.disable_sync(self.clock.now());
        if tokio::time::timeout(CLOSE_TIMEOUT, self.last_words()).await.is_err() {
            tracing::debug!("the relay did not take the last messages in time");
        }
    }

    async fn turn(&mut self) -> Turn {
        let now = self.clock.now();
        let wait = self.driver.poll_timeout().map(|at| Duration::from_millis(at.saturating_sub(now.monotonic_ms)));
        let timer = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        let is_idle_asked = self.driver.wants_idle();
        let is_room_wanted = self.unsent.is_some();
        tokio::select! {
            biased;
            turn = next_of(&mut self.line, is_room_wanted) => turn,
            // Before those who hurry, who would be told that somebody has to sign in.
            () = self.wishes.refresh.notified() => Turn::Refreshed,
            () = self.wishes.hurry.notified() => Turn::Hurried,
            () = self.wishes.wake.notified() => Turn::Woken,
            // The socket is looked at once more before it counts as silent.
            () = tokio::task::yield_now(), if is_idle_asked => Turn::Idle,
            () = timer => Turn::TimedOut,
        }
    }

    fn handle(&mut self, turn: Turn) {
        let now = self.clock.now();
        // The driver keeps the error of a failed store for `status` and retries, so it is only logged here.
        let result = match turn {
            Turn::Woken => self.driver.handle_wake(now),
            Turn::Hurried => self.driver.hurry(now),
            Turn::Refreshed => self.refresh_token(now),
            Turn::TimedOut => {
                if let Line::Up(wire) = &mut self.line
                    && wire.has_moved()
                {
                    self.driver.handle_progress(now);
                }
                self.driver.handle_timeout(now)
            }
            Turn::Idle => self.driver.handle_idle(now),
            Turn::Connected(Ok(link)) => {
                self.line = Line::Up(Wire::new(link));
                self.driver.handle_connected(now)
            }
            Turn::Connected(Err(error)) => {
                self.line = Line::Down;
                self.driver.handle_connect_failed(in_words(&error), error.class(), error.wait(), now);
                Ok(())
            }
            // The next look at the outputs fills it.
            Turn::Happened(Happened::Room) => Ok(()),
            Turn::Happened(Happened::Received(message)) => {
                let messages = match &mut self.line {
                    Line::Up(wire) => {
                        let _ = wire.has_moved();
                        wire.gather(message)
                    }
                    Line::Down | Line::Connecting(_) => vec![message],
                };
                self.driver.handle_messages(messages.iter().map(AsRef::as_ref), now)
            }
            Turn::Happened(Happened::Ended(end)) => {
                (self.line, self.unsent) = (Line::Down, None);
                let reason = end.err().unwrap_or_else(|| "the relay closed the connection".to_owned());
                self.driver.handle_disconnected(reason, now);
                Ok(())
            }
        };
        if let Err(error) = result {
            tracing::error!(%error, "sync.failed: the store failed");
        }
    }

    /// Takes the fresher token: the driver for the session, and the header of connections to come for who looks there first.
    fn refresh_token(&mut self, now: Now) -> Result<(), DriverError> {
        let fresher = self.wishes.fresher_token.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(token) = fresher else { return Ok(()) };
        self.options.token = Some(token.clone());
        self.client = Arc::new(Client::new(self.options.clone()));
        self.driver.refresh_token(token.expose(), now).map(|_| ())
    }

    /// Does what the driver wants, as far as there is room for its messages.
    fn hand_out(&mut self) {
        loop {
            let output = match self.unsent.take() {
                Some(message) => Output::Transmit(message.into()),
                None => match self.driver.poll_output() {
                    Some(output) => output,
                    None => return,
                },
            };
            match output {
                Output::Connect => self.connect(),
                Output::Transmit(message) => {
                    if let Line::Up(wire) = &self.line
                        && let Err(message) = wire.send(message.into())
                    {
                        self.unsent = Some(message);
                        return;
                    }
                }
                Output::Disconnect => self.close(),
            }
        }
    }

    /// Sends what the driver says at the end of sync.
    async fn last_words(&mut self) {
        self.hand_out();
        while self.unsent.is_some() {
            // What arrives now comes too late, and is offered again by the next session.
            if let Turn::Happened(Happened::Ended(_)) = next_of(&mut self.line, true).await {
                (self.line, self.unsent) = (Line::Down, None);
            }
            self.hand_out();
        }
        if let Some(closing) = self.closing.take()
            && closing.await.is_err()
        {
            tracing::error!("closing the connection panicked");
        }
    }

    fn connect(&mut self) {
        let (answer, answered) = mpsc::channel(1);
        let (address, client) = (self.address.clone(), self.client.clone());
        // Dropping the receiver abandons the attempt: the send then fails and the task ends.
        tokio::spawn(async move {
            tokio::select! {
                result = client.connect(&address) => { let _ = answer.send(result).await; }
                () = answer.closed() => {}
            }
        });
        self.line = Line::Connecting(answered);
    }

    /// Closes beside whatever comes next: what is queued may take its time on a slow connection.
    fn close(&mut self) {
        if let Line::Up(wire) = std::mem::replace(&mut self.line, Line::Down) {
            self.closing = Some(tokio::spawn(wire.close()));
        }
    }
}

async fn next_of(line: &mut Line, is_room_wanted: bool) -> Turn {
    match line {
        Line::Down => std::future::pending().await,
        Line::Connecting(answered) => match answered.recv().await {
            Some(result) => Turn::Connected(result),
            None => Turn::Happened(Happened::Ended(Err("the attempt to connect was abandoned".to_owned()))),
        },
        Line::Up(wire) => Turn::Happened(wire.next(is_room_wanted).await),
    }
}

/// An error with its causes, for a person: without the numbers that the system has for them.
fn in_words(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut words = without_number(&text).to_owned();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(without_number(&cause.to_string()));
        source = cause.source();
    }
    words
}

/// What the system says of an error, without the `(os error 111)` that the standard library adds.
fn without_number(text: &str) -> &str {
    let is_number = |end: &str| end.strip_suffix(')').is_some_and(|number| number.parse::<i32>().is_ok());
    text.rsplit_once(" (os error ").filter(|(_, end)| is_number(end)).map_or(text, |(words, _)| words)
}

#[cfg(test)]
impl Connection {
    /// A connection whose thread ends only once this channel is closed.
    pub(crate) fn held_by(held: std::sync::mpsc::Receiver<()>) -> Self {
        let address = "ws://127.0.0.1:9".parse().expect("an address");
        Self::spawn((address, ClientOptions::default()), Arc::default(), |mut stopped| async move {
            stopped.recv().await;
            let _ = held.recv();
        })
        .expect("a thread")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{channel, sync_channel};

    #[test]
    fn causes_are_told_in_order() {
        let inner = std::io::Error::other("refused");
        let outer = std::io::Error::other(inner);
        assert!(in_words(&outer).contains("refused"));
    }

    #[test]
    fn the_systems_number_of_an_error_is_not_told() {
        let error = std::io::Error::from_raw_os_error(13);
        assert!(error.to_string().ends_with(" (os error 13)"), "the control: {error}");
        let words = in_words(&error);
        assert!(!words.is_empty() && error.to_string() == format!("{words} (os error 13)"), "{words}");
        assert_eq!(without_number("full (os error of old)"), "full (os error of old)");
    }

    #[test]
    fn a_resolver_that_never_answers_does_not_hold_the_end_of_the_connection() {
        let (answer, never) = channel::<()>();
        let (looks_up, is_looking_up) = sync_channel(1);
        let address = "ws://127.0.0.1:9".parse().unwrap();
        let connection =
            Connection::spawn((address, ClientOptions::default()), Arc::default(), |mut stopped| async move {
                // What tokio's look-up of a name is: a blocking call on a thread of its own.
                tokio::task::spawn_blocking(move || {
                    looks_up.send(()).unwrap();
                    never.recv()
                });
                stopped.recv().await;
            })
            .unwrap();
        is_looking_up.recv().unwrap();
        let (ends, ended) = channel();
        let ending = std::thread::spawn(move || {
            drop(connection);
            ends.send(()).unwrap();
        });
        let in_time = ended.recv_timeout(Duration::from_secs(10));
        drop(answer);
        ending.join().unwrap();
        in_time.expect("the connection ended while the resolver was stuck");
    }
}
