//! Bytes and LEB128 numbers, read with their place and written in their shortest form.

/// A position in borrowed bytes.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    end: usize,
}

/// Why a read failed; the caller adds what was being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadFault {
    /// The bytes end too early.
    End {
        /// How many bytes the item needs.
        needed: u64,
        /// How many are left.
        found: usize,
    },
    /// The number is longer than it need be, or does not fit its type.
    Number,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which start at `offset` in what the errors count in.
    pub(crate) fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, end: offset + bytes.len() }
    }

    /// Where the next read starts.
    pub(crate) fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// All bytes that are left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], ReadFault> {
        let end = ReadFault::End { needed: count, found: self.rest.len() };
        let (taken, rest) =
            usize::try_from(count).ok().and_then(|count| self.rest.split_at_checked(count)).ok_or(end)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadFault> {
        let end = ReadFault::End { needed: N as u64, found: self.rest.len() };
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(end)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, ReadFault> {
        let (first, rest) = self.rest.split_first().ok_or(ReadFault::End { needed: 1, found: 0 })?;
        self.rest = rest;
        Ok(*first)
    }

    /// An unsigned number in its shortest form.
    #[inline]
    pub(crate) fn unsigned(&mut self) -> Result<u64, ReadFault> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let too_large = shift == 63 && byte > 1;
                let too_long = shift > 0 && byte == 0;
                return if too_large || too_long { Err(ReadFault::Number) } else { Ok(value) };
            }
            if shift == 63 {
                return Err(ReadFault::Number);
            }
            shift += 7;
        }
    }

    /// A signed number in its shortest form.
    #[inline]
    pub(crate) fn signed(&mut self) -> Result<i64, ReadFault> {
        let mut value = 0;
        let mut shift = 0;
        let mut previous = 0;
        loop {
            let byte = self.byte()?;
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let too_large = shift == 63 && byte != 0 && byte != 0x7f;
                let repeats_sign = (byte == 0 && previous & 0x40 == 0) || (byte == 0x7f && previous & 0x40 != 0);
                if too_large || (shift > 0 && repeats_sign) {
                    return Err(ReadFault::Number);
                }
                if shift < 57 && byte & 0x40 != 0 {
                    value |= -1 << (shift + 7);
                }
                return Ok(value);
            }
            if shift == 63 {
                return Err(ReadFault::Number);
            }
            previous = byte;
            shift += 7;
        }
    }

    /// A count of items that take at least `item_bytes` each: no more than the bytes that are left can hold.
    pub(crate) fn count(&mut self, item_bytes: u64) -> Result<u64, ReadFault> {
        let count = self.unsigned()?;
        let needed = count.saturating_mul(item_bytes);
        if needed > self.rest.len() as u64 {
            return Err(ReadFault::End { needed, found: self.rest.len() });
        }
        Ok(count)
    }
}

/// Appends `value` in its shortest form.
#[inline]
pub(crate) fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` in its shortest form.
#[inline]
pub(crate) fn write_signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let low = value as u8 & 0x7f;
        value >>= 7;
        let last = (value == 0 && low & 0x40 == 0) || (value == -1 && low & 0x40 != 0);
        if last {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// How many bytes [`write_unsigned`] appends.
pub(crate) const fn unsigned_bytes(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Maps small numbers of either sign to small unsigned ones: 0, -1, 1, -2 … become 0, 1, 2, 3 ….
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive_in_their_shortest_form(value in any::<i64>(), shift in 0_u32..64) {
            let signed = value >> shift;
            let unsigned = (value as u64) >> shift;
            let mut out = Vec::new();
            write_unsigned(&mut out, unsigned);
            prop_assert_eq!(out.len(), unsigned_bytes(unsigned));
            write_signed(&mut out, signed);
            let mut reader = Reader::new(&out, 0);
            prop_assert_eq!(reader.unsigned(), Ok(unsigned));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.remaining(), 0);
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }

        #[test]
        fn fuzz_every_accepted_number_has_one_form(bytes in proptest::collection::vec(any::<u8>(), 1..12)) {
            let mut reader = Reader::new(&bytes, 0);
            if let Ok(value) = reader.unsigned() {
                let mut out = Vec::new();
                write_unsigned(&mut out, value);
                prop_assert_eq!(&out[..], &bytes[..reader.offset()]);
            }
            let mut reader = Reader::new(&bytes, 0);
            if let Ok(value) = reader.signed() {
                let mut out = Vec::new();
                write_signed(&mut out, value);
                prop_assert_eq!(&out[..], &bytes[..reader.offset()]);
            }
        }
    }

    #[test]
    fn longer_forms_and_large_numbers_are_refused() {
        let unsigned = |bytes: &[u8]| Reader::new(bytes, 0).unsigned();
        assert_eq!(unsigned(&[0x80, 0x01]), Ok(128));
        assert_eq!(unsigned(&[0x80, 0x00]), Err(ReadFault::Number));
        assert_eq!(unsigned(&[0xff; 12]), Err(ReadFault::Number));
        assert_eq!(unsigned(&[0x80]), Err(ReadFault::End { needed: 1, found: 0 }));
        let signed = |bytes: &[u8]| Reader::new(bytes, 0).signed();
        assert_eq!(signed(&[0x7f]), Ok(-1));
        assert_eq!(signed(&[0xff, 0x7f]), Err(ReadFault::Number));
        assert_eq!(signed(&[0xff, 0x00]), Ok(127));
        assert_eq!(signed(&[0xff; 12]), Err(ReadFault::Number));
    }
}
