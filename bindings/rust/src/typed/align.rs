//! Which elements of a list are the same before and after an edit.

use super::{
    identity::Identity,
    tree::{Content, Element, Node},
};
use afield_core::document::{
    Value,
    sequence::{alike, differing, longest_chain},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem::discriminant,
    ops::Range,
};

/// Where an element of the new list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The old element with this index, edited in place. Kept elements keep their order.
    Kept(usize),
    /// The old element with this index, at another place among the kept ones.
    Moved(usize),
    /// Nowhere: it is inserted.
    New,
}

/// The most pairs of equal elements among which the order that keeps the most is looked for.
///
/// It bounds the time and memory of one edit, 24 bytes a pair. Beyond it, each element is paired with one only.
const EQUAL_PAIRS_MAX: usize = 262_144;

/// The likeness that one equal part gives, if it says something: enough for two elements to count as alike.
const EQUAL_PART: u64 = 8;

/// Finds the source of each new element.
///
/// Elements match by identity, or by equality where they have none. Of these, those at the beginning and the end stay
/// where they are, and between them the most that keep their order; only what is left has moved. Between kept
/// elements, those without identity are matched by likeness. Time is O(n log n) in the lengths where few are equal,
/// and bounded for the rest.
pub(super) fn sources(old: &[Element], new: &[Element]) -> Vec<Source> {
    let known = Known::of(old);
    let tokens = |elements: &[Element]| -> Vec<Vec<u8>> {
        elements.iter().enumerate().map(|(index, element)| token(index, element, &known)).collect()
    };
    let (old_tokens, new_tokens) = (tokens(old), tokens(new));
    let (old_middle, new_middle) = differing(&old_tokens, &new_tokens, |old, new| old == new);
    let behind = old_middle.end..old.len();
    let mut sources: Vec<Source> = (0..old_middle.start).map(Source::Kept).collect();
    sources.extend(between(&old_tokens, old_middle, &new_tokens, new_middle));
    sources.extend(behind.map(Source::Kept));
    match_gaps(old, new, &known, &mut sources);
    sources
}

/// Matches by token between a common beginning and end.
fn between(old: &[Vec<u8>], old_range: Range<usize>, new: &[Vec<u8>], new_range: Range<usize>) -> Vec<Source> {
    let mut places: HashMap<&[u8], VecDeque<usize>> = HashMap::new();
    for (index, token) in old.iter().enumerate().take(old_range.end).skip(old_range.start) {
        places.entry(token).or_default().push_back(index);
    }
    let new: Vec<&[u8]> = new.get(new_range).unwrap_or_default().iter().map(Vec::as_slice).collect();
    let equal = |token: &&[u8]| places.get(*token).map_or(0, VecDeque::len);
    let kept = if new.iter().map(equal).sum::<usize>() <= EQUAL_PAIRS_MAX {
        let of = |token: &&[u8]| places.get(*token).into_iter().flatten().rev().copied();
        longest_chain(new.iter().enumerate().flat_map(|(position, token)| of(token).map(move |from| (from, position))))
    } else {
        let mut free = places.clone();
        let first = |token: &&[u8]| free.get_mut(*token).and_then(VecDeque::pop_front);
        let firsts: Vec<Option<usize>> = new.iter().map(first).collect();
        longest_chain(firsts.into_iter().enumerate().filter_map(|(position, from)| Some((from?, position))))
    };
    let mut sources = vec![Source::New; new.len()];
    let mut used = HashSet::new();
    for (from, position) in kept {
        used.insert(from);
        if let Some(source) = sources.get_mut(position) {
            *source = Source::Kept(from);
        }
    }
    for (source, token) in sources.iter_mut().zip(new).filter(|(source, _)| **source == Source::New) {
        let Some(places) = places.get_mut(token) else { continue };
        places.retain(|place| !used.contains(place));
        if let Some(from) = places.pop_front() {
            *source = Source::Moved(from);
        }
    }
    sources
}

/// What elements are known by, in a list that may have some that are older than their key.
struct Known<'e> {
    /// The keys that the document holds, if it lacks others: new elements with another key may be those without.
    keys: Option<HashSet<&'e [u8]>>,
}

impl<'e> Known<'e> {
    fn of(old: &'e [Element]) -> Self {
        let is_unknown = |element: &Element| element.identity == Some(Identity::Unknown);
        let keys = |element: &'e Element| match &element.identity {
            Some(Identity::Key { token, .. }) => Some(token.as_slice()),
            _ => None,
        };
        Self { keys: old.iter().any(is_unknown).then(|| old.iter().filter_map(keys).collect()) }
    }

    /// The identity of an element, unless it is one by which no old element is known.
    fn identity<'i>(&self, element: &'i Element) -> Option<&'i Identity> {
        element.identity.as_ref().filter(|identity| match identity {
            Identity::Position => true,
            Identity::Key { token, .. } => self.keys.as_ref().is_none_or(|keys| keys.contains(token.as_slice())),
            Identity::Unknown => false,
        })
    }
}

fn token(index: usize, element: &Element, known: &Known<'_>) -> Vec<u8> {
    let mut token = Vec::new();
    match known.identity(element) {
        Some(Identity::Position) => {
            token.push(b'p');
            token.extend_from_slice(&index.to_be_bytes());
        }
        Some(Identity::Key { token: key, .. }) => {
            token.push(b'k');
            token.extend_from_slice(key);
        }
        Some(Identity::Unknown) | None => {
            token.push(b'v');
            element.node.write_token(&mut token);
        }
    }
    token
}

/// Matches what is left between kept elements by likeness.
fn match_gaps(old: &[Element], new: &[Element], known: &Known<'_>, sources: &mut [Source]) {
    let mut used = vec![false; old.len()];
    for source in sources.iter() {
        if let Source::Kept(from) | Source::Moved(from) = source
            && let Some(used) = used.get_mut(*from)
        {
            *used = true;
        }
    }
    let mut ends: Vec<(usize, usize)> = Vec::new();
    for (position, source) in sources.iter().enumerate() {
        if let Source::Kept(from) = source {
            ends.push((*from, position));
        }
    }
    ends.push((old.len(), new.len()));

    let (mut old_start, mut new_start) = (0, 0);
    for (old_end, new_end) in ends {
        let olds = free(old, old_start..old_end, known, |index| used.get(index) == Some(&false));
        let news = free(new, new_start..new_end, known, |index| sources.get(index) == Some(&Source::New));
        for (from, position) in pairs(&olds, &news) {
            if let Some(source) = sources.get_mut(position) {
                *source = Source::Kept(from);
            }
        }
        (old_start, new_start) = (old_end + 1, new_end + 1);
    }
}

/// The elements in a range that are unmatched and that nothing identifies.
fn free<'e>(
    elements: &'e [Element],
    range: Range<usize>,
    known: &Known<'_>,
    unmatched: impl Fn(usize) -> bool,
) -> Vec<(usize, &'e Node)> {
    let length = range.len();
    elements
        .iter()
        .enumerate()
        .skip(range.start)
        .take(length)
        .filter(|(index, element)| known.identity(element).is_none() && unmatched(*index))
        .map(|(index, element)| (index, &element.node))
        .collect()
}

/// Pairs of elements in order: those alike, with the most likeness in all; between them, where nothing tells, by order
/// if there are as many on both sides.
fn pairs(olds: &[(usize, &Node)], news: &[(usize, &Node)]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let (mut olds_left, mut news_left) = (olds, news);
    let mut last = (0, 0);
    let alikeness = |i: usize, j: usize| match (olds.get(i), news.get(j)) {
        (Some((_, old)), Some((_, new))) => Some(likeness(old, new)).filter(|alike| *alike >= EQUAL_PART).unwrap_or(0),
        _ => 0,
    };
    for (i, j) in alike(olds.len(), news.len(), alikeness).into_iter().chain([(olds.len(), news.len())]) {
        let (old_gap, rest) = olds_left.split_at(i - last.0);
        let (new_gap, new_rest) = news_left.split_at(j - last.1);
        if old_gap.len() == new_gap.len() {
            let by_order = old_gap.iter().zip(new_gap).filter(|((_, old), (_, new))| likeness(old, new) > 0);
            pairs.extend(by_order.map(|((from, _), (position, _))| (*from, *position)));
        }
        if let (Some(((from, _), olds)), Some(((position, _), news))) = (rest.split_first(), new_rest.split_first()) {
            pairs.push((*from, *position));
            (olds_left, news_left) = (olds, news);
        }
        last = (i + 1, j + 1);
    }
    pairs
}

/// How alike two values are; 0 when one cannot be edited into the other.
fn likeness(old: &Node, new: &Node) -> u64 {
    match (&old.content, &new.content) {
        (Content::Map(old), Content::Map(new)) => {
            let common = old.iter().filter_map(|(key, old)| new.get(key).map(|new| (old, new)));
            1 + common.map(|(old, new)| entry_likeness(old, new)).sum::<u64>()
        }
        (Content::List(old), Content::List(new)) => {
            1 + old.iter().zip(new).map(|(old, new)| entry_likeness(&old.node, &new.node)).sum::<u64>()
        }
        (Content::Leaf(old), Content::Leaf(new)) => u64::from(may_become(old, new)),
        _ => 0,
    }
}

/// Equal parts that say something count most, since a default is alike everywhere.
fn entry_likeness(old: &Node, new: &Node) -> u64 {
    match (old.same(new), old.is_empty()) {
        (true, false) => EQUAL_PART,
        (true, true) => 2,
        (false, _) if old.is_container() => likeness(old, new),
        (false, _) => 1,
    }
}

fn may_become(old: &Value, new: &Value) -> bool {
    discriminant(old) == discriminant(new)
}
