"""Numbers and digital tokens: the vectors both implementations hold, FF1 of the standard, and what a reader must refuse."""

import hmac
import itertools
import json
from pathlib import Path

import pytest
from psdd_checker import certification_number, digital_token
from psdd_checker.digital_token import POSTAL, VENDOR, TokenData
from psdd_checker.ff1 import Ff1

VECTORS = json.loads((Path(__file__).resolve().parents[3] / "daemon/certification/tests/vectors.json").read_text())
KEY = bytes(range(32))
# NIST, FF1samples: one key, of which AES-128 and AES-192 take the first bytes.
NIST_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94")
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SAMPLES = [
    (10, b"", "0123456789", ("2433477484", "2830668132", "6657667009")),
    (10, b"9876543210", "0123456789", ("6124200773", "2496655549", "1001623463")),
    (36, b"7777pqrs777", "0123456789abcdefghi", ("a9tv40mll9kdu509eum", "xbj3kv35jrawxv32ysr", "xs8a0azh2avyalyzuwd")),
]


@pytest.mark.parametrize(("radix", "tweak", "plain", "expected"), SAMPLES)
def test_ff1_is_that_of_the_standard(radix, tweak, plain, expected):
    numerals = [DIGITS.index(character) for character in plain]
    for length, permuted in zip((16, 24, 32), expected, strict=True):
        cipher = Ff1(NIST_KEY[:length], radix)
        encrypted = cipher.encrypt(tweak, numerals)
        assert "".join(DIGITS[numeral] for numeral in encrypted) == permuted
        assert cipher.decrypt(tweak, encrypted) == numerals


def test_ff1_refuses_what_the_standard_does():
    with pytest.raises(ValueError):
        Ff1(KEY, 1)
    for numerals in ([32] * 9, [0] * 3, [-1] * 9):
        with pytest.raises(ValueError):
            Ff1(KEY, 32).encrypt(b"", numerals)


def test_the_key_of_an_epoch():
    assert len(VECTORS["epoch_keys"]) == 5
    for row in VECTORS["epoch_keys"]:
        message = certification_number.key_message(row["appliance"], row["epoch"])
        assert message.hex() == row["message"]
        assert hmac.digest(bytes.fromhex(row["secret"]), message, "sha256").hex() == row["key"]


def test_numbers_lead_both_ways():
    assert len(VECTORS["numbers"]) == 25
    for row in VECTORS["numbers"]:
        scope = bytes.fromhex(row["key"]), row["appliance"], row["epoch"]
        number = certification_number.number(*scope, row["leaf"])
        assert str(number) == row["number"]
        read = certification_number.parse(row["number"].lower().replace("0", "o").replace("-", " "))
        assert certification_number.opened(*scope, read) == row["leaf"]
        with pytest.raises(ValueError, match="another epoch"):
            certification_number.opened(scope[0], scope[1], scope[2] + 1, read)
    for leaf in (1 << 45, -1):
        with pytest.raises(ValueError):
            certification_number.number(KEY, "post-1", 1, leaf)


def _parses(text):
    try:
        certification_number.parse(text)
    except ValueError:
        return False
    return True


def test_every_wrong_character_and_every_swap_is_found():
    plain = VECTORS["numbers"][3]["number"].replace("-", "")
    assert _parses(plain)
    for at, wrong in itertools.product(range(12), certification_number.ALPHABET):
        assert _parses(plain[:at] + wrong + plain[at + 1 :]) == (plain[at] == wrong)
    for first, second in itertools.combinations(range(12), 2):
        swapped = list(plain)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        assert _parses("".join(swapped)) == (plain[first] == plain[second])


@pytest.mark.parametrize("text", ["", "7KQ4-M2XD", "7KQ4-M2XD-P0N20", "7KQ4-M2XD-P0NU", "7KQ4-M2XD-P0N\u00fc", "7KQ4*M2XDP0N2"])
def test_what_is_no_number(text):
    assert _parses("7KQ4-M2XD-P0N2")
    assert not _parses(text)


def _data(row):
    digits = row["destination"].replace("-", "")
    recipient = digital_token.address_code(row["address"]) if row["address"] else int(digits)
    return TokenData(row["psd"], row["pieces"], row["mills"], row["yyyymmdd"], int(digits[:5]), recipient)


def test_tokens_of_both_parties():
    assert len(VECTORS["tokens"]) == 5
    for row in VECTORS["tokens"]:
        data, lengths = _data(row), tuple(row["lengths"])
        vendor, postal = bytes.fromhex(row["vendor_secret"]), bytes.fromhex(row["postal_secret"])
        assert data.message(VENDOR).hex() == row["vendor_message"]
        assert data.message(POSTAL).hex() == row["postal_message"]
        halves = digital_token.half(vendor, VENDOR, data, lengths[0]), digital_token.half(postal, POSTAL, data, lengths[1])
        assert digital_token.printed(*halves) == row["token"]
        assert digital_token.holds(vendor, VENDOR, data, row["token"], lengths)
        assert digital_token.holds(postal, POSTAL, data, row["token"], lengths)
        assert not digital_token.holds(postal, VENDOR, data, row["token"], lengths)
        assert not digital_token.holds(vendor, POSTAL, data, row["token"], lengths)
    for row in VECTORS["addresses"]:
        assert digital_token.address_code(row["address"]).hex() == row["code"]
        assert digital_token.address_code(f" {row['address']}.\n").hex() == row["code"]


def test_the_truncation_is_that_of_rfc_4226():
    example = bytes.fromhex("1f8698690e02ca16618550ef7f19da8e945b55") + bytes(12) + b"\x5a"
    assert digital_token.digits_of(example, 6) == "872921"


def test_what_is_no_token():
    token = VECTORS["tokens"][0]["token"]
    assert digital_token.parse(token.replace(" ", "-")) == tuple(token.split()[:2])
    digits = token.replace(" ", "")
    for at, wrong in itertools.product(range(len(digits)), "0123456789"):
        if digits[at] != wrong:
            with pytest.raises(ValueError, match="check digit"):
                digital_token.parse(digits[:at] + wrong + digits[at + 1 :])
    for text in ("", digits[:-1], f"{digits}0", f"{digits[:-1]}x", "\u0661" * 11):
        with pytest.raises(ValueError, match="digits"):
            digital_token.parse(text)
    for wrong in (
        lambda: digital_token.address_code(" .,\n"),
        lambda: _data({**VECTORS["tokens"][0], "psd": "x"}).message(VENDOR),
        lambda: _data(VECTORS["tokens"][0]).message("other"),
        lambda: TokenData("PS010000000001", 1, 1, 20261120, 20501, 20500000312).message(VENDOR),
    ):
        with pytest.raises(ValueError):
            wrong()
