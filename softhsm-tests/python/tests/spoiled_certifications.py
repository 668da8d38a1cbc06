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


def _as(label: str) -> Twist:
    """The same that an earlier record says."""

    def twist(b: Builder, record: Record) -> None:
        for key in [key for key in record if key >= 8]:
            del record[key]
        record.update({key: value for key, value in b.records[b.labels[label]].items() if key >= 8})

    return twist


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
    ("certification on a scale that is not registered", "certified", claims(scale="dock-3"), "unfounded"),
    ("certification read before its calibration", "certified", claims(weighed=1_788_220_799_999), "unfounded"),
    ("certification read after its calibration", "certified", claims(weighed=1_819_756_800_000), "unfounded"),
    ("certification below what its scale weighs", "certified", claims(weight=19_000), "unfounded"),
    ("certification beyond what its scale weighs", "certified", claims(weight=60_001_000), "unfounded"),
    ("certification between two readings of its scale", "certified", claims(weight=20_001), "unfounded"),
    ("certification by a table that was not taken", "certified", claims(version=3), "unfounded"),
    ("certification by another table of its version", "certified", claims(rates_digest=bytes([7]) * 32), "unfounded"),
    ("certification by a table that is to come", "certified", claims(version=2, rates_digest=bytes([1]) * 32), "unfounded"),
    ("certification by a table that has given way", "certified", claims(date="2027-01-01"), "unfounded"),
    ("receipted certification on a scale that is not registered", "receipted", claims(scale="dock-3"), "unfounded"),
    ("rate table taken again", "rates2", _as("rates1"), "rates-taken"),
    ("scale registered as it was", "scale-signing", _as("scale"), "scale-registered"),
    ("scale removed that was not registered", "scale-removed", setting(8, "dock-3"), "scale-registered"),
    ("rate table that ends before it begins", "rates2", setting(12, 2026_12_31), "value"),
    ("rate table from a day that is none", "rates1", setting(11, 2026_02_29), "value"),
    ("scale whose calibration ends before it begins", "scale", setting(11, [2026_09_01, 2026_08_31]), "value"),
    ("scale without a resolution", "scale", setting(12, [60_000_000, 20_000, 0]), "value"),
    ("scale whose capacity is between two readings", "scale", setting(12, [60_000_001, 20_000, 1_000]), "value"),
    ("scale that weighs nothing", "scale", setting(12, [1_000, 2_000, 1_000]), "value"),
    ("scale with a site of two lines", "scale", setting(15, "Dock\n1"), "value"),
    ("scale with a certificate of 81 characters", "scale", setting(9, "C" * 81), "value"),
    ("scale that signs without a key", "scale-signing", without(17), "keys"),
    ("scale with a key that signs nothing", "scale", setting(17, b"0"), "keys"),
    ("scale of a PSD", "scale", lambda b, r: r.update({3: ONE, 4: 1, 5: [0, 0, 0, 0]}), "owner"),
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
    # and of one that stands in another slot than it should
    "rate table taken again": {"state-digest", "live"},
    "scale registered as it was": {"state-digest", "live"},
    "scale removed that was not registered": {"state-digest", "live"},
}
