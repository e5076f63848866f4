use super::super::test_kit::*;
use super::*;
use crate::document::{Edit, EditContext, EditError, LocalChange, OperationError};
use crate::limits::Limits;
use crate::time::Now;

struct Same(u8);

impl Entropy for Same {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

const DEVICE: DeviceId = DeviceId::from_bytes([3; 16]);

fn context(opening: u8, author: Option<&str>, message: Option<&str>) -> EditContext {
    let mut entropy = Same(opening);
    let now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };
    EditContext {
        author: author.map(Into::into),
        message: message.map(ToOwned::to_owned),
        ..EditContext::new(fresh_actor(DEVICE, &mut entropy), now)
    }
}

fn edit_by(
    document: &mut Document,
    context: &EditContext,
    closure: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
) -> Vec<LocalChange> {
    document.edit(context, &Limits::DEFAULT, closure).unwrap().changes
}

#[test]
fn a_change_tells_its_author_device_time_and_message_also_after_it_was_saved_and_merged() {
    let mut document = Document::new(ENTITY);
    let (ada, later) = (context(1, Some("Ada"), Some("first")), context(1, Some("Ada"), None));
    let mut changes = edit_by(&mut document, &ada, |edit| edit.put("title", "a"));
    changes.extend(edit_by(&mut document, &later, |edit| edit.put("title", "b")));
    let [first, second] = changes.as_slice() else { panic!("two edits, two changes") };

    let mut other = Document::new(ENTITY);
    deliver(&mut other, &changes);
    let reloaded = Document::load(ENTITY, Some(&document.save()), []).unwrap();
    for document in [&document, &other, &reloaded] {
        let told = document.attribution(&first.hash).unwrap();
        assert_eq!((told.author.as_deref(), told.device), (Some("Ada"), Some(DEVICE)));
        assert_eq!((told.message.as_deref(), told.at_ms), (Some("first"), 1_700_000_000_000));
        let told = document.attribution(&second.hash).unwrap();
        assert_eq!((told.author.as_deref(), told.message), (Some("Ada"), None));
    }
}

#[test]
fn only_the_first_change_of_an_actor_carries_the_authors_name() {
    let mut document = Document::new(ENTITY);
    let ada = context(1, Some("Ada Lovelace"), None);
    let first = edit_by(&mut document, &ada, |edit| edit.put("title", "a"));
    let second = edit_by(&mut document, &ada, |edit| edit.put("title", "b"));
    let names = |changes: &[LocalChange]| changes[0].bytes.windows(12).any(|bytes| bytes == b"Ada Lovelace");
    assert!(names(&first) && !names(&second));
}

#[test]
fn a_change_that_joins_many_heads_names_the_author_where_it_is_the_actors_first() {
    let limits = Limits { change_dependencies_max: 3, ..Limits::DEFAULT };
    let mut document = Document::new(ENTITY);
    for actor in 1..=6 {
        let mut alone = Document::new(ENTITY);
        deliver(&mut document, &edit(&mut alone, actor, |edit| edit.put("title", i64::from(actor))));
    }
    assert_eq!(document.heads().len(), 6);
    let made = document.edit(&context(1, Some("Ada"), None), &limits, |edit| edit.put("title", "all")).unwrap();
    assert!(made.changes.len() > 1, "several changes join the heads");
    for change in &made.changes {
        assert_eq!(document.attribution(&change.hash).unwrap().author.as_deref(), Some("Ada"));
    }
}

#[test]
fn a_change_with_an_author_is_redone_as_an_edit_like_any_other() {
    let mut author = Document::new(ENTITY);
    let first = edit_by(&mut author, &context(1, Some("Ada"), None), |edit| edit.put("title", "a"));
    let mut reader = Document::new(ENTITY);
    let second = edit_by(&mut author, &context(2, Some("Ben"), Some("why")), |edit| edit.put("title", "b"));
    let changes: Vec<_> = first.into_iter().chain(second).collect();
    let incoming = changes.iter().map(|change| crate::document::Incoming { hash: change.hash, bytes: &change.bytes });
    let applied = reader.apply_guarded(&incoming.collect::<Vec<_>>(), &Limits::DEFAULT).unwrap();
    assert_eq!(applied.replayed, changes.len());
    assert_eq!(reader.save(), author.save());
}

#[test]
fn derived_changes_and_foreign_actors_name_no_device() {
    let mut document = Document::new(ENTITY);
    let derived = document
        .edit_derived(&Limits::DEFAULT, |edit| edit.put("title", "a"))
        .unwrap_or_else(|error: EditError<OperationError>| panic!("{error}"));
    let foreign = edit(&mut document, 1, |edit| edit.put("title", "b"));
    for change in derived.changes.iter().chain(&foreign) {
        let told = document.attribution(&change.hash).unwrap();
        assert_eq!((told.device, told.author, told.message), (None, None, None));
    }
    assert_eq!(document.attribution(&ChangeHash([0; 32])), None);
}
