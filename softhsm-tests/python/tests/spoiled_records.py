"""Owns the ways to spoil exactly one record, each with the code that must name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from authority import certificate, der, new_key
from ledger_builder import REQUEST, VOID, Builder, Record, cbor

ONE, TWO = "ABCD0000000001", "ABCD0000000002"


def setting(key: int, value) -> Callable[[Builder, Record], None]:
    """Replace one value of the record."""
    return lambda b, record: record.__setitem__(key, value)


def without(key: int) -> Callable[[Builder, Record], None]:
    """Leave one key away."""
    return lambda b, record: record.__delitem__(key)


def symbol(**over) -> Callable[[Builder, Record], None]:
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


def same_key_as(label: str) -> Callable[[Builder, Record], None]:
    """The idempotency key of another record."""
    return lambda b, record: record.__setitem__(9, b.records[b.labels[label]][9])


def foreign_chain(b: Builder, record: Record) -> None:
    """A chain by another authority of the same names."""
    key, root = new_key(), new_key()
    issuer = certificate("issuer", key.public_key(), "root", root, 2, ca=True)
    public = b.devices[record[3]].indicium_key.public_key()
    record[10] = [der(certificate("x", public, "issuer", key, record[9])), der(issuer)]


def issuer_without_ca(b: Builder, record: Record) -> None:
    """An issuer that is no CA."""
    issuer = certificate("issuer", b.authority.issuer_key.public_key(), "root", b.authority.root_key, 2)
    record[10] = [record[10][0], der(issuer)]


def foreign_funds(b: Builder, record: Record) -> None:
    """A funds certificate that the root did not sign."""
    record[9] = der(certificate("funds", new_key().public_key(), "root", new_key(), 3))


def moved_up(b: Builder, record: Record) -> None:
    """More ascends than the postage, control total untouched."""
    record[5] = [record[5][0] + 5, record[5][1] - 5, *record[5][2:]]
    record[12] = b.symbol(b.devices[record[3]], record[5], record[11])


def broken_signature(b: Builder, record: Record) -> None:
    """One bit of the COSE signature."""
    record[11] = record[11][:-1] + bytes([record[11][-1] ^ 1])


def claims(label: str, key=None, **over) -> Callable[[Builder, Record], None]:
    """A COSE message, properly signed, over other claims."""

    def twist(b: Builder, record: Record) -> None:
        other, device = Builder(), b.devices[record[3]]
        other.authority, other.time, other.appliance = b.authority, b.time - 7, b.appliance
        copy = type(device)(device.name, device.tenant, device.device_key, device.indicium_key)
        copy.registers, copy.download = list(record[5]), record[9] - 1
        if label == "request":
            other.request("x", copy, record[10], over)
        else:
            copy.registers = [record[5][0], record[5][1] - record[10], record[5][2] - record[10], record[5][3]]
            other.apply("x", copy, record[10], key, over)
        record[11] = other.records[-1][11]

    return twist


def stated(content_type: str = VOID, claims: Record | None = None, **over) -> Callable[[Builder, Record], None]:
    """Other values in the record, n9 to n10, and a statement of the device key that says the same, or has other claims."""

    def twist(b: Builder, record: Record) -> None:
        record.update({int(name[1:]): value for name, value in over.items()})
        device = b.devices[record[3]]
        record[11] = b.statement(device, content_type, record[9], record[10], claims)

    return twist


def void_with_value(b: Builder, record: Record) -> None:
    """A void that takes the amount into the registers, and all that follow keep it."""
    device, amount = b.devices[record[3]], record[10]
    a, d, c, n = device.registers
    device.registers = [a, d + amount, c + amount, n]
    record[5] = list(device.registers)
    stated()(b, record)


def voids_another_time(b: Builder, record: Record) -> None:
    """In place of a record without download: the last download voided once more."""
    device = b.devices[record[3]]
    record.update({0: 11, 8: device.tenant, 9: device.download, 10: 1_500})
    stated()(b, record)


SPOILED: list[tuple[str, str, Callable[[Builder, Record], object], str]] = [
    ("map out of order", "one:3", unordered, "cbor"),
    ("indefinite map", "one:3", indefinite, "cbor"),
    ("trailing byte", "one:3", lambda b, r: cbor(r) + b"\0", "cbor"),
    ("long integer form", "end", lambda b, r: b"\xa5\x00\x18\x09" + cbor(r)[3:], "cbor"),
    ("not a map", "end", lambda b, r: cbor([1, 2]), "cbor"),
    ("record too long", "end", setting(8, "v" * 65_536), "size"),
    ("unknown kind 13", "end", setting(0, 13), "kind"),
    ("missing key", "one:3", without(10), "keys"),
    ("surplus key", "one:3", setting(16, 1), "keys"),
    ("key of another kind", "end", setting(10, 1), "keys"),
    ("key 24", "end", setting(24, 1), "keys"),
    ("digest of 31 bytes", "one:3", setting(10, bytes(31)), "value"),
    ("clock source 4", "one:3", setting(2, [4, 50, 1]), "value"),
    ("bool for uint", "one:3", setting(15, True), "value"),
    ("negative amount", "ABCD0000000001:request1", setting(10, -1), "value"),
    ("unknown lock bit", "unlock", setting(9, 64), "value"),
    ("device ID of nine digits", "one:3", setting(3, "ABCD000000001"), "value"),
    ("refusals of a PSD", "refusals", lambda b, r: r.update({3: ONE, 4: 1, 5: [0, 0, 0, 0]}), "owner"),
    ("indicium of no PSD", "one:3", lambda b, r: [r.pop(k) for k in (3, 4, 5)] and None, "owner"),
    ("log key of a PSD", f"{ONE}:device", setting(9, 5), "owner"),
    ("certificate of the appliance", f"{ONE}:certificate", lambda b, r: [r.pop(k) for k in (3, 4, 5)] and None, "owner"),
    ("second genesis", "end", lambda b, r: {**b.records[0], 1: r[1], 2: r[2]}, "genesis"),
    ("no genesis", "genesis", lambda b, r: {0: 9, 1: r[1], 2: r[2], 8: "0", 9: bytes(16)}, "genesis"),
    ("quorum above operators", "genesis", setting(11, 3), "genesis"),
    ("root is no certificate", "genesis", setting(12, b"\x30\x00"), "genesis"),
    ("time runs backwards", "one:3", lambda b, r: r.__setitem__(1, r[1] - 100), "clock"),
    ("epoch falls", "lock", lambda b, r: r.__setitem__(2, [3, 50, 1]), "clock"),
    ("first record is not kind 3", f"{ONE}:created", lambda b, r: {k: r[k] for k in range(6)} | {0: 5, 8: 1, 9: 0}, "first"),
    ("sequence jumps", "one:3", lambda b, r: r.__setitem__(4, r[4] + 1), "sequence"),
    ("control total grows", "one:3", lambda b, r: r[5].__setitem__(2, r[5][2] + 1), "registers"),
    ("wrong movement", "one:3", moved_up, "registers-moved"),
    ("piece count stays", "one:3", lambda b, r: r[5].__setitem__(3, r[5][3] - 1), "registers-moved"),
    ("lifecycle moves registers", "lock", lambda b, r: r.__setitem__(5, [r[5][0] + 1, r[5][1] - 1, *r[5][2:]]), "registers-moved"),
    ("created with value", f"{ONE}:created", setting(5, [0, 5, 5, 0]), "created"),
    ("no room for one piece", f"{ONE}:created", setting(13, [5, 99_000, 4]), "created"),
    ("ZIPs that cross", f"{ONE}:created", setting(15, [94_999, 94_000]), "value"),
    ("ZIP of six digits", f"{ONE}:created", setting(15, [0, 100_000]), "value"),
    ("one ZIP", f"{ONE}:created", setting(15, [94_000]), "value"),
    ("algorithm of a key", f"{ONE}:indicium", setting(10, 2), "key-created"),
    ("key created twice", f"{TWO}:indicium", setting(8, TWO.encode() + b"-d"), "key-created"),
    ("certificate of another serial", f"{ONE}:certificate", setting(9, 1), "certificate"),
    ("certificate of another key", f"{ONE}:certificate", lambda b, r: r.__setitem__(10, b.authority.certify("x", new_key(), r[9])), "certificate"),
    ("certificate for an unknown key", f"{ONE}:certificate", setting(8, b"nobody"), "certificate"),
    ("foreign chain", f"{ONE}:certificate", foreign_chain, "chain"),
    ("chain without issuer", f"{ONE}:certificate", lambda b, r: r[10].pop() and None, "chain"),
    ("issuer is no CA", f"{ONE}:certificate", issuer_without_ca, "chain"),
    ("chain with the root", f"{ONE}:certificate", lambda b, r: r[10].append(der(b.authority.root)), "chain"),
    ("funds key not by the root", "funds", foreign_funds, "authority-key"),
    ("request number skips", "request2", setting(9, 3), "value-number"),
    ("download of another number", "apply2", setting(9, 3), "value-number"),
    ("download never requested", "request2", lambda b, r: {k: r[k] for k in range(6)} | {0: 5, 8: 3, 9: 0}, "value-number"),
    ("other amount applied", "apply2", setting(10, 999), "value-amount"),
    ("request signature", "request2", broken_signature, "value-request"),
    ("request claims another amount", "request2", claims("request", amount="2.000"), "value-request"),
    ("request claims another PSD", "request2", claims("request", psd=TWO), "value-request"),
    ("authorisation by another key", "apply2", claims("apply", key=new_key()), "value-authorisation"),
    ("authorisation for another control total", "apply2", claims("apply", control_total="1.000"), "value-authorisation"),
    ("authorisation expired", "apply2", claims("apply", expires=1), "value-authorisation"),
    ("authorisation for another appliance", "apply2", claims("apply", appliance="other"), "value-authorisation"),
    ("void of the appliance", "void", lambda b, r: [r.pop(k) for k in (3, 4, 5)] and None, "owner"),
    ("void without statement", "void", without(11), "keys"),
    ("void of nothing", "void", setting(10, 0), "value"),
    ("void without request", "void-unlock", voids_another_time, "value-number"),
    ("void of another number", "void", stated(n9=4), "value-number"),
    ("void of another amount", "void", stated(n10=1_499), "value-amount"),
    ("void moves registers", "void", void_with_value, "registers-moved"),
    ("void signature", "void", broken_signature, "value-void"),
    ("void by another key", "void", lambda b, r: r.__setitem__(11, b.statement(replace(b.devices[ONE], device_key=new_key()), VOID, r[9], r[10])), "value-void"),
    ("void is a request", "void", stated(REQUEST), "value-void"),
    ("request is a void", "request2", stated(VOID), "value-request"),
    ("void claims another number", "void", stated(claims={"sequence": 4}), "value-void"),
    ("void claims another amount", "void", stated(claims={"amount": "2.000"}), "value-void"),
    ("void claims another PSD", "void", stated(claims={"psd": TWO}), "value-void"),
    ("void claims another appliance", "void", stated(claims={"appliance": "other"}), "value-void"),
    ("void claims a later time", "void", stated(claims={"time": 1 << 50}), "value-void"),
    ("void claims other registers", "void", stated(claims={"registers": {"ascending": "0", "descending": "0", "control_total": "0", "pieces": 0}}), "value-void"),
    ("void claims more", "void", stated(claims={"reason": "lost"}), "value-void"),
    ("locked while signing", "unlock", setting(9, 16), "not-active"),
    ("withdrawn while signing", "unlock", setting(8, 4), "not-active"),
    ("active and scrapped", "lock", setting(8, 5), "lifecycle"),
    ("withdrawn and back", "lock", setting(8, 4), "lifecycle"),
    ("postage above the limit", f"{ONE}:created", setting(13, [1, 735, 4_000_000_000]), "limits"),
    ("key of version 4", "one:3", setting(9, bytes.fromhex("00000000000040008000000000000000")), "key-uuid"),
    ("key twice", "one:3", same_key_as("one:2"), "key-twice"),
    ("serial of another PSD", "one:3", symbol(serial=7002), "indicium-key"),
    ("unknown serial", "one:3", symbol(serial=9), "indicium-key"),
    ("symbol of another device", "one:3", symbol(number=2), "indicium-field"),
    ("symbol of another postage", "one:3", symbol(postage=1), "indicium-field"),
    ("symbol of another ascending register", "one:3", symbol(ascending=1), "indicium-field"),
    ("symbol of another descending register", "one:3", symbol(descending=1), "indicium-field"),
    ("symbol of another version", "one:3", symbol(version=2), "indicium-field"),
    ("symbol of another algorithm", "one:3", symbol(algorithm=1), "indicium-field"),
    ("symbol not SPECIM", "one:3", symbol(software=b"REAL01"), "indicium-field"),
    ("symbol with a day that is none", "one:3", symbol(date=20260231), "indicium-field"),
    ("symbol cut short", "one:3", lambda b, r: r.__setitem__(12, r[12][:-1]), "indicium-field"),
    ("symbol signed by another key", "one:3", symbol(key=new_key()), "indicium-signature"),
    ("state digest", "digest2", setting(8, bytes(32)), "state-digest"),
    ("count of PSDs", "digest2", setting(9, 3), "state-digest"),
]  # fmt: skip


LATER = {  # where a spoiled record shows only in a later one
    "first record is not kind 3": None,
    "download never requested": "apply2",
    "locked while signing": "last",
    "withdrawn while signing": "last",
    "withdrawn and back": "unlock",
    "postage above the limit": "one:6",
}
