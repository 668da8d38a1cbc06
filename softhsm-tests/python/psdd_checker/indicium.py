"""Owns the rules of kind 16: when an indicium may exist, its key, its symbol and the symbol's signature."""

from __future__ import annotations

from typing import Any

from .findings import Findings
from .ibi import ALGORITHM, SIGNED, VERSION, parse
from .keys import verifies
from .record import WITHDRAWAL_REQUESTED
from .state import ACTIVE, DEVELOPMENT, Psd, State


def is_uuid7(key: bytes) -> bool:
    """Version 7 and the variant of RFC 9562."""
    return len(key) == 16 and key[6] >> 4 == 7 and key[8] >> 6 == 2


class IndiciumRules:
    """Checks kind 16; verifies all signatures, or a sample that the leaf hashes choose."""

    def __init__(self, findings: Findings, share: float | None) -> None:
        """`share` is the part of the signatures to verify, None for all of them."""
        self.findings = findings
        self.verified = 0
        self.seen = 0
        self._below = 1 << 64 if share is None else int(share * (1 << 64))
        self._first: set[tuple[str, int]] = set()
        self.leaf_hash = b"\0" * 32

    def check(self, leaf: int, record: dict[int, Any], psd: Psd, state: State) -> None:
        """Judge one indicium against its PSD as of the record before it."""
        findings, key, postage = self.findings, record[9], record[11]
        self.seen += 1
        if psd.state != ACTIVE or psd.locks:
            findings.leaf(leaf, "not-active", f"{psd.name} in state {psd.state}, lock bits {psd.locks}")
        elif psd.pending is not None and psd.pending.kind == WITHDRAWAL_REQUESTED:
            findings.leaf(leaf, "not-active", f"{psd.name} while withdrawal {psd.pending.number} is under way")
        if not is_uuid7(key):
            findings.leaf(leaf, "key-uuid", key.hex())
        if (record[8], key) in state.pieces:
            first = state.pieces[record[8], key]
            findings.leaf(leaf, "key-twice", f"key {key.hex()} of {record[8]!r} already stands in leaf {first}")
        else:
            state.pieces[record[8], key] = leaf
        if psd.limits is not None and not psd.limits[0] <= postage <= psd.limits[1]:
            findings.leaf(leaf, "limits", f"postage {postage} not in {psd.limits[0]} to {psd.limits[1]}")
        if 13 in record:
            state.hashed[leaf] = record[13]
        self._symbol(leaf, record, psd, state)

    def _symbol(self, leaf: int, record: dict[int, Any], psd: Psd, state: State) -> None:
        symbol = record[12]
        try:
            ibi = parse(symbol)
        except ValueError as error:
            self.findings.leaf(leaf, "indicium-field", str(error))
            return
        software = b"SPECIM" if state.environment == DEVELOPMENT else psd.software
        found = (ibi.version, ibi.algorithm, ibi.device, ibi.ascending, ibi.descending, ibi.postage, ibi.zip, ibi.software)
        wanted = (VERSION, ALGORITHM, psd.name, record[5][0], record[5][1], record[11], psd.zip, software)
        if found != wanted:
            names = ("version", "algorithm", "device", "ascending", "descending", "postage", "licensing ZIP", "software ID")
            name, is_, should = next(x for x in zip(names, found, wanted, strict=True) if x[1] != x[2])
            self.findings.leaf(leaf, "indicium-field", f"{name} {is_!r} in the symbol, {should!r} by the record")
        public = psd.certified.get(ibi.serial)
        if public is None:
            self.findings.leaf(leaf, "indicium-key", f"serial {ibi.serial} is that of no certificate of {psd.name}")
            return
        chosen = int.from_bytes(self.leaf_hash[:8]) < self._below
        first = (psd.name, ibi.serial) not in self._first
        if self._below and (chosen or first):
            self._first.add((psd.name, ibi.serial))
            self.verified += 1
            if not verifies(public, symbol[SIGNED:], symbol[:SIGNED]):
                message = f"symbol does not verify under the certificate with serial {ibi.serial}"
                self.findings.leaf(leaf, "indicium-signature", message)
