"""Owns FF1 of NIST SP 800-38G (section 5.1), written from the standard over AES of `cryptography`."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_ROUNDS = 10
_SMALLEST_DOMAIN = 1_000_000


def _numeral(numerals: Sequence[int], radix: int) -> int:
    value = 0
    for numeral in numerals:
        value = value * radix + numeral
    return value


def _string(value: int, radix: int, length: int) -> list[int]:
    numerals = []
    for _ in range(length):
        value, numeral = divmod(value, radix)
        numerals.append(numeral)
    return numerals[::-1]


class Ff1:
    """The permutations of numeral strings of one key and radix."""

    def __init__(self, key: bytes, radix: int) -> None:
        if not 2 <= radix <= 1 << 16:
            raise ValueError(f"radix {radix}")
        self._radix = radix
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())

    def _block(self, block: bytes) -> bytes:
        encryptor = self._cipher.encryptor()
        return encryptor.update(block) + encryptor.finalize()

    def _mac(self, message: bytes) -> bytes:
        chained = bytes(16)
        for start in range(0, len(message), 16):
            chained = self._block(bytes(a ^ b for a, b in zip(chained, message[start : start + 16], strict=True)))
        return chained

    def _round(self, number: int, half: Sequence[int], tweak: bytes, length: int) -> int:
        """Step 6 up to y, for the half that is not replaced."""
        shorter = length // 2
        longest = length - shorter
        width = ((self._radix**longest - 1).bit_length() + 7) // 8
        wanted = 4 * ((width + 3) // 4) + 4
        head = bytes([1, 2, 1]) + self._radix.to_bytes(3) + bytes([_ROUNDS, shorter % 256])
        head += length.to_bytes(4) + len(tweak).to_bytes(4)
        padded = tweak + bytes(-(len(tweak) + width + 1) % 16)
        result = self._mac(head + padded + bytes([number]) + _numeral(half, self._radix).to_bytes(width))
        stream = result
        for counter in range(1, (wanted + 15) // 16):
            stream += self._block(bytes(a ^ b for a, b in zip(result, counter.to_bytes(16), strict=True)))
        return int.from_bytes(stream[:wanted])

    def _checked(self, numerals: Sequence[int]) -> tuple[list[int], list[int]]:
        if any(not 0 <= numeral < self._radix for numeral in numerals) or self._radix ** len(numerals) < _SMALLEST_DOMAIN:
            raise ValueError("not a numeral string of the radix, or of a domain too small")
        half = len(numerals) // 2
        return list(numerals[:half]), list(numerals[half:])

    def encrypt(self, tweak: bytes, numerals: Sequence[int]) -> list[int]:
        """The numeral string that the key makes of one; ValueError for a string that is none."""
        a, b = self._checked(numerals)
        for number in range(_ROUNDS):
            value = _numeral(a, self._radix) + self._round(number, b, tweak, len(numerals))
            a, b = b, _string(value % self._radix ** len(a), self._radix, len(a))
        return a + b

    def decrypt(self, tweak: bytes, numerals: Sequence[int]) -> list[int]:
        """The numeral string that the key made this of; ValueError for a string that is none."""
        a, b = self._checked(numerals)
        for number in reversed(range(_ROUNDS)):
            value = _numeral(b, self._radix) - self._round(number, a, tweak, len(numerals))
            a, b = _string(value % self._radix ** len(b), self._radix, len(b)), a
        return a + b
