from __future__ import annotations

import hashlib
import hmac
import re

import pytest
from hypothesis import given, strategies as st

from accounts import tokens

OLD, NEW = b"o" * 32, b"n" * 32
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_a_token_has_the_promised_shape_and_never_repeats() -> None:
    made = {tokens.new_token() for _ in range(200)}

    assert len(made) == 200
    assert all(re.fullmatch(r"fa_live_[0-9A-Za-z]{36}", token) for token in made)
    assert all(tokens.is_well_formed(token) for token in made)


def test_the_checksum_is_the_crc_32_of_all_before_it() -> None:
    assert tokens.is_well_formed("fa_live_" + "0" * 30 + checksum_of("fa_live_" + "0" * 30))


def checksum_of(body: str) -> str:
    """CRC-32 by its definition, bit by bit, and base62 by the table: written apart from the code under test."""
    crc = 0xFFFFFFFF
    for byte in body.encode():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    number = crc ^ 0xFFFFFFFF
    digits = ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return digits


@given(position=st.integers(8, 43), digit=st.sampled_from(BASE62))
def test_one_wrong_character_is_always_found(position: int, digit: str) -> None:
    token = tokens.new_token()
    mistyped = token[:position] + digit + token[position + 1 :]

    assert tokens.is_well_formed(mistyped) == (mistyped == token)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fa_live_",
        "sk-123",
        "fa_test_" + "0" * 36,
        "fa_live_" + "0" * 36 + "\n",
        "fa_live_" + "٣" * 36,
        "x" * 9_999,
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    assert not tokens.is_well_formed(text)


@given(st.text())
def test_no_text_makes_the_check_fail_with_an_error(text: str) -> None:
    assert not tokens.is_well_formed(text)


@pytest.mark.parametrize("size", [16, 63, 64, 65, 200])
def test_a_digest_is_hmac_sha_256_whatever_the_size_of_the_pepper(size: int) -> None:
    pepper = bytes(range(size))

    assert tokens.digest("fa_live_x", pepper) == hmac.digest(pepper, b"fa_live_x", "sha256")


def test_digests_are_hmac_sha_256_in_the_order_of_the_peppers() -> None:
    expected = [hmac.new(pepper, b"fa_live_x", hashlib.sha256).digest() for pepper in (NEW, OLD)]

    assert tokens.digests("fa_live_x", [NEW, OLD]) == expected


def test_peppers_are_read_newest_first() -> None:
    assert tokens.parse_peppers(f"2:{NEW.hex()}, 1:{OLD.hex()}") == (NEW, OLD)


@pytest.mark.parametrize(
    "text",
    ["", NEW.hex(), f"1:{NEW.hex()},1:{OLD.hex()}", "1:" + "zz" * 32, "1:" + "ab" * 15, f"1:{NEW.hex()},"],
)
def test_unusable_peppers_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(ValueError, match="FASTANCHOR_API_KEY_PEPPERS") as refusal:
        tokens.parse_peppers(text)

    assert "zz" not in str(refusal.value)
    assert NEW.hex() not in str(refusal.value)


def test_people_see_the_first_twelve_and_the_last_four_characters() -> None:
    assert tokens.shown_parts("fa_live_ABCDefghijKLMN") == ("fa_live_ABCD", "KLMN")
