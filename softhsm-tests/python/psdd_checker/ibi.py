"""Owns the IBI symbol: 49 signed bytes and a signature of 64."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date

SIGNED = 49
LENGTH = 113
VERSION = 1
ALGORITHM = 4
_FIELDS = struct.Struct("<BBI2s2sI5s3sII5s6sI4s")


@dataclass(frozen=True, slots=True)
class Ibi:
    """The fields of a symbol; amounts in mills."""

    version: int
    algorithm: int
    serial: int
    device: str
    ascending: int
    postage: int
    date: int
    zip: int
    destination: bytes
    software: bytes
    descending: int
    rate: bytes


def parse(symbol: bytes) -> Ibi:
    """The fields of the signed bytes; ValueError where the length or the date is impossible."""
    if len(symbol) != LENGTH:
        raise ValueError(f"symbol of {len(symbol)} bytes, not {LENGTH}")
    f = _FIELDS.unpack_from(symbol)
    device = f"{f[3].decode('latin-1')}{f[4].decode('latin-1')}{f[5]:010}"
    day = f[8]
    try:
        date(day // 10000, day // 100 % 100, day % 100)
    except ValueError as error:
        raise ValueError(f"date {day} is no day") from error
    ascending, postage = int.from_bytes(f[6], "little"), int.from_bytes(f[7], "little")
    return Ibi(f[0], f[1], f[2], device, ascending, postage, day, f[9], f[10], f[11], f[12], f[13])
