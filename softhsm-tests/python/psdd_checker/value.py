"""Owns the rules of kinds 6, 7, 11, 13, 14 and 15: value requested, applied, refunded, voided and withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .claims import (
    ACKNOWLEDGEMENT_TYPE,
    AUTHORISATION_TYPE,
    REPORT_TYPE,
    REQUEST_TYPE,
    VOID_TYPE,
    WITHDRAWAL_TYPE,
    check_authorisation,
    check_statement,
)
from .findings import Findings
from .loaded import PERIODS
from .record import (
    INDICIUM,
    REFUNDED,
    ROLE_DEVICE,
    VALUE_APPLIED,
    VALUE_REQUESTED,
    VALUE_VOIDED,
    WITHDRAWAL_REQUESTED,
    WITHDRAWN,
    shape_fault,
)
from .state import ACTIVE, AUTHORISED, FUNDS, WITHDRAWN_STATE, Pending, Psd, State

Record = dict[int, Any]

_BEGIN = frozenset({VALUE_REQUESTED, WITHDRAWAL_REQUESTED})


class ValueRules:
    """Judges one record of value against its PSD as of the record before it, and folds it in."""

    def __init__(self, findings: Findings, state: State, record_at: Callable[[int], Record]) -> None:
        self._findings, self._state, self._record_at = findings, state, record_at
        self._given_up: int | None = None  # ascending register of the mark whose refund the record ends
        self._rules: dict[int, Callable[[int, Record, Psd], None]] = {
            VALUE_REQUESTED: self._requested,
            VALUE_APPLIED: self._applied,
            VALUE_VOIDED: self._voided,
            REFUNDED: self._refunded,
            WITHDRAWAL_REQUESTED: self._withdrawal_requested,
            WITHDRAWN: self._withdrawn,
        }
        self.kinds = frozenset(self._rules)

    def check(self, leaf: int, record: Record, psd: Psd) -> None:
        """Judge and fold in one record of these kinds."""
        self._state.tenants.add(record[8])
        if record[0] != VALUE_VOIDED and psd.state not in (AUTHORISED, ACTIVE):
            self._findings.leaf(leaf, "value-state", f"kind {record[0]} in state {psd.state} of {psd.name}")
        if record[0] in _BEGIN:
            self._begins(leaf, record, psd)
        else:
            self._ends(leaf, record, psd)
        self._rules[record[0]](leaf, record, psd)

    def _begins(self, leaf: int, record: Record, psd: Psd) -> None:
        kind, number = record[0], record[9]
        if psd.pending is not None:
            self._findings.leaf(leaf, "value-number", f"kind {kind} begins {number}, {psd.pending.number} is under way")
        elif number != psd.ended + 1:
            self._findings.leaf(leaf, "value-number", f"kind {kind} begins {number} after {psd.ended} ended")
        psd.pending = Pending(kind, number, record[10], _spoiled(record) if kind == VALUE_REQUESTED else None)

    def _ends(self, leaf: int, record: Record, psd: Psd) -> None:
        kind, number, amount, pending = record[0], record[9], record[10], psd.pending
        self._given_up = None if pending is None or pending.mark is None else pending.mark[1]
        if pending is None:
            self._findings.leaf(leaf, "value-number", f"kind {kind} ends {number} with nothing under way")
        elif pending.number != number:
            self._findings.leaf(leaf, "value-number", f"kind {kind} ends {number}, {pending.number} is under way")
        elif not _may_end(kind, pending):
            marked = "" if pending.mark is None else " with key 12"
            self._findings.leaf(leaf, "value-purpose", f"kind {kind} ends a kind {pending.kind}{marked}")
        elif pending.amount != amount:
            message = f"kind {kind} ends {number} of {amount}, requested {pending.amount}"
            self._findings.leaf(leaf, "value-amount", message)
        elif kind == REFUNDED and pending.mark != _spoiled(record):
            self._findings.leaf(leaf, "refund", f"of mark {_spoiled(record)}, requested for {pending.mark}")
        psd.pending, psd.ended = None, number
        self._state.ended.setdefault(kind, {}).setdefault((psd.name, number), leaf)

    def _requested(self, leaf: int, record: Record, psd: Psd) -> None:
        refund = None
        if 12 in record:
            mark = self._mark(leaf, record, psd)
            paid = self._state.paid_by.get((psd.name, record[13]))
            if paid is not None:
                self._findings.leaf(leaf, "paid-and-refunded", f"mark {record[12]} paid for leaf {paid}")
            self._state.asked_back.setdefault((psd.name, record[13]), leaf)
            refund = {"leaf": record[12]} if mark is None else {"leaf": record[12], "key": mark[9], "indicium": mark[12]}
        elif psd.limits is not None and not psd.limits[3] <= record[10] <= psd.limits[4]:
            self._findings.leaf(leaf, "limits", f"refill {record[10]} not in {psd.limits[3]} to {psd.limits[4]}")
        self._statement(leaf, record, psd, 11, REQUEST_TYPE, "value-request", refund)

    def _applied(self, leaf: int, record: Record, psd: Psd) -> None:
        self._room(leaf, record, psd)
        sums = self._state.loaded.add(psd.licence, record[1], record[10])
        if record[12] != sums:
            self._findings.leaf(leaf, "loaded", f"{record[12]} under {psd.licence!r}, the sums are {sums}")
        for (period, name), loaded in zip(PERIODS.items(), sums, strict=True):
            ceiling = self._state.ceilings.get((psd.licence, period))
            if ceiling is not None and loaded > ceiling:
                message = f"{loaded} loaded under {psd.licence!r} in the {name}, the ceiling is {ceiling}"
                self._findings.leaf(leaf, "ceiling", message)
        self._authorisation(leaf, record, AUTHORISATION_TYPE, "value-authorisation")

    def _voided(self, leaf: int, record: Record, psd: Psd) -> None:
        if self._given_up is not None:
            self._state.asked_back.pop((psd.name, self._given_up), None)
        self._statement(leaf, record, psd, 11, VOID_TYPE, "value-void")

    def _refunded(self, leaf: int, record: Record, psd: Psd) -> None:
        self._room(leaf, record, psd)
        self._mark(leaf, record, psd)
        self._state.refunded.setdefault(record[12], leaf)
        self._authorisation(leaf, record, AUTHORISATION_TYPE, "value-authorisation", record[12])

    def _withdrawal_requested(self, leaf: int, record: Record, psd: Psd) -> None:
        if record[10] != psd.registers[1]:
            self._findings.leaf(leaf, "withdrawal", f"of {record[10]}, descending is {psd.registers[1]}")
        self._statement(leaf, record, psd, 11, WITHDRAWAL_TYPE, "withdrawal-request")

    def _withdrawn(self, leaf: int, record: Record, psd: Psd) -> None:
        self._authorisation(leaf, record, ACKNOWLEDGEMENT_TYPE, "withdrawal-acknowledgement")
        self._statement(leaf, record, psd, 12, REPORT_TYPE, "withdrawal-report")
        psd.state = WITHDRAWN_STATE

    def _room(self, leaf: int, record: Record, psd: Psd) -> None:
        if psd.limits is not None and record[5][1] > psd.limits[2]:
            self._findings.leaf(leaf, "limits", f"descending {record[5][1]} above {psd.limits[2]}")

    def _mark(self, leaf: int, record: Record, psd: Psd) -> Record | None:
        """The kind 16 that key 12 names, if it is one of this PSD."""
        at, mark = record[12], None
        try:
            if at >= leaf:
                raise ValueError("is not earlier")
            found = self._record_at(at)
            if shape_fault(found) is not None or found[0] != INDICIUM or found[3] != psd.name:
                raise ValueError(f"is no indicium of {psd.name}")
            mark = found
            if mark[11] != record[10]:
                raise ValueError(f"has postage {mark[11]}, not {record[10]}")
            if mark[5][0] != record[13]:
                raise ValueError(f"has the ascending register {mark[5][0]}, not {record[13]}")
            if at in self._state.refunded:
                raise ValueError(f"is already refunded by leaf {self._state.refunded[at]}")
        except ValueError as error:
            self._findings.leaf(leaf, "refund", f"mark {at}: {error}")
        return mark

    def _statement(
        self, leaf: int, record: Record, psd: Psd, key: int, content_type: str, code: str, refund: dict[str, Any] | None = None
    ) -> None:
        try:
            keys = [device.public for device in psd.activated(ROLE_DEVICE) if device.public is not None]
            if not keys:
                raise ValueError(f"no device key of {psd.name} was activated")
            check_statement(record[key], keys, content_type, record, self._state.appliance, refund)
        except ValueError as error:
            self._findings.leaf(leaf, code, str(error))

    def _authorisation(self, leaf: int, record: Record, content_type: str, code: str, refund: int | None = None) -> None:
        try:
            funds = self._state.authority.get(FUNDS)
            if funds is None:
                raise ValueError("no funds key installed")
            check_authorisation(record[11], funds, content_type, record, self._state.appliance, refund)
        except ValueError as error:
            self._findings.leaf(leaf, code, str(error))


def _spoiled(record: Record) -> tuple[int, int] | None:
    return (record[12], record[13]) if 12 in record else None


def _may_end(kind: int, pending: Pending) -> bool:
    if kind == WITHDRAWN:
        return pending.kind == WITHDRAWAL_REQUESTED
    if pending.kind != VALUE_REQUESTED:
        return False
    return kind == VALUE_VOIDED or (kind == REFUNDED) == (pending.mark is not None)
