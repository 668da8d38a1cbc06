//! What a ceremony did, step by step, as its records tell.

use crate::reader::{ReadError, Reader, durable};
use crate::{AtStep, Durable, sql};
use psd::record::Event;

/// A step of a ceremony that is done.
#[derive(Clone, Debug)]
pub struct DoneStep {
    /// Its record.
    pub record: Durable,
    /// Records of the keys that were made in it, in their order.
    pub keys: Vec<Durable>,
}

impl Reader {
    /// The steps of a ceremony that are done, in their order; of the keys that were made in them the first `most_keys` at least, where
    /// there are so many.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read, or is damaged.
    pub fn ceremony_steps(&self, number: u64, most_keys: usize) -> Result<Vec<DoneStep>, ReadError> {
        let at = "reading the steps of a ceremony";
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT entry.leaf, entry.record FROM live JOIN entry ON entry.leaf = live.leaf
                 WHERE live.psd = '' AND live.slot >= ?1 AND live.slot < ?2 ORDER BY live.leaf",
            )
            .at(at)?;
        // ';' comes after ':', and a number after it is no digit more of this one.
        let (from, until) = (format!("ceremony-step:{number}:"), format!("ceremony-step:{number};"));
        let mut rows = statement.query([from, until]).at(at)?;
        let mut steps = Vec::new();
        let mut keys_found = 0;
        while let Some(row) = rows.next().at(at)? {
            let record = durable((row.get(0).at(at)?, row.get(1).at(at)?))?;
            let keys = if keys_found < most_keys { self.keys_before(record.leaf)? } else { Vec::new() };
            keys_found += keys.len();
            steps.push(DoneStep { record, keys });
        }
        Ok(steps)
    }

    /// The keys that were made in the commit of a step, whose record is its last (docs/ledger.md, kind 21).
    fn keys_before(&self, step: u64) -> Result<Vec<Durable>, ReadError> {
        let at = "reading the records of a step";
        let mut statement = self
            .connection
            .prepare_cached("SELECT leaf, record FROM entry WHERE leaf < ?1 ORDER BY leaf DESC")
            .at(at)?;
        let mut rows = statement.query([sql(step)]).at(at)?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next().at(at)? {
            let record = durable((row.get(0).at(at)?, row.get(1).at(at)?))?;
            match record.record.event {
                Event::KeyCreated { .. } => keys.push(record),
                Event::PsdCreated { .. } => {}
                _ => break,
            }
        }
        keys.reverse();
        Ok(keys)
    }
}
