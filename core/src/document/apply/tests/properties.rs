//! Laws of the guarded apply: whatever the order and the portions, everybody comes to the same.

use super::*;
use proptest::prelude::*;

/// What three devices did: edits, and who received from whom in between.
#[derive(Debug, Clone)]
enum Action {
    Edit { device: usize, what: u8, at: usize },
    Receive { device: usize, from: usize },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(
        prop_oneof![
            3 => (0..3usize, 0..9u8, 0..6usize).prop_map(|(device, what, at)| Action::Edit { device, what, at }),
            1 => (0..3usize, 0..3usize).prop_map(|(device, from)| Action::Receive { device, from }),
        ],
        1..30,
    )
}

fn act(edit: &mut Edit<'_>, what: u8, at: usize) -> Result<(), OperationError> {
    let length = |edit: &Edit<'_>, path: &str| {
        edit.read(path).map(|value| match value {
            Some(Value::Text(text)) => text.chars().count(),
            Some(Value::List(elements)) => elements.len(),
            _ => 0,
        })
    };
    match what {
        0 => edit.put("scalar", at as i64),
        1 => {
            let at = at.min(length(edit, "text")?);
            edit.splice_text("text", at, 0, "é🦀")
        }
        2 => {
            let length = length(edit, "text")?;
            let at = at.min(length);
            edit.splice_text("text", at, 1.min(length - at), "x")
        }
        3 => {
            let at = at.min(length(edit, "list")?);
            edit.insert("list", at, Value::from([("n", Value::Counter(1))]))
        }
        4 if at < length(edit, "list")? => edit.increment(Path::from("list").index(at).key("n"), 2),
        5 if at < length(edit, "list")? => edit.delete(Path::from("list").index(at)),
        6 => edit.increment("counter", at as i64),
        7 => edit.delete(if at < 3 { "text" } else { "list" }),
        8 => edit.put("tree", Value::from([("text", Value::Text("t".into())), ("list", vec![Value::Int(1)].into())])),
        _ => Ok(()),
    }
}

/// Plays actions on three devices; gives them with all changes in the order they were made.
fn play(actions: &[Action]) -> (Vec<Document>, Vec<Bytes>) {
    let mut documents: Vec<Document> = (0..3).map(|_| Document::new(ENTITY)).collect();
    let mut all: Vec<Bytes> = Vec::new();
    for action in actions {
        match action {
            Action::Edit { device, what, at } => {
                let changes = edit(&mut documents[*device], *device as u8 + 1, |edit| act(edit, *what, *at));
                for change in bytes(&changes) {
                    if !all.contains(&change) {
                        all.push(change);
                    }
                }
            }
            Action::Receive { device, from } => {
                let changes = documents[*from].changes_since(&[]);
                let verdicts = apply(&mut documents[*device], &changes).verdicts;
                assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Applied | Verdict::Held)));
            }
        }
    }
    (documents, all)
}

/// Delivers changes in this order and these portions; what waits is tried again with each.
fn deliver_in_portions(
    changes: &[Bytes],
    sizes: &[usize],
    effort: Effort,
) -> (Document, BTreeMap<ChangeHash, Verdict>) {
    let mut document = Document::new(ENTITY);
    let mut verdicts = BTreeMap::new();
    let mut waiting: Vec<Bytes> = Vec::new();
    let mut rest = changes;
    for size in sizes.iter().cycle() {
        let (portion, after) = rest.split_at((*size).min(rest.len()));
        let batch: Vec<Bytes> = waiting.drain(..).chain(portion.iter().cloned()).collect();
        for (change, verdict) in batch.iter().zip(apply_until_decided(&mut document, &batch, effort).0) {
            if matches!(verdict, Verdict::Waiting { .. }) {
                waiting.push(change.clone());
            }
            if verdict != Verdict::Held {
                verdicts.insert(change.0, verdict);
            }
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    (document, verdicts)
}

/// Changes that nobody should apply, some of them built on good ones, and good ones built on them.
fn bad_changes(document: &Document) -> Vec<Bytes> {
    let (heads, next) = (document.heads(), document.max_op() + 1);
    let low = forged(20, 1, 1, heads.clone(), 1);
    let on_low = forged(21, 1, next + 10, vec![low.0], 2);
    let gap = forged(22, 4, next, heads.clone(), 3);
    let orphan = forged(23, 1, next, vec![ChangeHash([7; 32])], 4);
    let high = forged(24, 1, next + 2_000_000, heads.clone(), 5);
    let good = forged(25, 1, next, heads, 6);
    let on_good = forged(25, 2, next + 1, vec![good.0], 7);
    let after_gap = forged(22, 5, next + 5, vec![gap.0, good.0], 8);
    vec![low, on_low, gap, orphan, high, good, on_good, after_gap]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn documents_that_exchanged_everything_are_equal(actions in actions()) {
        let (mut documents, all) = play(&actions);
        for document in &mut documents {
            let _ = apply(document, &all);
        }
        for document in &documents[1..] {
            prop_assert_eq!(document.heads(), documents[0].heads());
            prop_assert_eq!(document.read(), documents[0].read());
        }
        for document in &documents {
            let loaded = Document::load(ENTITY, Some(&document.save()), []).unwrap();
            prop_assert_eq!(loaded.read(), document.read());
            prop_assert_eq!(loaded.change_count(), document.change_count());
        }
    }

    /// Invariant D7: any order and any portions of deliveries end in the same verdicts and heads.
    #[test]
    fn verdicts_do_not_depend_on_order_or_batching(
        actions in actions(),
        seed in any::<u64>(),
        sizes in prop::collection::vec(1..7usize, 1..5),
        (portion, operations, passed_over) in (1..20_u64, 1..40_u64, 1..60_u64),
    ) {
        let (mut documents, mut all) = play(&actions);
        let _ = apply(&mut documents[0], &all);
        prop_assume!(!all.is_empty());
        all.extend(bad_changes(&documents[0]));
        let (whole, expected) = deliver_in_portions(&all, &[all.len()], UNBOUNDED);
        let mut shuffled = all.clone();
        let mut state = seed;
        for index in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(index, (state >> 33) as usize % (index + 1));
        }
        let effort = Effort { portion_weight_max: portion, weight: operations, failures: 9, passed_over };
        let (portioned, verdicts) = deliver_in_portions(&shuffled, &sizes, effort);
        prop_assert_eq!(portioned.heads(), whole.heads());
        prop_assert_eq!(portioned.read(), whole.read());
        prop_assert_eq!(&verdicts, &expected);
        let quarantined = verdicts.values().filter(|verdict| matches!(verdict, Verdict::Quarantined(_))).count();
        prop_assert_eq!(quarantined, 3);
    }
}
