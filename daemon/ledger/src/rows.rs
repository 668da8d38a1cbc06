//! Rows of the tables, one function for each way they are read or written.

use crate::journal::Body;
use crate::{AtStep, StoreFault, sql};
use psd::certification::MarkId;
use psd::digest::Facts;
use psd::tree::{FullTile, Hash};
use psd::{PostageAmount, PsdId, TenantName};
use rusqlite::{Connection, OptionalExtension};
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

/// A row of `live`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct LiveRow {
    /// Text of the device ID; empty for the appliance.
    pub(crate) name: String,
    pub(crate) slot: String,
    pub(crate) leaf: u64,
}

/// The two tables of registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Registers {
    /// After the last commit.
    Now,
    /// At the last state digest.
    AtDigest,
}

impl Registers {
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Registers::Now => "register",
            Registers::AtDigest => "snapshot",
        }
    }
}

/// Rows of a table of registers: sequence and registers of each PSD.
pub(crate) type RegisterRows = BTreeMap<PsdId, (u64, psd::Registers)>;

/// The row of `head`.
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) time: u64,
}

/// Runs a statement that gives no rows.
pub(crate) fn run(connection: &Connection, statement: &'static str, step: &'static str) -> Result<(), StoreFault> {
    connection.prepare_cached(statement).at(step)?.execute([]).at(step)?;
    Ok(())
}

fn unsigned(number: i64) -> u64 {
    // Below zero only where somebody tampered; nothing of ours is as large as this.
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn parsed<T: FromStr>(text: &str, step: &'static str) -> Result<T, StoreFault> {
    text.parse().ok().ok_or_else(|| StoreFault::broken(step, "a name in the table is not one"))
}

/// The certification that an indicium paid for, as the index has it.
pub(crate) fn paid_by(connection: &Connection, mark: MarkId) -> Result<Option<u64>, StoreFault> {
    let step = "reading the index of paying indicia";
    let mut statement =
        connection.prepare_cached("SELECT leaf FROM paid_by WHERE psd = ?1 AND ascending = ?2").at(step)?;
    let place = (mark.psd.text().as_str().to_owned(), sql(mark.ascending.mills()));
    Ok(statement.query_row(place, |row| row.get(0)).optional().at(step)?.map(unsigned))
}

/// Whether the index has the piece of a leaf in the run that the record of another opened.
pub(crate) fn in_run(connection: &Connection, opened: u64, leaf: u64) -> Result<bool, StoreFault> {
    let step = "reading the index of pieces of runs";
    let mut statement = connection.prepare_cached("SELECT 1 FROM in_run WHERE opened = ?1 AND leaf = ?2").at(step)?;
    statement.exists((sql(opened), sql(leaf))).at(step)
}

/// Where the piece of a PSD with this number stands, if it has a digital token, as the index has it.
pub(crate) fn digital_token(connection: &Connection, psd: PsdId, pieces: u64) -> Result<Option<u64>, StoreFault> {
    let step = "reading the index of digital tokens";
    let mut statement =
        connection.prepare_cached("SELECT leaf FROM digital_token WHERE psd = ?1 AND pieces = ?2").at(step)?;
    let place = (psd.text().as_str().to_owned(), sql(pieces));
    Ok(statement.query_row(place, |row| row.get(0)).optional().at(step)?.map(unsigned))
}

pub(crate) fn insert_tile(connection: &Connection, tile: &FullTile) -> Result<(), StoreFault> {
    let step = "writing a tile";
    let mut insert = connection.prepare_cached("INSERT INTO tile VALUES (?1, ?2, ?3)").at(step)?;
    insert.execute((i64::from(tile.level), sql(tile.number), &tile.hashes)).at(step)?;
    Ok(())
}

pub(crate) fn insert_body(connection: &Connection, leaf: u64, body: &Body) -> Result<(), StoreFault> {
    let step = "writing a body";
    let mut insert = connection.prepare_cached("INSERT INTO body VALUES (?1, ?2, ?3)").at(step)?;
    insert.execute((sql(leaf), body.salt, &body.body)).at(step)?;
    Ok(())
}

pub(crate) fn delete_body(connection: &Connection, leaf: u64) -> Result<(), StoreFault> {
    let step = "erasing a body";
    connection.prepare_cached("DELETE FROM body WHERE leaf = ?1").at(step)?.execute([sql(leaf)]).at(step)?;
    Ok(())
}

pub(crate) fn insert_live(connection: &Connection, row: &LiveRow) -> Result<(), StoreFault> {
    let step = "writing a live record";
    let mut insert = connection.prepare_cached("INSERT INTO live VALUES (?1, ?2, ?3)").at(step)?;
    insert.execute((&row.name, &row.slot, sql(row.leaf))).at(step)?;
    Ok(())
}

pub(crate) fn delete_live(connection: &Connection, row: &LiveRow) -> Result<(), StoreFault> {
    let step = "removing a live record";
    let mut delete =
        connection.prepare_cached("DELETE FROM live WHERE psd = ?1 AND slot = ?2 AND leaf = ?3").at(step)?;
    delete.execute((&row.name, &row.slot, sql(row.leaf))).at(step)?;
    Ok(())
}

pub(crate) fn write_digest_leaf(connection: &Connection, leaf: u64) -> Result<(), StoreFault> {
    let step = "writing the leaf of a state digest";
    let statement = "INSERT OR REPLACE INTO meta VALUES ('state_digest_leaf', ?1)";
    connection.prepare_cached(statement).at(step)?.execute([sql(leaf)]).at(step)?;
    Ok(())
}

pub(crate) fn write_head(connection: &Connection, (size, root): (u64, Hash), time: u64) -> Result<(), StoreFault> {
    let step = "writing the head";
    let mut update = connection
        .prepare_cached(
            "INSERT INTO head VALUES (1, ?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET size = ?1, root = ?2, time = max(time, ?3)",
        )
        .at(step)?;
    update.execute((sql(size), root, sql(time))).at(step)?;
    Ok(())
}

pub(crate) fn write_registers(
    connection: &Connection,
    table: Registers,
    psd: PsdId,
    facts: &Facts,
) -> Result<(), StoreFault> {
    let step = "writing registers";
    let statement = match table {
        Registers::Now => "INSERT OR REPLACE INTO register VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        Registers::AtDigest => "INSERT OR REPLACE INTO snapshot VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    };
    let registers = &facts.registers;
    let row = (
        psd.to_string(),
        sql(facts.sequence),
        sql(registers.ascending().mills()),
        sql(registers.descending().mills()),
        sql(registers.control_total().mills()),
        sql(registers.piece_count()),
    );
    connection.prepare_cached(statement).at(step)?.execute(row).at(step)?;
    Ok(())
}

pub(crate) fn head(connection: &Connection) -> Result<Option<Head>, StoreFault> {
    connection
        .query_row("SELECT size, root, time FROM head WHERE id = 1", [], |row| {
            Ok(Head { size: unsigned(row.get(0)?), root: row.get(1)?, time: unsigned(row.get(2)?) })
        })
        .optional()
        .at("reading the head")
}

pub(crate) fn format(connection: &Connection) -> Result<i64, StoreFault> {
    connection.query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0)).at("reading the format")
}

/// The leaf of the last state digest.
pub(crate) fn digest_leaf(connection: &Connection) -> Result<Option<u64>, StoreFault> {
    connection
        .query_row("SELECT value FROM meta WHERE name = 'state_digest_leaf'", [], |row| row.get(0))
        .optional()
        .at("reading the last state digest")
        .map(|leaf| leaf.map(unsigned))
}

/// Bytes of a record.
pub(crate) fn entry(connection: &Connection, leaf: u64) -> Result<Option<Vec<u8>>, StoreFault> {
    let step = "reading a record";
    let mut statement = connection.prepare_cached("SELECT record FROM entry WHERE leaf = ?1").at(step)?;
    statement.query_row([sql(leaf)], |row| row.get(0)).optional().at(step)
}

/// Size and note of the newest checkpoint.
pub(crate) fn newest_checkpoint(connection: &Connection) -> Result<Option<(u64, Vec<u8>)>, StoreFault> {
    connection
        .query_row("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1", [], |row| {
            Ok((unsigned(row.get(0)?), row.get(1)?))
        })
        .optional()
        .at("reading the newest checkpoint")
}

/// A table of registers. A row that no PSD can have is an error in itself: it names nobody.
pub(crate) fn registers(connection: &Connection, table: Registers) -> Result<RegisterRows, StoreFault> {
    let step = "reading registers";
    let query = format!("SELECT psd, sequence, ascending, descending, control_total, pieces FROM {}", table.table());
    let mut statement = connection.prepare(&query).at(step)?;
    let mut rows = statement.query([]).at(step)?;
    let mut registers = BTreeMap::new();
    while let Some(row) = rows.next().at(step)? {
        let psd: PsdId = parsed(row.get_ref(0).and_then(|name| Ok(name.as_str()?)).at(step)?, step)?;
        let number = |at: usize| row.get::<_, i64>(at).map(unsigned).at(step);
        let amount = |at: usize| number(at).map(|n| PostageAmount::from_mills(n).unwrap_or(PostageAmount::MAX));
        // Registers that do not add up stand as zero with a sequence that no PSD reaches: they differ from any records.
        let (sequence, values) = match psd::Registers::from_parts(amount(2)?, amount(3)?, amount(4)?, number(5)?) {
            Ok(values) => (number(1)?, values),
            Err(_) => (u64::MAX, psd::Registers::default()),
        };
        registers.insert(psd, (sequence, values));
    }
    Ok(registers)
}

/// Gives every row of `live`, in order. A fleet has too many to hold them all at a start.
pub(crate) fn each_live(connection: &Connection, mut take: impl FnMut(LiveRow)) -> Result<(), StoreFault> {
    let step = "reading live records";
    let mut statement = connection.prepare("SELECT psd, slot, leaf FROM live ORDER BY psd, slot, leaf").at(step)?;
    let rows = statement
        .query_map([], |row| Ok(LiveRow { name: row.get(0)?, slot: row.get(1)?, leaf: unsigned(row.get(2)?) }))
        .at(step)?;
    for row in rows {
        take(row.at(step)?);
    }
    Ok(())
}

/// The leaves of the newest row of each PSD and slot below a leaf, in order.
pub(crate) fn live_before(connection: &Connection, leaf: u64) -> Result<Vec<u64>, StoreFault> {
    let step = "reading live records";
    let newest = "SELECT max(leaf) FROM live WHERE leaf < ?1 GROUP BY psd, slot";
    let mut statement = connection.prepare(newest).at(step)?;
    // Leaves rise within a slot, so the greatest is the newest.
    let rows = statement.query_map([sql(leaf)], |row| row.get(0).map(unsigned)).at(step)?;
    let mut leaves = rows.collect::<Result<Vec<u64>, _>>().at(step)?;
    leaves.sort_unstable();
    Ok(leaves)
}

/// Rows of `live` that a newer row of the same PSD and slot superseded.
pub(crate) fn superseded(connection: &Connection) -> Result<Vec<LiveRow>, StoreFault> {
    let mut superseded = Vec::new();
    let mut before: Option<LiveRow> = None;
    each_live(connection, |row| {
        let same = |before: &LiveRow| before.name == row.name && before.slot == row.slot;
        superseded.extend(before.take().filter(same));
        before = Some(row);
    })?;
    Ok(superseded)
}

pub(crate) fn tenants(connection: &Connection) -> Result<HashMap<TenantName, i64>, StoreFault> {
    let step = "reading tenants";
    let mut statement = connection.prepare("SELECT name, id FROM tenant").at(step)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).at(step)?;
    let mut tenants = HashMap::new();
    for row in rows {
        let (name, id) = row.at(step)?;
        tenants.insert(parsed(&name, step)?, id);
    }
    Ok(tenants)
}
