"""Owns the ways to spoil exactly one record of a mail run, each with the code that must name it."""

from __future__ import annotations

from ledger_builder import Builder, Record
from ledger_symbols import certification
from spoiled_certifications import claims
from twists import Row, Twist, setting, without


def _both(*twists: Twist) -> Twist:
    def twist(b: Builder, record: Record) -> None:
        for one in twists:
            one(b, record)

    return twist


def _in_none(b: Builder, record: Record) -> None:
    """The same piece, certified by itself."""
    over = {name: value for name, value in b.certifying.items() if name != "run"}
    record[12] = certification(b.devices[record[3]], record[5], record[11], **over)
    del record[17], record[18]


def _sum(owed: int, debited: int) -> Twist:
    """Another sum, with the debit that follows from it and the registers as they were."""
    return _both(setting(11, owed), setting(12, debited), setting(13, max(owed - debited, 0)))


RUNS: list[Row] = [
    ("piece of another run", "run:town", _both(claims(run="x"), setting(17, "x")), "run"),
    ("piece that names another run than its record", "run:town", claims(run="x"), "certification"),
    ("piece that names no run", "run:town", claims(run=None), "certification"),
    ("piece without what it owes", "run:town", without(18), "keys"),
    ("piece under too few tariffs", "run:town", setting(18, [600]), "run"),
    ("piece to a ZIP that is not announced", "run:town", claims(destination="10002"), "run"),
    ("piece of another day than its run", "run:town", claims(date="2026-11-21"), "run"),
    ("piece of another class than its run", "run:town", claims(**{"class": "flat"}), "run"),
    ("piece by another table than its run", "run:town", claims(rates_digest=b"\1" * 32), "run"),
    ("piece by another tariff than its ZIP's", "run:town", claims(tariff="full"), "run"),
    ("piece that owes otherwise than its tariff says", "run:town", setting(18, [650, 601]), "run"),
    ("piece whose other tariff is too cheap", "run:town", setting(18, [600, 600]), "run"),
    ("closing with a piece too many", "run:closed", setting(14, [3, 1]), "run"),
    ("closing of another opening", "run:closed", setting(10, 7), "run"),
    ("closing with a tariff of nothing", "run:closed", setting(15, b"\2\0"), "run"),
    ("closing by the tariff that was announced", "run:closed", setting(15, b"\1\0"), "run"),
    ("closing that owes less", "run:closed", _sum(2_204, 2_104), "run"),
    ("closing that was debited more before", "run:closed", _sum(2_206, 2_106), "run"),
    ("closing that debits what it does not say", "run:closed", setting(13, 99), "value"),
    ("closing with fewer counts than tariffs", "run:closed", setting(14, [3]), "value"),
    ("closing of a run that is not open", "run:closed", setting(9, "x"), "run"),
    ("run opened twice", "run2", setting(9, "autumn-7"), "run"),
    ("run to one ZIP twice", "run", setting(17, [10_001, 0]), "value"),
    ("run to more ZIPs than there are", "run", setting(17, [10_001, 90_000]), "value"),
    ("run with a ZIP without a piece", "run", setting(18, [3, 0]), "value"),
    ("run of too many pieces", "run", setting(18, [1_000_000, 1]), "value"),
    ("run with a tariff of nothing", "run", setting(19, b"\2\0"), "value"),
    ("run without a tariff", "run", setting(16, []), "value"),
    ("run of no day", "run", setting(11, "2026-02-30"), "value"),
    ("run by a table that was not taken", "run2", setting(13, 7), "unfounded"),
    ("run by another table of its version", "run2", setting(14, b"\7" * 32), "unfounded"),
    ("run by a table that has given way", "run2", setting(11, "2027-01-01"), "unfounded"),
    ("piece of a run by itself", "run:town", _in_none, "run"),
]

RUNS_ALSO = {  # what follows from a spoiled record besides its own code
    "piece by another table than its run": {"unfounded"},
    "piece of another run": {"in-run", "run"},
    "closing of a run that is not open": {"live", "state-digest"},
    "run opened twice": {"live", "state-digest"},
}

RUNS_ELSEWHERE = {  # where it shows
    "piece whose other tariff is too cheap": "run:closed",
    "piece of a run by itself": "run:closed",
}
