//! Frames on a byte stream: a 32-bit little-endian length, then one CBOR item.
//!
//! Owns the limits. Refuses frames above 4 MiB before it reads them, and items with bytes after their end. Used on
//! both sides of the worker's socket and on the heartbeat pipe.

use minicbor::{Decode, Encode};
use std::io::{self, Read};

/// The longest frame, without its length.
pub const MAX_FRAME: usize = 4 << 20;

const PREFIX: usize = 4;
const READ_CHUNK: usize = 64 << 10;

/// Why a frame cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeFrameError {
    /// It is longer than [`MAX_FRAME`].
    #[error("a frame of {0} bytes is longer than {MAX_FRAME}")]
    TooLong(usize),
}

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
pub enum DecodeFrameError {
    /// The length is above [`MAX_FRAME`].
    #[error("a frame of {0} bytes is longer than {MAX_FRAME}")]
    TooLong(u32),
    /// The item is not what the protocol has.
    #[error("a frame is malformed: {0}")]
    Malformed(#[source] minicbor::decode::Error),
    /// There are bytes after the item.
    #[error("a frame has {0} bytes after its item")]
    Trailing(usize),
}

/// The frame of an item, with its length before it.
///
/// # Errors
///
/// When the frame would be too long.
pub fn encode<T: Encode<()>>(item: &T) -> Result<Vec<u8>, EncodeFrameError> {
    encode_with_capacity(item, 256)
}

/// As [`encode`], with room for so many bytes from the start.
///
/// # Errors
///
/// When the frame would be too long.
pub fn encode_with_capacity<T: Encode<()>>(item: &T, capacity: usize) -> Result<Vec<u8>, EncodeFrameError> {
    let mut bytes = Vec::with_capacity(capacity.saturating_add(PREFIX));
    bytes.extend_from_slice(&[0; PREFIX]);
    if let Err(error) = minicbor::encode(item, &mut bytes) {
        unreachable!("writing to memory cannot fail: {error}");
    }
    let length = bytes.len() - PREFIX;
    match u32::try_from(length) {
        Ok(prefix) if length <= MAX_FRAME => bytes[..PREFIX].copy_from_slice(&prefix.to_le_bytes()),
        Ok(_) | Err(_) => return Err(EncodeFrameError::TooLong(length)),
    }
    Ok(bytes)
}

/// Decodes one item that fills `bytes`.
///
/// # Errors
///
/// When the bytes are not the item, or more than it.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, DecodeFrameError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let item = decoder.decode().map_err(DecodeFrameError::Malformed)?;
    match bytes.len() - decoder.position() {
        0 => Ok(item),
        rest => Err(DecodeFrameError::Trailing(rest)),
    }
}

/// Collects what a stream delivers and cuts it into frames.
#[derive(Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl FrameBuffer {
    /// Reads once from the stream; zero means that the stream has ended.
    ///
    /// # Errors
    ///
    /// As the stream.
    pub fn fill(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        if self.bytes.len() - self.end < READ_CHUNK / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let wanted = self.end + READ_CHUNK;
            if self.bytes.len() < wanted {
                self.bytes.resize(wanted, 0);
            }
        }
        let read = stream.read(&mut self.bytes[self.end..])?;
        self.end += read;
        Ok(read)
    }

    /// The next complete frame, if there is one.
    ///
    /// # Errors
    ///
    /// When the frame is announced as too long; the stream is of no more use then.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, DecodeFrameError> {
        let held = &self.bytes[self.start..self.end];
        let Some((prefix, rest)) = held.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let announced = u32::from_le_bytes(*prefix);
        let length = match usize::try_from(announced) {
            Ok(length) if length <= MAX_FRAME => length,
            Ok(_) | Err(_) => return Err(DecodeFrameError::TooLong(announced)),
        };
        if rest.len() < length {
            return Ok(None);
        }
        let from = self.start + PREFIX;
        self.start = from + length;
        Ok(Some(&self.bytes[from..from + length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut_of_the_stream() {
        let items: Vec<Vec<u64>> = (0..50).map(|n| (0..n * 40).collect()).collect();
        let stream: Vec<u8> = items.iter().flat_map(|item| encode(item).expect("short")).collect();
        for cut in [1, 3, 4, 5, 1000, 100_000] {
            let mut buffer = FrameBuffer::default();
            let mut seen: Vec<Vec<u64>> = Vec::new();
            for chunk in stream.chunks(cut) {
                let mut chunk = chunk;
                while buffer.fill(&mut chunk).expect("memory") > 0 {}
                while let Some(frame) = buffer.next_frame().expect("sound") {
                    seen.push(decode(frame).expect("sound"));
                }
            }
            assert_eq!(seen, items, "cut {cut}");
        }
    }

    #[test]
    fn a_frame_announced_as_too_long_is_refused_before_it_is_read() {
        let mut buffer = FrameBuffer::default();
        let announced = u32::try_from(MAX_FRAME + 1).expect("fits");
        buffer.fill(&mut announced.to_le_bytes().as_slice()).expect("memory");
        assert!(matches!(buffer.next_frame(), Err(DecodeFrameError::TooLong(n)) if n == announced));
    }

    #[test]
    fn bytes_after_the_item_are_refused() {
        assert!(matches!(decode::<u8>(&[1, 2]), Err(DecodeFrameError::Trailing(1))));
    }
}
