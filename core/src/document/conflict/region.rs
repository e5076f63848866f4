//! The changes that can be part of a conflict: those to which another one is concurrent.

use crate::change::is_derived;
use automerge::legacy::OpType;
use automerge::{Automerge, Change, ChangeHash, ChangeMetadata, ExpandedChange, ReadDoc, ScalarValue};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// From how many changes on that begin what is new, the whole history is looked at instead.
const ROOTS_MAX: usize = 16;

/// Changes of a document such that whatever is concurrent to one of them, and may be in conflict with it, is among them; with
/// every change, those that rest on it.
pub(super) struct Region {
    pub(super) changes: Vec<Member>,
    index: BTreeMap<ChangeHash, usize>,
    /// Who rests on each change directly.
    followers: Vec<Vec<usize>>,
    pasts: RefCell<BTreeMap<usize, Rc<Past>>>,
}

/// A change of a region.
pub(super) struct Member {
    pub(super) hash: ChangeHash,
    pub(super) time_ms: i64,
    /// What it does; nothing where it only creates what is the same on every device.
    pub(super) content: Option<ExpandedChange>,
    /// What it creates, where it does nothing else.
    pub(super) creation: Option<ExpandedChange>,
    /// Those of its dependencies that are in the region.
    dependencies: Vec<usize>,
}

/// Some of the changes of a region, such as those that a change depends on, directly or indirectly, itself included: a bit for each.
pub(super) struct Past(Vec<u64>);

/// What those had seen who made some changes, and who has seen them.
///
/// It costs as much as the region is large, and as much again for each of the changes that none of the others has seen, however
/// many are asked about; the past of every one of those is never made.
pub(super) struct Sight {
    seen: Past,
    latest: Vec<Past>,
}

impl Sight {
    /// Whether one of those who made the changes had seen another change, or made it.
    pub(super) fn has(&self, change: usize) -> bool {
        self.seen.has(change)
    }

    /// Whether who made another change had seen all of them.
    pub(super) fn is_known_to(&self, change: usize) -> bool {
        self.latest.iter().all(|after| after.has(change))
    }
}

impl Past {
    pub(super) fn has(&self, change: usize) -> bool {
        self.0.get(change / 64).is_some_and(|word| word >> (change % 64) & 1 == 1)
    }

    /// Adds a change; says whether it was not there.
    fn add(&mut self, change: usize) -> bool {
        let Some(word) = self.0.get_mut(change / 64) else { return false };
        let before = *word;
        *word |= 1 << (change % 64);
        before != *word
    }
}

impl Region {
    /// All that may be concurrent to anything: everything behind the longest beginning to which nothing is.
    pub(super) fn of(engine: &Automerge) -> Self {
        let metas = engine.get_changes_meta(&[]);
        let creations = Creations::among(engine, &metas);
        match last_common(&metas, &creations) {
            Common::Everything => Self::from_changes(Vec::new(), creations),
            Common::Upto(hash) => Self::from_changes(engine.get_changes(&[hash]), creations),
            Common::Nothing => Self::from_changes(engine.get_changes(&[]), creations),
        }
    }

    /// All that is concurrent to a change that was not there yet when the document had these heads.
    pub(super) fn since(engine: &Automerge, heads: &[ChangeHash]) -> Self {
        let metas = engine.get_changes_meta(heads);
        let creations = Creations::among(engine, &engine.get_changes_meta(&[]));
        let new: BTreeSet<ChangeHash> = metas.iter().map(|change| change.hash).collect();
        let is_ordinary = |hash: &ChangeHash| !creations.0.contains_key(hash);
        let roots: Vec<Vec<ChangeHash>> = metas
            .iter()
            .filter(|change| is_ordinary(&change.hash))
            .filter(|change| !change.deps.iter().any(|hash| new.contains(hash) && is_ordinary(hash)))
            .map(|change| change.deps.iter().filter(|hash| !new.contains(hash)).copied().collect())
            .collect();
        if roots.len() > ROOTS_MAX {
            return Self::of(engine);
        }
        let distinct: BTreeSet<Vec<ChangeHash>> = roots.into_iter().collect();
        let (mut seen, mut changes) = (BTreeSet::new(), Vec::new());
        for dependencies in &distinct {
            let behind = engine.get_changes(dependencies);
            changes.extend(behind.into_iter().filter(|change| seen.insert(change.hash())));
        }
        Self::from_changes(changes, creations)
    }

    /// A region of these changes and of all creations: what several of them create at one place differs.
    fn from_changes(mut changes: Vec<Change>, mut creations: Creations) -> Self {
        changes.retain(|change| !creations.0.contains_key(&change.hash()));
        let ordinary = changes.len();
        changes.extend(creations.0.values().map(|content| Change::from(content.clone())));
        let index: BTreeMap<ChangeHash, usize> =
            changes.iter().enumerate().map(|(number, change)| (change.hash(), number)).collect();
        let member = |(number, change): (usize, Change)| Member {
            hash: change.hash(),
            time_ms: change.timestamp(),
            content: (number < ordinary).then(|| change.decode()),
            creation: creations.0.remove(&change.hash()),
            dependencies: change.deps().iter().filter_map(|hash| index.get(hash).copied()).collect(),
        };
        let changes: Vec<Member> = changes.into_iter().enumerate().map(member).collect();
        let mut followers = vec![Vec::new(); changes.len()];
        for (number, member) in changes.iter().enumerate() {
            for dependency in &member.dependencies {
                if let Some(followers) = followers.get_mut(*dependency) {
                    followers.push(number);
                }
            }
        }
        Self { changes, index, followers, pasts: RefCell::default() }
    }

    /// Where an ordinary change stands in the region.
    pub(super) fn find(&self, hash: &ChangeHash) -> Option<usize> {
        let number = self.index.get(hash).copied()?;
        self.changes.get(number).filter(|change| change.content.is_some()).map(|_| number)
    }

    /// What a change rests on, itself included.
    pub(super) fn past(&self, change: usize) -> Rc<Past> {
        if let Some(past) = self.pasts.borrow().get(&change) {
            return Rc::clone(past);
        }
        let past = self.walk([change], |change| self.dependencies(change));
        let past = Rc::new(past);
        self.pasts.borrow_mut().insert(change, Rc::clone(&past));
        past
    }

    /// What some changes rest on: themselves only where others of them rest on them.
    pub(super) fn before(&self, changes: &BTreeSet<usize>) -> Past {
        let dependencies = changes.iter().flat_map(|change| self.dependencies(*change)).copied();
        self.walk(dependencies, |change| self.dependencies(change))
    }

    /// What those had seen who made some changes, and who has seen them.
    pub(super) fn sight(&self, changes: &BTreeSet<usize>) -> Sight {
        let mut seen = self.before(changes);
        let after =
            |change: &usize| self.walk([*change], |change| self.followers.get(change).map_or(&[], Vec::as_slice));
        let latest = changes.iter().filter(|change| !seen.has(**change)).map(after).collect();
        for change in changes {
            seen.add(*change);
        }
        Sight { seen, latest }
    }

    fn dependencies(&self, change: usize) -> &[usize] {
        self.changes.get(change).map_or(&[], |member| &member.dependencies)
    }

    /// All that is reached from some changes, themselves included.
    fn walk<'r>(&self, from: impl IntoIterator<Item = usize>, next: impl Fn(usize) -> &'r [usize]) -> Past {
        let mut reached = Past(vec![0; self.changes.len().div_ceil(64)]);
        let mut stack: Vec<usize> = from.into_iter().collect();
        while let Some(change) = stack.pop() {
            if reached.add(change) {
                stack.extend(next(change));
            }
        }
        reached
    }

    /// Whether neither of two changes knew of the other.
    pub(super) fn are_concurrent(&self, one: usize, other: usize) -> bool {
        one != other && !self.past(one).has(other) && !self.past(other).has(one)
    }

    /// The latest of some changes by their own clocks; by their hashes where these are the same.
    pub(super) fn latest(&self, changes: impl IntoIterator<Item = usize>) -> Option<&Member> {
        let members = changes.into_iter().filter_map(|change| self.changes.get(change));
        members.max_by_key(|member| (member.time_ms, member.hash))
    }
}

/// The changes that do nothing but create a container as every device would.
struct Creations(BTreeMap<ChangeHash, ExpandedChange>);

impl Creations {
    fn among(engine: &Automerge, metas: &[ChangeMetadata<'_>]) -> Self {
        let candidates = metas.iter().filter(|change| {
            is_derived(change.actor.to_bytes()) && change.max_op == change.start_op && change.deps.len() <= 1
        });
        let hashes = candidates.map(|change| change.hash);
        let decoded = |hash: ChangeHash| Some((hash, engine.get_change_by_hash(&hash)?.decode()));
        Self(hashes.filter_map(decoded).filter(|(_, content)| creates(content)).collect())
    }
}

fn creates(content: &ExpandedChange) -> bool {
    let [operation] = content.operations.as_slice() else { return false };
    let makes = match &operation.action {
        OpType::Make(_) => true,
        OpType::Put(ScalarValue::Counter(count)) => i64::from(count) == 0,
        _ => false,
    };
    makes && operation.key.is_map_key() && operation.pred.is_empty()
}

/// How far a history goes without anything concurrent.
enum Common {
    Everything,
    Upto(ChangeHash),
    Nothing,
}

/// Finds the last change to which none is concurrent, such that this holds for all before it, too.
fn last_common(metas: &[ChangeMetadata<'_>], creations: &Creations) -> Common {
    let ordinary: Vec<_> = metas.iter().filter(|change| !creations.0.contains_key(&change.hash)).collect();
    let places: BTreeMap<ChangeHash, usize> =
        ordinary.iter().enumerate().map(|(place, change)| (change.hash, place)).collect();
    let mut common = ordinary.len();
    for (place, change) in ordinary.iter().enumerate().skip(1) {
        let known = change.deps.iter().filter_map(|hash| places.get(hash).copied());
        let (mut lowest, mut follows) = (None::<usize>, false);
        for dependency in known {
            lowest = Some(lowest.map_or(dependency, |lowest| lowest.min(dependency)));
            follows |= dependency + 1 == place;
        }
        if !follows {
            common = common.min(lowest.map_or(0, |lowest| lowest + 1));
        }
    }
    if common == ordinary.len() {
        return Common::Everything;
    }
    common.checked_sub(1).and_then(|last| ordinary.get(last)).map_or(Common::Nothing, |last| Common::Upto(last.hash))
}
