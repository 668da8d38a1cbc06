"""Owns the rules of kinds 32 to 34, rate tables and scales, and that a certification rests on those that stand before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from .certification import Certification
from .findings import Findings
from .record import RATES_TAKEN, SCALE_REGISTERED, SCALE_REMOVED

Record = dict[int, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _begins(day: int) -> int:
    """The first millisecond of a day YYYYMMDD, in UTC."""
    date = datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=timezone.utc)
    return (date - _EPOCH) // timedelta(milliseconds=1)


@dataclass
class Certifying:
    """Entries of scales by name, and of tables by name and version: each the record without what all records have."""

    scales: dict[str, Record] = field(default_factory=dict)
    tables: dict[tuple[str, int], Record] = field(default_factory=dict)

    def in_force(self, name: str, day: int) -> int | None:
        """The version of a table that is in force on a day YYYYMMDD: the highest that has begun, unless it has ended."""
        begun = [version for (table, version), entry in self.tables.items() if table == name and entry[11] <= day]
        if not begun:
            return None
        newest = max(begun)
        return newest if day <= self.tables[name, newest].get(12, day) else None


class CertifyingRules:
    """Judges and folds these records, and judges certifications by them."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.state = Certifying()
        self.kinds: dict[int, Callable[[int, Record], None]] = {
            RATES_TAKEN: self._taken,
            SCALE_REGISTERED: self._registered,
            SCALE_REMOVED: self._removed,
        }

    def check(self, leaf: int, record: Record) -> None:
        """One of these records."""
        self.kinds[record[0]](leaf, record)

    def _taken(self, leaf: int, record: Record) -> None:
        name = (record[8], record[9])
        if name in self.state.tables:
            self.findings.leaf(leaf, "rates-taken", f"{name[0]} version {name[1]} was taken before")
        self.state.tables[name] = _entry(record)

    def _registered(self, leaf: int, record: Record) -> None:
        entry = _entry(record)
        if self.state.scales.get(record[8]) == entry:
            self.findings.leaf(leaf, "scale-registered", f"{record[8]} is registered as it was")
        self.state.scales[record[8]] = entry

    def _removed(self, leaf: int, record: Record) -> None:
        if self.state.scales.pop(record[8], None) is None:
            self.findings.leaf(leaf, "scale-registered", f"{record[8]} is removed and was not registered")

    def founded(self, leaf: int, read: Certification) -> None:
        """A certification, by the records before it."""
        fault = self._scale_fault(read) or self._table_fault(read)
        if fault is not None:
            self.findings.leaf(leaf, "unfounded", fault)

    def _scale_fault(self, read: Certification) -> str | None:
        entry = self.state.scales.get(read.scale)
        if entry is None:
            return f"scale {read.scale} is not registered"
        first, last = entry[11]
        if not _begins(first) <= read.weighed < _begins(last) + 86_400_000:
            return f"scale {read.scale} was read at {read.weighed}, its calibration is from {first} to {last}"
        capacity, minimum, resolution = entry[12]
        if not minimum <= read.weight <= capacity or read.weight % resolution:
            return f"scale {read.scale} cannot read {read.weight} mg"
        return None

    def _table_fault(self, read: Certification) -> str | None:
        on = read.date if read.run is None else None  # the table of a run is that of the day it was announced for
        return self.table_fault(*read.rates, on)

    def table_fault(self, name: str, version: int, digest: bytes, on: int | None) -> str | None:
        """Why a table does not stand in the log so, or, where a day YYYYMMDD is given, is not in force on it."""
        entry = self.state.tables.get((name, version))
        if entry is None or entry[10] != digest:
            return f"{name} version {version} was not taken, or with another digest"
        if on is None:
            return None
        in_force = self.state.in_force(name, on)
        return None if in_force == version else f"{name} version {version} on {on}, where {in_force} is in force"


def _entry(record: Record) -> Record:
    return {key: value for key, value in record.items() if key >= 8}
