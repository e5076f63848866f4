//! The file in which a device hands over what it has not sent.
//!
//! A magic line, then sections: a byte that says what it is, its length in four bytes (little-endian), and its content. A space
//! (16 bytes) stands before the batches that are of it, in the form in which chunks travel; the end holds the BLAKE3 of all before
//! it, and nothing stands behind it. Lengths are checked before anything is read, so that a file takes no more memory than a section.

use super::HandOverProblem;
use afield_core::log::ChunkHash;
use afield_core::wire::{BATCH_OUTPUT_BYTES_MAX, BatchChunk, DecodedChunk, decode_batch, encode_batch};
use afield_core::{ChunkKind, Limits, SpaceId};
use std::io::{self, Read, Write};

/// What such a file begins with, the version of the form included.
const MAGIC: &[u8; 17] = b"afield unsent 1\r\n";
const SPACE: u8 = 1;
const BATCH: u8 = 2;
const END: u8 = 3;
/// The most bytes of a section: a batch of chunks that are as many as may be, and what names them.
const SECTION_BYTES_MAX: usize = 2 * BATCH_OUTPUT_BYTES_MAX;

/// Writes such a file, section by section.
pub(super) struct Writer<W> {
    out: W,
    check: Check,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self { out, check: Check::new() })
    }

    /// What follows is of this space.
    pub(super) fn space(&mut self, space: SpaceId) -> io::Result<()> {
        self.section(SPACE, space.as_bytes())
    }

    pub(super) fn batch<'c>(&mut self, chunks: impl IntoIterator<Item = BatchChunk<'c>>) -> io::Result<()> {
        self.section(BATCH, &encode_batch(chunks))
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        let check = self.check.0;
        self.section(END, check.as_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn section(&mut self, tag: u8, content: &[u8]) -> io::Result<()> {
        // A batch is far shorter than that.
        let length = u32::try_from(content.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.check.add(tag, content);
        self.out.write_all(&[tag])?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(content)
    }
}

/// Some of what a file holds of a space.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) space: SpaceId,
    pub(super) chunks: Vec<DecodedChunk>,
}

/// Why a file was not read further.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    Problem(HandOverProblem),
}

impl From<HandOverProblem> for Failure {
    fn from(problem: HandOverProblem) -> Self {
        Self::Problem(problem)
    }
}

/// Reads such a file, batch by batch.
pub(super) struct Reader<R> {
    file: R,
    at: u64,
    check: Check,
    space: Option<SpaceId>,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(file: R) -> Result<Self, Failure> {
        let mut reader = Self { file, at: 0, check: Check::new(), space: None };
        let magic = reader.read_up_to(MAGIC.len())?;
        if magic != MAGIC { Err(HandOverProblem::NotHandedOver.into()) } else { Ok(reader) }
    }

    /// The next batch; `None` at the end of a whole file.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, Failure> {
        loop {
            let at = self.at;
            let expected = self.check.0;
            let (tag, content) = self.section()?;
            match tag {
                SPACE => {
                    let id = content.try_into().map_err(|_| HandOverProblem::Section { at })?;
                    self.space = Some(SpaceId::from_bytes(id));
                }
                BATCH => {
                    let space = self.space.ok_or(HandOverProblem::Section { at })?;
                    let chunks = decode_batch(&content, &Limits::DEFAULT);
                    let chunks = chunks.map_err(|source| HandOverProblem::Batch { at, source })?;
                    if chunks.iter().any(|chunk| !matches!(chunk.kind, ChunkKind::Change | ChunkKind::Erasure)) {
                        return Err(HandOverProblem::Section { at }.into());
                    }
                    return Ok(Some(Batch { space, chunks }));
                }
                END if content == expected.as_bytes() => {
                    return match self.read_up_to(1)?.is_empty() {
                        true => Ok(None),
                        false => Err(HandOverProblem::Section { at: self.at }.into()),
                    };
                }
                END => return Err(HandOverProblem::Changed.into()),
                _ => return Err(HandOverProblem::Section { at }.into()),
            }
        }
    }

    fn section(&mut self) -> Result<(u8, Vec<u8>), Failure> {
        let at = self.at;
        let head = self.read_up_to(5)?;
        let [tag, a, b, c, d] = head.as_slice().try_into().map_err(|_| HandOverProblem::Cut { at: self.at })?;
        let found = u32::from_le_bytes([a, b, c, d]);
        let length = usize::try_from(found).ok().filter(|length| *length <= SECTION_BYTES_MAX);
        let length = length.ok_or(HandOverProblem::TooLong {
            at,
            found: u64::from(found),
            maximum: SECTION_BYTES_MAX as u64,
        })?;
        let content = self.read_up_to(length)?;
        if content.len() < length {
            return Err(HandOverProblem::Cut { at: self.at }.into());
        }
        self.check.add(tag, &content);
        Ok((tag, content))
    }

    /// Reads so many bytes, or those that are left.
    fn read_up_to(&mut self, length: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.file.by_ref().take(length as u64).read_to_end(&mut bytes).map_err(Failure::Io)?;
        self.at += bytes.len() as u64;
        Ok(bytes)
    }
}

/// The hash of all sections so far: each over the one before, what the section is, and its content.
struct Check(ChunkHash);

impl Check {
    fn new() -> Self {
        Self(ChunkHash::of(MAGIC))
    }

    fn add(&mut self, tag: u8, content: &[u8]) {
        let before = self.0;
        self.0 = ChunkHash::of(&[before.as_bytes().as_slice(), &[tag], content].concat());
    }
}
