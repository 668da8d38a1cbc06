//! Files in TOML that people review before they have effect: bounds before anything is parsed, nothing that an editor hides, and errors
//! that say line and field.

use serde::de::DeserializeOwned;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Most lines: a file that a person is to review has fewer by far, and TOML tables cost memory.
const MOST_LINES: usize = 50_000;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// Line of the file, from 1, where it can be told.
    pub line: Option<usize>,
    /// Table and key.
    pub field: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl FileError {
    /// About a field, where the line cannot be told.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { line: None, field: field.into(), problem: problem.into() }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for FileError {}

/// The bytes of a regular file, of which there are at most `longest`. Anything else, a pipe as well, is refused before it is opened: reading it
/// might never end.
///
/// # Errors
///
/// From the disk, or where it is no such file.
pub fn bytes(path: &Path, longest: usize) -> io::Result<Vec<u8>> {
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
    if !std::fs::metadata(path)?.is_file() {
        return Err(no_file());
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(longest).unwrap_or(u64::MAX);
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > longest {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {longest} bytes")));
    }
    Ok(bytes)
}

/// Reads a value from a file's bytes, of which there are at most `longest`.
///
/// # Errors
///
/// With the line and the field that are wrong.
pub fn read<T: DeserializeOwned>(bytes: &[u8], longest: usize) -> Result<T, FileError> {
    let text = text(bytes, longest)?;
    toml::from_str(text).map_err(|error| {
        let line = line_at(text, error.span().map_or(0, |span| span.start));
        FileError { line: Some(line), field: field_at(text, line), problem: error.message().trim().to_owned() }
    })
}

/// The text of a file's bytes, of which there are at most `longest`, without anything that an editor hides.
///
/// # Errors
///
/// With the line that is wrong, where it is one.
pub fn text(bytes: &[u8], longest: usize) -> Result<&str, FileError> {
    let whole = |problem: String| FileError::new("(file)", problem);
    if bytes.len() > longest {
        return Err(whole(format!("{} bytes, at most {longest} are read; split what is to be done", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| whole(format!("not UTF-8 text: {error}")))?;
    if text.matches('\n').count() > MOST_LINES {
        return Err(whole(format!("more than {MOST_LINES} lines; split what is to be done")));
    }
    // What an editor hides must not be in a file that people approve by reading it.
    if let Some(hidden) =
        text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t') || is_bidirectional(*c))
    {
        let line = text.find(hidden).map_or(1, |at| line_at(text, at));
        let problem = format!("holds the invisible character U+{:04X}; remove it", u32::from(hidden));
        return Err(FileError { line: Some(line), ..whole(problem) });
    }
    Ok(text)
}

/// The line, from 1, that the byte at this offset stands in; the first where there is no such byte.
pub fn line_at(text: &str, offset: usize) -> usize {
    let before = text.get(..offset.min(text.len())).unwrap_or("");
    before.matches('\n').count() + 1
}

/// Most characters of a text for people.
pub const LONGEST_LINE: usize = 80;

/// Whether a text for people stands on one line, shows all that it holds, and is neither empty nor long.
pub fn is_line(text: &str) -> bool {
    let hidden = |c: char| c.is_control() || is_bidirectional(c);
    !text.trim().is_empty() && text.chars().count() <= LONGEST_LINE && !text.contains(hidden)
}

/// Marks that change the order in which text is shown (Unicode TR 36 §2.9).
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The key on this line, with the header of its table before it.
fn field_at(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let header = lines.iter().rev().find_map(|line| {
        let line = line.trim();
        line.strip_prefix('[')?.split(']').next().map(|name| name.trim_start_matches('[').trim())
    });
    let last = lines.last().map_or("", |line| line.trim());
    let key = if last.starts_with('[') { None } else { last.split_once('=').map(|(key, _)| key.trim()) };
    match (header, key) {
        (Some(table), Some(key)) => format!("{table}.{key}"),
        (None, Some(key)) => key.to_owned(),
        (Some(table), None) => table.to_owned(),
        (None, None) => "(top level)".to_owned(),
    }
}
