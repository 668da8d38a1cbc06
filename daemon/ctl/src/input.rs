//! Marks as people have them: hex, base64, a file of either or of bytes, a results file, stdin.

use psd::indicium::{DecodeError, Decoded};
pub use psdd_wire::pasted::from_text;
use serde::Deserialize;
use std::io::{self, Read};
use std::path::Path;

/// More than any symbol holds, by far; a results file may be larger.
const LONGEST: u64 = 1 << 30;

/// A mark with where it came from.
#[derive(Clone, Debug)]
pub struct Mark {
    /// For people: the file and line, or "argument".
    pub from: String,
    /// The symbol's bytes.
    pub bytes: Vec<u8>,
}

/// What was given is no mark.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file cannot be read.
    #[error("cannot read {from}")]
    Unreadable {
        /// The file, or stdin.
        from: String,
        /// Why.
        source: io::Error,
    },
    /// Neither a file nor hex nor base64.
    #[error("{text:?} is no file, no hex and no base64; give the bytes of a symbol in one of these forms")]
    NotAMark {
        /// The first 40 characters.
        text: String,
    },
    /// Nothing in it.
    #[error("{from} holds no mark")]
    Empty {
        /// The file, or stdin.
        from: String,
    },
    /// A line of a results file is not one.
    #[error("{from}:{line}: not a line of a results file: {source}")]
    ResultLine {
        /// The file.
        from: String,
        /// Counted from one.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// More marks than the command takes.
    #[error("{from} holds {count} marks, this command takes one")]
    Many {
        /// The file.
        from: String,
        /// How many.
        count: usize,
    },
    /// The bytes are of no layout known.
    #[error("{from}: {source}")]
    Layout {
        /// Where it came from.
        from: String,
        /// Why.
        source: DecodeError,
    },
}

#[derive(Deserialize)]
struct ResultLine {
    #[serde(default)]
    indicium: Option<String>,
}

/// The marks in one input; results files hold many.
pub fn marks(input: &str) -> Result<Vec<Mark>, InputError> {
    let (from, bytes) = if input == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().take(LONGEST).read_to_end(&mut bytes);
        read.map_err(|source| InputError::Unreadable { from: "stdin".to_owned(), source })?;
        ("stdin".to_owned(), bytes)
    } else if Path::new(input).is_file() {
        let bytes = std::fs::read(input).map_err(|source| InputError::Unreadable { from: input.to_owned(), source })?;
        (input.to_owned(), bytes)
    } else {
        let text: String = input.chars().take(40).collect();
        let bytes = from_text(input).ok_or(InputError::NotAMark { text })?;
        return Ok(vec![Mark { from: "argument".to_owned(), bytes }]);
    };
    let text = std::str::from_utf8(&bytes).ok().map(str::trim);
    match text {
        Some("") => Err(InputError::Empty { from }),
        Some(text) if text.starts_with('{') => results(&from, text),
        // A symbol of printable text alone does not exist: its first byte is a version.
        Some(text) => Ok(vec![Mark { from, bytes: from_text(text).unwrap_or_else(|| text.as_bytes().to_vec()) }]),
        None => Ok(vec![Mark { from, bytes }]),
    }
}

/// The one mark in an input.
pub fn one_mark(input: &str) -> Result<Mark, InputError> {
    let mut marks = marks(input)?;
    match (marks.pop(), marks.len()) {
        (Some(mark), 0) => Ok(mark),
        (Some(_), others) => Err(InputError::Many { from: input.to_owned(), count: others + 1 }),
        (None, _) => Err(InputError::Empty { from: input.to_owned() }),
    }
}

/// Reads a mark of any layout.
pub fn decode(mark: &Mark) -> Result<Decoded, InputError> {
    psd::indicium::decode(&mark.bytes).map_err(|source| InputError::Layout { from: mark.from.clone(), source })
}

fn results(from: &str, text: &str) -> Result<Vec<Mark>, InputError> {
    let mut marks = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = index + 1;
        let parsed: ResultLine = serde_json::from_str(line).map_err(|source| InputError::ResultLine {
            from: from.to_owned(),
            line: number,
            source,
        })?;
        if let Some(indicium) = parsed.indicium {
            let text: String = indicium.chars().take(40).collect();
            let bytes = from_text(&indicium).ok_or(InputError::NotAMark { text })?;
            marks.push(Mark { from: format!("{from}:{number}"), bytes });
        }
    }
    if marks.is_empty() { Err(InputError::Empty { from: from.to_owned() }) } else { Ok(marks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_kind_give_their_marks() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let symbol = [1u8, 4, 0xff, 0, 200];
        assert_eq!(one_mark(&file("raw", &symbol)).unwrap().bytes, symbol);
        assert_eq!(one_mark(&file("hex", b"0104ff00c8\n")).unwrap().bytes, symbol);
        let lines = "{\"status\":\"refused\"}\n{\"indicium\":\"0104ff00c8\"}\n{\"indicium\":\"AQT/AMg=\"}\n";
        let results = file("results.jsonl", lines.as_bytes());
        let found = marks(&results).unwrap();
        assert_eq!(found.iter().map(|mark| mark.bytes.as_slice()).collect::<Vec<_>>(), [&symbol[..], &symbol]);
        assert!(found[0].from.ends_with("results.jsonl:2"));
        assert!(matches!(one_mark(&results), Err(InputError::Many { count: 2, .. })));
        assert!(matches!(marks(&file("empty", b"\n")), Err(InputError::Empty { .. })));
    }
}
