"""Owns the voucher symbol: a COSE_Sign1 over voucher-claims (daemon/wire/psdd.cddl)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from .amounts import mills
from .cbor import decode, encode
from .cose import read
from .record import is_uint

CONTENT_TYPE = "application/psdd-voucher+cbor"
_AMOUNT = re.compile(r"(0|[1-9][0-9]*)\.[0-9]{2}[1-9]?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DEVICE = re.compile(r"[A-Z0-9]{4}[0-9]{10}")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")
_LONGEST_HOLDER = 64
_MOST_DAYS = 3653


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and pattern.fullmatch(value) is not None


def _holder(value: Any) -> bool:
    return (
        type(value) is str
        and 1 <= len(value.encode()) <= _LONGEST_HOLDER
        and not any(unicodedata.category(character) == "Cc" for character in value)
    )


_SHAPE: dict[str, Callable[[Any], bool]] = {
    "psd": _matches(_DEVICE), "kind": _matches(_KIND), "count": is_uint, "value": _matches(_AMOUNT),
    "currency": _matches(_CURRENCY), "ascending": _matches(_AMOUNT), "descending": _matches(_AMOUNT),
    "valid_from": _matches(_DAY), "certificate": lambda value: is_uint(value) and value < 1 << 32,
    "valid_until": _matches(_DAY), "control_total": _matches(_AMOUNT),
}  # fmt: skip
_OPTIONAL: dict[str, Callable[[Any], bool]] = {"holder": _holder, "specimen": lambda value: value is True}


@dataclass(frozen=True, slots=True)
class Voucher:
    """The claims that a record speaks of; amounts in mills."""

    serial: int
    device: str
    value: int
    currency: str
    specimen: bool
    registers: list[int]
    signed: bytes
    signature: bytes


def parse(symbol: bytes) -> Voucher:
    """The claims of a symbol in its one form; ValueError otherwise."""
    message = read(symbol)
    if message.header != {1: -7, 3: CONTENT_TYPE}:
        raise ValueError(f"protected header {message.header!r:.120}")
    claims = decode(message.payload)
    if type(claims) is not dict or not _SHAPE.keys() <= claims.keys() <= _SHAPE.keys() | _OPTIONAL.keys():
        raise ValueError("claims are not those of the contract")
    for name, value in claims.items():
        if not (_SHAPE | _OPTIONAL)[name](value):
            raise ValueError(f"claim {name}: {value!r:.60}")
    first, last = date.fromisoformat(claims["valid_from"]), date.fromisoformat(claims["valid_until"])
    if not 0 <= (last - first).days <= _MOST_DAYS:
        raise ValueError(f"validity from {first} to {last}")
    registers = [mills(claims[name]) for name in ("ascending", "descending", "control_total")]
    return Voucher(
        serial=claims["certificate"],
        device=claims["psd"],
        value=mills(claims["value"]),
        currency=claims["currency"],
        specimen="specimen" in claims,
        registers=[*registers, claims["count"]],
        signed=encode(["Signature1", message.protected, b"", message.payload]),
        signature=message.signature,
    )
