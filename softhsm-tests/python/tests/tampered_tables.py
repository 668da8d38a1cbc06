"""Owns the ways to tamper with a database after it was written, each with the code that must name it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_builder import ONE, TWO, Builder, cbor
from ledger_writer import encoded, mth, note


def other_record(b: Builder, db: sqlite3.Connection) -> None:
    """Rewrite history: one more mill of postage in a record long signed."""
    record = dict(b.records[b.labels["one:5"]])
    record[10] = sha256(b"another").digest()
    db.execute("UPDATE entry SET record = ? WHERE leaf = ?", (cbor(record), b.labels["one:5"]))


def foreign_checkpoint(b: Builder, db: sqlite3.Connection) -> None:
    """A checkpoint by another log key."""
    size, root = db.execute("SELECT size, root FROM head").fetchone()
    db.execute("UPDATE checkpoint SET note = ? WHERE size = ?", (note(b, size, root, key=Ed25519PrivateKey.generate()), size))


def split_view(b: Builder, db: sqlite3.Connection) -> None:
    """A checkpoint, properly signed, of another tree."""
    db.execute("INSERT INTO checkpoint VALUES (7, ?)", (note(b, 7, bytes(32)),))


def truncated(b: Builder, db: sqlite3.Connection) -> None:
    """The last record removed, and head made to fit; the newest checkpoint tells."""
    hashes = [sha256(b"\0" + record).digest() for record in encoded(b)][:-1]
    db.execute("DELETE FROM entry WHERE leaf = ?", (len(hashes),))
    db.execute("UPDATE head SET size = ?, root = ?, time = ?", (len(hashes), mth(hashes), b.records[-2][1]))


def body_of_a_destroyed_key(b: Builder, db: sqlite3.Connection) -> None:
    """What the token wrapped, put back after the key was destroyed."""
    for leaf, (salt, body) in b.erased.items():
        db.execute("INSERT INTO body VALUES (?, ?, ?)", (leaf, salt, body))


def wrapped_key_changed(b: Builder, db: sqlite3.Connection) -> None:
    """Another wrapped key than the record commits to."""
    db.execute("UPDATE body SET body = x'ff00' WHERE leaf = ?", (b.labels["indicium2"],))


def sql(statement: str) -> Callable[[Builder, sqlite3.Connection], None]:
    """One statement."""
    return lambda b, db: db.execute(statement) and None


TAMPERED: list[tuple[str, Callable[[Builder, sqlite3.Connection], None], str]] = [
    ("record changed", other_record, "head"),
    ("record changed, by its tile", other_record, "tile"),
    ("record changed, by a checkpoint", other_record, "checkpoint"),
    ("paying indicium without a row", sql("DELETE FROM paid_by WHERE ascending = 1000"), "paid-by"),
    ("row of an indicium that paid for nothing", sql("INSERT INTO paid_by VALUES ('ABCD0000000001', 7, 3)"), "paid-by"),
    ("piece of a run without a row", sql("DELETE FROM in_run WHERE leaf = (SELECT max(leaf) FROM in_run)"), "in-run"),
    ("row of a piece that is of no run", sql("INSERT INTO in_run VALUES (3, 4)"), "in-run"),
    ("piece in another run", sql("UPDATE in_run SET opened = 3"), "in-run"),
    ("digital token without a row", sql("DELETE FROM digital_token WHERE leaf IN (SELECT min(leaf) FROM digital_token)"), "digital-token-row"),
    ("row of a piece without a digital token", sql("INSERT INTO digital_token VALUES ('ABCD0000000001', 7, 3)"), "digital-token-row"),
    ("entry missing", sql("DELETE FROM entry WHERE leaf = 100"), "gap"),
    ("last entry cut off", truncated, "checkpoint"),
    ("record is text", sql("UPDATE entry SET record = 'x' WHERE leaf = 100"), "row"),
    ("format 2", sql("UPDATE meta SET value = 2"), "format"),
    ("head size", sql("UPDATE head SET size = size + 1"), "head"),
    ("head root", sql("UPDATE head SET root = zeroblob(32)"), "head"),
    ("head time", sql("UPDATE head SET time = time + 1"), "head"),
    ("second head", sql("INSERT INTO head SELECT 2, size, root, time FROM head"), "head"),
    ("tile missing", sql("DELETE FROM tile"), "tile"),
    ("surplus tile", sql("INSERT INTO tile SELECT 0, 1, hashes FROM tile"), "tile"),
    ("tile changed", sql("UPDATE tile SET hashes = zeroblob(8192)"), "tile"),
    ("piece row missing", sql("DELETE FROM piece WHERE leaf = (SELECT max(leaf) FROM piece)"), "piece"),
    ("piece row surplus", sql("INSERT INTO piece VALUES (1, zeroblob(16), 4)"), "piece"),
    ("piece row points elsewhere", sql("UPDATE piece SET leaf = 3 WHERE leaf = (SELECT max(leaf) FROM piece)"), "piece"),
    ("piece of the other tenant", sql("UPDATE piece SET tenant = 3 - tenant"), "piece"),
    ("tenant row missing", sql("DELETE FROM tenant WHERE id = 1"), "tenant"),
    ("tenant of no record", sql("INSERT INTO tenant VALUES (9, 'nobody')"), "tenant"),
    ("live row missing", sql("DELETE FROM live WHERE slot = 'lifecycle'"), "live"),
    ("live row old", sql("UPDATE live SET leaf = leaf - 1 WHERE slot = 'value-applied'"), "live"),
    ("live row of a void missing", sql(f"DELETE FROM live WHERE slot = 'value-voided' AND psd = '{TWO}'"), "live"),
    ("live row of a void old", sql("UPDATE live SET leaf = leaf - 1 WHERE leaf = (SELECT max(leaf) FROM live WHERE slot = 'value-voided')"), "live"),
    ("live row of a void at the last digest missing", sql("DELETE FROM live WHERE leaf = (SELECT min(leaf) FROM live WHERE slot = 'value-voided')"), "live"),
    ("live row of the last digest missing", sql("DELETE FROM live WHERE leaf = (SELECT min(leaf) FROM live WHERE slot = 'lifecycle' GROUP BY psd HAVING count(*) = 2)"), "live"),
    ("live row of a refund missing", sql("DELETE FROM live WHERE leaf = (SELECT max(leaf) FROM live WHERE slot LIKE 'refunded:%')"), "live"),
    ("live row of a refund under another mark", sql("UPDATE live SET slot = 'refunded:1' WHERE leaf = (SELECT min(leaf) FROM live WHERE slot LIKE 'refunded:%')"), "live"),
    ("live row of the withdrawal missing", sql("DELETE FROM live WHERE slot = 'withdrawn'"), "live"),
    ("live row of a ceiling missing", sql("DELETE FROM live WHERE slot = 'ceiling:licence:1'"), "live"),
    ("live row of an instruction old", sql("UPDATE live SET leaf = leaf - 2 WHERE slot = 'instruction:2'"), "live"),
    ("live row surplus", sql("INSERT INTO live VALUES ('', 'refusals', 5)"), "live"),
    ("register cache", sql(f"UPDATE register SET descending = descending + 1 WHERE psd = '{ONE}'"), "register"),
    ("register row missing", sql(f"DELETE FROM register WHERE psd = '{ONE}'"), "register"),
    ("snapshot", sql(f"UPDATE snapshot SET pieces = pieces + 1 WHERE psd = '{TWO}'"), "snapshot"),
    ("snapshot of an unknown PSD", sql("INSERT INTO snapshot VALUES ('XXXX0000000009', 1, 0, 0, 0, 0)"), "snapshot"),
    ("body changed", sql("UPDATE body SET body = x'41' WHERE leaf = (SELECT min(leaf) FROM body)"), "body"),
    ("salt of 15 bytes", sql("UPDATE body SET salt = zeroblob(15) WHERE leaf = (SELECT min(leaf) FROM body)"), "body"),
    ("body without hash", sql("INSERT INTO body VALUES (1, zeroblob(16), x'41')"), "body"),
    ("wrapped key changed", wrapped_key_changed, "body"),
    ("wrapped key of a destroyed key", body_of_a_destroyed_key, "body"),
    *((f"live row of {slot} missing", sql(f"DELETE FROM live WHERE slot LIKE '{slot}'"), "live") for slot in (
        "activated:%", "retired:%", "destroyed:%", "revoked:41%", "ceremony:1", "ceremony-step:2:1", "ceremony-ended:3", "operators",
        "revoked:1:operator cleo", "revoked:2:client mail room 2 of acme", "revoked:3:account umbrella",
    )),
    ("live row of a step that never was", sql("INSERT INTO live SELECT psd, 'ceremony-step:1:9', leaf FROM live WHERE slot = 'ceremony-step:1:1'"), "live"),
    ("checkpoint by another key", foreign_checkpoint, "checkpoint"),
    ("checkpoint of another tree", split_view, "checkpoint"),
    ("checkpoint under another size", sql("UPDATE checkpoint SET size = size - 1"), "checkpoint"),
    ("checkpoint cut short", sql("UPDATE checkpoint SET note = substr(note, 1, 60)"), "checkpoint"),
    ("table missing", sql("DROP TABLE body"), "schema"),
    ("column missing", sql("ALTER TABLE body RENAME COLUMN salt TO pepper"), "schema"),
]  # fmt: skip
