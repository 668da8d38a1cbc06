"""Owns the rules of kinds 16 and 29: when a piece may exist, its key, its symbol or certification, and the signature of that."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from . import certification, digital_token, ibi, voucher
from .findings import Findings
from .keys import PublicKey, algorithm_of, verifies
from .record import MAC_ROLES, ROLE_CERTIFICATION, ROLE_INDICIUM, VOUCHER, WITHDRAWAL_REQUESTED
from .runs import RunRules
from .state import ACTIVE, DEVELOPMENT, Psd, State


def is_uuid7(key: bytes) -> bool:
    """Version 7 and the variant of RFC 9562."""
    return len(key) == 16 and key[6] >> 4 == 7 and key[8] >> 6 == 2


class IndiciumRules:
    """Checks kinds 16 and 29; verifies all signatures, or a sample that the leaf hashes choose."""

    def __init__(self, findings: Findings, share: float | None, runs: RunRules) -> None:
        """`share` is the part of the signatures to verify, None for all of them."""
        self.findings = findings
        self.verified = 0
        self.seen = 0
        self._below = 1 << 64 if share is None else int(share * (1 << 64))
        self._runs = runs
        self._first: set[tuple[str, int, int]] = set()
        self.leaf_hash = b"\0" * 32

    def check(self, leaf: int, record: dict[int, Any], psd: Psd, state: State) -> None:
        """Judge one indicium against its PSD as of the record before it."""
        findings, postage = self.findings, record[11]
        self._piece(leaf, record, psd, state)
        if psd.limits is not None and not psd.limits[0] <= postage <= psd.limits[1]:
            findings.leaf(leaf, "limits", f"postage {postage} not in {psd.limits[0]} to {psd.limits[1]}")
        if 13 in record:
            state.hashed[leaf] = record[13]
        if 16 in record:
            self._token(leaf, record, psd, state)
        self._symbol(leaf, record, psd, state)
        state.marks.setdefault((psd.name, record[5][0]), (sha256(record[12]).digest(), postage))

    def _token(self, leaf: int, record: dict[int, Any], psd: Psd, state: State) -> None:
        """The halves are for the holders of their keys; here it is the form, the check digit and that there were keys."""
        state.digital_tokens[psd.name, record[5][3]] = leaf
        try:
            digital_token.stored(record[16])
        except ValueError as error:
            self.findings.leaf(leaf, "digital-token", str(error))
        for role in MAC_ROLES:
            if psd.in_use(role) is None:
                self.findings.leaf(leaf, "digital-token", f"no key of role {role} of {psd.name} is in use")

    def certified(self, leaf: int, record: dict[int, Any], psd: Psd, state: State) -> certification.Certification | None:
        """Judge one certification against its PSD as of the record before it; gives it, where it can be read."""
        findings, debited = self.findings, record[11]
        self._piece(leaf, record, psd, state)
        if psd.limits is not None and debited > psd.limits[1]:
            findings.leaf(leaf, "limits", f"debit {debited} above {psd.limits[1]}")
        if 15 in record:
            mark = (record[15], record[16])
            first = state.paid_by.setdefault(mark, leaf)
            if first != leaf:
                findings.leaf(leaf, "paid-twice", f"the indicium of {mark[0]} at {mark[1]} paid for leaf {first}")
            if mark in state.asked_back:
                message = f"paid by the indicium of {mark[0]} at {mark[1]}, asked back in leaf {state.asked_back[mark]}"
                findings.leaf(leaf, "paid-and-refunded", message)
        return self._certification(leaf, record, psd, state)

    def _piece(self, leaf: int, record: dict[int, Any], psd: Psd, state: State) -> None:
        findings, key = self.findings, record[9]
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

    def _symbol(self, leaf: int, record: dict[int, Any], psd: Psd, state: State) -> None:
        read = _voucher if psd.format == VOUCHER else _ibi
        try:
            symbol = read(record, psd, state.environment == DEVELOPMENT)
        except ValueError as error:
            self.findings.leaf(leaf, "indicium-field", str(error))
            return
        wrong = next((row for row in symbol.fields if row[1] != row[2]), None)
        if wrong is not None:
            name, found, wanted = wrong
            self.findings.leaf(leaf, "indicium-field", f"{name} {found!r} in the symbol, {wanted!r} by the record")
        self._signature(leaf, psd, symbol, ROLE_INDICIUM, psd.certified.get(symbol.serial))

    def _certification(self, leaf: int, record: dict[int, Any], psd: Psd, state: State) -> certification.Certification | None:
        try:
            read = certification.parse(record[12])
        except ValueError as error:
            self.findings.leaf(leaf, "certification", str(error))
            return None
        fields = (
            ("device", read.device, psd.name),
            ("registers", read.registers, record[5]),
            ("debit", read.debited, record[11]),
            ("currency", read.currency, psd.currency),
            ("specimen", read.specimen, state.environment == DEVELOPMENT),
            ("run", read.run, record.get(17)),
            ("paying indicium", read.mark, (record[15], record[16]) if 15 in record else None),
        )
        wrong = next((row for row in fields if row[1] != row[2]), None)
        if wrong is not None:
            name, found, wanted = wrong
            self.findings.leaf(leaf, "certification", f"{name} {found!r} in it, {wanted!r} by the record")
        self._runs.piece(leaf, record, psd, read)
        if read.mark is not None and state.marks.get(read.mark) != (read.mark_digest, read.paid):
            message = f"paid {read.paid} by an indicium of {read.mark[0]} at {read.mark[1]} that no leaf before has"
            self.findings.leaf(leaf, "paid-unproven", message)
        if read.signature is None:
            return read  # the log is the proof
        serial, algorithm = read.signature.serial, read.signature.algorithm
        public = psd.certifiers.get(serial)
        if public is not None and algorithm_of(public) != algorithm:
            self.findings.leaf(leaf, "certification", f"algorithm {algorithm} under a key of {algorithm_of(public)}")
        symbol = _Symbol(serial, read.signature.signed, read.signature.value, ())
        self._signature(leaf, psd, symbol, ROLE_CERTIFICATION, public)
        return read

    def _signature(self, leaf: int, psd: Psd, symbol: _Symbol, role: int, public: PublicKey | None) -> None:
        if public is None:
            self.findings.leaf(leaf, "indicium-key", f"serial {symbol.serial} is that of no certificate of {psd.name}")
            return
        in_use = psd.in_use(role)
        if in_use is None or in_use.serial != symbol.serial:
            said = "none is in use" if in_use is None else f"that of the key in use is {in_use.serial}"
            self.findings.leaf(leaf, "key-in-use", f"serial {symbol.serial}; {said}")
        chosen = int.from_bytes(self.leaf_hash[:8]) < self._below
        first = (psd.name, role, symbol.serial) not in self._first
        if self._below and (chosen or first):
            self._first.add((psd.name, role, symbol.serial))
            self.verified += 1
            if not verifies(public, symbol.signature, symbol.signed):
                message = f"it does not verify under the certificate with serial {symbol.serial}"
                self.findings.leaf(leaf, "indicium-signature", message)


@dataclass(frozen=True, slots=True)
class _Symbol:
    """What a symbol of any format says: name, value found and value wanted of each field that the record speaks of."""

    serial: int
    signed: bytes
    signature: bytes
    fields: tuple[tuple[str, Any, Any], ...]


def _ibi(record: dict[int, Any], psd: Psd, development: bool) -> _Symbol:
    symbol = record[12]
    mark = ibi.parse(symbol)
    fields = (
        ("version", mark.version, ibi.VERSION),
        ("algorithm", mark.algorithm, ibi.ALGORITHM),
        ("device", mark.device, psd.name),
        ("ascending", mark.ascending, record[5][0]),
        ("descending", mark.descending, record[5][1]),
        ("postage", mark.postage, record[11]),
        ("licensing ZIP", mark.zip, psd.zip),
        ("software ID", mark.software, b"SPECIM" if development else psd.software),
    )
    return _Symbol(mark.serial, symbol[: ibi.SIGNED], symbol[ibi.SIGNED :], fields)


def _voucher(record: dict[int, Any], psd: Psd, development: bool) -> _Symbol:
    mark = voucher.parse(record[12])
    fields = (
        ("device", mark.device, psd.name),
        ("registers", mark.registers, record[5]),
        ("value", mark.value, record[11]),
        ("currency", mark.currency, psd.currency),
        ("specimen", mark.specimen, development),
    )
    return _Symbol(mark.serial, mark.signed, mark.signature, fields)
