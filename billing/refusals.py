"""Why a request may not run, as Valkey answers it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from fastanchor.lib.windows import Window


class Minute(msgspec.Struct, frozen=True):
    """How much of one minute limit is left: the limit, what remains, milliseconds until it is full again."""

    limit: int
    remaining: int
    reset_ms: int


class Limits(msgspec.Struct, frozen=True):
    """Both minute limits as the caller sees them."""

    requests: Minute
    tokens: Minute


class Refused(Exception):
    """The request may not run; ``limits`` is what the caller's minute looks like."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits


class RateLimited(Refused):
    """Too many requests, tokens or running requests (``dimension``); free again after ``retry_after_ms``."""

    def __init__(self, limits: Limits, *, dimension: str, limit: int, retry_after_ms: int) -> None:
        super().__init__(limits)
        self.dimension = dimension
        self.limit = limit
        self.retry_after_ms = retry_after_ms


class Budget(msgspec.Struct, frozen=True):
    """A budget that does not reach: whose it is (a key, a member, an organization), and when it was asked."""

    subject: str
    window: Window
    asked_at: datetime


class InsufficientCredit(Refused):
    """The wallet, or a budget, does not reach; money in nano-USD."""

    def __init__(
        self,
        limits: Limits,
        *,
        budget: Budget | None,
        left_nano: int,
        needed_nano: int,
        affordable_tokens: int,
        asked_tokens: int,
    ) -> None:
        super().__init__(limits)
        self.budget = budget
        self.left_nano = left_nano
        self.needed_nano = needed_nano
        self.affordable_tokens = affordable_tokens
        self.asked_tokens = asked_tokens


def limits(answer: Sequence[Any]) -> Limits:
    """Read both minute limits in an answer of ``admit.lua``."""
    return Limits(
        requests=Minute(limit=int(answer[5]), remaining=int(answer[6]), reset_ms=int(answer[7])),
        tokens=Minute(limit=int(answer[8]), remaining=int(answer[9]), reset_ms=int(answer[10])),
    )


_DIMENSIONS = {2: "requests", 3: "tokens", 4: "concurrency"}


def refusal(answer: Sequence[Any], budgets: Sequence[str | int], *, at: float) -> Refused:
    """Read a refusal in an answer of ``admit.lua`` to a request with these budgets, at Unix time ``at``."""
    status, minute = int(answer[0]), limits(answer)
    if status in _DIMENSIONS:
        return RateLimited(
            minute, dimension=_DIMENSIONS[status], limit=int(answer[2]), retry_after_ms=int(answer[1])
        )
    return InsufficientCredit(
        minute,
        budget=_budget(budgets, int(answer[11]), at),
        left_nano=int(answer[1]),
        needed_nano=int(answer[2]),
        affordable_tokens=int(answer[3]),
        asked_tokens=int(answer[4]),
    )


def _budget(budgets: Sequence[str | int], number: int, at: float) -> Budget | None:
    if not number:
        return None
    subject, window, _ = budgets[3 * number - 3 : 3 * number]
    return Budget(str(subject), Window(str(window)), datetime.fromtimestamp(at, UTC))
