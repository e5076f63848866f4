//! What becomes of a task: every way of writing that an application has beside fields and transactions.

use super::{Line, Task, say};
use afield::{ChangeHash, Collection, Confirm, EntityId, Point};
use std::error::Error;

/// Does everything to a task that can be done to one, telling of each edit once it has returned. Gives how many there were.
pub(super) fn live(tasks: &Collection<Task>, number: usize) -> Result<u64, Box<dyn Error>> {
    let id = tasks.insert(&Task::number(number))?;
    let first = stored(tasks, id)?;
    let edits: [&dyn Fn() -> Result<bool, afield::EditError>; 6] = [
        &|| tasks.edit(id, |task| task.done = !task.done).map(|write| write.changes().next().is_some()),
        &|| tasks.delete(id).map(|write| write.changes().next().is_some()),
        &|| tasks.restore(id).map(|write| write.changes().next().is_some()),
        &|| tasks.undo(id).map(|write| write.is_some()),
        &|| tasks.redo(id).map(|write| write.is_some()),
        &|| tasks.edit(id, |task| task.priority += 1).map(|write| write.changes().next().is_some()),
    ];
    for edit in edits {
        if !edit()? {
            return Err("an edit has written nothing".into());
        }
        stored(tasks, id)?;
    }
    let write = tasks.restore_to(id, &Point::After(first), Confirm::Yes)?;
    write.changes().next().ok_or("nothing was set back")?;
    stored(tasks, id)?;
    Ok(edits.len() as u64 + 2)
}

/// Tells that the newest change of a task is stored.
fn stored(tasks: &Collection<Task>, id: EntityId) -> Result<ChangeHash, Box<dyn Error>> {
    let heads = tasks.entity(id)?.raw(|document| document.get_heads())?;
    let change = *heads.first().ok_or("a task that is stored has a change")?;
    say(&Line::Stored { entity: id.to_string(), change: change.to_string() });
    Ok(change)
}
