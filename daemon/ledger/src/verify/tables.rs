//! What the tables beside the records say, compared with what the records say.

use super::Judge;
use super::finding::{Fault, Hex};
use super::walk::{Stop, Walk, found};
use crate::live::live_rows;
use crate::recover::differing;
use crate::rows::{self, Head, LiveRow};
use crate::tile::{Nodes, TileError};
use crate::{AtStep, sql};
use psd::digest::StateFacts;
use psd::record::Record;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

impl<J: Judge> Walk<'_, J> {
    /// Compares everything, in the snapshot whose records were all walked. Gives number and greatest size of checkpoints.
    pub(super) fn tables(&self, connection: &Connection, head: &Head) -> Result<(u64, u64), Stop> {
        self.entries(connection, head)?;
        self.head(head)?;
        self.tiles(connection)?;
        let checkpoints = self.checkpoints(connection)?;
        self.piece_count(connection)?;
        self.mark_count(connection)?;
        self.run_count(connection)?;
        self.token_count(connection)?;
        let found_leaf = rows::digest_leaf(connection)?;
        if found_leaf != self.digest_leaf {
            return Err(found(None, Fault::DigestLeaf { found: found_leaf, expected: self.digest_leaf }));
        }
        registers(connection, rows::Registers::Now, &self.facts)?;
        registers(connection, rows::Registers::AtDigest, &self.at_digest)?;
        self.live(connection)?;
        Ok(checkpoints)
    }

    fn entries(&self, connection: &Connection, head: &Head) -> Result<(), Stop> {
        for table in ["entry", "body"] {
            let query = format!("SELECT leaf FROM {table} WHERE leaf < 0 OR leaf >= ?1 LIMIT 1");
            let outside: Option<i64> = connection
                .query_row(&query, [sql(head.size)], |row| row.get(0))
                .optional()
                .at("looking for surplus records")?;
            if let Some(leaf) = outside {
                let fault = if table == "body" { Fault::Body } else { Fault::Surplus { size: head.size } };
                return Err(found(u64::try_from(leaf).unwrap_or(u64::MAX), fault));
            }
        }
        Ok(())
    }

    fn head(&self, head: &Head) -> Result<(), Stop> {
        let differs = |what, found_text: String, expected: String| {
            Err(found(None, Fault::Head { what, found: found_text, expected }))
        };
        if head.root != self.tree.root() {
            return differs("root", Hex(&head.root).to_string(), Hex(&self.tree.root()).to_string());
        }
        if head.time != self.latest_time {
            return differs("time", head.time.to_string(), self.latest_time.to_string());
        }
        Ok(())
    }

    /// Full tiles were compared on the way; here it is that there are no others.
    fn tiles(&self, connection: &Connection) -> Result<(), Stop> {
        let step = "reading tiles";
        let mut statement =
            connection.prepare("SELECT level, max(number), min(number) FROM tile GROUP BY level").at(step)?;
        let mut rows = statement.query([]).at(step)?;
        while let Some(row) = rows.next().at(step)? {
            let (level, greatest, least): (i64, i64, i64) =
                (row.get(0).at(step)?, row.get(1).at(step)?, row.get(2).at(step)?);
            let shift = u32::try_from(level).ok().and_then(|level| level.checked_add(1)?.checked_mul(8));
            let full = shift.and_then(|shift| self.tree.size().checked_shr(shift)).unwrap_or(0);
            if least < 0 || greatest >= sql(full) {
                let number = if least < 0 { least } else { greatest };
                return Err(found(None, Fault::TileSurplus { level, number }));
            }
        }
        Ok(())
    }

    fn checkpoints(&self, connection: &Connection) -> Result<(u64, u64), Stop> {
        let step = "reading checkpoints";
        let Some(genesis) = self.genesis() else { return Err(found(None, Fault::NoGenesis)) };
        let nodes = Nodes::new(connection);
        let mut statement = connection.prepare("SELECT size, note FROM checkpoint ORDER BY size").at(step)?;
        let mut rows = statement.query([]).at(step)?;
        let (mut count, mut greatest) = (0, 0);
        while let Some(row) = rows.next().at(step)? {
            let size = u64::try_from(row.get::<_, i64>(0).at(step)?).unwrap_or(0);
            let note = row.get_ref(1).at(step)?.as_blob().ok().and_then(|note| std::str::from_utf8(note).ok());
            let proven = note.and_then(|note| self.judge.checkpoint(genesis, note));
            let Some(proven) = proven.filter(|proven| proven.size == size) else {
                return Err(found(None, Fault::Checkpoint { size }));
            };
            if size > self.tree.size() {
                return Err(found(None, Fault::RolledBack { signed: size, size: self.tree.size() }));
            }
            let expected = nodes.root(size).map_err(|error| match error {
                TileError::Store(fault) => Stop::Store(fault),
                TileError::BadTile { level, number } => found(None, Fault::Tile { level, number, missing: false }),
                TileError::MissingEntry(leaf) | TileError::NotInTree(leaf) => {
                    found(leaf, Fault::Missing { found: None })
                }
            })?;
            if proven.root != expected {
                return Err(found(None, Fault::CheckpointRoot { size, found: proven.root, expected }));
            }
            (count, greatest) = (count + 1, size);
        }
        Ok((count, greatest))
    }

    /// Every piece was found in the index at its leaf, so equal numbers mean that there are no other rows.
    fn piece_count(&self, connection: &Connection) -> Result<(), Stop> {
        let step = "counting the index of keys";
        let rows: i64 = connection.query_row("SELECT count(*) FROM piece", [], |row| row.get(0)).at(step)?;
        if rows == sql(self.pieces) {
            return Ok(());
        }
        let mut statement = connection
            .prepare(
                "SELECT piece.tenant, piece.key, tenant.name, entry.record FROM piece
                 LEFT JOIN tenant ON tenant.id = piece.tenant LEFT JOIN entry ON entry.leaf = piece.leaf",
            )
            .at(step)?;
        let mut rows = statement.query([]).at(step)?;
        while let Some(row) = rows.next().at(step)? {
            let (tenant, key): (i64, Vec<u8>) = (row.get(0).at(step)?, row.get(1).at(step)?);
            let name: Option<String> = row.get(2).at(step)?;
            let bytes: Option<Vec<u8>> = row.get(3).at(step)?;
            let record = bytes.and_then(|bytes| Record::decode(&bytes).ok());
            let has = record.is_some_and(|record| {
                record.event.debit().is_some_and(|piece| {
                    Some(piece.tenant.as_str()) == name.as_deref() && piece.key.as_bytes()[..] == key[..]
                })
            });
            if !has {
                return Err(found(None, Fault::PieceSurplus { tenant, key: Hex(&key).to_string() }));
            }
        }
        // Fewer rows than pieces, though each piece had its row: only where somebody writes meanwhile and does not append.
        Err(found(None, Fault::PieceSurplus { tenant: 0, key: String::new() }))
    }

    /// The same for indicia that paid for certifications.
    fn mark_count(&self, connection: &Connection) -> Result<(), Stop> {
        let step = "counting the index of paying indicia";
        let rows: i64 = connection.query_row("SELECT count(*) FROM paid_by", [], |row| row.get(0)).at(step)?;
        if rows == sql(self.marks) {
            return Ok(());
        }
        Err(found(None, Fault::MarkSurplus { rows, expected: self.marks }))
    }

    /// And for pieces of runs.
    fn run_count(&self, connection: &Connection) -> Result<(), Stop> {
        let step = "counting the index of pieces of runs";
        let rows: i64 = connection.query_row("SELECT count(*) FROM in_run", [], |row| row.get(0)).at(step)?;
        if rows == sql(self.runs.pieces) {
            return Ok(());
        }
        Err(found(None, Fault::RunSurplus { rows, expected: self.runs.pieces }))
    }

    /// The same for pieces with digital tokens.
    fn token_count(&self, connection: &Connection) -> Result<(), Stop> {
        let step = "counting the index of digital tokens";
        let rows: i64 = connection.query_row("SELECT count(*) FROM digital_token", [], |row| row.get(0)).at(step)?;
        if rows == sql(self.tokens) {
            return Ok(());
        }
        Err(found(None, Fault::TokenSurplus { rows, expected: self.tokens }))
    }

    fn live(&self, connection: &Connection) -> Result<(), Stop> {
        let mut stored: BTreeSet<LiveRow> = BTreeSet::new();
        rows::each_live(connection, |row| stored.extend([row]))?;
        let expected: BTreeSet<LiveRow> = live_rows(&self.facts).chain(live_rows(&self.at_digest)).collect();
        if let Some(LiveRow { name, slot, leaf }) = expected.difference(&stored).min_by_key(|row| row.leaf) {
            let fault = Fault::LiveMissing { psd: name.clone(), slot: slot.clone() };
            return Err(found(*leaf, fault));
        }
        if let Some(LiveRow { name, slot, leaf }) = stored.difference(&expected).min_by_key(|row| row.leaf) {
            let fault = Fault::LiveSurplus { psd: name.clone(), slot: slot.clone() };
            return Err(found(*leaf, fault));
        }
        Ok(())
    }
}

fn registers(connection: &Connection, table: rows::Registers, facts: &StateFacts) -> Result<(), Stop> {
    let rows = rows::registers(connection, table)?;
    let Some(psd) = differing(facts, &rows) else { return Ok(()) };
    let expected = facts.psds.get(&psd).map(|facts| (facts.sequence, facts.registers));
    let fault = Fault::Registers { table: table.table(), psd, found: rows.get(&psd).copied(), expected };
    Err(found(None, fault))
}
