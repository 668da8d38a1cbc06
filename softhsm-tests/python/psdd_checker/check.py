"""Owns the order of a run: entries once through tree, shape and replay, then the tables, then the notes."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .cbor import decode
from .clientnotes import Notes
from .certifying import CertifyingRules
from .findings import Finding, Findings, Unusable
from .indicium import IndiciumRules
from .record import LARGEST_RECORD, is_uint, shape_fault
from .replay import Replay
from .runs import RunRules
from .source import check_schema, open_ledger, record_at
from .state import State
from .tables import Tables
from .tree import Tree


@dataclass(frozen=True)
class Outcome:
    """What a run found and how much it looked at."""

    findings: list[Finding]
    records: int
    psds: int
    root: str
    indicia: int
    signatures: int
    checkpoints: int
    notes: int
    seconds: float


def check(given: Path, notes: list[Path], sample: int | None, quick: bool) -> Outcome:
    """Judge a ledger; `sample` is about how many indicium signatures to verify, None for all."""
    begin = time.monotonic()
    findings = Findings()
    with open_ledger(given) as connection:
        usable = check_schema(connection, findings, integrity=not quick)
        state = State()
        certifying = CertifyingRules(findings)
        runs = RunRules(findings, state, certifying)
        indicia = IndiciumRules(findings, _share(connection, sample, quick), runs)
        replay, tree = Replay(findings, state, (indicia, runs, certifying), partial(record_at, connection)), Tree()
        _entries(connection, findings, replay, tree, indicia)
        tables = Tables(connection, findings, replay.state, tree)
        checkpoints = tables.check(usable, quick=quick)
        seen = Notes(connection, findings, replay.state, tables)
        for path in notes:
            seen.take(path)
        seen.finish()
    return Outcome(
        findings=findings.all(),
        records=tree.size,
        psds=len(replay.state.psds),
        root=tree.root(tree.size).hex(),
        indicia=indicia.seen,
        signatures=indicia.verified,
        checkpoints=checkpoints,
        notes=seen.read,
        seconds=round(time.monotonic() - begin, 3),
    )


def _share(connection: sqlite3.Connection, sample: int | None, quick: bool) -> float | None:
    if quick:
        return 0.0
    if sample is None:
        return None
    entries = connection.execute("SELECT count(*) FROM entry").fetchone()[0]
    return min(1.0, sample / max(entries, 1))


def _entries(connection: sqlite3.Connection, findings: Findings, replay: Replay, tree: Tree, indicia: IndiciumRules) -> None:
    for wanted, (leaf, blob) in enumerate(connection.execute("SELECT leaf, record FROM entry ORDER BY leaf")):
        if leaf != wanted:
            findings.leaf(wanted, "gap", f"the next row is leaf {leaf}")
        if type(blob) is not bytes:
            findings.leaf(leaf, "row", f"record is {type(blob).__name__}, not bytes")
            blob = b""
        indicia.leaf_hash = tree.append(blob)
        if len(blob) > LARGEST_RECORD:
            findings.leaf(leaf, "size", f"{len(blob)} bytes")
        try:
            record = decode(blob)
        except ValueError as error:
            findings.leaf(leaf, "cbor", str(error))
            continue
        fault = shape_fault(record)
        if fault is not None:
            findings.leaf(leaf, *fault)
            if type(record) is dict and is_uint(record.get(1)):
                replay.state.latest = max(replay.state.latest, record[1])
            continue
        replay.feed(leaf, record)
    replay.finish()
    if tree.size == 0:
        findings.leaf(0, "genesis", "there is no record at all")


__all__ = ["Outcome", "Unusable", "check"]
