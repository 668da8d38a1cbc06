"""Owns what the replay knows: the appliance, every PSD, and the live records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from .cbor import encode
from .keys import PublicKey
from .loaded import Loaded
from .record import (
    ACCOUNT,
    ACKNOWLEDGED,
    ACTIVATED,
    AUDIT_ACCEPTED,
    AUTHORITY_KEY,
    AUTHORITY_POLICY,
    CEILING,
    CEREMONY_BEGUN,
    CEREMONY_ENDED,
    CEREMONY_STEP,
    CERTIFICATE,
    CLIENT,
    DESTROYED,
    GENESIS,
    INSPECTION_PERIODS,
    INSTRUCTION,
    KEY_CHANGE,
    KEY_CREATED,
    KEY_REVOKED,
    KEY_STATE,
    LIFECYCLE,
    OPERATOR,
    OPERATORS,
    PSD_CREATED,
    RATES_TAKEN,
    REFUNDED,
    RETIRED,
    REVOKED,
    MAC_ROLES,
    RUN_CLOSED,
    RUN_OPENED,
    SCALE_REGISTERED,
    SCALE_REMOVED,
    VALUE_APPLIED,
    VALUE_REQUESTED,
    VALUE_VOIDED,
    WITHDRAWAL_REQUESTED,
    WITHDRAWN,
)

FUNDS, INSPECTION, POLICY = 1, 2, 3
AUTHORISED, ACTIVE, WITHDRAWN_STATE, SCRAPPED = 2, 3, 4, 5
DEVELOPMENT = 0
_SLOTS = {
    GENESIS: "genesis",
    PSD_CREATED: "created",
    LIFECYCLE: "lifecycle",
    VALUE_REQUESTED: "value-requested",
    VALUE_APPLIED: "value-applied",
    VALUE_VOIDED: "value-voided",
    WITHDRAWAL_REQUESTED: "value-requested",
    WITHDRAWN: "withdrawn",
    OPERATORS: "operators",
    AUDIT_ACCEPTED: "audit-accepted",
    AUTHORITY_POLICY: "authority-policy",
}
_STEP_SLOTS = {
    ACTIVATED: "activated",
    RETIRED: "retired",
    DESTROYED: "destroyed",
    KEY_REVOKED: "revoked",
    ACKNOWLEDGED: "acknowledged",
}
_SUBJECT_SLOTS: dict[int, Callable[[dict[int, Any]], str]] = {
    OPERATOR: lambda record: f"revoked:1:operator {record[9]}",
    CLIENT: lambda record: f"revoked:2:client {record[10]} of {record[9]}",
    ACCOUNT: lambda record: f"revoked:3:account {record[9]}",
}
_NAMED_SLOTS: dict[int, Callable[[dict[int, Any]], str]] = {
    KEY_CREATED: lambda record: f"key:{record[8].hex()}",
    CERTIFICATE: lambda record: f"certificate:{record[8].hex()}",
    AUTHORITY_KEY: lambda record: f"authority-key:{record[8]}",
    REFUNDED: lambda record: f"refunded:{record[12]}",
    INSTRUCTION: lambda record: f"instruction:{record[8]}",
    CEILING: lambda record: f"ceiling:{record[8]}:{record[9]}",
    INSPECTION_PERIODS: lambda record: f"inspection-periods:{record[8]}",
    KEY_CHANGE: lambda record: f"key-change:{record[8]}",
    RUN_OPENED: lambda record: f"run:{record[9]}",
    RUN_CLOSED: lambda record: f"run:{record[9]}",
    RATES_TAKEN: lambda record: f"rates:{record[8]}:{record[9]}",
    SCALE_REGISTERED: lambda record: f"scale:{record[8]}",
    SCALE_REMOVED: lambda record: f"scale:{record[8]}",
    KEY_STATE: lambda record: f"{_STEP_SLOTS[record[9]]}:{record[8].hex()}",
    CEREMONY_BEGUN: lambda record: f"ceremony:{record[8]}",
    CEREMONY_STEP: lambda record: f"ceremony-step:{record[8]}:{record[9]}",
    CEREMONY_ENDED: lambda record: f"ceremony-ended:{record[8]}",
    REVOKED: lambda record: _SUBJECT_SLOTS[record[8]](record),
}


@dataclass
class Key:
    """A key of kind 2; `serial` is that of its certificate, `activated` the sequence of the record that activated it."""

    role: int
    algorithm: int
    spki: bytes
    public: PublicKey | None
    leaf: int
    serial: int | None = None
    activated: int | None = None
    steps: set[int] = field(default_factory=set)

    @property
    def is_certified(self) -> bool:
        """Whether it may be activated as far as certificates go; a secret key has none."""
        return self.serial is not None or self.role in MAC_ROLES

    @property
    def is_sound(self) -> bool:
        """Neither retired nor destroyed nor revoked."""
        return not self.steps & {RETIRED, DESTROYED, KEY_REVOKED}


@dataclass(frozen=True)
class Pending:
    """What kind 6 or 14 began and nothing has ended yet; `mark` is leaf and ascending register of a spoiled mark."""

    kind: int
    number: int
    amount: int
    mark: tuple[int, int] | None


@dataclass
class Psd:
    """One PSD as of the last record read."""

    name: str
    sequence: int = 0
    registers: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    licence: str = ""
    zip: int = 0
    software: bytes = b""
    format: str = ""
    currency: str = ""
    limits: list[int] | None = None
    state: int = 1
    locks: int = 0
    inspected: int = 0
    keys: dict[bytes, Key] = field(default_factory=dict)
    certified: dict[int, PublicKey] = field(default_factory=dict)
    changes: dict[int, int] = field(default_factory=dict)  # the newest order to change the key of a role, its leaf
    certifiers: dict[int, PublicKey] = field(default_factory=dict)
    pending: Pending | None = None
    ended: int = 0

    def activated(self, role: int) -> list[Key]:
        """The keys of a role that were ever activated, the last one first."""
        keys = (key for key in self.keys.values() if key.role == role and key.activated is not None)
        return sorted(keys, key=lambda key: key.activated or 0, reverse=True)

    def change_ordered(self, role: int) -> int | None:
        """The leaf of the order to change the key of a role, while no key made after it was activated."""
        order = self.changes.get(role)
        done = order is not None and any(key.leaf > order for key in self.activated(role))
        return None if done else order

    def in_use(self, role: int) -> Key | None:
        """The key of a role that was activated last, if it is still sound; no other takes its place."""
        last = next(iter(self.activated(role)), None)
        return last if last is not None and last.is_sound else None


@dataclass
class Governance:
    """Operators by name, their quorum, the ceremony under way and who is revoked, as (whom, name, client)."""

    operators: dict[str, bytes] = field(default_factory=dict)
    quorum: int = 0
    newest: int = 0
    open: int | None = None
    digest: bytes = b""
    steps: int = 0
    revoked: dict[tuple[int, str, str | None], int] = field(default_factory=dict)


@dataclass
class State:
    """Everything that the records so far amount to."""

    appliance: str = ""
    environment: int = 1
    root: x509.Certificate | None = None
    log_key: PublicKey | None = None
    authority: dict[int, tuple[bytes, PublicKey]] = field(default_factory=dict)
    psds: dict[str, Psd] = field(default_factory=dict)
    governance: Governance = field(default_factory=Governance)
    live: dict[str, dict[str, int]] = field(default_factory=dict)
    pieces: dict[tuple[str, bytes], int] = field(default_factory=dict)
    digital_tokens: dict[tuple[str, int], int] = field(default_factory=dict)  # pieces with tokens, by PSD and number
    paid_by: dict[tuple[str, int], int] = field(default_factory=dict)  # indicia that paid, by PSD and ascending register
    in_run: dict[int, int] = field(default_factory=dict)  # leaves of pieces, and of the record that opened their run
    ended: dict[int, dict[tuple[str, int], int]] = field(default_factory=dict)
    refunded: dict[int, int] = field(default_factory=dict)
    asked_back: dict[tuple[str, int], int] = field(default_factory=dict)  # marks whose postage came back or was asked to
    marks: dict[tuple[str, int], tuple[bytes, int]] = field(default_factory=dict)  # digest and postage, by PSD and ascending register
    instructed: dict[int, int] = field(default_factory=dict)
    loaded: Loaded = field(default_factory=Loaded)
    ceilings: dict[tuple[str, int], int] = field(default_factory=dict)
    periods: dict[str, int] = field(default_factory=dict)  # hours without an inspection after which a licence's PSDs lock
    policy_version: int = 0  # of the authority's own
    hashed: dict[int, bytes] = field(default_factory=dict)
    wrapped: set[int] = field(default_factory=set)
    erased: dict[int, int] = field(default_factory=dict)
    tenants: set[str] = field(default_factory=set)
    snapshot: dict[str, tuple[int, ...]] = field(default_factory=dict)
    live_at_digest: set[tuple[str, str, int]] = field(default_factory=set)
    epoch: int = 0
    epoch_time: int = 0
    latest: int = 0

    @property
    def origin(self) -> str:
        """The origin of the log's checkpoints."""
        return f"psdd.log/{self.appliance}"

    def live_rows(self) -> set[tuple[str, str, int]]:
        """The newest record of every PSD and slot, as the table `live` holds it."""
        return {(psd, slot, leaf) for psd, slots in self.live.items() for slot, leaf in slots.items()}

    def registers(self) -> dict[str, tuple[int, ...]]:
        """Sequence and registers of every PSD, as the tables `register` and `snapshot` hold them."""
        return {name: (psd.sequence, *psd.registers) for name, psd in self.psds.items()}


def slot_of(record: dict[int, Any]) -> str | None:
    """The slot in which a record is live."""
    kind = record[0]
    named = _NAMED_SLOTS.get(kind)
    return _SLOTS.get(kind) if named is None else named(record)


def state_digest_input(state: State) -> bytes:
    """The concatenation that a state digest hashes: the appliance, then every PSD by the bytes of its name."""
    parts = [encode(["", 0, 0, 0, 0, 0, sorted(state.live.get("", {}).values())])]
    for name in sorted(state.psds, key=str.encode):
        psd = state.psds[name]
        parts.append(encode([name, psd.sequence, *psd.registers, sorted(state.live.get(name, {}).values())]))
    return b"".join(parts)
