"""Identifiers with a prefix: ``org_``, ``key_``, ``req_``, ``chan_`` and their like."""

from __future__ import annotations

import functools
import random
import secrets
import time

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TIME_DIGITS = 8
_RANDOM_DIGITS = 14
_PAIRS = [high + low for high in BASE62 for low in BASE62]
# Ids need to be unique, not secret: the operating system seeds this once per process.
_random = random.Random(secrets.randbits(256))  # noqa: S311
# A digit for each byte; eight digits stand for five bytes and the others for four, which costs an id 0.1 of its bits.
_DIGIT_OF_BYTE = bytes(ord(BASE62[byte % 62]) for byte in range(256))


def base62(number: int, width: int) -> str:
    """Write a non-negative number in ``width`` base62 digits; higher digits are cut off."""
    pairs = []
    for _ in range((width + 1) // 2):
        number, rest = divmod(number, 3844)
        pairs.append(_PAIRS[rest])
    pairs.reverse()
    return "".join(pairs)[-width:]


def random_base62(width: int) -> str:
    """Return ``width`` base62 digits from the operating system's random source, for secrets."""
    return base62(secrets.randbelow(62**width), width)


def new_id(prefix: str) -> str:
    """Return ``prefix_`` + 8 digits of milliseconds + 14 random ones (83 bits), so ids sort by time."""
    higher, lower = divmod(time.time_ns() // 1_000_000, len(_PAIRS))
    by_chance = _random.randbytes(_RANDOM_DIGITS).translate(_DIGIT_OF_BYTE).decode()
    return f"{prefix}_{_higher_digits(higher)}{_PAIRS[lower]}{by_chance}"


# They stay the same for 3.8 seconds.
@functools.lru_cache(maxsize=4)
def _higher_digits(number: int) -> str:
    return base62(number, _TIME_DIGITS - 2)
