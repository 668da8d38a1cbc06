//! The books defend themselves: a journal that is only written to, balances that show where something was changed beside it.

use psd::{LicenceNumber, UnixMillis};
use psdd_authority::books::{Books, LicenceError};
use rusqlite::Connection;

const NOW: UnixMillis = UnixMillis(1_795_176_000_000);

fn with_a_deposit() -> (tempfile::TempDir, Books) {
    let dir = tempfile::tempdir().unwrap();
    let mut books = Books::create(&dir.path().join("books.db")).unwrap();
    let licence: LicenceNumber = "L-1".parse().unwrap();
    books.add_licence(&licence, "holder", NOW).unwrap().unwrap();
    books.deposit(&licence, "10.00".parse().unwrap(), "wire 1", NOW).unwrap().unwrap();
    (dir, books)
}

fn beside(dir: &tempfile::TempDir) -> Connection {
    Connection::open(dir.path().join("books.db")).unwrap()
}

#[test]
fn the_journal_is_only_written_to() {
    let (dir, _books) = with_a_deposit();
    let beside = beside(&dir);
    for (sql, why) in [
        ("UPDATE posting SET amount = 1", "a posting is never changed"),
        ("DELETE FROM posting", "a posting is never deleted"),
        ("UPDATE account SET balance = -1 WHERE name = 'licence:L-1'", "CHECK constraint failed"),
        (
            "INSERT INTO posting (time, what, reference, debit, credit, amount) VALUES (1, 'x', 'x', 'cash', 'cash', 1)",
            "CHECK",
        ),
    ] {
        let refused = beside.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains(why), "{sql}: {refused}");
    }
}

#[test]
fn value_from_nowhere_is_told_by_the_report() {
    let (dir, mut books) = with_a_deposit();
    assert!(books.report().unwrap().reconciles());
    beside(&dir).execute("UPDATE account SET balance = balance + 1 WHERE name = 'licence:L-1'", []).unwrap();
    let report = books.report().unwrap();
    assert!(!report.reconciles() && !report.totals.conserved());
    assert_eq!(report.totals.wrong_accounts, ["licence:L-1"]);
}

#[test]
fn a_failed_transaction_is_the_last_one() {
    let (dir, mut books) = with_a_deposit();
    beside(&dir).execute("DROP TABLE deposit", []).unwrap();
    let licence: LicenceNumber = "L-1".parse().unwrap();
    books.deposit(&licence, "1.00".parse().unwrap(), "wire 2", NOW).unwrap_err();
    let dead = books.licences().unwrap_err();
    assert!(dead.to_string().contains("start again") && !dead.is_busy(), "{dead}");
}

#[test]
fn the_wal_stays_small() {
    let (dir, mut books) = with_a_deposit();
    let licence: LicenceNumber = "L-1".parse().unwrap();
    let mut largest = 0;
    for payment in 0..1_500 {
        let reference = format!("payment {payment}");
        books.deposit(&licence, "1.00".parse().unwrap(), &reference, NOW).unwrap().unwrap();
        largest = largest.max(std::fs::metadata(dir.path().join("books.db-wal")).unwrap().len());
    }
    assert!(largest < 16 << 20, "{largest} bytes");
    // Opened anew, nothing of it is left to be copied.
    drop(books);
    let mut books = Books::open(&dir.path().join("books.db")).unwrap();
    assert_eq!(std::fs::metadata(dir.path().join("books.db-wal")).unwrap().len(), 0);
    assert_eq!(books.account(&licence).unwrap().unwrap().deposited.to_string(), "1510.00");
}

#[test]
fn a_deposit_counts_once_and_fits() {
    let (_dir, mut books) = with_a_deposit();
    let licence: LicenceNumber = "L-1".parse().unwrap();
    let again = books.deposit(&licence, "10.00".parse().unwrap(), "wire 1", NOW).unwrap().unwrap();
    assert!(again.repeated && again.balance.to_string() == "10.00");
    let most = psd::PostageAmount::MAX;
    let refused = books.deposit(&licence, most, "wire 3", NOW).unwrap().unwrap_err();
    assert_eq!(refused, LicenceError::Overflow);
}

#[test]
fn somebody_else_who_holds_the_books_is_no_fault() {
    let (dir, mut books) = with_a_deposit();
    let other = beside(&dir);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = books.licences().unwrap_err();
    assert!(busy.is_busy(), "{busy}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(books.licences().unwrap().len(), 1, "and the same may be tried again");
}
