"""Owns the records that are not of value, and their order, for the ledgers of the tests; from docs/ledger.md alone.

Every record passes `twist` under a label before it enters, so that a test can spoil exactly one statement while the tree, the
tables and the digests around it stay consistent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from authority import Authority, der, new_key, spki
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from encodings_of_ledger import cbor, shortest, uuid7
from ledger_approvals import approval, countersignature
from ledger_symbols import SYMBOLS, certification

Record = dict[Any, Any]
EPOCH_MS = 1_790_000_000_000
DEVICES = 1_000_000  # serials of device keys begin here
LIMITS = (1, 99_000, 4_000_000_000, 1_000, 500_000)


@dataclass
class Device:
    """One PSD as the builder knows it."""

    name: str
    tenant: str
    device_key: Any = field(default_factory=new_key)
    indicium_key: Any = field(default_factory=new_key)
    serial: int = 0
    format: str = "ibi"
    currency: str = "USD"
    sequence: int = 0
    registers: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    download: int = 0
    licence: str = "licence"
    state: int = 1
    locks: int = 0

    def id(self, which: bytes) -> bytes:
        """The CKA_ID of one of its keys."""
        return self.name.encode() + b"-" + which


def algorithm_of(key: Any) -> int:
    """The number of a private key's algorithm; a secret key is None."""
    if key is None:
        return 4
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return 2
    return 3 if isinstance(key.curve, ec.SECP384R1) else 1


class Base:
    """Appends records of every kind, keeping the live records for the digests."""

    def __init__(
        self, *, ecdsa_log: bool = False, strong_root: bool = False, empty_charter: bool = False,
        twists: dict[str, Callable[[Any, Record], Any]] | None = None,
    ) -> None:  # fmt: skip
        self.authority = Authority(strong=strong_root)
        self.officers = {} if empty_charter else {"anna": new_key(), "ben": new_key()}
        self.quorum = min(1, len(self.officers))
        self.log_key = new_key() if ecdsa_log else ed25519.Ed25519PrivateKey.generate()
        self.ecdsa_log = ecdsa_log
        self.appliance = "appliance-1"
        self.records: list[Any] = []
        self.labels: dict[str, int] = {}
        self.twists = twists or {}
        self.time, self.epoch = EPOCH_MS, 1
        self.devices: dict[str, Device] = {}
        self.live: dict[str, dict[str, int]] = {"": {}}
        self.registers: dict[str, tuple] = {}
        self.snapshot: dict[str, tuple] = {}
        self.bodies: dict[int, tuple[bytes, bytes]] = {}
        self.erased: dict[int, tuple[bytes, bytes]] = {}
        self.live_then: set[tuple[str, str, int]] = set()
        self.digests: list[int] = []
        self.certifiers: dict[int, Any] = {}
        self.runs: dict[tuple[str, str], int] = {}
        self.certifying: dict[str, Any] = {}  # what the certification under way is made of

    def add(
        self, label: str, kind: int, further: Record, device: Device | None = None, slot: str | None = None, step: int = 7
    ) -> int:
        """Append one record, `step` ms later; returns its leaf."""
        self.time += step
        record: Record = {0: kind, 1: self.time, 2: [3, 50, self.epoch]}
        if device is not None:
            device.sequence += 1
            record |= {3: device.name, 4: device.sequence, 5: list(device.registers)}
        record |= further
        leaf = len(self.records)
        twist = self.twists.pop(label, None)
        if twist is not None:
            replaced = twist(self, record)
            record = record if replaced is None else replaced
        self.labels[label] = leaf
        self.records.append(record)
        name = device.name if device is not None else ""
        if slot is not None:
            self.live.setdefault(name, {})[slot] = leaf
        if device is not None and isinstance(record, dict):
            self.registers[name] = (record.get(4, 0), *record.get(5, [0, 0, 0, 0]))
        return leaf

    def live_now(self) -> set[tuple[str, str, int]]:
        """The live records."""
        return {(psd, slot, leaf) for psd, slots in self.live.items() for slot, leaf in slots.items()}

    def genesis(self) -> None:
        """Leaf 0; its charter is empty where there are no operators."""
        file, officers = b"genesis" if self.officers else b"", self.officers.items()
        further = {
            8: self.appliance, 9: 0, 10: [spki(key) for _, key in officers], 11: self.quorum, 12: der(self.authority.root),
            13: b"log-1", 14: spki(self.log_key), 15: "token-1", 16: [name.encode() for name, _ in officers], 17: file,
            18: [approval(key, name, self.appliance, file, None) for name, key in officers],
            19: countersignature(self.authority.root_key, self.appliance, file) if officers else b"", 20: [],
        }  # fmt: skip
        self.add("genesis", 1, further, slot="genesis")

    def key(self, label: str, cka_id: bytes, role: int, key, device: Device | None = None, *, wrapped: bytes = b"") -> None:
        """Kind 2; a secret key where `key` is None; `wrapped` is what the token wrapped, if it did."""
        further = {8: cka_id, 9: role, 10: algorithm_of(key), 11: "token-1", 12: os.urandom(32) if key is None else spki(key)}
        if wrapped:
            salt = os.urandom(16)
            further[13] = sha256(salt + wrapped).digest()
            self.bodies[len(self.records)] = (salt, wrapped)
        self.add(label, 2, further, device, slot=f"key:{cka_id.hex()}")

    def certificate(self, label: str, cka_id: bytes, serial: int, key, device: Device | None = None, **options) -> None:
        """Kind 4."""
        chain = self.authority.certify(label, key, serial, **options)
        self.add(label, 4, {8: cka_id, 9: serial, 10: chain}, device, slot=f"certificate:{cka_id.hex()}")

    def authority_key(self, purpose: int) -> None:
        """Kind 12."""
        name = ("funds", "inspection", "policy")[purpose - 1]
        self.add(name, 12, {8: purpose, 9: der(self.authority.purposes[purpose][1])}, slot=f"authority-key:{purpose}")

    def psd(
        self, name: str, tenant: str, serial: int, licence: str = "licence", limits: tuple = LIMITS, *,
        layout: str = "ibi", currency: str = "USD",
    ) -> Device:  # fmt: skip
        """A PSD from creation to active, with its keys and certificate."""
        device = self.devices[name] = Device(name, tenant, serial=serial, format=layout, currency=currency, licence=licence)
        further = {8: tenant, 9: licence, 10: 20260, 11: layout, 12: b"psdd01", 13: list(limits), 14: currency}
        if serial % 2:
            further[15] = [501, 94_999]
        self.add(f"{name}:created", 3, further, device, slot="created")
        self.key(f"{name}:device", name.encode() + b"-d", 4, device.device_key, device)
        self.key(f"{name}:indicium", name.encode() + b"-i", 1, device.indicium_key, device)
        self.certificate(f"{name}:device-certificate", name.encode() + b"-d", DEVICES + serial, device.device_key, device)
        self.certificate(f"{name}:certificate", name.encode() + b"-i", serial, device.indicium_key, device)
        for state in (1, 2, 3):
            self.lifecycle(f"{name}:state{state}", device, state, 0)
        return device

    def lifecycle(self, label: str, device: Device, state: int, locks: int, step: int = 7) -> None:
        """Kind 5."""
        device.state, device.locks = state, locks
        self.add(label, 5, {8: state, 9: locks}, device, slot="lifecycle", step=step)

    def symbol(self, device: Device, registers: list[int], postage: int, /, **over) -> bytes:
        """A symbol of the device in its format; `over` replaces what is signed, or by which key."""
        return SYMBOLS[device.format](device, registers, postage, **over)

    def sign(self, label: str, device: Device, postage: int, *, recipient: str | None = None, key=None, token: str | None = None) -> int:
        """Kind 16."""
        a, d, c, n = device.registers
        device.registers = [a + postage, d - postage, c, n + 1]
        further: Record = {
            8: device.tenant, 9: uuid7(self.time), 10: os.urandom(32), 11: postage,
            12: self.symbol(device, device.registers, postage, key=key),
        }  # fmt: skip
        if recipient is not None:
            salt, body = os.urandom(16), recipient.encode()
            further |= {13: sha256(salt + body).digest(), 14: "ref", 15: 28}
            self.bodies[len(self.records)] = (salt, body)
        if token is not None:
            further[16] = token
        return self.add(label, 16, further, device)

    def certify(self, label: str, device: Device, key, serial: int, debited: int, mark: str | None = None, *, receipt: bool = False) -> int:
        """Kind 29. `mark` is the label of the indicium that paid, besides what is debited; with `receipt` nothing is signed."""
        a, d, c, n = device.registers
        device.registers = [a + debited, d - debited, c, n + 1]
        over: Record = {}
        further: Record = {8: device.tenant, 9: uuid7(self.time), 10: os.urandom(32), 11: debited}
        if mark is not None:
            paying = self.records[self.labels[mark]]
            psd, ascending, postage = paying[3], paying[5][0], paying[11]
            over = {
                "due": shortest(debited + postage), "paid": shortest(postage), "mark": sha256(paying[12]).digest(),
                "mark_psd": psd, "mark_ascending": shortest(ascending),
            }  # fmt: skip
            further |= {14: "ref", 15: psd, 16: ascending}
        if receipt:
            over |= {"receipt": True}
        further[12] = certification(device, device.registers, debited, key, serial, **over)
        self.certifiers[serial] = key
        self.certifying = {"key": key, "serial": serial, **over}
        return self.add(label, 29, further, device)

    def open_run(self, label: str, device: Device, run: str, zips: dict[int, tuple[int, int]]) -> int:
        """Kind 30: pieces and tariff (0 full, 1 town) of each ZIP."""
        steps = [zip_ - before for zip_, before in zip(sorted(zips), [0, *sorted(zips)], strict=False)]
        further: Record = {
            8: device.tenant, 9: run, 10: os.urandom(32), 11: "2026-11-20", 12: "postland", 13: 1, 14: bytes(32), 15: "letter",
            16: [b"full", b"town"], 17: steps, 18: [zips[zip_][0] for zip_ in sorted(zips)],
            19: bytes(zips[zip_][1] for zip_ in sorted(zips)),
        }  # fmt: skip
        leaf = self.add(label, 30, further, device, slot=f"run:{run}")
        self.runs[device.name, run] = leaf
        return leaf

    def certify_in(self, label: str, device: Device, run: str, destination: str, tariff: int, dues: list[int]) -> int:
        """Kind 29 in a run, on which nothing was paid: it owes what its tariff says, proven by the log."""
        a, d, c, n = device.registers
        device.registers = [a + dues[tariff], d - dues[tariff], c, n + 1]
        over = {"run": run, "tariff": ["full", "town"][tariff], "destination": destination, "receipt": True}
        further: Record = {8: device.tenant, 9: uuid7(self.time), 10: os.urandom(32), 11: dues[tariff], 17: run, 18: dues}
        further[12] = certification(device, device.registers, dues[tariff], None, 0, **over)
        self.certifying = {"key": None, "serial": 0, **over}
        return self.add(label, 29, further, device)

    def close_run(self, label: str, device: Device, run: str, counted: list[tuple[int, int]], owed: int, debited: int) -> int:
        """Kind 31: pieces and tariff counted for each ZIP; what is owed beyond what was debited is debited."""
        settled = max(owed - debited, 0)
        a, d, c, n = device.registers
        device.registers = [a + settled, d - settled, c, n]
        further: Record = {
            8: device.tenant, 9: run, 10: self.runs[device.name, run], 11: owed, 12: debited, 13: settled,
            14: [pieces for pieces, _ in counted], 15: bytes(tariff for _, tariff in counted),
        }  # fmt: skip
        return self.add(label, 31, further, device, slot=f"run:{run}")

    def digest(self, label: str) -> None:
        """Kind 8."""
        parts = cbor(["", 0, 0, 0, 0, 0, sorted(self.live[""].values())])
        for name in sorted(self.registers):
            parts += cbor([name, *self.registers[name], sorted(self.live.get(name, {}).values())])
        self.snapshot, self.live_then = dict(self.registers), self.live_now()
        self.digests.append(len(self.records))
        self.add(label, 8, {8: sha256(parts).digest(), 9: len(self.registers)})

    def rates(self, label: str, version: int, first: int, **over) -> None:
        """Kind 32: the table that certifications name; `over` is by key, `k12` for one."""
        further = {8: "postland", 9: version, 10: bytes([version - 1]) * 32, 11: first, **_keyed(over)}
        self.add(label, 32, further, slot=f"rates:postland:{version}")

    def scale(self, label: str, name: str, **over) -> None:
        """Kind 33: the scale that certifications name."""
        further = {
            8: name, 9: "C-1", 10: "Laboratory", 11: [2026_09_01, 2027_08_31], 12: [60_000_000, 20_000, 1_000],
            13: "Maker", 14: "Model", 15: "Dock 1", 16: 0, **_keyed(over),
        }  # fmt: skip
        self.add(label, 33, further, slot=f"scale:{name}")

    def scale_removed(self, label: str, name: str) -> None:
        """Kind 34."""
        self.add(label, 34, {8: name}, slot=f"scale:{name}")

    def refusals(self, label: str) -> None:
        """Kind 10."""
        self.add(label, 10, {8: "acme", 9: "psd-locked", 10: 3})

    def started(self, label: str) -> None:
        """Kind 9, after a new owner took over."""
        self.add(label, 9, {8: "0.1.0", 9: os.urandom(16)})


def _keyed(over: Record) -> Record:
    """Keys of a record from names such as `k12`."""
    return {int(name[1:]): value for name, value in over.items()}
