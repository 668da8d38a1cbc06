"""Owns the encodings that built ledgers need: deterministic CBOR, decimal amounts, UUIDs, COSE_Sign1."""

from __future__ import annotations

import os
from typing import Any

import cbor2
from authority import raw_signature


def cbor(value: Any) -> bytes:
    """Deterministic CBOR."""
    return cbor2.dumps(value, canonical=True)


def decimal(mills: int) -> str:
    """Mills as the wire contract writes amounts."""
    return f"{mills // 1000}.{mills % 1000:03}"


def shortest(mills: int) -> str:
    """Mills as psdd writes amounts: three decimals only where the last is not zero."""
    text = decimal(mills)
    return text[:-1] if text.endswith("0") else text


def uuid7(time_ms: int) -> bytes:
    """A UUID of version 7."""
    raw = bytearray(time_ms.to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = raw[6] & 0x0F | 0x70, raw[8] & 0x3F | 0x80
    return bytes(raw)


def sign1(key, protected: dict, claims: dict) -> bytes:
    """A COSE_Sign1, tagged and deterministic."""
    header, payload = cbor(protected), cbor(claims)
    signature = raw_signature(key, cbor(["Signature1", header, b"", payload]))
    return b"\xd2" + cbor([header, {}, payload, signature])


def opened(message: bytes) -> tuple[dict, dict]:
    """Protected header and claims of a COSE_Sign1."""
    protected, _, payload, _ = cbor2.loads(message[1:])
    return cbor2.loads(protected), cbor2.loads(payload)
