"""Hours of the week in which rates hold, written as ``mon-fri 01:00-04:00`` or ``16:30-00:30``; always UTC.

The days are those on which a window opens, so ``fri 22:00-06:00`` ends on Saturday. No ORM and no Django here: the
catalog in memory is built of it.
"""

from __future__ import annotations

import re

# Also the database's own check of ``PriceTier.during``.
PATTERN = (
    r"^((mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))? )?"
    r"([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_A_DAY = 24 * 60
_MINUTES_A_WEEK = 7 * _MINUTES_A_DAY
# The first minute of 1970 fell on a Thursday.
_EPOCH_MINUTE = 3 * _MINUTES_A_DAY


class BadWindow(Exception):
    """A text that names no window; the message says what is expected."""


def minute_of_week(unix_seconds: float) -> int:
    """Return how many minutes of the week (UTC, from Monday) have passed at a moment."""
    return (int(unix_seconds // 60) + _EPOCH_MINUTE) % _MINUTES_A_WEEK


def spans_of(text: str) -> tuple[tuple[int, int], ...]:
    """Return the minutes of the week that a window covers, as (first, end) with the end left out.

    Raises ``BadWindow``.
    """
    if not re.fullmatch(PATTERN, text):
        message = f"Write a window as 'mon-fri 01:00-04:00' or '16:30-00:30' (UTC), not {text!r}."
        raise BadWindow(message)
    days, _, hours = text.rpartition(" ")
    opens, closes = (_minute(part) for part in hours.split("-"))
    if opens == closes:
        message = f"The window {text!r} closes when it opens."
        raise BadWindow(message)
    length = (closes - opens) % _MINUTES_A_DAY or _MINUTES_A_DAY
    return tuple(span for day in _days(days) for span in _within_week(day * _MINUTES_A_DAY + opens, length))


def overlap(one: str, other: str) -> bool:
    """Tell whether two windows have a minute in common; raises ``BadWindow``."""
    return any(
        first < other_end and other_first < end
        for first, end in spans_of(one)
        for other_first, other_end in spans_of(other)
    )


def _days(text: str) -> list[int]:
    if not text:
        return list(range(7))
    first, _, last = text.partition("-")
    start = DAYS.index(first)
    count = (DAYS.index(last or first) - start) % 7 + 1
    return [(start + offset) % 7 for offset in range(count)]


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _within_week(first: int, length: int) -> list[tuple[int, int]]:
    """Cut what runs over the end of Sunday into the start of Monday."""
    end = first + length
    if end <= _MINUTES_A_WEEK:
        return [(first, end)]
    return [(first, _MINUTES_A_WEEK), (0, end - _MINUTES_A_WEEK)]
