//! The authority's books: one SQLite file, one transaction for each decision, nothing kept in memory between two of them.
//!
//! Owns accounts, journal, licences, PSDs with their certificates, downloads, findings and the numbers of instructions. Several
//! processes may have them open; each transaction takes the write lock before it reads. After a failed transaction this value refuses
//! everything, and the process must start again.

mod account;
mod downloads;
mod fault;
mod findings;
mod instructions;
mod licences;
mod registry;
mod report;
mod revocation;
mod rows;
mod schema;

pub use downloads::NewDownload;
pub use fault::Fault;
pub use findings::Finding;
pub use instructions::StoredInstruction;
pub use licences::{AccountView, Deposited, LicenceError, LicenceView};
pub use registry::{ClientView, DeviceKey, PsdKey, RegisterError, Registered};
pub use report::{PsdLine, Report, Totals};
pub use revocation::{CertifiedView, CrlIssuer, KeyRevocation, Revoke, RevokeError, Revoked, StoredList};

use fault::AtStep;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::fs::File;
use std::path::Path;

/// Transactions between two copies of the WAL into the database; the WAL stays within some MiB.
const BETWEEN_COPIES: u32 = 256;

/// Open books.
pub struct Books {
    connection: Connection,
    since_copy: u32,
    dead: bool,
}

/// A transaction on the books: all of what is done in it is durable afterwards, or nothing.
pub struct Entry<'a> {
    transaction: Transaction<'a>,
}

impl Books {
    /// Makes empty books and opens them. The file must not exist.
    pub fn create(path: &Path) -> Result<Self, Fault> {
        schema::create(path)?;
        // The file's name is durable only when its directory is.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| Fault::broken(format!("{}: {error}", directory.display())))?;
        Self::open(path)
    }

    /// Opens existing books. Nothing is read before everything in the file is on stable storage.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        Ok(Self { connection: schema::open(path)?, since_copy: 0, dead: false })
    }

    /// Runs one transaction. Where `act` gives an error, nothing of it remains, and these books are dead.
    pub fn enter<T>(&mut self, act: impl FnOnce(&Entry<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.dead {
            return Err(Fault::Dead);
        }
        let done = Self::attempt(&mut self.connection, act).and_then(|value| self.copy_wal().map(|()| value));
        self.dead = done.as_ref().is_err_and(|fault| !fault.is_busy());
        done
    }

    fn copy_wal(&mut self) -> Result<(), Fault> {
        self.since_copy += 1;
        if self.since_copy < BETWEEN_COPIES {
            return Ok(());
        }
        self.since_copy = 0;
        schema::copy_wal(&self.connection)
    }

    fn attempt<T>(connection: &mut Connection, act: impl FnOnce(&Entry<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Fault::begin)?;
        let entry = Entry { transaction };
        let value = act(&entry)?;
        entry.transaction.commit().at("committing")?;
        Ok(value)
    }
}
