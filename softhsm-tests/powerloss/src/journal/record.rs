//! The journal's records and their encoding.
//!
//! A record is the magic `PWRLOSS1`, the payload's length (u64, little endian as all numbers here), the payload, and the
//! FNV-1a checksum of the payload. A kill in the middle of an append leaves a beginning of a record at the end of the file, which
//! decoding ignores; damage anywhere else is an error.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MAGIC: &[u8; 8] = b"PWRLOSS1";
const HEADER: usize = 16;
const TRAILER: usize = 8;

/// Identifies a file whatever its name. Random, since inode numbers are used again.
pub type FileId = u64;

/// One event. Paths are relative to the tracked directory; `mode` is as for `open`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A file that was there before the journal, with its durable content.
    Base {
        /// The file.
        id: FileId,
        /// Its name.
        path: &'a Path,
        /// Its permissions.
        mode: u32,
        /// All of it.
        content: &'a [u8],
    },
    /// A file was created. Not durable.
    Created {
        /// The file.
        id: FileId,
        /// Its name.
        path: &'a Path,
        /// The permissions asked for.
        mode: u32,
    },
    /// A file was renamed. Not durable.
    Renamed {
        /// The old name.
        from: &'a Path,
        /// The new name.
        to: &'a Path,
    },
    /// A name was removed. Not durable.
    Unlinked {
        /// The name.
        path: &'a Path,
    },
    /// A file was synced: its durable content is cut to `kept` bytes, brought to `len` bytes, and overwritten with `ranges`.
    FileSynced {
        /// The file.
        id: FileId,
        /// The least length it had since the last sync.
        kept: u64,
        /// Its length now.
        len: u64,
        /// What was written: offsets and bytes.
        ranges: Vec<(u64, &'a [u8])>,
    },
    /// A directory was synced; its names are durable as they are.
    DirSynced {
        /// The directory, empty for the tracked one itself.
        path: &'a Path,
    },
}

/// The journal is damaged elsewhere than at its end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the journal is damaged at byte {offset}")]
pub struct JournalError {
    /// Where the damaged record begins.
    pub offset: usize,
}

/// The records of a journal.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// In the order of their events.
    pub records: Vec<Record<'a>>,
    /// Where the last complete record ends; a torn one follows if the journal is longer.
    pub end: usize,
}

impl Record<'_> {
    /// The record as it is appended to the journal.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder(vec![0; HEADER]);
        match self {
            Self::Base { id, path, mode, content } => {
                out.number(1).number(*id).number(u64::from(*mode)).path(path).bytes(content);
            }
            Self::Created { id, path, mode } => {
                out.number(2).number(*id).number(u64::from(*mode)).path(path);
            }
            Self::Renamed { from, to } => {
                out.number(3).path(from).path(to);
            }
            Self::Unlinked { path } => {
                out.number(4).path(path);
            }
            Self::FileSynced { id, kept, len, ranges } => {
                out.number(5).number(*id).number(*kept).number(*len).number(ranges.len() as u64);
                for (offset, bytes) in ranges {
                    out.number(*offset).bytes(bytes);
                }
            }
            Self::DirSynced { path } => {
                out.number(6).path(path);
            }
        }
        out.finish()
    }
}

struct Encoder(Vec<u8>);

impl Encoder {
    fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn path(&mut self, path: &Path) -> &mut Self {
        self.bytes(path.as_os_str().as_bytes())
    }

    fn finish(mut self) -> Vec<u8> {
        let payload = (self.0.len() - HEADER) as u64;
        let sum = checksum(&self.0[HEADER..]);
        self.0[..8].copy_from_slice(MAGIC);
        self.0[8..HEADER].copy_from_slice(&payload.to_le_bytes());
        self.0.extend_from_slice(&sum.to_le_bytes());
        self.0
    }
}

/// Decodes a journal, or the rest of one that starts at a record.
pub fn decode(journal: &[u8]) -> Result<Decoded<'_>, JournalError> {
    let mut records = Vec::new();
    let mut end = 0;
    while let Some(frame) = next_frame(&journal[end..]) {
        let damaged = JournalError { offset: end };
        let after = end + HEADER + frame.payload.len() + TRAILER;
        if frame.magic != MAGIC {
            return Err(damaged);
        }
        if frame.sum != checksum(frame.payload).to_le_bytes() {
            // A file system may extend a file before it fills it, so the last record can be torn at full length.
            if after == journal.len() {
                break;
            }
            return Err(damaged);
        }
        records.push(decode_payload(frame.payload).ok_or(damaged)?);
        end = after;
    }
    Ok(Decoded { records, end })
}

struct Frame<'a> {
    magic: &'a [u8],
    payload: &'a [u8],
    sum: &'a [u8],
}

fn next_frame(rest: &[u8]) -> Option<Frame<'_>> {
    let (magic, rest) = rest.split_at_checked(MAGIC.len())?;
    let (payload, rest) = Decoder(rest).split()?;
    let (sum, _) = rest.split_at_checked(TRAILER)?;
    Some(Frame { magic, payload, sum })
}

fn decode_payload(payload: &[u8]) -> Option<Record<'_>> {
    let mut from = Decoder(payload);
    let record = match from.number()? {
        1 => Record::Base {
            id: from.number()?,
            mode: u32::try_from(from.number()?).ok()?,
            path: from.path()?,
            content: from.bytes()?,
        },
        2 => Record::Created { id: from.number()?, mode: u32::try_from(from.number()?).ok()?, path: from.path()? },
        3 => Record::Renamed { from: from.path()?, to: from.path()? },
        4 => Record::Unlinked { path: from.path()? },
        5 => {
            let (id, kept, len) = (from.number()?, from.number()?, from.number()?);
            let ranges = (0..from.number()?).map(|_| Some((from.number()?, from.bytes()?))).collect::<Option<_>>()?;
            Record::FileSynced { id, kept, len, ranges }
        }
        6 => Record::DirSynced { path: from.path()? },
        _ => return None,
    };
    from.0.is_empty().then_some(record)
}

struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let (bytes, rest) = Decoder(self.0).split()?;
        self.0 = rest;
        Some(bytes)
    }

    fn path(&mut self) -> Option<&'a Path> {
        Some(Path::new(OsStr::from_bytes(self.bytes()?)))
    }

    fn split(mut self) -> Option<(&'a [u8], &'a [u8])> {
        let len = usize::try_from(self.number()?).ok()?;
        self.0.split_at_checked(len)
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of_each() -> Vec<Record<'static>> {
        let (path, to) = (Path::new("a/b"), Path::new("c"));
        vec![
            Record::Base { id: 1, path, mode: 0o600, content: b"old" },
            Record::Created { id: 2, path, mode: 0o644 },
            Record::Renamed { from: path, to },
            Record::Unlinked { path },
            Record::FileSynced { id: 2, kept: u64::MAX, len: 9, ranges: vec![(0, b"x"), (7, b"yz")] },
            Record::DirSynced { path: Path::new("") },
        ]
    }

    fn encoded(records: &[Record<'_>]) -> Vec<u8> {
        records.iter().flat_map(Record::encode).collect()
    }

    #[test]
    fn decoding_gives_back_what_was_encoded() {
        let records = one_of_each();
        let bytes = encoded(&records);
        let end = bytes.len();
        assert_eq!(decode(&bytes), Ok(Decoded { records, end }));
    }

    #[test]
    fn a_torn_last_record_is_ignored_at_every_length() {
        let whole = encoded(&one_of_each());
        let last = Record::DirSynced { path: Path::new("") }.encode().len();
        let before = whole.len() - last;
        for cut in before..whole.len() {
            let decoded = decode(&whole[..cut]).expect("only torn");
            assert_eq!((decoded.records.len(), decoded.end), (5, before), "cut at {cut}");
        }
        let mut zeroed = whole.clone();
        zeroed[before + HEADER..].fill(0);
        assert_eq!(decode(&zeroed).map(|decoded| decoded.end), Ok(before));
    }

    #[test]
    fn damage_before_the_end_is_an_error() {
        let mut bytes = encoded(&one_of_each());
        bytes[HEADER + 3] ^= 1;
        assert_eq!(decode(&bytes), Err(JournalError { offset: 0 }));
        bytes[HEADER + 3] ^= 1;
        bytes[0] ^= 1;
        assert_eq!(decode(&bytes), Err(JournalError { offset: 0 }));
    }
}
