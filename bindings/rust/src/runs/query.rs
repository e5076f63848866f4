//! Asking the history of syncing by trigger, outcome and time.

use super::{RequestError, Run, store_error};
use crate::driver::Driver;
use crate::read_only::ReadOnlyReplica;
use crate::replica::{Replica, Shared};
use crate::space::Space;
use afield_core::SpaceId;
use afield_core::policy::Trigger;
use afield_store::{RunsAsked, StoreError};

/// How a run went.
///
/// ```
/// use afield::RunOutcome;
///
/// assert_eq!(RunOutcome::Completed.name(), "completed"); // what `Run::outcome` has
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunOutcome {
    /// Both sides have everything.
    Completed,
    /// The session, or the attempt at one, failed. It is tried again by itself.
    Failed,
    /// The relay does not serve the space or take some of its changes, or a guard held deletions back.
    Refused,
    /// Somebody switched sync off.
    Stopped,
}

impl RunOutcome {
    /// Its name, which stays from version to version.
    ///
    /// ```
    /// use afield::RunOutcome;
    ///
    /// assert_eq!(RunOutcome::Refused.name(), "refused");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
        }
    }
}

/// Which decisions and runs of the history are asked for: those that meet all that is said, and all where nothing is.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{RunOutcome, RunQuery, Trigger};
///
/// let day_ms = 86_400_000;
/// let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
/// let query = RunQuery::new().trigger(Trigger::Schedule).outcome(RunOutcome::Failed).since_ms(now_ms - day_ms);
/// assert!(home.find_runs(&query)?.is_empty(), "every run of the schedule went well today");
///
/// home.request(Trigger::Manual)?; // sync is off
/// let query = RunQuery::new().trigger(Trigger::Manual).trigger(Trigger::NetworkBack).until_ms(now_ms + day_ms).limit(10);
/// assert_eq!(replica.find_runs(&query)?[0].reason, "sync_off");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunQuery {
    asked: RunsAsked,
}

impl RunQuery {
    /// All of them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// replica.request(afield::Trigger::Manual)?;
    /// assert_eq!(replica.find_runs(&afield::RunQuery::new())?, replica.runs(usize::MAX)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Those that this led to; called again, those of either. The id of a push counts for nothing here. See [`RunQuery`] for an example.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// use afield::{RunQuery, Trigger};
    ///
    /// replica.request(Trigger::push("notification 17"))?;
    /// assert_eq!(replica.find_runs(&RunQuery::new().trigger(Trigger::push("any")))?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.asked.triggers.push(trigger.name().to_owned());
        self
    }

    /// Runs that went so, and no decisions that led to none; called again, those of either.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// use afield::{RunOutcome, RunQuery, Trigger};
    ///
    /// replica.request(Trigger::Manual)?; // sync is off: no run
    /// let failed = RunQuery::new().outcome(RunOutcome::Failed).outcome(RunOutcome::Refused);
    /// assert!(replica.find_runs(&failed)?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn outcome(mut self, outcome: RunOutcome) -> Self {
        self.asked.outcomes.push(outcome.name().to_owned());
        self
    }

    /// Those from this moment on, in milliseconds since the Unix epoch; of several equal decisions in a row the last counts, and of a run
    /// its beginning.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// replica.request(afield::Trigger::Manual)?;
    /// let at_ms = replica.runs(1)?[0].at_ms;
    /// assert_eq!(replica.find_runs(&afield::RunQuery::new().since_ms(at_ms))?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn since_ms(mut self, since_ms: i64) -> Self {
        self.asked.since_ms = since_ms;
        self
    }

    /// Those before this moment, in milliseconds since the Unix epoch.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// replica.request(afield::Trigger::Manual)?;
    /// let at_ms = replica.runs(1)?[0].at_ms;
    /// assert!(replica.find_runs(&afield::RunQuery::new().until_ms(at_ms))?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn until_ms(mut self, until_ms: i64) -> Self {
        self.asked.until_ms = until_ms;
        self
    }

    /// At most so many, of the newest.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// replica.request(afield::Trigger::Manual)?;
    /// replica.request(afield::Trigger::NetworkBack)?;
    /// assert_eq!(replica.find_runs(&afield::RunQuery::new().limit(1))?[0].trigger, "network_back");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.asked.limit = limit;
        self
    }

    fn of(&self, space: Option<SpaceId>) -> RunsAsked {
        RunsAsked { space, ..self.asked.clone() }
    }
}

impl Replica {
    /// Those decisions about syncing, and runs, that are asked for, the newest first. See [`RunQuery`] for an example.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// use afield::{RunOutcome, RunQuery};
    ///
    /// let failed = replica.find_runs(&RunQuery::new().outcome(RunOutcome::Failed))?;
    /// assert!(failed.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, or the store could not be read.
    pub fn find_runs(&self, query: &RunQuery) -> Result<Vec<Run>, RequestError> {
        find(&self.shared, &query.of(None))
    }
}

impl Space {
    /// Those decisions about syncing this space, and runs of it, that are asked for, the newest first. See [`RunQuery`] for an example.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let other = replica.create_space("Other")?;
    /// use afield::{RunQuery, Trigger};
    ///
    /// home.request(Trigger::Manual)?;
    /// let asked = RunQuery::new().trigger(Trigger::Manual);
    /// assert_eq!((home.find_runs(&asked)?.len(), other.find_runs(&asked)?.len()), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, or the store could not be read.
    pub fn find_runs(&self, query: &RunQuery) -> Result<Vec<Run>, RequestError> {
        find(&self.shared, &query.of(Some(self.id())))
    }
}

impl ReadOnlyReplica {
    /// Those decisions about syncing, and runs, that are asked for and are stored, the newest first. See [`RunQuery`] for an example.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// use afield::{ReadOnlyReplica, RunOutcome, RunQuery};
    ///
    /// let query = RunQuery::new().outcome(RunOutcome::Failed);
    /// assert!(ReadOnlyReplica::open(&path)?.find_runs(&query)?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn find_runs(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
        Ok(self.reader().find_runs(&query.of(None))?.into_iter().map(Run::from).collect())
    }
}

fn find(shared: &Shared, asked: &RunsAsked) -> Result<Vec<Run>, RequestError> {
    if Driver::is_inside_an_edit() {
        return Err(RequestError::Nested);
    }
    let runs = shared.driver.find_runs(asked, shared.now()).map_err(store_error)?;
    Ok(runs.into_iter().map(Run::from).collect())
}
