"""Identifiers with a prefix: ``org_``, ``key_``, ``req_``, ``chan_`` and their like."""

from __future__ import annotations

import secrets
import time

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TIME_DIGITS = 8
_RANDOM_DIGITS = 14


def base62(number: int, width: int) -> str:
    """Write a non-negative number in ``width`` base62 digits; higher digits are cut off."""
    digits = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits.append(BASE62[rest])
    return "".join(reversed(digits))


def random_base62(width: int) -> str:
    """Return ``width`` base62 digits from the operating system's random source."""
    return base62(secrets.randbelow(62**width), width)


def new_id(prefix: str) -> str:
    """Return ``prefix_`` + 8 digits of milliseconds + 14 random ones (83 bits), so ids sort by time."""
    return f"{prefix}_{base62(time.time_ns() // 1_000_000, _TIME_DIGITS)}{random_base62(_RANDOM_DIGITS)}"
