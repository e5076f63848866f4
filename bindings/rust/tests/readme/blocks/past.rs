use afield::{Collection, Confirm, EntityId, Point, model};

#[model]
struct Plan {
    title: String,
}

fn past(plans: &Collection<Plan>, id: EntityId) -> Result<(), Box<dyn std::error::Error>> {
    plans.with_message("it is far").edit(id, |plan| plan.title = "Night trip".into())?;
    let last = &plans.history(id, &Point::Now, 20)?.changes[0];   // `replica.set_author(Some("Anna"))` says who
    let before = plans.at(id, &Point::Before(last.hash))?;
    let changed = plans.differences(id, &Point::Before(last.hash), &Point::Now)?;
    println!("{} places differ from {}", changed.len(), before.title);
    plans.undo(id)?;                                              // one's own edit alone, also after a restart
    plans.redo(id)?;
    plans.restore_to(id, &Point::Before(last.hash), Confirm::Yes)?; // an ordinary edit; `Ask` says what it would write
    Ok(())
}
