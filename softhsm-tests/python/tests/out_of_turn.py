"""Owns what may not follow a right ledger: steps that end in the record `x`, which alone is at fault, with the code that names it."""

from __future__ import annotations

from collections.abc import Callable

from ledger_builder import Builder, Device
from twists import naming

Steps = Callable[[Builder, Device], object]
FOUR = "ABCD0000000004"
SMALL = (1, 99_000, 10_000, 1_000, 10_000)


def again(device: Device, end: Callable[[str, Device, int], None]) -> None:
    """The last number ended once more."""
    device.download -= 1
    end("x", device, 3_000)


def apply_voided(b: Builder, device: Device) -> None:
    """Voided, and applied all the same."""
    b.request("x-request", device, 3_000)
    b.void("x-void", device, 3_000)
    again(device, b.apply)


def apply_voided_later(b: Builder, device: Device) -> None:
    """Voided, and applied when the next one of the same amount is under way."""
    b.request("x-request", device, 3_000)
    b.void("x-void", device, 3_000)
    b.request("x-next", device, 3_000)
    again(device, b.apply)


def request_voided(b: Builder, device: Device) -> None:
    """Voided, and requested under the same number."""
    b.request("x-request", device, 3_000)
    b.void("x-void", device, 3_000)
    again(device, b.request)


def request_past_voided(b: Builder, device: Device) -> None:
    """Voided, and a number left out."""
    b.request("x-request", device, 3_000)
    b.void("x-void", device, 3_000)
    device.download += 1
    b.request("x", device, 3_000)


def void_voided(b: Builder, device: Device) -> None:
    """Voided twice."""
    b.request("x-request", device, 3_000)
    b.void("x-void", device, 3_000)
    again(device, b.void)


def void_applied(b: Builder, device: Device) -> None:
    """Applied, then voided."""
    b.request("x-request", device, 3_000)
    b.apply("x-apply", device, 3_000)
    again(device, b.void)


def void_next(b: Builder, device: Device) -> None:
    """A void of the number after the one under way."""
    b.request("x-request", device, 3_000)
    device.download += 1
    b.void("x", device, 3_000)


def withdrawal_under_request(b: Builder, device: Device) -> None:
    """A withdrawal while a download is under way."""
    b.request("x-request", device, 3_000)
    b.withdrawal("x", device)


def request_under_withdrawal(b: Builder, device: Device) -> None:
    """A download while a withdrawal is under way."""
    b.withdrawal("x-withdrawal", device)
    b.request("x", device, 3_000)


def withdrawn_unasked(b: Builder, device: Device) -> None:
    """Withdrawn with nothing under way."""
    b.withdrawn("x", device)


def apply_refund(b: Builder, device: Device) -> None:
    """A refund ended as a download."""
    b.refund_request("x-request", device, "one:0")
    b.apply("x", device, 730)


def refund_download(b: Builder, device: Device) -> None:
    """A download ended as a refund."""
    b.sign("x-mark", device, 1_000)
    b.request("x-request", device, 1_000)
    b.refund("x", device, "x-mark")


def apply_withdrawal(b: Builder, device: Device) -> None:
    """A withdrawal ended as a download, which no ceiling forbids."""
    b.ceiling("x-ceiling", "licence", 2, None)
    b.withdrawal("x-request", device)
    b.apply("x", device, device.registers[1])


def void_withdrawal(b: Builder, device: Device) -> None:
    """A withdrawal given up."""
    b.withdrawal("x-request", device)
    b.void("x", device, device.registers[1])


def withdrawn_download(b: Builder, device: Device) -> None:
    """A download ended as a withdrawal."""
    b.request("x-request", device, 3_000)
    b.withdrawn("x", device, 3_000)


def refund_twin(b: Builder, device: Device) -> None:
    """The refund of another mark of the same postage than was requested."""
    b.sign("x-twin", device, 730)
    b.refund_request("x-request", device, "one:0")
    b.refund("x", device, "x-twin")


def request_refunded(b: Builder, device: Device) -> None:
    """A mark refunded before."""
    b.refund_request("x", device, "one:1")


def request_paying(b: Builder, device: Device) -> None:
    """A mark that paid for a certification, and that had been asked back before and given up."""
    key = b.certified_key("x-certifier", device, b"c", 2, 7301)
    b.certify("x-paid", device, key, 7301, 0, "one:0")
    b.refund_request("x", device, "one:0")


def refund_of_another(b: Builder, device: Device) -> None:
    """A mark of another PSD."""
    b.refund_request("x", device, "three:0")


def refund_to_come(b: Builder, device: Device) -> None:
    """A mark that is made only after the request."""
    b.twists["x"] = naming(len(b.records) + 1)
    b.refund_request("x", device, "one:0")
    b.sign("x-mark", device, 730)


def refund_above(b: Builder, _: Device) -> None:
    """A refund that the register has no room for."""
    device = b.psd(FOUR, "acme", 7004, "fourth", SMALL)
    for n, amount in enumerate((9_500, 1_000)):
        b.request(f"x-request{n}", device, amount)
        b.apply(f"x-apply{n}", device, amount)
        b.sign(f"x-mark{n}", device, 730) if n == 0 else None
    b.refund_request("x-refund", device, "x-mark0")
    b.refund("x", device, "x-mark0")


def sign_under_withdrawal(b: Builder, device: Device) -> None:
    """An indicium while a withdrawal is under way."""
    b.withdrawal("x-withdrawal", device)
    b.sign("x", device, 730)


def sign_withdrawn(b: Builder, device: Device) -> None:
    """An indicium that costs nothing, of limits that allow it, after the withdrawal."""
    device = b.psd(FOUR, "acme", 7004, "fourth", (0, *SMALL[1:]))
    b.withdrawal("x-withdrawal", device)
    b.withdrawn("x-withdrawn", device)
    b.sign("x", device, 0)


def reactivated(b: Builder, device: Device) -> None:
    """Active again after the withdrawal."""
    b.withdrawal("x-withdrawal", device)
    b.withdrawn("x-withdrawn", device)
    b.lifecycle("x", device, 3, 0)


def in_state_4(begin: Steps | None, end: Steps) -> Steps:
    """What stands in states 2 and 3 only, after a kind 5 to state 4."""

    def steps(b: Builder, device: Device) -> None:
        if begin is not None:
            begin(b, device)
        b.lifecycle("x-state", device, 4, 0)
        end(b, device)

    return steps


def above_ceiling(period: int) -> Steps:
    """A mill above the ceiling that was set last."""

    def steps(b: Builder, device: Device) -> None:
        loaded = b.sums("licence", b.loads[-1][1])[period - 1]
        b.ceiling("x-raised", "licence", period, loaded + 9_000)
        b.ceiling("x-lowered", "licence", period, loaded + 2_999)
        b.request("x-request", device, 3_000)
        b.apply("x", device, 3_000)

    return steps


def between(b: Builder, device: Device) -> None:
    """An instruction, a record of another kind, and only then its effect."""
    b.instruct("x-lock", 2, {"act": "lock", "psd": device.name})
    b.add("x", 9, {8: "0.1.0", 9: bytes(16)}, step=0)


OUT_OF_TURN: list[tuple[Steps, str]] = [
    (apply_voided, "value-number"),
    (apply_voided_later, "value-number"),
    (request_voided, "value-number"),
    (request_past_voided, "value-number"),
    (void_voided, "value-number"),
    (void_applied, "value-number"),
    (void_next, "value-number"),
    (withdrawal_under_request, "value-number"),
    (request_under_withdrawal, "value-number"),
    (withdrawn_unasked, "value-number"),
    (apply_refund, "value-purpose"),
    (refund_download, "value-purpose"),
    (apply_withdrawal, "value-purpose"),
    (void_withdrawal, "value-purpose"),
    (withdrawn_download, "value-purpose"),
    (refund_twin, "refund"),
    (request_refunded, "refund"),
    (request_paying, "paid-and-refunded"),
    (refund_of_another, "refund"),
    (refund_to_come, "refund"),
    (refund_above, "limits"),
    (sign_under_withdrawal, "not-active"),
    (sign_withdrawn, "not-active"),
    (reactivated, "lifecycle"),
    (in_state_4(None, lambda b, d: b.request("x", d, 3_000)), "value-state"),
    (in_state_4(None, lambda b, d: b.refund_request("x", d, "one:0")), "value-state"),
    (in_state_4(None, lambda b, d: b.withdrawal("x", d)), "value-state"),
    (in_state_4(lambda b, d: b.request("x-r", d, 3_000), lambda b, d: b.apply("x", d, 3_000)), "value-state"),
    (in_state_4(lambda b, d: b.refund_request("x-r", d, "one:0"), lambda b, d: b.refund("x", d, "one:0")), "value-state"),
    (in_state_4(lambda b, d: b.withdrawal("x-r", d), lambda b, d: b.withdrawn("x", d)), "value-state"),
    *((above_ceiling(period), "ceiling") for period in (1, 2, 3)),
    (between, "effect"),
    (lambda b, d: b.instruct("x", 2, {"act": "lock", "psd": d.name}), "effect"),
    (lambda b, d: b.set_ceiling("x", "licence", 1, 5_000), "effect"),
    (lambda b, d: b.lifecycle("x", d, 3, 8), "locks"),
    (lambda b, d: b.lifecycle("x", d, 3, 16), "locks"),
]
