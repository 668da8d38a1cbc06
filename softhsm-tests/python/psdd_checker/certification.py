"""Owns the certification of kind 29: certification-claims (daemon/wire/psdd.cddl), in a COSE_Sign1 or, where a receipt proves them, alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from .amounts import mills
from .cbor import decode, encode
from .cose import read
from .keys import ECDSA_P256, ECDSA_P384
from .record import is_uint

CONTENT_TYPE = "application/psdd-certification+cbor"
_TAG_18 = b"\xd2"
_ALGORITHMS = {-7: ECDSA_P256, -35: ECDSA_P384}
_AMOUNT = re.compile(r"(0|[1-9][0-9]*)\.[0-9]{2}[1-9]?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DESTINATION = re.compile(r"[0-9]{5}(-[0-9]{4}(-[0-9]{2})?)?")
_DEVICE = re.compile(r"[A-Z0-9]{4}[0-9]{10}")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and pattern.fullmatch(value) is not None


def _digest(value: Any) -> bool:
    return type(value) is bytes and len(value) == 32


def _true(value: Any) -> bool:
    return value is True


_SHAPE: dict[str, Callable[[Any], bool]] = {
    "due": _matches(_AMOUNT), "psd": _matches(_DEVICE), "date": _matches(_DAY), "paid": _matches(_AMOUNT),
    "class": _matches(_NAME), "count": is_uint, "rates": _matches(_NAME), "scale": _matches(_NAME),
    "tariff": _matches(_NAME), "weight": is_uint, "debited": _matches(_AMOUNT), "version": is_uint,
    "weighed": is_uint, "currency": _matches(_CURRENCY), "ascending": _matches(_AMOUNT),
    "descending": _matches(_AMOUNT),
    "destination": _matches(_DESTINATION), "rates_digest": _digest, "control_total": _matches(_AMOUNT),
}  # fmt: skip
_MARK = frozenset({"mark", "mark_psd", "mark_ascending"})
_OPTIONAL: dict[str, Callable[[Any], bool]] = {
    "mark": _digest, "mark_psd": _matches(_DEVICE), "mark_ascending": _matches(_AMOUNT), "imprint": _true, "specimen": _true,
    "certificate": lambda value: is_uint(value) and value < 1 << 32, "run": _matches(_NAME),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signature:
    """What the key with this certificate is to have signed, and how."""

    serial: int
    algorithm: int
    signed: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Certification:
    """The claims that a record speaks of; amounts in mills. `mark` is device and ascending register of the indicium that paid."""

    device: str
    debited: int
    currency: str
    specimen: bool
    registers: list[int]
    mark: tuple[str, int] | None
    mark_digest: bytes | None
    paid: int
    due: int
    day: str
    zip: int
    kind: str
    tariff: str
    run: str | None
    date: int  # of mailing, YYYYMMDD
    scale: str
    weight: int  # milligrams
    weighed: int
    rates: tuple[str, int, bytes]  # name, version, digest
    signature: Signature | None


def parse(message_bytes: bytes) -> Certification:
    """The claims of a certification in its one form; ValueError otherwise."""
    message = None if message_bytes[:1] != _TAG_18 else read(message_bytes)
    claims = decode(message_bytes if message is None else message.payload)
    if type(claims) is not dict or not _SHAPE.keys() <= claims.keys() <= _SHAPE.keys() | _OPTIONAL.keys():
        raise ValueError("claims are not those of the contract")
    for name, value in claims.items():
        if not (_SHAPE | _OPTIONAL)[name](value):
            raise ValueError(f"claim {name}: {value!r:.60}")
    date.fromisoformat(claims["date"])
    due, paid, debited = (mills(claims[name]) for name in ("due", "paid", "debited"))
    if debited != max(due - paid, 0):
        raise ValueError(f"debited {debited} where {due} are due and {paid} paid")
    marked = _MARK & claims.keys()
    if marked and (marked != _MARK or "imprint" in claims):
        raise ValueError("paid by an indicium that is not all there, or by an imprint as well")
    if not marked and "imprint" not in claims and paid:
        raise ValueError(f"{paid} paid by nothing")
    if (message is None) == ("certificate" in claims):
        raise ValueError("a certificate is named where nothing is signed, or none where something is")
    signature = None
    if message is not None:
        algorithm = message.header.get(1) if type(message.header) is dict else None
        if algorithm not in _ALGORITHMS or message.header != {1: algorithm, 3: CONTENT_TYPE}:
            raise ValueError(f"protected header {message.header!r:.120}")
        signed = encode(["Signature1", message.protected, b"", message.payload])
        signature = Signature(claims["certificate"], _ALGORITHMS[algorithm], signed, message.signature)
    registers = [mills(claims[name]) for name in ("ascending", "descending", "control_total")]
    return Certification(
        device=claims["psd"],
        debited=debited,
        currency=claims["currency"],
        specimen="specimen" in claims,
        registers=[*registers, claims["count"]],
        mark=(claims["mark_psd"], mills(claims["mark_ascending"])) if marked else None,
        mark_digest=claims.get("mark"),
        paid=paid,
        due=due,
        day=claims["date"],
        zip=int(claims["destination"][:5]),
        kind=claims["class"],
        tariff=claims["tariff"],
        run=claims.get("run"),
        date=int(claims["date"].replace("-", "")),
        scale=claims["scale"],
        weight=claims["weight"],
        weighed=claims["weighed"],
        rates=(claims["rates"], claims["version"], claims["rates_digest"]),
        signature=signature,
    )
