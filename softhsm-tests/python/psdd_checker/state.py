"""Owns what the replay knows: the appliance, every PSD, and the live records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from .cbor import encode
from .keys import PublicKey
from .record import (
    AUTHORITY_KEY,
    CERTIFICATE,
    GENESIS,
    KEY_CREATED,
    LIFECYCLE,
    PSD_CREATED,
    VALUE_APPLIED,
    VALUE_REQUESTED,
    VALUE_VOIDED,
)

ROLE_INDICIUM, ROLE_CERTIFICATION, ROLE_MAC, ROLE_DEVICE, ROLE_LOG = 1, 2, 3, 4, 5
DEVELOPMENT = 0
_SLOTS = {
    GENESIS: "genesis",
    PSD_CREATED: "created",
    LIFECYCLE: "lifecycle",
    VALUE_REQUESTED: "value-requested",
    VALUE_APPLIED: "value-applied",
    VALUE_VOIDED: "value-voided",
}


@dataclass
class Key:
    """A key of kind 2."""

    role: int
    spki: bytes
    public: PublicKey | None


@dataclass
class Psd:
    """One PSD as of the last record read."""

    name: str
    sequence: int = 0
    registers: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    zip: int = 0
    software: bytes = b""
    format: str = ""
    currency: str = ""
    limits: list[int] | None = None
    state: int = 1
    locks: int = 0
    keys: dict[bytes, Key] = field(default_factory=dict)
    device_key: PublicKey | None = None
    certified: dict[int, PublicKey] = field(default_factory=dict)
    pending: tuple[int, int] | None = None
    ended: int = 0


@dataclass
class State:
    """Everything that the records so far amount to."""

    appliance: str = ""
    environment: int = 1
    root: x509.Certificate | None = None
    log_key: PublicKey | None = None
    funds: tuple[bytes, PublicKey] | None = None
    psds: dict[str, Psd] = field(default_factory=dict)
    live: dict[str, dict[str, int]] = field(default_factory=dict)
    pieces: dict[tuple[str, bytes], int] = field(default_factory=dict)
    applied: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    voided: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    hashed: dict[int, bytes] = field(default_factory=dict)
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
    if kind in _SLOTS:
        return _SLOTS[kind]
    if kind in (KEY_CREATED, CERTIFICATE):
        return f"{'key' if kind == KEY_CREATED else 'certificate'}:{record[8].hex()}"
    return f"authority-key:{record[8]}" if kind == AUTHORITY_KEY else None


def state_digest_input(state: State) -> bytes:
    """The concatenation that a state digest hashes: the appliance, then every PSD by the bytes of its name."""
    parts = [encode(["", 0, 0, 0, 0, 0, sorted(state.live.get("", {}).values())])]
    for name in sorted(state.psds, key=str.encode):
        psd = state.psds[name]
        parts.append(encode([name, psd.sequence, *psd.registers, sorted(state.live.get(name, {}).values())]))
    return b"".join(parts)
