"""Owns the Merkle tree of RFC 9162 section 2.1: hashes, roots of any prefix, and the full tiles of C2SP tlog-tiles."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256


class Tree:
    """A tree that grows leaf by leaf and keeps every hash of a full subtree."""

    def __init__(self) -> None:
        self.size = 0
        self.levels: list[bytearray] = [bytearray()]

    def append(self, record: bytes) -> bytes:
        """Add one record; returns its leaf hash."""
        leaf = sha256(b"\0" + record).digest()
        node, level, position = leaf, 0, self.size
        self.levels[0] += node
        while position & 1:
            node = sha256(b"\1" + self.levels[level][-64:]).digest()
            level += 1
            position >>= 1
            if level == len(self.levels):
                self.levels.append(bytearray())
            self.levels[level] += node
        self.size += 1
        return leaf

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves."""
        if size > self.size:
            raise ValueError(f"size {size} beyond the {self.size} leaves of the tree")
        accumulated: bytes | None = None
        for level in range(size.bit_length()):
            if size >> level & 1:
                at = ((size >> level) - 1) * 32
                peak = bytes(self.levels[level][at : at + 32])
                accumulated = peak if accumulated is None else sha256(b"\1" + peak + accumulated).digest()
        return sha256(b"").digest() if accumulated is None else accumulated

    def tiles(self) -> Iterator[tuple[int, int, bytes]]:
        """Every full tile as (level, number, hashes)."""
        for tile_level, level in enumerate(range(0, len(self.levels), 8)):
            hashes = self.levels[level]
            for number in range(len(hashes) // 8192):
                yield tile_level, number, bytes(hashes[number * 8192 : (number + 1) * 8192])
