//! `authority.toml`: the authority's terms, and the bounds of its listener.

use crate::decide::Terms;
use crate::directory::AuthorityDir;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What `init` writes.
pub(crate) const DEFAULT: &str = "\
# Terms of the postal authority and bounds of its funds system. docs/authority.md explains each.

listen = \"127.0.0.1:8446\"         # port 0 takes a free one
# publish = \"0.0.0.0:8447\"        # revocation lists for everybody, over plain HTTP; without it nobody is served

[terms]
authorisation_hours = 72          # how long an authorisation can be applied
refund_days = 60                  # how far the date of a mark may lie from today that is refunded
refund_specimens = false          # specimens are worth nothing; a development authority refunds them all the same

[limits]
max_connections = 64
max_streams = 64                  # on a connection
max_body_bytes = 65536
header_timeout_ms = 10000         # handshake and headers
body_timeout_ms = 30000
keep_alive_ms = 20000             # between pings
queued = 256                      # statements that wait for the books
";

/// The file as written.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the funds system listens.
    pub listen: SocketAddr,
    /// Where revocation lists are published, over plain HTTP; nowhere where it is absent.
    pub publish: Option<SocketAddr>,
    /// The terms.
    pub terms: TermsSection,
    /// The bounds.
    pub limits: LimitsSection,
}

/// `[terms]`.
#[derive(Deserialize, Clone, Copy, Debug)]
#[serde(deny_unknown_fields)]
pub struct TermsSection {
    /// How long an authorisation can be applied, hours; 1 to 8760.
    pub authorisation_hours: u32,
    /// How far the date of a mark may lie from today that is refunded, days.
    pub refund_days: u32,
    /// Whether specimens are refunded.
    pub refund_specimens: bool,
}

/// `[limits]`.
#[derive(Deserialize, Clone, Copy, Debug)]
#[serde(deny_unknown_fields)]
pub struct LimitsSection {
    /// Most connections; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Most streams on a connection.
    pub max_streams: u32,
    /// Longest body, bytes.
    pub max_body_bytes: usize,
    /// For handshake and headers, milliseconds.
    pub header_timeout_ms: u64,
    /// For the body, milliseconds.
    pub body_timeout_ms: u64,
    /// Between pings, milliseconds.
    pub keep_alive_ms: u64,
    /// Statements that wait for the books; more are refused.
    pub queued: usize,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is none.
    #[error("{} is no authority: there is no {}; `psdctl authority init` makes one", .dir.display(), .file.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// The file looked for.
        file: PathBuf,
    },
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not the TOML wanted.
    #[error("{}:\n{source}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A number is outside its range.
    #[error("{}: {field} is {range}", .path.display())]
    Range {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What it may be.
        range: &'static str,
    },
}

impl Config {
    /// Reads the configuration of an authority.
    pub fn read(dir: &AuthorityDir) -> Result<Self, ConfigError> {
        let path = dir.config();
        let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ConfigError::Missing { dir: dir.dir().to_owned(), file: path.clone() },
            _ => ConfigError::Unreadable { path: path.clone(), source },
        })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.clone(), source: Box::new(source) })?;
        let limits = &config.limits;
        let ranges = [
            ("terms.authorisation_hours", (1..=8760).contains(&config.terms.authorisation_hours), "1 to 8760"),
            ("terms.refund_days", config.terms.refund_days <= 3660, "0 to 3660"),
            ("limits.max_connections", (1..=65_536).contains(&limits.max_connections), "1 to 65536"),
            ("limits.max_streams", (1..=1024).contains(&limits.max_streams), "1 to 1024"),
            ("limits.max_body_bytes", (1024..=1 << 20).contains(&limits.max_body_bytes), "1024 to 1048576"),
            ("limits.header_timeout_ms", (100..=600_000).contains(&limits.header_timeout_ms), "100 to 600000"),
            ("limits.body_timeout_ms", (100..=600_000).contains(&limits.body_timeout_ms), "100 to 600000"),
            ("limits.keep_alive_ms", (100..=600_000).contains(&limits.keep_alive_ms), "100 to 600000"),
            ("limits.queued", (1..=65_536).contains(&limits.queued), "1 to 65536"),
        ];
        match ranges.into_iter().find(|(_, inside, _)| !inside) {
            Some((field, _, range)) => Err(ConfigError::Range { path, field, range }),
            None => Ok(config),
        }
    }
}

impl From<TermsSection> for Terms {
    fn from(section: TermsSection) -> Self {
        Self {
            authorisation_ms: u64::from(section.authorisation_hours) * 3_600_000,
            refund_days: section.refund_days,
            refund_specimens: section.refund_specimens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let authority = AuthorityDir::at(dir.path());
        std::fs::write(authority.config(), text).unwrap();
        Config::read(&authority)
    }

    #[test]
    fn what_init_writes_is_read_and_nothing_unknown_is() {
        let terms: Terms = read(DEFAULT).unwrap().terms.into();
        assert_eq!((terms.authorisation_ms, terms.refund_days, terms.refund_specimens), (259_200_000, 60, false));
        let more = read(&DEFAULT.replace("[limits]", "[limits]\ntrust = true")).unwrap_err().to_string();
        assert!(more.contains("unknown field `trust`"), "{more}");
        let zero = read(&DEFAULT.replace("authorisation_hours = 72", "authorisation_hours = 0")).unwrap_err();
        assert!(matches!(zero, ConfigError::Range { field: "terms.authorisation_hours", .. }), "{zero}");
    }
}
