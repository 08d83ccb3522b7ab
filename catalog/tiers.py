"""Which tiers make a price, whoever wrote them: staff, our files or the package. No ORM here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from catalog.snapshot import Tier
from catalog.windows import BadWindow, overlap, spans_of


class BadTiers(Exception):
    """Tiers that make no price: no base tier, two of the same threshold, or windows that overlap."""


def check_tiers(tiers: Sequence[Tier]) -> None:
    """Raise ``BadTiers`` unless tiers make a price.

    There must be rates for all hours, a base tier (above 0 tokens) wherever there are rates, no threshold twice, and
    no two windows that overlap.
    """
    windows = {tier.during for tier in tiers}
    for during in {"", *windows}:
        _check_window([tier.above_tokens for tier in tiers if tier.during == during])
    try:
        for one, other in itertools.combinations(sorted(windows - {""}), 2):
            if overlap(one, other):
                message = f"The windows {one!r} and {other!r} overlap."
                raise BadTiers(message)
        for during in windows - {""}:
            spans_of(during)
    except BadWindow as exc:
        raise BadTiers(str(exc)) from None


def _check_window(thresholds: Sequence[int]) -> None:
    if 0 not in thresholds:
        raise BadTiers("A price needs a base tier, above 0 tokens, at all hours and in each of its windows.")
    if len(set(thresholds)) < len(thresholds):
        raise BadTiers("Each tier needs a threshold of its own.")
