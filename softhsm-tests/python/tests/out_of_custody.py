"""Owns what may not follow a right ledger in the life of keys, ceremonies, operators and revocations.

Steps that end in the record `x`, which alone is at fault, with the code that names it.
"""

from __future__ import annotations

from dataclasses import replace

from authority import new_key, strong_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_builder import ROLES, THREE, TWO, Builder, Device
from ledger_values import REQUEST
from out_of_turn import FOUR
from spoiled_custody import OPERATORS_AT_FAULT

NEXT = b"i9"


def id_of(device: Device, which: bytes = NEXT) -> bytes:
    """The CKA_ID of the key that comes next."""
    return device.id(which)


def taken_over(b: Builder, device: Device) -> None:
    """Another indicium key takes over; the device in the builder still has the one before."""
    b.certified_key("x-key", device, NEXT, 1, 7901)
    b.step("x-activated", device, id_of(device), 1)


def spare(b: Builder, device: Device, *steps: int) -> None:
    """A certified indicium key that takes these steps."""
    b.certified_key("x-key", device, NEXT, 1, 7901)
    for n, step in enumerate(steps):
        b.step(f"x-step{n}", device, id_of(device), step, reason=1 if step == 4 else None)


def stepping(*steps: int, last: int):
    """A certified key that takes steps, and one too many."""

    def run(b: Builder, device: Device) -> None:
        spare(b, device, *steps)
        b.step("x", device, id_of(device), last, reason=0 if last == 4 else None)

    run.__name__ = f"key_takes_{'_'.join(map(str, steps)) or 'no'}_and_then_{last}"
    return run


def certified_late(*steps: int):
    """A key that is certified after these steps."""

    def run(b: Builder, device: Device) -> None:
        key = new_key()
        b.key("x-key", id_of(device), 1, key, device)
        for n, step in enumerate(steps):
            b.step(f"x-step{n}", device, id_of(device), step, reason=1 if step == 4 else None)
        b.certificate("x", id_of(device), 7901, key, device)

    run.__name__ = f"certified_after_{'_'.join(map(str, steps))}"
    return run


def certified_again(b: Builder, device: Device) -> None:
    """A second certificate for the key in use."""
    b.certificate("x", device.id(b"i4"), 7902, device.indicium_key, device)


def device_key_certified_again(b: Builder, device: Device) -> None:
    """A second certificate for the device key in use."""
    b.certificate("x", device.id(b"d2"), 7903, device.device_key, device)


def certificate_installed_again(b: Builder, device: Device) -> None:
    """The same certificate a second time."""
    chain = b.records[b.labels["renewed:certificate"]][10]
    b.twists["x"] = lambda _, record: record.__setitem__(10, chain)
    b.certificate("x", device.id(b"i4"), 7102, device.indicium_key, device)


def weaker(b: Builder, device: Device) -> None:
    """A key weaker than the newest of its role, which was revoked."""
    b.certified_key("x-first", device, b"c1", 2, 7904, Ed25519PrivateKey.generate())
    b.key("x-as-strong", device.id(b"c2"), 2, new_key(), device)
    b.certified_key("x-stronger", device, b"c3", 2, 7905, strong_key())
    b.step("x-revoked", device, device.id(b"c3"), 4, reason=1)
    b.key("x", device.id(b"c4"), 2, new_key(), device)


def acknowledged_after(*steps: int, certified: bool = True):
    """A key that is acknowledged by a right instruction after these steps."""

    def run(b: Builder, device: Device) -> None:
        if certified:
            spare(b, device, *steps)
        else:
            b.key("x-key", id_of(device), 1, new_key(), device)
        claims = {"act": "acknowledge", "psd": device.name, "role": "indicium", "serial": 7901}
        b.instruct("x-word", 2, claims)
        b.step("x", device, id_of(device), 5, later=0)

    run.__name__ = f"acknowledged_after_{'_'.join(map(str, steps)) or 'no'}{'' if certified else '_uncertified'}"
    return run


def acknowledged_by_nobody(b: Builder, device: Device) -> None:
    """Without an instruction."""
    spare(b, device)
    b.step("x", device, id_of(device), 5)


def acknowledged_in_place_of_another(b: Builder, device: Device) -> None:
    """The instruction is of another key that waits."""
    spare(b, device)
    b.certified_key("x-other", device, b"i8", 1, 7906)
    b.instruct("x-word", 2, {"act": "acknowledge", "psd": device.name, "role": "indicium", "serial": 7906})
    b.step("x", device, id_of(device), 5, later=0)


def acknowledged_twice(b: Builder, device: Device) -> None:
    """By two instructions."""
    spare(b, device)
    b.acknowledge("x-first", device, id_of(device), 1, 7901)
    b.instruct("x-word", 2, {"act": "acknowledge", "psd": device.name, "role": "indicium", "serial": 7901})
    b.step("x", device, id_of(device), 5, later=0)


def ordered_by_nobody(b: Builder, device: Device) -> None:
    """A change of a key without an instruction."""
    b.order_change("x", device, 1)


def changing(role: int, *, withdrawn: bool = False, twice: bool = False):
    """A change of a key that is ordered by a right instruction."""

    def run(b: Builder, device: Device) -> None:
        if withdrawn:
            b.withdrawal("x-withdrawal", device)
            b.withdrawn("x-withdrawn", device)
        if twice:
            b.change_key("x-change", device, role)
            b.certified_key("x-key", device, NEXT, role, 7901)
        b.instruct("x-word", 2, {"act": "change-key", "psd": device.name, "role": ROLES[role]})
        b.order_change("x", device, role, step=0)

    run.__name__ = f"change_of_role_{role}{'_withdrawn' if withdrawn else ''}{'_twice' if twice else ''}"
    return run


def changed_by_the_one_before(b: Builder, device: Device) -> None:
    """The key that took over was made before the order: one more order comes too early."""
    spare(b, device)
    b.change_key("x-change", device, 1)
    b.step("x-activated", device, id_of(device), 1)
    b.instruct("x-word", 2, {"act": "change-key", "psd": device.name, "role": "indicium"})
    b.order_change("x", device, 1, step=0)


def distrusted_after(*steps: int):
    """A key that the authority revokes by a right instruction after it was revoked."""

    def run(b: Builder, device: Device) -> None:
        spare(b, device, *steps)
        since = b.time
        claims = {"act": "revoke-key", "psd": device.name, "role": "indicium", "serial": 7901}
        b.instruct("x-word", 2, claims | {"since": since, "reason": "keyCompromise"})
        b.step("x", device, id_of(device), 4, since=since, reason=1, later=0)

    run.__name__ = f"distrusted_after_{'_'.join(map(str, steps))}"
    return run


def signed_by_a_key_that_the_authority_revoked(b: Builder, device: Device) -> None:
    """A piece by the key that was in use."""
    b.distrust("x-distrust", device, device.id(b"i4"), 1, 7102, since=b.time, reason=1)
    b.sign("x", device, 730)


def activated_uncertified(b: Builder, device: Device) -> None:
    """Activated before its certificate."""
    b.key("x-key", id_of(device), 1, new_key(), device)
    b.step("x", device, id_of(device), 1)


def activated_in_use(b: Builder, device: Device) -> None:
    """The key that its certificate activated, activated."""
    b.step("x", b.devices[THREE], b.devices[THREE].id(b"i"), 1)


def activated_secret(b: Builder, device: Device) -> None:
    """The first secret key, which its making activated, activated after another one took over."""
    b.step("x", device, device.id(b"m"), 1)


def retired_in_use(b: Builder, device: Device) -> None:
    """The indicium key in use, retired."""
    b.step("x", device, device.id(b"i4"), 2)


def retired_device_key_in_use(b: Builder, device: Device) -> None:
    """The device key in use, retired."""
    b.step("x", device, device.id(b"d2"), 2)


def retired_secret_in_use(b: Builder, device: Device) -> None:
    """The secret key in use, retired."""
    b.step("x", device, device.id(b"m2"), 2)


def retired_first_secret(b: Builder, device: Device) -> None:
    """The first secret key is in use from its making on, and a second does not take its place by itself."""
    other = b.psd(FOUR, "acme", 7004, "fourth")
    b.key("x-mac", other.id(b"m"), 3, None, other)
    b.key("x-mac2", other.id(b"m2"), 3, None, other)
    b.step("x", other, other.id(b"m"), 2)


def step_of_another_psd(b: Builder, device: Device) -> None:
    """A key of another PSD."""
    b.step("x", device, b.devices[TWO].id(b"i"), 4, reason=1)


def second_certified_is_first(b: Builder, device: Device) -> None:
    """Of two keys of a role the first is revoked without certificate, so the second's certificate activates it."""
    b.key("x-key", device.id(b"c1"), 2, new_key(), device)
    b.step("x-revoked", device, device.id(b"c1"), 4, reason=4)
    b.certified_key("x-key2", device, b"c2", 2, 7902)
    b.step("x", device, device.id(b"c2"), 2)


def signed_by_the_one_before(b: Builder, device: Device) -> None:
    """A piece by the key that gave way."""
    taken_over(b, device)
    b.sign("x", device, 730)


def signed_before_activation(b: Builder, device: Device) -> None:
    """A piece by a key that is certified and not activated."""
    device.indicium_key = b.certified_key("x-key", device, NEXT, 1, 7901)
    device.serial = 7901
    b.sign("x", device, 730)


def signed_by_a_revoked_key(b: Builder, device: Device) -> None:
    """A piece by the key that was in use."""
    b.step("x-revoked", device, device.id(b"i4"), 4, reason=1)
    b.sign("x", device, 730)


def signed_by_the_one_before_a_revoked_key(b: Builder, device: Device) -> None:
    """A piece by the key before the revoked one: it does not take its place by itself."""
    taken_over(b, device)
    b.step("x-revoked", device, id_of(device), 4, reason=1)
    b.sign("x", device, 730)


def signed_after_another_was_revoked_late(b: Builder, device: Device) -> None:
    """A piece by a destroyed key: revoked and destroyed while in use."""
    b.step("x-revoked", device, device.id(b"i4"), 4, reason=1)
    b.step("x-destroyed", device, device.id(b"i4"), 3)
    b.sign("x", device, 730)


def requested_by_a_key_to_come(b: Builder, device: Device) -> None:
    """A request signed by a device key that is certified and was never activated."""
    key = b.certified_key("x-key", device, b"d9", 4, 7903)
    message = b.statement(replace(device, device_key=key), REQUEST, device.download + 1, 3_000)
    b.twists["x"] = lambda _, record: record.__setitem__(11, message)
    b.request("x", device, 3_000)


def begun_while_under_way(b: Builder, device: Device) -> None:
    """A ceremony while another is under way."""
    b.begun("x-begun")
    b.begun("x")


def step_of_an_ended_one(b: Builder, device: Device) -> None:
    """A step after the end."""
    b.begun("x-begun")
    b.ended("x-ended", 1)
    b.ceremony_step("x")


def step_twice(b: Builder, device: Device) -> None:
    """A step again."""
    b.begun("x-begun")
    b.ceremony_step("x-step")
    b.ceremony_step("x", step=1)


def step_left_out(b: Builder, device: Device) -> None:
    """A step left out, the first of them."""
    b.begun("x-begun")
    b.ceremony_step("x", step=2)


def steps_of_the_one_before(b: Builder, device: Device) -> None:
    """Steps begin anew in each ceremony."""
    b.begun("x-begun")
    b.ceremony_step("x-step")
    b.ended("x-ended", 2)
    b.begun("x-again")
    b.ceremony_step("x", step=2)


def step_of_another(b: Builder, device: Device) -> None:
    """A step of the ceremony before."""
    b.begun("x-begun")
    b.ceremony_step("x", number=b.ceremony - 1, step=1)


def ended_another(b: Builder, device: Device) -> None:
    """The end of the ceremony before."""
    b.begun("x-begun")
    b.ended("x", 1, number=b.ceremony - 1)


def ended_twice(b: Builder, device: Device) -> None:
    """An end again."""
    b.begun("x-begun")
    b.ended("x-ended", 2)
    b.ended("x", 2)


def revoked_again(whom: int, name: str, client: str | None):
    """A subject revoked twice."""

    def run(b: Builder, device: Device) -> None:
        b.operators("x-operators", ["anna", "ben", "cleo", "dora"], 1)
        if whom == 1:
            b.revoke("x-first", whom, name, client)
        b.revoke("x", whom, name, client, reason=0)

    run.__name__ = f"revoked_twice_{whom}"
    return run


def no_quorum_left(b: Builder, device: Device) -> None:
    """Two of three are needed, one was revoked before."""
    b.revoke("x", 1, "anna")


def no_operator_of_now(b: Builder, device: Device) -> None:
    """An operator of before."""
    b.operators("x-operators", ["dora", "emil"], 1)
    b.revoke("x", 1, "anna")


def named(names: list[str], quorum: int, keys: list[bytes] | None, name: str):
    """Operators that could never decide."""

    def run(b: Builder, device: Device) -> None:
        b.operators("x", names, quorum, keys)

    run.__name__ = f"operators_{name.replace(' ', '_')}"
    return run


OUT_OF_CUSTODY = [
    (activated_uncertified, "key-step"),
    (activated_in_use, "key-step"),
    (activated_secret, "key-step"),
    (stepping(1, last=1), "key-step"),
    (stepping(2, last=1), "key-step"),
    (stepping(4, last=1), "key-step"),
    (stepping(4, 3, last=1), "key-step"),
    (stepping(1, last=2), "key-step"),
    (stepping(2, last=2), "key-step"),
    (stepping(last=3), "key-step"),
    (stepping(1, last=3), "key-step"),
    (stepping(2, 3, last=3), "key-step"),
    (stepping(4, last=4), "key-step"),
    (acknowledged_after(1), "key-step"),
    (acknowledged_after(2), "key-step"),
    (acknowledged_after(4), "key-step"),
    (acknowledged_after(4, 3), "key-step"),
    (acknowledged_twice, "key-step"),
    (acknowledged_by_nobody, "effect"),
    (acknowledged_in_place_of_another, "effect"),
    (ordered_by_nobody, "effect"),
    (changing(2), "key-change"),
    (changing(1, withdrawn=True), "key-change"),
    (changing(1, twice=True), "key-change"),
    (changed_by_the_one_before, "key-change"),
    (distrusted_after(4), "key-step"),
    (distrusted_after(4, 3), "key-step"),
    (retired_in_use, "key-step"),
    (retired_device_key_in_use, "key-step"),
    (retired_secret_in_use, "key-step"),
    (retired_first_secret, "key-step"),
    (step_of_another_psd, "key-step"),
    (second_certified_is_first, "key-step"),
    (weaker, "key-weaker"),
    (certified_again, "certificate"),
    (device_key_certified_again, "certificate"),
    (certificate_installed_again, "certificate"),
    (certified_late(2), "certificate"),
    (certified_late(4), "certificate"),
    (certified_late(2, 3), "certificate"),
    (signed_by_the_one_before, "key-in-use"),
    (signed_before_activation, "key-in-use"),
    (signed_by_a_revoked_key, "key-in-use"),
    (signed_by_a_key_that_the_authority_revoked, "key-in-use"),
    (signed_by_the_one_before_a_revoked_key, "key-in-use"),
    (signed_after_another_was_revoked_late, "key-in-use"),
    (requested_by_a_key_to_come, "value-request"),
    (lambda b, d: b.begun("x", number=b.ceremony), "ceremony"),
    (lambda b, d: b.begun("x", number=b.ceremony + 2), "ceremony"),
    (begun_while_under_way, "ceremony"),
    (step_of_an_ended_one, "ceremony"),
    (step_twice, "ceremony"),
    (step_left_out, "ceremony"),
    (steps_of_the_one_before, "ceremony"),
    (step_of_another, "ceremony"),
    (ended_another, "ceremony"),
    (ended_twice, "ceremony"),
    *((named(names, quorum, keys, name), "operators") for name, names, quorum, keys in OPERATORS_AT_FAULT),
    (revoked_again(1, "anna", None), "revoked"),
    (revoked_again(2, "acme", "mail room 2"), "revoked"),
    (revoked_again(3, "umbrella", None), "revoked"),
    (no_quorum_left, "revoked"),
    (no_operator_of_now, "revoked"),
    (lambda b, d: b.revoke("x", 1, "nobody"), "revoked"),
]
