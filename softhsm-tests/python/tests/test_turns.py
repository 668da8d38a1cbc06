"""Owns the proof that the order of records is judged: what may follow a right ledger passes, and what may not is the only finding."""

from __future__ import annotations

import json

import pytest
from client_answers import applied, voided
from in_custody import IN_CUSTODY
from judged import places, run
from ledger_builder import DAY_MS, ONE, TWO, VOID, Builder, scenario
from ledger_writer import write
from out_of_custody import OUT_OF_CUSTODY
from out_of_turn import FOUR, OUT_OF_TURN, SMALL, Steps, apply_voided, void_voided
from twists import stated, symbol
from unapproved import UNAPPROVED

ALL_OUT = OUT_OF_TURN + OUT_OF_CUSTODY + UNAPPROVED


@pytest.mark.parametrize(("steps", "code"), ALL_OUT, ids=[f"{n} {row[0].__name__}" for n, row in enumerate(ALL_OUT)])
def test_what_is_out_of_turn_is_the_only_finding(tmp_path, steps: Steps, code: str) -> None:
    b = scenario(pieces=2)
    steps(b, b.devices[ONE])
    assert places(run(write(b, tmp_path))) == {code: (f"leaf {b.labels['x']}", 1)}


# --- what is in turn -------------------------------------------------------------------------------------------------------


def nothing_withdrawn(b: Builder) -> None:
    """A withdrawal of an empty register, under a lock."""
    device = b.psd(FOUR, "acme", 7004)
    b.lock("x-lock", device, 1)
    b.withdrawal("x-withdrawal", device)
    b.withdrawn("x", device)


def refund_after_void(b: Builder) -> None:
    """A mark whose first refund was voided."""
    b.refund_request("x-request", b.devices[ONE], "one:0")
    b.refund("x", b.devices[ONE], "one:0")


def ceiling_of_another_licence(b: Builder) -> None:
    """No ceiling of one licence binds another, and none binds a refund."""
    b.ceiling("x-ceiling", "licence-2", 1, 0)
    b.request("x-request", b.devices[ONE], 3_000)
    b.apply("x-apply", b.devices[ONE], 3_000)
    b.ceiling("x-zero", "licence", 3, 0)
    refund_after_void(b)


def back_in_time(b: Builder) -> None:
    """Another clock epoch, and in it a day that had sums before: the last ones count, and they are of another day."""
    b.epoch += 1
    b.time -= DAY_MS
    b.request("x-request", b.devices[ONE], 3_000)
    b.apply("x", b.devices[ONE], 3_000)


def next_year(b: Builder) -> None:
    """Sums begin anew."""
    b.time += 366 * DAY_MS
    b.request("x-request", b.devices[ONE], 3_000)
    b.apply("x", b.devices[ONE], 3_000)


def more_than_fits(b: Builder) -> None:
    """Sums end at 2^63 - 1."""
    half = 1 << 62
    for n, name in enumerate((FOUR, "ABCD0000000005")):
        device = b.psd(name, "acme", 7004 + n, "rich", (*SMALL[:2], half, 1_000, half))
        b.request(f"x-request{n}", device, half)
        b.apply(f"x{n}", device, half)


def instructions_to_a_scrapped_psd(b: Builder) -> None:
    """A scrapped PSD is locked and unlocked, and setting what is set is no fault."""
    device = b.devices[TWO]
    b.lock("x-lock", device, 1)
    b.lock("x-again", device, 1)
    b.unlock("x-unlock", device, 1)
    b.unlock("x-unlocked", device, 1)


def vouchers_at_their_bounds(b: Builder) -> None:
    """The longest voucher there may be, which is refunded, and the shortest."""
    device = b.psd(FOUR, "acme", 7004, "fourth", layout="voucher", currency="CHF")
    b.request("x-request", device, 3_000)
    b.apply("x-apply", device, 3_000)
    b.twists["x-longest"] = symbol(kind="a" + "9-" * 15 + "z", holder="\u00e9" * 32, valid_until="2036-11-20")
    b.sign("x-longest", device, 1_001)
    b.twists["x-shortest"] = symbol(kind="t", holder=None, valid_until="2026-11-20")
    b.sign("x-shortest", device, 1)
    b.refund_request("x-refund", device, "x-longest")
    b.refund("x", device, "x-longest")


IN_TURN = [
    nothing_withdrawn, refund_after_void, ceiling_of_another_licence, back_in_time, next_year, more_than_fits,
    instructions_to_a_scrapped_psd, vouchers_at_their_bounds,
]  # fmt: skip


@pytest.mark.parametrize("steps", IN_TURN + IN_CUSTODY)
def test_what_is_in_turn_is_no_finding(tmp_path, steps) -> None:
    b = scenario(pieces=2)
    steps(b)
    b.digest("x-digest")
    assert places(run(write(b, tmp_path))) == {}


# --- a download that was voided -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("twist", "code"),
    [(stated(n10=1_499), "value-amount"), (stated(VOID, {"sequence": 4}), "value-void")],
    ids=["amount", "claim"],
)
def test_a_spoiled_void_is_the_only_finding(tmp_path, twist, code) -> None:
    b = scenario(pieces=2, twists={"void": twist})
    found = run(write(b, tmp_path))
    assert places(found) == {code: (f"leaf {b.labels['void']}", 1)}


def test_a_download_is_not_seen_both_applied_and_voided(tmp_path) -> None:
    b = scenario(pieces=2)
    apply_voided(b, b.devices[ONE])
    ledger, number = write(b, tmp_path), b.devices[ONE].download
    seen = [
        {"kind": f"value-{how}", "psd": ONE, "sequence": number, "leaf": b.labels[label], "amount": "3"}
        for how, label in (("voided", "x-void"), ("applied", "x"))
    ]
    for name, lines, codes in (("first", seen, 1), ("second", seen[::-1], 1), ("one", seen[:1], 0), ("other", seen[1:], 0)):
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert len({"seen-value"} & run(ledger, tmp_path / name).keys()) == codes, name


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (lambda b: applied(b, sequence=3, leaf=b.labels["void"], amount="1.500"), "does not apply download 3"),
        (lambda b: voided(b, sequence=2, leaf=b.labels["apply2"], amount="1"), "does not void download 2"),
    ],
    ids=["void seen applied", "application seen voided"],
)
def test_an_end_seen_as_the_other_is_named(tmp_path, valid, seen, said) -> None:
    b, ledger = valid
    (tmp_path / "notes").write_text(json.dumps(seen(b)))
    assert said in run(ledger, tmp_path / "notes")["seen-value"].message


def test_a_second_void_is_not_the_one_to_be_seen(tmp_path) -> None:
    b = scenario(pieces=2)
    void_voided(b, b.devices[ONE])
    second = voided(b, sequence=b.devices[ONE].download, leaf=b.labels["x"], amount="3")
    (tmp_path / "notes").write_text(json.dumps(second))
    assert "first voided in another leaf" in run(write(b, tmp_path), tmp_path / "notes")["seen-value"].message
