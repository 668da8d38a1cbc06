"""Owns what goes over the wire: CBOR with indefinite lengths for requests, strict reading of responses, UUIDs of version 7."""

from __future__ import annotations

import os
import time
from typing import Any

import cbor2

from psdd_checker.cbor import decode

from .errors import Failure


def uuid7() -> bytes:
    """A UUID of version 7 (RFC 9562 section 5.7), made by hand."""
    raw = bytearray(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = raw[6] & 0x0F | 0x70, raw[8] & 0x3F | 0x80
    return bytes(raw)


def uuid_text(key: bytes) -> str:
    """The usual text form of a UUID."""
    h = key.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def indefinite(value: Any) -> bytes:
    """CBOR with indefinite lengths for every map, array, and string longer than two bytes; map keys in reverse order."""
    if isinstance(value, dict):
        pairs = b"".join(indefinite(k) + indefinite(v) for k, v in reversed(value.items()))
        return b"\xbf" + pairs + b"\xff"
    if isinstance(value, list):
        return b"\x9f" + b"".join(map(indefinite, value)) + b"\xff"
    if isinstance(value, str | bytes) and len(value) > 2:
        first, rest = value[:2], value[2:]
        start = b"\x7f" if isinstance(value, str) else b"\x5f"
        return start + cbor2.dumps(first) + cbor2.dumps(rest) + b"\xff"
    return cbor2.dumps(value)


def read(body: bytes, what: str) -> dict[Any, Any]:
    """A response body: one map in deterministic encoding."""
    try:
        value = decode(body)
    except ValueError as error:
        raise Failure(f"{what}: response is not deterministic CBOR: {error}") from error
    if type(value) is not dict:
        raise Failure(f"{what}: response is no map")
    return value
