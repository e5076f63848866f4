//! What the parts of the log take on the disk.

use crate::log::LogError;
use crate::log::sqlite::SqliteLog;

/// What the parts of a log's file take, in bytes, free pages and the inner pages of trees included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskUse {
    /// Fresh chunks, with their indexes.
    pub rows: u64,
    /// Segments, without their hashes.
    pub segments: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// The list of hashes: the hashes of what is in segments, and the index that finds a change by its hash or its actor.
    pub hashes: u64,
    /// Everything else.
    pub other: u64,
    /// Pages that the file has room for and does not use.
    pub free: u64,
}

impl DiskUse {
    /// All of it.
    pub fn total(&self) -> u64 {
        let Self { rows, segments, snapshots, hashes, other, free } = self;
        rows + segments + snapshots + hashes + other + free
    }
}

impl SqliteLog {
    /// What the parts of the file take on the disk. It reads the whole file.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn disk_use(&mut self) -> Result<DiskUse, LogError> {
        let mut found = DiskUse::default();
        let mut statement = self.connection.prepare("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, bytes): (String, i64) = (row.get(0)?, row.get(1)?);
            let part = match name.as_str() {
                "chunks" | "chunks_by_actor" | "chunks_by_change" => &mut found.rows,
                "segments" => &mut found.segments,
                "snapshots" | "snapshots_to_strip" => &mut found.snapshots,
                "segment_hashes" | "actor_runs" | "change_prefixes" => &mut found.hashes,
                _ => &mut found.other,
            };
            *part += bytes.cast_unsigned();
        }
        let pragma = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (page_bytes, pages) = (pragma("page_size")?, pragma("page_count")?);
        found.free = (pragma("freelist_count")? * page_bytes).cast_unsigned();
        // The pages that say where the others belong are in no table.
        found.other += (pages * page_bytes).cast_unsigned().saturating_sub(found.total());
        Ok(found)
    }
}
