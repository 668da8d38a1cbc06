"""Owns digital tokens (docs/certification.md, "Digital tokens"): their message, digits and check digit, and judging one half."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from .cbor import encode

DOMAIN = b"psdd/token-mac/v1\x00psdd-digital-token-1"
VENDOR, POSTAL = "vendor", "postal"
_DEVICE = re.compile(r"[A-Z0-9]{4}[0-9]{10}")
# x·y in the quasigroup of H. M. Damm's thesis, a row each.
_DAMM = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
    "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
)  # fmt: skip


def address_code(address: str) -> bytes:
    """Eight bytes of hash of an address as it is written; ValueError where nothing is left of it."""
    upper = "".join(chr(ord(c) - 32) if "a" <= c <= "z" else c for c in address)
    words = re.sub(r"[\x00-/:-@\[-`{-\x7f]+", " ", upper).strip(" ")
    if not words:
        raise ValueError("an address without a letter or digit")
    return hashlib.sha256(b"psdd-address-code-1" + words.encode()).digest()[:8]


@dataclass(frozen=True, slots=True)
class TokenData:
    """What is read off a piece. `recipient` is the eleven digits of a delivery point as a number, or an address code."""

    psd: str
    pieces: int
    mills: int
    yyyymmdd: int
    zip: int
    recipient: int | bytes

    def message(self, party: str) -> bytes:
        """What the party's key MACs; ValueError where the data are none."""
        if party not in (VENDOR, POSTAL) or not _DEVICE.fullmatch(self.psd):
            raise ValueError(f"no message of {party!r:.20} for {self.psd!r:.40}")
        if type(self.recipient) is int and self.recipient // 10**6 != self.zip:
            raise ValueError("the delivery point is not in the ZIP")
        return DOMAIN + encode([party, self.psd, self.pieces, self.mills, self.yyyymmdd, self.zip, self.recipient])


def digits_of(mac: bytes, length: int) -> str:
    """The last digits of RFC 4226 section 5.3's truncation of a MAC of 32 bytes."""
    offset = mac[31] % 16
    number = int.from_bytes(mac[offset : offset + 4]) % (1 << 31)
    return f"{number % 10**length:0{length}}"


def check_digit(digits: str) -> str:
    """Damm's check digit."""
    row = 0
    for digit in digits:
        row = int(_DAMM[row][int(digit)])
    return str(row)


def half(key: bytes, party: str, data: TokenData, length: int = 5) -> str:
    """The digits that the party's key makes."""
    return digits_of(hmac.digest(key, data.message(party), "sha256"), length)


def printed(vendor_half: str, postal_half: str) -> str:
    """A token in its groups."""
    return f"{vendor_half} {postal_half} {check_digit(vendor_half + postal_half)}"


def parse(text: str, lengths: tuple[int, int] = (5, 5)) -> tuple[str, str]:
    """The halves of a token as it was printed; ValueError where it is none."""
    digits = text.strip().replace(" ", "").replace("-", "")
    if not re.fullmatch(f"[0-9]{{{sum(lengths) + 1}}}", digits):
        raise ValueError(f"{text!r:.40} has not {sum(lengths) + 1} digits")
    if check_digit(digits) != "0":
        raise ValueError("the check digit does not hold")
    return digits[: lengths[0]], digits[lengths[0] : -1]


def stored(text: str) -> tuple[str, str]:
    """The halves of a token as a record has it, exactly as it is printed; ValueError where it is none."""
    groups = text.split(" ")
    if len(groups) != 3 or not all(4 <= len(group) <= 8 for group in groups[:2]):
        raise ValueError(f"{text!r:.40} is not two halves of 4 to 8 digits and a check digit")
    halves = parse(text, (len(groups[0]), len(groups[1])))
    if printed(*halves) != text:
        raise ValueError(f"{text!r:.40} is not as it is printed")
    return halves


def holds(key: bytes, party: str, data: TokenData, token: str, lengths: tuple[int, int] = (5, 5)) -> bool:
    """Whether the party's half of a token is what its key makes of the data; says nothing of the other half."""
    mine = parse(token, lengths)[party == POSTAL]
    return hmac.compare_digest(half(key, party, data, len(mine)), mine)
