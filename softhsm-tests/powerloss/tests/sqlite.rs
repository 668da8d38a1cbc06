//! SQLite under the shim: what was acknowledged survives a power loss, and where it could not, the loss shows.
//!
//! The process under test is this test binary again, with `ROLE` set, since it needs a preload and is killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use powerloss::journal::restore;
use rusqlite::Connection;

const ROLE: &str = "POWERLOSS_TEST_ROLE";

struct Bench {
    root: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(root.path().join("state")).expect("the directory to lose");
        Self { root }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("state")
    }

    fn journal(&self) -> PathBuf {
        self.root.path().join("journal")
    }

    /// Starts a process under the shim, waits for so many lines, kills it, and gives the last number it printed.
    fn killed_after(&self, role: &str, lines: u64, env: &[(&str, &str)]) -> i64 {
        let mut child = self.start(role, env);
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut last = 0;
        let mut seen = 0;
        for line in stdout.lines() {
            let line = line.expect("text");
            // The harness prints its own lines around these.
            let Some((_, number)) = line.split_once("ack ") else {
                continue;
            };
            last = number.parse().expect("a number");
            seen += 1;
            // Goes on reading after the kill: what is in the pipe was acknowledged.
            if seen == lines {
                child.kill().expect("SIGKILL");
            }
        }
        let status = child.wait().expect("it ends");
        assert!(seen >= lines, "{role} ended early with {status}");
        last
    }

    fn start(&self, role: &str, env: &[(&str, &str)]) -> Child {
        Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "process_under_test", "--nocapture"])
            .env(ROLE, role)
            .env("LD_PRELOAD", powerloss::built_shim().expect("cargo builds the shim before its tests"))
            .env("POWERLOSS_DIR", self.dir())
            .env("POWERLOSS_JOURNAL", self.journal())
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test binary runs")
    }

    fn power_loss(&self) {
        restore(&self.journal(), &self.dir()).expect("restored");
    }

    /// Opens a copy, so that looking does not change what the next process finds, and gives the rows that are there.
    fn rows(&self) -> i64 {
        let copy = tempfile::tempdir().expect("a temporary directory");
        for entry in std::fs::read_dir(self.dir()).expect("the directory") {
            let entry = entry.expect("an entry");
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
        }
        let database = copy.path().join("db");
        if !database.exists() {
            return 0;
        }
        let connection = Connection::open(database).expect("opens");
        let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
        assert_eq!(sound, "ok");
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).expect("the schema");
        if tables == 0 {
            return 0;
        }
        let (rows, last): (i64, i64) = connection
            .query_row("SELECT count(*), coalesce(max(id), 0) FROM t", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("counted");
        assert_eq!(rows, last, "rows are lost from the end only");
        rows
    }
}

/// Differs from run to run; printed by the assertions through the count of rows it leads to.
fn random_below(limit: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a seed that differs from run to run")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::from(now.subsec_nanos() / 7) % limit
}

#[test]
fn every_acknowledged_row_survives() {
    let bench = Bench::new();
    let mut total = 0;
    for round in 0..12 {
        let acknowledged = bench.killed_after("writer", 1 + random_below(150), &[("SYNC", "FULL")]);
        bench.power_loss();
        let rows = bench.rows();
        assert!(rows >= acknowledged, "round {round}: {acknowledged} acknowledged, {rows} there");
        total = rows;
    }
    assert!(total >= 12, "{total}");
}

#[test]
fn every_acknowledged_row_survives_without_a_restore_in_between() {
    let bench = Bench::new();
    for round in 0..4 {
        let mut acknowledged = 0;
        for _ in 0..3 {
            acknowledged = bench.killed_after("writer", 1 + random_below(80), &[("SYNC", "FULL")]);
        }
        bench.power_loss();
        let rows = bench.rows();
        assert!(rows >= acknowledged, "round {round}: {acknowledged} acknowledged, {rows} there");
    }
}

#[test]
fn without_syncs_acknowledged_rows_are_lost() {
    let bench = Bench::new();
    // Checkpoints too are unsynced, so nothing at all is left of a database that was never durable.
    let acknowledged = bench.killed_after("writer", 100, &[("SYNC", "FULL"), ("POWERLOSS_IGNORE_SYNC", "1")]);
    assert!(acknowledged >= 100);
    bench.power_loss();
    assert_eq!(bench.rows(), 0);
}

#[test]
fn what_a_reopened_database_shows_can_still_be_lost() {
    let bench = Bench::new();
    let durable = bench.killed_after("writer", 5, &[("SYNC", "FULL")]);
    // With NORMAL a commit does not sync the WAL: these rows are in the page cache only.
    let unsynced = bench.killed_after("writer", 20, &[("SYNC", "NORMAL")]);
    let read = bench.killed_after("reader", 1, &[]);
    assert!(read >= unsynced && unsynced > durable);
    bench.power_loss();
    let rows = bench.rows();
    assert!(rows >= durable, "{durable} durable, {rows} there");
    assert!(rows < read, "the reader promised {read}, and {rows} are there");
}

#[test]
fn a_truncating_checkpoint_at_start_makes_what_is_shown_durable() {
    let bench = Bench::new();
    bench.killed_after("writer", 5, &[("SYNC", "FULL")]);
    bench.killed_after("writer", 20, &[("SYNC", "NORMAL")]);
    let read = bench.killed_after("checkpointing reader", 1, &[]);
    bench.power_loss();
    assert!(bench.rows() >= read, "{read} shown, {} there", bench.rows());
}

#[test]
fn a_failing_sync_and_a_full_disk_are_seen_and_lose_nothing_acknowledged() {
    for (fault, message) in [
        (("POWERLOSS_FAIL_SYNC_AFTER", "30"), "disk I/O error"),
        (("POWERLOSS_FAIL_WRITE_AFTER_BYTES", "200000"), "full"),
    ] {
        let bench = Bench::new();
        let child = bench.start("writer", &[("SYNC", "FULL"), fault]);
        let output = child.wait_with_output().expect("it ends");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let acks = stdout.lines().filter_map(|line| line.split_once("ack "));
        let acknowledged = acks.map(|(_, row)| row.parse().expect("a number")).max().unwrap_or(0_i64);
        assert!(stdout.contains("insert failed") && stdout.contains(message), "{stdout}");
        assert!(acknowledged > 0);
        bench.power_loss();
        assert!(bench.rows() >= acknowledged, "{fault:?}: {acknowledged} acknowledged, {} there", bench.rows());
    }
}

/// Not a test of its own: what runs under the shim.
#[test]
fn process_under_test() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let dir = PathBuf::from(std::env::var_os("POWERLOSS_DIR").expect("set by the parent"));
    let connection = Connection::open(dir.join("db")).expect("opens");
    match role.as_str() {
        "writer" => write_until_killed(&connection, &dir),
        "reader" => show(&connection),
        "checkpointing reader" => {
            let busy: i64 =
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("checkpointed");
            assert_eq!(busy, 0);
            show(&connection);
        }
        other => panic!("no role {other}"),
    }
}

fn write_until_killed(connection: &Connection, dir: &Path) {
    let sync = std::env::var("SYNC").expect("set by the parent");
    let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0)).expect("WAL");
    assert_eq!(mode, "wal");
    assert!(dir.join("db-shm").exists() || dir.join("db").exists());
    // FULL syncs at every commit and checkpoints often; NORMAL must not checkpoint, since that would sync.
    let pages = if sync == "FULL" { 40 } else { 0 };
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous={sync}; PRAGMA wal_autocheckpoint={pages};
             CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT"
        ))
        .expect("set up");
    loop {
        match connection.execute("INSERT INTO t (body) VALUES (randomblob(700))", []) {
            Ok(_) => println!("ack {}", connection.last_insert_rowid()),
            Err(error) => {
                println!("insert failed: {error}");
                // No close, which would checkpoint.
                #[expect(clippy::disallowed_methods, reason = "the process under test ends here, in the middle")]
                std::process::exit(1);
            }
        }
    }
}

fn show(connection: &Connection) {
    let last: i64 = connection.query_row("SELECT max(id) FROM t", [], |row| row.get(0)).expect("read");
    println!("ack {last}");
    loop {
        std::thread::park();
    }
}
