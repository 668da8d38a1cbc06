"""Owns amounts: decimal text of the wire contract to mills and back."""

from __future__ import annotations

import re

_AMOUNT = re.compile(r"([0-9]+)(?:\.([0-9]{1,3})0*)?")
_LARGEST = (1 << 63) - 1


def mills(text: object) -> int:
    """Decimal text in mills; ValueError for anything that is not an amount no finer than 0.001."""
    match = _AMOUNT.fullmatch(text) if type(text) is str else None
    value = -1 if match is None or len(match[0]) > 40 else int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))
    if not 0 <= value <= _LARGEST:
        raise ValueError(f"{text!r:.40} is not an amount")
    return value


def text(value: int) -> str:
    """Mills as decimal text with three places."""
    return f"{value // 1000}.{value % 1000:03}"
