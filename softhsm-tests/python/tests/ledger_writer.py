"""Owns writing a built ledger as the SQLite database of docs/ledger.md, with a tree of its own."""

from __future__ import annotations

import base64
import sqlite3
from hashlib import sha256
from pathlib import Path

from authority import raw_signature, spki
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ledger_builder import Builder, cbor

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value);
CREATE TABLE entry (leaf INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE tile (level INTEGER, number INTEGER, hashes BLOB NOT NULL, PRIMARY KEY (level, number));
CREATE TABLE head (id INTEGER PRIMARY KEY, size INTEGER, root BLOB, time INTEGER);
CREATE TABLE piece (tenant INTEGER, key BLOB, leaf INTEGER, PRIMARY KEY (tenant, key)) WITHOUT ROWID;
CREATE TABLE paid_by (psd TEXT, ascending INTEGER, leaf INTEGER, PRIMARY KEY (psd, ascending)) WITHOUT ROWID;
CREATE TABLE in_run (opened INTEGER, leaf INTEGER, PRIMARY KEY (opened, leaf)) WITHOUT ROWID;
CREATE TABLE digital_token (psd TEXT, pieces INTEGER, leaf INTEGER, PRIMARY KEY (psd, pieces)) WITHOUT ROWID;
CREATE TABLE tenant (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE live (psd TEXT, slot TEXT, leaf INTEGER, PRIMARY KEY (psd, slot, leaf));
CREATE TABLE register (psd TEXT PRIMARY KEY, sequence, ascending, descending, control_total, pieces);
CREATE TABLE snapshot (psd TEXT PRIMARY KEY, sequence, ascending, descending, control_total, pieces);
CREATE TABLE body (leaf INTEGER PRIMARY KEY, salt BLOB, body BLOB);
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note BLOB);
"""


def mth(hashes: list[bytes]) -> bytes:
    """The Merkle tree hash, straight from RFC 9162 section 2.1.1."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\x01" + mth(hashes[:split]) + mth(hashes[split:])).digest()


def note(b: Builder, size: int, root: bytes, key=None, origin: str | None = None) -> bytes:
    """A signed checkpoint."""
    key = key or b.log_key
    origin = origin or f"psdd.log/{b.appliance}"
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    if b.ecdsa_log:
        hashed = f"{origin}\n".encode() + b"\xffecdsa-p256-sha256\n" + spki(key)
    else:
        hashed = f"{origin}\n".encode() + b"\x01" + key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    signature = sha256(hashed).digest()[:4] + raw_signature(key, text.encode())
    return f"{text}\n\u2014 {origin} {base64.b64encode(signature).decode()}\n".encode()


def encoded(b: Builder) -> list[bytes]:
    """The records as bytes; a twist may have replaced one by bytes."""
    return [record if isinstance(record, bytes) else cbor(record) for record in b.records]


def write(b: Builder, directory: Path) -> Path:
    """Write ledger.db; returns the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(directory / "ledger.db")
    db.executescript(SCHEMA)
    records = encoded(b)
    hashes = [sha256(b"\0" + record).digest() for record in records]
    db.execute("INSERT INTO meta VALUES ('format', 4)")
    db.executemany("INSERT INTO entry VALUES (?, ?)", enumerate(records))
    times = [r[1] for r in b.records if isinstance(r, dict) and isinstance(r.get(1), int)]
    db.execute("INSERT INTO head VALUES (1, ?, ?, ?)", (len(records), mth(hashes), max(times)))
    level, row = 0, hashes
    while len(row) >= 256:
        full = [row[256 * n : 256 * n + 256] for n in range(len(row) // 256)]
        db.executemany("INSERT INTO tile VALUES (?, ?, ?)", [(level, n, b"".join(t)) for n, t in enumerate(full)])
        level, row = level + 1, [mth(t) for t in full]
    tenants: dict[str, int] = {}
    for leaf, record in enumerate(b.records):
        if isinstance(record, dict) and record.get(0) in (16, 29):
            number = tenants.setdefault(record[8], len(tenants) + 1)
            db.execute("INSERT OR IGNORE INTO piece VALUES (?, ?, ?)", (number, record[9], leaf))
            if 16 in record and record[0] == 29:
                db.execute("INSERT OR IGNORE INTO paid_by VALUES (?, ?, ?)", (record.get(15, ""), record[16], leaf))
            if 17 in record and record[0] == 29:
                db.execute("INSERT OR IGNORE INTO in_run VALUES (?, ?)", (b.runs.get((record[3], record[17]), 0), leaf))
            if 16 in record and record[0] == 16:
                db.execute("INSERT OR IGNORE INTO digital_token VALUES (?, ?, ?)", (record[3], record[5][3], leaf))
    db.executemany("INSERT INTO tenant VALUES (?, ?)", [(n, name) for name, n in tenants.items()])
    db.executemany("INSERT INTO live VALUES (?, ?, ?)", sorted(b.live_now() | b.live_then))
    for table, rows in (("register", b.registers), ("snapshot", b.snapshot)):
        db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)", [(psd, *row) for psd, row in rows.items()])
    db.executemany("INSERT INTO body VALUES (?, ?, ?)", [(leaf, *body) for leaf, body in b.bodies.items()])
    for size in sorted({*(leaf + 1 for leaf in b.digests), len(records)}):
        db.execute("INSERT INTO checkpoint VALUES (?, ?)", (size, note(b, size, mth(hashes[:size]))))
    db.commit()
    db.close()
    return directory
