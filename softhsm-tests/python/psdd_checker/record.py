"""Owns the shape of records: kinds, their keys, and the type and range of every value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Any

from .keys import HMAC_SHA256

GENESIS, KEY_CREATED, PSD_CREATED, CERTIFICATE, LIFECYCLE = 1, 2, 3, 4, 5
VALUE_REQUESTED, VALUE_APPLIED, STATE_DIGEST, STARTED, REFUSALS = 6, 7, 8, 9, 10
VALUE_VOIDED, AUTHORITY_KEY, REFUNDED, WITHDRAWAL_REQUESTED, WITHDRAWN = 11, 12, 13, 14, 15
INDICIUM, INSTRUCTION, CEILING, KEY_STATE = 16, 17, 18, 19
CEREMONY_BEGUN, CEREMONY_STEP, CEREMONY_ENDED, OPERATORS, REVOKED = 20, 21, 22, 23, 24
INSPECTION_PERIODS, AUDIT_ACCEPTED, KEY_CHANGE, AUTHORITY_POLICY, CERTIFICATION = 25, 26, 27, 28, 29
RUN_OPENED, RUN_CLOSED = 30, 31
RATES_TAKEN, SCALE_REGISTERED, SCALE_REMOVED = 32, 33, 34

ACTIVATED, RETIRED, DESTROYED, KEY_REVOKED, ACKNOWLEDGED = 1, 2, 3, 4, 5  # steps of kind 19
DONE, GIVEN_UP = 1, 2  # ends of kind 22
REASONS = {
    "unspecified": 0, "keyCompromise": 1, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5,
    "privilegeWithdrawn": 9,
}  # CRLReason of RFC 5280 section 5.3.1, without a hold  # fmt: skip
OPERATOR, CLIENT, ACCOUNT = 1, 2, 3  # whom kind 24 revokes
ROLE_INDICIUM, ROLE_CERTIFICATION, ROLE_MAC, ROLE_DEVICE, ROLE_LOG, ROLE_POSTAL_MAC = 1, 2, 3, 4, 5, 6
MAC_ROLES = (ROLE_MAC, ROLE_POSTAL_MAC)

IBI, VOUCHER = "ibi", "voucher"
FORMATS = (IBI, VOUCHER)
LOCK_BITS = 1 | 2 | 4 | 8 | 16 | 32
MOST_ZIPS, MOST_ANNOUNCED, MOST_TARIFFS = 10_000, 1_000_000, 16  # of a run
LARGEST_RECORD = 65_535
LONGEST_POLICY = 24 * 1_024
LARGEST_AMOUNT = (1 << 63) - 1
_PSD_ID = re.compile(r"[A-Z0-9]{4}[0-9]{10}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
_UINT64, _UINT32 = 1 << 64, 1 << 32

Check = Callable[[Any], bool]


def is_uint(value: Any) -> bool:
    """An unsigned CBOR integer (a bool is none)."""
    return type(value) is int and 0 <= value < _UINT64


def _text(value: Any) -> bool:
    return type(value) is str and value != ""


def is_policy(value: Any) -> bool:
    """The text of a policy of the authority, which may be empty."""
    return type(value) is str and len(value.encode()) <= LONGEST_POLICY


def _name(value: Any) -> bool:
    return type(value) is str and _NAME.fullmatch(value) is not None


def _bytes(value: Any) -> bool:
    return type(value) is bytes and value != b""


def _any_bytes(value: Any) -> bool:
    return type(value) is bytes


def _exactly(length: int) -> Check:
    return lambda value: type(value) is bytes and len(value) == length


def _one_of(*values: int) -> Check:
    return lambda value: type(value) is int and value in values


def _below(limit: int) -> Check:
    return lambda value: type(value) is int and 0 <= value < limit


def _positive(value: Any) -> bool:
    return type(value) is int and 0 < value < _UINT64


def _amount(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_AMOUNT


def _some(value: Any) -> bool:
    return _amount(value) and value > 0


def _amounts(count: int) -> Check:
    return lambda value: type(value) is list and len(value) == count and all(map(_amount, value))


def _uints(least: int, most: int) -> Check:
    return lambda value: type(value) is list and least <= len(value) <= most and all(map(is_uint, value))


def _iso_day(value: Any) -> bool:
    if type(value) is not str or _DAY.fullmatch(value) is None:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _byte_strings(least: int) -> Check:
    return lambda value: type(value) is list and len(value) >= least and all(map(_bytes, value))


def _name_bytes(value: Any) -> bool:
    return type(value) is bytes and value.isascii() and _NAME.fullmatch(value.decode("ascii")) is not None


def _names(value: Any) -> bool:
    return type(value) is list and all(map(_name_bytes, value))


def _clock(value: Any) -> bool:
    return type(value) is list and len(value) == 3 and all(map(_below(_UINT32), value)) and value[0] in (1, 2, 3)


def _psd_id(value: Any) -> bool:
    return type(value) is str and _PSD_ID.fullmatch(value) is not None and int(value[4:]) < _UINT32


def _format(value: Any) -> bool:
    return type(value) is str and value in FORMATS


def _currency(value: Any) -> bool:
    return type(value) is str and _CURRENCY.fullmatch(value) is not None


def _locks(value: Any) -> bool:
    return type(value) is int and value >= 0 and value & ~LOCK_BITS == 0


def _zips(value: Any) -> bool:
    return type(value) is list and len(value) == 2 and all(map(_below(100_000), value)) and value[0] <= value[1]


def _day(value: Any) -> bool:
    """A day of the calendar as the number YYYYMMDD, in the years 2000 to 2999."""
    if type(value) is not int or not 2000_00_00 <= value < 3000_00_00:
        return False
    try:
        date(value // 10_000, value // 100 % 100, value % 100)
    except ValueError:
        return False
    return True


def _days(value: Any) -> bool:
    return type(value) is list and len(value) == 2 and all(map(_day, value)) and value[0] <= value[1]


def _line(value: Any) -> bool:
    return type(value) is str and 1 <= len(value) <= 80 and all(unicodedata.category(c) != "Cc" for c in value)


def _loads(value: Any) -> bool:
    """Capacity, minimum and resolution of a scale, in milligrams."""
    if type(value) is not list or len(value) != 3 or not all(map(is_uint, value)):
        return False
    capacity, minimum, resolution = value
    return resolution > 0 and 0 < capacity < 1 << 63 and capacity % resolution == 0 and minimum <= capacity


def _reference(value: Any) -> bool:
    return type(value) is str and 1 <= len(value.encode()) <= 64


def _registers(value: Any) -> bool:
    return type(value) is list and len(value) == 4 and all(map(_amount, value[:3])) and is_uint(value[3])


def periods_hold(warn: int, block: int) -> bool:
    """Whether hours to a warning and to a lock are such that the authority may set."""
    return 72 <= block <= 2880 and 1 <= warn < block


_COMMON: dict[int, Check] = {0: is_uint, 1: is_uint, 2: _clock}
_OF_PSD: dict[int, Check] = {3: _psd_id, 4: _positive, 5: _registers}

_reason = _one_of(*REASONS.values())
_VALUE: dict[int, Check] = {8: _name, 9: _positive, 10: _some, 11: _bytes}

KINDS: dict[int, dict[int, Check]] = {
    GENESIS: {
        8: _name,
        9: _one_of(0, 1),
        10: _byte_strings(0),
        11: is_uint,
        12: _bytes,
        13: _bytes,
        14: _bytes,
        15: _text,
        16: _names,
        17: _any_bytes,
        18: _byte_strings(0),
        19: _any_bytes,
        20: _byte_strings(0),
    },
    KEY_CREATED: {8: _bytes, 9: _one_of(1, 2, 3, 4, 5, 6), 10: _one_of(1, 2, 3, 4), 11: _text, 12: _bytes},
    PSD_CREATED: {
        8: _name,
        9: _name,
        10: _below(_UINT32),
        11: _format,
        12: _exactly(6),
        13: _amounts(5),
        14: _currency,
    },
    CERTIFICATE: {8: _bytes, 9: _below(_UINT32), 10: _byte_strings(1)},
    LIFECYCLE: {8: _one_of(1, 2, 3, 4, 5), 9: _locks},
    VALUE_REQUESTED: _VALUE,
    VALUE_APPLIED: {**_VALUE, 12: _amounts(3)},
    STATE_DIGEST: {8: _exactly(32), 9: is_uint},
    STARTED: {8: _text, 9: _exactly(16)},
    REFUSALS: {8: _name, 9: _text, 10: _positive},
    VALUE_VOIDED: _VALUE,
    AUTHORITY_KEY: {8: _one_of(1, 2, 3), 9: _bytes},
    REFUNDED: {**_VALUE, 12: is_uint, 13: _amount},
    WITHDRAWAL_REQUESTED: {**_VALUE, 10: _amount},
    WITHDRAWN: {**_VALUE, 10: _amount, 12: _bytes},
    INDICIUM: {8: _name, 9: _exactly(16), 10: _exactly(32), 11: _amount, 12: _bytes},
    INSTRUCTION: {8: _one_of(1, 2, 3), 9: is_uint, 10: _bytes},
    CEILING: {8: _name, 9: _one_of(1, 2, 3)},
    KEY_STATE: {8: _bytes, 9: _one_of(ACTIVATED, RETIRED, DESTROYED, KEY_REVOKED, ACKNOWLEDGED), 10: is_uint},
    CEREMONY_BEGUN: {8: is_uint, 9: _exactly(32), 10: _bytes, 11: _byte_strings(0)},
    CEREMONY_STEP: {8: is_uint, 9: is_uint, 10: _text},
    CEREMONY_ENDED: {8: is_uint, 9: _one_of(DONE, GIVEN_UP)},
    OPERATORS: {8: _names, 9: _byte_strings(0), 10: is_uint},
    REVOKED: {8: _one_of(OPERATOR, CLIENT, ACCOUNT), 9: _name, 11: is_uint, 12: _reason},
    INSPECTION_PERIODS: {8: _name},
    AUDIT_ACCEPTED: {8: _exactly(32)},
    KEY_CHANGE: {8: _one_of(ROLE_INDICIUM, ROLE_CERTIFICATION, ROLE_MAC, ROLE_DEVICE, ROLE_POSTAL_MAC)},
    AUTHORITY_POLICY: {8: _positive, 9: is_policy},
    CERTIFICATION: {8: _name, 9: _exactly(16), 10: _exactly(32), 11: _amount, 12: _bytes},
    RUN_OPENED: {
        8: _name,
        9: _name,
        10: _exactly(32),
        11: _iso_day,
        12: _name,
        13: is_uint,
        14: _exactly(32),
        15: _name,
        16: _names,
        17: _uints(1, MOST_ZIPS),
        18: _uints(1, MOST_ZIPS),
        19: _bytes,
    },
    RUN_CLOSED: {
        8: _name,
        9: _name,
        10: is_uint,
        11: _amount,
        12: _amount,
        13: _amount,
        14: _uints(1, MOST_ZIPS),
        15: _bytes,
    },
    RATES_TAKEN: {8: _name, 9: is_uint, 10: _exactly(32), 11: _day},
    SCALE_REGISTERED: {
        8: _name,
        9: _line,
        10: _line,
        11: _days,
        12: _loads,
        13: _line,
        14: _line,
        15: _line,
        16: _one_of(0, 1, 2),
    },
    SCALE_REMOVED: {8: _name},
}
_OPTIONAL: dict[int, dict[int, Check]] = {
    KEY_CREATED: {13: _exactly(32)},
    PSD_CREATED: {15: _zips},
    VALUE_REQUESTED: {12: is_uint, 13: _amount},
    INDICIUM: {13: _exactly(32), 14: _reference, 15: is_uint, 16: _text},
    CEILING: {10: _amount},
    KEY_STATE: {11: _reason},
    CEREMONY_ENDED: {10: _bytes},
    REVOKED: {10: _text},
    INSPECTION_PERIODS: {9: _positive, 10: _positive},
    CERTIFICATION: {14: _reference, 15: _psd_id, 16: _amount, 17: _name, 18: _uints(1, MOST_TARIFFS)},
    RATES_TAKEN: {12: _day},
    SCALE_REGISTERED: {17: _any_bytes},
}

NEVER_PSD = frozenset({
    GENESIS, STATE_DIGEST, STARTED, REFUSALS, AUTHORITY_KEY, INSTRUCTION, CEILING,
    CEREMONY_BEGUN, CEREMONY_STEP, CEREMONY_ENDED, OPERATORS, REVOKED, INSPECTION_PERIODS,
    AUTHORITY_POLICY, RATES_TAKEN, SCALE_REGISTERED, SCALE_REMOVED,
})  # fmt: skip
ALWAYS_PSD = frozenset(KINDS) - NEVER_PSD

Fault = tuple[str, str]
Record = dict[int, Any]


def _only_with(key: int, decides: int, *values: int) -> Callable[[Record], Fault | None]:
    """An optional key stands with these values of another key, and with no others."""

    def fault(record: Record) -> Fault | None:
        if (key in record) == (record[decides] in values):
            return None
        has = "has" if key in record else "lacks"
        return "keys", f"kind {record[0]} {has} key {key} where key {decides} is {record[decides]}"

    return fault


def _as_many(names: int, keys: int) -> Callable[[Record], Fault | None]:
    """Names and keys of operators belong together."""

    def fault(record: Record) -> Fault | None:
        if len(record[names]) == len(record[keys]):
            return None
        return "value", f"kind {record[0]}: {len(record[names])} names of {len(record[keys])} operator keys"

    return fault


def _check_value(record: Record) -> Fault | None:
    """A secret key has one of two roles and the one algorithm, and in place of a public key its check value."""
    secret = record[9] in MAC_ROLES
    if secret != (record[10] == HMAC_SHA256):
        return "value", f"kind {KEY_CREATED}, key 10: algorithm {record[10]} for role {record[9]}"
    if secret and len(record[12]) != 32:
        return "value", f"kind {KEY_CREATED}, key 12: a check value of {len(record[12])} bytes"
    return None


def _no_transcript(record: Record) -> Fault | None:
    surplus = 10 in record and record[9] == GIVEN_UP
    return ("keys", f"kind {CEREMONY_ENDED} has key 10 though it was given up") if surplus else None


def _periods(record: Record) -> Fault | None:
    """Both periods or neither, and within their bounds."""
    if (9 in record) != (10 in record):
        return "keys", f"kind {INSPECTION_PERIODS} has one of keys 9 and 10"
    if 9 in record and not periods_hold(record[9], record[10]):
        return "value", f"kind {INSPECTION_PERIODS}: {record[9]} and {record[10]} hours"
    return None


def _mark(record: Record) -> Fault | None:
    """PSD and ascending register of the indicium that paid, or neither."""
    if (15 in record) != (16 in record):
        return "keys", f"kind {CERTIFICATION} has one of keys 15 and 16"
    if (17 in record) != (18 in record):
        return "keys", f"kind {CERTIFICATION} has one of keys 17 and 18"
    if 18 in record and not all(map(_amount, record[18])):
        return "value", f"kind {CERTIFICATION}, key 18: {record[18]!r:.80}"
    return None


def _opened(record: Record) -> Fault | None:
    """Steps, counts and tariffs of as many ZIPs, in order, of which each has a piece and a tariff of the run."""
    steps, pieces, tariffs, names = record[17], record[18], record[19], record[16]
    zips = sum(steps)
    if not len(steps) == len(pieces) == len(tariffs) or not 1 <= len(names) <= MOST_TARIFFS:
        return "value", f"kind {RUN_OPENED}: {len(steps)} ZIPs, {len(pieces)} counts, {len(tariffs)} tariffs of {len(names)}"
    if 0 in steps[1:] or zips >= 100_000 or 0 in pieces or sum(pieces) > MOST_ANNOUNCED or max(tariffs) >= len(names):
        return "value", f"kind {RUN_OPENED}: ZIPs to {zips}, {sum(pieces)} pieces, tariff {max(tariffs)} of {len(names)}"
    return None


def _closed(record: Record) -> Fault | None:
    """As many counts as tariffs; what is debited is what was owed beyond what had been."""
    if len(record[14]) != len(record[15]) or max(record[14]) >= _UINT32:
        return "value", f"kind {RUN_CLOSED}: {len(record[14])} counts up to {max(record[14])}, {len(record[15])} tariffs"
    if record[13] != max(record[11] - record[12], 0):
        return "value", f"kind {RUN_CLOSED}: {record[13]} debited where {record[11]} were owed and {record[12]} debited before"
    return None


def _ends(record: Record) -> Fault | None:
    """A table is in force for a day at least."""
    if record.get(12, record[11]) < record[11]:
        return "value", f"kind {RATES_TAKEN}: from {record[11]} until {record[12]}"
    return None


def _spoiled(record: Record) -> Fault | None:
    """Leaf and ascending register of a spoiled mark, or neither."""
    if (12 in record) != (13 in record):
        return "keys", f"kind {VALUE_REQUESTED} has one of keys 12 and 13"
    return None


_BETWEEN_KEYS: dict[int, Callable[[Record], Fault | None]] = {
    GENESIS: _as_many(16, 10),
    KEY_CREATED: _check_value,
    KEY_STATE: _only_with(11, 9, KEY_REVOKED),
    CEREMONY_ENDED: _no_transcript,
    OPERATORS: _as_many(8, 9),
    REVOKED: _only_with(10, 8, CLIENT),
    INSPECTION_PERIODS: _periods,
    CERTIFICATION: _mark,
    RUN_OPENED: _opened,
    RUN_CLOSED: _closed,
    RATES_TAKEN: _ends,
    SCALE_REGISTERED: _only_with(17, 16, 1, 2),
    VALUE_REQUESTED: _spoiled,
}
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
    between = _BETWEEN_KEYS.get(kind)
    return None if between is None else between(record)
