"""Owns the proof that the vendor client accepts a daemon that keeps the contract, and refuses every one that does not."""

from __future__ import annotations

import pytest
from ledger_builder import ONE, Builder
from ledger_writer import write
from mock_daemon import Door, MockDaemon, tls_files

from psdd_checker.__main__ import main as checker
from vendor_client import main


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, str]:
    """TLS files."""
    return tls_files(tmp_path_factory.mktemp("tls"))


def call(files: dict[str, str], url: str, *more: str) -> int:
    """Run the client as the tenant acme."""
    tls = ["--ca", files["ca"], "--cert", files["acme.pem"], "--key", files["acme.key"], "--server-name", "psdd.test"]
    return main(["--url", url, *tls, "--psd", ONE, "--count", "20", *more])


@pytest.mark.parametrize("ecdsa_log", [False, True])
def test_session_and_its_notes_stand_before_the_checker(tmp_path, files, capsys, ecdsa_log) -> None:
    b = funded(ecdsa_log)
    daemon = MockDaemon(Door(b), files)
    notes = str(tmp_path / "notes")
    try:
        assert call(files, daemon.url, "--notes", notes) == 0, capsys.readouterr().err
    finally:
        daemon.close()
    assert "20 indicia" in capsys.readouterr().out
    assert checker([str(write(b, tmp_path / "ledger")), "--notes", notes]) == 0, capsys.readouterr().out


def funded(ecdsa_log: bool) -> Builder:
    """A ledger with one active, funded PSD."""
    b = Builder(ecdsa_log=ecdsa_log)
    b.genesis()
    b.authority_key(1)
    one = b.psd(ONE, "acme", 7001)
    b.request("request", one, 500_000)
    b.apply("apply", one, 500_000)
    b.digest("digest")
    return b


def _results(body: dict) -> list[dict]:
    return body.get("results", [])


def _each(change):
    """Change every result of a batch."""

    def spoil(path: str, body: dict) -> None:
        for result in _results(body):
            change(result)

    return spoil


def _at(ending: str, change):
    """Change the body of one path."""

    def spoil(path: str, body: dict) -> None:
        if path.endswith(ending):
            change(body)

    return spoil


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _retry_differs():
    calls = []

    def spoil(path: str, body: dict) -> None:
        if path == "/v1/indicia":
            calls.append(path)
            if len(calls) == 2:
                body["results"][0]["time"] += 1

    return spoil


SPOILED = [
    ("symbol with another signature", _each(lambda r: r.update(indicium=_flip(r["indicium"]))), "does not verify"),
    ("other registers", _each(lambda r: r["registers"].update(ascending="1.000")), "ascending"),
    ("piece count stays", _each(lambda r: r["registers"].update(pieces=0)), "registers"),
    ("surplus key", _each(lambda r: r.update(surplus=1)), "surplus key"),
    ("retry differs", _retry_differs(), "retry of"),
    ("results out of order", _at("/indicia", lambda b: b["results"].reverse()), "not in the order"),
    ("a result missing", _at("/indicia", lambda b: b["results"].pop()), "19 results for 20"),
    ("other root", _at("/certificates", lambda b: b.update(authority_root=b["keys"][0]["chain"][0])), "authority_root differs"),
    ("chain cut", _at("/certificates", lambda b: b["keys"][0]["chain"].pop()), "certificates:"),
    ("checkpoint spoiled", _at("/psds", lambda b: b.update(checkpoint=b["checkpoint"].replace("psdd", "qsdd"))), "checkpoint:"),
    ("other origin", _at("/appliance", lambda b: b.update(origin="psdd.log/other")), "origin"),
    ("locked", _at(ONE, lambda b: b["psd"].update(locks=["operator"])), "locks"),
    ("no clock source", _at(ONE, lambda b: b["psd"].update(clock={"time": 1})), "no "),
]


@pytest.mark.parametrize(("name", "spoil", "said"), SPOILED, ids=[row[0] for row in SPOILED])
def test_daemon_that_breaks_the_contract_is_refused(files, capsys, name, spoil, said) -> None:
    daemon = MockDaemon(Door(funded(False), spoil), files)
    try:
        assert call(files, daemon.url) == 1
    finally:
        daemon.close()
    assert said in capsys.readouterr().err


def test_bad_request_that_is_taken_is_refused(files, capsys) -> None:
    door = Door(funded(False))
    strict = door.answer
    door.answer = lambda method, path, body: (
        (200, "application/cbor", b"\xa0") if body[-1:] == b"\0" else strict(method, path, body)
    )
    daemon = MockDaemon(door, files)
    try:
        assert call(files, daemon.url) == 1
    finally:
        daemon.close()
    assert "with a bad body: status 200" in capsys.readouterr().err


def test_unreachable_and_untrusted(files, tmp_path, capsys) -> None:
    assert call(files, "https://127.0.0.1:1") == 1
    daemon = MockDaemon(Door(funded(False)), files)
    other = tls_files(tmp_path)
    try:
        assert call({**files, "ca": other["ca"]}, daemon.url) == 1
    finally:
        daemon.close()
    assert "CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().err
