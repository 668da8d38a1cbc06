"""Owns approvals, countersignatures and transcripts that do not hold: at the birth, and in ceremonies after a right ledger."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from authority import new_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_approvals import COUNTERSIGNATURE, GENESIS, approval, countersignature
from ledger_builder import Builder, Device, Record
from twists import Row, Twist, broken, setting

OTHER = b"another file"
OTHER_DIGEST = sha256(OTHER).digest()


def approving(name: str = "ben", **over) -> Twist:
    """Leaf 0 whose second approval is another."""

    def twist(b: Builder, record: Record) -> None:
        signer = over.pop("key", None) or b.officers["ben"]
        record[18][1] = approval(signer, name, b.appliance, record[17], over.pop("number", None), **over)

    return twist


def one_more(name: str) -> Twist:
    """Leaf 0 with an approval more, by nobody it names."""
    return lambda b, record: record[18].append(approval(new_key(), name, b.appliance, record[17], None))


def countersigned(**over) -> Twist:
    """Leaf 0 whose countersignature is another."""

    def twist(b: Builder, record: Record) -> None:
        record[19] = countersignature(over.pop("key", None) or b.authority.root_key, b.appliance, record[17], **over)

    return twist


def without_file(b: Builder, record: Record) -> None:
    """All agree to nothing."""
    record[17] = b""
    record[18] = [approval(key, name, b.appliance, b"", None) for name, key in b.officers.items()]
    record[19] = countersignature(b.authority.root_key, b.appliance, b"")


def last_bit(message: bytes) -> bytes:
    """A message whose signature is off by a bit."""
    return message[:-1] + bytes([message[-1] ^ 1])


UNAPPROVED_BIRTHS: list[Row] = [
    ("birth that one did not approve", "genesis", lambda b, r: r[18].pop() and None, "approval"),
    ("birth that nobody approved", "genesis", setting(18, []), "approval"),
    ("birth that one approved twice", "genesis", lambda b, r: r[18].append(r[18][0]), "approval"),
    ("birth approved by nobody known", "genesis", one_more("dora"), "approval"),
    ("birth approved by another key", "genesis", approving(key=new_key()), "approval"),
    ("birth approved by another's key", "genesis", approving("anna"), "approval"),
    ("birth approved by no message", "genesis", lambda b, r: r[18].__setitem__(1, b"approval"), "approval"),
    ("birth approved over a broken signature", "genesis", lambda b, r: r[18].__setitem__(1, last_bit(r[18][1])), "approval"),
    ("birth of another file approved", "genesis", approving(file=OTHER, digest=OTHER_DIGEST), "approval"),
    ("birth approved under another digest", "genesis", approving(digest=OTHER_DIGEST), "approval"),
    ("birth of another appliance approved", "genesis", approving(appliance="appliance-2"), "approval"),
    ("birth approved as a ceremony", "genesis", approving(number=1), "approval"),
    ("birth approved with a number", "genesis", approving(number=1, header={3: GENESIS}), "approval"),
    ("birth approved with a certificate", "genesis", approving(header={33: b"certificate"}), "approval"),
    ("birth approved with a surplus claim", "genesis", approving(time=1), "approval"),
    ("birth without file", "genesis", without_file, "genesis"),
    ("birth without countersignature", "genesis", setting(19, b""), "countersignature"),
    ("birth countersigned by no message", "genesis", setting(19, b"countersignature"), "countersignature"),
    ("birth countersigned over a broken signature", "genesis", broken(19), "countersignature"),
    ("birth countersigned by another key", "genesis", countersigned(key=new_key()), "countersignature"),
    ("birth countersigned by a key of another algorithm", "genesis", countersigned(header={1: -8}), "countersignature"),
    ("birth countersigned as something else", "genesis", countersigned(header={3: GENESIS}), "countersignature"),
    ("birth of another file countersigned", "genesis", countersigned(digest=OTHER_DIGEST), "countersignature"),
    ("birth of another appliance countersigned", "genesis", countersigned(appliance="appliance-2"), "countersignature"),
    ("birth of another environment countersigned", "genesis", countersigned(environment="production"), "countersignature"),
    ("birth countersigned without a word on tokens", "genesis", countersigned(permit_software_token=None), "countersignature"),
]  # fmt: skip


def given(approvals: Callable[[Builder], list[bytes]], name: str) -> Callable[[Builder, Device], None]:
    """A ceremony with these approvals; anna, ben and cleo are the operators, two are needed and cleo is revoked."""

    def run(b: Builder, device: Device) -> None:
        b.begun("x", approvals=lambda: approvals(b))

    run.__name__ = f"ceremony_approved_{name}"
    return run


def one_other(name: str, **over) -> Callable[[Builder, Device], None]:
    """The second of two approvals is another."""
    return given(lambda b: [b.approval("anna"), b.approval("ben", **over)], name)


def under_another_digest(b: Builder, record: Record) -> None:
    """Record and approvals agree on a digest that is not the file's."""
    record[9] = OTHER_DIGEST
    record[11] = [b.approval(name, digest=OTHER_DIGEST) for name in ("anna", "ben")][: b.quorum]


def approved_before_operators_changed(b: Builder, device: Device) -> None:
    """By keys of operators before the last kind 23."""
    before = dict(b.officers)
    b.operators("x-operators", ["anna", "ben"], 2)
    b.begun("x", approvals=lambda: [b.approval(name, before[name]) for name in ("anna", "ben")])


def transcribed(name: str, **over) -> Callable[[Builder, Device], None]:
    """A ceremony whose transcript is another."""

    def run(b: Builder, device: Device) -> None:
        b.begun("x-begun")
        b.ended("x", 1, b.transcript(**over))

    run.__name__ = f"transcript_{name}"
    return run


def transcript_broken(b: Builder, device: Device) -> None:
    """A bit of the signature."""
    b.begun("x-begun")
    b.ended("x", 1, last_bit(b.transcript()))


def transcript_of_the_one_before(b: Builder, device: Device) -> None:
    """The transcript of another ceremony."""
    b.begun("x-begun")
    message = b.transcript()
    b.ended("x-ended", 1, message)
    b.begun("x-again")
    b.ended("x", 1, message)


UNAPPROVED = [
    (given(lambda b: [], "by_nobody"), "approval"),
    (given(lambda b: [b.approval("anna")], "by_one_of_two"), "approval"),
    (given(lambda b: [b.approval("anna")] * 2, "by_one_twice"), "approval"),
    (given(lambda b: [b.approval("anna"), b.approval("ben"), b.approval("anna")], "by_two_and_one_again"), "approval"),
    (given(lambda b: [b.approval("anna"), b.approval("ben"), b.approval("cleo")], "by_two_and_a_revoked_one"), "approval"),
    (given(lambda b: [b.approval("anna"), b.approval("ben"), b.approval("dora", new_key())], "by_two_and_one_unknown"), "approval"),
    (given(lambda b: [b.approval("anna"), b.approval("ben"), b"approval"], "by_two_and_no_message"), "approval"),
    (given(lambda b: [b.approval("anna"), last_bit(b.approval("ben"))], "with_a_broken_signature"), "approval"),
    (one_other("by_another_key", key=new_key()), "approval"),
    (one_other("of_another_file", file=OTHER, digest=OTHER_DIGEST), "approval"),
    (one_other("under_another_digest", digest=OTHER_DIGEST), "approval"),
    (one_other("of_another_appliance", appliance="appliance-2"), "approval"),
    (one_other("of_another_number", number=1), "approval"),
    (one_other("without_number", number=None), "approval"),
    (one_other("as_a_birth", header={3: GENESIS}), "approval"),
    (one_other("as_a_birth_without_number", number=None, header={3: GENESIS}), "approval"),
    (one_other("under_another_algorithm", header={1: -8}), "approval"),
    (approved_before_operators_changed, "approval"),
    (transcript_broken, "transcript"),
    (transcript_of_the_one_before, "transcript"),
    (transcribed("by_another_key", key=Ed25519PrivateKey.generate()), "transcript"),
    (transcribed("of_another_algorithm", header={1: -7}), "transcript"),
    (transcribed("as_something_else", header={3: COUNTERSIGNATURE}), "transcript"),
    (transcribed("of_another_number", number=1), "transcript"),
    (transcribed("of_another_digest", digest=OTHER_DIGEST), "transcript"),
    (transcribed("of_another_appliance", appliance="appliance-2"), "transcript"),
    (transcribed("without_approvers", approvers=None), "transcript"),
    (transcribed("with_a_key_that_is_none", keys=[{"key": "k"}]), "transcript"),
]

UNAPPROVED_CEREMONIES: list[Row] = [
    ("ceremony approved under a digest of another file", "ceremony2", under_another_digest, "approval"),
    ("ceremony approved in text", "ceremony2", setting(11, ["approval"]), "value"),
]
UNAPPROVED_ALSO = {"ceremony approved under a digest of another file": {"ceremony"}}
