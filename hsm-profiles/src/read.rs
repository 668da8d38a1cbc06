//! Reading TOML so that an error says file, line and field.

use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};

/// Why a TOML file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadTomlError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The text is not what is expected of it.
    #[error("{origin}:{line}: {field}: {problem}")]
    Content {
        /// The file, or the name of what is embedded.
        origin: String,
        /// From 1.
        line: usize,
        /// The table and the key, as far as they can be told.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

/// The text of a file.
///
/// # Errors
///
/// When it cannot be read.
pub fn read_toml(path: &Path) -> Result<String, ReadTomlError> {
    std::fs::read_to_string(path).map_err(|source| ReadTomlError::Io { path: path.to_owned(), source })
}

/// Reads a value from TOML text.
///
/// # Errors
///
/// With the line and the field that are wrong.
pub fn parse_toml<T: DeserializeOwned>(origin: &str, text: &str) -> Result<T, ReadTomlError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..at).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let field = field_at(text, line);
        ReadTomlError::Content { origin: origin.to_owned(), line, field, problem: error.message().to_owned() }
    })
}

/// The key on this line, with the header of its table before it.
fn field_at(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let header = lines.iter().rev().find_map(|line| {
        let line = line.trim();
        line.strip_prefix('[')?.split(']').next().map(|name| name.trim_start_matches('[').trim())
    });
    let last = lines.last().map_or("", |line| line.trim());
    let key = last.split_once('=').map(|(key, _)| key.trim());
    match (header, key) {
        (Some(table), Some(key)) => format!("{table}.{key}"),
        (None, Some(key)) => key.to_owned(),
        (Some(table), None) => table.to_owned(),
        (None, None) => "(top level)".to_owned(),
    }
}
