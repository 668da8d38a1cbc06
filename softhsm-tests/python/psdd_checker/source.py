"""Owns opening the evidence: read-only, and from a copy whenever SQLite would have to recover a journal."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .cbor import decode
from .findings import Findings, Unusable

TABLES: dict[str, tuple[str, ...]] = {
    "meta": ("name", "value"),
    "entry": ("leaf", "record"),
    "tile": ("level", "number", "hashes"),
    "head": ("id", "size", "root", "time"),
    "piece": ("tenant", "key", "leaf"),
    "paid_by": ("psd", "ascending", "leaf"),
    "in_run": ("opened", "leaf"),
    "digital_token": ("psd", "pieces", "leaf"),
    "tenant": ("id", "name"),
    "live": ("psd", "slot", "leaf"),
    "register": ("psd", "sequence", "ascending", "descending", "control_total", "pieces"),
    "snapshot": ("psd", "sequence", "ascending", "descending", "control_total", "pieces"),
    "body": ("leaf", "salt", "body"),
    "checkpoint": ("size", "note"),
}


def _stamp(files: list[Path]) -> list[tuple[str, int, int]]:
    return [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.exists()]


@contextmanager
def open_ledger(given: Path) -> Iterator[sqlite3.Connection]:
    """Open the ledger without ever writing next to it; -wal and -journal are recovered in a temporary copy."""
    database = given / "ledger.db" if given.is_dir() else given
    if not database.is_file():
        raise Unusable(f"{database}: no such file")
    with database.open("rb") as head:
        if head.read(16) != b"SQLite format 3\0":
            raise Unusable(f"{database}: not an SQLite database")
    journals = [database.with_name(database.name + end) for end in ("-wal", "-journal")]
    pending = [j for j in journals if j.exists() and j.stat().st_size > 0]
    with tempfile.TemporaryDirectory(prefix="psdd-checker-") as scratch:
        if pending:
            before = _stamp([database, *pending])
            copy = Path(scratch) / database.name
            for file in (database, *pending):
                shutil.copyfile(file, Path(scratch) / file.name)
            if _stamp([database, *pending]) != before:
                raise Unusable(f"{database}: changed while it was copied; is its daemon running?")
            uri = f"{copy.as_uri()}?mode=rw"
        else:
            uri = f"{database.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True)
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise Unusable(f"{database}: {error}") from error
        finally:
            connection.close()


def check_schema(connection: sqlite3.Connection, findings: Findings, *, integrity: bool) -> set[str]:
    """Compare tables and columns with the page; returns the tables that can be read."""
    usable: set[str] = set()
    for table, columns in TABLES.items():
        have = {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
        missing = [c for c in columns if c not in have]
        if not have:
            findings.add(f"table {table}", "schema", "missing")
        elif missing:
            findings.add(f"table {table}", "schema", f"column {missing[0]} missing")
        else:
            usable.add(table)
    if not {"entry", "head", "meta"} <= usable:
        raise Unusable("not a ledger: table entry, head or meta is missing")
    if integrity:
        for (line,) in connection.execute("PRAGMA integrity_check(1)"):
            if line != "ok":
                findings.add("database", "sqlite", str(line))
    formats = connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchall()
    if formats != [(4,)] or type(formats[0][0]) is not int:
        findings.add("table meta", "format", f"format is {formats!r}, not 4")
    return usable


def record_at(connection: sqlite3.Connection, leaf: int) -> dict[int, Any]:
    """The record of one leaf, decoded; ValueError where there is none."""
    try:
        row = connection.execute("SELECT record FROM entry WHERE leaf = ?", (leaf,)).fetchone()
    except OverflowError:
        row = None
    if row is None or type(row[0]) is not bytes:
        raise ValueError(f"leaf {leaf} does not exist")
    record = decode(row[0])
    if type(record) is not dict:
        raise ValueError(f"leaf {leaf} is no record")
    return record


def typed_rows(
    connection: sqlite3.Connection,
    findings: Findings,
    table: str,
    types: tuple[type, ...],
    order: str,
) -> Iterator[tuple]:
    """The rows of a table in the columns' documented order; rows of other types are findings and left out."""
    columns = TABLES[table]
    for row in connection.execute(f'SELECT {", ".join(columns)} FROM "{table}" ORDER BY {order}'):
        for name, value, wanted in zip(columns, row, types, strict=True):
            negative = isinstance(value, int) and value < 0
            if type(value) is not wanted or negative:
                found = f"{type(value).__name__} {value!r:.60}"
                findings.add(f"table {table} row {row[0]!r:.60}", "row", f"{name} is {found}, not {wanted.__name__}")
                break
        else:
            yield row
