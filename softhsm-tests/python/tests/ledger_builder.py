"""Owns building ledgers for the tests, from docs/ledger.md alone and sharing no code with the checker.

Every record passes `twist` under a label before it enters, so that a test can spoil exactly one statement while the tree, the
tables and the digests around it stay consistent.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from authority import Authority, der, new_key, raw_signature, spki
from cryptography.hazmat.primitives.asymmetric import ed25519

Record = dict[Any, Any]
EPOCH_MS = 1_790_000_000_000
REQUEST, VOID = "application/psdd-value-request+cbor", "application/psdd-value-void+cbor"


def cbor(value: Any) -> bytes:
    """Deterministic CBOR."""
    return cbor2.dumps(value, canonical=True)


def decimal(mills: int) -> str:
    """Mills as the wire contract writes amounts."""
    return f"{mills // 1000}.{mills % 1000:03}"


def uuid7(time_ms: int) -> bytes:
    """A UUID of version 7."""
    raw = bytearray(time_ms.to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = raw[6] & 0x0F | 0x70, raw[8] & 0x3F | 0x80
    return bytes(raw)


def sign1(key, protected: dict, claims: dict) -> bytes:
    """A COSE_Sign1, tagged and deterministic."""
    header, payload = cbor(protected), cbor(claims)
    signature = raw_signature(key, cbor(["Signature1", header, b"", payload]))
    return b"\xd2" + cbor([header, {}, payload, signature])


@dataclass
class Device:
    """One PSD as the builder knows it."""

    name: str
    tenant: str
    device_key: Any = field(default_factory=new_key)
    indicium_key: Any = field(default_factory=new_key)
    serial: int = 0
    sequence: int = 0
    registers: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    download: int = 0


class Builder:
    """Appends records of every kind, keeping the live records for the digests."""

    def __init__(self, *, ecdsa_log: bool = False, twists: dict[str, Callable[[Builder, Record], Any]] | None = None) -> None:
        self.authority = Authority()
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
        self.live_then: set[tuple[str, str, int]] = set()
        self.digests: list[int] = []

    def add(self, label: str, kind: int, further: Record, device: Device | None = None, slot: str | None = None) -> int:
        """Append one record; returns its leaf."""
        self.time += 7
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
        """Leaf 0."""
        further = {
            8: self.appliance, 9: 0, 10: [spki(new_key()), spki(new_key())], 11: 1, 12: der(self.authority.root),
            13: b"log-1", 14: spki(self.log_key), 15: "token-1",
        }  # fmt: skip
        self.add("genesis", 1, further, slot="genesis")

    def key(self, label: str, cka_id: bytes, role: int, key, device: Device | None = None) -> None:
        """Kind 2."""
        algorithm = 2 if isinstance(key, ed25519.Ed25519PrivateKey) else 1
        further = {8: cka_id, 9: role, 10: algorithm, 11: "token-1", 12: spki(key)}
        self.add(label, 2, further, device, slot=f"key:{cka_id.hex()}")

    def certificate(self, label: str, cka_id: bytes, serial: int, key, device: Device | None = None, **options) -> None:
        """Kind 4."""
        chain = self.authority.certify(label, key, serial, **options)
        self.add(label, 4, {8: cka_id, 9: serial, 10: chain}, device, slot=f"certificate:{cka_id.hex()}")

    def funds(self) -> None:
        """Kind 12."""
        self.add("funds", 12, {8: 1, 9: der(self.authority.funds)}, slot="authority-key:1")

    def psd(self, name: str, tenant: str, serial: int) -> Device:
        """A PSD from creation to active, with its keys and certificate."""
        device = self.devices[name] = Device(name, tenant, serial=serial)
        further = {8: tenant, 9: "licence", 10: 20260, 11: "ibi", 12: b"psdd01", 13: [1, 99_000, 4_000_000_000]}
        if serial % 2:
            further[15] = [501, 94_999]
        self.add(f"{name}:created", 3, further, device, slot="created")
        self.key(f"{name}:device", name.encode() + b"-d", 4, device.device_key, device)
        self.key(f"{name}:indicium", name.encode() + b"-i", 1, device.indicium_key, device)
        self.certificate(f"{name}:certificate", name.encode() + b"-i", serial, device.indicium_key, device)
        for state in (1, 2, 3):
            self.lifecycle(f"{name}:state{state}", device, state, 0)
        return device

    def lifecycle(self, label: str, device: Device, state: int, locks: int) -> None:
        """Kind 5."""
        self.add(label, 5, {8: state, 9: locks}, device, slot="lifecycle")

    def statement(self, device: Device, content_type: str, number: int, amount: int, claims: Record | None = None) -> bytes:
        """What the device key signs in kinds 6 and 11."""
        registers = dict(
            zip(("ascending", "descending", "control_total"), map(decimal, device.registers), strict=False),
            pieces=device.registers[3],
        )
        claim = {
            "psd": device.name, "time": self.time, "nonce": os.urandom(16), "amount": decimal(amount), "sequence": number,
            "appliance": self.appliance, "registers": registers, **(claims or {}),
        }  # fmt: skip
        return sign1(device.device_key, {1: -7, 3: content_type}, claim)

    def request(self, label: str, device: Device, amount: int, claims: Record | None = None) -> None:
        """Kind 6."""
        number = device.download + 1
        message = self.statement(device, REQUEST, number, amount, claims)
        self.add(label, 6, {8: device.tenant, 9: number, 10: amount, 11: message}, device, slot="value-requested")

    def void(self, label: str, device: Device, amount: int, claims: Record | None = None) -> None:
        """Kind 11."""
        device.download += 1
        message = self.statement(device, VOID, device.download, amount, claims)
        self.add(label, 11, {8: device.tenant, 9: device.download, 10: amount, 11: message}, device, slot="value-voided")

    def apply(self, label: str, device: Device, amount: int, key=None, claims: Record | None = None) -> None:
        """Kind 7."""
        device.download += 1
        device.registers = [
            device.registers[0], device.registers[1] + amount, device.registers[2] + amount, device.registers[3],
        ]  # fmt: skip
        claim = {
            "psd": device.name, "amount": decimal(amount), "expires": self.time + 60_000, "sequence": device.download,
            "appliance": self.appliance, "control_total": decimal(device.registers[2]), **(claims or {}),
        }  # fmt: skip
        header = {1: -7, 3: "application/psdd-value-authorisation+cbor", 33: der(self.authority.funds)}
        message = sign1(key or self.authority.funds_key, header, claim)
        further = {8: device.tenant, 9: device.download, 10: amount, 11: message}
        self.add(label, 7, further, device, slot="value-applied")

    def symbol(self, device: Device, registers: list[int], postage: int, /, key=None, **over) -> bytes:
        """An IBI symbol of the device; `over` replaces fields before it is signed."""
        f = {
            "version": 1, "algorithm": 4, "serial": device.serial, "maker": device.name[:2].encode(),
            "model": device.name[2:4].encode(), "number": int(device.name[4:]), "ascending": registers[0],
            "postage": postage, "date": 20260921, "zip": 20260, "destination": b"\x01\x02\x03\x04\x05",
            "software": b"SPECIM", "descending": registers[1], "rate": b"FC  ", **over,
        }  # fmt: skip
        signed = (
            struct.pack("<BBI", f["version"], f["algorithm"], f["serial"]) + f["maker"] + f["model"]
            + f["number"].to_bytes(4, "little") + f["ascending"].to_bytes(5, "little") + f["postage"].to_bytes(3, "little")
            + struct.pack("<II", f["date"], f["zip"]) + f["destination"] + f["software"]
            + f["descending"].to_bytes(4, "little") + f["rate"]
        )  # fmt: skip
        return signed + (raw_signature(key or device.indicium_key, signed) if key != b"" else bytes(64))

    def sign(self, label: str, device: Device, postage: int, *, recipient: str | None = None, key=None) -> int:
        """Kind 16."""
        a, d, c, n = device.registers
        device.registers = [a + postage, d - postage, c, n + 1]
        further: Record = {
            8: device.tenant, 9: uuid7(self.time), 10: os.urandom(32), 11: postage,
            12: self.symbol(device, device.registers, postage, key),
        }  # fmt: skip
        if recipient is not None:
            salt, body = os.urandom(16), recipient.encode()
            further |= {13: sha256(salt + body).digest(), 14: "ref", 15: 28}
            self.bodies[len(self.records)] = (salt, body)
        return self.add(label, 16, further, device)

    def digest(self, label: str) -> None:
        """Kind 8."""
        parts = cbor(["", 0, 0, 0, 0, 0, sorted(self.live[""].values())])
        for name in sorted(self.registers):
            parts += cbor([name, *self.registers[name], sorted(self.live.get(name, {}).values())])
        self.snapshot, self.live_then = dict(self.registers), self.live_now()
        self.digests.append(len(self.records))
        self.add(label, 8, {8: sha256(parts).digest(), 9: len(self.registers)})

    def refusals(self, label: str) -> None:
        """Kind 10."""
        self.add(label, 10, {8: "acme", 9: "psd-locked", 10: 3})

    def started(self, label: str) -> None:
        """Kind 9, after a new owner took over."""
        self.add(label, 9, {8: "0.1.0", 9: os.urandom(16)})


def scenario(pieces: int = 140, fund: int = 500_000, **options) -> Builder:
    """A small ledger with every kind of record: two PSDs of two tenants, four downloads applied and three voided,
    three state digests."""
    b = Builder(**options)
    b.genesis()
    b.started("started")
    b.funds()
    one = b.psd("ABCD0000000001", "acme", 7001)
    two = b.psd("ABCD0000000002", "umbrella", 7002)
    for device in (one, two):
        b.request(f"{device.name}:request1", device, fund)
        b.apply(f"{device.name}:apply1", device, fund)
    b.digest("digest1")
    for n in range(pieces):
        b.sign(f"one:{n}", one, 730 + n % 1000, recipient=f"Resident {n}" if n % 10 == 0 else None)
        b.sign(f"two:{n}", two, 1000)
        if n == pieces // 2:
            b.digest("digest2")
            b.refusals("refusals")
            b.epoch += 1
            b.time -= 100_000
            b.started("restarted")
    b.lifecycle("lock", one, 3, 4)
    b.lifecycle("unlock", one, 3, 0)
    b.request("request2", one, 1_000)
    b.apply("apply2", one, 1_000)
    b.sign("last", one, 730)
    b.request("void-request", one, 1_500)
    b.lifecycle("void-lock", one, 3, 4)
    b.void("void", one, 1_500)
    b.lifecycle("void-unlock", one, 3, 0)
    b.request("again-request", one, 1_500)
    b.apply("again-apply", one, 1_500)
    b.request("request3", two, 2_000)
    b.digest("digest3")
    b.request("late-request", one, 2_500)
    b.void("late-void", one, 2_500)
    b.lifecycle("withdrawn2", two, 4, 4)
    b.lifecycle("scrapped2", two, 5, 4)
    b.void("scrapped-void", two, 2_000)
    b.started("end")
    return b
