"""Owns what the tests can do to one record before it enters a ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from authority import certificate, der, new_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from encodings_of_ledger import opened, sign1
from ledger_builder import VOID, Builder, Record, cbor, decimal
from ledger_values import REPORT

Twist = Callable[[Builder, Record], Any]
Row = tuple[str, str, Twist, str]


def setting(key: int, value) -> Twist:
    """Replace one value of the record."""
    return lambda b, record: record.__setitem__(key, value)


def without(key: int) -> Twist:
    """Leave one key away."""
    return lambda b, record: record.__delitem__(key)


def symbol(**over) -> Twist:
    """Another symbol, properly signed, with other fields."""

    def twist(b: Builder, record: Record) -> None:
        record[12] = b.symbol(b.devices[record[3]], record[5], record[11], **over)

    return twist


def unordered(b: Builder, record: Record) -> bytes:
    """The same map with its first key last."""
    first = cbor({0: record[0]})[1:]
    return bytes([0xA0 + len(record)]) + cbor({k: v for k, v in record.items() if k != 0})[1:] + first


def indefinite(b: Builder, record: Record) -> bytes:
    """The same map with indefinite length."""
    return b"\xbf" + cbor(record)[1:] + b"\xff"


def same_key_as(label: str) -> Twist:
    """The idempotency key of another record."""
    return lambda b, record: record.__setitem__(9, b.records[b.labels[label]][9])


def foreign_chain(b: Builder, record: Record) -> None:
    """A chain by another authority of the same names."""
    key, root = new_key(), new_key()
    issuer = certificate("issuer", key.public_key(), "root", root, 2, ca=True)
    public = b.devices[record[3]].indicium_key.public_key()
    record[10] = [der(certificate("x", public, "issuer", key, record[9])), der(issuer)]


def second_certificate(b: Builder, record: Record) -> None:
    """Instead of the new key's, another certificate of the key that it follows."""
    device = b.devices[record[3]]
    record[8] = device.id(b"i2")
    record[10] = b.authority.certify("x", device.indicium_key, record[9])


def chain_of(length: int) -> Twist:
    """A right chain of that many certificates without the root."""

    def twist(b: Builder, record: Record) -> None:
        name, key, chain = "root", b.authority.root_key, []
        for n in range(length - 1):
            below = new_key()
            chain.insert(0, der(certificate(f"issuer {n}", below.public_key(), name, key, 20 + n, ca=True)))
            name, key = f"issuer {n}", below
        public = b.devices[record[3]].indicium_key.public_key()
        record[10] = [der(certificate("x", public, name, key, record[9])), *chain]

    return twist


def issuer_without_ca(b: Builder, record: Record) -> None:
    """An issuer that is no CA."""
    issuer = certificate("issuer", b.authority.issuer_key.public_key(), "root", b.authority.root_key, 2)
    record[10] = [record[10][0], der(issuer)]


def foreign_funds(b: Builder, record: Record) -> None:
    """A funds certificate that the root did not sign."""
    record[9] = der(certificate("funds", new_key().public_key(), "root", new_key(), 3))


def ed25519_key(b: Builder, record: Record) -> None:
    """A key of the authority that can make no ES256."""
    public = Ed25519PrivateKey.generate().public_key()
    record[9] = der(certificate("purpose", public, "root", b.authority.root_key, 9))


def moved_up(b: Builder, record: Record) -> None:
    """More ascends than the postage, control total untouched."""
    record[5] = [record[5][0] + 5, record[5][1] - 5, *record[5][2:]]
    record[12] = b.symbol(b.devices[record[3]], record[5], record[11])


def broken(at: int) -> Twist:
    """One bit of a COSE signature."""
    return lambda b, record: record.__setitem__(at, record[at][:-1] + bytes([record[at][-1] ^ 1]))


def claiming(at: int = 11, header: dict | None = None, key=None, **over) -> Twist:
    """The COSE message under key `at`, signed anew by whoever signed it or by `key`, over other claims; None leaves one away."""

    def twist(b: Builder, record: Record) -> None:
        protected, claims = opened(record[at])
        by = {der(certificate): signer for signer, certificate in b.authority.purposes.values()}
        signer = by[protected[33]] if 33 in protected else b.devices[record[3]].device_key
        claims = {name: value for name, value in {**claims, **over}.items() if value is not None}
        record[at] = sign1(key or signer, protected | (header or {}), claims)

    return twist


def stated(content_type: str = VOID, claims: Record | None = None, **over) -> Twist:
    """Other values in the record, n9 to n10, and a statement of the device key that says the same, or has other claims."""

    def twist(b: Builder, record: Record) -> None:
        record.update({int(name[1:]): value for name, value in over.items()})
        device = b.devices[record[3]]
        record[11] = b.statement(device, content_type, record[9], record[10], claims)

    return twist


def naming(leaf: int, **over) -> Twist:
    """Kind 6 over another mark, leaf and all; `leaf` below zero counts back from the record itself."""

    def twist(b: Builder, record: Record) -> None:
        record[12] = leaf if leaf >= 0 else len(b.records) - 1 - leaf
        refund = opened(record[11])[1]["refund"] | {"leaf": record[12]}
        claiming(refund=refund | over)(b, record)

    return twist


def refunding(**over) -> Twist:
    """Kind 6 whose claims of the mark are others."""
    return lambda b, record: claiming(refund=opened(record[11])[1]["refund"] | over)(b, record)


def costing(amount: int) -> Twist:
    """Another amount, and the device key says so too."""
    return both(setting(10, amount), claiming(amount=decimal(amount)))


def unmoved(b: Builder, record: Record) -> None:
    """Kind 13 that leaves the registers as they were, and all that follow keep it."""
    device, amount = b.devices[record[3]], record[10]
    a, d, c, n = device.registers
    device.registers = [a, d - amount, c - amount, n]
    record[5] = list(device.registers)
    claiming(control_total=decimal(c - amount))(b, record)


def kept(b: Builder, record: Record) -> None:
    """Kind 15 that leaves a mill in the descending register."""
    device = b.devices[record[3]]
    a, _, _, n = device.registers
    device.registers = [a, 1, a + 1, n]
    record[5] = list(device.registers)
    claiming(control_total=decimal(a + 1))(b, record)
    record[12] = b.statement(device, REPORT, record[9], record[10])


def void_with_value(b: Builder, record: Record) -> None:
    """A void that takes the amount into the registers, and all that follow keep it."""
    device, amount = b.devices[record[3]], record[10]
    a, d, c, n = device.registers
    device.registers = [a, d + amount, c + amount, n]
    record[5] = list(device.registers)
    stated()(b, record)


def as_lifecycle(state: int, locks: int) -> Twist:
    """In place of the record a kind 5."""
    return lambda b, record: {k: record[k] for k in range(6)} | {0: 5, 8: state, 9: locks}


def both(*twists: Twist) -> Twist:
    """One after the other."""

    def twist(b: Builder, record: Record) -> None:
        for one in twists:
            one(b, record)

    return twist


def voids_another_time(b: Builder, record: Record) -> None:
    """In place of a record without download: the last download voided once more."""
    device = b.devices[record[3]]
    record.update({0: 11, 8: device.tenant, 9: device.download, 10: 1_500})
    stated()(b, record)
