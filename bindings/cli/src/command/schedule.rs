//! `afield schedule` and `afield explain`

use crate::arguments::{Global, ScheduleArguments};
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use afield::{Explanation, Schedule, Space};
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
    let replica = context::open(global)?;
    let space = context::space_called(&replica, arguments.of.as_deref().or(global.space.as_deref()))?;
    let is_change = arguments.off || arguments.cron.is_some() || arguments.every.is_some();
    if is_change {
        space.set_schedule(schedule(arguments)?)?;
    }
    let scheduled = scheduled(&space)?;
    let words = || in_words(&scheduled);
    if is_change { output.done(&scheduled, words) } else { output.result(&scheduled, words) }
}

pub(super) fn explain(global: &Global, output: Output) -> Result<(), Failure> {
    let explanations = context::view(global)?.explain()?;
    output.list(&explanations, || page(&explanations, output.width()))
}

fn schedule(arguments: &ScheduleArguments) -> Result<Option<Schedule>, Failure> {
    Ok(match (&arguments.cron, arguments.every) {
        (Some(cron), _) => Some(Schedule::cron(cron, &arguments.zone)?),
        (None, Some(every)) => Some(Schedule::every(every)?),
        (None, None) => None,
    })
}

fn scheduled(space: &Space) -> Result<Scheduled, Failure> {
    let schedule = space.schedule()?;
    let next_at_ms = schedule.as_ref().and_then(|schedule| schedule.next_after(context::wall_ms()));
    let words = schedule.map(|schedule| schedule.to_string());
    Ok(Scheduled { space: space.id().to_string(), name: space.name().to_owned(), schedule: words, next_at_ms })
}

fn in_words(scheduled: &Scheduled) -> String {
    let name = text::printable(&scheduled.name);
    let Some(schedule) = &scheduled.schedule else { return format!("{name}: in step all the time, while sync is on.") };
    let left_ms = scheduled.next_at_ms.map(|at_ms| u64::try_from(at_ms - context::wall_ms()).unwrap_or(0));
    let next = left_ms.map(|left_ms| format!(", next in {}", text::duration(left_ms)));
    format!("{name}: {schedule}{}.", next.unwrap_or_default())
}

fn page(explanations: &[Explanation], width: usize) -> String {
    if explanations.is_empty() {
        return "no space yet: `afield space create NAME`".to_owned();
    }
    let lines = explanations.iter().flat_map(|explanation| {
        let title = format!("{}: {}", text::printable(&explanation.name), explanation.now);
        let next = format!("next: {}", explanation.next);
        std::iter::once(text::wrapped(&title, width, 2))
            .chain(std::iter::once(format!("  {}", text::wrapped(&next, width.saturating_sub(2), 4))))
            .chain(explanation.last.iter().map(|line| format!("  {}", text::wrapped(line, width.saturating_sub(2), 4))))
    });
    lines.collect::<Vec<_>>().join("\n")
}
