use afield::{Collection, QueryError, Timestamp, model};

#[model]
struct Task {
    title: String,
    done: bool,
    due: Option<Timestamp>,
}

fn due(tasks: &Collection<Task>, now: Timestamp) -> Result<(), QueryError> {
    tasks.index(["done", "due"])?;                        // declared once, kept with every change; `plan` shows its use
    tasks.search_fields(["title"])?;
    let due = tasks.query("done = 0 AND due < ?", [now])?.order_by("due").limit(20);
    println!("{} of {}", due.all()?.entities.len(), due.count()?);
    for found in tasks.search("milk bre")?.while_typing().limit(20).all()? {
        println!("{}", found.snippet.marked("*", "*"));
    }
    let mut live = due.watch()?;                          // a `Stream`; one look for each entity that is written
    let _now = live.take();
    Ok(())
}
