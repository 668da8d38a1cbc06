"""Owns the command line of the vendor client: one session with a daemon, every answer judged, exit code 0 only if all hold.

python3 vendor_client.py --url https://127.0.0.1:PORT --ca server-ca.pem --cert client.pem --key client.key --psd ID --count 20
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import time
from pathlib import Path
from typing import Any

import cbor2
from cryptography import x509
from cryptography.x509.oid import NameOID

from psdd_checker.amounts import text
from vendor import shapes
from vendor.door import Door, Identity, problem_line
from vendor.encoding import indefinite, uuid7, uuid_text
from vendor.errors import Failure, require
from vendor.verify import Log, Piece, check_piece, check_registers, indicium_keys, postage_for


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="A vendor's client of psdd that believes nothing.")
    for name in ("url", "ca", "cert", "key", "psd"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--count", type=int, default=20, help="pieces to sign, 1 to 4096")
    parser.add_argument("--server-name", help="name in the server's certificate, where it is not that of the URL")
    parser.add_argument("--notes", type=Path, help="append what was seen, for psdd_checker")
    parser.add_argument("--tenant", help="tenant in the notes (default: common name of the client certificate)")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat(), help="day of mailing")
    parser.add_argument("--rate", default="FCML")
    parser.add_argument("--destination", default="20260-0004-99")
    parser.add_argument("--postage", type=int, default=730, help="mills of the first piece; each further piece one more")
    found = parser.parse_args(argv)
    if not 1 <= found.count <= 4096:
        parser.error("--count must be 1 to 4096")
    return found


def sign_request(psd: str, pieces: list[Piece], checkpoint: str | None) -> dict[str, Any]:
    """A sign-request."""
    items = [
        {
            "key": piece.key,
            "date": piece.date,
            "rate": piece.rate,
            "postage": text(piece.postage),
            "reference": f"piece {number}",
            "destination": piece.destination,
            **({"weight": 28, "recipient": "A. Resident, 1 Any Street"} if number % 2 else {}),
        }
        for number, piece in enumerate(pieces)
    ]
    return {"psd": psd, "items": items, **({"checkpoint": checkpoint} if checkpoint is not None else {})}


def results_of(response: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The results of a batch, all of them signed."""
    results = response["results"]
    require(len(results) == count, f"{len(results)} results for {count} items")
    for result in results:
        if "problem" in result:
            raise Failure(f"piece {result['key'].hex()} refused: {problem_line(result['problem'])}")
    return results


def fetch(door: Door, key: bytes) -> dict[str, Any]:
    """One result by its key."""
    return door.ask("GET", f"/v1/indicia/{uuid_text(key)}", shapes.piece_response)


def wait_for_checkpoint(door: Door, log: Log) -> None:
    """Ask until there is a checkpoint: it is signed after the leaves are synced."""
    until = time.monotonic() + 10
    while log.newest is None:
        require(time.monotonic() < until, "no checkpoint for ten seconds, though pieces are signed")
        time.sleep(0.2)
        log.take(door.ask("GET", "/v1/appliance", shapes.appliance_response))


def bad_requests(door: Door, good: dict[str, Any]) -> list[tuple[str, str]]:
    """Requests the contract refuses, each with the code it was refused with."""
    deep: Any = 0
    for _ in range(8):
        deep = [deep]
    item = cbor2.dumps("psd") + cbor2.dumps(good["psd"])
    bad = {
        "unknown key": cbor2.dumps(good | {"surplus": 1}),
        "trailing byte": cbor2.dumps(good) + b"\0",
        "tag": b"\xd9\xd9\xf7" + cbor2.dumps(good),
        "duplicate key": b"\xa3" + item + item + cbor2.dumps("items") + cbor2.dumps(good["items"]),
        "nesting": cbor2.dumps(good | {"items": deep}),
        "no items": cbor2.dumps(good | {"items": []}),
        "cut short": cbor2.dumps(good)[:-1],
    }
    return [(name, door.refused("POST", "/v1/indicia", body)) for name, body in bad.items()]


def session(found: argparse.Namespace, door: Door) -> tuple[list[dict[str, Any]], Log, list[tuple[str, str]]]:
    """The whole session; returns the signed pieces, the log, and the table to print."""
    appliance = door.ask("GET", "/v1/appliance", shapes.appliance_response)
    log = Log(appliance)
    log.take(appliance)
    response = door.ask("GET", f"/v1/psds/{found.psd}", shapes.psd_response)
    log.take(response)
    view = response["psd"]
    require(view["state"] == "active" and not view["locks"], f"{view['psd']} is {view['state']}, locks {view['locks']}")
    everything = door.ask("GET", "/v1/psds", shapes.psds_response)
    require(any(other["psd"] == view["psd"] for other in everything["psds"]), f"/v1/psds does not list {view['psd']}")
    log.take(everything)

    pieces = [
        Piece(uuid7(), found.date, postage_for(view, n, found.postage), found.rate, found.destination) for n in range(found.count)
    ]
    request = sign_request(view["psd"], pieces, log.notes[-1] if log.notes else None)
    first = door.ask("POST", "/v1/indicia", shapes.sign_response, cbor2.dumps(request))
    log.take(first)
    results = results_of(first, len(pieces))

    certificates = door.ask("GET", f"/v1/psds/{view['psd']}/certificates", shapes.certificates_response)
    log.take(certificates)
    require(certificates["psd"] == view["psd"], f"certificates of {certificates['psd']}")
    keys = indicium_keys(certificates, appliance["authority_root"])
    for piece, result in zip(pieces, results, strict=True):
        check_piece(piece, result, view, keys, appliance["environment"] == "development")
    others = check_registers(pieces, results, view)

    again = door.ask("POST", "/v1/indicia", shapes.sign_response, indefinite(request))
    log.take(again)
    for one, other in zip(results, results_of(again, len(pieces)), strict=True):
        require(cbor2.dumps(one, canonical=True) == cbor2.dumps(other, canonical=True), f"retry of {one['key'].hex()} differs")
    fetched = fetch(door, pieces[0].key)
    log.take(fetched)
    require(fetched["piece"] == results[0], f"GET of {pieces[0].key.hex()} differs from what was signed")
    after = door.ask("GET", f"/v1/psds/{view['psd']}", shapes.psd_response)
    log.take(after)
    wait_for_checkpoint(door, log)
    last = max(result["sequence"] for result in results)
    require(after["psd"]["sequence"] >= last, f"sequence {after['psd']['sequence']} after piece {last}")
    if after["psd"]["sequence"] == last:
        newest = max(results, key=lambda result: result["sequence"])
        require(after["psd"]["registers"] == newest["registers"], "registers after the batch are not those of its last piece")
    refused = bad_requests(door, sign_request(view["psd"], pieces[:1], None))

    paid = text(sum(piece.postage for piece in pieces))
    rows = [
        ("appliance", f"{appliance['appliance']} {appliance['version']}, {appliance['environment']}"),
        ("psd", f"{view['psd']}, {view['format']}, licence {view['licence']}"),
        ("signed", f"{len(results)} pieces, {paid}, leaves {results[0]['leaf']} to {results[-1]['leaf']}, {others} gaps"),
        ("registers", ", ".join(f"{name} {value}" for name, value in results[-1]["registers"].items())),
        ("verified", f"{len(results)} indicia, serials {', '.join(map(str, sorted(keys)))}, chains to the authority root"),
        ("retry", "identical, from a request of indefinite lengths"),
        ("checkpoint", f"{len(log.notes)} seen, newest of size {log.newest.size if log.newest else 0}"),
        *((f"bad: {name}", code) for name, code in refused),
    ]
    return results, log, rows


def write_notes(path: Path, tenant: str, results: list[dict[str, Any]], log: Log) -> None:
    """Append what was seen in the form psdd_checker reads."""
    with path.open("a", encoding="utf-8") as notes:
        for result in results:
            note = {"kind": "signed", "tenant": tenant, **result}
            note |= {"key": result["key"].hex(), "indicium": result["indicium"].hex()}
            notes.write(json.dumps(note) + "\n")
        for checkpoint in log.notes:
            notes.write(json.dumps({"kind": "checkpoint", "note": checkpoint}) + "\n")


def common_name(certificate: str) -> str:
    """The common name of a PEM certificate."""
    subject = x509.load_pem_x509_certificate(Path(certificate).read_bytes()).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def main(argv: list[str] | None = None) -> int:
    """Run; returns the exit code."""
    found = arguments(argv)
    try:
        door = Door(Identity(found.url, found.ca, found.cert, found.key, found.server_name))
        try:
            results, log, rows = session(found, door)
        finally:
            door.close()
        if found.notes is not None:
            write_notes(found.notes, found.tenant or common_name(found.cert), results, log)
    except Failure as failure:
        print(f"vendor_client: {failure}", file=sys.stderr)
        return 1
    for name, value in rows:
        print(f"{name:<18} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
