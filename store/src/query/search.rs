//! Full text: what is declared of a collection, in tables that triggers keep, in whatever transaction a projection changes.
//!
//! A table of FTS5 is without content of its own: what it shows is read from the projections, and what is taken out of it is told
//! to it word by word, so that with `secure-delete` nothing of what was deleted or changed stays in its segments.

use super::declared::{names, written};
use super::error::QueryError;
use super::field::{FieldPath, quoted};
use super::{INDEX_FIELDS_MAX, INDEXES_MAX, QUERY_STEPS_MAX, run};
use crate::column;
use crate::error::StoreError;
use crate::reader::Reader;
use crate::space;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row};
use afield_core::{Collection, Durable, EntityId, SpaceId};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Words are those of Unicode 6.1, in small letters, without what stands above and below letters.
const TOKENIZER: &str = "unicode61 remove_diacritics 2";
/// Beginnings of words of so many characters have an index of their own: what somebody begins to type is found at once, and longer ones
/// are those of few words. It makes the tables two to three times as large.
const PREFIXES: &str = "1 2 3";
/// How many entities are indexed between two reports of progress.
const ENTITIES_PER_STEP: i64 = 1_000;
/// How many words a snippet has at most; FTS5 takes up to 64.
const SNIPPET_WORDS: u32 = 16;
/// What FTS5 puts around a match, to be taken out again here: no characters, so that no text has a use for them.
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// Of how many entities that have the same words the best come first, those that came last: ranking looks at the length of each, which
/// for a word that tens of thousands have takes longer than somebody types the next letter.
pub const RANKED_MAX: u64 = 1_024;

/// A search for entities that are not deleted, the best first.
///
/// Where it is for words, has a limit, and more than [`RANKED_MAX`] have them, the best of those that came last to this store are first, and
/// then the others, the last first. Without a limit, and for an expression, all that fit are ranked.
#[derive(Debug, Clone)]
pub struct Search {
    space: SpaceId,
    collection: Collection,
    text: String,
    are_words: bool,
    limit: Option<u64>,
    offset: u64,
}

/// An entity that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    /// The entity.
    pub entity: EntityId,
    /// What it reads as, as JSON text.
    pub json: String,
    /// How well it fits, by BM25: greater is better, and says something in comparison within one search only.
    pub score: f64,
    /// The piece of text that fits best.
    pub snippet: Snippet,
}

/// A piece of a text, and what in it was looked for.
///
/// ```
/// use afield_store::Snippet;
///
/// let snippet = Snippet { text: "…water the beans".into(), matches: vec![11..16] };
/// assert_eq!(snippet.text.chars().skip(11).collect::<String>(), "beans"); // positions count characters
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snippet {
    /// The text, with an ellipsis where something is left out.
    pub text: String,
    /// What was looked for, in Unicode code points from the beginning of the text, in order.
    pub matches: Vec<Range<usize>>,
}

/// A part of a snippet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The beginning of what was looked for.
    Begin,
    /// Its end.
    End,
}

impl Search {
    /// Looks for entities that have all these words, in whatever order: what somebody types into a field for searching. No
    /// text is an error; signs between words mean nothing. With `is_typing` the last word may go on.
    pub fn for_words(space: SpaceId, collection: Collection, text: &str, is_typing: bool) -> Self {
        let mut quoted: Vec<_> = text.split_whitespace().map(phrase).collect();
        if let Some(last) = quoted.last_mut().filter(|_| is_typing && !text.ends_with(char::is_whitespace)) {
            last.push('*');
        }
        Self { space, collection, text: quoted.join(" "), are_words: true, limit: None, offset: 0 }
    }

    /// Looks for what an expression of FTS5 says: `milk OR bread`, `"whole milk"`, `bre*`, `title : milk`.
    pub fn for_expression(space: SpaceId, collection: Collection, expression: &str) -> Self {
        Self { space, collection, text: expression.to_owned(), are_words: false, limit: None, offset: 0 }
    }

    /// At most so many.
    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Without the first ones.
    #[must_use]
    pub fn offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }
}

/// A word as FTS5 takes it literally, whatever it holds.
fn phrase(word: &str) -> String {
    // A character of the number zero would end the expression.
    format!("\"{}\"", word.replace('"', "\"\"").replace('\0', ""))
}

impl Snippet {
    /// The text with something before and behind each match; `write` puts text and marks where they go.
    ///
    /// ```
    /// use afield_store::Snippet;
    ///
    /// let snippet = Snippet { text: "…water the beans".into(), matches: vec![11..16] };
    /// assert_eq!(snippet.marked("<b>", "</b>"), "…water the <b>beans</b>");
    /// ```
    pub fn marked(&self, begin: &str, end: &str) -> String {
        let mut marked = String::with_capacity(self.text.len());
        self.parts(|part| match part {
            Ok(text) => marked.push(text),
            Err(Mark::Begin) => marked.push_str(begin),
            Err(Mark::End) => marked.push_str(end),
        });
        marked
    }

    fn parts(&self, mut each: impl FnMut(Result<char, Mark>)) {
        let mut characters = self.text.chars();
        let mut at = 0;
        let mut upto = |to: usize, each: &mut dyn FnMut(Result<char, Mark>)| {
            while at < to
                && let Some(character) = characters.next()
            {
                each(Ok(character));
                at += 1;
            }
        };
        for found in &self.matches {
            upto(found.start, &mut each);
            each(Err(Mark::Begin));
            upto(found.end, &mut each);
            each(Err(Mark::End));
        }
        upto(usize::MAX, &mut each);
    }

    fn of(marked: &str) -> Self {
        let (mut snippet, mut at, mut begin) = (Self::default(), 0, None);
        let [opens, closes] = MARKS;
        for character in marked.chars() {
            if character == opens {
                begin = Some(at);
            } else if character == closes {
                snippet.matches.extend(begin.take().filter(|begin| *begin < at).map(|begin| begin..at));
            } else {
                snippet.text.push(character);
                at += 1;
            }
        }
        snippet
    }
}

impl Store {
    /// Declares which fields of a collection full-text search looks into, and indexes what is there, in one transaction;
    /// `progress` is told how many entities of how many are done. Says whether anything changed: the same fields once more
    /// do not.
    ///
    /// # Errors
    ///
    /// [`QueryError::TooMany`] and [`QueryError::UnknownSpace`] with nothing changed; or the storage failed.
    pub fn declare_search(
        &mut self,
        space: SpaceId,
        collection: &Collection,
        fields: &[FieldPath],
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Durable<bool>, QueryError> {
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(QueryError::UnknownSpace { space })?;
            if !(1..=INDEX_FIELDS_MAX).contains(&fields.len()) {
                return Err(QueryError::TooMany { indexes_max: INDEXES_MAX, fields_max: INDEX_FIELDS_MAX });
            }
            let sql = "SELECT search_row, fields FROM search_declarations WHERE space_row = ? AND collection = ?";
            let of = (space_row, collection.as_str());
            match transaction.row(sql, of, |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))? {
                Some((_, declared)) if declared == written(fields) => return Ok(false),
                Some((row, _)) => drop_one(transaction, row)?,
                None => {}
            }
            let sql = "INSERT INTO search_declarations (space_row, collection, fields) VALUES (?, ?, ?)
                       RETURNING search_row";
            let row = transaction.insert(sql, (space_row, collection.as_str(), written(fields)))?;
            let table = Table { row, fields, place: (space_row.0, quoted(collection.as_str())) };
            for sql in table.definitions() {
                transaction.execute_made(&sql, [])?;
            }
            fill(transaction, &table, &mut progress)?;
            Ok(true)
        })
    }

    /// Takes full-text search away from a collection; says whether it had any.
    ///
    /// # Errors
    ///
    /// [`QueryError::UnknownSpace`], or the storage failed.
    pub fn drop_search(&mut self, space: SpaceId, collection: &Collection) -> Result<Durable<bool>, QueryError> {
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(QueryError::UnknownSpace { space })?;
            let sql = "SELECT search_row FROM search_declarations WHERE space_row = ? AND collection = ?";
            let of = (space_row, collection.as_str());
            let Some(row) = transaction.row(sql, of, |row| row.get(0))? else { return Ok(false) };
            drop_one(transaction, row)?;
            Ok(true)
        })
    }
}

/// Indexes what is there already.
fn fill(
    transaction: &mut WriteTransaction<'_>,
    table: &Table<'_>,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), StoreError> {
    let (name, columns) = (table.name(), table.columns());
    let sql = format!("SELECT count(*), coalesce(max(entity_row), 0) FROM {name}_source");
    let counted = transaction.read(|connection| row(connection, &sql, [], |row| Ok((row.get(0)?, row.get(1)?))))?;
    let (total, last): (i64, i64) = counted.unwrap_or_default();
    let sql = format!(
        "INSERT INTO {name} (rowid, {columns}) SELECT entity_row, {columns} FROM {name}_source
         WHERE entity_row > ? AND entity_row <= ?"
    );
    let (mut done, mut after) = (0, 0);
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    progress(0, number(total));
    while after < last {
        let upto = after.saturating_add(ENTITIES_PER_STEP);
        done += transaction.execute_made(&sql, [after, upto])? as u64;
        after = upto;
        progress(done, number(total));
    }
    Ok(())
}

impl Reader {
    /// The entities that a search finds.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotSearchable`] where nothing is declared; [`QueryError::SearchSyntax`] for an expression that is none; or
    /// the storage failed.
    pub fn search(&self, search: &Search) -> Result<Vec<SearchHit>, QueryError> {
        run::read(self, QUERY_STEPS_MAX, |connection| {
            let sql = "SELECT search_row FROM search_declarations JOIN spaces USING (space_row)
                       WHERE space = ? AND collection = ?";
            let of = (search.space.as_bytes(), search.collection.as_str());
            let found = row(connection, sql, of, |row| row.get::<_, i64>(0))?;
            let collection = || search.collection.as_str().to_owned();
            let table = found.ok_or_else(|| QueryError::NotSearchable { collection: collection() })?;
            if search.text.trim().is_empty() {
                return Ok(Vec::new());
            }
            let found = Found { connection, table, text: &search.text };
            found.hits(&found.best(search)?)
        })
    }

    /// The fields that full-text search looks into; `None` where nothing is declared.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn search_fields(&self, space: SpaceId, collection: &Collection) -> Result<Option<Vec<String>>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT fields FROM search_declarations JOIN spaces USING (space_row)
                       WHERE space = ? AND collection = ?";
            let of = (space.as_bytes(), collection.as_str());
            Ok(row(connection, sql, of, |row| row.get::<_, String>(0))?.map(|fields| names(&fields)))
        })
    }
}

/// What fits a search, in a table of FTS5.
struct Found<'f> {
    connection: &'f Connection,
    table: i64,
    text: &'f str,
}

/// A row that fits, and how well.
type Scored = (i64, f64);

impl Found<'_> {
    /// The rows that a search answers with, in its order.
    ///
    /// FTS5 can order by rank itself, but gives the rank of a row only by working it out again, and with it how many rows have
    /// each word.
    fn best(&self, search: &Search) -> Result<Vec<Scored>, QueryError> {
        let bounded = if search.are_words { search.limit } else { None };
        let mut rows = self.scored(None, bounded.map(|_| RANKED_MAX + 1), 0)?;
        let is_more = bounded.is_some() && rows.len() as u64 > RANKED_MAX;
        if is_more {
            rows.pop();
        }
        let last = rows.last().map(|(row, _)| *row);
        // Of equal ones those that came last are first.
        rows.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let limit = search.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let ranked = rows.len();
        let skipped = usize::try_from(search.offset).unwrap_or(usize::MAX);
        let mut best: Vec<_> = rows.into_iter().skip(skipped).take(limit).collect();
        if is_more && best.len() < limit {
            let offset = skipped.saturating_sub(ranked) as u64;
            best.extend(self.scored(last, Some((limit - best.len()) as u64), offset)?);
        }
        Ok(best)
    }

    /// Rows that fit, with their scores, those that came last first.
    fn scored(&self, before: Option<i64>, limit: Option<u64>, offset: u64) -> Result<Vec<Scored>, QueryError> {
        let table = self.table;
        let sql = format!(
            "SELECT rowid, -bm25(search_{table}) FROM search_{table}
             WHERE search_{table} MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ? OFFSET ?"
        );
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let of = (self.text, before.unwrap_or(i64::MAX), limit.map_or(-1, number), number(offset));
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(of, |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<Vec<_>, _>>().map_err(|error| match error.sqlite_error_code() {
            // The statement itself is sound: what FTS5 complains about is the expression.
            Some(rusqlite::ErrorCode::Unknown) => QueryError::SearchSyntax,
            _ => error.into(),
        })
    }

    /// What these rows show, in their order.
    fn hits(&self, rows: &[Scored]) -> Result<Vec<SearchHit>, QueryError> {
        let numbers = || rows.iter().map(|(row, _)| *row);
        let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else { return Ok(Vec::new()) };
        let (table, [opens, closes]) = (self.table, MARKS);
        // FTS5 looks an expression up once for all rows, and anew for each row that is asked for by its number: that is what the
        // plus keeps SQLite from.
        let sql = format!(
            "SELECT found.row, e.entity, p.json, found.snippet FROM
             (SELECT rowid AS row, snippet(search_{table}, -1, '{opens}', '{closes}', '…', {SNIPPET_WORDS}) AS snippet
              FROM search_{table} WHERE search_{table} MATCH ? AND rowid BETWEEN ? AND ?
              AND +rowid IN (SELECT value FROM json_each(?))) AS found
             CROSS JOIN projections AS p ON p.entity_row = found.row
             CROSS JOIN entities AS e ON e.entity_row = found.row"
        );
        let wanted = serde_json::Value::from_iter(numbers()).to_string();
        let mut statement = self.connection.prepare(&sql)?;
        let shown = statement.query_map((self.text, first, last, wanted), |row| {
            let snippet: Option<String> = row.get(3)?;
            let snippet = Snippet::of(&snippet.unwrap_or_default());
            let hit = SearchHit { entity: column::entity(row, 1)?, json: row.get(2)?, score: 0.0, snippet };
            Ok((row.get::<_, i64>(0)?, hit))
        })?;
        let mut shown = shown.collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(rows.iter().filter_map(|(row, score)| Some(SearchHit { score: *score, ..shown.remove(row)? })).collect())
    }
}

/// What makes a table anew from what it shows.
pub(super) fn rebuilding(row: i64) -> String {
    format!("INSERT INTO search_{row} (search_{row}) VALUES ('rebuild')")
}

pub(super) fn drop_one(transaction: &mut WriteTransaction<'_>, row: i64) -> Result<(), StoreError> {
    for event in Event::ALL {
        transaction.execute_made(&format!("DROP TRIGGER search_{row}_{}", event.name()), [])?;
    }
    transaction.execute_made(&format!("DROP TABLE search_{row}"), [])?;
    transaction.execute_made(&format!("DROP VIEW search_{row}_source"), [])?;
    transaction.execute("DELETE FROM search_declarations WHERE search_row = ?", [row])?;
    Ok(())
}

/// A full-text table that is to be made.
struct Table<'f> {
    row: i64,
    fields: &'f [FieldPath],
    /// The space and, quoted, the collection.
    place: (i64, String),
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Insert,
    Update,
    Delete,
}

impl Event {
    const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Table<'_> {
    fn name(&self) -> String {
        format!("search_{}", self.row)
    }

    /// The columns: fields by their names where FTS5 takes these, for expressions that name a field.
    fn columns(&self) -> String {
        let mut taken = BTreeSet::from(["rank".to_owned(), "rowid".to_owned(), self.name()]);
        let column = |(field, number): (&FieldPath, usize)| {
            let name = field.declared_name();
            let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if is_plain && taken.insert(name.to_ascii_lowercase()) { name } else { format!("field_{number}") }
        };
        let columns: Vec<_> = self.fields.iter().zip(1..).map(column).map(|name| format!("\"{name}\"")).collect();
        columns.join(", ")
    }

    /// The fields of a row of projections.
    fn values(&self, row: &str) -> String {
        let values: Vec<_> = self.fields.iter().map(|field| field.sql(row)).collect();
        values.join(", ")
    }

    /// The fields of a row of projections as the words in them are read: 1 and 1.0 are equal, and not the same words.
    fn texts(&self, row: &str) -> String {
        let texts: Vec<_> = self.fields.iter().map(|field| format!("CAST({} AS TEXT)", field.sql(row))).collect();
        texts.join(", ")
    }

    fn definitions(&self) -> Vec<String> {
        let (name, columns, (space, collection)) = (self.name(), self.columns(), &self.place);
        let is_shown = |row: &str| {
            format!(
                "{row}space_row = {space} AND {row}collection = {collection} AND {row}deleted = 0
                 AND {row}json IS NOT NULL"
            )
        };
        let table = format!(
            "CREATE VIRTUAL TABLE {name} USING fts5({columns}, content='{name}_source', content_rowid='entity_row',
             tokenize='{TOKENIZER}', prefix='{PREFIXES}')"
        );
        let source = format!(
            "CREATE VIEW {name}_source (entity_row, {columns}) AS
             SELECT entity_row, {} FROM projections WHERE {}",
            self.values(""),
            is_shown("")
        );
        let secure = format!("INSERT INTO {name} ({name}, rank) VALUES ('secure-delete', 1)");
        let take_out = format!(
            "INSERT INTO {name} ({name}, rowid, {columns}) SELECT 'delete', old.entity_row, {} WHERE {};",
            self.values("old."),
            is_shown("old.")
        );
        let put_in = format!(
            "INSERT INTO {name} (rowid, {columns}) SELECT new.entity_row, {} WHERE {};",
            self.values("new."),
            is_shown("new.")
        );
        let trigger = |event: Event| {
            let (on, when, body) = match event {
                Event::Insert => ("INSERT", is_shown("new."), put_in.clone()),
                Event::Delete => ("DELETE", is_shown("old."), take_out.clone()),
                // Words that stay as they are cost nothing but the look.
                Event::Update => (
                    "UPDATE OF json, deleted",
                    format!(
                        "old.space_row = {space} AND old.collection = {collection}
                         AND (old.deleted, old.json IS NULL, {}) IS NOT (new.deleted, new.json IS NULL, {})",
                        self.texts("old."),
                        self.texts("new.")
                    ),
                    format!("{take_out} {put_in}"),
                ),
            };
            format!("CREATE TRIGGER {name}_{} AFTER {on} ON projections WHEN {when} BEGIN {body} END", event.name())
        };
        [source, table, secure].into_iter().chain(Event::ALL.map(trigger)).collect()
    }
}
