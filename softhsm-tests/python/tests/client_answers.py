"""Owns what clients may say they saw: honest notes, and notes that do not fit, each with the code that must name it."""

from __future__ import annotations

from collections.abc import Callable

from ledger_builder import Builder, uuid7
from ledger_writer import note
from spoiled_records import ONE, TWO


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
    ("checkpoint of another tree", lambda b: [{"kind": "checkpoint", "note": note(b, 5, bytes(32)).decode()}], "seen-checkpoint"),
    ("checkpoint of the future", lambda b: [{"kind": "checkpoint", "note": note(b, 9999, bytes(32)).decode()}], "seen-checkpoint"),
    (
        "checkpoint of another origin",
        lambda b: [{"kind": "checkpoint", "note": note(b, 5, bytes(32), origin="psdd.log/other").decode()}],
        "seen-checkpoint",
    ),
]
