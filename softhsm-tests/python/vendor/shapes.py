"""Owns the shapes of responses as daemon/wire/psdd.cddl writes them, and comparing a body with one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from psdd_checker.amounts import mills

from .errors import Failure

Shape = Callable[[Any, str], None]


def _fail(where: str, value: Any, wanted: str) -> None:
    raise Failure(f"{where}: {value!r:.80} is not {wanted}")


def uint(value: Any, where: str) -> None:
    """An unsigned integer."""
    if type(value) is not int or value < 0:
        _fail(where, value, "uint")


def tstr(value: Any, where: str) -> None:
    """Text."""
    if type(value) is not str:
        _fail(where, value, "tstr")


def bstr(value: Any, where: str) -> None:
    """Bytes."""
    if type(value) is not bytes:
        _fail(where, value, "bstr")


def boolean(value: Any, where: str) -> None:
    """True or false."""
    if type(value) is not bool:
        _fail(where, value, "bool")


def amount(value: Any, where: str) -> None:
    """Decimal text no finer than 0.001."""
    try:
        mills(value)
    except ValueError:
        _fail(where, value, "amount")


def psd_id(value: Any, where: str) -> None:
    """A device ID."""
    if type(value) is not str or re.fullmatch(r"[A-Z0-9]{4}[0-9]{7,10}", value) is None:
        _fail(where, value, "psd-id")


def key(value: Any, where: str) -> None:
    """An idempotency key."""
    if type(value) is not bytes or len(value) != 16:
        _fail(where, value, "piece-key")


def choice(*names: str) -> Shape:
    """One of these texts."""
    return lambda value, where: None if value in names else _fail(where, value, " / ".join(names))


def array(item: Shape) -> Shape:
    """An array of one shape."""

    def holds(value: Any, where: str) -> None:
        if type(value) is not list:
            _fail(where, value, "array")
        for place, element in enumerate(value):
            item(element, f"{where}[{place}]")

    return holds


def struct(**fields: Shape) -> Shape:
    """A map of exactly these keys; a trailing underscore marks an optional one."""
    return table({name.rstrip("_"): shape for name, shape in fields.items()}, {n[:-1] for n in fields if n.endswith("_")})


def table(shapes: dict[Any, Shape], optional: set[Any]) -> Shape:
    """A map of exactly these keys, of which some are optional."""

    def holds(value: Any, where: str) -> None:
        if type(value) is not dict:
            _fail(where, value, "map")
        for name in shapes.keys() - optional - value.keys():
            raise Failure(f"{where}: no {name}")
        for name, element in value.items():
            if name not in shapes:
                raise Failure(f"{where}: surplus key {name!r}")
            shapes[name](element, f"{where}.{name}")

    return holds


registers = struct(pieces=uint, ascending=amount, descending=amount, control_total=amount)
clock = struct(time=uint, epoch=uint, source=choice("token", "host", "development"), error_ms=uint)
value_request = struct(
    psd=psd_id,
    amount=amount,
    purpose=choice("download", "refund", "withdrawal"),
    request=bstr,
    sequence=uint,
)
psd_view = struct(
    psd=psd_id,
    zips_=array(tstr),
    clock_=clock,
    locks=array(tstr),
    state=choice("initialised", "authorised", "active", "withdrawn", "scrapped"),
    value=struct(ended=uint, pending_=value_request),
    format=tstr,
    limits=struct(
        largest_refill=amount,
        largest_postage=amount,
        smallest_refill=amount,
        smallest_postage=amount,
        largest_descending=amount,
    ),
    licence=tstr,
    currency=tstr,
    sequence=uint,
    registers=registers,
    certificate_=uint,
)
psd_response = struct(psd=psd_view, checkpoint_=tstr)
psds_response = struct(psds=array(psd_view), checkpoint_=tstr)
key_view = struct(
    role=tstr, spki=bstr, chain=array(bstr), key_id=bstr, serial_=uint, algorithm=choice("ecdsa-p256", "ed25519")
)
certificates_response = struct(psd=psd_id, keys=array(key_view), checkpoint_=tstr, authority_root=bstr)
appliance_response = struct(
    origin=tstr,
    version=tstr,
    log_spki=bstr,
    appliance=tstr,
    checkpoint_=tstr,
    environment=choice("development", "production"),
    authority_root=bstr,
)
signed_piece = struct(
    key=key, psd=psd_id, leaf=uint, time=uint, token_=tstr, indicium=bstr, sequence=uint, registers=registers
)
FACTS = "tag:psdd,2026:problem"
problem = table(
    {-1: tstr, -2: tstr, FACTS: struct(code=tstr, retry=boolean, retry_after_ms_=uint)},
    {-2},
)
refused_piece = struct(key=bstr, problem=problem)


def sign_result(value: Any, where: str) -> None:
    """A signed or a refused piece."""
    (refused_piece if type(value) is dict and "problem" in value else signed_piece)(value, where)


sign_response = struct(results=array(sign_result), checkpoint_=tstr)
piece_response = struct(piece=signed_piece, checkpoint_=tstr)
