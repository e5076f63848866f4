//! Who waits to be in step with the relay.

use crate::driver::NotInStep;
use tokio::sync::oneshot;

type Answer = Result<(), NotInStep>;

/// Who waits to be in step with the relay: it counts only what the relay says once it was asked after they came.
#[derive(Debug, Default)]
pub(in crate::driver) struct Waiters {
    fresh: Vec<oneshot::Sender<Answer>>,
    asked: Vec<oneshot::Sender<Answer>>,
}

impl Waiters {
    pub(in crate::driver) fn wait(&mut self) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.fresh.push(sender);
        receiver
    }

    /// Whether somebody came since the relay was last asked.
    pub(super) fn is_question_due(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Notes that the relay is asked now.
    pub(super) fn ask(&mut self) {
        self.asked.append(&mut self.fresh);
    }

    /// Answers those for whom the relay was asked.
    pub(super) fn answer(&mut self, answer: &Answer) {
        for waiter in self.asked.drain(..) {
            // A waiter that gave up has dropped its end, which is no failure.
            let _ = waiter.send(answer.clone());
        }
    }

    /// Answers everybody.
    pub(super) fn disappoint(&mut self, not: NotInStep) {
        self.ask();
        self.answer(&Err(not));
    }
}
