use afield::{Collection, EntityId, LongText, model};

#[model]
struct Story {
    title: String,
    text: LongText,      // `"…".into()`, like a `Text`; in JSON {"$longtext": "…"}
}

fn type_and_show(stories: &Collection<Story>, id: EntityId) -> Result<String, Box<dyn std::error::Error>> {
    let entity = stories.entity(id)?;
    let text = entity.long_text("text");
    text.splice(text.length()?, 0, "\n\nThe end.")?;      // one key, one word or one paragraph: a small change each time
    for (start, paragraph) in stories.read(id)?.text.paragraphs() {
        println!("{start:>7}  {}", paragraph.lines().next().unwrap_or_default());
    }
    Ok(text.slice(0..2_000)?)                             // the parts alone that these characters stand in
}
