//! The tables of a state: lists with what was used last in front, of which the last falls out.

use crate::id::{Collection, EntityId};
use crate::wire::row::place::Place;
use crate::wire::row::shape::Shape;
use automerge::ChangeHash;
use std::collections::VecDeque;
use std::sync::Arc;

/// A list of at most so many entries, what was used last in front. An entry's rank is how many stand before it.
#[derive(Debug)]
pub(super) struct Recent<T> {
    entries: VecDeque<T>,
    maximum: usize,
}

impl<T> Recent<T> {
    pub(super) fn new(maximum: usize) -> Self {
        Self { entries: VecDeque::new(), maximum }
    }

    pub(super) fn find(&self, is_it: impl FnMut(&T) -> bool) -> Option<usize> {
        self.entries.iter().position(is_it)
    }

    pub(super) fn get(&self, rank: usize) -> Option<&T> {
        self.entries.get(rank)
    }

    pub(super) fn get_mut(&mut self, rank: usize) -> Option<&mut T> {
        self.entries.get_mut(rank)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Moves an entry to the front and gives it.
    pub(super) fn use_again(&mut self, rank: usize) -> Option<&mut T> {
        if rank > 0 {
            let entry = self.entries.remove(rank)?;
            self.entries.push_front(entry);
        }
        self.entries.front_mut()
    }

    /// Puts an entry in front; the last falls out when there are too many.
    pub(super) fn insert(&mut self, entry: T) {
        // Before, so that the list never grows beyond its maximum.
        if self.entries.len() >= self.maximum {
            self.entries.pop_back();
        }
        self.entries.push_front(entry);
    }

    /// Lets the last fall out.
    pub(super) fn drop_last(&mut self) {
        self.entries.pop_back();
    }
}

/// What tells one entry of a state from all others that it ever had. 0 is none of them.
pub(super) type Serial = u64;

#[derive(Debug)]
pub(super) struct Entity {
    pub(super) serial: Serial,
    pub(super) id: EntityId,
    pub(super) collection: Arc<Collection>,
}

#[derive(Debug)]
pub(super) struct Actor {
    pub(super) serial: Serial,
    pub(super) id: Arc<[u8]>,
    /// The time of its last change, once it has one.
    pub(super) time_ms: Option<i64>,
}

/// The last change of an actor in an entity.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) entity: Serial,
    pub(super) actor: Serial,
    pub(super) hash: ChangeHash,
    pub(super) max_op: u64,
    pub(super) sequence: u64,
    pub(super) place: Place,
    pub(super) shape: Serial,
}

/// A change that later ones may depend on.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) entity: Serial,
    pub(super) hash: ChangeHash,
    pub(super) max_op: u64,
}

/// A shape with the values of its last row: numbers counted from where [`crate::wire::row::place::RowContext`] says,
/// texts by their serials.
#[derive(Debug)]
pub(super) struct KnownShape {
    pub(super) serial: Serial,
    pub(super) definition: Box<[u8]>,
    pub(super) shape: Arc<Shape>,
    pub(super) last: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Text {
    pub(super) serial: Serial,
    pub(super) bytes: Box<[u8]>,
}
