//! The frames of a WebSocket, seen from outside, as RFC 6455 (section 5.2) lays them out.

/// What one direction of a connection has carried since the HTTP upgrade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// All bytes, with headers, masks, pings and closes.
    pub bytes: u64,
    /// Whole messages.
    pub messages: u64,
    /// Pings, pongs and closes.
    pub control: u64,
}

/// Counts frames in a stream of bytes, however it is cut.
#[derive(Debug, Default)]
pub struct FrameCounter {
    /// The HTTP head, until its end.
    is_upgraded: bool,
    head_tail: [u8; 4],
    /// The bytes of a frame's header so far.
    header: Vec<u8>,
    /// How much of the current frame's payload is still to come.
    payload_left: u64,
    /// What the current frame's payload is masked with, turned to its next byte.
    mask: [u8; 4],
    /// The messages so far, whole or not, where they are kept; `None` where they are not.
    kept: Option<Vec<Vec<u8>>>,
    /// Whether the current frame is part of a message.
    is_data: bool,
    /// Whether it is the last part of one.
    is_last: bool,
    /// Whether a message has begun that is not whole.
    is_within_message: bool,
    seen: Seen,
}

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

impl FrameCounter {
    /// One that keeps the messages as well, those of a device unmasked.
    pub fn that_keeps() -> Self {
        Self { kept: Some(Vec::new()), ..Self::default() }
    }

    /// The messages that were kept.
    pub fn kept(&self) -> &[Vec<u8>] {
        self.kept.as_deref().unwrap_or_default()
    }

    /// Takes out the messages that have become whole since the last time.
    pub fn take_whole(&mut self) -> Vec<Vec<u8>> {
        let Some(kept) = &mut self.kept else { return Vec::new() };
        let unfinished = if self.is_within_message { kept.len().saturating_sub(1) } else { kept.len() };
        kept.drain(..unfinished).collect()
    }

    /// What was counted so far.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Takes the next bytes of the stream.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if !self.is_upgraded {
                self.head_tail.rotate_left(1);
                if let Some(last) = self.head_tail.last_mut() {
                    *last = *first;
                }
                self.is_upgraded = self.head_tail == *b"\r\n\r\n";
                bytes = rest;
            } else if self.payload_left > 0 {
                let taken = bytes.len().min(usize::try_from(self.payload_left).unwrap_or(usize::MAX));
                self.payload_left -= taken as u64;
                self.seen.bytes += taken as u64;
                if let (true, Some(message)) = (self.is_data, self.kept.as_mut().and_then(|kept| kept.last_mut())) {
                    let masks = self.mask.into_iter().cycle();
                    message.extend(bytes.iter().take(taken).zip(masks).map(|(byte, mask)| byte ^ mask));
                    let turned = taken % self.mask.len();
                    self.mask.rotate_left(turned);
                }
                self.end_of_payload();
                bytes = bytes.get(taken..).unwrap_or_default();
            } else {
                self.header.push(*first);
                self.seen.bytes += 1;
                self.read_header();
                bytes = rest;
            }
        }
    }

    /// Reads the header once it is whole.
    fn read_header(&mut self) {
        let [start, length, extended @ ..] = self.header.as_slice() else { return };
        let mask_bytes = if length & MASKED == 0 { 0 } else { 4 };
        let length_bytes = match length & LENGTH {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if extended.len() < length_bytes + mask_bytes {
            return;
        }
        self.payload_left = match length_bytes {
            0 => u64::from(length & LENGTH),
            _ => extended.iter().take(length_bytes).fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        self.mask = match extended.get(length_bytes..) {
            Some(&[first, second, third, fourth]) => [first, second, third, fourth],
            _ => [0; 4],
        };
        match (start & OPCODE & CONTROL != 0, start & FIN != 0) {
            (true, _) => self.seen.control += 1,
            (false, true) => self.seen.messages += 1,
            (false, false) => {}
        }
        self.is_data = start & OPCODE & CONTROL == 0;
        if let (true, Some(kept)) = (self.is_data && start & OPCODE != 0, &mut self.kept) {
            kept.push(Vec::new());
        }
        self.is_last |= self.is_data && start & FIN != 0;
        self.is_within_message |= self.is_data;
        self.header.clear();
        self.end_of_payload();
    }

    fn end_of_payload(&mut self) {
        if self.is_data && self.is_last && self.payload_left == 0 {
            (self.is_last, self.is_within_message) = (false, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> (Vec<u8>, Seen) {
        let mut stream = b"GET /v1/sync HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        let head = stream.len();
        stream.extend([0x82, 0x80 | 3, 1, 2, 3, 4, 9, 9, 9]);
        stream.extend([0x89, 0x80, 1, 2, 3, 4]);
        stream.extend([0x02, 126, 0x01, 0x00]);
        stream.extend([7; 256]);
        stream.extend([0x80, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        stream.extend([7; 65_536]);
        let bytes = (stream.len() - head) as u64;
        (stream, Seen { bytes, messages: 2, control: 1 })
    }

    #[test]
    fn messages_are_counted_wherever_the_stream_is_cut() {
        let (stream, expected) = stream();
        for size in [1, 2, 3, 7, 1_000, stream.len()] {
            let mut counter = FrameCounter::default();
            stream.chunks(size).for_each(|part| counter.take(part));
            assert_eq!(counter.seen(), expected, "cut into parts of {size} bytes");
            assert_eq!(counter.kept(), [] as [Vec<u8>; 0]);
            let mut counter = FrameCounter::that_keeps();
            stream.chunks(size).for_each(|part| counter.take(part));
            let messages = [vec![9 ^ 1, 9 ^ 2, 9 ^ 3], vec![7; 256 + 65_536]];
            assert_eq!(counter.kept(), messages, "cut into parts of {size} bytes");
            let mut counter = FrameCounter::that_keeps();
            let mut taken = Vec::new();
            for part in stream.chunks(size) {
                counter.take(part);
                taken.extend(counter.take_whole());
            }
            assert_eq!(taken, messages, "cut into parts of {size} bytes");
        }
    }
}
