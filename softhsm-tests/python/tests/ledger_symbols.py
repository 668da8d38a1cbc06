"""Owns the symbols of built ledgers: an IBI, and a voucher."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from authority import raw_signature
from encodings_of_ledger import cbor, shortest, sign1

if TYPE_CHECKING:
    from ledger_base import Device

VOUCHER = "application/psdd-voucher+cbor"


def ibi(device: Device, registers: list[int], postage: int, /, key=None, **over) -> bytes:
    """An IBI of the device; `over` replaces fields before it is signed."""
    f = {
        "version": 1, "algorithm": 4, "serial": device.serial, "maker": device.name[:2].encode(),
        "model": device.name[2:4].encode(), "number": int(device.name[4:]), "ascending": registers[0],
        "postage": postage, "date": 20260921, "zip": 20260, "destination": b"\x01\x02\x03\x04\x05",
        "software": b"SPECIM", "descending": registers[1], "rate": b"FC  ", **over,
    }  # fmt: skip
    signed = (
        struct.pack("<BBI", f["version"], f["algorithm"], f["serial"]) + f["maker"] + f["model"]
        + f["number"].to_bytes(4, "little") + f["ascending"].to_bytes(5, "little") + f["postage"].to_bytes(3, "little")
        + struct.pack("<II", f["date"], f["zip"]) + f["destination"] + f["software"]
        + f["descending"].to_bytes(4, "little") + f["rate"]
    )  # fmt: skip
    return signed + (raw_signature(key or device.indicium_key, signed) if key != b"" else bytes(64))


def voucher(device: Device, registers: list[int], value: int, /, key=None, header=None, **over) -> bytes:
    """A voucher of the device; `over` replaces claims before it is signed, and None leaves one away."""
    claims = {
        "psd": device.name, "kind": "ticket", "count": registers[3], "value": shortest(value), "holder": "seat 12 B",
        "currency": device.currency, "specimen": True, "ascending": shortest(registers[0]),
        "descending": shortest(registers[1]), "valid_from": "2026-11-20", "certificate": device.serial,
        "valid_until": "2027-11-20", "control_total": shortest(registers[2]), **over,
    }  # fmt: skip
    claims = {name: claim for name, claim in claims.items() if claim is not None}
    return sign1(key or device.indicium_key, header or {1: -7, 3: VOUCHER}, claims)


CERTIFICATION = "application/psdd-certification+cbor"


def certification(device: Device, registers: list[int], debited: int, /, key, serial: int, header=None, receipt=False, **over) -> bytes:
    """A certification of the device; `over` replaces claims before it is signed, and None leaves one away. With `receipt` nothing signs it."""
    claims = {
        "due": shortest(debited), "psd": device.name, "date": "2026-11-20", "paid": "0.00", "class": "letter",
        "count": registers[3], "rates": "postland", "scale": "dock-1", "tariff": "full", "weight": 20_000,
        "debited": shortest(debited), "version": 1, "weighed": 1_790_000_000_000, "currency": device.currency,
        "specimen": True, "ascending": shortest(registers[0]), "descending": shortest(registers[1]),
        "certificate": None if receipt else serial, "destination": "20500", "rates_digest": bytes(32),
        "control_total": shortest(registers[2]), **over,
    }  # fmt: skip
    claims = {name: claim for name, claim in claims.items() if claim is not None}
    if receipt:
        return cbor(claims)
    return sign1(key, header or {1: -35 if key.curve.key_size == 384 else -7, 3: CERTIFICATION}, claims)


SYMBOLS = {"ibi": ibi, "voucher": voucher}
