//! A segment, read and checked against the chain.

use super::cache::CacheKey;
use super::held::Held;
use super::layout;
use super::{Archive, body};
use crate::log::sqlite::row::SpaceRow;
use crate::log::{Inconsistency, LogError};
use afield_core::log::ChunkHash;
use afield_core::{ChainHash, ChunkKind, EntityId, Sequence};
use rusqlite::Row;
use std::collections::HashMap;

/// The most chunks of a segment.
///
/// One flipped byte costs all chunks of a body that no device pushes again, and reading one chunk means decoding all of them:
/// some milliseconds for 1,000. `at_rest` in the benchmarks measures what other sizes would take.
pub(in crate::log::sqlite) const SEGMENT_CHUNKS_MAX: usize = 512;

/// The bytes of a hash.
const HASH_BYTES: usize = 32;

/// A chunk of a segment.
#[derive(Debug)]
pub(in crate::log::sqlite) struct Place {
    /// The row of the entity.
    pub(in crate::log::sqlite) number: i64,
    pub(in crate::log::sqlite) entity: EntityId,
    pub(in crate::log::sqlite) kind: ChunkKind,
    /// The hash that entered the chain.
    pub(in crate::log::sqlite) hash: ChunkHash,
    /// The chain hash behind it.
    pub(in crate::log::sqlite) chain: ChainHash,
    /// Its bytes, where the body has them; they fit the hash.
    pub(in crate::log::sqlite) bytes: Option<Vec<u8>>,
}

/// A segment: every chunk with its hash and chain hash, which lead from one end of the segment to the other.
#[derive(Debug)]
pub(in crate::log::sqlite) struct Segment {
    pub(super) first: i64,
    pub(super) last: i64,
    /// The chain hash before the first chunk.
    pub(super) before: ChainHash,
    pub(super) places: Vec<Place>,
    /// Whether some of it was found again from the rest, and is to be stored.
    pub(super) is_mended: bool,
    /// Which chunks the body has; absent where what says so has decayed, or the body.
    pub(super) held: Option<Held>,
    /// The hash of the body as it is on the disk.
    pub(super) body_hash: CacheKey,
    pub(super) body_bytes: usize,
}

impl Segment {
    /// The chunk at a position.
    pub(in crate::log::sqlite) fn place(&self, position: i64) -> Option<&Place> {
        self.places.get(usize::try_from(position.checked_sub(self.first)?).ok()?)
    }

    /// The chunks from a position on, with theirs.
    pub(in crate::log::sqlite) fn places_from(&self, position: i64) -> impl Iterator<Item = (i64, &Place)> {
        let skipped = usize::try_from(position.saturating_sub(self.first)).unwrap_or(0);
        (self.first..).zip(&self.places).skip(skipped)
    }

    /// The position of an entity's chunk with a hash.
    pub(in crate::log::sqlite) fn find(&self, number: i64, hash: ChunkHash) -> Option<(i64, &Place)> {
        self.places_from(self.first).find(|(_, place)| place.number == number && place.hash == hash)
    }

    /// Whether the body has the chunk at a position: for certain, where it says yes.
    pub(super) fn holds(&self, position: i64) -> bool {
        let index = position.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        self.held.as_ref().zip(index).is_some_and(|(held, index)| held.holds(index))
    }

    /// The position of its last chunk.
    pub(in crate::log::sqlite) fn last(&self) -> i64 {
        self.last
    }

    /// The chain hash behind its last chunk.
    pub(super) fn chain(&self) -> ChainHash {
        self.places.last().map_or(self.before, |place| place.chain)
    }

    /// About how much memory it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        let bytes: usize = self.places.iter().filter_map(|place| place.bytes.as_ref()).map(Vec::len).sum();
        bytes + size_of_val(&self.places[..]) + size_of::<Self>()
    }

    /// The hashes, one after the other.
    pub(super) fn hashes(&self) -> Vec<u8> {
        self.places.iter().flat_map(|place| *place.hash.as_bytes()).collect()
    }

    /// Whose the chunks are, and of what kind.
    pub(super) fn layout(&self) -> Vec<u8> {
        layout::encode(self.places.iter().map(|place| (place.number, place.kind.number())))
    }
}

/// All of these hashes, combined by exclusive or: what one of them was follows from the others.
pub(super) fn parity(hashes: &[u8]) -> [u8; HASH_BYTES] {
    let mut parity = [0; HASH_BYTES];
    for hash in hashes.chunks(HASH_BYTES) {
        parity.iter_mut().zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }
    parity
}

/// A segment as the disk has it.
pub(super) struct SegmentRow {
    /// The position of the first chunk, by how many hashes there are.
    pub(super) first: i64,
    pub(super) last: i64,
    before: ChainHash,
    chain: ChainHash,
    layouts: [Vec<u8>; 2],
    hashes: Vec<u8>,
    parity: [u8; HASH_BYTES],
    held: Vec<u8>,
    body: Vec<u8>,
}

/// The first segment that ends at a position or behind it, and not behind another one.
pub(super) const SEGMENT: &str = "
    SELECT s.last, s.before, s.chain, s.layout, s.body, h.layout, h.hashes, h.parity, s.held
    FROM segments s JOIN segment_hashes h ON h.last = s.last WHERE s.last >= ?1 AND s.last <= ?2 ORDER BY s.last LIMIT 1";

impl SegmentRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (last, hashes): (i64, Vec<u8>) = (row.get(0)?, row.get(6)?);
        Ok(Self {
            first: last.saturating_add(1).saturating_sub_unsigned((hashes.len() / HASH_BYTES) as u64),
            last,
            before: ChainHash::from_bytes(row.get(1)?),
            chain: ChainHash::from_bytes(row.get(2)?),
            layouts: [row.get(5)?, row.get(3)?],
            hashes,
            parity: row.get(7)?,
            held: row.get(8)?,
            body: row.get(4)?,
        })
    }

    /// The hash of everything that the segment is read from.
    pub(super) fn key(&self) -> CacheKey {
        let mut hasher = blake3::Hasher::new();
        for position in [self.first, self.last] {
            hasher.update(&position.to_le_bytes());
        }
        hasher.update(self.before.as_bytes()).update(self.chain.as_bytes()).update(&self.parity);
        for part in [&self.layouts[0], &self.layouts[1], &self.hashes, &self.held, &self.body] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        *hasher.finalize().as_bytes()
    }

    fn sequence(&self) -> u64 {
        SpaceRow::sequence(self.first).get()
    }

    fn chunks(&self) -> Option<usize> {
        let chunks = usize::try_from(self.last.checked_sub(self.first)?).ok()?.checked_add(1)?;
        (chunks.checked_mul(HASH_BYTES)? == self.hashes.len()).then_some(chunks)
    }
}

/// A chunk's entity by row and id, and its kind.
type Name = (i64, EntityId, ChunkKind);

/// Where hashes lead from and to, and what stands beside each.
struct Chain<'a> {
    first: Sequence,
    names: &'a [Name],
    ends: &'a [ChainHash],
}

/// What leads from one end of a segment to the other.
struct Followed {
    before: ChainHash,
    hashes: Vec<ChunkHash>,
    chains: Vec<ChainHash>,
}

impl Chain<'_> {
    /// The chain hashes from a chunk on.
    fn follow(&self, before: ChainHash, from: usize, hashes: impl Iterator<Item = ChunkHash>) -> Vec<ChainHash> {
        let mut chain = before;
        let mut sequence = self.first.plus(from as u64);
        let mut chains = Vec::new();
        for ((_, entity, kind), hash) in self.names.iter().skip(from).zip(hashes) {
            chain = chain.then(sequence, *entity, kind.number(), hash);
            chains.push(chain);
            sequence = sequence.next();
        }
        chains
    }

    fn leads_to_end(&self, chains: &[ChainHash]) -> bool {
        chains.last().is_some_and(|last| self.ends.contains(last))
    }

    /// Follows hashes that are as they were.
    fn whole(&self, before: ChainHash, hashes: &[ChunkHash]) -> Option<Followed> {
        let chains = self.follow(before, 0, hashes.iter().copied());
        self.leads_to_end(&chains).then(|| Followed { before, hashes: hashes.to_vec(), chains })
    }

    /// Follows hashes of which one has decayed, by `difference`.
    fn mended(&self, before: ChainHash, hashes: &[ChunkHash], difference: [u8; HASH_BYTES]) -> Option<Followed> {
        if difference == [0; HASH_BYTES] {
            return None;
        }
        let chains = self.follow(before, 0, hashes.iter().copied());
        let mut start = before;
        for (at, (hash, next)) in hashes.iter().zip(&chains).enumerate() {
            let mut bytes = *hash.as_bytes();
            bytes.iter_mut().zip(difference).for_each(|(byte, difference)| *byte ^= difference);
            let right = ChunkHash::from_bytes(bytes);
            let rest = hashes.iter().copied().skip(at + 1);
            let behind = self.follow(start, at, std::iter::once(right).chain(rest));
            if self.leads_to_end(&behind) {
                let mut hashes = hashes.to_vec();
                hashes.iter_mut().skip(at).take(1).for_each(|hash| *hash = right);
                let chains = chains.iter().copied().take(at).chain(behind).collect();
                return Some(Followed { before, hashes, chains });
            }
            start = *next;
        }
        None
    }
}

impl Archive<'_, '_> {
    /// Reads a segment: the hashes are those that lead from one end of it to the other, and the bytes those that fit them.
    ///
    /// Every part that leads there stands twice or follows from the others, so that one that has decayed is found again.
    ///
    /// # Errors
    ///
    /// More than that has decayed, or the storage failed.
    pub(super) fn read_segment(&self, row: SegmentRow) -> Result<Segment, LogError> {
        let mut segment = self.read_outline(&row)?;
        let mut bodies: HashMap<(EntityId, ChunkHash), Vec<u8>> = HashMap::new();
        for chunk in body::decode(&row.body).unwrap_or_default() {
            bodies.insert((chunk.entity, ChunkHash::of(&chunk.bytes)), chunk.bytes);
        }
        for place in &mut segment.places {
            place.bytes = bodies.remove(&(place.entity, place.hash));
        }
        Ok(segment)
    }

    /// Reads a segment without the bytes of its chunks, which takes a small part of the time.
    ///
    /// # Errors
    ///
    /// More has decayed than can be found again, or the storage failed.
    pub(super) fn read_outline(&self, row: &SegmentRow) -> Result<Segment, LogError> {
        let damaged = || LogError::Inconsistent(Inconsistency::Chain(row.sequence()));
        let chunks = row.chunks().ok_or_else(damaged)?;
        let hashes: Vec<ChunkHash> = row.hashes.chunks(HASH_BYTES).filter_map(read_hash).collect();
        let mut names = Vec::new();
        for layout in &row.layouts {
            names.push(self.names(layout, chunks)?);
        }
        let straight = names.first().and_then(Option::as_ref).and_then(|names| {
            let chain = Chain { first: SpaceRow::sequence(row.first), names, ends: &[row.chain] };
            chain.whole(row.before, &hashes).map(|followed| (names.clone(), followed))
        });
        let is_straight = straight.is_some() && row.layouts[0] == row.layouts[1] && parity(&row.hashes) == row.parity;
        let found = match straight {
            Some(found) => Some(found),
            None => self.found_again(row, &names, &hashes)?,
        };
        let (names, followed) = found.ok_or_else(damaged)?;
        let places = names.into_iter().zip(followed.hashes.into_iter().zip(followed.chains));
        let places = places.map(|((number, entity, kind), (hash, chain))| Place {
            number,
            entity,
            kind,
            hash,
            chain,
            bytes: None,
        });
        let body_hash = *blake3::hash(&row.body).as_bytes();
        Ok(Segment {
            first: row.first,
            last: row.last,
            before: followed.before,
            places: places.collect(),
            is_mended: !is_straight,
            held: Held::read(&row.held, &body_hash),
            body_hash,
            body_bytes: row.body.len(),
        })
    }

    /// What leads from one end of a segment to the other, where some of it has decayed.
    fn found_again(
        &self,
        row: &SegmentRow,
        names: &[Option<Vec<Name>>],
        hashes: &[ChunkHash],
    ) -> Result<Option<(Vec<Name>, Followed)>, LogError> {
        let befores = [Some(row.before), self.chain_behind(row.first - 1)?];
        let ends: Vec<ChainHash> = [Some(row.chain), self.chain_before(row.last + 1)?].into_iter().flatten().collect();
        let stored = parity(&row.hashes);
        let mut difference = row.parity;
        difference.iter_mut().zip(stored).for_each(|(parity, sum)| *parity ^= sum);
        for names in names.iter().flatten() {
            let chain = Chain { first: SpaceRow::sequence(row.first), names, ends: &ends };
            let tried = befores.into_iter().flatten();
            let found = tried.clone().find_map(|before| chain.whole(before, hashes));
            let found = found.or_else(|| tried.into_iter().find_map(|before| chain.mended(before, hashes, difference)));
            if let Some(followed) = found {
                return Ok(Some((names.clone(), followed)));
            }
        }
        // The chain hash behind the last chunk may have decayed here, and nothing stand behind it but a row.
        for names in names.iter().flatten() {
            let chain = Chain { first: SpaceRow::sequence(row.first), names, ends: &[] };
            let chains = chain.follow(row.before, 0, hashes.iter().copied());
            if let Some(last) = chains.last()
                && self.row_follows(row.last, *last)?
            {
                let hashes = hashes.to_vec();
                return Ok(Some((names.clone(), Followed { before: row.before, hashes, chains })));
            }
        }
        Ok(None)
    }

    /// Whose the chunks are, by a layout; `None` when it has decayed, or an entity that it names is not there.
    fn names(&self, layout: &[u8], chunks: usize) -> Result<Option<Vec<Name>>, LogError> {
        let Some(runs) = layout::decode(layout, chunks) else { return Ok(None) };
        let mut names = Vec::with_capacity(chunks);
        for run in runs {
            let (Some(entity), Some(kind)) = (self.entity_id(run.entity)?, ChunkKind::from_number(run.kind)) else {
                return Ok(None);
            };
            names.extend((0..run.chunks).map(|_| (run.entity, entity, kind)));
        }
        Ok(Some(names))
    }
}

fn read_hash(bytes: &[u8]) -> Option<ChunkHash> {
    bytes.try_into().ok().map(ChunkHash::from_bytes)
}
