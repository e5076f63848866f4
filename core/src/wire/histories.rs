//! Made-up histories of several actors in several entities, with every kind of edit.

use crate::change::samples;
use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{AutoCommit, ObjId, ObjType, ROOT, ReadDoc};
use proptest::prelude::*;

/// One step of a history of three actors and three entities.
#[derive(Debug, Clone)]
pub(super) struct Step {
    writer: usize,
    entity: usize,
    edit: Edit,
}

#[derive(Debug, Clone)]
enum Edit {
    Type { field: String, position: usize, delete: usize, insert: String },
    Put { key: String, value: i64, message: bool },
    Delete { key: String },
    Count { by: i64 },
    Mark { name: String, start: usize, end: usize },
    List { position: usize, value: i64, remove: bool },
    Nest { key: String, depth: usize },
    Merge { from: usize },
    Join,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let edit = prop_oneof![
        8 => ("[tu]", 0_usize..30, 0_usize..3, ".{0,4}")
            .prop_map(|(field, position, delete, insert)| Edit::Type { field, position, delete, insert }),
        4 => ("[a-c]", any::<i64>(), any::<bool>()).prop_map(|(key, value, message)| Edit::Put { key, value, message }),
        1 => "[a-c]".prop_map(|key| Edit::Delete { key }),
        2 => (-5_i64..5).prop_map(|by| Edit::Count { by }),
        2 => ("(bold|em)", 0_usize..8, 1_usize..8)
            .prop_map(|(name, start, length)| Edit::Mark { name, start, end: start + length }),
        2 => (0_usize..5, any::<i64>(), any::<bool>())
            .prop_map(|(position, value, remove)| Edit::List { position, value, remove }),
        1 => ("[x-z]", 1_usize..4).prop_map(|(key, depth)| Edit::Nest { key, depth }),
        4 => (0_usize..3).prop_map(|from| Edit::Merge { from }),
        1 => Just(Edit::Join),
    ];
    let step = (0_usize..3, 0_usize..3, edit).prop_map(|(writer, entity, edit)| Step { writer, entity, edit });
    proptest::collection::vec(step, 1..60)
}

fn object(document: &mut AutoCommit, key: &str, kind: ObjType) -> ObjId {
    match document.get(ROOT, key).unwrap() {
        Some((_, object)) => object,
        None => document.put_object(ROOT, key, kind).unwrap(),
    }
}

fn apply(document: &mut AutoCommit, edit: &Edit) {
    match edit {
        Edit::Type { field, position, delete, insert } => {
            let text = object(document, field, ObjType::Text);
            let length = document.length(&text);
            let position = (*position).min(length);
            let delete = (*delete).min(length - position).cast_signed();
            document.splice_text(&text, position, delete, insert).unwrap();
        }
        Edit::Put { key, value, .. } => document.put(ROOT, key, *value).unwrap(),
        Edit::Delete { key } => document.delete(ROOT, key.as_str()).unwrap_or(()),
        Edit::Count { by } => {
            if document.get(ROOT, "count").unwrap().is_none() {
                document.put(ROOT, "count", automerge::ScalarValue::counter(0)).unwrap();
            }
            document.increment(ROOT, "count", *by).unwrap();
        }
        Edit::Mark { name, start, end } => {
            let text = object(document, "t", ObjType::Text);
            if *end <= document.length(&text) {
                document.mark(&text, Mark::new(name.clone(), true, *start, *end), ExpandMark::Both).unwrap();
            }
        }
        Edit::List { position, value, remove } => {
            let list = object(document, "list", ObjType::List);
            let length = document.length(&list);
            let position = (*position).min(length);
            if *remove && position < length {
                document.delete(&list, position).unwrap();
            } else {
                document.insert(&list, position, *value).unwrap();
            }
        }
        Edit::Nest { key, depth } => {
            let mut map = object(document, "map", ObjType::Map);
            for _ in 0..*depth {
                map = match document.get(&map, key.as_str()).unwrap() {
                    Some((_, nested)) => nested,
                    None => document.put_object(&map, key.as_str(), ObjType::Map).unwrap(),
                };
            }
            document.put(&map, "leaf", *depth as i64).unwrap();
        }
        Edit::Merge { .. } | Edit::Join => {}
    }
}

/// The changes that the steps make, each with the index of its entity, in causal order.
pub(super) fn history(steps: &[Step]) -> Vec<(usize, Vec<u8>)> {
    let mut documents: Vec<Vec<AutoCommit>> =
        (0..3).map(|entity| (0..3).map(|writer| samples::document(10 * entity + writer)).collect()).collect();
    let mut changes = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let writers = &mut documents[step.entity];
        if let Edit::Merge { from } = step.edit {
            let mut other = writers[from].clone();
            writers[step.writer].merge(&mut other).unwrap();
            continue;
        }
        let document = &mut writers[step.writer];
        apply(document, &step.edit);
        // The clocks of the writers are hours apart.
        let time = 1_000 * number as i64 - 7_200_000 * step.writer as i64;
        let mut options = CommitOptions::default().with_time(time);
        if matches!(step.edit, Edit::Put { message: true, .. }) {
            options = options.with_message("a message");
        }
        let hash = match step.edit {
            Edit::Join => Some(document.empty_change(options)),
            _ => document.commit_with(options),
        };
        if hash.is_some() {
            changes.push((step.entity, document.get_last_local_change().unwrap().raw_bytes().to_vec()));
        }
    }
    changes
}
