//! A run of the log of which not everything travels: `Jump`, and the places of what does.

use super::{ChainCheck, Channel, Segment};
use crate::log::{ChainHash, Sequence};
use crate::wire::cbor::ITEMS_MAX;
use minicbor::decode::Error;
use minicbor::{Decode, Decoder, Encode, Encoder};

/// The most runs that places consist of.
pub const PLACES_RUNS_MAX: usize = ITEMS_MAX / 2;

/// A run of the log, right after the device's cursor, of which only what the device's filter includes travels.
///
/// The device cannot compute the chain over what it does not get, so the relay says what it is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Jump<'b> {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// The sequence before the run.
    #[n(1)]
    pub after: Sequence,
    /// The leading bytes of the chain hash there.
    #[n(2)]
    pub check: ChainCheck,
    /// The chunks that travel, in the order of the log.
    #[b(3)]
    pub segments: Vec<Segment<'b>>,
    /// Where in the run they stand.
    #[n(4)]
    pub places: Places,
    /// The last sequence of the run.
    #[n(5)]
    pub upto: Sequence,
    /// The chain hash there.
    #[n(6)]
    pub chain: ChainHash,
    /// As in [`Chunks`](super::Chunks), whether they are in the filter or not.
    #[n(7)]
    pub left: Option<u64>,
}

/// Which sequences after a position are named, as runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places(Vec<PlaceRun>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PlaceRun {
    skipped: u64,
    named: u64,
}

impl Places {
    /// The places of these sequences, which rise, after a position.
    pub fn of(after: Sequence, sequences: impl IntoIterator<Item = Sequence>) -> Self {
        let mut runs: Vec<PlaceRun> = Vec::new();
        let mut next = after.next();
        for sequence in sequences {
            match (sequence.get().saturating_sub(next.get()), runs.last_mut()) {
                (0, Some(last)) => last.named += 1,
                (skipped, _) => runs.push(PlaceRun { skipped, named: 1 }),
            }
            next = sequence.next();
        }
        Self(runs)
    }

    /// How many runs there are, at most [`PLACES_RUNS_MAX`] in a frame.
    pub fn run_count(&self) -> usize {
        self.0.len()
    }

    /// The sequences named, after a position.
    pub fn sequences(&self, after: Sequence) -> impl Iterator<Item = Sequence> {
        let ends = self.0.iter().scan(after, |end, run| {
            let first = end.plus(run.skipped).next();
            *end = end.plus(run.skipped).plus(run.named);
            Some((first, run.named))
        });
        ends.flat_map(|(first, named)| (0..named).map(move |offset| first.plus(offset)))
    }
}

impl<C> Encode<C> for Places {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2 * self.0.len() as u64)?;
        self.0.iter().try_for_each(|run| e.u64(run.skipped)?.u64(run.named)?.ok())
    }
}

impl<'b, C> Decode<'b, C> for Places {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        let position = d.position();
        let items = d.array()?.unwrap_or(0);
        if items % 2 != 0 {
            return Err(Error::message("places are pairs").at(position));
        }
        let mut end = 0_u64;
        let mut runs = Vec::new();
        for _ in 0..items / 2 {
            let run = PlaceRun { skipped: d.u64()?, named: d.u64()? };
            let after = end.checked_add(run.skipped).and_then(|start| start.checked_add(run.named));
            end = after.filter(|_| run.named > 0).ok_or(Error::message("places rise").at(position))?;
            runs.push(run);
        }
        Ok(Self(runs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(places: &Places) -> Vec<u8> {
        minicbor::to_vec(places).unwrap()
    }

    #[test]
    fn places_that_do_not_rise_are_refused() {
        assert_eq!(minicbor::decode::<Places>(&[0x82, 1, 1]).unwrap().run_count(), 1, "the control");
        for bad in [&[0x82, 1, 0][..], &[0x81, 1], &[0x82, 0x1b, 255, 255, 255, 255, 255, 255, 255, 255, 1]] {
            assert!(minicbor::decode::<Places>(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn places_survive_the_wire(after in 0_u64..1_000, steps in proptest::collection::vec(1_u64..4, 0..50)) {
            let sequences: Vec<_> = steps.iter().scan(after, |at, step| { *at += step; Some(Sequence::new(*at)) }).collect();
            let places = Places::of(Sequence::new(after), sequences.clone());
            let decoded: Places = minicbor::decode(&bytes(&places)).unwrap();
            prop_assert_eq!(&decoded, &places);
            prop_assert_eq!(decoded.sequences(Sequence::new(after)).collect::<Vec<_>>(), sequences);
        }
    }
}
