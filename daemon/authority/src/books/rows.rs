//! Between SQLite's values and ours. What does not fit is a broken book, not a refusal.

use super::Entry;
use super::fault::{AtStep, Fault};
use psd::PostageAmount;
use rusqlite::types::FromSql;
use rusqlite::{OptionalExtension, Params, Row};
use std::fmt::Display;
use std::str::FromStr;

/// An unsigned number as a column holds it.
pub(super) fn column(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|error| Fault::broken(format!("{number} does not fit a column: {error}")))
}

pub(super) fn unsigned(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|error| Fault::broken(format!("{number} in a column of counts: {error}")))
}

pub(super) fn amount(mills: i64) -> Result<PostageAmount, Fault> {
    let amount = PostageAmount::from_mills(unsigned(mills)?);
    amount.ok_or_else(|| Fault::broken(format!("{mills} mills are no amount")))
}

pub(super) fn mills(amount: PostageAmount) -> Result<i64, Fault> {
    column(amount.mills())
}

pub(super) fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error: T::Err| Fault::broken(error.to_string()))
}

pub(super) fn digest(bytes: &[u8]) -> Result<[u8; 32], Fault> {
    bytes.try_into().map_err(|error| Fault::broken(format!("a digest: {error}")))
}

impl Entry<'_> {
    /// At most one row; the closure reads it.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql).at("reading")?;
        statement.query_row(params, read).optional().at("reading")
    }

    /// The one value of a query that always has one.
    pub(super) fn value<T: FromSql>(&self, sql: &str, params: impl Params) -> Result<T, Fault> {
        let value = self.one(sql, params, |row| row.get(0))?;
        value.ok_or_else(|| Fault::broken(format!("no row for {sql}")))
    }

    /// Every row.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql).at("reading")?;
        let rows = statement.query_map(params, read).at("reading")?;
        rows.collect::<rusqlite::Result<Vec<T>>>().at("reading")
    }

    /// A statement that changes exactly one row.
    pub(super) fn write(&self, sql: &str, params: impl Params) -> Result<(), Fault> {
        match self.change(sql, params)? {
            1 => Ok(()),
            rows => Err(Fault::broken(format!("{rows} rows changed instead of one by {sql}"))),
        }
    }

    /// A statement that changes any number of rows; gives it.
    pub(super) fn change(&self, sql: &str, params: impl Params) -> Result<usize, Fault> {
        self.connection.prepare_cached(sql).at("writing")?.execute(params).at("writing")
    }
}
