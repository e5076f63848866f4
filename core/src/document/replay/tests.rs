use crate::document::apply::hostile::{self, Victim};
use crate::document::test_kit::*;
use crate::document::*;
use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::Transactable;
use automerge::{ActorId, Change, ObjType, ROOT};
use proptest::prelude::*;

type Bytes = (ChangeHash, Vec<u8>);
type Editing = fn(&mut Edit<'_>) -> Result<(), OperationError>;

fn bytes(changes: &[LocalChange]) -> Vec<Bytes> {
    changes.iter().map(|change| (change.hash, change.bytes.clone())).collect()
}

fn apply(document: &mut Document, changes: &[Bytes]) -> Applied {
    let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    document.apply_guarded(&incoming, &Limits::DEFAULT).unwrap()
}

fn without_replay(snapshot: &[u8]) -> Document {
    let mut document =
        if snapshot.is_empty() { Document::new(ENTITY) } else { Document::load(ENTITY, Some(snapshot), []).unwrap() };
    document.set_replay(Replay::Off);
    document
}

/// Two documents that are to stay the same: one redoes what it can, the other never does.
struct Pair {
    redoing: Document,
    merging: Document,
}

impl Pair {
    fn new(snapshot: &[u8]) -> Self {
        let mut redoing = without_replay(snapshot);
        redoing.set_replay(Replay::On);
        Self { redoing, merging: without_replay(snapshot) }
    }

    /// Applies changes to both and gives their one verdict, and how many changes were redone.
    fn apply(&mut self, changes: &[Bytes]) -> (Vec<Verdict>, usize) {
        let (redone, merged) = (apply(&mut self.redoing, changes), apply(&mut self.merging, changes));
        assert_eq!(redone.verdicts, merged.verdicts);
        assert_eq!(merged.replayed, 0);
        assert_eq!((redone.before, redone.after, redone.revoked), (merged.before, merged.after, merged.revoked));
        (redone.verdicts, redone.replayed)
    }

    fn assert_same(&self) {
        assert_eq!(self.redoing.save(), self.merging.save());
        assert_eq!(self.redoing.heads(), self.merging.heads());
        assert_eq!(self.redoing.read(), self.merging.read());
        assert_eq!(self.redoing.sequences, self.merging.sequences);
        let changes = |document: &Document| document.changes_since(&[]);
        assert_eq!(changes(&self.redoing), changes(&self.merging));
    }
}

#[test]
fn what_sits_on_the_heads_is_redone_and_what_is_concurrent_is_merged() {
    let mut author = Document::new(ENTITY);
    let first = bytes(&edit(&mut author, 1, |edit| edit.splice_text("body", 0, 0, "hé🦀")));
    let mut pair = Pair::new(&[]);
    assert_eq!(pair.apply(&first).1, first.len());
    let mut other = Document::load(ENTITY, Some(&author.save()), []).unwrap();
    let theirs = bytes(&edit(&mut other, 2, |edit| edit.splice_text("body", 1, 1, "y")));
    let ours = bytes(&edit(&mut author, 1, |edit| edit.splice_text("body", 2, 0, "x")));
    assert_eq!(pair.apply(&theirs), (vec![Verdict::Applied], 1));
    assert_eq!(pair.apply(&ours), (vec![Verdict::Applied], 0));
    let _ = apply(&mut author, &theirs);
    let joined = bytes(&edit(&mut author, 1, |edit| edit.splice_text("body", 0, 2, "")));
    assert_eq!(pair.apply(&joined), (vec![Verdict::Applied], 1));
    pair.assert_same();
    assert_eq!(pair.redoing.read(), author.read());
}

#[test]
fn a_document_does_not_tell_whether_its_changes_were_redone() {
    let mut author = Document::new(ENTITY);
    let edits: Vec<Editing> = vec![
        |edit| edit.put("title", "one"),
        |edit| edit.put("title", "two"),
        |edit| edit.put("tree", Value::from([("list", vec![Value::Int(1), Value::Text("é".into())].into())])),
        |edit| edit.insert(Path::from("tree").key("list"), 1, Value::from([("deep", Value::Text("x".into()))])),
        |edit| edit.put(Path::from("tree").key("list").index(0), 2),
        |edit| edit.increment("count", 7),
        |edit| edit.increment("count", -3),
        |edit| edit.put("real", 0.5),
        |edit| edit.put("bytes", Value::Bytes(vec![0, 255])),
        |edit| edit.put("time", Value::Timestamp(-5)),
        |edit| edit.splice_text("body", 0, 0, "0123456789"),
        |edit| edit.splice_text("body", 3, 4, "a🦀"),
        |edit| {
            edit.splice_text("body", 5, 2, "")?;
            edit.splice_text("body", 0, 1, "z")?;
            edit.put("title", "three")?;
            edit.delete("real")
        },
        |edit| edit.split_block("body", 0, &Block::new("heading").with_attribute("level", 1)),
        |edit| edit.update_block("body", 0, &Block::new("heading").with_attribute("level", 2)),
        |edit| edit.splice_text(Path::from("body").index(0).key("attrs").key("note"), 0, 0, "within a block"),
        |edit| edit.splice_text("body", 1, 0, "k"),
        |edit| edit.join_block("body", 0),
        |edit| edit.splice_long_text("long", 0, 0, &"word ".repeat(800)),
        |edit| edit.splice_long_text("long", 2_000, 0, "k"),
        |edit| edit.splice_long_text("long", 2_001, 1, ""),
        |edit| edit.splice_long_text("long", 4_000, 0, "k"),
        |edit| edit.delete(Path::from("tree").key("list").index(0)),
        |edit| edit.delete("tree"),
    ];
    let mut pair = Pair::new(&[]);
    let mut redone = 0;
    for closure in edits {
        let changes = edit(&mut author, 1, closure);
        let (verdicts, replayed) = pair.apply(&bytes(&changes));
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Applied));
        // A derived change depends on what holds its place alone, and so on no other head.
        let operations = |change: &LocalChange| Change::try_from(change.bytes.as_slice()).unwrap().len();
        let is_heavy = changes.iter().any(|change| operations(change) > 100);
        let is_derived = changes.iter().any(|change| change.derived);
        assert_eq!(replayed, if is_derived || is_heavy { 0 } else { changes.len() });
        redone += replayed;
        pair.assert_same();
    }
    assert!(redone > 8, "{redone}");
    assert_eq!(pair.redoing.save(), author.save());
}

#[test]
fn an_edit_of_many_operations_or_with_a_message_or_of_nothing_comes_out_the_same() {
    let engine = engine::empty().with_actor(ActorId::from([7; 16]));
    let mut transaction = engine.into_transaction(None, None).unwrap();
    let text = transaction.put_object(ROOT, "body", ObjType::Text).unwrap();
    transaction.splice_text(&text, 0, 0, "abc").unwrap();
    let options = || automerge::transaction::CommitOptions::default().with_message("said").with_time(5);
    let (mut engine, _, _) = transaction.commit_with(options());
    engine.empty_commit(options());
    let changes: Vec<Bytes> =
        engine.get_changes(&[]).iter().map(|change| (change.hash(), change.raw_bytes().to_vec())).collect();
    let mut pair = Pair::new(&[]);
    assert_eq!(pair.apply(&changes), (vec![Verdict::Applied; 2], 2));
    pair.assert_same();
    let mut author = Document::load(ENTITY, Some(&engine.save()), []).unwrap();
    let long = bytes(&edit(&mut author, 1, |edit| edit.splice_text("body", 1, 0, &"x".repeat(1_000))));
    assert_eq!(pair.apply(&long), (vec![Verdict::Applied], 0), "the merge takes less time");
    pair.assert_same();
}

/// What stands where a mark begins or ends is found again, and marks themselves are checked by saving (D7).
#[test]
fn typing_in_a_marked_text_comes_out_the_same_and_marks_are_merged() {
    let mut author = Document::new(ENTITY);
    let mut pair = Pair::new(&[]);
    let typed = bytes(&edit(&mut author, 1, |edit| edit.splice_text("body", 0, 0, "0123456789")));
    pair.apply(&typed);
    let marked = bytes(&edit(&mut author, 1, |edit| {
        edit.raw(|transaction| {
            let (_, text) = transaction.get(ROOT, "body")?.expect("it was just put");
            transaction.mark(&text, Mark::new("bold".into(), true, 2, 5), ExpandMark::Both)
        })
    }));
    assert_eq!(pair.apply(&marked), (vec![Verdict::Applied], 0));
    for position in 0..=10 {
        let typed = bytes(&edit(&mut author, 1, |edit| edit.splice_text("body", position, 0, "ü")));
        assert_eq!(pair.apply(&typed).0, [Verdict::Applied]);
        let deleted = bytes(&edit(&mut author, 1, |edit| edit.splice_text("body", position, 1, "")));
        assert_eq!(pair.apply(&deleted).0, [Verdict::Applied]);
        pair.assert_same();
    }
    assert_eq!(pair.redoing.save(), author.save());
}

/// Invariant D7.
#[test]
fn hostile_changes_come_to_the_same_verdict_and_leave_the_same_document() {
    let victim = Victim::new();
    let snapshot = victim.document.save();
    for (name, _, expanded) in hostile::kinds(&victim) {
        let hostile = Change::from(expanded);
        let mut pair = Pair::new(&snapshot);
        let (verdicts, _) = pair.apply(&[(hostile.hash(), hostile.raw_bytes().to_vec())]);
        assert_eq!(verdicts.len(), 1, "{name}");
        pair.assert_same();
        let honest =
            bytes(&edit(&mut Document::load(ENTITY, Some(&snapshot), []).unwrap(), 3, |edit| edit.put("innocent", 1)));
        assert_eq!(pair.apply(&honest).0, [Verdict::Applied], "{name}");
        pair.assert_same();
    }
}

/// What three devices did: edits, and who received from whom in between.
#[derive(Debug, Clone)]
enum Action {
    Edit { device: usize, what: u8, at: usize },
    Receive { device: usize, from: usize },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(
        prop_oneof![
            3 => (0..3usize, 0..ACTS, 0..6usize).prop_map(|(device, what, at)| Action::Edit { device, what, at }),
            3 => (0..3usize, 0..3usize).prop_map(|(device, from)| Action::Receive { device, from }),
        ],
        1..40,
    )
}

/// How many ways to edit there are.
const ACTS: u8 = 26;

fn length(edit: &Edit<'_>, path: &str) -> Result<usize, OperationError> {
    let found = edit.read(path)?.unwrap_or_default();
    Ok(found.as_list().map_or_else(|| found.as_str().unwrap_or_default().chars().count(), <[Value]>::len))
}

fn act(edit: &mut Edit<'_>, what: u8, at: usize) -> Result<(), OperationError> {
    let (text, list) = (length(edit, "text")?, length(edit, "list")?);
    let (in_text, in_list) = (at.min(text), at.min(list));
    let element = Path::from("list").index(at);
    match what {
        0 => edit.put("scalar", at as i64),
        1 => edit.splice_text("text", in_text, 0, "é🦀"),
        2 => edit.splice_text("text", in_text, 1.min(text - in_text), "x"),
        3 => edit.splice_text("text", in_text, 3.min(text - in_text), ""),
        4 => edit.insert("list", in_list, Value::from([("n", Value::Counter(1))])),
        5 if at < list => edit.increment(element.key("n"), 2),
        6 if at < list => edit.delete(element),
        7 if at < list => edit.put(element, Value::from([("n", Value::Counter(at as i64))])),
        8 => edit.increment("counter", at as i64 + 1),
        9 => edit.delete(if at < 3 { "text" } else { "list" }),
        10 => edit.put("tree", Value::from([("text", Value::Text("t".into())), ("list", vec![Value::Int(1)].into())])),
        11 if text > 0 => edit.raw(|transaction| {
            let Some((automerge::Value::Object(ObjType::Text), id)) = transaction.get(ROOT, "text")? else {
                return Ok(());
            };
            let expand = if at.is_multiple_of(2) { ExpandMark::Both } else { ExpandMark::None };
            transaction.mark(&id, Mark::new("bold".into(), true, in_text.min(text - 1), text), expand)
        }),
        12.. => act_richly(edit, what, at),
        _ => Ok(()),
    }
}

/// Marks, blocks, long texts, and every kind below a map in a map.
fn act_richly(edit: &mut Edit<'_>, what: u8, at: usize) -> Result<(), OperationError> {
    let (text, long) = (length(edit, "text")?, length(edit, "long")?);
    let (in_text, in_long) = (at.min(text), (at * 400).min(long));
    let range = in_text..(in_text + 2).min(text);
    let (name, expand) =
        (["bold", "link"][at % 2], [Expand::Before, Expand::After, Expand::Both, Expand::None][at % 4]);
    let block = Block::new(["paragraph", "heading"][at % 2]).with_attribute("level", at as i64);
    let first_block = edit.read("text")?.and_then(|text| text.to_rich_text()?.blocks().next().map(|(place, _)| place));
    let nested = Path::from("nested").key("inner");
    if what >= 20 && edit.read(&nested)?.is_none() {
        edit.put_entry("nested", "inner", Value::Map(std::collections::BTreeMap::new()))?;
    }
    match (what, first_block) {
        (12, _) if text > 0 => edit.mark("text", range, name, at as i64, expand),
        (13, _) if text > 0 => edit.unmark("text", range, name, expand),
        (14, _) => edit.split_block("text", in_text, &block),
        (15, Some(place)) => edit.update_block("text", place, &block),
        (16, Some(place)) => edit.join_block("text", place),
        (17, _) => edit.splice_long_text("long", in_long, 0, &"語 word\n".repeat(1 + at * 40)),
        (18, _) => edit.splice_long_text("long", in_long, 0, "k"),
        (19, _) => edit.splice_long_text("long", in_long, (long - in_long).min(1 + at * 300), ""),
        (20, _) => edit.splice_text(nested.key("text"), 0, 0, "n"),
        (21, _) => edit.increment(nested.key("count"), 1),
        (22, _) => edit.insert(nested.key("list"), 0, vec![Value::Text("deep".into()), Value::Counter(at as i64)]),
        (23, _) => edit.put(nested.key("cover"), Value::Bytes(vec![at as u8; at])),
        (24, _) => edit.put(nested.key("at"), Value::Timestamp(at as i64)),
        (25, _) => {
            let mut rich = RichText::from("rich");
            rich.insert_block(0, block);
            rich.mark(1..3, name, true);
            edit.put(nested.key("rich"), Value::from(rich))
        }
        _ => Ok(()),
    }
}

/// Plays actions on three devices, each beside one that never redoes anything; gives all changes and how many were redone.
fn play(actions: &[Action]) -> (Vec<Pair>, Vec<Bytes>, usize) {
    let mut pairs: Vec<Pair> = (0..3).map(|_| Pair::new(&[])).collect();
    let (mut all, mut redone): (Vec<Bytes>, _) = (Vec::new(), 0);
    for action in actions {
        match action {
            Action::Edit { device, what, at } => {
                let pair = &mut pairs[*device];
                let actor = *device as u8 + 1;
                let made = bytes(&edit(&mut pair.redoing, actor, |edit| act(edit, *what, *at)));
                // The same edit in the same state makes the same change, or the two are not the same.
                assert_eq!(bytes(&edit(&mut pair.merging, actor, |edit| act(edit, *what, *at))), made);
                all.extend(made.into_iter().filter(|change| !all.contains(change)).collect::<Vec<_>>());
            }
            Action::Receive { device, from } => {
                let changes = pairs[*from].redoing.changes_since(&[]);
                redone += pairs[*device].apply(&changes).1;
                pairs[*device].assert_same();
            }
        }
    }
    (pairs, all, redone)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Invariant D7: redone or merged, in whatever order and portions, the verdicts and the saved bytes are the same.
    #[test]
    fn a_history_of_three_devices_is_the_same_redone_and_merged(
        actions in actions(),
        seed in any::<u64>(),
        sizes in prop::collection::vec(1..5usize, 1..5),
    ) {
        let (pairs, all, _) = play(&actions);
        pairs.iter().for_each(Pair::assert_same);
        let mut shuffled = all.clone();
        let mut state = seed;
        for index in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // A neighbour or any other: an order that is nearly good has runs that sit on the heads.
            let other = if seed.is_multiple_of(2) { (state >> 33) as usize % (index + 1) } else { index - 1 };
            if (state >> 20).is_multiple_of(3) {
                shuffled.swap(index, other);
            }
        }
        let (mut pair, mut waiting, mut rest) = (Pair::new(&[]), Vec::new(), shuffled.as_slice());
        for size in sizes.iter().cycle() {
            let (portion, after) = rest.split_at((*size).min(rest.len()));
            let batch: Vec<Bytes> = waiting.drain(..).chain(portion.iter().cloned()).collect();
            for (change, verdict) in batch.iter().zip(pair.apply(&batch).0) {
                if matches!(verdict, Verdict::Waiting { .. }) {
                    waiting.push(change.clone());
                }
            }
            pair.assert_same();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(waiting.is_empty());
        prop_assert_eq!(pair.redoing.change_count(), all.len() as u64);
    }
}

#[test]
fn every_way_to_edit_that_is_played_writes_something() {
    let setting = [1, 4, 8, 14, 17].map(|what| Action::Edit { device: 0, what, at: 1 });
    for what in 0..ACTS {
        let written = |acts: &[Action]| play(acts).1.len();
        let act = Action::Edit { device: 0, what, at: 0 };
        assert!(written(&[&setting[..], &[act]].concat()) > written(&setting), "{what}");
    }
}

#[test]
fn the_histories_that_are_played_have_changes_of_both_kinds() {
    let typed =
        |device, from| [Action::Edit { device, what: 1, at: 1 }, Action::Receive { device: from, from: device }];
    let alternating: Vec<Action> = [typed(0, 1), typed(1, 0), typed(0, 1), typed(1, 0)].into_iter().flatten().collect();
    let (_, all, redone) = play(&alternating);
    assert!(redone >= 4 && all.len() >= redone, "{redone} of {}", all.len());
}
