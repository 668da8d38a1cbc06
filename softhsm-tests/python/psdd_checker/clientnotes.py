"""Owns what clients saw: reads notes files (JSON Lines) and compares them with the ledger."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from .amounts import mills
from .claims import registers_of
from .findings import Findings, Unusable
from .record import INDICIUM, REFUNDED, VALUE_APPLIED, VALUE_VOIDED, WITHDRAWN
from .source import record_at
from .state import State
from .tables import Tables

_END: dict[str, type] = {"psd": str, "sequence": int, "leaf": int, "amount": str}
_FIELDS: dict[str, dict[str, type]] = {
    "signed": {
        "tenant": str,
        "key": str,
        "leaf": int,
        "psd": str,
        "sequence": int,
        "indicium": str,
        "registers": dict,
        "time": int,
    },
    "refused": {"tenant": str, "key": str, "code": str},
    "fault": {"tenant": str, "key": str, "code": str},
    "value-applied": _END,
    "value-voided": _END,
    "refunded": _END,
    "withdrawn": _END,
    "checkpoint": {"note": str},
}
_ENDS: dict[str, tuple[int, str, str]] = {
    "value-applied": (VALUE_APPLIED, "apply", "applied"),
    "value-voided": (VALUE_VOIDED, "void", "voided"),
    "refunded": (REFUNDED, "refund", "refunded"),
    "withdrawn": (WITHDRAWN, "withdraw", "withdrawn"),
}
_OPTIONAL: dict[str, dict[str, type]] = {"signed": {"digest": str}}


def _note(line: str) -> dict[str, Any]:
    note = json.loads(line)
    fields = _FIELDS.get(str(note.get("kind"))) if isinstance(note, dict) else None
    if fields is None:
        raise ValueError("unknown kind of note")
    known = {**fields, **_OPTIONAL.get(note["kind"], {})}
    for name in fields:
        if name not in note:
            raise ValueError(f"no {name}")
    for name, value in note.items():
        if name != "kind" and (name not in known or type(value) is not known[name]):
            raise ValueError(f"{name}: {value!r:.60}")
        if name in ("key", "digest", "indicium"):
            bytes.fromhex(value)
    return note


class Notes:
    """All notes of one run."""

    def __init__(self, connection: sqlite3.Connection, findings: Findings, state: State, tables: Tables) -> None:
        self._db, self._findings, self._state, self._tables = connection, findings, state, tables
        self._signed: dict[tuple[str, bytes], tuple[str, str]] = {}
        self._refused: dict[tuple[str, bytes], str] = {}
        self._answered: set[tuple[str, bytes]] = set()
        self._values: dict[tuple[str, int], tuple[str, int, int]] = {}
        self._checkpoints: set[str] = set()
        self.read = 0

    def take(self, path: Path) -> None:
        """Compare one file; Unusable where it is no notes file."""
        try:
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        self._take(f"{path.name}:{number}", _note(line))
                        self.read += 1
        except (OSError, UnicodeDecodeError) as error:
            raise Unusable(f"{path}: {error}") from error
        except ValueError as error:
            raise Unusable(f"{path}:{number}: {error}") from error

    def finish(self) -> None:
        """Judge what only all notes together can tell."""
        for key, where in self._refused.items():
            leaf = self._state.pieces.get(key)
            if key not in self._answered and leaf is not None:
                self._findings.add(where, "seen-refused", f"key {key[1].hex()} of {key[0]!r} has a record, leaf {leaf}")

    def _take(self, where: str, note: dict[str, Any]) -> None:
        kind = note["kind"]
        if kind == "checkpoint":
            self._checkpoint(where, note["note"])
        elif kind in _ENDS:
            self._value(where, note)
        else:
            key = note["tenant"], bytes.fromhex(note["key"])
            if kind == "refused":
                self._refused.setdefault(key, where)
            else:
                self._answered.add(key)
            if kind == "signed":
                self._take_signed(where, note, key)

    def _take_signed(self, where: str, note: dict[str, Any], key: tuple[str, bytes]) -> None:
        same = json.dumps({n: v for n, v in note.items() if n != "digest"}, sort_keys=True)
        first = self._signed.setdefault(key, (same, where))
        if first[0] != same:
            self._findings.add(where, "seen-twice", f"key {note['key']}: not what {first[1]} saw")
        try:
            record = record_at(self._db, note["leaf"])
            wanted = {
                "kind": (record.get(0), INDICIUM),
                "tenant": (record.get(8), note["tenant"]),
                "key": (record.get(9), key[1]),
                "psd": (record.get(3), note["psd"]),
                "sequence": (record.get(4), note["sequence"]),
                "indicium": (record.get(12), bytes.fromhex(note["indicium"])),
                "registers": (record.get(5), registers_of(note["registers"])),
                "time": (record.get(1), note["time"]),
            }
            if "digest" in note:
                wanted["digest"] = record.get(10), bytes.fromhex(note["digest"])
            for name, (recorded, seen) in wanted.items():
                if recorded != seen:
                    raise ValueError(f"{name} {seen!r:.80} seen, {recorded!r:.80} in leaf {note['leaf']}")
            if self._state.pieces.get(key) != note["leaf"]:
                raise ValueError(f"key {note['key']} stands in leaf {self._state.pieces.get(key)}, seen in {note['leaf']}")
        except ValueError as error:
            self._findings.add(where, "seen-record", str(error))

    def _value(self, where: str, note: dict[str, Any]) -> None:
        kind, verb, done = _ENDS[note["kind"]]
        download = f"download {note['sequence']} of {note['psd']}"
        try:
            seen = done, note["leaf"], mills(note["amount"])
            first = self._values.setdefault((note["psd"], note["sequence"]), seen)
            if first != seen:
                raise ValueError(f"{download} was seen ended twice: {first} and {seen}")
            record = record_at(self._db, note["leaf"])
            if (record.get(0), record.get(3), record.get(9)) != (kind, note["psd"], note["sequence"]):
                raise ValueError(f"leaf {note['leaf']} does not {verb} {download}")
            if record.get(10) != seen[2]:
                raise ValueError(f"amount {seen[2]} seen, {record.get(10)} in leaf {note['leaf']}")
            if self._state.ended.get(kind, {}).get((note["psd"], note["sequence"])) != note["leaf"]:
                raise ValueError(f"{download} was first {done} in another leaf")
        except ValueError as error:
            self._findings.add(where, "seen-value", str(error))

    def _checkpoint(self, where: str, note: str) -> None:
        if note in self._checkpoints:
            return
        self._checkpoints.add(note)
        try:
            self._tables.check_note(note.encode(), None)
        except ValueError as error:
            self._findings.add(where, "seen-checkpoint", str(error))
