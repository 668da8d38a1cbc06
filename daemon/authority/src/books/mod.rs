//! The authority's books: one SQLite file, each decision in one transaction, nothing kept in memory between two of them.
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
pub use instructions::{CertificateRefusal, NamedCertificate, StoredInstruction};
pub use licences::{AccountView, Deposited, LicenceError, LicenceView};
pub use registry::{ClientView, DeviceKey, PsdKey, RegisterError, Registered};
pub use report::{PsdLine, Report, Totals};
pub use revocation::{CertifiedView, CrlIssuer, KeyRevocation, Revoke, RevokeError, Revoked, StoredList};

use fault::AtStep;
use rusqlite::Connection;
use std::fs::File;
use std::path::Path;

/// Transactions between two copies of the WAL into the database; the WAL stays within some MiB.
const BETWEEN_COPIES: u32 = 256;

/// Open books.
pub struct Books {
    connection: Connection,
    since_copy: u32,
    together: bool,
    dead: bool,
}

/// Inside a transaction on the books: all of what is done in it is durable afterwards, or nothing.
pub struct Entry<'a> {
    connection: &'a Connection,
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
        Ok(Self { connection: schema::open(path)?, since_copy: 0, together: false, dead: false })
    }

    /// Runs one transaction, or takes part in the one of [`FundsSystem::together`](crate::funds::FundsSystem::together). Where `act`
    /// gives an error, nothing of the transaction remains, and these books are dead.
    pub fn enter<T>(&mut self, act: impl FnOnce(&Entry<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let alone = !self.together;
        if alone {
            self.begin()?;
        }
        let value = self.fatal(|books| act(&Entry { connection: &books.connection }))?;
        if alone {
            self.commit()?;
        }
        Ok(value)
    }

    /// Begins a transaction that all entries take part in until [`Books::commit`]: they share its sync. Nothing that they give may leave
    /// this process before that.
    pub(crate) fn begin(&mut self) -> Result<(), Fault> {
        if self.dead {
            return Err(Fault::Dead);
        }
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(Fault::begin).inspect_err(|fault| {
            self.dead = !fault.is_busy();
        })?;
        self.together = true;
        Ok(())
    }

    /// Ends the transaction: what was entered since [`Books::begin`] is on stable storage.
    pub(crate) fn commit(&mut self) -> Result<(), Fault> {
        self.fatal(|books| books.connection.execute_batch("COMMIT").at("committing"))?;
        self.together = false;
        self.since_copy += 1;
        if self.since_copy >= BETWEEN_COPIES {
            self.since_copy = 0;
            self.fatal(|books| schema::copy_wal(&books.connection))?;
        }
        Ok(())
    }

    /// What was entered since [`Books::begin`] is given up, and these books with it.
    pub(crate) fn give_up(&mut self) {
        self.dead = true;
    }

    /// An error is the end of these books; what is uncommitted is given up with the connection.
    fn fatal<T>(&mut self, act: impl FnOnce(&Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.dead {
            return Err(Fault::Dead);
        }
        act(self).inspect_err(|_| self.dead = true)
    }
}
