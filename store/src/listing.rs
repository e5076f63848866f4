//! The entities that queries see: one by one, as a list, by their ids alone.

use crate::column;
use crate::entity::{EntityHome, Projection};
use crate::error::StoreError;
use crate::reader::{Reader, Source};
use crate::transaction::{row, rows};
use afield_core::{Collection, EntityId, SpaceId};
use rusqlite::{Connection, Row};
use std::ops::ControlFlow;

/// An entity as queries see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectedEntity {
    /// The entity.
    pub entity: EntityId,
    /// Its space and collection.
    pub home: EntityHome,
    /// What its document read as when it was last projected.
    pub projection: Projection,
    /// Whether the document has moved on since ([`crate::Store::stale`]).
    pub stale: bool,
}

/// Which entities to list.
#[derive(Debug, Clone, Copy)]
pub struct ListQuery<'a> {
    /// The space.
    pub space: SpaceId,
    /// The collection; `None` lists all, by collection.
    pub collection: Option<&'a Collection>,
    /// Only deleted ones, only others, or both.
    pub deleted: Option<bool>,
    /// Continues after this entity, in the order of ids; with no collection given, it has no meaning and is ignored.
    pub after: Option<EntityId>,
    /// At most so many.
    pub limit: usize,
}

/// A collection of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionCount {
    /// The collection.
    pub collection: Collection,
    /// How many of its entities are not deleted.
    pub entities: u64,
    /// How many are.
    pub deleted: u64,
}

impl Reader {
    /// What an entity reads as; `None` when the store does not know it or has not projected it yet.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn projection(&self, entity: EntityId) -> Result<Option<ProjectedEntity>, StoreError> {
        self.read(|connection| {
            let sql = format!("{} AND entity = ?", PROJECTED.sql());
            row(connection, &sql, [entity.as_bytes()], projected)
        })
    }

    /// The entities of a space that have been projected, in the order of collections and ids.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn list(&self, query: &ListQuery<'_>) -> Result<Vec<ProjectedEntity>, StoreError> {
        let mut found = Vec::new();
        self.visit(PROJECTED, query, projected, |entity| {
            found.push(entity);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The ids of [`Reader::list`], without reading what the entities read as.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn ids(&self, query: &ListQuery<'_>) -> Result<Vec<EntityId>, StoreError> {
        let mut found = Vec::new();
        self.visit(
            ID,
            query,
            |row| column::entity(row, 0),
            |id| {
                found.push(id);
                ControlFlow::Continue(())
            },
        )?;
        Ok(found)
    }

    /// Hands the entities of [`Reader::list`] out one by one, all from one committed state, until told to stop: one
    /// entity of a file is in memory, however many there are. The store may be used meanwhile; its WAL does not shrink
    /// before this returns.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn for_each(
        &self,
        query: &ListQuery<'_>,
        visit: impl FnMut(ProjectedEntity) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.hand_out(PROJECTED, query, projected, visit)
    }

    /// Hands out where the entities of [`Reader::list`] live, as [`Reader::for_each`] hands out what they read as.
    ///
    /// Where `deleted` does not choose, those are among them that have never been projected: of which everything is
    /// quarantined, or waits.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn for_each_home(
        &self,
        query: &ListQuery<'_>,
        mut visit: impl FnMut(EntityId, EntityHome) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let selected = if query.deleted.is_none() { HOME_OF_ALL } else { HOME };
        self.hand_out(selected, query, |row| Ok((column::entity(row, 0)?, home(row)?)), |(id, home)| visit(id, home))
    }

    /// The collections of a space that hold anything.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn collections(&self, space: SpaceId) -> Result<Vec<CollectionCount>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT entities.collection, sum(NOT deleted), sum(deleted) FROM entities
                       JOIN projections USING (entity_row)
                       WHERE entities.space_row = (SELECT space_row FROM spaces WHERE space = ?) AND json IS NOT NULL
                       GROUP BY entities.collection ORDER BY entities.collection";
            rows(connection, sql, [space.as_bytes()], |row| {
                let (entities, deleted) = (column::count(row, 1)?, column::count(row, 2)?);
                Ok(CollectionCount { collection: column::collection(row, 0)?, entities, deleted })
            })
        })
    }

    fn hand_out<T>(
        &self,
        selected: Selected,
        query: &ListQuery<'_>,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
        visit: impl FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if let Source::File { .. } = &*self.0 {
            return self.visit(selected, query, read, visit);
        }
        // The writer's connection is let go before anything is handed out, or a visitor that writes would wait for itself.
        let mut found = Vec::new();
        self.visit(selected, query, read, |item| {
            found.push(item);
            ControlFlow::Continue(())
        })?;
        let _ = found.into_iter().try_for_each(visit);
        Ok(())
    }

    fn visit<T>(
        &self,
        selected: Selected,
        query: &ListQuery<'_>,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
        mut visit: impl FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let selected = selected.sql();
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let space = query.space.as_bytes();
        self.read(|connection| {
            let mut each = |row: &Row<'_>| Ok(visit(read(row)?));
            match query.collection {
                None => {
                    let sql = format!(
                        "{selected} AND space = ?1 AND coalesce(deleted = ?2, 1)
                         ORDER BY entities.collection, entity LIMIT ?3"
                    );
                    visit_rows(connection, &sql, (space, query.deleted, limit), &mut each)
                }
                Some(collection) => {
                    let sql = format!(
                        "{selected} AND space = ?1 AND coalesce(deleted = ?2, 1)
                         AND entities.collection = ?4 AND entity > ?5 ORDER BY entity LIMIT ?3"
                    );
                    // Every id is greater than no bytes at all.
                    let after = query.after.as_ref().map_or(&[][..], |entity| entity.as_bytes());
                    let values = (space, query.deleted, limit, collection.as_str(), after);
                    visit_rows(connection, &sql, values, &mut each)
                }
            }
        })
    }
}

const ID: Selected = Selected::projected("entity");
const HOME: Selected = Selected::projected("entity, space, entities.collection");
const HOME_OF_ALL: Selected = Selected { projected_only: false, ..HOME };
const PROJECTED: Selected = Selected::projected("entity, space, entities.collection, json, deleted, updated_ms, stale");

/// What is read of which entities.
#[derive(Debug, Clone, Copy)]
struct Selected {
    columns: &'static str,
    projected_only: bool,
}

impl Selected {
    const fn projected(columns: &'static str) -> Self {
        Self { columns, projected_only: true }
    }

    /// The beginning of a query, up to its first condition.
    fn sql(self) -> String {
        let Self { columns, projected_only } = self;
        let (join, condition) = if projected_only { ("JOIN", "json IS NOT NULL") } else { ("LEFT JOIN", "TRUE") };
        format!(
            "SELECT {columns} FROM entities JOIN spaces USING (space_row) {join} projections USING (entity_row)
             WHERE {condition}"
        )
    }
}

fn visit_rows(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    visit: &mut impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    while let Some(row) = found.next()? {
        if visit(row)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn projected(row: &Row<'_>) -> rusqlite::Result<ProjectedEntity> {
    Ok(ProjectedEntity {
        entity: column::entity(row, 0)?,
        home: home(row)?,
        projection: Projection { json: row.get(3)?, deleted: row.get(4)?, updated_ms: row.get(5)? },
        stale: row.get(6)?,
    })
}

fn home(row: &Row<'_>) -> rusqlite::Result<EntityHome> {
    Ok(EntityHome { space: column::space(row, 1)?, collection: column::collection(row, 2)? })
}
