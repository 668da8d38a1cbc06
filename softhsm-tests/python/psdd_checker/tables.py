"""Owns the tables that follow from the records: head, tile, piece, tenant, live, register, snapshot, body, checkpoint."""

from __future__ import annotations

import sqlite3
from hashlib import sha256

from . import signednote
from .findings import Findings
from .source import typed_rows
from .state import State
from .tree import Tree


class Tables:
    """Compares every table with what the replay and the tree say it must be."""

    def __init__(self, connection: sqlite3.Connection, findings: Findings, state: State, tree: Tree) -> None:
        self._db, self._findings, self._state, self._tree = connection, findings, state, tree

    def check(self, usable: set[str], *, quick: bool) -> int:
        """Check those of the tables that are there; returns how many checkpoints verified."""
        self._head()
        if "tile" in usable:
            self._tiles()
        if {"piece", "tenant"} <= usable:
            self._pieces()
        if "paid_by" in usable:
            self._paid_by()
        if "in_run" in usable:
            self._in_run()
        if "digital_token" in usable:
            self._digital_tokens()
        if "live" in usable:
            self._live()
        for table, wanted in (("register", self._state.registers()), ("snapshot", self._state.snapshot)):
            if table in usable:
                self._registers(table, wanted)
        if "body" in usable:
            self._bodies()
        return self._checkpoints(quick) if "checkpoint" in usable else 0

    def _rows(self, table: str, types: tuple[type, ...], order: str):
        return typed_rows(self._db, self._findings, table, types, order)

    def _head(self) -> None:
        rows = list(self._rows("head", (int, int, bytes, int), "id"))
        if [row[0] for row in rows] != [1]:
            self._findings.add("table head", "head", f"rows with id {[row[0] for row in rows]}, not one with id 1")
            return
        _, size, root, time = rows[0]
        if size != self._tree.size:
            self._findings.add("table head", "head", f"size {size}, {self._tree.size} entries")
        if root != self._tree.root(self._tree.size):
            wanted = self._tree.root(self._tree.size).hex()
            self._findings.add("table head", "head", f"root {root.hex()}, recomputed {wanted}")
        if time != self._state.latest:
            self._findings.add("table head", "head", f"time {time}, latest in a record {self._state.latest}")

    def _tiles(self) -> None:
        wanted = {(level, number): hashes for level, number, hashes in self._tree.tiles()}
        for level, number, hashes in self._rows("tile", (int, int, bytes), "level, number"):
            expected = wanted.pop((level, number), None)
            where = f"tile {level}/{number}"
            if expected is None:
                self._findings.add(where, "tile", "surplus: the tree has no such full tile, or it stands twice")
            elif hashes != expected:
                at = next((i for i in range(256) if hashes[32 * i : 32 * i + 32] != expected[32 * i : 32 * i + 32]), 256)
                self._findings.add(where, "tile", f"hash {at} is not that of the tree ({len(hashes)} bytes)")
        for level, number in sorted(wanted):
            self._findings.add(f"tile {level}/{number}", "tile", "missing")

    def _pieces(self) -> None:
        names: dict[int, str] = {}
        for number, name in self._rows("tenant", (int, str), "id"):
            if name in names.values():
                self._findings.add(f"tenant {number}", "tenant", f"{name!r} has two numbers")
            if name not in self._state.tenants:
                self._findings.add(f"tenant {number}", "tenant", f"{name!r} stands in no record")
            names[number] = name
        left = dict(self._state.pieces)
        for number, key, leaf in self._rows("piece", (int, bytes, int), "leaf"):
            where = f"piece {number}/{key.hex()}"
            name = names.get(number)
            if name is None:
                self._findings.add(where, "tenant", f"tenant {number} has no row in table tenant")
                continue
            recorded = left.pop((name, key), None)
            if recorded != leaf:
                said = "none has" if recorded is None else f"leaf {recorded} has"
                self._findings.add(where, "piece", f"row says leaf {leaf}; {said} this key of {name!r}")
        for (tenant, key), leaf in left.items():
            self._findings.leaf(leaf, "piece", f"key {key.hex()} of {tenant!r} has no row in table piece")

    def _paid_by(self) -> None:
        left = dict(self._state.paid_by)
        for psd, ascending, leaf in self._rows("paid_by", (str, int, int), "psd, ascending"):
            recorded = left.pop((psd, ascending), None)
            if recorded != leaf:
                said = "none has" if recorded is None else f"leaf {recorded} has"
                self._findings.add(f"paid_by {psd}/{ascending}", "paid-by", f"row says leaf {leaf}; {said} this indicium")
        for (psd, ascending), leaf in left.items():
            self._findings.leaf(leaf, "paid-by", f"the indicium of {psd} at {ascending} has no row in table paid_by")

    def _in_run(self) -> None:
        left = dict(self._state.in_run)
        for opened, leaf in self._rows("in_run", (int, int), "opened, leaf"):
            recorded = left.pop(leaf, None)
            if recorded != opened:
                self._findings.add(f"in_run {opened}/{leaf}", "in-run", f"its record names {recorded}")
        for leaf, opened in left.items():
            self._findings.leaf(leaf, "in-run", f"the piece of the run opened in leaf {opened} has no row in table in_run")

    def _digital_tokens(self) -> None:
        left = dict(self._state.digital_tokens)
        for psd, pieces, leaf in self._rows("digital_token", (str, int, int), "psd, pieces"):
            recorded = left.pop((psd, pieces), None)
            if recorded != leaf:
                said = "none has" if recorded is None else f"leaf {recorded} has"
                where = f"digital_token {psd}/{pieces}"
                self._findings.add(where, "digital-token-row", f"row says leaf {leaf}; {said} the token of this piece")
        for (psd, pieces), leaf in left.items():
            said = f"piece {pieces} of {psd} has no row in table digital_token"
            self._findings.leaf(leaf, "digital-token-row", said)

    def _live(self) -> None:
        left = self._state.live_rows() | self._state.live_at_digest
        for row in self._rows("live", (str, str, int), "psd, slot, leaf"):
            if row in left:
                left.remove(row)
            else:
                psd, slot, leaf = row
                said = f"row says leaf {leaf}, which is not live, nor was it at the last state digest"
                self._findings.add(f"live {psd!r} {slot}", "live", said)
        for psd, slot, leaf in sorted(left):
            self._findings.leaf(leaf, "live", f"{psd!r} {slot} has no row in table live")

    def _registers(self, table: str, wanted: dict[str, tuple[int, ...]]) -> None:
        left = dict(wanted)
        for psd, *values in self._rows(table, (str, int, int, int, int, int), "psd"):
            expected = left.pop(psd, None)
            if expected != tuple(values):
                self._findings.add(f"{table} {psd}", table, f"row {tuple(values)}, records say {expected}")
        for psd, expected in left.items():
            self._findings.add(f"{table} {psd}", table, f"no row, records say {expected}")

    def _bodies(self) -> None:
        for leaf, salt, body in self._rows("body", (int, bytes, bytes), "leaf"):
            wanted = self._state.hashed.get(leaf)
            fault = None
            if wanted is None:
                fault = "its record has no salted hash"
            elif leaf in self._state.erased:
                fault = f"its key was destroyed in leaf {self._state.erased[leaf]}"
            elif len(salt) != 16:
                fault = f"salt of {len(salt)} bytes"
            elif sha256(salt + body).digest() != wanted:
                fault = "salt and body are not the preimage of key 13"
            elif leaf not in self._state.wrapped:
                try:
                    body.decode()
                except UnicodeDecodeError:
                    fault = "body is not UTF-8"
            if fault is not None:
                self._findings.add(f"body {leaf}", "body", fault)

    def _checkpoints(self, quick: bool) -> int:
        key = self._state.log_key
        rows = list(self._rows("checkpoint", (int, bytes), "size"))
        if key is not None:
            for size, note in rows[-1:] if quick else rows:
                try:
                    self.check_note(note, size)
                except ValueError as error:
                    self._findings.add(f"checkpoint {size}", "checkpoint", str(error))
        return len(rows[-1:] if quick else rows)

    def check_note(self, note: bytes, row_size: int | None) -> signednote.Checkpoint:
        """A checkpoint that verifies and is one of this tree; ValueError otherwise."""
        if self._state.log_key is None:
            raise ValueError("leaf 0 names no log key")
        checkpoint = signednote.verify(note, self._state.origin, self._state.log_key)
        if row_size is not None and checkpoint.size != row_size:
            raise ValueError(f"note says size {checkpoint.size}, row {row_size}")
        if checkpoint.size > self._tree.size:
            raise ValueError(f"size {checkpoint.size} beyond the {self._tree.size} entries")
        wanted = self._tree.root(checkpoint.size)
        if checkpoint.root != wanted:
            raise ValueError(f"root {checkpoint.root.hex()} of size {checkpoint.size}, recomputed {wanted.hex()}")
        return checkpoint
