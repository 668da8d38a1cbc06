"""Owns the ways to spoil exactly one record of keys, ceremonies, operators or revocations, each with the code that must name it."""

from __future__ import annotations

from authority import new_key, spki, strong_key
from ledger_builder import ONE, Builder, Record
from twists import Row, setting, without


def of_the_appliance(b: Builder, record: Record) -> None:
    """Without PSD."""
    for key in (3, 4, 5):
        del record[key]


def of_a_psd(b: Builder, record: Record) -> None:
    """With PSD."""
    record.update({3: ONE, 4: 1, 5: [0, 0, 0, 0]})


def since_before(b: Builder, record: Record) -> None:
    """From a millisecond before the record on."""
    record[10] = record[1] - 1


GENESES: list[Row] = [  # what follows from a spoiled leaf 0 is not foretold
    *((f"genesis without key {key}", "genesis", without(key), "keys") for key in range(16, 21)),
    ("an operator without name", "genesis", setting(16, [b"anna"]), "value"),
    ("an operator whose name has a space", "genesis", setting(16, [b"anna", b"ben b"]), "value"),
    ("an operator whose name is not ASCII", "genesis", setting(16, [b"anna", "b\u00e9n".encode()]), "value"),
    ("an operator whose name is text", "genesis", setting(16, [b"anna", "ben"]), "value"),
    ("an operator name twice", "genesis", setting(16, [b"anna", b"anna"]), "genesis"),
    ("an operator key that is none", "genesis", lambda b, r: r[10].__setitem__(1, b"key"), "genesis"),
    ("operators without quorum", "genesis", setting(11, 0), "genesis"),
    ("a quorum of nobody", "genesis", lambda b, r: r.update({10: [], 16: []}), "genesis"),
    ("an approval that is text", "genesis", setting(18, ["approval"]), "value"),
    ("a host key that is none", "genesis", setting(20, [b"host"]), "genesis"),
    ("a log key on P-384", "genesis", setting(14, spki(strong_key())), "genesis"),
]

CUSTODY: list[Row] = [
    ("key without public half", "indicium2", setting(12, b""), "value"),
    ("device key without public half", "device2", setting(12, b""), "value"),
    ("secret key without check value", "mac2", setting(12, b""), "value"),
    ("secret key with a check value of 31 bytes", "mac2", setting(12, bytes(31)), "value"),
    ("secret key with a public half", "mac2", setting(12, spki(new_key())), "value"),
    ("secret key of algorithm 1", "mac2", setting(10, 1), "value"),
    ("public key of algorithm 4", "indicium2", setting(10, 4), "value"),
    ("key of algorithm 5", "indicium2", setting(10, 5), "value"),
    ("public half that is none", "spare", setting(12, b"key"), "key-created"),
    ("wrapped hash of 31 bytes", "indicium2", setting(13, bytes(31)), "value"),
    ("wrapped hash of another salt", "indicium2", setting(13, bytes(32)), "body"),
    ("no hash of what was wrapped", "indicium2", without(13), "body"),
    ("key step of the appliance", "indicium:retired", of_the_appliance, "owner"),
    ("key step 6", "indicium:retired", setting(9, 6), "value"),
    ("key step 0", "indicium:retired", setting(9, 0), "value"),
    ("key step without time", "indicium:retired", without(10), "keys"),
    ("key revoked without reason", "spare:revoked", without(11), "keys"),
    ("key retired for a reason", "indicium:retired", setting(11, 0), "keys"),
    ("key on hold", "spare:revoked", setting(11, 6), "value"),
    ("key revoked for reason 2", "spare:revoked", setting(11, 2), "value"),
    ("key acknowledged for a reason", "waiting:known:effect", setting(11, 0), "keys"),
    ("key acknowledged from earlier on", "waiting:known:effect", since_before, "key-step"),
    ("key retired from earlier on", "indicium:retired", since_before, "key-step"),
    ("key activated from earlier on", "indicium2:activated", since_before, "key-step"),
    ("key destroyed from earlier on", "indicium:destroyed", since_before, "key-step"),
    ("key step moves registers", "indicium:retired", lambda b, r: r.__setitem__(5, [r[5][0] + 1, r[5][1] - 1, *r[5][2:]]), "registers-moved"),
    ("step of a key of nobody", "mac:retired", setting(8, b"nobody"), "key-step"),
    ("ceremony of a PSD", "ceremony1", of_a_psd, "owner"),
    ("ceremony step of a PSD", "ceremony1:step1", of_a_psd, "owner"),
    ("ceremony ended of a PSD", "ceremony1:ended", of_a_psd, "owner"),
    ("operators of a PSD", "operators", of_a_psd, "owner"),
    ("revocation of a PSD", "client", of_a_psd, "owner"),
    ("ceremony without file", "ceremony1", setting(10, b""), "value"),
    ("ceremony digest of 31 bytes", "ceremony1", setting(9, bytes(31)), "value"),
    ("ceremony of another file", "ceremony1", setting(10, b"another"), "ceremony"),
    ("ceremony under another digest", "ceremony2", setting(9, bytes(32)), "ceremony"),
    ("ceremony without approvals", "ceremony1", without(11), "keys"),
    ("ceremony number in text", "ceremony1", setting(8, "1"), "value"),
    ("ceremony step without text", "ceremony1:step1", setting(10, ""), "value"),
    ("ceremony ended in way 3", "ceremony1:ended", setting(9, 3), "value"),
    ("transcript of what was given up", "ceremony2:ended", setting(10, b"transcript"), "keys"),
    ("empty transcript", "ceremony1:ended", setting(10, b""), "value"),
    ("three names of two operators", "operators", lambda b, r: r[9].pop() and None, "value"),
    ("operator name with a slash", "operators", setting(8, [b"anna", b"ben", b"c/leo"]), "value"),
    ("quorum left out", "operators", without(10), "keys"),
    ("operator name twice", "named-again", lambda b, r: r[8].__setitem__(1, b"anna"), "operators"),
    ("operator key twice", "named-again", lambda b, r: r[9].__setitem__(1, r[9][0]), "operators"),
    ("operator key that is none", "named-again", lambda b, r: r[9].__setitem__(1, b"key"), "operators"),
    ("no quorum", "named-again", setting(10, 0), "operators"),
    ("quorum above operators again", "named-again", setting(10, 4), "operators"),
    ("revoked whom 4", "client", setting(8, 4), "value"),
    ("client without CN", "client", without(10), "keys"),
    ("client without name", "client", setting(10, ""), "value"),
    ("account with CN", "account", setting(10, "mail"), "keys"),
    ("operator with CN", "cleo", setting(10, "cleo"), "keys"),
    ("account with a space", "account", setting(9, "um brella"), "value"),
    ("revoked without time", "account", without(11), "keys"),
    ("revoked on hold", "account", setting(12, 6), "value"),
    ("revoked nobody", "cleo", setting(9, "dora"), "revoked"),
]  # fmt: skip

CUSTODY_TABLES = {  # where a spoiled record shows in a row beside it
    "wrapped hash of another salt": "body",
    "no hash of what was wrapped": "body",
}

CUSTODY_ALSO = {  # what follows from a spoiled record besides its own code
    "ceremony of another file": {"approval"},
    "ceremony under another digest": {"approval"},
    "step of a key of nobody": {"live"},
    "revoked nobody": {"live"},
    "operator name twice": {"revoked"},
    "quorum above operators again": {"revoked"},
}

OPERATORS_AT_FAULT = [
    ("none", [], 0, None),
    ("sixty-five", [f"o{n}" for n in range(65)], 2, None),
    ("no quorum", ["a"], 0, None),
    ("quorum above them", ["a"], 2, None),
    ("a name twice", ["a", "a"], 1, [spki(new_key()), spki(new_key())]),
    ("a key twice", ["a", "b"], 1, [spki(new_key())] * 2),
    ("no key", ["a"], 1, [b"key"]),
]
