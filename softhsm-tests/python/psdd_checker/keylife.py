"""Owns the rules of kinds 2, 4, 19 and 27: keys as they are created, certified, acknowledged, activated, retired, destroyed and revoked, and
ordered to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import keys
from .certificates import check_chain, parse, public_spki
from .findings import Findings
from .keys import algorithm_of, load
from .record import (
    ACKNOWLEDGED,
    ACTIVATED,
    CERTIFICATE,
    DESTROYED,
    KEY_CHANGE,
    KEY_CREATED,
    KEY_REVOKED,
    KEY_STATE,
    RETIRED,
    ROLE_CERTIFICATION,
    ROLE_INDICIUM,
    ROLE_LOG,
    MAC_ROLES,
)
from .state import SCRAPPED, WITHDRAWN_STATE, Key, Psd, State

Record = dict[int, Any]

_STEPS = {
    ACTIVATED: "activated",
    RETIRED: "retired",
    DESTROYED: "destroyed",
    KEY_REVOKED: "revoked",
    ACKNOWLEDGED: "acknowledged",
}
_END = frozenset({RETIRED, DESTROYED, KEY_REVOKED})


class KeyRules:
    """Judges one record about a key against its PSD as of the record before it, and folds it in."""

    def __init__(self, findings: Findings, state: State) -> None:
        self._findings, self._state = findings, state
        self._rules: dict[int, Callable[[int, Record, Psd], None]] = {
            KEY_CREATED: self._created,
            CERTIFICATE: self._certificate,
            KEY_STATE: self._step,
            KEY_CHANGE: self._change,
        }
        self.kinds = frozenset(self._rules)

    def check(self, leaf: int, record: Record, psd: Psd) -> None:
        """Judge and fold in one record of these kinds."""
        self._rules[record[0]](leaf, record, psd)

    def _created(self, leaf: int, record: Record, psd: Psd) -> None:
        cka_id, role, algorithm, spki = record[8], record[9], record[10], record[12]
        if role == ROLE_LOG:
            self._findings.leaf(leaf, "owner", f"a key of role {role} is created for PSD {psd.name}")
        newest = next((key for key in reversed(psd.keys.values()) if key.role == role), None)
        if newest is not None and keys.STRENGTH_BITS[algorithm] < keys.STRENGTH_BITS[newest.algorithm]:
            message = f"algorithm {algorithm} after algorithm {newest.algorithm} of role {role}"
            self._findings.leaf(leaf, "key-weaker", message)
        key = Key(role, algorithm, spki, None, leaf)
        try:
            if role not in MAC_ROLES:
                key.public = load(spki)
                if algorithm_of(key.public) != algorithm:
                    raise ValueError(f"algorithm {algorithm} is not that of the SPKI")
            if cka_id in psd.keys:
                raise ValueError(f"CKA_ID {cka_id.hex()} is created again")
        except ValueError as error:
            self._findings.leaf(leaf, "key-created", str(error))
        if 13 in record:
            self._state.hashed[leaf] = record[13]
            self._state.wrapped.add(leaf)
        if role in MAC_ROLES and not psd.activated(role):
            key.activated = record[4]
        psd.keys.pop(cka_id, None)
        psd.keys[cka_id] = key

    def _certificate(self, leaf: int, record: Record, psd: Psd) -> None:
        cka_id, serial = record[8], record[9]
        key = psd.keys.get(cka_id)
        if key is not None and not key.is_sound:
            message = f"certificate for a key that is {_said(key.steps & _END)}"
            self._findings.leaf(leaf, "certificate", message)
        if key is not None and key.serial is not None:
            self._findings.leaf(leaf, "certificate", f"a second certificate for a key, whose first has serial {key.serial}")
        self._chain(leaf, record, psd, key)
        if key is not None:
            key.serial = serial
            if not psd.activated(key.role):
                key.activated = record[4]

    def _chain(self, leaf: int, record: Record, psd: Psd, key: Key | None) -> None:
        cka_id, serial = record[8], record[9]
        try:
            chain = [parse(der) for der in record[10]]
            spki = public_spki(chain[0])
        except ValueError as error:
            self._findings.leaf(leaf, "certificate", str(error))
            return
        fault = None
        if key is None:
            fault = f"for CKA_ID {cka_id.hex()}, no key of {psd.name}"
        elif chain[0].serial_number != serial:
            fault = f"serial {chain[0].serial_number}, not {serial}"
        elif spki != key.spki:
            fault = "of another public key than kind 2's"
        elif key.role == ROLE_INDICIUM and psd.certified.get(serial, key.public) != key.public:
            fault = f"serial {serial} is already that of another key"
        if fault is not None:
            self._findings.leaf(leaf, "certificate", f"certificate {fault}")
        try:
            if self._state.root is None:
                raise ValueError("no authority root")
            check_chain(chain, self._state.root, record[1])
        except ValueError as error:
            self._findings.leaf(leaf, "chain", str(error))
        if key is not None and key.public is not None and not fault:
            if key.role == ROLE_INDICIUM:
                psd.certified[serial] = key.public
            elif key.role == ROLE_CERTIFICATION:
                psd.certifiers[serial] = key.public

    def _step(self, leaf: int, record: Record, psd: Psd) -> None:
        cka_id, step, since = record[8], record[9], record[10]
        key = psd.keys.get(cka_id)
        if key is None:
            self._findings.leaf(leaf, "key-step", f"of CKA_ID {cka_id.hex()}, no key of {psd.name}")
            return
        fault = _step_fault(key, step, psd)
        if fault is None and since < record[1] and step != KEY_REVOKED:
            fault = f"since {since}, before the record's {record[1]}"
        if fault is not None:
            self._findings.leaf(leaf, "key-step", f"{cka_id.hex()} is {_STEPS[step]}: {fault}")
        key.steps.add(step)
        if step == ACTIVATED:
            key.activated = record[4]
        elif step == DESTROYED:
            self._state.erased.setdefault(key.leaf, leaf)


    def _change(self, leaf: int, record: Record, psd: Psd) -> None:
        role = record[8]
        before = psd.change_ordered(role)
        fault = None
        if all(key.role != role for key in psd.keys.values()):
            fault = "it has no such key"
        elif psd.state in (WITHDRAWN_STATE, SCRAPPED):
            fault = f"it is in state {psd.state}"
        elif before is not None:
            fault = f"that of leaf {before} is not carried out"
        if fault is not None:
            self._findings.leaf(leaf, "key-change", f"of role {role} of {psd.name} is ordered: {fault}")
        psd.changes[role] = leaf


def _step_fault(key: Key, step: int, psd: Psd) -> str | None:
    if step == ACTIVATED:
        if not key.is_certified:
            return "it has no certificate"
        if not key.is_sound:
            return f"it is {_said(key.steps & _END)}"
        return "again" if key.activated is not None else None
    if step in key.steps:
        return "again"
    if step == ACKNOWLEDGED:
        return _acknowledged_fault(key)
    if step == RETIRED and psd.in_use(key.role) is key and psd.state not in (WITHDRAWN_STATE, SCRAPPED):
        return "it is in use"
    if step == DESTROYED and not key.steps & {RETIRED, KEY_REVOKED}:
        return "it is neither retired nor revoked"
    return None


def _acknowledged_fault(key: Key) -> str | None:
    if key.serial is None:
        return "it has no certificate"
    if not key.is_sound:
        return f"it is {_said(key.steps & _END)}"
    return "it has taken over already" if key.activated is not None else None


def _said(steps: set[int]) -> str:
    return " and ".join(_STEPS[step] for step in sorted(steps))
