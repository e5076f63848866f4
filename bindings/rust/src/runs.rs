//! Asking for a sync, how each space is synced, and what came of it.

mod explain;
mod query;

pub use explain::Explanation;
pub use query::{RunOutcome, RunQuery};

use crate::driver::{Driver, DriverError};
use crate::read_only::ReadOnlyReplica;
use crate::replica::{Replica, Shared};
use crate::schedule::{Schedule, ScheduleError};
use crate::space::Space;
use crate::status::RunFigures;
use afield_core::SpaceId;
use afield_core::policy::{Decision, Trigger};
use afield_core::wire::Class;
use afield_store::{RunRecord, StoreError};
use serde::Serialize;

/// How many of the last decisions an explanation is made from: some say nothing that a run beside them does not.
const EXPLAINED_RUNS: usize = 20;

/// A sync could not be asked for.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{EditError, RequestError, Trigger};
///
/// replica.transaction(|_| {
///     // Sync may be waiting for this very transaction.
///     assert!(matches!(replica.request(Trigger::Manual), Err(RequestError::Nested)));
///     Ok::<_, EditError>(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It was asked for inside an edit or a transaction, for which sync may be waiting.
    #[error("a sync cannot be asked for inside an edit or a transaction; ask for it after that")]
    Nested,
    /// The store could not be read or written.
    #[error("the store could not be read or written")]
    Store(#[source] DriverError),
}

impl RequestError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::{Class, Trigger};
    ///
    /// let (error, _) = replica.transaction(|_| Ok(replica.request(Trigger::Manual).unwrap_err()))?;
    /// assert_eq!(error.class(), Class::Permanent, "it is never answered there: ask after the transaction");
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Nested => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::Trigger;
    ///
    /// let (error, _) = replica.transaction(|_| Ok(replica.request(Trigger::Manual).unwrap_err()))?;
    /// assert_eq!(error.code(), "request.nested");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Nested => "request.nested",
            Self::Store(error) => error.code(),
        }
    }
}

/// A decision about syncing a space, with how the run went where it was one.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// home.request(afield::Trigger::Manual)?; // sync is off
/// let run = &home.runs(1)?[0];
/// assert_eq!((run.trigger.as_str(), run.decision.as_str(), run.reason.as_str()), ("manual", "block", "sync_off"));
/// assert_eq!((run.outcome.as_deref(), run.times), (None, 1)); // it was decided once, and no run came of it
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// The space; `None` for a device without one.
    #[serde(serialize_with = "as_text")]
    pub space: Option<SpaceId>,
    /// What led to the decision: the name of a [`Trigger`].
    pub trigger: String,
    /// `start`, `skip` or `block`.
    pub decision: String,
    /// Why: the name of a [`Reason`](crate::Reason).
    pub reason: String,
    /// Until when it holds, in milliseconds since the Unix epoch, where that is known.
    pub until_ms: Option<i64>,
    /// When, in milliseconds since the Unix epoch; of several in a row the last, and of a run its beginning.
    pub at_ms: i64,
    /// How often it was decided in a row.
    pub times: u64,
    /// How it went, where it was a run: the name of a [`RunOutcome`].
    pub outcome: Option<String>,
    /// What the run moved.
    pub figures: RunFigures,
    /// What went wrong, in words for a person.
    pub error: Option<String>,
}

impl From<RunRecord> for Run {
    fn from(row: RunRecord) -> Self {
        let figures = RunFigures {
            duration_ms: row.duration_ms,
            changes_sent: row.changes_sent,
            changes_received: row.changes_received,
            bytes_sent: row.bytes_sent,
            bytes_received: row.bytes_received,
        };
        let RunRecord { space, trigger, decision, reason, until_ms, at_ms, times, outcome, error, .. } = row;
        Self { space, trigger, decision, reason, until_ms, at_ms, times, outcome, figures, error }
    }
}

impl Replica {
    /// Says that something has happened after which this device may be out of step, and answers what that leads to: the
    /// policy looks at the state of each space and decides, and what it starts goes on by itself. Of several decisions the
    /// one that starts something is answered. It waits for what sync is storing or merging at that moment.
    ///
    /// Local edits, schedules, retries and start-up need no caller. What only an application knows does: a push
    /// notification, a network that is back, a background task.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::{Reason, Trigger};
    ///
    /// let decision = replica.request(Trigger::push("notification 17"))?;
    /// assert_eq!(decision.reason(), Reason::SyncOff); // nobody has called `connect`
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, or the store could not be read.
    pub fn request(&self, trigger: Trigger) -> Result<Decision, RequestError> {
        request(&self.shared, None, &trigger)
    }

    /// The newest decisions about syncing, and how runs went, the newest first: at most `limit`. The store keeps the last
    /// 2,000 of 90 days; [`Replica::find_runs`] asks for some of them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// replica.request(afield::Trigger::NetworkBack)?;
    /// assert_eq!(replica.runs(10)?[0].reason, "sync_off");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, or the store could not be read.
    pub fn runs(&self, limit: usize) -> Result<Vec<Run>, RequestError> {
        runs(&self.shared, None, limit)
    }

    /// Says of each space what was decided last and why, and what comes next, in words for a person.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// assert!(replica.explain()?[0].to_string().contains("sync is off"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, or the store could not be read.
    pub fn explain(&self) -> Result<Vec<Explanation>, RequestError> {
        let status = self.status().map_err(store_error)?;
        status
            .spaces
            .iter()
            .map(|space| {
                let runs = runs(&self.shared, Some(space.space), EXPLAINED_RUNS)?;
                let directions = self.shared.reader.directions(space.space).map_err(store_error)?;
                Ok(Explanation::of(&status, space, &directions, runs, self.shared.now()))
            })
            .collect()
    }

    /// Says after how many failures in a row [`SyncEvent::FailingRepeatedly`](crate::SyncEvent::FailingRepeatedly) is told,
    /// and again after each so many: 5 unless this is called, 0 for never. Sessions and attempts count together, and runs that the
    /// relay refused something of, or a guard held back, count for each space.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// use afield::{Relay, SyncEvent};
    ///
    /// replica.tell_after_failures(1); // at the first one: for an app that is of no use offline
    /// let mut events = replica.events();
    /// replica.connect(Relay::new("ws://127.0.0.1:9"))?; // nobody is there
    /// loop {
    ///     if let SyncEvent::FailingRepeatedly { failures, reason, .. } = events.recv().await? {
    ///         println!("{failures} times now: {reason}");
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn tell_after_failures(&self, failures: u32) {
        self.shared.driver.tell_after_failures(failures);
    }
}

impl Space {
    /// Says that something has happened after which this space may be out of step: see [`Replica::request`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::{Reason, Trigger};
    ///
    /// let home = replica.create_space("Home")?;
    /// let decision = home.request(Trigger::NetworkBack)?;
    /// assert_eq!(decision.reason(), Reason::SyncOff); // nobody has called `connect`
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, or the store could not be read.
    pub fn request(&self, trigger: Trigger) -> Result<Decision, RequestError> {
        request(&self.shared, Some(self.id()), &trigger)
    }

    /// The newest decisions about syncing this space, the newest first: see [`Replica::runs`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// let home = replica.create_space("Home")?;
    /// home.request(afield::Trigger::NetworkBack)?;
    /// let last = home.runs(10)?.remove(0);
    /// assert_eq!((last.trigger.as_str(), last.reason.as_str()), ("network_back", "sync_off"));
    /// assert_eq!(last.space, Some(home.id()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, or the store could not be read.
    pub fn runs(&self, limit: usize) -> Result<Vec<Run>, RequestError> {
        runs(&self.shared, Some(self.id()), limit)
    }

    /// When the space is synced while sync is on; `None` for all the time.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// use afield::Schedule;
    ///
    /// assert!(home.schedule()?.is_none(), "all the time, as at first");
    /// home.set_schedule(Some("every 2 h".parse()?))?;
    /// assert_eq!(home.schedule()?.map(|schedule| schedule.to_string()).as_deref(), Some("every 2 h"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn schedule(&self) -> Result<Option<Schedule>, StoreError> {
        let settings = self.shared.reader.sync_settings()?.into_iter().find(|settings| settings.space == self.id());
        Ok(settings.and_then(|settings| settings.schedule).and_then(|stored| Schedule::of_store(&stored).ok()))
    }

    /// Gives the space a schedule: it is synced when that is due, and left once it is in step. Without one, as at first, its
    /// session stands while sync is on, and an edit goes out at once. A run that was missed while nothing ran is made up for
    /// when sync is switched on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::Schedule;
    ///
    /// home.set_schedule(Some(Schedule::cron("30 7 * * MON-FRI", "Europe/Berlin")?))?;
    /// let status = replica.status()?.spaces.remove(0);
    /// assert_eq!(status.schedule.as_deref(), Some("30 7 * * MON-FRI (Europe/Berlin)"));
    /// home.set_schedule(None)?; // in step all the time again
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, the space is not on this device, or the store failed.
    pub fn set_schedule(&self, schedule: Option<Schedule>) -> Result<(), ScheduleError> {
        let Shared { driver, .. } = &*self.shared;
        if Driver::is_inside_an_edit() {
            return Err(ScheduleError::Nested);
        }
        driver.set_schedule(self.id(), schedule.as_ref(), self.shared.now()).map_err(ScheduleError::Store)?;
        self.shared.wake();
        Ok(())
    }

    /// Switches sync of this space on or off, also while sync is on; it is on at first, and stays as it was set. What is edited
    /// while it is off is stored, and sent once it is on again.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// let home = replica.create_space("Home")?;
    /// home.set_sync_enabled(false)?;
    /// assert!(!replica.status()?.spaces[0].enabled);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, the space is not on this device, or the store failed.
    pub fn set_sync_enabled(&self, enabled: bool) -> Result<(), ScheduleError> {
        let Shared { driver, .. } = &*self.shared;
        if Driver::is_inside_an_edit() {
            return Err(ScheduleError::Nested);
        }
        driver.set_sync_enabled(self.id(), enabled, self.shared.now()).map_err(ScheduleError::Store)?;
        self.shared.wake();
        Ok(())
    }
}

impl ReadOnlyReplica {
    /// The newest decisions about syncing that are stored, the newest first: see [`Replica::runs`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
    /// # notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # replica.connect(afield::Relay::new(relay.url()))?;
    /// # runtime.block_on(replica.sync_now())?;
    /// # replica.disconnect();
    /// // Another process has synced one note.
    /// let runs = afield::ReadOnlyReplica::open(&path)?.runs(10)?;
    /// let run = runs.iter().find(|run| run.outcome.is_some()).ok_or("it was a run")?;
    /// assert_eq!((run.outcome.as_deref(), run.figures.changes_sent), (Some("completed"), 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        Ok(self.reader().runs(None, limit)?.into_iter().map(Run::from).collect())
    }

    /// Says of each space what was decided last and why, as far as that is stored: see [`Replica::explain`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let explanation = afield::ReadOnlyReplica::open(&path)?.explain()?.remove(0);
    /// println!("{explanation}");
    /// assert_eq!(explanation.now, "sync is off; 1 change waits to be sent");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn explain(&self) -> Result<Vec<Explanation>, StoreError> {
        let (status, now) = (self.status()?, crate::clock::SystemClock::new().now());
        let explained = status.spaces.iter().map(|space| {
            let runs = self.reader().runs(Some(space.space), EXPLAINED_RUNS)?.into_iter().map(Run::from).collect();
            let directions = self.reader().directions(space.space)?;
            Ok(Explanation::of(&status, space, &directions, runs, now))
        });
        explained.collect()
    }
}

fn request(shared: &Shared, space: Option<SpaceId>, trigger: &Trigger) -> Result<Decision, RequestError> {
    if Driver::is_inside_an_edit() {
        return Err(RequestError::Nested);
    }
    let decision = shared.driver.request(space, trigger, shared.now()).map_err(RequestError::Store)?;
    shared.wake();
    Ok(decision)
}

fn runs(shared: &Shared, space: Option<SpaceId>, limit: usize) -> Result<Vec<Run>, RequestError> {
    if Driver::is_inside_an_edit() {
        return Err(RequestError::Nested);
    }
    let runs = shared.driver.runs(space, limit, shared.now()).map_err(store_error)?;
    Ok(runs.into_iter().map(Run::from).collect())
}

fn store_error(error: StoreError) -> RequestError {
    RequestError::Store(DriverError::Store(error))
}

fn as_text<S: serde::Serializer>(space: &Option<SpaceId>, serializer: S) -> Result<S::Ok, S::Error> {
    match space {
        Some(space) => serializer.collect_str(space),
        None => serializer.serialize_none(),
    }
}
