"""Owns the steps of keys in built ledgers, kind 19, and keys that give way to others."""

from __future__ import annotations

from authority import new_key
from ledger_base import DEVICES, Base, Device, Record

STEPS = {1: "activated", 2: "retired", 3: "destroyed", 4: "revoked", 5: "acknowledged"}


class Custody(Base):
    """Kind 19."""

    def step(
        self, label: str, device: Device, cka_id: bytes, step: int, *, since: int | None = None, reason: int | None = None,
        later: int = 7,
    ) -> None:  # fmt: skip
        """One step of a key, `later` ms after the record before. What the token wrapped goes with a key that is destroyed."""
        further: Record = {8: cka_id, 9: step, 10: self.time + later if since is None else since}
        if reason is not None:
            further[11] = reason
        if step == 3:
            made = self.live[device.name].get(f"key:{cka_id.hex()}")
            if made in self.bodies:
                self.erased[made] = self.bodies.pop(made)
        self.add(label, 19, further, device, slot=f"{STEPS[step]}:{cka_id.hex()}", step=later)

    def certified_key(self, label: str, device: Device, which: bytes, role: int, serial: int, key=None):
        """Kinds 2 and 4 of another key; returns it."""
        key = key or new_key()
        self.key(label, device.id(which), role, key, device)
        self.certificate(f"{label}:certificate", device.id(which), serial, key, device)
        return key

    def new_device_key(self, label: str, device: Device) -> None:
        """Another device key takes over."""
        device.device_key = self.certified_key(label, device, b"d2", 4, 2 * DEVICES + device.serial)
        self.step(f"{label}:activated", device, device.id(b"d2"), 1)
