"""Owns the shape of records: kinds, their keys, and the type and range of every value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

GENESIS, KEY_CREATED, PSD_CREATED, CERTIFICATE, LIFECYCLE = 1, 2, 3, 4, 5
VALUE_REQUESTED, VALUE_APPLIED, STATE_DIGEST, STARTED, REFUSALS = 6, 7, 8, 9, 10
VALUE_VOIDED, AUTHORITY_KEY, INDICIUM = 11, 12, 16

LOCK_BITS = 1 | 2 | 4 | 8 | 16 | 32
LARGEST_RECORD = 65_535
_PSD_ID = re.compile(r"[A-Z0-9]{4}[0-9]{10}")
_UINT64 = 1 << 64

Check = Callable[[Any], bool]


def is_uint(value: Any) -> bool:
    """An unsigned CBOR integer (a bool is none)."""
    return type(value) is int and 0 <= value < _UINT64


def _text(value: Any) -> bool:
    return type(value) is str and value != ""


def _bytes(value: Any) -> bool:
    return type(value) is bytes and value != b""


def _exactly(length: int) -> Check:
    return lambda value: type(value) is bytes and len(value) == length


def _one_of(*values: int) -> Check:
    return lambda value: type(value) is int and value in values


def _below(limit: int) -> Check:
    return lambda value: type(value) is int and 0 <= value < limit


def _positive(value: Any) -> bool:
    return type(value) is int and 0 < value < _UINT64


def _uints(count: int) -> Check:
    return lambda value: type(value) is list and len(value) == count and all(map(is_uint, value))


def _byte_strings(least: int) -> Check:
    return lambda value: type(value) is list and len(value) >= least and all(map(_bytes, value))


def _clock(value: Any) -> bool:
    return type(value) is list and len(value) == 3 and all(map(is_uint, value)) and value[0] in (1, 2, 3)


def _psd_id(value: Any) -> bool:
    return type(value) is str and _PSD_ID.fullmatch(value) is not None


def _reference(value: Any) -> bool:
    return type(value) is str and 1 <= len(value.encode()) <= 64


def _zips(value: Any) -> bool:
    return type(value) is list and len(value) == 2 and all(map(_below(100_000), value)) and value[0] <= value[1]


_registers = _uints(4)
_COMMON: dict[int, Check] = {0: is_uint, 1: is_uint, 2: _clock}
_OF_PSD: dict[int, Check] = {3: _psd_id, 4: _positive, 5: _registers}

KINDS: dict[int, dict[int, Check]] = {
    GENESIS: {
        8: _text, 9: _one_of(0, 1), 10: _byte_strings(0), 11: is_uint, 12: _bytes, 13: _bytes, 14: _bytes, 15: _text,
    },
    KEY_CREATED: {8: _bytes, 9: _one_of(1, 2, 3, 4, 5), 10: _one_of(1, 2), 11: _text, 12: _bytes},
    PSD_CREATED: {8: _text, 9: _text, 10: _below(1 << 32), 11: _text, 12: _exactly(6), 13: _uints(3)},
    CERTIFICATE: {8: _bytes, 9: _below(1 << 32), 10: _byte_strings(1)},
    LIFECYCLE: {8: _one_of(1, 2, 3, 4, 5), 9: _below(LOCK_BITS + 1)},
    VALUE_REQUESTED: {8: _text, 9: _positive, 10: _positive, 11: _bytes},
    VALUE_APPLIED: {8: _text, 9: _positive, 10: _positive, 11: _bytes},
    STATE_DIGEST: {8: _exactly(32), 9: is_uint},
    STARTED: {8: _text, 9: _exactly(16)},
    REFUSALS: {8: _text, 9: _text, 10: _positive},
    VALUE_VOIDED: {8: _text, 9: _positive, 10: _positive, 11: _bytes},
    AUTHORITY_KEY: {8: _one_of(1, 2, 3), 9: _bytes},
    INDICIUM: {8: _text, 9: _exactly(16), 10: _exactly(32), 11: is_uint, 12: _bytes},
}
_OPTIONAL: dict[int, dict[int, Check]] = {
    PSD_CREATED: {15: _zips},
    INDICIUM: {13: _exactly(32), 14: _reference, 15: is_uint},
}

ALWAYS_PSD = frozenset(
    {KEY_CREATED, PSD_CREATED, CERTIFICATE, LIFECYCLE, VALUE_REQUESTED, VALUE_APPLIED, VALUE_VOIDED, INDICIUM}
)
NEVER_PSD = frozenset({GENESIS, STATE_DIGEST, STARTED, REFUSALS, AUTHORITY_KEY})

Fault = tuple[str, str]
_NONE: dict[int, Check] = {}


def _plans() -> dict[tuple[int, bool], tuple[frozenset[int], dict[int, Check]]]:
    plans = {}
    for kind, further in KINDS.items():
        for of_psd in (False, True):
            required = {**_COMMON, **(_OF_PSD if of_psd else _NONE), **further}
            plans[kind, of_psd] = frozenset(required), {**required, **_OPTIONAL.get(kind, _NONE)}
    return plans


_PLANS = _plans()


def shape_fault(record: Any) -> Fault | None:
    """The first thing about the shape of a decoded record that does not hold, as (code, message)."""
    if type(record) is not dict:
        return "cbor", f"record is {type(record).__name__}, not a map"
    kind = record.get(0)
    if not is_uint(kind) or kind not in KINDS:
        return "kind", f"kind {kind!r:.40} is not known"
    of_psd = 3 in record
    if of_psd and kind in NEVER_PSD:
        return "owner", f"kind {kind} carries a device ID"
    if not of_psd and kind in ALWAYS_PSD:
        return "owner", f"kind {kind} carries no device ID"
    required, checks = _PLANS[kind, of_psd]
    if not required <= record.keys():
        return "keys", f"kind {kind} lacks key {min(required - record.keys())}"
    for key, value in record.items():
        check = checks.get(key) if type(key) is int else None
        if check is None:
            return "keys", f"kind {kind} has a key {key!r:.40}"
        if not check(value):
            return "value", f"kind {kind}, key {key}: {value!r:.80}"
    return None
