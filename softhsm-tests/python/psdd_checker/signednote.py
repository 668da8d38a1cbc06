"""Owns checkpoints as text: a C2SP signed note of three lines and one signature."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from hashlib import sha256

from .keys import ED25519, PublicKey, algorithm_of, spki_of, verifies

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """What a verified checkpoint says."""

    size: int
    root: bytes


def key_id(origin: str, key: PublicKey) -> bytes:
    """The four bytes that name a log key in a signature line."""
    start = origin.encode() + b"\n"
    if algorithm_of(key) == ED25519:
        return sha256(start + b"\x01" + key.public_bytes_raw()).digest()[:4]  # type: ignore[union-attr]
    return sha256(start + b"\xff" + b"ecdsa-p256-sha256\n" + spki_of(key)).digest()[:4]


def _base64(text: str) -> bytes:
    data = base64.b64decode(text.encode(), validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 is not canonical")
    return data


def verify(note: bytes, origin: str, key: PublicKey) -> Checkpoint:
    """The checkpoint of a note that verifies; ValueError says what does not hold."""
    try:
        text = note.decode()
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    lines = text.split("\n")
    if len(lines) != 6 or lines[3] != "" or lines[5] != "":
        raise ValueError("not three lines, an empty line and one signature line")
    if lines[0] != origin:
        raise ValueError(f"origin {lines[0]!r:.80} is not {origin!r}")
    if _SIZE.fullmatch(lines[1]) is None:
        raise ValueError(f"size {lines[1]!r:.40} is not decimal")
    root = _base64(lines[2])
    if len(root) != 32:
        raise ValueError(f"root of {len(root)} bytes")
    start = f"\u2014 {origin} "
    if not lines[4].startswith(start):
        raise ValueError("signature line is not by the origin")
    signature = _base64(lines[4][len(start) :])
    if signature[:4] != key_id(origin, key):
        raise ValueError(f"key id {signature[:4].hex()} is not {key_id(origin, key).hex()}")
    signed = text[: text.index("\n\n") + 1].encode()
    if not verifies(key, signature[4:], signed):
        raise ValueError("signature does not verify under the log key")
    return Checkpoint(int(lines[1]), root)
