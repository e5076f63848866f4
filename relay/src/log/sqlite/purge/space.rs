//! Spaces that are purged: blocked in one transaction, and then taken away in many short ones, so that a relay beside it never waits long.

use super::number_of;
use crate::log::LogError;
use crate::log::sqlite::SqliteLog;
use crate::log::sqlite::foreign;
use crate::log::sqlite::row::{SpaceRow, count};
use crate::log::sqlite::transaction::{Purpose, SqliteTransaction};
use afield_core::{Commit, Now, SpaceId};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most rows that one transaction takes away.
const ROWS_MAX: usize = 1_024;
/// How many bytes of content it takes away before it is enough; the last row may be of any size.
const BYTES_MAX: u64 = 4 << 20;
/// How many entities it looks at.
const ENTITIES_MAX: usize = 256;
/// How long others have the file to themselves before the next one: a relay that waits for the lock looks every 25 ms at first.
const PAUSE: Duration = Duration::from_millis(30);

/// What is not of the content of a space, the last of it the space.
const OF_SPACE: [&str; 4] = [
    "DELETE FROM members WHERE space = ?1",
    "DELETE FROM session_spaces WHERE space = ?1",
    "DELETE FROM invitations WHERE space = ?1",
    "DELETE FROM spaces WHERE number = ?1",
];

/// What tokens may do in it.
const TOKENS: &str = "DELETE FROM token_spaces WHERE space = ?1";

/// The tables of a space's log, with the column that says where and the size of a row. What is packed has its chunks a second time in an
/// index by which it is found: first the rows, then the index.
const OF_POSITIONS: [&str; 3] = [
    "SELECT position, length(bytes) FROM chunks WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3",
    "SELECT last, length(body) FROM segments WHERE last > ?1 AND last <= ?2 ORDER BY last LIMIT ?3",
    "SELECT last, length(hashes) FROM segment_hashes WHERE last > ?1 AND last <= ?2 ORDER BY last LIMIT ?3",
];

/// How rows of these tables are taken away, from the first of the space on.
const POSITIONS_UPTO: [&str; 3] = [
    "DELETE FROM chunks WHERE position > ?1 AND position <= ?2",
    "DELETE FROM segments WHERE last > ?1 AND last <= ?2",
    "DELETE FROM segment_hashes WHERE last > ?1 AND last <= ?2",
];

/// What an entity has many of: so many rows at a time.
const MANY_OF_ENTITY: [&str; 2] = [
    "DELETE FROM change_prefixes WHERE (entity, prefix, position) IN
        (SELECT entity, prefix, position FROM change_prefixes WHERE entity = ?1 LIMIT ?2)",
    "DELETE FROM actor_runs WHERE (entity, actor, last) IN
        (SELECT entity, actor, last FROM actor_runs WHERE entity = ?1 LIMIT ?2)",
];

/// What it has one of, the last of it the entity.
const ONE_OF_ENTITY: [&str; 4] = [
    "DELETE FROM snapshots WHERE entity = ?1",
    "DELETE FROM snapshot_tries WHERE entity = ?1",
    "DELETE FROM erasures WHERE entity = ?1",
    "DELETE FROM entities WHERE number = ?1",
];

/// The purged spaces of which something is left.
pub(in crate::log::sqlite) const UNFINISHED: &str = "
    SELECT p.number FROM purged_spaces p
    WHERE EXISTS (SELECT 1 FROM entities e WHERE e.space = p.number)
        OR EXISTS (SELECT 1 FROM chunks c WHERE c.position > p.number << 40 AND c.position < (p.number + 1) << 40)
        OR EXISTS (SELECT 1 FROM segments s WHERE s.last > p.number << 40 AND s.last < (p.number + 1) << 40)
        OR EXISTS (SELECT 1 FROM segment_hashes h WHERE h.last > p.number << 40 AND h.last < (p.number + 1) << 40)";

/// Names of collections that nothing uses, and of actors, which tell devices. All of the log is looked at.
const UNUSED_COLLECTIONS: &str = "SELECT number FROM collections c
    WHERE NOT EXISTS (SELECT 1 FROM entities e WHERE e.collection = c.number)";
const UNUSED_ACTORS: &str =
    "SELECT number FROM actors WHERE number NOT IN (SELECT actor FROM chunks UNION SELECT actor FROM actor_runs)";

/// Takes a name away that nothing used a moment ago, unless something does by now.
const COLLECTION: &str = "DELETE FROM collections WHERE number = ?1
    AND NOT EXISTS (SELECT 1 FROM entities e WHERE e.collection = ?1)";

/// Takes a space from everybody: from here on it is unknown, and what it had belongs to nobody.
pub(super) fn block(transaction: &SqliteTransaction<'_>, space: SpaceId, now: Now) -> Result<(), LogError> {
    let Some(number) = number_of(transaction, space)? else { return Ok(()) };
    for sql in OF_SPACE {
        transaction.statement(sql)?.execute([number])?;
    }
    transaction.statement(TOKENS)?.execute([space.as_bytes()])?;
    transaction
        .statement("INSERT OR REPLACE INTO purged_spaces (id, number, purged_ms) VALUES (?1, ?2, ?3)")?
        .execute(params![space.as_bytes(), number, now.wall_ms])?;
    Ok(())
}

/// What was there when names were looked at that nothing uses.
struct Unused {
    collections: Vec<i64>,
    actors: BTreeSet<i64>,
    /// The end of every space.
    heads: BTreeMap<i64, i64>,
}

impl SqliteLog {
    /// Runs what leaves entities without their space for a while: they are taken away after it.
    pub(super) fn with_orphans<T, E: From<LogError>>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let set = |log: &Self, is_on: bool| {
            log.connection.pragma_update(None, "foreign_keys", is_on).map_err(LogError::from).map_err(E::from)
        };
        // The file may be opened anew before a transaction, with references watched.
        drop(self.begin(Purpose::Write)?);
        set(self, false)?;
        let done = run(self);
        set(self, true)?;
        done
    }

    /// Takes away what is left of spaces that were purged, also where the process was killed that purged them; a relay beside it goes on
    /// meanwhile. Answers whether anything was left of one.
    ///
    /// # Errors
    ///
    /// The storage failed. Called again, it goes on where it was.
    pub fn finish_purges(&mut self) -> Result<bool, LogError> {
        let unfinished: Vec<i64> = {
            let transaction = self.begin(Purpose::Read)?;
            let mut statement = transaction.statement(UNFINISHED)?;
            let numbers = statement.query_map([], |row| row.get(0))?;
            numbers.collect::<Result<_, _>>()?
        };
        for number in &unfinished {
            while self.take_some_away(*number)? {
                std::thread::sleep(PAUSE);
            }
        }
        // A name may be left where all else of its space is gone already.
        let has_taken_names = self.take_unused_names_away()?;
        Ok(!unfinished.is_empty() || has_taken_names)
    }

    /// Takes away a part of a purged space; answers whether more of it may be left.
    fn take_some_away(&mut self, number: i64) -> Result<bool, LogError> {
        let mut transaction = self.begin(Purpose::Write)?;
        let more = take_positions_away(&transaction, number)? || take_entities_away(&transaction, number)?;
        // It was said that the space is gone when it was blocked.
        foreign::note_upkeep(&transaction)?;
        transaction.commit()?;
        drop(transaction);
        self.foreign.kept_up();
        Ok(more)
    }

    /// Takes away the names that nothing uses any more. They are looked for beside whoever writes, and what was written meanwhile is looked
    /// at once more with the lock. Answers whether there were names of collections, which nothing but a purged space leaves unused.
    fn take_unused_names_away(&mut self) -> Result<bool, LogError> {
        let Unused { collections, actors, heads } = unused(&self.begin(Purpose::Read)?)?;
        let has_collections = !collections.is_empty();
        for collections in collections.chunks(ROWS_MAX) {
            let mut transaction = self.begin(Purpose::Write)?;
            for collection in collections {
                transaction.statement(COLLECTION)?.execute([collection])?;
            }
            foreign::note_upkeep(&transaction)?;
            transaction.commit()?;
            drop(transaction);
            self.foreign.kept_up();
            std::thread::sleep(PAUSE);
        }
        let actors: Vec<i64> = actors.into_iter().collect();
        for actors in actors.chunks(ROWS_MAX) {
            let mut transaction = self.begin(Purpose::Write)?;
            let used = used_since(&transaction, &heads)?;
            for actor in actors.iter().filter(|actor| !used.contains(actor)) {
                transaction.statement("DELETE FROM actors WHERE number = ?1")?.execute([actor])?;
            }
            foreign::note_upkeep(&transaction)?;
            transaction.commit()?;
            drop(transaction);
            self.foreign.kept_up();
            std::thread::sleep(PAUSE);
        }
        Ok(has_collections)
    }
}

/// Takes some of the log of a space away; answers whether there was any.
fn take_positions_away(transaction: &SqliteTransaction<'_>, number: i64) -> Result<bool, LogError> {
    let (before, end) = SpaceRow::positions(number);
    for (found, upto) in OF_POSITIONS.into_iter().zip(POSITIONS_UPTO) {
        let mut statement = transaction.statement(found)?;
        let mut rows = statement.query((before, end, ROWS_MAX as i64))?;
        let (mut last, mut bytes) = (None, 0_u64);
        while bytes < BYTES_MAX
            && let Some(row) = rows.next()?
        {
            last = Some(row.get::<_, i64>(0)?);
            bytes = bytes.saturating_add(count(row, 1)?);
        }
        drop(rows);
        if let Some(last) = last {
            transaction.statement(upto)?.execute([before, last])?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes some of the entities of a space away; answers whether there were any.
fn take_entities_away(transaction: &SqliteTransaction<'_>, number: i64) -> Result<bool, LogError> {
    let sql =
        "SELECT e.number, coalesce(length(s.bytes), 0) FROM entities e LEFT JOIN snapshots s ON s.entity = e.number
        WHERE e.space = ?1 LIMIT ?2";
    let mut statement = transaction.statement(sql)?;
    let found = statement.query_map((number, ENTITIES_MAX as i64), |row| Ok((row.get(0)?, count(row, 1)?)))?;
    let found: Vec<(i64, u64)> = found.collect::<Result<_, _>>()?;
    let (mut rows_left, mut bytes_left) = (ROWS_MAX, BYTES_MAX);
    for (entity, bytes) in &found {
        for sql in MANY_OF_ENTITY {
            rows_left -= transaction.statement(sql)?.execute((entity, rows_left as i64))?.min(rows_left);
        }
        bytes_left = bytes_left.saturating_sub(*bytes);
        if rows_left == 0 {
            return Ok(true);
        }
        for sql in ONE_OF_ENTITY {
            transaction.statement(sql)?.execute([entity])?;
        }
        if bytes_left == 0 {
            return Ok(true);
        }
    }
    Ok(!found.is_empty())
}

fn unused(transaction: &SqliteTransaction<'_>) -> Result<Unused, LogError> {
    let mut collections = transaction.statement(UNUSED_COLLECTIONS)?;
    let mut actors = transaction.statement(UNUSED_ACTORS)?;
    Ok(Unused {
        collections: collections.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?,
        actors: actors.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?,
        heads: heads(transaction)?,
    })
}

/// The end of every space, by its number.
fn heads(transaction: &SqliteTransaction<'_>) -> Result<BTreeMap<i64, i64>, LogError> {
    let mut statement = transaction.statement("SELECT number, sequence FROM spaces")?;
    let heads = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(heads.collect::<Result<_, _>>()?)
}

/// The actors of what was appended behind these ends.
fn used_since(transaction: &SqliteTransaction<'_>, before: &BTreeMap<i64, i64>) -> Result<BTreeSet<i64>, LogError> {
    let mut used = BTreeSet::new();
    for (number, head) in heads(transaction)? {
        let was = before.get(&number).copied().unwrap_or_default();
        if was == head {
            continue;
        }
        let (start, end) = SpaceRow::positions(number);
        let sql = "SELECT actor FROM chunks WHERE position > ?1 AND position <= ?2
            UNION SELECT actor FROM actor_runs WHERE segment > ?1 AND segment <= ?2
                AND entity IN (SELECT number FROM entities WHERE space = ?3)";
        let mut statement = transaction.statement(sql)?;
        let actors = statement.query_map((start + was, end, number), |row| row.get::<_, i64>(0))?;
        for actor in actors {
            used.insert(actor?);
        }
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::sqlite::schema::prepare;
    use rusqlite::{Connection, StatementStatus};

    #[test]
    fn what_is_deleted_while_others_wait_is_found_without_a_look_at_all_rows() {
        let log = prepare(Connection::open_in_memory().unwrap()).unwrap();
        log.execute_batch(
            "INSERT INTO spaces VALUES (1, x'01', x'', 0, x'', 0, 0, 0);
            INSERT INTO collections VALUES (1, 'used'), (2, 'unused');
            INSERT INTO tokens (user, hash, may_create, read_only, restricted, created_ms) VALUES (1, x'', 1, 0, 1, 0);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                INSERT INTO entities (space, id, collection, operations) SELECT 1, CAST(i AS BLOB), 1, 0 FROM n;
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                INSERT INTO token_spaces (token, space) SELECT 1, CAST(i AS BLOB) FROM n",
        )
        .unwrap();
        let delete = |sql: &str, what: &dyn rusqlite::ToSql| {
            let mut statement = log.prepare(sql).unwrap();
            let rows = statement.execute([what]).unwrap();
            (rows, statement.get_status(StatementStatus::FullscanStep), statement.get_status(StatementStatus::VmStep))
        };
        for (sql, what) in [(COLLECTION, &2 as &dyn rusqlite::ToSql), (TOKENS, &b"7".as_slice())] {
            let (rows, scanned, steps) = delete(sql, what);
            assert_eq!((rows, scanned), (1, 0), "{sql}");
            assert!(steps < 500, "{steps} steps: {sql}");
        }
    }
}
