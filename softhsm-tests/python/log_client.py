"""Fetches the log of an appliance over the authority door and judges it with code that others wrote.

Tiles, entries, checkpoint and proofs are judged by `tlog-scales` (C2SP tlog-tiles, RFC 9162), receipts by `scitt-cose` (RFC 9942). From
this repository come the connection, the names of the routes, and nothing that judges but the note of a log key that is not Ed25519.
"""

from __future__ import annotations

import argparse
import sys

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from psdd_checker import signednote
from scitt_cose.receipt import verify_receipt
from tlog_scales import signing
from tlog_scales.reader import TilesReader
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import Checkpoint, ConsistencyProof, InclusionProof
from vendor.door import Door, Identity
from vendor.errors import Failure, require

# Keys of kind 1 in docs/ledger.md.
LOG_KEY = 14


class Resources:
    """The log's resources as tlog-scales asks for them."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.fetched = 0

    def get(self, *path: str) -> bytes | None:
        """One resource; None where it is not there."""
        response = self._door.send("GET", "/log/" + "/".join(path))
        require(response.status_code in (200, 404), f"{path}: status {response.status_code}")
        self.fetched += 1
        return response.content if response.status_code == 200 else None


def message(door: Door, path: str) -> dict:
    """A message of the contract."""
    response = door.send("GET", path)
    require(response.status_code == 200, f"{path}: status {response.status_code}")
    return cbor2.loads(response.content)


def judge_checkpoint(checkpoint: Checkpoint, note: bytes, key: object) -> None:
    """The note is signed by the log key of leaf 0."""
    if isinstance(key, Ed25519PublicKey):
        checkpoint.verify(signing.Vkey(checkpoint.origin, None, 1, key.public_bytes_raw()))
    else:
        signednote.verify(note, checkpoint.origin, key)


def judge_receipts(door: Door, entries: list[bytes], pem: bytes) -> int:
    """Receipts of some leaves; a changed one and another's record are refused."""
    leaves = sorted({0, 1, len(entries) // 2, len(entries) - 1})
    for leaf in leaves:
        told = message(door, f"/v1/log/receipt?leaf={leaf}")
        require(told["record"] == entries[leaf], f"the record of the receipt for leaf {leaf} is another")
        good = verify_receipt(told["receipt"], leaf_entry_hex=entries[leaf].hex(), log_public_key_pem=pem)
        require(good.ok and good.leaf_index == leaf, f"leaf {leaf}: {good.errors}")
        other = verify_receipt(told["receipt"], leaf_entry_hex=entries[leaf - 1].hex(), log_public_key_pem=pem)
        changed = told["receipt"][:-1] + bytes([told["receipt"][-1] ^ 1])
        bad = verify_receipt(changed, leaf_entry_hex=entries[leaf].hex(), log_public_key_pem=pem)
        require(not other.ok and not bad.ok, f"leaf {leaf}: a receipt is good for anything")
    return len(leaves)


def session(door: Door) -> str:
    """Everything, and what it was in words."""
    resources = Resources(door)
    older = TilesReader(resources).get_checkpoint()
    reader = TilesReader(resources)
    note = resources.get("checkpoint")
    require(note is not None, "no checkpoint")
    checkpoint = Checkpoint.from_text(note.decode())
    reader.set_size(checkpoint.size)

    entries = [reader.get_entry(leaf) for leaf in range(checkpoint.size)]
    key = load_der_public_key(cbor2.loads(entries[0])[LOG_KEY])
    judge_checkpoint(checkpoint, note, key)
    require(reader.calculate_root_hash() == checkpoint.root_hash, "the tiles do not hash to the checkpoint")
    for leaf, entry in enumerate(entries):
        require(leaf_hash(entry) == reader.mth(leaf, leaf + 1), f"entry {leaf} is not the one in its tile")

    leaf, size = checkpoint.size // 3, checkpoint.size
    told = message(door, f"/v1/log/inclusion?leaf={leaf}&size={size}")
    InclusionProof(told["leaf"], told["size"], list(told["path"])).check(leaf_hash(entries[leaf]), checkpoint.root_hash)
    for first, root in [(older.size, older.root_hash), (size // 3, reader.mth(0, size // 3))]:
        told = message(door, f"/v1/log/consistency?from={first}&to={size}")
        ConsistencyProof(told["from"], told["to"], list(told["path"])).check(root, checkpoint.root_hash)

    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    receipts = judge_receipts(door, entries, pem)
    return f"{size} records, {resources.fetched} resources, {receipts} receipts: the log is what was signed"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("url", "ca", "cert", "key"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--server-name")
    found = parser.parse_args()
    try:
        door = Door(Identity(found.url, found.ca, found.cert, found.key, found.server_name))
        print(session(door))
    except Failure as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
