"""Owns what operators, the authority's root and the log key sign: approvals, countersignatures and transcripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from .cbor import decode, decode_any
from .claims import Shape, check_header, is_text, same, shaped
from .cose import label_of, read, verify, verify_by
from .keys import PublicKey, load
from .record import is_uint

_TYPE = "application/psdd-{}+cbor"
CEREMONY_APPROVAL, GENESIS_APPROVAL = _TYPE.format("ceremony-approval"), _TYPE.format("genesis-approval")
COUNTERSIGNATURE = _TYPE.format("genesis-countersignature")
TRANSCRIPT = _TYPE.format("ceremony-transcript")
_ENVIRONMENTS = ("development", "production")


def _is_bytes(value: Any) -> bool:
    return type(value) is bytes


def _is_digest(value: Any) -> bool:
    return type(value) is bytes and len(value) == 32


def _is_bool(value: Any) -> bool:
    return type(value) is bool


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and all(map(check, value))


def _is_key(value: Any) -> bool:
    if type(value) is not dict or value.keys() != {"key", "digest"}:
        return False
    return is_text(value["key"]) and _is_digest(value["digest"])


_APPROVAL: Shape = {"file": _is_bytes, "digest": _is_digest, "operator": is_text, "appliance": is_text}
_COUNTERSIGNATURE: Shape = {
    "time": is_uint, "digest": _is_digest, "appliance": is_text, "environment": is_text, "permit_software_token": _is_bool,
}  # fmt: skip
_TRANSCRIPT: Shape = {
    "keys": _list_of(_is_key), "begun": is_uint, "ended": is_uint, "lines": _list_of(is_text), "steps": is_uint,
    "digest": _is_digest, "number": is_uint, "appliance": is_text, "approvers": _list_of(is_text),
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """What is approved: the file as the record has it, its digest, and the number of a ceremony, which a birth has not."""

    appliance: str
    file: bytes
    digest: bytes
    number: int | None = None


def approver(data: bytes, subject: Subject, operators: dict[str, bytes]) -> str:
    """The operator who approves the subject by this message; ValueError otherwise."""
    message = read(data)
    birth = subject.number is None
    check_header(message, {1: -7, 3: GENESIS_APPROVAL if birth else CEREMONY_APPROVAL})
    claims = shaped(decode_any(message.payload), _APPROVAL if birth else {**_APPROVAL, "number": is_uint}, {})
    same("file", claims["file"], subject.file)
    same("digest", claims["digest"], sha256(claims["file"]).digest())
    same("digest", claims["digest"], subject.digest)
    same("appliance", claims["appliance"], subject.appliance)
    same("number", claims.get("number"), subject.number)
    name = claims["operator"]
    if name not in operators:
        raise ValueError(f"no operator is named {name!r:.80}")
    verify(message, load(operators[name]))
    return name


def check_countersignature(data: bytes, root: PublicKey, subject: Subject, environment: int) -> None:
    """Key 19 of kind 1: by the key of the authority's root over file, appliance and environment; ValueError otherwise."""
    message = read(data)
    check_header(message, {1: label_of(root), 3: COUNTERSIGNATURE})
    claims = shaped(decode_any(message.payload), _COUNTERSIGNATURE, {})
    verify_by(message, root)
    same("digest", claims["digest"], subject.digest)
    same("appliance", claims["appliance"], subject.appliance)
    same("environment", claims["environment"], _ENVIRONMENTS[environment])


def check_transcript(data: bytes, log: PublicKey, appliance: str, number: int, digest: bytes) -> None:
    """Key 10 of kind 22: by the log key over number and digest of the ceremony's kind 20; ValueError otherwise."""
    message = read(data)
    check_header(message, {1: label_of(log), 3: TRANSCRIPT})
    claims = shaped(decode(message.payload), _TRANSCRIPT, {})
    verify_by(message, log)
    same("number", claims["number"], number)
    same("digest", claims["digest"], digest)
    same("appliance", claims["appliance"], appliance)
