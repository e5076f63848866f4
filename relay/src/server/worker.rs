//! The thread that works on the old part of the logs, beside the one that owns the hub.
//!
//! It reads with a connection of its own and does what takes long. What it has prepared goes to the hub's thread, which puts it in
//! place in a transaction of some milliseconds: there is one writer, and it never waits for this thread.

use super::engine::Event;
use crate::log::{Keeper, Task};
use crate::spans;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many times as long as a piece of work took the thread then rests: it uses a quarter of a core at the most.
const REST_TIMES: u32 = 3;
/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(10);
/// How long a stopping relay waits for the piece of work at hand. What is prepared after that is lost, and nothing else.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// The thread; dropping it ends it.
#[derive(Debug)]
pub(super) struct Worker {
    tasks: Option<Sender<Task>>,
    /// Dropped to wake the thread from its rest.
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread, which answers every task with an event.
    pub(super) fn start(keeper: Keeper, events: Sender<Event>) -> io::Result<Self> {
        let (tasks, queue) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let (ends, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("afield-relay-keeper".to_owned()).spawn(move || {
            work(keeper, &queue, &stopped, &events);
            // It is gone, or waits for this.
            let _ = ends.send(());
        })?;
        Ok(Self { tasks: Some(tasks), stop: Some(stop), ended, thread: Some(thread) })
    }

    /// Gives it a task; answers whether it is there to take it.
    pub(super) fn give(&self, task: Task) -> bool {
        self.tasks.as_ref().is_some_and(|tasks| tasks.send(task).is_ok())
    }
}

#[cfg(test)]
impl Worker {
    pub(super) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.tasks = None;
        self.stop = None;
        if self.ended.recv_timeout(END_TIMEOUT).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // It has said that it ends, and does not panic after that.
            let _ = thread.join();
        }
    }
}

fn work(mut keeper: Keeper, tasks: &Receiver<Task>, stopped: &Receiver<()>, events: &Sender<Event>) {
    while let Ok(task) = tasks.recv() {
        let began = Instant::now();
        let span = spans::pack().entered();
        let prepared = catch_unwind(AssertUnwindSafe(|| keeper.gather(task).map(|work| work.map(|work| work.run()))));
        let prepared = match prepared {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the old part of the log could not be read");
                None
            }
            Err(_) => {
                // The panic's message may hold content, and stays out of this log.
                tracing::error!("a defect made work on the old part of the log panic");
                None
            }
        };
        drop(span);
        let rest = (began.elapsed() * REST_TIMES).min(REST_MAX);
        if events.send(Event::Prepared(prepared.map(Box::new))).is_err()
            || stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout)
        {
            return;
        }
    }
}
