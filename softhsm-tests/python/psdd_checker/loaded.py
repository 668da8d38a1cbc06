"""Owns the sums of value loaded under a licence: in a day, a month and a year of UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from .record import LARGEST_AMOUNT

DAY, MONTH, YEAR = 1, 2, 3
PERIODS = {DAY: "day", MONTH: "month", YEAR: "year"}
_LAST_SECOND = 253_402_300_799  # of the year 9999, the last that datetime knows

_Period = tuple[int, ...]


def _periods(time_ms: int) -> list[_Period]:
    day = datetime.fromtimestamp(min(time_ms // 1000, _LAST_SECOND), UTC)
    return [(day.year, day.month, day.day), (day.year, day.month), (day.year,)]


class Loaded:
    """The sums of the last kind 7 of each licence, with the day, month and year they are of."""

    def __init__(self) -> None:
        self._last: dict[str, list[tuple[_Period, int]]] = {}

    def add(self, licence: str, time_ms: int, amount: int) -> list[int]:
        """Count one download; returns the sums of its day, month and year, this one included."""
        periods = _periods(time_ms)
        before = self._last.get(licence, [(period, 0) for period in periods])
        carried = [total if period == old else 0 for period, (old, total) in zip(periods, before, strict=True)]
        sums = [min(total + amount, LARGEST_AMOUNT) for total in carried]
        self._last[licence] = list(zip(periods, sums, strict=True))
        return sums
