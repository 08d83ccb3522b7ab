"""Shares of the limits: together never more than the limit, and as deep as a minute."""

from __future__ import annotations

import pytest

from billing.local_limits import LocalLimits, share_of
from billing.refusals import RateLimited
from tests.billing.test_holds import ask


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def admitted(limits: LocalLimits, count: int, *, processes: int, rank: int, **changes: int) -> int:
    found = 0
    for number in range(count):
        try:
            limits.take(ask(number, **changes), processes, rank)
            found += 1
        except RateLimited:
            pass
    return found


@pytest.mark.parametrize(("limit", "processes"), [(5, 2), (5, 8), (60, 7), (0, 3)])
def test_all_processes_together_let_in_the_limit_exactly(limit: int, processes: int) -> None:
    assert sum(share_of(limit, processes, rank) for rank in range(processes)) == limit
    together = [
        admitted(LocalLimits(clock=Clock()), 100, processes=processes, rank=rank, requests_per_minute=limit)
        for rank in range(processes)
    ]
    assert sum(together) == limit


def test_a_share_fills_again_with_time() -> None:
    clock = Clock()
    limits = LocalLimits(clock=clock)
    assert admitted(limits, 9, processes=2, rank=0, requests_per_minute=6) == 3

    clock.now += 20.1

    assert admitted(limits, 9, processes=2, rank=0, requests_per_minute=6) == 1


def test_a_refusal_says_when_to_come_back_and_counts_nothing() -> None:
    limits = LocalLimits(clock=Clock())
    limits.take(ask(1, tokens_per_minute=100, input_tokens=40), 1, 0)

    with pytest.raises(RateLimited) as refused:
        limits.take(ask(2, tokens_per_minute=100, input_tokens=70), 1, 0)

    assert refused.value.dimension == "tokens"
    assert 6_000 <= refused.value.retry_after_ms <= 6_001
    assert limits.take(ask(3, tokens_per_minute=100, input_tokens=60), 1, 0).tokens.remaining == 0


def test_what_a_request_really_used_is_counted_and_what_was_not_let_in_is_not() -> None:
    limits = LocalLimits(clock=Clock())
    wanted = ask(1, tokens_per_minute=100, input_tokens=40)
    limits.take(wanted, 1, 0)

    limits.correct(wanted, 30, 1, 0)
    assert limits.take(ask(2, tokens_per_minute=100, input_tokens=10), 1, 0).tokens.remaining == 20
    limits.give_back(wanted, 1, 0)
    assert limits.take(ask(3, tokens_per_minute=100, input_tokens=60), 1, 0).tokens.remaining == 0


def test_a_key_s_own_limit_is_shared_out_too() -> None:
    limits = LocalLimits(clock=Clock())

    assert admitted(limits, 9, processes=2, rank=1, key_requests_per_minute=5) == 2
