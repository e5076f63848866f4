//! Decisions as lines of JSON, so that what happened on a device can be decided again elsewhere.

use super::{Decision, State, Trigger, evaluate};
use crate::Now;
use serde::{Deserialize, Serialize};

/// One decision with all that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceLine {
    /// What was known.
    pub state: State,
    /// What happened.
    pub trigger: Trigger,
    /// When.
    pub now: Now,
    /// What was decided.
    pub decision: Decision,
}

/// A line that is none of a trace.
#[derive(Debug, thiserror::Error)]
#[error("not a line of a policy trace: wrong at column {column}")]
pub struct TraceError {
    /// The column, from 1.
    pub column: usize,
    /// What the parser found.
    #[source]
    pub source: serde_json::Error,
}

impl TraceLine {
    /// Decides, and keeps what led to it.
    ///
    /// ```
    /// use afield_core::Now;
    /// use afield_core::policy::{Decision, Reason, State, TraceLine, Trigger};
    ///
    /// let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// let line = TraceLine::record(&State::default(), &Trigger::Manual, now);
    /// assert_eq!(line.decision, Decision::block(Reason::SyncOff, None));
    /// ```
    pub fn record(state: &State, trigger: &Trigger, now: Now) -> Self {
        let decision = evaluate(state, trigger, now);
        Self { state: state.clone(), trigger: trigger.clone(), now, decision }
    }

    /// Decides again: the same as the line says, unless the rules have changed since it was written.
    ///
    /// ```
    /// use afield_core::Now;
    /// use afield_core::policy::{State, TraceLine, Trigger};
    ///
    /// let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// let line = TraceLine::record(&State::default(), &Trigger::Manual, now);
    /// assert_eq!(line.replay(), line.decision);
    /// ```
    pub fn replay(&self) -> Decision {
        evaluate(&self.state, &self.trigger, self.now)
    }

    /// Reads a line.
    ///
    /// ```
    /// use afield_core::Now;
    /// use afield_core::policy::{State, TraceLine, Trigger};
    ///
    /// let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// let line = TraceLine::record(&State::default(), &Trigger::Manual, now);
    /// assert_eq!(TraceLine::parse(&line.to_string())?, line); // on the device, and at the developer's desk
    /// assert!(TraceLine::parse("{}").is_err());
    /// # Ok::<(), afield_core::policy::TraceError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It is not JSON of a trace's form.
    pub fn parse(line: &str) -> Result<Self, TraceError> {
        serde_json::from_str(line).map_err(|source| TraceError { column: source.column(), source })
    }
}

impl std::fmt::Display for TraceLine {
    /// The line as JSON, without its end.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| std::fmt::Error)?;
        f.write_str(&json)
    }
}
