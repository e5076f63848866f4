//! What an application does with other entities inside the closure of an edit: it never waits in a circle.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use afield::{Collection, EditError, EntityError, EntityId, Replica};
use serde_json::json;
use tempfile::TempDir;

struct Desk {
    replica: Replica,
    notes: Collection<()>,
    first: EntityId,
    second: EntityId,
    _folder: TempDir,
}

fn desk() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::open(folder.path().join("notes.db")).unwrap();
    let notes = replica.create_space("Home").unwrap().collection("notes").unwrap();
    let insert = |title| notes.json().insert(&json!({ "title": title })).unwrap();
    let (first, second) = (insert("first"), insert("second"));
    Desk { replica, notes, first, second, _folder: folder }
}

fn title(notes: &Collection<()>, id: EntityId) -> Result<String, afield::ReadError> {
    let value = notes.json().read(id)?;
    Ok(value.get("title").and_then(|title| title.as_str()).unwrap_or_default().to_owned())
}

#[test]
fn an_edit_reads_other_entities_and_its_own_as_stored() {
    let Desk { notes, first, second, .. } = desk();
    let entity = notes.entity(first).unwrap();
    let edited = entity.edit(|edit| {
        edit.put("title", "changed")?;
        let titles = [title(&notes, first), title(&notes, second)].map(Result::unwrap);
        assert_eq!(titles, ["first", "second"]);
        Ok(())
    });
    let _ = edited.unwrap();
    assert_eq!(title(&notes, first).unwrap(), "changed");
}

#[test]
fn an_edit_of_an_entity_inside_its_own_edit_says_so_and_another_goes_on() {
    let Desk { notes, first, second, .. } = desk();
    let entity = notes.entity(first).unwrap();
    let edited = entity.edit(|edit| {
        edit.put("title", "outer")?;
        let other = notes.entity(second).unwrap();
        let _ = other.edit(|edit| Ok(edit.put("title", "inner")?))?;
        let again = entity.edit(|edit| Ok(edit.put("title", "again")?));
        assert!(matches!(again, Err(EditError::Entity(EntityError::Busy { entity })) if entity == first), "{again:?}");
        Ok(())
    });
    let _ = edited.unwrap();
    assert_eq!([first, second].map(|id| title(&notes, id).unwrap()), ["outer", "inner"]);
}

#[test]
fn a_transaction_inside_an_edit_or_a_transaction_is_refused() {
    let Desk { replica, notes, first, .. } = desk();
    let nested = || replica.transaction(|_| Ok(())).map(|_| ());
    let is_nested = |result| matches!(result, Err(EditError::Entity(EntityError::Nested)));
    let entity = notes.entity(first).unwrap();
    let refused = entity.edit(|_| Ok(is_nested(nested())));
    assert!(refused.unwrap().0);
    let refused = replica.transaction(|_| Ok(is_nested(nested())));
    assert!(refused.unwrap().0);
    nested().unwrap();
}

#[test]
fn a_transaction_and_an_edit_that_want_each_others_entities_both_end() {
    let Desk { replica, notes, first, second, .. } = desk();
    let (inside, ready) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let (notes, replica) = (&notes, &replica);
        scope.spawn(move || {
            let entity = notes.entity(second).unwrap();
            let edited = entity.edit(|edit| {
                edit.put("title", "edited")?;
                inside.send(()).unwrap();
                // The transaction has the first entity, or is about to have it.
                Ok(title(notes, first).unwrap())
            });
            let _ = edited.unwrap();
        });
        ready.recv().unwrap();
        let written = replica.transaction(|transaction| {
            transaction.edit_fields(notes, first, |edit| Ok(edit.put("title", "both")?))?;
            transaction.edit_fields(notes, second, |edit| Ok(edit.put("by", "transaction")?))
        });
        let _ = written.unwrap();
    });
    assert_eq!(title(&notes, first).unwrap(), "both");
    assert_eq!(title(&notes, second).unwrap(), "edited");
}
