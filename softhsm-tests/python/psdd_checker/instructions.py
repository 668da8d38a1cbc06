"""Owns the rules of kinds 17, 18, 25 and 28: instructions of the authority, and that each has its effect, a kind 5, 18, 19, 25, 26, 27 or 28,
and no effect but a revocation of a key, which operators make as well, lacks one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .claims import check_instruction, instruction_claims
from .findings import Findings
from .loaded import PERIODS
from .record import (
    ACKNOWLEDGED,
    AUDIT_ACCEPTED,
    AUTHORITY_POLICY,
    CEILING,
    INSPECTION_PERIODS,
    KEY_CHANGE,
    KEY_REVOKED,
    KEY_STATE,
    LIFECYCLE,
    REASONS,
    ROLE_CERTIFICATION,
    ROLE_DEVICE,
    ROLE_INDICIUM,
    ROLE_MAC,
    ROLE_POSTAL_MAC,
)
from .state import FUNDS, INSPECTION, POLICY, Psd, State

Record = dict[int, Any]

_REASONS = {FUNDS: 16, INSPECTION: 8}
_AUTHORITY_BITS = 8 | 16
_OF_INSPECTION = {INSPECTION_PERIODS: "inspection-periods", AUDIT_ACCEPTED: "accept-audit", KEY_CHANGE: "change-key"}
_ROLES = {ROLE_INDICIUM: "indicium", ROLE_CERTIFICATION: "certification", ROLE_DEVICE: "device", ROLE_MAC: "token-mac"}
_ROLES[ROLE_POSTAL_MAC] = "postal-mac"
_OF_A_KEY = {ACKNOWLEDGED: "acknowledge", KEY_REVOKED: "revoke-key"}


@dataclass(frozen=True)
class _Order:
    """An instruction whose effect must come next; no claims where they could not be read."""

    leaf: int
    reading: tuple[int, list[int]]
    purpose: int
    claims: dict[str, Any] | None


class InstructionRules:
    """Sees every record before it is folded in."""

    def __init__(self, findings: Findings, state: State) -> None:
        self._findings, self._state = findings, state
        self._order: _Order | None = None

    def follow(self, leaf: int, record: Record, psd: Psd | None) -> None:
        """Judge any record as what comes after the one before it."""
        order, self._order = self._order, None
        if order is not None and leaf == order.leaf + 1:
            fault = _effect_fault(order, record, psd)
            if fault is not None:
                self._findings.leaf(leaf, "effect", f"of the instruction in leaf {order.leaf}: {fault}")
            return
        if order is not None:
            self._findings.leaf(order.leaf, "effect", "the next record cannot be read")
        if record[0] == CEILING:
            self._findings.leaf(leaf, "effect", f"a ceiling of {record[8]!r} without an instruction before it")
        elif record[0] == INSPECTION_PERIODS:
            self._findings.leaf(leaf, "effect", f"periods of inspection of {record[8]!r} without an instruction before it")
        elif record[0] == AUDIT_ACCEPTED:
            self._findings.leaf(leaf, "effect", f"report {record[8].hex()} is accepted without an instruction before it")
        elif record[0] == AUTHORITY_POLICY:
            self._findings.leaf(leaf, "effect", f"version {record[8]} of the policy comes without an instruction before it")
        elif record[0] == KEY_CHANGE:
            self._findings.leaf(leaf, "effect", f"a change of the key of role {record[8]} is ordered without an instruction before it")
        elif _of_a_key(record) == "acknowledge":
            self._findings.leaf(leaf, "effect", f"key {record[8].hex()} is acknowledged without an instruction before it")
        elif record[0] == LIFECYCLE and psd is not None and (record[9] ^ psd.locks) & _AUTHORITY_BITS:
            message = f"lock bits of {psd.name} go from {psd.locks} to {record[9]} without an instruction"
            self._findings.leaf(leaf, "locks", message)

    def finish(self) -> None:
        """Judge the end of the ledger."""
        if self._order is not None:
            self._findings.leaf(self._order.leaf, "effect", "no record follows the instruction")

    def instruction(self, leaf: int, record: Record) -> None:
        """Kind 17."""
        purpose, number = record[8], record[9]
        last = self._state.instructed.get(purpose)
        if last is not None and number <= last:
            message = f"instruction {number} of purpose {purpose} after instruction {last}"
            self._findings.leaf(leaf, "instruction-number", message)
        self._state.instructed[purpose] = number
        claims = None
        try:
            message, claims = instruction_claims(
                record[10], ceiling=purpose == POLICY, inspection=purpose == INSPECTION
            )
            authority = self._state.authority.get(purpose)
            if authority is None:
                raise ValueError(f"no authority key of purpose {purpose} installed")
            check_instruction(message, claims, authority, record, self._state.appliance)
        except ValueError as error:
            self._findings.leaf(leaf, "instruction", str(error))
        self._order = _Order(leaf, (record[1], record[2]), purpose, claims)

    def ceiling(self, record: Record) -> None:
        """Kind 18, once judged by `follow`."""
        if 10 in record:
            self._state.ceilings[record[8], record[9]] = record[10]
        else:
            self._state.ceilings.pop((record[8], record[9]), None)

    def policy(self, leaf: int, record: Record) -> None:
        """Kind 28, once judged by `follow`."""
        last = self._state.policy_version
        if record[8] != last + 1:
            self._findings.leaf(leaf, "policy-version", f"version {record[8]} of the authority's policy after version {last}")
        self._state.policy_version = record[8]

    def periods(self, record: Record) -> None:
        """Kind 25, once judged by `follow`."""
        if 10 in record:
            self._state.periods[record[8]] = record[10]
        else:
            self._state.periods.pop(record[8], None)


def _effect_fault(order: _Order, record: Record, psd: Psd | None) -> str | None:
    if (record[1], record[2]) != order.reading:
        return f"clock reading {record[1]} {record[2]}, not {order.reading[0]} {order.reading[1]}"
    claims = order.claims
    if order.purpose == POLICY:
        policy = record[0] == AUTHORITY_POLICY if claims is None else claims["act"] == "policy"
        return _policy_fault(claims, record) if policy else _ceiling_fault(claims, record)
    of_a_key = _of_a_key(record) if claims is None else claims["act"]
    if order.purpose == INSPECTION and of_a_key in _OF_A_KEY.values():
        return _key_fault(of_a_key, claims, record, psd)
    act = _OF_INSPECTION.get(record[0]) if claims is None else claims["act"]
    if order.purpose == INSPECTION and act in _OF_INSPECTION.values():
        return _inspection_fault(act, claims, record, psd)
    return _lock_fault(claims, _REASONS[order.purpose], record, psd)


def _of_a_key(record: Record) -> str | None:
    """The act that a step of a key is the effect of."""
    return _OF_A_KEY.get(record[9]) if record[0] == KEY_STATE else None


def _inspection_fault(act: str, claims: dict[str, Any] | None, record: Record, psd: Psd | None) -> str | None:
    if _OF_INSPECTION.get(record[0]) != act:
        return f"kind {record[0]} is no effect of {act!r}"
    if claims is None:
        return None
    if record[0] == INSPECTION_PERIODS:
        said = record[8], record.get(9), record.get(10)
        wanted = claims["licence"], claims.get("warn"), claims.get("block")
    elif record[0] == KEY_CHANGE:
        said = (None if psd is None else psd.name), _ROLES.get(record[8])
        wanted = claims["psd"], claims["role"]
    else:
        said = (None if psd is None else psd.name), record[8].hex()
        wanted = claims["psd"], claims["digest"].hex()
    return None if said == wanted else f"{act} {said}, not {wanted}"


def _key_fault(act: str, claims: dict[str, Any] | None, record: Record, psd: Psd | None) -> str | None:
    if _of_a_key(record) != act or psd is None:
        return f"kind {record[0]} is no effect of {act!r} on a key"
    if claims is None:
        return None
    if psd.name != claims["psd"]:
        return f"of {psd.name}, not {claims['psd']}"
    key = psd.keys.get(record[8])
    said = None if key is None else (_ROLES.get(key.role), key.serial)
    wanted = claims["role"], claims["serial"]
    if said != wanted:
        return f"key {record[8].hex()} is {said}, not {wanted}"
    if act == "revoke-key" and (record[10], record[11]) != (claims["since"], REASONS[claims["reason"]]):
        return f"since {record[10]} for reason {record[11]}, not since {claims['since']} for {claims['reason']!r}"
    return None


def _ceiling_fault(claims: dict[str, Any] | None, record: Record) -> str | None:
    if record[0] != CEILING:
        return f"kind {record[0]} is no ceiling"
    said = record[8], PERIODS[record[9]], record.get(10)
    wanted = said if claims is None else (claims["licence"], claims["period"], claims.get("amount"))
    return None if said == wanted else f"ceiling {said}, not {wanted}"


def _policy_fault(claims: dict[str, Any] | None, record: Record) -> str | None:
    if record[0] != AUTHORITY_POLICY:
        return f"kind {record[0]} is no policy"
    if claims is None or (record[8], record[9]) == (claims["version"], claims["text"]):
        return None
    return f"version {record[8]} and {len(record[9])} characters, not what the instruction of version {claims['version']} has"


def _lock_fault(claims: dict[str, Any] | None, reason: int, record: Record, psd: Psd | None) -> str | None:
    if record[0] != LIFECYCLE or psd is None:
        return f"kind {record[0]} is no lifecycle change"
    if record[8] != psd.state:
        return f"state {psd.state} becomes {record[8]}"
    if (record[9] ^ psd.locks) & ~reason:
        return f"lock bits go from {psd.locks} to {record[9]}, more than {reason} changes"
    if claims is None:
        return None
    if psd.name != claims["psd"]:
        return f"of {psd.name}, not {claims['psd']}"
    if bool(record[9] & reason) != (claims["act"] == "lock"):
        return f"lock bits {record[9]} after {claims['act']!r}, whose reason is {reason}"
    return None
