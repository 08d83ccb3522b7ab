"""Identifiers: a prefix, then digits that sort by time and never repeat."""

from __future__ import annotations

import time

from fastanchor.lib.ids import BASE62, base62, new_id


def test_an_id_is_its_prefix_and_22_digits() -> None:
    prefix, _, digits = new_id("req").partition("_")

    assert prefix == "req"
    assert len(digits) == 22
    assert set(digits) <= set(BASE62)


def test_ids_begin_with_the_milliseconds_of_their_making() -> None:
    before = time.time_ns() // 1_000_000
    moment = new_id("req")[4:12]
    after = time.time_ns() // 1_000_000

    assert base62(before, 8) <= moment <= base62(after, 8)


def test_ten_thousand_ids_differ_and_use_every_digit_in_every_random_place() -> None:
    ids = [new_id("req") for _ in range(10_000)]

    assert len(set(ids)) == len(ids)
    assert all(len({each[place] for each in ids}) == 62 for place in range(12, 26))
