"""Owns COSE_Sign1 as records hold it: reading it strictly, and its signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .cbor import decode, encode
from .keys import ECDSA_P256, ECDSA_P384, ED25519, PublicKey, algorithm_of, verifies

_LABELS = {ECDSA_P256: -7, ED25519: -8, ECDSA_P384: -35}  # RFC 9053: ES256, EdDSA, ES384


@dataclass(frozen=True)
class Sign1:
    """The parts of a COSE_Sign1 that was read strictly."""

    protected: bytes
    header: dict[Any, Any]
    payload: bytes
    signature: bytes


def read(message: bytes) -> Sign1:
    """A tagged, deterministic COSE_Sign1 with embedded payload and no unprotected header; ValueError otherwise."""
    if message[:1] != b"\xd2":
        raise ValueError("no tag 18")
    parts = decode(message[1:])
    if type(parts) is not list or len(parts) != 4:
        raise ValueError("not an array of four")
    protected, unprotected, payload, signature = parts
    if not all(type(part) is bytes for part in (protected, payload, signature)):
        raise ValueError("protected header, payload or signature is no byte string")
    if unprotected != {} or type(unprotected) is not dict:
        raise ValueError("unprotected header is not empty")
    header = decode(protected)
    if type(header) is not dict:
        raise ValueError("protected header is no map")
    return Sign1(protected, header, payload, signature)


def verify(message: Sign1, *keys: PublicKey) -> None:
    """ES256 by one of the keys over the Sig_structure of RFC 9052 section 4.4 without external data; ValueError otherwise."""
    es256 = [key for key in keys if algorithm_of(key) == ECDSA_P256]
    if not es256:
        raise ValueError("the key is not of ES256")
    if not any(verifies(key, message.signature, _signed(message)) for key in es256):
        raise ValueError("signature does not verify")


def label_of(key: PublicKey) -> int:
    """The algorithm in the protected header of what this key signs."""
    return _LABELS[algorithm_of(key)]


def verify_by(message: Sign1, key: PublicKey) -> None:
    """As `verify`, by the one key with the algorithm that is the key's; ValueError otherwise."""
    if not verifies(key, message.signature, _signed(message)):
        raise ValueError("signature does not verify")


def _signed(message: Sign1) -> bytes:
    return encode(["Signature1", message.protected, b"", message.payload])
