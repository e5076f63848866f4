//! What a journal holds: the structs are the whole schema. What their fields are says how concurrent edits merge.

use afield::{Counter, DeviceId, EntityId, LongText, Schedule, Text, Timestamp, model};
use std::collections::BTreeMap;

/// What is written about a day. Several entries of one day are several entries.
#[model]
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Entry {
    /// The day on the calendar of whoever wrote it, such as `2026-03-14`: days compare as their texts do.
    pub(crate) day: String,
    /// Merges by character.
    pub(crate) title: Text,
    /// From 1 to [`MOOD_MAX`]. One of two that were set without a network wins, and the other is shown as a conflict.
    pub(crate) mood: Option<u8>,
    /// How often each was done: what two devices count adds up.
    pub(crate) activities: BTreeMap<String, Counter>,
    /// Merges by character, also when it has grown long.
    pub(crate) text: LongText,
}

/// The best mood.
pub(crate) const MOOD_MAX: u8 = 5;

/// Questions to be answered again and again.
#[model]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Questionnaire {
    pub(crate) name: String,
    /// When it is due: the library's schedule, kept as its text.
    #[model(with = "afield::typed::as_string", required)]
    pub(crate) schedule: Schedule,
    /// The greatest answer; the least is 0.
    pub(crate) scale: u8,
    pub(crate) questions: Vec<Question>,
}

/// A question; its id stays when its text is changed, and two questions may read the same.
#[model]
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Question {
    #[model(key)]
    pub(crate) id: String,
    pub(crate) text: Text,
}

/// A questionnaire that was filled in.
#[model]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answers {
    #[model(required)]
    pub(crate) questionnaire: EntityId,
    pub(crate) at: Timestamp,
    /// By the ids of the questions.
    pub(crate) values: BTreeMap<String, u8>,
    /// Their sum, for queries.
    pub(crate) total: u32,
}

/// What people call a device, so that histories name it.
#[model]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Device {
    #[model(required)]
    pub(crate) device: DeviceId,
    pub(crate) name: String,
}

/// A mood in a word.
pub(crate) fn mood_in_a_word(mood: u8) -> &'static str {
    match mood {
        1 => "awful",
        2 => "low",
        3 => "fair",
        4 => "good",
        5 => "great",
        _ => "unknown",
    }
}
