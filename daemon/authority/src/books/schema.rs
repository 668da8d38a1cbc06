//! The tables, and how a connection to them is set up. docs/authority.md describes them.

use super::fault::{AtStep, Fault};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

pub(super) const FORMAT: i64 = 2;

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

/// Keys, as of format 2: each has a generation, certification keys are among them, and some are revoked.
const KEYS: &str = "
CREATE TABLE certificate (serial INTEGER PRIMARY KEY CHECK (serial BETWEEN 1 AND 4294967295),
    psd TEXT NOT NULL REFERENCES psd, role TEXT NOT NULL CHECK (role IN ('indicium', 'certification', 'device')),
    generation INTEGER NOT NULL CHECK (generation BETWEEN 1 AND 255), spki BLOB NOT NULL UNIQUE, der BLOB NOT NULL,
    issued INTEGER NOT NULL, UNIQUE (psd, role, generation)) STRICT;
CREATE TABLE revocation (serial INTEGER PRIMARY KEY REFERENCES certificate, time INTEGER NOT NULL,
    reason INTEGER NOT NULL CHECK (reason IN (0, 1, 3, 4, 5, 9)), invalid_since INTEGER) STRICT;
CREATE TRIGGER revocation_stays BEFORE UPDATE ON revocation BEGIN SELECT RAISE(ABORT, 'a revocation is never changed'); END;
CREATE TRIGGER revocation_remains BEFORE DELETE ON revocation
    BEGIN SELECT RAISE(ABORT, 'a revocation is never deleted'); END;
CREATE TABLE crl (issuer TEXT NOT NULL CHECK (issuer IN ('psd-ca', 'root')), number INTEGER NOT NULL CHECK (number > 0),
    time INTEGER NOT NULL, next_update INTEGER NOT NULL, der BLOB NOT NULL, PRIMARY KEY (issuer, number)) STRICT, WITHOUT ROWID;
";

/// Generations are numbered by the serial numbers, which rose.
const FROM_FORMAT_1: [&str; 2] = [
    "DROP INDEX certificate_of_psd; ALTER TABLE certificate RENAME TO certificate_1;",
    "INSERT INTO certificate SELECT serial, psd, role, row_number() OVER (PARTITION BY psd, role ORDER BY serial), spki, der, issued
         FROM certificate_1;
     DROP TABLE certificate_1; UPDATE meta SET value = 2 WHERE name = 'format';",
];

/// Longest wait for another process. Transactions take milliseconds.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Makes the file and its tables. A file with tables is left as it is, and refused.
pub(super) fn create(path: &Path) -> Result<(), Fault> {
    let step = "creating the books";
    let mut connection = Connection::open(path).at(step)?;
    settings(&connection)?;
    let transaction = connection.transaction().at(step)?;
    transaction.execute_batch(TABLES).at(step)?;
    transaction.execute_batch(KEYS).at(step)?;
    transaction.execute("INSERT INTO meta VALUES ('format', ?1)", [FORMAT]).at(step)?;
    transaction.commit().at(step)?;
    make_durable(&connection)
}

/// Opens existing books, with everything on stable storage that a reader can see.
pub(super) fn open(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).at("opening the books")?;
    settings(&connection)?;
    make_durable(&connection)?;
    let format = upgraded(&mut connection)?;
    if format != FORMAT {
        return Err(Fault::broken(format!("their format is {format}, this program reads {FORMAT}")));
    }
    Ok(connection)
}

/// Brings books of format 1 to format 2, in one transaction. Gives the format they have then.
fn upgraded(connection: &mut Connection) -> Result<i64, Fault> {
    let step = "reading the books' format";
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).at(step)?;
    let read = "SELECT value FROM meta WHERE name = 'format'";
    let format: i64 = transaction.query_row(read, [], |row| row.get(0)).at(step)?;
    if format != 1 {
        return Ok(format);
    }
    let step = "bringing the books to format 2";
    let [before, after] = FROM_FORMAT_1;
    for batch in [before, KEYS, after] {
        transaction.execute_batch(batch).at(step)?;
    }
    transaction.commit().at(step)?;
    Ok(FORMAT)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_of_format_1_keep_their_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("books.db");
        create(&path).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "DROP TABLE revocation; DROP TABLE crl; DROP TABLE certificate;
                 CREATE TABLE certificate (serial INTEGER PRIMARY KEY CHECK (serial BETWEEN 1 AND 4294967295),
                     psd TEXT NOT NULL REFERENCES psd, role TEXT NOT NULL CHECK (role IN ('indicium', 'device')),
                     spki BLOB NOT NULL UNIQUE, der BLOB NOT NULL, issued INTEGER NOT NULL) STRICT;
                 CREATE INDEX certificate_of_psd ON certificate (psd, role);
                 INSERT INTO licence VALUES ('L-1', 'holder', NULL, 1);
                 INSERT INTO psd (id, licence, appliance, standing, registered) VALUES ('PS010000001', 'L-1', 'post', 'open', 1);
                 INSERT INTO certificate VALUES (1000, 'PS010000001', 'indicium', x'01', x'02', 1),
                     (1001, 'PS010000001', 'device', x'03', x'04', 1), (1002, 'PS010000001', 'indicium', x'05', x'06', 2);
                 UPDATE meta SET value = 1 WHERE name = 'format';",
            )
            .unwrap();
        drop(connection);
        for _ in 0..2 {
            let connection = open(&path).unwrap();
            let mut statement =
                connection.prepare("SELECT serial, role, generation FROM certificate ORDER BY serial").unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
            let rows: Vec<(i64, String, i64)> = rows.collect::<Result<_, _>>().unwrap();
            let wanted = [(1000, "indicium", 1), (1001, "device", 1), (1002, "indicium", 2)];
            assert_eq!(rows, wanted.map(|(serial, role, generation)| (serial, role.to_owned(), generation)));
        }
    }
}
