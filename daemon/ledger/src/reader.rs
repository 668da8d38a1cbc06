//! Reading committed state: look-ups of idempotency keys, results, records.
//!
//! Every call is one short read transaction of its own, so no snapshot is ever held for long.

use crate::{AtStep, Body, Durable, StoreFault, schema, sql};
use psd::certification::MarkId;
use psd::record::{Event, Record, RecordError};
use psd::{PieceKey, PostageAmount, TenantName};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::sync::Arc;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// A stored record is damaged.
    #[error("record {leaf} is damaged: {source}")]
    Damaged {
        /// Its leaf.
        leaf: u64,
        /// In what way.
        source: RecordError,
    },
    /// The index of keys points at a record of another key.
    #[error("the index of keys points at record {leaf}, which has another key: the ledger was altered")]
    Index {
        /// The leaf.
        leaf: u64,
    },
    /// A wrapped key is not the one its record commits to.
    #[error("the wrapped key beside record {leaf} is not the one the record commits to: the ledger was altered")]
    Wrapped {
        /// The leaf.
        leaf: u64,
    },
}

/// The greatest of all that may be used but once.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Greatest {
    /// The greatest key of each tenant.
    pub keys: Vec<(TenantName, PieceKey)>,
    /// Of each PSD, the one of its indicia with the greatest ascending register among those that paid for a certification.
    pub marks: Vec<MarkId>,
}

/// A connection that only reads.
pub struct Reader {
    pub(crate) connection: Connection,
}

impl Reader {
    /// Opens the ledger in a state directory for reading.
    pub fn open(state_dir: &Path) -> Result<Self, StoreFault> {
        Ok(Self { connection: schema::reader(&state_dir.join(schema::FILE))? })
    }

    /// The records of these keys, in their order, from one snapshot.
    pub fn look_up<'a>(
        &mut self,
        keys: impl Iterator<Item = (&'a TenantName, &'a PieceKey)>,
    ) -> Result<Vec<Option<Durable>>, ReadError> {
        let transaction = self.connection.transaction().at("looking up keys")?;
        let mut statement = transaction
            .prepare_cached(
                "SELECT entry.leaf, entry.record FROM tenant
                 JOIN piece ON piece.tenant = tenant.id JOIN entry ON entry.leaf = piece.leaf
                 WHERE tenant.name = ?1 AND piece.key = ?2",
            )
            .at("looking up keys")?;
        let mut found = Vec::new();
        for (tenant, key) in keys {
            let row = statement
                .query_row((tenant.as_str(), key.as_bytes()), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
                .at("looking up keys")?;
            let record = row.map(durable).transpose()?;
            if let Some(Durable { leaf, .. }) = record.as_ref().filter(|found| !is_of(found, tenant, key)) {
                return Err(ReadError::Index { leaf: *leaf });
            }
            found.push(record);
        }
        Ok(found)
    }

    /// Which of these indicia have paid for a certification, in their order, from one snapshot.
    pub fn paid<'a>(&mut self, marks: impl Iterator<Item = Option<&'a MarkId>>) -> Result<Vec<bool>, StoreFault> {
        let step = "looking up paying indicia";
        let transaction = self.connection.transaction().at(step)?;
        let mut statement =
            transaction.prepare_cached("SELECT 1 FROM paid_by WHERE psd = ?1 AND ascending = ?2").at(step)?;
        let mut paid = |mark: Option<&MarkId>| match mark {
            Some(mark) => statement.exists((mark.psd.text().as_str(), sql(mark.ascending.mills()))).at(step),
            None => Ok(false),
        };
        marks.map(&mut paid).collect()
    }

    /// The record of a leaf.
    pub fn record(&self, leaf: u64) -> Result<Option<Durable>, ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT leaf, record FROM entry WHERE leaf = ?1").at("reading a record")?;
        let row =
            statement.query_row([sql(leaf)], |row| Ok((row.get(0)?, row.get(1)?))).optional().at("reading a record")?;
        row.map(durable).transpose()
    }

    /// The newest live record of a PSD in a slot (docs/ledger.md, "Live records").
    pub fn live(&self, psd: &str, slot: &str) -> Result<Option<Durable>, ReadError> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT entry.leaf, entry.record FROM live JOIN entry ON entry.leaf = live.leaf
                 WHERE live.psd = ?1 AND live.slot = ?2 ORDER BY live.leaf DESC LIMIT 1",
            )
            .at("reading a live record")?;
        let row = statement
            .query_row((psd, slot), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .at("reading a live record")?;
        row.map(durable).transpose()
    }

    /// Gives CKA_ID and blob of every key that lives beside its record, as its token wrapped it. Keys that were destroyed are not among
    /// them.
    pub fn each_wrapped_key(&self, mut take: impl FnMut(&[u8], &[u8])) -> Result<(), ReadError> {
        let step = "reading wrapped keys";
        let mut statement = self
            .connection
            .prepare(
                "SELECT entry.leaf, entry.record, body.salt, body.body FROM live
                 JOIN body ON body.leaf = live.leaf JOIN entry ON entry.leaf = live.leaf
                 WHERE live.slot >= 'key:' AND live.slot < 'key;'",
            )
            .at(step)?;
        let mut rows = statement.query([]).at(step)?;
        while let Some(row) = rows.next().at(step)? {
            let found = durable((row.get(0).at(step)?, row.get(1).at(step)?))?;
            let body = Body { salt: row.get(2).at(step)?, body: row.get::<_, Vec<u8>>(3).at(step)?.into() };
            match &found.record.event {
                Event::KeyCreated { key_id, wrapped: Some(hash), .. } if *hash == body.commitment() => {
                    take(key_id, &body.body);
                }
                _ => return Err(ReadError::Wrapped { leaf: found.leaf }),
            }
        }
        Ok(())
    }

    /// The root of the first `size` leaves, from the stored tree.
    pub fn root_at(&self, size: u64) -> Result<crate::Hash, crate::tile::TileError> {
        crate::tile::Nodes::new(&self.connection).root(size)
    }

    /// What lies above was never used.
    pub fn greatest(&self) -> Result<Greatest, StoreFault> {
        Ok(Greatest { keys: self.greatest_keys()?, marks: self.greatest_marks()? })
    }

    fn greatest_marks(&self) -> Result<Vec<MarkId>, StoreFault> {
        let step = "reading the greatest paying indicia";
        let mut statement = self
            .connection
            .prepare(
                "SELECT psd, (SELECT ascending FROM paid_by WHERE paid_by.psd = register.psd ORDER BY ascending DESC LIMIT 1)
                 FROM register",
            )
            .at(step)?;
        let rows =
            statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))).at(step)?;
        let mut greatest = Vec::new();
        for row in rows {
            let (psd, ascending) = row.at(step)?;
            let Some(ascending) = ascending else { continue };
            let ascending = u64::try_from(ascending).ok().and_then(PostageAmount::from_mills);
            match psd.parse().ok().zip(ascending) {
                Some((psd, ascending)) => greatest.push(MarkId { psd, ascending }),
                None => return Err(StoreFault::broken(step, "a PSD or a register in the table is not one")),
            }
        }
        Ok(greatest)
    }

    fn greatest_keys(&self) -> Result<Vec<(TenantName, PieceKey)>, StoreFault> {
        let step = "reading the greatest keys";
        let mut statement = self
            .connection
            .prepare(
                "SELECT name, (SELECT key FROM piece WHERE tenant = tenant.id ORDER BY key DESC LIMIT 1) FROM tenant",
            )
            .at(step)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<[u8; 16]>>(1)?)))
            .at(step)?;
        let mut greatest = Vec::new();
        for row in rows {
            let (name, key) = row.at(step)?;
            // A tenant without a piece has no greatest key; one with a key that is none must not pass for such.
            let Some(key) = key else { continue };
            match (name.parse(), PieceKey::from_bytes(key)) {
                (Ok(name), Some(key)) => greatest.push((name, key)),
                _ => return Err(StoreFault::broken(step, "a tenant or a key in the table is not one")),
            }
        }
        Ok(greatest)
    }
}

fn is_of(found: &Durable, tenant: &TenantName, key: &PieceKey) -> bool {
    found.record.event.debit().is_some_and(|piece| piece.tenant == tenant && piece.key == *key)
}

pub(crate) fn durable((leaf, bytes): (i64, Vec<u8>)) -> Result<Durable, ReadError> {
    let leaf = u64::try_from(leaf).unwrap_or(u64::MAX);
    let record = Record::decode(&bytes).map_err(|source| ReadError::Damaged { leaf, source })?;
    Ok(Durable { leaf, record: Arc::new(record) })
}
