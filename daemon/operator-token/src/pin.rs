//! The PIN of an operator's token: from the URI, a file, a descriptor, or the person.
//!
//! It is held for one login and zeroised. A file that others can read is refused like a private key that others can read.

use crate::uri::PinOrigin;
use cryptoki::types::RawAuthPin;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest PIN, bytes.
const LONGEST: u64 = 255;

/// Asks the person for the PIN of the token named, without showing it.
pub type AskPin<'a> = &'a dyn Fn(&str) -> io::Result<Zeroizing<String>>;

/// Why there is no PIN.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// It cannot be read.
    #[error("the PIN in {}: {source}", .from.display())]
    Read {
        /// From where.
        from: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error("the PIN in {} can be read by others (mode {mode:03o}); `chmod 600` it, and set another PIN", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The person cannot be asked.
    #[error("nobody can be asked for the PIN here ({0}); name pin-source in the URI")]
    Ask(#[source] io::Error),
    /// Not what a person would type.
    #[error("the PIN holds a control character, such as a second line or a carriage return; nothing was tried with it")]
    Control,
    /// None, or too long.
    #[error("a PIN has 1 to {LONGEST} bytes")]
    Length,
}

/// The PIN as the module takes it.
pub(crate) fn read(origin: Option<&PinOrigin>, token: &str, ask: AskPin<'_>) -> Result<RawAuthPin, PinError> {
    Ok(RawAuthPin::new(Box::new(bytes(origin, token, ask)?.to_vec())))
}

fn bytes(origin: Option<&PinOrigin>, token: &str, ask: AskPin<'_>) -> Result<Zeroizing<Vec<u8>>, PinError> {
    let bytes: Zeroizing<Vec<u8>> = match origin {
        Some(PinOrigin::Value(pin)) => Zeroizing::new(pin.as_bytes().to_vec()),
        Some(PinOrigin::File(path)) => from_file(path)?,
        Some(PinOrigin::Descriptor(number)) => {
            let path = PathBuf::from(format!("/dev/fd/{number}"));
            let failed = |source| PinError::Read { from: path.clone(), source };
            line(File::open(&path).map_err(failed)?).map_err(failed)?
        }
        None => Zeroizing::new(ask(token).map_err(PinError::Ask)?.as_bytes().to_vec()),
    };
    // Each try with such a PIN would be wrong, and there are few.
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(PinError::Control);
    }
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if (1..=LONGEST).contains(&length) { Ok(bytes) } else { Err(PinError::Length) }
}

fn from_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, PinError> {
    let failed = |source| PinError::Read { from: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PinError::Exposed { path: path.to_owned(), mode });
    }
    line(file).map_err(failed)
}

/// What is there, but for one line feed at its end; one byte more than a PIN can have at most.
fn line(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    // As long as all that can be read, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    file.take(LONGEST + 2).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    fn nobody(_: &str) -> io::Result<Zeroizing<String>> {
        Err(io::Error::other("no terminal"))
    }

    fn text(pin: Result<Zeroizing<Vec<u8>>, PinError>) -> String {
        String::from_utf8(pin.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_pin_is_one_line_of_a_file_of_one_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        let file = PinOrigin::File(path.clone());
        std::fs::write(&path, "12 34\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(bytes(Some(&file), "t", &nobody), Err(PinError::Exposed { mode: 0o640, .. })));
        std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert_eq!(text(bytes(Some(&file), "t", &nobody)), "12 34");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        for wrong in ["\n", &"1".repeat(256)] {
            std::fs::write(&path, wrong).unwrap();
            assert!(matches!(bytes(Some(&file), "t", &nobody), Err(PinError::Length)));
        }
        for wrong in ["1234\r\n", "1234\n\n", "12\n34", "1234\0"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(matches!(bytes(Some(&file), "t", &nobody), Err(PinError::Control)), "{wrong:?}");
        }
        assert!(matches!(bytes(None, "t", &nobody), Err(PinError::Ask(_))));
        assert_eq!(text(bytes(None, "t", &|token| Ok(Zeroizing::new(format!("pin of {token}"))))), "pin of t");
    }
}
