"""Owns the ways to spoil exactly one certification, each with the code that must name it."""

from __future__ import annotations

from hashlib import sha256

from authority import new_key
from encodings_of_ledger import shortest
from ledger_builder import ONE, Builder, Record
from ledger_symbols import CERTIFICATION, VOUCHER, certification
from twists import Row, Twist, same_key_as, setting, without


def claims(**over) -> Twist:
    """Another certification, properly signed, with other claims."""

    def twist(b: Builder, record: Record) -> None:
        record[12] = certification(b.devices[record[3]], record[5], record[11], **{**b.certifying, **over})

    return twist


def _by_the_device_key(b: Builder, record: Record) -> None:
    claims(key=b.devices[record[3]].device_key)(b, record)


def _by_the_key_before(b: Builder, record: Record) -> None:
    claims(key=b.certifiers[7201], certificate=7201)(b, record)


def _paid_by_the_same(b: Builder, record: Record) -> None:
    _paid_by("two:0", b, record)


def _paid_by(mark: str, b: Builder, record: Record) -> None:
    paying = b.records[b.labels[mark]]
    postage = shortest(paying[11])
    over = {"mark": sha256(paying[12]).digest(), "mark_psd": paying[3], "mark_ascending": shortest(paying[5][0])}
    claims(**over, due=postage, paid=postage)(b, record)
    record[15], record[16] = paying[3], paying[5][0]


def _paid_by_a_refunded(b: Builder, record: Record) -> None:
    _paid_by("one:1", b, record)


CERTIFICATIONS: list[Row] = [
    ("certification of another device", "certified", claims(psd=ONE), "certification"),
    ("certification that debits more than its record", "certified", claims(debited="0.74", due="0.74"), "certification"),
    ("certification that debits less than is due", "certified", claims(due="0.74"), "certification"),
    ("certification of another ascending register", "certified", claims(ascending="0.01"), "certification"),
    ("certification of another count", "certified", claims(count=1), "certification"),
    ("certification in another currency", "certified", claims(currency="CAD"), "certification"),
    ("certification that is no specimen", "certified", claims(specimen=None), "certification"),
    ("certification without a scale", "certified", claims(scale=None), "certification"),
    ("certification with more claims", "certified", claims(seal="wax"), "certification"),
    ("certification paid by nothing", "certified-short", claims(mark=None, mark_psd=None, mark_ascending=None), "certification"),
    ("certification paid by half an indicium", "certified-short", claims(mark_psd=None), "certification"),
    ("certification paid in two ways", "certified-short", claims(imprint=True), "certification"),
    ("certification paid by another indicium than its record", "certified-short", setting(16, 999), "certification"),
    ("certification of another content type", "certified", claims(header={1: -7, 3: VOUCHER}), "certification"),
    ("certification of another algorithm", "certified", claims(header={1: -8, 3: CERTIFICATION}), "certification"),
    ("certification of the other curve", "certified-384", claims(header={1: -7, 3: CERTIFICATION}), "certification"),
    ("receipted certification of another device", "receipted", claims(psd=ONE), "certification"),
    ("receipted certification that debits less than is due", "receipted", claims(due="0.45"), "certification"),
    ("receipted certification that names a certificate", "receipted", claims(certificate=7201), "certification"),
    ("receipted certification of another count", "receipted", claims(count=1), "certification"),
    ("receipted certification cut short", "receipted", lambda b, r: r.__setitem__(12, r[12][:-1]), "certification"),
    ("certification whose signature is taken away", "certified", claims(receipt=True, certificate=7201), "certification"),
    ("certification cut short", "certified", lambda b, r: r.__setitem__(12, r[12][:-1]), "certification"),
    ("certification with an unknown serial", "certified", claims(certificate=9), "indicium-key"),
    ("certification with the serial of an indicium key", "certified", claims(certificate=7102), "indicium-key"),
    ("certification by a key that has given way", "certified-384", _by_the_key_before, "key-in-use"),
    ("certification signed by another key", "certified", claims(key=new_key()), "indicium-signature"),
    ("certification signed by the device key", "certified", _by_the_device_key, "indicium-signature"),
    ("certification without a debit", "certified", lambda b, r: r.__setitem__(11, 0), "certification"),
    ("certification paid by an indicium that paid before", "certified-paid", _paid_by_the_same, "paid-twice"),
    ("certification paid by an indicium that was refunded", "certified-paid", _paid_by_a_refunded, "paid-and-refunded"),
    ("certification paid by other bytes", "certified-paid", claims(mark=bytes(32)), "paid-unproven"),
    ("certification paid more than the indicium says", "certified-paid", claims(due="2.00", paid="2.00"), "paid-unproven"),
    ("certification with a key used for an indicium", "certified", same_key_as("two:0"), "key-twice"),
    ("certification with a key that is no UUID of version 7", "certified", setting(9, bytes(16)), "key-uuid"),
    ("certification that names half an indicium", "certified-short", without(16), "keys"),
]

CERTIFICATIONS_ALSO = {  # what follows from a spoiled record besides its own code
    "certification without a debit": {"registers-moved"},
}
