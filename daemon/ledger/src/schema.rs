//! The tables, and how a connection to them is set up.

use crate::{AtStep, StoreFault};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

pub(crate) const FORMAT: i64 = 4;

const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;
CREATE TABLE entry (leaf INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE tile (level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL,
                   PRIMARY KEY (level, number)) STRICT, WITHOUT ROWID;
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, root BLOB NOT NULL,
                   time INTEGER NOT NULL) STRICT;
CREATE TABLE tenant (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE piece (tenant INTEGER NOT NULL, key BLOB NOT NULL, leaf INTEGER NOT NULL,
                    PRIMARY KEY (tenant, key)) STRICT, WITHOUT ROWID;
CREATE TABLE paid_by (psd TEXT NOT NULL, ascending INTEGER NOT NULL, leaf INTEGER NOT NULL,
                      PRIMARY KEY (psd, ascending)) STRICT, WITHOUT ROWID;
CREATE TABLE in_run (opened INTEGER NOT NULL, leaf INTEGER NOT NULL, PRIMARY KEY (opened, leaf)) STRICT, WITHOUT ROWID;
CREATE TABLE digital_token (psd TEXT NOT NULL, pieces INTEGER NOT NULL, leaf INTEGER NOT NULL,
                            PRIMARY KEY (psd, pieces)) STRICT, WITHOUT ROWID;
CREATE TABLE live (psd TEXT NOT NULL, slot TEXT NOT NULL, leaf INTEGER NOT NULL,
                   PRIMARY KEY (psd, slot, leaf)) STRICT, WITHOUT ROWID;
CREATE TABLE register (psd TEXT PRIMARY KEY, sequence INTEGER NOT NULL, ascending INTEGER NOT NULL,
                       descending INTEGER NOT NULL, control_total INTEGER NOT NULL, pieces INTEGER NOT NULL)
                       STRICT, WITHOUT ROWID;
CREATE TABLE snapshot (psd TEXT PRIMARY KEY, sequence INTEGER NOT NULL, ascending INTEGER NOT NULL,
                       descending INTEGER NOT NULL, control_total INTEGER NOT NULL, pieces INTEGER NOT NULL)
                       STRICT, WITHOUT ROWID;
CREATE TABLE body (leaf INTEGER PRIMARY KEY, salt BLOB NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT;
";

/// The file in the state directory.
pub(crate) const FILE: &str = "ledger.db";

/// Makes the file and its tables, whichever of them are not there.
pub(crate) fn create(path: &Path) -> Result<(), StoreFault> {
    let connection = Connection::open(path).at("creating the database")?;
    settings(&connection, 1024)?;
    connection.execute_batch("BEGIN IMMEDIATE").at("creating the database")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).at("looking for tables")?;
    if tables > 0 {
        connection.execute_batch("ROLLBACK").at("looking for tables")?;
        return close(connection);
    }
    connection.execute_batch(TABLES).at("creating the tables")?;
    connection.execute("INSERT INTO meta VALUES ('format', ?1)", [FORMAT]).at("creating the tables")?;
    connection.execute_batch("COMMIT").at("creating the tables")?;
    truncate_wal(&connection)?;
    close(connection)
}

/// The one connection that writes. Checkpoints of the WAL are made by the journal, not by chance.
pub(crate) fn writer(path: &Path) -> Result<Connection, StoreFault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).at("opening the database")?;
    settings(&connection, 8 * 1024)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// A connection that only reads.
pub(crate) fn reader(path: &Path) -> Result<Connection, StoreFault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).at("opening the database for reading")?;
    connection.pragma_update(None, "cache_size", -4096).at("setting up the reader")?;
    connection.pragma_update(None, "trusted_schema", false).at("setting up the reader")?;
    connection.busy_timeout(LONGEST_WAIT).at("setting up the reader")?;
    Ok(connection)
}

/// A connection that only reads, for verification: also of a copy on a medium or in a directory that cannot be written.
pub(crate) fn witness(path: &Path) -> Result<Connection, StoreFault> {
    let live = reader(path).and_then(|connection| {
        // Opening is lazy; only reading shows whether the WAL's index can be had.
        crate::rows::format(&connection).map(|_| connection)
    });
    let wal = path.with_file_name(format!("{FILE}-wal"));
    let no_wal = std::fs::metadata(wal).map_or(true, |wal| wal.len() == 0);
    match live {
        Err(fault) if no_wal && fault.source.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen) => {
            // Nobody has it open here, or there would be a WAL: as it stands it can be read without locks and index.
            let escaped: String = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
                .at("opening the database for reading")
        }
        other => other,
    }
}

/// Longest wait for another connection. Reads hold a snapshot for 1 s at most.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

fn settings(connection: &Connection, cache_kib: i64) -> Result<(), StoreFault> {
    let step = "setting up the database";
    connection.pragma_update(None, "journal_mode", "WAL").at(step)?;
    connection.pragma_update(None, "synchronous", "FULL").at(step)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0).at(step)?;
    connection.pragma_update(None, "cache_size", -cache_kib).at(step)?;
    connection.pragma_update(None, "trusted_schema", false).at(step)?;
    // A wrapped key that was destroyed, or a personal field that was erased, is not left in free pages.
    connection.pragma_update(None, "secure_delete", true).at(step)?;
    // After a failed sync the kernel has forgotten the pages that it could not write: a checkpoint made by dropping the
    // connection would sync again, succeed, and leave a database that lacks them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).at(step)?;
    connection.busy_timeout(LONGEST_WAIT).at(step)
}

/// Closes a connection whose WAL is empty, so that no `-wal` and `-shm` stay behind.
pub(crate) fn close(connection: Connection) -> Result<(), StoreFault> {
    let step = "closing the database";
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).at(step)?;
    connection.close().map_err(|(_, source)| StoreFault { step, source })
}

/// Copies every frame of the WAL into the database, syncs it, and empties the WAL; an error if any of it did not happen.
///
/// After SIGKILL the page cache may hold frames that were never synced; this makes everything that a reader can see durable.
pub(crate) fn truncate_wal(connection: &Connection) -> Result<(), StoreFault> {
    let step = "checkpointing the WAL";
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).at(step)?;
    if busy == 0 {
        return Ok(());
    }
    Err(StoreFault {
        step,
        source: rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("another process reads or writes the ledger".to_owned()),
        ),
    })
}

/// Whether a copy of the WAL waits until no reader needs it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    No,
    ForReaders,
}

/// What a copy of the WAL left behind.
pub(crate) struct Copied {
    /// Readers did not leave in time. Never set for [`Wait::No`].
    pub(crate) busy: bool,
    /// Frames in the WAL, copied or not.
    pub(crate) frames: u64,
}

/// Syncs the WAL, copies it into the database as far as readers allow, and syncs that. Its errors are faults.
pub(crate) fn copy_wal(connection: &Connection, wait: Wait) -> Result<Copied, StoreFault> {
    let step = "checkpointing the WAL";
    let pragma = match wait {
        Wait::No => "PRAGMA wal_checkpoint(PASSIVE)",
        Wait::ForReaders => {
            connection.busy_timeout(Duration::from_secs(1)).at(step)?;
            "PRAGMA wal_checkpoint(RESTART)"
        }
    };
    let row = connection.query_row(pragma, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).at(step);
    connection.busy_timeout(LONGEST_WAIT).at(step)?;
    row.map(|(busy, frames)| Copied { busy: busy != 0, frames: u64::try_from(frames).unwrap_or(0) })
}
