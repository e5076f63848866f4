//! Changes that no honest device makes, with valid checksums.

// Built outside of tests too, for those of other crates, which need a part of it.
#![cfg_attr(not(test), allow(dead_code))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod kinds;
mod victim;

pub(in crate::document) use kinds::kinds;
pub(in crate::document) use victim::Victim;

use crate::document::test_kit::*;
use crate::document::*;
use automerge::Change;
#[cfg(test)]
use std::collections::BTreeMap;

/// What should become of a change, in every build of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::document) enum Expected {
    /// It is odd, but harms nobody.
    Applied,
    /// A rule refuses it.
    Rule(QuarantineReason),
    /// The engine fails on it, one way or the other.
    Engine,
}

impl Expected {
    fn is(self, verdict: &Verdict) -> bool {
        use QuarantineReason::{Panicked, PoisonsSave, ReadBackDiffers, Rejected};
        match (self, verdict) {
            (Self::Applied, Verdict::Applied) => true,
            (Self::Rule(expected), Verdict::Quarantined(reason)) => expected == *reason,
            (Self::Engine, Verdict::Quarantined(Panicked | PoisonsSave | ReadBackDiffers | Rejected)) => true,
            _ => false,
        }
    }
}

/// Hostile changes, each on top of the same honest ones, for tests of other crates.
#[cfg(feature = "test-support")]
#[derive(Debug)]
pub struct Hostile {
    /// The entity of all of them.
    pub entity: EntityId,
    /// What honest devices made, in causal order.
    pub honest: Vec<Vec<u8>>,
    /// What follows it, one at a time.
    pub changes: Vec<HostileChange>,
}

/// A change that no honest device makes.
#[cfg(feature = "test-support")]
#[derive(Debug)]
pub struct HostileChange {
    /// What is wrong with it.
    pub name: &'static str,
    /// Whether it is odd only, and applied all the same.
    pub is_applied: bool,
    /// Its bytes, with a valid checksum.
    pub bytes: Vec<u8>,
}

#[cfg(feature = "test-support")]
impl Hostile {
    /// Every kind.
    pub fn all() -> Self {
        let victim = Victim::new();
        let honest = victim.document.changes_since(&[]).into_iter().map(|(_, bytes)| bytes).collect();
        let changes = kinds(&victim).into_iter().map(|(name, expected, expanded)| HostileChange {
            name,
            is_applied: expected == Expected::Applied,
            bytes: Change::from(expanded).raw_bytes().to_vec(),
        });
        Self { entity: ENTITY, honest, changes: changes.collect() }
    }
}

/// Uses a document as an application would: edits everything, saves, loads and reads.
pub(in crate::document) fn use_fully(document: &mut Document, actor: u8) {
    edit(document, actor, |edit| {
        edit.put("title", "after")?;
        edit.put("t", 5)?;
        let text = edit.read("body")?;
        let length = text.as_ref().and_then(Value::as_str).unwrap_or_default().chars().count();
        for position in (0..=length).rev() {
            edit.splice_text("body", position, 0, "ä")?;
        }
        edit.splice_text("body", 0, 2, "")?;
        edit.insert("list", 0, "new")?;
        edit.put(Path::from("list").index(1), 3)?;
        edit.delete(Path::from("list").index(0))?;
        edit.put(Path::from("map").key("k"), 2)?;
        edit.increment("n", 1)
    });
    let loaded = Document::load(document.entity(), Some(&document.save()), []).unwrap();
    assert_eq!(loaded.heads(), document.heads());
    assert_eq!(loaded.read(), document.read());
    assert_eq!(document.verify_save(), Ok(vec![]));
}

#[test]
fn hostile_changes_with_a_valid_checksum_are_quarantined_and_the_document_stays_usable() {
    let victim = Victim::new();
    let snapshot = victim.document.save();
    for (name, expected, expanded) in kinds(&victim) {
        let hostile = Change::from(expanded);
        let mut document = Document::load(ENTITY, Some(&snapshot), []).unwrap();
        let mut other = Document::load(ENTITY, Some(&snapshot), []).unwrap();
        let innocent = edit(&mut other, 3, |edit| {
            edit.splice_text("body", 2, 1, "XY")?;
            edit.put("innocent", 1)
        });
        let mut incoming: Vec<_> =
            innocent.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes }).collect();
        incoming.insert(0, Incoming { hash: hostile.hash(), bytes: hostile.raw_bytes() });
        let verdicts = document.apply_guarded(&incoming, &Limits::DEFAULT).unwrap().verdicts;
        assert!(expected.is(&verdicts[0]), "{name}: {:?} instead of {expected:?}", verdicts[0]);
        assert!(verdicts[1..].iter().all(|verdict| *verdict == Verdict::Applied), "{name}: {verdicts:?}");
        let alone = other.apply_guarded(&incoming[..1], &Limits::DEFAULT).unwrap().verdicts;
        assert!(expected.is(&alone[0]), "{name}: {:?} alone", alone[0]);
        assert_eq!(document.heads(), other.heads(), "{name}");
        // Automerge's own assertions, in builds that have them, do not expect a deleted mark when the text is edited next.
        if cfg!(debug_assertions) && name == "mark of an earlier change that is deleted" {
            continue;
        }
        let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| use_fully(&mut document, 4)));
        assert!(used.is_ok(), "{name}");
    }
}

type Innocent = fn(&mut Edit<'_>) -> Result<(), OperationError>;

/// Honest edits of the places that hostile changes are about, each by a device that has not seen those.
fn innocents() -> Vec<(&'static str, Innocent)> {
    vec![
        ("text emptied", |edit| edit.splice_text("body", 0, 5, "")),
        ("letter deleted", |edit| edit.splice_text("body", 1, 1, "")),
        ("letter inserted", |edit| edit.splice_text("body", 2, 0, "é")),
        ("text replaced", |edit| edit.put("body", Value::Text("anew".into()))),
        ("text deleted", |edit| edit.delete("body")),
        ("title set", |edit| edit.put("title", "b")),
        ("title deleted", |edit| edit.delete("title")),
        ("element set", |edit| edit.put(Path::from("list").index(1), 9)),
        ("element deleted", |edit| edit.delete(Path::from("list").index(1))),
        ("element inserted", |edit| edit.insert("list", 1, 9)),
        ("list deleted", |edit| edit.delete("list")),
        ("entry set", |edit| edit.put(Path::from("map").key("k"), 9)),
        ("entry deleted", |edit| edit.delete(Path::from("map").key("k"))),
        ("map deleted", |edit| edit.delete("map")),
        ("counter incremented", |edit| edit.increment("n", 1)),
        ("counter deleted", |edit| edit.delete("n")),
        ("counter replaced", |edit| edit.put("n", 1)),
    ]
}

/// Invariants D7 and S1.
#[test]
fn an_odd_change_and_an_honest_one_about_the_same_place_come_to_the_same_verdicts_in_any_order() {
    let victim = Victim::new();
    let snapshot = victim.document.save();
    let load = || Document::load(ENTITY, Some(&snapshot), []).unwrap();
    for (name, _, expanded) in kinds(&victim) {
        let hostile = Change::from(expanded);
        let odd = Incoming { hash: hostile.hash(), bytes: hostile.raw_bytes() };
        for (innocent_name, make) in innocents() {
            let made = edit(&mut load(), 3, make);
            let honest: Vec<_> =
                made.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes }).collect();
            let deliver = |calls: &[&[Incoming<'_>]]| {
                let mut document = load();
                let mut verdicts = BTreeMap::new();
                for call in calls {
                    let applied = document.apply_guarded(call, &Limits::DEFAULT).unwrap();
                    verdicts.extend(call.iter().map(|incoming| incoming.hash).zip(applied.verdicts));
                }
                (verdicts, document.heads(), document.read())
            };
            let together: Vec<_> = std::iter::once(odd).chain(honest.iter().copied()).collect();
            let before = deliver(&[&honest, &[odd]]);
            assert_eq!(deliver(&[&[odd], &honest]), before, "{name}, then: {innocent_name}");
            assert_eq!(deliver(&[&together]), before, "{name}, with: {innocent_name}");
            let mut verdicts = honest.iter().map(|incoming| &before.0[&incoming.hash]);
            assert!(verdicts.all(|verdict| *verdict == Verdict::Applied), "{name}: {innocent_name}");
        }
    }
}
