"""Owns the ways to spoil exactly one instruction of the authority or its effect, each with the code that must name it."""

from __future__ import annotations

from authority import der, new_key
from ledger_builder import TWO, Builder, Record
from ledger_instructions import FORBID
from ledger_values import AUTHORISATION
from spoiled_custody import of_the_appliance
from twists import Row, Twist, as_lifecycle, both, broken, claiming, setting, without

LOCK, LOCKED = "inspection-lock", "inspection-lock:effect"
WORD, KNOWN = "waiting:known", "waiting:known:effect"
DISTRUST, DISTRUSTED, CHANGE, CHANGED = "distrust", "distrust:effect", "change", "change:effect"


def of_another_purpose(b: Builder, record: Record) -> None:
    """Signed by the policy key."""
    key, certificate = b.authority.purposes[3]
    claiming(10, key=key, header={33: der(certificate)})(b, record)


def later(b: Builder, record: Record) -> None:
    """A millisecond later."""
    record[1] += 1


def at(shift: int) -> Twist:
    """So many milliseconds later."""
    return lambda b, record: record.__setitem__(1, record[1] + shift)


def as_policy(b: Builder, record: Record) -> Record:
    """In place of the record a policy of the authority."""
    return {0: 28, 1: record[1], 2: record[2], 8: 1, 9: FORBID}


def started(b: Builder, record: Record) -> Record:
    """In place of the record a start."""
    return {0: 9, 1: record[1], 2: record[2], 8: "0.1.0", 9: bytes(16)}


def as_acknowledgement(b: Builder, record: Record) -> None:
    """In place of the revocation the word that verifiers know the key."""
    del record[11]
    record.update({9: 5, 10: record[1]})


INSTRUCTIONS: list[Row] = [
    ("instruction of a PSD", LOCK, lambda b, r: r.update({3: TWO, 4: 1, 5: [0, 0, 0, 0]}), "owner"),
    ("ceiling of a PSD", "month:effect", lambda b, r: r.update({3: TWO, 4: 1, 5: [0, 0, 0, 0]}), "owner"),
    ("purpose 4", LOCK, setting(8, 4), "value"),
    ("period 4", "month:effect", setting(9, 4), "value"),
    ("ceiling of 2^63", "month:effect", setting(10, 1 << 63), "value"),
    ("instruction without message", LOCK, without(10), "keys"),
    ("instruction number again", "inspection-again", both(setting(9, 3), claiming(10, sequence=3)), "instruction-number"),
    ("instruction number falls", "inspection-unlock", both(setting(9, 5), claiming(10, sequence=5)), "instruction-number"),
    ("instruction signature", LOCK, broken(10), "instruction"),
    ("instruction is no message", LOCK, setting(10, b"lock"), "instruction"),
    ("instruction by another key", LOCK, claiming(10, key=new_key()), "instruction"),
    ("instruction by the key of another purpose", LOCK, of_another_purpose, "instruction"),
    ("instruction of another type", LOCK, claiming(10, header={3: AUTHORISATION}), "instruction"),
    ("instruction to another appliance", LOCK, claiming(10, appliance="other"), "instruction"),
    ("instruction of another number", LOCK, claiming(10, sequence=2), "instruction"),
    ("instruction expired", LOCK, claiming(10, expires=1), "instruction"),
    ("instruction claims more", LOCK, claiming(10, reason="late"), "instruction"),
    ("instruction claims no PSD", LOCK, claiming(10, psd=None), "instruction"),
    ("instruction of an unknown act", LOCK, claiming(10, act="scrap"), "instruction"),
    ("ceiling by the inspection key", LOCK, claiming(10, act="ceiling", psd=None, licence="licence", period="day"), "instruction"),
    ("lock by the policy key", "month", claiming(10, act="lock", psd=TWO, licence=None, period=None, amount=None), "instruction"),
    ("ceiling of a week", "month", claiming(10, period="week"), "instruction"),
    ("ceiling finer than a mill", "month", claiming(10, amount="2.5001"), "instruction"),
    ("no key of the purpose", "inspection", started, "instruction"),
    ("effect later", LOCKED, later, "effect"),
    ("effect under another clock", LOCKED, lambda b, r: r.__setitem__(2, [3, 51, r[2][2]]), "effect"),
    ("effect at another PSD", LOCK, claiming(10, psd=TWO), "effect"),
    ("lock where unlock was said", LOCK, claiming(10, act="unlock"), "effect"),
    ("unlock where lock was said", "inspection-unlock", claiming(10, act="lock"), "effect"),
    ("lock without effect", LOCKED, setting(9, 0), "effect"),
    ("effect by another reason", LOCKED, setting(9, 16), "effect"),
    ("effect on one more reason", LOCKED, setting(9, 8 | 4), "effect"),
    ("effect on the state", LOCKED, setting(8, 4), "effect"),
    ("effect cannot be read", "month:effect", lambda b, r: b"\xff", "effect"),
    ("effect is of another kind", "month:effect", started, "effect"),
    ("ceiling of another amount", "month:effect", setting(10, 2_501), "effect"),
    ("ceiling though taken away", "day-away:effect", setting(10, 9_000), "effect"),
    ("ceiling taken away though set", "month:effect", without(10), "effect"),
    ("ceiling of another licence", "month", claiming(10, licence="other"), "effect"),
    ("ceiling of another period", "month", claiming(10, period="day"), "effect"),
    ("acknowledgement by the funds key", "funds-lock", claiming(10, act="acknowledge", role="device", serial=7103), "instruction"),
    ("acknowledgement of a role that has no certificates", WORD, claiming(10, role="token-mac"), "instruction"),
    ("acknowledgement of no serial", WORD, claiming(10, serial=None), "instruction"),
    ("acknowledgement of a licence", WORD, claiming(10, licence="licence"), "instruction"),
    ("acknowledgement by another key", WORD, claiming(10, key=new_key()), "instruction"),
    ("acknowledgement expired", WORD, claiming(10, expires=1), "instruction"),
    ("acknowledgement signed wrongly", WORD, broken(10), "instruction"),
    ("acknowledgement of another serial", WORD, claiming(10, serial=7104), "effect"),
    ("acknowledgement of another role", WORD, claiming(10, role="indicium"), "effect"),
    ("acknowledgement at another PSD", WORD, claiming(10, psd=TWO), "effect"),
    ("acknowledgement without effect", KNOWN, as_lifecycle(3, 0), "effect"),
    ("acknowledgement with the effect of a lock", KNOWN, as_lifecycle(3, 8), "effect"),
    ("acknowledgement later", KNOWN, later, "effect"),
    ("acknowledgement without instruction", WORD, started, "effect"),
    ("lock where an acknowledgement was said", WORD, claiming(10, act="lock", role=None, serial=None), "effect"),
    ("acknowledged key is another", KNOWN, setting(8, b"ABCD0000000001-d2"), "effect"),
    ("revocation by the funds key", "funds-lock", claiming(10, act="revoke-key", role="device", serial=7104, since=1, reason="superseded"), "instruction"),
    ("revocation by another key", DISTRUST, claiming(10, key=new_key()), "instruction"),
    ("revocation signed wrongly", DISTRUST, broken(10), "instruction"),
    ("revocation expired", DISTRUST, claiming(10, expires=1), "instruction"),
    ("revocation for a while", DISTRUST, claiming(10, reason="certificateHold"), "instruction"),
    ("revocation for no reason", DISTRUST, claiming(10, reason=None), "instruction"),
    ("revocation since no time", DISTRUST, claiming(10, since=None), "instruction"),
    ("revocation from a time to come", DISTRUST, claiming(10, since=1 << 62), "instruction"),
    ("revocation of a secret key", DISTRUST, claiming(10, role="token-mac"), "instruction"),
    ("revocation since another time", DISTRUSTED, setting(10, 5), "effect"),
    ("revocation for another reason", DISTRUSTED, setting(11, 4), "effect"),
    ("revocation of another serial", DISTRUST, claiming(10, serial=7103), "effect"),
    ("revocation of another role", DISTRUST, claiming(10, role="indicium"), "effect"),
    ("revocation at another PSD", DISTRUST, claiming(10, psd=TWO), "effect"),
    ("revocation with the effect of a lock", DISTRUSTED, as_lifecycle(3, 8), "effect"),
    ("revocation that is an acknowledgement", DISTRUSTED, as_acknowledgement, "effect"),
    ("revocation without effect", DISTRUSTED, started, "effect"),
    ("revocation later", DISTRUSTED, later, "effect"),
    ("revoked key is another", DISTRUSTED, setting(8, b"ABCD0000000001-d3"), "effect"),
    ("change by the policy key", "month", claiming(10, act="change-key", psd=TWO, role="device", licence=None, period=None, amount=None), "instruction"),
    ("change by another key", CHANGE, claiming(10, key=new_key()), "instruction"),
    ("change signed wrongly", CHANGE, broken(10), "instruction"),
    ("change of the key of the log", CHANGE, claiming(10, role="log"), "instruction"),
    ("change of a serial", CHANGE, claiming(10, serial=7102), "instruction"),
    ("change of another role", CHANGE, claiming(10, role="device"), "effect"),
    ("change at another PSD", CHANGE, claiming(10, psd=TWO), "effect"),
    ("change without instruction", CHANGE, started, "effect"),
    ("change without effect", CHANGED, started, "effect"),
    ("change later", CHANGED, later, "effect"),
    ("changed key is another", CHANGED, setting(8, 4), "effect"),
    ("changed key is that of the log", CHANGED, setting(8, 5), "value"),
    ("change of the appliance", CHANGED, of_the_appliance, "owner"),
    ("periods by the funds key", "funds-lock", claiming(10, act="inspection-periods", licence="licence", psd=None), "instruction"),
    ("periods signed wrongly", "periods", broken(10), "instruction"),
    ("periods of a warning alone", "periods", claiming(10, block=None), "instruction"),
    ("periods too short", "periods", claiming(10, block=71), "instruction"),
    ("periods too long", "periods", claiming(10, block=2881), "instruction"),
    ("warning too late", "periods", claiming(10, warn=72), "instruction"),
    ("other periods", "periods", claiming(10, block=73), "effect"),
    ("periods of another licence", "periods", claiming(10, licence="other"), "effect"),
    ("periods without instruction", "periods-away", started, "effect"),
    ("acceptance by another key", "inspected", claiming(10, key=new_key()), "instruction"),
    ("acceptance of half a digest", "inspected", claiming(10, digest=b"\x0a" * 16), "instruction"),
    ("acceptance of another report", "inspected", claiming(10, digest=b"\x0c" * 32), "effect"),
    ("acceptance at another PSD", "inspected", claiming(10, psd=TWO), "effect"),
    ("acceptance without instruction", "accepted", started, "effect"),
    ("acceptance with the effect of an unlock", "inspected:effect", as_lifecycle(3, 0), "effect"),
    ("overdue too early", "overdue", at(-1), "inspection"),
    ("overdue with another reason", "overdue", setting(9, 1 | 4), "inspection"),
    ("overdue cleared by an operator", "overdue-operator-gone", setting(9, 0), "inspection"),
    ("overdue too early after a download", "overdue-two", at(-1), "inspection"),
    ("policy of a PSD", "policy1:effect", lambda b, r: r.update({3: TWO, 4: 1, 5: [0, 0, 0, 0]}), "owner"),
    ("policy too long", "policy1:effect", setting(9, "a" * 24_577), "value"),
    ("policy too long in bytes", "policy1:effect", setting(9, "é" * 12_289), "value"),
    ("policy of version 0", "policy1:effect", setting(8, 0), "value"),
    ("policy without a text", "policy1:effect", without(9), "keys"),
    ("policy by the inspection key", LOCK, claiming(10, act="policy", psd=None, version=1, text=""), "instruction"),
    ("policy by another key", "policy1", claiming(10, key=new_key()), "instruction"),
    ("policy signed wrongly", "policy1", broken(10), "instruction"),
    ("policy of no version", "policy1", claiming(10, version=None), "instruction"),
    ("policy of no text", "policy1", claiming(10, text=None), "instruction"),
    ("policy longer than can be", "policy1", claiming(10, text="a" * 24_577), "instruction"),
    ("policy of a licence", "policy1", claiming(10, licence="licence"), "instruction"),
    ("another policy", "policy1", claiming(10, text="forbid"), "effect"),
    ("policy of another version", "policy1", claiming(10, version=2), "effect"),
    ("policy that stays", "policy3:effect", setting(9, FORBID), "effect"),
    ("policy where a ceiling was said", "policy3", claiming(10, act="ceiling", text=None, version=None, licence="l", period="day"), "effect"),
    ("ceiling where a policy was said", "month:effect", as_policy, "effect"),
    ("policy without instruction", "policy3", started, "effect"),
    ("policy's version again", "policy2:effect", setting(8, 1), "policy-version"),
    ("policy's version skips", "policy2:effect", setting(8, 4), "policy-version"),
    ("authority's reason gone", "operator-lock", setting(9, 16 | 4), "locks"),
    ("funds' reason gone", "operator-lock", setting(9, 8 | 4), "locks"),
    ("authority's reason come", "lock", setting(9, 8), "locks"),
]  # fmt: skip

INSTRUCTIONS_LATER = {
    "other periods": "periods:effect",
    "periods of another licence": "periods:effect",
    "periods without instruction": "periods-away:effect",
    "acceptance of another report": "inspected:effect",
    "acceptance at another PSD": "inspected:effect",
    "acceptance without instruction": "accepted:effect",
    "revocation of another serial": DISTRUSTED,
    "revocation of another role": DISTRUSTED,
    "revocation at another PSD": DISTRUSTED,
    "change of another role": CHANGED,
    "change at another PSD": CHANGED,
    "change without instruction": CHANGED,
    "another policy": "policy1:effect",
    "policy of another version": "policy1:effect",
    "policy where a ceiling was said": "policy3:effect",
    "policy without instruction": "policy3:effect",
    "acknowledgement of another serial": KNOWN,
    "acknowledgement of another role": KNOWN,
    "acknowledgement at another PSD": KNOWN,
    "acknowledgement without instruction": KNOWN,
    "lock where an acknowledgement was said": KNOWN,  # where a spoiled record shows only in another one
    "no key of the purpose": LOCK,
    "effect at another PSD": LOCKED,
    "lock where unlock was said": LOCKED,
    "unlock where lock was said": "inspection-unlock:effect",
    "effect cannot be read": "month",
    "ceiling of another licence": "month:effect",
    "ceiling of another period": "month:effect",
}

INSTRUCTIONS_ALSO = {
    "acknowledgement without effect": {"live", "state-digest"},
    "acknowledgement with the effect of a lock": {"inspection", "live", "locks", "state-digest"},
    "periods without instruction": {"live", "state-digest"},
    "revocation from a time to come": {"effect"},
    "revocation with the effect of a lock": {"inspection", "live", "locks", "state-digest"},
    "revocation that is an acknowledgement": {"live"},
    "revocation without effect": {"live", "sequence", "state-digest"},
    "revoked key is another": {"live"},
    "change without effect": {"live", "sequence", "state-digest"},
    "changed key is another": {"live", "state-digest"},
    "policy without instruction": {"live", "state-digest"},
    "ceiling where a policy was said": {"policy-version"},
    "policy's version again": {"effect"},
    "policy's version skips": {"effect"},
    "acknowledged key is another": {"live", "key-step"},
    "acknowledgement later": {"key-step"},  # what follows from a spoiled record besides its own code
    "no key of the purpose": {"live", "state-digest"},
    "effect on the state": {"lifecycle"},
    "effect cannot be read": {"cbor"},
    "funds' reason gone": {"effect"},
}
