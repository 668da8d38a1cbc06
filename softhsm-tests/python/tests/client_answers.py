"""Owns what clients may say they saw: honest notes, and notes that do not fit, each with the code that must name it."""

from __future__ import annotations

from collections.abc import Callable

from ledger_builder import ONE, THREE, TWO, Builder, uuid7
from ledger_writer import note


def signed(b: Builder, label: str, **over) -> dict:
    """What a client saw of one piece."""
    leaf = b.labels[label]
    record = b.records[leaf]
    names = ("ascending", "descending", "control_total")
    registers = {name: f"{mills / 1000:.3f}" for name, mills in zip(names, record[5], strict=False)}
    return {
        "kind": "signed", "tenant": record[8], "key": record[9].hex(), "digest": record[10].hex(), "leaf": leaf, "psd": record[3],
        "sequence": record[4], "indicium": record[12].hex(), "registers": registers | {"pieces": record[5][3]},
        "time": record[1], **over,
    }  # fmt: skip


def applied(b: Builder, **over) -> dict:
    """What a client saw of the second download."""
    return {"kind": "value-applied", "psd": ONE, "sequence": 2, "leaf": b.labels["apply2"], "amount": "1", **over}


def voided(b: Builder, **over) -> dict:
    """What a client saw of the third download."""
    return {"kind": "value-voided", "psd": ONE, "sequence": 3, "leaf": b.labels["void"], "amount": "1.500", **over}


def ended(b: Builder, kind: str, label: str, **over) -> dict:
    """What a client saw of the end of a download, refund or withdrawal."""
    leaf = b.labels[label]
    record = b.records[leaf]
    return {"kind": kind, "psd": record[3], "sequence": record[9], "leaf": leaf, "amount": f"{record[10] / 1000:.3f}", **over}


def refunded(b: Builder, **over) -> dict:
    """What a client saw of the first refund."""
    return ended(b, "refunded", "refund", **over)


def withdrawn(b: Builder, **over) -> dict:
    """What a client saw of the withdrawal."""
    return ended(b, "withdrawn", "withdrawn", **over)


NOTES: list[tuple[str, Callable[[Builder], list[dict]], str]] = [
    ("answer without record", lambda b: [signed(b, "one:3", leaf=9999)], "seen-record"),
    ("answer of an unknown key", lambda b: [signed(b, "one:3", key=uuid7(3).hex())], "seen-record"),
    ("answer under another tenant", lambda b: [signed(b, "one:3", tenant="umbrella")], "seen-record"),
    ("other symbol", lambda b: [signed(b, "one:3", indicium="00" * 113)], "seen-record"),
    ("other digest", lambda b: [signed(b, "one:3", digest="00" * 32)], "seen-record"),
    ("other sequence", lambda b: [signed(b, "one:3", sequence=1)], "seen-record"),
    ("other time", lambda b: [signed(b, "one:3", time=1)], "seen-record"),
    ("other registers", lambda b: [signed(b, "one:3", registers=signed(b, "one:4")["registers"])], "seen-record"),
    ("retry with other bytes", lambda b: [signed(b, "one:3"), signed(b, "one:3", time=1)], "seen-twice"),
    (
        "refused yet recorded",
        lambda b: [{"kind": "refused", "tenant": "acme", "key": signed(b, "one:3")["key"], "code": "x"}],
        "seen-refused",
    ),
    ("value without record", lambda b: [applied(b, sequence=3)], "seen-value"),
    ("value of another amount", lambda b: [applied(b, amount="2")], "seen-value"),
    ("void without record", lambda b: [voided(b, sequence=4)], "seen-value"),
    ("void of another PSD", lambda b: [voided(b, psd=TWO)], "seen-value"),
    ("void of another amount", lambda b: [voided(b, amount="2")], "seen-value"),
    ("void seen in a later leaf", lambda b: [voided(b, leaf=b.labels["late-void"])], "seen-value"),
    ("void seen in a request", lambda b: [voided(b, leaf=b.labels["void-request"])], "seen-value"),
    ("void seen applied", lambda b: [applied(b, sequence=3, leaf=b.labels["void"], amount="1.500")], "seen-value"),
    ("application seen voided", lambda b: [voided(b, sequence=2, leaf=b.labels["apply2"], amount="1")], "seen-value"),
    ("value voided twice", lambda b: [voided(b), voided(b, leaf=9)], "seen-value"),
    ("value applied twice", lambda b: [applied(b), applied(b, leaf=9)], "seen-value"),
    ("refund without record", lambda b: [refunded(b, sequence=4)], "seen-value"),
    ("refund of another PSD", lambda b: [refunded(b, psd=TWO)], "seen-value"),
    ("refund of another amount", lambda b: [refunded(b, amount="2")], "seen-value"),
    ("refund seen in its request", lambda b: [refunded(b, leaf=b.labels["refund-request"])], "seen-value"),
    ("refund seen in another", lambda b: [refunded(b, leaf=b.labels["late-refund"])], "seen-value"),
    ("refund seen applied", lambda b: [ended(b, "value-applied", "refund")], "seen-value"),
    ("application seen refunded", lambda b: [ended(b, "refunded", "apply2")], "seen-value"),
    ("refund seen twice", lambda b: [refunded(b), refunded(b, leaf=9)], "seen-value"),
    ("refund seen voided too", lambda b: [refunded(b), ended(b, "value-voided", "refund")], "seen-value"),
    ("refund seen of a voided one", lambda b: [ended(b, "refunded", "refund-void")], "seen-value"),
    ("withdrawal without record", lambda b: [withdrawn(b, leaf=9999)], "seen-value"),
    ("withdrawal of another PSD", lambda b: [withdrawn(b, psd=ONE)], "seen-value"),
    ("withdrawal of another amount", lambda b: [withdrawn(b, amount="0")], "seen-value"),
    ("withdrawal of another number", lambda b: [withdrawn(b, sequence=1)], "seen-value"),
    ("withdrawal seen in its request", lambda b: [withdrawn(b, leaf=b.labels["withdrawal"])], "seen-value"),
    ("withdrawal seen refunded", lambda b: [ended(b, "refunded", "withdrawn")], "seen-value"),
    ("download of another PSD seen withdrawn", lambda b: [ended(b, "withdrawn", f"{THREE}:apply1")], "seen-value"),
    ("checkpoint of another tree", lambda b: [{"kind": "checkpoint", "note": note(b, 5, bytes(32)).decode()}], "seen-checkpoint"),
    (
        "checkpoint of the future",
        lambda b: [{"kind": "checkpoint", "note": note(b, 9999, bytes(32)).decode()}],
        "seen-checkpoint",
    ),
    (
        "checkpoint of another origin",
        lambda b: [{"kind": "checkpoint", "note": note(b, 5, bytes(32), origin="psdd.log/other").decode()}],
        "seen-checkpoint",
    ),
]
