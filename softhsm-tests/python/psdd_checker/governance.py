"""Owns the rules of kinds 20 to 24 and of the charter in leaf 0: ceremonies in turn and approved, operators that can decide, and
revocations at the doors."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from .approvals import Subject, approver, check_countersignature, check_transcript
from .certificates import public_spki
from .findings import Findings
from .keys import load
from .record import CEREMONY_BEGUN, CEREMONY_ENDED, CEREMONY_STEP, OPERATOR, OPERATORS, REVOKED
from .state import State

Record = dict[int, Any]

_MOST_OPERATORS = 64


class GovernanceRules:
    """Judges one record of the appliance against those before it, and folds it in."""

    def __init__(self, findings: Findings, state: State) -> None:
        self._findings, self._state, self._governance = findings, state, state.governance
        self._rules: dict[int, Callable[[int, Record], None]] = {
            CEREMONY_BEGUN: self._begun,
            CEREMONY_STEP: self._step,
            CEREMONY_ENDED: self._ended,
            OPERATORS: self._operators,
            REVOKED: self._revoked,
        }
        self.kinds = frozenset(self._rules)

    def check(self, leaf: int, record: Record) -> None:
        """Judge and fold in one record of these kinds."""
        self._rules[record[0]](leaf, record)

    def born(self, record: Record) -> None:
        """Take the operators of leaf 0, which may be none; ValueError where they could never decide."""
        self._name(record[16], record[10], record[11])
        if record[10] or record[11]:
            _check_operators(record[16], record[10], record[11])
            if not record[17]:
                raise ValueError("they approved no file")

    def chartered(self, leaf: int, record: Record) -> None:
        """Judge who agreed to leaf 0, once its operators and root are known; a charter without operators may be empty."""
        operators, root = self._governance.operators, self._state.root
        subject = Subject(record[8], record[17], sha256(record[17]).digest())
        self._approved(leaf, record[18], subject, len(operators))
        if root is None or not (operators or record[19]):
            return
        try:
            check_countersignature(record[19], load(public_spki(root)), subject, record[9])
        except ValueError as error:
            self._findings.leaf(leaf, "countersignature", str(error))

    def _approved(self, leaf: int, approvals: list[bytes], subject: Subject, needed: int) -> None:
        """Every approval holds, and they are of enough different operators who are not revoked."""
        governance = self._governance
        approvers: set[str] = set()
        for place, data in enumerate(approvals):
            try:
                name = approver(data, subject, governance.operators)
                if (OPERATOR, name, None) in governance.revoked:
                    raise ValueError(f"operator {name!r} is revoked")
                if name in approvers:
                    raise ValueError(f"operator {name!r} approves again")
            except ValueError as error:
                self._findings.leaf(leaf, "approval", f"approval {place}: {error}")
                return
            approvers.add(name)
        if len(approvers) < needed:
            self._findings.leaf(leaf, "approval", f"{len(approvers)} approve, {needed} are needed")

    def _name(self, names: list[bytes], spkis: list[bytes], quorum: int) -> None:
        governance = self._governance
        governance.operators = {name.decode(): spki for name, spki in zip(names, spkis, strict=True)}
        governance.quorum = quorum

    def _begun(self, leaf: int, record: Record) -> None:
        governance, number = self._governance, record[8]
        if number != governance.newest + 1:
            self._findings.leaf(leaf, "ceremony", f"{number} begins after {governance.newest}")
        elif governance.open is not None:
            self._findings.leaf(leaf, "ceremony", f"{number} begins while {governance.open} is under way")
        digest = sha256(record[10]).digest()
        if record[9] != digest:
            self._findings.leaf(leaf, "ceremony", f"digest {record[9].hex()}, that of the file is {digest.hex()}")
        subject = Subject(self._state.appliance, record[10], record[9], number)
        self._approved(leaf, record[11], subject, governance.quorum)
        governance.newest = max(governance.newest, number)
        governance.open, governance.steps, governance.digest = number, 0, record[9]

    def _step(self, leaf: int, record: Record) -> None:
        governance, number, step = self._governance, record[8], record[9]
        if number != governance.open:
            self._findings.leaf(leaf, "ceremony", f"a step of {number}, under way is {governance.open}")
            return
        if step != governance.steps + 1:
            self._findings.leaf(leaf, "ceremony", f"step {step} of {number} after step {governance.steps}")
        governance.steps = step

    def _ended(self, leaf: int, record: Record) -> None:
        governance, number = self._governance, record[8]
        if number != governance.open:
            self._findings.leaf(leaf, "ceremony", f"{number} ends, under way is {governance.open}")
            return
        governance.open = None
        log = self._state.log_key
        if 10 not in record or log is None:
            return
        try:
            check_transcript(record[10], log, self._state.appliance, number, governance.digest)
        except ValueError as error:
            self._findings.leaf(leaf, "transcript", str(error))

    def _operators(self, leaf: int, record: Record) -> None:
        governance = self._governance
        try:
            _check_operators(record[8], record[9], record[10])
        except ValueError as error:
            self._findings.leaf(leaf, "operators", str(error))
        self._name(record[8], record[9], record[10])
        governance.revoked = {subject: at for subject, at in governance.revoked.items() if subject[0] != OPERATOR}

    def _revoked(self, leaf: int, record: Record) -> None:
        governance = self._governance
        subject = record[8], record[9], record.get(10)
        if subject in governance.revoked:
            message = f"{subject[1:]} again, first in leaf {governance.revoked[subject]}"
            self._findings.leaf(leaf, "revoked", message)
            return
        governance.revoked[subject] = leaf
        if record[8] != OPERATOR:
            return
        if record[9] not in governance.operators:
            self._findings.leaf(leaf, "revoked", f"no operator is named {record[9]!r}")
            return
        left = sum((OPERATOR, name, None) not in governance.revoked for name in governance.operators)
        if left < governance.quorum:
            self._findings.leaf(leaf, "revoked", f"{left} operators left of a quorum of {governance.quorum}")


def _check_operators(names: list[bytes], spkis: list[bytes], quorum: int) -> None:
    for spki in spkis:
        load(spki)
    if not 1 <= len(spkis) <= _MOST_OPERATORS:
        raise ValueError(f"{len(spkis)} operators")
    if len(set(names)) != len(names):
        raise ValueError("an operator name stands twice")
    if len(set(spkis)) != len(spkis):
        raise ValueError("an operator key stands twice")
    if not 1 <= quorum <= len(spkis):
        raise ValueError(f"quorum {quorum} of {len(spkis)} operators")
