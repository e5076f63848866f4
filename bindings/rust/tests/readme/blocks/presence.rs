use afield::{Entity, Space};
use serde_json::json;

async fn together(home: &Space, note: &Entity) -> Result<(), Box<dyn std::error::Error>> {
    let here = home.presence();                               // gone for the others when it is dropped
    here.set(&json!({"name": "Ada"}))?;                       // at most 1 KiB; again as often as you like
    let body = note.text("body");
    let cursor = note.presence();
    cursor.set(&json!({"at": body.cursor_at(5)?}))?;          // a place that moves with what others type
    let mut watch = here.watch();                             // a `Stream`
    while let Some(peers) = watch.changed().await {
        for peer in peers.iter().filter(|peer| peer.entity == Some(note.id())) {
            let at = serde_json::from_value(peer.state["at"].clone())?;
            println!("{} is at {:?}", peer.device, body.position_of(&at)?);
        }
    }
    Ok(())
}
