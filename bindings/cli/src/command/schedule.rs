//! `afield schedule`

use crate::arguments::{Global, ScheduleArguments};
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use afield::{ReadOnlySpace, Schedule, Status};
use serde::Serialize;

/// When a space is synced.
#[derive(Debug, Serialize)]
struct Scheduled {
    space: String,
    name: String,
    schedule: Option<String>,
    next_at_ms: Option<i64>,
}

pub(super) fn run(arguments: &ScheduleArguments, global: &Global, output: Output) -> Result<(), Failure> {
    let wanted = arguments.of.as_deref().or(global.space.as_deref());
    let is_change = arguments.off || arguments.cron.is_some() || arguments.every.is_some();
    if is_change {
        let replica = context::open(global)?;
        context::space_called(&replica, wanted)?.set_schedule(schedule(arguments)?)?;
    }
    let replica = context::view(global)?;
    let scheduled = scheduled(&context::view_called(&replica, wanted)?, &replica.status()?);
    let words = || output.sentence(&in_words(&scheduled));
    if is_change { output.done(&scheduled, words) } else { output.result(&scheduled, words) }
}

fn schedule(arguments: &ScheduleArguments) -> Result<Option<Schedule>, Failure> {
    Ok(match (&arguments.cron, arguments.every) {
        (Some(cron), _) => Some(Schedule::cron(cron, &arguments.zone)?),
        (None, Some(every)) => Some(Schedule::every(every)?),
        (None, None) => None,
    })
}

fn scheduled(space: &ReadOnlySpace, status: &Status) -> Scheduled {
    let found = status.spaces.iter().find(|found| found.space == space.id());
    let (schedule, next_at_ms) = found.map_or((None, None), |found| (found.schedule.clone(), found.next_at_ms));
    Scheduled { space: space.id().to_string(), name: space.name().to_owned(), schedule, next_at_ms }
}

fn in_words(scheduled: &Scheduled) -> String {
    let name = text::printable(&scheduled.name);
    let Some(schedule) = &scheduled.schedule else { return format!("{name}: in step all the time, while sync is on.") };
    format!("{name}: {schedule}{}.", text::next(scheduled.next_at_ms, context::wall_ms()))
}
