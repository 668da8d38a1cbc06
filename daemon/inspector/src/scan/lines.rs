//! Lines of an input, in batches, none of them longer than a symbol can be.

use std::io::{self, BufRead, Read};

/// Characters of the longest line that is looked at: a symbol of a few hundred bytes in hex, with room.
const LONGEST: u64 = 16_384;

/// Lines with their numbers, counted from one.
pub(super) struct Lines<R> {
    input: R,
    read: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, read: 0 }
    }

    /// Lines read so far, those without anything in them too.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// The next lines that have anything in them; none at the end. Of a line that is too long the beginning is given, which is no symbol.
    pub(super) fn batch(&mut self, most: usize) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let mut batch = Vec::with_capacity(most.min(1_024));
        while batch.len() < most {
            let mut line = Vec::new();
            let read = self.input.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            self.read += 1;
            if line.last() != Some(&b'\n') && u64::try_from(read).is_ok_and(|read| read == LONGEST) {
                self.skip()?;
            }
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                batch.push((self.read, line));
            }
        }
        Ok(batch)
    }

    fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (used, done) = end.map_or((buffer.len(), buffer.is_empty()), |at| (at + 1, true));
            self.input.consume(used);
            if done {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_lines() {
        let long = "f".repeat(40_000);
        let text = format!("a\n\n  \nb\r\n{long}\nc");
        let mut lines = Lines::new(text.as_bytes());
        let batch = lines.batch(2).unwrap();
        assert_eq!(batch, [(1, b"a\n".to_vec()), (4, b"b\r\n".to_vec())]);
        let batch = lines.batch(9).unwrap();
        assert_eq!(batch.iter().map(|(line, text)| (*line, text.len())).collect::<Vec<_>>(), [(5, 16_384), (6, 1)]);
        assert!(lines.batch(9).unwrap().is_empty());
        assert_eq!(lines.read(), 6);
    }
}
