//! What is known of a space when something happens.

use super::PushIds;
use serde::{Deserialize, Serialize};

/// What is known of a space, as far as the decision needs it. Times with `_at_ms` or `_until_ms` are of the monotonic
/// clock, `due_ms` and `last_synced_ms` are of the wall clock: schedules are what people read on it, and a process that
/// begins knows no other of what was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Whether sync is switched on.
    pub is_on: bool,
    /// Whether it is for this space.
    pub is_enabled: bool,
    /// Which way its changes go.
    pub direction: Direction,
    /// When its schedule is due; `None` for a space without one, whose session is to stand all the time.
    pub due_ms: Option<i64>,
    /// What runs now.
    pub job: Job,
    /// Whether a run was started and did not get in step.
    pub is_owed: bool,
    /// Whether changes are not known to be on the relay.
    pub has_pending: bool,
    /// Until when the wait after a failure lasts.
    pub back_off_until_ms: Option<u64>,
    /// Until when the relay wants to be left alone.
    pub hold: Option<Hold>,
    /// What only somebody else can do.
    pub need: Option<Need>,
    /// Whether a run would delete more than may be deleted unasked.
    pub needs_confirmation: bool,
    /// When "sync now" was last followed.
    pub manual_at_ms: Option<u64>,
    /// When the space was last in step, as far as this process knows.
    pub in_step_at_ms: Option<u64>,
    /// When it was last in step as it is stored, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_synced_ms: Option<i64>,
    /// The pushes that came.
    #[serde(skip_serializing_if = "PushIds::is_empty")]
    pub pushes: PushIds,
}

impl Default for State {
    /// A space without a schedule, while sync is off and nothing has happened.
    fn default() -> Self {
        Self {
            is_on: false,
            is_enabled: true,
            direction: Direction::Both,
            due_ms: None,
            job: Job::Resting,
            is_owed: false,
            has_pending: false,
            back_off_until_ms: None,
            hold: None,
            need: None,
            needs_confirmation: false,
            manual_at_ms: None,
            in_step_at_ms: None,
            last_synced_ms: None,
            pushes: PushIds::default(),
        }
    }
}

/// Which way changes go.
///
/// ```
/// use afield_core::policy::Direction;
///
/// assert_eq!(Direction::default(), Direction::Both);
/// let prices = Direction::PullOnly; // what is changed here stays here
/// assert!(prices.receives() && !prices.sends());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// From here to the relay.
    PushOnly,
    /// From the relay to here.
    PullOnly,
    /// Neither.
    LocalOnly,
}

impl Direction {
    /// Whether changes go from here to the relay.
    ///
    /// ```
    /// use afield_core::policy::Direction;
    ///
    /// assert!(Direction::Both.sends() && Direction::PushOnly.sends());
    /// assert!(!Direction::PullOnly.sends() && !Direction::LocalOnly.sends());
    /// ```
    pub fn sends(self) -> bool {
        matches!(self, Self::Both | Self::PushOnly)
    }

    /// Whether changes come from the relay to here.
    ///
    /// ```
    /// use afield_core::policy::Direction;
    ///
    /// assert!(Direction::Both.receives() && Direction::PullOnly.receives());
    /// assert!(!Direction::PushOnly.receives() && !Direction::LocalOnly.receives());
    /// ```
    pub fn receives(self) -> bool {
        matches!(self, Self::Both | Self::PullOnly)
    }
}

/// What runs for a space. There is never more than one job of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Nothing.
    #[default]
    Resting,
    /// It is on its way to be in step: connecting, or exchanging what is missing.
    Running,
    /// Its session stands and it was in step: what comes goes at once.
    Live,
}

/// How long the relay wants to be left alone, and why; all moments are of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It said so.
    RetryAfter {
        /// Until when.
        until_ms: u64,
    },
    /// It limits how much one device, user or address may do in some time, and that is spent.
    Budget {
        /// Until when.
        until_ms: u64,
    },
    /// It does not serve the space, and is asked for it again then.
    Refused {
        /// Until when.
        until_ms: u64,
    },
}

impl Hold {
    /// Until when.
    ///
    /// ```
    /// use afield_core::policy::Hold;
    ///
    /// assert_eq!(Hold::Budget { until_ms: 5_000 }.until_ms(), 5_000);
    /// ```
    pub const fn until_ms(self) -> u64 {
        let (Self::RetryAfter { until_ms } | Self::Budget { until_ms } | Self::Refused { until_ms }) = self;
        until_ms
    }
}

/// What somebody has to do before trying again helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Sign in, or give a fresher token.
    SignIn,
    /// Install a newer version on one of the two sides.
    Upgrade,
    /// Look at the error: it does not go by itself.
    Help,
}
