"""Which channels may be tried: a breaker per channel and a budget for retries, both of this process.

Figures: five failures in a row open a breaker for 30 s, then one probe; retries are at most a fifth of the load
(the defaults of Envoy's outlier detection and retry budget).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from gateway.paces import Paces

logger = logging.getLogger(__name__)

FAILURES_TO_OPEN = 5
OPEN_S = 30.0
# Where no other channel is left, one request may find out this soon whether a channel works again.
LAST_RESORT_S = 5.0
RETRY_SHARE = 0.2
RETRY_FLOOR = 10.0


class _Breaker:
    __slots__ = ("failed_at", "failures", "is_probing", "must_wait", "open_until")

    def __init__(self) -> None:
        self.failures = 0
        self.open_until = 0.0
        self.is_probing = False
        self.failed_at = 0.0
        # The pause is the upstream's own wish.
        self.must_wait = False


class Health:
    """Remembers how channels did and says whether one may be tried now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._breakers: dict[str, _Breaker] = {}
        self._retry_credit = RETRY_FLOOR
        self.paces = Paces(clock)

    @property
    def is_out(self) -> bool:
        """Tell whether any channel has failed lately."""
        return bool(self._breakers)

    def may_try(self, channel_id: str) -> bool:
        """Tell whether a channel is open for an attempt; after its pause only one probe is let through."""
        breaker = self._breakers.get(channel_id)
        if breaker is None or breaker.open_until == 0.0:
            return True
        if self._clock() < breaker.open_until or breaker.is_probing:
            return False
        breaker.is_probing = True
        return True

    def may_try_early(self, channel_id: str) -> bool:
        """Let one probe through before the pause is over, because there is no other channel; one each few seconds."""
        breaker = self._breakers.get(channel_id)
        if breaker is None or breaker.is_probing or breaker.must_wait:
            return False
        if self._clock() < breaker.failed_at + LAST_RESORT_S:
            return False
        breaker.is_probing = True
        return True

    def pause_left(self, channel_id: str) -> float:
        """Return for how many seconds a channel is still left alone; below 0 where one probe is due or under way."""
        breaker = self._breakers.get(channel_id)
        if breaker is None or breaker.open_until == 0.0:
            return 0.0
        return breaker.open_until - self._clock() or -1.0

    def overdue(self) -> list[str]:
        """Return the channels that failed too often, whose pause is over, and that nobody has asked again yet."""
        now = self._clock()
        return [
            channel_id
            for channel_id, each in self._breakers.items()
            if each.failures >= FAILURES_TO_OPEN and 0 < each.open_until <= now and not each.is_probing
        ]

    def succeeded(self, channel_id: str, *, seconds: float | None = None, is_stream: bool = False) -> None:
        """Forget the failures of a channel; ``seconds`` is how long its answer or first content took."""
        self._breakers.pop(channel_id, None)
        if seconds is not None:
            self.paces.answered(channel_id, seconds=seconds, is_stream=is_stream)

    def failed(self, channel_id: str, *, pause_s: float = 0.0) -> None:
        """Count a failure; ``pause_s`` takes the channel out at once for that long."""
        self.paces.failed(channel_id)
        breaker = self._breakers.setdefault(channel_id, _Breaker())
        breaker.failures += 1
        breaker.is_probing = False
        breaker.failed_at, breaker.must_wait = self._clock(), pause_s > 0
        if breaker.failures >= FAILURES_TO_OPEN:
            pause_s = max(pause_s, OPEN_S)
        if pause_s:
            breaker.open_until = self._clock() + pause_s
            logger.warning("gateway.channel.out", extra={"channel": channel_id, "pause_s": pause_s})

    def gave_up(self, channel_id: str) -> None:
        """Note that an attempt ended without a verdict, so that the next one may probe."""
        breaker = self._breakers.get(channel_id)
        if breaker is not None:
            breaker.is_probing = False

    def count_request(self) -> None:
        """Earn a share of a retry."""
        self._retry_credit = min(RETRY_FLOOR, self._retry_credit + RETRY_SHARE)

    def may_retry(self) -> bool:
        """Spend a retry, if the budget has one."""
        if self._retry_credit < 1:
            return False
        self._retry_credit -= 1
        return True
