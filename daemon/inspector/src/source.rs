//! Where a log is fetched from.

use std::path::PathBuf;

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The source says that it has no such thing.
    #[error("it is not there")]
    NotFound,
    /// More bytes than a bundle of a log can have.
    #[error("it has more than {MOST_BYTES} bytes")]
    TooLong,
    /// The source does not answer, or fails; another try may do better.
    #[error("it cannot be fetched")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The longest thing that a log has: a bundle of 256 entries of 65,535 bytes, each with its length. A source reads no more.
pub const MOST_BYTES: u64 = 256 * 65_537;

/// A log in the layout of C2SP tlog-tiles. Nothing that it gives is believed.
pub trait Source {
    /// The bytes behind a path: `checkpoint`, `tile/L/N`, `tile/entries/N`, the latter two with `.p/W` where they are not full. At most
    /// [`MOST_BYTES`].
    fn fetch(&mut self, path: &str) -> Result<Vec<u8>, FetchError>;
}

/// A log that lies in a directory: a mirror, or what came on a disk.
#[derive(Clone, Debug)]
pub struct Directory(pub PathBuf);

impl Source for Directory {
    fn fetch(&mut self, path: &str) -> Result<Vec<u8>, FetchError> {
        use std::io::{ErrorKind, Read};
        let file = std::fs::File::open(self.0.join(path)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => FetchError::NotFound,
            _ => FetchError::Failed(Box::new(error)),
        })?;
        let mut bytes = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| FetchError::Failed(Box::new(error)))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= MOST_BYTES) {
            return Ok(bytes);
        }
        Err(FetchError::TooLong)
    }
}
