use afield::{Collection, DeclareError, Lens, Lenses};

fn of_version_3<Task>(tasks: &Collection<Task>) -> Result<Collection<Task>, DeclareError> {
    let state = Lens::convert("done", "state", [(false, "open"), (true, "closed")], false, "open");
    let lenses = Lenses::oldest(1)
        .version(2, [Lens::rename("title", "name"), Lens::wrap("phone", "phones")])?   // older versions: the first one
        .version(3, [state, Lens::add("mood", 3), Lens::remove("color"), Lens::each("steps", [Lens::rename("what", "text")])])?;
    Ok(tasks.through(lenses))
}
