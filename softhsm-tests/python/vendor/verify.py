"""Owns the vendor's own judgement: certificates up to the root, indicia, registers, and checkpoints."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from psdd_checker import certificates, ibi, signednote
from psdd_checker.amounts import mills
from psdd_checker.claims import registers_of
from psdd_checker.keys import PublicKey, load, verifies

from .errors import Failure, require


@dataclass(frozen=True)
class Piece:
    """What was asked for."""

    key: bytes
    date: str
    postage: int
    rate: str
    destination: str


class Log:
    """The daemon's log as its client knows it: a key, and the newest checkpoint seen."""

    def __init__(self, appliance: dict[str, Any]) -> None:
        self.origin = appliance["origin"]
        wanted = f"psdd.log/{appliance['appliance']}"
        require(self.origin == wanted, f"origin {self.origin!r} is not {wanted!r}")
        try:
            self._key = load(appliance["log_spki"])
        except ValueError as error:
            raise Failure(f"log key: {error}") from error
        self.newest: signednote.Checkpoint | None = None
        self.notes: list[str] = []

    def take(self, response: dict[str, Any]) -> None:
        """Verify the checkpoint of a response; it never shrinks, and one size has one root."""
        note = response.get("checkpoint")
        if note is None:
            require(self.newest is None, "a response without a checkpoint, after there was one")
            return
        try:
            checkpoint = signednote.verify(note.encode(), self.origin, self._key)
        except ValueError as error:
            raise Failure(f"checkpoint: {error}") from error
        if self.newest is not None:
            require(checkpoint.size >= self.newest.size, f"checkpoint shrinks: {self.newest.size} to {checkpoint.size}")
            same = checkpoint.size != self.newest.size or checkpoint.root == self.newest.root
            require(same, f"two roots for size {checkpoint.size}")
        self.newest = checkpoint
        if note not in self.notes:
            self.notes.append(note)


def indicium_keys(response: dict[str, Any], root: bytes) -> dict[int, PublicKey]:
    """The keys that sign indicia by certificate serial; every chain verified up to the root the appliance named."""
    require(response["authority_root"] == root, "authority_root differs from that of /v1/appliance")
    keys: dict[int, PublicKey] = {}
    try:
        anchor = certificates.parse(root)
        certificates.check_root(anchor)
        for view in response["keys"]:
            key = load(view["spki"])
            if not view["chain"]:
                continue
            chain = [certificates.parse(der) for der in view["chain"]]
            certificates.check_chain(chain, anchor, int(time.time() * 1000))
            same = certificates.public_spki(chain[0]) == view["spki"]
            require(same, "certificate is of another key than spki says")
            require(view.get("serial") == chain[0].serial_number, "serial is not that of the certificate")
            if view["role"] == "indicium":
                keys[view["serial"]] = key
    except ValueError as error:
        raise Failure(f"certificates: {error}") from error
    require(bool(keys), "no certified key of role indicium")
    return keys


def check_piece(asked: Piece, result: dict[str, Any], psd: dict[str, Any], keys: dict[int, PublicKey], development: bool) -> None:
    """One signed piece: the key asked for, and a symbol that verifies and says what the response says."""
    what = f"piece {asked.key.hex()}"
    require(result["key"] == asked.key, f"{what}: result of key {result['key'].hex()}, not in the order of the items")
    require(result["psd"] == psd["psd"], f"{what}: signed by {result['psd']}")
    try:
        symbol = ibi.parse(result["indicium"])
    except ValueError as error:
        raise Failure(f"{what}: {error}") from error
    ascending, descending, _, _ = registers_of(result["registers"])
    fields = {
        "device": (symbol.device, psd["psd"][:4] + psd["psd"][4:].rjust(10, "0")),
        "postage": (symbol.postage, asked.postage),
        "date": (symbol.date, int(asked.date.replace("-", ""))),
        "ascending": (symbol.ascending, ascending),
        "descending": (symbol.descending, descending),
    }
    if development:
        fields["software ID"] = (symbol.software, b"SPECIM")
    for name, (said, wanted) in fields.items():
        require(said == wanted, f"{what}: {name} {said!r} in the symbol, {wanted!r} expected")
    public = keys.get(symbol.serial)
    if public is None:
        raise Failure(f"{what}: serial {symbol.serial} is that of no certificate of {psd['psd']}")
    signature, signed = result["indicium"][ibi.SIGNED :], result["indicium"][: ibi.SIGNED]
    require(verifies(public, signature, signed), f"{what}: symbol does not verify under serial {symbol.serial}")


def check_registers(asked: list[Piece], results: list[dict[str, Any]], before: dict[str, Any]) -> int:
    """The arithmetic over a batch, in the order of sequences; returns how many pieces of others stood in between."""
    postage = {piece.key: piece.postage for piece in asked}
    sequence, last, others = before["sequence"], registers_of(before["registers"]), 0
    for result in sorted(results, key=lambda result: result["sequence"]):
        what = f"piece {result['key'].hex()}, sequence {result['sequence']}"
        now, paid = registers_of(result["registers"]), postage[result["key"]]
        require(now[0] + now[1] == now[2], f"{what}: ascending {now[0]} + descending {now[1]} != control total {now[2]}")
        require(result["sequence"] > sequence, f"{what}: sequence does not rise from {sequence}")
        if result["sequence"] == sequence + 1:
            wanted = [last[0] + paid, last[1] - paid, last[2], last[3] + 1]
            require(now == wanted, f"{what}: registers {now} after {last} and postage {paid}, not {wanted}")
        else:
            others += 1
            require(now[0] >= last[0] + paid and now[3] > last[3], f"{what}: registers {now} after {last} and postage {paid}")
        sequence, last = result["sequence"], now
    return others


def postage_for(view: dict[str, Any], number: int, wanted: int) -> int:
    """A postage within the limits of the PSD, another one for each piece."""
    limits = view["limits"]
    return max(mills(limits["smallest_postage"]), min(mills(limits["largest_postage"]), wanted + number))
