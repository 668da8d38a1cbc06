"""Owns what operators, the authority's root and the log key sign in built ledgers, from daemon/wire/psdd.cddl alone."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from encodings_of_ledger import sign1

CEREMONY, GENESIS = "application/psdd-ceremony-approval+cbor", "application/psdd-genesis-approval+cbor"
COUNTERSIGNATURE = "application/psdd-genesis-countersignature+cbor"
TRANSCRIPT = "application/psdd-ceremony-transcript+cbor"


def label_of(key: Any) -> int:
    """The COSE algorithm of a private key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return -8
    return -35 if isinstance(key.curve, ec.SECP384R1) else -7


def _signed(key: Any, content_type: str, claims: dict[str, Any], header: dict | None, over: dict[str, Any]) -> bytes:
    claims = {name: value for name, value in {**claims, **over}.items() if value is not None}
    return sign1(key, {1: label_of(key), 3: content_type} | (header or {}), claims)


def approval(
    key: Any, operator: str, appliance: str, file: bytes, number: int | None, /, header: dict | None = None, **over
) -> bytes:
    """An operator's approval; `over` replaces claims, None leaves one away."""
    claims = {"file": file, "digest": sha256(file).digest(), "number": number, "operator": operator, "appliance": appliance}
    return _signed(key, GENESIS if number is None else CEREMONY, claims, header, over)


def countersignature(key: Any, appliance: str, file: bytes, /, header: dict | None = None, **over) -> bytes:
    """The root's word on a genesis file."""
    claims = {
        "time": 1, "digest": sha256(file).digest(), "appliance": appliance, "environment": "development",
        "permit_software_token": True,
    }  # fmt: skip
    return _signed(key, COUNTERSIGNATURE, claims, header, over)


def transcript(key: Any, appliance: str, number: int, digest: bytes, /, header: dict | None = None, **over) -> bytes:
    """What the log key signs at the end of a ceremony."""
    claims = {
        "keys": [{"key": "indicium 2 of ABCD0000000001", "digest": bytes(32)}], "begun": 1, "ended": 2, "lines": ["a key was made"],
        "steps": 1, "digest": digest, "number": number, "appliance": appliance, "approvers": ["anna"],
    }  # fmt: skip
    return _signed(key, TRANSCRIPT, claims, header, over)
