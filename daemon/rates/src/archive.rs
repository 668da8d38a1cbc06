//! All published tables, the old ones too: which is in force on a day, and which has a digest.

use crate::published::Published;
use crate::table::Table;
use psd::MailingDate;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Published tables. A later version takes over on its first day; before that, and for pieces of their time, older ones are there.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// By name, then by version.
    tables: BTreeMap<String, BTreeMap<u32, Arc<Published>>>,
}

/// A table that has no place beside those that are there; nothing was added.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ArchiveError {
    /// One version, two tables.
    #[error(
        "{table} is there already with other bytes; a version is published once, give the new table the next number"
    )]
    SameVersion {
        /// Name and version.
        table: String,
    },
    /// A higher version that begins earlier, or at once.
    #[error("{later} begins on {later_from}, not after {earlier}, which begins on {earlier_from}: versions go back")]
    GoesBack {
        /// The higher version.
        later: String,
        /// Its first day.
        later_from: MailingDate,
        /// The lower.
        earlier: String,
        /// Its first day.
        earlier_from: MailingDate,
    },
    /// Two tables that state the same day.
    #[error("{earlier} states to be in force until {until}, and {later} begins on {from}: both would be")]
    Overlap {
        /// The lower version.
        earlier: String,
        /// Its last day.
        until: MailingDate,
        /// The higher.
        later: String,
        /// Its first day.
        from: MailingDate,
    },
    /// Amounts of another currency.
    #[error("{table} is in {currency}, and {other} is not; give it a name of its own")]
    Currency {
        /// The new one.
        table: String,
        /// Its currency.
        currency: psd::Currency,
        /// The other.
        other: String,
    },
}

/// There is no table of a name in force on a day.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotInForce {
    /// No such name.
    #[error("there is no rate table {0:?}; `psdctl rate check` tells the name of a table")]
    Unknown(String),
    /// The first comes later.
    #[error("rate table {table} is not yet in force on {on}; it begins on {from}")]
    NotYet {
        /// Name and version.
        table: String,
        /// The day asked about.
        on: MailingDate,
        /// Its first day.
        from: MailingDate,
    },
    /// The last is over.
    #[error("rate table {table} is not in force any more on {on}; it ended on {until}")]
    Ended {
        /// Name and version.
        table: String,
        /// The day asked about.
        on: MailingDate,
        /// Its last day.
        until: MailingDate,
    },
}

impl Table {
    /// Whether the table is in force on a day, as far as it says itself.
    pub fn in_force(&self, on: MailingDate) -> Result<(), NotInForce> {
        if on < self.from {
            return Err(NotInForce::NotYet { table: self.label(), on, from: self.from });
        }
        match self.until.filter(|until| on > *until) {
            Some(until) => Err(NotInForce::Ended { table: self.label(), on, until }),
            None => Ok(()),
        }
    }
}

impl Archive {
    /// Without a table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a table, in whatever order they come. The same bytes again change nothing.
    pub fn add(&mut self, published: Arc<Published>) -> Result<(), ArchiveError> {
        let table = published.table();
        let versions = self.tables.get(table.name());
        if let Some(versions) = versions {
            if let Some(same) = versions.get(&table.version()) {
                let again = same.table().digest() == table.digest();
                return again.then_some(()).ok_or_else(|| ArchiveError::SameVersion { table: table.label() });
            }
            let before = versions.range(..table.version()).next_back();
            let after = versions.range(table.version()..).next();
            for (_, other) in before.into_iter().chain(after) {
                let (earlier, later) = if other.table().version() < table.version() {
                    (other.table(), table)
                } else {
                    (table, other.table())
                };
                follows(earlier, later)?;
                if other.table().currency() != table.currency() {
                    let (label, other) = (table.label(), other.table().label());
                    return Err(ArchiveError::Currency { table: label, currency: table.currency(), other });
                }
            }
        }
        let (name, version) = (table.name().to_owned(), table.version());
        self.tables.entry(name).or_default().insert(version, published);
        Ok(())
    }

    /// The table of this name that is in force on a day.
    pub fn in_force(&self, name: &str, on: MailingDate) -> Result<&Arc<Published>, NotInForce> {
        let versions = self.tables.get(name).ok_or_else(|| NotInForce::Unknown(name.to_owned()))?;
        // Versions and first days rise together.
        let begun = versions.values().rev().find(|published| published.table().from() <= on);
        let published =
            begun.or_else(|| versions.values().next()).ok_or_else(|| NotInForce::Unknown(name.to_owned()))?;
        published.table().in_force(on).map(|()| published)
    }

    /// The table with this digest, whether or not it is in force.
    pub fn by_digest(&self, digest: &[u8; 32]) -> Option<&Arc<Published>> {
        self.iter().find(|published| published.table().digest() == digest)
    }

    /// Every table, by name and version.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Published>> {
        self.tables.values().flat_map(BTreeMap::values)
    }
}

/// That a version can come after another.
fn follows(earlier: &Table, later: &Table) -> Result<(), ArchiveError> {
    if later.from() <= earlier.from() {
        return Err(ArchiveError::GoesBack {
            later: later.label(),
            later_from: later.from(),
            earlier: earlier.label(),
            earlier_from: earlier.from(),
        });
    }
    match earlier.until().filter(|until| *until >= later.from()) {
        Some(until) => {
            let (earlier, later, from) = (earlier.label(), later.label(), later.from());
            Err(ArchiveError::Overlap { earlier, until, later, from })
        }
        None => Ok(()),
    }
}
