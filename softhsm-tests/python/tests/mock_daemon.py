"""Owns a stand-in for the daemon: the vendor door over TLS and HTTP/2, answering from a ledger that the builder keeps."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import cbor2
import h2.config
import h2.connection
import h2.events
from authority import Authority, der, spki
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ledger_builder import Builder, cbor, decimal
from ledger_writer import encoded, mth, note

FACTS = "tag:psdd,2026:problem"


def problem(code: str) -> dict[Any, Any]:
    """A problem body."""
    return {-1: code.replace("-", " "), FACTS: {"code": code, "retry": False}}


def registers(values: list[int]) -> dict[str, Any]:
    """Registers as the contract writes them."""
    names = ("ascending", "descending", "control_total")
    return {**dict(zip(names, map(decimal, values), strict=False)), "pieces": values[3]}


class Door:
    """The vendor door's answers. `spoil` may change any body of success before it is encoded."""

    def __init__(self, builder: Builder, spoil: Callable[[str, dict[str, Any]], None] | None = None) -> None:
        self.b, self.spoil = builder, spoil or (lambda path, body: None)
        self.pieces: dict[bytes, int] = {}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        try:
            value = self._post(body) if method == "POST" else self._get(path)
        except (LookupError, ValueError, TypeError, cbor2.CBORError):
            return 400, "application/concise-problem-details+cbor", cbor(problem("request-malformed"))
        value["checkpoint"] = self._checkpoint()
        self.spoil(path, value)
        return 200, "application/cbor", cbor(value)

    def _checkpoint(self) -> str:
        hashes = [sha256(b"\0" + record).digest() for record in encoded(self.b)]
        return note(self.b, len(hashes), mth(hashes)).decode()

    def _piece(self, key: bytes) -> dict[str, Any]:
        leaf = self.pieces[key]
        r = self.b.records[leaf]
        return {
            "key": key, "psd": r[3], "leaf": leaf, "time": r[1], "indicium": r[12], "sequence": r[4], "registers": registers(r[5]),
        }  # fmt: skip

    def _view(self, name: str) -> dict[str, Any]:
        device = self.b.devices[name]
        limits = {
            "largest_postage": "99", "smallest_postage": "0.001", "largest_descending": "4000000",
            "largest_refill": "4000000", "smallest_refill": "0.001",
        }  # fmt: skip
        return {
            "psd": name, "locks": [], "state": "active", "value": {"ended": device.download}, "format": "IBI",
            "limits": limits, "licence": "licence", "currency": "USD", "sequence": device.sequence,
            "registers": registers(device.registers), "certificate": device.serial,
        }  # fmt: skip

    def _get(self, path: str) -> dict[str, Any]:
        parts = path.split("/")[2:]
        root = der(self.b.authority.root)
        match parts:
            case ["appliance"]:
                return {
                    "origin": f"psdd.log/{self.b.appliance}", "version": "0", "log_spki": spki(self.b.log_key),
                    "appliance": self.b.appliance, "environment": "development", "authority_root": root,
                }  # fmt: skip
            case ["psds"]:
                return {"psds": [self._view(name) for name in self.b.devices]}
            case ["psds", name]:
                return {"psd": self._view(name)}
            case ["psds", name, "certificates"]:
                chain = self.b.records[self.b.labels[f"{name}:certificate"]][10]
                public, device = spki(self.b.devices[name].indicium_key), self.b.devices[name]
                view = {"role": "indicium", "spki": public, "chain": chain, "key_id": b"i", "serial": device.serial}
                return {"psd": name, "keys": [view | {"algorithm": "ecdsa-p256"}], "authority_root": root}
            case ["indicia", text]:
                return {"piece": self._piece(bytes.fromhex(text.replace("-", "")))}
        raise LookupError(path)

    def _post(self, body: bytes) -> dict[str, Any]:
        request = cbor2.loads(body)
        strict = len(cbor2.dumps(request)) == len(body) or body[:1] == b"\xbf"
        if not strict or not request.keys() <= {"psd", "items", "checkpoint"} or not request["items"]:
            raise ValueError
        device = self.b.devices[request["psd"]]
        for item in request["items"]:
            if item["key"] not in self.pieces:
                whole, _, part = item["postage"].partition(".")
                paid, (a, d, c, n) = int(whole) * 1000 + int(part.ljust(3, "0")), device.registers
                device.registers = [a + paid, d - paid, c, n + 1]
                symbol = self.b.symbol(device, device.registers, paid, date=int(item["date"].replace("-", "")))
                further = {8: device.tenant, 9: item["key"], 10: sha256(repr(item).encode()).digest(), 11: paid, 12: symbol}
                self.pieces[item["key"]] = self.b.add(f"piece-{len(self.b.records)}", 16, further, device)
        return {"results": [self._piece(item["key"]) for item in request["items"]]}


def tls_files(directory: Path) -> dict[str, str]:
    """PEM files of a TLS authority, a server and a client."""
    authority, files = Authority(), {}
    (directory / "ca.pem").write_bytes(authority.root.public_bytes(Encoding.PEM))
    files["ca"] = str(directory / "ca.pem")
    for name, serial in (("psdd.test", 5), ("acme", 6)):
        key, cert = authority.tls(name, serial)
        (directory / f"{name}.pem").write_bytes(cert.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / f"{name}.key").write_bytes(pem)
    return files | {n: str(directory / n) for n in ("psdd.test.pem", "psdd.test.key", "acme.pem", "acme.key")}


class MockDaemon:
    """One listening socket; every connection in a thread, every stream answered when it ends."""

    def __init__(self, door: Door, files: dict[str, str]) -> None:
        self._door = door
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files["psdd.test.pem"], files["psdd.test.key"])
        self._context.load_verify_locations(files["ca"])
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as tls:
                self._talk(tls)
        except OSError:
            plain.close()

    def _talk(self, tls: ssl.SSLSocket) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        tls.sendall(http.data_to_send())
        heads: dict[int, dict[str, str]] = {}
        bodies: dict[int, bytes] = {}
        while data := tls.recv(65_536):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    heads[event.stream_id], bodies[event.stream_id] = dict(event.headers), b""
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    head, stream = heads.pop(event.stream_id), event.stream_id
                    status, kind, body = self._door.answer(head[":method"], head[":path"], bodies.pop(stream))
                    http.send_headers(stream, [(":status", str(status)), ("content-type", kind)])
                    for at in range(0, len(body), 16_000):
                        http.send_data(stream, body[at : at + 16_000])
                    http.end_stream(stream)
            tls.sendall(http.data_to_send())
