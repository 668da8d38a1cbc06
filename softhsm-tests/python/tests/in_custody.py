"""Owns what may follow a right ledger in the life of keys, ceremonies, operators and revocations."""

from __future__ import annotations

from authority import new_key
from ledger_builder import ONE, Builder
from out_of_turn import FOUR


def statements_by_an_older_key(b: Builder) -> None:
    """A request by a device key that has given way, and its end by one that is destroyed."""
    device = b.psd(FOUR, "acme", 7004, "fourth")
    older = device.device_key
    b.new_device_key("x-device", device)
    newer, device.device_key = device.device_key, older
    b.request("x-request", device, 3_000)
    b.void("x-void", device, 3_000)
    b.step("x-retired", device, device.id(b"d"), 2)
    b.step("x-destroyed", device, device.id(b"d"), 3)
    b.request("x-request2", device, 3_000)
    b.void("x-void2", device, 3_000)
    device.device_key = newer
    b.request("x-request3", device, 3_000)


def keys_of_a_withdrawn_psd(b: Builder) -> None:
    """The key in use is retired and destroyed once the PSD is withdrawn, or scrapped."""
    device = b.devices[ONE]
    b.withdrawal("x-withdrawal", device)
    b.withdrawn("x-withdrawn", device)
    b.step("x-retired", device, device.id(b"i4"), 2)
    b.step("x-destroyed", device, device.id(b"i4"), 3)
    b.lifecycle("x-scrapped", device, 5, 0)
    b.step("x-device", device, device.id(b"d2"), 2)


def keys_revoked_at_any_time(b: Builder) -> None:
    """Uncertified, retired and destroyed keys are revoked, a revoked one is retired and destroyed, a destroyed one retired."""
    device = b.devices[ONE]
    b.key("x-key", device.id(b"i9"), 1, new_key(), device)
    b.step("x-revoked", device, device.id(b"i9"), 4, reason=9, since=0)
    b.step("x-destroyed", device, device.id(b"i9"), 3)
    b.step("x-retired", device, device.id(b"i9"), 2)
    b.step("x-late", device, device.id(b"i"), 4, reason=3)
    b.step("x-in-use", device, device.id(b"i4"), 4, reason=1)
    device.indicium_key = b.certified_key("x-key2", device, b"i8", 1, 7901)
    b.step("x-activated", device, device.id(b"i8"), 1)
    device.serial = 7901
    b.sign("x", device, 730)


def a_key_that_waited(b: Builder) -> None:
    """Of two certified keys the older is activated after the younger, and signs."""
    device = b.devices[ONE]
    waiting = b.certified_key("x-key", device, b"i8", 1, 7908)
    b.certified_key("x-key2", device, b"i9", 1, 7909)
    b.step("x-activated2", device, device.id(b"i9"), 1)
    b.step("x-activated", device, device.id(b"i8"), 1)
    device.indicium_key, device.serial = waiting, 7908
    b.sign("x", device, 730)


def an_acknowledged_key(b: Builder) -> None:
    """It takes over, or is retired or revoked without ever having signed."""
    device = b.devices[ONE]
    for n, which in enumerate((b"i7", b"i8", b"i9")):
        waiting = b.certified_key(f"x-key{n}", device, which, 1, 7907 + n)
        b.acknowledge(f"x-known{n}", device, device.id(which), 1, 7907 + n)
    b.step("x-retired", device, device.id(b"i7"), 2)
    b.step("x-revoked", device, device.id(b"i8"), 4, reason=1)
    b.step("x-activated", device, device.id(b"i9"), 1)
    device.indicium_key, device.serial = waiting, 7909
    b.sign("x", device, 730)


def keys_changed_by_order(b: Builder) -> None:
    """A key made since takes over, then another change is ordered, and a secret key's; the role has two keys made since, of which the older takes over."""
    device = b.devices[ONE]
    b.change_key("x-change", device, 1)
    b.certified_key("x-key", device, b"i8", 1, 7908)
    b.step("x-activated", device, device.id(b"i8"), 1)
    b.change_key("x-change2", device, 1)
    b.change_key("x-change3", device, 3)
    waiting = b.certified_key("x-key2", device, b"i9", 1, 7909)
    b.certified_key("x-key3", device, b"i10", 1, 7910)
    b.step("x-activated2", device, device.id(b"i9"), 1)
    b.change_key("x-change4", device, 1)
    device.indicium_key, device.serial = waiting, 7909
    b.sign("x", device, 730)


def keys_revoked_by_the_authority(b: Builder) -> None:
    """A retired key and the one in use, from a time of before on; another takes over and signs."""
    device = b.devices[ONE]
    b.certified_key("x-key", device, b"i7", 1, 7907)
    b.step("x-retired", device, device.id(b"i7"), 2)
    b.distrust("x-distrust", device, device.id(b"i7"), 1, 7907, since=0, reason=4)
    b.distrust("x-distrust2", device, device.id(b"i4"), 1, 7102, since=b.time, reason=1)
    device.indicium_key = b.certified_key("x-key2", device, b"i8", 1, 7908)
    b.step("x-activated", device, device.id(b"i8"), 1)
    device.serial = 7908
    b.sign("x", device, 730)


def two_subjects_of_a_name(b: Builder) -> None:
    """A client, an account and an operator of one name, and a client of another tenant."""
    b.operators("x-operators", ["acme", "ben"], 1)
    b.revoke("x-operator", 1, "acme")
    b.revoke("x-account", 3, "acme")
    b.revoke("x-client", 2, "acme", "acme")
    b.revoke("x-other", 2, "umbrella", "mail room 2")
    b.revoke("x-nobody", 2, "nobody", "caf\u00e9")


def ceremony_without_steps(b: Builder) -> None:
    """A ceremony that ends as it began."""
    b.begun("x-begun")
    b.ended("x", 1)


def most_operators(b: Builder) -> None:
    """Sixty-four, all of them needed."""
    b.operators("x", [f"o{n}" for n in range(64)], 64)


IN_CUSTODY = [
    statements_by_an_older_key, keys_of_a_withdrawn_psd, keys_revoked_at_any_time, a_key_that_waited,
    an_acknowledged_key, keys_changed_by_order, keys_revoked_by_the_authority, two_subjects_of_a_name,
    ceremony_without_steps, most_operators,
]  # fmt: skip
