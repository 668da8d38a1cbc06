//! Rows of one transaction that come in numbers: collected first, then inserted many to a statement.
//!
//! A statement for many rows keeps its cursor at the end of the table, where the next row goes; one for a single row seeks from
//! the root each time, which costs as much again as the row.

use crate::{AtStep, StoreFault, sql};
use psd::PsdId;
use psd::certification::MarkId;
use rusqlite::{Connection, ToSql};
use std::fmt::Write;
use std::ops::Range;

/// Rows in a statement for many.
const MANY: usize = 32;

/// Rows of `entry`, `piece`, `paid_by`, `in_run` and `digital_token`.
#[derive(Default)]
pub(crate) struct Batch {
    /// Encoded records, one after the other.
    records: Vec<u8>,
    entries: Vec<(u64, Range<usize>)>,
    pieces: Vec<(i64, [u8; 16], u64)>,
    marks: Vec<(MarkId, u64)>,
    in_runs: Vec<(u64, u64)>,
    tokens: Vec<(PsdId, u64, u64)>,
}

impl Batch {
    /// Takes the bytes of a record.
    pub(crate) fn entry(&mut self, leaf: u64, record: &[u8]) {
        let begin = self.records.len();
        self.records.extend_from_slice(record);
        self.entries.push((leaf, begin..self.records.len()));
    }

    /// Takes a key.
    pub(crate) fn piece(&mut self, tenant: i64, key: [u8; 16], leaf: u64) {
        self.pieces.push((tenant, key, leaf));
    }

    /// Takes an indicium that paid for a certification.
    pub(crate) fn paid_by(&mut self, mark: MarkId, leaf: u64) {
        self.marks.push((mark, leaf));
    }

    /// Takes a piece of the run that the record of another leaf opened.
    pub(crate) fn in_run(&mut self, opened: u64, leaf: u64) {
        self.in_runs.push((opened, leaf));
    }

    /// Takes a piece that has a digital token: its PSD and its number among the pieces of that.
    pub(crate) fn digital_token(&mut self, psd: PsdId, pieces: u64, leaf: u64) {
        self.tokens.push((psd, pieces, leaf));
    }

    /// Bytes of all records taken.
    pub(crate) fn bytes(&self) -> usize {
        self.records.len()
    }

    /// Inserts everything and is empty again.
    pub(crate) fn flush(&mut self, connection: &Connection) -> Result<(), StoreFault> {
        let records = &self.records;
        insert(connection, "entry", 2, "writing a record", &self.entries, |(leaf, range), bind| {
            bind(&sql(*leaf))?;
            bind(&&records[range.clone()])
        })?;
        insert(connection, "piece", 3, "writing a key", &self.pieces, |(tenant, key, leaf), bind| {
            bind(tenant)?;
            bind(&key.as_slice())?;
            bind(&sql(*leaf))
        })?;
        insert(connection, "paid_by", 3, "writing a paying indicium", &self.marks, |(mark, leaf), bind| {
            bind(&mark.psd.text().as_str())?;
            bind(&sql(mark.ascending.mills()))?;
            bind(&sql(*leaf))
        })?;
        insert(connection, "in_run", 2, "writing a piece of a run", &self.in_runs, |(opened, leaf), bind| {
            bind(&sql(*opened))?;
            bind(&sql(*leaf))
        })?;
        insert(
            connection,
            "digital_token",
            3,
            "writing a digital token",
            &self.tokens,
            |(psd, pieces, leaf), bind| {
                bind(&psd.text().as_str())?;
                bind(&sql(*pieces))?;
                bind(&sql(*leaf))
            },
        )?;
        self.records.clear();
        self.entries.clear();
        self.pieces.clear();
        self.marks.clear();
        self.in_runs.clear();
        self.tokens.clear();
        Ok(())
    }
}

type Bind<'b> = &'b mut dyn FnMut(&dyn ToSql) -> rusqlite::Result<()>;

fn insert<R>(
    connection: &Connection,
    table: &'static str,
    columns: usize,
    step: &'static str,
    rows: &[R],
    row: impl Fn(&R, Bind<'_>) -> rusqlite::Result<()>,
) -> Result<(), StoreFault> {
    let (many, single) = rows.split_at(rows.len() - rows.len() % MANY);
    for (rows, at_once) in [(many, MANY), (single, 1)].into_iter().filter(|(rows, _)| !rows.is_empty()) {
        let mut statement = connection.prepare_cached(&statement(table, columns, at_once)).at(step)?;
        for rows in rows.chunks(at_once) {
            let mut at = 0;
            for each in rows {
                row(each, &mut |value| {
                    at += 1;
                    statement.raw_bind_parameter(at, value)
                })
                .at(step)?;
            }
            statement.raw_execute().at(step)?;
        }
    }
    Ok(())
}

fn statement(table: &str, columns: usize, rows: usize) -> String {
    let row = format!("(?{})", ",?".repeat(columns - 1));
    let mut text = format!("INSERT INTO {table} VALUES {row}");
    for _ in 1..rows {
        // Writing to a string cannot fail.
        write!(text, ",{row}").ok();
    }
    text
}
