//! What may lead to a sync.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How long the id of a push may be, in bytes: what the services that send them use is shorter; the rest is cut off.
pub const PUSH_ID_BYTES_MAX: usize = 128;
/// How many ids of pushes are remembered, also in a store: those that come twice do so within seconds, or with the next start of the app.
pub const PUSH_IDS_MAX: usize = 64;

/// Why somebody thinks that a space may be out of step.
///
/// ```
/// use afield_core::policy::Trigger;
///
/// for (trigger, name) in [(Trigger::NetworkBack, "network_back"), (Trigger::push("notification 17"), "push")] {
///     assert_eq!(trigger.name(), name);
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// Something was edited here.
    LocalEdit,
    /// The application's own timer, such as a background task of a phone.
    Timer,
    /// The moment that the space's schedule names.
    Schedule,
    /// A person wants it now.
    Manual,
    /// The network is there again.
    NetworkBack,
    /// A push notification or a webhook says that there is something new.
    Push {
        /// Its id: one that was followed before is dropped, also after a restart.
        id: String,
    },
    /// Sync was switched on.
    StartUp,
    /// An attempt failed, and the wait after it is over.
    Retry,
    /// Work that is done now and then, such as once a day.
    Maintenance,
}

impl Trigger {
    /// A push notification or webhook; ids are cut off after [`PUSH_ID_BYTES_MAX`] bytes.
    ///
    /// ```
    /// use afield_core::policy::{PUSH_ID_BYTES_MAX, Trigger};
    ///
    /// assert_eq!(Trigger::push("notification 17"), Trigger::Push { id: "notification 17".into() });
    /// assert_eq!(Trigger::push("x".repeat(1_000)), Trigger::push("x".repeat(PUSH_ID_BYTES_MAX)));
    /// ```
    pub fn push(id: impl Into<String>) -> Self {
        let mut id = id.into();
        let boundary = (0..=PUSH_ID_BYTES_MAX.min(id.len())).rev().find(|at| id.is_char_boundary(*at));
        id.truncate(boundary.unwrap_or(0));
        Self::Push { id }
    }

    /// One of each, for tests that hold a text against all of them.
    #[cfg(any(test, feature = "test-support"))]
    pub fn one_of_each() -> Vec<Self> {
        std::iter::successors(Some(Self::LocalEdit), Self::following).collect()
    }

    /// The one declared after it: a new one that is not among them does not compile.
    #[cfg(any(test, feature = "test-support"))]
    fn following(&self) -> Option<Self> {
        match self {
            Self::LocalEdit => Some(Self::Timer),
            Self::Timer => Some(Self::Schedule),
            Self::Schedule => Some(Self::Manual),
            Self::Manual => Some(Self::NetworkBack),
            Self::NetworkBack => Some(Self::push("a webhook's")),
            Self::Push { .. } => Some(Self::StartUp),
            Self::StartUp => Some(Self::Retry),
            Self::Retry => Some(Self::Maintenance),
            Self::Maintenance => None,
        }
    }

    /// Its name, which stays from version to version; without a push's id.
    ///
    /// ```
    /// use afield_core::policy::Trigger;
    ///
    /// assert_eq!(Trigger::NetworkBack.name(), "network_back");
    /// assert_eq!(Trigger::push("notification 17").name(), "push");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::LocalEdit => "local_edit",
            Self::Timer => "timer",
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::NetworkBack => "network_back",
            Self::Push { .. } => "push",
            Self::StartUp => "start_up",
            Self::Retry => "retry",
            Self::Maintenance => "maintenance",
        }
    }
}

/// The ids of the last pushes, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushIds(VecDeque<String>);

impl PushIds {
    /// Whether a push of this id came before, as far as is remembered.
    ///
    /// ```
    /// use afield_core::policy::PushIds;
    ///
    /// let mut ids = PushIds::default();
    /// ids.note("notification 17");
    /// assert!(ids.has("notification 17") && !ids.has("notification 18"));
    /// ```
    pub fn has(&self, id: &str) -> bool {
        self.0.iter().any(|known| known == id)
    }

    /// Remembers one more, and forgets the oldest beyond [`PUSH_IDS_MAX`].
    ///
    /// ```
    /// use afield_core::policy::{PUSH_IDS_MAX, PushIds};
    ///
    /// let mut ids = PushIds::default();
    /// (0..=PUSH_IDS_MAX).for_each(|number| ids.note(&number.to_string()));
    /// assert!(!ids.has("0") && ids.has("1"));
    /// ```
    pub fn note(&mut self, id: &str) {
        if self.has(id) {
            return;
        }
        if self.0.len() >= PUSH_IDS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(id.to_owned());
    }

    /// Those that are remembered, the oldest first.
    ///
    /// ```
    /// use afield_core::policy::PushIds;
    ///
    /// let mut ids = PushIds::default();
    /// ids.note("notification 17");
    /// ids.note("notification 18");
    /// assert!(ids.iter().eq(["notification 17", "notification 18"]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether none is remembered.
    ///
    /// ```
    /// use afield_core::policy::PushIds;
    ///
    /// let mut ids = PushIds::default();
    /// assert!(ids.is_empty());
    /// ids.note("notification 17");
    /// assert!(!ids.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
