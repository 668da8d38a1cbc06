//! The tables, and how a connection to them is set up. docs/authority.md describes them.

use super::fault::{AtStep, Fault};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

pub(super) const FORMAT: i64 = 1;

/// What is written once is protected by triggers: correcting the journal takes another posting.
const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;
CREATE TABLE account (name TEXT PRIMARY KEY, balance INTEGER NOT NULL,
    CHECK (balance >= 0 OR name IN ('cash', 'refunds'))) STRICT, WITHOUT ROWID;
CREATE TABLE posting (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, what TEXT NOT NULL, reference TEXT NOT NULL,
    debit TEXT NOT NULL REFERENCES account, credit TEXT NOT NULL REFERENCES account,
    amount INTEGER NOT NULL CHECK (amount > 0), CHECK (debit <> credit)) STRICT;
CREATE TRIGGER posting_stays BEFORE UPDATE ON posting BEGIN SELECT RAISE(ABORT, 'a posting is never changed'); END;
CREATE TRIGGER posting_remains BEFORE DELETE ON posting BEGIN SELECT RAISE(ABORT, 'a posting is never deleted'); END;
CREATE TABLE licence (number TEXT PRIMARY KEY, holder TEXT NOT NULL, lock TEXT, added INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE TABLE deposit (reference TEXT PRIMARY KEY, licence TEXT NOT NULL REFERENCES licence, amount INTEGER NOT NULL,
    time INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE psd (id TEXT PRIMARY KEY, licence TEXT NOT NULL REFERENCES licence, appliance TEXT NOT NULL,
    standing TEXT NOT NULL CHECK (standing IN ('open', 'withdrawing', 'closed')), registered INTEGER NOT NULL,
    said_time INTEGER, said_ascending INTEGER, said_control_total INTEGER, said_pieces INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE certificate (serial INTEGER PRIMARY KEY CHECK (serial BETWEEN 1 AND 4294967295),
    psd TEXT NOT NULL REFERENCES psd, role TEXT NOT NULL CHECK (role IN ('indicium', 'device')),
    spki BLOB NOT NULL UNIQUE, der BLOB NOT NULL, issued INTEGER NOT NULL) STRICT;
CREATE INDEX certificate_of_psd ON certificate (psd, role);
CREATE TABLE download (psd TEXT NOT NULL REFERENCES psd, number INTEGER NOT NULL CHECK (number > 0),
    kind TEXT NOT NULL CHECK (kind IN ('value', 'refund', 'withdrawal', 'unseen')),
    state TEXT NOT NULL CHECK (state IN ('authorised', 'applied', 'void')), amount INTEGER NOT NULL,
    control_total INTEGER NOT NULL, expires INTEGER NOT NULL, request_digest BLOB, request BLOB, statement BLOB,
    time INTEGER NOT NULL, PRIMARY KEY (psd, number)) STRICT, WITHOUT ROWID;
CREATE TABLE authorisation (id INTEGER PRIMARY KEY, psd TEXT NOT NULL, number INTEGER NOT NULL, time INTEGER NOT NULL,
    bytes BLOB NOT NULL, FOREIGN KEY (psd, number) REFERENCES download) STRICT;
CREATE INDEX authorisation_of_download ON authorisation (psd, number);
CREATE TABLE refund (psd TEXT NOT NULL, number INTEGER NOT NULL, appliance TEXT NOT NULL, leaf INTEGER NOT NULL,
    mark BLOB NOT NULL, PRIMARY KEY (psd, number), FOREIGN KEY (psd, number) REFERENCES download) STRICT, WITHOUT ROWID;
CREATE INDEX refund_of_leaf ON refund (appliance, leaf);
CREATE INDEX refund_of_mark ON refund (mark);
CREATE TABLE finding (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, psd TEXT NOT NULL, number INTEGER NOT NULL,
    code TEXT NOT NULL, detail TEXT NOT NULL, digest BLOB NOT NULL, message BLOB NOT NULL, settled INTEGER, note TEXT,
    UNIQUE (psd, code, digest)) STRICT;
CREATE TABLE instruction (purpose TEXT NOT NULL, appliance TEXT NOT NULL, sequence INTEGER NOT NULL, act TEXT NOT NULL,
    subject TEXT NOT NULL, time INTEGER NOT NULL, expires INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (purpose, appliance, sequence)) STRICT, WITHOUT ROWID;
CREATE TABLE client (serial INTEGER PRIMARY KEY, appliance TEXT NOT NULL, issued INTEGER NOT NULL, revoked INTEGER) STRICT;
INSERT INTO account VALUES ('cash', 0), ('refunds', 0);
";

/// Longest wait for another process. Transactions take milliseconds.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Makes the file and its tables. A file with tables is left as it is, and refused.
pub(super) fn create(path: &Path) -> Result<(), Fault> {
    let step = "creating the books";
    let mut connection = Connection::open(path).at(step)?;
    settings(&connection)?;
    let transaction = connection.transaction().at(step)?;
    transaction.execute_batch(TABLES).at(step)?;
    transaction.execute("INSERT INTO meta VALUES ('format', ?1)", [FORMAT]).at(step)?;
    transaction.commit().at(step)?;
    make_durable(&connection)
}

/// Opens existing books, with everything on stable storage that a reader can see.
pub(super) fn open(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).at("opening the books")?;
    settings(&connection)?;
    make_durable(&connection)?;
    let format: i64 = connection
        .query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0))
        .at("reading the books' format")?;
    if format != FORMAT {
        return Err(Fault::broken(format!("their format is {format}, this program reads {FORMAT}")));
    }
    Ok(connection)
}

fn settings(connection: &Connection) -> Result<(), Fault> {
    let step = "setting up the books";
    connection.busy_timeout(LONGEST_WAIT).at(step)?;
    connection.pragma_update(None, "journal_mode", "WAL").at(step)?;
    connection.pragma_update(None, "synchronous", "FULL").at(step)?;
    // SQLite swallows the errors of checkpoints that it makes by itself.
    connection.pragma_update(None, "wal_autocheckpoint", 0).at(step)?;
    connection.pragma_update(None, "foreign_keys", true).at(step)?;
    connection.pragma_update(None, "trusted_schema", false).at(step)?;
    // After a failed sync the kernel has forgotten the pages that it could not write: a checkpoint made by dropping the connection
    // would sync again, succeed, and leave a database that lacks them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).at(step)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Syncs the WAL and copies it into the database as far as other processes allow; its errors are faults.
pub(super) fn copy_wal(connection: &Connection) -> Result<(), Fault> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).at("copying the WAL into the books")
}

/// After a kill the page cache may hold frames that were never synced; this makes all that a reader can see durable.
fn make_durable(connection: &Connection) -> Result<(), Fault> {
    let step = "checkpointing the books";
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).at(step)?;
    if busy == 0 {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    let text = "another process holds the books".to_owned();
    Err(Fault::Store { step, source: rusqlite::Error::SqliteFailure(code, Some(text)) })
}
