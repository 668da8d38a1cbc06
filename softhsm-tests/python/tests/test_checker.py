"""Owns the proof that the checker finds what it must: valid ledgers pass, and every tampering is found and named."""

from __future__ import annotations

import json
import shutil
import sqlite3
from hashlib import sha256

import cbor2
import pytest
from authority import START, der, new_key, raw_signature, spki
from client_answers import NOTES, applied, refunded, signed, voided, withdrawn
from judged import run
from ledger_builder import ONE, Builder, Record, cbor, scenario, uuid7
from ledger_writer import encoded, mth, note, write
from out_of_custody import OUT_OF_CUSTODY
from out_of_turn import OUT_OF_TURN
from spoiled_custody import CUSTODY, CUSTODY_ALSO, CUSTODY_TABLES, GENESES
from spoiled_instructions import INSTRUCTIONS, INSTRUCTIONS_ALSO, INSTRUCTIONS_LATER
from spoiled_records import LATER, RECORDS
from spoiled_values import VALUES, VALUES_ALSO, VALUES_LATER
from spoiled_certifications import CERTIFICATIONS, CERTIFICATIONS_ALSO
from spoiled_runs import RUNS, RUNS_ALSO, RUNS_ELSEWHERE
from spoiled_tokens import TOKENS
from spoiled_vouchers import VOUCHERS, VOUCHERS_ALSO, VOUCHERS_LATER
from tampered_tables import TAMPERED
from twists import chain_of, claiming, setting
from unapproved import UNAPPROVED, UNAPPROVED_ALSO, UNAPPROVED_BIRTHS, UNAPPROVED_CEREMONIES

from psdd_checker.__main__ import main
from psdd_checker.findings import CODES

ALONE = VALUES + INSTRUCTIONS + VOUCHERS + CERTIFICATIONS + RUNS + TOKENS + CUSTODY + UNAPPROVED_BIRTHS + UNAPPROVED_CEREMONIES  # whose every finding is foretold
SPOILED = RECORDS + GENESES + ALONE
ALSO = VALUES_ALSO | INSTRUCTIONS_ALSO | VOUCHERS_ALSO | CERTIFICATIONS_ALSO | RUNS_ALSO | CUSTODY_ALSO | UNAPPROVED_ALSO
SHAPES = {"keys", "value", "owner"}  # a record of no shape is not folded in, and its consequences are many
ELSEWHERE = LATER | VALUES_LATER | INSTRUCTIONS_LATER | VOUCHERS_LATER | RUNS_ELSEWHERE


@pytest.mark.parametrize("ecdsa_log", [False, True])
def test_valid_ledger_has_no_finding(tmp_path, ecdsa_log) -> None:
    ledger = write(scenario(ecdsa_log=ecdsa_log), tmp_path)
    assert main([str(ledger)]) == 0
    assert main([str(ledger / "ledger.db"), "--quick"]) == 0


def test_a_strong_root_countersigns_with_its_own_algorithm(tmp_path) -> None:
    assert run(write(scenario(pieces=2, strong_root=True), tmp_path)) == {}


def test_an_appliance_without_operators_may_have_an_empty_charter(tmp_path) -> None:
    b = Builder(empty_charter=True)
    b.genesis()
    b.started("started")
    b.digest("digest")
    assert run(write(b, tmp_path)) == {}


# --- one record spoiled, everything around it consistent ----------------------------------------------------------------


@pytest.mark.parametrize(("name", "label", "twist", "code"), SPOILED, ids=[row[0] for row in SPOILED])
def test_spoiled_record_is_found_and_named(tmp_path, name, label, twist, code) -> None:
    b = scenario(pieces=8, twists={label: twist})
    found = run(write(b, tmp_path))
    assert code in found, {finding.line() for finding in found.values()}
    table = CUSTODY_TABLES.get(name, "leaf")
    assert found[code].where == f"{table} {b.labels[ELSEWHERE.get(name) or label]}"
    assert not {"head", "tile", "checkpoint", "sqlite"} & found.keys() or label in ("genesis",)
    if (name, label, twist, code) in ALONE and code not in SHAPES:
        assert found.keys() == {code} | ALSO.get(name, set())


def test_expired_certificate_at_installation(tmp_path) -> None:
    def expired(b: Builder, record: Record) -> None:
        key = b.devices[record[3]].indicium_key
        record[10] = b.authority.certify("x", key, record[9], end=START.replace(month=2))

    found = run(write(scenario(pieces=2, twists={f"{ONE}:certificate": expired}), tmp_path))
    assert "is not valid at" in found["chain"].line()


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_version_of_a_policy_that_its_instruction_says_too_must_rise_by_one(tmp_path, version) -> None:
    twists = {"policy2": claiming(10, version=version), "policy2:effect": setting(8, version)}
    b = scenario(pieces=2, twists=twists)
    found = run(write(b, tmp_path))
    code = "policy-version" if version else "value"
    assert found[code].where == f"leaf {b.labels['policy2:effect']}"
    assert version == 0 or found.keys() == {code}


def test_a_chain_of_four_is_no_finding(tmp_path) -> None:
    assert run(write(scenario(pieces=2, twists={f"{ONE}:certificate": chain_of(4)}), tmp_path)) == {}


def test_register_finding_reads_as_documented(tmp_path) -> None:
    b = scenario(pieces=8, twists={"one:0": lambda b, r: r.__setitem__(5, [730, 5, 800, 1])})
    line = run(write(b, tmp_path))["registers"].line()
    assert line == f"leaf {b.labels['one:0']}: registers: ascending 730 + descending 5 != control total 800"


# --- the database tampered with after it was written ------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "tamper", "code"), TAMPERED, ids=[row[0] for row in TAMPERED])
def test_tampered_database_is_found_and_named(tmp_path, valid, capsys, name, tamper, code) -> None:
    b, ledger = valid
    shutil.copyfile(ledger / "ledger.db", tmp_path / "ledger.db")
    db = sqlite3.connect(tmp_path / "ledger.db")
    tamper(b, db)
    db.commit()
    db.close()
    assert main([str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(f": {code}: " in line for line in lines), lines


def test_erased_body_is_no_finding(tmp_path, valid) -> None:
    shutil.copyfile(valid[1] / "ledger.db", tmp_path / "ledger.db")
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("DELETE FROM body")
    db.close()
    assert run(tmp_path) == {}


def test_digests_between_two_checkpoints_share_one(tmp_path, valid) -> None:
    shutil.copyfile(valid[1] / "ledger.db", tmp_path / "ledger.db")
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("DELETE FROM checkpoint WHERE size < (SELECT max(size) FROM checkpoint)")
    db.close()
    assert run(tmp_path) == {}


CALLS = ("one:3", "request2", "apply2", "void", "refund-request", "refund", "withdrawal", "withdrawn")


def test_a_caller_of_another_tenant_is_no_finding(tmp_path) -> None:
    twists = {label: setting(8, "umbrella") for label in CALLS}
    assert run(write(scenario(pieces=8, twists=twists), tmp_path)) == {}


def test_what_the_authority_encoded_may_be_any_cbor(tmp_path) -> None:
    def loose(b: Builder, record: Record) -> None:
        claims = {"sequence": record[9], "psd": record[3], "amount": "1.0000", "expires": b.time + 1, "appliance": b.appliance}
        payload = b"\xbf" + cbor2.dumps(claims | {"control_total": f"{record[5][2] / 1000:.4f}"})[1:] + b"\xff"
        key, certificate = b.authority.purposes[1]
        header = cbor({1: -7, 3: "application/psdd-value-authorisation+cbor", 33: der(certificate)})
        signature = raw_signature(key, cbor(["Signature1", header, b"", payload]))
        record[11] = b"\xd2" + cbor([header, {}, payload, signature])

    assert run(write(scenario(pieces=8, twists={"apply2": loose}), tmp_path)) == {}


# --- the evidence ------------------------------------------------------------------------------------------------------------


def test_wal_is_read_and_evidence_untouched(tmp_path, valid) -> None:
    shutil.copyfile(valid[1] / "ledger.db", tmp_path / "ledger.db")
    db = sqlite3.connect(tmp_path / "ledger.db")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("UPDATE head SET time = time + 1")
    db.commit()
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    for name in ("ledger.db", "ledger.db-wal"):  # as after SIGKILL
        shutil.copyfile(tmp_path / name, evidence / name)
    db.close()
    before = {f.name: (f.read_bytes(), f.stat().st_mtime_ns) for f in evidence.iterdir()}
    assert "head" in run(evidence)
    assert {f.name: (f.read_bytes(), f.stat().st_mtime_ns) for f in evidence.iterdir()} == before


def test_unusable_input(tmp_path, valid) -> None:
    assert main([str(tmp_path)]) == 2
    (tmp_path / "ledger.db").write_bytes(b"no database at all")
    assert main([str(tmp_path)]) == 2
    sqlite3.connect(tmp_path / "empty.db").executescript("CREATE TABLE x (y);").connection.close()
    assert main([str(tmp_path / "empty.db")]) == 2
    (tmp_path / "notes").write_text('{"kind":"seen"}\n')
    assert main([str(valid[1]), "--notes", str(tmp_path / "notes")]) == 2
    assert main([str(valid[1]), "--notes", str(tmp_path / "none")]) == 2


def test_json_and_sample(capsys, valid) -> None:
    assert main([str(valid[1]), "--json", "--sample-signatures", "10"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == [] and 2 <= report["signatures"] < report["indicia"]


# --- what clients saw ----------------------------------------------------------------------------------------------------------


def test_notes_of_what_happened(tmp_path, valid) -> None:
    b, ledger = valid
    hashes = [sha256(b"\0" + record).digest() for record in encoded(b)]
    lost = uuid7(1).hex()
    seen = [
        signed(b, "one:3"), signed(b, "one:3"), signed(b, "two:3"), applied(b), applied(b), voided(b), voided(b),
        refunded(b), refunded(b), withdrawn(b), withdrawn(b),
        {"kind": "refused", "tenant": "acme", "key": lost, "code": "psd-locked"},
        {"kind": "refused", "tenant": "acme", "key": signed(b, "one:3")["key"], "code": "busy"},
        {"kind": "refused", "tenant": "acme", "key": signed(b, "one:4")["key"], "code": "busy"},
        {"kind": "fault", "tenant": "acme", "key": signed(b, "one:4")["key"], "code": "timeout"},
        {"kind": "fault", "tenant": "acme", "key": uuid7(2).hex(), "code": "timeout"},
        *({"kind": "checkpoint", "note": note(b, n, mth(hashes[:n])).decode()} for n in (1, 77, 200, len(hashes))),
    ]  # fmt: skip
    (tmp_path / "notes").write_text("".join(json.dumps(line) + "\n" for line in seen))
    assert main([str(ledger), "--notes", str(tmp_path / "notes")]) == 0


@pytest.mark.parametrize(("name", "seen", "code"), NOTES, ids=[row[0] for row in NOTES])
def test_notes_that_do_not_fit_are_found(tmp_path, valid, name, seen, code) -> None:
    b, ledger = valid
    (tmp_path / "notes").write_text("".join(json.dumps(line) + "\n" for line in seen(b)))
    found = run(ledger, tmp_path / "notes")
    assert code in found and found[code].where.startswith("notes:")


def test_every_code_is_provoked() -> None:
    provoked = {row[3] for row in SPOILED} | {row[-1] for row in OUT_OF_TURN + OUT_OF_CUSTODY + UNAPPROVED + TAMPERED + NOTES}
    assert set(CODES) - provoked == {"sqlite"}  # a page damaged by hand differs from one SQLite to the next


def test_operator_keys_are_distinct(tmp_path) -> None:
    twice = spki(new_key())
    b = scenario(pieces=2, twists={"genesis": setting(10, [twice, twice])})
    assert "stands twice" in run(write(b, tmp_path))["genesis"].message
