"""Secrets open only where they were sealed, with a key of the ring."""

from __future__ import annotations

import base64

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from fastanchor.lib.crypto import CannotUnseal, is_sealed_with_newest, seal, seal_bytes, unseal, unseal_bytes

OLD, NEW = f"old:{'0a' * 32}", f"new:{'0b' * 32}"
HERE, THERE = "table:column:1", "table:column:2"


@pytest.fixture(autouse=True)
def _ring(settings: Settings) -> None:
    settings.CHANNEL_KEYS = OLD


def test_a_sealed_text_opens_in_its_own_place() -> None:
    assert unseal(seal("sk-müller", aad=HERE), aad=HERE) == "sk-müller"


def test_two_seals_of_one_text_differ() -> None:
    assert seal("sk-1", aad=HERE) != seal("sk-1", aad=HERE)


def test_a_sealed_text_copied_to_another_row_does_not_open() -> None:
    with pytest.raises(CannotUnseal):
        unseal(seal("sk-1", aad=HERE), aad=THERE)


def test_a_key_of_the_same_name_but_other_bytes_does_not_open(settings: Settings) -> None:
    sealed = seal("sk-1", aad=HERE)

    settings.CHANNEL_KEYS = f"old:{'0c' * 32}"

    with pytest.raises(CannotUnseal):
        unseal(sealed, aad=HERE)


def test_a_key_that_left_the_ring_is_named(settings: Settings) -> None:
    sealed = seal("sk-1", aad=HERE)

    settings.CHANNEL_KEYS = NEW

    with pytest.raises(CannotUnseal, match="'old'"):
        unseal(sealed, aad=HERE)


def test_a_new_key_seals_while_the_old_one_still_opens(settings: Settings) -> None:
    sealed = seal("sk-1", aad=HERE)

    settings.CHANNEL_KEYS = f"{NEW}, {OLD}"

    assert unseal(sealed, aad=HERE) == "sk-1"
    assert not is_sealed_with_newest(sealed)
    assert is_sealed_with_newest(seal("sk-1", aad=HERE))


def test_one_changed_bit_is_noticed() -> None:
    kid, _, encoded = seal("sk-1", aad=HERE).partition(":")
    raw = bytearray(base64.b64decode(encoded))
    raw[-1] ^= 1

    with pytest.raises(CannotUnseal):
        unseal(f"{kid}:{base64.b64encode(raw).decode()}", aad=HERE)


@pytest.mark.parametrize("sealed", ["", "old", "old:", "old:?", "old:QUJD", ":QUJD"])
def test_text_that_was_never_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(CannotUnseal):
        unseal(sealed, aad=HERE)


@pytest.mark.parametrize("ring", ["", "old", "old:00", f":{'0a' * 32}", "old:zz"])
def test_a_malformed_ring_is_refused_without_showing_it(settings: Settings, ring: str) -> None:
    settings.CHANNEL_KEYS = ring

    with pytest.raises(ImproperlyConfigured) as caught:
        seal("sk-1", aad=HERE)

    assert "0a0a" not in str(caught.value)


def test_sealed_bytes_open_in_their_own_place_with_their_own_ring_only() -> None:
    sealed = seal_bytes(b"\x00said:in confidence", ring=OLD, aad=HERE)

    assert unseal_bytes(sealed, ring=f"{NEW},{OLD}", aad=HERE) == b"\x00said:in confidence"
    assert b"confidence" not in sealed
    with pytest.raises(CannotUnseal):
        unseal_bytes(sealed, ring=OLD, aad=THERE)
    with pytest.raises(CannotUnseal, match="'old'"):
        unseal_bytes(sealed, ring=NEW, aad=HERE)


@pytest.mark.parametrize("sealed", [b"", b"old", b"old:", b"\xff:short", b":QUJD"])
def test_bytes_that_were_never_sealed_do_not_open(sealed: bytes) -> None:
    with pytest.raises(CannotUnseal):
        unseal_bytes(sealed, ring=OLD, aad=HERE)
