"""Owns what must hold from record to record: reads them in order, compares each with the state before it, and folds it in."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from . import record as kinds
from .certificates import check_chain, check_root, parse, public_spki
from .certifying import CertifyingRules
from .findings import Findings
from .governance import GovernanceRules
from .indicium import IndiciumRules
from .instructions import InstructionRules
from .keylife import KeyRules
from .keys import ECDSA_P256, ED25519, algorithm_of, load
from .runs import RunRules
from .state import ACTIVE, Psd, State, slot_of, state_digest_input
from .value import ValueRules

Record = dict[int, Any]

_OVERDUE = 1
_STEPS = frozenset({(1, 2), (2, 3), (2, 4), (3, 4), (1, 5), (4, 5)})


class Replay:
    """Feeds well-shaped records through the rules. After a finding it goes on from what the record says."""

    def __init__(
        self,
        findings: Findings,
        state: State,
        pieces: tuple[IndiciumRules, RunRules, CertifyingRules],
        record_at: Callable[[int], Record],
    ) -> None:
        self.findings = findings
        self.state = state
        self._indicia, self._runs, self._certifying = pieces
        self._values = ValueRules(findings, self.state, record_at)
        self._instructions = InstructionRules(findings, self.state)
        self._keys = KeyRules(findings, self.state)
        self._governance = GovernanceRules(findings, self.state)
        self._rules: dict[int, Callable[[int, Record, Psd | None], None]] = {
            kinds.GENESIS: self._genesis,
            kinds.PSD_CREATED: self._psd_created,
            kinds.LIFECYCLE: self._lifecycle,
            kinds.STATE_DIGEST: self._state_digest,
            kinds.REFUSALS: self._refusals,
            kinds.AUTHORITY_KEY: self._authority_key,
            kinds.INDICIUM: self._indicium,
            kinds.CERTIFICATION: self._certification,
            kinds.RUN_OPENED: self._run,
            kinds.RUN_CLOSED: self._run,
            kinds.INSTRUCTION: lambda leaf, record, _: self._instructions.instruction(leaf, record),
            kinds.CEILING: lambda leaf, record, _: self._instructions.ceiling(record),
            kinds.INSPECTION_PERIODS: lambda leaf, record, _: self._instructions.periods(record),
            kinds.AUDIT_ACCEPTED: self._audit_accepted,
            kinds.AUTHORITY_POLICY: lambda leaf, record, _: self._instructions.policy(leaf, record),
            **dict.fromkeys(self._certifying.kinds, lambda leaf, record, _: self._certifying.check(leaf, record)),
            **dict.fromkeys(self._values.kinds, self._value),
            **dict.fromkeys(self._keys.kinds, self._key),
            **dict.fromkeys(self._governance.kinds, lambda leaf, record, _: self._governance.check(leaf, record)),
        }

    def feed(self, leaf: int, record: Record) -> None:
        """Judge one record and fold it in."""
        kind = record[0]
        if (kind == kinds.GENESIS) != (leaf == 0):
            self.findings.leaf(leaf, "genesis", f"kind {kind} at leaf {leaf}")
        self._clock(leaf, record)
        psd = self._sequence(leaf, record) if 3 in record else None
        self._instructions.follow(leaf, record, psd)
        rule = self._rules.get(kind)
        if rule is not None:
            rule(leaf, record, psd)
        if psd is not None:
            self._open_while_withdrawn(leaf, record, psd)
            self._registers(leaf, record, psd)
        slot = slot_of(record)
        if slot is not None:
            self.state.live.setdefault(record.get(3, ""), {})[slot] = leaf

    def finish(self) -> None:
        """Judge what only the end of the ledger can tell."""
        self._instructions.finish()

    def _clock(self, leaf: int, record: Record) -> None:
        state, time, epoch = self.state, record[1], record[2][2]
        if epoch < state.epoch:
            self.findings.leaf(leaf, "clock", f"epoch {epoch} after epoch {state.epoch}")
        elif epoch == state.epoch and time < state.epoch_time:
            self.findings.leaf(leaf, "clock", f"time {time} after {state.epoch_time} in epoch {epoch}")
        state.epoch, state.epoch_time = epoch, time
        state.latest = max(state.latest, time)

    def _sequence(self, leaf: int, record: Record) -> Psd:
        name, sequence = record[3], record[4]
        psd = self.state.psds.get(name)
        if psd is None:
            psd = self.state.psds[name] = Psd(name)
            if record[0] != kinds.PSD_CREATED:
                self.findings.leaf(leaf, "first", f"first record of {name} is kind {record[0]}, not 3")
        elif record[0] == kinds.PSD_CREATED:
            self.findings.leaf(leaf, "first", f"{name} is created again")
        if sequence != psd.sequence + 1:
            self.findings.leaf(leaf, "sequence", f"{name} goes from {psd.sequence} to {sequence}")
        psd.sequence = sequence
        return psd

    def _open_while_withdrawn(self, leaf: int, record: Record, psd: Psd) -> None:
        if record[0] == kinds.WITHDRAWAL_REQUESTED and self._runs.is_open(psd):
            self.findings.leaf(leaf, "run", f"{psd.name} is to be withdrawn while a run is open")

    def _registers(self, leaf: int, record: Record, psd: Psd) -> None:
        kind, after = record[0], record[5]
        ascending, descending, control_total, _ = after
        if ascending + descending != control_total:
            message = f"ascending {ascending} + descending {descending} != control total {control_total}"
            self.findings.leaf(leaf, "registers", message)
        wanted = list(psd.registers)
        if kind in (kinds.INDICIUM, kinds.CERTIFICATION):
            wanted = [wanted[0] + record[11], wanted[1] - record[11], wanted[2], wanted[3] + 1]
        elif kind in (kinds.VALUE_APPLIED, kinds.REFUNDED):
            wanted = [wanted[0], wanted[1] + record[10], wanted[2] + record[10], wanted[3]]
        elif kind == kinds.RUN_CLOSED:
            wanted = [wanted[0] + record[13], wanted[1] - record[13], wanted[2], wanted[3]]
        elif kind == kinds.WITHDRAWN:
            wanted = [wanted[0], 0, wanted[0], wanted[3]]
        if kind != kinds.PSD_CREATED and after != wanted:
            self.findings.leaf(leaf, "registers-moved", f"kind {kind} takes {psd.registers} to {after}, not {wanted}")
        psd.registers = after

    def _genesis(self, leaf: int, record: Record, _: Psd | None) -> None:
        state = self.state
        if leaf != 0:
            return
        state.appliance, state.environment = record[8], record[9]
        try:
            self._governance.born(record)
        except ValueError as error:
            self.findings.leaf(leaf, "genesis", f"operators: {error}")
        try:
            for spki in record[20]:
                load(spki)
        except ValueError as error:
            self.findings.leaf(leaf, "genesis", f"hosts: {error}")
        try:
            state.root = parse(record[12])
            check_root(state.root)
        except ValueError as error:
            self.findings.leaf(leaf, "genesis", f"authority root: {error}")
        try:
            key = load(record[14])
            if algorithm_of(key) not in (ECDSA_P256, ED25519):
                raise ValueError("it is neither ECDSA P-256 nor Ed25519")
            state.log_key = key
        except ValueError as error:
            self.findings.leaf(leaf, "genesis", f"log key: {error}")
        self._governance.chartered(leaf, record)

    def _psd_created(self, leaf: int, record: Record, psd: Psd | None) -> None:
        assert psd is not None
        psd.inspected = record[1]
        psd.licence, psd.zip, psd.software, psd.limits = record[9], record[10], record[12], record[13]
        psd.format, psd.currency = record[11], record[14]
        contradiction = _contradiction(*psd.limits)
        self.state.tenants.add(record[8])
        fault = None
        if record[4] != 1:
            fault = f"sequence {record[4]}, not 1"
        elif record[5] != [0, 0, 0, 0]:
            fault = f"registers {record[5]}, not zero"
        elif contradiction is not None:
            fault = contradiction
        elif psd.format == kinds.IBI and psd.currency != "USD":
            fault = f"format {psd.format} with currency {psd.currency}, not USD"
        if fault is not None:
            self.findings.leaf(leaf, "created", f"{psd.name}: {fault}")

    def _lifecycle(self, leaf: int, record: Record, psd: Psd | None) -> None:
        assert psd is not None
        if record[8] != psd.state and (psd.state, record[8]) not in _STEPS:
            self.findings.leaf(leaf, "lifecycle", f"{psd.name} goes from state {psd.state} to {record[8]}")
        fault = self._overdue_fault(record, psd)
        if fault is not None:
            self.findings.leaf(leaf, "inspection", f"{psd.name}: {fault}")
        psd.state, psd.locks = record[8], record[9]

    def _overdue_fault(self, record: Record, psd: Psd) -> str | None:
        before, after = psd.locks & _OVERDUE, record[9] & _OVERDUE
        if before == after:
            return None
        if not after:
            return "the lock for an overdue inspection ends without an acceptance"
        if (psd.state, record[8]) != (ACTIVE, ACTIVE) or record[9] != psd.locks | _OVERDUE:
            return f"state {psd.state} and locks {psd.locks} become {record[8]} and {record[9]}"
        hours = self.state.periods.get(psd.licence)
        if hours is None:
            return f"no inspection is ever due under licence {psd.licence!r}"
        due = psd.inspected + hours * 3_600_000
        return None if record[1] >= due else f"locked at {record[1]}, before its inspection was due at {due}"

    def _audit_accepted(self, leaf: int, record: Record, psd: Psd | None) -> None:
        assert psd is not None
        psd.inspected = record[1]
        psd.locks &= ~_OVERDUE

    def _key(self, leaf: int, record: Record, psd: Psd | None) -> None:
        assert psd is not None
        self._keys.check(leaf, record, psd)

    def _value(self, leaf: int, record: Record, psd: Psd | None) -> None:
        assert psd is not None
        self._values.check(leaf, record, psd)
        if record[0] == kinds.VALUE_APPLIED:
            psd.inspected = record[1]

    def _state_digest(self, leaf: int, record: Record, _: Psd | None) -> None:
        digest = sha256(state_digest_input(self.state)).digest()
        if record[8] != digest:
            self.findings.leaf(leaf, "state-digest", f"digest {record[8].hex()}, not {digest.hex()}")
        if record[9] != len(self.state.psds):
            self.findings.leaf(leaf, "state-digest", f"counts {record[9]} PSDs, not {len(self.state.psds)}")
        self.state.snapshot = self.state.registers()
        self.state.live_at_digest = self.state.live_rows()

    def _refusals(self, leaf: int, record: Record, _: Psd | None) -> None:
        self.state.tenants.add(record[8])

    def _authority_key(self, leaf: int, record: Record, _: Psd | None) -> None:
        try:
            certificate = parse(record[9])
            if self.state.root is None:
                raise ValueError("no authority root")
            check_chain([certificate], self.state.root, record[1])
            key = load(public_spki(certificate))
            if algorithm_of(key) != ECDSA_P256:
                raise ValueError("an authority key must be ECDSA P-256 (ES256)")
        except ValueError as error:
            self.findings.leaf(leaf, "authority-key", str(error))
            return
        self.state.authority[record[8]] = (record[9], key)

    def _indicium(self, leaf: int, record: Record, psd: Psd | None) -> None:
        assert psd is not None
        self.state.tenants.add(record[8])
        self._indicia.check(leaf, record, psd, self.state)

    def _run(self, leaf: int, record: Record, psd: Psd | None) -> None:
        assert psd is not None
        self._runs.check(leaf, record, psd)

    def _certification(self, leaf: int, record: Record, psd: Psd | None) -> None:
        assert psd is not None
        self.state.tenants.add(record[8])
        read = self._indicia.certified(leaf, record, psd, self.state)
        if read is not None:
            self._certifying.founded(leaf, read)


def _contradiction(smallest: int, largest: int, descending: int, smallest_refill: int, largest_refill: int) -> str | None:
    """The first two limits of kind 3 that contradict each other."""
    for low, high, what in (
        (smallest, largest, "smallest postage {} above the largest {}"),
        (smallest, descending, "smallest postage {} above the largest descending register {}"),
        (smallest_refill, largest_refill, "smallest refill {} above the largest {}"),
        (smallest_refill, descending, "smallest refill {} above the largest descending register {}"),
    ):
        if low > high:
            return what.format(low, high)
    return None
