use afield::{Block, Collection, EntityId, Expand, Path, RichText, model};

#[model]
struct Page {
    body: RichText,
    steps: Vec<Vec<String>>,
}

fn write(pages: &Collection<Page>, id: EntityId) -> Result<(), Box<dyn std::error::Error>> {
    let page = pages.entity(id)?;
    page.text("body").splice(0, 0, "Read this")?;                 // positions are Unicode code points
    page.text("body").mark(0..4, "bold", true, Expand::After)?;   // what is typed behind it is bold, too
    page.text("body").insert_block(0, &Block::new("heading").with_attribute("level", 1))?; // counts as one
    page.list(Path::from("steps").index(0)).set(1, "bake for an hour")?;
    Ok(())
}
