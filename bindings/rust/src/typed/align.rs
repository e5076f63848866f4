//! Which elements of a list are the same before and after an edit.

use super::{
    identity::Identity,
    tree::{Content, Element, Node},
};
use afield_core::document::Value;
use std::{
    collections::{HashMap, VecDeque},
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

/// The most comparisons made between elements that nothing identifies, per stretch of changed elements.
///
/// It bounds the time of one edit. A longer stretch is matched in order, if it is as long after the edit as before.
const COMPARISONS_MAX: usize = 65_536;

/// The likeness that one equal part gives, if it says something: enough for two elements to count as alike.
const EQUAL_PART: u64 = 8;

/// Finds the source of each new element.
///
/// Elements match by identity, or by equality where they have none; of these the longest run in order is kept and the
/// rest moved. Between kept elements, those without identity are matched by likeness. Time is O(n log n) in the
/// lengths, and bounded for the last part.
pub(super) fn sources(old: &[Element], new: &[Element]) -> Vec<Source> {
    let mut sources = matched(old, new);
    keep_longest_run(&mut sources);
    match_gaps(old, new, &mut sources);
    sources
}

/// Matches by token: all as moved, for now.
fn matched(old: &[Element], new: &[Element]) -> Vec<Source> {
    let mut places: HashMap<Vec<u8>, VecDeque<usize>> = HashMap::new();
    for (index, element) in old.iter().enumerate() {
        places.entry(token(index, element)).or_default().push_back(index);
    }
    new.iter()
        .enumerate()
        .map(|(index, element)| {
            let place = places.get_mut(&token(index, element)).and_then(VecDeque::pop_front);
            place.map_or(Source::New, Source::Moved)
        })
        .collect()
}

fn token(index: usize, element: &Element) -> Vec<u8> {
    let mut token = Vec::new();
    match &element.identity {
        Some(Identity::Position) => {
            token.push(b'p');
            token.extend_from_slice(&index.to_be_bytes());
        }
        Some(Identity::Key(key)) => {
            token.push(b'k');
            token.extend_from_slice(key);
        }
        None => {
            token.push(b'v');
            element.node.write_token(&mut token);
        }
    }
    token
}

/// Turns the longest increasing run of moved elements into kept ones.
fn keep_longest_run(sources: &mut [Source]) {
    // tails[n] is the position, among the sources, of the smallest last element of a run of length n + 1.
    let mut tails: Vec<(usize, usize)> = Vec::new();
    let mut previous: Vec<Option<usize>> = vec![None; sources.len()];
    for (position, source) in sources.iter().enumerate() {
        let Source::Moved(from) = source else { continue };
        let length = tails.partition_point(|(tail, _)| tail < from);
        if let (Some(link), Some((_, before))) =
            (previous.get_mut(position), length.checked_sub(1).and_then(|last| tails.get(last)))
        {
            *link = Some(*before);
        }
        match tails.get_mut(length) {
            Some(tail) => *tail = (*from, position),
            None => tails.push((*from, position)),
        }
    }
    let mut next = tails.last().map(|(_, position)| *position);
    while let Some(position) = next {
        if let Some(source) = sources.get_mut(position)
            && let Source::Moved(from) = *source
        {
            *source = Source::Kept(from);
        }
        next = previous.get(position).copied().flatten();
    }
}

/// Matches what is left between kept elements by likeness.
fn match_gaps(old: &[Element], new: &[Element], sources: &mut [Source]) {
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
        let olds = free(old, old_start..old_end, |index| used.get(index) == Some(&false));
        let news = free(new, new_start..new_end, |index| sources.get(index) == Some(&Source::New));
        for (from, position) in pairs(&olds, &news) {
            if let Some(source) = sources.get_mut(position) {
                *source = Source::Kept(from);
            }
        }
        (old_start, new_start) = (old_end + 1, new_end + 1);
    }
}

/// The elements in a range that are unmatched and that nothing identifies.
fn free(elements: &[Element], range: Range<usize>, unmatched: impl Fn(usize) -> bool) -> Vec<(usize, &Node)> {
    let length = range.len();
    elements
        .iter()
        .enumerate()
        .skip(range.start)
        .take(length)
        .filter(|(index, element)| element.identity.is_none() && unmatched(*index))
        .map(|(index, element)| (index, &element.node))
        .collect()
}

/// Pairs of elements in order: those alike, with the most likeness in all; between them, where nothing tells, by order
/// if there are as many on both sides.
fn pairs(olds: &[(usize, &Node)], news: &[(usize, &Node)]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let (mut olds_left, mut news_left) = (olds, news);
    let mut last = (0, 0);
    for (i, j) in alike(olds, news).into_iter().chain([(olds.len(), news.len())]) {
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

/// The positions of alike elements in order, with the most likeness in all; none when there are too many to compare.
fn alike(olds: &[(usize, &Node)], news: &[(usize, &Node)]) -> Vec<(usize, usize)> {
    if olds.len().saturating_mul(news.len()) > COMPARISONS_MAX {
        return Vec::new();
    }
    // best[i][j] is the most likeness that olds from i on and news from j on can have.
    let width = news.len() + 1;
    let mut best = vec![0_u64; (olds.len() + 1) * width];
    let at = |best: &[u64], i: usize, j: usize| best.get(i * width + j).copied().unwrap_or(0);
    let alike = |old, new| Some(likeness(old, new)).filter(|likeness| *likeness >= EQUAL_PART);
    for (i, (_, old)) in olds.iter().enumerate().rev() {
        for (j, (_, new)) in news.iter().enumerate().rev() {
            let paired = alike(old, new).map_or(0, |likeness| likeness + at(&best, i + 1, j + 1));
            let value = paired.max(at(&best, i + 1, j)).max(at(&best, i, j + 1));
            if let Some(cell) = best.get_mut(i * width + j) {
                *cell = value;
            }
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while let (Some((_, old)), Some((_, new))) = (olds.get(i), news.get(j)) {
        if alike(old, new).is_some_and(|likeness| at(&best, i, j) == likeness + at(&best, i + 1, j + 1)) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if at(&best, i, j) == at(&best, i + 1, j) {
            i += 1;
        } else {
            j += 1;
        }
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
