"""Owns the records of value of built ledgers: downloads, voids, refunds and withdrawals, with what is signed in them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from authority import der
from encodings_of_ledger import decimal, sign1
from ledger_base import Base, Device, Record

REQUEST, VOID = "application/psdd-value-request+cbor", "application/psdd-value-void+cbor"
AUTHORISATION = "application/psdd-value-authorisation+cbor"
WITHDRAWAL, REPORT = "application/psdd-withdrawal-request+cbor", "application/psdd-withdrawal-report+cbor"
ACKNOWLEDGEMENT = "application/psdd-withdrawal-acknowledgement+cbor"


def moved(device: Device, amount: int) -> None:
    """Add to the descending register."""
    a, d, c, n = device.registers
    device.registers = [a, d + amount, c + amount, n]


class Values(Base):
    """Kinds 6, 7, 11, 13, 14 and 15."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.loads: list[tuple[str, datetime, int]] = []

    def statement(
        self, device: Device, content_type: str, number: int, amount: int, claims: Record | None = None
    ) -> bytes:  # fmt: skip
        """What the device key signs in kinds 6, 11, 14 and 15."""
        registers = dict(
            zip(("ascending", "descending", "control_total"), map(decimal, device.registers), strict=False),
            pieces=device.registers[3],
        )
        claim = {
            "psd": device.name, "time": self.time, "nonce": os.urandom(16), "amount": decimal(amount), "sequence": number,
            "appliance": self.appliance, "registers": registers, **(claims or {}),
        }  # fmt: skip
        return sign1(device.device_key, {1: -7, 3: content_type}, claim)

    def authorisation(
        self, device: Device, content_type: str, number: int, amount: int, claims: Record | None = None
    ) -> bytes:  # fmt: skip
        """What the funds key signs in kinds 7, 13 and 15."""
        claim = {
            "psd": device.name, "amount": decimal(amount), "expires": self.time + 60_000, "sequence": number,
            "appliance": self.appliance, "control_total": decimal(device.registers[2]), **(claims or {}),
        }  # fmt: skip
        key, certificate = self.authority.purposes[1]
        return sign1(key, {1: -7, 3: content_type, 33: der(certificate)}, claim)

    def request(self, label: str, device: Device, amount: int) -> None:
        """Kind 6."""
        number = device.download + 1
        message = self.statement(device, REQUEST, number, amount)
        self.add(label, 6, {8: device.tenant, 9: number, 10: amount, 11: message}, device, slot="value-requested")

    def void(self, label: str, device: Device, amount: int) -> None:
        """Kind 11."""
        device.download += 1
        message = self.statement(device, VOID, device.download, amount)
        self.add(label, 11, {8: device.tenant, 9: device.download, 10: amount, 11: message}, device, slot="value-voided")

    def sums(self, licence: str, at: datetime) -> list[int]:
        """What was loaded under a licence in the day, month and year of `at`, since the last load in another one."""
        loads = [(f"{when:%Y%m%d}", amount) for who, when, amount in reversed(self.loads) if who == licence]
        day = f"{at:%Y%m%d}"
        sums = (
            sum(amount for _, amount in takewhile(lambda load, end=end: load[0][:end] == day[:end], loads))
            for end in (8, 6, 4)
        )
        return [min(loaded, (1 << 63) - 1) for loaded in sums]

    def apply(self, label: str, device: Device, amount: int) -> None:
        """Kind 7."""
        device.download += 1
        moved(device, amount)
        now = datetime.fromtimestamp((self.time + 7) // 1000, UTC)
        self.loads.append((device.licence, now, amount))
        message = self.authorisation(device, AUTHORISATION, device.download, amount)
        further = {8: device.tenant, 9: device.download, 10: amount, 11: message, 12: self.sums(device.licence, now)}
        self.add(label, 7, further, device, slot="value-applied")

    def refund_request(self, label: str, device: Device, mark: str) -> None:
        """Kind 6 over the postage of a spoiled mark."""
        leaf, number = self.labels[mark], device.download + 1
        piece = self.records[leaf]
        refund = {"key": piece[9], "leaf": leaf, "indicium": piece[12]}
        message = self.statement(device, REQUEST, number, piece[11], {"refund": refund})
        further = {8: device.tenant, 9: number, 10: piece[11], 11: message, 12: leaf, 13: piece[5][0]}
        self.add(label, 6, further, device, slot="value-requested")

    def refund(self, label: str, device: Device, mark: str) -> None:
        """Kind 13."""
        leaf = self.labels[mark]
        amount = self.records[leaf][11]
        device.download += 1
        moved(device, amount)
        message = self.authorisation(device, AUTHORISATION, device.download, amount, {"refund": leaf})
        further = {8: device.tenant, 9: device.download, 10: amount, 11: message, 12: leaf, 13: self.records[leaf][5][0]}
        self.add(label, 13, further, device, slot=f"refunded:{leaf}")

    def withdrawal(self, label: str, device: Device) -> None:
        """Kind 14."""
        number, amount = device.download + 1, device.registers[1]
        message = self.statement(device, WITHDRAWAL, number, amount)
        self.add(label, 14, {8: device.tenant, 9: number, 10: amount, 11: message}, device, slot="value-requested")

    def withdrawn(self, label: str, device: Device, amount: int | None = None) -> None:
        """Kind 15."""
        device.download += 1
        amount = device.registers[1] if amount is None else amount
        device.registers = [device.registers[0], 0, device.registers[0], device.registers[3]]
        device.state = 4
        further = {
            8: device.tenant, 9: device.download, 10: amount,
            11: self.authorisation(device, ACKNOWLEDGEMENT, device.download, amount),
            12: self.statement(device, REPORT, device.download, amount),
        }  # fmt: skip
        self.add(label, 15, further, device, slot="withdrawn")
