"""Owns building ledgers for the tests, from docs/ledger.md alone and sharing no code with the checker, and a small right one."""

from __future__ import annotations

from authority import new_key, strong_key
from encodings_of_ledger import cbor, decimal, uuid7
from ledger_base import EPOCH_MS, Base, Device, Record
from ledger_custody import Custody
from ledger_governance import Governance
from ledger_instructions import FORBID, Instructions
from ledger_values import AUTHORISATION, REQUEST, VOID, Values

ONE, TWO, THREE = "ABCD0000000001", "ABCD0000000002", "ABCD0000000003"
DAY_MS = 86_400_000
ROLES = {1: "indicium", 2: "certification", 3: "token-mac", 4: "device", 6: "postal-mac"}
REASONS = {0: "unspecified", 1: "keyCompromise", 3: "affiliationChanged", 4: "superseded", 5: "cessationOfOperation"}


class Builder(Values, Instructions, Custody, Governance):
    """Appends records of every kind, keeping the live records for the digests."""

    def acknowledge(self, label: str, device: Device, cka_id: bytes, role: int, serial: int) -> None:
        """The word of the authority that verifiers know a key, kinds 17 and 19."""
        self.instruct(label, 2, {"act": "acknowledge", "psd": device.name, "role": ROLES[role], "serial": serial})
        self.step(f"{label}:effect", device, cka_id, 5, later=0)

    def distrust(self, label: str, device: Device, cka_id: bytes, role: int, serial: int, *, since: int, reason: int) -> None:
        """The authority revokes a key, kinds 17 and 19."""
        claims = {"act": "revoke-key", "psd": device.name, "role": ROLES[role], "serial": serial}
        self.instruct(label, 2, claims | {"since": since, "reason": REASONS[reason]})
        self.step(f"{label}:effect", device, cka_id, 4, since=since, reason=reason, later=0)

    def change_key(self, label: str, device: Device, role: int) -> None:
        """The authority orders that a key changes, kinds 17 and 27."""
        self.instruct(label, 2, {"act": "change-key", "psd": device.name, "role": ROLES[role]})
        self.order_change(f"{label}:effect", device, role, step=0)

    def order_change(self, label: str, device: Device, role: int, step: int = 7) -> None:
        """Kind 27 alone."""
        self.add(label, 27, {8: role}, device, slot=f"key-change:{role}", step=step)


def scenario(pieces: int = 140, fund: int = 500_000, **options) -> Builder:
    """A small ledger with every kind of record: three PSDs, two of them of one licence and one for vouchers, downloads on days of
    two months, applied and voided, refunds, a withdrawal, locks and ceilings of the authority, inspections, keys that change, ceremonies and
    revocations, three state digests."""
    b = Builder(**options)
    b.genesis()
    b.started("started")
    for purpose in (1, 2, 3):
        b.authority_key(purpose)
    one, two = b.psd(ONE, "acme", 7001), b.psd(TWO, "umbrella", 7002)
    three = b.psd(THREE, "acme", 7003, "other", layout="voucher", currency="EUR")
    for device in (one, two, three):
        b.request(f"{device.name}:request1", device, fund)
        b.apply(f"{device.name}:apply1", device, fund)
    b.digest("digest1")
    for n in range(5):
        b.sign(f"three:{n}", three, 2_500 + n)
    for n in range(pieces):
        b.sign(f"one:{n}", one, 730 + n % 1000, recipient=f"Resident {n}" if n % 10 == 0 else None)
        b.sign(f"two:{n}", two, 1000)
        if n == pieces // 2:
            b.digest("digest2")
            b.refusals("refusals")
            b.epoch += 1
            b.time -= 100_000
            b.started("restarted")
    _october(b, one, two)
    _instructed(b, one, two, three)
    _custody(b, one)
    _inspected(b, one, two)
    _policies(b)
    _certified(b, two)
    _governance(b)
    b.request("request3", two, 2_000)
    b.digest("digest3")
    b.request("late-request", one, 2_500)
    b.void("late-void", one, 2_500)
    b.lifecycle("withdrawn2", two, 4, 4)
    b.lifecycle("scrapped2", two, 5, 4)
    b.void("scrapped-void", two, 2_000)
    b.refund_request("late-refund-request", one, "last")
    b.refund("late-refund", one, "last")
    b.withdrawn("withdrawn", three)
    b.lifecycle("scrapped3", three, 5, 16)
    b.ceiling("year-away", "licence", 3, None)
    b.begun("ceremony3")
    b.operators("named-again", ["anna", "ben", "cleo"], 2)
    b.ceremony_step("named-again:step")
    b.ended("ceremony3:ended", 1)
    b.revoke("cleo-again", 1, "cleo", reason=5)
    b.started("end")
    return b


def _custody(b: Builder, one: Device) -> None:
    """An indicium key and a device key give way to others; a spare key and a secret one."""
    first, second, spare = one.id(b"i"), one.id(b"i2"), one.id(b"i3")
    key = new_key()
    b.key("indicium2", second, 1, key, one, wrapped=b"\xff\x00 wrapped by the token")
    b.certificate("indicium2:certificate", second, 7101, key, one)
    b.acknowledge("indicium2:known", one, second, 1, 7101)
    b.sign("not-yet", one, 730)
    b.step("indicium2:activated", one, second, 1)
    one.indicium_key, one.serial = key, 7101
    b.sign("activated", one, 730)
    b.step("indicium:retired", one, first, 2)
    b.step("indicium:destroyed", one, first, 3)
    b.change_key("change", one, 1)
    key = b.certified_key("renewed", one, b"i4", 1, 7102)
    b.step("renewed:activated", one, one.id(b"i4"), 1)
    one.indicium_key, one.serial = key, 7102
    b.sign("renewed-piece", one, 730)
    b.key("spare", spare, 1, new_key(), one, wrapped=b"\xff\x01 wrapped by the token")
    b.step("spare:revoked", one, spare, 4, since=EPOCH_MS, reason=1)
    b.step("spare:destroyed", one, spare, 3)
    b.new_device_key("device2", one)
    b.certified_key("waiting", one, b"d3", 4, 7103)
    b.acknowledge("waiting:known", one, one.id(b"d3"), 4, 7103)
    b.certified_key("doubtful", one, b"d4", 4, 7104)
    b.distrust("distrust", one, one.id(b"d4"), 4, 7104, since=EPOCH_MS + 5, reason=1)
    b.change_key("device-change", one, 4)
    b.key("mac", one.id(b"m"), 3, None, one)
    b.key("mac2", one.id(b"m2"), 3, None, one, wrapped=b"\xff\x02 wrapped by the token")
    b.step("mac2:activated", one, one.id(b"m2"), 1)
    b.step("mac:retired", one, one.id(b"m"), 2)
    b.key("postal-mac", one.id(b"p"), 6, None, one)


def _inspected(b: Builder, one: Device, two: Device) -> None:
    """An inspection that is overdue to the millisecond, and its acceptance; a download that puts one off."""
    b.periods("periods", "licence", 48, 72)
    b.ceiling("year-lifted", "licence", 3, None)
    b.accept("inspected", one, b"\x0a" * 32)
    b.request("late-download-request", two, 1_000)
    b.apply("late-download", two, 1_000)
    b.time = b.records[b.labels["inspected:effect"]][1] + 3 * DAY_MS - 7
    b.lifecycle("overdue", one, 3, 1)
    b.lifecycle("overdue-operator", one, 3, 1 | 4)
    b.time = b.records[b.labels["late-download"]][1] + 3 * DAY_MS - 7
    b.lifecycle("overdue-two", two, 3, 1)
    b.lifecycle("overdue-operator-gone", one, 3, 1)
    b.accept("accepted", one, b"\x0b" * 32)
    b.accept("accepted-two", two, b"\x0c" * 32)
    b.sign("inspected-piece", one, 730)
    b.sign("tokened", one, 730, token="12345 67890 6")
    b.sign("tokened-longer", one, 730, token="1234 56789012 3")
    b.request("inspected-request", one, 1_000)
    b.apply("inspected-apply", one, 1_000)
    b.periods("periods-away", "licence", None, None)


def _policies(b: Builder) -> None:
    """A policy of the authority, another in its place, and one that lifts it."""
    b.policy("policy1", 1, FORBID)
    b.policy("policy2", 2, FORBID * (24_576 // len(FORBID)))
    b.policy("policy3", 3, "")


def _certified(b: Builder, device: Device) -> None:
    """Certifications by keys of both curves: of pieces on which nothing, too little and enough was paid."""
    key = b.certified_key("certifier", device, b"c", 2, 7201)
    b.rates("rates1", 1, 2026_01_01)
    b.rates("rates2", 2, 2027_01_01, k12=2027_12_31)
    b.scale("scale", "dock-1")
    b.scale("scale-signing", "dock-2", k16=2, k17=b"\x30 a key")
    b.scale_removed("scale-removed", "dock-2")
    b.scale("scale-back", "dock-2", k9="C-2")
    b.certify("certified", device, key, 7201, 730)
    b.certify("certified-short", device, key, 7201, 230, "two:0")
    b.certify("certified-paid", device, key, 7201, 0, "two:1")
    b.certify("receipted", device, key, 7201, 440, receipt=True)
    b.open_run("run", device, "autumn-7", {10001: (3, 1), 20260: (1, 0)})
    b.certify_in("run:town", device, "autumn-7", "10001", 1, [650, 600])
    b.certify_in("run:full", device, "autumn-7", "20260-0003", 0, [905, 800])
    b.certify_in("run:town2", device, "autumn-7", "10001", 1, [650, 600])
    b.close_run("run:closed", device, "autumn-7", [(2, 0), (1, 0)], 2_205, 2_105)
    b.open_run("run2", device, "open-1", {501: (1, 0)})
    stronger = b.certified_key("stronger-certifier", device, b"c2", 2, 7202, strong_key())
    b.step("stronger-certifier:activated", device, device.id(b"c2"), 1)
    b.certify("certified-384", device, stronger, 7202, 1_000)


def _governance(b: Builder) -> None:
    """A ceremony that was done, revocations, and a ceremony that was given up."""
    b.begun("ceremony1")
    b.ceremony_step("ceremony1:step1")
    b.operators("operators", ["anna", "ben", "cleo"], 2)
    b.ceremony_step("ceremony1:step2")
    b.ended("ceremony1:ended", 1, b.transcript())
    b.revoke("cleo", 1, "cleo", since=EPOCH_MS)
    b.revoke("client", 2, "acme", "mail room 2")
    b.revoke("account", 3, "umbrella", reason=9)
    b.begun("ceremony2")
    b.ceremony_step("ceremony2:step1")
    b.ended("ceremony2:ended", 2)


def _october(b: Builder, one: Device, two: Device) -> None:
    """Downloads of another month under ceilings that they reach exactly, and refunds."""
    b.time += 20 * DAY_MS
    b.lifecycle("lock", one, 3, 4)
    b.lifecycle("unlock", one, 3, 0)
    b.request("request2", one, 1_000)
    b.apply("apply2", one, 1_000)
    b.sign("last", one, 730)
    b.request("void-request", one, 1_500)
    b.lifecycle("void-lock", one, 3, 4)
    b.void("void", one, 1_500)
    b.lifecycle("void-unlock", one, 3, 0)
    b.time += DAY_MS
    b.ceiling("month", "licence", 2, 2_500)
    b.ceiling("day", "licence", 1, 1_500)
    b.request("again-request", one, 1_500)
    b.apply("again-apply", one, 1_500)
    b.ceiling("month-raised", "licence", 2, 100_000)
    b.ceiling("day-away", "licence", 1, None)
    b.ceiling("year", "licence", 3, b.sums("licence", b.loads[-1][1])[2] + 1_000)
    b.ceiling("other-day", "other", 1, 0)
    b.request("two-request", two, 1_000)
    b.apply("two-apply", two, 1_000)
    b.refund_request("refund-request", one, "one:1")
    b.refund("refund", one, "one:1")
    b.refund_request("refund-void-request", one, "one:0")
    b.void("refund-void", one, 730)


def _instructed(b: Builder, one: Device, two: Device, three: Device) -> None:
    """Locks by both purposes, one of them under a withdrawal."""
    b.lock("inspection-lock", one, 2)
    b.lock("inspection-again", one, 2)
    b.lock("funds-lock", one, 1)
    b.lifecycle("operator-lock", one, 3, 8 | 16 | 4)
    b.unlock("inspection-unlock", one, 2)
    b.unlock("funds-unlock", one, 1)
    b.lifecycle("operator-unlock", one, 3, 0)
    b.sign("unlocked", one, 730)
    b.withdrawal("withdrawal", three)
    b.lock("withdrawal-lock", three, 1)


__all__ = [
    "AUTHORISATION", "DAY_MS", "ONE", "REQUEST", "THREE", "TWO", "VOID", "Base", "Builder", "Device", "Record", "cbor", "decimal",
    "scenario", "uuid7",
]  # fmt: skip
