//! Who waits to be in step with the relay.

use super::fetch::Fetcher;
use crate::driver::NotInStep;
use tokio::sync::oneshot;

type Answer = Result<(), NotInStep>;

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) enum Waiting {
    /// Both sides have everything.
    InStep,
    /// This side has everything that the relay had.
    CaughtUp,
}

#[derive(Debug)]
struct Waiter {
    waiting: Waiting,
    sender: oneshot::Sender<Answer>,
}

/// Who waits to be in step with the relay: it counts only what the relay says once it was asked after they came.
#[derive(Debug, Default)]
pub(in crate::driver) struct Waiters {
    fresh: Vec<Waiter>,
    asked: Vec<Waiter>,
    /// Who waits for entities.
    pub(super) fetchers: Vec<Fetcher>,
}

impl Waiters {
    pub(in crate::driver) fn wait(&mut self, waiting: Waiting) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.fresh.push(Waiter { waiting, sender });
        receiver
    }

    /// Whether somebody came since the relay was last asked.
    pub(super) fn is_question_due(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Whether anybody waits for anything.
    pub(super) fn is_somebody_there(&self) -> bool {
        !(self.fresh.is_empty() && self.asked.is_empty() && self.fetchers.is_empty())
    }

    /// Notes that the relay is asked now.
    pub(super) fn ask(&mut self) {
        self.asked.append(&mut self.fresh);
    }

    /// Answers those for whom the relay was asked and who wait for no more than this.
    pub(super) fn answer(&mut self, reached: Waiting, answer: &Answer) {
        let is_reached = |waiter: &Waiter| reached == Waiting::InStep || waiter.waiting == reached;
        let (answered, rest) = std::mem::take(&mut self.asked).into_iter().partition(is_reached);
        self.asked = rest;
        for waiter in answered {
            // A waiter that gave up has dropped its end, which is no failure.
            let _ = waiter.sender.send(answer.clone());
        }
    }

    /// Answers everybody.
    pub(super) fn disappoint(&mut self, not: NotInStep) {
        self.ask();
        self.fetchers.drain(..).for_each(|fetcher| fetcher.disappoint(not.clone()));
        self.answer(Waiting::InStep, &Err(not));
    }
}
