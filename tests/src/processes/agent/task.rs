//! Small entities, as many as wanted.

use afield::{Collection, EntityId, Replica, model};

/// How many entities are stored in one commit.
const ENTITIES_PER_COMMIT: usize = 1_000;

/// An entity of five fields, as an application for tasks would have it.
#[model]
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What is to be done.
    pub title: String,
    /// What it is a part of.
    pub project: String,
    /// Whether it is done.
    pub done: bool,
    /// How urgent it is.
    pub priority: i64,
    /// When it has to be done, in seconds since the Unix epoch.
    pub due: i64,
}

/// Makes entities of five fields and edits each until it has `changes` changes, many to a commit.
///
/// # Errors
///
/// The store failed.
pub fn populate(
    replica: &Replica,
    tasks: &Collection<Task>,
    entities: usize,
    changes: usize,
) -> Result<Vec<EntityId>, afield::EditError> {
    let mut ids = Vec::with_capacity(entities);
    while ids.len() < entities {
        let numbers = ids.len()..entities.min(ids.len() + ENTITIES_PER_COMMIT);
        let (made, _) = replica.transaction(|transaction| {
            numbers.map(|number| transaction.insert(tasks, &Task::number(number))).collect::<Result<Vec<_>, _>>()
        })?;
        ids.extend(made);
    }
    for round in 1..changes {
        for some in ids.chunks(ENTITIES_PER_COMMIT) {
            let _ = replica.transaction(|transaction| {
                some.iter().try_for_each(|id| transaction.edit(tasks, *id, |task| task.priority = round as i64))
            })?;
        }
    }
    Ok(ids)
}

impl Task {
    /// The task with a number; no two are alike.
    pub fn number(number: usize) -> Self {
        Self {
            title: format!("Task number {number}"),
            project: format!("project-{}", number % 17),
            done: number.is_multiple_of(3),
            priority: 0,
            due: 1_767_225_600 + number as i64 * 3_600,
        }
    }
}
