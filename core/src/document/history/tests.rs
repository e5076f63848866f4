//! What history tells, page by page and moment by moment.

use super::*;
use crate::document::test_kit::{ENTITY, by, deliver};
use crate::document::{Changed, EditContext, LocalChange, OperationError, Path, Value};
use crate::limits::Limits;
use crate::time::Now;

fn edit(document: &mut Document, actor: u8, at_ms: i64, path: &str, value: impl Into<Value>) -> Vec<LocalChange> {
    let message = Some(format!("for {path}"));
    let context = EditContext { now: Now { wall_ms: at_ms, monotonic_ms: 0 }, message, ..by(actor) };
    let edited = document.edit(&context, &Limits::DEFAULT, |edit| edit.put(path.parse::<Path>().unwrap(), value));
    edited.unwrap().changes
}

#[test]
fn pages_give_every_change_once_and_each_before_what_it_depends_on() {
    let (mut one, mut two) = (Document::new(ENTITY), Document::new(ENTITY));
    for round in 0..10_i64 {
        let first = edit(&mut one, 1, round * 10, "title", round);
        let second = edit(&mut two, 2, round * 10 + 5, "done", round);
        if round % 3 == 0 {
            deliver(&mut one, &second);
            deliver(&mut two, &first);
        }
    }
    let missing: Vec<_> = two.changes_since(&[]).into_iter().collect();
    let incoming: Vec<_> =
        missing.iter().map(|(hash, bytes)| crate::document::Incoming { hash: *hash, bytes }).collect();
    let _ = one.apply_guarded(&incoming, &Limits::DEFAULT).unwrap();
    let (mut from, mut all) = (Some(Point::Now), Vec::new());
    while let Some(point) = from {
        let page = one.history(&point, 3).unwrap();
        assert!(page.changes.len() <= 3);
        all.extend(page.changes);
        from = page.next;
    }
    assert_eq!(all.len() as u64, one.change_count());
    for (place, change) in all.iter().enumerate() {
        assert_eq!(change.attribution.message.as_deref().map(|message| message.starts_with("for ")), Some(true));
        let later = all.iter().skip(place + 1);
        assert_eq!(later.filter(|other| change.dependencies.contains(&other.hash)).count(), change.dependencies.len());
    }
}

#[test]
fn an_entity_reads_as_it_was_at_any_moment() {
    let mut document = Document::new(ENTITY);
    let mut changes = Vec::new();
    for (at_ms, title) in [(100, "a"), (200, "b"), (300, "c")] {
        changes.extend(edit(&mut document, 1, at_ms, "title", title));
    }
    let title = |point: &Point| document.read_as_of(point).unwrap().entry("title").cloned();
    assert_eq!(title(&Point::TimeMs(250)), Some("b".into()));
    assert_eq!(title(&Point::After(changes[0].hash)), Some("a".into()));
    assert_eq!(title(&Point::Before(changes[2].hash)), Some("b".into()));
    assert_eq!(title(&Point::Now), Some("c".into()));
    assert_eq!(title(&Point::Heads(Vec::new())), None);
    assert_eq!(document.read_as_of(&Point::TimeMs(99)), Err(PointError::NothingYet));
    let unknown = ChangeHash([7; 32]);
    assert_eq!(document.heads_at(&Point::After(unknown)), Err(PointError::UnknownChange { hash: unknown }));
}

#[test]
fn the_past_of_texts_lists_and_counters_is_read_like_the_present() {
    let mut document = Document::new(ENTITY);
    let value = Value::from([
        ("body", Value::Text("one".into())),
        ("long", Value::LongText("x".repeat(3_000))),
        ("list", Value::List(vec!["a".into(), Value::Counter(1)])),
        ("count", Value::Counter(5)),
    ]);
    let made = edit(&mut document, 1, 100, "all", value.clone());
    let context = EditContext { now: Now { wall_ms: 200, monotonic_ms: 0 }, ..by(1) };
    let later = |edit: &mut crate::document::Edit<'_>| {
        edit.splice_text(Path::from("all").key("body"), 3, 0, " two")?;
        edit.mark(Path::from("all").key("body"), 0..3, "link", "x", crate::document::Expand::None)?;
        edit.splice_text(Path::from("all").key("long"), 10, 2_000, "y")?;
        edit.delete(Path::from("all").key("list").index(0))?;
        edit.increment(Path::from("all").key("count"), 2)
    };
    let _ = document.edit(&context, &Limits::DEFAULT, later).unwrap();
    let last = made.last().unwrap().hash;
    assert_eq!(document.read_as_of(&Point::After(last)).unwrap().entry("all"), Some(&value));
    let found = document.differences(&Point::After(last), &Point::Now).unwrap();
    let places: Vec<_> = found.iter().map(|difference| difference.path.to_string()).collect();
    assert_eq!(places, ["all.body", "all.count", "all.list[0]", "all.long"]);
    assert!(matches!(&found[0].changed, Changed::Text { hunks } if hunks[0].inserted == " two"));
    assert_eq!(found[2].changed, Changed::Removed { before: "a".into() });
    assert!(document.differences(&Point::Now, &Point::Now).unwrap().is_empty());
}

#[test]
fn a_run_by_one_actor_is_one_sitting_until_a_pause_or_somebody_else() {
    let mut document = Document::new(ENTITY);
    for at_ms in [0, 1_000, 2_000, 2_000 + SITTING_PAUSE_MAX_MS + 1] {
        edit(&mut document, 1, at_ms, "title", at_ms);
    }
    edit(&mut document, 2, 400_000, "title", "theirs");
    let sittings = document.history(&Point::Now, 100).unwrap().sittings();
    assert_eq!(sittings.iter().map(|sitting| sitting.changes.len()).collect::<Vec<_>>(), [1, 1, 3]);
    assert_eq!(sittings[2].first().unwrap().attribution.at_ms, 0);
    assert_eq!(sittings[2].last().unwrap().attribution.at_ms, 2_000);
}

#[test]
fn a_time_shows_nothing_that_was_made_later_however_slow_the_clock_of_whoever_wrote_on() {
    let (mut one, mut two) = (Document::new(ENTITY), Document::new(ENTITY));
    let mut made = edit(&mut one, 1, 100, "title", "a");
    made.extend(edit(&mut one, 1, 300, "title", "b"));
    deliver(&mut two, &made);
    edit(&mut two, 2, 150, "done", true);
    let fields = |document: &Document, at_ms| document.read_as_of(&Point::TimeMs(at_ms)).unwrap();
    let (early, late) =
        (Value::from([("title", "a".into())]), Value::from([("title", "b".into()), ("done", true.into())]));
    assert_eq!((fields(&two, 200), fields(&two, 300)), (early, late));
    // A container that every device makes alike shows nothing before something was written into it.
    let context = EditContext { now: Now { wall_ms: 400, monotonic_ms: 0 }, ..by(2) };
    let typed = two.edit::<_, OperationError>(&context, &Limits::DEFAULT, |edit| edit.splice_text("text", 0, 0, "x"));
    assert!(typed.unwrap().changes.iter().any(|change| change.derived), "the control");
    assert_eq!(
        (fields(&two, 399).entry("text"), fields(&two, 400).entry("text")),
        (None, Some(&Value::Text("x".into())))
    );
}
