"""Owns the claims in the COSE messages of a ledger (daemon/wire/psdd.cddl) and what the record says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .amounts import mills
from .cbor import decode, decode_any
from .cose import Sign1, read, verify
from .keys import PublicKey
from .record import REASONS, is_policy, is_uint, periods_hold

_TYPE = "application/psdd-{}+cbor"
REQUEST_TYPE, VOID_TYPE = _TYPE.format("value-request"), _TYPE.format("value-void")
AUTHORISATION_TYPE = _TYPE.format("value-authorisation")
WITHDRAWAL_TYPE, REPORT_TYPE = _TYPE.format("withdrawal-request"), _TYPE.format("withdrawal-report")
ACKNOWLEDGEMENT_TYPE = _TYPE.format("withdrawal-acknowledgement")
INSTRUCTION_TYPE = _TYPE.format("instruction")

Shape = dict[str, Callable[[Any], bool]]


def is_text(value: Any) -> bool:
    """A text string."""
    return type(value) is str


def _is_16_bytes(value: Any) -> bool:
    return type(value) is bytes and len(value) == 16


def _is_map(value: Any) -> bool:
    return type(value) is dict


def _one_of(*texts: str) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and value in texts


_REQUEST: Shape = {
    "psd": is_text, "time": is_uint, "nonce": _is_16_bytes, "amount": is_text,
    "sequence": is_uint, "appliance": is_text, "registers": _is_map,
}  # fmt: skip
_REFUND: Shape = {"key": _is_16_bytes, "leaf": is_uint, "indicium": lambda value: type(value) is bytes}
_AUTHORISATION: Shape = {
    "psd": is_text, "amount": is_text, "expires": is_uint,
    "sequence": is_uint, "appliance": is_text, "control_total": is_text,
}  # fmt: skip
_LOCK: Shape = {
    "act": _one_of("lock", "unlock"), "psd": is_text, "expires": is_uint, "sequence": is_uint, "appliance": is_text,
}  # fmt: skip
_ACKNOWLEDGEMENT: Shape = {
    "act": _one_of("acknowledge"), "psd": is_text, "role": _one_of("indicium", "certification", "device"), "serial": is_uint,
    "expires": is_uint, "sequence": is_uint, "appliance": is_text,
}  # fmt: skip
_CEILING: Shape = {
    "act": _one_of("ceiling"), "period": _one_of("day", "month", "year"), "expires": is_uint,
    "licence": is_text, "sequence": is_uint, "appliance": is_text,
}  # fmt: skip


_PERIODS: Shape = {
    "act": _one_of("inspection-periods"), "expires": is_uint, "licence": is_text, "sequence": is_uint, "appliance": is_text,
}  # fmt: skip
_ACCEPTANCE: Shape = {
    "act": _one_of("accept-audit"), "psd": is_text, "digest": lambda value: type(value) is bytes and len(value) == 32,
    "expires": is_uint, "sequence": is_uint, "appliance": is_text,
}  # fmt: skip
_REVOCATION: Shape = {
    "act": _one_of("revoke-key"), "psd": is_text, "role": _one_of("indicium", "certification", "device"), "since": is_uint,
    "reason": _one_of(*REASONS), "serial": is_uint, "expires": is_uint, "sequence": is_uint, "appliance": is_text,
}  # fmt: skip
_CHANGE: Shape = {
    "act": _one_of("change-key"), "psd": is_text, "role": _one_of("indicium", "certification", "device", "token-mac", "postal-mac"),
    "expires": is_uint, "sequence": is_uint, "appliance": is_text,
}  # fmt: skip
_HOURS: Shape = {"warn": is_uint, "block": is_uint}
_BY_INSPECTION: dict[Any, tuple[Shape, Shape]] = {
    "acknowledge": (_ACKNOWLEDGEMENT, {}), "inspection-periods": (_PERIODS, _HOURS), "accept-audit": (_ACCEPTANCE, {}),
    "revoke-key": (_REVOCATION, {}), "change-key": (_CHANGE, {}),
}  # fmt: skip


_POLICY: Shape = {
    "act": _one_of("policy"), "text": is_policy, "expires": is_uint, "version": is_uint, "sequence": is_uint, "appliance": is_text,
}  # fmt: skip


def shaped(claims: Any, shape: Shape, optional: Shape) -> dict[str, Any]:
    """Claims of these names and shapes; ValueError otherwise."""
    if type(claims) is not dict or not shape.keys() <= claims.keys() <= shape.keys() | optional.keys():
        raise ValueError("claims are not those of the contract")
    for name, value in claims.items():
        if not {**shape, **optional}[name](value):
            raise ValueError(f"claim {name}: {value!r:.60}")
    return claims


def check_header(message: Sign1, wanted: dict[int, Any]) -> None:
    """The protected header has exactly these entries; ValueError otherwise."""
    if message.header != wanted:
        raise ValueError(f"protected header {message.header!r:.120}")


def same(name: str, claimed: Any, wanted: Any) -> None:
    """A claim is what the record says; ValueError otherwise."""
    if claimed != wanted:
        raise ValueError(f"claim {name} {claimed!r:.60} is not {wanted!r:.60}")


def _same_value(claims: dict[str, Any], record: dict[int, Any], appliance: str) -> None:
    same("psd", claims["psd"], record[3])
    same("appliance", claims["appliance"], appliance)
    same("sequence", claims["sequence"], record[9])
    same("amount", mills(claims["amount"]), record[10])


def _not_expired(claims: dict[str, Any], time: int) -> None:
    if claims["expires"] < time:
        raise ValueError(f"expired at {claims['expires']}, taken at {time}")


def check_statement(
    data: bytes, keys: list[PublicKey], content_type: str, record: dict[int, Any], appliance: str,
    refund: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Kinds 6, 11, 14 and the report of 15: by one of these device keys, over the record and `refund`; ValueError otherwise."""
    message = read(data)
    check_header(message, {1: -7, 3: content_type})
    shape = _REQUEST if refund is None else {**_REQUEST, "refund": _is_map}
    claims = shaped(decode(message.payload), shape, {})
    verify(message, *keys)
    _same_value(claims, record, appliance)
    if claims["time"] > record[1]:
        raise ValueError(f"claim time {claims['time']} is after the record's {record[1]}")
    same("registers", registers_of(claims["registers"]), record[5])
    if refund is not None:
        said = shaped(claims["refund"], _REFUND, {})
        for name, wanted in refund.items():
            same(f"refund {name}", said[name], wanted)


def check_authorisation(
    data: bytes, authority: tuple[bytes, PublicKey], content_type: str, record: dict[int, Any], appliance: str,
    refund: int | None = None,
) -> None:  # fmt: skip
    """Kinds 7, 13 and 15: by the funds key whose certificate is in x5chain, over what the record says; ValueError otherwise."""
    certificate, key = authority
    message = read(data)
    check_header(message, {1: -7, 3: content_type, 33: certificate})
    claims = shaped(decode_any(message.payload), _AUTHORISATION if refund is None else {**_AUTHORISATION, "refund": is_uint}, {})
    verify(message, key)
    _same_value(claims, record, appliance)
    same("control_total", mills(claims["control_total"]), record[5][2])
    _not_expired(claims, record[1])
    if refund is not None:
        same("refund", claims["refund"], refund)


def instruction_claims(data: bytes, *, ceiling: bool, inspection: bool) -> tuple[Sign1, dict[str, Any]]:
    """A message of kind 17 and its claims, unverified; the amount of a ceiling is in mills; ValueError otherwise.

    A key that sets ceilings sets the authority's policy as well. One that does not sets locks, and where `inspection` says so acknowledges and
    revokes keys and has them change, sets periods of inspection and accepts audit reports.
    """
    message = read(data)
    claims = decode_any(message.payload)
    act = claims.get("act") if type(claims) is dict else None
    if inspection and type(act) is str and act in _BY_INSPECTION:
        claims = shaped(claims, *_BY_INSPECTION[act])
        hours = [claims[name] for name in _HOURS if name in claims]
        if hours and not (len(hours) == 2 and periods_hold(*hours)):
            raise ValueError(f"periods of {hours} hours")
    elif ceiling and act == "policy":
        claims = shaped(claims, _POLICY, {})
    elif ceiling:
        claims = dict(shaped(claims, _CEILING, {"amount": is_text}))
        if "amount" in claims:
            claims["amount"] = mills(claims["amount"])
    else:
        claims = shaped(claims, _LOCK, {})
    return message, claims


def check_instruction(
    message: Sign1, claims: dict[str, Any], authority: tuple[bytes, PublicKey], record: dict[int, Any], appliance: str
) -> None:
    """Kind 17: by the key whose certificate stands in x5chain, to this appliance, in time; ValueError otherwise."""
    certificate, key = authority
    check_header(message, {1: -7, 3: INSTRUCTION_TYPE, 33: certificate})
    verify(message, key)
    same("appliance", claims["appliance"], appliance)
    same("sequence", claims["sequence"], record[9])
    _not_expired(claims, record[1])
    if claims.get("since", 0) > record[1]:
        raise ValueError(f"claim since {claims['since']} is after the record's {record[1]}")


def registers_of(value: Any) -> list[int]:
    """Registers of the wire contract in the order of record key 5; ValueError otherwise."""
    if type(value) is not dict or value.keys() != {"pieces", "ascending", "descending", "control_total"}:
        raise ValueError("registers are not those of the contract")
    if not is_uint(value["pieces"]):
        raise ValueError(f"pieces {value['pieces']!r:.40}")
    return [mills(value[name]) for name in ("ascending", "descending", "control_total")] + [value["pieces"]]
