//! Looking for entities by their words.

use super::{AsJson, Beside, QueryError};
use crate::collection::{Collection, JsonCollection};
use crate::error::ReadError;
use crate::typed::Field;
use afield_core::{Collection as Name, EntityId, SpaceId};
use afield_store::{QueryError as Refusal, Reader, Search, SearchHit, Snippet};
use autosurgeon::{Hydrate, Reconcile};
use std::marker::PhantomData;

/// A search in the fields that were declared with [`Collection::search_fields`]: of entities that are not deleted, those that fit
/// best first.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// let tasks = home.collection::<()>("tasks")?;
/// tasks.search_fields(["title"])?;
/// let id = tasks.json().insert(&serde_json::json!({"title": "water the beans"}))?;
/// let found = tasks.json().search("beans")?.limit(10).all()?;
/// assert_eq!(found[0].id, id);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a search does nothing until it is asked"]
pub struct SearchBox<T> {
    reader: Reader,
    of: Option<Collection<()>>,
    place: (SpaceId, Name),
    text: Text,
    limit: Option<usize>,
    offset: usize,
    _type: PhantomData<fn() -> T>,
}

impl<T> Clone for SearchBox<T> {
    fn clone(&self) -> Self {
        let Self { reader, of, place, text, limit, offset, .. } = self;
        let (reader, of, place, text) = (reader.clone(), of.clone(), place.clone(), text.clone());
        Self { reader, of, place, text, limit: *limit, offset: *offset, _type: PhantomData }
    }
}

#[derive(Debug, Clone)]
enum Text {
    Words { text: String, is_typing: bool },
    Expression(String),
}

/// An entity that a search has found.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// let tasks = home.collection::<()>("tasks")?;
/// tasks.search_fields(["title"])?;
/// tasks.json().insert(&serde_json::json!({"title": "water the beans"}))?;
/// let found = &tasks.json().search("beans")?.all()?[0];
/// assert_eq!(found.value["title"], "water the beans");
/// assert_eq!(found.snippet.marked("<b>", "</b>"), "water the <b>beans</b>");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Found<V> {
    /// The entity.
    pub id: EntityId,
    /// What it reads as; for a model the reason, where it cannot be read.
    pub value: V,
    /// How well it fits, by BM25: greater is better, and compares within one search only.
    pub score: f64,
    /// The piece of text that fits best.
    pub snippet: Snippet,
}

impl<T: Hydrate + Reconcile + Field> Collection<T> {
    /// Looks for entities that have all these words, in any order, in the declared fields. No text is an error: whatever is
    /// typed into a field for searching will do. Small and capital letters are the same, and so are letters with and without
    /// accents.
    ///
    /// ```
    /// # use afield::{Replica, Text, model};
    /// #[model]
    /// #[derive(Debug, Clone)]
    /// struct Note {
    ///     title: String,
    ///     body: Text,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// notes.search_fields(["title", "body"])?; // once; kept with every change from then on
    /// notes.insert(&Note { title: "Shopping".into(), body: "Milk, bread and Käse".into() })?;
    ///
    /// let found = notes.search("kase mil")?.while_typing().limit(20).all()?;
    /// assert_eq!(found[0].value.as_ref().map(|note| note.title.as_str()).ok(), Some("Shopping"));
    /// assert_eq!(found[0].snippet.marked("<b>", "</b>"), "<b>Milk</b>, bread and <b>Käse</b>");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing is declared for full-text search, or the store could not be read.
    pub fn search(&self, words: &str) -> Result<SearchBox<T>, QueryError> {
        SearchBox::new(&self.json().of, words)
    }
}

impl JsonCollection {
    /// Looks for entities that have all these words, as [`Collection::search`] does.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # notes.search_fields(["title"])?;
    /// # let notes = notes.json();
    /// # for title in ["Milk and bread", "Tea"] {
    /// #     notes.insert(&json!({ "title": title }))?;
    /// # }
    /// let found = notes.search("bread")?.limit(20).all()?;
    /// assert_eq!(found[0].value["title"], "Milk and bread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing is declared for full-text search, or the store could not be read.
    pub fn search(&self, words: &str) -> Result<SearchBox<AsJson>, QueryError> {
        SearchBox::new(&self.of, words)
    }
}

impl<T> SearchBox<T> {
    fn new(of: &Collection<()>, words: &str) -> Result<Self, QueryError> {
        let made = Self::beside(of.shared.reader.clone(), (of.space(), of.target_name().clone()), words)?;
        Ok(Self { of: Some(of.clone()), ..made })
    }

    pub(super) fn beside(reader: Reader, place: (SpaceId, Name), words: &str) -> Result<Self, QueryError> {
        if reader.search_fields(place.0, &place.1)?.is_none() {
            return Err(QueryError::Refused(Refusal::NotSearchable { collection: place.1.as_str().to_owned() }));
        }
        let text = Text::Words { text: words.to_owned(), is_typing: false };
        Ok(Self { reader, of: None, place, text, limit: None, offset: 0, _type: PhantomData })
    }

    /// Lets the last word go on, while somebody is typing it: `bre` finds bread. A space behind it ends it.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # notes.search_fields(["title"])?;
    /// # let notes = notes.json();
    /// # for title in ["Milk and bread", "Tea"] {
    /// #     notes.insert(&json!({ "title": title }))?;
    /// # }
    /// assert_eq!(notes.search("bre")?.all()?.len(), 0);
    /// assert_eq!(notes.search("bre")?.while_typing().all()?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn while_typing(mut self) -> Self {
        if let Text::Words { is_typing, .. } = &mut self.text {
            *is_typing = true;
        }
        self
    }

    /// Takes the text as an expression of SQLite's FTS5 instead: `milk OR bread`, `"whole milk"`, `bre*`, `title : milk`,
    /// `NEAR(milk bread, 5)`. Asking for one that is none is an error, `search.syntax`, which has no place within the text: SQLite tells none.
    /// A field that it names has the name that it has in documents, through [lenses](Collection::through) too.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # notes.search_fields(["title"])?;
    /// # let notes = notes.json();
    /// # for title in ["Milk and bread", "Tea"] {
    /// #     notes.insert(&json!({ "title": title }))?;
    /// # }
    /// assert_eq!(notes.search("bread OR tea")?.as_expression().all()?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_expression(self) -> Self {
        let (Text::Words { text, .. } | Text::Expression(text)) = self.text;
        Self { text: Text::Expression(text), ..self }
    }

    /// At most so many entities, the best of all that fit. Where more than 1,024 have the [words](Collection::search), the 1,024 that came
    /// last to this device are first, the best of them before the others, and then the rest, the last first.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # notes.search_fields(["title"])?;
    /// # let notes = notes.json();
    /// # for title in ["Milk and bread", "Tea"] {
    /// #     notes.insert(&json!({ "title": title }))?;
    /// # }
    /// assert_eq!(notes.search("bread OR tea")?.as_expression().limit(1).all()?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Without the first ones.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # notes.search_fields(["title"])?;
    /// # let notes = notes.json();
    /// # for title in ["Milk and bread", "Tea"] {
    /// #     notes.insert(&json!({ "title": title }))?;
    /// # }
    /// assert_eq!(notes.search("bread OR tea")?.as_expression().offset(1).all()?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn offset(self, offset: usize) -> Self {
        Self { offset, ..self }
    }

    fn hits(&self) -> Result<Vec<SearchHit>, QueryError> {
        let (space, name) = &self.place;
        if let Some(of) = &self.of {
            of.shared.refresh(*space, name)?;
        }
        let search = match &self.text {
            Text::Words { text, is_typing } => Search::for_words(*space, name.clone(), text, *is_typing),
            Text::Expression(text) => Search::for_expression(*space, name.clone(), text),
        };
        let search = search.offset(self.offset as u64);
        let search = self.limit.map_or(search.clone(), |limit| search.limit(limit as u64));
        Ok(self.reader.search(&search)?)
    }

    fn values(&self) -> Result<Vec<Found<serde_json::Value>>, QueryError> {
        Ok(self
            .hits()?
            .into_iter()
            .map(|hit| {
                let value = super::shown(&hit.json, self.of.as_ref());
                found(hit, value)
            })
            .collect())
    }
}

impl<T: Hydrate + Reconcile + Field> SearchBox<T> {
    /// The entities that were found.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield::{Replica, model};
    /// # let home = Replica::open_in_memory()?.create_space("Home")?;
    /// #[model]
    /// struct Note {
    ///     title: String,
    /// }
    ///
    /// let notes = home.collection::<Note>("notes")?;
    /// notes.search_fields("title")?;
    /// let id = notes.insert(&Note { title: "Milk and bread".into() })?;
    /// for found in notes.search("bread")?.all()? {
    ///     assert_eq!((found.id, found.value?.title.as_str()), (id, "Milk and bread"));
    /// }
    /// # assert_eq!(notes.search("bread")?.all()?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The text is no expression, or the store could not be read.
    pub fn all(&self) -> Result<Vec<Found<Result<T, ReadError>>>, QueryError> {
        let (hits, Some(of)) = (self.hits()?, &self.of) else { return Ok(Vec::new()) };
        let of = of.seen_as::<T>();
        Ok(hits
            .into_iter()
            .map(|hit| {
                let value = of.read(hit.entity);
                found(hit, value)
            })
            .collect())
    }
}

impl SearchBox<AsJson> {
    /// The entities that were found.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// notes.search_fields(["title", "body"])?;
    /// let id = notes.json().insert(&json!({ "title": "Shopping", "body": "milk, bread" }))?;
    /// let found = notes.json().search("bread")?.all()?;
    /// assert_eq!((found[0].id, &found[0].value["title"]), (id, &json!("Shopping")));
    /// assert_eq!(found[0].snippet.text, "milk, bread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The text is no expression, or the store could not be read.
    pub fn all(&self) -> Result<Vec<Found<serde_json::Value>>, QueryError> {
        self.values()
    }
}

impl SearchBox<Beside> {
    /// The entities that were found.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// home.collection::<()>("notes")?.search_fields("title")?;
    /// let id = notes.insert(&serde_json::json!({ "title": "Milk and bread" }))?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let found = beside.search("notes".parse()?, "bread")?.all()?;
    /// assert_eq!((found.len(), found[0].id), (1, id));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The text is no expression, or the store could not be read.
    pub fn all(&self) -> Result<Vec<Found<serde_json::Value>>, QueryError> {
        self.values()
    }
}

fn found<V>(hit: SearchHit, value: V) -> Found<V> {
    Found { id: hit.entity, value, score: hit.score, snippet: hit.snippet }
}
