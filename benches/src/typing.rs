//! A history typed again into documents of the library, for its changes.

use crate::history::{History, Patch, Transaction};
use crate::report::Progress;
use afield::{EntityId, OperationError, Value};
use afield_core::document::{Document, EditContext, EditError, Incoming, Poisoned};
use afield_core::{ChangeHash, Limits, Now};
use automerge::ActorId;

/// The field that holds the text.
pub const TEXT: &str = "text";
/// The times of two keystrokes are at least so far apart, in milliseconds, and less than twice as far.
const PACE_MS: u64 = 120;
/// When the typing starts: 2026-01-01 in milliseconds since the Unix epoch.
const START_MS: i64 = 1_767_225_600_000;
/// How often somebody who types goes elsewhere: after so many keystrokes.
const JUMP_EVERY: usize = 40;
/// What is typed: about the commonest letters of English.
const LETTERS: &str = "etaoin shrdlu";

/// A keystroke as a change.
#[derive(Debug, Clone)]
pub struct Keystroke {
    /// Who made it.
    pub author: usize,
    /// Its hash.
    pub hash: ChangeHash,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A history as changes.
#[derive(Debug, Clone)]
pub struct Typed {
    /// The entity.
    pub entity: EntityId,
    /// The change that made the entity with its empty text.
    pub root: Vec<Keystroke>,
    /// One change for each transaction, in the order of the history.
    pub keystrokes: Vec<Keystroke>,
}

/// A history cannot be typed again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypingError {
    /// A patch does not fit the text.
    #[error("a patch does not fit the text")]
    Edit(#[from] EditError<OperationError>),
    /// A document does not take the others' changes.
    #[error("a document does not take the others' changes")]
    Apply(#[from] Poisoned),
    /// More authors than there are actors for.
    #[error("a history of too many authors")]
    Authors(#[from] std::num::TryFromIntError),
}

/// Types a history again, each author in a document of its own that holds exactly the parents of what it does next.
///
/// # Errors
///
/// The history contradicts itself.
pub fn type_again(history: &History, mut progress: Option<Progress>) -> Result<Typed, TypingError> {
    let entity = EntityId::from_bytes([0x17; 16]);
    let mut pace = Pace { time_ms: START_MS, state: 7 };
    let mut documents: Vec<Document> = (0..history.authors()).map(|_| Document::new(entity)).collect();
    let mut typed = Typed { entity, root: Vec::new(), keystrokes: Vec::with_capacity(history.transactions.len()) };
    let mut known = vec![0; documents.len()];
    let reaches = history.reaches();
    for (place, (transaction, reach)) in history.transactions.iter().zip(&reaches).enumerate() {
        let Transaction { author, patches, .. } = transaction;
        let (Some(document), Some(known)) = (documents.get_mut(*author), known.get_mut(*author)) else { continue };
        let context = EditContext { fresh: typed.root.is_empty(), ..EditContext::new(actor_of(*author)?, pace.next()) };
        if typed.root.is_empty() {
            let made = document.edit(&context, &Limits::DEFAULT, |edit| edit.put(TEXT, Value::Text(String::new())))?;
            typed.root = keystrokes(*author, made.changes);
        } else if document.change_count() == 0 {
            apply(document, typed.root.iter())?;
        }
        let seen: usize = reach.iter().enumerate().filter(|(other, _)| other != author).map(|(_, seen)| *seen).sum();
        if *known < seen {
            let others = typed.keystrokes.iter().filter(|made| made.author != *author);
            apply(document, others.skip(*known).take(seen - *known))?;
            *known = seen;
        }
        let context = EditContext { fresh: false, ..context };
        let made = document.edit(&context, &Limits::DEFAULT, |edit| {
            patches.iter().try_for_each(|patch| edit.splice_text(TEXT, patch.0, patch.1, &patch.2))
        })?;
        typed.keystrokes.extend(keystrokes(*author, made.changes));
        if let Some(progress) = &mut progress {
            progress.reach(place as u64 + 1);
        }
    }
    progress.into_iter().for_each(Progress::end);
    Ok(typed)
}

/// One person's typing: words at one place, then at another, with corrections.
pub fn steady(keystrokes: usize) -> History {
    let mut pace = Pace { time_ms: START_MS, state: 11 };
    let (mut length, mut position) = (0, 0);
    let mut transactions = Vec::with_capacity(keystrokes);
    for place in 0..keystrokes {
        if place % JUMP_EVERY == 0 {
            position = pace.below(length + 1);
        }
        let is_correction = position > 0 && pace.below(12) == 0;
        let patch = if is_correction {
            position -= 1;
            length -= 1;
            Patch(position, 1, String::new())
        } else {
            let letter = LETTERS.chars().nth(pace.below(LETTERS.len())).unwrap_or(' ');
            position += 1;
            length += 1;
            Patch(position - 1, 0, letter.to_string())
        };
        transactions.push(Transaction {
            parents: place.checked_sub(1).into_iter().collect(),
            author: 0,
            patches: vec![patch],
        });
    }
    History { end: String::new(), transactions }
}

/// Applies keystrokes to a document in one batch, as a replica does.
///
/// # Errors
///
/// The document is poisoned.
pub fn apply<'k>(document: &mut Document, keystrokes: impl Iterator<Item = &'k Keystroke>) -> Result<(), Poisoned> {
    let incoming: Vec<_> = keystrokes.map(|made| Incoming { hash: made.hash, bytes: &made.bytes }).collect();
    document.apply_guarded(&incoming, &Limits::DEFAULT).map(drop)
}

/// The context of an author's next edit.
///
/// # Errors
///
/// There are too many authors.
pub fn actor_of(author: usize) -> Result<ActorId, std::num::TryFromIntError> {
    Ok(ActorId::from([u8::try_from(author)?.wrapping_add(0xa0); 16]))
}

fn keystrokes(author: usize, changes: Vec<afield_core::document::LocalChange>) -> Vec<Keystroke> {
    changes.into_iter().map(|change| Keystroke { author, hash: change.hash, bytes: change.bytes }).collect()
}

/// A fixed generator of times and places.
struct Pace {
    time_ms: i64,
    state: u64,
}

impl Pace {
    fn below(&mut self, end: usize) -> usize {
        // The constants of Knuth's MMIX; the high bits are the good ones.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % end.max(1)
    }

    fn next(&mut self) -> Now {
        self.time_ms += (PACE_MS + self.below(PACE_MS as usize) as u64).cast_signed();
        Now { wall_ms: self.time_ms, monotonic_ms: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keystroke_becomes_one_change_and_the_text_is_that_of_the_patches() {
        let history = steady(200);
        let mut text: Vec<char> = Vec::new();
        for Patch(position, delete, insert) in history.transactions.iter().flat_map(|transaction| &transaction.patches)
        {
            text.splice(*position..position + delete, insert.chars());
        }
        let typed = type_again(&history, None).unwrap();
        assert_eq!((typed.root.len(), typed.keystrokes.len()), (1, 200));
        let mut document = Document::new(typed.entity);
        apply(&mut document, typed.root.iter().chain(&typed.keystrokes)).unwrap();
        assert_eq!(document.read_at(TEXT).unwrap(), Some(Value::Text(text.into_iter().collect())));
    }
}
