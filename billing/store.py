"""DOOR: what a gateway process asks of PostgreSQL while that stands in for Valkey, and what it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

import msgspec

from billing.holds import Ask, RegisteredHold

# How long a process serves what it knows without hearing from PostgreSQL.
LOST_S = 15 * 60.0
Moment = float  # seconds of a monotonic clock


class Mode(msgspec.Struct, frozen=True):
    """Which store decides, and how many processes share the limits."""

    period: int
    is_degraded: bool
    is_open: bool
    processes: int
    # How many of them come before this one.
    rank: int
    # How long ago PostgreSQL noted that this process is alive.
    seen_ago_s: float


class Answer(msgspec.Struct, frozen=True):
    """What PostgreSQL says of a hold, in the order of ``lua/admit.lua``; ``status`` 0 is yes."""

    status: int
    numbers: tuple[int, int, int, int]
    budget: int = 0


class Store(Protocol):
    """PostgreSQL, as far as holds need it; each call runs in a thread. ``None`` says that the period is over."""

    def beat(self, facts: dict[str, int | bool]) -> Awaitable[Mode]:
        """Tell that this process is alive and return which store decides."""

    def enter(self, period: int) -> Awaitable[None]:
        """Let PostgreSQL decide."""

    def leave(self, period: int) -> Awaitable[None]:
        """Let Valkey decide again."""

    def follow(self, period: int, running: Sequence[RegisteredHold]) -> Awaitable[None]:
        """Tell what this process holds, for it places no more holds in Valkey."""

    def place(self, period: int, ask: Ask, ended: Sequence[str]) -> Awaitable[Answer | None]:
        """Decide and place one hold; ``ended`` are requests that run no more."""

    def extend(self, period: int, ask: Ask, tokens: int) -> Awaitable[tuple[int, int] | None]:
        """Grow one hold; returns tokens granted and nano-USD added, -1 tokens for an unknown hold."""

    def release(self, request_ids: Sequence[str], ended: Sequence[str]) -> Awaitable[None]:
        """Drop holds that cost nothing, and note which others run no more."""
