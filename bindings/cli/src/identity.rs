//! Ids as a person types them.

use crate::failure::Failure;
use crate::text;
use afield::{Collection, DeviceId, EntityId, ReadOnlySpace};
use std::str::FromStr;

/// The fewest characters of an id that count as one: fewer are too easily somebody else's.
const CHARACTERS_MIN: usize = 4;
/// How many characters at the end of an id are random; those before tell mostly when it was made.
const RANDOM_CHARACTERS: usize = 12;

/// An entity's id, or its last few characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartialId(String);

/// The text is no part of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a UUID, or at least its last {CHARACTERS_MIN} hexadecimal digits")]
pub(crate) struct ParsePartialIdError;

impl FromStr for PartialId {
    type Err = ParsePartialIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
        if fits && text.len() >= CHARACTERS_MIN { Ok(Self(text.to_lowercase())) } else { Err(ParsePartialIdError) }
    }
}

impl PartialId {
    /// The id, where all of it was given.
    pub(crate) fn whole(&self) -> Option<EntityId> {
        self.0.parse().ok()
    }

    /// The id that is meant, among the entities of a collection that are not deleted.
    pub(crate) fn find(&self, collection: &Collection<()>) -> Result<EntityId, Failure> {
        self.find_living(collection.name(), || Ok(collection.ids()?), || Ok(collection.deleted()?))
    }

    /// The id that is meant, among the entities of a collection that are not deleted, beside whoever writes.
    pub(crate) fn find_in_view(&self, space: &ReadOnlySpace, collection: &str) -> Result<EntityId, Failure> {
        let deleted = || Ok(space.deleted(collection)?.into_iter().map(|(id, _)| id).collect());
        self.find_living(collection, || Ok(space.ids(collection)?), deleted)
    }

    /// The id that is meant among the living; of a deleted entity it is said that it is one.
    fn find_living(
        &self,
        collection: &str,
        living: impl FnOnce() -> Result<Vec<EntityId>, Failure>,
        deleted: impl FnOnce() -> Result<Vec<EntityId>, Failure>,
    ) -> Result<EntityId, Failure> {
        match self.find_among(collection, living) {
            Err(unknown @ Failure::EntityUnknown { .. }) => match self.find_among(collection, deleted) {
                Ok(id) => Err(Failure::EntityDeleted { collection: collection.to_owned(), id }),
                Err(Failure::EntityUnknown { .. }) => Err(unknown),
                Err(failure) => Err(failure),
            },
            found => found,
        }
    }

    /// The id that is meant, among these of a collection.
    pub(crate) fn find_among(
        &self,
        collection: &str,
        ids: impl FnOnce() -> Result<Vec<EntityId>, Failure>,
    ) -> Result<EntityId, Failure> {
        if let Some(id) = self.whole() {
            return Ok(id);
        }
        let mut found = ids()?;
        found.retain(|id| id.to_string().ends_with(&self.0));
        match found.as_slice() {
            [only] => Ok(*only),
            [] => Err(Failure::EntityUnknown { collection: collection.to_owned() }),
            many => Err(Failure::EntityAmbiguous { collection: collection.to_owned(), count: many.len() }),
        }
    }
}

/// The end of an id that is enough to name it where its neighbours are shown too.
pub(crate) fn short(id: EntityId) -> String {
    end_of(&id.to_string())
}

/// Who did something: a name, this device, or the end of another device's id.
pub(crate) fn who(author: Option<&str>, device: Option<DeviceId>, this: DeviceId) -> String {
    match (author, device) {
        (Some(author), _) => text::printable(author),
        (None, Some(device)) if device == this => "this device".to_owned(),
        (None, Some(device)) => end_of(&device.to_string()),
        (None, None) => "unknown".to_owned(),
    }
}

/// The end of an id of any kind.
pub(crate) fn end_of(id: &str) -> String {
    let start = id.len().saturating_sub(RANDOM_CHARACTERS);
    id.get(start..).unwrap_or(id).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_shortened_to_its_end_but_not_to_a_guess() {
        let whole = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
        assert!(whole.parse::<PartialId>().unwrap().whole().is_some());
        assert_eq!("1D0E".parse::<PartialId>().unwrap(), PartialId("1d0e".to_owned()));
        assert_eq!("d0e".parse::<PartialId>(), Err(ParsePartialIdError));
        assert_eq!("title".parse::<PartialId>(), Err(ParsePartialIdError));
        assert_eq!(short(whole.parse().unwrap()), "5f4a3b2c1d0e");
    }
}
