//! When a space is synced that is not to be in step all the time.

use afield_core::wire::Class;
use afield_store::StoredSchedule;
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The shortest interval of a schedule, in milliseconds: a minute, as that of a cron expression. Who needs less leaves the
/// schedule out, and the space is in step all the time.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use afield::{SCHEDULE_INTERVAL_MIN_MS, Schedule};
/// use std::time::Duration;
///
/// let shortest = Duration::from_millis(SCHEDULE_INTERVAL_MIN_MS);
/// assert!(Schedule::every(shortest).is_ok());
/// assert!(Schedule::every(shortest - Duration::from_millis(1)).is_err());
/// # Ok(())
/// # }
/// ```
pub const SCHEDULE_INTERVAL_MIN_MS: u64 = 60_000;

/// When a space is synced: a cron expression with its time zone, or an interval.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use afield::{Replica, Schedule, ScheduleError};
/// use std::time::Duration;
///
/// let replica = Replica::open_in_memory()?;
/// let home = replica.create_space("Home")?;
/// home.set_schedule(Some(Schedule::cron("30 7 * * MON-FRI", "Europe/Berlin")?))?;
/// assert_eq!(home.schedule()?.unwrap().to_string(), "30 7 * * MON-FRI (Europe/Berlin)");
/// home.set_schedule(Some(Schedule::every(Duration::from_secs(600))?))?;
/// home.set_schedule(None)?; // in step all the time, as at first
///
/// assert!(matches!(Schedule::cron("0 0 30 2 *", "UTC"), Err(ScheduleError::NeverFires { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Schedule(Rule);

#[derive(Debug, Clone)]
enum Rule {
    Cron { cron: Box<Cron>, zone: TimeZone, stored: StoredSchedule },
    Every { interval_ms: u64 },
}

/// A schedule could not be made or set.
///
/// ```
/// use afield::{Schedule, ScheduleError};
///
/// assert!(matches!(Schedule::cron("every morning", "UTC"), Err(ScheduleError::Expression { .. })));
/// assert!(matches!(Schedule::cron("30 7 * * *", "Berlin"), Err(ScheduleError::Zone { zone, .. }) if zone == "Berlin"));
/// assert!(matches!("now and then".parse::<Schedule>(), Err(ScheduleError::Text)));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The expression is none of cron's.
    #[error(
        "`{expression}` is not a cron expression of five fields: minute, hour, day of the month, month, day of the week"
    )]
    Expression {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        #[source]
        source: CronError,
    },
    /// The time zone is not known.
    #[error("`{zone}` is not a time zone; name one as in `Europe/Berlin`, or `UTC`")]
    Zone {
        /// Its name.
        zone: String,
        /// What the database of time zones says.
        #[source]
        source: jiff::Error,
    },
    /// No day and hour are as the expression wants them.
    #[error("`{expression}` never fires: no date is like that; change its day or month")]
    NeverFires {
        /// The expression.
        expression: String,
    },
    /// The text is none of a schedule.
    #[error("a schedule is `every 10 min`, `every 2 h`, `every 7 d`, or `30 7 * * MON-FRI (Europe/Berlin)`")]
    Text,
    /// The interval is shorter than a schedule may have it.
    #[error("a schedule runs once a minute at the most; leave it out to be in step all the time")]
    TooShort,
    /// It was to be set inside an edit or a transaction, for which sync may be waiting.
    #[error("how a space is synced cannot be changed inside an edit or a transaction; change it after that")]
    Nested,
    /// No such space is here, or the store could not be read or written.
    #[error("the schedule could not be stored")]
    Store(#[source] afield_store::SpaceError),
}

impl ScheduleError {
    /// What would help.
    ///
    /// ```
    /// use afield::{Class, Schedule};
    ///
    /// let error = Schedule::cron("0 0 30 2 *", "UTC").unwrap_err();
    /// assert_eq!(error.class(), Class::Permanent, "there is no 30 February: somebody has to write it otherwise");
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            _ => Class::Permanent,
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// use afield::Schedule;
    ///
    /// let code = |typed: &str| typed.parse::<Schedule>().err().map(|error| error.code());
    /// assert_eq!(code("every 5 s"), Some("schedule.too_short"));
    /// assert_eq!(code("30 7 * * * (Europe/Berlim)"), Some("schedule.zone"));
    /// assert_eq!(code("every 10 min"), None);
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expression { .. } => "schedule.expression",
            Self::Zone { .. } => "schedule.zone",
            Self::NeverFires { .. } => "schedule.never_fires",
            Self::Text => "schedule.text",
            Self::TooShort => "schedule.too_short",
            Self::Nested => "schedule.nested",
            Self::Store(error) => error.code(),
        }
    }
}

impl Schedule {
    /// At the moments that a cron expression of five fields names, on the clocks of a time zone.
    ///
    /// Where clocks are set forward, what falls into the hour that is left out fires after it; where they are set back,
    /// a fixed hour fires once.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield::Schedule;
    ///
    /// let early = Schedule::cron("30 7 * * MON-FRI", "Europe/Berlin")?;
    /// assert_eq!(early.to_string(), "30 7 * * MON-FRI (Europe/Berlin)");
    /// assert!(Schedule::cron("30 7 * *", "Europe/Berlin").is_err(), "a field is missing");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The expression is not one or never fires, or the time zone is not known.
    pub fn cron(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser
            .parse(expression)
            .map_err(|source| ScheduleError::Expression { expression: expression.to_owned(), source })?;
        let time_zone = TimeZone::get(zone).map_err(|source| ScheduleError::Zone { zone: zone.to_owned(), source })?;
        let stored = StoredSchedule::Cron { expression: expression.to_owned(), zone: zone.to_owned() };
        let schedule = Self(Rule::Cron { cron: Box::new(cron), zone: time_zone, stored });
        // Without a year the calendar repeats itself, so that any moment shows whether one follows.
        match schedule.next_after(0) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::NeverFires { expression: expression.to_owned() }),
        }
    }

    /// Again and again, after so long.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield::Schedule;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Schedule::every(Duration::from_secs(600))?.to_string(), "every 10 min");
    /// assert!(Schedule::every(Duration::from_secs(30)).is_err(), "once a minute at the most");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is shorter than [`SCHEDULE_INTERVAL_MIN_MS`].
    pub fn every(interval: Duration) -> Result<Self, ScheduleError> {
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        if interval_ms < SCHEDULE_INTERVAL_MIN_MS {
            return Err(ScheduleError::TooShort);
        }
        Ok(Self(Rule::Every { interval_ms }))
    }

    /// The first moment after another, both in milliseconds since the Unix epoch; `None` beyond what calendars hold.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield::Schedule;
    ///
    /// let hour_ms = 60 * 60 * 1_000;
    /// let nightly = Schedule::cron("0 3 * * *", "UTC")?;
    /// assert_eq!(nightly.next_after(0), Some(3 * hour_ms));
    /// assert_eq!(nightly.next_after(3 * hour_ms), Some(27 * hour_ms), "the next night");
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_after(&self, wall_ms: i64) -> Option<i64> {
        match &self.0 {
            Rule::Every { interval_ms } => wall_ms.checked_add(i64::try_from(*interval_ms).ok()?),
            Rule::Cron { cron, zone, .. } => {
                let start = Timestamp::from_millisecond(wall_ms).ok()?.to_zoned(zone.clone());
                let next: Zoned = cron.find_next_occurrence(&start, false).ok()?;
                Some(next.timestamp().as_millisecond())
            }
        }
    }

    pub(crate) fn stored(&self) -> StoredSchedule {
        match &self.0 {
            Rule::Cron { stored, .. } => stored.clone(),
            Rule::Every { interval_ms } => StoredSchedule::Every { interval_ms: *interval_ms },
        }
    }

    pub(crate) fn of_store(stored: &StoredSchedule) -> Result<Self, ScheduleError> {
        match stored {
            StoredSchedule::Cron { expression, zone } => Self::cron(expression, zone),
            StoredSchedule::Every { interval_ms } => Self::every(Duration::from_millis(*interval_ms)),
        }
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.stored() == other.stored()
    }
}

/// Reads what is shown: so a schedule may be typed by a person, and be a field of a model.
///
/// ```
/// use afield::{Schedule, model};
///
/// #[model]
/// struct Chore {
///     name: String,
///     #[model(with = "afield::typed::as_string", required)]
///     due: Schedule,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
/// let chores = home.collection::<Chore>("chores")?;
/// let id = chores.insert(&Chore { name: "water".into(), due: "0 8 * * SAT (Europe/Berlin)".parse()? })?;
/// chores.edit(id, |chore| chore.due = "every 3 d".parse().unwrap_or(chore.due.clone()))?;
/// assert_eq!(chores.read(id)?.due.to_string(), "every 3 d");
/// # Ok(())
/// # }
/// ```
impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if let Some(interval) = text.strip_prefix("every ") {
            return Self::every(interval_of(interval).ok_or(ScheduleError::Text)?);
        }
        let (expression, zone) = text.split_once('(').ok_or(ScheduleError::Text)?;
        Self::cron(expression.trim_end(), zone.strip_suffix(')').ok_or(ScheduleError::Text)?)
    }
}

/// An interval such as `10 min`, with or without the blank; `None` where it is none.
fn interval_of(text: &str) -> Option<Duration> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_at);
    let seconds: u64 = match unit.trim() {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

impl fmt::Display for Schedule {
    /// As a person reads it, such as `30 7 * * MON-FRI (Europe/Berlin)` or `every 10 min`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stored() {
            StoredSchedule::Cron { expression, zone } => write!(f, "{expression} ({zone})"),
            StoredSchedule::Every { interval_ms } => {
                let seconds = interval_ms / 1_000;
                match (seconds % 86_400, seconds % 3_600, seconds % 60) {
                    (0, _, _) => write!(f, "every {} d", seconds / 86_400),
                    (_, 0, _) => write!(f, "every {} h", seconds / 3_600),
                    (_, _, 0) => write!(f, "every {} min", seconds / 60),
                    _ => write!(f, "every {seconds} s"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_cron_expression_fires_on_the_clocks_of_its_zone() {
        let berlin = Schedule::cron("30 7 * * *", "Europe/Berlin").unwrap();
        assert_eq!(berlin.next_after(at("2026-01-10T00:00:00Z")), Some(at("2026-01-10T06:30:00Z")));
        assert_eq!(berlin.next_after(at("2026-07-10T00:00:00Z")), Some(at("2026-07-10T05:30:00Z")), "in summer");
        assert_eq!(berlin.next_after(at("2026-07-10T05:30:00Z")), Some(at("2026-07-11T05:30:00Z")), "and once only");
    }

    #[test]
    fn an_hour_that_clocks_leave_out_or_repeat_fires_once() {
        let early = Schedule::cron("30 2 * * *", "Europe/Berlin").unwrap();
        // On 29 March 2026 clocks go from 2:00 to 3:00, on 25 October from 3:00 back to 2:00.
        let spring = early.next_after(at("2026-03-28T12:00:00Z")).unwrap();
        assert!((at("2026-03-29T01:00:00Z")..at("2026-03-29T02:00:00Z")).contains(&spring), "{spring}");
        assert_eq!(early.next_after(spring), Some(at("2026-03-30T00:30:00Z")));
        let autumn = early.next_after(at("2026-10-24T12:00:00Z")).unwrap();
        assert_eq!(autumn, at("2026-10-25T00:30:00Z"));
        assert_eq!(early.next_after(autumn), Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn what_cannot_be_a_schedule_is_refused_with_the_reason() {
        let code = |result: Result<Schedule, ScheduleError>| result.unwrap_err().code();
        assert_eq!(code(Schedule::cron("0 0 30 2 *", "UTC")), "schedule.never_fires");
        assert_eq!(code(Schedule::cron("61 * * * *", "UTC")), "schedule.expression");
        assert_eq!(code(Schedule::cron("* * * * * *", "UTC")), "schedule.expression");
        assert_eq!(code(Schedule::cron("0 0 * * *", "Europe/Nowhere")), "schedule.zone");
        assert_eq!(code(Schedule::every(Duration::from_secs(59))), "schedule.too_short");
        assert!(Schedule::cron("0 0 29 2 *", "UTC").is_ok(), "the control: every four years is seldom and not never");
    }

    #[test]
    fn a_schedule_reads_back_from_its_text() {
        for text in ["every 90 s", "every 10 min", "every 2 h", "every 7 d", "30 7 * * MON-FRI (Europe/Berlin)"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        assert_eq!("every 120min".parse::<Schedule>().unwrap().to_string(), "every 2 h");
        let too_long = format!("every {} d", u64::MAX);
        for text in
            ["", "daily", "every", "every day", "every 5", "every h", "30 7 * * *", "30 7 * * * (UTC", &too_long]
        {
            assert_eq!(text.parse::<Schedule>().unwrap_err().code(), "schedule.text", "{text}");
        }
        assert_eq!("every 5 s".parse::<Schedule>().unwrap_err().code(), "schedule.too_short");
        assert_eq!("30 7 * * * (Nowhere)".parse::<Schedule>().unwrap_err().code(), "schedule.zone");
    }

    #[test]
    fn a_schedule_reads_back_from_the_store_as_it_was() {
        for schedule in [Schedule::cron("0 3 * * *", "UTC"), Schedule::every(Duration::from_secs(90))] {
            let schedule = schedule.unwrap();
            assert_eq!(Schedule::of_store(&schedule.stored()).unwrap(), schedule);
        }
        assert_eq!(Schedule::every(Duration::from_secs(7_200)).unwrap().to_string(), "every 2 h");
    }
}
