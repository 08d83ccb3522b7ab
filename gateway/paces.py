"""How fast and how reliably channels answered lately, in this process: averages that fade.

What is known of a channel halves with each minute that nothing new is heard of it. So one that did badly is soon
tried again, and what it does then counts more than what it did before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

# How much the newest answer counts.
NEWEST = 0.2
HALF_LIFE_S = 60.0
# No channel is chosen less often than this, of its weight: that is how a recovery is noticed.
LEAST = 0.05
# A channel that is slower than this many times the fastest is not told from one that is just so slow.
SLOWEST = 5.0


@dataclass(slots=True)
class Pace:
    """One channel's averages: failures from 0 to 1; seconds to the first content of streams, and to whole answers.

    ``answers`` and ``failures`` are counted since the process began.
    """

    errors: float = 0.0
    first_s: float = 0.0
    whole_s: float = 0.0
    seen_at: float = 0.0
    answers: int = 0
    failures: int = 0

    def seconds(self, *, is_stream: bool) -> float:
        """Return how long a stream's first content or a whole answer took lately; 0 where that is not known."""
        return self.first_s if is_stream else self.whole_s


class Paces:
    """The averages of all channels."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces: dict[str, Pace] = {}

    def answered(self, channel_id: str, *, seconds: float, is_stream: bool) -> None:
        """Count an answer: its first content where it is a stream."""
        pace = self._heard_of(channel_id)
        if pace.errors:
            pace.errors *= 1 - NEWEST
        pace.answers += 1
        if is_stream:
            pace.first_s = _moved(pace.first_s, seconds)
        else:
            pace.whole_s = _moved(pace.whole_s, seconds)

    def failed(self, channel_id: str) -> None:
        """Count a failure that was the channel's."""
        pace = self._heard_of(channel_id)
        pace.errors += NEWEST * (1 - pace.errors)
        pace.failures += 1

    def of(self, channel_id: str) -> Pace:
        """Return a channel's averages; those of one that is not known are all zero."""
        return self._paces.get(channel_id, _UNKNOWN)

    def known(self) -> dict[str, Pace]:
        """Return the averages of every channel that was asked."""
        return self._paces

    def errors(self, channel_id: str) -> float:
        """Return a channel's share of failures as it counts now."""
        pace = self.of(channel_id)
        return pace.errors * self._memory(pace)

    def fastest(self, channel_ids: list[str], *, is_stream: bool) -> float:
        """Return the shortest time of some channels; 0 where none is known."""
        times = [self.of(each).seconds(is_stream=is_stream) for each in channel_ids]
        return min((each for each in times if each), default=0.0)

    def score(self, channel_id: str, *, fastest: float = 0.0, is_stream: bool = False) -> float:
        """Return how well a channel does, from ``LEAST`` to 1; 1 for one of which nothing is known."""
        pace = self._paces.get(channel_id)
        if pace is None:
            return 1.0
        seconds = pace.seconds(is_stream=is_stream)
        swiftness = max(fastest / seconds, 1 / SLOWEST) if seconds and fastest else 1.0
        # Errors weigh more than slowness: a channel that fails half of the time counts a quarter.
        score = (1 - pace.errors) ** 2 * swiftness
        return max(LEAST, 1 - (1 - score) * self._memory(pace))

    def _heard_of(self, channel_id: str) -> Pace:
        now = self._clock()
        pace = self._paces.get(channel_id)
        if pace is None:
            pace = self._paces[channel_id] = Pace(seen_at=now)
        elif now > pace.seen_at:
            if pace.errors:
                pace.errors *= self._memory(pace)
            pace.seen_at = now
        return pace

    def _memory(self, pace: Pace) -> float:
        return math.exp2((pace.seen_at - self._clock()) / HALF_LIFE_S)


def _moved(average: float, newest: float) -> float:
    return average + NEWEST * (newest - average) if average else newest


_UNKNOWN = Pace()
