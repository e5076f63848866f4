use afield::{Guard, Space};

fn ask(home: &Space) -> Result<(), Box<dyn std::error::Error>> {
    home.set_guard(Guard { deletions: Some(50), share: Some(0.2) })?; // of each collection, in one sync; off at first
    let held = home.held()?;                                          // which entities, who deleted them, when, which way
    home.confirm(&held)?;                                             // this list, and nothing that came after it; or `keep`
    Ok(())
}
