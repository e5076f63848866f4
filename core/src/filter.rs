//! Which entities of a space a device asks for.

use crate::id::{Collection, EntityId};
use crate::limits::{FILTER_COLLECTIONS_MAX, FILTER_ENTITIES_MAX};
use std::collections::BTreeSet;

/// Which entities of a space a device asks the relay for. Whatever it is, the device's own edits are sent.
///
/// ```
/// use afield_core::filter::Filter;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let filter = Filter::collections(["notes".parse()?]).announcing(["photos".parse()?]);
/// assert!(filter.is_within_limits());
/// assert!(filter != Filter::Everything && filter != Filter::nothing());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Filter {
    /// All of it.
    #[default]
    Everything,
    /// What is named, and nothing else.
    Only(Selection),
    /// What is in none of these collections; of which there is at least one ([`Filter::without`]).
    AllBut(BTreeSet<Collection>),
}

/// Collections and single entities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Collections of which every entity is wanted, those made later included.
    pub collections: BTreeSet<Collection>,
    /// Entities that are wanted whatever their collection.
    pub entities: BTreeSet<EntityId>,
    /// Collections of which the ids of entities are wanted and not what they hold.
    pub announced: BTreeSet<Collection>,
}

impl Filter {
    /// Nothing from others: the device sends only.
    ///
    /// ```
    /// use afield_core::filter::{Filter, Selection};
    ///
    /// assert_eq!(Filter::nothing(), Filter::Only(Selection::default()));
    /// ```
    pub fn nothing() -> Self {
        Self::Only(Selection::default())
    }

    /// Every entity of these collections.
    ///
    /// ```
    /// use afield_core::Filter;
    ///
    /// let filter = Filter::collections(["notes".parse()?, "tasks".parse()?]); // and no photos
    /// assert!(filter.includes_all_of(&"notes".parse()?) && !filter.includes_all_of(&"photos".parse()?));
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    pub fn collections(collections: impl IntoIterator<Item = Collection>) -> Self {
        Self::Only(Selection { collections: collections.into_iter().collect(), ..Selection::default() })
    }

    /// These entities as well.
    ///
    /// ```
    /// use afield_core::{EntityId, Filter};
    ///
    /// let cover = EntityId::from_bytes([7; 16]);
    /// let filter = Filter::collections(["notes".parse()?]).entities([cover]);
    /// assert!(filter.includes(cover, &"photos".parse()?)); // and no other photo
    /// assert!(!filter.includes_all_of(&"photos".parse()?));
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    #[must_use]
    pub fn entities(mut self, entities: impl IntoIterator<Item = EntityId>) -> Self {
        if let Self::Only(selection) = &mut self {
            selection.entities.extend(entities);
        }
        self
    }

    /// The ids of entities of these collections as well, so that they can be listed and fetched one by one.
    ///
    /// ```
    /// use afield_core::Filter;
    ///
    /// let filter = Filter::collections(["notes".parse()?]).announcing(["photos".parse()?]);
    /// assert!(filter.announces(&"photos".parse()?));
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    #[must_use]
    pub fn announcing(mut self, collections: impl IntoIterator<Item = Collection>) -> Self {
        if let Self::Only(selection) = &mut self {
            selection.announced.extend(collections);
        }
        self
    }

    /// The same without some collections. An entity that is named by itself stays named: in which collection it is, a filter
    /// does not know.
    ///
    /// ```
    /// use afield_core::Filter;
    /// use std::collections::BTreeSet;
    ///
    /// let drafts = BTreeSet::from(["drafts".parse()?]);
    /// let filter = Filter::Everything.without(&drafts);
    /// assert_eq!(filter, Filter::AllBut(drafts));
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    #[must_use]
    pub fn without(self, collections: &BTreeSet<Collection>) -> Self {
        if collections.is_empty() {
            return self;
        }
        match self {
            Self::Everything => Self::AllBut(collections.clone()),
            Self::AllBut(but) => Self::AllBut(but.union(collections).cloned().collect()),
            Self::Only(mut selection) => {
                selection.collections.retain(|collection| !collections.contains(collection));
                selection.announced.retain(|collection| !collections.contains(collection));
                Self::Only(selection)
            }
        }
    }

    /// Whether an entity is wanted.
    ///
    /// ```
    /// use afield_core::{Collection, EntityId, Filter};
    ///
    /// let (notes, photos): (Collection, Collection) = ("notes".parse()?, "photos".parse()?);
    /// let filter = Filter::collections([notes.clone()]);
    /// let entity = EntityId::from_bytes([7; 16]);
    /// assert!(filter.includes(entity, &notes) && !filter.includes(entity, &photos));
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    pub fn includes(&self, entity: EntityId, collection: &Collection) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(selection) => selection.includes(entity, collection),
            Self::AllBut(but) => !but.contains(collection),
        }
    }

    /// Whether every entity of a collection is wanted.
    ///
    /// ```
    /// use afield_core::{EntityId, Filter};
    ///
    /// let filter = Filter::nothing().entities([EntityId::from_bytes([7; 16])]);
    /// assert!(!filter.includes_all_of(&"notes".parse()?)); // one at the most
    /// assert!(Filter::Everything.includes_all_of(&"notes".parse()?));
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    pub fn includes_all_of(&self, collection: &Collection) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(selection) => selection.collections.contains(collection),
            Self::AllBut(but) => !but.contains(collection),
        }
    }

    /// Whether the id of an entity that is not wanted is.
    ///
    /// ```
    /// use afield_core::Filter;
    ///
    /// let filter = Filter::nothing().announcing(["photos".parse()?]);
    /// assert!(filter.announces(&"photos".parse()?) && !filter.announces(&"notes".parse()?));
    /// assert!(!Filter::Everything.announces(&"photos".parse()?)); // every photo itself is wanted
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    pub fn announces(&self, collection: &Collection) -> bool {
        match self {
            Self::Everything | Self::AllBut(_) => false,
            Self::Only(selection) => selection.announced.contains(collection),
        }
    }

    /// Adds what another filter asks for.
    ///
    /// ```
    /// use afield_core::Filter;
    ///
    /// let mut filter = Filter::collections(["notes".parse()?]);
    /// filter.widen(&Filter::collections(["tasks".parse()?]));
    /// assert_eq!(filter, Filter::collections(["notes".parse()?, "tasks".parse()?]));
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    pub fn widen(&mut self, by: &Self) {
        match (&mut *self, by) {
            (Self::Everything, _) => {}
            (_, Self::Everything) => *self = Self::Everything,
            (Self::Only(selection), Self::Only(more)) => {
                selection.collections.extend(more.collections.iter().cloned());
                selection.entities.extend(more.entities.iter().copied());
                selection.announced.extend(more.announced.iter().cloned());
            }
            (Self::AllBut(but), by) => {
                but.retain(|collection| !by.includes_all_of(collection));
                if but.is_empty() {
                    *self = Self::Everything;
                }
            }
            (Self::Only(_), Self::AllBut(_)) => {
                let mut wider = by.clone();
                wider.widen(self);
                *self = wider;
            }
        }
    }

    /// How many entities are named one by one.
    ///
    /// ```
    /// use afield_core::{EntityId, Filter};
    ///
    /// let filter = Filter::nothing().entities([EntityId::from_bytes([7; 16]), EntityId::from_bytes([8; 16])]);
    /// assert_eq!(filter.entity_count(), 2);
    /// ```
    pub fn entity_count(&self) -> usize {
        match self {
            Self::Everything | Self::AllBut(_) => 0,
            Self::Only(selection) => selection.entities.len(),
        }
    }

    /// Whether no list is longer than the protocol allows.
    ///
    /// ```
    /// use afield_core::limits::FILTER_ENTITIES_MAX;
    /// use afield_core::{EntityId, Filter};
    ///
    /// let ids = (0..=FILTER_ENTITIES_MAX as u128).map(|number| EntityId::from_bytes(number.to_be_bytes()));
    /// assert!(!Filter::nothing().entities(ids).is_within_limits()); // who wants so many names their collection
    /// assert!(Filter::Everything.is_within_limits());
    /// ```
    pub fn is_within_limits(&self) -> bool {
        match self {
            Self::Everything => true,
            Self::AllBut(but) => but.len() <= FILTER_COLLECTIONS_MAX,
            Self::Only(Selection { collections, entities, announced }) => {
                collections.len().max(announced.len()) <= FILTER_COLLECTIONS_MAX
                    && entities.len() <= FILTER_ENTITIES_MAX
            }
        }
    }
}

impl Selection {
    /// Whether an entity is wanted.
    ///
    /// ```
    /// use afield_core::EntityId;
    /// use afield_core::filter::Selection;
    ///
    /// let cover = EntityId::from_bytes([7; 16]);
    /// let selection = Selection { entities: [cover].into(), ..Selection::default() };
    /// assert!(selection.includes(cover, &"photos".parse()?));
    /// assert!(!selection.includes(EntityId::from_bytes([8; 16]), &"photos".parse()?));
    /// # Ok::<(), afield_core::id::ParseCollectionError>(())
    /// ```
    pub fn includes(&self, entity: EntityId, collection: &Collection) -> bool {
        self.collections.contains(collection) || self.entities.contains(&entity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Collection {
        text.parse().unwrap()
    }

    #[test]
    fn a_filter_includes_collections_single_entities_and_nothing_else() {
        let (one, two) = (EntityId::from_bytes([1; 16]), EntityId::from_bytes([2; 16]));
        let filter = Filter::collections([name("notes")]).entities([one]).announcing([name("photos")]);
        assert!(filter.includes(two, &name("notes")) && filter.includes(one, &name("photos")));
        assert!(!filter.includes(two, &name("photos")) && filter.announces(&name("photos")));
        assert!(!filter.announces(&name("notes")));
        assert!(Filter::Everything.includes(two, &name("photos")));
        assert!(!Filter::nothing().includes(two, &name("photos")));
    }

    #[test]
    fn widening_loses_nothing_and_everything_stays_everything() {
        let one = EntityId::from_bytes([1; 16]);
        let mut filter = Filter::collections([name("notes")]);
        filter.widen(&Filter::collections([name("photos")]).entities([one]));
        assert_eq!(filter, Filter::collections([name("notes"), name("photos")]).entities([one]));
        filter.widen(&Filter::Everything);
        assert_eq!(filter, Filter::Everything);
        filter.widen(&Filter::nothing());
        assert_eq!(filter, Filter::Everything);
    }

    #[test]
    fn all_but_some_collections_is_everything_else_and_widens_to_what_either_side_wants() {
        let one = EntityId::from_bytes([1; 16]);
        let (notes, photos) = (name("notes"), name("photos"));
        let but = |names: &[&Collection]| {
            Filter::Everything.without(&names.iter().map(|name| (*name).clone()).collect::<BTreeSet<_>>())
        };
        let filter = but(&[&photos]);
        assert!(filter.includes(one, &notes) && !filter.includes(one, &photos) && !filter.includes_all_of(&photos));
        assert_eq!(but(&[]), Filter::Everything);
        assert_eq!(filter.clone().without(&BTreeSet::from([notes.clone()])), but(&[&notes, &photos]));
        let named = Filter::collections([notes.clone(), photos.clone()]).announcing([photos.clone()]);
        assert_eq!(named.without(&BTreeSet::from([photos.clone()])), Filter::collections([notes.clone()]));

        let sides = [
            Filter::nothing(),
            Filter::collections([photos.clone()]),
            Filter::collections([notes.clone()]),
            but(&[&photos]),
            but(&[&notes]),
            but(&[&notes, &photos]),
            Filter::Everything,
        ];
        for (left, right) in sides.iter().flat_map(|left| sides.iter().map(move |right| (left, right))) {
            let mut wide = left.clone();
            wide.widen(right);
            for collection in [&notes, &photos, &name("others")] {
                let is_wanted = left.includes(one, collection) || right.includes(one, collection);
                assert_eq!(wide.includes(one, collection), is_wanted, "{left:?} and {right:?}: {collection}");
            }
            assert!(!matches!(&wide, Filter::AllBut(but) if but.is_empty()), "that is everything");
        }
    }
}
