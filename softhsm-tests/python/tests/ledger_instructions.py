"""Owns the instructions of built ledgers: kind 17 and its effect, a kind 5, 18, 25, 26 or 28; those about keys stand in `ledger_builder`."""

from __future__ import annotations

from typing import Any

from authority import der
from encodings_of_ledger import decimal, sign1
from ledger_base import Base, Device

INSTRUCTION = "application/psdd-instruction+cbor"
REASONS = {1: 16, 2: 8}
FORBID = '@id("most") forbid (principal, action == Action::"sign_indicium", resource) when { context.largest > 1000 };\n'


class Instructions(Base):
    """Kinds 17, 18, 25, 26 and 28. The effect of the instruction `label` is labelled `label:effect`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.numbers = {1: 0, 2: 0, 3: 0}

    def instruct(self, label: str, purpose: int, claims: dict[str, Any]) -> None:
        """Kind 17 alone."""
        self.numbers[purpose] += 3
        key, certificate = self.authority.purposes[purpose]
        claim = {
            "expires": self.time + 60_000, "sequence": self.numbers[purpose], "appliance": self.appliance, **claims,
        }  # fmt: skip
        message = sign1(key, {1: -7, 3: INSTRUCTION, 33: der(certificate)}, claim)
        further = {8: purpose, 9: self.numbers[purpose], 10: message}
        self.add(label, 17, further, slot=f"instruction:{purpose}")

    def lock(self, label: str, device: Device, purpose: int) -> None:
        """Lock a PSD for the reason of a purpose."""
        self.instruct(label, purpose, {"act": "lock", "psd": device.name})
        self.lifecycle(f"{label}:effect", device, device.state, device.locks | REASONS[purpose], step=0)

    def unlock(self, label: str, device: Device, purpose: int) -> None:
        """Take that reason away."""
        self.instruct(label, purpose, {"act": "unlock", "psd": device.name})
        self.lifecycle(f"{label}:effect", device, device.state, device.locks & ~REASONS[purpose], step=0)

    def periods(self, label: str, licence: str, warn: int | None, block: int | None) -> None:
        """Say how often the PSDs of a licence are inspected, or take that away."""
        claims: dict[str, Any] = {"act": "inspection-periods", "licence": licence}
        hours = {} if warn is None else {"warn": warn, "block": block}
        self.instruct(label, 2, claims | hours)
        further = {8: licence} | ({} if warn is None else {9: warn, 10: block})
        self.add(f"{label}:effect", 25, further, slot=f"inspection-periods:{licence}", step=0)

    def accept(self, label: str, device: Device, digest: bytes) -> None:
        """Accept an audit report of a PSD."""
        self.instruct(label, 2, {"act": "accept-audit", "psd": device.name, "digest": digest})
        device.locks &= ~1
        self.add(f"{label}:effect", 26, {8: digest}, device, slot="audit-accepted", step=0)

    def policy(self, label: str, version: int, text: str) -> None:
        """Put the authority's own policy in force."""
        self.instruct(label, 3, {"act": "policy", "text": text, "version": version})
        self.add(f"{label}:effect", 28, {8: version, 9: text}, slot="authority-policy", step=0)

    def ceiling(self, label: str, licence: str, period: int, amount: int | None) -> None:
        """Set a ceiling, or take it away."""
        claims: dict[str, Any] = {"act": "ceiling", "licence": licence, "period": ("day", "month", "year")[period - 1]}
        if amount is not None:
            claims["amount"] = decimal(amount)
        self.instruct(label, 3, claims)
        self.set_ceiling(f"{label}:effect", licence, period, amount, step=0)

    def set_ceiling(self, label: str, licence: str, period: int, amount: int | None, step: int = 7) -> None:
        """Kind 18 alone."""
        further = {8: licence, 9: period} | ({} if amount is None else {10: amount})
        self.add(label, 18, further, slot=f"ceiling:{licence}:{period}", step=step)
