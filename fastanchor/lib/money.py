"""Units of money: nano-USD everywhere, cents only at the Stripe edge, never a float.

1 USD = 1,000,000,000 nano-USD; 1 cent = 10,000,000 nano-USD; rates are micro-USD per 1M tokens,
which is pico-USD per token.
"""

from __future__ import annotations

import re
from typing import NewType

Nanos = NewType("Nanos", int)
Picos = NewType("Picos", int)

NANOS_PER_USD = 1_000_000_000
NANOS_PER_CENT = 10_000_000
PICOS_PER_NANO = 1_000
# The most that one command moves: a billion dollars, a ninth of what a column holds.
MAX_CENTS = 100_000_000_000
_DOLLARS = re.compile(r"\$? ?([0-9]{1,9}|[0-9]{1,3}(?:,[0-9]{3}){1,2})(?:\.([0-9]{1,9}))?")


class NotDollars(ValueError):
    """A text is no amount in dollars, or a finer one than was asked for."""


def parse_cents(text: str) -> int:
    """Read dollars as people write them, ``12``, ``12.5``, ``$1,234.56``, as whole cents; raises ``NotDollars``."""
    return _parse(text, places=2)


def parse_nanos(text: str) -> Nanos:
    """Read dollars with up to nine decimals as nano-USD; raises ``NotDollars``."""
    return Nanos(_parse(text, places=9))


def _parse(text: str, *, places: int) -> int:
    found = _DOLLARS.fullmatch(text.strip())
    decimals = (found[2] or "") if found else ""
    if found is None or len(decimals) > places:
        raise NotDollars(text)
    return int(found[1].replace(",", "") + decimals.ljust(places, "0"))


def cents_to_nanos(cents: int) -> Nanos:
    """Convert whole cents to nano-USD, exactly."""
    return Nanos(cents * NANOS_PER_CENT)


def round_picos(picos: int) -> Nanos:
    """Round pico-USD to nano-USD, half to even; done once per request."""
    nanos, rest = divmod(picos, PICOS_PER_NANO)
    if rest * 2 > PICOS_PER_NANO or (rest * 2 == PICOS_PER_NANO and nanos % 2):
        nanos += 1
    return Nanos(nanos)


def ceil_picos(picos: int) -> Nanos:
    """Round pico-USD up to nano-USD; holds never reserve less than the cost."""
    return Nanos(-(-picos // PICOS_PER_NANO))


def exact_usd(nanos: int) -> str:
    """Write nano-USD as dollars with all nine places: ``-1500000000`` gives ``-1.500000000``."""
    sign = "-" if nanos < 0 else ""
    dollars, rest = divmod(abs(nanos), NANOS_PER_USD)
    return f"{sign}{dollars}.{rest:09d}"


def exact_picos(picos: int) -> str:
    """Write pico-USD as dollars with all the places that they need: ``2500000`` gives ``0.0000025``."""
    sign = "-" if picos < 0 else ""
    dollars, rest = divmod(abs(picos), NANOS_PER_USD * PICOS_PER_NANO)
    return f"{sign}{dollars}.{f'{rest:012d}'.rstrip('0') or '0'}"


def short_usd(nanos: int) -> str:
    """Write nano-USD for people, cut (never rounded up): 2 places from $1 and for whole cents, 4 below."""
    sign = "-" if nanos < 0 else ""
    dollars, rest = divmod(abs(nanos), NANOS_PER_USD)
    digits = f"{rest:09d}"
    if dollars or rest % NANOS_PER_CENT == 0:
        return f"{sign}${dollars:,}.{digits[:2]}"
    if rest >= NANOS_PER_USD // 10_000:
        return f"{sign}$0.{digits[:4]}"
    return f"{sign}$0.{digits.rstrip('0')}"
