"""Owns ceremonies, operators and revocations in built ledgers: kinds 20 to 24."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from authority import new_key, spki
from ledger_approvals import approval, transcript
from ledger_base import EPOCH_MS, Base, Record

WHOM = {1: "operator {0}", 2: "client {1} of {0}", 3: "account {0}"}


class Governance(Base):
    """Kinds 20, 21, 22, 23 and 24."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ceremony = self.steps = 0
        self.dismissed: set[str] = set()

    @property
    def file(self) -> bytes:
        """The file of the newest ceremony."""
        return f"ceremony {self.ceremony}".encode()

    def approval(self, name: str, key: Any = None, header: dict | None = None, **over) -> bytes:
        """An approval of the newest ceremony, by the operator's own key or another."""
        signer = self.officers.get(name) if key is None else key
        return approval(signer, name, self.appliance, self.file, self.ceremony, header, **over)

    def begun(self, label: str, number: int | None = None, approvals: Callable[[], list[bytes]] | None = None) -> None:
        """Kind 20, approved by as many operators as are needed."""
        self.ceremony, self.steps = self.ceremony + 1 if number is None else number, 0
        able = [name for name in self.officers if name not in self.dismissed]
        given = [self.approval(name) for name in able[: self.quorum]] if approvals is None else approvals()
        further = {8: self.ceremony, 9: sha256(self.file).digest(), 10: self.file, 11: given}
        self.add(label, 20, further, slot=f"ceremony:{self.ceremony}")

    def ceremony_step(self, label: str, number: int | None = None, step: int | None = None) -> None:
        """Kind 21."""
        self.steps += 1
        number, step = number or self.ceremony, self.steps if step is None else step
        self.add(label, 21, {8: number, 9: step, 10: "a key was made"}, slot=f"ceremony-step:{number}:{step}")

    def transcript(self, key: Any = None, header: dict | None = None, **over) -> bytes:
        """The transcript of the newest ceremony."""
        digest = sha256(self.file).digest()
        return transcript(key or self.log_key, self.appliance, self.ceremony, digest, header, **over)

    def ended(self, label: str, end: int, transcript: bytes | None = None, number: int | None = None) -> None:
        """Kind 22."""
        further: Record = {8: number or self.ceremony, 9: end} | ({} if transcript is None else {10: transcript})
        self.add(label, 22, further, slot=f"ceremony-ended:{number or self.ceremony}")

    def operators(self, label: str, names: Sequence[str], quorum: int, keys: Sequence[bytes] | None = None) -> None:
        """Kind 23."""
        self.officers, self.quorum, self.dismissed = {name: new_key() for name in names}, quorum, set()
        keys = [spki(key) for key in self.officers.values()] if keys is None else list(keys)
        self.add(label, 23, {8: [name.encode() for name in names], 9: keys, 10: quorum}, slot="operators")

    def revoke(
        self, label: str, whom: int, name: str, client: str | None = None, *, since: int = EPOCH_MS, reason: int = 1
    ) -> None:  # fmt: skip
        """Kind 24."""
        if whom == 1:
            self.dismissed.add(name)
        further: Record = {8: whom, 9: name, 11: since, 12: reason} | ({} if client is None else {10: client})
        self.add(label, 24, further, slot=f"revoked:{whom}:" + WHOM[whom].format(name, client))
