//! What a trigger leads to, and why.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a trigger leads to.
///
/// ```
/// use afield_core::Now;
/// use afield_core::policy::{Decision, Reason, State, Trigger, evaluate};
///
/// let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
/// match evaluate(&State::default(), &Trigger::Manual, now) {
///     Decision::Start { .. } => panic!("nothing is connected"),
///     Decision::Skip { retry_after_ms, .. } => panic!("not now, perhaps in {retry_after_ms:?} ms"),
///     Decision::Block { reason, .. } => assert_eq!(reason, Reason::SyncOff),
///     _ => panic!("a decision of a later version"),
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decision {
    /// The space is synced now.
    Start {
        /// Why.
        reason: Reason,
    },
    /// It is not, and nothing is wrong.
    Skip {
        /// Why not.
        reason: Reason,
        /// After how many milliseconds the same trigger would start it, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// It cannot be until something else has happened.
    Block {
        /// What stands in the way.
        reason: Reason,
        /// When that ends by itself, in milliseconds since the Unix epoch, where it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blocked_until_ms: Option<i64>,
    },
}

impl Decision {
    /// The space is synced now.
    ///
    /// ```
    /// use afield_core::policy::{Decision, Reason};
    ///
    /// assert!(Decision::start(Reason::Wanted).is_start());
    /// ```
    pub fn start(reason: Reason) -> Self {
        Self::Start { reason }
    }

    /// It is not, and nothing is wrong.
    ///
    /// ```
    /// use afield_core::policy::{Decision, Reason};
    ///
    /// let decision = Decision::skip(Reason::CoolDown, Some(4_000));
    /// assert_eq!(decision.until_ms(1_000), Some(5_000));
    /// ```
    pub fn skip(reason: Reason, retry_after_ms: Option<u64>) -> Self {
        Self::Skip { reason, retry_after_ms }
    }

    /// It cannot be until something else has happened.
    ///
    /// ```
    /// use afield_core::policy::{Decision, Reason};
    ///
    /// let decision = Decision::block(Reason::SyncOff, None); // until somebody switches it on
    /// assert!(!decision.is_start());
    /// ```
    pub fn block(reason: Reason, blocked_until_ms: Option<i64>) -> Self {
        Self::Block { reason, blocked_until_ms }
    }

    /// Why.
    ///
    /// ```
    /// use afield_core::policy::{Decision, Reason};
    ///
    /// let decision = Decision::block(Reason::SignInNeeded, None);
    /// assert_eq!(decision.reason(), Reason::SignInNeeded);
    /// ```
    pub fn reason(&self) -> Reason {
        match self {
            Self::Start { reason } | Self::Skip { reason, .. } | Self::Block { reason, .. } => *reason,
        }
    }

    /// Whether the space is synced now.
    ///
    /// ```
    /// use afield_core::policy::{Decision, Reason};
    ///
    /// assert!(Decision::start(Reason::Asked).is_start());
    /// assert!(!Decision::skip(Reason::Running, None).is_start());
    /// ```
    pub fn is_start(&self) -> bool {
        matches!(self, Self::Start { .. })
    }

    /// `start`, `skip` or `block`.
    ///
    /// ```
    /// use afield_core::policy::{Decision, Reason};
    ///
    /// assert_eq!(Decision::start(Reason::Due).name(), "start");
    /// assert_eq!(Decision::skip(Reason::NotDue, None).name(), "skip");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Skip { .. } => "skip",
            Self::Block { .. } => "block",
        }
    }

    /// When the same trigger would start it, in milliseconds since the Unix epoch, where that is known.
    ///
    /// ```
    /// use afield_core::policy::{Decision, Reason};
    ///
    /// let now_ms = 1_767_225_600_000;
    /// assert_eq!(Decision::skip(Reason::NotDue, Some(60_000)).until_ms(now_ms), Some(now_ms + 60_000));
    /// assert_eq!(Decision::block(Reason::BackOff, Some(now_ms + 500)).until_ms(now_ms), Some(now_ms + 500));
    /// assert_eq!(Decision::block(Reason::SyncOff, None).until_ms(now_ms), None); // nobody knows
    /// ```
    pub fn until_ms(&self, now_wall_ms: i64) -> Option<i64> {
        match self {
            Self::Start { .. } => None,
            Self::Skip { retry_after_ms, .. } => {
                retry_after_ms.map(|after| now_wall_ms.saturating_add(i64::try_from(after).unwrap_or(i64::MAX)))
            }
            Self::Block { blocked_until_ms, .. } => *blocked_until_ms,
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $words:literal;)*) => {
        /// Why a decision was made.
        ///
        /// ```
        /// use afield_core::policy::Reason;
        ///
        /// let reason = Reason::SyncOff;
        /// assert_eq!(reason.name(), "sync_off"); // for programs
        /// assert_eq!(reason.to_string(), "sync is off: connect to a relay"); // for people
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them.
            ///
            /// ```
            /// use afield_core::policy::Reason;
            ///
            /// assert!(Reason::ALL.iter().all(|reason| reason.name().parse() == Ok(*reason)));
            /// ```
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name, which stays from version to version.
            ///
            /// ```
            /// use afield_core::policy::Reason;
            ///
            /// assert_eq!(Reason::CoolDown.name(), "cool_down");
            /// assert_eq!("cool_down".parse(), Ok(Reason::CoolDown));
            /// ```
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $words,)* })
            }
        }
    };
}

reasons! {
    /// A space without a schedule is to be in step all the time.
    Wanted = "wanted", "it is to be in step all the time";
    /// Somebody asked.
    Asked = "asked", "somebody asked for it";
    /// The schedule is due.
    Due = "due", "its schedule is due";
    /// The schedule was due while sync was off.
    MissedSchedule = "missed_schedule", "its schedule was due while nothing ran";
    /// The run before did not get in step.
    Owed = "owed", "the run before did not get in step";
    /// It was not in step for long.
    Stale = "stale", "it was not in step for long, or has changes to send";
    /// A job of the space runs already.
    Running = "running", "it is being synced already";
    /// The session stands.
    Live = "live", "the connection stands, and what there is goes at once";
    /// "Sync now" was followed a moment ago.
    CoolDown = "cool_down", "it was synced a moment ago";
    /// This push was handled before.
    DuplicatePush = "duplicate_push", "this notification came before";
    /// The schedule is not due.
    NotDue = "not_due", "its schedule is not due yet";
    /// What was edited waits for the schedule.
    WaitsForSchedule = "waits_for_schedule", "what was edited goes with the next run of its schedule";
    /// Nothing is to be done.
    NothingToDo = "nothing_to_do", "there is nothing to do";
    /// Sync is off.
    SyncOff = "sync_off", "sync is off: connect to a relay";
    /// The space is switched off.
    SpaceDisabled = "space_disabled", "sync of this space is switched off: switch it on";
    /// The space stays on this device.
    LocalOnly = "local_only", "the space stays on this device";
    /// A token is needed, or a fresher one.
    SignInNeeded = "sign_in_needed", "the relay wants a token, or another one: sign in";
    /// One side is too old.
    UpgradeNeeded = "upgrade_needed", "this version and the relay's do not fit: a newer one is needed";
    /// Trying again does not help.
    Stopped = "stopped", "trying again does not help: see the last error";
    /// A person has to confirm.
    ConfirmationNeeded = "confirmation_needed", "it would delete much: look at it and confirm";
    /// The relay asked to be left alone.
    RelayAsked = "relay_asked", "the relay asks to be left alone for a while";
    /// The relay limits how much one device, user or address may do in some time, and that is spent.
    BudgetSpent = "budget_spent", "what the relay lets this device do in a while is spent";
    /// The relay does not serve the space; it is asked for again by itself.
    SpaceRefused = "space_refused", "the relay does not serve this space";
    /// The wait after a failure.
    BackOff = "back_off", "the attempt before failed, and the next comes by itself";
}

impl std::str::FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().find(|reason| reason.name() == text).copied().ok_or(UnknownReason)
    }
}

/// A name that no reason has in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no reason of this version has that name")]
pub struct UnknownReason;
