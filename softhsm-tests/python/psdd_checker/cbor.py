"""Owns reading deterministic CBOR (RFC 8949 section 4.2.1): decode, encode again, compare."""

from __future__ import annotations

import io
from typing import Any

import cbor2


def encode(value: Any) -> bytes:
    """Deterministic encoding.

    cbor2's canonical form orders map keys length first (RFC 7049). That equals RFC 8949's bytewise order for the maps of this
    project: integer keys, and text keys of fewer than 24 bytes.
    """
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> Any:
    """The one value that `data` is the deterministic encoding of; ValueError where it is not that."""
    try:
        value = cbor2.loads(data)
    except Exception as error:  # cbor2 raises several kinds
        raise ValueError(f"not CBOR: {error}") from error
    try:
        again = cbor2.dumps(value, canonical=True)
    except Exception as error:
        raise ValueError(f"not encodable again: {error}") from error
    if again != data:
        raise ValueError(_difference(data, again))
    return value


def decode_any(data: bytes) -> Any:
    """The one value of `data` in any valid encoding, for what others encoded; ValueError otherwise."""
    try:
        value, again = cbor2.loads(data), io.BytesIO(data)
        cbor2.load(again)
    except Exception as error:  # cbor2 raises several kinds
        raise ValueError(f"not CBOR: {error}") from error
    if again.tell() != len(data):
        raise ValueError(f"{len(data) - again.tell()} trailing bytes")
    return value


def _difference(data: bytes, again: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(data, again, strict=False)) if a != b), min(len(data), len(again)))
    if at == len(again) < len(data):
        return f"{len(data) - at} trailing bytes at {at}"
    return f"encoding is not deterministic at byte {at}"
