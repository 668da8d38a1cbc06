"""Owns the ways to spoil exactly one voucher, each with the code that must name it."""

from __future__ import annotations

from dataclasses import replace

from authority import new_key
from ledger_builder import ONE, REQUEST, THREE, Builder, Record
from ledger_symbols import VOUCHER
from twists import Row, Twist, setting, symbol


def in_format(layout: str) -> Twist:
    """A symbol of that format, properly signed by the device."""

    def twist(b: Builder, record: Record) -> None:
        record[12] = b.symbol(replace(b.devices[record[3]], format=layout), record[5], record[11])

    return twist


def by_device_key(b: Builder, record: Record) -> None:
    """A voucher signed by the key that signs value requests."""
    device = b.devices[record[3]]
    record[12] = b.symbol(device, record[5], record[11], key=device.device_key)


VOUCHERS: list[Row] = [
    ("voucher of another device", "three:0", symbol(psd=ONE), "indicium-field"),
    ("voucher of another value", "three:0", symbol(value="2.51"), "indicium-field"),
    ("voucher of another currency", "three:0", symbol(currency="USD"), "indicium-field"),
    ("voucher of another ascending register", "three:0", symbol(ascending="2.51"), "indicium-field"),
    ("voucher of another descending register", "three:0", symbol(descending="0.00"), "indicium-field"),
    ("voucher of another control total", "three:0", symbol(control_total="0.00"), "indicium-field"),
    ("voucher of another count", "three:0", symbol(count=2), "indicium-field"),
    ("voucher that is no specimen", "three:0", symbol(specimen=None), "indicium-field"),
    ("voucher with specimen false", "three:0", symbol(specimen=False), "indicium-field"),
    ("voucher that is a specimen in production", "genesis", setting(9, 1), "indicium-field"),
    ("voucher with more claims", "three:0", symbol(seat="12 B"), "indicium-field"),
    ("voucher without a kind", "three:0", symbol(kind=None), "indicium-field"),
    ("voucher of a kind in capitals", "three:0", symbol(kind="Ticket"), "indicium-field"),
    ("voucher of a kind of 33 letters", "three:0", symbol(kind="t" * 33), "indicium-field"),
    ("voucher with a control character", "three:0", symbol(holder="a\nb"), "indicium-field"),
    ("voucher with an empty holder", "three:0", symbol(holder=""), "indicium-field"),
    ("voucher with a holder of 65 bytes", "three:0", symbol(holder="\u00e9" * 32 + "e"), "indicium-field"),
    ("voucher with a day that is none", "three:0", symbol(valid_from="2026-02-31"), "indicium-field"),
    ("voucher that ends before it begins", "three:0", symbol(valid_until="2026-11-19"), "indicium-field"),
    ("voucher for a day too many", "three:0", symbol(valid_until="2036-11-21"), "indicium-field"),
    ("voucher for eleven years", "three:0", symbol(valid_until="2037-11-20"), "indicium-field"),
    ("voucher with an amount in three decimals", "three:0", symbol(value="2.500"), "indicium-field"),
    ("voucher of another content type", "three:0", symbol(header={1: -7, 3: REQUEST}), "indicium-field"),
    ("voucher of another algorithm", "three:0", symbol(header={1: -8, 3: VOUCHER}), "indicium-field"),
    ("voucher cut short", "three:0", lambda b, r: r.__setitem__(12, r[12][:-1]), "indicium-field"),
    ("mark in place of a voucher", "three:0", in_format("ibi"), "indicium-field"),
    ("voucher in place of a mark", "one:3", in_format("voucher"), "indicium-field"),
    ("vouchers of a PSD in another currency", f"{THREE}:created", setting(14, "USD"), "indicium-field"),
    ("voucher with an unknown serial", "three:0", symbol(certificate=9), "indicium-key"),
    ("voucher with the serial of another PSD", "three:0", symbol(certificate=7001), "indicium-key"),
    ("voucher signed by another key", "three:0", symbol(key=new_key()), "indicium-signature"),
    ("voucher signed by the device key", "three:0", by_device_key, "indicium-signature"),
    ("voucher above the limit", "three:0", setting(11, 99_001), "limits"),
]  # fmt: skip

VOUCHERS_LATER = {  # where a spoiled record shows only in a later one
    "voucher that is a specimen in production": "three:0",
    "vouchers of a PSD in another currency": "three:0",
}

VOUCHERS_ALSO = {  # what follows from a spoiled record besides its own code
    "voucher above the limit": {"indicium-field", "registers-moved"},
    "voucher that is a specimen in production": {"certification", "countersignature"},
}
