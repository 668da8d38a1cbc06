"""Owns the rules of kinds 30 and 31: mail runs, the pieces in them, and the sums by which they are closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from .certification import Certification
from .certifying import CertifyingRules
from .findings import Findings
from .record import RUN_OPENED, WITHDRAWAL_REQUESTED
from .state import ACTIVE, Psd, State


@dataclass
class Run:
    """A run that is open: what was announced, and what its pieces come to so far, by ZIP."""

    opened: int
    day: str
    kind: str
    rates: bytes
    tariffs: list[str]
    announced: dict[int, int]  # the tariff of each ZIP
    counted: dict[int, int] = field(default_factory=dict)
    owed: dict[int, list[int]] = field(default_factory=dict)  # beyond what was paid, under each tariff
    debited: int = 0


class RunRules:
    """Checks kinds 30 and 31, and the pieces of kind 29 that are in a run."""

    def __init__(self, findings: Findings, state: State, certifying: CertifyingRules) -> None:
        self._findings, self._state, self._certifying = findings, state, certifying
        self._open: dict[tuple[str, str], Run] = {}
        self._over: set[tuple[str, str]] = set()

    def check(self, leaf: int, record: dict[int, Any], psd: Psd) -> None:
        """Judge an announcement or a closing."""
        if record[0] == RUN_OPENED:
            self._announced(leaf, record, psd)
        else:
            self._closed(leaf, record, psd)

    def is_open(self, psd: Psd) -> bool:
        """Whether a run of the PSD is open."""
        return any(name == psd.name for name, _ in self._open)

    def _announced(self, leaf: int, record: dict[int, Any], psd: Psd) -> None:
        place = psd.name, record[9]
        withdrawing = psd.pending is not None and psd.pending.kind == WITHDRAWAL_REQUESTED
        if place in self._open or place in self._over:
            self._findings.leaf(leaf, "run", f"run {record[9]} of {psd.name} is opened again")
        elif psd.state != ACTIVE or withdrawing:
            self._findings.leaf(leaf, "run", f"run {record[9]} is opened while {psd.name} is not active")
        day = int(record[11].replace("-", ""))
        fault = self._certifying.table_fault(record[12], record[13], record[14], day)
        if fault is not None:
            self._findings.leaf(leaf, "unfounded", fault)
        names = [name.decode() for name in record[16]]
        zips = dict(zip(accumulate(record[17]), record[19], strict=True))
        self._open[place] = Run(leaf, record[11], record[15], record[14], names, zips)

    def piece(self, leaf: int, record: dict[int, Any], psd: Psd, read: Certification) -> None:
        """Judge a piece of a run by what was announced, and count it."""
        if 17 not in record:
            return
        run = self._open.get((psd.name, record[17]))
        if run is None:
            self._findings.leaf(leaf, "run", f"a piece in run {record[17]}, which {psd.name} has not open")
            return
        self._state.in_run[leaf] = run.opened
        dues, tariff = record[18], run.announced.get(read.zip)
        told = (read.day, read.kind, read.rates[2], len(dues))
        if told != (run.day, run.kind, run.rates, len(run.tariffs)) or tariff is None:
            self._findings.leaf(leaf, "run", f"a piece to {read.zip:05} that run {record[17]} does not announce")
            return
        if (read.tariff, read.due) != (run.tariffs[tariff], dues[tariff]):
            message = f"tariff {read.tariff}, {read.due} due; {run.tariffs[tariff]} and {dues[tariff]} by run {record[17]}"
            self._findings.leaf(leaf, "run", message)
            return
        run.counted[read.zip] = run.counted.get(read.zip, 0) + 1
        before = run.owed.get(read.zip, [0] * len(dues))
        run.owed[read.zip] = [sum_ + max(due - read.paid, 0) for sum_, due in zip(before, dues, strict=True)]
        run.debited += read.debited

    def _closed(self, leaf: int, record: dict[int, Any], psd: Psd) -> None:
        place = psd.name, record[9]
        run = self._open.pop(place, None)
        self._over.add(place)
        if run is None:
            self._findings.leaf(leaf, "run", f"run {record[9]} of {psd.name} is closed and was not open")
            return
        zips, tariffs = sorted(run.announced), record[15]
        counted = [run.counted.get(zip_, 0) for zip_ in zips]
        if record[10] != run.opened or record[14] != counted or max(tariffs) >= len(run.tariffs):
            message = f"run {record[9]} is closed with {sum(record[14])} pieces, {sum(counted)} stand in the log"
            self._findings.leaf(leaf, "run", message)
            return
        owed = sum(run.owed[zip_][tariff] for zip_, tariff in zip(zips, tariffs, strict=True) if zip_ in run.owed)
        if (record[11], record[12]) != (owed, run.debited):
            message = f"run {record[9]}: {record[11]} owed, {record[12]} debited; its pieces say {owed}, {run.debited}"
            self._findings.leaf(leaf, "run", message)
