//! What is declared of a collection: indexes and search fields; and making it all anew.

use super::QueryError;
use crate::collection::Collection;
use crate::driver::Driver;
use crate::error::ReadError;
use crate::replica::Replica;
use crate::typed::Field;
use afield_store::FieldPath;
use std::sync::Arc;

/// How many entities are looked up at once when everything is made anew.
const ENTITIES_PER_PAGE: usize = 256;

/// One field or several: `"due"`, or `["done", "due"]`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// let tasks = home.collection::<()>("tasks")?;
/// tasks.index("due")?;
/// tasks.index(["done", "due"])?; // one index over both
/// assert_eq!(tasks.indexes()?.len(), 2);
/// # Ok(())
/// # }
/// ```
pub trait Fields {
    /// Their names, in order.
    ///
    /// ```
    /// use afield::Fields;
    ///
    /// assert_eq!("due".names(), ["due"]);
    /// assert_eq!(["done", "due"].names(), ["done", "due"]);
    /// ```
    fn names(&self) -> Vec<&str>;
}

impl Fields for &str {
    fn names(&self) -> Vec<&str> {
        vec![*self]
    }
}

impl<S: AsRef<str>, const N: usize> Fields for [S; N] {
    fn names(&self) -> Vec<&str> {
        self.iter().map(AsRef::as_ref).collect()
    }
}

impl<S: AsRef<str>> Fields for &[S] {
    fn names(&self) -> Vec<&str> {
        self.iter().map(AsRef::as_ref).collect()
    }
}

impl<S: AsRef<str>> Fields for Vec<S> {
    fn names(&self) -> Vec<&str> {
        self.iter().map(AsRef::as_ref).collect()
    }
}

/// What a collection is seen as: a type whose fields are known, or JSON, which may have any.
///
/// Every [`Field`] has it, which is what [`model`](crate::model) implements, and so has `()`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
/// #[afield::model]
/// struct Note { title: String }
///
/// let slip = home.collection::<Note>("notes")?.index("titel").unwrap_err();
/// assert_eq!(slip.to_string(), "there is no field \"titel\" (line 1, column 1); did you mean \"title\"?");
/// home.collection::<()>("notes")?.index("titel")?; // any name may be one of JSON
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "which fields `{Self}` has is not known: it does not implement `afield::typed::Field`",
    note = "a type with autosurgeon's traits gets it by `afield::surgical_field!`; `collection::<()>` takes any name"
)]
pub trait Shown {
    /// The names of the fields of the entities, where all are known.
    #[doc(hidden)]
    fn known_fields() -> Option<&'static [&'static str]> {
        None
    }
}

impl<T: Field> Shown for T {
    fn known_fields() -> Option<&'static [&'static str]> {
        T::field_names()
    }
}

impl Shown for () {}

impl<T: Shown> Collection<T> {
    /// Declares an index over a field, or over several from the first on, and says whether it is new. Queries that compare or
    /// order by these fields read along it; [`Query::plan`](crate::Query::plan) shows whether they do.
    ///
    /// It is made over what is there, during which edits wait, and kept with every change from then on, in the same transaction. It
    /// stays in the store: declaring it at every start costs a look.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// assert!(notes.index("due")?);
    /// assert!(!notes.index("due")?, "it is there");
    /// notes.index(["done", "address.city"])?;
    /// assert_eq!(notes.indexes()?, [vec!["due"], vec!["done", "address.city"]]);
    /// assert!(notes.drop_index("due")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The type has no such field (code `query.unknown_field`); through lenses it has the names of the newest version, and what lenses reshape
    /// has no index (code `query.reshaped`); a name cannot be one of a field, there are too many indexes or fields, it is done inside an edit, or the store failed.
    pub fn index(&self, fields: impl Fields) -> Result<bool, QueryError> {
        let fields = self.declaring_known(&fields)?;
        let driver = &self.shared.driver;
        Ok(driver.with_store(|store| store.declare_index(self.space(), self.target_name(), &fields))?.into_inner())
    }

    /// Declares the fields that [`Collection::search`] looks into, in the place of those declared before, and says whether
    /// these are others. What is there is indexed, during which edits wait, and kept with every change from then on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// notes.json().insert(&json!({ "title": "Shopping", "body": "milk, bread" }))?;
    /// assert!(notes.search_fields(["title", "body"])?);
    /// assert!(!notes.search_fields(["title", "body"])?, "at the next start they are there");
    /// assert_eq!(notes.json().search("bread")?.all()?.len(), 1);
    /// assert!(notes.search_fields("title")?, "in their place");
    /// assert!(notes.json().search("bread")?.all()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Collection::index`].
    pub fn search_fields(&self, fields: impl Fields) -> Result<bool, QueryError> {
        self.search_fields_with(fields, |_, _| {})
    }

    /// Declares search fields as [`Collection::search_fields`] does, and tells how many entities of how many are indexed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # for title in ["Milk", "Bread"] {
    /// #     notes.json().insert(&json!({ "title": title }))?;
    /// # }
    /// let mut last = None;
    /// notes.search_fields_with("title", |done, total| last = Some((done, total)))?;
    /// assert_eq!(last, Some((2, 2)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Collection::index`].
    pub fn search_fields_with(&self, fields: impl Fields, progress: impl FnMut(u64, u64)) -> Result<bool, QueryError> {
        let fields = self.declaring_known(&fields)?;
        let driver = &self.shared.driver;
        let declare =
            |store: &mut crate::store::Store| store.declare_search(self.space(), self.target_name(), &fields, progress);
        Ok(driver.with_store(declare)?.into_inner())
    }

    /// The fields that the type has, where all are known.
    pub(crate) fn known_fields(&self) -> Option<Arc<[String]>> {
        Some(T::known_fields()?.iter().map(|name| (*name).to_owned()).collect())
    }

    /// The fields of documents of which those of the type are made.
    pub(crate) fn stored_fields(&self) -> Option<Vec<String>> {
        let names = T::known_fields()?.iter().copied();
        Some(match self.shape.lenses() {
            None => names.map(str::to_owned).collect(),
            Some(lenses) => lenses.keys_of(names).into_iter().collect(),
        })
    }

    fn declaring_known(&self, fields: &impl Fields) -> Result<Vec<FieldPath>, QueryError> {
        let fields = self.declaring(fields)?;
        let known = self.known_fields();
        fields.iter().try_for_each(|field| field.check_known(known.as_deref()))?;
        Ok(fields)
    }
}

impl<T> Collection<T> {
    /// Drops an index that was declared over these fields, and says whether there was one.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// notes.index(["done", "due"])?;
    /// assert!(notes.drop_index(["done", "due"])?);
    /// assert!(!notes.drop_index("due")?, "there is none over this field alone");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A name cannot be one of a field, it is done inside an edit, or the store failed.
    pub fn drop_index(&self, fields: impl Fields) -> Result<bool, QueryError> {
        let fields = self.declaring(&fields)?;
        let driver = &self.shared.driver;
        Ok(driver.with_store(|store| store.drop_index(self.space(), self.target_name(), &fields))?.into_inner())
    }

    /// The indexes that are declared, in the order of their making: the fields of each.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// notes.index("due")?;
    /// notes.index(["done", "address.city"])?;
    /// assert_eq!(notes.indexes()?, [vec!["due"], vec!["done", "address.city"]]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn indexes(&self) -> Result<Vec<Vec<String>>, ReadError> {
        let indexes = self.shared.reader.indexes(self.space(), self.target_name())?;
        Ok(indexes.into_iter().map(|fields| self.shown(fields)).collect())
    }

    /// The fields that [`Collection::search`] looks into; `None` where none was declared.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// assert_eq!(notes.searched_fields()?, None);
    /// notes.search_fields(["title", "body"])?;
    /// assert_eq!(notes.searched_fields()?, Some(vec!["title".to_owned(), "body".to_owned()]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn searched_fields(&self) -> Result<Option<Vec<String>>, ReadError> {
        let fields = self.shared.reader.search_fields(self.space(), self.target_name())?;
        Ok(fields.map(|fields| self.shown(fields)))
    }

    /// Takes full-text search away, and says whether there was any.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// notes.search_fields("title")?;
    /// assert!(notes.drop_search()?);
    /// assert_eq!(notes.json().search("milk").unwrap_err().code(), "search.not_declared");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A name cannot be one of a field, it is done inside an edit, or the store failed.
    pub fn drop_search(&self) -> Result<bool, QueryError> {
        self.declaring(&"any")?;
        let driver = &self.shared.driver;
        Ok(driver.with_store(|store| store.drop_search(self.space(), self.target_name()))?.into_inner())
    }

    /// The names that declared fields have here.
    fn shown(&self, fields: Vec<String>) -> Vec<String> {
        let Some(lenses) = self.shape.lenses() else { return fields };
        let shown =
            |name: String| FieldPath::parse(&name).map_or(name, |field| field.shown_through(lenses).to_string());
        fields.into_iter().map(shown).collect()
    }

    fn declaring(&self, fields: &impl Fields) -> Result<Vec<FieldPath>, QueryError> {
        if Driver::is_inside_an_edit() {
            return Err(QueryError::Nested);
        }
        let parsed = fields.names().into_iter().map(|name| {
            let field = FieldPath::parse(name)?;
            match self.shape.lenses() {
                Some(lenses) => field.through(lenses),
                None => Ok(field),
            }
        });
        Ok(parsed.collect::<Result<_, _>>()?)
    }
}

impl Replica {
    /// Makes everything anew that queries read, out of the documents: what entities read as, indexes and full text. They are a
    /// function of the documents, so it is the same afterwards, unless the file was damaged. `progress` is told how many
    /// entities are done.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// notes.json().insert(&serde_json::json!({"title": "Milk"}))?;
    /// replica.rebuild(|done| println!("{done} entities"))?;
    /// assert_eq!(notes.json().query("title = 'Milk'", ())?.count()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is done inside an edit, or the store failed. An entity that is damaged is left as it was.
    pub fn rebuild(&self, mut progress: impl FnMut(u64)) -> Result<(), QueryError> {
        if Driver::is_inside_an_edit() {
            return Err(QueryError::Nested);
        }
        let driver = &self.shared.driver;
        let _ = driver.with_store(|store| store.make_projections_stale())?;
        let (mut after, mut done) = (None, 0);
        loop {
            let page = driver.with_store(|store| store.stale(after, ENTITIES_PER_PAGE))?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            for entity in page {
                self.shared.refresh_one(entity)?;
                done += 1;
            }
            progress(done);
        }
        let _ = driver.with_store(|store| store.rebuild_declared(|_, _| {}))?;
        Ok(())
    }
}
