//! The thread that owns the hub: events in, messages out, one commit per turn.

use super::clock::SystemClock;
use super::metrics::CommitTimes;
use super::throttle::{Throttle, Writer};
use super::worker::Worker;
use crate::hub::{Hub, Occurrence, Origin, Output};
use crate::log::{Log, Prepared, Settled, SqliteLog};
use crate::spans;
use afield_core::{Now, SessionId};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tracing::Span;

/// The most events that one turn takes before it commits, so that the first of them do not wait long for the last.
const EVENTS_PER_TURN_MAX: usize = 4_096;
/// How many runs of the log one turn reads for sessions that are behind: some ten milliseconds of work, so that a
/// push beside a long catch-up waits no longer than that.
const READS_PER_TURN_MAX: usize = 4;
/// How long the thread sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// A connection's number, from its first moment; the hub's session id comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionNumber(u64);

impl fmt::Display for ConnectionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who is at the other end of a connection, before it has said anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    /// When the connection was accepted, before TLS and HTTP.
    pub(super) began: Instant,
}

/// Who hears of what the thread sees.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) throttle: Arc<Throttle>,
    pub(super) commit_times: CommitTimes,
}

/// What a link is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToLink {
    /// The session was welcomed: what it sends from here on is counted.
    Admitted(Writer),
    Output(Output),
}

/// A question to the hub, answered on its thread.
pub(super) struct Question(Box<Ask>);

type Ask = dyn FnOnce(&mut Hub<SqliteLog>, Now) + Send;

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Question")
    }
}

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Event {
    Connect {
        number: ConnectionNumber,
        token: Option<String>,
        caller: Caller,
        outbox: UnboundedSender<ToLink>,
    },
    /// The permits are given back once the message was committed and answered: until then it takes room.
    Message {
        number: ConnectionNumber,
        message: Bytes,
        room: [OwnedSemaphorePermit; 2],
        span: Span,
    },
    Sent {
        number: ConnectionNumber,
        bytes: usize,
    },
    Disconnect {
        number: ConnectionNumber,
    },
    /// The worker has done a task: there is something to put in place, or nothing.
    Prepared(Option<Box<Prepared>>),
    Ask(Question),
    ShutDown,
    Stop,
}

/// The thread that owns the hub.
#[derive(Debug)]
pub(super) struct Engine {
    handle: EngineHandle,
    ended: watch::Receiver<bool>,
}

/// The way to the thread for everybody else.
#[derive(Debug, Clone)]
pub(super) struct EngineHandle {
    events: Sender<Event>,
    numbers: Arc<AtomicU64>,
    alive: Arc<AtomicBool>,
}

/// One connection as the thread knows it; dropping it tells the hub that the link is gone.
#[derive(Debug)]
pub(super) struct Connection {
    number: ConnectionNumber,
    events: Sender<Event>,
}

impl Engine {
    pub(super) fn start(mut hub: Hub<SqliteLog>, watch: Watch) -> io::Result<Self> {
        let (events, queue) = mpsc::channel();
        let worker = match hub.log_mut().keeper() {
            None => None,
            Some(Ok(keeper)) => Some(Worker::start(keeper, events.clone())?),
            Some(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "what is old in the log is not packed");
                None
            }
        };
        let (ends, ended) = watch::channel(false);
        let alive = Arc::new(AtomicBool::new(true));
        let life = Life { alive: Arc::clone(&alive), ends };
        thread::Builder::new().name("afield-relay-hub".to_owned()).spawn(move || {
            let _life = life;
            Turns::new(hub, queue, worker, watch).run();
        })?;
        Ok(Self { handle: EngineHandle { events, numbers: Arc::default(), alive }, ended })
    }

    pub(super) fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// Commits what was pushed and sends all sessions away; the thread goes on until [`Self::stop`].
    pub(super) fn shut_down(&self) {
        self.handle.send(Event::ShutDown);
    }

    pub(super) fn stop(&self) {
        self.handle.send(Event::Stop);
    }

    /// Waits until the thread has ended and the log is closed.
    pub(super) async fn ended(&mut self) {
        // An error says that the other end is gone, and with it the thread.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }
}

impl EngineHandle {
    /// Whether the thread runs.
    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Announces a link of a connection; what it is to send comes out of the receiver.
    pub(super) fn connect(&self, token: Option<String>, caller: Caller) -> (Connection, UnboundedReceiver<ToLink>) {
        // The hub accounts for what it puts in and what was sent, and stops reading the log when that is too much.
        let (outbox, outputs) = unbounded_channel();
        let number = ConnectionNumber(self.numbers.fetch_add(1, Ordering::Relaxed));
        self.send(Event::Connect { number, token, caller, outbox });
        (Connection { number, events: self.events.clone() }, outputs)
    }

    /// Asks the hub something between two messages; `None` where its thread has ended.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Hub<SqliteLog>, Now) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.send(Event::Ask(Question(Box::new(move |hub, now| {
            // Whoever asked may have left.
            let _ = answer.send(question(hub, now));
        }))));
        answered.await.ok()
    }

    /// The way to a test that takes the thread's place.
    #[cfg(test)]
    pub(super) fn detached() -> (Self, Receiver<Event>) {
        let (events, queue) = mpsc::channel();
        (Self { events, numbers: Arc::default(), alive: Arc::default() }, queue)
    }

    fn send(&self, event: Event) {
        // Without the thread there is nobody to tell; its end closes every outbox.
        let _ = self.events.send(event);
    }
}

impl Connection {
    /// Its number, by which lines of the log belong together.
    pub(super) fn number(&self) -> ConnectionNumber {
        self.number
    }

    pub(super) fn message(&self, message: Bytes, room: [OwnedSemaphorePermit; 2], span: Span) {
        let _ = self.events.send(Event::Message { number: self.number, message, room, span });
    }

    pub(super) fn sent(&self, bytes: usize) {
        let _ = self.events.send(Event::Sent { number: self.number, bytes });
    }
}

#[cfg(test)]
impl Watch {
    /// For a relay without limits.
    pub(super) fn unlimited() -> Self {
        Self { throttle: Throttle::unlimited(), commit_times: CommitTimes::new() }
    }
}

#[cfg(test)]
impl Caller {
    /// Somebody on this machine whose connection begins now.
    pub(super) fn nearby() -> Self {
        Self { address: IpAddr::from([127, 0, 0, 1]), began: Instant::now() }
    }
}

#[cfg(test)]
impl Connection {
    /// A connection to a hub that never comes to its messages.
    pub(super) fn unheard() -> (Self, Receiver<Event>) {
        let (events, queue) = mpsc::channel();
        (Self { number: ConnectionNumber(0), events }, queue)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Disconnect { number: self.number });
    }
}

/// Says that the thread has ended, however it did. It is dropped after everything that the thread owned.
struct Life {
    alive: Arc<AtomicBool>,
    ends: watch::Sender<bool>,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Release);
        self.ends.send_replace(true);
    }
}

/// The connection of a session.
struct Seated {
    number: ConnectionNumber,
    outbox: UnboundedSender<ToLink>,
    /// Whether its link knows that it was welcomed.
    is_admitted: bool,
}

struct Turns {
    /// First, so that it has ended before the log is closed.
    worker: Option<Worker>,
    /// Whether it has a task.
    is_working: bool,
    hub: Hub<SqliteLog>,
    queue: Receiver<Event>,
    clock: SystemClock,
    connections: BTreeMap<ConnectionNumber, SessionId>,
    sessions: BTreeMap<SessionId, Seated>,
    watch: Watch,
    /// What was held back for the next turn, in its order: never more than one turn takes.
    later: Vec<Event>,
}

impl Turns {
    fn new(hub: Hub<SqliteLog>, queue: Receiver<Event>, worker: Option<Worker>, watch: Watch) -> Self {
        let (connections, sessions, later) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let clock = SystemClock::start();
        Self { worker, is_working: false, hub, queue, clock, connections, sessions, watch, later }
    }

    fn run(mut self) {
        let mut more = false;
        self.give_work();
        while let Some(first) = self.wait(more) {
            match self.turn(first) {
                Some(any) => more = any,
                None => return,
            }
        }
    }

    /// Takes what has come, commits, answers, and reads for those who are behind. Answers whether there is more to do right
    /// now; `None` when it was told to stop.
    fn turn(&mut self, first: Option<Event>) -> Option<bool> {
        let mut room = Vec::new();
        let earlier = std::mem::take(&mut self.later).into_iter();
        let events: Vec<Event> = earlier.chain(first).chain(self.queue.try_iter().take(EVENTS_PER_TURN_MAX)).collect();
        let mut held_back = BTreeSet::new();
        for event in events {
            if matches!(event, Event::Stop) {
                return None;
            }
            if let Some(number) = self.to_hold_back(&event, &held_back) {
                held_back.insert(number);
                self.later.push(event);
            } else {
                self.handle(event, &mut room);
            }
        }
        let now = self.clock.now();
        if self.hub.poll_timeout().is_some_and(|due_ms| due_ms <= now.monotonic_ms) {
            self.hub.handle_timeout(now);
        }
        let appends = self.hub.counts_appends();
        let began = Instant::now();
        self.hub.commit(self.clock.now());
        if self.hub.counts_appends() > appends {
            self.watch.commit_times.observe(began.elapsed());
        }
        // The receipts go out before anything is read for those who are behind.
        self.hand_out();
        drop(room);
        let more = self.hub.serve(READS_PER_TURN_MAX, self.clock.now());
        self.hand_out();
        self.give_work();
        Some(more || !self.later.is_empty())
    }

    /// The connection of an event that has to wait for the next turn, with everything that comes after it there.
    fn to_hold_back(&self, event: &Event, held_back: &BTreeSet<ConnectionNumber>) -> Option<ConnectionNumber> {
        let (Event::Message { number, .. } | Event::Disconnect { number }) = event else { return None };
        let waits = |session: &SessionId| self.hub.has_to_wait(*session);
        let is_held_back = held_back.contains(number)
            || matches!(event, Event::Message { .. }) && self.connections.get(number).is_some_and(waits);
        is_held_back.then_some(*number)
    }

    /// Waits for the next event, or until something is due; `None` when nobody is left who could send one.
    #[expect(clippy::option_option, reason = "the inner one is a turn without an event")]
    fn wait(&self, more: bool) -> Option<Option<Event>> {
        // What was held back comes first, and leaves room for what else has come.
        if !self.later.is_empty() {
            return Some(None);
        }
        if more {
            return Some(self.queue.try_recv().ok());
        }
        let now_ms = self.clock.now().monotonic_ms;
        let due = self.hub.poll_timeout().map_or(IDLE, |due_ms| Duration::from_millis(due_ms.saturating_sub(now_ms)));
        match self.queue.recv_timeout(due) {
            Ok(event) => Some(Some(event)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn handle(&mut self, event: Event, room: &mut Vec<[OwnedSemaphorePermit; 2]>) {
        let now = self.clock.now();
        match event {
            Event::Connect { number, token, caller, outbox } => {
                let ago_ms = u64::try_from(caller.began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let began_ms = now.monotonic_ms.saturating_sub(ago_ms);
                let session = self.hub.connect_from(token, Origin { address: Some(caller.address), began_ms }, now);
                tracing::debug!(connection = %number, %session, address = %caller.address, "a session begins");
                self.connections.insert(number, session);
                self.sessions.insert(session, Seated { number, outbox, is_admitted: false });
            }
            Event::Message { number, message, room: taken, span } => {
                room.push(taken);
                let Some(session) = self.connections.get(&number).copied() else { return };
                span.in_scope(|| self.hub.handle_message(session, &message, now));
            }
            Event::Sent { number, bytes } => {
                if let Some(session) = self.connections.get(&number) {
                    self.hub.handle_sent(*session, bytes, now);
                }
            }
            Event::Disconnect { number } => self.forget(number),
            Event::Prepared(prepared) => {
                self.is_working = false;
                if let Some(prepared) = prepared {
                    self.settle(*prepared);
                }
            }
            Event::Ask(Question(question)) => question(&mut self.hub, now),
            Event::ShutDown => {
                self.hub.shutdown(now);
                self.hand_out();
            }
            Event::Stop => {}
        }
    }

    /// Gives the worker the next task, where there is one and nothing else to do.
    fn give_work(&mut self) {
        let Some(worker) = self.worker.as_ref().filter(|_| !self.is_working) else { return };
        match self.hub.log_mut().next_task() {
            Ok(Some(task)) => self.is_working = worker.give(task),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the log could not say what is old");
            }
        }
    }

    /// Puts in place what the worker has prepared. Where that fails the log is as it was.
    fn settle(&mut self, prepared: Prepared) {
        let _span = spans::settle().entered();
        match catch_unwind(AssertUnwindSafe(|| self.hub.log_mut().settle(prepared))) {
            Ok(Ok(settled)) => {
                tracing::debug!(settled = ?settled.get(), "the old part of a log was worked on");
                if !matches!(settled.get(), Settled::Stale | Settled::Failed(_)) {
                    self.hub.note_event(Occurrence::Compacted);
                }
            }
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the old part of a log stays as it is");
            }
            Err(_) => {
                // It would come to the same task again.
                tracing::error!(
                    "a defect made work on the old part of a log panic; there is no more of it until a restart"
                );
                self.worker = None;
            }
        }
    }

    fn forget(&mut self, number: ConnectionNumber) {
        if let Some(session) = self.connections.remove(&number) {
            self.sessions.remove(&session);
            self.hub.disconnect(session);
        }
    }

    fn hand_out(&mut self) {
        // Before they hear of it, so that nobody tries again uncounted.
        self.hub.take_refused().into_iter().for_each(|address| self.watch.throttle.note_failure(address));
        while let Some((session, output)) = self.hub.poll_transmit() {
            let is_last = output == Output::Close;
            let Some(seated) = self.sessions.get_mut(&session) else { continue };
            // A link that is gone says so itself.
            if !seated.is_admitted
                && let Some((user, device)) = self.hub.writer(session)
            {
                seated.is_admitted = true;
                let _ = seated.outbox.send(ToLink::Admitted(Writer { user, device }));
            }
            let _ = seated.outbox.send(ToLink::Output(output));
            if is_last {
                self.connections.remove(&seated.number);
                self.sessions.remove(&session);
            }
        }
    }
}

#[cfg(test)]
mod tests;
