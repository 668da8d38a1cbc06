//! From bytes to TOML, with bounds before anything is parsed and the line where parsing ends.

use super::{CeremonyError, LONGEST_FILE};
use serde::de::DeserializeOwned;

/// Most lines: a file that a person is to review has fewer by far, and TOML tables cost memory.
const MOST_LINES: usize = 50_000;

/// Reads a value from a file's bytes.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CeremonyError> {
    let whole = |problem: String| CeremonyError::new("(file)", problem);
    if bytes.len() > LONGEST_FILE {
        return Err(whole(format!("{} bytes, at most {LONGEST_FILE} are read; split what is to be done", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| whole(format!("not UTF-8 text: {error}")))?;
    if text.matches('\n').count() > MOST_LINES {
        return Err(whole(format!("more than {MOST_LINES} lines; split what is to be done")));
    }
    // What an editor hides must not be in a file that people approve by reading it.
    if let Some(hidden) =
        text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t') || is_bidirectional(*c))
    {
        let line = text.split(hidden).next().map_or(1, |before| before.matches('\n').count() + 1);
        let problem = format!("holds the invisible character U+{:04X}; remove it", u32::from(hidden));
        return Err(CeremonyError { line: Some(line), ..whole(problem) });
    }
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..at).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        CeremonyError { line: Some(line), field: field_at(text, line), problem: error.message().trim().to_owned() }
    })
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
