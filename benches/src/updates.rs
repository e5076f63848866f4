//! Updates of the fields of many small entities by two devices, as changes.

use crate::typing::{Keystroke, TypingError, actor_of, apply};
use afield::{EntityId, Value};
use afield_core::document::{Document, EditContext};
use afield_core::{Limits, Now};

/// How many devices update.
const DEVICES: usize = 2;
/// Two updates are at least so far apart, in milliseconds, and less than ten times as far.
const PACE_MS: usize = 300;
/// When the updates start: 2026-01-01 in milliseconds since the Unix epoch.
const START_MS: u64 = 1_767_225_600_000;

/// An update as a change of an entity.
#[derive(Debug, Clone)]
pub struct Update {
    /// The entity.
    pub entity: EntityId,
    /// The change.
    pub made: Keystroke,
}

/// Makes `entities` entities with a title, a flag and a number, and then `updates` updates of one field of one of them,
/// each after all that came before in that entity.
///
/// # Errors
///
/// The changes contradict each other.
pub fn update_fields(entities: usize, updates: usize) -> Result<Vec<Update>, TypingError> {
    let mut state = 5_u64;
    let mut below = |end: usize| {
        // The constants of Knuth's MMIX; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end.max(1)
    };
    let mut time_ms = START_MS;
    let mut made = Vec::with_capacity(entities + updates);
    let mut documents = Vec::with_capacity(entities);
    for number in 0..entities + updates {
        time_ms += (PACE_MS + below(9 * PACE_MS)) as u64;
        let (author, fresh) = (below(DEVICES), number < entities);
        if fresh {
            let mut random = [0; 10];
            random.iter_mut().for_each(|byte| *byte = below(256) as u8);
            let id = id_of(time_ms, random);
            documents.push((id, [Document::new(id), Document::new(id)], [0; DEVICES], Vec::<Keystroke>::new()));
        }
        let place = if fresh { number } else { below(entities) };
        let (field, value) = (below(3), below(1_000));
        let Some((id, replicas, known, history)) = documents.get_mut(place) else { continue };
        let (Some(document), Some(known)) = (replicas.get_mut(author), known.get_mut(author)) else { continue };
        apply(document, history.iter().skip(*known))?;
        let context = EditContext {
            fresh,
            ..EditContext::new(actor_of(author)?, Now { wall_ms: time_ms as i64, monotonic_ms: 0 })
        };
        let edited = document.edit(&context, &Limits::DEFAULT, |edit| {
            if fresh || field == 0 {
                edit.put("title", Value::Str(format!("task {place}, {value}")))?;
            }
            if fresh || field == 1 {
                edit.put("done", Value::Bool(value % 2 == 0))?;
            }
            if fresh || field == 2 {
                edit.put("count", Value::Int(value as i64))?;
            }
            Ok(())
        })?;
        history.extend(edited.changes.into_iter().map(|change| Keystroke {
            author,
            hash: change.hash,
            bytes: change.bytes,
        }));
        made.extend(
            history
                .iter()
                .skip(*known)
                .filter(|made| made.author == author)
                .cloned()
                .map(|made| Update { entity: *id, made }),
        );
        *known = history.len();
    }
    Ok(made)
}

/// A UUID of version 7.
fn id_of(time_ms: u64, random: [u8; 10]) -> EntityId {
    let mut bytes = [0; 16];
    let time = time_ms.to_be_bytes();
    let all = time.iter().skip(2).chain(&random);
    bytes.iter_mut().zip(all).for_each(|(byte, from)| *byte = *from);
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = 0x70 | *version & 0x0f;
    *variant = 0x80 | *variant & 0x3f;
    EntityId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_update_is_a_change_that_applies_to_its_entity() {
        let made = update_fields(5, 100).unwrap();
        assert!(made.len() > 80);
        let ids: std::collections::BTreeSet<EntityId> = made.iter().map(|update| update.entity).collect();
        assert_eq!(ids.len(), 5);
        for id in ids {
            let mut document = Document::new(id);
            let own: Vec<_> = made.iter().filter(|update| update.entity == id).map(|update| &update.made).collect();
            apply(&mut document, own.iter().copied()).unwrap();
            assert_eq!(document.change_count(), own.len() as u64);
        }
    }
}
