"""Owns certification numbers (docs/certification.md, "Numbers"): reading them, and what they stand for to who has the key."""

from __future__ import annotations

from dataclasses import dataclass

from .cbor import encode
from .ff1 import Ff1

KEY_DOMAIN = b"psdd/token-mac/v1\x00psdd-certification-number-1"
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ALIKE = str.maketrans("OIL", "011")
_LENGTH = 12
_PLACE_BITS = 45


def _field() -> tuple[list[int], dict[int, int]]:
    """Powers of x in GF(2)[x] modulo x^5 + x^2 + 1, and their logarithms."""
    powers = [1]
    while len(powers) < 31:
        doubled = powers[-1] * 2
        powers.append(doubled ^ 0b100101 if doubled >= 32 else doubled)
    return powers, {value: exponent for exponent, value in enumerate(powers)}


_POWERS, _LOGARITHMS = _field()


def _times(a: int, b: int) -> int:
    return 0 if 0 in (a, b) else _POWERS[(_LOGARITHMS[a] + _LOGARITHMS[b]) % 31]


def _sums(values: list[int]) -> tuple[int, int]:
    plain = weighted = 0
    for position, value in enumerate(values):
        plain ^= value
        weighted ^= _times(value, _POWERS[position])
    return plain, weighted


@dataclass(frozen=True, slots=True)
class Number:
    """The twelve values of a number whose check characters hold."""

    values: tuple[int, ...]

    @property
    def epoch_modulo(self) -> int:
        """The numbering epoch modulo 32."""
        return self.values[0]

    def __str__(self) -> str:
        text = "".join(ALPHABET[value] for value in self.values)
        return "-".join(text[start : start + 4] for start in range(0, _LENGTH, 4))


def parse(text: str) -> Number:
    """A number as people write it; ValueError where it is none."""
    written = text.replace("-", "").replace(" ", "")
    if len(written) != _LENGTH or not written.isascii():
        raise ValueError(f"{text!r:.40} has not {_LENGTH} characters")
    values = [ALPHABET.find(character) for character in written.upper().translate(_ALIKE)]
    if -1 in values:
        raise ValueError(f"{written[values.index(-1)]!r} stands in no number")
    if _sums(values) != (0, 0):
        raise ValueError("the check characters do not hold")
    return Number(tuple(values))


def _scope(appliance: str, epoch: int) -> bytes:
    return encode([appliance, epoch])


def key_message(appliance: str, epoch: int) -> bytes:
    """What the token MACs to make the key of an epoch."""
    return KEY_DOMAIN + _scope(appliance, epoch)


def number(key: bytes, appliance: str, epoch: int, leaf: int) -> Number:
    """The number of the certification at a leaf of the log; ValueError where that does not fit."""
    if not 0 <= leaf < 1 << _PLACE_BITS:
        raise ValueError("the leaf is too large")
    plain = [leaf >> 5 * place & 31 for place in reversed(range(9))]
    values = [epoch % 32, *Ff1(key, 32).encrypt(_scope(appliance, epoch), plain)]
    # The two values that make both sums zero, found by trying: this is the reader, not the maker.
    for first in range(32):
        last = _sums([*values, first])[0]
        if _sums([*values, first, last]) == (0, 0):
            return Number((*values, first, last))
    raise AssertionError("the code has check characters for every ten")


def opened(key: bytes, appliance: str, epoch: int, given: Number) -> int:
    """The leaf that a number of this epoch stands for; ValueError where it is of another."""
    if given.epoch_modulo != epoch % 32:
        raise ValueError("another epoch")
    leaf = 0
    for numeral in Ff1(key, 32).decrypt(_scope(appliance, epoch), given.values[1:10]):
        leaf = leaf << 5 | numeral
    return leaf
