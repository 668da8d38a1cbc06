"""Owns the COSE_Sign1 messages of kinds 6, 7 and 11 and the claims in them (daemon/wire/psdd.cddl)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .amounts import mills
from .cbor import decode, decode_any, encode
from .keys import ECDSA_P256, PublicKey, algorithm_of, verifies
from .record import is_uint

REQUEST_TYPE = "application/psdd-value-request+cbor"
VOID_TYPE = "application/psdd-value-void+cbor"
AUTHORISATION_TYPE = "application/psdd-value-authorisation+cbor"


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


def verify(message: Sign1, key: PublicKey) -> None:
    """ES256 over the Sig_structure of RFC 9052 section 4.4 without external data; ValueError otherwise."""
    if algorithm_of(key) != ECDSA_P256:
        raise ValueError("the key is not of ES256")
    signed = encode(["Signature1", message.protected, b"", message.payload])
    if not verifies(key, message.signature, signed):
        raise ValueError("signature does not verify")


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_nonce(value: Any) -> bool:
    return type(value) is bytes and len(value) == 16


_REQUEST: dict[str, Callable[[Any], bool]] = {
    "psd": _is_text, "time": is_uint, "nonce": _is_nonce, "amount": _is_text,
    "sequence": is_uint, "appliance": _is_text, "registers": lambda value: type(value) is dict,
}
_AUTHORISATION: dict[str, Callable[[Any], bool]] = {
    "psd": _is_text, "amount": _is_text, "expires": is_uint,
    "sequence": is_uint, "appliance": _is_text, "control_total": _is_text,
}


def _claims(
    message: Sign1, header: dict[Any, Any], shape: dict[str, Callable[[Any], bool]], read: Callable[[bytes], Any]
) -> dict[str, Any]:
    if message.header != header:
        raise ValueError(f"protected header {message.header!r:.120}")
    claims = read(message.payload)
    if type(claims) is not dict or claims.keys() != shape.keys():
        raise ValueError("claims are not those of the contract")
    for name, holds in shape.items():
        if not holds(claims[name]):
            raise ValueError(f"claim {name}: {claims[name]!r:.60}")
    return claims


def _same(name: str, claimed: Any, wanted: Any) -> None:
    if claimed != wanted:
        raise ValueError(f"claim {name} {claimed!r:.60} is not {wanted!r:.60}")


def check_statement(
    data: bytes, key: PublicKey, content_type: str, *,
    psd: str, appliance: str, number: int, amount: int, registers: list[int], time: int,
) -> None:  # fmt: skip
    """Kinds 6 and 11: by the device key, over exactly what the record says; ValueError otherwise."""
    message = read(data)
    claims = _claims(message, {1: -7, 3: content_type}, _REQUEST, decode)
    verify(message, key)
    _same("psd", claims["psd"], psd)
    _same("appliance", claims["appliance"], appliance)
    _same("sequence", claims["sequence"], number)
    _same("amount", mills(claims["amount"]), amount)
    if claims["time"] > time:
        raise ValueError(f"claim time {claims['time']} is after the record's {time}")
    _same("registers", registers_of(claims["registers"]), registers)


def check_authorisation(
    data: bytes, key: PublicKey, certificate: bytes, *,
    psd: str, appliance: str, number: int, amount: int, control_total: int, time: int,
) -> None:  # fmt: skip
    """Kind 7: by the funds key whose certificate stands in x5chain, over what the record says; ValueError otherwise."""
    message = read(data)
    claims = _claims(message, {1: -7, 3: AUTHORISATION_TYPE, 33: certificate}, _AUTHORISATION, decode_any)
    verify(message, key)
    _same("psd", claims["psd"], psd)
    _same("appliance", claims["appliance"], appliance)
    _same("sequence", claims["sequence"], number)
    _same("amount", mills(claims["amount"]), amount)
    _same("control_total", mills(claims["control_total"]), control_total)
    if claims["expires"] < time:
        raise ValueError(f"expired at {claims['expires']}, applied at {time}")


def registers_of(value: Any) -> list[int]:
    """Registers of the wire contract in the order of record key 5; ValueError otherwise."""
    if type(value) is not dict or value.keys() != {"pieces", "ascending", "descending", "control_total"}:
        raise ValueError("registers are not those of the contract")
    if not is_uint(value["pieces"]):
        raise ValueError(f"pieces {value['pieces']!r:.40}")
    return [mills(value[name]) for name in ("ascending", "descending", "control_total")] + [value["pieces"]]
