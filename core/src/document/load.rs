//! Building a document from what this device has stored of it.

use super::effort::PORTION_WEIGHT_MAX;
use super::error::LoadError;
use super::save::Verified;
use super::{Incoming, engine};
use crate::change::ChangeHeader;
use crate::limits::Limits;
use automerge::{Automerge, Change, ChangeHash, ReadDoc};
use std::collections::{BTreeMap, BTreeSet};

/// Loads a snapshot and adds changes in portions, since what a change expands to may take a thousand times its bytes.
pub(super) fn load<'b>(
    snapshot: Option<&[u8]>,
    incoming: impl Iterator<Item = Incoming<'b>>,
) -> Result<(Automerge, Verified), LoadError> {
    let mut engine = match snapshot {
        Some([]) => return Err(LoadError::EmptySnapshot),
        Some(bytes) => engine::load(bytes).map_err(LoadError::Snapshot)?,
        None => engine::empty(),
    };
    let verified = Verified::at(&engine);
    let mut changes = BTreeMap::new();
    for Incoming { hash, bytes } in incoming {
        let change = Change::try_from(bytes).map_err(|source| LoadError::Change { hash, source })?;
        if change.hash() != hash || !engine::checksum_fits(bytes, &hash) {
            return Err(LoadError::WrongHash { hash });
        }
        if !engine::holds(&engine, &hash) {
            changes.insert(hash, change);
        }
    }
    let (mut portion, mut weight) = (Vec::new(), 0);
    for change in in_causal_order(changes) {
        let header = ChangeHeader::read(change.raw_bytes(), &Limits::DEFAULT);
        let more = header.map_or(change.len() as u64, |header| header.weight());
        if weight + more > PORTION_WEIGHT_MAX {
            engine.apply_changes(std::mem::take(&mut portion)).map_err(LoadError::Apply)?;
            weight = 0;
        }
        weight += more;
        portion.push(change);
    }
    engine.apply_changes(portion).map_err(LoadError::Apply)?;
    let missing = engine.get_missing_deps(&[]);
    if missing.is_empty() { Ok((engine, verified)) } else { Err(LoadError::MissingDependencies { missing }) }
}

/// Puts each change after those of them that it depends on, so that none waits inside the engine for a later portion.
fn in_causal_order(mut changes: BTreeMap<ChangeHash, Change>) -> Vec<Change> {
    let mut dependents: BTreeMap<ChangeHash, Vec<ChangeHash>> = BTreeMap::new();
    let mut counts: BTreeMap<ChangeHash, usize> = BTreeMap::new();
    let mut free = Vec::new();
    for (hash, change) in &changes {
        let dependencies: BTreeSet<&ChangeHash> =
            change.deps().iter().filter(|dependency| changes.contains_key(dependency)).collect();
        if dependencies.is_empty() {
            free.push(*hash);
        } else {
            counts.insert(*hash, dependencies.len());
        }
        dependencies.into_iter().for_each(|dependency| dependents.entry(*dependency).or_default().push(*hash));
    }
    let mut ordered = Vec::with_capacity(changes.len());
    while let Some(hash) = free.pop() {
        ordered.extend(changes.remove(&hash));
        for dependent in dependents.remove(&hash).unwrap_or_default() {
            if let Some(count) = counts.get_mut(&dependent) {
                *count -= 1;
                if *count == 0 {
                    free.push(dependent);
                }
            }
        }
    }
    ordered
}
