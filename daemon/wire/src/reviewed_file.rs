//! Files in TOML that people review before they have effect: bounds before anything is parsed, nothing that an editor hides, and errors
//! that say line and field.

use serde::de::DeserializeOwned;
use std::fmt;

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

/// Reads a value from a file's bytes, of which there are at most `longest`.
///
/// # Errors
///
/// With the line and the field that are wrong.
pub fn read<T: DeserializeOwned>(bytes: &[u8], longest: usize) -> Result<T, FileError> {
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
    toml::from_str(text).map_err(|error| {
        let line = line_at(text, error.span().map_or(0, |span| span.start));
        FileError { line: Some(line), field: field_at(text, line), problem: error.message().trim().to_owned() }
    })
}

/// The line, from 1, that the byte at this offset stands in; the first where there is no such byte.
pub fn line_at(text: &str, offset: usize) -> usize {
    let before = text.get(..offset.min(text.len())).unwrap_or("");
    before.matches('\n').count() + 1
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
